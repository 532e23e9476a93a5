//! Tests of the decisions of `grant`.

use super::*;

#[test]
fn covered_time_changes_nothing() {
    let text = "version: 1\nrosters:\n  sre: [a@x.y]\n  all: [roster: sre]\ngroups:\n  Ops:\n    members:\n      - roster: all\n      - email: b@x.y\n        until: 2026-12-31\n";
    let result = try_edit(&[("a.yaml", text)], "grant/A@x.y/Ops").unwrap();
    assert!(result.files.is_empty() && result.changes.is_empty());
    assert_eq!(result.unchanged[0].origin.line, 3);
    assert_eq!(edited(text, "grant/b@x.y/Ops/--until/2026-12-31"), text);
    assert_eq!(edited(text, "grant/b@x.y/Ops/--from/2026-12-10/--until/2026-12-20"), text);
    assert_eq!(edited(text, "grant/a@x.y/--roster/all"), text);
}

#[test]
fn shorter_entry_is_extended() {
    let text = members(
        "\n      - email: a@x.y\n        from: 2026-12-10  # first day\n        until: '2026-12-20'\n        reason: old\n",
    );
    let changed = |line: &str| diff(&text, &edited(&text, line));
    assert_eq!(changed("grant/a@x.y/Ops"), ["-        from: 2026-12-10  # first day", "-        until: '2026-12-20'"]);
    assert_eq!(changed("grant/a@x.y/Ops/--until/2026-12-15"), ["-        from: 2026-12-10  # first day"]);
    assert_eq!(
        changed("grant/a@x.y/Ops/--from/2026-12-05/--until/2026-12-31/--reason/new"),
        [
            "-        from: 2026-12-10  # first day",
            "-        until: '2026-12-20'",
            "-        reason: old",
            "+        from: 2026-12-05  # first day",
            "+        until: 2026-12-31",
            "+        reason: new",
        ]
    );
    assert_eq!(
        changed("grant/a@x.y/Ops/--from/2026-12-15/--until/+4w"),
        ["-        until: '2026-12-20'", "+        until: 2026-12-29"]
    );
    assert_eq!(changed("grant/a@x.y/Ops/--until/2026-12-09"), ["-        from: 2026-12-10  # first day"]);
}

#[test]
fn keys_are_changed_in_any_position() {
    let text = members("\n      - until: 2026-12-10\n        email: a@x.y\n");
    assert_eq!(edited(&text, "grant/a@x.y/Ops/--reason/r"), members("\n      - email: a@x.y\n        reason: r\n"));
    let text = members("\n      - until: 2026-12-10\n        # who\n        email: a@x.y");
    assert_eq!(edited(&text, "grant/a@x.y/Ops"), members("\n      -\n        # who\n        email: a@x.y"));
    let text = members("\n      - email: a@x.y\n        until: 2026-12-10");
    assert_eq!(edited(&text, "grant/a@x.y/Ops"), members("\n      - email: a@x.y"));
    assert_eq!(edited(&text, "grant/a@x.y/Ops/--reason/r"), members("\n      - email: a@x.y\n        reason: r"));
    let text = members(" [{until: 2026-12-10, email: a@x.y}, {email: b@x.y, until: 2026-12-10, reason: x}]\n");
    assert_eq!(
        edited(&text, "grant/a@x.y/Ops/--reason/r"),
        members(" [{email: a@x.y, reason: r}, {email: b@x.y, until: 2026-12-10, reason: x}]\n")
    );
    assert_eq!(
        edited(&text, "grant/b@x.y/Ops/--reason/r"),
        members(" [{until: 2026-12-10, email: a@x.y}, {email: b@x.y, reason: r}]\n")
    );
}

#[test]
fn ended_entry_is_replaced_whole() {
    let text = members(
        "\n      - zoe@x.y\n      - email: 'A@x.y'  # was here\n        until: 2026-11-10\n        reason: old\n      - b@x.y\n",
    );
    let after = edited(&text, "grant/a@x.y/Ops/--until/+8h");
    assert_eq!(
        after,
        members("\n      - zoe@x.y\n      - email: a@x.y\n        until: 2026-12-01T20:00:00Z\n      - b@x.y\n")
    );
    assert_eq!(edited(&text, "grant/a@x.y/Ops"), members("\n      - zoe@x.y\n      - a@x.y\n      - b@x.y\n"));
}

