//! `apply` reports only what it saw: additions are proven before removals, guards hold at every moment, and complete
//! groups are compared with their targets at the end.

use std::time::Duration;

use convoke::sandbox::{Contradiction, Delay, Edit, Endpoint, FalseClaim, Fault, FaultRule, Match, Seed, SeedPerson};
use serde_json::Value;

use crate::builders::{
    EditExt as _, FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _, SeedPersonExt as _,
};
use crate::harness::{World, config, given};

fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|member| member["email"].as_str().unwrap()).collect()
}

/// The report of a run, as JSON.
fn applied(world: &World, code: i32) -> Value {
    world.run("apply --yes --max-wait 1s --format json").exits(code).json()
}

fn unjoinable(email: &str) -> SeedPerson {
    SeedPerson::of(email).not_joinable()
}

fn on(endpoint: Endpoint) -> Match {
    Match::operation(endpoint)
}

#[test]
fn failed_addition_does_not_empty_the_group() {
    let seed = Seed::default().person(unjoinable("p1@example.com")).group("A", ["p0@example.com"]);
    let world = given(seed).groups(&[("A", &["p1@example.com"])]);
    let report = applied(&world, 5);
    assert_eq!(world.members("A"), ["p0@example.com"]);
    let group = &report["groups"][0];
    assert_eq!(
        (&report["status"], &group["outcome"], &group["in_sync"]),
        (&"partial".into(), &"failed".into(), &false.into())
    );
    assert_eq!(group["kept"][0]["member"]["email"], "p0@example.com");
    assert!(group["kept"][0]["reason"].as_str().unwrap().contains("would be empty"), "{report:#}");
    assert!(!world.writes().iter().any(|write| write.starts_with("DELETE")), "{:?}", world.writes());
}

#[test]
fn failed_replacement_does_not_empty_the_group() {
    let old = ["o1@example.com", "o2@example.com", "o3@example.com", "o4@example.com"];
    let new = ["n1@example.com", "n2@example.com", "n3@example.com", "n4@example.com"];
    let seed = new.iter().fold(Seed::default().group("A", old), |seed, email| seed.person(unjoinable(email)));
    let world = given(seed).groups(&[("A", &new)]);
    let report = applied(&world, 5);
    assert_eq!(world.members("A").len(), 1, "{:?}", world.writes());
    assert_eq!(report["groups"][0]["kept"].as_array().unwrap().len(), 1);
    assert_eq!(report["groups"][0]["failed"].as_array().unwrap().len(), 4);
}

#[test]
fn min_members_is_kept_after_failed_additions() {
    let seed = Seed::default()
        .person(unjoinable("n1@example.com"))
        .group("A", ["o1@example.com", "o2@example.com", "o3@example.com"]);
    let world = given(seed).file(
        "convoke.yaml",
        "version: 1\nsettings: { limits: { group_removals: 100%, total_removals: 100% } }\n\
         groups:\n  A: { min_members: 2, members: [o1@example.com, n1@example.com] }\n",
    );
    let report = applied(&world, 5);
    assert_eq!(world.members("A").len(), 2);
    assert!(report["groups"][0]["kept"][0]["reason"].as_str().unwrap().contains("min_members is 2"), "{report:#}");
}

#[test]
fn mover_stays_until_new_group_shows_them() {
    let claim = FaultRule::always(on(Endpoint::AddMembers).group("New"), Fault::Claim(FalseClaim::Unchanged));
    let seed =
        Seed::default().group("Old", ["m@example.com", "x@example.com"]).group("New", ["y@example.com"]).fault(claim);
    let world = given(seed).groups(&[("Old", &["x@example.com"]), ("New", &["y@example.com", "m@example.com"])]);
    let report = applied(&world, 5);
    assert_eq!(world.members("Old"), ["m@example.com", "x@example.com"]);
    assert_eq!(report["groups"][1]["kept"][0]["member"]["email"], "m@example.com");
    assert!(report["groups"][0]["failed"][0]["reason"].as_str().unwrap().contains("accepted"), "{report:#}");
}

