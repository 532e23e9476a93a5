//! The policies of groups, and the permission groups and resource groups that they name.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::Rejection;
use super::id;

/// The permission groups of every account, with their labels.
const BUILT_IN: [(&str, &str); 7] = [
    ("Administrator", "admin"),
    ("Administrator Read Only", "admin_readonly"),
    ("Super Administrator - All Privileges", "super_admin"),
    ("Audit Logs Viewer", "audit_logs_viewer"),
    ("Billing", "billing"),
    ("DNS", "dns"),
    ("Firewall", "firewall"),
];

/// A permission group or a resource group of the account.
#[derive(Clone, Debug)]
pub(crate) struct Grantable {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) label: Option<String>,
}

/// Everything that the policies of an account can name.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) permission_groups: Vec<Grantable>,
    pub(crate) resource_groups: Vec<Grantable>,
}

/// A policy of a group as it was sent. Fields besides the ids are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredPolicy {
    pub(crate) id: String,
    pub(crate) access: String,
    pub(crate) permission_groups: Vec<Map<String, Value>>,
    pub(crate) resource_groups: Vec<Map<String, Value>>,
}

/// A policy as a request sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    #[serde(default)]
    pub(crate) id: Option<String>,
    access: String,
    permission_groups: Vec<Map<String, Value>>,
    resource_groups: Vec<Map<String, Value>>,
}

impl Grantable {
    pub(crate) fn permission_group(name: &str, id: Option<&str>, label: Option<&str>) -> Self {
        Self::new("permission group", name, id, label)
    }

    pub(crate) fn resource_group(name: &str, id: Option<&str>) -> Self {
        Self::new("resource group", name, id, None)
    }

    fn new(kind: &str, name: &str, id: Option<&str>, label: Option<&str>) -> Self {
        let id = id.map_or_else(|| id::hex(kind, name), str::to_lowercase);
        Self { id, name: name.into(), label: label.map(String::from) }
    }

    /// A permission group as its list shows it.
    pub(crate) fn as_permission_group(&self) -> Value {
        let mut meta = Map::from_iter([("scopes".into(), json!("com.cloudflare.api.account"))]);
        meta.extend(self.label.iter().map(|label| ("label".into(), json!(label))));
        json!({ "id": self.id, "name": self.name, "meta": meta })
    }

    /// A resource group as its list shows it.
    pub(crate) fn as_resource_group(&self, account: &str) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "meta": { "key": "editable", "value": "false" },
            "scope": [scope(account)],
        })
    }
}

fn scope(account: &str) -> Value {
    json!({ "key": format!("com.cloudflare.api.account.{account}"), "objects": [{ "key": "*" }] })
}

impl Default for Catalog {
    fn default() -> Self {
        let built_in = BUILT_IN.iter().map(|(name, label)| Grantable::permission_group(name, None, Some(label)));
        let everything = Grantable::resource_group("com.cloudflare.api.account.*", None);
        Self { permission_groups: built_in.collect(), resource_groups: vec![everything] }
    }
}

impl Catalog {
    /// The policy as a group shows it.
    pub(crate) fn shown(&self, policy: &StoredPolicy, account: &str) -> Value {
        let permission_groups = policy.permission_groups.iter().map(|sent| named(sent, &self.permission_groups));
        let resource_groups = policy.resource_groups.iter().map(|sent| {
            let mut shown = named(sent, &self.resource_groups);
            shown.entry("scope").or_insert_with(|| scope(account));
            shown
        });
        json!({
            "id": policy.id,
            "access": policy.access,
            "permission_groups": permission_groups.collect::<Vec<_>>(),
            "resource_groups": resource_groups.collect::<Vec<_>>(),
        })
    }
}

/// The object as it was sent, with the name if there is one.
fn named(sent: &Map<String, Value>, known: &[Grantable]) -> Map<String, Value> {
    let id = sent.get("id").and_then(Value::as_str).unwrap_or_default();
    let mut shown = sent.clone();
    if let Some(grantable) = known.iter().find(|grantable| grantable.id.eq_ignore_ascii_case(id)) {
        shown.entry("name").or_insert_with(|| json!(grantable.name));
    }
    shown
}

impl PolicyBody {
    /// Checks what a request sends.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        let has_id = |sent: &Map<String, Value>| {
            let id = sent.get("id").and_then(Value::as_str).unwrap_or_default();
            !id.is_empty()
        };
        let valid = self.access == "allow" && self.permission_groups.iter().chain(&self.resource_groups).all(has_id);
        if valid { Ok(()) } else { Err(Rejection::policy_invalid()) }
    }

    /// The policy as it is stored. A policy with unchanged content keeps its id.
    pub(crate) fn into_stored(self, before: &[StoredPolicy], new_id: impl FnOnce() -> String) -> StoredPolicy {
        let Self { id: _, access, permission_groups, resource_groups } = self;
        let mut policy = StoredPolicy { id: String::new(), access, permission_groups, resource_groups };
        let same = before.iter().find(|old| StoredPolicy { id: String::new(), ..(*old).clone() } == policy);
        policy.id = same.map_or_else(new_id, |old| old.id.clone());
        policy
    }
}
