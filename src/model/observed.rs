//! What was read from the account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{Email, GroupId, GroupName, MemberId, PersonRef, UserId};

/// The facts about the account that a plan needs. Each part was read completely.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub groups: BTreeMap<GroupId, GroupSummary>,
    /// The members of each group that was read. Nothing may be concluded about a group that is missing here.
    pub memberships: BTreeMap<GroupId, Arc<Membership>>,
    /// For each group whose members the API refused to list, the reason.
    pub unreadable: BTreeMap<GroupId, String>,
    /// Account members by id, if they were looked up in addition to the groups' lists.
    pub people: BTreeMap<MemberId, Person>,
    /// Whether all members of the account were read. If so, everybody who is not in `people` is not in the account.
    pub knows_everybody: bool,
    pub token_user: TokenUser,
}

/// What is known about the user of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenUser {
    #[default]
    NotAsked,
    /// The token has no user, or may not read it.
    Nobody,
    Known(TokenOwner),
}

/// The members of one group by id, read completely.
pub type Membership = BTreeMap<MemberId, Member>;

/// A group of the account: its id, which identifies it, and its name, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRef {
    pub id: GroupId,
    pub name: GroupName,
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "group {}", self.id),
            name => write!(f, "group {name:?} ({})", self.id),
        }
    }
}

/// A group in the account's list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    pub name: GroupName,
    /// `None` if the list has no valid time.
    pub created_on: Option<Timestamp>,
    pub policies: Vec<AccessPolicy>,
}

impl GroupSummary {
    /// What membership gives, in the API's order and without duplicates.
    pub fn grants(&self) -> Vec<&Permission> {
        let mut seen = BTreeSet::new();
        self.policies.iter().flat_map(|policy| &policy.grants).filter(|grant| seen.insert(*grant)).collect()
    }

    /// What membership gives, as `NAME` or `NAME on RESOURCE`.
    pub fn shown_grants(&self) -> Vec<String> {
        self.grants().into_iter().map(ToString::to_string).collect()
    }
}

/// A policy of a group or of an account member. Its texts come from outside: renderers must escape them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessPolicy {
    pub grants: Vec<Permission>,
    /// The access, the permission groups and the scopes, in one order: two policies are equal if these are.
    pub content: String,
}

/// A permission group on one resource, as one policy gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    pub permission: String,
    /// The names of the resource; none for the whole account. The first one is shown, a pin may use any of them.
    pub resource: Vec<String>,
    pub denies: bool,
    /// When Cloudflare ends the permission group, as it writes it.
    pub ends: Option<String>,
}

impl Permission {
    /// Whether a pin names this grant: `NAME` for the whole account, else `NAME on RESOURCE`; after `denies` for what a
    /// policy takes away.
    pub fn is(&self, pin: &str) -> bool {
        self.pin() == pin || self.resource.iter().any(|resource| self.pin_on(Some(resource)) == pin)
    }

    pub fn pin(&self) -> String {
        self.pin_on(self.resource.first())
    }

    fn pin_on(&self, resource: Option<&String>) -> String {
        let denies = if self.denies { "denies " } else { "" };
        let on = resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
        format!("{denies}{}{on}", self.permission)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = self.ends.as_ref().map(|ends| format!(" (ends {ends})")).unwrap_or_default();
        write!(f, "{}{ends}", self.pin())
    }
}

/// An account member, as a group lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub id: MemberId,
    /// The address; null if the API has none.
    pub email: Option<Email>,
    /// The state of the invitation; null if the API has none.
    pub status: Option<Status>,
}

impl Member {
    /// How a file would name the member: by the address, or by the id if there is none.
    pub fn person(&self) -> PersonRef {
        self.email.clone().map_or(PersonRef::Id(self.id), PersonRef::Email)
    }
}

/// The state of a group member's invitation to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Accepted,
    /// The person is invited and has not answered.
    Pending,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Every address that the API has for the member and its user, sorted, without duplicates.
    pub emails: Box<[Email]>,
    /// The state of the invitation, if the API reports one that is in force.
    pub status: Option<Status>,
    /// Whether the person declined the invitation and cannot be in a group.
    pub declined: bool,
    /// `None` for a pending invitation.
    pub user_id: Option<UserId>,
    /// Whether the user has two-factor authentication on; `None` if the API does not report it.
    pub two_factor: Option<bool>,
    pub roles: Vec<String>,
    /// The member's policies. Whether those of groups are among them is not documented.
    pub policies: Vec<AccessPolicy>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    pub user_id: UserId,
    pub email: Option<Email>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountInfo {
    pub name: Option<String>,
    /// The organization that the account belongs to: its name, or its id without one.
    pub organization: Option<String>,
}

/// A group as the list for identity providers shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimGroup {
    pub id: String,
    pub name: Option<String>,
    /// Whether it has an id of an identity provider, which then probably manages it.
    pub external: bool,
}
