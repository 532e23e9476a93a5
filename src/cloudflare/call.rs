//! One request, sent until it is answered for good or given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::backoff::{Backoff, Patience};
use super::config::{BaseUrl, ClientConfig, ClientError};
use super::error::{ApiError, ApiErrorKind, ApiOperation, Report};
use super::http::{Http, Message};
use super::notice::{Notices, Wait, WaitReason};
use super::pacer::{Pace, Pacer, Ticket, TooLong};
use super::verdict::{Failure, Fate, Judge};
use crate::model::GroupRef;

/// A request that has waited longer than this says nothing any more of what its sender knew.
const FRESH: Duration = Duration::from_secs(1);
/// How often a forbidden read is tried again: a token just created is refused for a moment.
const FORBIDDEN_AGAIN: u32 = 2;
/// How often a read is tried again whose answer makes no sense: a body cut short looks like that.
const MALFORMED_AGAIN: u32 = 3;
/// How often a read of what exists is tried again: a group just created has no members for some seconds.
const NOT_FOUND_AGAIN: u32 = 4;

/// A request with what is needed to repeat it and to speak of it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub operation: ApiOperation,
    pub group: Option<GroupRef>,
    pub message: Message,
    pub retry: Retry,
}

/// When a request that failed is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It changes nothing: whenever that may help.
    Read,
    /// So does this, and what it asks for is known to exist: also if it is not found.
    ReadExisting,
    /// It changes nothing, and may well be forbidden: as a read, but not then.
    ReadIfAllowed,
    /// It changes something: only while it was certainly not carried out.
    Unsent,
    /// What it rests on ages: never.
    Never,
}

/// A call that failed for good.
#[derive(Debug)]
pub(super) struct Failed {
    pub error: ApiError,
    pub fate: Fate,
}

impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// A result with what identifies the answer that held it.
#[derive(Debug)]
pub(super) struct Answered<T> {
    pub result: T,
    pub ray: Option<String>,
}

/// What all requests of a client share.
#[derive(Debug)]
pub(super) struct Caller {
    http: Http,
    judge: Judge,
    pacer: Pacer,
    notices: Notices,
    on_their_way: Semaphore,
    /// Turns true when nothing further is to be sent.
    stopped: watch::Sender<bool>,
    requests: AtomicU64,
    max_wait: Duration,
    pub base_url: BaseUrl,
    /// How many requests can be on their way at once.
    pub concurrency: usize,
}

