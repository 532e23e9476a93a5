//! Which requests get which fault: by rule, or by seeded chance. The same seed gives the same requests the same faults,
//! in any order.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::account::Request;
use super::edit::Edit;
use super::fault::{Contradiction, Cut, FalseClaim, Fault, Late, Respond};
use super::request::Incoming;
use super::routes::Endpoint;
use super::seed::Delay;
use super::state::AccountState;
use crate::model::GroupId;

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
    pub(crate) fn choose(&mut self, incoming: &Incoming, state: &AccountState) -> Option<Fault> {
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

fn matches(on: &Match, incoming: &Incoming, state: &AccountState) -> bool {
    let Match { operation, method, group, member, page, nth: _ } = on;
    let request = &incoming.request;
    let name = || request.group.and_then(|id| state.group(id)).map(|group| group.name.as_str());
    operation.is_none_or(|operation| request.operation == Some(operation))
        && method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
        && group.as_ref().is_none_or(|group| name() == Some(group))
        && member.as_ref().is_none_or(|member| concerns(request, state, &member.to_lowercase()))
        && page.is_none_or(|page| incoming.page() == Some(page))
}

/// Whether a request is about a person, given by address or id in lower case.
fn concerns(request: &Request, state: &AccountState, person: &str) -> bool {
    let has_address = |id| state.person(id).is_some_and(|stored| stored.email.folded() == person);
    let mut ids = request.body_ids.iter().chain(&request.member);
    ids.any(|id| id.as_str() == person || has_address(*id))
}

/// A probability, written as a percentage like `5%` or `0.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^[0-9]+(\\.[0-9]+)? *%$"))]
pub struct Share {
    millionths: u32,
}

impl Share {
    pub(crate) const WHOLE: u32 = 1_000_000;
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
        match percent {
            Some(percent) if (0.0..=100.0).contains(&percent) => {
                Ok(Self { millionths: (percent * f64::from(Self::WHOLE / 100)).round() as u32 })
            }
            _ => Err(format!("{text:?} is not a probability: write a percentage from 0% to 100%")),
        }
    }
}

/// The probability of each fault for a request. A request gets at most one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chance {
    /// Another seed gives another schedule.
    pub seed: u64,
    pub latency: Share,
    /// How long it waits; default: 20ms.
    #[schemars(with = "Delay")]
    pub latency_time: Option<Delay>,
    /// 429 with `Retry-After`.
    pub rate_limited: Share,
    /// The seconds in `Retry-After`; default: 1.
    #[schemars(with = "u64")]
    pub retry_after: Option<u64>,
    /// 429 without `Retry-After`.
    pub rate_limited_bare: Share,
    pub server_error: Share,
    /// A 5xx in HTML, as from the edge.
    pub html: Share,
    /// A 5xx in HTML although the request was carried out.
    pub late_html: Share,
    /// The connection is closed before the request is carried out.
    pub cut_before: Share,
    /// The connection is closed after the request was carried out.
    pub cut_after: Share,
    /// The connection is closed in the middle of the answer's body.
    pub cut_body: Share,
    /// A page has fewer entries than were requested.
    pub clamp: Share,
    pub omit_result_info: Share,
    pub omit_result: Share,
    /// The answer says `success: false` with status 200.
    pub unsuccessful: Share,
    /// Another actor adds a member to a group or removes one, just before or just after the request is carried out.
    pub edit: Share,
    /// A group is renamed or deleted just before the request is carried out.
    pub regroup: Share,
    /// The token is revoked just before the request is carried out.
    pub revoke_token: Share,
    /// The request is carried out, and the answer says `success: false` with status 200.
    pub unsuccessful_after: Share,
    /// A group's members are shown as they were some time ago.
    pub lag: Share,
    /// The maximum age; default: 500ms.
    #[schemars(with = "Delay")]
    pub lag_time: Option<Delay>,
    /// A list contradicts itself, in one of the possible ways.
    pub contradict: Share,
    /// The numbers of a list are correct, but written as text.
    pub numbers_as_text: Share,
    /// A write is not carried out, but answered as if it were.
    pub claim: Share,
    /// A write is carried out some time after its connection was closed or its error answered.
    pub late: Share,
    /// The maximum delay; default: 500ms.
    #[schemars(with = "Delay")]
    pub late_time: Option<Delay>,
    /// A 5xx of the edge: a problem document or HTML, as the client accepts.
    pub edge: Share,
    /// Two groups swap their names just before the request is carried out.
    pub swap_names: Share,
    /// How often the same request can get a fault; default: 2. After that it gets none, so a client that repeats it succeeds.
    #[schemars(with = "u32")]
    pub per_request: Option<u32>,
    /// The maximum number of faults in total. Which requests get them then depends on the order of requests.
    pub limit: Option<u32>,
}

