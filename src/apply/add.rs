//! Adds members by POST. One who is refused does not hinder the others: the batch is split until they are found.

use super::Shared;
use super::run::GroupRun;
use super::send::{Write, Written, refusal};
use crate::cloudflare::Concern;
use crate::model::MemberId;
use crate::plan::{Action, Method};

impl GroupRun<'_> {
    /// Adds these members, or notes of each why not.
    pub async fn add(&mut self, members: Vec<MemberId>, shared: &Shared<'_>) {
        let mut batches = vec![members];
        while let Some(batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            if shared.stopped() {
                self.give_up_adding(&batch, "interrupted before it was begun", shared);
                continue;
            }
            let write =
                Write { method: Method::Post, members: batch.clone(), adds: batch.clone(), removes: Vec::new() };
            match self.send_until_settled(&write, shared).await {
                Written::Done(members) => self.added(&batch, members),
                Written::Refused(Concern::Member, _) if batch.len() > 1 => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second.to_vec(), first.to_vec()]);
                }
                Written::Refused(_, error) => {
                    batch.iter().for_each(|id| self.fail(Action::Add, *id, &refusal(&error), shared));
                }
                Written::GivenUp(reason) => {
                    batch.iter().for_each(|id| self.fail(Action::Add, *id, &reason, shared));
                }
                Written::NotSent(error) | Written::Lost(error) => {
                    batch.iter().for_each(|id| self.fail(Action::Add, *id, &error.reason(), shared));
                }
            }
        }
    }

    fn give_up_adding(&mut self, members: &[MemberId], reason: &str, shared: &Shared<'_>) {
        members.iter().for_each(|id| self.skip(Action::Add, *id, reason, shared));
    }

    /// The answer proves the result where it holds exactly the members that must be there now.
    fn added(&mut self, batch: &[MemberId], answer: Option<std::collections::BTreeSet<MemberId>>) {
        self.present.extend(batch);
        self.proven = answer.is_some_and(|members| members == self.present);
    }
}
