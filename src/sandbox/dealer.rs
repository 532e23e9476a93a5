//! Decides which fault each request gets by chance.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::chance::{Chance, ChanceKind};
use super::edit::Edit;
use super::endpoint::Endpoint;
use super::fault::{Contradiction, FalseClaim, Fault, Late, Respond};
use super::values::{Delay, Share};
use crate::model::GroupId;

/// Numbers that depend only on a text.
struct Dice([u8; 32]);

impl Dice {
    fn throw(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Number `nth` of four numbers below a bound; 0 if the bound is 0.
    fn below(&self, nth: usize, bound: usize) -> usize {
        let eight = self.0.as_chunks::<8>().0.get(nth).copied().unwrap_or_default();
        let number = u64::from_le_bytes(eight);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        number.checked_rem(bound).and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default()
    }
}

/// Assigns faults to requests.
#[derive(Debug)]
pub(crate) struct Dealer {
    chance: Chance,
    /// The groups and people that edits can concern.
    groups: BTreeMap<GroupId, String>,
    /// The names of these groups, in order.
    names: Vec<String>,
    people: Vec<String>,
    seen: BTreeMap<String, u32>,
    dealt: u32,
}

impl Dealer {
    pub(crate) fn new(chance: Chance, groups: BTreeMap<GroupId, String>, people: Vec<String>) -> Self {
        let mut names: Vec<String> = groups.values().cloned().collect();
        names.sort_unstable();
        Self { chance, groups, names, people, seen: BTreeMap::new(), dealt: 0 }
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
        if nth >= self.chance.per_request || self.chance.limit.is_some_and(|limit| self.dealt >= limit) {
            return None;
        }
        let dice = Dice::throw(&format!("{} {nth} {request}", self.chance.seed));
        let mut left = dice.below(0, Share::WHOLE as usize);
        for (share, kind) in self.chance.shares() {
            match left.checked_sub(share.millionths() as usize) {
                Some(rest) => left = rest,
                None if !concerns(kind, endpoint) => return None,
                None => {
                    self.dealt = self.dealt.saturating_add(1);
                    return Some(self.fault(kind, &dice, group));
                }
            }
        }
        None
    }

    fn fault(&self, kind: ChanceKind, dice: &Dice, group: Option<GroupId>) -> Fault {
        let error = |statuses: [u16; 3]| one_of(&statuses, dice).unwrap_or(502);
        match kind {
            ChanceKind::Latency => Fault::Latency(self.chance.latency_time),
            ChanceKind::RateLimited => Fault::rate_limited(self.chance.retry_after),
            ChanceKind::RateLimitedBare => Fault::Respond(Respond { status: 429, bare: true, ..Respond::default() }),
            ChanceKind::ServerError => Fault::status(error([500, 502, 503])),
            ChanceKind::Html => Fault::html(error([502, 520, 524])),
            ChanceKind::LateHtml => Fault::Respond(Respond {
                status: error([502, 520, 524]),
                html: true,
                after: true,
                ..Respond::default()
            }),
            ChanceKind::Cut(cut) => Fault::Cut(cut),
            ChanceKind::Clamp => {
                let most = u32::try_from(dice.below(1, 50)).unwrap_or_default();
                Fault::Clamp(NonZeroU32::MIN.saturating_add(most))
            }
            ChanceKind::OmitResultInfo => Fault::OmitResultInfo,
            ChanceKind::OmitResult => Fault::OmitResult,
            ChanceKind::Unsuccessful => Fault::Unsuccessful,
            ChanceKind::Edit => self.edit(dice, group),
            ChanceKind::Regroup => self.regroup(dice, group),
            ChanceKind::RevokeToken => Fault::EditBefore(Edit::RevokeToken),
            ChanceKind::UnsuccessfulAfter => Fault::UnsuccessfulAfter,
            ChanceKind::Lag => Fault::Lag(up_to(self.chance.lag_time, dice)),
            ChanceKind::Contradict => {
                Fault::Contradict(one_of(&Contradiction::EVERY, dice).unwrap_or(Contradiction::TotalCount))
            }
            ChanceKind::NumbersAsText => Fault::NumbersAsText,
            ChanceKind::Claim => Fault::Claim(one_of(&FalseClaim::EVERY, dice).unwrap_or(FalseClaim::Done)),
            ChanceKind::Late => Fault::Late(Late {
                after: up_to(self.chance.late_time, dice),
                status: (dice.below(2, 2) == 0).then_some(504),
                hang: false,
            }),
            ChanceKind::Edge => Fault::edge(error([502, 520, 524])),
            ChanceKind::SwapNames => self.swap_names(dice, group),
        }
    }

    /// The request's group, or any group, swaps its name with another.
    fn swap_names(&self, dice: &Dice, group: Option<GroupId>) -> Fault {
        let with = self.any_group(dice.below(2, self.groups.len()));
        Fault::EditBefore(Edit::swap_names(self.group(dice, group), with))
    }

    /// The request's group, or any group, is renamed or deleted.
    fn regroup(&self, dice: &Dice, group: Option<GroupId>) -> Fault {
        let group = self.group(dice, group);
        Fault::EditBefore(match dice.below(3, 2) {
            0 => Edit::rename_group(group, &format!("{group} renamed")),
            _ => Edit::DeleteGroup(group.into()),
        })
    }

    fn group(&self, dice: &Dice, group: Option<GroupId>) -> &str {
        let named = group.and_then(|id| self.groups.get(&id));
        named.map_or_else(|| self.any_group(dice.below(1, self.groups.len())), String::as_str)
    }

    fn any_group(&self, rank: usize) -> &str {
        self.names.get(rank).map_or("", String::as_str)
    }

    /// A member joins or leaves the request's group, or any group.
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

/// Whether a kind of fault makes sense for an endpoint.
fn concerns(kind: ChanceKind, endpoint: Option<Endpoint>) -> bool {
    use Endpoint as E;
    match kind {
        ChanceKind::Lag => matches!(endpoint, Some(E::ListMembers | E::GetMember)),
        ChanceKind::Contradict | ChanceKind::NumbersAsText => {
            matches!(endpoint, Some(E::ListGroups | E::ListMembers | E::ListPeople))
        }
        ChanceKind::Claim | ChanceKind::Late | ChanceKind::UnsuccessfulAfter => endpoint.is_some_and(Endpoint::writes),
        _ => true,
    }
}

fn one_of<T: Copy>(these: &[T], dice: &Dice) -> Option<T> {
    these.get(dice.below(1, these.len())).copied()
}

/// A time from one millisecond to the longest.
fn up_to(longest: Delay, dice: &Dice) -> Delay {
    let millis = usize::try_from(longest.0.as_millis()).unwrap_or(usize::MAX);
    let chosen = u64::try_from(dice.below(1, millis)).unwrap_or_default();
    Delay(Duration::from_millis(chosen + 1))
}