impl Chance {
    /// The order is part of the meaning of a seed: new kinds are added at the end.
    fn kinds(&self) -> [ChanceKind; 24] {
        use Endpoint as E;
        let any = |_| true;
        let write = |endpoint: Option<E>| endpoint.is_some_and(E::writes);
        let list = |endpoint| matches!(endpoint, Some(E::ListGroups | E::ListMembers | E::ListPeople));
        let membership = |endpoint| matches!(endpoint, Some(E::ListMembers | E::GetMember));
        [
            (self.latency, any, |sampler, _, _| {
                Fault::Latency(sampler.chance.latency_time.unwrap_or(Delay::millis(20)))
            }),
            (self.rate_limited, any, |sampler, _, _| Fault::rate_limited(sampler.chance.retry_after.unwrap_or(1))),
            (self.server_error, any, |_, rng, _| Fault::status(rng.one_of([500, 502, 503]))),
            (self.html, any, |_, rng, _| Fault::html(rng.one_of(EDGE))),
            (self.late_html, any, |_, rng, _| {
                let status = rng.one_of(EDGE);
                Fault::Respond(Respond { status, html: true, after: true, ..Respond::default() })
            }),
            (self.cut_before, any, |_, _, _| Fault::Cut(Cut::Before)),
            (self.cut_after, any, |_, _, _| Fault::Cut(Cut::After)),
            (self.cut_body, any, |_, _, _| Fault::Cut(Cut::Body)),
            (self.clamp, any, |_, rng, _| {
                let most = u32::try_from(rng.below(1, 50)).unwrap_or_default();
                Fault::Clamp(NonZeroU32::MIN.saturating_add(most))
            }),
            (self.omit_result_info, any, |_, _, _| Fault::OmitResultInfo),
            (self.omit_result, any, |_, _, _| Fault::OmitResult),
            (self.unsuccessful, any, |_, _, _| Fault::Unsuccessful),
            (self.edit, any, Sampler::edit),
            (self.rate_limited_bare, any, |_, _, _| {
                Fault::Respond(Respond { status: 429, bare: true, ..Respond::default() })
            }),
            (self.regroup, any, Sampler::regroup),
            (self.revoke_token, any, |_, _, _| Fault::EditBefore(Edit::RevokeToken)),
            (self.unsuccessful_after, write, |_, _, _| Fault::UnsuccessfulAfter),
            (self.lag, membership, |sampler, rng, _| Fault::Lag(rng.up_to(sampler.chance.lag_time))),
            (self.contradict, list, |_, rng, _| Fault::Contradict(rng.one_of(Contradiction::EVERY))),
            (self.numbers_as_text, list, |_, _, _| Fault::NumbersAsText),
            (self.claim, write, |_, rng, _| Fault::Claim(rng.one_of(FalseClaim::EVERY))),
            (self.late, write, |sampler, rng, _| {
                let after = rng.up_to(sampler.chance.late_time);
                Fault::Late(Late { after, status: (rng.below(2, 2) == 0).then_some(504), hang: false })
            }),
            (self.swap_names, any, Sampler::swap_names),
            (self.edge, any, |_, rng, _| Fault::edge(rng.one_of(EDGE))),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let sum: u64 = self.kinds().iter().map(|(share, ..)| u64::from(share.millionths)).sum();
        if sum > u64::from(Share::WHOLE) {
            return Err("chance: the percentages add up to more than 100%".into());
        }
        Ok(())
    }
}

const EDGE: [u16; 3] = [502, 520, 524];

/// Numbers that depend only on a text.
struct Rng([u8; 32]);

impl Rng {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Number `nth` of four numbers below a bound; 0 if the bound is 0.
    fn below(&self, nth: usize, bound: usize) -> usize {
        let eight = self.0.as_chunks::<8>().0.get(nth).copied().unwrap_or_default();
        let number = u64::from_le_bytes(eight);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        number.checked_rem(bound).and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below the length, which is not 0")]
    fn one_of<T: Copy, const N: usize>(&self, these: [T; N]) -> T {
        const { assert!(N > 0, "there is nothing to choose from") };
        these[self.below(1, N)]
    }

    /// A time from one millisecond to the longest.
    fn up_to(&self, longest: Option<Delay>) -> Delay {
        let longest = longest.unwrap_or(Delay::millis(500));
        let millis = usize::try_from(longest.0.as_millis()).unwrap_or(usize::MAX);
        let chosen = u64::try_from(self.below(1, millis)).unwrap_or_default();
        Delay(Duration::from_millis(chosen + 1))
    }
}

/// A kind of fault: its share, whether it makes sense for an endpoint, and how it is made.
type ChanceKind = (Share, fn(Option<Endpoint>) -> bool, fn(&Sampler, &Rng, Option<GroupId>) -> Fault);

#[derive(Debug)]
pub(crate) struct Sampler {
    chance: Chance,
    /// The groups and people that edits can concern.
    groups: BTreeMap<GroupId, String>,
    names: Vec<String>,
    people: Vec<String>,
    seen: BTreeMap<String, u32>,
    given: u32,
}

impl Sampler {
    pub(crate) fn new(chance: Chance, groups: BTreeMap<GroupId, String>, people: Vec<String>) -> Self {
        let mut names: Vec<String> = groups.values().cloned().collect();
        names.sort_unstable();
        Self { chance, groups, names, people, seen: BTreeMap::new(), given: 0 }
    }

