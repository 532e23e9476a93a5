//! Keeps people out of two groups that exclude each other.
//!
//! Exclusion is about presence: nobody is added to a group while a reading shows them in a group that excludes it,
//! unless this plan removes them there. Such a person is removed first and added afterwards, the only removal that
//! goes before its addition.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocked::{Blocked, BlockedReason};
use super::compare::{Compared, hold};
use super::contents::{Action, Change, GroupPlan};
use super::guards::Guard;
use super::located::locate_groups;
use super::people::People;
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupId, GroupName, GroupRef, Member, MemberId, Mode, Observed, Origin,
};

/// How many states the search for an order visits before it gives up.
const MAX_STATES: usize = 20_000;

/// Nobody joins `group` while a reading shows them in `other`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExclusivePair {
    pub group: GroupRef,
    pub other: GroupRef,
}

/// The people who belong to a group now, each with the first entry that names them.
type MembersOf<'d> = BTreeMap<MemberId, &'d DesiredMember>;

/// What a plan says about groups that exclude each other.
#[derive(Default)]
pub(super) struct Exclusions {
    /// Groups whose members decide about an addition and were not read.
    pub unread: BTreeSet<GroupId>,
    /// The exclusions of every group that somebody joins.
    pub pairs: Vec<ExclusivePair>,
    /// The people who leave one group before they join another, in the order in which the guards hold throughout.
    pub exchanges: Vec<MemberId>,
}

/// Blocks the additions that `exclusive_with` forbids, and orders the exchanges. Reports everybody who is declared in
/// two such groups and already in both; both memberships stay.
pub(super) fn check(
    desired: &Desired,
    current: &Observed,
    people: &People<'_>,
    time: Timestamp,
    compared: &mut Compared,
) -> Exclusions {
    let pairs = exclusive_pairs(desired);
    if pairs.is_empty() {
        return Exclusions::default();
    }
    let names: BTreeSet<&GroupName> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
    let declared: BTreeMap<&GroupName, MembersOf<'_>> = names
        .into_iter()
        .filter_map(|name| Some((name, members_of(desired.groups.get(name)?, people, time))))
        .collect();
    let mode = |name: &GroupName| desired.groups.get(name).map_or(Mode::Exact, |group| group.mode);
    let mut judge = Judge::new(desired, current, &pairs, &mut compared.groups);
    for (first, second) in pairs {
        let (Some(in_first), Some(in_second)) = (declared.get(first), declared.get(second)) else { continue };
        for (id, entry, other) in in_both(in_first, in_second) {
            let states = (judge.presence(first, id), judge.presence(second, id));
            let reason = |with: &GroupName, because: &DesiredMember, present| BlockedReason::Exclusive {
                group: with.clone(),
                origin: because.origin.clone(),
                present,
            };
            // A person who is present in one of the groups keeps it, so only an exchange for the other one is held.
            let holds_all = states.0 != Presence::Present && states.1 != Presence::Present;
            if states.0 == Presence::Joins {
                judge.block(first, id, reason(second, other, false), holds_all);
            }
            if states.1 == Presence::Joins {
                judge.block(second, id, reason(first, entry, false), holds_all);
            }
            if states == (Presence::Present, Presence::Present) {
                // Nothing is written to an observed group, so the other one has to change.
                let (name, of, why) = if mode(first) == Mode::Observe {
                    (second, other, reason(first, entry, true))
                } else {
                    (first, entry, reason(second, other, true))
                };
                let blocked = Blocked::new(name.clone(), Some(of.person.clone()), of.origin.clone(), why);
                judge.blocked.push(blocked.with_mode(mode(name)));
            }
        }
    }
    let (mut blocked, exclusions) = judge.finish();
    // A person can be excluded by several groups. One reason is sufficient.
    let mut seen = BTreeSet::new();
    blocked.retain(|blocked| seen.insert((blocked.group.clone(), blocked.origin.clone())));
    compared.blocked.extend(blocked);
    compared.blocked.sort_by(|a, b| a.group.cmp(&b.group));
    exclusions
}

