//! What the guards refuse, as the program says it; what accepting lifts; and who is not asked twice.

use convoke::sandbox::{Operation, PersonSeed, Seed};

use crate::harness::{World, given};

/// Ten people in one group, of whom the files list some.
fn ten(listed: std::ops::Range<usize>, settings: &str) -> World {
    let people: Vec<String> = (0..10).map(|number| format!("p{number}@example.com")).collect();
    let members: Vec<String> = people[listed].iter().map(|email| format!("      - {email}\n")).collect();
    let file = format!("version: 1\n{settings}groups:\n  Ops:\n    members:\n{}", members.concat());
    given(Seed::default().group("Ops", people)).file("convoke.yaml", file)
}

/// The digest that a run has shown.
fn digest(text: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix("Digest: ")).expect("a digest is shown").into()
}

#[test]
fn a_refused_plan_is_shown_whole_then_refused_and_nothing_is_written() {
    let world = ten(6..10, "");
    let refused = world.run("apply --yes").exits(3);
    insta::assert_snapshot!(refused, @"");
    assert!(world.writes().is_empty());
}

#[test]
fn accepting_the_digest_lifts_the_limits_of_exactly_that_plan() {
    let world = ten(6..10, "");
    let shown = digest(&world.run("plan").exits(3).stdout);
    world.account().add("Ops", "late@example.com");
    let other = world.run(&format!("apply --yes --accept {shown}")).exits(3);
    insta::assert_snapshot!(other.stderr, @"");
    assert!(world.writes().is_empty());
    let shown = digest(&other.stdout);
    let accepted = world.run(&format!("apply --yes --accept {shown}")).exits(0);
    insta::assert_snapshot!(accepted, @"");
    assert_eq!(world.members("Ops").len(), 4);
}

#[test]
fn accepting_lifts_limits_and_nothing_else() {
    let world = ten(6..10, "settings: {protected: [p0@example.com]}\n");
    let shown = digest(&world.run("plan").exits(3).stdout);
    let refused = world.run(&format!("apply --yes --accept {shown}")).exits(3);
    insta::assert_snapshot!(refused, @"");
    assert!(world.writes().is_empty());
}

#[test]
fn a_digest_that_fits_no_refusal_is_still_checked() {
    let world = ten(1..10, "");
    world.run(&format!("apply --yes --accept {}", "0".repeat(64))).exits(3);
    assert!(world.writes().is_empty());
}

#[test]
fn what_accepts_a_saved_plan_names_that_plan() {
    let world = ten(6..10, "");
    world.run("plan --out plan.json").exits(3);
    let refused = world.run("apply plan.json --yes").exits(3);
    let command = refused.stdout.lines().last().unwrap().trim().to_owned();
    assert!(command.starts_with("convoke apply plan.json --accept "), "{command}");
    world.run(&format!("{} --yes", command.strip_prefix("convoke ").unwrap())).exits(0);
    assert_eq!(world.members("Ops").len(), 4);
}

#[test]
fn somebody_protected_is_found_by_an_address_that_only_the_account_knows() {
    let boss = PersonSeed { group_email: Some(Some("old@example.com".into())), ..PersonSeed::from("boss@example.com") };
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
fn whoever_the_token_acts_for_is_not_removed_unless_that_is_accepted() {
    let people: Vec<String> = (0..10).map(|number| format!("p{number}@example.com")).collect();
    let listed: String = people[1..].iter().map(|email| format!("      - {email}\n")).collect();
    let seed = Seed { token_owner: Some("p0@example.com".into()), ..Seed::default() }.group("Ops", people);
    let world = given(seed).file("convoke.yaml", format!("version: 1\ngroups:\n  Ops:\n    members:\n{listed}"));
    let refused = world.run("apply --yes").exits(3);
    insta::assert_snapshot!(refused.stdout, @"");
    world.run("plan --out plan.json").exits(3);
    world.run("plan --accept-self --out plan.json").exits(0);
    world.run("apply plan.json --yes").exits(3);
    assert!(world.writes().is_empty());
    world.run("apply --yes --accept-self").exits(0);
    assert_eq!(world.writes(), ["DELETE Ops: p0@example.com"]);
}

#[test]
fn who_the_token_acts_for_is_asked_once_and_only_before_removals() {
    let world = ten(1..10, "");
    world.run("plan").exits(0);
    assert_eq!(world.account().request_counts().get(&Operation::GetUser), Some(&1));
    world.forget_requests();
    let same = ten(0..10, "");
    same.run("plan").exits(0);
    assert_eq!(same.account().request_counts().get(&Operation::GetUser), None);
}

#[test]
fn groups_that_no_file_declares_can_refuse_a_plan_and_a_renamed_pin_does() {
    let world = ten(0..10, "settings: {unmanaged_groups: refuse}\n");
    world.account().create_group("Shadow IT");
    insta::assert_snapshot!(world.run("plan").exits(3).stdout, @"");
    let id = world.account().group_id("Ops").unwrap();
    let pinned = format!("version: 1\ngroups:\n  Ops:\n    id: \"{id}\"\n    mode: additive\n    members: []\n");
    let world = world.file("convoke.yaml", pinned);
    world.run("plan").exits(0);
    world.account().rename_group("Ops", "Operations");
    insta::assert_snapshot!(world.run("plan").exits(3).stdout, @"");
}
