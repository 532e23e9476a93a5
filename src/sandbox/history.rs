//! Every moment of the account's memberships: who joined and left what, in which order and by whose doing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{GroupId, MemberId};

/// Somebody joined or left a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// The group.
    pub group: GroupId,
    /// Who.
    pub member: MemberId,
    /// Whether they joined; else they left.
    pub joined: bool,
    /// The number of the request that did it; nothing where somebody else did.
    pub request: Option<u64>,
    /// How many requests had arrived by then.
    pub after: u64,
}

/// What became of the memberships since the sandbox started.
#[derive(Debug, Default)]
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

    /// Somebody joined or left.
    pub(crate) fn note(&mut self, group: GroupId, member: MemberId, joined: bool) {
        let (request, after) = (self.request, self.arrived);
        self.changes.push(MembershipChange { group, member, joined, request, after });
    }

    /// A group got other members.
    pub(crate) fn replaced(
        &mut self,
        group: GroupId,
        before: &BTreeMap<MemberId, Timestamp>,
        after: &BTreeMap<MemberId, Timestamp>,
    ) {
        before.keys().filter(|id| !after.contains_key(id)).for_each(|id| self.note(group, *id, false));
        after.keys().filter(|id| !before.contains_key(id)).for_each(|id| self.note(group, *id, true));
    }

    /// Everything, in order.
    pub(crate) fn changes(&self) -> &[MembershipChange] {
        &self.changes
    }
}
