//! User groups, their policies, and the permission groups and resource groups that policies name.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Reply, with};
use super::request::RoutedCall;
use super::state::{StoredGroup, hex};
use crate::model::GroupId;

/// The body of requests that create or update a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: Option<String>,
    policies: Option<Vec<PolicyBody>>,
}

/// A group without policies has no `policies` key.
fn shown(call: &RoutedCall<'_>, id: GroupId, group: &StoredGroup) -> Value {
    let shown = if group.seed.nameless {
        json!({ "id": id })
    } else {
        json!({
            "id": id,
            "name": group.name,
            "created_on": group.created_on.to_string(),
            "modified_on": group.modified_on.to_string(),
        })
    };
    let policies = group.policies.iter().map(|policy| call.state.catalog.shown(policy, &call.account()));
    let policies: Vec<Value> = policies.collect();
    with(with(shown, "status", group.seed.status.as_ref()), "policies", Some(policies).filter(|all| !all.is_empty()))
}

fn shown_now(call: &RoutedCall<'_>, id: GroupId) -> Result<Value, Reply> {
    call.state.group(id).map(|group| shown(call, id, group)).ok_or_else(Reply::no_group)
}

fn checked(call: &RoutedCall<'_>, of: Option<GroupId>) -> Result<Body, Reply> {
    let body: Body = call.incoming.json()?;
    match &body.name {
        Some(name) if name.trim().is_empty() => return Err(Reply::invalid("a user group's name cannot be empty")),
        Some(name) if call.state.groups().any(|(id, group)| group.name == *name && Some(id) != of) => {
            let message = format!("The user group name {name:?} is already in use");
            return Err(Reply::bad_request(400, message));
        }
        _ => {}
    }
    let policies = body.policies.iter().flatten();
    policies.clone().try_for_each(PolicyBody::check)?;
    if of.is_some() && policies.clone().any(|policy| policy.id.is_some()) {
        Err(Reply::bad_request(400, "Cannot re-use policy IDs"))
    } else {
        Ok(body)
    }
}

pub(crate) fn list(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id: Option<GroupId> = call.query.take_id("id")?;
    let name = call.query.take("name");
    let fuzzy = call.query.take("fuzzyName").map(|name| name.to_lowercase());
    let paging = call.last_paging(1..=500, 100)?;

    let mut groups: Vec<(GroupId, &StoredGroup)> = call
        .state
        .groups()
        .filter(|(group_id, _)| id.is_none_or(|id| id == *group_id))
        .filter(|(_, group)| name.as_ref().is_none_or(|name| group.name == *name))
        .filter(|(_, group)| fuzzy.as_ref().is_none_or(|part| group.name.to_lowercase().contains(part)))
        .collect();
    groups.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    Ok(Reply::page(&groups, paging, |(id, group)| shown(call, *id, group)))
}

/// The groups in SCIM's own form. The reference documents no maximum for `count`.
pub(crate) fn list_scim(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let start = call.query.take_number("startIndex", 1..=usize::MAX)?.unwrap_or(1);
    let count = call.query.take_number("count", 0..=usize::MAX)?.unwrap_or(100);
    call.query.finish()?;
    let count = call.capped(count);
    let total = call.state.groups().count();
    let page = call.state.groups().skip(start - 1).take(count).map(|(id, group)| {
        let shown = json!({ "id": id, "displayName": group.name, "meta": { "resourceType": "Group" } });
        with(shown, "externalId", group.seed.external_id.as_ref())
    });
    let resources: Vec<Value> = page.collect();
    Ok(Reply::scim(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })))
}

pub(crate) fn create(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let Body { name, policies } = checked(call, None)?;
    let name = name.ok_or_else(|| Reply::invalid("a user group needs a name"))?;
    let id = call.state.create_group(&name, policies.unwrap_or_default());
    Ok(Reply::written(shown_now(call, id)?, true))
}

pub(crate) fn get(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    Ok(Reply::read(shown_now(call, call.group()?)?))
}

pub(crate) fn update(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id = call.group()?;
    let group = call.state.group(id).ok_or_else(Reply::no_group)?;
    let (scim, before) = (group.seed.scim, group.name.clone());
    let Body { name, policies } = checked(call, Some(id))?;
    if scim && name.as_ref().is_some_and(|name| *name != before) {
        return Err(Reply::managed_by_scim());
    }
    let effect = call.state.update_group(id, name.as_deref(), policies);
    Ok(Reply::written(shown_now(call, id)?, effect))
}

pub(crate) fn delete(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id = call.group()?;
    if call.state.group(id).ok_or_else(Reply::no_group)?.seed.scim {
        return Err(Reply::managed_by_scim());
    }
    let effect = call.state.delete_group(id);
    Ok(Reply::written(json!({ "id": id }), effect))
}

pub(crate) fn permission_groups(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let label = call.query.take("label");
    let all = call.state.catalog.permission_groups.clone();
    let labeled = all.into_iter().filter(|group| label.is_none() || group.label == label).collect();
    list_grantable(call, labeled, Grantable::as_permission_group)
}

pub(crate) fn resource_groups(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let all = call.state.catalog.resource_groups.clone();
    let account = call.account();
    list_grantable(call, all, |group| group.as_resource_group(&account))
}

