//! One group while its part of a plan is carried out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Shared, changed};
use crate::cloudflare::ApiError;
use crate::model::{GroupRef, Member, MemberId, Membership};
use crate::plan::{Action, GroupPlan};
use crate::report::{Difference, GroupReport, Undone};

/// A group, what is known of it and what became of each of its changes so far.
pub(super) struct GroupRun<'a> {
    pub plan: &'a GroupPlan,
    pub target: GroupRef,
    /// The members before this run.
    before: BTreeSet<MemberId>,
    /// The members as last known: read, answered, or follows from what was done.
    pub present: BTreeSet<MemberId>,
    /// Whether the last write's result is proven by an answer or by reading.
    pub proven: bool,
    pub written: bool,
    failed: BTreeMap<(Action, MemberId), String>,
    skipped: BTreeMap<(Action, MemberId), String>,
    pub stale: Option<Difference>,
    pub trouble: Option<String>,
}

impl<'a> GroupRun<'a> {
    pub fn new(plan: &'a GroupPlan, present: BTreeSet<MemberId>) -> Self {
        Self {
            plan,
            target: GroupRef { id: plan.id, name: plan.name.clone() },
            before: present.clone(),
            present,
            proven: true,
            written: false,
            failed: BTreeMap::new(),
            skipped: BTreeMap::new(),
            stale: None,
            trouble: None,
        }
    }

    /// Notes a change that was tried in vain. Who could not be added here is kept elsewhere.
    pub fn fail(&mut self, action: Action, member: MemberId, reason: &str, shared: &Shared<'_>) {
        self.failed.insert((action, member), reason.into());
        self.keep_elsewhere(action, member, shared);
    }

    /// Notes a change that was not tried.
    pub fn skip(&mut self, action: Action, member: MemberId, reason: &str, shared: &Shared<'_>) {
        self.skipped.insert((action, member), reason.into());
        self.keep_elsewhere(action, member, shared);
    }

    fn keep_elsewhere(&self, action: Action, member: MemberId, shared: &Shared<'_>) {
        if action == Action::Add {
            shared.cannot_add(member, &self.plan.name);
        }
    }

    /// Whether the change was tried in vain, or not tried.
    pub fn gave_up(&self, action: Action, member: MemberId) -> bool {
        self.failed.contains_key(&(action, member)) || self.skipped.contains_key(&(action, member))
    }

    /// The plan's changes of one kind that are neither made nor given up.
    pub fn outstanding(&self, action: Action) -> BTreeSet<MemberId> {
        let open = changed(self, action).into_iter().filter(|id| !self.gave_up(action, *id));
        open.filter(|id| self.present.contains(id) == (action == Action::Remove)).collect()
    }

    /// Reads the group's members as they are now.
    pub async fn read(&mut self, shared: &Shared<'_>) -> Result<Membership, ApiError> {
        let members = shared.means.client.group_members(&self.target).await?;
        self.present = members.keys().copied().collect();
        self.proven = true;
        Ok(members)
    }

    /// Makes sure that what was written is there, where no answer has proven it.
    pub async fn read_back(&mut self, shared: &Shared<'_>) {
        if !self.written || self.proven || shared.stopped() {
            return;
        }
        if let Err(error) = self.read(shared).await {
            self.trouble = Some(format!("what was written could not be read back: {}", error.reason()));
            return;
        }
        for (action, what) in [(Action::Add, "is not there"), (Action::Remove, "is still there")] {
            for member in self.outstanding(action) {
                let reason = format!("the API accepted the change, and yet the member {what}");
                self.fail(action, member, &reason, shared);
            }
        }
    }

    pub fn into_report(self) -> GroupReport {
        let changes = self.plan.changes.iter().enumerate();
        let places: BTreeMap<(Action, MemberId), usize> =
            changes.map(|(place, change)| ((change.action, change.member.id), place)).collect();
        let subject = |action: Action, id: MemberId| {
            let change = places.get(&(action, id)).and_then(|place| self.plan.changes.get(*place));
            change.map_or(Member { id, email: None, status: None }, |change| change.member.clone())
        };
        let done = |action| {
            let made = |id: &MemberId| {
                let joined = action == Action::Add;
                !self.gave_up(action, *id) && self.present.contains(id) == joined && self.before.contains(id) != joined
            };
            let made = changed(&self, action).into_iter().filter(made);
            let mut made: Vec<Member> = made.map(|id| subject(action, id)).collect();
            made.sort_by_key(|member| places.get(&(action, member.id)));
            made
        };
        let undone = |(action, id): &(Action, MemberId), reason: &str| Undone {
            action: *action,
            member: subject(*action, *id),
            reason: reason.into(),
        };
        let (added, removed) = (done(Action::Add), done(Action::Remove));
        let mut failed: Vec<Undone> = self.failed.iter().map(|(key, reason)| undone(key, reason)).collect();
        let mut skipped: Vec<Undone> = self.skipped.iter().map(|(key, reason)| undone(key, reason)).collect();
        for action in [Action::Add, Action::Remove] {
            let outstanding = self.outstanding(action).into_iter();
            match self.stale {
                Some(_) => {
                    let reason = "the group is no longer what the plan saw";
                    skipped.extend(outstanding.map(|id| undone(&(action, id), reason)));
                }
                None => {
                    let reason = "it was made, and somebody else has unmade it since";
                    failed.extend(outstanding.map(|id| undone(&(action, id), reason)));
                }
            }
        }
        failed.sort_by_key(|undone| places.get(&(undone.action, undone.member.id)));
        skipped.sort_by_key(|undone| places.get(&(undone.action, undone.member.id)));
        GroupReport {
            id: self.plan.id,
            name: self.plan.name.clone(),
            differs: !self.plan.held.is_empty() || self.plan.carried_out().count() < self.plan.changes.len(),
            added,
            removed,
            failed,
            skipped,
            stale: self.stale,
            trouble: self.trouble,
        }
    }
}
