//! How the formats for people name things: members, places, times.
//!
//! All that comes out is cleaned; what a format needs besides is up to it.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::clean;
use crate::model::{Member, Origin, Status};
use crate::plan::{Change, Refusal, Since};

/// Who: the address, or the id where there is none.
pub fn name(member: &Member) -> String {
    member.email.as_ref().map_or_else(|| member.id.to_string(), |email| clean(email.as_str()))
}

/// Who, and whether their invitation is still open.
pub fn subject(member: &Member) -> String {
    let who = name(member);
    match member.status {
        Some(Status::Pending) => format!("{who} (pending)"),
        Some(Status::Accepted) | None => who,
    }
}

/// Where a change is declared and what is known of it.
pub fn place(change: &Change) -> String {
    let mut place = origin(&change.origin);
    for used in change.via.iter().flat_map(|via| via.iter()) {
        let _ = write!(place, " via {} ({})", clean(&used.roster), origin(&used.origin));
    }
    if let Some(expired) = change.expired {
        let _ = write!(place, ", ended at the {}", ending(expired));
    }
    if let Some(reason) = &change.reason {
        let _ = write!(place, ", {}", clean(reason));
    }
    if let Some(added) = change.added_at {
        let _ = write!(place, ", added {added}");
    }
    place
}

/// A place in a file.
pub fn origin(origin: &Origin) -> String {
    clean(&origin.to_string())
}

/// Where what a refusal is about is declared, where its message does not say it.
pub fn untold_origin(refusal: &Refusal) -> Option<String> {
    let place = refusal.origin.as_ref()?.to_string();
    (!refusal.message.contains(&place)).then(|| clean(&place))
}

/// When a difference came to be.
pub const fn since(since: Since) -> &'static str {
    match since {
        Since::Change => "this change",
        Since::Before => "already there",
    }
}

/// When something ends, as the files say it: the day whose end it is, or an instant.
pub fn ending(until: Timestamp) -> String {
    let civil = until.to_zoned(TimeZone::UTC).datetime();
    match civil.date().yesterday() {
        Ok(last_day) if civil.time() == Time::midnight() => format!("end of {last_day}"),
        _ => format!("instant {until}"),
    }
}
