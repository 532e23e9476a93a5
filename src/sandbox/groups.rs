//! User groups, their policies, and the permission groups and resource groups that policies name.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Reply, with};
use super::routes::{RoutedCall, hexadecimal};
use super::state::StoredGroup;
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
    let policies: Vec<Value> = group.policies.iter().map(|policy| shown_policy(call, policy)).collect();
    with(with(shown, "status", group.seed.status.as_ref()), "policies", Some(policies).filter(|all| !all.is_empty()))
}

fn shown_now(call: &RoutedCall<'_>, id: GroupId) -> Result<Value, Reply> {
    call.state.groups.get(&id).map(|group| shown(call, id, group)).ok_or_else(Reply::no_group)
}

fn checked(call: &RoutedCall<'_>, of: Option<GroupId>) -> Result<Body, Reply> {
    let body: Body = call.incoming.json()?;
    match &body.name {
        Some(name) if name.trim().is_empty() => return Err(Reply::invalid("a user group's name cannot be empty")),
        Some(name) if call.state.groups.iter().any(|(id, group)| group.name == *name && Some(*id) != of) => {
            return Err(Reply::error(400, 400, format!("The user group name {name:?} is already in use")));
        }
        _ => {}
    }
    let policies = body.policies.iter().flatten();
    policies.clone().try_for_each(PolicyBody::check)?;
    if of.is_some() && policies.clone().any(|policy| policy.id.is_some()) {
        Err(Reply::error(400, 400, "Cannot re-use policy IDs"))
    } else {
        Ok(body)
    }
}

pub(crate) fn list(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id: Option<GroupId> = call.query.take_as("id", hexadecimal)?;
    let name = call.query.take("name");
    let fuzzy = call.query.take("fuzzyName").map(|name| name.to_lowercase());
    let asked_for = |(group_id, group): &(&GroupId, &StoredGroup)| {
        id.is_none_or(|id| id == **group_id)
            && name.as_ref().is_none_or(|name| group.name == *name)
            && fuzzy.as_ref().is_none_or(|part| group.name.to_lowercase().contains(part))
    };
    let mut groups: Vec<_> = call.state.groups.iter().filter(asked_for).collect();
    groups.sort_by_key(|(_, group)| &group.name);
    let (page, info) = call.query.page(&groups, 1..=500, 100)?;
    Ok(Reply::list(page.into_iter().map(|(id, group)| shown(call, *id, group)).collect(), info))
}

