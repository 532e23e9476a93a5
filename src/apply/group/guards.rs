//! The guards, checked again before each request that removes members from the group.

use std::collections::BTreeSet;

use super::super::limits::Share;
use super::super::{Run, locked};
use super::GroupRun;
use crate::model::{MemberId, PersonRef};
use crate::plan::{Action, Operation};
use crate::render::counted;

impl GroupRun<'_> {
    /// Why a member must stay, if this removal would leave `left` members. If nothing forbids the removal, the limits
    /// count it from now on.
    pub(super) fn reason_to_keep(&self, member: MemberId, left: usize, share: Share, run: &Run<'_>) -> Option<String> {
        let reason = run.awaited_in(member).or_else(|| self.protection_of(member, run));
        let reason = reason.or_else(|| self.guard_against(left));
        reason.or_else(|| run.limits.count(self.plan, share).err())
    }

    /// The same for a DELETE of this member.
    pub(super) fn reason_not_to_delete(&self, member: MemberId, run: &Run<'_>) -> Option<String> {
        // Members whose removal may have taken effect are counted as gone.
        let mut gone = self.ledger.removed();
        gone.insert(member);
        self.reason_to_keep(member, self.present.difference(&gone).count(), self.share(&gone), run)
    }

    /// Whether a request would remove somebody who must now stay. The reason is then in the ledger.
    pub(super) fn keeps_somebody_now(&mut self, operation: &Operation, run: &Run<'_>) -> bool {
        match operation {
            Operation::Post(_) => false,
            Operation::Put(members) => !self.body(run).iter().eq(members),
            Operation::Delete(member) => {
                let reason = self.reason_not_to_delete(*member, run);
                reason.map(|reason| self.ledger.keep(*member, reason)).is_some()
            }
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

    /// The `protected` entry that has the member's address in the last reading. The plan may have another address for the
    /// member.
    fn protection_of(&self, member: MemberId, run: &Run<'_>) -> Option<String> {
        let email = self.last_read.as_ref()?.get(&member)?.email.as_ref()?;
        let protects = |person: &PersonRef| matches!(person, PersonRef::Email(protected) if protected == email);
        let entry = run.plan.guards.protected.iter().find(|entry| protects(&entry.person))?;
        Some(format!("kept, because {email} is protected at {}", entry.origin))
    }

    /// Updates the limits with the group's present members.
    pub fn tell_limits(&self, run: &Run<'_>) {
        run.limits.note(self.plan.id, self.share(&self.ledger.removed()));
    }

    /// The numbers for the limits, if this run has removed these members. Members that the run added are not counted as
    /// present.
    pub(super) fn share(&self, removed: &BTreeSet<MemberId>) -> Share {
        let added: BTreeSet<MemberId> =
            self.ledger.members(Action::Add).filter(|id| !self.before.contains(id)).collect();
        let present = self.present.union(removed).filter(|id| !added.contains(id)).count();
        Share { removed: removed.len() as u64, present: present as u64 }
    }

    /// Records which members who move to this group were not seen in it yet. They must stay in their old groups.
    pub fn tell_awaited(&self, run: &Run<'_>) {
        let mut awaited = locked(&run.awaited);
        for member in self.ledger.members(Action::Add) {
            if let Some(groups) = awaited.get_mut(&member) {
                match self.present.contains(&member) {
                    true => drop(groups.remove(&self.plan.id)),
                    false => drop(groups.insert(self.plan.id, self.plan.name.clone())),
                }
            }
        }
    }
}

impl Run<'_> {
    /// Why a member must stay in the groups that they leave: another group does not show them yet.
    fn awaited_in(&self, member: MemberId) -> Option<String> {
        let awaited = locked(&self.awaited);
        let name = awaited.get(&member)?.values().next()?;
        Some(format!("kept, because the addition to {:?} is not proven", name.as_str()))
    }
}
