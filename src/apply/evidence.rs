//! The readings that writes rely on: of the group itself, of the groups that members move to, and of the groups that
//! exclude it. No write relies on an old one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::group::GroupRun;
use super::ledger::State;
use super::recheck::moved;
use super::{ApplyRun, locked};
use crate::cloudflare::ApiError;
use crate::model::{GroupId, GroupName, GroupRef, GroupSummary, MemberId, Membership, Mode};
use crate::plan::{Freshness, GroupPlan, Operation, Plan};
use crate::report::StaleGroup;

/// What is known of the groups on which the writes of other groups depend.
pub(super) struct Evidence {
    /// For each group that somebody joins: the groups that exclude it.
    exclusive: BTreeMap<GroupId, Vec<GroupRef>>,
    /// For each group: the members who leave another group and who are in this one, or join it.
    destinations: BTreeMap<GroupId, (GroupRef, BTreeSet<MemberId>)>,
    /// The additions that wait until the member has left these groups.
    after: BTreeMap<(GroupId, MemberId), BTreeSet<GroupId>>,
    /// The last reading of each group that excludes another one.
    seen: Mutex<BTreeMap<GroupId, BTreeSet<MemberId>>>,
    /// For each member who leaves a group: the groups that must show the member first, by the last readings.
    awaited: Mutex<BTreeMap<MemberId, BTreeMap<GroupId, GroupName>>>,
    /// The readings of groups for the writes of others, with the time when each began.
    further: Mutex<BTreeMap<GroupId, (Instant, Membership)>>,
    /// All groups, if the list was read again.
    groups: tokio::sync::Mutex<Option<Arc<BTreeMap<GroupId, GroupSummary>>>>,
}

impl Evidence {
    pub fn of(plan: &Plan) -> Self {
        let mut exclusive: BTreeMap<GroupId, Vec<GroupRef>> = BTreeMap::new();
        for pair in &plan.exclusive {
            exclusive.entry(pair.group.id).or_default().push(pair.other.clone());
        }
        let mut after = BTreeMap::new();
        for (group, change) in plan.groups.iter().flat_map(|group| group.additions().map(move |change| (group, change)))
        {
            if !change.after.is_empty() {
                after.insert((group.id, change.member.id), change.after.iter().map(|group| group.id).collect());
            }
        }
        let destinations = plan.destinations();
        let (seen, awaited, further, groups) = Default::default();
        Self { exclusive, destinations, after, seen, awaited, further, groups }
    }

    /// Records the members of a group by its last reading.
    pub fn note(&self, group: GroupId, present: &BTreeSet<MemberId>) {
        if let Some((group, members)) = self.destinations.get(&group) {
            let mut awaited = locked(&self.awaited);
            for member in members {
                let groups = awaited.entry(*member).or_default();
                if present.contains(member) {
                    groups.remove(&group.id);
                } else {
                    groups.insert(group.id, group.name.clone());
                }
            }
        }
        if self.exclusive.values().flatten().any(|other| other.id == group) {
            locked(&self.seen).insert(group, present.clone());
        }
    }

    /// Why a member must stay in a group that they leave: another group does not show them.
    pub fn awaited_in(&self, member: MemberId, leaves: GroupId) -> Option<String> {
        let awaited = locked(&self.awaited);
        let waits_for_this =
            |group: &GroupId| self.after.get(&(*group, member)).is_some_and(|after| after.contains(&leaves));
        let (_, name) = awaited.get(&member)?.iter().find(|(group, _)| !waits_for_this(group))?;
        Some(format!("kept, because the addition to {:?} is not proven", name.as_str()))
    }

    /// Whether the removal of a member from another group waits for this group.
    pub fn is_awaited(&self, member: MemberId, group: GroupId) -> bool {
        locked(&self.awaited).get(&member).is_some_and(|groups| groups.contains_key(&group))
    }

    /// The groups that a member must leave before the addition to this group.
    pub fn after(&self, group: GroupId, member: MemberId) -> Option<&BTreeSet<GroupId>> {
        self.after.get(&(group, member))
    }

