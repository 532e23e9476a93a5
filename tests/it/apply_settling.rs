//! `apply` with lost answers and changes by others, which are settled by readings.

use convoke::sandbox::{Cut, Delay, Edit, Endpoint, Fault, FaultRule, Match, Seed};
use insta::assert_snapshot;

use crate::builders::{EditExt as _, FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given};

const WRITES: [Endpoint; 3] = [Endpoint::AddMembers, Endpoint::ReplaceMembers, Endpoint::RemoveMember];

/// An account and files whose plan has a POST, a PUT and a DELETE, each for a separate group.
fn post_put_and_delete(rules: impl IntoIterator<Item = FaultRule>) -> World {
    let seed = Seed::default()
        .people(["bob@example.com", "carol@example.com"])
        .group("Added", ["alice@example.com"])
        .group("Replaced", ["alice@example.com", "m1@example.com", "m2@example.com", "m3@example.com"])
        .group("Deleted", ["alice@example.com", "mallory@example.com"]);
    given(rules.into_iter().fold(seed, Seed::fault)).groups(&[
        ("Added", &["alice@example.com", "bob@example.com", "carol@example.com"]),
        ("Replaced", &["alice@example.com", "bob@example.com"]),
        ("Deleted", &["alice@example.com"]),
    ])
}

#[track_caller]
fn in_sync(world: &World) {
    assert_eq!(world.members("Added"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert_eq!(world.members("Replaced"), ["alice@example.com", "bob@example.com"]);
    assert_eq!(world.members("Deleted"), ["alice@example.com"]);
}

#[test]
fn each_write_is_sent_once() {
    let world = post_put_and_delete([]);
    world.run("apply --yes").exits(0).says("Applied: 3 added, 4 removed.");
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            "DELETE Deleted: mallory@example.com",
            "POST Added: bob@example.com carol@example.com",
            "PUT Replaced: alice@example.com bob@example.com",
        ]
    );
    in_sync(&world);
}

#[test]
fn lost_answer_is_settled_by_reading() {
    for cut in [Cut::After, Cut::Body] {
        let world = post_put_and_delete(WRITES.map(|write| FaultRule::once(Match::operation(write), Fault::Cut(cut))));
        world.run("apply --yes --max-wait 5s").exits(0).says("Applied: 3 added, 4 removed.");
        assert_eq!(world.writes().len(), 3, "{cut:?}: {:#?}", world.writes());
        in_sync(&world);
    }
}

#[test]
fn lost_write_is_repeated_after_a_reading() {
    let world =
        post_put_and_delete(WRITES.map(|write| FaultRule::once(Match::operation(write), Fault::Cut(Cut::Before))));
    world.run("apply --yes --max-wait 5s").exits(0).says("Applied: 3 added, 4 removed.");
    in_sync(&world);
}

#[test]
fn edge_error_after_a_write_is_settled() {
    let late = |write| {
        let respond = convoke::sandbox::Respond { status: 502, html: true, after: true, ..Default::default() };
        FaultRule::once(Match::operation(write), Fault::Respond(respond))
    };
    let world = post_put_and_delete(WRITES.map(late));
    world.run("apply --yes --max-wait 5s").exits(0);
    assert_eq!(world.writes().len(), 3, "{:#?}", world.writes());
    in_sync(&world);
}

#[test]
fn failing_write_does_not_stop_the_others() {
    let added = Match::operation(Endpoint::AddMembers).group("Added");
    let world = post_put_and_delete([FaultRule::always(added, Fault::Cut(Cut::Before))]);
    let outcome = world.run("apply --yes --max-wait 1s").exits(5);
    assert!(outcome.stdout.contains("failed Added: 0 added, 0 removed"), "{outcome}");
    assert!(outcome.stdout.contains("not added: bob@example.com: "), "{outcome}");
    assert_eq!(world.members("Deleted"), ["alice@example.com"]);
    assert_eq!(world.members("Added"), ["alice@example.com"]);
    // A second run without faults converges.
    world.account().clear_faults();
    world.run("apply --yes").exits(0);
    in_sync(&world);
}

