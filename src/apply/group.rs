//! One group while its part of a plan is carried out.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::ledger::{Ledger, State};
use super::{Run, locked};
use crate::cloudflare::{ApiError, ApiErrorKind, Concern, WriteFate};
use crate::journal::{Effect, LineKind, Outcome};
use crate::model::{GroupName, GroupRef, MemberId, Membership, Mode};
use crate::plan::{Action, Freshness, GroupPlan, Operation};
use crate::render::counted;
use crate::report::{Difference, GroupOutcome, GroupReport};

/// How often a request is sent before its changes are given up.
const MAX_SENDS: usize = 4;

/// How many requests of one group the API may refuse before the rest is not tried.
const MAX_REFUSED: usize = 64;

/// A group, what was last seen of it, and what became of each of its changes.
///
/// Nothing is assumed: `present` changes only when an answer or a reading shows members.
pub(super) struct GroupRun<'a> {
    plan: &'a GroupPlan,
    /// The members before this run.
    before: BTreeSet<MemberId>,
    /// The members as last seen.
    present: BTreeSet<MemberId>,
    /// Whether the whole group was seen, and nothing was sent to it since.
    is_whole: bool,
    /// Whether any request that changes the group was sent.
    wrote: bool,
    ledger: Ledger<'a>,
    /// The last reading, which tells the addresses of members whom the plan does not know.
    last_read: Option<Membership>,
    /// Why the group could not be read the last time, where it could not.
    unread: Option<String>,
    /// Why nothing further is sent to this group.
    closed: Option<String>,
    refused: usize,
}

/// What came of sending a request until that was known.
enum Sent {
    /// It was answered, or a reading shows what it was to do.
    Done,
    Refused(Concern, ApiError),
    /// The ledger knows why it is not done.
    GivenUp,
}

impl<'a> GroupRun<'a> {
    /// A group with the members that it had when it was last read; `is_whole` says whether this run has read them.
    pub fn new(plan: &'a GroupPlan, members: BTreeSet<MemberId>, is_whole: bool) -> Self {
        Self {
            plan,
            before: members.clone(),
            present: members,
            is_whole,
            wrote: false,
            ledger: Ledger::new(plan),
            last_read: None,
            unread: None,
            closed: None,
            refused: 0,
        }
    }

    pub fn reference(&self) -> GroupRef {
        GroupRef { id: self.plan.id, name: self.plan.name.clone() }
    }

    pub fn name(&self) -> &GroupName {
        &self.plan.name
    }

    pub fn members(&self) -> BTreeSet<MemberId> {
        self.present.clone()
    }

    /// The members in the last whole reading, unless something was sent since.
    pub fn last_whole(&self) -> Option<BTreeSet<MemberId>> {
        self.is_whole.then(|| self.present.clone())
    }

    pub fn has_operations(&self) -> bool {
        !self.plan.operations.is_empty()
    }

    pub fn has_unproven_additions(&self) -> bool {
        self.ledger.has_unproven_additions(&self.present)
    }

    /// Whether the group has still to be compared with its target.
    pub fn is_to_be_compared(&self) -> bool {
        self.wrote && !self.is_whole
    }

    /// Whether the last reading contradicts what the API answered.
    pub fn is_contradicted(&self) -> bool {
        self.unread.is_none() && self.ledger.is_contradicted_by(&self.present)
    }
}

/// The steps.
impl GroupRun<'_> {
    /// Sends the group's POST, if it has one.
    pub async fn add(&mut self, run: &Run<'_>) {
        for operation in &self.plan.operations {
            if let Operation::Post(members) = operation {
                let missing = members.iter().filter(|id| !self.present.contains(id)).copied().collect();
                self.post(missing, run).await;
                run.finish_one();
            }
        }
    }

    /// Sends the group's DELETEs or its PUT, if it has any.
    pub async fn remove(&mut self, run: &Run<'_>) {
        for operation in &self.plan.operations {
            match operation {
                Operation::Post(_) => continue,
                Operation::Delete(member) => self.delete(*member, run).await,
                Operation::Put(_) => self.replace(run).await,
            }
            run.finish_one();
        }
    }

    /// Reads the group's members again.
    pub async fn read_back(&mut self, run: &Run<'_>) {
        if let Err(error) = self.read(run).await {
            self.unread = Some(format!("the group could not be read afterwards: {}", error.reason()));
        }
    }
}

