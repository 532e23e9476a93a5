//! The entries of a journal, and what they prove.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{AccountId, GroupId, GroupName, MemberId, Origin};
use crate::plan::{Before, Digest, Method, Reversal};

/// The version of the format that this program writes, and the only one it reads.
const FORMAT_VERSION: u32 = 1;

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "entry", rename_all = "snake_case")]
#[schemars(title = "A line of a convoke journal")]
pub enum Entry {
    /// The first line: the run.
    Run(RunEntry),
    /// An operation is about to be sent.
    Sending {
        /// The operation's number.
        seq: u64,
        /// When.
        #[schemars(with = "String", extend("format" = "date-time"))]
        time: Timestamp,
        /// What it does.
        #[serde(flatten)]
        effect: Effect,
    },
    /// An operation was answered, or its answer was lost.
    Answered {
        /// The operation's number.
        seq: u64,
        /// When.
        #[schemars(with = "String", extend("format" = "date-time"))]
        time: Timestamp,
        /// What came of it.
        outcome: Outcome,
        /// Identifies the request to Cloudflare's support.
        ray: Option<String>,
        /// What the API objected to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Reading showed what became of an operation whose answer was lost.
    Settled {
        /// The operation's number.
        seq: u64,
        /// When.
        #[schemars(with = "String", extend("format" = "date-time"))]
        time: Timestamp,
        /// Done or not done.
        outcome: Outcome,
    },
    /// The last line of a run that was not killed.
    End {
        /// When.
        #[schemars(with = "String", extend("format" = "date-time"))]
        time: Timestamp,
        /// Whether all of the plan was carried out.
        complete: bool,
    },
}

/// Which run a journal is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunEntry {
    /// The version of this format.
    pub format_version: u32,
    /// When the run began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// The version of convoke.
    pub version: String,
    /// The account.
    pub account_id: AccountId,
    /// The plan's digest.
    pub digest: Digest,
    /// The machine, where it is known.
    pub host: Option<String>,
    /// The operating system's user, where it is known.
    pub user: Option<String>,
    /// The CI run, where the usual variables tell one.
    pub ci_run_url: Option<String>,
}

impl RunEntry {
    /// A run that begins now.
    #[must_use]
    pub fn new(account_id: AccountId, digest: Digest) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            time: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").into(),
            account_id,
            digest,
            host: None,
            user: None,
            ci_run_url: None,
        }
    }
}

/// What an operation does to a group, given the members that it was sent for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// The group's id.
    pub group_id: GroupId,
    /// The group's name.
    pub group: GroupName,
    /// The request.
    pub method: Method,
    /// Whom it brings into the group.
    pub adds: Vec<MemberId>,
    /// Whom it takes out of the group.
    pub removes: Vec<MemberId>,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// The API refused it.
    Refused,
    /// It was never sent, or certainly not carried out.
    NotDone,
    /// The answer was lost: it may or may not have been carried out.
    Unknown,
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The run.
    pub run: RunEntry,
    /// Each operation, in the order of sending.
    pub operations: Vec<Operation>,
}

/// An operation with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The line that announces it, from 1.
    pub line: u32,
    /// What it does.
    pub effect: Effect,
    /// What came of it; [`Outcome::Unknown`] where no line says.
    pub outcome: Outcome,
}

impl Record {
    /// What the run did, or may have done, to each group: for everybody it touched, whether they were in the group
    /// before.
    #[must_use]
    pub fn reversals(&self, file: &Arc<str>) -> BTreeMap<GroupId, Reversal> {
        let mut reversals: BTreeMap<GroupId, Reversal> = BTreeMap::new();
        let happened = |operation: &&Operation| matches!(operation.outcome, Outcome::Done | Outcome::Unknown);
        for Operation { line, effect, .. } in self.operations.iter().filter(happened) {
            let reversal = reversals
                .entry(effect.group_id)
                .or_insert_with(|| Reversal { name: effect.group.clone(), before: BTreeMap::new() });
            let origin = Origin { file: Arc::clone(file), line: *line, column: 1 };
            let joined = effect.adds.iter().map(|id| (id, false));
            for (id, was_member) in joined.chain(effect.removes.iter().map(|id| (id, true))) {
                // The first operation that touches somebody tells how it was before the run.
                reversal.before.entry(*id).or_insert_with(|| Before { was_member, origin: origin.clone() });
            }
        }
        reversals
    }
}

/// Why a file is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A line is no entry.
    #[error("line {line} is no entry of a journal")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The first line does not tell of the run.
    #[error("the first line does not say which run it is of")]
    NoRun,
    /// Another version of the format.
    #[error("it has format version {0}, this version of convoke reads {FORMAT_VERSION}")]
    Version(u32),
    /// A second run begins, as where journals are put one after the other.
    #[error("line {line} begins another run: a journal is of one")]
    SecondRun {
        /// The line, from 1.
        line: usize,
    },
    /// Two lines announce an operation with the same number.
    #[error("line {line} announces operation {seq}, as a line before it does")]
    Announced {
        /// The line, from 1.
        line: usize,
        /// The operation's number.
        seq: u64,
    },
    /// An entry speaks of an operation that no line announced.
    #[error("line {line} speaks of operation {seq}, which no line before it announces")]
    Unannounced {
        /// The line, from 1.
        line: usize,
        /// The operation's number.
        seq: u64,
    },
}

/// Reads a journal. Of a run that was killed, the last line may be torn: it is passed over.
///
/// # Errors
///
/// Says which line is wrong, and how.
pub fn parse(bytes: &[u8]) -> Result<Record, JournalError> {
    let mut run = None;
    let mut operations: BTreeMap<u64, Operation> = BTreeMap::new();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let entry = match serde_json::from_slice::<Entry>(line) {
            Ok(entry) => entry,
            Err(_) if lines.peek().is_none() && !line.ends_with(b"\n") && run.is_some() => break,
            Err(source) => return Err(JournalError::Line { line: index + 1, source }),
        };
        match (entry, &run) {
            (Entry::Run(entry), None) if entry.format_version == FORMAT_VERSION => run = Some(entry),
            (Entry::Run(entry), None) => return Err(JournalError::Version(entry.format_version)),
            (_, None) => return Err(JournalError::NoRun),
            (Entry::Sending { seq, effect, .. }, Some(_)) => {
                let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
                let operation = Operation { line, effect, outcome: Outcome::Unknown };
                if operations.insert(seq, operation).is_some() {
                    return Err(JournalError::Announced { line: index + 1, seq });
                }
            }
            (Entry::Answered { seq, outcome, .. } | Entry::Settled { seq, outcome, .. }, Some(_)) => {
                let operation = operations.get_mut(&seq);
                operation.ok_or(JournalError::Unannounced { line: index + 1, seq })?.outcome = outcome;
            }
            (Entry::Run(_), Some(_)) => return Err(JournalError::SecondRun { line: index + 1 }),
            (Entry::End { .. }, Some(_)) => {}
        }
    }
    let run = run.ok_or(JournalError::NoRun)?;
    Ok(Record { run, operations: operations.into_values().collect() })
}

/// The JSON Schema of a journal's lines.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Entry)
}
