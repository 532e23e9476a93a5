//! Times and durations in files and on the command line.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A day in UTC, or a date and time with offset (RFC 3339). Texts without a time zone are refused, because their
/// meaning would depend on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenTime {
    start: Timestamp,
    end: Timestamp,
}

impl WrittenTime {
    /// The remedy for a text that is not a time.
    pub const HELP: &str = "write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z)";

    /// The first moment of the day, or the instant: the meaning of `from` and `--at`.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first moment after the day, or the instant: the meaning of `until`.
    pub const fn end(self) -> Timestamp {
        self.end
    }

    pub fn is_date(self) -> bool {
        self.start < self.end
    }
}

/// Why a text is not a time, and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TimeError {
    reason: &'static str,
    pub help: &'static str,
}

impl TimeError {
    const SHAPE: Self = Self { reason: "it is neither a date nor an RFC 3339 instant", help: WrittenTime::HELP };
    const NO_OFFSET: Self =
        Self { reason: "it has no time zone", help: "add \"Z\" for UTC, or an offset such as +01:00" };
    const TOO_FAR: Self =
        Self { reason: "it is too far in the future", help: "use a year before 9999, or leave the time out" };

    const fn absent(reason: &'static str) -> Self {
        Self { reason, help: "check the month, the day and the time" }
    }
}

impl FromStr for WrittenTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let shape: String =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
        if shape == "0000-00-00" {
            let day: Date = text.parse().map_err(|_| TimeError::absent("there is no such day"))?;
            let midnight = |day: Date| TimeZone::UTC.to_timestamp(day.into()).ok();
            let (start, end) = (midnight(day), day.tomorrow().ok().and_then(midnight));
            return start.zip(end).map(|(start, end)| Self { start, end }).ok_or(TimeError::TOO_FAR);
        }
        let time = shape.strip_prefix("0000-00-00T00:00:00").ok_or(TimeError::SHAPE)?;
        let offset = time.strip_prefix(".0").map_or(time, |fraction| fraction.trim_start_matches('0'));
        match offset {
            // The digits of the offset were replaced too.
            "Z" | "+00:00" | "-00:00" => {
                // jiff reads a leap second at any time, and offsets of more than a day.
                let hours = text.len().checked_sub(5).and_then(|start| text.get(start..start + 2));
                let is_none = text.get(17..19) == Some("60") || (offset != "Z" && hours.is_some_and(|it| it > "23"));
                let instant = text.parse().ok().filter(|_| !is_none);
                let same = |instant| Self { start: instant, end: instant };
                instant.map(same).ok_or(TimeError::absent("there is no such instant"))
            }
            "" => Err(TimeError::NO_OFFSET),
            _ => Err(TimeError::SHAPE),
        }
    }
}

/// A whole number of hours, days of 24 hours, or weeks: `8h`, `90d`, `12w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    count: u32,
    unit: char,
    hours: i64,
}

impl Period {
    /// The remedy for a text that is not a period.
    pub const HELP: &str = "write a whole number of hours, days or weeks: 8h, 90d or 12w";

    /// Whether this is a whole number of days.
    pub const fn is_days(self) -> bool {
        self.unit != 'h'
    }

