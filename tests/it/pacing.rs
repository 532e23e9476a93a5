//! The rate limit: never more requests than it allows, and at most one refusal if others use it too.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use convoke::sandbox::{Delay, Endpoint, Fault, FaultRule, Match, RateLimit, Seed};

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, in_sync};

/// Enough groups for three windows of the limit below.
const GROUPS: usize = 100;

/// A limit that is renewed every second.
const fn limit(spent: u32) -> RateLimit {
    RateLimit { requests: 40, window: Delay(Duration::from_secs(1)), spent }
}

/// The number of requests that the rate limit refused.
fn refused(world: &World) -> usize {
    world.account().requests().iter().filter(|request| request.status_sent == Some(429)).count()
}

#[test]
fn requests_are_spread_over_several_windows() {
    for concurrency in [1, 8, 32] {
        let world = in_sync(&[1; GROUPS], |seed| Seed { rate_limit: Some(limit(0)), ..seed });
        world.run(&format!("plan --concurrency {concurrency}")).exits(0).says("No changes. 100 groups in sync.");
        assert_eq!((refused(&world), world.request_count()), (0, 1 + GROUPS), "concurrency {concurrency}");
    }
}

#[test]
fn rate_limit_windows_of_any_length_are_respected() {
    let limit = RateLimit { window: Delay(Duration::from_secs(4)), ..limit(0) };
    let world = in_sync(&[1; 50], |seed| Seed { rate_limit: Some(limit), ..seed });
    world.run("plan").exits(0).says("No changes. 50 groups in sync.");
    assert_eq!((refused(&world), world.request_count()), (0, 1 + 50));
}

#[test]
fn two_runs_share_one_budget() {
    let world = in_sync(&[1; GROUPS], |seed| Seed { rate_limit: Some(limit(0)), ..seed });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| world.run("plan").exits(0).says("No changes. 100 groups in sync."));
        }
    });
    assert_eq!(world.request_count(), 2 * (1 + GROUPS) + refused(&world));
}

#[test]
fn long_waits_are_logged_without_a_terminal() {
    let world = in_sync(&[1; GROUPS], |seed| seed.fault(FaultRule::always(Match::any(), Fault::rate_limited(250))));
    let logged = |options: &[&str]| {
        let mut command = world.process();
        let mut run = command.arg("plan").args(options).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(run.stderr.take().unwrap()).read_line(&mut line).unwrap();
        run.kill().unwrap();
        run.wait().unwrap();
        line
    };
    let line = logged(&[]);
    let expected =
        "WARN rate limit: trying again in 250.0 s operation=list the account's user groups status=429 attempt=1";
    assert!(line.contains(expected), "{line:?}");
    let line = logged(&["--log-format", "json"]);
    let log: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(log["fields"]["message"], "rate limit: trying again in 250.0 s", "{line:?}");
    assert_eq!((&log["fields"]["status"], &log["fields"]["attempt"]), (&429.into(), &1.into()), "{line:?}");
}

#[test]
fn spent_budget_costs_one_refusal() {
    let world = in_sync(&[1; GROUPS], |seed| Seed { rate_limit: Some(limit(40)), ..seed });
    world.run("plan").exits(0).says("No changes. 100 groups in sync.");
    assert_eq!((refused(&world), world.request_count()), (1, 1 + 1 + GROUPS));
}

#[test]
fn only_the_refused_request_is_repeated() {
    let amid = Match::operation(Endpoint::ListMembers).nth(30);
    let world = in_sync(&[1; GROUPS], |seed| seed.fault(FaultRule::once(amid, Fault::rate_limited(1))));
    world.run("plan --concurrency 8").exits(0).says("No changes. 100 groups in sync.");
    assert_eq!((refused(&world), world.request_count()), (1, 1 + 1 + GROUPS));
}

#[test]
fn too_long_refusal_ends_the_run_immediately() {
    let world = in_sync(&[1; GROUPS], |seed| seed.fault(FaultRule::always(Match::any(), Fault::rate_limited(250))));
    let outcome = world.run("plan --max-wait 2s").exits(69);
    assert!(outcome.stderr.contains("250"), "{outcome}");
    assert_eq!(world.request_count(), 1);
}
