//! The result of a group. `into_report` tests the outcomes in this order, and the first that fits counts: failed,
//! stale, kept, skipped, differs, not read, and then in sync or done.

use std::collections::BTreeSet;

use super::GroupRun;
use crate::model::{MemberId, Mode};
use crate::report::{Difference, GroupOutcome, GroupReport};

impl GroupRun<'_> {
    pub fn into_report(self, is_blocked: bool) -> GroupReport {
        let plan = self.plan;
        let (came, went) = plan.strays(&self.present);
        let others = |ids: &BTreeSet<MemberId>| -> BTreeSet<MemberId> {
            ids.iter().filter(|id| !self.ledger.contains(id)).copied().collect()
        };
        let (others_came, others_went) = (others(&came), others(&went));
        let stale = (self.has_operations() && !(others_came.is_empty() && others_went.is_empty())).then(|| {
            let names = self.last_read.as_ref().unwrap_or(&plan.observed);
            Difference::new(plan, names, &others_came, &others_went)
        });
        let is_observed = plan.mode == Mode::Observe;
        // The changes that the run left out may differ and were not compared.
        let differs = is_blocked || plan.left_out || !plan.held.is_empty() || (is_observed && plan.differs());
        let in_sync = self.is_whole && came.is_empty() && went.is_empty() && !differs;
        let members_after = self.last_whole().map(|members| members.len() as u64);
        let trouble = self.unread.filter(|_| !self.is_whole);
        let outcomes = self.ledger.outcomes(plan, &self.present, self.is_whole);
        let outcome = if !outcomes.failed.is_empty() || trouble.is_some() {
            GroupOutcome::Failed
        } else if stale.is_some() {
            GroupOutcome::Stale
        } else if !outcomes.kept.is_empty() {
            GroupOutcome::Kept
        } else if !outcomes.skipped.is_empty() {
            GroupOutcome::Skipped
        } else if differs {
            GroupOutcome::Differs
        } else if !in_sync {
            GroupOutcome::NotRead
        } else if outcomes.added.is_empty() && outcomes.removed.is_empty() {
            GroupOutcome::InSync
        } else {
            GroupOutcome::Done
        };
        GroupReport {
            id: plan.id,
            name: plan.name.clone(),
            outcome,
            in_sync,
            members_before: self.before.len() as u64,
            members_after,
            added: outcomes.added,
            removed: outcomes.removed,
            failed: outcomes.failed,
            kept: outcomes.kept,
            skipped: outcomes.skipped,
            stale,
            trouble,
        }
    }
}
