//! `revoke` ends the named access completely, or reports why not.

use insta::assert_snapshot;

use super::*;

const FILE: &str = "\
version: 1
settings:
  protected: [root@example.com]
rosters:
  sre:
    - alice@example.com
    - bob@example.com
  platform:
    - roster: sre
  web:
    - gina@example.com
groups:
  Admins:
    members:
      - roster: sre
      - root@example.com
      - carol@example.com
    min_members: 4
  Engineers:
    members:
      - roster: platform
      - alice@example.com
  Open:
    mode: additive
    members:
      - roster: web
      - zora@example.com
      - id: 4f5f0c14a2a41d5063dd301b2f829f04
";

#[test]
fn revoke_with_a_remaining_roster_writes_nothing() {
    let text = FILE.replace("min_members: 4", "min_members: 1");
    let refusal = refused(&text, "revoke alice@example.com Engineers", 65);
    assert!(refusal.contains("error: convoke.yaml:6:7: "), "{refusal}");
    assert!(refusal.contains("roster \"sre\""), "{refusal}");
    assert!(refusal.contains("convoke revoke alice@example.com --roster sre"), "{refusal}");
    assert!(refusal.contains("group \"Admins\""), "{refusal}");
}

#[test]
fn roster_revoke_reports_remaining_groups() {
    let text = FILE.replace("min_members: 4", "min_members: 1");
    let world = world(&text);
    run(&world, "revoke alice@example.com --roster sre")
        .exits(0)
        .says("remove alice@example.com from roster \"sre\" (convoke.yaml:6)")
        .warns("alice@example.com stays in group \"Engineers\": convoke.yaml:22");
    let refusal = refused(&text, "revoke alice@example.com --roster platform", 65);
    assert!(refusal.contains("in roster \"sre\""), "{refusal}");
}

#[test]
fn leaver_is_removed_everywhere() {
    let text = FILE.replace("min_members: 4", "min_members: 1");
    let world = world(&text);
    run(&world, "revoke ALICE@example.com --everywhere").exits(0);
    assert!(!text_of(&world, "convoke.yaml").contains("alice"));
}

#[test]
fn additive_entries_end_now() {
    let ended = after(FILE, "revoke zora@example.com Open");
    assert_eq!(
        ended,
        FILE.replace("- zora@example.com", "- email: zora@example.com\n        until: 2026-12-01T12:00:00Z")
    );
    let ended = after(FILE, "revoke gina@example.com --everywhere");
    assert_eq!(
        ended,
        FILE.replace("- gina@example.com", "- email: gina@example.com\n      until: 2026-12-01T12:00:00Z")
    );
    let world = world(&ended);
    run(&world, "revoke gina@example.com --everywhere").exits(0).says("unchanged: gina@example.com");
    assert_eq!(text_of(&world, "convoke.yaml"), ended);
}

#[test]
fn until_ends_entries_then_and_never_later() {
    let text = ops("\n      - a@b.c\n      - email: d@b.c\n        until: 2026-12-05\n");
    assert_eq!(
        after(&text, "revoke a@b.c Ops --until 2026-12-24"),
        text.replace("- a@b.c", "- email: a@b.c\n        until: 2026-12-24")
    );
    assert_eq!(after(&text, "revoke d@b.c Ops --until +2w"), text);
    assert_eq!(after(&text, "revoke d@b.c Ops --until +1d"), text.replace("12-05", "12-02"));
}

