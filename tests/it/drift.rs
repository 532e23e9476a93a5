//! `drift` on a schedule: its exit codes and its output.

use crate::builders::SeedExt as _;
use crate::harness::{admins, given};

#[test]
fn quiet_drift_in_sync_prints_nothing() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "mallory@example.com"])]);
    world.run("drift").exits(0).says("No drift. 1 group in sync.");
    let quiet = world.run("drift --quiet").exits(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn a_difference_exits_with_2_and_changes_nothing() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    let outcome = world.run("drift").exits(2);
    assert!(outcome.stdout.contains("missing    bob@example.com"), "{outcome}");
    assert!(outcome.stdout.contains("unexpected mallory@example.com"), "{outcome}");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn observed_differences_are_drift() {
    let observed = "version: 1\ngroups:\n  Admins:\n    mode: observe\n    members: [alice@example.com]\n";
    given(admins()).file("convoke.yaml", observed).run("drift").exits(2).says("unexpected mallory@example.com");
}

#[test]
fn blocked_entry_exits_3_despite_differences() {
    let world = given(admins()).groups(&[("Admins", &["alice@example.com", "nobody@example.com"])]);
    world.run("drift").exits(3).says("nobody@example.com");
}

#[test]
fn changed_permissions_have_an_annotation() {
    let files = "version: 1\ngroups:\n  Admins:\n    permissions: [DNS]\n    members: [alice@example.com, mallory@example.com]\n";
    let world = given(admins()).file("convoke.yaml", files);
    world.run("drift --format github").exits(2).says("::warning file=convoke.yaml,line=4,");
}

#[test]
fn unmanaged_groups_are_reported_or_refused() {
    let file = |unmanaged: &str| {
        format!(
            "version: 1\nsettings: {{ unmanaged_groups: {unmanaged} }}\n\
             groups:\n  Admins:\n    members: [alice@example.com, mallory@example.com]\n"
        )
    };
    let world = given(admins().group("Shadow", ["mallory@example.com"])).file("convoke.yaml", file("ignore"));
    let ignored = world.run("drift").exits(0);
    assert!(!ignored.stdout.contains("Shadow"), "{ignored}");

    world.write("convoke.yaml", file("report"));
    world.run("drift").exits(0).says("Shadow");
    world.run("drift --format github").exits(0).says("::warning title=Not declared in any file%3A Shadow::");
    let plan = world.run("plan --format github").exits(0);
    assert!(!plan.stdout.contains("Not declared in any file"), "{plan}");

    world.write("convoke.yaml", file("refuse"));
    world.run("drift").exits(0).says("1 group of the account is not declared in any file: \"Shadow\"");
}
