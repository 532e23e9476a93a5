//! The guards that are checked again before each request that removes members: the limits, `min_members`,
//! `allow_empty`, and `protected` by address. The plan's other guards are not checked again.
//!
//! A limit may be a percentage of the present members, which decreases if a newer reading shows fewer members. The
//! simulation recognizes each reason by its text: see `KEPT` in `tests/it/simulation/figures.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::group::GroupRun;
use super::{Run, locked};
use crate::model::{GroupId, Limit, MemberId, PersonRef};
use crate::plan::{Action, GroupPlan, Operation, Plan};
use crate::render::counted;

/// The removals and the present members of every group, by the latest reading.
pub(super) struct RunLimits<'a> {
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

impl<'a> RunLimits<'a> {
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

impl GroupRun<'_> {
    /// Allows the removal of a member that leaves this number of members, and counts it for the limits.
    ///
    /// # Errors
    ///
    /// Why the member must stay.
    pub(super) fn allow_removal(
        &self,
        member: MemberId,
        left: usize,
        count: RemovalCount,
        run: &Run<'_>,
    ) -> Result<(), String> {
        // A removal by an ended entry waits for no addition.
        let ends = self.ledger.change(member).is_some_and(|change| change.expired.is_some());
        let awaited = if ends { None } else { run.evidence.awaited_in(member, self.plan.id) };
        let reason = awaited.or_else(|| self.protection_of(member, run));
        match reason.or_else(|| self.guard_against(left)) {
            Some(reason) => Err(reason),
            None => run.limits.count(self.plan, count),
        }
    }

    /// As [`Self::allow_removal`], for a DELETE.
    pub(super) fn allow_delete(&self, member: MemberId, run: &Run<'_>) -> Result<(), String> {
        // Members whose removal may have taken effect are counted as gone.
        let mut gone = self.ledger.removed();
        gone.insert(member);
        self.allow_removal(member, self.present.difference(&gone).count(), self.removal_count(&gone), run)
    }

    /// Whether a request still removes only members who may be removed. Otherwise the ledger gets the reason.
    pub(super) fn still_allows(&mut self, operation: &Operation, run: &Run<'_>) -> bool {
        match operation {
            Operation::Post(members) => members.iter().all(|member| self.may_add(*member, run)),
            Operation::Put(members) => self.choose_members(run).iter().eq(members),
            Operation::Delete(member) => match self.allow_delete(*member, run) {
                Ok(()) => true,
                Err(reason) => {
                    self.keep(*member, reason, run);
                    false
                }
            },
        }
    }

    /// Which of `min_members` and `allow_empty` does not allow this number of remaining members, in words.
    fn guard_against(&self, left: usize) -> Option<String> {
        let guards = &self.plan.guards;
        if left as u64 >= guards.least() {
            return None;
        }
        Some(match &guards.min_members {
            Some(least) if (left as u64) < least.value => {
                let left = counted(left as u64, "member");
                format!("kept, because only {left} would remain, and min_members is {}", least.value)
            }
            _ => "kept, because the group would be empty, and allow_empty is not set".into(),
        })
    }

    /// The `protected` entry that has the member's address in the last reading. The plan may have another address for
    /// the member.
    fn protection_of(&self, member: MemberId, run: &Run<'_>) -> Option<String> {
        let email = self.last_read.as_ref()?.get(&member)?.email.as_ref()?;
        let protects = |person: &PersonRef| matches!(person, PersonRef::Email(protected) if protected == email);
        let entry = run.plan.guards.protected.iter().find(|entry| protects(&entry.person))?;
        Some(format!("kept, because {email} is protected at {}", entry.origin))
    }

    /// Updates the limits with the group's present members.
    pub fn tell_limits(&self, run: &Run<'_>) {
        run.limits.note(self.plan.id, self.removal_count(&self.ledger.removed()));
    }

    /// The numbers for the limits, if this run has removed these members. Members that the run added are not counted as
    /// present.
    pub(super) fn removal_count(&self, removed: &BTreeSet<MemberId>) -> RemovalCount {
        let added: BTreeSet<MemberId> =
            self.ledger.members(Action::Add).filter(|id| !self.before.contains(id)).collect();
        let present = self.present.union(removed).filter(|id| !added.contains(id)).count();
        RemovalCount { removed: removed.len() as u64, present: present as u64 }
    }
}
