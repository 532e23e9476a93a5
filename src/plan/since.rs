//! Distinguishes differences of the change under review from those that existed before.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, Plan, Since};
use crate::model::{GroupId, GroupName, MemberId, PersonRef};

/// Labels every difference of `plan`. `before` is the plan of the files before the change. A difference in both plans
/// existed before. So did a removal that was held before.
pub(super) fn label(plan: &mut Plan, before: &Plan) {
    let mut known: BTreeMap<GroupId, BTreeSet<(Action, MemberId)>> = BTreeMap::new();
    for group in &before.groups {
        let changes = group.changes.iter().chain(&group.held).map(key);
        known.entry(group.id).or_default().extend(changes);
    }
    for group in &mut plan.groups {
        let known = known.get(&group.id);
        for change in group.changes.iter_mut().chain(&mut group.held) {
            change.since = Some(since(known.is_some_and(|known| known.contains(&key(change)))));
        }
    }
    let mut was_blocked: BTreeMap<Subject<'_>, Vec<Discriminant<BlockedReason>>> = BTreeMap::new();
    for blocked in &before.blocked {
        was_blocked.entry(subject(blocked)).or_default().push(discriminant(&blocked.reason));
    }
    for blocked in &mut plan.blocked {
        let reasons = was_blocked.get(&subject(blocked));
        let was = reasons.is_some_and(|reasons| reasons.contains(&discriminant(&blocked.reason)));
        blocked.since = Some(since(was));
    }
}

type Subject<'p> = (&'p GroupName, Option<&'p PersonRef>);

const fn subject(blocked: &Blocked) -> Subject<'_> {
    (&blocked.group, blocked.entry.as_ref())
}

const fn key(change: &Change) -> (Action, MemberId) {
    (change.action, change.member.id)
}

const fn since(known: bool) -> Since {
    if known { Since::Before } else { Since::Change }
}