#[test]
fn unproven_addition_is_read_back_before_any_removal() {
    // The answer shows no members; the reading shows the member.
    let silent = FaultRule::once(on(Endpoint::AddMembers), Fault::All(vec![Fault::UnsuccessfulAfter]));
    let seed =
        Seed::default().group("Old", ["m@example.com", "x@example.com"]).group("New", ["y@example.com"]).fault(silent);
    let world = given(seed).groups(&[("Old", &["x@example.com"]), ("New", &["y@example.com", "m@example.com"])]);
    world.run("apply --yes").exits(0);
    let requests = world.account().requests();
    let place = |method: &str| requests.iter().position(|request| request.method == method).unwrap();
    let (post, delete) = (place("POST"), place("DELETE"));
    assert!(requests[post..delete].iter().any(|request| request.operation == Some(Endpoint::ListMembers)));
}

#[test]
fn foreign_addition_during_a_post_is_reported() {
    let joins = FaultRule::once(on(Endpoint::AddMembers), Fault::EditBefore(Edit::add("A", "stranger@example.com")));
    let seed =
        Seed::default().people(["b@example.com", "stranger@example.com"]).group("A", ["a@example.com"]).fault(joins);
    let world = given(seed).groups(&[("A", &["a@example.com", "b@example.com"])]);
    let report = applied(&world, 5);
    assert_eq!(report["groups"][0]["outcome"], "stale");
    assert_eq!(names(&report["groups"][0]["stale"]["added"]), ["stranger@example.com"]);
    assert_eq!(report["groups"][0]["in_sync"], false);
}

#[test]
fn member_lost_during_a_delete_is_reported() {
    let leaves = FaultRule::once(on(Endpoint::RemoveMember), Fault::EditAfter(Edit::remove("A", "a@example.com")));
    let seed = Seed::default().group("A", ["a@example.com", "b@example.com", "c@example.com"]).fault(leaves);
    let world = given(seed).groups(&[("A", &["a@example.com", "b@example.com"])]);
    let report = applied(&world, 5);
    assert_eq!(names(&report["groups"][0]["stale"]["removed"]), ["a@example.com"]);
    assert_eq!(names(&report["groups"][0]["removed"]), ["c@example.com"]);
}

#[test]
fn answer_to_a_delete_proves_nothing() {
    for claim in [FalseClaim::Done, FalseClaim::DoneList, FalseClaim::Unchanged, FalseClaim::Empty, FalseClaim::Null] {
        let seed = Seed::default()
            .group("A", ["a@example.com", "leaver@example.com"])
            .fault(FaultRule::always(on(Endpoint::RemoveMember), Fault::Claim(claim)));
        let world = given(seed).groups(&[("A", &["a@example.com"])]);
        let report = applied(&world, 5);
        assert_eq!(report["groups"][0]["failed"][0]["member"]["email"], "leaver@example.com", "{claim:?}: {report:#}");
        assert_eq!((&report["removed"], &report["groups"][0]["in_sync"]), (&0.into(), &false.into()), "{claim:?}");
    }
}

#[test]
fn put_answer_with_fewer_members_proves_nothing() {
    let old = ["o1@example.com", "o2@example.com", "o3@example.com", "o4@example.com"];
    for claim in [FalseClaim::Unchanged, FalseClaim::Empty, FalseClaim::Null] {
        let seed = Seed::default()
            .group("A", old)
            .person("n@example.com")
            .fault(FaultRule::always(on(Endpoint::ReplaceMembers), Fault::Claim(claim)));
        let world = given(seed).groups(&[("A", &["n@example.com"])]);
        let report = applied(&world, 5);
        assert_eq!(report["groups"][0]["failed"].as_array().unwrap().len(), 5, "{claim:?}: {report:#}");
        assert_eq!(report["groups"][0]["in_sync"], false);
    }
}

