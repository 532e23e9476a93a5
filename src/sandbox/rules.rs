//! Fault rules: which requests get which fault.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::Fault;
use super::request::Incoming;
use super::routes::Endpoint;
use super::state::State;

/// The requests of a rule: those that match every given condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    pub operation: Option<Endpoint>,
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

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    #[serde(default)]
    pub on: Match,
    #[serde(rename = "do")]
    pub fault: Fault,
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
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

    /// The fault for a request. Every matching rule counts the request; the first rule that is due applies.
    pub(crate) fn choose(&mut self, incoming: &Incoming, state: &State) -> Option<Fault> {
        let mut chosen = None;
        for Rule { rule, seen, fired } in &mut self.0 {
            if !matches(&rule.on, incoming, state) {
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

fn matches(on: &Match, incoming: &Incoming, state: &State) -> bool {
    let Match { operation, method, group, member, page, nth: _ } = on;
    let name = || incoming.group().and_then(|id| state.group(id)).map(|group| group.name.as_str());
    operation.is_none_or(|operation| incoming.endpoint() == Some(operation))
        && method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&incoming.method))
        && group.as_ref().is_none_or(|group| name() == Some(group))
        && member.as_ref().is_none_or(|member| concerns(incoming, state, &member.to_lowercase()))
        && page.is_none_or(|page| incoming.page() == Some(page))
}

/// Whether a request is about a person, given by address or id in lower case.
fn concerns(incoming: &Incoming, state: &State, person: &str) -> bool {
    let has_address = |id| state.person(id).is_some_and(|stored| stored.email.folded() == person);
    incoming.body_ids().into_iter().chain(incoming.member()).any(|id| id.as_str() == person || has_address(id))
}
