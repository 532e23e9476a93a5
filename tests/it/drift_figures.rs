//! The requests of `drift` about unexpected members, and its metrics for Prometheus.

use convoke::sandbox::Seed;

use crate::harness::{World, admins, given, nothing};

fn metric<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

fn figures(world: &World) -> String {
    world.read("convoke.prom")
}

#[test]
fn only_unexpected_members_are_looked_up() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    let drift = world.run("drift --format json").exits(2);
    assert_eq!(world.account().requests().iter().filter(|request| request.member.is_some()).count(), 1);
    let changes = drift.json()["groups"][0]["changes"].clone();
    assert_eq!(changes[0].get("added_at"), None, "{changes}");
    assert!(changes[1]["added_at"].is_string(), "{changes}");
    world.run("drift").exits(2).says("unexpected mallory@example.com          added 20");
    world.run("drift --format markdown").exits(2).says(", added 20");
}

#[test]
fn account_in_sync_costs_no_extra_request() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "mallory@example.com"])]);
    world.run("drift").exits(0);
    assert_eq!(world.request_count(), 2);
}

#[test]
fn metrics_report_the_findings() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    let quiet = world.run("drift --quiet --metrics-file convoke.prom").exits(2);
    assert!(quiet.stdout.contains("unexpected mallory@example.com"), "{quiet}");
    let figures = figures(&world);
    assert_eq!(metric(&figures, "convoke_drift_success"), "1");
    assert_eq!(metric(&figures, "convoke_drift_exit_code"), "2");
    assert_eq!(metric(&figures, "convoke_drift_memberships"), "2");
    assert_eq!(metric(&figures, "convoke_drift_differences{kind=\"missing\"}"), "1");
    assert_eq!(metric(&figures, "convoke_drift_differences{kind=\"unexpected\"}"), "1");
    assert_eq!(metric(&figures, "convoke_drift_requests"), world.request_count().to_string());
}

#[test]
fn held_member_counts_as_unexpected_and_as_held() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "nobody@example.com"])]);
    world.run("drift --metrics-file convoke.prom").exits(3).says("Drift: 0 missing, 1 unexpected, 0 expired");
    let figures = figures(&world);
    for name in ["convoke_drift_differences{kind=\"unexpected\"}", "convoke_drift_differences{kind=\"held\"}"] {
        assert_eq!(metric(&figures, name), "1", "{figures}");
    }
}

#[test]
fn failed_run_writes_metrics() {
    let world = given(Seed::default()).file("convoke.yaml", "version: 2\n");
    world.run("drift --metrics-file convoke.prom").exits(65);
    assert_eq!(metric(&figures(&world), "convoke_drift_success"), "0");
    assert_eq!(metric(&figures(&world), "convoke_drift_exit_code"), "65");
}

#[cfg(unix)]
#[test]
fn metrics_are_public_and_replaced_atomically() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "mallory@example.com"])]);
    world.write("convoke.prom", "old");
    world.run("drift --metrics-file convoke.prom").exits(0);
    assert!(!figures(&world).contains("old"));
    assert_eq!(world.path("convoke.prom").metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn unwritable_metrics_fail_the_run() {
    let world = nothing().file("convoke.yaml", "version: 1\ngroups: {}\n").file("seed.yaml", "version: 1\n");
    world
        .run("drift --sandbox seed.yaml --metrics-file nowhere/convoke.prom")
        .exits(1)
        .warns("cannot be written")
        .warns("create the folder nowhere");
}
