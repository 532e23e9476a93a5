//! Authentication, and the rate limit with its headers.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::answer::Reply;
use super::routes::Endpoint;
use super::seed::{Access, Delay, RateLimit, RateLimitHeaders, Seed, TokenStatus};

/// The live API's limit, which answers report if the seed sets none.
const USUAL: RateLimit = RateLimit { requests: 1200, window: Delay(Duration::from_secs(300)), spent: 0 };

/// `settles` is the number of requests that are still refused because the token is new.
pub(crate) fn check(
    seed: &Seed,
    settles: &mut u32,
    headers: &HeaderMap,
    operation: Endpoint,
    revoked: bool,
) -> Result<(), Reply> {
    let known = knows(seed, headers)?;
    if !known || revoked {
        return Err(if headers.contains_key(AUTHORIZATION) {
            Reply::unauthorized()
        } else {
            Reply::forbidden(9109, "Unknown X-Auth-Key or X-Auth-Email")
        });
    }
    if seed.token_status != TokenStatus::Active && operation != Endpoint::VerifyToken {
        return Err(Reply::unauthorized());
    }
    if *settles > 0 {
        *settles -= 1;
        return Err(Reply::forbidden(10000, "Authentication error"));
    }
    if operation.writes() && seed.token_access == Access::Read {
        return Err(Reply::forbidden(10000, "Authentication error"));
    }
    Ok(())
}

fn knows(seed: &Seed, headers: &HeaderMap) -> Result<bool, Reply> {
    let malformed = || Reply::bad_request(6003, "Invalid request headers");
    let text = |value: &HeaderValue| match value.to_str() {
        Ok(text) if !text.is_empty() && !text.contains(' ') => Ok(String::from(text)),
        _ => Err(malformed()),
    };
    let shown = match (headers.get(AUTHORIZATION), headers.get("x-auth-email"), headers.get("x-auth-key")) {
        (Some(value), _, _) => {
            let value = value.to_str().map_err(|_| malformed())?;
            let (scheme, token) = value.split_once(' ').ok_or_else(malformed)?;
            if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
                return Err(malformed());
            }
            String::from(token)
        }
        (None, Some(email), Some(key)) => {
            text(email)?;
            text(key)?
        }
        (None, None, None) => {
            let message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
            return Err(Reply::bad_request(9106, message));
        }
        _ => return Err(malformed()),
    };
    Ok(seed.token.as_ref().is_none_or(|token| token.expose_secret() == shown))
}

#[derive(Debug)]
pub(crate) struct RequestLimit {
    limit: RateLimit,
    spelling: RateLimitHeaders,
    enforced: bool,
    ends: Option<Instant>,
    spent: u32,
}

impl RequestLimit {
    pub(crate) fn new(limit: Option<RateLimit>, spelling: RateLimitHeaders) -> Self {
        let enforced = limit.is_some();
        let limit = limit.unwrap_or(USUAL);
        Self { limit, spelling, enforced, ends: None, spent: limit.spent }
    }

    /// Whether a request is admitted, and the headers of its answer.
    pub(crate) fn count(&mut self, now: Instant) -> (Result<(), Reply>, Vec<(HeaderName, String)>) {
        let RateLimit { requests, window, .. } = self.limit;
        if !self.enforced {
            return (Ok(()), self.headers(window.0));
        }
        let ends = match self.ends {
            Some(ends) if now < ends => ends,
            over => {
                // The seed's spent requests count only in the first window.
                if over.is_some() {
                    self.spent = 0;
                }
                window.after(now)
            }
        };
        self.ends = Some(ends);
        let left = ends.saturating_duration_since(now);
        if self.spent >= requests {
            let message = "Please wait and consider throttling your request speed";
            let refusal = Reply::error(StatusCode::TOO_MANY_REQUESTS, 971, message);
            return (Err(refusal.with_header(RETRY_AFTER, whole_seconds(left).to_string())), self.headers(left));
        }
        self.spent += 1;
        (Ok(()), self.headers(left))
    }

    fn headers(&self, left: Duration) -> Vec<(HeaderName, String)> {
        use RateLimitHeaders as H;
        let RateLimit { requests, window, .. } = self.limit;
        let (remaining, reset) = (requests.saturating_sub(self.spent), whole_seconds(left));
        let mut headers = Vec::new();
        let mut add = |name, value| headers.push((HeaderName::from_static(name), value));
        if matches!(self.spelling, H::Ratelimit | H::Both) {
            add("ratelimit", format!("\"default\";r={remaining};t={reset}"));
            add("ratelimit-policy", format!("\"default\";q={requests};w={}", whole_seconds(window.0)));
        }
        if matches!(self.spelling, H::XRatelimit | H::Both) {
            add("x-ratelimit-limit", requests.to_string());
            add("x-ratelimit-remaining", remaining.to_string());
            add("x-ratelimit-reset", reset.to_string());
        }
        headers
    }
}

/// Seconds, rounded up, so that the wait is long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_window_lets_requests_in_again() {
        let limit = RateLimit { requests: 2, window: Delay(Duration::from_secs(4)), spent: 1 };
        let mut limiter = RequestLimit::new(Some(limit), RateLimitHeaders::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted = [0, 1, 3, 4, 5, 6].map(|seconds| limiter.count(at(seconds)).0.is_ok());
        assert_eq!(admitted, [true, false, false, true, true, false]);
    }
}
