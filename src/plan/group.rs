//! One group's part of a plan, what the steps of planning do to it, and which requests make its changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::contents::{Action, Change, LeftOut, LeftOutKind};
use super::digest::{Digest, fingerprint};
use super::guards::GroupGuards;
use crate::model::{
    About, DesiredGroup, GroupId, GroupName, GroupRef, Member, MemberId, Membership, Mode, Origin, Settings,
};

/// If single changes would take more requests than this, all members are replaced at once.
const MAX_SINGLE_REQUESTS: usize = 3;

/// One group's part of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupPlan {
    pub id: GroupId,
    /// The group's name, as declared.
    pub name: GroupName,
    pub mode: Mode,
    /// The description and the owners.
    #[serde(default, skip_serializing_if = "About::is_empty")]
    pub about: About,
    /// Where the group is declared.
    pub origin: Origin,
    pub guards: GroupGuards,
    /// A hash of the observed members' ids.
    pub fingerprint: Digest,
    /// Who joins and who leaves: additions first, then removals, each sorted by address.
    pub changes: Vec<Change>,
    /// Removals that wait until blocked entries are resolved. No operation makes them.
    pub held: Vec<Change>,
    /// Differences that the change under review does not ask for, in a plan that has nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<Change>,
    /// The requests that make the changes, in order; none if the group is only observed.
    pub operations: Vec<Operation>,
    /// Set if the plan does not decide about all members, for additive groups and for plans of a part of the
    /// differences. Then only these members must be in the group afterwards, and others may be in it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<BTreeSet<MemberId>>,
    /// With `required`: the members who must not be in the group, because their time has ended or the change under review
    /// removes them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub barred: BTreeSet<MemberId>,
    /// Whether the plan leaves out possible differences of the group: those that are not due, that the change under
    /// review does not ask for, or that are in `left_out`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// The number of entries of the group that cannot be applied.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub blocked: u64,
    /// The observed members of the group, by id.
    #[serde(serialize_with = "write_members", deserialize_with = "read_members")]
    #[schemars(with = "Vec<Member>")]
    pub observed: Arc<Membership>,
}

/// One request of a plan. In JSON each one is `{"method": …, "members": […]}`, so that all have the same form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", content = "members", rename_all = "UPPERCASE")]
pub enum Operation {
    /// Adds these members (`account-user-group-member-create`).
    Post(Vec<MemberId>),
    /// Replaces the whole set (`account-user-group-member-update`).
    Put(Vec<MemberId>),
    /// Removes one member (`account-user-group-member-delete`).
    Delete([MemberId; 1]),
}

