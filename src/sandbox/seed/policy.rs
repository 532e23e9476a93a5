//! What a seed says of a group's policies.

use schemars::JsonSchema;
use serde::Deserialize;

use super::entry::SeedEntry;

/// A policy of a group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedPolicy {
    /// The id; without it one is derived.
    pub id: Option<String>,
    /// What the policy does with the permissions.
    #[serde(default)]
    pub access: SeedPolicyAccess,
    /// The permission groups, by name or id. A name that the account does not know yet becomes one of its permission groups;
    /// an id that it does not know is shown without a name.
    pub permission_groups: Vec<SeedEntry<SeedGrantable>>,
    /// The resource groups, by name or id. Without any, the whole account.
    #[serde(default)]
    pub resource_groups: Vec<SeedEntry<SeedGrantable>>,
}

/// What a policy does with the permissions that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeedPolicyAccess {
    /// It grants them.
    #[default]
    Allow,
    /// It denies them: such a policy can be in a seed, and is refused in a request.
    Deny,
}

impl SeedPolicyAccess {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A permission group or a resource group: a name, an id, or both.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedGrantable {
    /// The name.
    pub name: Option<String>,
    /// The id; without it one is derived from the name.
    pub id: Option<String>,
    /// The label of a permission group, which its list can be filtered by.
    pub label: Option<String>,
}

impl From<String> for SeedGrantable {
    fn from(text: String) -> Self {
        let is_id = text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
        match is_id {
            true => Self { id: Some(text), ..Self::default() },
            false => Self { name: Some(text), ..Self::default() },
        }
    }
}

impl From<&str> for SeedGrantable {
    fn from(text: &str) -> Self {
        Self::from(String::from(text))
    }
}

impl SeedPolicy {
    /// A policy that grants these permission groups on the whole account.
    #[must_use]
    pub fn allow<G: Into<SeedGrantable>>(permission_groups: impl IntoIterator<Item = G>) -> Self {
        let permission_groups = permission_groups.into_iter().map(|group| SeedEntry::from(group.into())).collect();
        Self { id: None, access: SeedPolicyAccess::Allow, permission_groups, resource_groups: Vec::new() }
    }
}