    pub const fn length(self) -> SignedDuration {
        SignedDuration::from_hours(self.hours)
    }
}

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        /// A thousand years in hours.
        const LARGEST: u32 = 8_766_000;
        let units = [('h', 1), ('d', 24), ('w', 7 * 24)];
        let found = units.into_iter().find_map(|(unit, hours)| Some((text.strip_suffix(unit)?, unit, hours)));
        let (digits, unit, hours) = found
            .filter(|(digits, ..)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or("it is not a whole number followed by h, d or w")?;
        if digits.len() > 1 && digits.starts_with('0') {
            return Err("the number begins with a zero");
        }
        let count: u32 = digits.parse().ok().filter(|count| *count <= LARGEST).ok_or("the number is too large")?;
        Ok(Self { count, unit, hours: i64::from(count) * hours })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

/// An end as `until` in a file: the last day, or an instant.
pub fn last_day(until: Timestamp) -> String {
    let civil = until.to_zoned(TimeZone::UTC).datetime();
    match civil.date().yesterday() {
        Ok(day) if civil.time() == Time::midnight() => day.to_string(),
        _ => until.to_string(),
    }
}

/// A beginning as `from` in a file: the first day, or an instant.
pub fn first_day(from: Timestamp) -> String {
    let civil = from.to_zoned(TimeZone::UTC).datetime();
    if civil.time() == Time::midnight() { civil.date().to_string() } else { from.to_string() }
}

/// Without the fraction of a second, which makes a time harder to read.
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The time from one instant to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Window {
    /// The first instant of the window.
    pub from: Option<Timestamp>,
    /// The first instant after the window.
    pub until: Option<Timestamp>,
}

impl Window {
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }

    #[must_use]
    pub fn within(self, outer: Self) -> Self {
        Self { from: self.from.max(outer.from), until: self.until.into_iter().chain(outer.until).min() }
    }

    pub fn is_empty(self) -> bool {
        self.from.zip(self.until).is_some_and(|(from, until)| from >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn window_includes_its_first_instant_only() {
        let window = Window { from: Some(at("2026-12-01T00:00:00Z")), until: Some(at("2027-01-01T00:00:00Z")) };
        assert!(!window.contains(at("2026-11-30T23:59:59Z")));
        assert!(window.contains(at("2026-12-01T00:00:00Z")));
        assert!(window.contains(at("2026-12-31T23:59:59Z")));
        assert!(!window.contains(at("2027-01-01T00:00:00Z")));
    }

    #[test]
    fn a_day_lasts_from_midnight_to_midnight() {
        let day: WrittenTime = "2026-12-31".parse().unwrap();
        assert_eq!((day.start(), day.end()), (at("2026-12-31T00:00:00Z"), at("2027-01-01T00:00:00Z")));
        let instant: WrittenTime = "2026-12-31t18:00:00.5+01:00".parse().unwrap();
        assert_eq!((instant.start(), instant.end()), (at("2026-12-31T17:00:00.5Z"), at("2026-12-31T17:00:00.5Z")));
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        let error = |text: &str| text.parse::<WrittenTime>().unwrap_err();
        assert_eq!(error("2026-11-24T23:00:00"), TimeError::NO_OFFSET);
        for text in [
            "2026-11-24 23:00",
            "2026-11-24 23:00:00Z",
            "2026-11-24T23:00:00[Europe/Berlin]",
            "2026-11-24T23:00:00+01:00[Europe/Berlin]",
            "2026-11-24T23:00:00+0100",
            "2026-11-24T23:00Z",
            "2026-11-24T23:00:00.Z",
            "20261124",
            " 2026-11-24",
            "2026-11-24\n",
            "now",
            "",
        ] {
            assert_eq!(error(text), TimeError::SHAPE, "{text:?}");
        }
        assert_eq!(error("2026-02-30"), TimeError::absent("there is no such day"));
        assert_eq!(error("2026-11-24T25:00:00Z"), TimeError::absent("there is no such instant"));
        assert_eq!(error("2026-11-24T10:00:00+25:00"), TimeError::absent("there is no such instant"));
        assert_eq!(error("2026-11-24T23:59:60Z"), TimeError::absent("there is no such instant"));
        assert_eq!(error("9999-12-31"), TimeError::TOO_FAR);
    }

    #[test]
    fn a_period_reads_as_it_is_written() {
        for (text, hours) in [("8h", 8), ("90d", 2160), ("12w", 2016), ("0d", 0)] {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.to_string().as_str(), period.length()), (text, SignedDuration::from_hours(hours)));
        }
        for text in ["", "d", "90", "90 d", "-1d", "+1d", "1.5d", "1m", "1D", "90days", "١d"] {
            assert_eq!(text.parse::<Period>(), Err("it is not a whole number followed by h, d or w"), "{text:?}");
        }
        assert_eq!("090d".parse::<Period>(), Err("the number begins with a zero"));
        assert_eq!("99999999999d".parse::<Period>(), Err("the number is too large"));
    }
}
