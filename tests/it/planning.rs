//! `plan`: what it shows, what it asks, and how it ends.

use convoke::sandbox::{GroupSeed, Invitation, PersonSeed, Seed};
use insta::assert_snapshot;

use crate::harness::{given, nothing};

fn organisation() -> Seed {
    Seed::default()
        .people(["Bob@Example.com", "erin@example.com"])
        .person(PersonSeed::from("dave@example.com").status(Invitation::Pending))
        .person(PersonSeed::from("zoe@example.com").status(Invitation::Rejected))
        .group("Admins", ["alice@example.com", "carol@example.com"])
        .group("Billing", ["Frank@example.com"])
        .group("Empty", GroupSeed::default())
}

#[test]
fn a_plan_shows_who_joins_and_leaves_with_the_lines_that_say_so() {
    let world = given(organisation()).groups(&[
        ("Admins", &["ALICE@example.com", "bob@example.com", "dave@example.com"]),
        ("Billing", &["frank@example.com"]),
        ("Empty", &[]),
    ]);
    assert_snapshot!(world.run("plan"), @"");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn what_is_in_sync_is_told_in_a_line() {
    let world = given(organisation()).groups(&[
        ("Admins", &["ALICE@EXAMPLE.COM", "Carol@Example.Com"]),
        ("Billing", &["frank@example.com"]),
        ("Empty", &[]),
    ]);
    assert_snapshot!(world.run("plan --detailed-exitcode"), @"");
}

#[test]
fn differences_exit_with_2_only_where_that_is_asked_for() {
    let world = given(organisation()).groups(&[("Billing", &["frank@example.com", "erin@example.com"])]);
    world.run("plan").exits(0);
    world.run("plan --detailed-exitcode").exits(2);
}

#[test]
fn what_cannot_be_applied_is_listed_with_its_line_and_reason_and_holds_nobody_else_up() {
    let world = given(organisation()).groups(&[
        ("Admins", &["alice@example.com", "bbo@example.com", "erin@example.com"]),
        ("Biling", &["frank@example.com"]),
        ("Empty", &["zoe@example.com", "dave@example.com"]),
    ]);
    assert_snapshot!(world.run("plan --detailed-exitcode"), @"");
}

#[test]
fn a_plan_as_json_holds_what_a_plan_as_text_shows() {
    let world = given(organisation()).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    let outcome = world.run("plan --format json").exits(0);
    assert_snapshot!(outcome.stdout, @"");
}

#[test]
fn only_narrows_the_plan_to_the_groups_that_are_named() {
    let world = given(organisation()).groups(&[
        ("Admins", &["alice@example.com", "bob@example.com"]),
        ("Billing", &["frank@example.com", "erin@example.com"]),
    ]);
    let outcome = world.run("plan --only Billing").exits(0);
    assert!(outcome.stdout.contains("Plan: 1 to add, 0 to remove in 1 of 1 group"), "{outcome}");
    assert!(!outcome.stdout.contains("Admins"), "{outcome}");
}

#[test]
fn a_group_that_no_file_declares_cannot_be_asked_for() {
    let world = given(organisation()).groups(&[("Billing", &["frank@example.com"])]);
    assert_snapshot!(world.run("plan --only Biling"), @"");
    assert_eq!(world.request_count(), 0);
}

#[test]
fn without_an_account_or_credentials_nothing_is_asked() {
    let world = nothing().groups(&[("Admins", &["alice@example.com"])]);
    assert_snapshot!(world.run("plan"), @"");
    let world = world.env("CLOUDFLARE_ACCOUNT_ID", crate::harness::ACCOUNT);
    assert_snapshot!(world.run("plan"), @"");
}

#[test]
fn an_account_that_the_files_and_the_command_line_disagree_on_is_refused() {
    let file = format!("version: 1\naccount_id: {}\ngroups: {{}}\n", "f".repeat(32));
    let world = given(organisation()).file("convoke.yaml", file);
    world.run("plan").exits(65).warns("two accounts are named");
    assert_eq!(world.request_count(), 0);
}

#[test]
fn a_group_is_found_by_its_pin_whatever_it_is_called() {
    let id = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";
    let seed = Seed::default().group("Renamed", GroupSeed::from(["alice@example.com"]).id(id.parse().unwrap()));
    let file = format!("version: 1\ngroups:\n  Admins:\n    id: {id}\n    members: [alice@example.com]\n");
    let world = given(seed).file("convoke.yaml", file);
    assert_snapshot!(world.run("plan"), @"");
}

#[test]
fn two_groups_of_one_name_are_told_with_their_ids() {
    let world = given(Seed::default().group("Admins", ["alice@example.com"])).groups(&[("Admins", &[])]);
    world.account().create_group("Admins");
    let outcome = world.run("plan").exits(3);
    assert!(outcome.stdout.contains("several groups of the account have this name; pin one by id: "), "{outcome}");
}

#[test]
fn a_group_whose_members_cannot_be_listed_is_blocked_and_holds_nobody_else_up() {
    let broken = GroupSeed { policy_invalid: true, ..GroupSeed::from(["alice@example.com"]) };
    let world = given(organisation().group("Broken", broken)).groups(&[
        ("Broken", &["alice@example.com"]),
        ("Billing", &["frank@example.com", "erin@example.com"]),
    ]);
    assert_snapshot!(world.run("plan"), @"");
}

#[test]
fn names_from_the_account_cannot_steer_the_terminal() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mal\u{9b}31mlory\u{200b}@example.com"]);
    let world = given(seed.group("Ad\u{1b}[2Jmins", ["alice@example.com"]))
        .file("convoke.yaml", "version: 1\nsettings: { unmanaged_groups: report, limits: { group_removals: 2 } }\ngroups:\n  Admins:\n    members: [alice@example.com]\n");
    let outcome = world.run("plan").exits(0);
    assert!(!outcome.stdout.contains(['\u{1b}', '\u{9b}', '\u{200b}']), "{outcome:?}");
}