fn list_grantable(
    call: &mut RoutedCall<'_>,
    mut all: Vec<Grantable>,
    shown: impl Fn(&Grantable) -> Value,
) -> Result<Reply, Reply> {
    let (id, name) = (call.query.take("id"), call.query.take("name"));
    // The API's reference does not document these limits.
    let paging = call.last_paging(1..=1000, 100)?;
    all.retain(|group| {
        let is_it = id.as_ref().is_none_or(|id| group.id.eq_ignore_ascii_case(id));
        is_it && name.as_ref().is_none_or(|name| group.name == *name)
    });
    Ok(Reply::page(&all, paging, shown))
}

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
    pub(crate) eol_at: Option<String>,
    /// The key and the only object of a resource group's scope; `None` for the whole account.
    pub(crate) scope: Option<(Option<String>, String)>,
}

/// Everything that the policies of an account can name.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) permission_groups: Vec<Grantable>,
    pub(crate) resource_groups: Vec<Grantable>,
}

/// A policy as it was sent. A policy of the account also has an id. Fields besides the ids are kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    #[serde(default)]
    pub(crate) id: Option<String>,
    pub(crate) access: String,
    pub(crate) permission_groups: Vec<Map<String, Value>>,
    pub(crate) resource_groups: Vec<Map<String, Value>>,
}

impl Grantable {
    /// A permission group or a resource group, as `kind` says.
    pub(crate) fn new(kind: &str, name: &str, id: Option<&str>, label: Option<&str>) -> Self {
        let id = id.map_or_else(|| hex(kind, name), str::to_lowercase);
        Self { id, name: name.into(), label: label.map(String::from), eol_at: None, scope: None }
    }

    fn meta(&self) -> Map<String, Value> {
        let mut meta = Map::from_iter([("scopes".into(), json!("com.cloudflare.api.account"))]);
        meta.extend(self.label.iter().map(|label| ("label".into(), json!(label))));
        meta.extend(self.eol_at.iter().map(|end| ("eol_at".into(), json!(end))));
        meta
    }

    fn scope(&self, account: &str) -> Value {
        let whole = || format!("com.cloudflare.api.account.{account}");
        let (key, object) = match &self.scope {
            None => (whole(), "*"),
            Some((key, object)) => (key.clone().unwrap_or_else(whole), object.as_str()),
        };
        json!({ "key": key, "objects": [{ "key": object }] })
    }

    /// A permission group as its list shows it.
    pub(crate) fn as_permission_group(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "meta": self.meta() })
    }

    /// A resource group as its list shows it.
    pub(crate) fn as_resource_group(&self, account: &str) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "meta": { "key": "editable", "value": "false" },
            "scope": [self.scope(account)],
        })
    }
}

impl Default for Catalog {
    fn default() -> Self {
        let built_in = BUILT_IN.iter().map(|(name, label)| Grantable::new("permission group", name, None, Some(label)));
        let everything = Grantable::new("resource group", "com.cloudflare.api.account.*", None, None);
        Self { permission_groups: built_in.collect(), resource_groups: vec![everything] }
    }
}

impl Catalog {
    pub(crate) fn shown(&self, policy: &PolicyBody, account: &str) -> Value {
        let permission_groups = policy.permission_groups.iter().map(|sent| {
            named(sent, &self.permission_groups, |shown, known| {
                if known.eol_at.is_some() {
                    shown.entry("meta").or_insert_with(|| known.meta().into());
                }
            })
        });
        let resource_groups = policy.resource_groups.iter().map(|sent| {
            let mut shown = named(sent, &self.resource_groups, |shown, known| {
                shown.entry("scope").or_insert_with(|| known.scope(account));
            });
            let whole = || Grantable::new("resource group", "", None, None).scope(account);
            shown.entry("scope").or_insert_with(whole);
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
fn named(
    sent: &Map<String, Value>,
    known: &[Grantable],
    complete: impl Fn(&mut Map<String, Value>, &Grantable),
) -> Map<String, Value> {
    let id = sent.get("id").and_then(Value::as_str).unwrap_or_default();
    let mut shown = sent.clone();
    if let Some(grantable) = known.iter().find(|grantable| grantable.id.eq_ignore_ascii_case(id)) {
        shown.entry("name").or_insert_with(|| json!(grantable.name));
        complete(&mut shown, grantable);
    }
    shown
}

impl PolicyBody {
    pub(crate) fn check(&self) -> Result<(), Reply> {
        let has_id = |sent: &Map<String, Value>| {
            let id = sent.get("id").and_then(Value::as_str).unwrap_or_default();
            !id.is_empty()
        };
        let valid = self.access == "allow" && self.permission_groups.iter().chain(&self.resource_groups).all(has_id);
        if valid { Ok(()) } else { Err(Reply::policy_invalid()) }
    }

    /// The policy as it is stored. A policy with unchanged content keeps its id.
    pub(crate) fn into_stored(self, before: &[Self], new_id: impl FnOnce() -> String) -> Self {
        let is_same = |old: &&Self| Self { id: self.id.clone(), ..(*old).clone() } == self;
        let id = before.iter().find(is_same).and_then(|old| old.id.clone());
        Self { id: id.or_else(|| Some(new_id())), ..self }
    }
}