/// Additions.
impl GroupRun<'_> {
    /// Adds these members. One who is refused does not block the others: the batch is split until they are found.
    async fn post(&mut self, members: Vec<MemberId>, run: &Run<'_>) {
        let mut batches = vec![members];
        while let Some(batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.send_until_known(&Operation::Post(batch.clone()), run).await {
                Sent::Done | Sent::GivenUp => {}
                Sent::Refused(Concern::Member, _) if batch.len() > 1 => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second.to_vec(), first.to_vec()]);
                }
                Sent::Refused(_, error) => self.ledger.record_all(&batch, &State::Failed(refusal(&error))),
            }
        }
    }
}

/// Removals.
impl GroupRun<'_> {
    async fn delete(&mut self, member: MemberId, run: &Run<'_>) {
        if !self.present.contains(&member) {
            return;
        }
        if let Some(reason) = self.reason_to_keep(member, run) {
            return self.ledger.record(member, State::Kept(reason));
        }
        match self.send_until_known(&Operation::Delete(member), run).await {
            Sent::Done | Sent::GivenUp => {}
            // The API refuses to remove somebody who is not there: that is as good as done, once it is seen.
            Sent::Refused(Concern::Member, error) if error.kind() == ApiErrorKind::NotFound => {
                self.ledger.record(member, State::SaidToBeGone(refusal(&error)));
            }
            Sent::Refused(_, error) => self.ledger.record(member, State::Failed(refusal(&error))),
        }
    }

    /// Why the member has to stay for now, if so.
    fn reason_to_keep(&self, member: MemberId, run: &Run<'_>) -> Option<String> {
        run.awaited_in(member).or_else(|| {
            // Those whose removal may have taken effect are counted as gone.
            let left = self.present.len().saturating_sub(self.ledger.may_be_gone(&self.present) + 1);
            self.guard_against(left)
        })
    }

    /// The guard that so few members would break.
    fn guard_against(&self, left: usize) -> Option<String> {
        let guards = &self.plan.guards;
        if left as u64 >= guards.least() {
            return None;
        }
        Some(match &guards.min_members {
            Some(least) if (left as u64) < least.value => {
                let left = counted(left as u64, "member");
                format!("kept, because {left} would be left, and min_members is {}", least.value)
            }
            _ => "kept, because the group would be empty, and it has no allow_empty".into(),
        })
    }

    /// Replaces the whole set by one PUT. A PUT wipes out whatever it does not name: so the group is read immediately
    /// before each, and the PUT is not sent where somebody else has changed the group.
    async fn replace(&mut self, run: &Run<'_>) {
        let mut last = String::new();
        let mut in_parts = false;
        for _ in 0..MAX_SENDS {
            if let Some(reason) = self.barred(run) {
                return self.leave(State::Skipped(reason));
            }
            if let Err(error) = self.read(run).await {
                return self.leave(State::Failed(format!("the group cannot be read: {}", error.reason())));
            }
            if self.plan.freshness(&self.present) != Freshness::Fresh {
                // The report says who came and went.
                return;
            }
            let body = self.body(run);
            if body == self.present {
                return;
            }
            match self.send(&Operation::Put(body.iter().copied().collect()), run).await {
                None | Some(WriteFate::Answered { .. }) => return,
                Some(WriteFate::Refused { concerns: Concern::Member, .. }) if !in_parts => {
                    in_parts = true;
                    let missing = self.ledger.outstanding(Action::Add, &self.present);
                    self.post(missing.into_iter().collect(), run).await;
                }
                Some(WriteFate::Refused { concerns: Concern::Member, .. }) => {
                    // The last resort: the API refuses the PUT whichever members it names.
                    for member in self.ledger.outstanding(Action::Remove, &self.present) {
                        self.delete(member, run).await;
                    }
                    return;
                }
                Some(WriteFate::Refused { error, .. }) => return self.leave(State::Failed(refusal(&error))),
                Some(WriteFate::NotSent(error) | WriteFate::Unknown(error)) => last = error.reason(),
            }
        }
        self.leave(State::Failed(last));
    }

    /// The set to send: the plan's, without those who were refused here, and with those who have to stay.
    fn body(&mut self, run: &Run<'_>) -> BTreeSet<MemberId> {
        let mut body = self.present.clone();
        body.extend(self.ledger.outstanding(Action::Add, &self.present));
        let mut leaving = self.ledger.outstanding(Action::Remove, &self.present);
        leaving.retain(|member| match run.awaited_in(*member) {
            None => true,
            Some(reason) => {
                self.ledger.record(*member, State::Kept(reason));
                false
            }
        });
        // As many as the guards let go, in the order of the plan.
        for change in self.plan.removals().filter(|change| leaving.contains(&change.member.id)) {
            let member = change.member.id;
            match self.guard_against(body.len() - 1) {
                None => drop(body.remove(&member)),
                Some(reason) => self.ledger.record(member, State::Kept(reason)),
            }
        }
        body
    }

    /// Records why what is not done yet is left.
    fn leave(&mut self, state: State) {
        for action in [Action::Add, Action::Remove] {
            let outstanding = self.ledger.outstanding(action, &self.present);
            self.ledger.give_up(&outstanding, &state);
        }
    }
}

