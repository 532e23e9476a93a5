//! Sends one request until it succeeds, fails permanently or runs out of time.

mod again;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use self::again::{Again, is_young};
use super::backoff::{Backoff, Patience};
use super::config::{BaseUrl, ClientConfig, ClientError};
use super::error::{ApiError, ApiErrorKind, ErrorParts};
use super::http::{Http, HttpAnswer, Loss, Message};
use super::notice::{Notices, Wait, WaitReason};
use super::pacer::{Pace, Pacer, Ticket, TooLong, Turnout};
use super::verdict::{AttemptFailure, Fate, Judge};
use super::wire::ApiOperation;
use crate::model::{GroupId, GroupRef};

/// After this time in the queue, the reading that a PUT relies on is too old.
const FRESH: Duration = Duration::from_secs(1);
/// The longest wait between attempts within a short grace period.
const GRACE_STEP: Duration = Duration::from_secs(4);
/// How long reads that settle a write may continue after a stop, and after the last change that was then in flight.
const SETTLE_AFTER_STOP: Duration = Duration::from_secs(3);

/// A request, with what is needed to repeat it and to report on it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub operation: ApiOperation,
    pub group: Option<GroupRef>,
    pub message: Message,
    pub retry: Retry,
    /// Whether it may still be sent for a short time after a stop.
    pub settles: bool,
}

/// When a failed request is sent again.
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

/// A call that failed permanently.
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

/// A result, with the `cf-ray` of its answer.
#[derive(Debug)]
pub(super) struct Answered<T> {
    pub result: T,
    pub ray: Option<String>,
}

/// The state that all requests of a client share.
#[derive(Debug)]
pub(super) struct Caller {
    http: Http,
    judge: Judge,
    pacer: Pacer,
    notices: Notices,
    on_their_way: Semaphore,
    /// The time of the stop. If a change was in flight then, the time when the last such change ended. No change starts
    /// after a stop.
    stopped: watch::Sender<Option<Instant>>,
    requests: AtomicU64,
    max_wait: Duration,
    /// Whether the API has accepted the credentials in this run.
    succeeded: AtomicBool,
    history: Mutex<ClientHistory>,
    pub base_url: BaseUrl,
    /// The maximum number of requests in flight.
    pub concurrency: usize,
}

/// What earlier requests showed that affects later ones.
#[derive(Debug, Default)]
struct ClientHistory {
    /// When connections began to fail.
    unreachable_since: Option<Instant>,
    /// When the credentials were first refused.
    forbidden_since: Option<Instant>,
    /// When each recently created group was created.
    created: BTreeMap<GroupId, Timestamp>,
}

/// What the attempts of one call showed so far.
#[derive(Debug, Default)]
struct Attempts {
    made: u32,
    malformed: u32,
    /// When the group was first not found.
    missing_since: Option<Instant>,
    last: Option<AttemptFailure>,
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
            stopped: watch::Sender::new(None),
            requests: AtomicU64::new(0),
            max_wait: config.max_wait,
            succeeded: AtomicBool::new(false),
            history: Mutex::default(),
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

    /// Ends all waiting. Requests that were not sent yet are not sent, except reads that settle a write.
    pub(super) fn stop(&self) {
        self.stopped.send_if_modified(|stopped| match stopped {
            Some(_) => false,
            None => {
                *stopped = Some(Instant::now());
                true
            }
        });
    }

    /// When no more requests may be sent; `None` before a stop. A change in flight postpones it.
    pub(super) fn ends_at(&self, settles: bool) -> Option<Instant> {
        let grace = if settles { SETTLE_AFTER_STOP } else { Duration::ZERO };
        self.stopped.borrow().map(|stopped| stopped + grace)
    }

    /// Lets reads settle a change that was in flight at a stop, however long it took.
    fn postpone_end(&self) {
        self.stopped.send_if_modified(|stopped| {
            if let Some(stopped) = stopped {
                *stopped = Instant::now();
            }
            false
        });
    }

    fn has_ended(&self, settles: bool) -> bool {
        self.ends_at(settles).is_some_and(|end| end <= Instant::now())
    }

    /// Resolves when no more requests may be sent.
    async fn ended(&self, settles: bool) {
        let mut stopped = self.stopped.subscribe();
        // The sender lives as long as `self`.
        let _ = stopped.wait_for(Option::is_some).await;
        while let Some(end) = self.ends_at(settles).filter(|end| *end > Instant::now()) {
            tokio::time::sleep_until(end).await;
        }
    }

