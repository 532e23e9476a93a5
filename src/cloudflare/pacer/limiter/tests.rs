//! Tests pacing against simulated servers in virtual time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn allowance(remaining: u64, reset: u64) -> [RateAllowance; 1] {
    [RateAllowance { policy: "default".into(), remaining, reset: seconds(reset), quota: Some(1200) }]
}

fn go(limiter: &mut Limiter, now: Instant) -> Stamp {
    match limiter.turn(now, Pace::Even) {
        Admission::Go(stamp) => stamp,
        other => panic!("{other:?}"),
    }
}

fn wait(limiter: &mut Limiter, now: Instant) -> Duration {
    match limiter.turn(now, Pace::Even) {
        Admission::Wait { until, .. } => until - now,
        other => panic!("{other:?}"),
    }
}

/// A server that grants `quota` requests in each window.
struct Server {
    quota: u64,
    window: Duration,
    round_up: bool,
    start: Instant,
    used: BTreeMap<u32, u64>,
    refusals: u64,
}

type Reply = (Option<Duration>, [RateAllowance; 1]);

impl Server {
    fn serve(&mut self, now: Instant) -> Reply {
        let number = u32::try_from((now - self.start).as_nanos() / self.window.as_nanos()).unwrap();
        let left = self.start + self.window * (number + 1) - now;
        let reported = if self.round_up { left.as_secs() + u64::from(left.subsec_nanos() > 0) } else { left.as_secs() };
        let used = self.used.entry(number).or_default();
        let refused = *used >= self.quota;
        *used += u64::from(!refused);
        self.refusals += u64::from(refused);
        let allowance = RateAllowance {
            policy: "default".into(),
            remaining: self.quota - *used,
            reset: seconds(reported),
            quota: Some(self.quota),
        };
        (refused.then_some(left), [allowance])
    }
}

/// Sends `total` requests, `concurrency` at a time. The server handles each after half of the latency. Returns the
/// total time.
fn run(server: &mut Server, total: usize, concurrency: usize, latency: Duration) -> Duration {
    let mut limiter = Limiter::default();
    let mut now = server.start;
    let mut done = 0;
    // Requests in flight: first until the server handles them, then until the answer arrives.
    let mut under_way: Vec<(Instant, Stamp, Option<Reply>)> = Vec::new();
    while done < total {
        let mut wake = None;
        while under_way.len() < concurrency.min(total - done) {
            match limiter.turn(now, Pace::Even) {
                Admission::Go(stamp) => under_way.push((now + latency / 2, stamp, None)),
                Admission::Wait { until, .. } => {
                    wake = Some(until);
                    break;
                }
                Admission::AwaitAnswer => break,
            }
        }
        let next = under_way.iter().map(|(time, ..)| *time).chain(wake).min().expect("something to wait for");
        now = now.max(next);
        let (due, rest): (Vec<_>, Vec<_>) = under_way.into_iter().partition(|(time, ..)| *time <= now);
        under_way = rest;
        for (time, stamp, reply) in due {
            match reply {
                None => under_way.push((time + latency / 2, stamp, Some(server.serve(time)))),
                Some((None, allowances)) => {
                    limiter.answered(now, stamp, &allowances);
                    done += 1;
                }
                Some((Some(retry_after), _)) => limiter.refused(now, stamp, Some(retry_after)),
            }
        }
    }
    now - server.start
}

fn server(quota: u64, window: u64, round_up: bool) -> Server {
    Server { quota, window: seconds(window), round_up, start: Instant::now(), used: BTreeMap::new(), refusals: 0 }
}

#[test]
fn a_small_quota_is_never_overrun() {
    for round_up in [true, false] {
        for concurrency in [1, 4, 16] {
            let mut server = server(40, 4, round_up);
            let took = run(&mut server, 100, concurrency, Duration::from_millis(50));
            assert_eq!(server.refusals, 0, "round up: {round_up}, concurrency: {concurrency}");
            // At least two windows have to pass.
            assert!(took >= seconds(8) && took < seconds(14), "{took:?}");
        }
    }
}

