//! Tells differences that a change under review causes from those that were there before it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Change, Plan, Since};
use crate::model::{GroupId, MemberId};

/// Labels every difference of `plan`, given the plan for the files before the change: what both have was there
/// before. A removal that was held before was there before, too.
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
    for blocked in &mut plan.blocked {
        let was = before
            .blocked
            .iter()
            .any(|old| old.group == blocked.group && old.entry == blocked.entry && old.reason == blocked.reason);
        blocked.since = Some(since(was));
    }
}

fn key(change: &Change) -> (Action, MemberId) {
    (change.action, change.member.id)
}

fn since(known: bool) -> Since {
    if known { Since::Before } else { Since::Change }
}
