//! Decides which requests make each group's changes.
//!
//! Additions come first over the whole plan: every POST is sent before the first PUT or DELETE. A member who moves
//! between groups therefore never loses access.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::{Action, Change, GroupPlan};
use crate::model::{GroupId, MemberId, Mode};

/// If single changes would take more requests than this, all members are replaced at once.
const MAX_SINGLE_REQUESTS: usize = 3;

/// One request of a plan. In JSON each one is `{"method": …, "members": […]}`, so that all have the same form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", content = "members", rename_all = "UPPERCASE")]
pub enum Operation {
    /// Adds these members (`account-user-group-member-create`).
    Post(Vec<MemberId>),
    /// Replaces the whole set (`account-user-group-member-update`).
    Put(Vec<MemberId>),
    /// Removes one member (`account-user-group-member-delete`).
    Delete(
        #[serde(with = "list_of_one")]
        #[schemars(with = "[MemberId; 1]")]
        MemberId,
    ),
}

impl Operation {
    pub fn members(&self) -> &[MemberId] {
        match self {
            Self::Post(members) | Self::Put(members) => members,
            Self::Delete(member) => std::slice::from_ref(member),
        }
    }
}

mod list_of_one {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        [value].serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        <[T; 1]>::deserialize(deserializer).map(|[value]| value)
    }
}

/// Decides the operations of every group. A member who moves between groups that exclude each other is removed and
/// added by requests of their own, between the other additions and the other removals.
pub(super) fn decide(groups: &mut [GroupPlan], due: bool) {
    let leaving: BTreeSet<MemberId> =
        groups.iter().flat_map(GroupPlan::removals).map(|change| change.member.id).collect();
    let mut first: BTreeMap<GroupId, BTreeSet<MemberId>> = BTreeMap::new();
    for change in groups.iter().flat_map(GroupPlan::additions) {
        for group in &change.after {
            first.entry(group.id).or_default().insert(change.member.id);
        }
    }
    for group in groups {
        let first = first.remove(&group.id).unwrap_or_default();
        let waits = |change: &Change| !change.after.is_empty();
        let goes_first = |change: &Change| change.action == Action::Remove && first.contains(&change.member.id);
        let rest: Vec<&Change> = group.changes.iter().filter(|change| !waits(change) && !goes_first(change)).collect();
        let joins_wait = group.changes.iter().any(waits);
        // A replacement would do more than the due changes.
        let replaces = group.mode == Mode::Exact && !due && single_requests(&rest) > MAX_SINGLE_REQUESTS;
        group.operations = if group.mode == Mode::Observe {
            Vec::new()
        } else {
            // The members who leave another group, or on whom the guards of an exchange may depend, are added before
            // the replacement.
            let early = |id: &MemberId| !replaces || leaving.contains(id) || joins_wait || !first.is_empty();
            let adding = posting(of(&rest, Action::Add).filter(early).collect());
            let exchanged = first.iter().map(|id| Operation::Delete(*id));
            let waiting = group.changes.iter().filter(|change| waits(change));
            let joining = waiting.map(|change| Operation::Post(vec![change.member.id]));
            let removing = if replaces {
                vec![Operation::Put(sorted_target(group))]
            } else {
                of(&rest, Action::Remove).map(Operation::Delete).collect()
            };
            adding.into_iter().chain(exchanged).chain(joining).chain(removing).collect()
        };
    }
}

fn single_requests(changes: &[&Change]) -> usize {
    let removals = of(changes, Action::Remove).count();
    match removals {
        // One POST adds any number.
        0 => 1,
        _ => removals + usize::from(of(changes, Action::Add).next().is_some()),
    }
}

/// [`GroupPlan::target`] as a sorted list. A set would cost more than everything else here.
fn sorted_target(group: &GroupPlan) -> Vec<MemberId> {
    let changing = |action| group.changes.iter().filter(move |change| change.action == action).map(|c| c.member.id);
    let removed: BTreeSet<MemberId> = changing(Action::Remove).collect();
    let staying = group.observed.keys().filter(|id| !removed.contains(id)).copied();
    let joining = changing(Action::Add).filter(|id| !group.observed.contains_key(id));
    let mut target: Vec<MemberId> = staying.chain(joining).collect();
    target.sort_unstable();
    target
}

fn posting(mut members: Vec<MemberId>) -> Option<Operation> {
    members.sort_unstable();
    (!members.is_empty()).then_some(Operation::Post(members))
}

fn of(changes: &[&Change], action: Action) -> impl Iterator<Item = MemberId> {
    changes.iter().filter(move |change| change.action == action).map(|change| change.member.id)
}
