//! Sends a group's requests, and processes the answers and readings.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::super::Run;
use super::super::ledger::State;
use super::{GroupRun, refusal};
use crate::cloudflare::{ApiError, Concern, WriteFate};
use crate::journal::{Effect, LineKind, Outcome};
use crate::model::MemberId;
use crate::plan::{Action, Operation};

/// How often a request is sent before its changes are given up.
pub(super) const MAX_SENDS: usize = 4;

/// After this number of refused requests in one group, no further request is sent to it.
const MAX_REFUSED: usize = 64;

/// What became of one request.
pub(super) enum Attempt {
    Sent(WriteFate),
    /// It was not sent, because no further requests may be sent. The ledger has the reason.
    Closed,
    /// It was not sent, because it would remove somebody who must stay. The ledger has the reason.
    Withheld,
}

/// The result of a request that was repeated until its effect was known.
pub(super) enum Settled {
    /// The API answered, or a reading shows the effect.
    Done,
    Refused(Concern, ApiError),
    /// It was not sent, or its effect is still unknown. The ledger has the reason.
    GivenUp,
}

impl GroupRun<'_> {
    /// Why no further requests are sent to this group, if so.
    pub(super) fn closed_by(&self, run: &Run<'_>) -> Option<String> {
        self.closed.clone().or_else(|| run.closed_by())
    }

    /// Sends a POST or a DELETE until its effect is known. A lost answer is settled by a reading.
    pub(super) async fn send_until_known(&mut self, operation: &Operation, run: &Run<'_>) -> Settled {
        for _ in 0..MAX_SENDS {
            let error = match self.send(operation, run).await {
                Attempt::Closed | Attempt::Withheld => return Settled::GivenUp,
                Attempt::Sent(WriteFate::Answered { .. }) => return Settled::Done,
                Attempt::Sent(WriteFate::Refused { concerns, error }) => return Settled::Refused(concerns, error),
                Attempt::Sent(WriteFate::NotSent(error)) => {
                    self.ledger.record_all(operation.members(), &State::Failed(error.reason()));
                    return Settled::GivenUp;
                }
                Attempt::Sent(WriteFate::Unknown(error)) => error,
            };
            if let Err(unread) = self.read(run).await {
                let reason = format!("{}; the group could not be read either: {}", error.reason(), unread.reason());
                self.ledger.record_all(operation.members(), &State::Unknown(reason));
                return Settled::GivenUp;
            }
            if self.is_contradicted() {
                // A reading that lags behind shows neither the effect of the request nor what the guards need.
                run.read_until_consistent(vec![&mut *self], run.settle_before_the_end()).await;
            }
            if self.shows(operation) {
                return Settled::Done;
            }
            if run.closed_by().is_some() {
                return Settled::GivenUp;
            }
        }
        Settled::GivenUp
    }

    /// Whether the members last seen show the effect of a request.
    fn shows(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Post(members) | Operation::Put(members) => members.iter().all(|id| self.present.contains(id)),
            Operation::Delete(member) => !self.present.contains(member),
        }
    }

    /// Sends a request once, and records it before and after.
    pub(super) async fn send(&mut self, operation: &Operation, run: &Run<'_>) -> Attempt {
        let effect = self.effect(operation);
        let changes: Vec<MemberId> = effect.adds.union(&effect.removes).copied().collect();
        if let Some(reason) = self.closed_by(run) {
            self.close(&changes, reason);
            return Attempt::Closed;
        }
        let announced = match run.means.journal.announce(effect.clone()).await {
            Ok(announced) => announced,
            Err(error) => {
                run.note_journal_failure(&error);
                self.close(&changes, format!("the journal cannot be written: {error}"));
                return Attempt::Closed;
            }
        };
        // Writing to the journal takes time. Meanwhile, readings of other groups may have shown that somebody must
        // stay.
        if !self.still_allows(operation, run) {
            if let Err(error) = run.means.journal.answered(announced, Outcome::NotSent, None, None).await {
                run.note_journal_failure(&error);
            }
            return Attempt::Withheld;
        }
        run.wrote.store(true, Ordering::Relaxed);
        (self.wrote, self.is_whole) = (true, false);
        let (client, group) = (run.means.client, self.reference());
        let fate = match operation {
            Operation::Post(members) => client.add_members(&group, members).await,
            Operation::Put(members) => client.replace_members(&group, members).await,
            Operation::Delete(member) => {
                let may_send = || self.allow_delete(*member, run).is_ok();
                client.remove_member(&group, *member, &may_send).await
            }
        };
        let (ray, error) = (fate.ray().map(Into::into), fate.error().map(ApiError::reason));
        if let Err(error) = run.means.journal.answered(announced, outcome(&fate), ray, error).await {
            run.note_journal_failure(&error);
        }
        self.learn(operation, &effect, &changes, &fate, run).await;
        // What was learned while the request waited for its turn may have stopped it.
        if matches!(fate, WriteFate::NotSent(_)) && run.closed_by().is_none() && !self.still_allows(operation, run) {
            return Attempt::Withheld;
        }
        Attempt::Sent(fate)
    }

    /// The effect of the request on the members last seen. The effect of a PUT includes changes that the last reading
    /// shows as made, because another actor may reverse them before the PUT arrives.
    fn effect(&self, operation: &Operation) -> Effect {
        let group = self.reference();
        let named: BTreeSet<MemberId> = operation.members().iter().copied().collect();
        let (adds, removes) = match operation {
            Operation::Post(_) => (named, BTreeSet::new()),
            Operation::Delete(_) => (BTreeSet::new(), named),
            Operation::Put(_) => {
                let joining = self.ledger.members(Action::Add).filter(|id| !self.before.contains(id));
                let leaving = self.ledger.members(Action::Remove).filter(|id| self.before.contains(id));
                let adds = named.difference(&self.present).copied().chain(joining.filter(|id| named.contains(id)));
                let removes = self.present.difference(&named).copied().chain(leaving.filter(|id| !named.contains(id)));
                (adds.collect(), removes.collect())
            }
        };
        Effect { group, request: operation.clone(), adds, removes }
    }

    /// Records why those of these changes that no request was sent for are not tried.
    fn close(&mut self, changes: &[MemberId], reason: String) {
        let state = match self.closed.is_some() {
            true => State::Failed(reason),
            false => State::Skipped(reason),
        };
        self.ledger.give_up(changes, &state);
    }

    /// Processes an answer.
    async fn learn(
        &mut self,
        operation: &Operation,
        effect: &Effect,
        changes: &[MemberId],
        fate: &WriteFate,
        run: &Run<'_>,
    ) {
        if let Some(error) = fate.error() {
            run.note_failure(error);
        }
        if matches!(fate, WriteFate::Answered { .. } | WriteFate::Unknown(_)) {
            run.may_have_changed.store(true, Ordering::Relaxed);
        }
        match fate {
            WriteFate::Answered { members, .. } => {
                self.ledger.record_all(changes, &State::Acknowledged);
                if let Some(members) = members {
                    self.learn_from_answer(operation, effect, members, run).await;
                }
            }
            WriteFate::Unknown(error) => self.ledger.record_all(changes, &State::Unknown(error.reason())),
            WriteFate::Refused { concerns: Concern::Group, error } => self.closed = Some(refusal(error)),
            WriteFate::Refused { concerns: Concern::Member, .. } => {
                self.refused += 1;
                if self.refused >= MAX_REFUSED {
                    let reason = format!("not tried: the API has refused {MAX_REFUSED} requests for this group");
                    self.closed = Some(reason);
                }
            }
            WriteFate::NotSent(_) => {}
        }
        self.tell_limits(run);
    }

    /// The answer to a POST or a PUT lists members. It shows the complete group only if it lists exactly the expected
    /// members. Otherwise it proves only the additions that it lists.
    async fn learn_from_answer(
        &mut self,
        operation: &Operation,
        effect: &Effect,
        members: &BTreeSet<MemberId>,
        run: &Run<'_>,
    ) {
        let expected = match operation {
            Operation::Put(named) => named.iter().copied().collect(),
            Operation::Post(_) | Operation::Delete(_) => &self.present | &effect.adds,
        };
        if *members == expected {
            self.see(members.clone(), run).await;
            return;
        }
        self.present.extend(members.intersection(&effect.adds));
        self.ledger.observe(&self.present);
        self.tell_awaited(run);
    }

    /// Reads the complete group.
    pub(super) async fn read(&mut self, run: &Run<'_>) -> Result<(), ApiError> {
        let members = run.reader.group_members(&self.reference()).await.inspect_err(|error| run.note_failure(error))?;
        self.unread = None;
        let present = members.keys().copied().collect();
        self.last_read = Some(members);
        self.see(present, run).await;
        Ok(())
    }

    /// Records the members of the complete group.
    async fn see(&mut self, members: BTreeSet<MemberId>, run: &Run<'_>) {
        self.present = members;
        self.is_whole = true;
        self.ledger.observe(&self.present);
        self.tell_awaited(run);
        self.tell_limits(run);
        run.record(LineKind::Seen { group: self.reference(), members: self.present.clone() }).await;
    }
}

fn outcome(fate: &WriteFate) -> Outcome {
    match fate {
        WriteFate::Answered { .. } => Outcome::Answered,
        WriteFate::Refused { .. } => Outcome::Refused,
        WriteFate::NotSent(_) => Outcome::NotSent,
        WriteFate::Unknown(_) => Outcome::Unknown,
    }
}
