//! Keeps people out of two groups that exclude each other.
//!
//! Exclusion is about presence: nobody is added to a group while a reading shows them in a group that excludes it,
//! unless this plan removes them there. Such a person is removed first and added afterwards, the only removal that
//! goes before its addition.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, Plan};
use super::group::GroupPlan;
use super::guards::Guard;
use super::inputs::{Inputs, locate_groups};
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupId, GroupName, GroupRef, Member, MemberId, Mode, Observed,
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

/// Blocks the additions that `exclusive_with` forbids, and orders the exchanges. Reports everybody who is declared in
/// two such groups and already in both; both memberships stay.
pub(super) fn check(inputs: &Inputs<'_>, plan: &mut Plan) {
    let rules = inputs.rules();
    let pairs = exclusive_pairs(rules);
    let names: BTreeSet<&GroupName> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
    let declared: BTreeMap<&GroupName, MembersOf<'_>> =
        names.into_iter().filter_map(|name| Some((name, members_of(rules.groups.get(name)?, inputs)))).collect();
    let is_observed = |name: &GroupName| rules.groups.get(name).is_some_and(|group| group.mode == Mode::Observe);
    let mut exclusions = ExclusionCheck::new(rules, inputs.current, plan);
    for (first, second) in pairs {
        let (Some(in_first), Some(in_second)) = (declared.get(first), declared.get(second)) else { continue };
        for (id, entry, other) in in_both(in_first, in_second) {
            let states = [exclusions.presence(first, id), exclusions.presence(second, id)];
            let reason = |group: &GroupName, entry: &DesiredMember, present| BlockedReason::Exclusive {
                group: group.clone(),
                origin: entry.origin.clone(),
                present,
            };
            // A person who is present in one of the groups keeps it, so only an exchange for the other one is held.
            let holds_all = !states.contains(&Presence::Present);
            if let [Presence::Joins(place), _] = states {
                exclusions.block(place, id, reason(second, other, false), holds_all);
            }
            if let [_, Presence::Joins(place)] = states {
                exclusions.block(place, id, reason(first, entry, false), holds_all);
            }
            if states == [Presence::Present; 2] {
                // Nothing is written to an observed group, so the other one has to change.
                let (name, of, why) = if is_observed(first) {
                    (second, other, reason(first, entry, true))
                } else {
                    (first, entry, reason(second, other, true))
                };
                let mode = rules.groups.get(name).map_or(Mode::Exact, |group| group.mode);
                exclusions.blocked.push(Blocked::new(name, mode, Some(of.person.clone()), &of.origin, why));
            }
        }
    }
    let mut blocked = exclusions.finish();
    // A person can be excluded by several groups. One reason is sufficient.
    let mut seen = BTreeSet::new();
    blocked.retain(|blocked| seen.insert((blocked.group.clone(), blocked.origin.clone())));
    plan.blocked.extend(blocked);
}

/// As [`check`], for an undo and a saved plan, which have changes but no lists.
pub(super) fn check_presence(rules: &Desired, current: &Observed, plan: &mut Plan) {
    let blocked = ExclusionCheck::new(rules, current, plan).finish();
    plan.blocked.extend(blocked);
}

/// The changes of one person, by the places of their groups in the plan.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Moves {
    leaves: BTreeSet<usize>,
    joins: BTreeSet<usize>,
}

/// A person who leaves groups before they join others.
struct Exchange {
    member: Member,
    moves: Moves,
}

struct ExclusionCheck<'a> {
    rules: &'a Desired,
    current: &'a Observed,
    plan: &'a mut Plan,
    places: BTreeMap<GroupName, usize>,
    /// The groups that exclude each group of the account.
    partners: BTreeMap<GroupId, Vec<GroupRef>>,
    blocked: Vec<Blocked>,
}

/// The state of a person who is declared in a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// The person joins the group at this place of the plan.
    Joins(usize),
    Present,
    /// The group is not planned or only observed, and the person is not in it.
    Unknown,
}

