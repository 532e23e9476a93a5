//! The history of memberships: who joined and left which group, when, and by which request.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{GroupId, MemberId};

/// A member joined or left a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    pub group: GroupId,
    pub member: MemberId,
    /// `false` if the member left.
    pub joined: bool,
    /// When the membership began, as the API shows it.
    pub since: Timestamp,
    /// The number of the request that made the change; `None` if another actor made it.
    pub request: Option<u64>,
    /// The number of requests that had arrived by then.
    pub after: u64,
    pub at: Instant,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    changes: Vec<MembershipChange>,
    /// The request that is being carried out.
    request: Option<u64>,
    arrived: u64,
}

impl History {
    pub(crate) fn arrived(&mut self, number: u64) {
        self.arrived = number;
    }

    /// Attributes the following changes to a request, or to another actor.
    pub(crate) fn attribute(&mut self, request: Option<u64>) {
        self.request = request;
    }

    pub(crate) fn left(&mut self, group: GroupId, member: MemberId, since: Timestamp) {
        self.note(group, member, false, since);
    }

    fn note(&mut self, group: GroupId, member: MemberId, joined: bool, since: Timestamp) {
        let (request, after, at) = (self.request, self.arrived, Instant::now());
        self.changes.push(MembershipChange { group, member, joined, since, request, after, at });
    }

    pub(crate) fn replaced(
        &mut self,
        group: GroupId,
        before: &BTreeMap<MemberId, Timestamp>,
        after: &BTreeMap<MemberId, Timestamp>,
    ) {
        let only = |these: &BTreeMap<MemberId, Timestamp>, those: &BTreeMap<MemberId, Timestamp>| {
            let only = these.iter().filter(|(id, _)| !those.contains_key(id));
            only.map(|(id, since)| (*id, *since)).collect::<Vec<_>>()
        };
        only(before, after).into_iter().for_each(|(id, since)| self.note(group, id, false, since));
        only(after, before).into_iter().for_each(|(id, since)| self.note(group, id, true, since));
    }

    pub(crate) fn changes(&self) -> &[MembershipChange] {
        &self.changes
    }

    /// The changes of a group after an instant, the latest first.
    fn since(&self, group: GroupId, at: Instant) -> impl Iterator<Item = &MembershipChange> {
        let later = self.changes.iter().rev().take_while(move |change| change.at > at);
        later.filter(move |change| change.group == group)
    }

    /// Whether a group has changed since an instant.
    pub(crate) fn changed_since(&self, group: GroupId, at: Instant) -> bool {
        self.since(group, at).next().is_some()
    }

    /// The members of a group at an instant, given its members now.
    pub(crate) fn members_at(
        &self,
        group: GroupId,
        mut members: BTreeMap<MemberId, Timestamp>,
        at: Instant,
    ) -> BTreeMap<MemberId, Timestamp> {
        for change in self.since(group, at) {
            match change.joined {
                true => members.remove(&change.member),
                false => members.insert(change.member, change.since),
            };
        }
        members
    }
}
