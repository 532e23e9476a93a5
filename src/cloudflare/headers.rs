//! What an answer's headers say of the rate limit and of when to come back, read without trusting any of it.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// More policies than this are not looked at.
const MOST_POLICIES: usize = 8;
/// A longer time than this is taken for nonsense, or cut where it must be obeyed.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What is left of one policy's quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// The policy's name.
    pub policy: String,
    /// Requests that are left.
    pub remaining: u64,
    /// Until the quota is renewed.
    pub reset: Duration,
    /// The whole quota, where the answer says it.
    pub quota: Option<u64>,
}

/// The allowances of `Ratelimit`, with the quotas of `Ratelimit-Policy`.
pub(super) fn allowances(headers: &HeaderMap) -> Vec<Allowance> {
    let quotas: Vec<Item> = items(headers, &HeaderName::from_static("ratelimit-policy"));
    items(headers, &HeaderName::from_static("ratelimit"))
        .into_iter()
        .filter_map(|item| {
            let reset = Duration::from_secs(item.parameter("t")?);
            let remaining = item.parameter("r")?;
            let quota = quotas.iter().find(|policy| policy.name == item.name).and_then(|policy| policy.parameter("q"));
            (reset <= LONGEST).then_some(Allowance { policy: item.name, remaining, reset, quota })
        })
        .collect()
}

/// How long `Retry-After` asks to wait: seconds, or a date counted from the answer's own clock.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number are a long wait all the same.
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
        let from = headers.get(DATE).and_then(|value| date(value.to_str().ok()?)).unwrap_or(now);
        Duration::try_from(from.duration_until(date(text)?)).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

/// An item of a structured list: a name with parameters.
struct Item {
    name: String,
    parameters: Vec<(String, u64)>,
}

impl Item {
    fn parse(text: &str) -> Self {
        let mut parts = split_unquoted(text, ';').into_iter();
        let name = parts.next().unwrap_or_default().trim_matches('"').to_owned();
        let parameters = parts
            .filter_map(|part| {
                let (key, value) = part.split_once('=')?;
                Some((key.trim().to_ascii_lowercase(), value.trim().parse().ok()?))
            })
            .collect();
        Self { name, parameters }
    }

    fn parameter(&self, key: &str) -> Option<u64> {
        self.parameters.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

fn items(headers: &HeaderMap, name: &HeaderName) -> Vec<Item> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| split_unquoted(line, ',')).take(MOST_POLICIES).map(Item::parse).collect()
}

/// The trimmed parts between separators that stand outside of quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
    .map(str::trim)
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn allowance(policy: &str, remaining: u64, reset: u64, quota: Option<u64>) -> Allowance {
        Allowance { policy: policy.to_owned(), remaining, reset: Duration::from_secs(reset), quota }
    }

    #[test]
    fn the_documented_form_is_read() {
        let headers =
            headers(&[("ratelimit", "\"default\";r=50;t=30"), ("ratelimit-policy", "\"default\";q=1200;w=300")]);
        assert_eq!(allowances(&headers), [allowance("default", 50, 30, Some(1200))]);
    }

    #[test]
    fn several_policies_in_one_or_more_lines_are_read() {
        let headers = headers(&[
            ("ratelimit-policy", "\"b,;c\";w=1;q=5"),
            ("ratelimit", "a ; T=1; r=2 , \"b,;c\";r=3;t=4;x=\"y,z\""),
        ]);
        assert_eq!(allowances(&headers), [allowance("a", 2, 1, None), allowance("b,;c", 3, 4, Some(5))]);
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        for nonsense in ["", ";;;", "\"default\"", "\"default\";r=50", "\"d\";r=-1;t=3", "\"d\";r=x;t=1", "\"d;r=1;t=1"]
        {
            assert_eq!(allowances(&headers(&[("ratelimit", nonsense)])), [], "{nonsense}");
        }
        assert_eq!(allowances(&headers(&[("ratelimit", "d;r=0;t=18446744073709551615")])), []);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-08-01T00:00:00Z".parse().unwrap();
        let seconds = |text: &str| retry_after(&headers(&[("retry-after", text)]), now).map(|wait| wait.as_secs());
        assert_eq!(seconds("12"), Some(12));
        assert_eq!(seconds("99999999999999999999999"), Some(86_400));
        assert_eq!(seconds("Sat, 01 Aug 2026 00:01:30 GMT"), Some(90));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-3"), None);
        assert_eq!(seconds(""), None);
        let by_its_own_clock =
            headers(&[("date", "Sat, 01 Aug 2026 00:01:00 GMT"), ("retry-after", "Sat, 01 Aug 2026 00:01:30 GMT")]);
        assert_eq!(retry_after(&by_its_own_clock, now), Some(Duration::from_secs(30)));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            for name in ["ratelimit", "ratelimit-policy", "retry-after", "date"] {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
            allowances(&headers);
            retry_after(&headers, Timestamp::UNIX_EPOCH);
        }
    }
}
