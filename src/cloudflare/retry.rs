//! Decides whether a failed request is sent again, why, and until when.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::call::Call;
use super::client::Client;
use super::error::{ApiError, ApiErrorKind};
use super::pacer::WaitReason;
use super::wire::ApiOperation;

/// How often a request is repeated because its answer contradicts itself. Lists have their own limit.
const MALFORMED_AGAIN: u32 = 3;
/// How long connections may fail in a row.
const UNREACHABLE: Duration = Duration::from_secs(30);
/// How long a new token or a new group may need to become usable.
const SETTLING: Duration = Duration::from_secs(15);
/// Until what age a group counts as new.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

/// The first wait, unless the total is too short for it.
const FIRST: Duration = Duration::from_millis(250);
/// The longest single wait, unless the server asks for a longer one.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// The request changes nothing: retry whenever that may help.
    Read,
    /// A page of a list: like `Read`, but a contradictory list is read again as a whole.
    ReadPage,
    /// The token may not be allowed to read this: like `Read`, but a refusal is not retried.
    ReadIfAllowed,
    /// The request changes something: retry only if it certainly had no effect.
    Unsent,
    /// The request relies on a reading that becomes outdated: never retry.
    Never,
}

impl Retry {
    pub(super) const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadPage | Self::ReadIfAllowed)
    }
}

impl Client {
    /// Whether and why to repeat the request after this failure, and until when. Without a time, only `--max-wait` limits
    /// it.
    pub(super) fn again(
        &self,
        call: &Call,
        failure: &ApiError,
        attempts: &mut Attempts,
        now: Instant,
    ) -> Option<(WaitReason, Option<Instant>)> {
        let reads = call.retry.reads();
        if failure.lasting || call.retry == Retry::Never {
            return None;
        }
        let again = |allowed: bool| allowed.then_some((WaitReason::Failed(failure.kind), None));
        match failure.kind {
            ApiErrorKind::Unreachable => {
                let since = self.history().unreachable_since.unwrap_or(now);
                Some((WaitReason::Failed(failure.kind), Some(since + UNREACHABLE)))
            }
            // The API did not carry it out, even if it changes something.
            ApiErrorKind::RateLimited => Some((WaitReason::RateLimit, None)),
            ApiErrorKind::Interrupted | ApiErrorKind::TimedOut | ApiErrorKind::ServerFault => again(reads),
            ApiErrorKind::Malformed => {
                attempts.malformed += 1;
                again(reads && call.retry != Retry::ReadPage && attempts.malformed <= MALFORMED_AGAIN)
            }
            ApiErrorKind::Credentials => {
                let may_be_new = matches!(call.retry, Retry::Read | Retry::ReadPage) && failure.status == Some(403);
                if !may_be_new || self.history().succeeded {
                    return None;
                }
                let since = *self.history().forbidden_since.get_or_insert(now);
                Some((WaitReason::NewToken, Some(since + SETTLING)))
            }
            ApiErrorKind::NotFound => {
                let is_list = matches!(call.operation, ApiOperation::ListGroupMembers | ApiOperation::AddMembers(_));
                let created = call.group.as_ref().and_then(|group| self.history().created.get(&group.id).copied());
                let is_new = created.is_some_and(|created| is_young(created, Timestamp::now()));
                if !is_list || !(is_new || attempts.missing_since.is_some()) {
                    return None;
                }
                let since = *attempts.missing_since.get_or_insert(now);
                Some((WaitReason::NewGroup, Some(since + SETTLING)))
            }
            ApiErrorKind::Stopped
            | ApiErrorKind::Incomplete
            | ApiErrorKind::Redirected
            | ApiErrorKind::Refused
            | ApiErrorKind::NotAllowed => None,
        }
    }
}

/// Whether a group created at this time may still be settling. If this machine's clock is slow, the time can lie a
/// little in the future.
fn is_young(created: Timestamp, now: Timestamp) -> bool {
    now.duration_since(created).abs() < YOUNG
}

/// Growing waits. Each is twice the previous one, shortened at random by up to half, so that clients that failed
/// together do not retry together.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Limits each wait, so that several fit into `max_wait`.
    pub(super) fn within(max_wait: Duration) -> Self {
        Self { next: FIRST.min(max_wait / 32), longest: LONGEST.min(max_wait / 4) }
    }

    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.longest);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// What the attempts of one call showed so far, and the time that is left for them.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub made: u32,
    malformed: u32,
    missing_since: Option<Instant>,
    pub last: Option<ApiError>,
    /// The time for waits and retries. It runs from the first of them.
    max_wait: Duration,
    waiting_since: Option<Instant>,
}