/// Requests and what they show.
impl GroupRun<'_> {
    /// Why nothing further is sent to the group, if so.
    fn barred(&self, run: &Run<'_>) -> Option<String> {
        self.closed.clone().or_else(|| run.barred())
    }

    /// Sends a POST or a DELETE until it is known what came of it. A lost answer is settled by reading.
    async fn send_until_known(&mut self, operation: &Operation, run: &Run<'_>) -> Sent {
        for _ in 0..MAX_SENDS {
            let error = match self.send(operation, run).await {
                None => return Sent::GivenUp,
                Some(WriteFate::Answered { .. }) => return Sent::Done,
                Some(WriteFate::Refused { concerns, error }) => return Sent::Refused(concerns, error),
                Some(WriteFate::NotSent(error)) => {
                    self.ledger.record_all(operation.members(), &State::Failed(error.reason()));
                    return Sent::GivenUp;
                }
                Some(WriteFate::Unknown(error)) => error,
            };
            if let Err(unread) = self.read(run).await {
                let reason = format!("{}; the group could not be read either: {}", error.reason(), unread.reason());
                self.ledger.record_all(operation.members(), &State::Unknown(reason));
                return Sent::GivenUp;
            }
            if self.shows(operation) {
                return Sent::Done;
            }
            if run.barred().is_some() {
                return Sent::GivenUp;
            }
        }
        Sent::GivenUp
    }

    /// Whether the members last seen are what a POST or a DELETE was to make them.
    fn shows(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Post(members) | Operation::Put(members) => members.iter().all(|id| self.present.contains(id)),
            Operation::Delete(member) => !self.present.contains(member),
        }
    }

    /// Sends a request once, and records it before and after. Without an answer nothing further may be sent, and the
    /// ledger knows why.
    async fn send(&mut self, operation: &Operation, run: &Run<'_>) -> Option<WriteFate> {
        let effect = self.effect(operation);
        let changes: Vec<MemberId> = effect.adds.union(&effect.removes).copied().collect();
        if let Some(reason) = self.barred(run) {
            self.bar(&changes, reason);
            return None;
        }
        let announced = match run.means.journal.announce(effect.clone()).await {
            Ok(announced) => announced,
            Err(error) => {
                run.note_journal_failure(&error);
                self.bar(&changes, format!("the journal cannot be written: {error}"));
                return None;
            }
        };
        run.wrote.store(true, Ordering::Relaxed);
        (self.wrote, self.is_whole) = (true, false);
        let (client, group) = (run.means.client, self.reference());
        let fate = match operation {
            Operation::Post(members) => client.add_members(&group, members).await,
            Operation::Put(members) => client.replace_members(&group, members).await,
            Operation::Delete(member) => client.remove_member(&group, *member).await,
        };
        let (ray, error) = (fate.ray().map(Into::into), fate.error().map(ApiError::reason));
        if let Err(error) = run.means.journal.answered(announced, outcome(&fate), ray, error).await {
            run.note_journal_failure(&error);
        }
        self.learn(operation, &effect, &changes, &fate, run).await;
        Some(fate)
    }

    /// What the request does, given the members last seen.
    fn effect(&self, operation: &Operation) -> Effect {
        let group = self.reference();
        let named: BTreeSet<MemberId> = operation.members().iter().copied().collect();
        let (adds, removes) = match operation {
            Operation::Post(_) => (named, BTreeSet::new()),
            Operation::Delete(_) => (BTreeSet::new(), named),
            Operation::Put(_) => (&named - &self.present, &self.present - &named),
        };
        Effect { group, request: operation.clone(), adds, removes }
    }

    /// Records that these changes are not tried, or not tried again.
    fn bar(&mut self, changes: &[MemberId], reason: String) {
        let state = match self.closed.is_some() {
            true => State::Failed(reason),
            false => State::Skipped(reason),
        };
        self.ledger.give_up(changes, &state);
    }

    /// Takes in what an answer says.
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
    }

    /// The answer to a POST or a PUT lists members. It shows the whole group only where it lists exactly those who are
    /// to be in it now; else it proves the additions that it lists, and nothing more.
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

    /// Reads the whole group.
    async fn read(&mut self, run: &Run<'_>) -> Result<(), ApiError> {
        let members = run.reader.group_members(&self.reference()).await?;
        self.unread = None;
        let present = members.keys().copied().collect();
        self.last_read = Some(members);
        self.see(present, run).await;
        Ok(())
    }

    /// Takes in the members of the whole group.
    async fn see(&mut self, members: BTreeSet<MemberId>, run: &Run<'_>) {
        self.present = members;
        self.is_whole = true;
        self.ledger.observe(&self.present);
        self.tell_awaited(run);
        run.record(LineKind::Seen { group: self.reference(), members: self.present.clone() }).await;
    }

    /// Tells the other groups which of those who leave them were not seen here yet.
    pub fn tell_awaited(&self, run: &Run<'_>) {
        let mut awaited = locked(&run.awaited);
        for member in self.ledger.additions() {
            if let Some(groups) = awaited.get_mut(&member) {
                match self.present.contains(&member) {
                    true => drop(groups.remove(&self.plan.id)),
                    false => drop(groups.insert(self.plan.id, self.plan.name.clone())),
                }
            }
        }
    }
}

impl Run<'_> {
    /// Why a member has to stay in the groups that they leave, if so.
    fn awaited_in(&self, member: MemberId) -> Option<String> {
        let awaited = locked(&self.awaited);
        let name = awaited.get(&member)?.values().next()?;
        Some(format!("kept, because the addition to {:?} is not proven", name.as_str()))
    }
}

/// The end.
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
        // What the run left out may differ, and was never compared.
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

fn outcome(fate: &WriteFate) -> Outcome {
    match fate {
        WriteFate::Answered { .. } => Outcome::Answered,
        WriteFate::Refused { .. } => Outcome::Refused,
        WriteFate::NotSent(_) => Outcome::NotSent,
        WriteFate::Unknown(_) => Outcome::Unknown,
    }
}

/// Why a write was refused, with what to do about it where the API's words do not say it.
fn refusal(error: &ApiError) -> String {
    match error.messages().iter().any(|message| message.message.to_lowercase().contains("scim")) {
        true => format!("{}; declare the group with mode: observe", error.reason()),
        false => error.reason(),
    }
}
