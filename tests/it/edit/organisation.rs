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

#[test]
fn grant_and_revoke_restore_every_group() {
    let world = organisation();
    let desired = convoke::config::load(&[Path::new(&world.path("groups")).to_owned()]).unwrap();
    for (name, group) in &desired.groups {
        let before = texts(&world);
        run(&world, &format!("grant newcomer@example.com '{name}' -f groups --until +2w --reason 'INC-1: trial'"))
            .exits(0);
        run(&world, "validate -f groups").exits(0);
        let granted = texts(&world);
        run(&world, &format!("revoke newcomer@example.com '{name}' -f groups")).exits(0);
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
    for name in desired.groups.keys() {
        let before = texts(&world);
        run(&world, &format!("grant newcomer@example.com '{name}' -f groups")).exits(0);
        run(&world, &format!("revoke newcomer@example.com '{name}' -f groups")).exits(0);
        if desired.groups[name].mode != convoke::model::Mode::Additive {
            assert_eq!(before, texts(&world), "{name}");
        }
    }
}