    /// Whether the member leaves this group before they join another one.
    pub fn leaves_first(&self, group: GroupId, member: MemberId) -> bool {
        self.after.iter().any(|((_, joining), after)| *joining == member && after.contains(&group))
    }

    /// The group that shows the member and excludes this one.
    pub fn excludes(&self, group: GroupId, member: MemberId) -> Option<&GroupRef> {
        let seen = locked(&self.seen);
        let shows = |other: &&GroupRef| seen.get(&other.id).is_some_and(|members| members.contains(&member));
        self.exclusive.get(&group)?.iter().find(shows)
    }

    /// The other groups whose readings an operation relies on.
    fn relied_on(&self, group: &GroupPlan, operation: &Operation) -> Vec<&GroupRef> {
        let adds = !matches!(operation, Operation::Delete(_));
        let partners = self.exclusive.get(&group.id).into_iter().flatten().filter(|_| adds);
        let leaving: BTreeSet<MemberId> = match operation {
            Operation::Post(_) => BTreeSet::new(),
            Operation::Put(_) => moving(group).collect(),
            Operation::Delete(member) => moving(group).filter(|id| id == member).collect(),
        };
        let destinations = self.destinations.values().filter(|(other, members)| {
            other.id != group.id && !leaving.is_empty() && leaving.iter().any(|id| members.contains(id))
        });
        partners.chain(destinations.map(|(other, _)| other)).collect()
    }
}

/// The members whose removal from the group waits for other groups.
fn moving(group: &GroupPlan) -> impl Iterator<Item = MemberId> {
    group.removals().filter(|change| change.expired.is_none()).map(|change| change.member.id)
}

impl Plan {
    /// For each group: the members who leave another group, and whom the plan adds here or leaves here as declared. An
    /// observed group is no destination of a move.
    pub(super) fn destinations(&self) -> BTreeMap<GroupId, (GroupRef, BTreeSet<MemberId>)> {
        let leaving: BTreeSet<MemberId> = self.groups.iter().flat_map(moving).collect();
        let mut destinations = BTreeMap::new();
        for group in self.groups.iter().filter(|group| group.mode != Mode::Observe && !leaving.is_empty()) {
            let stays = |id: &&MemberId| match &group.required {
                Some(required) => required.contains(id),
                None => !group.removals().chain(&group.held).any(|change| change.member.id == **id),
            };
            let present = group.observed.keys().filter(|id| leaving.contains(id)).filter(stays).copied();
            let joining = group.additions().map(|change| change.member.id).filter(|id| leaving.contains(id));
            let members: BTreeSet<MemberId> = present.chain(joining).collect();
            if !members.is_empty() {
                destinations.insert(group.id, (GroupRef { id: group.id, name: group.name.clone() }, members));
            }
        }
        destinations
    }
}

