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
use crate::model::{Desired, DesiredMember, GroupId, GroupName, GroupRef, Member, MemberId, Mode, Observed};

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
    let names: BTreeSet<&GroupName> = pairs.as_flattened().iter().copied().collect();
    let mut declared: BTreeMap<&GroupName, MembersOf<'_>> = BTreeMap::new();
    for (name, group) in rules.groups.iter().filter(|(name, _)| names.contains(name)) {
        let members = declared.entry(name).or_default();
        for entry in group.members.iter().filter(|entry| entry.belongs_at(inputs.time)) {
            for id in inputs.people.may_mean(&entry.person) {
                members.entry(id).or_insert(entry);
            }
        }
    }
    let blocked = already_in_both(&pairs, &declared, &plan.groups);
    plan.blocked.extend(blocked);
    ExclusionCheck::new(rules, inputs.current, plan, declared).finish();
}

/// As [`check`], for an undo and a saved plan, which have changes but no lists.
pub(super) fn check_presence(rules: &Desired, current: &Observed, plan: &mut Plan) {
    ExclusionCheck::new(rules, current, plan, BTreeMap::new()).finish();
}

/// Everybody who is declared in two groups that exclude each other, and present in both.
fn already_in_both(
    pairs: &[[&GroupName; 2]],
    declared: &BTreeMap<&GroupName, MembersOf<'_>>,
    groups: &[GroupPlan],
) -> Vec<Blocked> {
    let planned: BTreeMap<&GroupName, &GroupPlan> = groups.iter().map(|group| (&group.name, group)).collect();
    let (mut blocked, mut seen) = (Vec::new(), BTreeSet::new());
    for [first, second] in pairs {
        let (Some(first), Some(second)) = (planned.get(first), planned.get(second)) else { continue };
        // Nothing is written to an observed group, so the other one has to change.
        let (group, other) = if first.mode == Mode::Observe { (second, first) } else { (first, second) };
        let (Some(here), Some(there)) = (declared.get(&group.name), declared.get(&other.name)) else { continue };
        // Iterate over the smaller list, so that a large group that many groups exclude costs little.
        let ids = if here.len() <= there.len() { here.keys() } else { there.keys() };
        for id in ids.filter(|id| group.observed.contains_key(id) && other.observed.contains_key(id)) {
            let (Some(entry), Some(kept)) = (here.get(id), there.get(id)) else { continue };
            // A person can be excluded by several groups. One reason is sufficient.
            if seen.insert((&group.name, &entry.origin)) {
                let (name, origin) = (other.name.clone(), kept.origin.clone());
                let reason = BlockedReason::Exclusive { group: name, origin, present: true };
                blocked.push(Blocked::new(&group.name, group.mode, Some(entry.person.clone()), &entry.origin, reason));
            }
        }
    }
    blocked
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
    current: &'a Observed,
    plan: &'a mut Plan,
    /// The groups that exclude each group of the account.
    partners: BTreeMap<GroupId, Vec<GroupRef>>,
    declared: BTreeMap<&'a GroupName, MembersOf<'a>>,
}

#[expect(clippy::indexing_slicing, reason = "each place is an index of the plan's groups, and none is removed")]
impl<'a> ExclusionCheck<'a> {
    fn new(
        rules: &'a Desired,
        current: &'a Observed,
        plan: &'a mut Plan,
        declared: BTreeMap<&'a GroupName, MembersOf<'a>>,
    ) -> Self {
        let pairs = exclusive_pairs(rules);
        let found = locate_groups(rules, current, |name| pairs.as_flattened().contains(&name));
        // Each of several groups with the declared name may be the one that is meant.
        let ids = |name: &GroupName| match found.get(name) {
            Some(Ok(id)) => std::slice::from_ref(id),
            Some(Err(BlockedReason::AmbiguousGroup { candidates })) => candidates,
            _ => &[],
        };
        let mut partners: BTreeMap<GroupId, Vec<GroupRef>> = BTreeMap::new();
        for (name, other) in pairs.iter().flat_map(|[first, second]| [(*first, *second), (*second, *first)]) {
            for id in ids(name) {
                let others = ids(other).iter().map(|id| GroupRef { id: *id, name: other.clone() });
                partners.entry(*id).or_default().extend(others);
            }
        }
        Self { current, plan, partners, declared }
    }

    fn partners(&self, group: &GroupPlan) -> &[GroupRef] {
        self.partners.get(&group.id).map_or(&[], Vec::as_slice)
    }

    /// Blocks an addition. The removals that the plan exchanges for it are held: all of the person's, or those from
    /// groups that exclude this one. A removal by an ended entry waits for no addition.
    fn block(&mut self, place: usize, member: MemberId, reason: BlockedReason, holds_all: bool) {
        let group = &mut self.plan.groups[place];
        let Some(change) = group.take_additions(|change| change.member.id == member).pop() else { return };
        let entry = self.declared.get(&group.name).and_then(|members| members.get(&member));
        let person = entry.map_or_else(|| change.member.person(), |entry| entry.person.clone());
        self.plan.blocked.push(Blocked::new(&group.name, group.mode, Some(person), &change.origin, reason));
        let partners = self.partners.get(&group.id).cloned().unwrap_or_default();
        for other in &mut self.plan.groups {
            if holds_all || partners.iter().any(|partner| partner.id == other.id) {
                let is_exchanged = |leaving: &Change| leaving.member.id == member && leaving.expired.is_none();
                other.hold(|leaving| is_exchanged(leaving).then(|| change.origin.clone()));
            }
        }
    }