/// The groups in SCIM's own form. The reference documents no maximum for `count`.
pub(crate) fn list_scim(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let start = call.query.take_number("startIndex", 1..=usize::MAX)?.unwrap_or(1);
    let count = call.query.take_number("count", 0..=usize::MAX)?.unwrap_or(100);
    let groups = &call.state.groups;
    let page = groups.iter().skip(start - 1).take(count.min(call.query.page_size_cap)).map(|(id, group)| {
        let shown = json!({ "id": id, "displayName": group.name, "meta": { "resourceType": "Group" } });
        with(shown, "externalId", group.seed.external_id.as_ref())
    });
    let resources: Vec<Value> = page.collect();
    Ok(Reply::scim(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": groups.len(),
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
    let group = call.state.groups.get(&id).ok_or_else(Reply::no_group)?;
    let Body { name, policies } = checked(call, Some(id))?;
    if name.as_ref().is_some_and(|name| *name != group.name) {
        group.check_writable()?;
    }
    let effect = call.state.update_group(id, name.as_deref(), policies);
    Ok(Reply::written(shown_now(call, id)?, effect))
}

pub(crate) fn delete(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id = call.group()?;
    call.state.groups.get(&id).ok_or_else(Reply::no_group)?.check_writable()?;
    let effect = call.state.delete_group(id);
    Ok(Reply::written(json!({ "id": id }), effect))
}

pub(crate) fn permission_groups(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let label = call.query.take("label");
    let mut all = call.state.permission_groups.clone();
    all.retain(|group| label.is_none() || group.label == label.as_deref());
    list_grantable(call, all, |group| json!({ "id": group.id, "name": group.name, "meta": group.meta() }))
}

pub(crate) fn resource_groups(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let (all, account) = (call.state.resource_groups.clone(), call.account());
    list_grantable(call, all, |group| {
        let meta = json!({ "key": "editable", "value": "false" });
        json!({ "id": group.id, "name": group.name, "meta": meta, "scope": [scope(&account, Some(group))] })
    })
}

fn list_grantable(
    call: &mut RoutedCall<'_>,
    mut all: Vec<Grantable>,
    shown: impl Fn(&Grantable) -> Value,
) -> Result<Reply, Reply> {
    let (id, name) = (call.query.take("id"), call.query.take("name"));
    all.retain(|group| id.as_ref().is_none_or(|id| group.id.eq_ignore_ascii_case(id)));
    all.retain(|group| name.as_ref().is_none_or(|name| group.name == *name));
    // The API's reference does not document these limits.
    let (page, info) = call.query.page(&all, 1..=1000, 100)?;
    Ok(Reply::list(page.iter().map(shown).collect(), info))
}

/// The permission groups of every account, with their labels.
pub(crate) const BUILT_IN: [(&str, &str); 7] = [
    ("Administrator", "admin"),
    ("Administrator Read Only", "admin_readonly"),
    ("Super Administrator - All Privileges", "super_admin"),
    ("Audit Logs Viewer", "audit_logs_viewer"),
    ("Billing", "billing"),
    ("DNS", "dns"),
    ("Firewall", "firewall"),
];

/// What the ids of permission groups and resource groups are derived from, beside their names.
pub(crate) const PERMISSION_GROUP: &str = "permission group";
pub(crate) const RESOURCE_GROUP: &str = "resource group";

pub(crate) const WHOLE_ACCOUNT: &str = "com.cloudflare.api.account.*";

/// A permission group or a resource group of the account.
#[derive(Clone, Debug)]
pub(crate) struct Grantable {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) label: Option<&'static str>,
    pub(crate) eol_at: Option<String>,
}

impl Grantable {
    fn meta(&self) -> Value {
        let meta = with(json!({ "scopes": "com.cloudflare.api.account" }), "label", self.label);
        with(meta, "eol_at", self.eol_at.as_ref())
    }
}

/// The scope of a resource group: an object of the account, or all of them.
fn scope(account: &str, known: Option<&Grantable>) -> Value {
    let object = match known {
        Some(known) if known.name != WHOLE_ACCOUNT => format!("com.cloudflare.api.account.zone.{}", known.id),
        _ => "*".into(),
    };
    json!({ "key": format!("com.cloudflare.api.account.{account}"), "objects": [{ "key": object }] })
}

pub(crate) fn shown_policy(call: &RoutedCall<'_>, policy: &PolicyBody) -> Value {
    let permission_group = |sent: &Granted| {
        let known = sent.find(&call.state.permission_groups);
        let meta = known.filter(|known| known.eol_at.is_some()).map(Grantable::meta);
        with(with(json!(sent), "meta", meta), "name", known.map(|known| &known.name))
    };
    let resource_group = |sent: &Granted| {
        let known = sent.find(&call.state.resource_groups);
        let scope = scope(&call.account(), known);
        with(with(json!(sent), "scope", Some(scope)), "name", known.map(|known| &known.name))
    };
    json!({
        "id": policy.id,
        "access": policy.access,
        "permission_groups": policy.permission_groups.iter().map(permission_group).collect::<Vec<_>>(),
        "resource_groups": policy.resource_groups.iter().map(resource_group).collect::<Vec<_>>(),
    })
}

/// A permission group or a resource group as a policy names it. Other fields that were sent are not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Granted {
    #[serde(default)]
    pub(crate) id: String,
}

impl Granted {
    fn find<'a>(&self, known: &'a [Grantable]) -> Option<&'a Grantable> {
        known.iter().find(|known| known.id.eq_ignore_ascii_case(&self.id))
    }
}

/// A policy as it was sent. A policy of the account also has an id.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    pub(crate) id: Option<String>,
    pub(crate) access: String,
    pub(crate) permission_groups: Vec<Granted>,
    pub(crate) resource_groups: Vec<Granted>,
}

impl PolicyBody {
    fn check(&self) -> Result<(), Reply> {
        let has_id = |sent: &Granted| !sent.id.is_empty();
        let valid = self.access == "allow" && self.permission_groups.iter().chain(&self.resource_groups).all(has_id);
        valid.then_some(()).ok_or_else(Reply::policy_invalid)
    }
}
