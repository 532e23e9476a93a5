//! The rules of pacing as a state machine. Its inputs are answers and their times; it neither waits nor looks at
//! a clock.
//!
//! At full speed while there is room; what is left of a quota after that is spread over the time it has to last; a
//! refusal holds everything until the time it names. After such a stop one request goes ahead alone, to learn what
//! the others may do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::headers::RateAllowance;
use super::super::notice::WaitReason;

/// The most requests sent within any second: the API takes 200 from one address, and the way there can press two
/// seconds' requests together.
const MOST_PER_SECOND: usize = 190;
const SECOND: Duration = Duration::from_secs(1);
/// The headers give whole seconds, and do not say whether they are rounded up or down.
const ROUNDING: Duration = Duration::from_secs(1);
/// The longest wait that the limiter makes up by itself.
const LONGEST: Duration = Duration::from_secs(60);

/// How a request behaves where the quota runs low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Pace {
    /// It keeps its place in the row.
    Even,
    /// It goes while any quota is left: its meaning ages while it waits.
    Pressing,
}

/// What a request is to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Admission {
    /// Go; the stamp comes back with the answer.
    Go(Stamp),
    /// Ask again then.
    Wait {
        /// The time to ask again.
        until: Instant,
        /// Why it takes so long.
        why: WaitReason,
    },
    /// Ask again when the next answer has come.
    AwaitAnswer,
}

/// What was known when a request was sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamp {
    sent_at: Instant,
    settled_before: u64,
}

/// What is known of the limits.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    quotas: Vec<Quota>,
    /// No request before this time.
    held_until: Option<Instant>,
    /// Nothing is known since the hold ended: one request at a time.
    probing: bool,
    sent: u64,
    /// Requests that were answered or lost.
    settled: u64,
    last_sent: Option<Instant>,
    /// The latest requests' times, at most [`MOST_PER_SECOND`].
    recent: VecDeque<Instant>,
    last_refused: Option<Instant>,
    /// Refusals in a row, each after the hold of the one before.
    refusals: u32,
}

/// What is left of one policy's quota.
#[derive(Debug)]
struct Quota {
    policy: String,
    /// Requests that may still be sent: those on their way are taken off already.
    left: u64,
    /// When it is renewed at the latest.
    renewed_at: Instant,
    /// From here on down, what is left is spread.
    reserve: u64,
}

impl Limiter {
    /// Whether a request may go now. If so, it counts as sent.
    pub(super) fn turn(&mut self, now: Instant, pace: Pace) -> Admission {
        if let Some(until) = self.held_until {
            if now < until {
                return Admission::Wait { until, why: WaitReason::RateLimit };
            }
            self.held_until = None;
            self.probing = true;
        }
        if self.probing && self.on_their_way() > 0 {
            return Admission::AwaitAnswer;
        }
        for quota in &self.quotas {
            let spread = quota.left <= quota.reserve;
            if now >= quota.renewed_at {
                if quota.left == 0 && self.on_their_way() > 0 {
                    return Admission::AwaitAnswer;
                }
            } else if quota.left == 0 {
                return Admission::Wait { until: quota.renewed_at, why: WaitReason::RateLimit };
            } else if spread
                && pace == Pace::Even
                && let Some(until) = quota.next_in_row(self.last_sent).filter(|until| now < *until)
            {
                return Admission::Wait { until, why: WaitReason::Pacing };
            }
        }
        if let Some(until) = self.room_this_second(now) {
            return Admission::Wait { until, why: WaitReason::Pacing };
        }
        Admission::Go(self.send(now))
    }

    /// An answer came that was no refusal for the limit's sake.
    pub(super) fn answered(&mut self, now: Instant, stamp: Stamp, allowances: &[RateAllowance]) {
        self.settled += 1;
        self.probing = false;
        self.refusals = 0;
        // The server may or may not have counted these when it wrote the answer.
        let beside = (self.sent - 1).saturating_sub(stamp.settled_before);
        let on_their_way = self.on_their_way();
        // A policy that is no longer told of is forgotten once its time is over.
        let told = |quota: &Quota| allowances.iter().any(|allowance| allowance.policy == quota.policy);
        self.quotas.retain(|quota| now < quota.renewed_at || told(quota));
        for allowance in allowances {
            let least = allowance.remaining.saturating_sub(beside);
            let most = allowance.remaining.saturating_sub(on_their_way);
            let renewed_at = now + allowance.reset + ROUNDING;
            let whole = allowance.quota.unwrap_or(allowance.remaining);
            match self.quotas.iter_mut().find(|quota| quota.policy == allowance.policy) {
                Some(quota) => {
                    quota.left = quota.left.max(least).min(most);
                    quota.renewed_at = renewed_at;
                    quota.reserve = quota.reserve.max(reserve(whole));
                }
                None => {
                    let policy = allowance.policy.clone();
                    self.quotas.push(Quota { policy, left: least, renewed_at, reserve: reserve(whole) });
                }
            }
        }
    }

    /// A request was refused for the limit's sake.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        stamp: Stamp,
        retry_after: Option<Duration>,
        allowances: &[RateAllowance],
    ) {
        self.settled += 1;
        if self.last_refused.is_none_or(|before| stamp.sent_at >= before) {
            self.refusals = self.refusals.saturating_add(1);
        }
        self.last_refused = Some(now);
        let asked = retry_after.or_else(|| allowances.iter().map(|allowance| allowance.reset).max());
        // A server that asks for no wait and refuses again is not believed a second time.
        let own = |first: Duration, step: u32| first.saturating_mul(1 << step.min(16)).min(LONGEST);
        let wait = match asked {
            Some(asked) if self.refusals > 1 => asked.max(own(Duration::from_millis(100), self.refusals - 2)),
            Some(asked) => asked,
            None => own(SECOND, self.refusals.saturating_sub(1)),
        };
        self.held_until = self.held_until.max(Some(now + wait));
        // Whatever was known of the quotas has proved wrong.
        self.quotas.clear();
    }

    /// A request came to no answer.
    pub(super) fn lost(&mut self) {
        self.settled += 1;
    }

    fn on_their_way(&self) -> u64 {
        self.sent.saturating_sub(self.settled)
    }

    /// When there is room again, if there is none now.
    fn room_this_second(&self, now: Instant) -> Option<Instant> {
        let full = self.recent.len() >= MOST_PER_SECOND;
        self.recent.front().filter(|_| full).map(|oldest| *oldest + SECOND).filter(|until| now < *until)
    }

    fn send(&mut self, now: Instant) -> Stamp {
        self.sent += 1;
        self.last_sent = Some(now);
        if self.recent.len() >= MOST_PER_SECOND {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        for quota in &mut self.quotas {
            quota.left = quota.left.saturating_sub(1);
        }
        Stamp { sent_at: now, settled_before: self.settled }
    }
}

impl Quota {
    /// When the next request goes, if what is left is spread evenly from the last one to the renewal.
    fn next_in_row(&self, last_sent: Option<Instant>) -> Option<Instant> {
        let last = last_sent?;
        let steps = u32::try_from(self.left).unwrap_or(u32::MAX).saturating_add(1);
        Some(last + self.renewed_at.saturating_duration_since(last) / steps)
    }
}

/// How much of a quota is kept for spreading.
fn reserve(whole: u64) -> u64 {
    (whole / 10).clamp(1, 100)
}

#[cfg(test)]
mod tests;
