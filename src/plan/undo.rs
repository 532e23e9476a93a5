//! The inverse of what a run did, as an ordinary plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::people::People;
use super::{
    Action, Blocked, BlockedReason, Change, GroupGuards, GroupPlan, Plan, PlanGuards, Policy, assemble, fingerprint,
    guards,
};
use crate::model::{Desired, GroupId, GroupName, MemberId, Membership, Mode, Observed, Origin, PersonRef};

/// What a run did to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The group's name at the time.
    pub name: GroupName,
    /// Everybody the run touched.
    pub before: BTreeMap<MemberId, Before>,
}

/// How it was before a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// Whether the member was in the group.
    pub was_member: bool,
    /// Which line of the journal says so.
    pub origin: Origin,
}

/// Plans to bring everybody a run touched back to where they were before it. Who is there already needs nothing, so
/// that an operation of unknown outcome is settled by what was read. The guards of the files hold.
#[must_use]
pub fn undo(
    reversals: &BTreeMap<GroupId, Reversal>,
    desired: &Desired,
    current: &Observed,
    policy: &Policy,
    time: Timestamp,
) -> Plan {
    let people = People::of(current);
    let (mut groups, mut blocked) = (Vec::new(), Vec::new());
    let planned =
        reversals.iter().filter(|(_, reversal)| policy.only.is_empty() || policy.only.contains(&reversal.name));
    for (id, reversal) in planned {
        match current.memberships.get(id) {
            Some(observed) => groups.push(reverse(*id, reversal, observed, desired, &people, &mut blocked)),
            None => blocked.extend(vanished(*id, reversal, current)),
        }
    }
    groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let mut plan = assemble(policy.account_id, groups, PlanGuards::of(&desired.settings), false, time);
    plan.blocked = blocked;
    guards::check_operations(&mut plan, &people);
    plan.recount();
    plan
}

fn vanished(id: GroupId, reversal: &Reversal, current: &Observed) -> Option<Blocked> {
    let origin = reversal.before.values().next()?.origin.clone();
    let reason = match current.unreadable.get(&id) {
        Some(cause) => BlockedReason::UnreadableGroup { cause: cause.clone() },
        None => BlockedReason::UnknownPin { pin: id, namesake: None },
    };
    Some(Blocked::new(reversal.name.clone(), None, origin, reason))
}

fn reverse(
    id: GroupId,
    reversal: &Reversal,
    observed: &Arc<Membership>,
    desired: &Desired,
    people: &People<'_>,
    blocked: &mut Vec<Blocked>,
) -> GroupPlan {
    let declared = desired.groups.get(&reversal.name);
    let mode = match declared.map(|group| group.mode) {
        Some(Mode::Observe) => Mode::Observe,
        // Undoing takes back additions, too: what the group's list means does not matter.
        Some(Mode::Exact | Mode::Additive) | None => Mode::Exact,
    };
    let (mut changes, mut removals) = (Vec::new(), Vec::new());
    let mut unresolved = false;
    for (member, before) in &reversal.before {
        let change = |action| Change::new(action, people.subject_with_id(*member), before.origin.clone());
        match (before.was_member, observed.contains_key(member)) {
            (true, false) => match people.resolve(&PersonRef::Id(*member)) {
                Ok(_) => changes.push(change(Action::Add)),
                Err(reason) => {
                    unresolved = true;
                    let (group, entry) = (reversal.name.clone(), Some(PersonRef::Id(*member)));
                    blocked.push(Blocked::new(group, entry, before.origin.clone(), reason));
                }
            },
            (false, true) => removals.push(change(Action::Remove)),
            (true, true) | (false, false) => {}
        }
    }
    let held = if unresolved { std::mem::take(&mut removals) } else { Vec::new() };
    changes.extend(removals);
    let first = reversal.before.values().next().map(|before| before.origin.clone());
    GroupPlan {
        id,
        name: reversal.name.clone(),
        mode,
        origin: first.unwrap_or_else(|| Origin { file: "".into(), line: 1, column: 1 }),
        guards: declared.map_or_else(
            || GroupGuards::undeclared(&desired.settings),
            |declared| GroupGuards::of(declared, &desired.settings),
        ),
        observed: Arc::clone(observed),
        fingerprint: fingerprint(observed.keys()),
        changes,
        held,
        operations: Vec::new(),
        required: None,
        barred: BTreeSet::new(),
        left_out: false,
        blocked: u64::from(unresolved),
    }
}
