//! Changes that other actors make to the account, and the audit log: what was done, by whom, and how the log shows it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Reply, with};
use super::routes::RoutedCall;
use super::state::{AccountState, hex, now};
use crate::model::GroupId;

/// A change of the account by another actor. Groups are identified by their present name, people by email or id. An
/// edit without anything to change has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// A person joins a group, and the account if they are not a member yet.
    Add {
        group: String,
        member: String,
    },
    Remove {
        group: String,
        member: String,
    },
    CreateGroup(String),
    RenameGroup {
        group: String,
        to: String,
    },
    SwapNames {
        group: String,
        with: String,
    },
    DeleteGroup(String),
    /// The address of a person becomes `to`, in the account and in every group.
    ChangeEmail {
        member: String,
        to: String,
    },
    /// A person with this address joins the account.
    AddPerson(String),
    /// A person leaves the account and all of its groups.
    RemovePerson(String),
    RevokeToken,
    /// Several edits, one after the other.
    Several(Vec<Edit>),
    /// An edit with an actor, which the audit log records. It does not record edits without one.
    By {
        actor: EditActor,
        edit: Box<Edit>,
    },
}

/// An actor as the audit log shows it. Missing fields are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditActor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the actor reached the API: `dash`, `api_token`, `api_key`, `oauth`, or another text, such as `scim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_name: Option<String>,
    /// The kind of actor: `user`, `account`, `system` or `cloudflare_admin`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl AccountState {
    /// Makes another actor's change; returns whether it changed anything.
    pub(crate) fn edit(&mut self, edit: &Edit) -> bool {
        self.edit_known(edit).unwrap_or(false)
    }

    /// The same; `None` if the account lacks the objects of the edit.
    fn edit_known(&mut self, edit: &Edit) -> Option<bool> {
        Some(match edit {
            Edit::Add { group, member } => {
                let (group, member) = (self.group_named(group)?, self.find_or_add_person(member).ok()?);
                self.add_members(group, &BTreeSet::from([member]))
            }
            Edit::Remove { group, member } => self.remove_member(self.group_named(group)?, self.find_person(member)?),
            Edit::CreateGroup(name) => {
                self.create_group(name, Vec::new());
                true
            }
            Edit::RenameGroup { group, to } => self.update_group(self.group_named(group)?, Some(to), None),
            Edit::SwapNames { group, with } => {
                let (one, other) = (self.group_named(group)?, self.group_named(with)?);
                self.update_group(one, Some(with), None);
                self.update_group(other, Some(group), None)
            }
            Edit::DeleteGroup(name) => self.delete_group(self.group_named(name)?),
            Edit::ChangeEmail { member, to } => self.change_email(self.find_person(member)?, to.parse().ok()?),
            Edit::AddPerson(email) => self.find_person(email).is_none() && self.find_or_add_person(email).is_ok(),
            Edit::RemovePerson(who) => self.remove_person(self.find_person(who)?),
            Edit::RevokeToken => !std::mem::replace(&mut self.token_revoked, true),
            Edit::Several(edits) => edits.iter().fold(false, |changed, edit| self.edit(edit) | changed),
            Edit::By { actor, edit } => self.edit_by(actor, edit),
        })
    }

    /// Makes another actor's change, and records it in the audit log.
    fn edit_by(&mut self, actor: &EditActor, edit: &Edit) -> bool {
        if let Edit::Several(edits) = edit {
            return edits.iter().fold(false, |changed, edit| self.edit_by(actor, edit) | changed);
        }
        // Before the edit, for what it removes or renames; after it, for what it adds.
        let before = self.request_for(actor, edit);
        let changed = self.edit(edit);
        if changed && let Some(record) = before.or_else(|| self.request_for(actor, edit)) {
            self.record_request(self.clock.unwrap_or_else(now), record);
        }
        changed
    }

    /// The request that corresponds to an edit; `None` if the API has none, or the account lacks the objects of the
    /// edit.
    pub(crate) fn request_for(&self, actor: &EditActor, edit: &Edit) -> Option<AuditRecord> {
        let (method, group, rest, body) = match edit {
            Edit::Add { group, member } => {
                ("POST", group, "/members".into(), json!([{ "id": self.find_person(member)? }]))
            }
            Edit::Remove { group, member } => {
                ("DELETE", group, format!("/members/{}", self.find_person(member)?), Value::Null)
            }
            Edit::CreateGroup(name) => ("POST", name, String::new(), json!({ "name": name })),
            Edit::RenameGroup { group, to } => ("PUT", group, String::new(), json!({ "name": to })),
            Edit::DeleteGroup(name) => ("DELETE", name, String::new(), Value::Null),
            _ => return None,
        };
        let group = self.group_named(group);
        let path = match edit {
            Edit::CreateGroup(_) => "/iam/user_groups".into(),
            _ => format!("/iam/user_groups/{}{rest}", group?),
        };
        let (by, method) = (actor.clone(), method.into());
        Some(AuditRecord { by, method, group, path, body, ray: None, user_agent: None })
    }
}