#[test]
fn put_is_not_sent_to_a_changed_group() {
    // The group is read for the plan, and again before the PUT. By then another member has joined.
    let joins = FaultRule::once(
        Match::operation(Endpoint::ListMembers).group("Replaced").nth(2),
        Fault::EditBefore(Edit::add("Replaced", "carol@example.com")),
    );
    let world = post_put_and_delete([joins]);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 5
    -- stdout
    Added (1 -> 3 members)
      + bob@example.com    no end  convoke.yaml:8
      + carol@example.com  no end  convoke.yaml:9

    Deleted (2 -> 1 member)
      - mallory@example.com

    Replaced (4 -> 2 members)
      + bob@example.com  no end  convoke.yaml:13
      - m1@example.com
      - m2@example.com
      - m3@example.com

    Plan: 3 to add, 4 to remove in 3 of 3 groups
    Digest: [digest]

    done Added: 2 added, 0 removed
    done Deleted: 0 added, 1 removed
    changed meanwhile Replaced: 0 added, 0 removed
      somebody else changed the group meanwhile; 4 changes not made:
        was added: carol@example.com

    Applied in part: 2 added, 1 removed.
    2 of 3 groups in sync.
    1 group changed meanwhile
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert!(!world.writes().iter().any(|write| write.starts_with("PUT")), "{:#?}", world.writes());
    assert!(world.members("Replaced").contains(&"carol@example.com".into()));
    assert_eq!(world.members("Added"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert_eq!(world.members("Deleted"), ["alice@example.com"]);
    // The plan of the next run includes the change.
    world.run("apply --yes").exits(0);
    in_sync(&world);
}

#[test]
fn change_already_made_is_not_a_conflict() {
    let leaves = FaultRule::once(
        Match::operation(Endpoint::ListMembers).group("Replaced").nth(2),
        Fault::EditBefore(Edit::remove("Replaced", "m1@example.com")),
    );
    let world = post_put_and_delete([leaves]);
    world.run("apply --yes").exits(0);
    in_sync(&world);
}

#[test]
fn token_refused_during_apply_is_reported() {
    let world = post_put_and_delete([FaultRule::once(
        Match::operation(Endpoint::AddMembers),
        Fault::EditBefore(Edit::RevokeToken),
    )]);
    let outcome = world.run("apply --yes --max-wait 1s");
    assert!(matches!(outcome.code, Some(5 | 77)), "{outcome}");
    assert!(outcome.stdout.contains("the credentials are refused"), "{outcome}");
}

#[test]
fn token_refused_after_unknown_write_exits_5() {
    for status in [401, 403] {
        let seed = Seed::default()
            .group("A", ["a@example.com"])
            .person("b@example.com")
            .fault(FaultRule::once(Match::operation(Endpoint::AddMembers), Fault::Cut(Cut::After)))
            .fault(FaultRule::always(Match::operation(Endpoint::ListMembers).nth(2), Fault::status(status)));
        let world = given(seed).groups(&[("A", &["a@example.com", "b@example.com"])]);
        let report = world.run("apply --yes --max-wait 1s --format json").exits(5).json();
        let reason = report["groups"][0]["failed"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("unknown whether"), "{status}: {reason}");
    }
}

#[test]
fn reverted_change_is_reported_as_missing() {
    let seed = Seed::default()
        .person("bob@example.com")
        .group("Team", ["alice@example.com", "mallory@example.com"])
        .fault(FaultRule::once(
            Match::operation(Endpoint::AddMembers),
            Fault::EditAfter(Edit::remove("Team", "bob@example.com")),
        ))
        // The API refuses to remove a former member, so the group is read again.
        .fault(FaultRule::once(
            Match::operation(Endpoint::RemoveMember),
            Fault::EditBefore(Edit::remove("Team", "mallory@example.com")),
        ));
    let world = given(seed).groups(&[("Team", &["alice@example.com", "bob@example.com"])]);
    world
        .run("apply --yes --max-wait 1s")
        .exits(5)
        .says("the API accepted the change, but the member is not in the group");
    world.run("apply --yes").exits(0);
    assert_eq!(world.members("Team"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn late_reading_of_an_addition_is_repeated_after_the_removals() {
    let added = || Match::operation(Endpoint::ListMembers).group("Added");
    let world = post_put_and_delete([
        FaultRule::once(Match::operation(Endpoint::AddMembers), Fault::OmitResult),
        // More than half of the time for repeated readings, which is all that may pass before the removals.
        FaultRule::always(added(), Fault::Lag(Delay::millis(2500))),
    ]);
    world.run("apply --yes --max-wait 4s").exits(0).says("Applied: 3 added, 4 removed.");
    in_sync(&world);
}

#[test]
fn replacement_follows_its_reading_immediately() {
    let names = ["A", "B", "C", "D", "E"];
    let before = ["a@example.com", "m1@example.com", "m2@example.com", "m3@example.com", "m4@example.com"];
    let seed = names.iter().fold(Seed::default(), |seed, name| seed.group(name, before));
    let after: Vec<(&str, &[&str])> = names.iter().map(|name| (*name, &["a@example.com"][..])).collect();
    let world = given(seed).groups(&after);
    world.run("apply --yes --concurrency 1").exits(0).says("Applied: 0 added, 20 removed.");
    let requests = world.account().requests();
    let pairs: Vec<_> = requests.windows(2).filter(|pair| pair[1].method == "PUT").collect();
    assert_eq!(pairs.len(), names.len());
    for pair in pairs {
        assert_eq!((pair[0].method.as_str(), &pair[0].group), ("GET", &pair[1].group), "{requests:#?}");
    }
}

#[test]
fn refused_change_made_by_somebody_else_is_not_reported_as_made() {
    let removed = Fault::EditBefore(Edit::remove("Deleted", "mallory@example.com"));
    let last_reading = Match::operation(Endpoint::ListMembers).group("Deleted").nth(2);
    let world = post_put_and_delete([
        FaultRule::once(Match::operation(Endpoint::RemoveMember), Fault::status(403)),
        FaultRule::once(last_reading, removed),
    ]);
    let report = world.run("apply --yes --format json").exits(0).json();
    assert_eq!((&report["status"], &report["added"], &report["removed"]), (&"applied".into(), &3.into(), &3.into()));
    in_sync(&world);
}

#[test]
fn missing_observed_group_is_not_in_sync() {
    let world = given(Seed::default().group("A", ["a@example.com"]));
    let files = "version: 1\ngroups:\n  A: { members: [a@example.com] }\n  Watched: { mode: observe, members: [a@example.com] }\n";
    world.write("convoke.yaml", files);
    let outcome = world.run("apply --yes").exits(0);
    assert!(!outcome.stdout.contains("The account is in sync"), "{outcome}");
    let outcome = world.run("plan").exits(0);
    assert!(!outcome.stdout.contains("The account is in sync"), "{outcome}");
}