    /// Remembers when groups were created, while they are young enough to matter.
    pub(super) fn remember_creation(&self, groups: impl IntoIterator<Item = (GroupId, Timestamp)>) {
        let now = Timestamp::now();
        self.history().created.extend(groups.into_iter().filter(|(_, created)| is_young(*created, now)));
    }

    fn history(&self) -> MutexGuard<'_, ClientHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::within(self.max_wait)
    }

    /// Waits before a list is read again, and reports the wait.
    pub(super) async fn pause_before_reading(&self, call: &Call, error: &ApiError, wait: Duration) {
        let why = WaitReason::Failed(error.kind());
        call.log_wait(Some(wait), why, error.status(), error.attempts(), Some(error.reason()));
        self.pause(call, wait, why, error.status(), error.attempts()).await;
    }

    async fn pause(&self, call: &Call, wait: Duration, why: WaitReason, status: Option<u16>, attempt: u32) {
        let until = Instant::now() + wait;
        let _announced = self.notices.announce(Wait { until: until.into_std(), why, status, attempt });
        tokio::select! {
            () = self.ended(call.settles) => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<Answered<T>, Failed> {
        self.call_if(call, &|| true).await
    }

    /// Asks immediately before each attempt, after all waiting, whether the request may still be sent.
    pub(super) async fn call_if<T: DeserializeOwned>(
        &self,
        call: &Call,
        may_send: &dyn Fn() -> bool,
    ) -> Result<Answered<T>, Failed> {
        let mut patience = Patience::new(self.max_wait);
        let mut backoff = self.backoff();
        let mut attempts = Attempts::default();
        loop {
            if self.has_ended(call.settles) {
                return Err(call.fail(attempts.last.unwrap_or_else(AttemptFailure::stopped), attempts.made, None));
            }
            let failure = match self.attempt(call, may_send, &mut patience, &mut attempts).await {
                Ok(Ok(answered)) => return Ok(answered),
                Ok(Err(failure)) => failure,
                Err(TooLong { wait }) => {
                    let held = attempts.last.filter(|failure| failure.kind == ApiErrorKind::RateLimited);
                    return Err(call.fail(held.unwrap_or_else(AttemptFailure::held_back), attempts.made, Some(wait)));
                }
            };
            let now = Instant::now();
            patience.begin(now.into_std());
            let Some(Again { why, until }) = self.again(call, &failure, &mut attempts, now) else {
                return Err(call.fail(failure, attempts.made, None));
            };
            // A rate limit delays all requests. The pacer waits for this one too.
            if failure.kind == ApiErrorKind::RateLimited {
                call.log_wait(failure.retry_after, why, failure.status, attempts.made, None);
            } else {
                let asked = failure.retry_after.unwrap_or_default();
                let wait = backoff.next().max(asked);
                let left = patience.left(now.into_std());
                // A short grace period ends with a last attempt.
                let (wait, left) = match until.map(|until| until.saturating_duration_since(now).min(left)) {
                    Some(grace) => (wait.min(GRACE_STEP).min(grace).max(asked), grace),
                    None => (wait, left),
                };
                if wait > left || wait.is_zero() {
                    let retry_in = failure.retry_after.filter(|after| *after > Duration::ZERO);
                    return Err(call.fail(failure, attempts.made, retry_in));
                }
                call.log_wait(Some(wait), why, failure.status, attempts.made, failure.detail.clone());
                self.pause(call, wait, why, failure.status, attempts.made).await;
            }
            attempts.last = Some(failure);
        }
    }

    /// Sends a request once, when the pacer admits it.
    async fn attempt<T: DeserializeOwned>(
        &self,
        call: &Call,
        may_send: &dyn Fn() -> bool,
        patience: &mut Patience,
        attempts: &mut Attempts,
    ) -> Result<Result<Answered<T>, AttemptFailure>, TooLong> {
        let asked = Instant::now();
        // The semaphore is never closed. If it were, the pacer would still keep the order.
        let admitted = async {
            let permit = self.on_their_way.acquire().await.ok();
            Ok::<_, TooLong>((permit, self.admit(call, asked, patience, attempts).await?))
        };
        let (_permit, ticket) = tokio::select! {
            biased;
            () = self.ended(call.settles) => return Ok(Err(AttemptFailure::stopped())),
            admitted = admitted => admitted?,
        };
        if !may_send() {
            return Ok(Err(AttemptFailure::stopped()));
        }
        attempts.made += 1;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let reply = match call.settles {
            false => self.http.exchange(&call.message).await,
            true => tokio::select! {
                reply = self.http.exchange(&call.message) => reply,
                () = self.ended(true) => Err(Loss::TimedOut),
            },
        };
        if !call.retry.reads() {
            self.postpone_end();
        }
        self.settle(ticket, &reply);
        tracing::debug!(
            method = %call.message.method,
            path = call.message.url.path(),
            query = call.message.url.query(),
            status = reply.as_ref().ok().map(|answer| answer.status),
            ray = reply.as_ref().ok().and_then(|answer| answer.ray.as_deref()),
            attempt = attempts.made,
            ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        let judged = self.judge.judge(reply).map(|(result, ray)| Answered { result, ray });
        if judged.is_ok() {
            self.succeeded.store(true, Ordering::Relaxed);
        }
        Ok(judged.map_err(|failure| call.retry.interpret(failure)))
    }

    /// Tells the pacer the result of a request, and whether the API was reached.
    fn settle(&self, ticket: Ticket<'_>, reply: &Result<HttpAnswer, Loss>) {
        match reply {
            Ok(answer) if answer.status == 429 => {
                let wait = answer.retry_after.or_else(|| Judge::wait_in_body(answer.body.as_ref().ok()?));
                ticket.refused(wait, &answer.allowances);
            }
            Ok(answer) => ticket.answered(&answer.allowances),
            Err(_) => drop(ticket),
        }
        let mut history = self.history();
        match reply {
            Err(Loss::NotConnected { .. }) => {
                history.unreachable_since.get_or_insert_with(Instant::now);
            }
            _ => history.unreachable_since = None,
        }
    }

    async fn admit(
        &self,
        call: &Call,
        asked: Instant,
        patience: &mut Patience,
        attempts: &Attempts,
    ) -> Result<Ticket<'_>, TooLong> {
        let queued = asked.elapsed();
        let asked = Instant::now().into_std();
        let left = patience.left(asked);
        let (pace, left) = match call.retry {
            Retry::Never if queued > FRESH => return Err(TooLong { wait: Duration::ZERO }),
            Retry::Never => (Pace::Pressing, left.min(FRESH - queued)),
            Retry::Read | Retry::ReadPage | Retry::ReadIfAllowed | Retry::Unsent => (Pace::Even, left),
        };
        let status = attempts.last.as_ref().and_then(|failure| failure.status);
        let turnout = Turnout { pace, patience: left, status, attempt: attempts.made + 1 };
        let ticket = self.pacer.admit(turnout).await?;
        if ticket.waited {
            patience.begin(asked);
        }
        Ok(ticket)
    }
}

impl Retry {
    const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadPage | Self::ReadIfAllowed)
    }

    /// A 403 on a change may concern the group. On a read it concerns the credentials.
    fn interpret(self, failure: AttemptFailure) -> AttemptFailure {
        if self.reads() && failure.status == Some(403) {
            return AttemptFailure { kind: ApiErrorKind::Credentials, ..failure };
        }
        failure
    }
}

