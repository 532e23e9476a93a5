//! Sends one request until it succeeds, fails permanently or runs out of time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use url::Url;

use super::answer::{classify, wait_in_body};
use super::client::Client;
use super::config::ClientConfig;
use super::error::{ApiError, ApiErrorKind, Fate};
use super::http::{self, HttpAnswer};
use super::pacer::{Pace, Pacer, Ticket, Wait, WaitReason};
use super::retry::{Attempts, Backoff, Retry};
use super::wire::ApiOperation;
use crate::model::{GroupId, GroupRef};

/// The target of the log lines about requests that are sent again.
pub const RETRY_TARGET: &str = "convoke::retry";
/// After this time in the queue, the reading that a PUT relies on is too old.
const FRESH: Duration = Duration::from_secs(1);
/// The longest wait between attempts within a short grace period.
const GRACE_STEP: Duration = Duration::from_secs(4);
/// A reading of this age is not relied on.
const READING_LASTS: Duration = Duration::from_secs(10);
/// After a wait of this length, no earlier reading is relied on.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// How long reads that settle a write may continue after a stop, and after the last change that was then in flight.
const SETTLE_AFTER_STOP: Duration = Duration::from_secs(3);

/// A request, with what is needed to repeat it and to report on it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub operation: ApiOperation,
    pub group: Option<GroupRef>,
    pub method: Method,
    pub url: Url,
    pub body: Option<Vec<u8>>,
    pub retry: Retry,
    /// Whether it may still be sent for a short time after a stop.
    pub settles: bool,
}

/// A result, with the `cf-ray` of its answer, and the time when the request was sent.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    pub result: T,
    pub ray: Option<String>,
    pub began: Instant,
}

/// The state that all clones of a client share.
#[derive(Debug)]
pub(super) struct Shared {
    pub config: ClientConfig,
    pub http: reqwest::Client,
    pub pacer: Pacer,
    pub on_their_way: Semaphore,
    /// The time of the stop. If a change was in flight then, the time when the last such change ended. No change starts
    /// after a stop.
    pub stopped: watch::Sender<Option<Instant>>,
    pub history: Mutex<ClientHistory>,
}

/// What the client has sent, and what earlier requests showed that affects later ones.
#[derive(Debug, Default)]
pub(super) struct ClientHistory {
    pub requests: u64,
    pub pages_read: u64,
    /// The pages that are known to be needed so far.
    pub pages_expected: u64,
    /// Whether the API has accepted the credentials in this run.
    pub succeeded: bool,
    pub unreachable_since: Option<Instant>,
    pub forbidden_since: Option<Instant>,
    pub created: BTreeMap<GroupId, Timestamp>,
    /// How far the API's clock is ahead, by the last answer that had a time.
    pub clock_ahead: Option<SignedDuration>,
    /// The requests that the last answer left, and for how long.
    pub allowance: Option<(u64, Duration)>,
    /// When the last reading of each group began that was complete; without a group, of the list of groups.
    pub readings: BTreeMap<Option<GroupId>, Instant>,
    /// When the run last asked a question, or when its last wait of [`LONG_WAIT`] or longer ended or will end.
    interrupted: Option<Instant>,
}

impl Client {
    pub(super) fn history(&self) -> MutexGuard<'_, ClientHistory> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all waiting. Requests in flight are finished. No further requests start, except reads of
    /// [`Client::settling`].
    pub fn stop(&self) {
        self.shared.stopped.send_modify(|stopped| *stopped = stopped.or_else(|| Some(Instant::now())));
    }

    /// When no more requests may be sent; `None` before a stop. A change in flight postpones it.
    fn ends_at(&self, settles: bool) -> Option<Instant> {
        let grace = if settles { SETTLE_AFTER_STOP } else { Duration::ZERO };
        self.shared.stopped.borrow().map(|stopped| stopped + grace)
    }

    /// Until when reads that settle a write are sent: three seconds after the stop. If a change was in flight at the
    /// stop, three seconds after it ended. `None` before a stop.
    pub fn settles_until(&self) -> Option<Instant> {
        self.ends_at(true)
    }

    /// Resolves when no more requests may be sent.
    pub async fn ended(&self, settles: bool) {
        let mut stopped = self.shared.stopped.subscribe();
        // The sender lives as long as `self`.
        let _ = stopped.wait_for(Option::is_some).await;
        while let Some(end) = self.ends_at(settles).filter(|end| *end > Instant::now()) {
            tokio::time::sleep_until(end).await;
        }
    }

    /// Makes all readings so far outdated, because the run waited or asked a question.
    pub fn outdate_readings(&self) {
        let mut history = self.history();
        history.interrupted = history.interrupted.max(Some(Instant::now()));
    }

    /// Outdates the readings so far, if the run has waited for long since then.
    pub fn note_wait(&self, since: Instant) {
        if since.elapsed() >= LONG_WAIT {
            self.outdate_readings();
        }
    }