impl Operation {
    pub fn members(&self) -> &[MemberId] {
        match self {
            Self::Post(members) | Self::Put(members) => members,
            Self::Delete(member) => member,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl GroupPlan {
    /// A group in which nothing differs yet. Without a declaration, it is only observed.
    pub fn new(
        id: GroupId,
        name: &GroupName,
        declared: Option<&DesiredGroup>,
        origin: &Origin,
        settings: &Settings,
        observed: &Arc<Membership>,
    ) -> Self {
        Self {
            id,
            name: name.clone(),
            mode: declared.map_or(Mode::Observe, |group| group.mode),
            about: declared.map(DesiredGroup::about).unwrap_or_default(),
            origin: origin.clone(),
            guards: GroupGuards::of(declared, settings),
            fingerprint: fingerprint(observed.keys()),
            changes: Vec::new(),
            held: Vec::new(),
            left_alone: Vec::new(),
            operations: Vec::new(),
            required: None,
            barred: BTreeSet::new(),
            left_out: false,
            blocked: 0,
            observed: Arc::clone(observed),
        }
    }

    pub fn reference(&self) -> GroupRef {
        GroupRef { id: self.id, name: self.name.clone() }
    }

    /// The changes that operations make; none if the group is only observed.
    pub fn carried_out(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|_| self.mode != Mode::Observe)
    }

    pub fn removals(&self) -> impl Iterator<Item = &Change> {
        self.carried_out().filter(|change| change.action == Action::Remove)
    }

    pub fn counted_removals(&self) -> impl Iterator<Item = &Change> {
        self.removals().filter(|change| !change.exempt)
    }

    pub fn additions(&self) -> impl Iterator<Item = &Change> {
        self.carried_out().filter(|change| change.action == Action::Add)
    }

    /// Holds the removals for which there is a line that holds them. Nothing is written to an observed group, so there
    /// they need not wait.
    pub(super) fn hold(&mut self, mut holder: impl FnMut(&Change) -> Option<Origin>) {
        let is_written = self.mode != Mode::Observe;
        self.held.extend(self.changes.extract_if(.., |change| {
            if is_written && change.action == Action::Remove {
                change.held_by = holder(change);
            }
            change.held_by.is_some()
        }));
    }

    /// Takes additions that cannot be made out of the group's plan.
    pub(super) fn take_additions(&mut self, is_meant: impl Fn(&Change) -> bool) -> Vec<Change> {
        let is_taken = |change: &mut Change| change.action == Action::Add && is_meant(change);
        let taken: Vec<Change> = self.changes.extract_if(.., is_taken).collect();
        for change in &taken {
            if let Some(required) = &mut self.required {
                required.remove(&change.member.id);
            }
        }
        taken
    }

    /// Takes changes out of the plan of the group, for one reason.
    pub(super) fn leave_out(
        &mut self,
        kind: LeftOutKind,
        reason: &str,
        is_meant: impl Fn(&Change) -> bool,
    ) -> Vec<LeftOut> {
        self.leave_out_for(kind, |change| is_meant(change).then(|| (reason.to_owned(), None)))
    }

    /// Takes changes out of the plan of the group, each for its reason. The group then neither has to have nor to lose
    /// their members.
    pub(super) fn leave_out_for(
        &mut self,
        kind: LeftOutKind,
        why: impl Fn(&Change) -> Option<(String, Option<Origin>)>,
    ) -> Vec<LeftOut> {
        if self.mode == Mode::Observe {
            return Vec::new();
        }
        let mut left = Vec::new();
        for change in std::mem::take(&mut self.changes) {
            match why(&change) {
                Some((reason, origin)) => left.push(LeftOut { group: self.name.clone(), kind, reason, origin, change }),
                None => self.changes.push(change),
            }
        }
        if !left.is_empty() {
            self.left_out = true;
            // Not the whole set is decided any more.
            let joining = self.additions().map(|change| change.member.id).collect();
            let required = self.required.get_or_insert(joining);
            for LeftOut { change, .. } in &left {
                required.remove(&change.member.id);
                self.barred.remove(&change.member.id);
            }
        }
        left
    }

    /// The members of the group after all operations.
    pub fn target(&self) -> BTreeSet<MemberId> {
        let mut target: BTreeSet<MemberId> = self.observed.keys().copied().collect();
        for change in self.carried_out() {
            match change.action {
                Action::Add => target.insert(change.member.id),
                Action::Remove => target.remove(&change.member.id),
            };
        }
        target
    }

    /// The number of members of the group after all operations.
    pub fn members_left(&self) -> usize {
        (self.observed.len() + self.additions().count()).saturating_sub(self.removals().count())
    }

    /// Whether the plan has a difference for the group, including held ones.
    pub fn differs(&self) -> bool {
        !(self.changes.is_empty() && self.held.is_empty())
    }

    /// Whether the complete group is as the files declare it: nothing differs, is blocked or is left out.
    pub fn in_sync(&self) -> bool {
        !self.differs() && self.blocked == 0 && !self.left_out
    }
}

/// Serializes a membership as a list, because each member has its id.
fn write_members<S: Serializer>(members: &Membership, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(members.values())
}

fn read_members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Membership>, D::Error> {
    let members = Vec::<Member>::deserialize(deserializer)?;
    Ok(Arc::new(members.into_iter().map(|member| (member.id, member)).collect()))
}

/// Decides the operations of every group. Additions come first over the whole plan: every POST is sent before the first
/// PUT or DELETE, so that a member who moves between groups never loses access. A member who moves between groups that
/// exclude each other is removed and added by requests of their own, between the other additions and the other removals.
pub(super) fn decide(groups: &mut [GroupPlan], due: bool) {
    let id = |change: &Change| change.member.id;
    let leaving: BTreeSet<MemberId> = groups.iter().flat_map(GroupPlan::removals).map(id).collect();
    let mut first: BTreeMap<GroupId, BTreeSet<MemberId>> = BTreeMap::new();
    for change in groups.iter().flat_map(GroupPlan::additions) {
        for group in &change.after {
            first.entry(group.id).or_default().insert(change.member.id);
        }
    }
    for group in groups {
        let first = first.remove(&group.id).unwrap_or_default();
        let waiting: Vec<MemberId> = group.additions().filter(|change| !change.after.is_empty()).map(id).collect();
        let joining: Vec<MemberId> = group.additions().filter(|change| change.after.is_empty()).map(id).collect();
        let last: Vec<MemberId> = group.removals().map(id).filter(|id| !first.contains(id)).collect();
        // One POST adds any number.
        let single_requests = last.len() + usize::from(!joining.is_empty());
        // A replacement would do more than the due changes.
        let replaces = group.mode == Mode::Exact && !due && single_requests > MAX_SINGLE_REQUESTS;
        // The members who leave another group, or on whom the guards of an exchange may depend, are added before the
        // replacement.
        let all_early = !replaces || !first.is_empty() || !waiting.is_empty();
        let early: BTreeSet<MemberId> = joining.into_iter().filter(|id| all_early || leaving.contains(id)).collect();
        let mut operations: Vec<Operation> = Vec::new();
        if !early.is_empty() {
            operations.push(Operation::Post(early.into_iter().collect()));
        }
        operations.extend(first.into_iter().map(|id| Operation::Delete([id])));
        operations.extend(waiting.into_iter().map(|id| Operation::Post(vec![id])));
        if replaces {
            operations.push(Operation::Put(group.target().into_iter().collect()));
        } else {
            operations.extend(last.into_iter().map(|id| Operation::Delete([id])));
        }
        group.operations = operations;
    }
}
