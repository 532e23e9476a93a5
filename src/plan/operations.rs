//! Decides which requests make each group's changes.
//!
//! Additions come first over the whole plan: every POST is sent before the first PUT or DELETE. A member who moves
//! between groups therefore never loses access.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::{Action, Change, GroupPlan};
use crate::model::{MemberId, Mode};

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
    #[must_use]
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

/// Decides the operations of every group.
pub(super) fn decide(groups: &mut [GroupPlan], due: bool) {
    let leaving: BTreeSet<MemberId> =
        groups.iter().flat_map(GroupPlan::removals).map(|change| change.member.id).collect();
    for group in groups {
        group.operations = match group.mode {
            Mode::Observe => Vec::new(),
            Mode::Additive => one_by_one(&group.changes),
            // A replacement would do more than the due changes.
            Mode::Exact if due => one_by_one(&group.changes),
            Mode::Exact if single_requests(&group.changes) > MAX_SINGLE_REQUESTS => replacing(group, &leaving),
            Mode::Exact => one_by_one(&group.changes),
        };
    }
}

fn single_requests(changes: &[Change]) -> usize {
    let removals = of(changes, Action::Remove).count();
    match removals {
        // One POST adds any number.
        0 => 1,
        _ => removals + usize::from(of(changes, Action::Add).next().is_some()),
    }
}

fn one_by_one(changes: &[Change]) -> Vec<Operation> {
    let joining: Vec<MemberId> = of(changes, Action::Add).collect();
    let removals = of(changes, Action::Remove);
    posting(joining).into_iter().chain(removals.map(Operation::Delete)).collect()
}

/// One PUT, after a POST for the members that another group loses.
fn replacing(group: &GroupPlan, leaving: &BTreeSet<MemberId>) -> Vec<Operation> {
    let moving: Vec<MemberId> = of(&group.changes, Action::Add).filter(|id| leaving.contains(id)).collect();
    let put = Operation::Put(sorted_target(group));
    posting(moving).into_iter().chain([put]).collect()
}

/// [`GroupPlan::target`] as a sorted list. A set would cost more than everything else here.
fn sorted_target(group: &GroupPlan) -> Vec<MemberId> {
    let removed: BTreeSet<MemberId> = of(&group.changes, Action::Remove).collect();
    let staying = group.observed.keys().filter(|id| !removed.contains(id)).copied();
    let joining = of(&group.changes, Action::Add).filter(|id| !group.observed.contains_key(id));
    let mut target: Vec<MemberId> = staying.chain(joining).collect();
    target.sort_unstable();
    target
}

fn posting(mut members: Vec<MemberId>) -> Option<Operation> {
    members.sort_unstable();
    (!members.is_empty()).then_some(Operation::Post(members))
}

fn of(changes: &[Change], action: Action) -> impl Iterator<Item = MemberId> {
    changes.iter().filter(move |change| change.action == action).map(|change| change.member.id)
}
