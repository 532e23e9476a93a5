//! The readings that writes rely on: of the group itself, of the groups that members move to, and of the groups that
//! exclude it. No write relies on an old one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::group::GroupRun;
use super::recheck::moved;
use super::{ApplyRun, locked};
use crate::cloudflare::ApiError;
use crate::model::{GroupId, GroupRef, GroupSummary, MemberId, Membership, Mode};
use crate::plan::{Change, GroupPlan, Operation, Plan};
use crate::report::StaleGroup;

/// What is known of the groups on which the writes of other groups depend.
pub(super) struct Evidence<'a> {
    plan: &'a Plan,
    /// For each member who leaves a group: the groups that must show the member first.
    destinations: BTreeMap<MemberId, BTreeSet<GroupRef>>,
    /// The additions that wait until the member has left the groups of `Change::after`.
    after: BTreeMap<(GroupId, MemberId), &'a Change>,
    /// The last reading of each group on which the write of another one can depend.
    seen: Mutex<BTreeMap<GroupId, BTreeSet<MemberId>>>,
    /// The readings of groups for the writes of others, with the time when each began.
    further: Mutex<BTreeMap<GroupId, (Instant, Membership)>>,
    /// All groups, if the list was read again.
    groups: tokio::sync::Mutex<Option<Arc<BTreeMap<GroupId, GroupSummary>>>>,
}

impl<'a> Evidence<'a> {
    pub fn of(plan: &'a Plan) -> Self {
        let destinations = plan.destinations();
        let excluding = plan.exclusive.iter().map(|pair| &pair.other);
        let relied_on = destinations.values().flatten().chain(excluding);
        let seen = Mutex::new(relied_on.map(|group| (group.id, BTreeSet::new())).collect());
        let additions = |group: &'a GroupPlan| group.additions().map(|change| ((group.id, change.member.id), change));
        let waits = |(_, change): &(_, &Change)| !change.after.is_empty();
        let after = plan.groups.iter().flat_map(additions).filter(waits).collect();
        Self { plan, destinations, after, seen, further: Mutex::default(), groups: tokio::sync::Mutex::default() }
    }

    /// Records the members of a group by its last reading.
    pub fn note(&self, group: GroupId, present: &BTreeSet<MemberId>) {
        if let Some(seen) = locked(&self.seen).get_mut(&group) {
            seen.clone_from(present);
        }
    }

    fn shows(&self, group: GroupId, member: MemberId) -> bool {
        locked(&self.seen).get(&group).is_some_and(|members| members.contains(&member))
    }

    /// Why a member must stay in a group that they leave: another group does not show them.
    pub fn awaited_in(&self, member: MemberId, leaves: GroupId) -> Option<String> {
        let is_awaited = |group: &&GroupRef| {
            let waits_for_this = self.after.get(&(group.id, member)).is_some_and(|change| change.waits_for(leaves));
            !waits_for_this && !self.shows(group.id, member)
        };
        let group = self.destinations.get(&member)?.iter().find(is_awaited)?;
        Some(format!("kept, because the addition to {:?} is not proven", group.name.as_str()))
    }

    /// Whether the removal of a member from another group waits for this group.
    pub fn is_awaited(&self, member: MemberId, group: GroupId) -> bool {
        let joins = self.destinations.get(&member).is_some_and(|groups| groups.iter().any(|other| other.id == group));
        joins && !self.shows(group, member)
    }

    /// Whether the member leaves other groups before they join this one.
    pub fn joins_last(&self, group: GroupId, member: MemberId) -> bool {
        self.after.contains_key(&(group, member))
    }

    /// Whether the member leaves this group before they join another one.
    pub fn leaves_first(&self, group: GroupId, member: MemberId) -> bool {
        self.after.values().any(|change| change.member.id == member && change.waits_for(group))
    }

