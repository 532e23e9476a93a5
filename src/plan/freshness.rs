//! Whether a group is still what a plan was made from.

use std::collections::BTreeSet;

use super::GroupPlan;
use crate::model::MemberId;

/// How a group, read again, relates to the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The plan's changes are still the ones to make; an earlier run may have made some of them.
    Fresh,
    /// Somebody else changed it.
    Stale {
        /// Who joined and would have to leave.
        added: BTreeSet<MemberId>,
        /// Who left and would have to join.
        removed: BTreeSet<MemberId>,
    },
}

impl GroupPlan {
    /// Compares the group's members, read again, with what the plan saw.
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

    /// Who is in the group against the target, and who is missing from it.
    #[must_use]
    pub fn strays(&self, present: &BTreeSet<MemberId>) -> (BTreeSet<MemberId>, BTreeSet<MemberId>) {
        match &self.required {
            None => {
                let target = self.target();
                (present.difference(&target).copied().collect(), target.difference(present).copied().collect())
            }
            Some(required) => {
                let kept: BTreeSet<MemberId> = self.held.iter().map(|change| change.member.id).collect();
                let leaving = self.removals().map(|change| &change.member.id).chain(&self.barred);
                let staying = leaving.filter(|id| present.contains(id) && !kept.contains(id)).copied().collect();
                (staying, required.difference(present).copied().collect())
            }
        }
    }
}