#[test]
fn foreign_use_of_the_quota_costs_one_refusal() {
    let mut server = server(40, 4, true);
    server.used.insert(0, 40);
    let took = run(&mut server, 30, 1, Duration::from_millis(50));
    assert_eq!(server.refusals, 1);
    assert!(took < seconds(7), "{took:?}");
}

#[test]
fn requests_below_the_limit_do_not_wait() {
    let mut server = server(1200, 300, true);
    let took = run(&mut server, 160, 16, Duration::from_millis(100));
    assert_eq!(took, seconds(1));
}

#[test]
fn requests_per_second_never_exceed_the_limit() {
    let mut limiter = Limiter::default();
    let start = Instant::now();
    for _ in 0..MOST_PER_SECOND {
        go(&mut limiter, start);
    }
    assert_eq!(wait(&mut limiter, start), SECOND);
    go(&mut limiter, start + SECOND);
}

#[test]
fn requests_in_flight_reduce_the_quota() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    let first = go(&mut limiter, now);
    for _ in 0..10 {
        go(&mut limiter, now);
    }
    limiter.answered(now, first, &allowance(10, 30));
    assert_eq!(wait(&mut limiter, now), seconds(31));
}

#[test]
fn low_quota_is_spread_except_for_pressing_requests() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    let stamp = go(&mut limiter, now);
    limiter.answered(now, stamp, &allowance(9, 29));
    assert_eq!(wait(&mut limiter, now), seconds(3));
    assert!(matches!(limiter.turn(now, Pace::Pressing), Admission::Go(_)));
    go(&mut limiter, now + seconds(4));
}

#[test]
fn waits_after_refusals_without_time_grow() {
    let mut limiter = Limiter::default();
    let mut now = Instant::now();
    for expected in [1, 2, 4, 8] {
        let stamp = go(&mut limiter, now);
        limiter.refused(now, stamp, None);
        assert_eq!(wait(&mut limiter, now), seconds(expected));
        now += seconds(expected);
    }
}

#[test]
fn refusals_of_requests_sent_together_count_once() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    let stamps: Vec<_> = (0..8).map(|_| go(&mut limiter, now)).collect();
    for (step, stamp) in (1..).zip(stamps) {
        limiter.refused(now + Duration::from_millis(step), stamp, None);
    }
    assert_eq!(wait(&mut limiter, now + Duration::from_millis(8)), seconds(1));
}

#[test]
fn zero_retry_after_still_waits() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    for _ in 0..2 {
        let stamp = go(&mut limiter, now);
        limiter.refused(now, stamp, Some(Duration::ZERO));
    }
    assert_eq!(wait(&mut limiter, now), Duration::from_millis(100));
}

#[test]
fn one_request_probes_after_a_stop() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    let stamp = go(&mut limiter, now);
    limiter.refused(now, stamp, Some(seconds(5)));
    let later = now + seconds(5);
    let probe = go(&mut limiter, later);
    assert_eq!(limiter.turn(later, Pace::Even), Admission::AwaitAnswer);
    limiter.answered(later, probe, &[]);
    go(&mut limiter, later);
    go(&mut limiter, later);
}

#[test]
fn unmentioned_policy_is_forgotten() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    let stamp = go(&mut limiter, now);
    limiter.answered(now, stamp, &allowance(0, 3));
    assert_eq!(wait(&mut limiter, now), seconds(4));
    let later = now + seconds(4);
    let stamp = go(&mut limiter, later);
    assert_eq!(limiter.turn(later, Pace::Even), Admission::AwaitAnswer);
    limiter.answered(later, stamp, &[]);
    go(&mut limiter, later);
    go(&mut limiter, later);
}

proptest! {
    #[test]
    fn any_fixed_window_is_kept(
        quota in 5_u64..60,
        window in 2_u64..8,
        round_up: bool,
        concurrency in 1_usize..20,
        latency in 2_u64..400,
        total in 1_usize..200,
    ) {
        // A burst before the first answer cannot know that it is too large.
        prop_assume!(concurrency as u64 <= quota);
        let mut server = server(quota, window, round_up);
        run(&mut server, total, concurrency, Duration::from_millis(latency));
        prop_assert_eq!(server.refusals, 0);
    }
}