#[test]
fn gap_is_refused_with_spanning_command() {
    let text = members("\n      - email: a@x.y\n        from: 2026-12-20\n        until: 2026-12-31\n");
    let earlier = refusal(&text, "grant/a@x.y/Ops/--until/2026-12-10");
    assert!(
        earlier
            .starts_with("refused: a.yaml:6:9: a@x.y has an entry in group \"Ops\" from 2026-12-20 until 2026-12-31")
    );
    assert!(earlier.contains("from 2026-12-01T12:00:00Z until 2026-12-10"), "{earlier}");
    assert!(earlier.contains("run: convoke grant/a@x.y/Ops/--until/2026-12-31\n"), "{earlier}");
    let later = refusal(&text, "grant/a@x.y/Ops/--from/2027-01-05");
    assert!(later.contains("run: convoke grant/a@x.y/Ops/--from/2026-12-20\n"), "{later}");
    // There is no time between the end of one day and the beginning of the next.
    edited(&text, "grant/a@x.y/Ops/--until/2026-12-19");
    edited(&text, "grant/a@x.y/Ops/--from/2027-01-01");
}

#[test]
fn invalid_times_and_reasons_are_refused() {
    let text = members("\n      - b@x.y\n");
    for line in [
        "--until/2026-11-30",
        "--until/+0h",
        "--from/2026-12-10/--until/2026-12-09",
        "--from/2026-12-10T00:00:00Z/--until/2026-12-10T00:00:00Z",
        "--until/+8766000d",
        "--reason/",
        "--reason/ ",
        "--reason/a\u{7}b",
        "--reason/a\nb",
    ] {
        let refusal = refusal(&text, &format!("grant/a@x.y/Ops/{line}"));
        assert!(refusal.starts_with("usage: "), "{line:?} {refusal}");
    }
    assert!(refusal(&text, "grant/a@x.y/Opps").contains("did you mean \"Ops\"?"));
}

#[test]
fn observed_groups_are_edited_and_noted() {
    let text = "version: 1\ngroups:\n  Ops:\n    mode: observe\n    members: [other@x.y]\n";
    let result = try_edit(&[("a.yaml", text)], "grant/a@x.y/Ops").unwrap();
    assert_eq!(result.notes, ["group \"Ops\" is observed: convoke does not write there"]);
    assert_eq!(result.changes.len(), 1);
}

const RULES: &str = "\
version: 1
groups:
  Ops:
    max_duration: 30d
    require_reason: true
    members:
      - old@x.y
  Dev:
    exclusive_with: [Ops]
    members:
      - email: d@x.y
        until: 2026-12-10
";

#[test]
fn edit_adds_no_breach_of_a_rule() {
    let both = refusal(RULES, "grant/a@x.y/Ops");
    assert!(both.contains("a.yaml:4:5: a@x.y needs an `until`"), "{both}");
    assert!(both.contains("a.yaml:5:5: the entry of a@x.y needs a `reason`"), "{both}");
    assert!(refusal(RULES, "grant/a@x.y/Ops/--reason/r/--until/+31d").contains("a.yaml:4:5"));
    edited(RULES, "grant/a@x.y/Ops/--reason/r/--until/+30d");
    let exclusive = refusal(RULES, "grant/d@x.y/Ops/--reason/r/--until/+1d");
    assert!(exclusive.contains("a.yaml:9:22: d@x.y would be in group \"Dev\" and in group \"Ops\""), "{exclusive}");
    edited(RULES, "grant/d@x.y/Ops/--reason/r/--from/2026-12-11/--until/2026-12-20");
}

#[test]
fn existing_breaches_do_not_block_an_edit() {
    edited(RULES, "grant/e@x.y/Dev");
    let text = RULES.replace(
        "      - old@x.y\n",
        "      - old@x.y\n      - email: z@x.y\n        reason: r\n        until: 2026-12-02\n",
    );
    edited(&text, "revoke/z@x.y/Ops");
    edited(&text, "revoke/old@x.y/Ops");
}
