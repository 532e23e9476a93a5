//! One HTTP exchange: sends a request and reads an answer of limited size, with the headers that count. Their values are
//! not trusted.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect;

use super::answer::fit;
use super::call::Call;
use super::config::{ClientConfig, ClientError, Credentials};
use super::error::{ApiError, ApiErrorKind, Fate};

/// The maximum size of an answer's body after decompression. A page of 500 members has about 100 KB.
const MOST_BYTES: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub status: u16,
    pub ray: Option<String>,
    /// When the answer was sent, by the API's clock.
    pub date: Option<Timestamp>,
    pub allowances: Vec<RateAllowance>,
    pub retry_after: Option<Duration>,
    pub body: Result<Vec<u8>, ApiError>,
}

pub(super) fn connections(config: &ClientConfig) -> Result<reqwest::Client, ClientError> {
    // An error means that a provider is already installed, which is sufficient.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    let mut headers = config.credentials.headers()?;
    // Without this header, Cloudflare's edge sends errors as HTML pages.
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let mut builder = reqwest::Client::builder()
        .user_agent(config.user_agent())
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
        .timeout(config.timeout);
    if config.base_url.is_loopback() {
        builder = builder.no_proxy();
    }
    builder = if config.base_url.is_plain() {
        // Without TLS, the system's root certificates are not needed, so do not read them.
        builder.tls_certs_only([])
    } else {
        builder.https_only(true)
    };
    builder.build().map_err(ClientError::Setup)
}

/// Sends a call once. Credentials are removed from everything that the answer repeats, because it can be shown somewhere.
///
/// # Errors
///
/// If there is no answer. An answer of which the body is incomplete has the error in place of the body.
pub(super) async fn exchange(
    client: &reqwest::Client,
    credentials: &Credentials,
    call: &Call,
) -> Result<HttpAnswer, ApiError> {
    let mut request = client.request(call.method.clone(), call.url.clone());
    if let Some(body) = &call.body {
        request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
    }
    let mut response = request.send().await.map_err(|error| no_answer(call, credentials, error))?;
    let headers = response.headers();
    let (status, ray) = (response.status().as_u16(), ray(headers).map(|ray| credentials.redact(&ray)));
    let allowances = allowances(headers);
    let date = date(headers, DATE);
    let retry_after = retry_after(headers);
    let body = read(call, credentials, &mut response).await;
    Ok(HttpAnswer { status, ray, date, allowances, retry_after, body })
}

async fn read(call: &Call, credentials: &Credentials, response: &mut reqwest::Response) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(call, credentials, error))? {
        if body.len() + chunk.len() > MOST_BYTES {
            let detail = "the body is too large for an answer of the API".to_owned();
            let error = call.error(ApiErrorKind::Malformed, Fate::Unknown).with_detail(detail);
            return Err(ApiError { lasting: true, ..error });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(match String::from_utf8(body) {
        Ok(text) => credentials.redact(&text).into_bytes(),
        Err(error) => error.into_bytes(),
    })
}

/// The error of a call without a complete answer.
fn no_answer(call: &Call, credentials: &Credentials, error: reqwest::Error) -> ApiError {
    let error = error.without_url();
    let cause = fit(credentials, &root_cause(&error));
    if error.is_connect() {
        // A retry cannot help if the server's certificate is not accepted.
        let lasting = distrusts_certificate(&error);
        let unreachable = call.error(ApiErrorKind::Unreachable, Fate::NotSent).with_detail(cause);
        return ApiError { lasting, ..unreachable };
    }
    if error.is_timeout() {
        return call.error(ApiErrorKind::TimedOut, Fate::Unknown);
    }
    call.error(ApiErrorKind::Interrupted, Fate::Unknown).with_detail(cause)
}

fn ray(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 64;
    let ray = headers.get("cf-ray")?.to_str().ok()?;
    let plain = ray.len() <= LONGEST && ray.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !ray.is_empty()).then(|| ray.to_owned())
}

/// The errors from the outermost to the innermost.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        // An I/O error reports the source of the error that it wraps, but not that error itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| (**error).source())
    })
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

fn distrusts_certificate(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

const MOST_POLICIES: usize = 8;
/// A longer time is ignored, or cut if it must be obeyed.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RateAllowance {
    pub policy: String,
    pub remaining: u64,
    pub reset: Duration,
    /// The full quota, if the answer reports it.
    pub quota: Option<u64>,
}

/// The allowances of an answer, in either of the two documented spellings.
pub(super) fn allowances(headers: &HeaderMap) -> Vec<RateAllowance> {
    // `Ratelimit`, with the quotas of `Ratelimit-Policy`.
    let quotas = items(headers, "ratelimit-policy");
    let allowance = |(policy, figures): (&str, BTreeMap<String, u64>)| {
        let (remaining, reset) = (*figures.get("r")?, Duration::from_secs(*figures.get("t")?));
        let quota = quotas.iter().find(|(name, _)| *name == policy).and_then(|(_, figures)| figures.get("q").copied());
        (reset <= LONGEST).then(|| RateAllowance { policy: policy.to_owned(), remaining, reset, quota })
    };
    let structured: Vec<_> = items(headers, "ratelimit").into_iter().filter_map(allowance).collect();
    // If an answer has both spellings, they describe the same quota.
    if structured.is_empty() { plain_allowance(headers).into_iter().collect() } else { structured }
}

