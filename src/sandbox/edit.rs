//! Changes that another actor makes to the account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change of the account by another actor. Groups are identified by name, people by email or id. An edit without
/// anything to change has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// A person joins a group, and the account if they are not a member yet.
    Add(InGroup),
    /// A person leaves a group.
    Remove(InGroup),
    /// A group is created.
    CreateGroup(String),
    /// A group is renamed.
    RenameGroup(Renaming),
    /// Two groups swap their names.
    SwapNames(NameSwap),
    /// A group is deleted.
    DeleteGroup(String),
    /// A person's address changes.
    ChangeEmail(Readdressing),
    /// A person with this address joins the account.
    AddPerson(String),
    /// A person leaves the account and all of its groups.
    RemovePerson(String),
    /// The token is revoked.
    RevokeToken,
    /// Several edits, one after the other.
    Several(Vec<Edit>),
    /// An edit with an actor, which the audit log records. It does not record edits without one.
    By(EditBy),
}

/// An edit with its actor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBy {
    pub actor: EditActor,
    pub edit: Box<Edit>,
}

/// An actor as the audit log shows it. Missing fields are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditActor {
    /// The id of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The address of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the actor reached the API: `dash`, `api_token`, `api_key`, `oauth`, or another text, such as `scim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The name of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_name: Option<String>,
    /// The kind of actor: `user`, `account`, `system` or `cloudflare_admin`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A person in a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InGroup {
    /// The group's name.
    pub group: String,
    /// The person's email or id.
    pub member: String,
}

/// A group's new name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renaming {
    /// The present name.
    pub group: String,
    /// The new name.
    pub to: String,
}

/// Two groups that swap their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameSwap {
    /// The present name of one group.
    pub group: String,
    /// The present name of the other.
    pub with: String,
}

/// A person's new address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Readdressing {
    /// The person's present email, or id.
    pub member: String,
    /// The new address.
    pub to: String,
}

impl Edit {
    #[must_use]
    pub fn add(group: &str, member: &str) -> Self {
        Self::Add(InGroup { group: group.into(), member: member.into() })
    }

    #[must_use]
    pub fn remove(group: &str, member: &str) -> Self {
        Self::Remove(InGroup { group: group.into(), member: member.into() })
    }

    #[must_use]
    pub fn rename_group(group: &str, to: &str) -> Self {
        Self::RenameGroup(Renaming { group: group.into(), to: to.into() })
    }

    #[must_use]
    pub fn swap_names(group: &str, with: &str) -> Self {
        Self::SwapNames(NameSwap { group: group.into(), with: with.into() })
    }
}
