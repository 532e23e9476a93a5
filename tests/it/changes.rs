//! What a change of the files asks for: today, later, and besides memberships.

use convoke::sandbox::{Seed, SeedGroup};
use serde_json::Value;

use crate::account::group_id;
use crate::builders::{SeedExt as _, SeedGroupExt as _};
use crate::harness::{World, given};

const AT: &str = "--at 2026-11-28";

/// A file with this group, one entry a line.
fn group(settings: &str, entries: &str) -> String {
    let entries: String = entries.trim().lines().map(|line| format!("      - {}\n", line.trim())).collect();
    format!("version: 1\ngroups:\n  Prod:\n{settings}    members:\n{entries}")
}

/// Prod before and after a change.
fn changed(base: String, head: String) -> World {
    let seed = Seed::default()
        .person("next.year@example.com")
        .person("new@example.com")
        .group("Prod", ["a@example.com", "b@example.com", "contractor@example.com"])
        .group("Other", ["a@example.com"]);
    given(seed).file("base.yaml", base).file("convoke.yaml", head)
}

fn planned(world: &World, more: &str) -> Value {
    world.run(&format!("plan {AT} --base base.yaml {more} --format json")).exits(0).json()
}

/// The `later` list of a plan.
fn later(plan: &Value) -> Vec<String> {
    let rows = plan["later"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let person = |row: &Value| row["person"].as_object().unwrap().values().map(text).collect::<String>();
    let line =
        |row: &Value| format!("{} {} {} {}", text(&row["what"]), person(row), text(&row["from"]), text(&row["to"]));
    rows.iter().map(line).collect()
}

const TEAM: &str = "a@example.com\nb@example.com\n{email: contractor@example.com, until: 2026-12-20}";

#[test]
fn an_entry_that_ends_the_access_of_a_member_is_no_later_change() {
    let additive = "    mode: additive\n";
    let ended = "a@example.com\n{email: b@example.com, until: 2025-12-31}";
    let world = changed(group(additive, "a@example.com"), group(additive, ended));
    for flags in ["", "--only-changed"] {
        let plan = planned(&world, flags);
        assert_eq!((later(&plan), plan["summary"]["removes"].as_u64()), (Vec::new(), Some(1)), "{flags}");
    }
}

#[test]
fn later_changes_are_listed() {
    let cases = [
        (
            "{email: contractor@example.com, until: 2026-12-20}",
            "contractor@example.com",
            "end_removed contractor@example.com 2026-12-20 -",
        ),
        ("2026-12-20", "2036-12-20", "end_moved contractor@example.com 2026-12-20 2036-12-20"),
        (
            "b@example.com",
            "{email: b@example.com, until: 2027-01-31T12:00:00Z}",
            "end_added b@example.com - 2027-01-31T12:00:00Z",
        ),
        (
            "b@example.com",
            "b@example.com\n{email: next.year@example.com, from: 2027-01-01}",
            "joins_later next.year@example.com 2027-01-01 -",
        ),
        (
            "b@example.com",
            "b@example.com\n{email: new@example.com, until: 2025-12-31}",
            "already_over new@example.com - 2025-12-31",
        ),
    ];
    for (old, new, expected) in cases {
        let world = changed(group("", TEAM), group("", &TEAM.replacen(old, new, 1)));
        let whole = planned(&world, "");
        assert_eq!(later(&whole), [expected]);
        let narrowed = planned(&world, "--only-changed");
        assert_eq!(later(&narrowed), [expected]);
        assert_ne!(narrowed["digest"], whole["digest"]);
        for format in ["text", "markdown", "github"] {
            let page = world.run(&format!("plan {AT} --base base.yaml --only-changed --format {format}")).exits(0);
            let person = expected.split(' ').nth(1).unwrap();
            assert!(page.stdout.contains(person) && page.stdout.contains("Later"), "{page}");
            assert!(!page.stdout.contains("makes no difference"), "{page}");
        }
    }
    // A later join that goes away again is a change, too.
    let joins = format!("{TEAM}\n{{email: next.year@example.com, from: 2027-01-01}}");
    let world = changed(group("", &joins), group("", TEAM));
    assert_eq!(later(&planned(&world, "")), ["join_removed next.year@example.com 2027-01-01 -"]);
}

#[test]
fn somebody_who_joins_later_is_looked_up_now() {
    let joins = format!("{TEAM}\n{{email: nobody.there@example.com, from: 2027-01-01}}");
    let world = changed(group("", TEAM), group("", &joins));
    let page = world.run(&format!("plan {AT} --base base.yaml --only-changed")).exits(3);
    page.says("nobody.there@example.com: not a member of the account").says("joins on 2027-01-01, no end");
    // It holds nothing.
    world.write("convoke.yaml", group("", &joins.replace("b@example.com\n", "")));
    let page = world.run(&format!("plan {AT} --base base.yaml --only-changed")).exits(3);
    page.says("Plan: 0 to add, 1 to remove");
}

#[test]
fn memberships_that_a_change_lets_go_are_named() {
    let additive = |entries: &str| group("    mode: additive\n", entries);
    let world = changed(group("", TEAM), additive("a@example.com\nb@example.com"));
    assert_eq!(later(&planned(&world, "")), ["let_go contractor@example.com - -"]);
    let page = world.run(&format!("plan {AT} --base base.yaml")).exits(0);
    page.says("stays: the group is additive; `convoke grant contractor@example.com Prod`")
        .says("then `convoke revoke contractor@example.com Prod` ends it");
    world.run(&format!("grant contractor@example.com Prod {AT}")).exits(0);
    world.run("revoke contractor@example.com Prod --at 2026-11-28T01:00:00Z").exits(0);
    assert_eq!(world.run("plan --at 2026-11-28T02:00:00Z --format json").json()["summary"]["removes"], 1);
    // The entry ended the access, and is gone before it did.
    let world = changed(additive(&TEAM.replace("2026-12-20", "2026-11-20")), additive("a@example.com\nb@example.com"));
    let page = world.run(&format!("plan {AT} --base base.yaml --only-changed")).exits(0);
    page.says("contractor@example.com stays in Prod: the entry that ended the access (base.yaml:8) is gone");
}

#[test]
fn members_of_a_group_that_convoke_no_longer_writes_to_are_let_go() {
    let other = "version: 1\ngroups:\n  Other: {members: [a@example.com]}\n";
    let cases = [
        (group("    mode: observe\n", TEAM), "convoke only observes the group now"),
        (other.into(), "no file declares the group"),
    ];
    let everybody = ["let_go a@example.com - -", "let_go b@example.com - -", "let_go contractor@example.com - -"];
    for (head, reason) in cases {
        let ended = group("", &TEAM.replace("2026-12-20", "2026-11-20"));
        for (base, warns) in [(group("", TEAM), false), (ended, true)] {
            let world = changed(base, head.clone());
            for flags in ["", "--only-changed"] {
                assert_eq!(later(&planned(&world, flags)), everybody, "{reason} {flags}");
                let page = world.run(&format!("plan {AT} --base base.yaml {flags}")).exits(0);
                let page = page.says(&format!("contractor@example.com: stays: {reason}"));
                assert_eq!(page.stdout.contains("base.yaml:7) no longer counts"), warns, "{page}");
                assert!(!page.stdout.contains("convoke revoke") && !page.stdout.contains("no difference"), "{page}");
            }
        }
    }
    // Nobody is let go of a group that is managed under another name now.
    let declared = |keys: &str| format!("version: 1\ngroups:\n  {keys}members: [a@example.com]\n");
    let pinned = declared(&format!("Renamed:\n    id: {}\n    ", group_id(7)));
    let prod = SeedGroup::of(["a@example.com"]).id(group_id(7));
    let world = given(Seed::default().group("Prod", prod)).file("base.yaml", declared("Prod:\n    "));
    let plan = world.file("convoke.yaml", pinned).run(&format!("plan {AT} --base base.yaml --format json")).json();
    assert_eq!((later(&plan), &plan["status"]), (Vec::new(), &Value::from("refused")));
}

#[test]
fn a_group_that_becomes_exact_asks_its_undeclared_members_to_leave() {
    let two = "a@example.com\nb@example.com";
    let world = changed(group("    mode: observe\n", two), group("", two));
    let plan = planned(&world, "");
    assert_eq!(plan["groups"][0]["changes"][0]["since"], "change");
    let narrowed = planned(&world, "--only-changed");
    assert_eq!(narrowed["summary"]["removes"], 1);
    // Who is there counts for the digest.
    world.account().add("Prod", "new@example.com");
    let page = world.run(&format!("plan {AT} --base base.yaml --only-changed --format json"));
    assert_ne!(page.json()["digest"], narrowed["digest"]);
}

#[test]
fn a_released_removal_is_named() {
    let typo = "a@example.com\ncontractor@example.com\nbb@example.com";
    let world = changed(group("", typo), group("", "a@example.com\ncontractor@example.com"));
    let page = world.run(&format!("plan {AT} --base base.yaml")).exits(0);
    page.says("Released by this change: removals that were held before\n  Prod: b@example.com (to remove)");
    let alone = world.run(&format!("apply --yes {AT} --base base.yaml --only-changed")).exits(0);
    alone.says("Already there, left alone\n  Prod: b@example.com (to remove)");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn a_change_that_lifts_a_refusal_says_so_first() {
    let refused = |limit: &str| group(&format!("    group_removals: {limit}\n"), "a@example.com");
    let world = changed(refused("1"), refused("2"));
    let page = world.run(&format!("plan {AT} --base base.yaml")).exits(0);
    assert!(
        page.stdout.starts_with("Note\n  the files before this change were refused; these are not, so every"),
        "{page}"
    );
    assert!(!page.stdout.contains("makes no difference"), "{page}");
    world
        .run(&format!("plan {AT} --base base.yaml --format markdown"))
        .exits(0)
        .says("### This change lifts a refusal");
}

#[test]
fn the_first_files_are_an_adoption() {
    let world =
        changed("version: 1\ngroups: {}\n".into(), group("", "a@example.com\nb@example.com\ncontractor@example.com"));
    for more in ["", "--only-changed", "--format markdown"] {
        world.run(&format!("plan {AT} --base base.yaml {more}")).exits(0).says("first adoption");
    }
}

#[test]
fn the_digest_of_a_change_is_that_of_its_files() {
    let head = format!("{TEAM}\nnew@example.com\n{{email: next.year@example.com, until: 2027-06-30}}");
    let world = changed(group("", TEAM), group("", &head));
    let first = planned(&world, "--only-changed");
    assert_eq!(first["summary"]["adds"], 2);
    // A stranger, somebody who is there already, and another day.
    for person in ["new@example.com", "stranger@example.com"] {
        world.account().add("Prod", person);
    }
    let second = planned(&world, "--only-changed");
    assert_eq!((&second["digest"], &second["summary"]["adds"]), (&first["digest"], &1.into()));
    let names: Vec<&Value> =
        second["groups"][0]["left_alone"].as_array().unwrap().iter().map(|change| &change["member"]["email"]).collect();
    assert_eq!(names, ["stranger@example.com"]);
    let digest = first["digest"].as_str().unwrap();
    world.run(&format!("apply --yes --at 2027-01-01 --base base.yaml --only-changed --expect {digest}")).exits(0);
    assert_eq!(world.writes(), ["POST Prod: next.year@example.com"]);
    // The same job once more, and with another end.
    world.run(&format!("apply --yes {AT} --base base.yaml --only-changed --expect {digest}")).exits(0);
    world.write("convoke.yaml", group("", &head.replace("2027-06-30", "2027-07-01")));
    world.run(&format!("plan {AT} --base base.yaml --only-changed --expect {digest}")).exits(4);
}

#[test]
fn a_replacement_of_a_change_keeps_strangers() {
    let old: Vec<String> = (0..9).map(|number| format!("m{number}@example.com")).collect();
    let seed =
        Seed::default().person("new@example.com").group("Prod", [&old[..], &["stranger@example.com".into()]].concat());
    let list = |names: &[String]| group("    group_removals: 100%\n", &names.join("\n"));
    let head: Vec<String> = old[..4].iter().cloned().chain(["new@example.com".into()]).collect();
    let world = given(seed).file("base.yaml", list(&old)).file("convoke.yaml", list(&head));
    world.run("apply --yes --base base.yaml --only-changed").exits(0);
    assert_eq!(world.writes().len(), 1, "{:?}", world.writes());
    let mut left = [&head[..], &["stranger@example.com".into()]].concat();
    left.sort();
    assert_eq!(world.members("Prod"), left);
}

#[test]
fn an_address_that_becomes_the_id_of_the_same_member_asks_for_nothing() {
    let world = changed(group("", TEAM), String::new());
    let id = world.account().person_id("b@example.com").unwrap();
    world.write("convoke.yaml", group("", &TEAM.replace("b@example.com", &format!("id: {id}"))));
    let plan = planned(&world, "--only-changed");
    assert_eq!(
        (&plan["summary"]["adds"], &plan["summary"]["removes"], &plan["later"]),
        (&0.into(), &0.into(), &Value::Null)
    );
}