    /// Whether no write may rely on the last reading of this group, or without a group on that of the list of groups:
    /// it is 10 seconds old, or the run has waited for a second or asked a question since. The list counts as long as the
    /// groups do: what outdates it is an interruption after it, not its age.
    pub fn is_outdated(&self, of: Option<GroupId>) -> bool {
        let history = self.history();
        let outdated = |of: &Option<GroupId>, lasts: Duration| {
            let Some(read) = history.readings.get(of) else { return true };
            history.interrupted.is_some_and(|interrupted| *read < interrupted) || read.elapsed() >= lasts
        };
        outdated(&of, READING_LASTS) || outdated(&None, Duration::MAX)
    }

    /// Reports that a request is sent again because of an error, and waits. Without a duration the pacer waits.
    pub(super) async fn pause(&self, call: &Call, error: &ApiError, why: WaitReason, wait: Option<Duration>) {
        let when =
            wait.map_or_else(|| "when the limit allows".to_owned(), |wait| format!("in {:.1} s", wait.as_secs_f64()));
        tracing::warn!(
            target: RETRY_TARGET,
            operation = %call.operation,
            group = call.group.as_ref().map(|group| tracing::field::debug(group.name.as_str())),
            status = error.status,
            attempt = error.attempts,
            detail = error.detail,
            "{why}: trying again {when}"
        );
        if why == WaitReason::RateLimit {
            return;
        }
        let until = Instant::now() + wait.unwrap_or_default();
        let wait = Wait { until: until.into_std(), why, status: error.status, attempt: error.attempts };
        let (_announced, since) = (self.shared.pacer.announce(wait), Instant::now());
        tokio::select! {
            () = self.ended(call.settles) => {}
            () = tokio::time::sleep_until(until) => {}
        }
        self.note_wait(since);
    }

    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<Answered<T>, ApiError> {
        self.call_if(call, &|| true).await
    }

    /// Asks immediately before each attempt, after all waiting, whether the request may still be sent.
    pub(super) async fn call_if<T: DeserializeOwned>(
        &self,
        call: &Call,
        may_send: &dyn Fn() -> bool,
    ) -> Result<Answered<T>, ApiError> {
        let max_wait = self.shared.config.max_wait;
        let (mut backoff, mut attempts) = (Backoff::within(max_wait), Attempts::within(max_wait));
        loop {
            if self.ends_at(call.settles).is_some_and(|end| end <= Instant::now()) {
                let last = attempts.last.unwrap_or_else(|| call.stopped());
                return Err(ApiError { retry_in: None, ..last });
            }
            let mut error = match self.attempt(call, may_send, &mut attempts).await {
                Ok(answered) => return Ok(answered),
                Err(error) => ApiError { attempts: attempts.made, ..error },
            };
            let now = Instant::now();
            attempts.begin_waiting(now);
            let Some((why, until)) = self.again(call, &error, &mut attempts, now) else {
                // Of the errors that nothing repeats, only a wait that is too long says when the next request is allowed.
                let retry_in = error.retry_in.filter(|_| error.lasting);
                return Err(ApiError { retry_in, ..error });
            };
            let wait = if error.kind == ApiErrorKind::RateLimited {
                // A rate limit delays all requests. The pacer waits for this one too.
                error.retry_in
            } else {
                let asked = error.retry_in.unwrap_or_default();
                let grace = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
                let left = attempts.left(now).min(grace);
                // A short grace period ends with a last attempt.
                let longest = if until.is_some() { GRACE_STEP.min(left) } else { Duration::MAX };
                let wait = backoff.next().min(longest).max(asked);
                if wait > left || wait.is_zero() {
                    error.retry_in = error.retry_in.filter(|after| *after > Duration::ZERO);
                    return Err(error);
                }
                Some(wait)
            };
            self.pause(call, &error, why, wait).await;
            attempts.last = Some(error);
        }
    }

