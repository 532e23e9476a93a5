//! Fault rules: which requests get which fault.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::Endpoint;
use super::fault::Fault;

/// The requests of a rule: those that match every given condition.
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
    /// The requested page. A request for a list without a page requests the first one.
    pub page: Option<u64>,
    /// Only from this request on, counting those that match the other conditions.
    pub nth: Option<NonZeroU32>,
}

/// A fault for some requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    #[serde(default)]
    pub on: Match,
    #[serde(rename = "do")]
    pub fault: Fault,
    /// How many times the rule applies.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

/// The facts that the conditions of rules are compared with.
pub(crate) struct MatchSubject<'a> {
    pub(crate) operation: Option<Endpoint>,
    pub(crate) method: &'a str,
    pub(crate) group: Option<&'a str>,
    /// Emails and ids in lower case.
    pub(crate) members: &'a [String],
    pub(crate) page: Option<u64>,
}

/// The rules, with the number of matches and applications of each.
#[derive(Debug, Default)]
pub(crate) struct FaultRules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    rule: FaultRule,
    seen: u32,
    fired: u32,
}

impl FaultRules {
    pub(crate) fn push(&mut self, rule: FaultRule) {
        self.0.push(Rule { rule, seen: 0, fired: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a rule has a condition on members.
    pub(crate) fn name_members(&self) -> bool {
        self.0.iter().any(|rule| rule.rule.on.member.is_some())
    }

    /// The fault for a request. Every matching rule counts the request; the first rule that is due applies.
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
