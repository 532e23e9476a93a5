//! `apply`: by which requests, in which order, and that a second run has nothing left to do.

use convoke::sandbox::{GroupSeed, Seed};
use insta::assert_snapshot;

use crate::harness::{World, given};

fn team() -> Seed {
    Seed::default()
        .people(["bob@example.com", "carol@example.com"])
        .group("Admins", ["alice@example.com", "mallory@example.com", "trent@example.com", "victor@example.com"])
}

/// Applies, and applies again: the second time there is nothing to write.
#[track_caller]
fn converges(world: &World) {
    world.forget_requests();
    world.run("apply --yes").exits(0).says("No changes.");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn additions_alone_take_one_post() {
    let members = ["alice@example.com", "mallory@example.com", "trent@example.com", "victor@example.com"];
    let all = [&members[..], &["bob@example.com", "carol@example.com"]].concat();
    let world = given(team()).groups(&[("Admins", &all)]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.writes(), ["POST Admins: bob@example.com carol@example.com"]);
    converges(&world);
}

#[test]
fn few_removals_take_deletes_after_the_additions() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "bob@example.com", "trent@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"");
    let mut writes = world.writes();
    assert_eq!(writes.remove(0), "POST Admins: bob@example.com");
    writes.sort_unstable();
    assert_eq!(writes, ["DELETE Admins: mallory@example.com", "DELETE Admins: victor@example.com"]);
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com", "trent@example.com"]);
    converges(&world);
}

#[test]
fn more_than_three_requests_become_one_put() {
    let world = given(team()).groups(&[("Admins", &["bob@example.com", "carol@example.com", "trent@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.writes(), ["PUT Admins: bob@example.com carol@example.com trent@example.com"]);
    converges(&world);
}

#[test]
fn a_group_is_emptied_only_where_the_file_says_so() {
    let refused = "version: 1\nsettings: { limits: { group_removals: 100%, total_removals: 100% } }\ngroups:\n  Admins:\n    members: []\n";
    let world = given(team()).file("convoke.yaml", refused);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.members("Admins").len(), 4);

    world.write("convoke.yaml", refused.replace("    members", "    allow_empty: true\n    members"));
    world.run("apply --yes").exits(0);
    assert_eq!(world.writes(), ["PUT Admins:"]);
    converges(&world);
}

#[test]
fn who_moves_between_groups_is_added_before_they_are_removed() {
    let world = given(team().group("Operators", GroupSeed::default())).groups(&[
        ("Admins", &["alice@example.com", "mallory@example.com", "trent@example.com"]),
        ("Operators", &["victor@example.com"]),
    ]);
    world.run("apply --yes").exits(0);
    assert_eq!(world.writes(), ["POST Operators: victor@example.com", "DELETE Admins: victor@example.com"]);
}

#[test]
fn who_moves_into_a_group_that_is_replaced_is_brought_there_first() {
    let seed = team().group("Operators", ["o1@example.com", "o2@example.com", "o3@example.com"]);
    let world = given(seed).groups(&[
        ("Admins", &["alice@example.com", "mallory@example.com", "trent@example.com"]),
        ("Operators", &["victor@example.com"]),
    ]);
    world.run("apply --yes").exits(0);
    let writes = world.writes();
    assert_eq!(writes[0], "POST Operators: victor@example.com");
    let mut rest = writes[1..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, ["DELETE Admins: victor@example.com", "PUT Operators: victor@example.com"]);
}

#[test]
fn the_expected_digest_applies_and_another_does_not() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    let digest = world.run("plan --format json").json()["digest"].as_str().unwrap().to_owned();
    world.account().remove("Admins", "victor@example.com");
    assert_snapshot!(redact_digests(&world.run(&format!("apply --yes --expect {digest}")).stderr), @"");
    assert_eq!(world.writes(), Vec::<String>::new());

    world.account().add("Admins", "victor@example.com");
    world.run(&format!("apply --yes --expect {digest}")).exits(0);
    assert_eq!(world.members("Admins"), ["alice@example.com", "trent@example.com", "victor@example.com"]);
}

/// The account's new member has an id of chance, and so the digest.
fn redact_digests(text: &str) -> String {
    let redact = |word: &str| {
        let hex = word.trim_matches(|c: char| !c.is_ascii_hexdigit());
        if hex.len() == 64 { word.replace(hex, "[digest]") } else { word.into() }
    };
    text.lines().map(|line| line.split(' ').map(redact).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_limit_refuses_a_plan_until_that_very_plan_is_accepted() {
    let file = "version: 1\ngroups:\n  Admins:\n    members: [alice@example.com, trent@example.com]\n";
    let world = given(team()).file("convoke.yaml", file);
    let refused = world.run("apply --yes").exits(3);
    assert_snapshot!(refused, @"");
    assert_eq!(world.writes(), Vec::<String>::new());

    let digest = world.run("plan --format json").exits(3).json()["digest"].as_str().unwrap().to_owned();
    world.run(&format!("apply --yes --accept {digest}")).exits(0);
    assert_eq!(world.members("Admins"), ["alice@example.com", "trent@example.com"]);
}

#[test]
fn who_is_protected_is_not_removed() {
    let file = "version: 1\nsettings:\n  limits: { group_removals: 100%, total_removals: 100% }\n  protected: [MALLORY@example.com]\ngroups:\n  Admins:\n    members: [alice@example.com, trent@example.com, victor@example.com]\n";
    let world = given(team()).file("convoke.yaml", file);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn whom_the_token_acts_for_is_not_removed_without_being_meant() {
    let seed = Seed { token_owner: Some("mallory@example.com".into()), ..team() };
    let world = given(seed).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run("apply --yes --accept-self").exits(0);
    assert_eq!(world.writes(), ["DELETE Admins: mallory@example.com"]);
}

#[test]
fn a_report_as_json_is_one_document() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    let report = world.run("apply --yes --format json").exits(0).json();
    assert_eq!(report["complete"], true);
    assert_eq!(report["removed"], 1);
    assert_eq!(report["groups"][0]["outcome"], "done");
    assert_eq!(report["groups"][0]["removed"][0]["email"], "mallory@example.com");
}

#[test]
fn a_saved_plan_is_applied_as_it_was_seen() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    world.write("convoke.yaml", "this is not read any more");
    world.run("apply plan.json --yes").exits(0);
    assert_eq!(world.writes(), ["DELETE Admins: mallory@example.com"]);
    // An earlier run may have got all of the way.
    world.run("apply plan.json --yes").exits(0);
    assert_eq!(world.writes(), ["DELETE Admins: mallory@example.com"]);
}

#[test]
fn a_saved_plan_of_an_account_that_has_changed_is_stale() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    world.account().add("Admins", "carol@example.com");
    assert_snapshot!(world.run("apply plan.json --yes").exits(4), @"");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn an_edited_plan_is_refused() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    world.write("plan.json", world.read("plan.json").replace("mallory@", "malice@"));
    assert_snapshot!(world.run("apply plan.json --yes").exits(65), @"");
    assert_eq!(world.request_count(), 3);
}
