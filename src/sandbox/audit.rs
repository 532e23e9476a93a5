//! The audit log: what was done to the account, by whom, and the part of it that the log shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::edit::EditActor;
use super::id;
use super::seed::{SeedAuditLog, SeedUri};
use crate::model::GroupId;

/// The request of a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuditedRequest {
    pub(crate) method: &'static str,
    pub(crate) group: Option<GroupId>,
    /// The path after `/accounts/ID`.
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// The facts about the client of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditedClient {
    pub(crate) ray: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// A change of the account.
#[derive(Clone, Debug)]
pub(crate) struct AuditRecord {
    pub(crate) time: Timestamp,
    pub(crate) by: EditActor,
    pub(crate) request: AuditedRequest,
    pub(crate) client: AuditedClient,
    pub(crate) alterations: AuditAlterations,
}

/// The unusual properties of an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditAlterations {
    pub(crate) omit: Vec<String>,
    pub(crate) set: BTreeMap<String, Value>,
    pub(crate) verbatim: Option<Value>,
}

/// A position in the log: the time of an entry, and its number.
pub(crate) type AuditPlace = (Timestamp, usize);

#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    pub(crate) settings: SeedAuditLog,
    /// By time and number, with the instant from which each is shown.
    records: BTreeMap<AuditPlace, (Instant, AuditRecord)>,
}

impl AuditLog {
    pub(crate) const fn new(settings: SeedAuditLog) -> Self {
        Self { settings, records: BTreeMap::new() }
    }

    pub(crate) fn record(&mut self, record: AuditRecord) {
        let seen_from = self.settings.delay.after(Instant::now());
        self.records.insert((record.time, self.records.len()), (seen_from, record));
    }

    /// An entry for a change before the sandbox started, which is shown from the beginning.
    pub(crate) fn record_past(&mut self, record: AuditRecord) {
        self.records.insert((record.time, self.records.len()), (Instant::now(), record));
    }

    /// The entries between two times that are shown by now, oldest first.
    pub(crate) fn between(&self, since: Timestamp, before: Timestamp) -> Vec<AuditPlace> {
        let now = Instant::now();
        let shown = self.records.iter().filter(|(_, (from, _))| *from <= now).map(|(place, _)| *place);
        shown.filter(|(time, _)| since < *time && *time < before).collect()
    }

    pub(crate) fn entry(&self, place: AuditPlace, account: &str) -> Option<Value> {
        let (_, record) = self.records.get(&place)?;
        let AuditAlterations { omit, set, verbatim } = &record.alterations;
        if let Some(verbatim) = verbatim {
            return Some(verbatim.clone());
        }
        let mut entry = self.usual_entry(record, place.1, account);
        let settings = &self.settings;
        settings.omit.iter().chain(omit).for_each(|pointer| remove(&mut entry, pointer));
        settings.set.iter().chain(set).for_each(|(pointer, value)| put(&mut entry, pointer, value));
        Some(entry)
    }

    fn usual_entry(&self, record: &AuditRecord, number: usize, account: &str) -> Value {
        let AuditRecord { time, by, request, client, alterations: _ } = record;
        let AuditedRequest { method, group, path, body } = request;
        let kind = match *method {
            "POST" => "create",
            "PUT" => "update",
            _ => "delete",
        };
        let before = match self.settings.uri {
            SeedUri::ClientV4 => "/client/v4",
            SeedUri::Path => "",
            SeedUri::Host => "https://api.cloudflare.com/client/v4",
        };
        let mut resource = Map::from_iter([
            ("id".into(), json!(group)),
            ("product".into(), json!("iam")),
            ("type".into(), json!("user_groups")),
        ]);
        match body {
            Value::Null => {}
            body if self.settings.request_as_text => drop(resource.insert("request".into(), body.to_string().into())),
            body => drop(resource.insert("request".into(), body.clone())),
        }
        let ray = client.ray.clone().unwrap_or_else(|| id::hex("ray", &number.to_string()).chars().take(16).collect());
        let user_agent = client.user_agent.as_deref().unwrap_or("Mozilla/5.0");
        json!({
            "id": id::hex("audit", &number.to_string()),
            "account": { "id": account },
            "action": { "description": format!("{method} user group"), "result": "success", "time": time.to_string(), "type": kind },
            "actor": by,
            "raw": {
                "cf_ray_id": ray,
                "method": method,
                "status_code": 200,
                "uri": format!("{before}/accounts/{account}{path}"),
                "user_agent": user_agent,
            },
            "resource": resource,
        })
    }
}

/// Removes the value at a JSON pointer.
fn remove(entry: &mut Value, pointer: &str) {
    if let Some((parent, field)) = pointer.rsplit_once('/')
        && let Some(fields) = entry.pointer_mut(parent).and_then(Value::as_object_mut)
    {
        fields.remove(field);
    }
}

/// Sets the value at a JSON pointer. The object around it must exist.
fn put(entry: &mut Value, pointer: &str, value: &Value) {
    if let Some((parent, field)) = pointer.rsplit_once('/')
        && let Some(fields) = entry.pointer_mut(parent).and_then(Value::as_object_mut)
    {
        fields.insert(field.into(), value.clone());
    }
}
