//! Tells whoever shows progress that the client is waiting, for how long and why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

/// A wait that somebody watching might wonder about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When it ends.
    pub until: Instant,
    /// What for.
    pub why: WaitReason,
}

/// Why the client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The API allows no request before.
    RateLimit,
    /// What is left of the rate limit is spread over the time it has to last.
    Pacing,
    /// The API could not be reached, or failed, and is asked again.
    Retry,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RateLimit => "rate limit",
            Self::Pacing => "pacing, to stay within the rate limit",
            Self::Retry => "trying again",
        })
    }
}

/// All waits under way. What is published is the one that ends last.
#[derive(Clone, Debug)]
pub(super) struct Notices(Arc<Board>);

#[derive(Debug)]
struct Board {
    waits: Mutex<Waits>,
    published: watch::Sender<Option<Wait>>,
}

#[derive(Debug, Default)]
struct Waits {
    next: u64,
    under_way: BTreeMap<u64, Wait>,
}

impl Notices {
    pub(super) fn new() -> Self {
        Self(Arc::new(Board { waits: Mutex::default(), published: watch::Sender::new(None) }))
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Wait>> {
        self.0.published.subscribe()
    }

    /// Announces a wait, until the answer is dropped.
    pub(super) fn announce(&self, wait: Wait) -> Announced {
        let key = self.change(|waits| {
            let key = waits.next;
            waits.next += 1;
            waits.under_way.insert(key, wait);
            key
        });
        Announced { notices: self.clone(), key }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waits) -> T) -> T {
        let mut waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut waits);
        let last = waits.under_way.values().max_by_key(|wait| wait.until).copied();
        self.0.published.send_if_modified(|published| std::mem::replace(published, last) != last);
        answer
    }
}

/// A wait that is announced while this lives.
#[derive(Debug)]
pub(super) struct Announced {
    notices: Notices,
    key: u64,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.notices.change(|waits| waits.under_way.remove(&self.key));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_wait_that_ends_last_is_shown_until_none_is_left() {
        let notices = Notices::new();
        let shown = notices.watch();
        let now = Instant::now();
        let short = Wait { until: now + Duration::from_secs(1), why: WaitReason::Retry };
        let long = Wait { until: now + Duration::from_secs(9), why: WaitReason::RateLimit };
        let first = notices.announce(long);
        let second = notices.announce(short);
        assert_eq!(*shown.borrow(), Some(long));
        drop(first);
        assert_eq!(*shown.borrow(), Some(short));
        drop(second);
        assert_eq!(*shown.borrow(), None);
    }
}
