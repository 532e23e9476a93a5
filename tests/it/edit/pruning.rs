//! `prune` deletes entries that ended long ago, unless they are needed to end an access.

use super::*;

#[test]
fn ended_additive_entries_stay_and_are_counted() {
    let text = "\
version: 1
rosters:
  used: [{email: a@b.c, until: 2026-01-31}, d@b.c]
groups:
  Ops:
    members:
      - email: a@b.c
        until: 2026-01-31
      # stays
      - email: d@b.c
        until: 2026-11-20
  Open:
    mode: additive
    members:
      - roster: used
";
    let world = world(text);
    let outcome = run(&world, "prune --format json").exits(0);
    assert_eq!(outcome.json()["kept"], 1);
    assert_eq!(outcome.json()["changes"][0]["action"], "remove");
    assert_eq!(outcome.json()["changes"][0]["line"], 7);
    assert_eq!(text_of(&world, "convoke.yaml"), text.replace("      - email: a@b.c\n        until: 2026-01-31\n", ""));
    run(&world, "prune --older-than 1w").exits(0).says("kept 1 ended entry").says("remove d@b.c from group \"Ops\"");
    run(&world, "prune").exits(0).says("kept 1").warns("Nothing to change.");
    run(&world, "prune --older-than 30").exits(64);
    run(&world, "prune a@b.c").exits(64);
}

#[test]
fn prune_may_empty_a_list() {
    let text = ops("\n      - email: a@b.c\n        until: 2026-01-31\n")
        .replace("    allow_empty: true\n", "    min_members: 1\n");
    assert_eq!(after(&text, "prune"), ops(" []\n").replace("    allow_empty: true\n", "    min_members: 1\n"));
}
