//! `apply` with refusals: a refused member is named with the API's reason, and does not block the others.

use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Respond, Seed, SeedGroup, SeedPerson};
use insta::assert_snapshot;

use crate::builders::{FaultRuleExt as _, MatchExt as _, SeedExt as _, SeedGroupExt as _, SeedPersonExt as _};
use crate::harness::given;

#[test]
fn refused_batch_is_split_to_the_bad_member() {
    let people: Vec<String> = (0..9).map(|number| format!("p{number}@example.com")).collect();
    let seed = people.iter().fold(Seed::default().group("Admins", ["alice@example.com"]), |seed, email| {
        let person = SeedPerson::of(email);
        seed.person(if email.starts_with("p5") { person.not_joinable() } else { person })
    });
    let mut desired = vec!["alice@example.com"];
    desired.extend(people.iter().map(String::as_str));
    let world = given(seed).groups(&[("Admins", &desired)]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 5
    -- stdout
    Admins (1 -> 10 members)
      + p0@example.com  no end  convoke.yaml:8
      + p1@example.com  no end  convoke.yaml:9
      + p2@example.com  no end  convoke.yaml:10
      + p3@example.com  no end  convoke.yaml:11
      + p4@example.com  no end  convoke.yaml:12
      + p5@example.com  no end  convoke.yaml:13
      + p6@example.com  no end  convoke.yaml:14
      + p7@example.com  no end  convoke.yaml:15
      + p8@example.com  no end  convoke.yaml:16

    Plan: 9 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    failed Admins: 8 added, 0 removed
      not added: p5@example.com: the API refused: members p5@example.com do not have DSR enabled (code 400) [status 400, cf-ray [ray]] (convoke.yaml:13)

    Applied in part: 8 added, 0 removed.
    0 of 1 group in sync.
    1 group failed
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert_eq!(world.members("Admins").len(), 9);
    assert!(!world.members("Admins").contains(&"p5@example.com".into()));
}

#[test]
fn token_refused_after_an_accepted_write_is_not_called_too_weak() {
    let seed = Seed::default().person("bob@example.com").group("Admins", ["alice@example.com"]);
    let refusal = Fault::Respond(Respond { status: 401, ..Respond::default() });
    let seed = seed.fault(FaultRule::once(Match::operation(Endpoint::ListMembers).nth(2), refusal));
    let world = given(seed).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    let outcome = world.run("apply --yes").exits(5).says("it has probably expired or was revoked");
    assert!(!outcome.stdout.contains("Account Settings Write"), "{outcome}");
}

#[test]
fn refused_put_is_applied_for_the_others() {
    let seed = Seed::default()
        .person("bob@example.com")
        .person(SeedPerson::of("dora@example.com").not_joinable())
        .group("Admins", ["alice@example.com", "m1@example.com", "m2@example.com", "m3@example.com"]);
    let world = given(seed).groups(&[("Admins", &["alice@example.com", "bob@example.com", "dora@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 5
    -- stdout
    Admins (4 -> 3 members)
      + bob@example.com   no end  convoke.yaml:8
      + dora@example.com  no end  convoke.yaml:9
      - m1@example.com
      - m2@example.com
      - m3@example.com

    Plan: 2 to add, 3 to remove in 1 of 1 group
    Digest: [digest]

    failed Admins: 1 added, 3 removed
      not added: dora@example.com: the API refused: members dora@example.com do not have DSR enabled (code 400) [status 400, cf-ray [ray]] (convoke.yaml:9)

    Applied in part: 1 added, 3 removed.
    0 of 1 group in sync.
    1 group failed
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn failed_move_keeps_the_old_membership() {
    let seed = Seed::default()
        .person(SeedPerson::of("dora@example.com").not_joinable())
        .group("Admins", ["alice@example.com", "dora@example.com", "mallory@example.com"])
        .group("Operators", ["bob@example.com"]);
    let world = given(seed)
        .groups(&[("Admins", &["alice@example.com"]), ("Operators", &["bob@example.com", "dora@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @r#"
    exit 5
    -- stdout
    Admins (3 -> 1 member)
      - dora@example.com
      - mallory@example.com

    Operators (1 -> 2 members)
      + dora@example.com  no end  convoke.yaml:11

    Plan: 1 to add, 2 to remove in 2 of 2 groups
    Digest: [digest]

    kept Admins: 0 added, 1 removed
      not removed: dora@example.com: kept, because the addition to "Operators" is not proven
    failed Operators: 0 added, 0 removed
      not added: dora@example.com: the API refused: members dora@example.com do not have DSR enabled (code 400) [status 400, cf-ray [ray]] (convoke.yaml:11)

    Applied in part: 0 added, 1 removed.
    0 of 2 groups in sync.
    1 group failed
    1 group with removals that were not made
    Resolve the problems above, then run `convoke apply` again.
    "#);
    assert_eq!(world.members("Admins"), ["alice@example.com", "dora@example.com"]);
}

#[test]
fn failed_addition_keeps_member_in_replaced_group() {
    let seed = Seed::default()
        .person(SeedPerson::of("dora@example.com").not_joinable())
        .group(
            "Admins",
            ["alice@example.com", "dora@example.com", "m1@example.com", "m2@example.com", "m3@example.com"],
        )
        .group("Operators", ["bob@example.com"]);
    let world = given(seed)
        .groups(&[("Admins", &["alice@example.com"]), ("Operators", &["bob@example.com", "dora@example.com"])]);
    world.run("apply --yes").exits(5);
    assert_eq!(world.members("Admins"), ["alice@example.com", "dora@example.com"]);
}

#[test]
fn scim_group_is_reported_with_remedy() {
    let seed = Seed::default()
        .person("bob@example.com")
        .group("Admins", ["alice@example.com"])
        .group("From SCIM", SeedGroup::of(["alice@example.com"]).scim());
    let world = given(seed).groups(&[
        ("Admins", &["alice@example.com", "bob@example.com"]),
        ("From SCIM", &["alice@example.com", "bob@example.com"]),
    ]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 5
    -- stdout
    Admins (1 -> 2 members)
      + bob@example.com  no end  convoke.yaml:8

    From SCIM (1 -> 2 members)
      + bob@example.com  no end  convoke.yaml:12

    Plan: 2 to add, 0 to remove in 2 of 2 groups
    Digest: [digest]

    done Admins: 1 added, 0 removed
    failed From SCIM: 0 added, 0 removed
      not added: bob@example.com: the API refused: the user group is synchronized by SCIM and cannot be changed or deleted here (code 400) [status 400, cf-ray [ray]]; an identity provider manages this group: declare it with mode: observe (convoke.yaml:12)

    Applied in part: 1 added, 0 removed.
    1 of 2 groups in sync.
    1 group failed
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn already_removed_member_counts_as_removed() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mallory@example.com"]).fault(FaultRule::once(
        Match::operation(Endpoint::RemoveMember),
        Fault::EditBefore(convoke::sandbox::Edit::RemovePerson("mallory@example.com".into())),
    ));
    let world = given(seed).groups(&[("Admins", &["alice@example.com"])]);
    world.run("apply --yes").exits(0).says("Applied: 0 added, 1 removed.");
    assert_eq!(world.members("Admins"), ["alice@example.com"]);
}

#[test]
fn former_account_member_is_named() {
    let seed = Seed::default().people(["bob@example.com", "carol@example.com"]).group("Admins", ["alice@example.com"]);
    let leaves = FaultRule::once(
        Match::operation(Endpoint::AddMembers),
        Fault::EditBefore(convoke::sandbox::Edit::RemovePerson("bob@example.com".into())),
    );
    let world =
        given(seed.fault(leaves)).groups(&[("Admins", &["alice@example.com", "bob@example.com", "carol@example.com"])]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 5
    -- stdout
    Admins (1 -> 3 members)
      + bob@example.com    no end  convoke.yaml:8
      + carol@example.com  no end  convoke.yaml:9

    Plan: 2 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    failed Admins: 1 added, 0 removed
      not added: bob@example.com: the API refused: invalid member: ef03408d6402ce5765a60dd5b18d8bae is not a member of the account (code 400) [status 400, cf-ray [ray]] (convoke.yaml:8)

    Applied in part: 1 added, 0 removed.
    0 of 1 group in sync.
    1 group failed
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert_eq!(world.members("Admins"), ["alice@example.com", "carol@example.com"]);
}

#[test]
fn group_deleted_during_apply_is_reported() {
    let seed = Seed::default().person("bob@example.com").group("Admins", ["alice@example.com"]);
    let deleted = FaultRule::once(
        Match::operation(Endpoint::AddMembers).group("Doomed"),
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