/// As [`check`], for changes that no list declares.
pub(super) fn check_presence(
    desired: &Desired,
    current: &Observed,
    groups: &mut Vec<GroupPlan>,
    blocked: &mut Vec<Blocked>,
) -> Exclusions {
    let (found, exclusions) = Judge::new(desired, current, &exclusive_pairs(desired), groups).finish();
    blocked.extend(found);
    exclusions
}

/// The changes of one person, by the places of their groups in the plan.
#[derive(Clone, Default)]
struct Moves {
    joins: BTreeSet<usize>,
    leaves: BTreeSet<usize>,
}

struct Judge<'a> {
    desired: &'a Desired,
    current: &'a Observed,
    groups: &'a mut Vec<GroupPlan>,
    places: BTreeMap<GroupName, usize>,
    /// The groups that exclude each group of the account.
    partners: BTreeMap<GroupId, Vec<GroupRef>>,
    blocked: Vec<Blocked>,
    unread: BTreeSet<GroupId>,
}

impl<'a> Judge<'a> {
    fn new(
        desired: &'a Desired,
        current: &'a Observed,
        pairs: &[(&GroupName, &GroupName)],
        groups: &'a mut Vec<GroupPlan>,
    ) -> Self {
        let named: BTreeSet<&GroupName> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
        let found = locate_groups(desired, current, |name| named.contains(name));
        let mut partners: BTreeMap<GroupId, Vec<GroupRef>> = BTreeMap::new();
        // Each of several groups with the declared name may be the one that is meant.
        let ids = |name: &GroupName| match found.get(name) {
            Some(Ok(id)) => std::slice::from_ref(id),
            Some(Err(BlockedReason::AmbiguousGroup { candidates })) => candidates,
            _ => &[],
        };
        let directed = pairs.iter().flat_map(|(first, second)| [(*first, *second), (*second, *first)]);
        for (name, other) in directed {
            for id in ids(name) {
                let others = ids(other).iter().map(|id| GroupRef { id: *id, name: other.clone() });
                partners.entry(*id).or_default().extend(others);
            }
        }
        let places = groups.iter().enumerate().map(|(place, group)| (group.name.clone(), place)).collect();
        Self { desired, current, groups, places, partners, blocked: Vec::new(), unread: BTreeSet::new() }
    }

    fn presence(&self, name: &GroupName, id: MemberId) -> Presence {
        match self.places.get(name).and_then(|place| self.groups.get(*place)) {
            Some(group) if group.observed.contains_key(&id) => Presence::Present,
            Some(group) if group.additions().any(|change| change.member.id == id) => Presence::Joins,
            _ => Presence::Unknown,
        }
    }

    /// Everybody who joins a group that another one excludes, with all of their changes.
    fn moves(&self) -> BTreeMap<MemberId, Moves> {
        let mut moves: BTreeMap<MemberId, Moves> = BTreeMap::new();
        for (place, group) in self.groups.iter().enumerate() {
            if self.partners.contains_key(&group.id) {
                for change in group.additions() {
                    moves.entry(change.member.id).or_default().joins.insert(place);
                }
            }
        }
        for (place, group) in self.groups.iter().enumerate() {
            for change in group.removals() {
                if let Some(moves) = moves.get_mut(&change.member.id) {
                    moves.leaves.insert(place);
                }
            }
        }
        moves
    }

    /// Blocks an addition. The removals that the plan exchanges for it are held: all of the person's, or those from
    /// groups that exclude this one. A removal by an ended entry waits for no addition.
    fn block(&mut self, name: &GroupName, member: MemberId, reason: BlockedReason, holds_all: bool) {
        let Some(group) = self.places.get(name).and_then(|place| self.groups.get_mut(*place)) else { return };
        let is_it = |change: &Change| change.action == Action::Add && change.member.id == member;
        let Some(at) = group.changes.iter().position(is_it) else { return };
        let change = group.changes.remove(at);
        if let Some(required) = &mut group.required {
            required.remove(&member);
        }
        let (id, mode, origin) = (group.id, group.mode, change.origin.clone());
        let entry = self.desired.groups.get(name).and_then(|declared| {
            declared.members.iter().find(|entry| entry.origin == origin).map(|entry| entry.person.clone())
        });
        let entry = entry.unwrap_or_else(|| change.member.person());
        self.blocked.push(Blocked::new(name.clone(), Some(entry), origin.clone(), reason).with_mode(mode));
        let partners: BTreeSet<GroupId> = self.partners.get(&id).into_iter().flatten().map(|other| other.id).collect();
        for other in self.groups.iter_mut().filter(|other| other.mode != Mode::Observe) {
            if holds_all || partners.contains(&other.id) {
                hold_removal(other, member, &origin);
            }
        }
    }

