//! Blocks additions that would put one person into two groups that exclude each other.
//!
//! The files are checked before planning, but an address and an id can be compared only with the account. A blocked
//! addition holds no removal, because the person is known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::blocked::{Blocked, BlockedReason};
use super::compare::Compared;
use super::contents::{Action, GroupPlan};
use super::people::People;
use crate::model::{Desired, DesiredGroup, DesiredMember, GroupName, MemberId, Mode, PersonRef};

/// The people who belong to a group now, each with the first entry that names them.
type MembersOf<'d> = BTreeMap<MemberId, &'d DesiredMember>;

/// Blocks the additions that `exclusive_with` forbids. Reports everybody who is already in two such groups; both
/// memberships stay.
pub(super) fn check(desired: &Desired, people: &People<'_>, time: Timestamp, compared: &mut Compared) {
    let pairs = exclusive_pairs(desired);
    let names: BTreeSet<&GroupName> = pairs.iter().flat_map(|(first, second)| [*first, *second]).collect();
    let declared: BTreeMap<&GroupName, MembersOf<'_>> =
        names.into_iter().filter_map(|name| Some((name, declared(desired.groups.get(name)?, people, time)))).collect();
    let places: BTreeMap<GroupName, usize> =
        compared.groups.iter().enumerate().map(|(place, group)| (group.name.clone(), place)).collect();
    let mut blocked = Vec::new();
    let mut forbidden: BTreeMap<usize, BTreeSet<MemberId>> = BTreeMap::new();
    let mode = |name: &GroupName| desired.groups.get(name).map_or(Mode::Exact, |group| group.mode);
    for (first, second) in pairs {
        let (Some(in_first), Some(in_second)) = (declared.get(first), declared.get(second)) else { continue };
        let place = |name| places.get(name).copied();
        let plan = |name| place(name).and_then(|place| compared.groups.get(place));
        for (id, entry, other) in in_both(in_first, in_second) {
            let states = (presence(plan(first), id), presence(plan(second), id));
            let mut report =
                |name: &GroupName, of: &DesiredMember, with: &GroupName, because: &DesiredMember, present| {
                    let reason =
                        BlockedReason::Exclusive { group: with.clone(), origin: because.origin.clone(), present };
                    let entry = Blocked::new(name.clone(), Some(of.person.clone()), of.origin.clone(), reason);
                    blocked.push(Blocked { mode: mode(name), ..entry });
                };
            if states.0 == Presence::Joins {
                report(first, entry, second, other, false);
                forbidden.entry(place(first).unwrap_or_default()).or_default().insert(id);
            }
            if states.1 == Presence::Joins {
                report(second, other, first, entry, false);
                forbidden.entry(place(second).unwrap_or_default()).or_default().insert(id);
            }
            if states == (Presence::Present, Presence::Present) {
                // Nothing is written to an observed group, so the other one has to change.
                match mode(first) == Mode::Observe {
                    true => report(second, other, first, entry, true),
                    false => report(first, entry, second, other, true),
                }
            }
        }
    }
    for (place, members) in forbidden {
        let Some(group) = compared.groups.get_mut(place) else { continue };
        group.changes.retain(|change| change.action != Action::Add || !members.contains(&change.member.id));
        if let Some(required) = &mut group.required {
            required.retain(|member| !members.contains(member));
        }
    }
    // A person can be excluded by several groups. One reason is sufficient.
    let mut seen = BTreeSet::new();
    blocked.retain(|blocked| seen.insert((blocked.group.clone(), blocked.origin.clone())));
    compared.blocked.extend(blocked);
    compared.blocked.sort_by(|a, b| a.group.cmp(&b.group));
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

fn declared<'d>(group: &'d DesiredGroup, people: &People<'_>, time: Timestamp) -> MembersOf<'d> {
    let mut declared = MembersOf::new();
    for entry in group.members.iter().filter(|entry| entry.belongs_at(time)) {
        // An entry could mean any member who shares the address.
        let ids = match &entry.person {
            PersonRef::Id(id) => vec![*id],
            PersonRef::Email(email) => people.with_email(email),
        };
        for id in ids {
            declared.entry(id).or_insert(entry);
        }
    }
    declared
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

fn presence(group: Option<&GroupPlan>, id: MemberId) -> Presence {
    match group {
        Some(group) if group.observed.contains_key(&id) => Presence::Present,
        Some(group) if group.mode != Mode::Observe && joins(group, id) => Presence::Joins,
        _ => Presence::Unknown,
    }
}

fn joins(group: &GroupPlan, id: MemberId) -> bool {
    group.changes.iter().any(|change| change.action == Action::Add && change.member.id == id)
}
