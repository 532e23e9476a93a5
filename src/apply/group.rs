//! Applies the plan of one group, and checks its guards again before each removal.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::ApplyRun;
use super::ledger::{Ledger, State};
use super::requests::{MAX_SENDS, given_up, refusal};
use crate::cloudflare::Fate;
use crate::model::{MemberId, Membership, PersonRef};
use crate::plan::{Action, Change, GroupPlan, Operation};
use crate::render::counted;

/// The removals from a group, and the number of members that a percentage refers to.
#[derive(Clone, Copy)]
struct RemovalCount {
    /// The members that this run has removed or may have removed. Exempt ones do not count.
    removed: u64,
    /// The members that the group would have without this run.
    present: u64,
}

/// A group, its members as last seen, and the state of each of its changes.
///
/// Nothing is assumed: `present` changes only when a reading shows members.
pub(super) struct GroupRun<'a> {
    pub(super) run: &'a ApplyRun<'a>,
    pub(super) plan: &'a GroupPlan,
    pub(super) before: BTreeSet<MemberId>,
    /// The members in the last reading.
    pub(super) present: BTreeSet<MemberId>,
    /// Whether the complete group was seen, and no request was sent since.
    pub(super) is_whole: bool,
    /// No reading of the group that began before this counts any more.
    pub(super) since: Option<Instant>,
    /// Whether any request that changes the group was sent.
    pub(super) wrote: bool,
    pub(super) ledger: Ledger<'a>,
    /// The last reading. It has the addresses of members that the plan does not have.
    pub(super) last_read: Option<Membership>,
    /// Why the last reading failed, if it failed.
    pub(super) unread: Option<String>,
    /// Why no further requests are sent to this group.
    pub(super) closed: Option<String>,
    pub(super) refused: usize,
}

impl<'a> GroupRun<'a> {
    /// A group with the members of its last reading. `is_whole`: whether this run read the complete group.
    pub fn new(run: &'a ApplyRun<'a>, plan: &'a GroupPlan, members: BTreeSet<MemberId>, is_whole: bool) -> Self {
        Self {
            run,
            plan,
            before: members.clone(),
            present: members,
            is_whole,
            since: None,
            wrote: false,
            ledger: Ledger::new(plan),
            last_read: None,
            unread: None,
            closed: None,
            refused: 0,
        }
    }

    /// The members in the last complete reading, if no request was sent since.
    pub fn last_whole(&self) -> Option<BTreeSet<MemberId>> {
        self.is_whole.then(|| self.present.clone())
    }

    /// Whether a removal depends on an addition that no reading has shown, or an addition was neither shown by its
    /// answer nor by a reading.
    pub fn needs_proof(&self) -> bool {
        let mut unproven = self.ledger.unproven_additions(&self.present);
        let leaving = self.plan.removals().filter(|change| self.present.contains(&change.member.id)).count();
        let may_break = leaving > 0 && ((self.present.len() - leaving) as u64) < self.plan.guards.least();
        unproven.any(|(member, shown)| may_break || !shown || self.run.evidence.is_awaited(member, self.plan.id))
    }

    /// Whether the last reading contradicts an answer of the API.
    pub fn is_contradicted(&self) -> bool {
        self.unread.is_none() && self.ledger.is_contradicted_by(&self.present)
    }

    /// Sends the group's POST, if it has one.
    pub async fn add(&mut self) {
        for operation in &self.plan.operations {
            if let Operation::Post(members) = operation {
                // Those who leave another group first are added by an exchange.
                let waits = |id: &MemberId| self.run.evidence.joins_last(self.plan.id, *id);
                if members.iter().all(waits) {
                    continue;
                }
                let missing = members.iter().filter(|id| !self.present.contains(id)).copied().collect();
                self.post(missing).await;
                self.run.finish_one();
            }
        }
    }

