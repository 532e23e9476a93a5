//! What goes wrong by chance: the same seed gives the same requests the same faults, in whatever order they come.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::edit::Edit;
use super::fault::{Cut, Fault, Respond};
use super::seed::{Delay, Seed, Share};
use crate::model::GroupId;

/// How likely each fault is for a request. A request meets at most one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chance {
    /// Another seed, another schedule.
    pub seed: u64,
    /// The request waits.
    pub latency: Share,
    /// How long it waits.
    pub latency_time: Delay,
    /// 429 with `Retry-After`.
    pub rate_limited: Share,
    /// The seconds in `Retry-After`.
    pub retry_after: u64,
    /// 429 without `Retry-After`.
    pub rate_limited_bare: Share,
    /// A 5xx in JSON.
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
    /// A page holds fewer entries than were asked for.
    pub clamp: Share,
    /// The answer has no `result_info`.
    pub omit_result_info: Share,
    /// The answer has no `result`.
    pub omit_result: Share,
    /// The answer says `success: false` with status 200.
    pub unsuccessful: Share,
    /// Somebody adds somebody to a group or removes them, just before or just after.
    pub edit: Share,
    /// A group is renamed or deleted, just before.
    pub regroup: Share,
    /// The token is revoked, just before.
    pub revoke_token: Share,
    /// How many times the very same request can meet a fault; after that it is left alone, so that who repeats a
    /// request gets through.
    pub per_request: u32,
    /// How many faults there are in all. Which requests they fall on then depends on the order of the requests.
    pub limit: Option<u32>,
}

impl Default for Chance {
    fn default() -> Self {
        let never = Share::default();
        Self {
            seed: 0,
            latency: never,
            latency_time: Delay::millis(20),
            rate_limited: never,
            retry_after: 1,
            rate_limited_bare: never,
            server_error: never,
            html: never,
            late_html: never,
            cut_before: never,
            cut_after: never,
            cut_body: never,
            clamp: never,
            omit_result_info: never,
            omit_result: never,
            unsuccessful: never,
            edit: never,
            regroup: never,
            revoke_token: never,
            per_request: 2,
            limit: None,
        }
    }
}

/// A kind of fault that chance can choose.
#[derive(Clone, Copy)]
enum Kind {
    Latency,
    RateLimited,
    RateLimitedBare,
    ServerError,
    Html,
    LateHtml,
    Cut(Cut),
    Clamp,
    OmitResultInfo,
    OmitResult,
    Unsuccessful,
    Edit,
    Regroup,
    RevokeToken,
}

impl Chance {
    fn shares(&self) -> [(Share, Kind); 16] {
        [
            (self.latency, Kind::Latency),
            (self.rate_limited, Kind::RateLimited),
            (self.server_error, Kind::ServerError),
            (self.html, Kind::Html),
            (self.late_html, Kind::LateHtml),
            (self.cut_before, Kind::Cut(Cut::Before)),
            (self.cut_after, Kind::Cut(Cut::After)),
            (self.cut_body, Kind::Cut(Cut::Body)),
            (self.clamp, Kind::Clamp),
            (self.omit_result_info, Kind::OmitResultInfo),
            (self.omit_result, Kind::OmitResult),
            (self.unsuccessful, Kind::Unsuccessful),
            (self.edit, Kind::Edit),
            (self.rate_limited_bare, Kind::RateLimitedBare),
            (self.regroup, Kind::Regroup),
            (self.revoke_token, Kind::RevokeToken),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let sum: u64 = self.shares().iter().map(|(share, _)| u64::from(share.millionths())).sum();
        if sum > u64::from(Share::WHOLE) {
            return Err("chance: the shares come to more than 100%".into());
        }
        Ok(())
    }
}

/// Numbers that depend on a text alone.
struct Dice([u8; 32]);

impl Dice {
    fn throw(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// The `nth` number below a bound, of four; 0 for the bound 0.
    fn below(&self, nth: usize, bound: usize) -> usize {
        let eight = self.0.as_chunks::<8>().0.get(nth).copied().unwrap_or_default();
        let number = u64::from_le_bytes(eight);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        number.checked_rem(bound).and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default()
    }
}

/// Chance at work: what it chooses from, and which requests it has seen.
#[derive(Debug)]
pub(crate) struct Dealer {
    chance: Chance,
    groups: Vec<String>,
    names: BTreeMap<GroupId, String>,
    people: Vec<String>,
    seen: BTreeMap<String, u32>,
    dealt: u32,
}

impl Dealer {
    /// Chooses among the seed's own groups and people, whatever became of them.
    pub(crate) fn new(chance: Chance, seed: &Seed, names: BTreeMap<GroupId, String>) -> Self {
        let members = seed.groups.values().flat_map(|group| &group.members);
        let mut people: Vec<String> = seed.people.iter().map(|entry| entry.value.email.to_lowercase()).collect();
        people.extend(members.filter_map(|entry| entry.value.email.as_ref()).map(|email| email.to_lowercase()));
        people.sort_unstable();
        people.dedup();
        Self { chance, groups: seed.groups.keys().cloned().collect(), names, people, seen: BTreeMap::new(), dealt: 0 }
    }