#[test]
fn revoke_reports_all_guards_with_lines() {
    assert_snapshot!(refused(FILE, "revoke root@example.com --everywhere", 65), @r#"
    warning: these entries name people by id, and an address cannot be compared with them; check that none of them is the same person:
      convoke.yaml:28 4f5f0c14a2a41d5063dd301b2f829f04
    error: convoke.yaml:3:15: root@example.com is protected and cannot be removed from any group
      |   protected: [root@example.com]
      |               ^
      help: remove the person from `protected` first, in a separate change

    error: convoke.yaml:18:5: group "Admins" would be left with 3, and `min_members` is 4
      |     min_members: 4
      |     ^
      help: add somebody else first, or lower `min_members`

    2 problems
    "#);
    let refusal = refused(&ops("\n      - a@b.c\n").replace("    allow_empty: true\n", ""), "revoke a@b.c Ops", 65);
    assert!(refusal.contains("error: convoke.yaml:4:5: group \"Ops\" would be left empty"), "{refusal}");
}

#[test]
fn unknown_person_exits_64_with_suggestion() {
    assert!(refused(FILE, "revoke zara@example.com Open", 64).contains("did you mean zora@example.com?"));
    assert!(refused(FILE, "revoke carol@example.com Open", 64).contains("is not in group \"Open\""));
    assert!(refused(FILE, "revoke x@example.com --everywhere --until 2026-11-30", 64).contains("--until"));
    refused(FILE, "revoke x@example.com --everywhere Open", 64);
    refused(FILE, "revoke x@example.com --everywhere --reason x", 64);
}

#[test]
fn entries_that_cannot_be_compared_are_listed() {
    let world = world(FILE);
    let outcome = run(&world, "revoke zora@example.com Open --format json").exits(0);
    let listed = serde_json::json!([{ "id": "4f5f0c14a2a41d5063dd301b2f829f04", "file": "convoke.yaml", "line": 28 }]);
    assert_eq!(outcome.json()["uncompared"], listed);
    outcome.warns("convoke.yaml:28 4f5f0c14a2a41d5063dd301b2f829f04");
    run(&world, "revoke 4f5f0c14a2a41d5063dd301b2f829f04 Open --dry-run")
        .exits(0)
        .warns("convoke.yaml:11 gina@example.com");
}

#[test]
fn many_old_breaches_hide_no_new_one() {
    let members: String = (0..10_050).map(|number| format!("      - p{number:05}@example.com\n")).collect();
    let text = format!(
        "version: 1\ngroups:\n  Old:\n    require_reason: true\n    members:\n{members}  \
         Zoo:\n    require_reason: true\n    members:\n      - {{ email: zoe@example.com, reason: keeper }}\n"
    );
    // One that is beyond the number of problems that are shown becomes one of them.
    let revoked = after(&text, "revoke p00000@example.com Old");
    assert_eq!(revoked, text.replace("      - p00000@example.com\n", ""));
    let said = refused(&text, "grant new@example.com Zoo", 65);
    assert!(said.contains("new@example.com") && said.contains("reason"), "{said}");
    after(&text, "grant new@example.com Zoo --reason visitor");
}

#[test]
fn guards_of_additive_groups_count_what_the_files_declare() {
    let text = "version: 1\ngroups:\n  Open:\n    mode: additive\n    min_members: 2\n    members:\n      - a@b.c\n      - d@b.c\n";
    let refusal = refused(text, "revoke a@b.c Open", 65);
    assert!(refusal.contains("convoke.yaml:5:5: group \"Open\" would be left with 1"), "{refusal}");
    // Members that no file declares may be there.
    let few = world(&text.replace("min_members: 2", "min_members: 3"));
    run(&few, "revoke a@b.c Open").exits(0);
    let last = world("version: 1\ngroups:\n  Open:\n    mode: additive\n    members:\n      - a@b.c\n");
    run(&last, "revoke a@b.c Open").exits(0).warns("group \"Open\" would have no declared member left");
}

#[test]
fn new_keys_of_a_flow_entry_are_in_order() {
    let entry = |keys: &str| ops(&format!("\n      - {{{keys}}}\n"));
    let cases = [
        ("email: a@b.c, from: 2026-01-01, reason: x", "email: a@b.c, from: 2026-01-01, until: 2026-12-24, reason: x"),
        ("email: a@b.c, reason: x", "email: a@b.c, until: 2026-12-24, reason: x"),
    ];
    for (before, expected) in cases {
        assert_eq!(after(&entry(before), "revoke a@b.c Ops --until 2026-12-24"), entry(expected));
    }
}

#[test]
fn revoke_everywhere_names_the_groups_that_the_person_still_owns() {
    let text = "version: 1\ngroups:\n  Ops:\n    owners: [a@b.c, d@b.c]\n    members: [a@b.c, d@b.c]\n";
    run(&world(text), "revoke a@b.c --everywhere")
        .exits(0)
        .warns("a@b.c stays in the owners of group \"Ops\": convoke.yaml:4");
    let one = run(&world(text), "revoke a@b.c Ops").exits(0);
    assert!(!one.stderr.contains("owners"), "{one}");
}
