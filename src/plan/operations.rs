//! Decides which requests make each group's changes.
//!
//! Additions come first over the whole plan: every POST is sent before the first PUT or DELETE. A member who moves
//! between groups therefore never loses access.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::{Action, Change};
use super::group::GroupPlan;
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
        if group.mode == Mode::Observe {
            group.operations = Vec::new();
            continue;
        }
        let first = first.remove(&group.id).unwrap_or_default();
        let waits = |change: &&Change| !change.after.is_empty();
        let rest: Vec<&Change> = group
            .changes
            .iter()
            .filter(|change| !waits(change) && (change.action == Action::Add || !first.contains(&change.member.id)))
            .collect();
        let of = |action| rest.iter().filter(move |change| change.action == action).map(|change| change.member.id);
        // One POST adds any number.
        let single_requests = of(Action::Remove).count() + usize::from(of(Action::Add).next().is_some());
        // A replacement would do more than the due changes.
        let replaces = group.mode == Mode::Exact && !due && single_requests > MAX_SINGLE_REQUESTS;
        // The members who leave another group, or on whom the guards of an exchange may depend, are added before the
        // replacement.
        let all_early = !replaces || !first.is_empty() || group.changes.iter().any(|change| waits(&change));
        let mut early: Vec<MemberId> = of(Action::Add).filter(|id| all_early || leaving.contains(id)).collect();
        early.sort_unstable();
        let mut operations: Vec<Operation> = Vec::new();
        if !early.is_empty() {
            operations.push(Operation::Post(early));
        }
        operations.extend(first.iter().map(|id| Operation::Delete([*id])));
        operations.extend(group.changes.iter().filter(waits).map(|change| Operation::Post(vec![change.member.id])));
        if replaces {
            operations.push(Operation::Put(group.target().into_iter().collect()));
        } else {
            operations.extend(of(Action::Remove).map(|id| Operation::Delete([id])));
        }
        group.operations = operations;
    }
}
