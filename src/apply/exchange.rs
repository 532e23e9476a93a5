//! Moves a member between groups that exclude each other: the only removal that goes before its addition.

use super::Run;
use super::group::GroupRun;
use super::ledger::State;
use crate::model::MemberId;

impl Run<'_> {
    /// Removes the member from the groups that exclude those that they join, and adds them once a reading shows them
    /// gone. Nobody is removed from one of these groups unless they may be removed from all, and joined afterwards.
    pub(super) async fn exchange(&self, member: MemberId, groups: &mut [GroupRun<'_>]) {
        let joins = |group: &GroupRun<'_>| self.evidence.after(group.plan.id, member).is_some();
        let leaves = |group: &GroupRun<'_>| self.evidence.leaves_first(group.plan.id, member);
        let mut refusal = None;
        for group in groups.iter_mut() {
            if joins(group) && !group.present.contains(&member) {
                refusal = refusal.or_else(|| group.closed_by(self));
            } else if leaves(group) && group.present.contains(&member) {
                group.prove_for_guards(member, self).await;
                refusal = refusal.or_else(|| group.closed_by(self).or_else(|| group.allow_delete(member, self).err()));
            }
        }
        for group in groups.iter_mut().filter(|group| leaves(group)) {
            match &refusal {
                None => group.delete(member, self).await,
                Some(reason) if group.ledger.is_open(member) => group.ledger.keep(member, kept(reason)),
                Some(_) => {}
            }
            self.finish_one();
        }
        let mut shown = Vec::new();
        for group in groups.iter_mut().filter(|group| leaves(group)) {
            if refusal.is_none() && group.wrote {
                self.read_until_consistent(vec![&mut *group], self.settle_before_the_end()).await;
            }
            if group.present.contains(&member) || group.unread.is_some() {
                shown.push(format!("{:?}", group.name().as_str()));
            }
        }
        for group in groups.iter_mut().filter(|group| joins(group)) {
            if !group.present.contains(&member) {
                if shown.is_empty() {
                    group.ledger.note_left(member);
                    group.post(vec![member], self).await;
                } else {
                    let from = shown.join(" and ");
                    let reason = match &refusal {
                        Some(reason) => format!("not added, because the member stays in {from}: {reason}"),
                        None => format!(
                            "not added, because no reading shows that the member has left {from}; the member may be \
                             in neither {from} nor {:?}. Apply again",
                            group.name().as_str()
                        ),
                    };
                    group.ledger.give_up([&member], &State::Failed(reason));
                }
            }
            self.finish_one();
        }
    }
}

fn kept(reason: &str) -> String {
    if reason.starts_with("kept") {
        reason.to_owned()
    } else {
        format!("kept, because the member could not join the other group: {reason}")
    }
}