    fn excluding(&self, group: GroupId) -> impl Iterator<Item = &'a GroupRef> {
        self.plan.exclusive.iter().filter(move |pair| pair.group.id == group).map(|pair| &pair.other)
    }

    /// The other groups whose readings an operation relies on.
    fn relied_on(&self, group: &GroupPlan, operation: &Operation) -> Vec<&GroupRef> {
        let leaves = |id: &MemberId| match operation {
            Operation::Post(_) => false,
            Operation::Put(_) => true,
            Operation::Delete([member]) => id == member,
        };
        let destinations = moving(group).filter(leaves).filter_map(|id| self.destinations.get(&id)).flatten();
        let destinations: BTreeSet<&GroupRef> = destinations.filter(|other| other.id != group.id).collect();
        let adds = !matches!(operation, Operation::Delete(_));
        self.excluding(group.id).filter(|_| adds).chain(destinations).collect()
    }
}

/// The members whose removal from the group waits for other groups.
fn moving(group: &GroupPlan) -> impl Iterator<Item = MemberId> {
    group.removals().filter(|change| change.expired.is_none()).map(|change| change.member.id)
}

impl Plan {
    /// For each member who leaves a group: the groups where the plan adds them, or leaves them as declared. An observed
    /// group is no destination of a move.
    pub(super) fn destinations(&self) -> BTreeMap<MemberId, BTreeSet<GroupRef>> {
        let leaving: BTreeSet<MemberId> = self.groups.iter().flat_map(moving).collect();
        let mut destinations: BTreeMap<MemberId, BTreeSet<GroupRef>> = BTreeMap::new();
        for group in self.groups.iter().filter(|group| group.mode != Mode::Observe && !leaving.is_empty()) {
            let stays = |id: &&MemberId| match &group.required {
                Some(required) => required.contains(id),
                None => !group.removals().chain(&group.held).any(|change| change.member.id == **id),
            };
            let present = group.observed.keys().filter(|id| leaving.contains(id)).filter(stays);
            let joining = group.additions().map(|change| &change.member.id).filter(|id| leaving.contains(id));
            for member in present.chain(joining) {
                destinations.entry(*member).or_default().insert(group.reference());
            }
        }
        destinations
    }
}

