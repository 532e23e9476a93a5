//! `--due`: each group stands alone, and what a guard refuses is left out.

use std::fmt::Write as _;

use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Seed, SeedPerson};

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _, SeedPersonExt as _};
use crate::harness::{World, given, people};

const RUN: &str = "apply --due --yes --at 2026-06-16";

/// Entries, each with its end; an empty end is none.
fn list(entries: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, end) in entries {
        let end = if end.is_empty() { String::new() } else { format!(", until: {end}") };
        let _ = writeln!(text, "      - {{email: {name}@example.com{end}}}");
    }
    text
}

/// Two groups. Break Glass has these settings, and both lose one member by an end.
fn two_groups(settings: &str, of_glass: &str) -> World {
    let glass = list(&[("oncall", "2026-06-10")]);
    let prod = list(&[("alice", ""), ("bob", ""), ("leaver", "2026-06-14")]);
    let file = format!(
        "version: 1\n{settings}groups:\n  Break Glass:\n{of_glass}    members:\n{glass}  Prod:\n    members:\n{prod}"
    );
    let seed = Seed::default()
        .group("Break Glass", ["oncall@example.com"])
        .group("Prod", ["alice@example.com", "bob@example.com", "leaver@example.com"]);
    given(seed).file("convoke.yaml", file)
}

/// The group, kind and member of everything that a document says is left out.
fn left_out(document: &serde_json::Value) -> Vec<String> {
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let all = document["left_out"].as_array().into_iter().flatten();
    all.map(|it| format!("{} {} {}", word(&it["kind"]), word(&it["group"]), word(&it["change"]["member"]["email"])))
        .collect()
}