    fn finish(mut self) -> (Vec<Blocked>, Exclusions) {
        for (member, mut moves) in self.moves() {
            // An addition that is blocked holds removals, which can block another addition of the person.
            loop {
                let breaches = self.breaches(member, &moves);
                if breaches.is_empty() {
                    break;
                }
                for (place, reason) in breaches {
                    if let Some(name) = self.groups.get(place).map(|group| group.name.clone()) {
                        self.block(&name, member, reason, true);
                    }
                    moves.joins.remove(&place);
                }
                moves.leaves.retain(|place| self.groups.get(*place).is_some_and(|group| leaves(group, member)));
            }
        }
        let mut exchanges = self.mark_exchanges();
        let order = loop {
            let search = self.search(&exchanges);
            let (order, stuck) = search.run();
            let Some(reason) = self.reason_of(&search, &exchanges, &order, &stuck) else {
                break order.iter().filter_map(|at| Some(exchanges.get(*at)?.0)).collect();
            };
            for at in &stuck {
                let Some((member, moves)) = exchanges.get(*at).cloned() else { continue };
                let names: Vec<GroupName> =
                    moves.joins.iter().filter_map(|place| Some(self.groups.get(*place)?.name.clone())).collect();
                for name in names {
                    self.block(&name, member, reason.clone(), true);
                }
            }
            exchanges = self.mark_exchanges();
        };
        let mut pairs = Vec::new();
        for group in self.groups.iter().filter(|group| group.additions().next().is_some()) {
            for other in self.partners.get(&group.id).into_iter().flatten() {
                let group = GroupRef { id: group.id, name: group.name.clone() };
                pairs.push(ExclusivePair { group, other: other.clone() });
            }
        }
        (self.blocked, Exclusions { unread: self.unread, pairs, exchanges: order })
    }

    /// The additions that would put the person into two groups, as far as the readings show.
    fn breaches(&mut self, member: MemberId, moves: &Moves) -> Vec<(usize, BlockedReason)> {
        let mut breaches = Vec::new();
        for place in &moves.joins {
            let Some(group) = self.groups.get(*place) else { continue };
            let partners = self.partners.get(&group.id).into_iter().flatten();
            let reason = partners.filter_map(|other| {
                let there = self.places.get(&other.name);
                let joins = there.filter(|there| moves.joins.contains(there)).and_then(|there| self.groups.get(*there));
                if let Some(join) = joins.and_then(|group| addition(group, member)) {
                    let (group, origin) = (other.name.clone(), join.origin.clone());
                    return Some(BlockedReason::Exclusive { group, origin, present: false });
                }
                let cause = match (self.current.memberships.get(&other.id), self.current.unreadable.get(&other.id)) {
                    (Some(members), _) if !members.contains_key(&member) => return None,
                    (Some(_), _) if there.is_some_and(|there| moves.leaves.contains(there)) => return None,
                    (Some(_), _) => None,
                    (None, Some(cause)) => Some(cause.clone()),
                    (None, None) => {
                        self.unread.insert(other.id);
                        return None;
                    }
                };
                Some(BlockedReason::ExclusiveMember { group: other.name.clone(), cause })
            });
            let reason = reason.reduce(|first, _| first);
            breaches.extend(reason.map(|reason| (*place, reason)));
        }
        breaches
    }

