//! What was observed of the account.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Email, GroupId, GroupName, MemberId, UserId};

/// What a plan needs to know of the account, each part read whole.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Every group of the account by id.
    pub groups: BTreeMap<GroupId, GroupSummary>,
    /// The members of each group that was read. A group that is missing here was not read: nothing may be
    /// concluded about it.
    pub memberships: BTreeMap<GroupId, Arc<Membership>>,
    /// Why the API refused to list a group's members, for each group where it did.
    pub unreadable: BTreeMap<GroupId, String>,
    /// Account members by id, as far as they were looked up beyond the groups' own lists.
    pub people: BTreeMap<MemberId, Person>,
    /// Whether all members of the account were read: who is not in `people` then is not in the account.
    pub knows_everybody: bool,
    pub token_user: TokenUser,
}

/// What is known of the user that the token acts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenUser {
    #[default]
    NotAsked,
    /// The token acts for no user, or may not say.
    Nobody,
    Known(TokenOwner),
}

/// The members of one group by id, read whole. Groups that tell the same of somebody can share it: see [`Sharing`].
pub type Membership = BTreeMap<MemberId, Arc<Member>>;

/// Keeps what several groups tell alike of a member once. The same people are in many groups, so this saves most of
/// the memory an account takes, and a plan sees at a glance that it has met somebody before. What is kept is only
/// asked and never walked, so no order of hashing shows.
#[derive(Debug, Default)]
pub struct Sharing(HashMap<MemberId, Arc<Member>, foldhash::fast::RandomState>);

impl Sharing {
    /// The same members, shared with those seen before that are the same to the letter.
    #[must_use]
    pub fn share(&mut self, mut members: Membership) -> Membership {
        for (id, member) in &mut members {
            let first = self.0.entry(*id).or_insert_with(|| Arc::clone(member));
            if first.is_written_like(member) {
                *member = Arc::clone(first);
            }
        }
        members
    }
}

/// A group of the account: its id, which decides, and its name, which people read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRef {
    pub id: GroupId,
    pub name: GroupName,
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {:?} ({})", self.name.as_str(), self.id)
    }
}

/// A group in the account's list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    pub name: GroupName,
    /// `None` where the list does not say it, or not as a time.
    pub created_on: Option<Timestamp>,
    /// The names of the permission groups of its policies, in the API's order and none twice. The names come from
    /// outside and must be escaped for the format they are shown in.
    pub grants: Vec<String>,
}

/// An account member as a group lists them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The account member's id.
    pub id: MemberId,
    /// The address; null where the API gave none.
    pub email: Option<Email>,
    /// The state of the invitation; null where the API gave none.
    pub status: Option<Status>,
}

impl Member {
    /// Whether nothing tells the two apart, not even the case of the addresses.
    fn is_written_like(&self, other: &Self) -> bool {
        fn written(member: &Member) -> (Option<&str>, Option<Status>) {
            let Member { id: _, email, status } = member;
            (email.as_ref().map(Email::as_str), *status)
        }
        written(self) == written(other)
    }
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
    /// Every address the API gave for the member, its own and its user's: in order, none twice.
    pub emails: Box<[Email]>,
    /// The state of the invitation.
    pub status: PersonStatus,
    /// `None` for a pending invitation.
    pub user_id: Option<UserId>,
    /// Whether the user has two-factor authentication on; `None` where the API does not say it.
    pub two_factor: Option<bool>,
}

/// The user that the credentials act for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    pub user_id: UserId,
    pub email: Option<Email>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_groups_tell_alike_is_shared_and_nothing_else_is() {
        let id: MemberId = "0".repeat(32).parse().unwrap();
        let told = |email: &str, status| {
            Membership::from([(id, Arc::new(Member { id, email: email.parse().ok(), status: Some(status) }))])
        };
        let mut sharing = Sharing::default();
        let first = sharing.share(told("a@example.com", Status::Accepted));
        let shares = |members: Membership, sharing: &mut Sharing| {
            let shared = sharing.share(members.clone());
            assert_eq!(shared[&id].email.as_ref().map(Email::as_str), members[&id].email.as_ref().map(Email::as_str));
            assert_eq!(shared, members);
            Arc::ptr_eq(&shared[&id], &first[&id])
        };
        assert!(shares(told("a@example.com", Status::Accepted), &mut sharing));
        assert!(!shares(told("A@example.com", Status::Accepted), &mut sharing));
        assert!(!shares(told("a@example.com", Status::Pending), &mut sharing));
        assert!(!shares(told("", Status::Accepted), &mut sharing));
    }
}
