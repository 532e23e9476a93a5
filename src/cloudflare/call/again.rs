//! Decides whether a failed request is sent again, why, and until when.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::super::error::ApiErrorKind;
use super::super::notice::WaitReason;
use super::super::verdict::{AttemptFailure, Fate};
use super::super::wire::ApiOperation;
use super::{Attempts, Call, Caller, Retry};

/// How often a request is repeated because its answer contradicts itself. Lists have their own limit.
const MALFORMED_AGAIN: u32 = 3;
/// How long connections may fail in a row.
const UNREACHABLE: Duration = Duration::from_secs(30);
/// How long a new token or a new group may need to become usable.
const SETTLING: Duration = Duration::from_secs(15);
/// Until what age a group counts as new.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

/// Why a call is tried again, and until when.
pub(super) struct Again {
    pub why: WaitReason,
    /// `None` if only the client's patience limits it.
    pub until: Option<Instant>,
}

impl Caller {
    /// Whether and why to repeat the request after this failure.
    pub(super) fn again(
        &self,
        call: &Call,
        failure: &AttemptFailure,
        attempts: &mut Attempts,
        now: Instant,
    ) -> Option<Again> {
        let reads = call.retry.reads();
        if failure.lasting || call.retry == Retry::Never {
            return None;
        }
        let again = |allowed: bool| allowed.then_some(Again { why: WaitReason::Failed(failure.kind), until: None });
        match failure.kind {
            ApiErrorKind::Unreachable => {
                let since = self.history().unreachable_since.unwrap_or(now);
                let until = Some(since + UNREACHABLE);
                Some(Again { why: WaitReason::Failed(failure.kind), until })
            }
            ApiErrorKind::RateLimited => {
                let allowed = reads || failure.fate == Fate::NotSent;
                allowed.then_some(Again { why: WaitReason::RateLimit, until: None })
            }
            ApiErrorKind::Interrupted | ApiErrorKind::TimedOut | ApiErrorKind::ServerFault => again(reads),
            ApiErrorKind::Malformed => {
                attempts.malformed += 1;
                again(reads && call.retry != Retry::ReadPage && attempts.malformed <= MALFORMED_AGAIN)
            }
            ApiErrorKind::Credentials => {
                let may_be_new = matches!(call.retry, Retry::Read | Retry::ReadPage) && failure.status == Some(403);
                if !may_be_new || self.succeeded.load(Ordering::Relaxed) {
                    return None;
                }
                let since = *self.history().forbidden_since.get_or_insert(now);
                Some(Again { why: WaitReason::NewToken, until: Some(since + SETTLING) })
            }
            ApiErrorKind::NotFound => {
                let is_list = matches!(call.operation, ApiOperation::ListGroupMembers | ApiOperation::AddMembers(_));
                let created = call.group.as_ref().and_then(|group| self.history().created.get(&group.id).copied());
                let is_new = created.is_some_and(|created| is_young(created, Timestamp::now()));
                if !is_list || !(is_new || attempts.missing_since.is_some()) {
                    return None;
                }
                let since = *attempts.missing_since.get_or_insert(now);
                Some(Again { why: WaitReason::NewGroup, until: Some(since + SETTLING) })
            }
            ApiErrorKind::Stopped
            | ApiErrorKind::Incomplete
            | ApiErrorKind::Redirected
            | ApiErrorKind::Refused
            | ApiErrorKind::NotAllowed => None,
        }
    }
}

/// Whether a group created at this time may still be settling. If this machine's clock is slow, the time can be in
/// the future.
pub(super) fn is_young(created: Timestamp, now: Timestamp) -> bool {
    now.duration_since(created) < YOUNG
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::super::super::config::{BaseUrl, ClientConfig, Credentials};
    use super::super::super::http::{HttpAnswer, Message};
    use super::*;
    use crate::model::GroupRef;

    fn caller() -> Caller {
        let config = ClientConfig {
            base_url: BaseUrl::parse(BaseUrl::DEFAULT).unwrap(),
            credentials: Credentials::Token("hunter2hunter2".into()),
            account_id: "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap(),
            concurrency: 1.try_into().unwrap(),
            timeout: Duration::from_secs(20),
            max_wait: Duration::from_secs(600),
            run_url: None,
        };
        Caller::new(config).unwrap()
    }

    fn call(retry: Retry) -> Call {
        let group = GroupRef { id: "6d7f2f5f5b1d4a0e9081fdc98d432fd1".parse().unwrap(), name: "Admins".into() };
        let message =
            Message { method: Method::GET, url: BaseUrl::parse(BaseUrl::DEFAULT).unwrap().join([]), body: None };
        Call { operation: ApiOperation::ListGroupMembers, group: Some(group), message, retry, settles: false }
    }

    fn failure(caller: &Caller, status: u16) -> AttemptFailure {
        let answer = HttpAnswer { status, ray: None, allowances: Vec::new(), retry_after: None, body: Ok(Vec::new()) };
        caller.judge.judge::<serde_json::Value>(Ok(answer)).unwrap_err()
    }

    #[test]
    fn new_token_gets_15_seconds_in_total() {
        let caller = caller();
        let (forbidden, start) = (failure(&caller, 403), Instant::now());
        let until = |retry, after| {
            let again = caller.again(&call(retry), &forbidden, &mut Attempts::default(), start + after);
            again.map(|again| (again.why, again.until))
        };
        let given = Some((WaitReason::NewToken, Some(start + SETTLING)));
        assert_eq!(until(Retry::ReadPage, Duration::ZERO), given);
        assert_eq!(until(Retry::Read, Duration::from_secs(5)), given);
        assert_eq!(until(Retry::ReadIfAllowed, Duration::ZERO), None);
        assert_eq!(until(Retry::Unsent, Duration::ZERO), None);
        caller.succeeded.store(true, Ordering::Relaxed);
        assert_eq!(until(Retry::ReadPage, Duration::ZERO), None);
    }

    #[test]
    fn a_new_group_is_given_15_seconds() {
        let caller = caller();
        let (missing, start, call) = (failure(&caller, 404), Instant::now(), call(Retry::ReadPage));
        assert!(caller.again(&call, &missing, &mut Attempts::default(), start).is_none());
        let group = call.group.as_ref().unwrap().id;
        caller.remember_creation([(group, Timestamp::now())]);
        let mut attempts = Attempts::default();
        for after in [Duration::ZERO, Duration::from_secs(9)] {
            let again = caller.again(&call, &missing, &mut attempts, start + after).unwrap();
            assert_eq!((again.why, again.until), (WaitReason::NewGroup, Some(start + SETTLING)));
        }
        let other = Call { operation: ApiOperation::ReplaceMembers(1), ..call };
        assert!(caller.again(&other, &missing, &mut Attempts::default(), start).is_none());
    }

    #[test]
    fn a_group_is_young_for_two_minutes() {
        let now = Timestamp::now();
        let is_young = |seconds| is_young(now - SignedDuration::from_secs(seconds), now);
        assert_eq!([is_young(-60), is_young(0), is_young(119), is_young(120)], [true, true, true, false]);
    }
}
