//! Every moment of the account's memberships: who joined and left what, when, and by whose doing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{GroupId, MemberId};

/// Somebody joined or left a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// Whether they joined; else they left.
    pub joined: bool,
    /// When the membership began, as the API shows it.
    pub since: Timestamp,
    /// The number of the request that did it; nothing where somebody else did.
    pub request: Option<u64>,
    /// How many requests had arrived by then.
    pub after: u64,
    /// When it happened.
    pub at: Instant,
}

/// What became of the memberships since the sandbox started.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    changes: Vec<MembershipChange>,
    /// The request that is being carried out.
    request: Option<u64>,
    arrived: u64,
}

impl History {
    /// A request has arrived.
    pub(crate) fn arrived(&mut self, number: u64) {
        self.arrived = number;
    }

    /// What changes from here on is the doing of this request, or of somebody else.
    pub(crate) fn attribute(&mut self, request: Option<u64>) {
        self.request = request;
    }

    /// Somebody left who had been a member since then.
    pub(crate) fn left(&mut self, group: GroupId, member: MemberId, since: Timestamp) {
        self.note(group, member, false, since);
    }

    fn note(&mut self, group: GroupId, member: MemberId, joined: bool, since: Timestamp) {
        let (request, after, at) = (self.request, self.arrived, Instant::now());
        self.changes.push(MembershipChange { group, member, joined, since, request, after, at });
    }

    /// A group got other members.
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

    /// Everything, in order.
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

    /// Who was in a group at an instant, given who is in it now.
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