impl Caller {
    pub(super) fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let notices = Notices::new();
        let concurrency = config.concurrency.get().min(Semaphore::MAX_PERMITS);
        Ok(Self {
            http: Http::new(&config)?,
            judge: Judge::new(config.credentials),
            pacer: Pacer::new(notices.clone()),
            notices,
            on_their_way: Semaphore::new(concurrency),
            stopped: watch::Sender::new(false),
            requests: AtomicU64::new(0),
            max_wait: config.max_wait,
            base_url: config.base_url,
            concurrency,
        })
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Ends all waiting: what was not sent by now is not sent any more.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Resolves once nothing further is to be sent.
    async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // The sender lives as long as this does.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Growing waits that suit this client's patience.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::within(self.max_wait)
    }

    /// Waits before another try, and lets it be seen.
    pub(super) async fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let _announced = self.notices.announce(Wait { until: until.into_std(), why: WaitReason::Retry });
        tokio::select! {
            () = self.stopped() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// Sends a request until it is answered for good, or given up.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<Answered<T>, Failed> {
        let mut patience = Patience::new(self.max_wait);
        let mut backoff = self.backoff();
        let mut attempts = 0;
        let mut last = None;
        let mut times: BTreeMap<ApiErrorKind, u32> = BTreeMap::new();
        loop {
            if *self.stopped.borrow() {
                return Err(call.fail(last.unwrap_or_else(Failure::stopped), attempts, None));
            }
            let failure = match self.attempt(call, &mut patience, &mut attempts).await {
                Ok(Ok(answered)) => return Ok(answered),
                Ok(Err(failure)) => failure,
                Err(TooLong { wait }) => {
                    let held = last.filter(|failure: &Failure| failure.kind == ApiErrorKind::RateLimited);
                    return Err(call.fail(held.unwrap_or_else(Failure::held_back), attempts, Some(wait)));
                }
            };
            patience.begin(std_now());
            let before = times.entry(failure.kind).or_default();
            let again = call.retry.allows(&failure, *before);
            *before += 1;
            if !again {
                return Err(call.fail(failure, attempts, None));
            }
            tracing::info!(
                operation = %call.operation,
                group = call.group.as_ref().map(|group| tracing::field::debug(group.name.as_str())),
                kind = %failure.kind,
                status = failure.status,
                attempts,
                "trying again"
            );
            // A refusal for the limit's sake holds all requests: the pacer waits for this one, too.
            if failure.kind != ApiErrorKind::RateLimited {
                let wait = backoff.next().max(failure.retry_after.unwrap_or_default());
                if wait > patience.left(std_now()) || wait.is_zero() {
                    let retry_in = failure.retry_after.filter(|after| *after > Duration::ZERO);
                    return Err(call.fail(failure, attempts, retry_in));
                }
                self.pause(wait).await;
            }
            last = Some(failure);
        }
    }

    /// Sends a request once, when it may go.
    async fn attempt<T: DeserializeOwned>(
        &self,
        call: &Call,
        patience: &mut Patience,
        attempts: &mut u32,
    ) -> Result<Result<Answered<T>, Failure>, TooLong> {
        // The semaphore is never closed; if it were, the pacer would still keep order.
        let admitted = async {
            let permit = self.on_their_way.acquire().await.ok();
            Ok::<_, TooLong>((permit, self.admit(call, patience).await?))
        };
        let (_permit, ticket) = tokio::select! {
            biased;
            () = self.stopped() => return Ok(Err(Failure::stopped())),
            admitted = admitted => admitted?,
        };
        *attempts += 1;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let reply = self.http.exchange(&call.message).await;
        match &reply {
            Ok(answer) if answer.status == 429 => ticket.refused(answer.retry_after, &answer.allowances),
            Ok(answer) => ticket.answered(&answer.allowances),
            Err(_) => drop(ticket),
        }
        tracing::debug!(
            method = %call.message.method,
            path = call.message.url.path(),
            query = call.message.url.query(),
            status = reply.as_ref().ok().map(|answer| answer.status),
            ray = reply.as_ref().ok().and_then(|answer| answer.ray.as_deref()),
            attempt = *attempts,
            ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        let judged = self.judge.judge(reply).map(|(result, ray)| Answered { result, ray });
        Ok(judged.map_err(|failure| call.retry.interpret(failure)))
    }

    async fn admit(&self, call: &Call, patience: &mut Patience) -> Result<Ticket<'_>, TooLong> {
        let asked = std_now();
        let left = patience.left(asked);
        let (pace, left) = match call.retry {
            Retry::Never => (Pace::Pressing, left.min(FRESH)),
            Retry::Read | Retry::ReadExisting | Retry::ReadIfAllowed | Retry::Unsent => (Pace::Even, left),
        };
        let ticket = self.pacer.admit(pace, left).await?;
        if ticket.waited {
            patience.begin(asked);
        }
        Ok(ticket)
    }
}

fn std_now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Retry {
    fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadExisting | Self::ReadIfAllowed)
    }

    /// A change can be forbidden for the group's sake; a read only for the credentials'.
    fn interpret(self, failure: Failure) -> Failure {
        if self.reads() && failure.status == Some(403) {
            return Failure { kind: ApiErrorKind::Credentials, ..failure };
        }
        failure
    }

    /// Whether to send again after such a failure, where there were `before` of its kind before.
    fn allows(self, failure: &Failure, before: u32) -> bool {
        let reads = self.reads();
        if failure.lasting || self == Self::Never {
            return false;
        }
        match failure.kind {
            ApiErrorKind::Unreachable | ApiErrorKind::RateLimited => reads || failure.fate == Fate::NotSent,
            ApiErrorKind::Interrupted | ApiErrorKind::TimedOut | ApiErrorKind::ServerFault => reads,
            ApiErrorKind::Malformed => reads && before < MALFORMED_AGAIN,
            ApiErrorKind::Credentials => {
                reads && self != Self::ReadIfAllowed && failure.status == Some(403) && before < FORBIDDEN_AGAIN
            }
            ApiErrorKind::NotFound => self == Self::ReadExisting && before < NOT_FOUND_AGAIN,
            ApiErrorKind::Stopped | ApiErrorKind::Incomplete | ApiErrorKind::Redirected | ApiErrorKind::Refused => {
                false
            }
        }
    }
}

impl Call {
    fn fail(&self, failure: Failure, attempts: u32, retry_in: Option<Duration>) -> Failed {
        let Failure { kind, fate, status, messages, detail, ray, retry_after: _, lasting: _ } = failure;
        let (operation, group) = (self.operation, self.group.clone());
        let report = Report { operation, group, kind, status, messages, detail, ray, attempts, retry_in };
        Failed { error: report.into(), fate }
    }

    /// The error of a list that was read so often and never came to be whole.
    pub(super) fn incomplete(&self, why: String, attempts: u32) -> ApiError {
        let (operation, group, kind) = (self.operation, self.group.clone(), ApiErrorKind::Incomplete);
        let (status, messages, ray, retry_in) = (None, Vec::new(), None, None);
        let report = Report { operation, group, kind, status, messages, detail: Some(why), ray, attempts, retry_in };
        report.into()
    }
}
