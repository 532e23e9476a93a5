//! `apply` where the API refuses: who is refused is named with the API's reason, and hinders nobody else.

use convoke::sandbox::{Fault, FaultRule, GroupSeed, Match, Operation, PersonSeed, Seed};
use insta::assert_snapshot;

use crate::harness::given;

#[test]
fn a_refused_batch_is_split_until_it_names_exactly_who_cannot_be_added() {
    let people: Vec<String> = (0..9).map(|number| format!("p{number}@example.com")).collect();
    let seed = people.iter().fold(Seed::default().group("Admins", ["alice@example.com"]), |seed, email| {
        let person = PersonSeed::from(email.as_str());
        seed.person(if email.starts_with("p5") { person.not_joinable() } else { person })
    });
    let mut desired = vec!["alice@example.com"];
    desired.extend(people.iter().map(String::as_str));
    let world = given(seed).groups(&[("Admins", &desired)]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.members("Admins").len(), 9);
    assert!(!world.members("Admins").contains(&"p5@example.com".into()));
}

#[test]
fn a_refused_replacement_is_carried_out_for_all_others() {
    let seed = Seed::default()
        .person("bob@example.com")
        .person(PersonSeed::from("dora@example.com").not_joinable())
        .group("Admins", ["alice@example.com", "m1@example.com", "m2@example.com", "m3@example.com"]);
    let world =
        given(seed).groups(&[("Admins", &["alice@example.com", "bob@example.com", "dora@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn who_could_not_be_added_to_one_group_stays_in_the_other() {
    let seed = Seed::default()
        .person(PersonSeed::from("dora@example.com").not_joinable())
        .group("Admins", ["alice@example.com", "dora@example.com", "mallory@example.com"])
        .group("Operators", ["bob@example.com"]);
    let world = given(seed).groups(&[
        ("Admins", &["alice@example.com"]),
        ("Operators", &["bob@example.com", "dora@example.com"]),
    ]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.members("Admins"), ["alice@example.com", "dora@example.com"]);
}

#[test]
fn who_could_not_be_added_stays_in_a_group_that_is_replaced_too() {
    let seed = Seed::default()
        .person(PersonSeed::from("dora@example.com").not_joinable())
        .group("Admins", ["alice@example.com", "dora@example.com", "m1@example.com", "m2@example.com", "m3@example.com"])
        .group("Operators", ["bob@example.com"]);
    let world = given(seed).groups(&[
        ("Admins", &["alice@example.com"]),
        ("Operators", &["bob@example.com", "dora@example.com"]),
    ]);
    world.run("apply --yes").exits(5);
    assert_eq!(world.members("Admins"), ["alice@example.com", "dora@example.com"]);
}

#[test]
fn a_group_that_scim_manages_is_told_with_the_remedy_and_the_others_go_on() {
    let seed = Seed::default()
        .person("bob@example.com")
        .group("Admins", ["alice@example.com"])
        .group("From SCIM", GroupSeed::from(["alice@example.com"]).scim());
    let world = given(seed).groups(&[
        ("Admins", &["alice@example.com", "bob@example.com"]),
        ("From SCIM", &["alice@example.com", "bob@example.com"]),
    ]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn somebody_who_left_meanwhile_is_removed_all_the_same() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mallory@example.com"]).fault(FaultRule::once(
        Match::operation(Operation::RemoveMember),
        Fault::EditBefore(convoke::sandbox::Edit::RemovePerson("mallory@example.com".into())),
    ));
    let world = given(seed).groups(&[("Admins", &["alice@example.com"])]);
    world.run("apply --yes").exits(0).says("Applied: 0 added, 1 removed.");
    assert_eq!(world.members("Admins"), ["alice@example.com"]);
}

#[test]
fn somebody_who_left_the_account_before_they_were_added_is_named() {
    let seed = Seed::default().people(["bob@example.com", "carol@example.com"]).group("Admins", ["alice@example.com"]);
    let leaves = FaultRule::once(
        Match::operation(Operation::AddMembers),
        Fault::EditBefore(convoke::sandbox::Edit::RemovePerson("bob@example.com".into())),
    );
    let world = given(seed.fault(leaves))
        .groups(&[("Admins", &["alice@example.com", "bob@example.com", "carol@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"");
    assert_eq!(world.members("Admins"), ["alice@example.com", "carol@example.com"]);
}

#[test]
fn a_group_that_is_deleted_meanwhile_is_told_and_the_others_go_on() {
    let seed = Seed::default().person("bob@example.com").group("Admins", ["alice@example.com"]);
    let deleted = FaultRule::once(
        Match::operation(Operation::AddMembers).group("Doomed"),
        Fault::EditBefore(convoke::sandbox::Edit::DeleteGroup("Doomed".into())),
    );
    let world = given(seed.group("Doomed", ["alice@example.com"]).fault(deleted)).groups(&[
        ("Admins", &["alice@example.com", "bob@example.com"]),
        ("Doomed", &["alice@example.com", "bob@example.com"]),
    ]);
    let outcome = world.run("apply --yes --max-wait 1s").exits(5);
    assert!(outcome.stdout.contains("failed Doomed: 0 added, 0 removed"), "{outcome}");
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}