    /// Sends a request once, when the pacer admits it.
    async fn attempt<T: DeserializeOwned>(
        &self,
        call: &Call,
        may_send: &dyn Fn() -> bool,
        attempts: &mut Attempts,
    ) -> Result<Answered<T>, ApiError> {
        let asked = Instant::now();
        // The semaphore is never closed. If it were, the pacer would still keep the order.
        let admitted = async {
            let permit = self.shared.on_their_way.acquire().await.ok();
            Ok::<_, ApiError>((permit, self.admit(call, asked, attempts).await?))
        };
        let (_permit, ticket) = tokio::select! {
            biased;
            () = self.ended(call.settles) => return Err(call.stopped()),
            admitted = admitted => admitted?,
        };
        if !may_send() {
            return Err(call.stopped());
        }
        attempts.made += 1;
        self.history().requests += 1;
        let credentials = &self.shared.config.credentials;
        let began = Instant::now();
        let reply = tokio::select! {
            reply = http::exchange(&self.shared.http, credentials, call) => reply,
            () = self.ended(true), if call.settles => Err(call.error(ApiErrorKind::TimedOut, Fate::Unknown)),
        };
        if !call.retry.reads() {
            // Reads can settle a change that was in flight at a stop, however long it took.
            self.shared.stopped.send_if_modified(|stopped| {
                *stopped = stopped.map(|_| Instant::now());
                false
            });
        }
        self.settle(ticket, &reply);
        tracing::debug!(
            method = %call.method,
            path = call.url.path(),
            query = call.url.query(),
            status = reply.as_ref().ok().map(|answer| answer.status),
            ray = reply.as_ref().ok().and_then(|answer| answer.ray.as_deref()),
            attempt = attempts.made,
            ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        let result = classify(call, credentials, began, reply);
        self.history().succeeded |= result.is_ok();
        result
    }

    /// Tells the pacer the result of a request, and whether the API was reached.
    fn settle(&self, ticket: Ticket<'_>, reply: &Result<HttpAnswer, ApiError>) {
        match reply {
            Ok(answer) if answer.status == 429 => {
                let wait = answer.retry_after.or_else(|| wait_in_body(answer.body.as_ref().ok()?));
                let wait = wait.or_else(|| answer.allowances.iter().map(|allowance| allowance.reset).max());
                if let Some(wait) = wait.filter(|wait| *wait >= LONG_WAIT) {
                    // Every request waits so long, even if this one is not sent again.
                    let mut history = self.history();
                    history.interrupted = history.interrupted.max(Instant::now().checked_add(wait));
                }
                ticket.refused(wait);
            }
            Ok(answer) => ticket.answered(&answer.allowances),
            Err(_) => drop(ticket),
        }
        let mut history = self.history();
        let is_unreachable = matches!(reply, Err(error) if error.kind == ApiErrorKind::Unreachable);
        let since = history.unreachable_since.unwrap_or_else(Instant::now);
        history.unreachable_since = is_unreachable.then_some(since);
        if let Ok(answer) = reply {
            history.clock_ahead = answer.date.map(|date| date.duration_since(Timestamp::now())).or(history.clock_ahead);
            let least = answer.allowances.iter().min_by_key(|allowance| allowance.remaining);
            history.allowance = least.map(|least| (least.remaining, least.reset)).or(history.allowance);
        }
    }

    /// Waits until the pacer admits a request.
    ///
    /// # Errors
    ///
    /// If that wait would be too long: when the next request would be allowed.
    async fn admit(&self, call: &Call, asked: Instant, attempts: &mut Attempts) -> Result<Ticket<'_>, ApiError> {
        let queued = asked.elapsed();
        let asked = Instant::now();
        let left = attempts.left(asked);
        let last = attempts.last.as_ref();
        let status = last.and_then(|failure| failure.status);
        let held = |wait| {
            let limited = last.filter(|error| error.kind == ApiErrorKind::RateLimited).cloned();
            let limited = limited.unwrap_or_else(|| call.error(ApiErrorKind::RateLimited, Fate::NotSent));
            ApiError { retry_in: Some(wait), lasting: true, ..limited }
        };
        let left = match FRESH.checked_sub(queued) {
            _ if call.retry != Retry::Never => left,
            Some(fresh) => left.min(fresh),
            None => return Err(held(Duration::ZERO)),
        };
        // A wait would outdate the readings that a write relies on.
        let pace = if call.retry.reads() && !call.settles { Pace::Even } else { Pace::Pressing };
        let ticket = self.shared.pacer.admit(pace, left, status, attempts.made + 1).await.map_err(held)?;
        if ticket.waited {
            attempts.begin_waiting(asked);
            self.note_wait(asked);
        }
        Ok(ticket)
    }
}

impl Call {
    /// A failure of this call, before anything else is known of it.
    pub(super) fn error(&self, kind: ApiErrorKind, fate: Fate) -> ApiError {
        ApiError {
            operation: self.operation,
            group: self.group.clone(),
            kind,
            fate,
            status: None,
            messages: Vec::new(),
            detail: None,
            ray: None,
            attempts: 0,
            retry_in: None,
            lasting: false,
        }
    }

    fn stopped(&self) -> ApiError {
        self.error(ApiErrorKind::Stopped, Fate::NotSent)
    }
}

#[cfg(test)]
impl Call {
    /// A call for the list of a group's members.
    pub(super) fn sample(retry: Retry) -> Self {
        let group = GroupRef { id: "6d7f2f5f5b1d4a0e9081fdc98d432fd1".parse().unwrap(), name: "Admins".into() };
        let url = super::config::BaseUrl::parse(super::config::BaseUrl::DEFAULT).unwrap().join([]);
        let (operation, method) = (ApiOperation::ListGroupMembers, Method::GET);
        Self { operation, group: Some(group), method, url, body: None, retry, settles: false }
    }
}
