//! The limits on removals while a plan is applied. A limit may be a percentage of the present members, which
//! decreases if a newer reading shows fewer members.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::locked;
use crate::model::{GroupId, Limit};
use crate::plan::{GroupPlan, Plan};

/// The removals and the present members of every group, by the latest reading.
pub(super) struct Limits<'a> {
    plan: &'a Plan,
    /// Whether `--accept` lifts the limits of this plan.
    are_lifted: bool,
    counted: Mutex<Counted>,
}

/// The removals from a group, and the number of members that a percentage refers to.
#[derive(Clone, Copy, Default)]
pub(super) struct RemovalCount {
    /// The members that this run has removed or may have removed.
    pub removed: u64,
    /// The members that the group would have without this run.
    pub present: u64,
}

#[derive(Default)]
struct Counted {
    groups: BTreeMap<GroupId, RemovalCount>,
    /// The sum over the groups.
    total: RemovalCount,
}

impl<'a> Limits<'a> {
    pub fn new(plan: &'a Plan, are_lifted: bool) -> Self {
        let mut counted = Counted::default();
        for group in &plan.groups {
            counted.set(group.id, RemovalCount { removed: 0, present: group.observed.len() as u64 });
        }
        Self { plan, are_lifted, counted: Mutex::new(counted) }
    }

    /// Records a group's removals and present members.
    pub fn note(&self, group: GroupId, count: RemovalCount) {
        locked(&self.counted).set(group, count);
    }

    /// Checks the next removal, which `count` already includes. Records `count`, or returns the limit that forbids it.
    pub fn count(&self, group: &GroupPlan, count: RemovalCount) -> Result<(), String> {
        let mut counted = locked(&self.counted);
        if !self.are_lifted {
            self.check(group, count, counted.total_with(group.id, count))?;
        }
        counted.set(group.id, count);
        Ok(())
    }

    fn check(&self, group: &GroupPlan, count: RemovalCount, total: RemovalCount) -> Result<(), String> {
        let allowed = group.guards.removals_allowed(count.present);
        within("group_removals", "members", group.guards.group_removals.value, count, allowed)?;
        if !self.plan.removes_from_several_groups() {
            return Ok(());
        }
        let allowed = self.plan.guards.removals_allowed(total.present);
        within("total_removals", "memberships", self.plan.guards.total_removals.value, total, allowed)
    }
}

impl Counted {
    /// The sum over all groups, with this value for the given group.
    fn total_with(&self, group: GroupId, count: RemovalCount) -> RemovalCount {
        let known = self.groups.get(&group).copied().unwrap_or_default();
        RemovalCount {
            removed: self.total.removed - known.removed + count.removed,
            present: self.total.present - known.present + count.present,
        }
    }

    fn set(&mut self, group: GroupId, count: RemovalCount) {
        self.total = self.total_with(group, count);
        self.groups.insert(group, count);
    }
}

fn within(name: &str, of: &str, limit: Limit, count: RemovalCount, allowed: u64) -> Result<(), String> {
    let RemovalCount { removed, present } = count;
    match removed > allowed {
        true => Err(format!(
            "kept, because {removed} of {present} {of} would be removed, but {name} ({limit}) allows at most {allowed}"
        )),
        false => Ok(()),
    }
}
