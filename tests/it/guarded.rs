//! The refusals of the guards, what `--accept` lifts, and the number of requests.

use convoke::sandbox::{Endpoint, Seed, SeedPerson};

use crate::builders::{SeedExt as _, SeedPersonExt as _};
use crate::harness::{World, given};

/// Ten people in one group. The files list some of them.
fn ten(listed: std::ops::Range<usize>, settings: &str) -> World {
    let people: Vec<String> = (0..10).map(|number| format!("p{number}@example.com")).collect();
    let members: Vec<String> = people[listed].iter().map(|email| format!("      - {email}\n")).collect();
    let file = format!("version: 1\n{settings}groups:\n  Ops:\n    members:\n{}", members.concat());
    given(Seed::default().group("Ops", people)).file("convoke.yaml", file)
}

/// The digest in the output of a run.
fn digest(text: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix("Digest: ")).expect("a digest is shown").into()
}

#[test]
fn refused_plan_is_shown_and_writes_nothing() {
    let world = ten(6..10, "");
    let refused = world.run("apply --yes").exits(3);
    insta::assert_snapshot!(refused, @"
    exit 3
    -- stdout
    Ops (10 -> 4 members)
      - p0@example.com
      - p1@example.com
      - p2@example.com
      - p3@example.com
      - p4@example.com
      - p5@example.com

    Refused: this plan cannot be applied
      group_removals  Ops:
          6 of 10 members would be removed, but the limit allows at most 2 (25%, the default)
        help: if you intend all of these removals, pass the digest of this plan with --accept

    Plan: 0 to add, 6 to remove in 1 of 1 group
    Digest: [digest]

    To lift the limits for exactly this plan:
      convoke apply --accept [digest]
    -- stderr
    error: the plan is refused: nothing was changed
    ");
    assert!(world.writes().is_empty());
}

#[test]
fn accept_lifts_limits_of_one_plan() {
    let world = ten(6..10, "");
    let shown = digest(&world.run("plan").exits(3).stdout);
    world.account().add("Ops", "late@example.com");
    let other = world.run(&format!("apply --yes --accept {shown}")).exits(4);
    let other = other.says("Stale: this is not the plan that was reviewed").says("Nothing was changed.");
    assert!(world.writes().is_empty());
    let shown = digest(&other.stdout);
    let accepted = world.run(&format!("apply --yes --accept {shown}")).exits(0);
    insta::assert_snapshot!(accepted, @"
    exit 0
    -- stdout
    Ops (11 -> 4 members)
      - late@example.com
      - p0@example.com
      - p1@example.com
      - p2@example.com
      - p3@example.com
      - p4@example.com
      - p5@example.com

    Plan: 0 to add, 7 to remove in 1 of 1 group
    Digest: [digest]

    done Ops: 0 added, 7 removed

    Applied: 0 added, 7 removed.
    The account is in sync: 1 group.
    -- stderr
    Accepted for exactly this plan: 1 limit lifted.
    ");
    assert_eq!(world.members("Ops").len(), 4);
}

#[test]
fn accepting_lifts_limits_and_nothing_else() {
    let world = ten(6..10, "settings: {protected: [p0@example.com]}\n");
    let shown = digest(&world.run("plan").exits(3).stdout);
    let refused = world.run(&format!("apply --yes --accept {shown}")).exits(3);
    insta::assert_snapshot!(refused, @"
    exit 3
    -- stdout
    Ops (10 -> 4 members)
      - p0@example.com
      - p1@example.com
      - p2@example.com
      - p3@example.com
      - p4@example.com
      - p5@example.com

    Refused: this plan cannot be applied
      protected  Ops: p0@example.com would be removed, but is protected at convoke.yaml:2
        help: keep the person in the group's list, or remove the person from settings.protected first

    Plan: 0 to add, 6 to remove in 1 of 1 group
    Digest: [digest]

    Resolve first, because --accept does not lift it: protected.
    -- stderr
    Accepted for exactly this plan: 1 limit lifted.
    error: the plan is refused: nothing was changed
    ");
    assert!(world.writes().is_empty());
}

#[test]
fn accept_digest_is_checked_without_refusals() {
    let world = ten(1..10, "");
    world.run(&format!("apply --yes --accept {}", "0".repeat(64))).exits(4);
    assert!(world.writes().is_empty());
}

#[test]
fn accept_command_names_the_saved_plan() {
    let world = ten(6..10, "");
    world.run("plan --out plan.json").exits(3);
    let refused = world.run("apply plan.json --yes").exits(3);
    let command = refused.stdout.lines().last().unwrap().trim().to_owned();
    assert!(command.starts_with("convoke apply plan.json --accept "), "{command}");
    world.run(&format!("{} --yes", command.strip_prefix("convoke ").unwrap())).exits(0);
    assert_eq!(world.members("Ops").len(), 4);
}

#[test]
fn protected_person_is_found_among_account_members() {
    let boss = SeedPerson { group_email: Some(Some("old@example.com".into())), ..SeedPerson::of("boss@example.com") };
    let people = (0..9).map(|number| format!("p{number}@example.com"));
    let seed = Seed::default()
        .person(boss)
        .group("Ops", people.clone().chain(["boss@example.com".into()]).collect::<Vec<_>>());
    let listed: String = people.map(|email| format!("      - {email}\n")).collect();
    let file =
        format!("version: 1\nsettings: {{protected: [boss@example.com]}}\ngroups:\n  Ops:\n    members:\n{listed}");
    let world = given(seed).file("convoke.yaml", file);
    world.run("apply --yes").exits(3).says("old@example.com (protected as boss@example.com) would be removed");
    assert!(world.writes().is_empty());
}

#[test]
fn everybody_who_shares_a_protected_address_stays() {
    // One of the two is listed by a former address, so the lists alone show only the other.
    let former = SeedPerson { group_email: Some(Some("old@example.com".into())), ..SeedPerson::of("one@example.com") };
    let former = SeedPerson { user_email: Some("boss@example.com".into()), ..former };
    let people: Vec<String> = (0..9).map(|number| format!("p{number}@example.com")).collect();
    let team: Vec<String> = people.iter().cloned().chain(["one@example.com".into()]).collect();
    let listed: String = people.iter().map(|email| format!("      - {email}\n")).collect();
    let lists = format!("groups:\n  Ops:\n    members:\n{listed}  Board:\n    members: [boss@example.com]\n");
    let seed = Seed::default().person(former).group("Ops", team).group("Board", ["boss@example.com"]);
    let protecting = format!("version: 1\nsettings: {{protected: [boss@example.com]}}\n{lists}");
    let world = given(seed.clone()).file("convoke.yaml", protecting);
    world.run("apply --yes").exits(3).says("old@example.com (protected as boss@example.com) would be removed");
    assert!(world.writes().is_empty());
    let seed = Seed { token_owner: Some("boss@example.com".into()), ..seed };
    let world = given(seed).file("convoke.yaml", format!("version: 1\n{lists}"));
    world.run("apply --yes").exits(3).says("old@example.com, the user of the token, would be removed");
    assert!(world.writes().is_empty());
}

#[test]
fn token_user_is_not_removed_unless_accepted() {
    let people: Vec<String> = (0..10).map(|number| format!("p{number}@example.com")).collect();
    let listed: String = people[1..].iter().map(|email| format!("      - {email}\n")).collect();
    let seed = Seed { token_owner: Some("p0@example.com".into()), ..Seed::default() }.group("Ops", people);
    let world = given(seed).file("convoke.yaml", format!("version: 1\ngroups:\n  Ops:\n    members:\n{listed}"));
    let refused = world.run("apply --yes").exits(3);
    insta::assert_snapshot!(refused.stdout, @"
    Ops (10 -> 9 members)
      - p0@example.com

    Refused: this plan cannot be applied
      convoke.yaml:3  oneself  Ops: p0@example.com, the user of the token, would be removed
        help: use another user's token or an account-owned token, or pass --accept-self

    Plan: 0 to add, 1 to remove in 1 of 1 group
    Digest: b0c202b4858b77edeaec2a55693f9ae3adbc593f3dd3db438d7329705e5544d2

    Resolve first, because --accept does not lift it: oneself.
    ");
    world.run("plan --out plan.json").exits(3);
    world.run("plan --accept-self --out plan.json").exits(0);
    world.run("apply plan.json --yes").exits(3);
    assert!(world.writes().is_empty());
    world.run("apply --yes --accept-self").exits(0);
    assert_eq!(world.writes(), ["DELETE Ops: p0@example.com"]);
}

#[test]
fn token_user_is_read_once_before_removals() {
    let world = ten(1..10, "");
    world.run("plan").exits(0);
    assert_eq!(world.account().request_counts().get(&Endpoint::GetUser), Some(&1));
    world.forget_requests();
    let same = ten(0..10, "");
    same.run("plan").exits(0);
    assert_eq!(same.account().request_counts().get(&Endpoint::GetUser), None);
}

#[test]
fn unmanaged_group_or_renamed_pin_refuses() {
    let world = ten(0..10, "settings: {unmanaged_groups: refuse}\n");
    world.account().create_group("Shadow IT");
    insta::assert_snapshot!(world.run("plan").exits(3).stdout, @r#"
    Unmanaged: groups of the account that no file declares
      Shadow IT: 665ee15fae12d69b8aa1aa7bd4cc9664

    Refused: this plan cannot be applied
      convoke.yaml:2  unmanaged_groups  1 group of the account is not declared in any file: "Shadow IT"
        help: declare them (`convoke export` writes the files), or set unmanaged_groups to report

    No changes. 1 group in sync.
    Digest: e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456

    Resolve first, because --accept does not lift it: unmanaged_groups.
    "#);
    let id = world.account().group_id("Ops").unwrap();
    let pinned = format!("version: 1\ngroups:\n  Ops:\n    id: \"{id}\"\n    mode: additive\n    members: []\n");
    let world = world.file("convoke.yaml", pinned);
    world.run("plan").exits(0);
    world.account().rename_group("Ops", "Operations");
    insta::assert_snapshot!(world.run("plan").exits(3).stdout, @r#"
    Refused: this plan cannot be applied
      convoke.yaml:4  pinned_name  Ops:
          the pinned group f1be7cb90cb0147518e88296518cf10b is called "Operations" in the account
        help: check that this is the group you mean, then correct the name in the file or rename the group in the account

    No changes. 1 group in sync.
    Digest: e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456

    Resolve first, because --accept does not lift it: pinned_name.
    "#);
}
