//! Tests of the decisions of `revoke`.

use super::*;

const FILE: &str = "\
version: 1
settings:
  protected:
    - root@x.y
rosters:
  sre:
    - alice@x.y
    - bob@x.y
  platform:
    - roster: sre
    - farah@x.y
  web: [gina@x.y]
groups:
  Admins:
    members:
      - roster: sre
      - root@x.y
      - carol@x.y
    min_members: 3
  Engineers:
    members:
      - roster: platform
      - roster: web
  Lone:
    members:
      - carol@x.y
  Open:
    mode: additive
    members:
      - zora@x.y
      - roster: web
      - id: 4f5f0c14a2a41d5063dd301b2f829f04
";

#[test]
fn own_entries_are_removed() {
    assert_eq!(diff(FILE, &edited(FILE, "revoke/farah@x.y/--roster/platform")), ["-    - farah@x.y"]);
    let text = members("\n      - A@x.y\n      - b@x.y\n");
    assert_eq!(diff(&text, &edited(&text, "revoke/a@x.y/Ops")), ["-      - A@x.y"]);
}

#[test]
fn until_ends_an_entry_and_never_later() {
    let text = members(
        "\n      - \"A@x.y\"  # beside\n      - email: b@x.y\n        from: 2026-12-20\n        until: 2026-12-24\n",
    );
    assert_eq!(
        diff(&text, &edited(&text, "revoke/a@x.y/Ops/--until/+2w")),
        ["-      - \"A@x.y\"  # beside", "+      - email: \"A@x.y\"  # beside", "+        until: 2026-12-15"]
    );
    assert_eq!(edited(&text, "revoke/b@x.y/Ops/--until/2026-12-31"), text);
    assert_eq!(
        diff(&text, &edited(&text, "revoke/b@x.y/Ops/--until/2026-12-22")),
        ["-        until: 2026-12-24", "+        until: 2026-12-22"]
    );
    assert_eq!(diff(&text, &edited(&text, "revoke/b@x.y/Ops/--until/2026-12-10")).len(), 3);
    let flow = members(" [a@x.y, c@x.y]\n");
    assert_eq!(edited(&flow, "revoke/a@x.y/Ops/--until/+1d"), members(" [{email: a@x.y, until: 2026-12-02}, c@x.y]\n"));
}

#[test]
fn additive_entries_are_ended_not_deleted() {
    assert_eq!(
        diff(FILE, &edited(FILE, "revoke/zora@x.y/Open")),
        ["-      - zora@x.y", "+      - email: zora@x.y", "+        until: 2026-12-01T12:00:00Z"]
    );
    assert_eq!(
        edited(FILE, "revoke/4f5f0c14a2a41d5063dd301b2f829f04/Open"),
        format!("{FILE}        until: 2026-12-01T12:00:00Z\n")
    );
    assert!(edited(FILE, "revoke/gina@x.y/--roster/web").contains("[{email: gina@x.y, until: 2026-12-01T12:00:00Z}]"));
    let later = FILE.replace("- zora@x.y", "- email: zora@x.y\n        from: 2026-12-02");
    assert_eq!(
        diff(&later, &edited(&later, "revoke/zora@x.y/Open")),
        ["-      - email: zora@x.y", "-        from: 2026-12-02"]
    );
    let ended = FILE.replace("- zora@x.y", "- email: zora@x.y\n        until: 2026-11-02");
    assert_eq!(edited(&ended, "revoke/zora@x.y/Open"), ended);
    let just_begun = FILE.replace("- zora@x.y", "- email: zora@x.y\n        from: 2026-12-01T12:00:00Z");
    assert_eq!(
        diff(&just_begun, &edited(&just_begun, "revoke/zora@x.y/Open")),
        ["-        from: 2026-12-01T12:00:00Z", "+        until: 2026-12-01T12:00:00Z"]
    );
}