#[test]
fn contradictory_reading_after_a_refused_delete_proves_nothing() {
    let seed = Seed::default()
        .group("A", ["a@example.com", "leaver@example.com"])
        .fault(FaultRule::always(on(Endpoint::RemoveMember), Fault::status(404)));
    let contradicts = |seed: Seed, nth| {
        let fault = Fault::Contradict(Contradiction::NoResult);
        seed.fault(FaultRule::once(on(Endpoint::ListMembers).nth(nth), fault))
    };
    // The first reading is for the plan.
    let seed = (2..10).fold(seed, contradicts);
    let world = given(seed).groups(&[("A", &["a@example.com"])]);
    let report = applied(&world, 5);
    assert_eq!(report["removed"], 0);
    assert!(report["groups"][0]["trouble"].as_str().unwrap().contains("could not be read"), "{report:#}");
}

#[test]
fn lagging_reads_are_repeated() {
    let seed = Seed::default()
        .group("A", ["a@example.com", "leaver@example.com"])
        .group("B", ["a@example.com"])
        .person("new@example.com");
    let world = given(seed).groups(&[("A", &["a@example.com"]), ("B", &["a@example.com", "new@example.com"])]);
    world.account().set_lag(Duration::from_millis(700));
    let outcome = world.run("apply --yes --format json").exits(0);
    assert_eq!(outcome.json()["status"], "applied", "{outcome}");
    assert_eq!(world.writes().len(), 2);
}

#[test]
fn group_with_blocked_entry_is_not_in_sync() {
    let seed = Seed::default().group("A", ["a@example.com"]).group("B", ["b@example.com"]);
    let world = given(seed).groups(&[("A", &["a@example.com", "nobody@elsewhere.example"]), ("B", &["b@example.com"])]);
    let report = applied(&world, 5);
    assert_eq!(report["status"], "blocked");
    assert_eq!((&report["groups"][0]["in_sync"], &report["groups"][1]["in_sync"]), (&false.into(), &true.into()));
    world.run("apply --yes").exits(5).says("1 of 2 groups in sync.");
}