    /// The fault for a request, given as one text.
    pub(crate) fn choose(
        &mut self,
        request: &str,
        endpoint: Option<Endpoint>,
        group: Option<GroupId>,
    ) -> Option<Fault> {
        let seen = self.seen.entry(request.into()).or_default();
        let nth = *seen;
        *seen = seen.saturating_add(1);
        if nth >= self.chance.per_request.unwrap_or(2) || self.chance.limit.is_some_and(|limit| self.given >= limit) {
            return None;
        }
        let rng = Rng::of(&format!("{} {nth} {request}", self.chance.seed));
        let mut left = rng.below(0, Share::WHOLE as usize);
        let kind = self.chance.kinds().into_iter().find(|(share, _, _)| {
            let below = left < share.millionths as usize;
            left = left.saturating_sub(share.millionths as usize);
            below
        });
        let (_, concerns, make) = kind?;
        if !concerns(endpoint) {
            return None;
        }
        self.given = self.given.saturating_add(1);
        Some(make(self, &rng, group))
    }

    /// The request's group, or any group, swaps its name with another.
    fn swap_names(&self, rng: &Rng, group: Option<GroupId>) -> Fault {
        let with = self.any_group(rng.below(2, self.groups.len()));
        Fault::EditBefore(Edit::swap_names(self.group(rng, group), with))
    }

    /// The request's group, or any group, is renamed or deleted.
    fn regroup(&self, rng: &Rng, group: Option<GroupId>) -> Fault {
        let group = self.group(rng, group);
        Fault::EditBefore(match rng.below(3, 2) {
            0 => Edit::rename_group(group, &format!("{group} renamed")),
            _ => Edit::DeleteGroup(group.into()),
        })
    }

    fn group(&self, rng: &Rng, group: Option<GroupId>) -> &str {
        let named = group.and_then(|id| self.groups.get(&id));
        named.map_or_else(|| self.any_group(rng.below(1, self.groups.len())), String::as_str)
    }

    fn any_group(&self, rank: usize) -> &str {
        self.names.get(rank).map_or("", String::as_str)
    }

    /// A member joins or leaves the request's group, or any group.
    fn edit(&self, rng: &Rng, group: Option<GroupId>) -> Fault {
        let group = self.group(rng, group);
        let person = self.people.get(rng.below(2, self.people.len())).map_or("", String::as_str);
        match rng.below(3, 4) {
            0 => Fault::EditBefore(Edit::add(group, person)),
            1 => Fault::EditBefore(Edit::remove(group, person)),
            2 => Fault::EditAfter(Edit::add(group, person)),
            _ => Fault::EditAfter(Edit::remove(group, person)),
        }
    }
}
