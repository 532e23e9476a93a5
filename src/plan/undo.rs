//! Plans the inverse of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, GroupPlan, Plan};
use super::guards::{GroupGuards, PlanGuards};
use super::located::locate_groups;
use super::people::People;
use super::{Policy, assemble, guards, permissions};
use crate::model::{
    Desired, DesiredGroup, GroupId, GroupName, MemberId, Membership, Mode, Observed, Origin, PersonRef,
};

/// Marks a change for which the journal does not prove that the run made it.
const UNPROVEN: &str = "possibly by somebody else";

/// The attempted changes of a run in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The group's name at the time.
    pub name: GroupName,
    pub attempts: BTreeMap<MemberId, AttemptedChange>,
}

/// A change that a run attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptedChange {
    /// Whether the run added the member; otherwise it removed the member.
    pub added: bool,
    /// Whether the journal proves that the run made the change.
    pub proven: bool,
    /// The line of the journal that announces it.
    pub origin: Origin,
}

/// Plans the inverse of every attempted change whose effect is present now, even if somebody else made it.
///
/// Guards and mode come from the files that declare the group now, found by its id. Groups that are observed or
/// undeclared are planned as observed: the plan shows them, and applying does not change them.
#[must_use]
pub fn undo(
    reversals: &BTreeMap<GroupId, Reversal>,
    desired: &Desired,
    current: &Observed,
    policy: &Policy,
    time: Timestamp,
) -> Plan {
    let people = People::of(current);
    let declared = locate_groups(desired, current, |_| true);
    let names: BTreeMap<GroupId, &GroupName> =
        declared.iter().filter_map(|(name, target)| Some((*target.as_ref().ok()?, name))).collect();
    let (mut groups, mut blocked) = (Vec::new(), Vec::new());
    for (id, reversal) in reversals {
        let name = names.get(id).copied();
        let known_as = [Some(&reversal.name), name, current.groups.get(id).map(|group| &group.name)];
        if !policy.only.is_empty() && !known_as.into_iter().flatten().any(|name| policy.only.contains(name)) {
            continue;
        }
        let group = name.and_then(|name| Some((name, desired.groups.get(name)?)));
        match current.memberships.get(id) {
            Some(observed) => {
                let name = name.or(known_as[2]).unwrap_or(&reversal.name);
                let guards = match group {
                    Some((_, group)) => GroupGuards::of(group, &desired.settings),
                    None => GroupGuards::undeclared(&desired.settings),
                };
                let declared = group.map(|(_, group)| group);
                let undoing = Undoing { id: *id, name, reversal, declared, guards, observed };
                groups.push(undoing.plan(&people, &mut blocked));
            }
            None => blocked.extend(vanished(*id, reversal, current)),
        }
    }
    groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let warnings = permissions::check(desired, current, &mut groups, &mut blocked);
    let planned: BTreeSet<GroupId> = groups.iter().map(|group| group.id).collect();
    let mut plan = assemble(policy.account_id, groups, PlanGuards::of(&desired.settings), false, time);
    plan.blocked = blocked;
    plan.warnings = warnings;
    plan.permissions = permissions::pins(desired, &plan);
    guards::check_operations(&mut plan, &people);
    let touched = declared.into_iter().filter(|(_, target)| target.as_ref().is_ok_and(|id| planned.contains(id)));
    guards::check_account(&mut plan, desired, current, &touched.collect());
    if !policy.accept_self {
        guards::check_token_user(&mut plan, current, &people);
    }
    plan.recount();
    plan
}

fn vanished(id: GroupId, reversal: &Reversal, current: &Observed) -> Option<Blocked> {
    let origin = reversal.attempts.values().next()?.origin.clone();
    let reason = match current.unreadable.get(&id) {
        Some(cause) => BlockedReason::UnreadableGroup { cause: cause.clone() },
        None => BlockedReason::UnknownPin { pin: id, namesake: None },
    };
    Some(Blocked::new(reversal.name.clone(), None, origin, reason))
}

/// The state of one group's undo.
struct Undoing<'a> {
    id: GroupId,
    name: &'a GroupName,
    reversal: &'a Reversal,
    declared: Option<&'a DesiredGroup>,
    guards: GroupGuards,
    observed: &'a Arc<Membership>,
}

impl Undoing<'_> {
    fn plan(self, people: &People<'_>, blocked: &mut Vec<Blocked>) -> GroupPlan {
        let (mut changes, mut removals) = (Vec::new(), Vec::new());
        let mut unresolved = false;
        for (member, attempt) in &self.reversal.attempts {
            if self.observed.contains_key(member) != attempt.added {
                continue;
            }
            if attempt.added {
                removals.push(change(Action::Remove, *member, attempt, people));
                continue;
            }
            match people.resolve(&PersonRef::Id(*member)) {
                Ok(_) => changes.push(change(Action::Add, *member, attempt, people)),
                Err(reason) => {
                    unresolved = true;
                    let (group, entry) = (self.name.clone(), Some(PersonRef::Id(*member)));
                    blocked.push(Blocked::new(group, entry, attempt.origin.clone(), reason));
                }
            }
        }
        let held = if unresolved { std::mem::take(&mut removals) } else { Vec::new() };
        let mode = self.declared.map_or(Mode::Observe, |group| group.mode);
        // In an additive group, only the members whom the run removed count.
        let required = changes.iter().map(|change: &Change| change.member.id).collect();
        changes.extend(removals);
        let first = self.reversal.attempts.values().next().map(|attempt| attempt.origin.clone());
        let origin = self.declared.map(|group| group.origin.clone()).or(first);
        let origin = origin.unwrap_or_else(|| Origin { file: "".into(), line: 1, column: 1 });
        GroupPlan {
            changes,
            held,
            required: (mode == Mode::Additive).then_some(required),
            blocked: u64::from(unresolved),
            ..GroupPlan::new(self.id, self.name, mode, &origin, self.guards, self.observed)
        }
    }
}

fn change(action: Action, member: MemberId, attempt: &AttemptedChange, people: &People<'_>) -> Change {
    Change {
        reason: (!attempt.proven).then(|| UNPROVEN.into()),
        ..Change::new(action, people.subject_with_id(member), attempt.origin.clone())
    }
}
