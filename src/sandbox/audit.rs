//! The audit log: what was done to the account, by whom, and the part of it that the log shows.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::answer::{Reply, with};
use super::edit::EditActor;
use super::request::{RoutedCall, cannot_be};
use super::seed::{SeedAuditEntry, SeedAuditLog, SeedCursor, SeedUri};
use super::state::hex;
use crate::model::GroupId;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AuditedRequest {
    pub(crate) method: &'static str,
    pub(crate) group: Option<GroupId>,
    /// The path after `/accounts/ID`.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// `None` if no client of the sandbox sent it.
    pub(crate) ray: Option<String>,
    pub(crate) user_agent: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct AuditRecord {
    pub(crate) time: Timestamp,
    pub(crate) by: EditActor,
    pub(crate) request: AuditedRequest,
    /// The entry of the seed that it comes from, which can alter it.
    pub(crate) given: Option<SeedAuditEntry>,
}

/// A position in the log: the time of an entry, and its number.
pub(crate) type AuditPlace = (Timestamp, usize);

#[derive(Clone, Debug, Default)]
pub(crate) struct AuditLog {
    pub(crate) settings: SeedAuditLog,
    /// By time and number, with the instant from which each is shown.
    records: BTreeMap<AuditPlace, (Instant, AuditRecord)>,
}

impl AuditLog {
    pub(crate) const fn new(settings: SeedAuditLog) -> Self {
        Self { settings, records: BTreeMap::new() }
    }

    /// Records a change. One of the seed, before the sandbox started, is shown from the beginning.
    pub(crate) fn record(&mut self, record: AuditRecord) {
        let now = Instant::now();
        let seen_from = if record.given.is_some() { now } else { self.settings.delay.after(now) };
        self.records.insert((record.time, self.records.len()), (seen_from, record));
    }

    /// The entries between two times that are shown by now, oldest first.
    pub(crate) fn between(&self, since: Timestamp, before: Timestamp) -> Vec<AuditPlace> {
        let now = Instant::now();
        let shown = self.records.iter().filter(|(_, (from, _))| *from <= now).map(|(place, _)| *place);
        shown.filter(|(time, _)| since < *time && *time < before).collect()
    }

    pub(crate) fn entry(&self, place: AuditPlace, account: &str) -> Option<Value> {
        let (_, record) = self.records.get(&place)?;
        if let Some(verbatim) = record.given.as_ref().and_then(|given| given.verbatim.as_ref()) {
            return Some(verbatim.clone());
        }
        let mut entry = self.usual_entry(record, place.1, account);
        let settings = &self.settings;
        let omit = record.given.iter().flat_map(|given| &given.omit);
        settings
            .omit
            .iter()
            .chain(omit)
            .for_each(|pointer| drop(field(&mut entry, pointer).map(|(fields, name)| fields.remove(name))));
        let set = record.given.iter().flat_map(|given| &given.set);
        for (pointer, value) in settings.set.iter().chain(set) {
            field(&mut entry, pointer).map(|(fields, name)| fields.insert(name.into(), value.clone()));
        }
        Some(entry)
    }

    fn usual_entry(&self, record: &AuditRecord, number: usize, account: &str) -> Value {
        let AuditRecord { time, by, request, given: _ } = record;
        let AuditedRequest { method, group, path, body, ray, user_agent } = request;
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
        let sent = Some(body).filter(|body| !body.is_null());
        let sent = sent.map(|body| if self.settings.request_as_text { body.to_string().into() } else { body.clone() });
        let resource = json!({ "id": group, "product": "iam", "type": "user_groups" });
        let ray = ray.clone().unwrap_or_else(|| hex("ray", &number.to_string()).chars().take(16).collect());
        let user_agent = user_agent.as_deref().unwrap_or("Mozilla/5.0");
        json!({
            "id": hex("audit", &number.to_string()),
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
            "resource": with(resource, "request", sent),
        })
    }
}

/// The object around the value at a JSON pointer, which must exist, and the name of the value.
fn field<'a, 'b>(entry: &'a mut Value, pointer: &'b str) -> Option<(&'a mut Map<String, Value>, &'b str)> {
    let (parent, name) = pointer.rsplit_once('/')?;
    Some((entry.pointer_mut(parent)?.as_object_mut()?, name))
}

pub(crate) fn list(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    if let Some(status) = call.state.audit.settings.refused {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        return Err(Reply::error(status, 10000, "Authentication error"));
    }
    let since = time(call, "since")?;
    let before = time(call, "before")?;
    let oldest_first = call.query.take_word("direction", &[("asc", true), ("desc", false)])?.unwrap_or(false);
    let limit = call.query.take_number("limit", 1..=1000)?.unwrap_or(100);
    let cursor = call.query.take("cursor").map(|text| place(&text)).transpose()?;
    call.query.finish()?;

    let mut places = call.state.audit.between(since, before);
    if !oldest_first {
        places.reverse();
    }
    if let Some(last) = cursor {
        places.retain(|place| if oldest_first { *place > last } else { *place < last });
    }
    let more = places.len() > limit;
    places.truncate(limit);
    let entries: Vec<Value> =
        places.iter().filter_map(|place| call.state.audit.entry(*place, &call.account())).collect();
    let next = places.last().filter(|_| more).map(|(time, number)| format!("{}_{number}", time.as_nanosecond()));
    let count = entries.len();
    let info = match (next, call.state.audit.settings.cursor) {
        (None, _) => json!({ "count": count }),
        (Some(next), SeedCursor::After) => json!({ "count": count, "cursors": { "after": next } }),
        (Some(next), SeedCursor::Cursor) => json!({ "count": count, "cursor": next }),
    };
    Ok(Reply::read_with(entries.into(), info))
}

/// A required time in the query: a date or an instant.
fn time(call: &mut RoutedCall<'_>, key: &str) -> Result<Timestamp, Reply> {
    let Some(text) = call.query.take(key) else {
        return Err(Reply::invalid(format!("the query parameter {key:?} is missing")));
    };
    let of_date = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    // A date is the complete text. A date with a time and without an offset is invalid.
    let date = (text.len() == 10).then(|| text.parse().ok()).flatten();
    let time = text.parse().ok().or_else(|| date.and_then(of_date));
    time.ok_or_else(|| cannot_be(key, &text))
}

fn place(text: &str) -> Result<AuditPlace, Reply> {
    let place = || {
        let (time, number) = text.split_once('_')?;
        Some((Timestamp::from_nanosecond(time.parse().ok()?).ok()?, number.parse().ok()?))
    };
    place().ok_or_else(|| Reply::invalid(format!("the cursor {text:?} is not one of this log")))
}