    /// Marks each addition that waits for a removal. Returns the people concerned with the groups that they leave
    /// first and those that they join then, by address.
    fn mark_exchanges(&mut self) -> Vec<(MemberId, Moves)> {
        let mut exchanges = Vec::new();
        for (member, moves) in self.moves() {
            let mut exchange = Moves::default();
            for place in &moves.joins {
                let Some(group) = self.groups.get(*place) else { continue };
                let partners = self.partners.get(&group.id).into_iter().flatten();
                let first: Vec<(usize, GroupRef)> = partners
                    .filter_map(|other| Some((*self.places.get(&other.name)?, other.clone())))
                    .filter(|(there, _)| moves.leaves.contains(there))
                    .collect();
                if !first.is_empty() {
                    exchange.joins.insert(*place);
                    exchange.leaves.extend(first.iter().map(|(there, _)| *there));
                }
                let after = first.into_iter().map(|(_, other)| other).collect();
                let changes = self.groups.get_mut(*place).map(|group| &mut group.changes);
                let joining = |change: &&mut Change| change.action == Action::Add && change.member.id == member;
                if let Some(change) = changes.into_iter().flatten().find(joining) {
                    change.after = after;
                }
            }
            if !exchange.joins.is_empty() {
                exchanges.push((member, exchange));
            }
        }
        exchanges.sort_by_cached_key(|(member, moves)| (self.member(*member, moves).and_then(|m| m.email), *member));
        exchanges
    }

    fn member(&self, id: MemberId, moves: &Moves) -> Option<Member> {
        let groups = moves.joins.iter().filter_map(|place| self.groups.get(*place));
        groups.filter_map(|group| addition(group, id)).map(|change| change.member.clone()).next()
    }

    /// The search for an order of these exchanges. All other additions come before them, all other removals after them.
    fn search(&self, exchanges: &[(MemberId, Moves)]) -> Search {
        let mut slack: Vec<i64> = Vec::with_capacity(self.groups.len());
        for group in self.groups.iter() {
            let joined = group.additions().filter(|change| change.after.is_empty()).count();
            let least = i64::try_from(group.guards.least()).unwrap_or(i64::MAX);
            slack.push(i64::try_from(group.observed.len() + joined).unwrap_or(i64::MAX) - least);
        }
        let mut kinds: BTreeMap<(BTreeSet<usize>, BTreeSet<usize>), Vec<usize>> = BTreeMap::new();
        for (at, (_, moves)) in exchanges.iter().enumerate() {
            kinds.entry((moves.leaves.clone(), moves.joins.clone())).or_default().push(at);
        }
        let kinds = kinds.into_iter().map(|((leaves, joins), of)| (Moves { joins, leaves }, of)).collect();
        Search { slack, kinds }
    }

    /// Why the remaining exchanges cannot be made, if there are any.
    fn reason_of(
        &self,
        search: &Search,
        exchanges: &[(MemberId, Moves)],
        order: &[usize],
        stuck: &[usize],
    ) -> Option<BlockedReason> {
        let mut slack = search.slack.clone();
        for at in order {
            exchanges.get(*at).into_iter().for_each(|(_, moves)| shift(&mut slack, moves));
        }
        let tight = stuck.iter().filter_map(|at| exchanges.get(*at)).flat_map(|(_, moves)| &moves.leaves);
        let place = tight.copied().find(|place| slack.get(*place).is_some_and(|slack| *slack < 1))?;
        let group = self.groups.get(place)?;
        let guard = if group.guards.min_members.is_some() { Guard::MinMembers } else { Guard::AllowEmpty };
        let people = stuck.iter().filter_map(|at| exchanges.get(*at)).filter_map(|(id, moves)| self.member(*id, moves));
        Some(BlockedReason::ExclusiveOrder { guard, group: group.name.clone(), people: people.collect() })
    }
}

/// The search for an order of exchanges in which no removal breaks a guard. People who leave and join the same groups
/// are of one kind.
struct Search {
    /// How many members each group can lose.
    slack: Vec<i64>,
    kinds: Vec<(Moves, Vec<usize>)>,
}