impl GroupRun<'_> {
    /// Whether a reading that the operation relies on is too old.
    pub(super) fn is_outdated(&self, operation: &Operation, run: &ApplyRun<'_>) -> bool {
        let client = run.context.client;
        let relied = run.evidence.relied_on(self.plan, operation);
        client.is_outdated(Some(self.plan.id)) || relied.iter().any(|group| client.is_outdated(Some(group.id)))
    }

    /// Reads again what the operation relies on. If the group cannot be changed any more, no further requests are sent to
    /// it. If nothing was changed so far, the whole plan is then stale.
    pub(super) async fn refresh(&mut self, operation: &Operation, run: &ApplyRun<'_>) {
        if let Err(error) = self.read_evidence(operation, run).await {
            self.closed = Some(format!("not sent, because the group could not be read again: {}", error.reason()));
        }
    }

    async fn read_evidence(&mut self, operation: &Operation, run: &ApplyRun<'_>) -> Result<(), ApiError> {
        let own = self.reference();
        let others: Vec<&GroupRef> = run.evidence.relied_on(self.plan, operation);
        if let Some(groups) = run.groups_read_again().await? {
            let moved = others.iter().copied().chain([&own]).find_map(|group| moved(group, &groups));
            if let Some((stale, reason)) = moved.or_else(|| self.refused_by(operation, &groups, run)) {
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
        self.read(run).await?;
        let left = self.plan.removals().filter(|change| self.present.contains(&change.member.id)).count();
        let joining = self.plan.additions().filter(|change| !self.present.contains(&change.member.id)).count();
        let breaks = left > 0 && ((self.present.len() + joining - left) as u64) < self.plan.guards.least();
        if breaks || self.plan.freshness(&self.present) != Freshness::Fresh {
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
        run: &ApplyRun<'_>,
    ) -> Option<(StaleGroup, String)> {
        let name = self.name();
        let adds = !matches!(operation, Operation::Delete(_));
        let present = groups.get(&self.plan.id).filter(|_| adds);
        if let Some(changed) = present.and_then(|present| run.plan.changed_permissions(self.plan.id, present)) {
            let reason = format!("the group {:?} {changed}", name.as_str());
            return Some((StaleGroup { permissions: Some(changed), ..StaleGroup::new(name.clone()) }, reason));
        }
        let reason = run.plan.refused_by(groups)?;
        Some((StaleGroup { refused: Some(reason.clone()), ..StaleGroup::new(name.clone()) }, reason))
    }

    /// An added member whom the last reading shows with an address that the plan does not know: the files mean somebody
    /// else by now.
    pub(super) fn renamed(&self, run: &ApplyRun<'_>) -> Option<String> {
        let read = self.last_read.as_ref()?;
        self.plan.additions().find_map(|change| {
            let (planned, now) = (change.member.email.as_ref()?, read.get(&change.member.id)?.email.as_ref()?);
            let further = run.plan.addresses.get(&change.member.id);
            let is_known = planned == now || further.is_some_and(|further| further.contains(now));
            let help = "check who joined, and run `convoke drift`";
            (!is_known).then(|| format!("the address of the member {planned} has changed to {now}: {help}"))
        })
    }

    /// Why a member cannot be added: a group that excludes this one shows them.
    pub(super) fn exclusion_of(&self, member: MemberId, run: &ApplyRun<'_>) -> Option<String> {
        let other = run.evidence.excludes(self.plan.id, member)?;
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
                group.learn_members(members, self).await;
            }
        }
    }

    /// Marks the groups that the last list does not have, or has under another name.
    pub(super) async fn note_moved(&self, groups: &mut [GroupRun<'_>]) {
        let list = self.evidence.groups.lock().await;
        let is_blocked =
            |group: &GroupRun<'_>| self.plan.blocked.iter().any(|it| it.entry.is_none() && it.group == group.plan.name);
        for group in groups.iter_mut().filter(|group| group.closed.is_none() && !is_blocked(group)) {
            if let Some((_, reason)) = list.as_ref().and_then(|list| moved(&group.reference(), list)) {
                (group.unread, group.is_whole) = (Some(reason), false);
            }
        }
    }

    /// As long as nothing was changed, a group that differs makes the plan stale, and nothing is sent at all.
    fn note_stale(&self, group: StaleGroup) {
        if !self.may_have_changed.load(std::sync::atomic::Ordering::Relaxed) {
            locked(&self.stale).push(group);
        }
    }
}

impl ApplyRun<'_> {
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
        // Whether the API refused each removal, and a reading confirms that the member is still there.
        let mut stays = true;
        for group in groups.iter_mut().filter(|group| leaves(group)) {
            if refusal.is_none() && group.wrote {
                self.read_until_consistent(vec![&mut *group], self.settle_before_the_end()).await;
            }
            if group.present.contains(&member) || group.unread.is_some() {
                shown.push(format!("{:?}", group.name().as_str()));
                stays &= group.unread.is_none() && group.ledger.was_refused(member);
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
                        None if stays => format!("not added, because the member is still in {from}"),
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
