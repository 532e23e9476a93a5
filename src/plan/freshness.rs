//! Whether a group is still as the plan saw it.

use std::collections::BTreeSet;

use super::GroupPlan;
use crate::model::MemberId;

/// A group that was read again, compared with the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The plan's changes are still valid. An earlier run may have made some of them.
    Fresh,
    /// Somebody else changed the group.
    Stale {
        /// Members who joined and should leave.
        added: BTreeSet<MemberId>,
        /// Members who left and should join.
        removed: BTreeSet<MemberId>,
    },
}

impl GroupPlan {
    /// Compares the group's new reading with the plan.
    #[must_use]
    pub fn freshness(&self, present: &BTreeSet<MemberId>) -> Freshness {
        let changing: BTreeSet<MemberId> = self.carried_out().map(|change| change.member.id).collect();
        let (added, removed) = self.strays(present);
        let others = |ids: BTreeSet<MemberId>| -> BTreeSet<MemberId> { ids.difference(&changing).copied().collect() };
        let (added, removed) = (others(added), others(removed));
        match added.is_empty() && removed.is_empty() {
            true => Freshness::Fresh,
            false => Freshness::Stale { added, removed },
        }
    }

    /// The members who differ from the target: those who should not be in the group, and those who are missing.
    #[must_use]
    pub fn strays(&self, present: &BTreeSet<MemberId>) -> (BTreeSet<MemberId>, BTreeSet<MemberId>) {
        match &self.required {
            None => {
                let target = self.target();
                (present.difference(&target).copied().collect(), target.difference(present).copied().collect())
            }
            // The plan does not decide about the other members: only `required` must be there, and only those whom the
            // plan removes or whose time has ended (`barred`) must not.
            Some(required) => {
                let held: BTreeSet<MemberId> = self.held.iter().map(|change| change.member.id).collect();
                let leaving = self.removals().map(|change| &change.member.id).chain(&self.barred);
                let staying = leaving.filter(|id| present.contains(id) && !held.contains(id)).copied().collect();
                (staying, required.difference(present).copied().collect())
            }
        }
    }
}
