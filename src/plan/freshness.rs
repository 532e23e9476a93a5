//! Whether a group is still what a plan was made from.

use std::collections::BTreeSet;

use super::{Action, GroupPlan};
use crate::model::MemberId;

/// How a group, read again, relates to the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As the plan saw it, but for changes that the plan makes anyway: an earlier run may have got part of the way.
    Fresh,
    /// Somebody else changed it.
    Stale {
        /// Who is there and should not be yet, or at all.
        added: BTreeSet<MemberId>,
        /// Who was there and is gone, though the plan does not remove them.
        removed: BTreeSet<MemberId>,
    },
}

impl GroupPlan {
    /// Compares the group's members, read again, with what the plan saw.
    #[must_use]
    pub fn freshness(&self, present: &BTreeSet<MemberId>) -> Freshness {
        let changed = |action| self.carried_out().filter(move |change| change.action == action);
        let joining: BTreeSet<MemberId> = changed(Action::Add).map(|change| change.member.id).collect();
        let leaving: BTreeSet<MemberId> = changed(Action::Remove).map(|change| change.member.id).collect();
        let added: BTreeSet<MemberId> =
            present.iter().filter(|id| !self.observed.contains_key(id) && !joining.contains(id)).copied().collect();
        let removed: BTreeSet<MemberId> =
            self.observed.keys().filter(|id| !present.contains(id) && !leaving.contains(id)).copied().collect();
        match added.is_empty() && removed.is_empty() {
            true => Freshness::Fresh,
            false => Freshness::Stale { added, removed },
        }
    }
}