impl GroupRun<'_> {
    /// Whether a reading that the operation relies on is too old.
    pub(super) fn is_outdated(&self, operation: &Operation) -> bool {
        let client = self.run.context.client;
        let relied = self.run.evidence.relied_on(self.plan, operation);
        client.is_outdated(Some(self.plan.id)) || relied.iter().any(|group| client.is_outdated(Some(group.id)))
    }

    /// Reads again what the operation relies on. If the group cannot be changed any more, no further requests are sent to
    /// it. If nothing was changed so far, the whole plan is then stale.
    pub(super) async fn refresh(&mut self, operation: &Operation) {
        if let Err(error) = self.read_evidence(operation).await {
            self.closed = Some(format!("not sent, because the group could not be read again: {}", error.reason()));
        }
    }

    async fn read_evidence(&mut self, operation: &Operation) -> Result<(), ApiError> {
        let (run, own) = (self.run, self.plan.reference());
        let others: Vec<&GroupRef> = run.evidence.relied_on(self.plan, operation);
        if let Some(groups) = run.groups_read_again().await? {
            let moved = others.iter().copied().chain([&own]).find_map(|group| moved(group, &groups));
            if let Some((stale, reason)) = moved.or_else(|| self.refused_by(operation, &groups)) {
                run.note_stale(stale);
                self.closed = Some(reason);
                return Ok(());
            }
        }
        for group in others {
            if run.context.client.is_outdated(Some(group.id)) {
                let began = Instant::now();
                let members = run.reader.group_members(group).await?;
                run.evidence.note(group.id, &members.keys().copied().collect());
                locked(&run.evidence.further).insert(group.id, (began, members));
            }
        }
        self.read().await?;
        let left = self.plan.removals().filter(|change| self.present.contains(&change.member.id)).count();
        let joining = self.plan.additions().filter(|change| !self.present.contains(&change.member.id)).count();
        let breaks = left > 0 && ((self.present.len() + joining - left) as u64) < self.plan.guards.least();
        if breaks || !self.plan.moved_since(&self.present).is_empty() {
            run.note_stale(StaleGroup::of_change(self.plan, self.last_read.as_ref().unwrap_or(&self.plan.observed)));
        }
        Ok(())
    }

    /// Why the present groups of the account do not allow an operation: others than the declared ones, or for an addition
    /// what this group gives.
    fn refused_by(
        &self,
        operation: &Operation,
        groups: &BTreeMap<GroupId, GroupSummary>,
    ) -> Option<(StaleGroup, String)> {
        let (plan, name) = (self.run.plan, &self.plan.name);
        let stale = StaleGroup::new(name.clone());
        let adds = !matches!(operation, Operation::Delete(_));
        let present = groups.get(&self.plan.id).filter(|_| adds);
        if let Some(changed) = present.and_then(|present| plan.changed_permissions(self.plan.id, present)) {
            let reason = format!("the group {:?} {changed}", name.as_str());
            return Some((StaleGroup { permissions: Some(changed), ..stale }, reason));
        }
        let reason = plan.guards.unmanaged_groups(groups)?.reason();
        Some((StaleGroup { refused: Some(reason.clone()), ..stale }, reason))
    }

    /// An added member whom the last reading shows with an address that the plan does not know: the files mean somebody
    /// else by now.
    pub(super) fn renamed(&self) -> Option<String> {
        let read = self.last_read.as_ref()?;
        self.plan.additions().find_map(|change| {
            let (planned, now) = (change.member.email.as_ref()?, read.get(&change.member.id)?.email.as_ref()?);
            let further = self.run.plan.addresses.get(&change.member.id);
            let is_known = planned == now || further.is_some_and(|further| further.contains(now));
            let help = "check who joined, and run `convoke drift`";
            (!is_known).then(|| format!("the address of the member {planned} has changed to {now}: {help}"))
        })
    }

    /// Why a member cannot be added: a group that excludes this one shows them.
    pub(super) fn exclusion_of(&self, member: MemberId) -> Option<String> {
        let evidence = &self.run.evidence;
        let other = evidence.excluding(self.plan.id).find(|other| evidence.shows(other.id, member))?;
        Some(format!("not added, because the member is in {:?}, which excludes this group", other.name.as_str()))
    }
}

impl ApplyRun<'_> {
    /// All groups of the account, unless the list of the plan is recent. One reading of the list serves all groups.
    async fn groups_read_again(&self) -> Result<Option<Arc<BTreeMap<GroupId, GroupSummary>>>, ApiError> {
        let mut groups = self.evidence.groups.lock().await;
        if self.context.client.is_outdated(None) {
            *groups = Some(Arc::new(self.reader.user_groups().await?));
        }
        Ok(groups.clone())
    }

    /// Lets the last reading of each group count, whatever it was made for.
    pub(super) async fn adopt_readings(&self, groups: &mut [GroupRun<'_>]) {
        for group in groups {
            let further = locked(&self.evidence.further).remove(&group.plan.id);
            if let Some((began, members)) = further.filter(|(began, _)| group.since.is_none_or(|since| *began > since))
            {
                group.since = Some(began);
                group.learn_members(members).await;
            }
        }
    }

    /// Marks the groups that the last list does not have, or has under another name.
    pub(super) async fn note_moved(&self, groups: &mut [GroupRun<'_>]) {
        let list = self.evidence.groups.lock().await;
        let is_blocked =
            |group: &GroupRun<'_>| self.plan.blocked.iter().any(|it| it.entry.is_none() && it.group == group.plan.name);
        for group in groups.iter_mut().filter(|group| group.closed.is_none() && !is_blocked(group)) {
            if let Some((_, reason)) = list.as_ref().and_then(|list| moved(&group.plan.reference(), list)) {
                (group.unread, group.is_whole) = (Some(reason), false);
            }
        }
    }

    /// As long as nothing was changed, a group that differs makes the plan stale, and nothing is sent at all.
    fn note_stale(&self, group: StaleGroup) {
        let mut report = self.report();
        if !report.may_have_changed {
            report.stale.push(group);
        }
    }
}
