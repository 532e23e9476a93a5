//! The operations of the API, and which of them a method and a path name.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Rejection;

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// Lists the user groups.
    ListGroups,
    /// Creates a user group.
    CreateGroup,
    /// Reads a user group.
    GetGroup,
    /// Renames a user group.
    UpdateGroup,
    /// Deletes a user group.
    DeleteGroup,
    /// Lists a group's members.
    ListMembers,
    /// Adds to a group's members.
    AddMembers,
    /// Replaces a group's members.
    ReplaceMembers,
    /// Reads one membership.
    GetMember,
    /// Ends one membership.
    RemoveMember,
    /// Lists the account's members.
    ListPeople,
    /// Reads the user that the token acts for.
    GetUser,
}

impl Endpoint {
    /// The operation's name, as a seed writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListGroups => "list-groups",
            Self::CreateGroup => "create-group",
            Self::GetGroup => "get-group",
            Self::UpdateGroup => "update-group",
            Self::DeleteGroup => "delete-group",
            Self::ListMembers => "list-members",
            Self::AddMembers => "add-members",
            Self::ReplaceMembers => "replace-members",
            Self::GetMember => "get-member",
            Self::RemoveMember => "remove-member",
            Self::ListPeople => "list-people",
            Self::GetUser => "get-user",
        }
    }

    /// Whether the operation is there to change something.
    #[must_use]
    pub const fn writes(self) -> bool {
        match self {
            Self::CreateGroup
            | Self::UpdateGroup
            | Self::DeleteGroup
            | Self::AddMembers
            | Self::ReplaceMembers
            | Self::RemoveMember => true,
            Self::ListGroups
            | Self::GetGroup
            | Self::ListMembers
            | Self::GetMember
            | Self::ListPeople
            | Self::GetUser => false,
        }
    }
}

/// Where a request goes: the operation, and the ids in its path as they were written.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) operation: Endpoint,
    pub(crate) account: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) member: Option<String>,
}

/// The operation a request means.
pub(crate) fn route(method: &str, path: &str) -> Result<Route, Rejection> {
    use Endpoint as Op;

    let segments: Vec<&str> = path.strip_prefix("/client/v4/").unwrap_or_default().split('/').collect();
    let (account, group, member) = match segments.as_slice() {
        ["user"] => (None, None, None),
        ["accounts", account, "members"] | ["accounts", account, "iam", "user_groups"] => (Some(account), None, None),
        ["accounts", account, "iam", "user_groups", group]
        | ["accounts", account, "iam", "user_groups", group, "members"] => (Some(account), Some(group), None),
        ["accounts", account, "iam", "user_groups", group, "members", member] => {
            (Some(account), Some(group), Some(member))
        }
        _ => return Err(Rejection::no_route(path)),
    };
    let operation = match (segments.len(), method) {
        (1, "GET") => Op::GetUser,
        (3, "GET") => Op::ListPeople,
        (4, "GET") => Op::ListGroups,
        (4, "POST") => Op::CreateGroup,
        (5, "GET") => Op::GetGroup,
        (5, "PUT") => Op::UpdateGroup,
        (5, "DELETE") => Op::DeleteGroup,
        (6, "GET") => Op::ListMembers,
        (6, "POST") => Op::AddMembers,
        (6, "PUT") => Op::ReplaceMembers,
        (7, "GET") => Op::GetMember,
        (7, "DELETE") => Op::RemoveMember,
        _ => return Err(Rejection::wrong_method(method)),
    };
    let owned = |segment: Option<&&str>| segment.map(|text| String::from(*text));
    Ok(Route { operation, account: owned(account), group: owned(group), member: owned(member) })
}