#[expect(clippy::indexing_slicing, reason = "each place is an index of the plan's groups, and none is removed")]
impl<'a> ExclusionCheck<'a> {
    fn new(rules: &'a Desired, current: &'a Observed, plan: &'a mut Plan) -> Self {
        let pairs = exclusive_pairs(rules);
        let named: BTreeSet<&GroupName> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
        let found = locate_groups(rules, current, |name| named.contains(name));
        // Each of several groups with the declared name may be the one that is meant.
        let ids = |name: &GroupName| match found.get(name) {
            Some(Ok(id)) => std::slice::from_ref(id),
            Some(Err(BlockedReason::AmbiguousGroup { candidates })) => candidates,
            _ => &[],
        };
        let mut partners: BTreeMap<GroupId, Vec<GroupRef>> = BTreeMap::new();
        for (name, other) in pairs.iter().flat_map(|(first, second)| [(*first, *second), (*second, *first)]) {
            for id in ids(name) {
                let others = ids(other).iter().map(|id| GroupRef { id: *id, name: other.clone() });
                partners.entry(*id).or_default().extend(others);
            }
        }
        let places = plan.groups.iter().enumerate().map(|(place, group)| (group.name.clone(), place)).collect();
        Self { rules, current, plan, places, partners, blocked: Vec::new() }
    }

    fn partners(&self, group: &GroupPlan) -> &[GroupRef] {
        self.partners.get(&group.id).map_or(&[], Vec::as_slice)
    }

    fn presence(&self, name: &GroupName, id: MemberId) -> Presence {
        match self.places.get(name) {
            Some(place) if self.plan.groups[*place].observed.contains_key(&id) => Presence::Present,
            Some(place) if addition(&self.plan.groups[*place], id).is_some() => Presence::Joins(*place),
            _ => Presence::Unknown,
        }
    }

