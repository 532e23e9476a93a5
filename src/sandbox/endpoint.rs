//! The operations of the API, selected by method and path.

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
    /// Adds members to a group.
    AddMembers,
    /// Replaces a group's members.
    ReplaceMembers,
    /// Reads one membership.
    GetMember,
    /// Ends one membership.
    RemoveMember,
    /// Lists the account's members.
    ListPeople,
    /// Reads one of the account's members.
    GetPerson,
    /// Lists the permission groups.
    ListPermissionGroups,
    /// Lists the resource groups.
    ListResourceGroups,
    /// Reads the audit log.
    ListAuditLog,
    /// Reads the user of the token.
    GetUser,
    /// Checks the token.
    VerifyToken,
}

impl Endpoint {
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::CreateGroup
                | Self::UpdateGroup
                | Self::DeleteGroup
                | Self::AddMembers
                | Self::ReplaceMembers
                | Self::RemoveMember
        )
    }
}

/// The operation of a request, and the ids in its path as written.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) operation: Endpoint,
    pub(crate) account: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) member: Option<String>,
}

/// The operations of a path, by method.
type Methods = &'static [(&'static str, Endpoint)];

pub(crate) fn route(method: &str, path: &str) -> Result<Route, Rejection> {
    use Endpoint as E;

    let segments: Vec<&str> = path.strip_prefix("/client/v4/").unwrap_or_default().split('/').collect();
    let mut ids = (None, None, None);
    let methods: Methods = match segments.as_slice() {
        ["user"] => &[("GET", E::GetUser)],
        ["user", "tokens", "verify"] => &[("GET", E::VerifyToken)],
        ["accounts", account, rest @ ..] => {
            ids.0 = Some(String::from(*account));
            match rest {
                ["tokens", "verify"] => &[("GET", E::VerifyToken)],
                ["logs", "audit"] => &[("GET", E::ListAuditLog)],
                ["iam", "permission_groups"] => &[("GET", E::ListPermissionGroups)],
                ["iam", "resource_groups"] => &[("GET", E::ListResourceGroups)],
                ["members"] => &[("GET", E::ListPeople)],
                ["members", member] => {
                    ids.2 = Some(String::from(*member));
                    &[("GET", E::GetPerson)]
                }
                ["iam", "user_groups"] => &[("GET", E::ListGroups), ("POST", E::CreateGroup)],
                ["iam", "user_groups", group, rest @ ..] => {
                    ids.1 = Some(String::from(*group));
                    match rest {
                        [] => &[("GET", E::GetGroup), ("PUT", E::UpdateGroup), ("DELETE", E::DeleteGroup)],
                        ["members"] => &[("GET", E::ListMembers), ("POST", E::AddMembers), ("PUT", E::ReplaceMembers)],
                        ["members", member] => {
                            ids.2 = Some(String::from(*member));
                            &[("GET", E::GetMember), ("DELETE", E::RemoveMember)]
                        }
                        _ => &[],
                    }
                }
                _ => &[],
            }
        }
        _ => &[],
    };
    let (account, group, member) = ids;
    match methods.iter().find(|(taken, _)| *taken == method) {
        Some((_, operation)) => Ok(Route { operation: *operation, account, group, member }),
        None if methods.is_empty() => Err(Rejection::no_route(path)),
        None => {
            let allowed: Vec<&str> = methods.iter().map(|(taken, _)| *taken).collect();
            Err(Rejection::wrong_method(method, &allowed.join(", ")))
        }
    }
}
