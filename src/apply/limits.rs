//! The limits on removals while a plan is carried out. A limit may be a share of the members present, and that share
//! is less where a newer reading shows fewer of them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::locked;
use crate::model::{GroupId, Limit};
use crate::plan::{GroupPlan, Plan};

/// What every group's run knows of its members, and the limits over all of it.
pub(super) struct Limits<'a> {
    plan: &'a Plan,
    /// Whether this very plan was accepted, whatever its limits say.
    are_lifted: bool,
    counted: Mutex<Counted>,
}

/// The removals from a group, and the members that a limit is a share of.
#[derive(Clone, Copy, Default)]
pub(super) struct Share {
    /// Whom this run's requests have removed, or may have.
    pub removed: u64,
    /// The members that the group would have without this run.
    pub present: u64,
}

#[derive(Default)]
struct Counted {
    groups: BTreeMap<GroupId, Share>,
    /// The sum over the groups.
    total: Share,
}

impl<'a> Limits<'a> {
    pub fn new(plan: &'a Plan, are_lifted: bool) -> Self {
        let mut counted = Counted::default();
        for group in &plan.groups {
            counted.set(group.id, Share { removed: 0, present: group.observed.len() as u64 });
        }
        Self { plan, are_lifted, counted: Mutex::new(counted) }
    }

    /// Takes in what a group's members have come to.
    pub fn note(&self, group: GroupId, share: Share) {
        locked(&self.counted).set(group, share);
    }

    /// Counts a group's removals, the next one included, unless a limit does not allow it: then says why.
    pub fn count(&self, group: &GroupPlan, share: Share) -> Result<(), String> {
        let mut counted = locked(&self.counted);
        if !self.are_lifted {
            self.check(group, share, counted.total_with(group.id, share))?;
        }
        counted.set(group.id, share);
        Ok(())
    }

    fn check(&self, group: &GroupPlan, share: Share, total: Share) -> Result<(), String> {
        let allowed = group.guards.removals_allowed(share.present);
        within("group_removals", group.guards.group_removals.value, share, allowed)?;
        if !self.plan.removes_from_several_groups() {
            return Ok(());
        }
        let allowed = self.plan.guards.removals_allowed(total.present);
        within("total_removals", self.plan.guards.total_removals.value, total, allowed)
    }
}

impl Counted {
    /// The sum, were this the group's share.
    fn total_with(&self, group: GroupId, share: Share) -> Share {
        let known = self.groups.get(&group).copied().unwrap_or_default();
        Share {
            removed: self.total.removed - known.removed + share.removed,
            present: self.total.present - known.present + share.present,
        }
    }

    fn set(&mut self, group: GroupId, share: Share) {
        self.total = self.total_with(group, share);
        self.groups.insert(group, share);
    }
}

fn within(name: &str, limit: Limit, Share { removed, present }: Share, allowed: u64) -> Result<(), String> {
    match removed > allowed {
        true => Err(format!("kept, because {removed} of {present} members would be removed, and {name} is {limit}")),
        false => Ok(()),
    }
}