/// The allowance of `x-ratelimit-limit`, `x-ratelimit-remaining` and `x-ratelimit-reset`.
fn plain_allowance(headers: &HeaderMap) -> Option<RateAllowance> {
    let number = |name: &'static str| -> Option<u64> {
        let value = headers.get(HeaderName::from_static(name))?.to_str().ok()?;
        // A list of windows begins with the one that is used up first.
        value.split([',', ';']).next()?.trim().parse().ok()
    };
    let reset = Duration::from_secs(number("x-ratelimit-reset")?);
    let (remaining, quota) = (number("x-ratelimit-remaining")?, number("x-ratelimit-limit"));
    (reset <= LONGEST).then(|| RateAllowance { policy: "x-ratelimit".to_owned(), remaining, reset, quota })
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(headers.get(name)?.to_str().ok()?.trim()).ok()
}

/// The wait that `Retry-After` requests: seconds, or a date relative to the answer's `Date`.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number with too many digits still means a long wait.
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let sent = date(headers, DATE).unwrap_or_else(Timestamp::now);
        Duration::try_from(sent.duration_until(date(headers, RETRY_AFTER)?)).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

/// The items of a structured list: each has a name, and parameters of which those that are numbers count.
fn items<'h>(headers: &'h HeaderMap, name: &str) -> Vec<(&'h str, BTreeMap<String, u64>)> {
    let parameter = |part: &str| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_ascii_lowercase(), value.trim().parse().ok()?))
    };
    let item = |text: &'h str| {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        (name.trim().trim_matches('"'), parameters.split(';').filter_map(parameter).collect())
    };
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).take(MOST_POLICIES).map(item).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn certificate_error_is_found_at_any_depth() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(distrusts_certificate(&wrapped));
        assert_eq!(root_cause(&wrapped), "invalid peer certificate: Expired");
        assert!(!distrusts_certificate(&io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused))));
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn allowance(policy: &str, remaining: u64, reset: u64, quota: Option<u64>) -> RateAllowance {
        RateAllowance { policy: policy.to_owned(), remaining, reset: Duration::from_secs(reset), quota }
    }

    #[test]
    fn the_documented_form_is_read() {
        let headers =
            headers(&[("ratelimit", "\"default\";r=50;t=30"), ("ratelimit-policy", "\"default\";q=1200;w=300")]);
        assert_eq!(allowances(&headers), [allowance("default", 50, 30, Some(1200))]);
    }

    #[test]
    fn several_rate_limit_policies_are_read() {
        let headers =
            headers(&[("ratelimit-policy", "\"b\";w=1;q=5"), ("ratelimit", "a ; T=1; r=2 , \"b\";r=3;t=4;x=\"y\"")]);
        assert_eq!(allowances(&headers), [allowance("a", 2, 1, None), allowance("b", 3, 4, Some(5))]);
    }

    #[test]
    fn invalid_headers_are_ignored() {
        for nonsense in ["", ";;;", "\"default\"", "\"default\";r=50", "\"d\";r=-1;t=3", "\"d\";r=x;t=1"] {
            assert_eq!(allowances(&headers(&[("ratelimit", nonsense)])), [], "{nonsense}");
        }
        assert_eq!(allowances(&headers(&[("ratelimit", "d;r=0;t=18446744073709551615")])), []);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |text: &str| {
            let headers = headers(&[("date", "Sat, 01 Aug 2026 00:00:00 GMT"), ("retry-after", text)]);
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(seconds("12"), Some(12));
        assert_eq!(seconds("99999999999999999999999"), Some(86_400));
        assert_eq!(seconds("Sat, 01 Aug 2026 00:01:30 GMT"), Some(90));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-3"), None);
        assert_eq!(seconds(""), None);
    }

    #[test]
    fn both_header_spellings_are_read() {
        let parsed = |reset: &str| {
            allowances(&headers(&[
                ("x-ratelimit-limit", "1200, 1200;w=300"),
                ("x-ratelimit-remaining", "7"),
                ("x-ratelimit-reset", reset),
            ]))
        };
        assert_eq!(parsed("30"), [allowance("x-ratelimit", 7, 30, Some(1200))]);
        for nonsense in ["soon", "", "-1", "1785542430", "18446744073709551615"] {
            assert_eq!(parsed(nonsense), [], "{nonsense}");
        }
        let both = headers(&[
            ("ratelimit", "\"default\";r=5;t=3"),
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "9"),
        ]);
        assert_eq!(allowances(&both), [allowance("default", 5, 3, None)]);
    }

    proptest! {
        #[test]
        fn headers_never_cause_a_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            for name in [
                "ratelimit",
                "ratelimit-policy",
                "retry-after",
                "date",
                "x-ratelimit-limit",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
            ] {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
            allowances(&headers);
            retry_after(&headers);
        }
    }
}