impl Attempts {
    pub(super) fn within(max_wait: Duration) -> Self {
        Self { max_wait, ..Self::default() }
    }

    /// Starts the clock at `now`, unless it is running.
    pub(super) fn begin_waiting(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    pub(super) fn left(&self, now: Instant) -> Duration {
        let waited = self.waiting_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.max_wait.saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{BaseUrl, ClientConfig, Credentials};
    use super::super::error::Fate;
    use super::*;

    fn client() -> Client {
        let config = ClientConfig {
            base_url: BaseUrl::parse(BaseUrl::DEFAULT).unwrap(),
            credentials: Credentials::Token("hunter2hunter2".into()),
            account_id: "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap(),
            concurrency: 1.try_into().unwrap(),
            timeout: Duration::from_secs(20),
            max_wait: Duration::from_secs(600),
            run_url: None,
        };
        Client::new(config).unwrap()
    }

    fn failure(call: &Call, status: u16) -> ApiError {
        let kind = if status == 403 { ApiErrorKind::Credentials } else { ApiErrorKind::NotFound };
        ApiError { status: Some(status), ..call.error(kind, Fate::Refused) }
    }

    #[test]
    fn new_token_gets_15_seconds_in_total() {
        let client = client();
        let (forbidden, start) = (failure(&Call::sample(Retry::Read), 403), Instant::now());
        let until =
            |retry, after| client.again(&Call::sample(retry), &forbidden, &mut Attempts::default(), start + after);
        let given = Some((WaitReason::NewToken, Some(start + SETTLING)));
        assert_eq!(until(Retry::ReadPage, Duration::ZERO), given);
        assert_eq!(until(Retry::Read, Duration::from_secs(5)), given);
        assert_eq!(until(Retry::ReadIfAllowed, Duration::ZERO), None);
        assert_eq!(until(Retry::Unsent, Duration::ZERO), None);
        client.history().succeeded = true;
        assert_eq!(until(Retry::ReadPage, Duration::ZERO), None);
    }

    #[test]
    fn a_new_group_is_given_15_seconds() {
        let client = client();
        let (start, call) = (Instant::now(), Call::sample(Retry::ReadPage));
        let missing = failure(&call, 404);
        assert!(client.again(&call, &missing, &mut Attempts::default(), start).is_none());
        let group = call.group.as_ref().unwrap().id;
        client.history().created.insert(group, Timestamp::now());
        let mut attempts = Attempts::default();
        for after in [Duration::ZERO, Duration::from_secs(9)] {
            let again = client.again(&call, &missing, &mut attempts, start + after);
            assert_eq!(again, Some((WaitReason::NewGroup, Some(start + SETTLING))));
        }
        let other = Call { operation: ApiOperation::ReplaceMembers(1), ..call };
        assert!(client.again(&other, &missing, &mut Attempts::default(), start).is_none());
    }

    #[test]
    fn a_group_is_young_for_two_minutes() {
        let now = Timestamp::now();
        let is_young = |seconds| is_young(now - SignedDuration::from_secs(seconds), now);
        let young = [-120, -119, 0, 119, 120].map(is_young);
        assert_eq!(young, [false, true, true, true, false]);
    }

    #[test]
    fn waits_grow_up_to_their_limit() {
        let mut backoff = Backoff::within(Duration::from_secs(300));
        for expected in [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let full = Duration::from_millis(expected);
            let wait = backoff.next();
            assert!(full / 2 <= wait && wait <= full, "{wait:?} of {full:?}");
        }
    }

    #[test]
    fn short_deadline_gives_short_waits() {
        let mut backoff = Backoff::within(Duration::from_millis(320));
        assert!(backoff.next() <= Duration::from_millis(10));
        assert_eq!(Backoff::within(Duration::ZERO).next(), Duration::ZERO);
    }

    #[test]
    fn deadline_runs_from_the_first_wait() {
        let start = Instant::now();
        let mut attempts = Attempts::within(Duration::from_secs(10));
        assert_eq!(attempts.left(start + Duration::from_secs(60)), Duration::from_secs(10));
        attempts.begin_waiting(start);
        attempts.begin_waiting(start + Duration::from_secs(1));
        assert_eq!(attempts.left(start + Duration::from_secs(4)), Duration::from_secs(6));
        assert_eq!(attempts.left(start + Duration::from_secs(60)), Duration::ZERO);
    }
}