    /// Sends the group's DELETEs or its PUT, if it has any.
    pub async fn remove(&mut self) {
        // The semaphore is never closed.
        let _turn = self.run.turns.acquire().await;
        for operation in &self.plan.operations {
            match operation {
                Operation::Post(_) => continue,
                Operation::Delete([member]) if self.run.evidence.leaves_first(self.plan.id, *member) => continue,
                Operation::Delete([member]) if self.ledger.is_open(*member) => self.delete(*member).await,
                Operation::Delete(_) => {}
                Operation::Put(_) => self.replace().await,
            }
            self.run.finish_one();
        }
    }

    /// Opens the removals that waited for another group, if it shows their members now.
    pub fn reopen(&mut self) -> Option<&mut Self> {
        let is_ready = |id: MemberId, _: &Change, state: &State| {
            matches!(state, State::Awaiting(_)) && self.run.evidence.awaited_in(id, self.plan.id).is_none()
        };
        let ready: Vec<MemberId> = self.ledger.members_where(is_ready).collect();
        if ready.is_empty() || self.closed_by().is_some() {
            return None;
        }
        self.ledger.record_all(&ready, &State::Open);
        Some(self)
    }

    /// Before a removal: if only additions that no reading shows would keep the guards, reads the group.
    pub async fn prove_for_guards(&mut self, member: MemberId) {
        let mut gone = self.ledger.removed();
        gone.insert(member);
        let left = self.present.difference(&gone).count();
        if (left as u64) < self.plan.guards.least() && self.ledger.unproven_additions(&self.present).next().is_some() {
            self.settle().await;
        }
    }

    /// Reads the group again until no reading contradicts an acknowledged write, or the time before the end is over.
    pub async fn settle(&mut self) {
        let run = self.run;
        run.read_until_consistent(vec![self], run.settle_before_the_end()).await;
    }

    pub async fn read_back(&mut self) {
        if let Err(error) = self.read().await {
            // A reading that contradicts an acknowledged write counts only if another one confirms it.
            self.is_whole &= !self.ledger.is_contradicted_by(&self.present);
            self.unread = Some(format!("the group could not be read afterwards: {}", error.reason()));
        }
    }

