//! Changes that somebody else makes to the account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change of the account by somebody else. Groups are named by name, people by email or id. An edit that finds
/// nothing to change changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Somebody joins a group, and the account if they are not a member yet.
    Add(InGroup),
    /// Somebody leaves a group.
    Remove(InGroup),
    /// A group is created.
    CreateGroup(String),
    /// A group is renamed.
    RenameGroup(Renaming),
    /// Two groups take each other's names.
    SwapNames(NameSwap),
    /// A group is deleted.
    DeleteGroup(String),
    /// Somebody's address changes.
    ChangeEmail(Readdressing),
    /// Somebody with that email joins the account.
    AddPerson(String),
    /// Somebody leaves the account, and every group with it.
    RemovePerson(String),
    /// The token is revoked.
    RevokeToken,
    /// Several edits, one after the other.
    Several(Vec<Edit>),
    /// An edit with an actor, which the audit log records. It does not record edits without one.
    By(EditBy),
}

/// An edit with who made it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBy {
    /// Who made it.
    pub actor: EditActor,
    /// What was edited.
    pub edit: Box<Edit>,
}

/// An actor as the audit log shows it. Fields that are not given are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditActor {
    /// The id of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The address of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How: `dash`, `api_token`, `api_key`, `oauth`, or anything else, such as `scim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The name of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_name: Option<String>,
    /// What kind of actor: `user`, `account`, `system` or `cloudflare_admin`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl EditActor {
    /// A user in the dashboard.
    #[must_use]
    pub fn dashboard(email: &str) -> Self {
        let text = |text: &str| Some(text.into());
        Self { email: text(email), context: text("dash"), kind: text("user"), ..Self::default() }
    }

    /// A token.
    #[must_use]
    pub fn token(name: &str) -> Self {
        let text = |text: &str| Some(text.into());
        Self { token_name: text(name), context: text("api_token"), kind: text("account"), ..Self::default() }
    }
}

/// Somebody in a group.
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

/// Two groups that take each other's names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameSwap {
    /// The present name of one group.
    pub group: String,
    /// The present name of the other.
    pub with: String,
}

/// Somebody's new address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Readdressing {
    /// The person's present email, or id.
    pub member: String,
    /// The new address.
    pub to: String,
}

impl Edit {
    /// Somebody joins a group.
    #[must_use]
    pub fn add(group: &str, member: &str) -> Self {
        Self::Add(InGroup { group: group.into(), member: member.into() })
    }

    /// Somebody leaves a group.
    #[must_use]
    pub fn remove(group: &str, member: &str) -> Self {
        Self::Remove(InGroup { group: group.into(), member: member.into() })
    }

    /// A group is renamed.
    #[must_use]
    pub fn rename_group(group: &str, to: &str) -> Self {
        Self::RenameGroup(Renaming { group: group.into(), to: to.into() })
    }

    /// This edit with an actor, for the audit log.
    #[must_use]
    pub fn by(self, actor: EditActor) -> Self {
        Self::By(EditBy { actor, edit: Box::new(self) })
    }

    /// Two groups take each other's names.
    #[must_use]
    pub fn swap_names(group: &str, with: &str) -> Self {
        Self::SwapNames(NameSwap { group: group.into(), with: with.into() })
    }

    /// Somebody's address changes.
    #[must_use]
    pub fn change_email(member: &str, to: &str) -> Self {
        Self::ChangeEmail(Readdressing { member: member.into(), to: to.into() })
    }
}
