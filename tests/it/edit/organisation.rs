//! Edits the files of `examples/organisation`, one group after another.

use std::path::Path;

use super::*;
use crate::harness::repository;

const FILES: [&str; 6] = ["company", "platform", "product", "rosters", "security", "settings"];

fn organisation() -> World {
    FILES.iter().fold(nothing(), |world, name| {
        let path = format!("groups/{name}.yaml");
        world.file(&path, std::fs::read(repository(&format!("examples/organisation/{path}"))).unwrap())
    })
}

fn texts(world: &World) -> Vec<String> {
    FILES.iter().map(|name| text_of(world, &format!("groups/{name}.yaml"))).collect()
}

fn comments(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.split_once('#').map(|(_, comment)| comment.to_owned())).collect()
}

/// Somebody whom the group's domains allow, and an end within its `max_duration`.
fn newcomer(group: &convoke::model::DesiredGroup) -> (&'static str, &'static str) {
    let is_agency = group.rules.email_domains.as_ref().is_some_and(|domains| domains.value == ["agency.example"]);
    let is_short = group.description.as_deref().is_some_and(|text| text.contains("incidents"));
    (if is_agency { "newcomer@agency.example" } else { "newcomer@example.com" }, if is_short { "+8h" } else { "+2w" })
}

#[test]
fn grant_and_revoke_restore_every_group() {
    let world = organisation();
    let desired = convoke::config::load(&[Path::new(&world.path("groups")).to_owned()]).unwrap();
    for (name, group) in &desired.groups {
        let before = texts(&world);
        let (newcomer, end) = newcomer(group);
        run(&world, &format!("grant {newcomer} '{name}' -f groups --until {end} --reason 'INC-1: trial'")).exits(0);
        run(&world, "validate -f groups").exits(0);
        let granted = texts(&world);
        run(&world, &format!("revoke {newcomer} '{name}' -f groups")).exits(0);
        run(&world, "validate -f groups").exits(0);
        let revoked = texts(&world);
        for ((before, granted), revoked) in before.iter().zip(&granted).zip(&revoked) {
            assert_eq!(comments(before), comments(granted));
            assert_eq!(comments(before), comments(revoked));
        }
        if group.mode == convoke::model::Mode::Additive {
            assert!(revoked.concat().contains("until: 2026-12-01T12:00:00Z"), "{name}");
        } else {
            assert_eq!(before, revoked, "{name}");
        }
    }
}

#[test]
fn plain_grant_is_possible_in_every_group() {
    let world = organisation();
    let desired = convoke::config::load(&[Path::new(&world.path("groups")).to_owned()]).unwrap();
    for (name, group) in desired.groups.iter().filter(|(_, group)| group.rules.max_duration.is_none()) {
        let before = texts(&world);
        let (newcomer, _) = newcomer(group);
        run(&world, &format!("grant {newcomer} '{name}' -f groups")).exits(0);
        run(&world, &format!("revoke {newcomer} '{name}' -f groups")).exits(0);
        if group.mode != convoke::model::Mode::Additive {
            assert_eq!(before, texts(&world), "{name}");
        }
    }
}

#[test]
fn times_of_a_roster_entry_are_shown_with_both_lines() {
    let seed = std::fs::read(repository("examples/organisation/seed.yaml")).unwrap();
    let world = organisation().file("seed.yaml", seed);
    for name in FILES {
        world.write(&format!("base/{name}.yaml"), text_of(&world, &format!("groups/{name}.yaml")));
    }
    let product = text_of(&world, "groups/product.yaml");
    let line = 1 + product
        .lines()
        .position(|line| {
            line == "        from: 2026-12-01        # from, until and reason are for everybody in the roster"
        })
        .unwrap();
    let both = format!("groups/rosters.yaml:32 via data (groups/product.yaml:{})", line - 1);
    run(&world, "why priya@example.com 'Images Editors' -f groups --sandbox seed.yaml")
        .exits(0)
        .says(&format!("{both}, from 2026-12-01, until 2027-01-31, move of the image archive"));
    run(&world, "plan -f groups --sandbox seed.yaml").exits(0).says(&format!(
        "+ priya@example.com    until 2027-01-31  move of the image archive  {}",
        both.split(" via").next().unwrap()
    ));
    world.write("groups/product.yaml", product.replace("until: 2027-01-31", "until: 2027-02-15"));
    let plan = run(&world, "plan -f groups --base base --only-changed --sandbox seed.yaml --format markdown").exits(0);
    plan.says(&format!(
        "`priya@example.com`: until 2027-02-15, before this change until 2027-01-31, via data `(groups/product.yaml:{})`",
        line - 1
    ));
    world.write(
        "groups/product.yaml",
        product.replace(
            "    members:\n      - roster: data\n\n",
            "    min_members: 2\n    members:\n      - roster: data\n        until: 2026-12-24\n\n",
        ),
    );
    run(&world, "validate -f groups")
        .exits(0)
        .warns("priya@example.com will stay in group \"Data\" via data (groups/product.yaml:")
        .warns(") after 2026-12-24: 0 would be left, and `min_members` is 2");
}

#[test]
fn address_of_nobody_suggests_only_what_a_typo_explains() {
    let world = organisation();
    for command in ["rename nobody@example.com x@example.com", "revoke nobody@example.com --everywhere"] {
        let said = run(&world, &format!("{command} -f groups")).exits(64).stderr;
        assert!(!said.contains("did you mean"), "{said}");
        let said = run(&world, &format!("{} -f groups", command.replace("nobody", "gine"))).exits(64).stderr;
        assert!(said.contains("did you mean gina@example.com?"), "{said}");
    }
}
