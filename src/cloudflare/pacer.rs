//! Decides when the next request may be sent, for all requests of a client, and reports waits.

mod limiter;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::limiter::{Admission, Limiter, Stamp};
use super::error::ApiErrorKind;
use super::http::RateAllowance;

pub(super) use self::limiter::Pace;

/// Admits requests one by one, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    limiter: Mutex<Limiter>,
    /// The request that holds the lock is next.
    turnstile: tokio::sync::Mutex<()>,
    /// Notifies when new information about the limits arrives.
    changed: Notify,
    pub(super) waits: watch::Sender<Vec<Wait>>,
}

impl Pacer {
    /// Admits a request when its time has come. The status and the number of the attempt are for notices.
    ///
    /// # Errors
    ///
    /// If the request would have to wait longer than `at_most`: that wait.
    pub(super) async fn admit(
        &self,
        pace: Pace,
        at_most: Duration,
        status: Option<u16>,
        attempt: u32,
    ) -> Result<Ticket<'_>, Duration> {
        let asked = Instant::now();
        // One request at a time asks the limiter; the others queue at the lock, which is fair. Otherwise requests that
        // wake up together after a wait would overtake those that asked earlier. `notified` is called before the limiter
        // is asked, so that an answer that arrives in between wakes this request.
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
                        return Err(wait);
                    }
                    waited = true;
                    let _announced = self.announce(Wait { until, why, status, attempt });
                    let _either = tokio::time::timeout_at(Instant::from_std(until), changed).await;
                }
                Admission::AwaitAnswer => {
                    waited = true;
                    if tokio::time::timeout(left, changed).await.is_err() {
                        return Err(left);
                    }
                }
            }
        }
    }

    /// Announces a wait until the returned value is dropped.
    pub(super) fn announce(&self, wait: Wait) -> AnnouncedWait<'_> {
        self.waits.send_modify(|waits| waits.push(wait));
        AnnouncedWait { pacer: self, wait }
    }

    pub(super) fn longest_wait(&self) -> Option<Wait> {
        self.waits.borrow().iter().max_by_key(|wait| wait.until).copied()
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
        self.settle(|limiter, stamp| limiter.answered(Instant::now().into_std(), stamp, allowances));
    }

    /// The request was refused because of the rate limit.
    pub(super) fn refused(mut self, retry_after: Option<Duration>) {
        self.settle(|limiter, stamp| limiter.refused(Instant::now().into_std(), stamp, retry_after));
    }

    fn settle(&mut self, record: impl FnOnce(&mut Limiter, Stamp)) {
        if let Some(stamp) = self.stamp.take() {
            record(&mut self.pacer.limiter(), stamp);
            self.pacer.changed.notify_waiters();
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.settle(|limiter, _| limiter.lost());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub until: std::time::Instant,
    pub why: WaitReason,
    /// The status of the answer that caused the wait.
    pub status: Option<u16>,
    pub attempt: u32,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.why)?;
        match (self.status, self.attempt) {
            (Some(status), attempt) => write!(f, " [status {status}, attempt {attempt}]"),
            (None, attempt) if attempt > 1 => write!(f, " [attempt {attempt}]"),
            (None, _) => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    RateLimit,
    /// The remaining quota is spread over the remaining time.
    Pacing,
    /// The API failed or could not be reached, and the request is repeated.
    Failed(ApiErrorKind),
    /// The API can refuse a new token for some seconds.
    NewToken,
    /// The API may not find the members of a new group for some seconds.
    NewGroup,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimit => f.pad("rate limit"),
            Self::Pacing => f.pad("pacing, to stay within the rate limit"),
            Self::Failed(kind) => kind.fmt(f),
            Self::NewToken => f.pad("the token is refused; a new token can need some seconds"),
            Self::NewGroup => f.pad("the group is not found; a new group can need some seconds"),
        }
    }
}

/// A wait that is announced while this value lives.
#[derive(Debug)]
pub(super) struct AnnouncedWait<'a> {
    pacer: &'a Pacer,
    wait: Wait,
}

impl Drop for AnnouncedWait<'_> {
    fn drop(&mut self) {
        self.pacer.waits.send_modify(|waits| {
            if let Some(place) = waits.iter().position(|wait| *wait == self.wait) {
                waits.remove(place);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(remaining: u64, reset: u64) -> [RateAllowance; 1] {
        [RateAllowance { policy: "default".into(), remaining, reset: Duration::from_secs(reset), quota: Some(1200) }]
    }

    async fn admitted(pacer: &Pacer, at_most: Duration) -> Result<Ticket<'_>, Duration> {
        pacer.admit(Pace::Even, at_most, None, 1).await
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_delays_every_request_until_its_time() {
        let pacer = Pacer::default();
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        admitted(&pacer, minute).await.unwrap().refused(Some(Duration::from_secs(30)));
        let probe = admitted(&pacer, minute).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30);
        probe.answered(&left(1000, 300));
        admitted(&pacer, minute).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn too_long_wait_fails_immediately() {
        let pacer = Pacer::default();
        let start = Instant::now();
        admitted(&pacer, Duration::ZERO).await.unwrap().refused(Some(Duration::from_secs(30)));
        let wait = admitted(&pacer, Duration::from_secs(29)).await.unwrap_err();
        assert_eq!(wait, Duration::from_secs(30));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_announced_while_it_lasts() {
        let pacer = Pacer::default();
        let mut watched = pacer.waits.subscribe();
        admitted(&pacer, Duration::ZERO).await.unwrap().refused(Some(Duration::from_secs(9)));
        let (admitted, seen) = tokio::join!(admitted(&pacer, Duration::from_secs(10)), async {
            watched.changed().await.unwrap();
            pacer.longest_wait()
        });
        admitted.unwrap();
        assert_eq!(seen.unwrap().why, WaitReason::RateLimit);
        assert_eq!(pacer.longest_wait(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_request_frees_its_place() {
        let pacer = Pacer::default();
        let minute = Duration::from_secs(60);
        admitted(&pacer, minute).await.unwrap().refused(Some(Duration::from_secs(1)));
        let probe = admitted(&pacer, minute).await.unwrap();
        let (_, next) = tokio::join!(
            async {
                tokio::task::yield_now().await;
                drop(probe);
            },
            admitted(&pacer, minute)
        );
        assert!(next.is_ok());
    }

    #[test]
    fn longest_wait_is_shown_until_all_end() {
        let pacer = Pacer::default();
        let now = std::time::Instant::now();
        let wait = |seconds, why| Wait { until: now + Duration::from_secs(seconds), why, status: None, attempt: 1 };
        let short = wait(1, WaitReason::NewToken);
        let long = wait(9, WaitReason::RateLimit);
        let first = pacer.announce(long);
        let second = pacer.announce(short);
        assert_eq!(pacer.longest_wait(), Some(long));
        drop(first);
        assert_eq!(pacer.longest_wait(), Some(short));
        drop(second);
        assert_eq!(pacer.longest_wait(), None);
    }
}