/// A position in the log: the time of an entry, and its number.
pub(crate) type AuditPlace = (Timestamp, usize);

#[derive(Clone, Debug, Default)]
pub(crate) struct AuditRecord {
    pub(crate) by: EditActor,
    pub(crate) method: String,
    pub(crate) group: Option<GroupId>,
    /// The path after `/accounts/ID`.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// `None` if no client of the sandbox sent it.
    pub(crate) ray: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// An entry, with the changes that the seed makes to every entry.
fn shown(call: &RoutedCall<'_>, (time, number): AuditPlace, record: &AuditRecord) -> Value {
    let AuditRecord { by, method, group, path, body, ray, user_agent } = record;
    let account = call.account();
    let kind = match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        _ => "delete",
    };
    let number = number.to_string();
    let ray = ray.clone().unwrap_or_else(|| hex("ray", &number).chars().take(16).collect());
    let resource = json!({ "id": group, "product": "iam", "type": "user_groups" });
    let mut entry = json!({
        "id": hex("audit", &number),
        "account": { "id": account },
        "action": { "description": format!("{method} user group"), "result": "success", "time": time.to_string(), "type": kind },
        "actor": by,
        "raw": {
            "cf_ray_id": ray,
            "method": method,
            "status_code": 200,
            "uri": format!("/client/v4/accounts/{account}{path}"),
            "user_agent": user_agent.as_deref().unwrap_or("Mozilla/5.0"),
        },
        "resource": with(resource, "request", (!body.is_null()).then_some(body)),
    });
    let omitted = call.seed.audit_log.omit.iter().map(|pointer| (pointer, None));
    let set = call.seed.audit_log.set.iter().map(|(pointer, value)| (pointer, Some(value)));
    for (pointer, value) in omitted.chain(set) {
        let Some((parent, name)) = pointer.rsplit_once('/') else { continue };
        let Some(fields) = entry.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
        match value {
            Some(value) => fields.insert(name.into(), value.clone()),
            None => fields.remove(name),
        };
    }
    entry
}

pub(crate) fn list_log(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    if let Some(status) = call.seed.audit_log.refused {
        return Err(Reply::error(status, 10000, "Authentication error"));
    }
    let since = time(call, "since")?;
    let before = time(call, "before")?;
    let oldest_first = call.query.take_word("direction", &[("asc", true), ("desc", false)])?.unwrap_or(false);
    let limit = call.query.take_number("limit", 1..=1000)?.unwrap_or(100);
    // A cursor is the number of entries on the pages before.
    let skipped = call.query.take_number("cursor", 1..=usize::MAX)?.unwrap_or(0);

    let log = call.state.audit_log.iter();
    let mut found: Vec<_> = log.filter(|((time, _), _)| since < *time && *time < before).collect();
    if !oldest_first {
        found.reverse();
    }
    let page = found.iter().skip(skipped).take(limit);
    let entries: Vec<Value> = page.map(|(place, record)| shown(call, **place, record)).collect();
    let so_far = skipped.saturating_add(entries.len());
    let next = (so_far < found.len()).then(|| json!({ "after": so_far.to_string() }));
    let info = with(json!({ "count": entries.len() }), "cursors", next);
    Ok(Reply::list(entries.into(), info))
}

/// A required time in the query: an instant, or a date.
fn time(call: &mut RoutedCall<'_>, key: &str) -> Result<Timestamp, Reply> {
    let instant = |text: &str| text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok();
    let missing = || Reply::invalid(format!("the query parameter {key:?} is missing"));
    call.query.take_as(key, instant)?.ok_or_else(missing)
}
