//! The times in a request for an edit.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use crate::config::time::{End, parse};

/// A time in a request: a time as in the files, or a duration from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    Written(String),
    Hours(i64),
    Days(i64),
}

/// A time as it is written into a file, and its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub text: String,
    pub time: Timestamp,
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(duration) = text.strip_prefix('+') {
            let (count, unit) = split_unit(duration)?;
            return Ok(match unit {
                'h' => Self::Hours(count),
                'd' => Self::Days(count),
                _ => Self::Days(count.saturating_mul(7)),
            });
        }
        // Both ends of a window have the same syntax.
        parse(End::From, text)
            .map_err(|error| format!("{error}; {}, or a duration from now (+8h, +14d, +2w)", error.help()))?;
        Ok(Self::Written(text.into()))
    }
}

/// A duration such as `12h`, `30d` or `4w`.
///
/// # Errors
///
/// If the text is not a duration.
pub fn parse_age(text: &str) -> Result<SignedDuration, String> {
    let (count, unit) = split_unit(text)?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        _ => 7 * 24,
    };
    let seconds = count.checked_mul(hours * 3600).ok_or("the duration is too long")?;
    Ok(SignedDuration::from_secs(seconds))
}

fn split_unit(text: &str) -> Result<(i64, char), String> {
    let wrong = || "write a whole number of hours, days or weeks, such as 8h, 14d or 2w".to_owned();
    let unit = text.chars().next_back().filter(|unit| matches!(unit, 'h' | 'd' | 'w')).ok_or_else(wrong)?;
    let count = text.strip_suffix(unit).unwrap_or_default();
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count = count.parse().map_err(|_| "the duration is too long".to_owned())?;
    Ok((count, unit))
}

impl When {
    /// The time as written at this end of a window; `None` if it is out of range.
    pub(super) fn moment(&self, end: End, now: Timestamp) -> Option<Moment> {
        let text = match self {
            Self::Written(text) => text.clone(),
            Self::Hours(count) => {
                let time = now.checked_add(SignedDuration::from_secs(count.checked_mul(3600)?)).ok()?;
                whole_second(time).to_string()
            }
            Self::Days(count) => {
                let days = Span::new().try_days(*count).ok()?;
                now.to_zoned(TimeZone::UTC).date().checked_add(days).ok()?.to_string()
            }
        };
        let time = parse(end, &text).ok()?;
        Some(Moment { text, time })
    }
}

pub(super) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// An end as a file writes it: the last day, or the first instant after.
pub(super) fn as_until(time: Timestamp) -> String {
    let civil = time.to_zoned(TimeZone::UTC).datetime();
    match civil.date().yesterday() {
        Ok(last_day) if civil.time() == jiff::civil::Time::midnight() => last_day.to_string(),
        _ => time.to_string(),
    }
}

/// A beginning as a file writes it: a day, or an instant.
pub(super) fn as_from(time: Timestamp) -> String {
    let civil = time.to_zoned(TimeZone::UTC).datetime();
    match civil.time() == jiff::civil::Time::midnight() {
        true => civil.date().to_string(),
        false => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str, end: End) -> String {
        let now = "2026-12-01T12:00:00.75Z".parse().unwrap();
        let moment = text.parse::<When>().unwrap().moment(end, now).unwrap();
        format!("{} = {}", moment.text, moment.time)
    }

    #[test]
    fn hours_become_an_instant_days_a_date() {
        assert_eq!(moment("+8h", End::Until), "2026-12-01T20:00:00Z = 2026-12-01T20:00:00Z");
        assert_eq!(moment("+14d", End::Until), "2026-12-15 = 2026-12-16T00:00:00Z");
        assert_eq!(moment("+2w", End::From), "2026-12-15 = 2026-12-15T00:00:00Z");
        assert_eq!(moment("2026-12-24", End::Until), "2026-12-24 = 2026-12-25T00:00:00Z");
        let offset = "2026-12-24T18:00:00+01:00";
        assert_eq!(moment(offset, End::From), format!("{offset} = 2026-12-24T17:00:00Z"));
    }

    #[test]
    fn other_times_are_refused() {
        for text in ["", "+", "8h", "+8", "+8m", "+-8h", "+1.5h", "+h", "tomorrow", "2026-13-01", "2026-12-01T09:00:00"]
        {
            assert!(text.parse::<When>().is_err(), "{text:?}");
        }
        for text in ["", "30", "d", "-1d", "+1d", "1.5d", "30 d", "99999999999999999999d", "9223372036854775807w"] {
            assert!(parse_age(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn out_of_range_time_is_refused() {
        for text in ["+9223372036854775807h", "+9223372036854775807d", "+99999999d"] {
            let now = "2026-12-01T12:00:00Z".parse().unwrap();
            assert_eq!(text.parse::<When>().unwrap().moment(End::Until, now), None, "{text}");
        }
    }
}
