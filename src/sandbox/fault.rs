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
//! | `result_info` | the named fields of `result_info` have the given values |
//! | `numbers_as_text` | the correct numbers, written as text (harmless) |
//! | `clamp`, `omit_result_info`, `omit_result` | smaller pages, missing parts |
//! | `edit_before`, `edit_after` | another actor changes the account around the request |
//! | `all` | several of these at once |
//!
//! Tests read the real state through [`Account`]. `history()` has every membership that began or ended, with its
//! instant and its request. `members_at(group, instant)` returns the members of a group at an instant. `requests()` has
//! each request with the instants of its arrival and answer, the member ids in its answer, and its fault. `unlanded()`
//! is the number of late writes that were not carried out yet.
//!
//! [`Account`]: super::Account
//! [`Chance`]: super::Chance
//! [`FaultRule`]: super::FaultRule

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::edit::Edit;
use super::values::Delay;

/// A fault of one request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request waits before it is carried out.
    Latency(Delay),
    /// The request is carried out, and its answer waits.
    Stall(Delay),
    /// Another answer is sent.
    Respond(Respond),
    /// The connection is closed without a complete answer.
    Cut(Cut),
    /// The request is carried out some time after its answer was lost.
    Late(Late),
    /// A page has at most this number of entries.
    Clamp(NonZeroU32),
    /// The answer has no `result_info`.
    OmitResultInfo,
    /// The answer has no `result`.
    OmitResult,
    /// The request is not carried out, and the answer has `success: false` with status 200.
    Unsuccessful,
    /// The request is carried out, and the answer has `success: false` with status 200.
    UnsuccessfulAfter,
    /// A write is not carried out, but the answer with status 200 claims that it was.
    Claim(FalseClaim),
    /// The members of a group, read by this request, are those of this time ago.
    Lag(Delay),
    /// The answer contradicts itself.
    Contradict(Contradiction),
    /// The named fields of the answer's `result_info` have these values; null removes a field.
    ResultInfo(BTreeMap<String, Value>),
    /// The numbers in `result_info` are correct, but written as text.
    NumbersAsText,
    /// Another actor changes the account just before the request is carried out.
    EditBefore(Edit),
    /// Another actor changes the account after the request was carried out and before it is answered.
    EditAfter(Edit),
    /// Several faults at once.
    All(Vec<Fault>),
}

/// The ways in which an answer contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
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
    /// `success` is true, but there are errors.
    Errors,
    /// The status is 206.
    Partial,
    /// `result` is missing, but the numbers are there.
    NoResult,
    /// `result` is null, but the numbers say that there are entries.
    NullResult,
}

impl Contradiction {
    pub const EVERY: [Self; 13] = [
        Self::Count,
        Self::TotalPages,
        Self::Page,
        Self::PerPage,
        Self::TotalCount,
        Self::TotalCountLow,
        Self::TotalCountText,
        Self::LostEntry,
        Self::DuplicateIds,
        Self::Errors,
        Self::Partial,
        Self::NoResult,
        Self::NullResult,
    ];
}

/// The answer to a write that is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FalseClaim {
    /// Like a write that was carried out.
    Done,
    /// The list of members as it would be after the write (also for DELETE).
    DoneList,
    /// The list of members without the write.
    Unchanged,
    /// `[]`.
    Empty,
    /// `null`.
    Null,
}

impl FalseClaim {
    pub(crate) const EVERY: [Self; 5] = [Self::Done, Self::DoneList, Self::Unchanged, Self::Empty, Self::Null];
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

/// An answer instead of the API's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    #[serde(deserialize_with = "answerable")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The seconds in `Retry-After`. Without it a 429 that is not `bare` says 1.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The `Location` header.
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
    /// The code of the error in JSON; without it 1000.
    #[serde(default)]
    pub code: Option<u32>,
    /// The message of the error in JSON; without it that of the status.
    #[serde(default)]
    pub message: Option<String>,
    /// The `documentation_url` of the error in JSON.
    #[serde(default)]
    pub documentation_url: Option<String>,
    /// The `source.pointer` of the error in JSON.
    #[serde(default)]
    pub pointer: Option<String>,
    /// Whether the request is carried out anyway.
    #[serde(default)]
    pub after: bool,
}

fn answerable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ 200..=599 => Ok(status),
        other => Err(D::Error::custom(format!("{other} is not a status to answer with: use 200 to 599"))),
    }
}

/// When a connection is closed.
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

impl Fault {
    /// A JSON error with this status. The request is not carried out.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Respond(Respond { status, ..Respond::default() })
    }

    /// An HTML error with this status, as from the edge. The request is not carried out.
    #[must_use]
    pub fn html(status: u16) -> Self {
        Self::Respond(Respond { status, html: true, ..Respond::default() })
    }

    /// An error of the edge with this status. The request is not carried out.
    #[must_use]
    pub fn edge(status: u16) -> Self {
        Self::Respond(Respond { status, edge: true, ..Respond::default() })
    }

    /// 429 with this `Retry-After` in seconds.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self::Respond(Respond { status: 429, retry_after: Some(retry_after), ..Respond::default() })
    }
}
