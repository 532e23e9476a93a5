//! The policies of a group in a seed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::entry::SeedEntry;

/// A policy of a group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedPolicy {
    /// The id; without it one is derived.
    pub id: Option<String>,
    /// Whether the policy grants or denies the permissions.
    #[serde(default)]
    pub access: SeedPolicyAccess,
    /// The permission groups, by name or id. An unknown name becomes a permission group of the account. An unknown id
    /// is shown without a name.
    pub permission_groups: Vec<SeedEntry<SeedGrantable>>,
    /// The resource groups, by name or id. Without any, the policy applies to the whole account.
    #[serde(default)]
    pub resource_groups: Vec<SeedEntry<SeedGrantable>>,
}

/// Whether a policy grants or denies its permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeedPolicyAccess {
    /// It grants them.
    #[default]
    Allow,
    /// It denies them. A seed can have such a policy; a request with one is refused.
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
    /// The label of a permission group, for filters.
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
