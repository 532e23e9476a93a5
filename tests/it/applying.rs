//! `apply`: its requests and their order. A second run has nothing to do.

use convoke::sandbox::{Seed, SeedGroup};
use insta::assert_snapshot;

use crate::builders::SeedExt as _;
use crate::harness::{World, given, team};

/// Applies twice. The second run writes nothing.
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
    assert_snapshot!(world.run("apply --yes"), @"
    exit 0
    -- stdout
    Admins (4 -> 6 members)
      + bob@example.com    no end  convoke.yaml:11
      + carol@example.com  no end  convoke.yaml:12

    Plan: 2 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    done Admins: 2 added, 0 removed

    Applied: 2 added, 0 removed.
    The account is in sync: 1 group.
    ");
    assert_eq!(world.writes(), ["POST Admins: bob@example.com carol@example.com"]);
    converges(&world);
}

#[test]
fn few_removals_take_deletes_after_the_additions() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "bob@example.com", "trent@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 0
    -- stdout
    Admins (4 -> 3 members)
      + bob@example.com      no end  convoke.yaml:8
      - mallory@example.com
      - victor@example.com

    Plan: 1 to add, 2 to remove in 1 of 1 group
    Digest: [digest]

    done Admins: 1 added, 2 removed

    Applied: 1 added, 2 removed.
    The account is in sync: 1 group.
    ");
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
    assert_snapshot!(world.run("apply --yes"), @"
    exit 0
    -- stdout
    Admins (4 -> 3 members)
      + bob@example.com      no end  convoke.yaml:7
      + carol@example.com    no end  convoke.yaml:8
      - alice@example.com
      - mallory@example.com
      - victor@example.com

    Plan: 2 to add, 3 to remove in 1 of 1 group
    Digest: [digest]

    done Admins: 2 added, 3 removed

    Applied: 2 added, 3 removed.
    The account is in sync: 1 group.
    ");
    assert_eq!(world.writes(), ["PUT Admins: bob@example.com carol@example.com trent@example.com"]);
    converges(&world);
}

#[test]
fn group_is_emptied_only_with_allow_empty() {
    let refused = "version: 1\nsettings: { limits: { group_removals: 100%, total_removals: 100% } }\ngroups:\n  Admins:\n    members: []\n";
    let world = given(team()).file("convoke.yaml", refused);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 3
    -- stdout
    Admins (4 -> 0 members)
      - alice@example.com
      - mallory@example.com
      - trent@example.com
      - victor@example.com

    Refused: this plan cannot be applied
      convoke.yaml:5  allow_empty  Admins: the group would be empty (members now: 4)
        help: if you intend an empty group, set allow_empty: true

    Plan: 0 to add, 4 to remove in 1 of 1 group
    Digest: [digest]

    Resolve first, because --accept does not lift it: allow_empty.
    -- stderr
    error: the plan is refused: nothing was changed
    ");
    assert_eq!(world.members("Admins").len(), 4);

    world.write("convoke.yaml", refused.replace("    members", "    allow_empty: true\n    members"));
    world.run("apply --yes").exits(0);
    assert_eq!(world.writes(), ["PUT Admins:"]);
    converges(&world);
}

#[test]
fn mover_is_added_before_removal() {
    let world = given(team().group("Operators", SeedGroup::default())).groups(&[
        ("Admins", &["alice@example.com", "mallory@example.com", "trent@example.com"]),
        ("Operators", &["victor@example.com"]),
    ]);
    world.run("apply --yes").exits(0);
    assert_eq!(world.writes(), ["POST Operators: victor@example.com", "DELETE Admins: victor@example.com"]);
}

