//! Reads `from` and `until`: a day in UTC, or an instant.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::problem::quoted;
use super::reader::{Field, Reader};
use crate::model::Window;

const HELP: &str = "write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z)";

/// Which end of a window a time is.
#[derive(Clone, Copy)]
pub(super) enum End {
    From,
    Until,
}

impl End {
    const fn key(self) -> &'static str {
        match self {
            Self::From => "`from`",
            Self::Until => "`until`",
        }
    }
}

impl Reader<'_> {
    /// Reads both ends of a window; reports one that holds no instant.
    pub fn window(&mut self, from: Option<&Field<'_>>, until: Option<&Field<'_>>) -> Window {
        let window = Window {
            from: from.and_then(|field| self.time(End::From, field)),
            until: until.and_then(|field| self.time(End::Until, field)),
        };
        if let (Some(first), Some(after), Some(from), Some(until)) = (window.from, window.until, from, until)
            && first >= after
        {
            let problem = self
                .problem(until.node.at, "nobody would ever belong: `until` is not after `from`")
                .related(self.origin(from.node.at), "`from` stands here")
                .help("an `until` day is the last day; an `until` instant is the first moment after");
            self.report.push(problem);
        }
        window
    }

    fn time(&mut self, end: End, field: &Field<'_>) -> Option<Timestamp> {
        let text = self.text(end.key(), field, HELP)?;
        match parse(end, text) {
            Ok(time) => Some(time),
            Err((reason, help)) => {
                self.refuse(field.node.at, format!("{} is not a time: {reason}", quoted(text)), help);
                None
            }
        }
    }
}

pub(super) fn parse(end: End, text: &str) -> Result<Timestamp, (&'static str, &'static str)> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    if shape == "0000-00-00" {
        let day: Date = text.parse().map_err(|_| ("there is no such day", HELP))?;
        return midnight(end, day).ok_or(("it is too far away", "leave the key out if there is no such end"));
    }
    let Some(time) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return Err(("it is neither a day nor an instant", HELP));
    };
    let offset = match time.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return Err(("there are no digits behind the \".\"", HELP)),
        None => time,
    };
    // The zeros of an offset are digits, too.
    match offset {
        "Z" | "+00:00" | "-00:00" => text
            .parse()
            .map_err(|_| ("there is no such instant", "check each of its numbers; every month and day counts")),
        "" => Err(("it does not say in which time zone", "put a \"Z\" behind it for UTC, or an offset such as +01:00")),
        _ => Err(("it is neither a day nor an instant", HELP)),
    }
}

/// The first instant of a first day, or the first one after a last day.
fn midnight(end: End, day: Date) -> Option<Timestamp> {
    let day = match end {
        End::From => day,
        End::Until => day.checked_add(1.day()).ok()?,
    };
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
