//! The faults of requests.
//!
//! A seed has a fault in a rule (`faults: [{ on: {…}, do: FAULT, times: N }]`, see [`FaultRule`]), or gives kinds of
//! faults a percentage of all requests (`chance: { seed: 7, lag: 5% }`, see [`Chance`]).
//!
//! | kind | effect |
//! | --- | --- |
//! | `latency`, `stall` | the request waits before, or its answer after it is carried out |
//! | `respond` | another status is answered; with `after: true` the request is carried out anyway |
//! | `cut` | the connection closes before or after the effect, or in the middle of the body |
//! | `late` | the request is carried out some time after its answer was lost |
//! | `unsuccessful`, `unsuccessful_after` | `success: false` with status 200, without or with the effect |
//! | `claim` | the request is not carried out, but the answer claims that it was |
//! | `lag` | a group's members are shown as they were some time ago |
//! | `contradict` | the answer contradicts itself in the way of a [`Contradiction`] |
//! | `numbers_as_text` | the correct numbers, written as text (harmless) |
//! | `clamp`, `omit_result_info`, `omit_result` | smaller pages, missing parts |
//! | `edit_before`, `edit_after` | another actor changes the account around the request |
//! | `all` | several of these at once |
//!
//! [`Chance`]: super::Chance
//! [`FaultRule`]: super::FaultRule

use std::num::NonZeroU32;
use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::answer::Reply;
use super::edit::Edit;
use super::seed::Delay;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request waits before it is carried out.
    Latency(Delay),
    /// The request is carried out, and its answer waits.
    Stall(Delay),
    Respond(Respond),
    /// The connection is closed without a complete answer.
    Cut(Cut),
    /// The request is carried out some time after its answer was lost.
    Late(Late),
    /// A page has at most this number of entries.
    Clamp(NonZeroU32),
    OmitResultInfo,
    OmitResult,
    /// The request is not carried out, and the answer has `success: false` with status 200.
    Unsuccessful,
    /// The request is carried out, and the answer has `success: false` with status 200.
    UnsuccessfulAfter,
    /// A write is not carried out, but the answer with status 200 claims that it was.
    Claim(FalseClaim),
    /// The members of a group, read by this request, are those of this time ago.
    Lag(Delay),
    Contradict(Contradiction),
    /// The numbers in `result_info` are correct, but written as text.
    NumbersAsText,
    /// Another actor changes the account just before the request is carried out.
    EditBefore(Edit),
    /// Another actor changes the account after the request was carried out and before it is answered.
    EditAfter(Edit),
    All(Vec<Fault>),
}

/// The ways in which an answer contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Contradiction {
    /// `count` is one more than the number of entries.
    Count,
    /// `total_pages` is one more than the total needs.
    TotalPages,
    /// `page` is not the requested one.
    Page,
    /// `per_page` is smaller than the number of entries, or 0.
    PerPage,
    /// `total_count` is one more than the number of entries.
    TotalCount,
    /// `total_count` is one less than the number of entries.
    TotalCountLow,
    /// `total_count` is one more than the number of entries, written as text.
    TotalCountText,
    /// The last entry is missing, and every number still counts it.
    LostEntry,
    /// The first entry occurs twice: it replaces the last one if there are two or more.
    DuplicateIds,
    Errors,
    Partial,
    /// `result` is missing, but the numbers are there.
    NoResult,
    /// `result` is null, but the numbers say that there are entries.
    NullResult,
}

/// The answer to a write that is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum FalseClaim {
    /// Like a write that was carried out.
    Done,
    /// The list of members as it would be after the write (also for DELETE).
    DoneList,
    /// The list of members without the write.
    Unchanged,
    Empty,
    Null,
}

/// A request that is carried out after its answer was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The delay between the arrival of the request and its effect.
    pub after: Delay,
    /// The status of the edge error that is answered immediately. Without it the connection is closed immediately.
    #[serde(default)]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
    /// Whether the connection stays open until the request was carried out, and then gets the true answer. A client
    /// that stops waiting does not stop the request.
    #[serde(default)]
    pub hang: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    #[serde(deserialize_with = "answerable")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The seconds in `Retry-After`. Without it a 429 that is not `bare` says 1.
    #[serde(default)]
    pub retry_after: Option<u64>,
    #[serde(default)]
    pub location: Option<String>,
    /// Whether a 429, or an error of the edge, has no `Retry-After`.
    #[serde(default)]
    pub bare: bool,
    /// Whether the body is HTML, as from the edge, instead of JSON.
    #[serde(default)]
    pub html: bool,
    /// Whether the body is that of an edge error: a problem document (RFC 9457) for a client that accepts JSON, else
    /// HTML.
    #[serde(default)]
    pub edge: bool,
    #[serde(default)]
    pub after: bool,
}

fn answerable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ 200..=599 => Ok(status),
        other => Err(D::Error::custom(format!("{other} is not a status to answer with: use 200 to 599"))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Before the request is carried out, without an answer.
    Before,
    /// After the request was carried out, without an answer.
    After,
    /// After the request was carried out, in the middle of the answer's body.
    Body,
}

