//! What can go wrong with a request, and the rules that say when.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::edit::Edit;
use super::endpoint::Endpoint;
use super::seed::Delay;

/// Something that goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request waits before it is looked at.
    Latency(Delay),
    /// The request is carried out, and its answer waits.
    Stall(Delay),
    /// Another answer is given.
    Respond(Respond),
    /// The connection is closed without a whole answer.
    Cut(Cut),
    /// A page holds no more than so many entries.
    Clamp(NonZeroU32),
    /// The answer has no `result_info`.
    OmitResultInfo,
    /// The answer has no `result`.
    OmitResult,
    /// Nothing is done, and the answer says `success: false` with status 200.
    Unsuccessful,
    /// Somebody changes the account just before the request is carried out.
    EditBefore(Edit),
    /// Somebody changes the account just after the request was carried out, before it is answered.
    EditAfter(Edit),
}

/// An answer given in place of the API's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status.
    #[serde(deserialize_with = "answerable")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The seconds in `Retry-After`. A 429 has it unless it is bare: 1, where nothing is said.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// Where `Location` points.
    #[serde(default)]
    pub location: Option<String>,
    /// Whether a 429 comes without `Retry-After`.
    #[serde(default)]
    pub bare: bool,
    /// Whether the body is HTML, as from the edge, in place of JSON.
    #[serde(default)]
    pub html: bool,
    /// Whether the request is carried out nevertheless.
    #[serde(default)]
    pub after: bool,
}

/// A status that ends an exchange.
fn answerable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ 200..=599 => Ok(status),
        other => Err(D::Error::custom(format!("{other} is no status to answer with: it is 200 to 599"))),
    }
}

/// When a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Before the request is carried out; nothing is answered.
    Before,
    /// After the request was carried out; nothing is answered.
    After,
    /// After the request was carried out, in the middle of the answer's body.
    Body,
}

impl Fault {
    /// An error in JSON with this status; nothing is carried out.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Respond(Respond { status, ..Respond::default() })
    }

    /// An error in HTML with this status, as from the edge; nothing is carried out.
    #[must_use]
    pub fn html(status: u16) -> Self {
        Self::Respond(Respond { status, html: true, ..Respond::default() })
    }

    /// 429 with these seconds to wait.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self::Respond(Respond { status: 429, retry_after: Some(retry_after), ..Respond::default() })
    }
}

/// Which requests a rule is for: those that meet every condition given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// The operation.
    pub operation: Option<Endpoint>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The name of the group in the path.
    pub group: Option<String>,
    /// The email or id of a person in the path or the body.
    pub member: Option<String>,
    /// The page asked for; a list without one asks for the first.
    pub page: Option<u64>,
    /// Not before the so-manieth request that meets the other conditions.
    pub nth: Option<NonZeroU32>,
}

impl Match {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// The requests for this operation.
    #[must_use]
    pub fn operation(operation: Endpoint) -> Self {
        Self { operation: Some(operation), ..Self::default() }
    }

    /// Of these, those to this group.
    #[must_use]
    pub fn group(mut self, name: &str) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Of these, those about this person.
    #[must_use]
    pub fn member(mut self, who: &str) -> Self {
        self.member = Some(who.into());
        self
    }

    /// Of these, those for this page.
    #[must_use]
    pub fn page(mut self, page: u64) -> Self {
        self.page = Some(page);
        self
    }

    /// Of these, the so-manieth from now on; 0 means the first.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = NonZeroU32::new(nth);
        self
    }
}

/// Says what goes wrong with which requests, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which requests.
    #[serde(default)]
    pub on: Match,
    /// What goes wrong.
    #[serde(rename = "do")]
    pub fault: Fault,
    /// How often; then the rule is spent.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

impl FaultRule {
    /// A rule that fires once.
    #[must_use]
    pub const fn once(on: Match, fault: Fault) -> Self {
        Self { on, fault, times: once() }
    }

    /// A rule that fires for every request it is for.
    #[must_use]
    pub const fn always(on: Match, fault: Fault) -> Self {
        Self { on, fault, times: u32::MAX }
    }
}

/// What the conditions of a rule are compared with.
pub(crate) struct MatchSubject<'a> {
    pub(crate) operation: Option<Endpoint>,
    pub(crate) method: &'a str,
    pub(crate) group: Option<&'a str>,
    /// Emails and ids in lower case.
    pub(crate) members: &'a [String],
    pub(crate) page: Option<u64>,
}

/// The rules with how far each has come.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    rule: FaultRule,
    seen: u32,
    fired: u32,
}

impl Rules {
    pub(crate) fn push(&mut self, rule: FaultRule) {
        self.0.push(Rule { rule, seen: 0, fired: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a rule needs to know who a request is about.
    pub(crate) fn name_members(&self) -> bool {
        self.0.iter().any(|rule| rule.rule.on.member.is_some())
    }

    /// What goes wrong with this request. Every rule counts it; the first that is due fires.
    pub(crate) fn choose(&mut self, subject: &MatchSubject<'_>) -> Option<Fault> {
        let mut chosen = None;
        for Rule { rule, seen, fired } in &mut self.0 {
            if !meets(&rule.on, subject) {
                continue;
            }
            *seen = seen.saturating_add(1);
            let due = *seen >= rule.on.nth.map_or(1, NonZeroU32::get) && *fired < rule.times;
            if due && chosen.is_none() {
                *fired = fired.saturating_add(1);
                chosen = Some(rule.fault.clone());
            }
        }
        chosen
    }
}

fn meets(on: &Match, subject: &MatchSubject<'_>) -> bool {
    let Match { operation, method, group, member, page, nth: _ } = on;
    operation.is_none_or(|operation| subject.operation == Some(operation))
        && method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(subject.method))
        && group.as_ref().is_none_or(|group| subject.group == Some(group))
        && member.as_ref().is_none_or(|member| subject.members.contains(&member.to_lowercase()))
        && page.is_none_or(|page| subject.page == Some(page))
}