    /// Everybody who joins a group that another one excludes, with all of their changes.
    fn moves(&self) -> BTreeMap<MemberId, Moves> {
        let groups = || self.plan.groups.iter().enumerate();
        let mut moves: BTreeMap<MemberId, Moves> = BTreeMap::new();
        for (place, group) in groups().filter(|(_, group)| self.partners.contains_key(&group.id)) {
            for change in group.additions() {
                moves.entry(change.member.id).or_default().joins.insert(place);
            }
        }
        for (place, group) in groups() {
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
    fn block(&mut self, place: usize, member: MemberId, reason: BlockedReason, holds_all: bool) {
        let group = &mut self.plan.groups[place];
        let Some(change) = group.take_additions(|change| change.member.id == member).pop() else { return };
        let declared = self.rules.groups.get(&group.name).into_iter().flat_map(|declared| &declared.members);
        let entry = declared.filter(|entry| entry.origin == change.origin).map(|entry| entry.person.clone()).next();
        let entry = entry.unwrap_or_else(|| change.member.person());
        self.blocked.push(Blocked::new(&group.name, group.mode, Some(entry), &change.origin, reason));
        let partners = self.partners.get(&group.id).cloned().unwrap_or_default();
        for other in &mut self.plan.groups {
            if holds_all || partners.iter().any(|partner| partner.id == other.id) {
                let is_exchanged = |leaving: &Change| leaving.member.id == member && leaving.expired.is_none();
                other.hold(|leaving| is_exchanged(leaving).then(|| change.origin.clone()));
            }
        }
    }

    fn finish(mut self) -> Vec<Blocked> {
        for (member, mut moves) in self.moves() {
            // An addition that is blocked holds removals, which can block another addition of the person.
            loop {
                let breaches = self.breaches(member, &moves);
                if breaches.is_empty() {
                    break;
                }
                for (place, reason) in breaches {
                    self.block(place, member, reason, true);
                    moves.joins.remove(&place);
                }
                moves.leaves.retain(|place| self.plan.groups[*place].removals().any(|it| it.member.id == member));
            }
        }
        self.plan.exchanges = loop {
            let exchanges = self.mark_exchanges();
            let slack = self.slack();
            let (order, stuck) = find_order(slack.clone(), &exchanges);
            let Some(reason) = self.obstacle(slack, &order, &stuck) else {
                break order.iter().map(|exchange| exchange.member.id).collect();
            };
            for Exchange { member, moves } in stuck {
                for place in &moves.joins {
                    self.block(*place, member.id, reason.clone(), true);
                }
            }
        };
        let mut pairs = Vec::new();
        for group in self.plan.groups.iter().filter(|group| group.additions().next().is_some()) {
            let partners = self.partners(group).iter().cloned();
            pairs.extend(partners.map(|other| ExclusivePair { group: group.reference(), other }));
        }
        self.plan.exclusive = pairs;
        self.blocked
    }

    /// The additions that would put the person into two groups, as far as the readings show. Notes the groups whose
    /// members decide about an addition and were not read.
    fn breaches(&mut self, member: MemberId, moves: &Moves) -> Vec<(usize, BlockedReason)> {
        let (mut breaches, mut unread) = (BTreeMap::new(), BTreeSet::new());
        for place in &moves.joins {
            for other in self.partners(&self.plan.groups[*place]) {
                let there = self.places.get(&other.name);
                let join = there.filter(|there| moves.joins.contains(there));
                let join = join.and_then(|there| addition(&self.plan.groups[*there], member));
                let members = self.current.memberships.get(&other.id);
                let cause = self.current.unreadable.get(&other.id);
                let group = other.name.clone();
                let reason = if let Some(join) = join {
                    BlockedReason::Exclusive { group, origin: join.origin.clone(), present: false }
                } else if let Some(members) = members {
                    if !members.contains_key(&member) || there.is_some_and(|there| moves.leaves.contains(there)) {
                        continue;
                    }
                    BlockedReason::ExclusiveMember { group, cause: None }
                } else if cause.is_some() {
                    BlockedReason::ExclusiveMember { group, cause: cause.cloned() }
                } else {
                    unread.insert(other.id);
                    continue;
                };
                breaches.entry(*place).or_insert(reason);
            }
        }
        self.plan.unread.extend(unread);
        breaches.into_iter().collect()
    }

    /// Marks each addition that waits for a removal. Returns the exchanges by address.
    fn mark_exchanges(&mut self) -> Vec<Exchange> {
        // A saved plan has the marks of the files that it was made from, and the newest files may exclude less.
        self.plan.groups.iter_mut().flat_map(|group| &mut group.changes).for_each(|change| change.after.clear());
        let mut exchanges = Vec::new();
        for (id, all) in self.moves() {
            let (mut member, mut moves) = (None, Moves::default());
            for place in all.joins {
                let leaves =
                    |other: &GroupRef| self.places.get(&other.name).copied().filter(|at| all.leaves.contains(at));
                let partners = self.partners(&self.plan.groups[place]);
                let after: Vec<GroupRef> = partners.iter().filter(|other| leaves(other).is_some()).cloned().collect();
                moves.leaves.extend(after.iter().filter_map(leaves));
                let is_it = |change: &&mut Change| change.action == Action::Add && change.member.id == id;
                let Some(change) = self.plan.groups[place].changes.iter_mut().find(is_it) else { continue };
                if !after.is_empty() {
                    moves.joins.insert(place);
                    member = Some(change.member.clone());
                }
                change.after = after;
            }
            exchanges.extend(member.map(|member| Exchange { member, moves }));
        }
        exchanges.sort_by_cached_key(|exchange| (exchange.member.email.clone(), exchange.member.id));
        exchanges
    }

    /// The number of members that each group can lose before the exchanges. All other additions are made before the
    /// exchanges, and all other removals after them.
    fn slack(&self) -> Vec<i64> {
        let of_group = |group: &GroupPlan| {
            let joined = group.additions().filter(|change| change.after.is_empty()).count();
            let least = i64::try_from(group.guards.least()).unwrap_or(i64::MAX);
            i64::try_from(group.observed.len() + joined).unwrap_or(i64::MAX) - least
        };
        self.plan.groups.iter().map(of_group).collect()
    }

    /// Why the remaining exchanges cannot be made after the others, if there are any.
    fn obstacle(&self, mut slack: Vec<i64>, order: &[&Exchange], stuck: &[&Exchange]) -> Option<BlockedReason> {
        order.iter().for_each(|exchange| shift(&mut slack, &exchange.moves, 1));
        let place = *stuck.iter().flat_map(|exchange| &exchange.moves.leaves).find(|place| slack[**place] < 1)?;
        let group = &self.plan.groups[place];
        let guard = if group.guards.min_members.is_some() { Guard::MinMembers } else { Guard::AllowEmpty };
        let people = stuck.iter().map(|exchange| exchange.member.clone()).collect();
        Some(BlockedReason::ExclusiveOrder { guard, group: group.name.clone(), people })
    }
}

/// Searches for an order of the exchanges in which no removal breaks a guard. Returns the longest one found, and the
/// exchanges that it does not have. People who leave and join the same groups are of one kind.
#[expect(clippy::indexing_slicing, reason = "all indices come from the lists themselves")]
fn find_order(mut slack: Vec<i64>, exchanges: &[Exchange]) -> (Vec<&Exchange>, Vec<&Exchange>) {
    let mut kinds: BTreeMap<&Moves, Vec<&Exchange>> = BTreeMap::new();
    for exchange in exchanges {
        kinds.entry(&exchange.moves).or_default().push(exchange);
    }
    let kinds: Vec<(&Moves, Vec<&Exchange>)> = kinds.into_iter().collect();
    let mut best: Vec<usize> = Vec::new();
    let mut seen: BTreeSet<Vec<usize>> = BTreeSet::new();
    // Depth first: the kinds so far, how many of each kind, and the next kind to try.
    let (mut path, mut used, mut next) = (Vec::new(), vec![0; kinds.len()], 0);
    loop {
        let is_free = |kind: &usize| {
            let (moves, of) = &kinds[*kind];
            used[*kind] < of.len() && moves.leaves.iter().all(|place| slack[*place] >= 1)
        };
        if let Some(kind) = (next..kinds.len()).find(is_free) {
            path.push(kind);
            used[kind] += 1;
            shift(&mut slack, kinds[kind].0, 1);
            // What follows a state that was seen before is known.
            next = if seen.insert(used.clone()) { 0 } else { kinds.len() };
            if path.len() > best.len() {
                best.clone_from(&path);
            }
        } else if seen.len() < MAX_STATES
            && best.len() < exchanges.len()
            && let Some(kind) = path.pop()
        {
            used[kind] -= 1;
            shift(&mut slack, kinds[kind].0, -1);
            next = kind + 1;
        } else {
            break;
        }
    }
    let mut people: Vec<_> = kinds.iter().map(|(_, of)| of.iter().copied()).collect();
    let order = best.into_iter().filter_map(|kind| people[kind].next()).collect();
    (order, people.into_iter().flatten().collect())
}

#[expect(clippy::indexing_slicing, reason = "a place is an index of the plan's groups, and each has a slack")]
fn shift(slack: &mut [i64], moves: &Moves, exchanges: i64) {
    moves.leaves.iter().for_each(|place| slack[*place] -= exchanges);
    moves.joins.iter().for_each(|place| slack[*place] += exchanges);
}

fn addition(group: &GroupPlan, member: MemberId) -> Option<&Change> {
    group.additions().find(|change| change.member.id == member)
}

/// Each pair of groups of which one excludes the other. The group with the rule comes first, or the first by name if
/// both have it.
fn exclusive_pairs(desired: &Desired) -> Vec<(&GroupName, &GroupName)> {
    let excludes = |name: &GroupName, other: &GroupName| {
        desired.groups.get(name).is_some_and(|group| group.rules.exclusive_with.contains_key(other))
    };
    let stated = desired
        .groups
        .iter()
        .flat_map(|(name, group)| group.rules.exclusive_with.keys().map(move |other| (name, other)));
    stated.filter(|(name, other)| name < other || !excludes(other, name)).collect()
}

fn members_of<'d>(group: &'d DesiredGroup, inputs: &Inputs<'_>) -> MembersOf<'d> {
    let mut members = MembersOf::new();
    for entry in group.members.iter().filter(|entry| entry.belongs_at(inputs.time)) {
        for id in inputs.people.may_mean(&entry.person) {
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