/// What happens to one request, by all of its faults. If several concern the same thing, the last one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPlan {
    pub(crate) latency: Duration,
    pub(crate) stall: Duration,
    pub(crate) lag: Duration,
    pub(crate) clamp: Option<NonZeroU32>,
    pub(crate) before: Vec<Edit>,
    pub(crate) after: Vec<Edit>,
    pub(crate) claim: Option<FalseClaim>,
    /// The fault that decides whether and when the request is carried out, and what the client receives. Without one
    /// it receives the true answer, possibly altered.
    pub(crate) ending: Option<Fault>,
    pub(crate) alterations: Vec<Fault>,
}

impl FaultPlan {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        let mut plan = Self::default();
        fault.into_iter().for_each(|fault| plan.add(fault));
        plan
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::All(several) => several.into_iter().for_each(|fault| self.add(fault)),
            Fault::Latency(delay) => self.latency = self.latency.saturating_add(delay.0),
            Fault::Stall(delay) => self.stall = self.stall.saturating_add(delay.0),
            Fault::Lag(delay) => self.lag = self.lag.max(delay.0),
            Fault::Clamp(most) => self.clamp = Some(self.clamp.map_or(most, |clamp| clamp.min(most))),
            Fault::EditBefore(edit) => self.before.push(edit),
            Fault::EditAfter(edit) => self.after.push(edit),
            Fault::Claim(claim) => self.claim = Some(claim),
            Fault::Cut(Cut::Before | Cut::After) | Fault::Late(_) | Fault::Respond(_) => self.ending = Some(fault),
            Fault::Unsuccessful | Fault::UnsuccessfulAfter => self.ending = Some(fault),
            Fault::Cut(Cut::Body) | Fault::OmitResultInfo | Fault::OmitResult => self.alterations.push(fault),
            Fault::Contradict(_) | Fault::NumbersAsText => self.alterations.push(fault),
        }
    }

    /// If the request is not carried out, it is not even checked.
    pub(crate) fn is_carried_out(&self) -> bool {
        let Some(ending) = &self.ending else { return true };
        !matches!(ending, Fault::Respond(Respond { after: false, .. }) | Fault::Cut(Cut::Before) | Fault::Unsuccessful)
    }

    /// What the client receives instead of the true answer.
    pub(crate) fn reply(&self, accepts_json: bool) -> Option<Reply> {
        Some(match self.ending.as_ref()? {
            Fault::Unsuccessful | Fault::UnsuccessfulAfter => Reply::error(200, 1104, "the request was not successful"),
            Fault::Respond(respond) => Reply::other(respond, accepts_json),
            Fault::Late(Late { status: Some(status), .. }) => {
                Reply::other(&Respond { status: *status, edge: true, ..Respond::default() }, accepts_json)
            }
            Fault::Late(Late { hang: true, .. }) => return None,
            _ => Reply::nothing(),
        })
    }
}

/// Sets a field of the answer's `result_info`, and adds `result_info` if it is missing.
fn set(envelope: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    match envelope.entry("result_info").or_insert(Value::Null) {
        Value::Object(fields) => drop(fields.insert(field.into(), value.into())),
        missing => *missing = json!({ field: value.into() }),
    }
}

pub(crate) fn contradict(envelope: &mut Map<String, Value>, contradiction: Contradiction) {
    use Contradiction as C;
    let entries = envelope.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
    let count = entries.len() as u64;
    let info = envelope.get("result_info").cloned().unwrap_or_default();
    let number = |field: &str, missing| info.get(field).and_then(Value::as_u64).unwrap_or(missing);
    let total = number("total_count", count);
    match (contradiction, entries.as_slice()) {
        (C::Count, _) => set(envelope, "count", count + 1),
        (C::PerPage, _) => set(envelope, "per_page", count.saturating_sub(1)),
        (C::TotalCount, _) => set(envelope, "total_count", total + 1),
        // A total cannot be negative, so an empty list gets one that is too high.
        (C::TotalCountLow, _) => set(envelope, "total_count", total.checked_sub(1).unwrap_or(1)),
        (C::TotalCountText, _) => set(envelope, "total_count", (total + 1).to_string()),
        (C::TotalPages, _) => set(envelope, "total_pages", number("total_pages", 1) + 1),
        (C::Page, _) => set(envelope, "page", number("page", 1) + 1),
        (C::LostEntry, [rest @ .., _]) => {
            envelope.insert("result".into(), rest.into());
            // Without any number, the shortened list would be consistent.
            set(envelope, "total_count", total);
        }
        (C::DuplicateIds, [only]) => {
            envelope.insert("result".into(), json!([only, only]));
            set(envelope, "count", number("count", 1) + 1);
            set(envelope, "total_count", number("total_count", 1) + 1);
        }
        (C::DuplicateIds, [first, .., _]) => {
            let last = entries.len() - 1;
            envelope.insert("result".into(), entries.iter().take(last).chain([first]).cloned().collect());
        }
        (C::Errors, _) => {
            envelope.insert("errors".into(), json!([{ "code": 1104, "message": "the request was not successful" }]));
        }
        // Its status is what contradicts.
        (C::Partial, _) => {}
        (C::LostEntry | C::DuplicateIds | C::NoResult | C::NullResult, _) => {
            set(envelope, "count", count.max(1));
            set(envelope, "total_count", total.max(count).max(1));
            match contradiction {
                C::NoResult => drop(envelope.remove("result")),
                _ => drop(envelope.insert("result".into(), Value::Null)),
            }
        }
    }
}