#[test]
fn refusals_of_a_batch_are_bounded() {
    let people: Vec<String> = (0..200).map(|number| format!("p{number:03}@example.com")).collect();
    let seed =
        people.iter().fold(Seed::default().group("A", ["a@example.com"]), |seed, email| seed.person(unjoinable(email)));
    let mut desired = vec!["a@example.com"];
    desired.extend(people.iter().map(String::as_str));
    let world = given(seed).groups(&[("A", &desired)]);
    let report = applied(&world, 5);
    assert_eq!(world.writes().len(), 64);
    let failed = report["groups"][0]["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 200);
    assert!(failed[199]["reason"].as_str().unwrap().contains("refused 64 requests"), "{:#}", failed[199]);
}

#[test]
fn refusal_of_the_whole_group_is_not_split() {
    for status in [403, 404, 409] {
        let seed = Seed::default()
            .people(["b@example.com", "c@example.com", "d@example.com"])
            .group("A", ["a@example.com"])
            .fault(FaultRule::always(on(Endpoint::AddMembers), Fault::status(status)));
        let all = ["a@example.com", "b@example.com", "c@example.com", "d@example.com"];
        let world = given(seed).groups(&[("A", &all)]);
        let outcome = world.run("apply --yes --max-wait 1s");
        // A refusal with 403 may concern the token, whatever its code.
        outcome.exits(if status == 403 { 77 } else { 5 });
        assert_eq!(world.writes().len(), 1, "{status}: {:?}", world.writes());
    }
}

#[test]
fn undeclared_members_do_not_disturb_additive_groups() {
    let joins = FaultRule::once(on(Endpoint::AddMembers), Fault::EditBefore(Edit::add("A", "x@example.com")));
    let seed = Seed::default().people(["n@example.com", "x@example.com"]).group("A", ["a@example.com"]).fault(joins);
    let world =
        given(seed).file("convoke.yaml", "version: 1\ngroups:\n  A: { mode: additive, members: [n@example.com] }\n");
    let report = applied(&world, 0);
    assert_eq!((&report["status"], &report["groups"][0]["in_sync"]), (&"applied".into(), &true.into()));
}

#[test]
fn every_change_needs_a_final_reading() {
    for (desired, requests) in [
        // List and members, GET /user for removals, the write, and a reading after it.
        (&["a@example.com", "b@example.com", "c@example.com"][..], 4),
        (&["a@example.com"][..], 5),
    ] {
        let seed = Seed::default().person("c@example.com").group("A", ["a@example.com", "b@example.com"]);
        let world = given(seed).groups(&[("A", desired)]);
        let report = applied(&world, 0);
        let known = if desired.contains(&"c@example.com") { 1 } else { 0 };
        assert_eq!(report["requests"].as_u64().unwrap(), requests + known, "{:#?}", world.account().requests());
    }
}

#[test]
fn report_has_member_counts() {
    let seed = Seed::default().person("c@example.com").group("A", ["a@example.com", "b@example.com"]);
    let world = given(seed).groups(&[("A", &["a@example.com", "b@example.com", "c@example.com"])]);
    let report = applied(&world, 0);
    let group = &report["groups"][0];
    assert_eq!((&group["members_before"], &group["members_after"]), (&2.into(), &3.into()));
    assert_eq!((&report["status"], &group["outcome"]), (&"applied".into(), &"done".into()));
    assert_eq!(applied(&world, 0)["status"], "in_sync");
}

#[test]
fn blocked_observed_entry_keeps_exit_code() {
    let seed = Seed::default().group("A", ["a@example.com"]).group("B", ["b@example.com"]);
    let file = config(&[("A", &["a@example.com", "nobody@elsewhere.example"]), ("B", &["b@example.com"])]);
    let world = given(seed).file("convoke.yaml", file.replacen("  A:\n", "  A:\n    mode: observe\n", 1));
    world.run("plan").exits(0);
    world.run("apply --yes").exits(0).says("1 of 2 groups in sync.");
    world.run("drift --no-audit-log").exits(3);
}

#[test]
fn held_removal_is_never_a_success() {
    // The observed group's typo may mean the member who should leave B.
    let seed = Seed::default().group("A", ["a@example.com"]).group("B", ["b@example.com", "victim@example.com"]);
    let file = config(&[("A", &["a@example.com", "victlm@example.com"]), ("B", &["b@example.com"])]);
    let world = given(seed).file("convoke.yaml", file.replacen("  A:\n", "  A:\n    mode: observe\n", 1));
    world.run("plan").exits(3);
    let report = applied(&world, 5);
    assert_eq!((&report["status"], world.writes().len()), (&"blocked".into(), 0));
}

#[test]
fn observed_difference_is_not_in_sync() {
    let seed = Seed::default().group("A", ["a@example.com", "b@example.com"]);
    let file = config(&[("A", &["a@example.com"])]).replacen("  A:\n", "  A:\n    mode: observe\n", 1);
    let world = given(seed).file("convoke.yaml", file);
    assert_eq!(applied(&world, 0)["status"], "changes");
}

#[test]
fn unrepeated_lagging_reading_is_not_believed() {
    let seed = Seed::default()
        .group("A", ["a@example.com", "leaver@example.com"])
        .fault(FaultRule::once(on(Endpoint::ListMembers).nth(2), Fault::Lag(Delay::millis(10_000))))
        .fault(FaultRule::always(on(Endpoint::ListMembers).nth(2), Fault::Contradict(Contradiction::Count)));
    let world = given(seed).groups(&[("A", &["a@example.com"])]);
    let report = applied(&world, 5);
    let reason = report["groups"][0]["failed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("unknown whether"), "{reason}");
    assert!(report["groups"][0]["trouble"].as_str().unwrap().contains("contradicts"), "{report:#}");
}

#[test]
fn account_with_a_reported_unmanaged_group_is_not_in_sync() {
    let seed =
        || Seed::default().person("new@example.com").group("Ops", ["a@example.com"]).group("Hand", ["a@example.com"]);
    let file = |setting: &str| {
        let groups = "groups: {Ops: {members: [a@example.com, new@example.com]}}";
        format!("version: 1\nsettings: {{unmanaged_groups: {setting}}}\n{groups}\n")
    };
    for (setting, is_in_sync) in [("ignore", true), ("report", false)] {
        let world = given(seed()).file("convoke.yaml", file(setting));
        for _ in 0..2 {
            let outcome = world.run("apply --yes").exits(0);
            assert_eq!(outcome.stdout.contains("The account is in sync"), is_in_sync, "{outcome}");
        }
    }
}
