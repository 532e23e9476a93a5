//! Waits between attempts: growing, with jitter, and limited in total.

use std::time::{Duration, Instant};

/// The first wait, unless the total is too short for it.
const FIRST: Duration = Duration::from_millis(250);
/// The longest single wait, unless the server asks for a longer one.
const LONGEST: Duration = Duration::from_secs(30);

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

/// The remaining time that one call may spend on waits and retries.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    max_wait: Duration,
    since: Option<Instant>,
}

impl Patience {
    pub(super) fn new(max_wait: Duration) -> Self {
        Self { max_wait, since: None }
    }

    /// Starts the clock at `now`, unless it is running.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn left(&self, now: Instant) -> Duration {
        self.max_wait.saturating_sub(self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn little_patience_gives_short_waits() {
        let mut backoff = Backoff::within(Duration::from_millis(320));
        assert!(backoff.next() <= Duration::from_millis(10));
        assert_eq!(Backoff::within(Duration::ZERO).next(), Duration::ZERO);
    }

    #[test]
    fn patience_runs_from_the_first_wait() {
        let start = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(10));
        assert_eq!(patience.left(start + Duration::from_secs(60)), Duration::from_secs(10));
        patience.begin(start);
        patience.begin(start + Duration::from_secs(1));
        assert_eq!(patience.left(start + Duration::from_secs(4)), Duration::from_secs(6));
        assert_eq!(patience.left(start + Duration::from_secs(60)), Duration::ZERO);
    }
}
