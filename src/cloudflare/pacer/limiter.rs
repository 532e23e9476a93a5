//! The rules of pacing as a state machine. Its inputs are answers and their times. It does not wait and does not read
//! a clock.
//!
//! Requests go at full speed while there is quota. The last part of a quota is spread over the remaining time. A
//! refusal stops all requests until the time that it names. After such a stop, one request goes alone, to learn the
//! new limits.

// The API counts requests for a user, not for a connection, and says how many are left only in answers. Between a
// request and its answer the true number is unknown: other programs may have used some, and requests of this client are
// on their way. So the limiter keeps a lower estimate. It subtracts each request when it is sent, and an answer may
// raise the estimate only to what is left if the server had counted none of the requests that were in flight.

use std::time::{Duration, Instant};

use super::super::http::RateAllowance;
use super::WaitReason;

/// The maximum number of requests within any second. The API allows 200 from one address, and delays on the network
/// can compress two seconds' requests into one.
const MOST_PER_SECOND: usize = 190;
const SECOND: Duration = Duration::from_secs(1);
/// The headers have whole seconds and do not say how they are rounded.
const ROUNDING: Duration = Duration::from_secs(1);
/// The longest wait that the limiter chooses by itself.
const LONGEST: Duration = Duration::from_secs(60);

/// How a request behaves if the quota is low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Pace {
    /// It waits for its place in the sequence.
    Even,
    /// It is sent while any quota is left, because it becomes outdated while it waits.
    Pressing,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Admission {
    /// Send the request; the stamp is returned with the answer.
    Go(Stamp),
    Wait {
        until: Instant,
        why: WaitReason,
    },
    /// Ask again when the next answer has arrived.
    AwaitAnswer,
}

/// What was known when a request was sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamp {
    sent_at: Instant,
    settled_before: u64,
}

#[derive(Debug, Default)]
pub(super) struct Limiter {
    quotas: Vec<Quota>,
    /// No request may be sent before this time.
    held_until: Option<Instant>,
    /// Nothing is known since the stop ended, so only one request may be in flight.
    probing: bool,
    sent: u64,
    /// Requests that were answered or lost.
    settled: u64,
    last_sent: Option<Instant>,
    /// The times of the requests within the last second.
    recent: Vec<Instant>,
    last_refused: Option<Instant>,
    /// Refusals in a row, each after the stop of the previous one.
    refusals: u32,
}

#[derive(Debug)]
struct Quota {
    policy: String,
    /// Requests that may still be sent. Requests in flight are already subtracted.
    left: u64,
    /// The latest time at which the quota is renewed.
    renewed_at: Instant,
    /// At or below this number, the remaining quota is spread.
    reserve: u64,
}

impl Limiter {
    /// Whether a request may be sent now. If so, it counts as sent.
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
        self.recent.retain(|sent| now < *sent + SECOND);
        if self.recent.len() >= MOST_PER_SECOND
            && let Some(oldest) = self.recent.first()
        {
            return Admission::Wait { until: *oldest + SECOND, why: WaitReason::Pacing };
        }
        Admission::Go(self.send(now))
    }

    /// Records an answer that is not a rate-limit refusal.
    pub(super) fn answered(&mut self, now: Instant, stamp: Stamp, allowances: &[RateAllowance]) {
        self.settled += 1;
        self.probing = false;
        self.refusals = 0;
        // The answer says what was left when the server wrote it. Requests that were in flight then may or may not be
        // counted in it. `least` assumes that none of them is, `most` that all are which have been answered since. The own
        // estimate counts as far as it lies between the two.
        let beside = (self.sent - 1).saturating_sub(stamp.settled_before);
        let on_their_way = self.on_their_way();
        // A policy that answers no longer mention is forgotten when its time is over.
        let is_mentioned = |quota: &Quota| allowances.iter().any(|allowance| allowance.policy == quota.policy);
        self.quotas.retain(|quota| now < quota.renewed_at || is_mentioned(quota));
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

    /// Records a refusal because of the rate limit.
    pub(super) fn refused(&mut self, now: Instant, stamp: Stamp, retry_after: Option<Duration>) {
        self.settled += 1;
        // Refusals of requests that were sent before the last refusal arrived say nothing new: a burst that hits the
        // limit is one refusal, however many of its requests are refused.
        if self.last_refused.is_none_or(|before| stamp.sent_at >= before) {
            self.refusals = self.refusals.saturating_add(1);
        }
        self.last_refused = Some(now);
        // If a server refuses again after the wait that it requested, use a longer wait.
        let own = |first: Duration, step: u32| first.saturating_mul(1 << step.min(16)).min(LONGEST);
        let wait = match retry_after {
            Some(asked) if self.refusals > 1 => asked.max(own(Duration::from_millis(100), self.refusals - 2)),
            Some(asked) => asked,
            None => own(SECOND, self.refusals.saturating_sub(1)),
        };
        self.held_until = self.held_until.max(Some(now + wait));
        // The refusal shows that the known quotas are wrong.
        self.quotas.clear();
    }

    pub(super) fn lost(&mut self) {
        self.settled += 1;
    }

    fn on_their_way(&self) -> u64 {
        self.sent.saturating_sub(self.settled)
    }

    fn send(&mut self, now: Instant) -> Stamp {
        self.sent += 1;
        self.last_sent = Some(now);
        self.recent.push(now);
        for quota in &mut self.quotas {
            quota.left = quota.left.saturating_sub(1);
        }
        Stamp { sent_at: now, settled_before: self.settled }
    }
}

impl Quota {
    /// When the next request may be sent, if the remaining quota is spread evenly until the renewal.
    fn next_in_row(&self, last_sent: Option<Instant>) -> Option<Instant> {
        let last = last_sent?;
        let steps = u32::try_from(self.left).unwrap_or(u32::MAX).saturating_add(1);
        Some(last + self.renewed_at.saturating_duration_since(last) / steps)
    }
}

/// The part of a quota that is spread.
fn reserve(whole: u64) -> u64 {
    (whole / 10).clamp(1, 100)
}

#[cfg(test)]
mod tests;
