//! The audit log: what was done to the account, by whom, and how the log shows it.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Reply, with};
use super::edit::EditActor;
use super::request::RoutedCall;
use super::state::hex;
use crate::model::GroupId;

/// A position in the log: the time of an entry, and its number.
pub(crate) type AuditPlace = (Timestamp, usize);

/// A request that changed the account.
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
    let settings = &call.seed.audit_log;
    for pointer in &settings.omit {
        if let Some((fields, name)) = field(&mut entry, pointer) {
            fields.remove(name);
        }
    }
    for (pointer, value) in &settings.set {
        if let Some((fields, name)) = field(&mut entry, pointer) {
            fields.insert(name.into(), value.clone());
        }
    }
    entry
}

/// The object around the value at a JSON pointer, which must exist, and the name of the value.
fn field<'a, 'b>(entry: &'a mut Value, pointer: &'b str) -> Option<(&'a mut Map<String, Value>, &'b str)> {
    let (parent, name) = pointer.rsplit_once('/')?;
    Some((entry.pointer_mut(parent)?.as_object_mut()?, name))
}

pub(crate) fn list(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    if let Some(status) = call.seed.audit_log.refused {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        return Err(Reply::error(status, 10000, "Authentication error"));
    }
    let since = time(call, "since")?;
    let before = time(call, "before")?;
    let oldest_first = call.query.take_word("direction", &[("asc", true), ("desc", false)])?.unwrap_or(false);
    let limit = call.query.take_number("limit", 1..=1000)?.unwrap_or(100);
    // A cursor is the number of entries on the pages before.
    let skipped = call.query.take_number("cursor", 1..=usize::MAX)?.unwrap_or(0);
    call.query.finish()?;

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
    Ok(Reply::list(entries, info))
}

/// A required time in the query: an instant, or a date.
fn time(call: &mut RoutedCall<'_>, key: &str) -> Result<Timestamp, Reply> {
    let instant = |text: &str| text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok();
    let missing = || Reply::invalid(format!("the query parameter {key:?} is missing"));
    call.query.take_as(key, instant)?.ok_or_else(missing)
}
