//! Times and durations in files and on the command line.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// A day in UTC, or a date and time with offset (RFC 3339). Texts without a time zone are refused, because their
/// meaning would depend on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenTime {
    Day(Date),
    Moment(Timestamp),
}

impl WrittenTime {
    /// The first moment of the day, or the instant: the meaning of `from` and `--at`.
    pub fn start(self) -> Timestamp {
        match self {
            Self::Day(day) => midnight(day).unwrap_or(Timestamp::MAX),
            Self::Moment(instant) => instant,
        }
    }

    /// The first moment after the day, or the instant: the meaning of `until`.
    pub fn end(self) -> Timestamp {
        match self {
            Self::Day(day) => next_midnight(day).unwrap_or(Timestamp::MAX),
            Self::Moment(instant) => instant,
        }
    }
}

fn midnight(day: Date) -> Option<Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn next_midnight(day: Date) -> Option<Timestamp> {
    midnight(day.checked_add(1.day()).ok()?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("it is neither a date nor an RFC 3339 instant")]
    Shape,
    #[error("there is no such day")]
    NoSuchDay,
    #[error("there is no such instant")]
    NoSuchInstant,
    #[error("it has no time zone")]
    NoOffset,
    #[error("it is too far in the future")]
    TooFar,
}

impl TimeError {
    pub const fn help(self) -> &'static str {
        match self {
            Self::Shape => WrittenTime::HELP,
            Self::NoSuchDay | Self::NoSuchInstant => "check the month, the day and the time",
            Self::NoOffset => "add \"Z\" for UTC, or an offset such as +01:00",
            Self::TooFar => "use a year before 9999, or leave the time out",
        }
    }
}

impl WrittenTime {
    /// The remedy for a text that is not a time.
    pub const HELP: &str = "write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z)";
}

impl FromStr for WrittenTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let shape: String =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
        if shape == "0000-00-00" {
            let day: Date = text.parse().map_err(|_| TimeError::NoSuchDay)?;
            return next_midnight(day).map(|_| Self::Day(day)).ok_or(TimeError::TooFar);
        }
        let time = shape.strip_prefix("0000-00-00T00:00:00").ok_or(TimeError::Shape)?;
        let offset = match time.strip_prefix('.') {
            Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
            Some(_) => return Err(TimeError::Shape),
            None => time,
        };
        match offset {
            // The digits of the offset were replaced too.
            "Z" | "+00:00" | "-00:00" => {
                // jiff reads a leap second at any time, and offsets of more than a day.
                let hours = text.len().checked_sub(5).and_then(|start| text.get(start..start + 2));
                let is_none = text.get(17..19) == Some("60") || (offset != "Z" && hours.is_some_and(|it| it > "23"));
                let instant = text.parse().ok().filter(|_| !is_none);
                instant.map(Self::Moment).ok_or(TimeError::NoSuchInstant)
            }
            "" => Err(TimeError::NoOffset),
            _ => Err(TimeError::Shape),
        }
    }
}

/// A whole number of hours, days of 24 hours, or weeks: `8h`, `90d`, `12w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    count: u32,
    unit: PeriodUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeriodUnit {
    Hour,
    Day,
    Week,
}

impl Period {
    /// The remedy for a text that is not a period.
    pub const HELP: &str = "write a whole number of hours, days or weeks: 8h, 90d or 12w";

    pub const fn is_zero(self) -> bool {
        self.count == 0
    }

    /// Whether this is a whole number of days.
    pub const fn is_days(self) -> bool {
        !matches!(self.unit, PeriodUnit::Hour)
    }

    pub fn length(self) -> SignedDuration {
        let hours = match self.unit {
            PeriodUnit::Hour => 1,
            PeriodUnit::Day => 24,
            PeriodUnit::Week => 7 * 24,
        };
        SignedDuration::from_hours(i64::from(self.count) * hours)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error("it is not a whole number followed by h, d or w")]
    Shape,
    #[error("the number begins with a zero")]
    LeadingZero,
    #[error("the number is too large")]
    TooLarge,
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        /// A thousand years in hours.
        const LARGEST: u32 = 8_766_000;
        let units = [("h", PeriodUnit::Hour), ("d", PeriodUnit::Day), ("w", PeriodUnit::Week)];
        let found = units.into_iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)));
        let (digits, unit) = found.ok_or(PeriodError::Shape)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PeriodError::Shape);
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(PeriodError::LeadingZero);
        }
        let count = digits.parse().ok().filter(|count| *count <= LARGEST).ok_or(PeriodError::TooLarge)?;
        Ok(Self { count, unit })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            PeriodUnit::Hour => 'h',
            PeriodUnit::Day => 'd',
            PeriodUnit::Week => 'w',
        };
        write!(f, "{}{unit}", self.count)
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
        let until = match (self.until, outer.until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { from: self.from.max(outer.from), until }
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
        assert_eq!(error("2026-11-24T23:00:00"), TimeError::NoOffset);
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
            assert_eq!(error(text), TimeError::Shape, "{text:?}");
        }
        assert_eq!(error("2026-02-30"), TimeError::NoSuchDay);
        assert_eq!(error("2026-11-24T25:00:00Z"), TimeError::NoSuchInstant);
        assert_eq!(error("2026-11-24T10:00:00+25:00"), TimeError::NoSuchInstant);
        assert_eq!(error("2026-11-24T23:59:60Z"), TimeError::NoSuchInstant);
        assert_eq!(error("9999-12-31"), TimeError::TooFar);
    }

    #[test]
    fn a_period_reads_as_it_is_written() {
        for (text, hours) in [("8h", 8), ("90d", 2160), ("12w", 2016), ("0d", 0)] {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.to_string().as_str(), period.length()), (text, SignedDuration::from_hours(hours)));
        }
        for text in ["", "d", "90", "90 d", "-1d", "+1d", "1.5d", "1m", "1D", "90days", "١d"] {
            assert_eq!(text.parse::<Period>(), Err(PeriodError::Shape), "{text:?}");
        }
        assert_eq!("090d".parse::<Period>(), Err(PeriodError::LeadingZero));
        assert_eq!("99999999999d".parse::<Period>(), Err(PeriodError::TooLarge));
    }
}
