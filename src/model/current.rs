//! What was observed of the account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{Email, GroupId, GroupName, MemberId};

/// What a plan needs to know of the account, each part read whole.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// Every group of the account by id.
    pub groups: BTreeMap<GroupId, GroupSummary>,
    /// The members of each group that was read. A group that is missing here was not read: nothing may be
    /// concluded about it.
    pub memberships: BTreeMap<GroupId, Arc<Membership>>,
    /// Why the API refused to list a group's members, for each group where it did.
    pub unreadable: BTreeMap<GroupId, String>,
    /// Account members by id, as far as they were looked up beyond the groups' own lists.
    pub people: BTreeMap<MemberId, Person>,
}

/// The members of one group by id, read whole.
pub type Membership = BTreeMap<MemberId, Member>;

/// A group in the account's list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Its name.
    pub name: GroupName,
}

/// Somebody in a group's list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The address, where the API gave one.
    pub email: Option<Email>,
    /// The state of the invitation, where the API gave one.
    pub status: Option<Status>,
}

/// The state of a group member's invitation to the account.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The person has joined the account.
    Accepted,
    /// The person is invited and has not answered.
    Pending,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accepted => "accepted",
            Self::Pending => "pending",
        })
    }
}

/// An account member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Every address the API gave for the member: its own and its user's.
    pub emails: BTreeSet<Email>,
    /// The state of the invitation.
    pub status: PersonStatus,
}

/// The state of an account member's invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonStatus {
    /// As a group member's.
    Known(Status),
    /// The person declined: they cannot be in a group.
    Rejected,
    /// A state the API's reference does not name.
    Other(Arc<str>),
}
