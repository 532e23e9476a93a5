//! Distinguishes differences of the change under review from those that existed before.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};

use super::blocked::{Blocked, BlockedReason};
use super::change::{Asked, AskedGroup, Says};
use super::contents::{Action, Plan, Since};
use super::people::People;
use crate::model::{GroupId, GroupName, MemberId, PersonRef};

/// Labels every difference: exactly what the change asks for is this change.
pub(super) fn label(plan: &mut Plan, asked: &Asked<'_>, people: &People<'_>) {
    for group in &mut plan.groups {
        let asked = asked.group(&group.name);
        let all = group.changes.iter_mut().chain(&mut group.held).chain(&mut group.left_alone);
        for change in all {
            let found = asked.map(|group| (group, group.entries(people.texts(change.member.id))));
            change.since = Some(since(found.as_ref().is_some_and(|(group, entries)| group.touches(entries))));
            // The limits count access that only this change has ended.
            let was_in = |end| found.as_ref().is_some_and(|(group, entries)| group.said(entries, end) == Says::In);
            change.exempt &= change.expired.is_some_and(|end| !was_in(end));
        }
    }
    for left_out in &mut plan.left_out {
        left_out.change.since = Some(Since::Change);
    }
    for blocked in &mut plan.blocked {
        let touches = |group: &AskedGroup<'_>| match &blocked.entry {
            Some(person) => group.touches_name(person),
            None => group.base.is_none(),
        };
        blocked.since = Some(since(asked.group(&blocked.group).is_some_and(touches)));
    }
}

/// Compares with the plan of the files before the change: which entries were not blocked yet, and which removals were
/// held.
pub(super) fn compare(plan: &mut Plan, before: &Plan) {
    let held: BTreeSet<(GroupId, MemberId)> =
        before.groups.iter().flat_map(|group| group.held.iter().map(|change| (group.id, change.member.id))).collect();
    for group in &mut plan.groups {
        let removals = group.changes.iter_mut().filter(|change| change.action == Action::Remove);
        for change in removals.filter(|change| change.since == Some(Since::Before)) {
            change.released = held.contains(&(group.id, change.member.id));
        }
    }
    let mut was_blocked: BTreeMap<Subject<'_>, Vec<Discriminant<BlockedReason>>> = BTreeMap::new();
    for blocked in &before.blocked {
        was_blocked.entry(subject(blocked)).or_default().push(discriminant(&blocked.reason));
    }
    for blocked in &mut plan.blocked {
        let reasons = was_blocked.get(&subject(blocked));
        if !reasons.is_some_and(|reasons| reasons.contains(&discriminant(&blocked.reason))) {
            blocked.since = Some(Since::Change);
        }
    }
}

type Subject<'p> = (&'p GroupName, Option<&'p PersonRef>);

const fn subject(blocked: &Blocked) -> Subject<'_> {
    (&blocked.group, blocked.entry.as_ref())
}

const fn since(touched: bool) -> Since {
    if touched { Since::Change } else { Since::Before }
}