    /// What goes wrong with this request, which says all that it asks for.
    pub(crate) fn choose(&mut self, request: &str, group: Option<GroupId>) -> Option<Fault> {
        let seen = self.seen.entry(request.into()).or_default();
        let nth = *seen;
        *seen = seen.saturating_add(1);
        if nth >= self.chance.per_request || self.chance.limit.is_some_and(|limit| self.dealt >= limit) {
            return None;
        }
        let dice = Dice::throw(&format!("{} {nth} {request}", self.chance.seed));
        let mut left = dice.below(0, Share::WHOLE as usize);
        for (share, kind) in self.chance.shares() {
            match left.checked_sub(share.millionths() as usize) {
                Some(rest) => left = rest,
                None => {
                    self.dealt = self.dealt.saturating_add(1);
                    return Some(self.fault(kind, &dice, group));
                }
            }
        }
        None
    }

    fn fault(&self, kind: Kind, dice: &Dice, group: Option<GroupId>) -> Fault {
        let one_of = |statuses: [u16; 3]| statuses.get(dice.below(1, statuses.len())).copied().unwrap_or(502);
        match kind {
            Kind::Latency => Fault::Latency(self.chance.latency_time),
            Kind::RateLimited => Fault::rate_limited(self.chance.retry_after),
            Kind::RateLimitedBare => Fault::Respond(Respond { status: 429, bare: true, ..Respond::default() }),
            Kind::ServerError => Fault::status(one_of([500, 502, 503])),
            Kind::Html => Fault::html(one_of([502, 520, 524])),
            Kind::LateHtml => Fault::Respond(Respond {
                status: one_of([502, 520, 524]),
                html: true,
                after: true,
                ..Respond::default()
            }),
            Kind::Cut(cut) => Fault::Cut(cut),
            Kind::Clamp => {
                let most = u32::try_from(dice.below(1, 50)).unwrap_or_default();
                Fault::Clamp(NonZeroU32::MIN.saturating_add(most))
            }
            Kind::OmitResultInfo => Fault::OmitResultInfo,
            Kind::OmitResult => Fault::OmitResult,
            Kind::Unsuccessful => Fault::Unsuccessful,
            Kind::Edit => self.edit(dice, group),
            Kind::Regroup => self.regroup(dice, group),
            Kind::RevokeToken => Fault::EditBefore(Edit::RevokeToken),
        }
    }

    /// A group is renamed or deleted: the one that the request is about, or any.
    fn regroup(&self, dice: &Dice, group: Option<GroupId>) -> Fault {
        let group = self.group(dice, group);
        Fault::EditBefore(match dice.below(3, 2) {
            0 => Edit::rename_group(group, &format!("{group} renamed")),
            _ => Edit::DeleteGroup(group.into()),
        })
    }

    fn group(&self, dice: &Dice, group: Option<GroupId>) -> &str {
        let any_group = || self.groups.get(dice.below(1, self.groups.len()));
        group.and_then(|id| self.names.get(&id)).or_else(any_group).map_or("", String::as_str)
    }

    /// Somebody joins or leaves: the group the request is about, or any.
    fn edit(&self, dice: &Dice, group: Option<GroupId>) -> Fault {
        let group = self.group(dice, group);
        let person = self.people.get(dice.below(2, self.people.len())).map_or("", String::as_str);
        match dice.below(3, 4) {
            0 => Fault::EditBefore(Edit::add(group, person)),
            1 => Fault::EditBefore(Edit::remove(group, person)),
            2 => Fault::EditAfter(Edit::add(group, person)),
            _ => Fault::EditAfter(Edit::remove(group, person)),
        }
    }
}
