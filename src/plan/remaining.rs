//! The remaining part of a saved plan after its groups were read again, with the guards checked again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::people::People;
use super::{Action, Guard, Plan, Refusal, fingerprint, guards, operations};
use crate::model::{GroupId, Membership, Observed};

impl Plan {
    /// The part of the plan that is still to be applied, for the present members of its groups. It has the digest of
    /// the plan. The guards are checked again.
    #[must_use]
    pub fn remaining(&self, present: &BTreeMap<GroupId, Arc<Membership>>) -> Self {
        let mut left = self.clone();
        for group in &mut left.groups {
            let Some(members) = present.get(&group.id) else { continue };
            group.changes.retain(|change| members.contains_key(&change.member.id) == (change.action == Action::Remove));
            group.fingerprint = fingerprint(members.keys());
            group.observed = Arc::clone(members);
        }
        operations::decide(&mut left.groups, left.due);
        left.judged_anew()
    }

    /// The same plan with these refusals.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Refusal>) -> Self {
        self.refusals = refusals;
        self.recount();
        self
    }

    fn judged_anew(mut self) -> Self {
        let memberships = self.groups.iter().map(|group| (group.id, Arc::clone(&group.observed))).collect();
        let current = Observed { memberships, ..Observed::default() };
        let refusals = guards::operation_refusals(&self, &People::of(&current));
        let kept: Vec<Refusal> =
            self.refusals.iter().filter(|refusal| guards::still_stands(&self, refusal)).cloned().collect();
        self.refusals = kept;
        for refusal in refusals {
            let same = |known: &Refusal| (&known.guard, &known.group) == (&refusal.guard, &refusal.group);
            if refusal.guard != Guard::Protected || !self.refusals.iter().any(same) {
                self.refusals.push(refusal);
            }
        }
        guards::sort(&mut self);
        self.recount();
        self
    }
}
