//! The journal: the operations of a run of `apply` and what it saw, line by line.
//!
//! It is a JSON Lines file, numbered from 1. Each line is written to disk before the run continues, so that the
//! record of a killed run is correct. An operation that was announced and not answered may or may not have happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cloudflare::Fate;
use crate::model::{AccountId, GroupId, GroupRef, MemberId, Origin};
use crate::plan::{AttemptedChange, Digest, Operation, Reversal};

/// The format version that this program writes and reads.
pub const FORMAT_VERSION: u32 = 2;

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "A line of a convoke journal")]
pub struct Line {
    /// The line's number, from 1 and without gaps.
    pub seq: u64,
    pub time: Timestamp,
    #[serde(flatten)]
    pub kind: LineKind,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum LineKind {
    /// The first line: the run.
    Run(RunFacts),
    /// The members of a group before the run's first write.
    Before { group: GroupRef, members: BTreeSet<MemberId> },
    /// An operation is about to be sent.
    Sending(Effect),
    /// An operation was answered, or its answer was lost.
    Answered {
        /// The number of the line that announced the operation.
        operation: u64,
        outcome: Fate,
        /// The request's `cf-ray`.
        ray: Option<String>,
        /// Why the operation was not carried out, or why its effect is unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A reading of a group.
    Seen { group: GroupRef, members: BTreeSet<MemberId> },
    /// The members of a group after the run's last request; null if they could not be read.
    After { group: GroupRef, members: Option<BTreeSet<MemberId>> },
    /// The last line of a run that was not killed.
    End {
        /// Whether the complete plan was applied and seen.
        complete: bool,
    },
}

/// The run that a journal records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    /// The version of this format.
    pub format_version: u32,
    /// The version of convoke.
    pub version: String,
    pub account_id: AccountId,
    /// The plan's digest.
    pub digest: Digest,
    pub host: Option<String>,
    pub user: Option<String>,
    pub ci_run_url: Option<String>,
    pub commit: Option<String>,
    pub pull_request: Option<String>,
    pub approvers: Vec<String>,
}

/// The effect of an operation on a group, relative to the members last seen. A PUT also repeats changes that a
/// reading has shown as made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    pub group: GroupRef,
    pub request: Operation,
    /// The members that it adds.
    pub adds: BTreeSet<MemberId>,
    /// The members that it removes.
    pub removes: BTreeSet<MemberId>,
}