impl Search {
    /// The longest order found, and the exchanges that it does not have.
    fn run(&self) -> (Vec<usize>, Vec<usize>) {
        let total: usize = self.kinds.iter().map(|(_, of)| of.len()).sum();
        let mut best: Vec<usize> = Vec::new();
        let mut seen: BTreeSet<Vec<usize>> = BTreeSet::new();
        // Depth first: each entry is the kind of the next exchange to try in this state.
        let (mut path, mut used) = (Vec::new(), vec![0; self.kinds.len()]);
        let (mut slack, mut next) = (self.slack.clone(), 0);
        loop {
            let free = |kind: usize, used: &[usize], slack: &[i64]| {
                let Some((moves, of)) = self.kinds.get(kind) else { return false };
                let left = used.get(kind).is_some_and(|used| *used < of.len());
                left && moves.leaves.iter().all(|place| slack.get(*place).is_some_and(|slack| *slack >= 1))
            };
            match (next..self.kinds.len()).find(|kind| free(*kind, &used, &slack)) {
                Some(kind) => {
                    path.push(kind);
                    used.iter_mut().skip(kind).take(1).for_each(|used| *used += 1);
                    self.kinds.get(kind).into_iter().for_each(|(moves, _)| shift(&mut slack, moves));
                    let is_new = seen.insert(used.clone());
                    if path.len() > best.len() {
                        best.clone_from(&path);
                    }
                    next = if is_new { 0 } else { self.kinds.len() };
                }
                None => {
                    let Some(kind) = path.pop().filter(|_| seen.len() < MAX_STATES && best.len() < total) else {
                        break;
                    };
                    used.iter_mut().skip(kind).take(1).for_each(|used| *used -= 1);
                    self.kinds.get(kind).into_iter().for_each(|(moves, _)| shift_back(&mut slack, moves));
                    next = kind + 1;
                }
            }
        }
        let mut people: Vec<std::slice::Iter<'_, usize>> = self.kinds.iter().map(|(_, of)| of.iter()).collect();
        let order = best.iter().filter_map(|kind| people.get_mut(*kind)?.next().copied()).collect();
        (order, people.into_iter().flatten().copied().collect())
    }
}

fn shift(slack: &mut [i64], moves: &Moves) {
    moves.leaves.iter().for_each(|place| slack.iter_mut().skip(*place).take(1).for_each(|slack| *slack -= 1));
    moves.joins.iter().for_each(|place| slack.iter_mut().skip(*place).take(1).for_each(|slack| *slack += 1));
}

fn shift_back(slack: &mut [i64], moves: &Moves) {
    shift(slack, &Moves { joins: moves.leaves.clone(), leaves: moves.joins.clone() });
}

fn addition(group: &GroupPlan, member: MemberId) -> Option<&Change> {
    group.additions().find(|change| change.member.id == member)
}

fn leaves(group: &GroupPlan, member: MemberId) -> bool {
    group.removals().any(|change| change.member.id == member)
}

/// Holds the removal of this member, unless the member's time has ended.
fn hold_removal(group: &mut GroupPlan, member: MemberId, because: &Origin) {
    if group.removals().any(|change| change.member.id == member && change.expired.is_none()) {
        let held = hold(&mut group.changes, |leaving| (leaving.member.id == member).then(|| because.clone()));
        group.held.extend(held);
    }
}

/// Each pair of groups of which one excludes the other. The group with the rule comes first, or the first by name if
/// both have it.
fn exclusive_pairs(desired: &Desired) -> Vec<(&GroupName, &GroupName)> {
    let excludes = |name: &GroupName, other: &GroupName| {
        desired.groups.get(name).is_some_and(|group| group.rules.exclusion_of(other).is_some())
    };
    let stated = desired
        .groups
        .iter()
        .flat_map(|(name, group)| group.rules.exclusive_with.iter().map(move |exclusion| (name, &exclusion.group)));
    stated.filter(|(name, other)| name < other || !excludes(other, name)).collect()
}

fn members_of<'d>(group: &'d DesiredGroup, people: &People<'_>, time: Timestamp) -> MembersOf<'d> {
    let mut members = MembersOf::new();
    for entry in group.members.iter().filter(|entry| entry.belongs_at(time)) {
        for id in people.may_mean(&entry.person) {
            members.entry(id).or_insert(entry);
        }
    }
    members
}

fn in_both<'a, 'd>(
    first: &'a MembersOf<'d>,
    second: &'a MembersOf<'d>,
) -> impl Iterator<Item = (MemberId, &'d DesiredMember, &'d DesiredMember)> + 'a {
    // Iterate over the smaller group, so that a large group that many groups exclude costs little.
    let (walked, asked) = if first.len() <= second.len() { (first, second) } else { (second, first) };
    walked.keys().filter(|id| asked.contains_key(id)).filter_map(|id| Some((*id, *first.get(id)?, *second.get(id)?)))
}

/// The state of a person who is declared in a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Joins,
    Present,
    /// The group is not planned or only observed, and the person is not in it.
    Unknown,
}
