//! Plans of `--due`: each group stands alone. What a guard refuses is left out, and the rest is made.

use std::collections::{BTreeMap, BTreeSet};

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, LeftOut, LeftOutKind, Plan};
use super::group;
use super::group::GroupPlan;
use super::guards::{self, Guard};
use crate::model::{GroupId, GroupSummary, MemberId};

/// Blocks each pinned group that has another name now, so that it is named even if nothing is due in it.
pub(super) fn block_renamed(plan: &mut Plan, groups: &BTreeMap<GroupId, GroupSummary>) {
    for (id, pin, name) in guards::renamed_pins(&plan.guards, groups) {
        let Some(origin) = &pin.origin else { continue };
        let reason = BlockedReason::RenamedPin { pin: id, name: name.clone() };
        let mode = plan.groups.iter_mut().find(|group| group.id == id).map(|group| {
            group.blocked += 1;
            group.mode
        });
        plan.blocked.push(Blocked::new(&pin.value, mode.unwrap_or_default(), None, origin, reason));
    }
}

/// Leaves out the removals that the guards refuse, and those beyond the number that one run makes. The digest stays,
/// because it covers everything that is due.
pub(super) fn leave_out_refused(plan: &mut Plan) {
    for refusal in std::mem::take(&mut plan.refusals) {
        let concerns = |change: &Change| match refusal.guard {
            Guard::PinnedName => true,
            Guard::Protected | Guard::Oneself => refusal.concerns.contains(&change.member.id),
            // `min_members` and `allow_empty` allow some of the removals, and are asked below. The refusals of the others
            // are dropped.
            _ => false,
        };
        let is_refused = |change: &Change| change.action == Action::Remove && concerns(change);
        let groups = plan.groups.iter_mut();
        for group in groups.filter(|group| refusal.group.as_ref().is_none_or(|name| *name == group.name)) {
            plan.left_out.extend(group.leave_out(LeftOutKind::Guard, &refusal.reason(), is_refused));
        }
    }
    keep_guards(plan);
    leave_out_beyond_cap(plan);
    // A join waits for a removal from a group that excludes it. Without the join, its own group has fewer members.
    while leave_out_waiting(plan) {
        keep_guards(plan);
    }
    let joining = plan.groups.iter().flat_map(GroupPlan::additions).filter(|change| !change.after.is_empty());
    let waiting: BTreeSet<MemberId> = joining.map(|change| change.member.id).collect();
    plan.exchanges.retain(|member| waiting.contains(member));
    plan.left_out.sort_by_cached_key(|it| (it.kind, it.group.clone(), by_end(&it.change)));
    group::decide(&mut plan.groups, plan.due);
}

/// Plans the removals again that were left out only because one run makes no more.
pub(super) fn lift_cap(plan: &mut Plan) {
    for LeftOut { group, change, .. } in plan.left_out.extract_if(.., |left_out| left_out.kind == LeftOutKind::Cap) {
        if let Some(group) = plan.groups.iter_mut().find(|planned| planned.name == group) {
            group.barred.insert(change.member.id);
            group.changes.push(change);
        }
    }
    group::decide(&mut plan.groups, plan.due);
}

/// The order in which removals are made: the earliest end first, then by address.
fn by_end(change: &Change) -> impl Ord + use<> {
    (change.expired, change.member.email.clone(), change.member.id)
}

/// Leaves as many removals of each group as `min_members` and `allow_empty` allow.
fn keep_guards(plan: &mut Plan) {
    for group in &mut plan.groups {
        while let Some(refusal) = guards::too_few(group).first() {
            let Some(last) = group.removals().max_by_key(|change| by_end(change)).map(|change| change.member.id) else {
                break;
            };
            let is_last = |change: &Change| change.member.id == last;
            plan.left_out.extend(group.leave_out(LeftOutKind::Guard, &refusal.reason(), is_last));
        }
    }
}

/// Leaves out the removals beyond those that one run makes.
fn leave_out_beyond_cap(plan: &mut Plan) {
    let allowed = usize::try_from(plan.guards.removals_allowed()).unwrap_or(usize::MAX);
    let place =
        |(group, change): (&GroupPlan, &Change)| (by_end(change), group.name.clone(), group.id, change.member.id);
    let mut all: Vec<_> = plan.removals().map(place).collect();
    all.sort();
    let beyond: BTreeSet<(GroupId, MemberId)> =
        all.into_iter().skip(allowed).map(|(.., group, member)| (group, member)).collect();
    let reason = guards::cap(&plan.guards);
    for group in &mut plan.groups {
        let id = group.id;
        let is_beyond = |change: &Change| beyond.contains(&(id, change.member.id));
        plan.left_out.extend(group.leave_out(LeftOutKind::Cap, &reason, is_beyond));
    }
}

/// Leaves out each join that waits for a removal that is not made. Returns whether there was one.
fn leave_out_waiting(plan: &mut Plan) -> bool {
    let leaving: BTreeSet<(GroupId, MemberId)> =
        plan.removals().map(|(group, change)| (group.id, change.member.id)).collect();
    let before = plan.left_out.len();
    for group in &mut plan.groups {
        let reason = "the member stays in a group that excludes this one";
        let waits_in_vain =
            |change: &Change| change.after.iter().any(|other| !leaving.contains(&(other.id, change.member.id)));
        plan.left_out.extend(group.leave_out(LeftOutKind::Guard, reason, waits_in_vain));
    }
    plan.left_out.len() > before
}