impl Effect {
    /// The members that it adds (`true`) and removes.
    fn changes(&self) -> impl Iterator<Item = (MemberId, bool)> {
        self.adds.iter().map(|id| (*id, true)).chain(self.removes.iter().map(|id| (*id, false)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub run: RunFacts,
    /// The members of each group before the run's first write.
    pub before: BTreeMap<GroupId, BTreeSet<MemberId>>,
    /// The members of each group as the run last saw them.
    pub last_seen: BTreeMap<GroupId, BTreeSet<MemberId>>,
    /// The requests that the run announced, by the number of their line.
    pub operations: BTreeMap<u64, SentRequest>,
    pub lines: u64,
    /// Whether the journal has its last line. Otherwise the run was killed, or the file was cut.
    pub ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    pub effect: Effect,
    /// The members that need no change any more: the last reading before it already shows them as intended.
    pub already: BTreeSet<MemberId>,
    /// [`Fate::Unknown`] if no line reports it.
    pub outcome: Fate,
}

impl Record {
    /// Each change that the run attempted, with the line of the first operation for it.
    pub fn reversals(&self, file: &Arc<str>) -> BTreeMap<GroupId, Reversal> {
        let mut reversals: BTreeMap<GroupId, Reversal> = BTreeMap::new();
        for (line, SentRequest { effect, already, outcome }) in &self.operations {
            let group = &effect.group;
            let reversal = reversals
                .entry(group.id)
                .or_insert_with(|| Reversal { name: group.name.clone(), attempts: BTreeMap::new() });
            let line = u32::try_from(*line).unwrap_or(u32::MAX);
            for (member, added) in effect.changes() {
                let shows = |members: &BTreeSet<MemberId>| members.contains(&member) == added;
                let by_others = self.before.get(&group.id).is_some_and(shows) || already.contains(&member);
                let is_seen = self.last_seen.get(&group.id).is_some_and(shows);
                let origin = Origin { file: Arc::clone(file), line, column: 1 };
                let attempt = reversal.attempts.entry(member);
                let attempt = attempt.or_insert(AttemptedChange { added, proven: false, origin });
                attempt.proven |= *outcome == Fate::Answered && is_seen && !by_others && attempt.added == added;
            }
        }
        reversals
    }

    fn take(&mut self, line: u64, kind: LineKind) -> Result<(), JournalError> {
        self.lines = line;
        self.ended = matches!(kind, LineKind::End { .. });
        match kind {
            LineKind::Run(_) | LineKind::After { members: None, .. } | LineKind::End { .. } => {}
            LineKind::Before { group, members } => {
                self.last_seen.insert(group.id, members.clone());
                self.before.insert(group.id, members);
            }
            LineKind::Seen { group, members } | LineKind::After { group, members: Some(members) } => {
                self.last_seen.insert(group.id, members);
            }
            LineKind::Sending(effect) => {
                let seen = self.last_seen.get(&effect.group.id);
                let shows = |(id, added): &(MemberId, bool)| seen.is_some_and(|seen| seen.contains(id) == *added);
                let already = effect.changes().filter(shows).map(|(id, _)| id).collect();
                self.operations.insert(line, SentRequest { effect, already, outcome: Fate::Unknown });
            }
            LineKind::Answered { operation, outcome, .. } => {
                let sent = self.operations.get_mut(&operation);
                sent.ok_or(JournalError::Unannounced { line, operation })?.outcome = outcome;
            }
        }
        Ok(())
    }
}

/// Why a file is not a valid journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("line {line} is not a line of a journal")]
    Line { line: u64, source: serde_json::Error },
    #[error("the first line does not describe a run")]
    NoRun,
    #[error("it has format version {0}, this version of convoke reads {FORMAT_VERSION}")]
    Version(u32),
    #[error("line {line} begins another run; a journal has only one")]
    SecondRun { line: u64 },
    #[error("line {line} has the number {found}: lines are missing or repeated")]
    Gap { line: u64, found: u64 },
    #[error("line {line} refers to operation {operation}, which no earlier line records")]
    Unannounced { line: u64, operation: u64 },
}

/// Reads a journal. If a run was killed, the last line may be incomplete; it is ignored.
///
/// # Errors
///
/// Names the wrong line and the reason.
pub fn parse(bytes: &[u8]) -> Result<Record, JournalError> {
    let mut record: Option<Record> = None;
    for (line, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        // Another version may have lines of another shape.
        if record.is_none()
            && let Some(version) = version(text)
            && version != FORMAT_VERSION
        {
            return Err(JournalError::Version(version));
        }
        let Line { seq, kind, .. } = match serde_json::from_slice(text) {
            Ok(read) => read,
            Err(_) if record.is_some() && !text.ends_with(b"\n") => break,
            Err(source) => return Err(JournalError::Line { line, source }),
        };
        match (&mut record, kind) {
            (Some(_), LineKind::Run(_)) => return Err(JournalError::SecondRun { line }),
            (Some(_), _) | (None, LineKind::Run(_)) if seq != line => {
                return Err(JournalError::Gap { line, found: seq });
            }
            (Some(record), kind) => record.take(line, kind)?,
            (None, LineKind::Run(run)) => {
                let (before, last_seen, operations) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
                record = Some(Record { run, before, last_seen, operations, lines: line, ended: false });
            }
            (None, _) => return Err(JournalError::NoRun),
        }
    }
    record.ok_or(JournalError::NoRun)
}

fn version(text: &[u8]) -> Option<u32> {
    let line: serde_json::Value = serde_json::from_slice(text).ok()?;
    line.get("format_version")?.as_u64()?.try_into().ok()
}

/// How long a FIFO may take nothing before it is given up.
pub(crate) const UNREAD_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct Journal {
    sink: Option<Arc<Mutex<Sink>>>,
    /// Only a regular file can be synced to a disk, and is written whether or not anybody reads it.
    is_regular: bool,
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// The number of the next line. `None` if a line could not be written: that line may be incomplete, and lines after
    /// it could not be read.
    next: Option<u64>,
}

impl Journal {
    pub const fn none() -> Self {
        Self { sink: None, is_regular: true }
    }

    /// Creates a journal file that only its owner can read. An existing file is not overwritten, because it may be the
    /// only record of an earlier run. A device, a FIFO and a link to a file that does not exist are written through.
    ///
    /// # Errors
    ///
    /// If the file exists or cannot be created.
    pub fn create(path: &Path, run: RunFacts) -> io::Result<Self> {
        let file = open(path)?;
        let is_regular = file.metadata()?.is_file();
        let mut sink = Sink { file, next: Some(1) };
        sink.write(LineKind::Run(run), is_regular)?;
        Ok(Self { sink: Some(Arc::new(Mutex::new(sink))), is_regular })
    }

    /// Writes a line without blocking other tasks, because a disk can be slow. Returns the line's number.
    ///
    /// # Errors
    ///
    /// If the line cannot be written. An operation that it announces must then not be sent.
    pub async fn write(&self, line: LineKind) -> io::Result<u64> {
        let Some(sink) = self.sink.clone() else { return Ok(0) };
        let is_regular = self.is_regular;
        let write = move || sink.lock().unwrap_or_else(PoisonError::into_inner).write(line, is_regular);
        let write = move || if is_regular { write() } else { unless_unread(write) };
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|failed| Err(io::Error::other(failed)))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_kept(path) => {
            options.create_new(false).create(true).append(true);
            let path = path.to_owned();
            unless_unread(move || options.open(path))
        }
        result => result,
    }
}

/// Does what blocks as long as nobody reads a FIFO, in a thread that the program does not wait for when it ends.
fn unless_unread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    done.recv_timeout(UNREAD_WITHIN).unwrap_or_else(|_| Err(unread()))
}

/// The error of an output that nobody reads.
pub(crate) fn unread() -> io::Error {
    let message = format!("nothing read from it for {} s, so it was given up", UNREAD_WITHIN.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, message)
}

/// Whether something is stored at a path: not in a device or a FIFO, and not behind a link to a missing file.
fn is_kept(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() || found.is_dir())
}

impl Sink {
    fn write(&mut self, kind: LineKind, is_synced: bool) -> io::Result<u64> {
        let seq = self.next.take().ok_or_else(|| io::Error::other("an earlier line could not be written"))?;
        let mut line = serde_json::to_vec(&Line { seq, time: Timestamp::now(), kind })?;
        line.push(b'\n');
        // One write per line: a kill leaves complete lines, except perhaps the last.
        self.file.write_all(&line)?;
        if is_synced {
            self.file.sync_data()?;
        }
        self.next = Some(seq + 1);
        Ok(seq)
    }
}
