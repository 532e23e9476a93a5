//! Which requests get which fault: by rule, or by seeded chance. The same seed gives the same requests the same faults,
//! in any order.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use clap::ValueEnum as _;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::build::{SeedError, problem};
use super::edit::Edit;
use super::fault::{Contradiction, Cut, FalseClaim, Fault, Late, Respond};
use super::routes::{Endpoint, Incoming, Request};
use super::seed::Delay;
use super::state::AccountState;
use crate::model::GroupId;

/// The requests of a rule: those that match every given condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    pub operation: Option<Endpoint>,
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

/// The fault of a request by rule. Every matching rule counts the request, and counts itself down; the first rule that
/// is due applies.
pub(crate) fn fault_by_rule(rules: &mut [FaultRule], incoming: &Incoming, state: &AccountState) -> Option<Fault> {
    let mut chosen = None;
    for FaultRule { on, fault, times } in rules {
        if !matches(on, incoming, state) {
            continue;
        }
        let before = on.nth.and_then(|nth| NonZeroU32::new(nth.get() - 1));
        if before.is_some() {
            on.nth = before;
        } else if *times > 0 && chosen.is_none() {
            *times -= 1;
            chosen = Some(fault.clone());
        }
    }
    chosen
}

fn matches(on: &Match, incoming: &Incoming, state: &AccountState) -> bool {
    let Match { operation, group, member, page, nth: _ } = on;
    let request = &incoming.request;
    let name = || Some(state.groups.get(&request.group?)?.name.as_str());
    operation.is_none_or(|operation| request.operation == Some(operation))
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

const WHOLE: u32 = 1_000_000;

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
        let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
        let percent =
            percent.ok_or_else(|| format!("{text:?} is not a probability: write a percentage from 0% to 100%"))?;
        Ok(Self { millionths: (percent * f64::from(WHOLE / 100)).round() as u32 })
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
}

/// Numbers that depend only on a text.
struct Rng([u8; 32]);

impl Rng {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Number `nth` of four numbers below a bound; 0 if the bound is 0.
    fn below(&self, nth: usize, bound: usize) -> usize {
        let eight = self.0.as_chunks::<8>().0.get(nth).copied().unwrap_or_default();
        u64::from_le_bytes(eight).checked_rem(bound as u64).unwrap_or_default() as usize
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below the length, which is not 0")]
    fn one_of<T: Copy>(&self, these: &[T]) -> T {
        these[self.below(1, these.len())]
    }

    /// A time from one millisecond to the longest.
    fn up_to(&self, longest: Option<Delay>) -> Delay {
        let longest = longest.unwrap_or(Delay::millis(500));
        let millis = usize::try_from(longest.0.as_millis()).unwrap_or(usize::MAX);
        Delay::millis(self.below(1, millis) as u64 + 1)
    }
}

#[derive(Debug)]
pub(crate) struct Sampler {
    chance: Chance,
    /// The groups, by name, and people that edits can concern: those of the seed, also after they changed.
    groups: BTreeMap<String, GroupId>,
    people: Vec<String>,
    /// How often each request, as one text, has arrived.
    seen: BTreeMap<String, u32>,
}

impl Sampler {
    pub(crate) fn new(chance: Chance, state: &AccountState) -> Result<Self, SeedError> {
        let groups = state.groups.iter().map(|(id, group)| (group.name.clone(), *id)).collect();
        let people = state.by_email.keys().cloned().collect();
        let sampler = Self { chance, groups, people, seen: BTreeMap::new() };
        let kinds = sampler.kinds(&Rng::of(""), None, None);
        let sum: u64 = kinds.iter().map(|(share, ..)| u64::from(share.millionths)).sum();
        if sum > u64::from(WHOLE) {
            return Err(problem("chance: the percentages add up to more than 100%"));
        }
        Ok(sampler)
    }

    /// The fault for a request. The same requests get the same faults, in any order.
    pub(crate) fn choose(&mut self, incoming: &Incoming) -> Option<Fault> {
        let request = incoming.text();
        let seen = self.seen.entry(request.clone()).or_default();
        let nth = *seen;
        *seen = seen.saturating_add(1);
        if nth >= self.chance.per_request.unwrap_or(2) {
            return None;
        }
        let rng = Rng::of(&format!("{} {nth} {request}", self.chance.seed));
        let mut left = rng.below(0, WHOLE as usize);
        let Request { operation, group, .. } = incoming.request;
        let kinds = self.kinds(&rng, operation, group);
        let chosen = kinds.into_iter().find(|(share, ..)| {
            let below = left < share.millionths as usize;
            left = left.saturating_sub(share.millionths as usize);
            below
        });
        chosen.filter(|(_, makes_sense, _)| *makes_sense).map(|(.., fault)| fault)
    }