#[test]
fn revoke_is_never_partial() {
    insta::assert_snapshot!(refusal(FILE, "revoke/alice@x.y/Admins"), @r#"
    refused: a.yaml:7:7: alice@x.y would remain in group "Admins" through roster "sre"
      |     - alice@x.y
      |       ^
      help: run: convoke revoke/alice@x.y/--roster/sre (it also gives members to group "Engineers")

    1 problem
    "#);
    insta::assert_snapshot!(refusal(FILE, "revoke/alice@x.y/--roster/platform"), @r#"
    refused: a.yaml:7:7: alice@x.y is not directly in roster "platform", but in roster "sre", which is nested in it
      |     - alice@x.y
      |       ^
      help: run: convoke revoke/alice@x.y/--roster/sre (it also gives members to group "Admins", group "Engineers")

    1 problem
    "#);
}

#[test]
fn roster_revoke_names_remaining_groups() {
    let text = FILE.replace("      - carol@x.y\n    min", "      - carol@x.y\n      - alice@x.y\n    min");
    let result = try_edit(&[("a.yaml", &text)], "revoke/alice@x.y/--roster/sre").unwrap();
    assert_eq!(result.notes, ["alice@x.y stays in group \"Admins\": a.yaml:19"]);
}

#[test]
fn guards_refuse_all_in_one_run() {
    insta::assert_snapshot!(refusal(&FILE.replace("members: 3", "members: 4"), "revoke/carol@x.y/--everywhere"), @r#"
    refused: a.yaml:19:5: group "Admins" would be left with 3, and `min_members` is 4
      |     min_members: 4
      |     ^
      help: add somebody else first, or lower `min_members`

    a.yaml:25:5: group "Lone" would be left empty
      |     members:
      |     ^
      help: add somebody else first, or set `allow_empty: true`

    2 problems
    "#);
    insta::assert_snapshot!(refusal(&FILE.replace("members: 3", "members: 4"), "revoke/root@x.y/--everywhere"), @r#"
    refused: a.yaml:4:7: root@x.y is protected and cannot be removed from any group
      |     - root@x.y
      |       ^
      help: remove the person from `protected` first, in a separate change

    a.yaml:19:5: group "Admins" would be left with 3, and `min_members` is 4
      |     min_members: 4
      |     ^
      help: add somebody else first, or lower `min_members`

    2 problems
    "#);
}

#[test]
fn guards_count_at_the_time_of_effect() {
    let text =
        "version: 1\ngroups:\n  Ops:\n    members:\n      - a@x.y\n      - email: b@x.y\n        from: 2026-12-10\n";
    assert!(refusal(text, "revoke/a@x.y/Ops").contains("would be left empty"));
    assert_eq!(edited(text, "revoke/a@x.y/Ops/--until/2026-12-10").lines().count(), text.lines().count() + 1);
    // A person whose access has not begun does not change the number.
    assert_eq!(diff(text, &edited(text, "revoke/b@x.y/Ops")).len(), 2);
    let low = text.replace("    members", "    min_members: 9\n    members");
    assert_eq!(diff(&low, &edited(&low, "revoke/b@x.y/Ops")).len(), 2);
    assert!(refusal(&low, "revoke/b@x.y/Ops/--until/2026-12-20").contains("a.yaml:4:5"));
}

#[test]
fn everywhere_means_groups_and_rosters() {
    let after = edited(&FILE.replace("min_members: 3", "min_members: 1"), "revoke/bob@x.y/--everywhere");
    assert!(!after.contains("bob"));
    assert!(refusal(FILE, "revoke/alcie@x.y/--everywhere").contains("did you mean alice@x.y?"));
    assert!(refusal(FILE, "revoke/gina@x.y/Admins").starts_with("usage: "));
}

#[test]
fn entries_of_the_other_kind_are_listed() {
    let result = try_edit(&[("a.yaml", FILE)], "revoke/zora@x.y/Open").unwrap();
    let listed: Vec<String> =
        result.uncompared.iter().map(|other| format!("{} {}", other.person, other.origin)).collect();
    assert_eq!(listed, ["4f5f0c14a2a41d5063dd301b2f829f04 a.yaml:32"]);
    let result = try_edit(&[("a.yaml", FILE)], "revoke/4f5f0c14a2a41d5063dd301b2f829f04/Open").unwrap();
    // Two entries of the group, and one of `protected`.
    assert_eq!(result.uncompared.len(), 3);
    let nowhere = try_edit(&[("a.yaml", FILE)], "revoke/nobody@z.q/Open").unwrap_err();
    assert!(matches!(nowhere, EditError::Usage { uncompared, .. } if uncompared.len() == 1));
}

#[test]
fn protected_ids_are_listed() {
    let text = "version: 1\nsettings:\n  protected:\n    - 00000000000000000000000000000007\ngroups:\n  Ops:\n    members:\n      - a@x.y\n      - b@x.y\n";
    let result = try_edit(&[("a.yaml", text)], "revoke/a@x.y/Ops").unwrap();
    let listed: Vec<String> = result.uncompared.iter().map(|other| other.origin.to_string()).collect();
    assert_eq!(listed, ["a.yaml:4"]);
}
