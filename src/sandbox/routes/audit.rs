//! Reads the audit log: entries between two times, paged by cursor.

use axum::http::StatusCode;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::model::AccountId;
use crate::sandbox::answer::{Rejection, Success};
use crate::sandbox::audit::AuditPlace;
use crate::sandbox::call::RouteCall;
use crate::sandbox::seed::SeedCursor;

pub(super) fn list(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    if let Some(status) = call.state.audit.settings.refused {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        return Err(Rejection::new(status, 10000, "Authentication error"));
    }
    let since = time(&mut call, "since")?;
    let before = time(&mut call, "before")?;
    let oldest_first = call.query.take_word("direction", &[("asc", true), ("desc", false)])?.unwrap_or(false);
    let limit = call.query.take_number("limit", 1, 1000)?.unwrap_or(100);
    let cursor = call.query.take("cursor").map(|text| place(&text)).transpose()?;
    std::mem::take(&mut call.query).finish()?;

    let mut places = call.state.audit.between(since, before);
    if !oldest_first {
        places.reverse();
    }
    if let Some(last) = cursor {
        places.retain(|place| if oldest_first { *place > last } else { *place < last });
    }
    let more = places.len() > limit;
    places.truncate(limit);
    let account = call.ids.account();
    let account = account.as_ref().map_or("", AccountId::as_str);
    let entries: Vec<Value> = places.iter().filter_map(|place| call.state.audit.entry(*place, account)).collect();
    let next = places.last().filter(|_| more).map(|(time, number)| format!("{}_{number}", time.as_nanosecond()));
    let count = entries.len();
    let info = match (next, call.state.audit.settings.cursor) {
        (None, _) => json!({ "count": count }),
        (Some(next), SeedCursor::After) => json!({ "count": count, "cursors": { "after": next } }),
        (Some(next), SeedCursor::Cursor) => json!({ "count": count, "cursor": next }),
    };
    Ok(Success::read_with(entries.into(), info))
}

/// A required time in the query: a date or an instant.
fn time(call: &mut RouteCall<'_>, key: &str) -> Result<Timestamp, Rejection> {
    let Some(text) = call.query.take(key) else {
        return Err(Rejection::invalid(format!("the query parameter {key:?} is missing")));
    };
    let of_date = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    // A date is the complete text. A date with a time and without an offset is invalid.
    let date = (text.len() == 10).then(|| text.parse().ok()).flatten();
    let time = text.parse().ok().or_else(|| date.and_then(of_date));
    time.ok_or_else(|| Rejection::invalid(format!("the query parameter {key:?} cannot be {text:?}")))
}

fn place(text: &str) -> Result<AuditPlace, Rejection> {
    let place = || {
        let (time, number) = text.split_once('_')?;
        Some((Timestamp::from_nanosecond(time.parse().ok()?).ok()?, number.parse().ok()?))
    };
    place().ok_or_else(|| Rejection::invalid(format!("the cursor {text:?} is not one of this log")))
}