#[test]
fn mover_joins_a_replaced_group_first() {
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
fn only_the_expected_digest_is_applied() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    let digest = world.run("plan --format json").json()["digest"].as_str().unwrap().to_owned();
    world.account().remove("Admins", "victor@example.com");
    assert_snapshot!(world.run(&format!("apply --yes --expect {digest}")).exits(4), @"
    exit 4
    -- stdout
    Admins (3 -> 3 members)
      + victor@example.com   no end  convoke.yaml:9
      - mallory@example.com

    Plan: 1 to add, 1 to remove in 1 of 1 group
    Digest: [digest]

    Stale: this is not the plan that was reviewed: its digest is [digest], but --expect is [digest]. The changes shown are those that would be made now
    Nothing was changed. Make a new plan and review it: `convoke plan`
    ");
    assert_eq!(world.writes(), Vec::<String>::new());

    world.account().add("Admins", "victor@example.com");
    world.run(&format!("apply --yes --expect {digest}")).exits(0);
    assert_eq!(world.members("Admins"), ["alice@example.com", "trent@example.com", "victor@example.com"]);
}

#[test]
fn limit_refuses_until_the_plan_is_accepted() {
    let file = "version: 1\ngroups:\n  Admins:\n    members: [alice@example.com, trent@example.com]\n";
    let world = given(team()).file("convoke.yaml", file);
    world.run("apply --yes --log-format json").exits(3).warns("\"level\":\"ERROR\"");
    let refused = world.run("apply --yes").exits(3);
    assert_snapshot!(refused, @"
    exit 3
    -- stdout
    Admins (4 -> 2 members)
      - mallory@example.com
      - victor@example.com

    Refused: this plan cannot be applied
      group_removals  Admins:
          2 of 4 members would be removed, but the limit allows at most 1 (25%, the default)
        help: if you intend all of these removals, pass the digest of this plan with --accept

    Plan: 0 to add, 2 to remove in 1 of 1 group
    Digest: [digest]

    To lift the limits for exactly this plan:
      convoke apply --accept [digest]
    -- stderr
    error: the plan is refused: nothing was changed
    ");
    assert_eq!(world.writes(), Vec::<String>::new());

    let digest = world.run("plan --format json").exits(3).json()["digest"].as_str().unwrap().to_owned();
    world.run(&format!("apply --yes --accept {digest}")).exits(0);
    assert_eq!(world.members("Admins"), ["alice@example.com", "trent@example.com"]);
}

#[test]
fn protected_member_is_not_removed() {
    let file = "version: 1\nsettings:\n  limits: { group_removals: 100%, total_removals: 100% }\n  protected: [MALLORY@example.com]\ngroups:\n  Admins:\n    members: [alice@example.com, trent@example.com, victor@example.com]\n";
    let world = given(team()).file("convoke.yaml", file);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 3
    -- stdout
    Admins (4 -> 3 members)
      - mallory@example.com

    Refused: this plan cannot be applied
      protected  Admins: MALLORY@example.com would be removed, but is protected at convoke.yaml:4
        help: keep the person in the group's list, or remove the person from settings.protected first

    Plan: 0 to add, 1 to remove in 1 of 1 group
    Digest: [digest]

    Resolve first, because --accept does not lift it: protected.
    -- stderr
    error: the plan is refused: nothing was changed
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn token_user_is_removed_only_with_accept_self() {
    let seed = Seed { token_owner: Some("mallory@example.com".into()), ..team() };
    let world = given(seed).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 3
    -- stdout
    Admins (4 -> 3 members)
      - mallory@example.com

    Refused: this plan cannot be applied
      convoke.yaml:5  oneself  Admins: mallory@example.com, the user of the token, would be removed
        help: use another user's token or an account-owned token, or pass --accept-self

    Plan: 0 to add, 1 to remove in 1 of 1 group
    Digest: [digest]

    Resolve first, because --accept does not lift it: oneself.
    -- stderr
    error: the plan is refused: nothing was changed
    ");
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
fn saved_plan_is_applied_exactly() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    world.write("convoke.yaml", "this is not read any more");
    world.run("apply plan.json --yes").exits(0);
    assert_eq!(world.writes(), ["DELETE Admins: mallory@example.com"]);
    // An earlier run may have completed the plan.
    world.run("apply plan.json --yes").exits(0);
    assert_eq!(world.writes(), ["DELETE Admins: mallory@example.com"]);
}

#[test]
fn changed_account_makes_a_saved_plan_stale() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    world.account().add("Admins", "carol@example.com");
    assert_snapshot!(world.run("apply plan.json --yes").exits(4), @"
    exit 4
    -- stdout
    Admins (4 -> 3 members)
      - mallory@example.com

    Plan: 0 to add, 1 to remove in 1 of 1 group
    Digest: [digest]

    Stale: the account has changed since the plan was made
      Admins
        was added: carol@example.com
        planned: remove mallory@example.com
    Nothing was changed. Make a new plan and review it: `convoke plan --out plan.json`
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn an_edited_plan_is_refused() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "trent@example.com", "victor@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    world.write("plan.json", world.read("plan.json").replace("mallory@", "malice@"));
    assert_snapshot!(world.run("apply plan.json --yes").exits(65), @"
    exit 65
    -- stderr
    error: plan.json is not a valid plan file: it was damaged or edited after it was created: its checksum does not match
    help: make a new plan: convoke plan --out FILE
    ");
    assert_eq!(world.request_count(), 3);
}