    fn finish(mut self) {
        // An addition that is blocked holds removals, which can block another addition of the person.
        loop {
            let breaches = self.breaches();
            if breaches.is_empty() {
                break;
            }
            for ((member, place), (reason, holds_all)) in breaches {
                self.block(place, member, reason, holds_all);
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
    }

    /// The additions that would put somebody into two groups, as far as the files and the readings show; and whether each
    /// holds all removals of the person. Notes the groups whose members decide about an addition and were not read.
    fn breaches(&mut self) -> BTreeMap<(MemberId, usize), (BlockedReason, bool)> {
        let groups = self.plan.groups.iter().filter(|group| self.partners.contains_key(&group.id));
        let planned = groups.flat_map(|group| group.carried_out().map(|change| ((group.id, change.member.id), change)));
        let planned: BTreeMap<(GroupId, MemberId), &Change> = planned.collect();
        let (mut breaches, mut unread) = (BTreeMap::new(), BTreeSet::new());
        for (place, group) in self.plan.groups.iter().enumerate() {
            let partners = self.partners(group);
            for (id, other) in group.additions().flat_map(|it| partners.iter().map(|other| (it.member.id, other))) {
                let there = planned.get(&(other.id, id));
                let join = there.filter(|change| change.action == Action::Add).map(|change| &change.origin);
                let entry = self.declared.get(&other.name).and_then(|members| members.get(&id));
                let members = self.current.memberships.get(&other.id);
                let is_present = members.is_some_and(|members| members.contains_key(&id));
                let cause = self.current.unreadable.get(&other.id).cloned();
                let name = other.name.clone();
                let reason = if let Some(origin) = entry.map(|entry| &entry.origin).or(join) {
                    BlockedReason::Exclusive { group: name, origin: origin.clone(), present: false }
                } else if is_present && there.is_none() || cause.is_some() {
                    BlockedReason::ExclusiveMember { group: name, cause }
                } else {
                    unread.extend(members.is_none().then_some(other.id));
                    continue;
                };
                // A person who is declared and present in the other group keeps it, so only an exchange for it is held.
                breaches.entry((id, place)).or_insert((reason, entry.is_none() || !is_present));
            }
        }
        self.plan.unread.extend(unread);
        breaches
    }

    /// Marks each addition that waits for a removal. Returns the exchanges by address.
    fn mark_exchanges(&mut self) -> Vec<Exchange> {
        let mut leaving: BTreeMap<(GroupId, MemberId), usize> = BTreeMap::new();
        let groups = self.plan.groups.iter().enumerate();
        for (place, group) in groups.filter(|(_, group)| self.partners.contains_key(&group.id)) {
            leaving.extend(group.removals().map(|change| ((group.id, change.member.id), place)));
        }
        let mut exchanges: BTreeMap<MemberId, Exchange> = BTreeMap::new();
        for (place, group) in self.plan.groups.iter_mut().enumerate().filter(|(_, it)| it.mode != Mode::Observe) {
            let partners = self.partners.get(&group.id).map_or(&[][..], Vec::as_slice);
            for change in group.changes.iter_mut().filter(|change| change.action == Action::Add) {
                let id = change.member.id;
                let left = |other: &GroupRef| leaving.get(&(other.id, id));
                change.after = partners.iter().filter(|other| left(other).is_some()).cloned().collect();
                if !change.after.is_empty() {
                    let new = || Exchange { member: change.member.clone(), moves: Moves::default() };
                    let moves = &mut exchanges.entry(id).or_insert_with(new).moves;
                    moves.joins.insert(place);
                    moves.leaves.extend(change.after.iter().filter_map(left));
                }
            }
        }
        let mut exchanges: Vec<Exchange> = exchanges.into_values().collect();
        exchanges.sort_by_cached_key(|exchange| (exchange.member.email.clone(), exchange.member.id));
        exchanges
    }

    /// The number of members that each group can lose before the exchanges. All other additions are made before the
    /// exchanges, and all other removals after them.
    fn slack(&self) -> Vec<i64> {
        let of_group = |group: &GroupPlan| {
            let joined = group.additions().filter(|change| change.after.is_empty()).count();
            let members = 0_i64.saturating_add_unsigned((group.observed.len() + joined) as u64);
            members.saturating_sub_unsigned(group.guards.least())
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

/// Each pair of groups of which one excludes the other. The group with the rule comes first, or the first by name if
/// both have it.
fn exclusive_pairs(desired: &Desired) -> Vec<[&GroupName; 2]> {
    let mut pairs = Vec::new();
    for (name, group) in &desired.groups {
        for other in group.rules.exclusive_with.keys() {
            let is_said_there = desired.groups.get(other).is_some_and(|it| it.rules.exclusive_with.contains_key(name));
            if name < other || !is_said_there {
                pairs.push([name, other]);
            }
        }
    }
    pairs
}
