//! Decides when the next request may be sent, for all requests of a client.

mod limiter;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::limiter::{Admission, Limiter, Stamp};
use super::headers::RateAllowance;
use super::notice::{Notices, Wait};

pub(super) use self::limiter::Pace;

/// The required wait is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    /// The length of the required wait.
    pub wait: Duration,
}

/// A request that waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdmitRequest {
    pub pace: Pace,
    /// The longest allowed wait.
    pub at_most: Duration,
    /// The status of the previous attempt's answer.
    pub status: Option<u16>,
    pub attempt: u32,
}

/// Admits requests one by one, in order of arrival.
#[derive(Debug)]
pub(super) struct Pacer {
    limiter: Mutex<Limiter>,
    /// The request that holds the lock is next.
    turnstile: tokio::sync::Mutex<()>,
    /// Notifies when new information about the limits arrives.
    changed: Notify,
    notices: Notices,
}

impl Pacer {
    pub(super) fn new(notices: Notices) -> Self {
        let (limiter, turnstile, changed) = Default::default();
        Self { limiter, turnstile, changed, notices }
    }

    pub(super) async fn admit(&self, request: AdmitRequest) -> Result<Ticket<'_>, TooLong> {
        let AdmitRequest { pace, at_most, status, attempt } = request;
        let asked = Instant::now();
        let _next = self.turnstile.lock().await;
        let mut waited = false;
        loop {
            let changed = self.changed.notified();
            let now = Instant::now();
            let left = at_most.saturating_sub(now - asked);
            let turn = self.limiter().turn(now.into_std(), pace);
            match turn {
                Admission::Go(stamp) => return Ok(Ticket { pacer: self, stamp: Some(stamp), waited }),
                Admission::Wait { until, why } => {
                    let wait = until.saturating_duration_since(now.into_std());
                    if wait > left {
                        return Err(TooLong { wait });
                    }
                    waited = true;
                    let _announced = self.notices.announce(Wait { until, why, status, attempt });
                    let _either = tokio::time::timeout_at(Instant::from_std(until), changed).await;
                }
                Admission::AwaitAnswer => {
                    waited = true;
                    if tokio::time::timeout(left, changed).await.is_err() {
                        return Err(TooLong { wait: left });
                    }
                }
            }
        }
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight. If it is dropped without an answer, it counts as lost.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    pacer: &'a Pacer,
    stamp: Option<Stamp>,
    pub(super) waited: bool,
}

impl Ticket<'_> {
    pub(super) fn answered(mut self, allowances: &[RateAllowance]) {
        if let Some(stamp) = self.stamp.take() {
            self.pacer.limiter().answered(Instant::now().into_std(), stamp, allowances);
            self.pacer.changed.notify_waiters();
        }
    }

    /// The request was refused because of the rate limit.
    pub(super) fn refused(mut self, retry_after: Option<Duration>, allowances: &[RateAllowance]) {
        if let Some(stamp) = self.stamp.take() {
            self.pacer.limiter().refused(Instant::now().into_std(), stamp, retry_after, allowances);
            self.pacer.changed.notify_waiters();
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.stamp.take().is_some() {
            self.pacer.limiter().lost();
            self.pacer.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(remaining: u64, reset: u64) -> [RateAllowance; 1] {
        [RateAllowance { policy: "default".into(), remaining, reset: Duration::from_secs(reset), quota: Some(1200) }]
    }

    fn even(at_most: Duration) -> AdmitRequest {
        AdmitRequest { pace: Pace::Even, at_most, status: None, attempt: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_delays_every_request_until_its_time() {
        let pacer = Pacer::new(Notices::new());
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        pacer.admit(even(minute)).await.unwrap().refused(Some(Duration::from_secs(30)), &[]);
        let probe = pacer.admit(even(minute)).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30);
        probe.answered(&left(1000, 300));
        pacer.admit(even(minute)).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn too_long_wait_fails_immediately() {
        let pacer = Pacer::new(Notices::new());
        let start = Instant::now();
        pacer.admit(even(Duration::ZERO)).await.unwrap().refused(Some(Duration::from_secs(30)), &[]);
        let error = pacer.admit(even(Duration::from_secs(29))).await.unwrap_err();
        assert_eq!(error.wait, Duration::from_secs(30));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_announced_while_it_lasts() {
        let notices = Notices::new();
        let mut watched = notices.watch();
        let pacer = Pacer::new(notices);
        pacer.admit(even(Duration::ZERO)).await.unwrap().refused(Some(Duration::from_secs(9)), &[]);
        let (admitted, seen) = tokio::join!(pacer.admit(even(Duration::from_secs(10))), async {
            watched.changed().await.unwrap();
            *watched.borrow_and_update()
        });
        admitted.unwrap();
        assert_eq!(seen.unwrap().why, super::super::WaitReason::RateLimit);
        assert_eq!(*watched.borrow(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_request_frees_its_place() {
        let pacer = Pacer::new(Notices::new());
        let minute = Duration::from_secs(60);
        pacer.admit(even(minute)).await.unwrap().refused(Some(Duration::from_secs(1)), &[]);
        let probe = pacer.admit(even(minute)).await.unwrap();
        let (_, next) = tokio::join!(
            async {
                tokio::task::yield_now().await;
                drop(probe);
            },
            pacer.admit(even(minute))
        );
        assert!(next.is_ok());
    }
}