#[test]
fn a_guard_leaves_out_its_own_group_only() {
    let world = two_groups("", "");
    insta::assert_snapshot!(world.run("plan --due --at 2026-06-16").exits(3), @"
    exit 3
    -- stdout
    Left out: changes that this run does not make
      convoke.yaml:5  Break Glass:
          oncall@example.com is not removed: allow_empty: the group would be empty (members now: 1) (convoke.yaml:4)

    Prod (3 -> 2 members)
      - leaver@example.com  expired (until 2026-06-14)  convoke.yaml:10

    Plan: 0 to add, 1 to remove in 1 of 2 groups
    1 change left out
    1 group not fully compared
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --due --expect [digest]
    -- stderr
    error: refused in part: a guard leaves out changes
    ");
    let report =
        world.run(RUN).exits(5).says("oncall@example.com is not removed: allow_empty: the group would be empty");
    assert!(report.stdout.contains("Applied in part: 0 added, 1 removed."), "{report}");
    assert_eq!(world.members("Prod"), ["alice@example.com", "bob@example.com"]);
    assert_eq!(world.writes(), ["DELETE Prod: leaver@example.com"]);
    // Nothing else is left: nothing is changed, and the run is still partial.
    let again = world.run(&format!("{RUN} --format json")).exits(5).json();
    assert_eq!(left_out(&again), ["guard Break Glass oncall@example.com"]);
    assert_eq!(again["status"], "partial");
    world.run(RUN).exits(5).says("Nothing was changed.");
    for format in ["markdown", "github"] {
        let report = world.run(&format!("{RUN} --format {format}")).exits(5);
        report.says("oncall@example.com").says("allow");
    }
}

#[test]
fn a_renamed_pin_leaves_out_its_own_group_only() {
    let world = two_groups("", "");
    let id = world.account().group_id("Break Glass").unwrap();
    let file = world.read("convoke.yaml");
    let pinned = format!("  Break Glass:\n    id: {id}\n    allow_empty: true\n");
    world.write("convoke.yaml", file.replace("  Break Glass:\n", &pinned));
    world.account().rename_group("Break Glass", "Glass");
    let report = world.run(RUN).exits(5).says("pinned_name: the pinned group").says("convoke.yaml:4");
    assert_eq!((world.members("Glass").len(), world.members("Prod").len()), (1, 2), "{report}");
    // It is named even if nothing is due in it.
    let file = world.read("convoke.yaml").replace(", until: 2026-06-10", "");
    world.write("convoke.yaml", file);
    world.run(RUN).exits(5).says("convoke.yaml:4  Break Glass:").says("is called \"Glass\" in the account");
}

#[test]
fn unmanaged_groups_and_group_removals_are_not_asked() {
    let settings = "settings: {unmanaged_groups: refuse, limits: {group_removals: 0}}\n";
    let world = two_groups(settings, "    allow_empty: true\n");
    world.account().create_group("By hand");
    world.run(RUN).exits(0);
    assert_eq!((world.members("Break Glass").len(), world.members("Prod").len()), (0, 2));
}

#[test]
fn an_unreadable_group_concerns_itself_only() {
    let world = two_groups("", "    allow_empty: true\n");
    let listing = Match::operation(Endpoint::ListMembers).group("Break Glass");
    world.account().push_fault(FaultRule::always(listing, Fault::status(400)));
    world.run(RUN).exits(5).says("Break Glass");
    assert_eq!(world.members("Prod").len(), 2);
}

#[test]
fn as_many_as_min_members_allows_earliest_end_first() {
    let entries = list(&[("anna", "2026-06-10"), ("bert", "2026-06-01"), ("zoe", "2026-06-10"), ("carl", "")]);
    let file = format!("version: 1\ngroups:\n  G:\n    min_members: 2\n    members:\n{entries}");
    let all = ["anna", "bert", "carl", "zoe"].map(|name| format!("{name}@example.com"));
    let world = given(Seed::default().group("G", all)).file("convoke.yaml", file);
    let report = world.run(&format!("{RUN} --format json")).exits(5).json();
    assert_eq!(world.members("G"), ["carl@example.com", "zoe@example.com"], "bert ended first, anna is before zoe");
    assert_eq!(left_out(&report), ["guard G zoe@example.com"]);
    let reason = report["left_out"][0]["reason"].as_str().unwrap();
    assert_eq!(reason, "min_members: only 1 would remain, and min_members is 2, set at convoke.yaml:4");
    assert_eq!(report["left_out"][0]["change"]["origin"]["line"], 8);
}

#[test]
fn protected_people_and_the_token_user_stay_alone() {
    let entries = list(&[
        ("boss", "2026-06-01"),
        ("robot", "2026-06-02"),
        ("typo.here", "2026-06-02"),
        ("leaver", "2026-06-03"),
        ("alice", ""),
    ]);
    let settings = "settings: {protected: [boss@example.com, typo.hree@example.com]}\n";
    let file = format!("version: 1\n{settings}groups:\n  G:\n    members:\n{entries}");
    let all = ["boss", "robot", "typo.here", "leaver", "alice"].map(|name| format!("{name}@example.com"));
    let seed = Seed { token_owner: Some("robot@example.com".into()), ..Seed::default() }.group("G", all);
    let world = given(seed).file("convoke.yaml", file);
    let report = world.run(&format!("{RUN} --format json")).exits(5).json();
    let expected = ["boss", "robot", "typo.here"].map(|name| format!("guard G {name}@example.com"));
    assert_eq!(left_out(&report), expected);
    assert_eq!(world.writes(), ["DELETE G: leaver@example.com"]);
    world.run(&format!("{RUN} --accept-self")).exits(5);
    assert_eq!(world.members("G").len(), 3);
}

/// Ten of forty members of each of two groups have ended, each on another day.
fn many() -> World {
    many_in(Seed::default())
}

fn many_in(mut seed: Seed) -> World {
    let mut file = String::from("version: 1\ngroups:\n");
    for group in ["G", "H"] {
        let all = people(group, 40);
        let _ = write!(file, "  {group}:\n    members:\n");
        for (number, email) in all.iter().enumerate() {
            let end = if number < 10 { format!(", until: 2026-03-{:02}", 20 - number) } else { String::new() };
            let _ = writeln!(file, "      - {{email: {email}{end}}}");
        }
        seed = seed.group(group, all);
    }
    given(seed).file("convoke.yaml", file)
}

#[test]
fn one_run_makes_at_most_total_removals() {
    let world = many();
    let plan = world.run("plan --due --at 2026-06-16 --format json").exits(0).json();
    assert_eq!((plan["summary"]["removes"].as_u64(), left_out(&plan).len()), (Some(6), 14));
    let mut codes = Vec::new();
    while codes.last() != Some(&Some(0)) && codes.len() < 9 {
        let report = world.run(RUN);
        if codes.is_empty() {
            assert!(report.stdout.contains("The next run makes the rest."), "{report}");
            assert!(report.stdout.contains("one run makes at most 6 removals (total_removals: 10%)"), "{report}");
        }
        codes.push(report.code);
    }
    assert_eq!(codes, [5, 5, 5, 0].map(Some), "6 of 60 declared, 6, 6 and 2");
    assert_eq!(world.members("G").len() + world.members("H").len(), 60);
    let first: Vec<String> = world.writes().into_iter().take(6).collect();
    for number in ["0009", "0008", "0007"] {
        for group in ["G", "H"] {
            assert!(first.contains(&format!("DELETE {group}: {group}-{number}@example.com")), "{first:?}");
        }
    }
}

#[test]
fn removals_that_fail_each_time_are_named_as_what_uses_up_the_cap() {
    let world =
        many_in(Seed::default().fault(FaultRule::always(Match::operation(Endpoint::RemoveMember), Fault::status(400))));
    let report = world.run(RUN).exits(5);
    let said = "Until then each run tries the failed removals first, and they count for `total_removals`";
    assert!(report.stdout.contains(said), "{report}");
}

#[test]
fn the_cap_holds_for_one_group_and_can_be_lifted() {
    let world = many();
    let run = format!("{RUN} --only G");
    let plan = world.run("plan --due --at 2026-06-16 --only G --format json").exits(0).json();
    assert_eq!(plan["summary"]["removes"], 6);
    let digest = plan["digest"].as_str().unwrap();
    world.run(&format!("{run} --accept {digest}")).exits(0).says("Applied: 0 added, 10 removed.");
}

#[test]
fn a_saved_due_plan_keeps_what_it_left_out() {
    let world = two_groups("", "");
    world.run("plan --due --out plan.json --at 2026-06-16").exits(3);
    let shown = world.run("show plan.json").exits(0).says("Left out: changes that this run does not make");
    assert!(shown.stdout.contains("oncall@example.com is not removed"), "{shown}");
    world.run("apply plan.json --yes --max-age 9000d").exits(5).says("oncall@example.com is not removed");
    assert_eq!(world.members("Prod").len(), 2);
}

#[test]
fn an_addition_is_due_for_31_days() {
    let file = "version: 1\ngroups:\n  G:\n    members:\n      - a@example.com\n      \
                - {email: old@example.com, from: 2026-05-15}\n      - {email: fresh@example.com, from: 2026-05-17}\n";
    let seed = Seed::default().people(["old@example.com", "fresh@example.com"]).group("G", ["a@example.com"]);
    let world = given(seed).file("convoke.yaml", file);
    let plan = world.run("plan --due --at 2026-06-16 --detailed-exitcode --format json").exits(2).json();
    assert_eq!(left_out(&plan), ["drift G old@example.com"]);
    world
        .run(RUN)
        .exits(0)
        .says("convoke.yaml:6")
        .says("old@example.com is not added: its `from` passed more than 31 days ago");
    assert_eq!(world.members("G"), ["a@example.com", "fresh@example.com"]);
    world.run(RUN).exits(0).says("old@example.com is not added");
    world.run("drift --at 2026-06-16 --no-audit-log").exits(2).says("old@example.com");
}

#[test]
fn a_join_does_not_go_before_a_removal_that_is_left_out() {
    let file = "version: 1\nsettings: {protected: [mover@example.com]}\ngroups:\n  Old:\n    exclusive_with: [New]\n    \
                members:\n      \
                - a@example.com\n      - {email: mover@example.com, until: 2026-06-14}\n  New:\n    members:\n      \
                - {email: mover@example.com, from: 2026-06-15}\n    allow_empty: true\n";
    let seed = Seed::default().group("Old", ["a@example.com", "mover@example.com"]).group("New", Vec::<String>::new());
    let world = given(seed).file("convoke.yaml", file);
    let report = world.run(&format!("{RUN} --format json")).exits(5).json();
    assert_eq!(left_out(&report), ["guard New mover@example.com", "guard Old mover@example.com"]);
    assert!(world.writes().is_empty());
}

#[test]
fn a_cap_of_none_is_named_as_such() {
    let world = many();
    let files = world.read("convoke.yaml").replace("groups:", "settings: {limits: {total_removals: 0}}\ngroups:");
    world.write("convoke.yaml", files);
    let report = world.run(RUN).exits(5).says("no run makes removals (total_removals: 0, set at convoke.yaml:2)");
    assert!(!report.stdout.contains("The next run makes the rest"), "{report}");
    world.write("convoke.yaml", world.read("convoke.yaml").replace("total_removals: 0", "total_removals: 1"));
    world.run(RUN).exits(5).says("one run makes at most 1 removal (").says("The next run makes the rest.");
}

/// Who is missing, and did not begin to belong to the group lately, is no concern of the run: neither are they required.
#[test]
fn an_entry_with_from_beside_one_without_is_not_due() {
    let file = "version: 1\nrosters:\n  cover: [alice@example.com]\ngroups:\n  Prod:\n    members:\n      - \
                bob@example.com\n      - alice@example.com\n      - {roster: cover, from: 2026-06-10}\n      - {email: \
                leaver@example.com, until: 2026-06-14}\n";
    let world =
        given(Seed::default().group("Prod", ["bob@example.com", "leaver@example.com"]).people(["alice@example.com"]))
            .file("convoke.yaml", file);
    world.run("plan --due --at 2026-06-16 --out plan.json").exits(0);
    world.run("apply plan.json --yes --max-age 9999d").exits(0).says("1 removed");
    assert_eq!(world.members("Prod"), ["bob@example.com"]);
}

#[test]
fn an_unknown_entry_may_mean_a_member_by_an_address_that_no_group_shows() {
    let former = SeedPerson { user_email: Some("new@agency.example".into()), ..SeedPerson::of("leaver@example.com") };
    let members = "{email: leaver@example.com, until: 2026-06-01}, new@former.example";
    let world = given(Seed::default().people([former]).group("Ops", ["leaver@example.com", "alice@example.com"]));
    world.write("convoke.yaml", format!("version: 1\ngroups:\n  Ops: {{mode: additive, members: [{members}]}}\n"));
    world.run(RUN).exits(5).says("held by").says("new@former.example: not a member of the account");
    assert!(world.members("Ops").contains(&"leaver@example.com".to_owned()));
}