    /// The kinds of faults: the share of each, whether it makes sense for the endpoint, and the fault. The order is part
    /// of the meaning of a seed: new kinds are added at the end.
    fn kinds(&self, rng: &Rng, endpoint: Option<Endpoint>, group: Option<GroupId>) -> [(Share, bool, Fault); 24] {
        use Endpoint as E;
        let chance = &self.chance;
        let write = endpoint.is_some_and(E::writes);
        let list = matches!(endpoint, Some(E::ListGroups | E::ListMembers | E::ListPeople));
        let membership = matches!(endpoint, Some(E::ListMembers | E::GetMember));
        let status = rng.one_of(&[500, 502, 503]);
        let server_error = Respond { status, ..Respond::default() };
        let status = rng.one_of(&[502, 520, 524]);
        let edge = Respond { status, edge: true, ..Respond::default() };
        let html = Respond { status, html: true, ..Respond::default() };
        let late_html = Respond { after: true, ..html.clone() };
        let retry_after = Some(chance.retry_after.unwrap_or(1));
        let rate_limited = Respond { status: 429, retry_after, ..Respond::default() };
        let bare = Respond { status: 429, bare: true, ..Respond::default() };
        let smaller = NonZeroU32::MIN.saturating_add(rng.below(1, 50) as u32);
        let late_status = (rng.below(2, 2) == 0).then_some(504);
        let late = Late { after: rng.up_to(chance.late_time), status: late_status, hang: false };
        // Edits concern the request's group, or any group.
        let any_group = |nth| self.groups.keys().nth(rng.below(nth, self.groups.len())).cloned().unwrap_or_default();
        let of_request = self.groups.iter().find(|(_, id)| Some(**id) == group).map(|(name, _)| name.clone());
        let group = of_request.unwrap_or_else(|| any_group(1));
        let member = self.people.get(rng.below(2, self.people.len())).cloned().unwrap_or_default();
        let edit = match rng.below(3, 4) {
            0 | 2 => Edit::Add { group: group.clone(), member },
            _ => Edit::Remove { group: group.clone(), member },
        };
        let edit = if rng.below(3, 4) < 2 { Fault::EditBefore(edit) } else { Fault::EditAfter(edit) };
        let regroup = match rng.below(3, 2) {
            0 => Edit::RenameGroup { group: group.clone(), to: format!("{group} renamed") },
            _ => Edit::DeleteGroup(group.clone()),
        };
        let swap_names = Edit::SwapNames { group, with: any_group(2) };
        [
            (chance.latency, true, Fault::Latency(chance.latency_time.unwrap_or(Delay::millis(20)))),
            (chance.rate_limited, true, Fault::Respond(rate_limited)),
            (chance.server_error, true, Fault::Respond(server_error)),
            (chance.html, true, Fault::Respond(html)),
            (chance.late_html, true, Fault::Respond(late_html)),
            (chance.cut_before, true, Fault::Cut(Cut::Before)),
            (chance.cut_after, true, Fault::Cut(Cut::After)),
            (chance.cut_body, true, Fault::Cut(Cut::Body)),
            (chance.clamp, true, Fault::Clamp(smaller)),
            (chance.omit_result_info, true, Fault::OmitResultInfo),
            (chance.omit_result, true, Fault::OmitResult),
            (chance.unsuccessful, true, Fault::Unsuccessful),
            (chance.edit, true, edit),
            (chance.rate_limited_bare, true, Fault::Respond(bare)),
            (chance.regroup, true, Fault::EditBefore(regroup)),
            (chance.revoke_token, true, Fault::EditBefore(Edit::RevokeToken)),
            (chance.unsuccessful_after, write, Fault::UnsuccessfulAfter),
            (chance.lag, membership, Fault::Lag(rng.up_to(chance.lag_time))),
            (chance.contradict, list, Fault::Contradict(rng.one_of(Contradiction::value_variants()))),
            (chance.numbers_as_text, list, Fault::NumbersAsText),
            (chance.claim, write, Fault::Claim(rng.one_of(FalseClaim::value_variants()))),
            (chance.late, write, Fault::Late(late)),
            (chance.swap_names, true, Fault::EditBefore(swap_names)),
            (chance.edge, true, Fault::Respond(edge)),
        ]
    }
}
