//! Replaces a group's members by PUT, with care: a PUT wipes out whatever it does not name.

use std::collections::BTreeSet;

use super::Shared;
use super::run::GroupRun;
use super::send::{MAX_SENDS, Write, Written, refusal};
use crate::cloudflare::Concern;
use crate::model::MemberId;
use crate::plan::{Action, Freshness, Method};
use crate::report::Difference;

/// What to do after a PUT was sent.
enum Next {
    Finished,
    /// Read again and send again.
    Again(String),
    /// The set as such is refused: try it in parts.
    InParts,
}

impl GroupRun<'_> {
    /// Makes the group's members the plan's, or notes why not. Before each PUT the group is read; if it is not what
    /// the plan saw, but for the plan's own changes, the PUT is not sent.
    pub async fn replace(&mut self, shared: &Shared<'_>) {
        let mut last = String::new();
        let mut in_parts = false;
        for _ in 0..MAX_SENDS {
            if shared.stopped() {
                return self.skip_rest("interrupted before it was begun", shared);
            }
            let members = match self.read(shared).await {
                Ok(members) => members,
                Err(error) => return self.fail_rest(&format!("the group cannot be read: {}", error.reason()), shared),
            };
            if let Freshness::Stale { added, removed } = self.plan.freshness(&self.present) {
                self.stale = Some(Difference::new(self.plan, &members, &added, &removed));
                return;
            }
            let body = self.body(shared);
            if body == self.present {
                return;
            }
            match self.put(body, shared).await {
                Next::Finished => return,
                Next::Again(reason) => last = reason,
                Next::InParts if in_parts => return self.remove_rest(shared).await,
                Next::InParts => {
                    in_parts = true;
                    let missing = self.outstanding(Action::Add).into_iter().collect();
                    self.add(missing, shared).await;
                }
            }
        }
        self.fail_rest(&last, shared);
    }

    /// The set to send: the plan's, without those who could not be added here, and with those who stay because they
    /// could not be added elsewhere. It never removes more than the plan does.
    fn body(&mut self, shared: &Shared<'_>) -> BTreeSet<MemberId> {
        for member in self.outstanding(Action::Remove) {
            self.keep(member, shared);
        }
        let mut body = self.present.clone();
        body.extend(self.outstanding(Action::Add));
        for member in self.outstanding(Action::Remove) {
            body.remove(&member);
        }
        body
    }

    async fn put(&mut self, body: BTreeSet<MemberId>, shared: &Shared<'_>) -> Next {
        let write = Write {
            method: Method::Put,
            members: body.iter().copied().collect(),
            adds: body.difference(&self.present).copied().collect(),
            removes: self.present.difference(&body).copied().collect(),
        };
        let (written, announced) = self.send(&write, shared).await;
        match written {
            Written::Done(answer) => {
                self.proven = answer.is_some_and(|members| members == body);
                self.present = body;
                Next::Finished
            }
            Written::Refused(Concern::Group, error) => {
                self.fail_rest(&refusal(&error), shared);
                Next::Finished
            }
            Written::Refused(Concern::Member, _) => Next::InParts,
            Written::GivenUp(reason) => {
                self.fail_rest(&reason, shared);
                Next::Finished
            }
            Written::NotSent(error) => Next::Again(error.reason()),
            Written::Lost(error) => match self.settle(&error, announced, |present| *present == body, shared).await {
                Err(unknown) => {
                    self.fail_rest(&unknown, shared);
                    Next::Finished
                }
                Ok(true) => Next::Finished,
                Ok(false) => Next::Again(error.reason()),
            },
        }
    }

    /// The last resort of a PUT that the API refuses whoever is in it.
    async fn remove_rest(&mut self, shared: &Shared<'_>) {
        for member in self.outstanding(Action::Remove) {
            self.remove(member, shared).await;
        }
    }

    fn fail_rest(&mut self, reason: &str, shared: &Shared<'_>) {
        for action in [Action::Add, Action::Remove] {
            self.outstanding(action).into_iter().for_each(|id| self.fail(action, id, reason, shared));
        }
    }

    fn skip_rest(&mut self, reason: &str, shared: &Shared<'_>) {
        for action in [Action::Add, Action::Remove] {
            self.outstanding(action).into_iter().for_each(|id| self.skip(action, id, reason, shared));
        }
    }
}
