//! Sends a group's requests, and processes the answers and readings.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::group::GroupRun;
use super::ledger::State;
use crate::cloudflare::{Answered, ApiError, ApiErrorKind, Fate, Written};
use crate::journal::{Effect, LineKind};
use crate::model::{MemberId, Membership};
use crate::plan::{Action, Operation};

/// How often a request is sent before its changes are given up.
pub(super) const MAX_SENDS: usize = 4;

/// How often a request is prepared again because a reading became outdated before it could be sent.
const MAX_OUTDATED: usize = 3;

/// After this number of refused requests in one group, no further request is sent to it.
const MAX_REFUSED: usize = 64;

/// The state of the changes of a request that failed. After an interruption they are skipped, not failed.
pub(super) fn given_up(error: &ApiError, reason: String) -> State {
    match error.kind {
        ApiErrorKind::Stopped => State::Skipped(error.reason()),
        _ => State::Failed(reason),
    }
}

impl GroupRun<'_> {
    /// Why no further requests are sent to this group, if so.
    pub(super) fn closed_by(&self) -> Option<String> {
        self.closed.clone().or_else(|| self.run.closed_by())
    }

    /// Sends a POST or a DELETE until its effect is known or it is given up; the ledger then has the reason. A lost answer
    /// is settled by a reading.
    ///
    /// # Errors
    ///
    /// If the API refuses it.
    pub(super) async fn send_until_known(&mut self, operation: &Operation) -> Result<(), ApiError> {
        for _ in 0..MAX_SENDS {
            let Some(Err(error)) = self.send(operation).await else { return Ok(()) };
            match error.fate {
                Fate::Refused => return Err(error),
                Fate::NotSent => {
                    self.ledger.record_all(operation.members(), &given_up(&error, error.reason()));
                    return Ok(());
                }
                Fate::Answered | Fate::Unknown => {}
            }
            if let Err(unread) = self.read().await {
                let reason = format!("{}; the group could not be read either: {}", error.reason(), unread.reason());
                self.ledger.record_all(operation.members(), &State::Unknown(reason));
                return Ok(());
            }
            if self.is_contradicted() {
                // A reading that lags behind shows neither the effect of the request nor what the guards need.
                self.settle().await;
            }
            if self.shows(operation) || self.run.closed_by().is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the members last seen show the effect of a request.
    fn shows(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Post(members) | Operation::Put(members) => members.iter().all(|id| self.present.contains(id)),
            Operation::Delete([member]) => !self.present.contains(member),
        }
    }

    /// Sends a request once, and records it before and after. `None` if it was not sent: no further requests may be sent,
    /// or it would remove somebody who must stay, and the ledger then has the reason; or the reading that a PUT relies on
    /// is outdated, and the caller chooses again.
    pub(super) async fn send(&mut self, operation: &Operation) -> Option<Written> {
        for _ in 0..MAX_OUTDATED {
            if self.closed_by().is_none() && self.is_outdated(operation) {
                // A PUT names the members of its own reading and is chosen again.
                if matches!(operation, Operation::Put(_)) {
                    return None;
                }
                self.refresh(operation).await;
            }
            let written = self.send_once(operation).await?;
            let is_unsent = matches!(&written, Err(error) if error.fate == Fate::NotSent);
            if !is_unsent || self.run.closed_by().is_some() || !self.is_outdated(operation) {
                return Some(written);
            }
        }
        let reason = "not sent: each reading was outdated before the request could be sent";
        self.ledger.record_all(operation.members(), &State::Failed(reason.into()));
        None
    }

    async fn send_once(&mut self, operation: &Operation) -> Option<Written> {
        let effect = self.effect(operation);
        let changes: Vec<MemberId> = effect.adds.union(&effect.removes).copied().collect();
        if self.close(&changes) {
            return None;
        }
        let Some(announced) = self.run.record(LineKind::Sending(effect.clone())).await else {
            self.close(&changes);
            return None;
        };
        // Writing to the journal takes time. Meanwhile, readings of other groups may have shown that somebody must
        // stay.
        if !self.still_allows(operation) {
            let (operation, outcome) = (announced, Fate::NotSent);
            self.run.record(LineKind::Answered { operation, outcome, ray: None, error: None }).await;
            return None;
        }
        self.run.report().wrote = true;
        (self.wrote, self.is_whole) = (true, false);
        let (client, group) = (self.run.context.client, self.plan.reference());
        let is_recent = || !self.is_outdated(operation);
        let written = match operation {
            Operation::Post(members) => {
                let may_add = |member: &MemberId| self.exclusion_of(*member).is_none();
                client.add_members(&group, members, &|| is_recent() && members.iter().all(may_add)).await
            }
            Operation::Put(members) => client.replace_members(&group, members).await,
            Operation::Delete([member]) => {
                let may_send = || is_recent() && self.reason_against_delete(*member).is_none();
                client.remove_member(&group, *member, &may_send).await
            }
        };
        let (fate, ray, error) = match &written {
            Ok(answered) => (Fate::Answered, answered.ray.clone(), None),
            Err(error) => (error.fate, error.ray.clone(), Some(error.reason())),
        };
        self.run.record(LineKind::Answered { operation: announced, outcome: fate, ray, error }).await;
        self.since = Some(Instant::now());
        self.learn(&effect, &changes, &written);
        // What was learned while the request waited for its turn may have stopped it.
        if fate == Fate::NotSent && self.run.closed_by().is_none() && !self.still_allows(operation) {
            return None;
        }
        Some(written)
    }

    /// The effect of the request on the members last seen. The effect of a PUT includes changes that the last reading
    /// shows as made, because another actor may reverse them before the PUT arrives.
    fn effect(&self, operation: &Operation) -> Effect {
        let group = self.plan.reference();
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

    /// Whether no further requests are sent. The ledger then has the reason for those of these changes that no request
    /// was sent for.
    fn close(&mut self, changes: &[MemberId]) -> bool {
        let Some(reason) = self.closed_by() else { return false };
        let state = if self.closed.is_some() { State::Failed(reason) } else { State::Skipped(reason) };
        self.ledger.give_up(changes, &state);
        true
    }

    /// Processes an answer. Members that it lists are shown, not proven: it may be an echo of the request.
    fn learn(&mut self, effect: &Effect, changes: &[MemberId], written: &Written) {
        match written {
            Ok(Answered { result, .. }) => {
                self.run.report().may_have_changed = true;
                let lists = |id: &MemberId| result.as_ref().is_some_and(|members| members.contains(id));
                let is_shown = |id: &&MemberId| effect.adds.contains(*id) && lists(id);
                let (shown, others): (Vec<_>, Vec<_>) = changes.iter().partition(is_shown);
                self.ledger.record_all(shown, &State::Shown);
                self.ledger.record_all(others, &State::Acknowledged);
            }
            Err(error) => {
                self.run.note_failure(error);
                match error.fate {
                    Fate::Refused => self.note_refusal(error),
                    Fate::NotSent => {}
                    Fate::Answered | Fate::Unknown => {
                        self.run.report().may_have_changed = true;
                        self.ledger.record_all(changes, &State::Unknown(error.reason()));
                    }
                }
            }
        }
    }

    fn note_refusal(&mut self, error: &ApiError) {
        self.refused += 1;
        if !error.concerns_one_member() {
            self.closed = Some(refusal(error));
        } else if self.refused >= MAX_REFUSED {
            self.closed = Some(format!("not tried: the API has refused {MAX_REFUSED} requests for this group"));
        }
    }

    pub(super) async fn read(&mut self) -> Result<(), ApiError> {
        let began = Instant::now();
        let (run, group) = (self.run, self.plan.reference());
        let members = run.reader.group_members(&group).await.inspect_err(|error| run.note_failure(error))?;
        self.since = Some(began);
        self.learn_members(members).await;
        Ok(())
    }

    pub(super) async fn learn_members(&mut self, members: Membership) {
        self.unread = None;
        self.present = members.keys().copied().collect();
        self.last_read = Some(members);
        self.is_whole = true;
        self.ledger.observe(&self.present);
        self.run.evidence.note(self.plan.id, &self.present);
        self.run.record(LineKind::Seen { group: self.plan.reference(), members: self.present.clone() }).await;
    }
}

/// Why a write was refused, with a remedy if the API's message has none.
pub(super) fn refusal(error: &ApiError) -> String {
    if error.says("scim") {
        format!("{}; an identity provider manages this group: declare it with mode: observe", error.reason())
    } else {
        error.reason()
    }
}