    /// Adds these members. A refused member does not block the others: the batch is split until the member is found.
    pub(super) async fn post(&mut self, members: Vec<MemberId>) {
        let mut batches = vec![members];
        while let Some(mut batch) = batches.pop() {
            batch.retain(|member| self.may_add(*member));
            if batch.is_empty() {
                continue;
            }
            match self.send_until_known(&Operation::Post(batch.clone())).await {
                Ok(()) => {
                    // While the request waited, a group that excludes this one may have shown some of them.
                    let open: Vec<MemberId> = batch.iter().copied().filter(|id| self.ledger.is_open(*id)).collect();
                    if open.len() < batch.len() && self.closed_by().is_none() {
                        batches.push(open);
                    }
                }
                Err(error) if error.concerns_one_member() && batch.len() > 1 => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second.to_vec(), first.to_vec()]);
                }
                Err(error) => self.ledger.record_all(&batch, &State::Failed(refusal(&error))),
            }
        }
    }

    /// Whether no group that excludes this one shows the member. Otherwise the ledger gets the reason.
    pub(super) fn may_add(&mut self, member: MemberId) -> bool {
        let Some(reason) = self.exclusion_of(member) else { return true };
        self.ledger.give_up([&member], &State::Failed(reason));
        false
    }

    pub(super) async fn delete(&mut self, member: MemberId) {
        if !self.present.contains(&member) {
            return;
        }
        self.prove_for_guards(member).await;
        if !self.may_delete(member) {
            return;
        }
        match self.send_until_known(&Operation::Delete([member])).await {
            Ok(()) => {}
            // The API refuses to remove a member who is not in the group, or not in the account. The removal counts as
            // done once a reading shows it.
            Err(error) if error.concerns_one_member() => {
                self.ledger.record_all([&member], &State::SaidToBeGone(refusal(&error)));
            }
            Err(error) => self.ledger.record_all([&member], &State::Failed(refusal(&error))),
        }
    }

    /// Replaces all members by one PUT. A PUT removes everybody whom it does not name. The group is therefore read
    /// immediately before each PUT, and the PUT is not sent if somebody else has changed the group.
    async fn replace(&mut self) {
        let mut last = String::new();
        let mut in_parts = false;
        for _ in 0..MAX_SENDS {
            if let Some(reason) = self.closed_by() {
                return self.leave(State::Skipped(reason));
            }
            let put = Operation::Put(Vec::new());
            if self.is_outdated(&put) {
                self.refresh(&put).await;
                last = "each reading was outdated before the request could be sent".into();
                continue;
            }
            if let Err(error) = self.read().await {
                let reason = format!("the group cannot be read: {}", error.reason());
                return self.leave(given_up(&error, reason));
            }
            if !self.plan.moved_since(&self.present).is_empty() {
                // The report names the members who joined or left.
                return;
            }
            let members = self.choose_members();
            if members == self.present {
                return;
            }
            let error = match self.send(&Operation::Put(members.into_iter().collect())).await {
                Some(Ok(_)) => return,
                Some(Err(error)) => error,
                None => {
                    last = "the members who must stay changed before each request".into();
                    continue;
                }
            };
            match error.fate {
                Fate::Answered | Fate::NotSent | Fate::Unknown => last = error.reason(),
                Fate::Refused if !error.concerns_one_member() => return self.leave(State::Failed(refusal(&error))),
                Fate::Refused if !in_parts => {
                    in_parts = true;
                    let missing = self.ledger.outstanding(Action::Add, &self.present);
                    self.post(missing.into_iter().collect()).await;
                }
                Fate::Refused => {
                    // The last resort, if the API refuses the PUT with any members.
                    for member in self.ledger.outstanding(Action::Remove, &self.present) {
                        self.delete(member).await;
                    }
                    return;
                }
            }
        }
        self.leave(State::Failed(last));
    }

    /// Chooses the members that a PUT leaves in the group: those of the plan, without the refused ones, and with those
    /// who must stay. The removals are counted for the limits. The ledger gets the reason for each member who stays.
    fn choose_members(&mut self) -> BTreeSet<MemberId> {
        let mut chosen = self.present.clone();
        for member in self.ledger.outstanding(Action::Add, &self.present) {
            if self.may_add(member) {
                chosen.insert(member);
            }
        }
        let leaving = self.ledger.outstanding(Action::Remove, &self.present);
        let sent = self.ledger.removed();
        let mut count = self.removal_count(&sent);
        // As many as the guards allow, in the order of the plan.
        for change in self.plan.removals().filter(|change| leaving.contains(&change.member.id)) {
            let member = change.member.id;
            let is_new = !sent.contains(&member) && self.is_counted(member);
            let with_them = RemovalCount { removed: count.removed + u64::from(is_new), ..count };
            if let Some(reason) = self.reason_to_keep(member, chosen.len() - 1, with_them) {
                self.keep(member, reason);
            } else {
                count = with_them;
                chosen.remove(&member);
            }
        }
        chosen
    }

    /// Records why a removal is not made, or on what it waits.
    pub(super) fn keep(&mut self, member: MemberId, reason: String) {
        let awaits = self.awaited(member).is_some();
        self.ledger.keep(member, reason, awaits);
    }

    /// Records why the remaining changes are not made.
    fn leave(&mut self, state: State) {
        self.ledger.give_up(self.plan.carried_out().map(|change| &change.member.id), &state);
    }

    // The guards that are checked again before each request that removes members: `group_removals`, `min_members`,
    // `allow_empty`, and `protected` by address. `evidence.rs` asks `unmanaged_groups` and the pins again when the list of
    // groups is read again. The other guards are not checked again. A run makes at most the removals of its plan, so
    // `total_removals` cannot be exceeded. The limit of a group may be a percentage of its present members, which
    // decreases if a newer reading shows fewer. The simulation recognizes each reason by its text: see `KEPT` in
    // `tests/it/simulation/figures.rs`.

    /// Why a member must stay, if so. Their removal would leave this number of members, and this count for the limit.
    fn reason_to_keep(&self, member: MemberId, left: usize, count: RemovalCount) -> Option<String> {
        let reason = self.awaited(member).or_else(|| self.protection_of(member)).or_else(|| self.guard_against(left));
        reason.or_else(|| self.limit_against(count).filter(|_| self.is_counted(member)))
    }

    /// Why a removal waits for an addition to another group. A removal by an ended entry waits for none.
    fn awaited(&self, member: MemberId) -> Option<String> {
        let ends = self.ledger.change(member).is_some_and(|change| change.expired.is_some());
        self.run.evidence.awaited_in(member, self.plan.id).filter(|_| !ends)
    }

    /// Why a member must stay, if so, although a DELETE could remove them now.
    pub(super) fn reason_against_delete(&self, member: MemberId) -> Option<String> {
        // Members whose removal may have taken effect are counted as gone.
        let mut gone = self.ledger.removed();
        gone.insert(member);
        self.reason_to_keep(member, self.present.difference(&gone).count(), self.removal_count(&gone))
    }

    /// Whether the member may be removed now. Otherwise the ledger gets the reason.
    fn may_delete(&mut self, member: MemberId) -> bool {
        let Some(reason) = self.reason_against_delete(member) else { return true };
        self.keep(member, reason);
        false
    }

    /// Whether a request still adds or removes only members who may be added or removed. Otherwise the ledger gets the
    /// reason.
    pub(super) fn still_allows(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Post(members) => members.iter().all(|member| self.may_add(*member)),
            Operation::Put(members) => self.choose_members().iter().eq(members),
            Operation::Delete([member]) => self.may_delete(*member),
        }
    }

    /// Which of `min_members` and `allow_empty` does not allow this number of remaining members, in words.
    fn guard_against(&self, left: usize) -> Option<String> {
        let guards = &self.plan.guards;
        if left as u64 >= guards.least() {
            return None;
        }
        Some(match &guards.min_members {
            Some(least) if (left as u64) < least.value => {
                let left = counted(left as u64, "member");
                format!("kept, because only {left} would remain, and min_members is {}", least.value)
            }
            _ => "kept, because the group would be empty, and allow_empty is not set".into(),
        })
    }

    /// The `protected` entry that has the member's address in the last reading. The plan may have another address for
    /// the member.
    fn protection_of(&self, member: MemberId) -> Option<String> {
        let email = self.last_read.as_ref()?.get(&member)?.email.as_ref()?;
        let protects = |person: &PersonRef| matches!(person, PersonRef::Email(protected) if protected == email);
        let entry = self.run.plan.guards.protected.iter().find(|entry| protects(&entry.person))?;
        Some(format!("kept, because {email} is protected at {}", entry.origin))
    }

    fn limit_against(&self, RemovalCount { removed, present }: RemovalCount) -> Option<String> {
        let (limit, allowed) = (self.plan.guards.group_removals.value, self.plan.guards.removals_allowed(present));
        let what = format!("{removed} of {present} members would be removed");
        (removed > allowed && !self.run.context.limits_lifted)
            .then(|| format!("kept, because {what}, but group_removals ({limit}) allows at most {allowed}"))
    }

    /// The numbers for the limit, if this run has removed these members. Members that the run added are not counted as
    /// present.
    fn removal_count(&self, removed: &BTreeSet<MemberId>) -> RemovalCount {
        let added: BTreeSet<MemberId> =
            self.ledger.members(Action::Add).filter(|id| !self.before.contains(id)).collect();
        let present = self.present.union(removed).filter(|id| !added.contains(id)).count();
        let removed = removed.iter().filter(|id| self.is_counted(**id)).count();
        RemovalCount { removed: removed as u64, present: present as u64 }
    }

    fn is_counted(&self, member: MemberId) -> bool {
        !self.ledger.change(member).is_some_and(|change| change.exempt)
    }
}
