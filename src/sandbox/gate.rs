//! Authentication, and the rate limit with its headers.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::answer::Rejection;
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
) -> Result<(), Rejection> {
    let known = knows(seed, headers)?;
    if !known || revoked {
        return Err(if headers.contains_key(AUTHORIZATION) {
            Rejection::unauthorized()
        } else {
            Rejection::forbidden(9109, "Unknown X-Auth-Key or X-Auth-Email")
        });
    }
    if seed.token_status != TokenStatus::Active && operation != Endpoint::VerifyToken {
        return Err(Rejection::unauthorized());
    }
    if *settles > 0 {
        *settles -= 1;
        return Err(Rejection::forbidden(10000, "Authentication error"));
    }
    if operation.writes() && seed.token_access == Access::Read {
        return Err(Rejection::forbidden(10000, "Authentication error"));
    }
    Ok(())
}

fn knows(seed: &Seed, headers: &HeaderMap) -> Result<bool, Rejection> {
    let malformed = || Rejection::bad_request(6003, "Invalid request headers");
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
            return Err(Rejection::bad_request(9106, message));
        }
        _ => return Err(malformed()),
    };
    Ok(seed.token.as_ref().is_none_or(|token| token.expose_secret() == shown))
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    requests: u32,
    window: u64,
    remaining: u32,
    reset: u64,
    spelling: RateLimitHeaders,
}

impl Allowance {
    pub(crate) fn headers(self) -> Vec<(&'static str, String)> {
        use RateLimitHeaders as H;
        let Self { requests, window, remaining, reset, spelling } = self;
        let mut headers = Vec::new();
        if matches!(spelling, H::Ratelimit | H::Both) {
            headers.push(("ratelimit", format!("\"default\";r={remaining};t={reset}")));
            headers.push(("ratelimit-policy", format!("\"default\";q={requests};w={window}")));
        }
        if matches!(spelling, H::XRatelimit | H::Both) {
            headers.push(("x-ratelimit-limit", requests.to_string()));
            headers.push(("x-ratelimit-remaining", remaining.to_string()));
            headers.push(("x-ratelimit-reset", reset.to_string()));
        }
        headers
    }
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

    pub(crate) fn count(&mut self, now: Instant) -> (Result<(), Rejection>, Allowance) {
        let RateLimit { requests, window, .. } = self.limit;
        if !self.enforced {
            return (Ok(()), self.quota(window.0));
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
            return (Err(Rejection::rate_limited(whole_seconds(left))), self.quota(left));
        }
        self.spent += 1;
        (Ok(()), self.quota(left))
    }

    fn quota(&self, left: Duration) -> Allowance {
        let RateLimit { requests, window, .. } = self.limit;
        Allowance {
            requests,
            window: whole_seconds(window.0),
            remaining: requests.saturating_sub(self.spent),
            reset: whole_seconds(left),
            spelling: self.spelling,
        }
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