impl Call {
    fn fail(&self, failure: AttemptFailure, attempts: u32, retry_in: Option<Duration>) -> Failed {
        let AttemptFailure { kind, fate, status, messages, detail, ray, retry_after: _, lasting } = failure;
        let (operation, group) = (self.operation, self.group.clone());
        let parts = ErrorParts { operation, group, kind, status, messages, detail, ray, attempts, retry_in, lasting };
        Failed { error: parts.into(), fate }
    }

    /// The error for a list that contradicts itself after all readings.
    pub(super) fn incomplete(&self, why: String, attempts: u32) -> ApiError {
        ErrorParts {
            operation: self.operation,
            group: self.group.clone(),
            kind: ApiErrorKind::Incomplete,
            status: None,
            messages: Vec::new(),
            detail: Some(why),
            ray: None,
            attempts,
            retry_in: None,
            lasting: false,
        }
        .into()
    }

    fn log_wait(
        &self,
        wait: Option<Duration>,
        why: WaitReason,
        status: Option<u16>,
        attempt: u32,
        detail: Option<String>,
    ) {
        let when =
            wait.map_or_else(|| "when the limit allows".to_owned(), |wait| format!("in {:.1} s", wait.as_secs_f64()));
        tracing::warn!(
            operation = %self.operation,
            group = self.group.as_ref().map(|group| tracing::field::debug(group.name.as_str())),
            status,
            attempt,
            detail,
            "{why}: trying again {when}"
        );
    }
}
