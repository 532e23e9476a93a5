//! Reports that the client waits, for how long and why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::error::ApiErrorKind;

/// A wait that is worth reporting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub until: Instant,
    pub why: WaitReason,
    /// The status of the answer that caused the wait.
    pub status: Option<u16>,
    /// The number of attempts so far.
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
    /// The API allows no earlier request.
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

/// All current waits. The one that ends last is published.
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

    /// Announces a wait until the returned value is dropped.
    pub(super) fn announce(&self, wait: Wait) -> AnnouncedWait {
        let key = self.change(|waits| {
            let key = waits.next;
            waits.next += 1;
            waits.under_way.insert(key, wait);
            key
        });
        AnnouncedWait { notices: self.clone(), key }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waits) -> T) -> T {
        let mut waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut waits);
        let last = waits.under_way.values().max_by_key(|wait| wait.until).copied();
        self.0.published.send_if_modified(|published| std::mem::replace(published, last) != last);
        answer
    }
}

/// A wait that is announced while this value lives.
#[derive(Debug)]
pub(super) struct AnnouncedWait {
    notices: Notices,
    key: u64,
}

impl Drop for AnnouncedWait {
    fn drop(&mut self) {
        self.notices.change(|waits| waits.under_way.remove(&self.key));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn longest_wait_is_shown_until_all_end() {
        let notices = Notices::new();
        let shown = notices.watch();
        let now = Instant::now();
        let wait = |seconds, why| Wait { until: now + Duration::from_secs(seconds), why, status: None, attempt: 1 };
        let short = wait(1, WaitReason::NewToken);
        let long = wait(9, WaitReason::RateLimit);
        let first = notices.announce(long);
        let second = notices.announce(short);
        assert_eq!(*shown.borrow(), Some(long));
        drop(first);
        assert_eq!(*shown.borrow(), Some(short));
        drop(second);
        assert_eq!(*shown.borrow(), None);
    }
}
