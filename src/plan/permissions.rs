//! Compares what groups give with the `permissions` that the files pin.
//!
//! Nobody joins a group that gives something else. Removals are made, because they only take access away. A person
//! who moves to such a group keeps the old one until the move is possible, unless their time there has ended.

use std::collections::BTreeMap;

use super::blocked::{Blocked, BlockedReason, changed_permissions};
use super::contents::{Plan, PlanWarning, SideDoor};
use crate::model::{Desired, GroupId, GroupSummary, MemberId, Mode, Observed, Origin};

/// Blocks the additions to groups whose permissions differ from their pins, and warns of each such group.
pub(super) fn check(rules: &Desired, current: &Observed, plan: &mut Plan) {
    let mut movers: BTreeMap<MemberId, Origin> = BTreeMap::new();
    for group in &mut plan.groups {
        let pins = rules.groups.get(&group.name).and_then(|declared| declared.permissions.as_ref());
        let (Some(pins), Some(summary)) = (pins, current.groups.get(&group.id)) else { continue };
        let (lost, gained) = compare_permissions(&pins.value, summary);
        if lost.is_empty() && gained.is_empty() {
            continue;
        }
        let message = format!("{} {}", group.name, changed_permissions(&lost, &gained));
        let help = "find out who changed the group's policies, then correct them or `permissions`; \
                    `convoke export --permissions` writes the present ones";
        let warning = PlanWarning::new(message, help, pins.origin.clone());
        plan.warnings.push(PlanWarning { difference: Some(SideDoor::Permissions), ..warning });
        if group.mode == Mode::Observe {
            continue;
        }
        for join in group.take_additions(|_| true) {
            let reason = BlockedReason::Permissions { lost: lost.clone(), gained: gained.clone() };
            let person = Some(join.member.person());
            plan.blocked.push(Blocked::new(&group.name, group.mode, person, &join.origin, reason));
            movers.entry(join.member.id).or_insert(join.origin);
        }
    }
    for group in &mut plan.groups {
        group.hold(|change| movers.get(&change.member.id).filter(|_| change.expired.is_none()).cloned());
    }
    plan.blocked.sort_by(|a, b| a.group.cmp(&b.group));
}

pub(super) fn pins(desired: &Desired, plan: &Plan) -> BTreeMap<GroupId, Vec<String>> {
    let joined = plan.groups.iter().filter(|group| group.additions().next().is_some());
    let pins = joined.filter_map(|group| Some((group.id, desired.groups.get(&group.name)?.permissions.as_ref()?)));
    pins.map(|(id, pins)| (id, pins.value.clone())).collect()
}

impl Plan {
    /// How a group's permissions differ from the pins that the plan was made with, in words.
    pub fn changed_permissions(&self, id: GroupId, group: &GroupSummary) -> Option<String> {
        let (lost, gained) = compare_permissions(self.permissions.get(&id)?, group);
        (!(lost.is_empty() && gained.is_empty())).then(|| changed_permissions(&lost, &gained))
    }
}

/// The pins that nothing gives, and the grants that no pin names.
pub fn compare_permissions(pins: &[String], group: &GroupSummary) -> (Vec<String>, Vec<String>) {
    let grants = group.grants();
    let lost = pins.iter().filter(|pin| !grants.iter().any(|grant| grant.is(pin))).cloned();
    let gained = grants.iter().filter(|grant| !pins.iter().any(|pin| grant.is(pin))).map(|grant| grant.pin());
    (lost.collect(), gained.collect())
}
