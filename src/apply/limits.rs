//! The guards that are checked again before each request that removes members: `group_removals`, `min_members`,
//! `allow_empty`, and `protected` by address. The plan's other guards are not checked again. A run makes at most the
//! removals of its plan, so `total_removals` cannot be exceeded.
//!
//! The limit of a group may be a percentage of its present members, which decreases if a newer reading shows fewer. The
//! simulation recognizes each reason by its text: see `KEPT` in `tests/it/simulation/figures.rs`.

use std::collections::BTreeSet;

use super::ApplyRun;
use super::group::GroupRun;
use crate::model::{MemberId, PersonRef};
use crate::plan::{Action, Operation};
use crate::render::counted;

/// The removals from a group, and the number of members that a percentage refers to.
#[derive(Clone, Copy)]
pub(super) struct RemovalCount {
    /// The members that this run has removed or may have removed. Exempt ones do not count.
    pub removed: u64,
    /// The members that the group would have without this run.
    pub present: u64,
}

impl GroupRun<'_> {
    /// Allows the removal of a member that leaves this number of members, and this count for the limit.
    ///
    /// # Errors
    ///
    /// Why the member must stay.
    pub(super) fn allow_removal(
        &self,
        member: MemberId,
        left: usize,
        count: RemovalCount,
        run: &ApplyRun<'_>,
    ) -> Result<(), String> {
        // A removal by an ended entry waits for no addition.
        let ends = self.ledger.change(member).is_some_and(|change| change.expired.is_some());
        let awaited = if ends { None } else { run.evidence.awaited_in(member, self.plan.id) };
        let reason = awaited.or_else(|| self.protection_of(member, run));
        match reason.or_else(|| self.guard_against(left)) {
            Some(reason) => Err(reason),
            None if run.context.limits_lifted || !self.is_counted(member) => Ok(()),
            None => self.check_limit(count),
        }
    }

    pub(super) fn allow_delete(&self, member: MemberId, run: &ApplyRun<'_>) -> Result<(), String> {
        // Members whose removal may have taken effect are counted as gone.
        let mut gone = self.ledger.removed();
        gone.insert(member);
        self.allow_removal(member, self.present.difference(&gone).count(), self.removal_count(&gone), run)
    }

    /// Whether a request still removes only members who may be removed. Otherwise the ledger gets the reason.
    pub(super) fn still_allows(&mut self, operation: &Operation, run: &ApplyRun<'_>) -> bool {
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
    fn protection_of(&self, member: MemberId, run: &ApplyRun<'_>) -> Option<String> {
        let email = self.last_read.as_ref()?.get(&member)?.email.as_ref()?;
        let protects = |person: &PersonRef| matches!(person, PersonRef::Email(protected) if protected == email);
        let entry = run.plan.guards.protected.iter().find(|entry| protects(&entry.person))?;
        Some(format!("kept, because {email} is protected at {}", entry.origin))
    }

    fn check_limit(&self, RemovalCount { removed, present }: RemovalCount) -> Result<(), String> {
        let (limit, allowed) = (self.plan.guards.group_removals.value, self.plan.guards.removals_allowed(present));
        if removed <= allowed {
            return Ok(());
        }
        let what = format!("{removed} of {present} members would be removed");
        Err(format!("kept, because {what}, but group_removals ({limit}) allows at most {allowed}"))
    }

    /// The numbers for the limit, if this run has removed these members. Members that the run added are not counted as
    /// present.
    pub(super) fn removal_count(&self, removed: &BTreeSet<MemberId>) -> RemovalCount {
        let added: BTreeSet<MemberId> =
            self.ledger.members(Action::Add).filter(|id| !self.before.contains(id)).collect();
        let present = self.present.union(removed).filter(|id| !added.contains(id)).count();
        let removed = removed.iter().filter(|id| self.is_counted(**id)).count();
        RemovalCount { removed: removed as u64, present: present as u64 }
    }

    pub(super) fn is_counted(&self, member: MemberId) -> bool {
        !self.ledger.change(member).is_some_and(|change| change.exempt)
    }
}
