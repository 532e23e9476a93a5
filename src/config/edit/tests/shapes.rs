//! Lists in many forms: what a grant adds, and that a revoke restores the text.

use super::*;

/// The lines that a grant changes. Also checks that a revoke restores the text.
fn added(text: &str, line: &str) -> Vec<String> {
    let after = edited(text, line);
    let words: Vec<&str> = line.split('/').take(3).collect();
    let back = format!("revoke/{}", words[1..].join("/"));
    assert_eq!(edited(&after, &back), text, "{after}");
    diff(text, &after)
}

#[test]
fn sorted_lists_stay_sorted() {
    let text = members("\n      - roster: sre\n      - Bob@x.y\n      - email: dan@x.y\n        reason: r\n")
        + "rosters: {sre: []}\n";
    assert_eq!(added(&text, "grant/carol@x.y/Ops"), ["+      - carol@x.y"]);
    assert!(edited(&text, "grant/carol@x.y/Ops").contains("Bob@x.y\n      - carol@x.y\n"));
    assert!(edited(&text, "grant/alice@x.y/Ops").contains("roster: sre\n      - alice@x.y\n      - Bob"));
    assert!(edited(&text, "grant/erin@x.y/Ops").contains("reason: r\n      - erin@x.y\n"));
}

#[test]
fn unsorted_lists_grow_at_their_end() {
    let text = members("\n      - zoe@x.y\n      - bob@x.y\n\n    # about the next\n");
    let after = edited(&text, "grant/alice@x.y/Ops");
    assert!(after.ends_with("      - bob@x.y\n      - alice@x.y\n\n    # about the next\n"), "{after}");
    added(&text, "grant/alice@x.y/Ops");
}

#[test]
fn new_entry_is_above_following_comments() {
    let text = members("\n      - alice@x.y  # first\n\n      # the second\n      - carol@x.y\n      # the end\n");
    let after = edited(&text, "grant/bob@x.y/Ops");
    assert!(after.contains("# first\n      - bob@x.y\n\n      # the second\n"), "{after}");
    let after = edited(&text, "grant/dan@x.y/Ops");
    assert!(after.ends_with("- carol@x.y\n      - dan@x.y\n      # the end\n"), "{after}");
}

#[test]
fn new_first_entry_is_below_its_key() {
    let text = members("  # people\n      # bob leads\n      - bob@x.y\n");
    let after = edited(&text, "grant/alice@x.y/Ops");
    assert!(after.ends_with("# people\n      - alice@x.y\n      # bob leads\n      - bob@x.y\n"), "{after}");
    added(&text, "grant/alice@x.y/Ops");
}

#[test]
fn terms_are_written_in_order() {
    let text = members("\n    - alice@x.y\n");
    let line = "grant/bob@x.y/Ops/--reason/INC-1: it's on/--until/+14d/--from/2026-12-24T18:00:00+01:00";
    let line = line.replace("INC-1: it's on", "INC-1 cover, 2nd");
    assert_eq!(
        added(&text, &line.replace("2026-12-24", "2026-12-04")),
        [
            "+    - email: bob@x.y",
            "+      from: 2026-12-04T18:00:00+01:00",
            "+      until: 2026-12-15",
            "+      reason: INC-1 cover, 2nd",
        ]
    );
    assert_eq!(
        added(&text, "grant/4f5f0c14a2a41d5063dd301b2f829f04/Ops"),
        ["+    - id: 4f5f0c14a2a41d5063dd301b2f829f04"]
    );
    assert_eq!(added(&text, "grant/bob@x.y/Ops/--until/+8h")[1], "+      until: 2026-12-01T20:00:00Z");
    assert_eq!(added(&text, "grant/bob@x.y/Ops/--reason/a: b")[1], "+      reason: \"a: b\"");
    assert_eq!(added(&text, "grant/#bob@x.y/Ops"), ["+    - \"#bob@x.y\""]);
}

#[test]
fn empty_list_becomes_a_block_and_back() {
    for text in [
        members(" []\n"),
        members(" []   # nobody yet\n\n  # more\n"),
        members(" []"),
        members(" []\n").replace('\n', "\r\n"),
        "\u{feff}version: 1\ngroups:\n  Ops:\n    members: []\n    allow_empty: true\n".into(),
        "version: 1\nrosters:\n  sre: []\ngroups: {}\n".into(),
    ] {
        let to = if text.contains("sre") { "--roster/sre" } else { "Ops" };
        let line = format!("grant/bob@x.y/{to}");
        let after = edited(&text, &line);
        let indent = if text.contains("sre") { "    " } else { "      " };
        assert!(after.contains(&format!("\n{indent}- bob@x.y")), "{after}");
        assert_eq!(edited(&after, &format!("revoke/bob@x.y/{to}")), text);
    }
}

#[test]
fn new_list_is_indented_like_its_neighbors() {
    let text = "version: 1\ngroups:\n  A:\n    members:\n    - a@x.y\n  B:\n    members: []\n    allow_empty: true\n";
    assert_eq!(added(text, "grant/bob@x.y/B"), ["-    members: []", "+    members:", "+    - bob@x.y"]);
}

#[test]
fn lists_of_any_indentation_are_edited() {
    for indent in ["    ", "      ", "          "] {
        let text = members(&format!("\n{indent}- alice@x.y\n{indent}-   carol@x.y\n"));
        assert_eq!(added(&text, "grant/bob@x.y/Ops"), [format!("+{indent}- bob@x.y")]);
    }
}

#[test]
fn line_ends_and_their_absence_are_kept() {
    let text = members("\n      - alice@x.y\n      - email: carol@x.y\n        reason: r");
    let after = edited(&text, "grant/dan@x.y/Ops");
    assert!(after.ends_with("reason: r\n      - dan@x.y"), "{after}");
    assert_eq!(edited(&after, "revoke/dan@x.y/Ops"), text);
    let crlf = text.replace('\n', "\r\n");
    let after = edited(&crlf, "grant/dan@x.y/Ops/--until/+1d");
    assert!(after.ends_with("reason: r\r\n      - email: dan@x.y\r\n        until: 2026-12-02"), "{after:?}");
    assert_eq!(edited(&after, "revoke/dan@x.y/Ops"), crlf);
    let mac = text.replace('\n', "\r");
    let after = edited(&mac, "grant/bob@x.y/Ops/--until/+1d");
    assert!(!after.contains('\n') && edited(&after, "revoke/bob@x.y/Ops") == mac, "{after:?}");
}

#[test]
fn lists_in_brackets_are_edited_in_place() {
    for (before, after) in [
        (" [a@x.y, c@x.y]", " [a@x.y, b@x.y, c@x.y]"),
        (" [a@x.y ,c@x.y]", " [a@x.y , b@x.y,c@x.y]"),
        (" [c@x.y]", " [b@x.y, c@x.y]"),
        (" [ c@x.y ]", " [ b@x.y, c@x.y ]"),
        (" [a@x.y]  # one", " [a@x.y, b@x.y]  # one"),
        (" [a@x.y,]", " [a@x.y, b@x.y,]"),
        (" [ a@x.y, ]", " [ a@x.y, b@x.y, ]"),
        (" [ ]", " [ b@x.y ]"),
        ("  []", "  [b@x.y]"),
        ("\n      []", "\n      [b@x.y]"),
        (" [\n    ]", " [b@x.y\n    ]"),
        (
            " [\n      a@x.y,  # one\n      # two\n      c@x.y\n    ]",
            " [\n      a@x.y,  # one\n      b@x.y,\n      # two\n      c@x.y\n    ]",
        ),
        (" [\n      a@x.y  # one\n    ]", " [\n      a@x.y,  # one\n      b@x.y\n    ]"),
        (" [\n      a@x.y,\n    ]", " [\n      a@x.y,\n      b@x.y,\n    ]"),
        (" [  # all\n      # c\n      c@x.y]", " [  # all\n      b@x.y,\n      # c\n      c@x.y]"),
        (" [a@x.y,\n      c@x.y]", " [a@x.y, b@x.y,\n      c@x.y]"),
    ] {
        let text = members(&format!("{before}\n"));
        let granted = edited(&text, "grant/b@x.y/Ops");
        assert_eq!(granted, members(&format!("{after}\n")));
        assert_eq!(edited(&granted, "revoke/b@x.y/Ops"), text);
        let granted = edited(&text, "grant/b@x.y/Ops/--until/+1d/--reason/a, b");
        assert!(granted.contains("{email: b@x.y, until: 2026-12-02, reason: \"a, b\"}"), "{granted}");
        assert_eq!(edited(&granted, "revoke/b@x.y/Ops"), text);
    }
    let inner = "version: 1\ngroups: {Ops: {allow_empty: true, members: []}}\n";
    assert_eq!(edited(inner, "grant/b@x.y/Ops"), inner.replace("[]", "[b@x.y]"));
}

#[test]
fn anchors_are_edited_only_where_nothing_else_changes() {
    let text = members(" &all\n      - a@x.y\n  Dev:\n    members: *all\n");
    assert!(refusal(&text, "grant/b@x.y/Ops").contains("a.yaml:5:"), "{}", refusal(&text, "grant/b@x.y/Ops"));
    assert!(refusal(&text, "grant/b@x.y/Dev").starts_with("refused: a.yaml:"));
    let text = members("\n      - &a a@x.y\n  Dev:\n    members: [*a, c@x.y]\n");
    assert!(refusal(&text, "revoke/a@x.y/Ops").starts_with("refused: a.yaml:6:"));
    assert_eq!(edited(&text, "revoke/a@x.y/Dev"), text.replace("*a, ", ""));
    assert_eq!(diff(&text, &edited(&text, "grant/b@x.y/Ops")), ["+      - b@x.y"]);
    let text = members(" &unused\n      - a@x.y\n");
    assert_eq!(added(&text, "grant/b@x.y/Ops"), ["+      - b@x.y"]);
}

#[test]
fn lists_with_explicit_keys_are_not_edited() {
    let text = "version: 1\ngroups:\n  Ops:\n    ? members\n    : - b@x.y\n      - c@x.y\n";
    assert!(refusal(text, "grant/a@x.y/Ops").starts_with("refused: a.yaml:4:7:"));
    assert!(refusal(text, "revoke/b@x.y/Ops").starts_with("refused: a.yaml:5:9:"));
    assert_eq!(diff(text, &edited(text, "revoke/c@x.y/Ops")), ["-      - c@x.y"]);
}

#[test]
fn removed_entry_takes_only_its_own_comments() {
    let text = members(
        "\n      # above\n      - email: a@x.y  # beside\n        # inside\n        until: 2026-12-31\n        # below\n      - b@x.y\n",
    );
    let gone = ["-      - email: a@x.y  # beside", "-        # inside", "-        until: 2026-12-31"];
    assert_eq!(diff(&text, &edited(&text, "revoke/a@x.y/Ops")), gone);
    let text = members(
        "\n      - # inside\n        reason: |+\n          two\n          lines\n\n        email: 'a@x.y'\n\n      # below\n      - b@x.y\n",
    );
    let after = edited(&text, "revoke/a@x.y/Ops");
    assert_eq!(after, members("\n\n      # below\n      - b@x.y\n"));
}

#[test]
fn block_text_keeps_its_line_ends() {
    let text = members("\n      - email: a@x.y\n        reason: |+\n          two\n\n      - c@x.y\n");
    let after = edited(&text, "grant/b@x.y/Ops");
    assert_eq!(after, text.replace("- c@", "- b@x.y\n      - c@"));
    let text = members("\n      - email: a@x.y\n        reason: >-\n          two\n          lines\n\n      - c@x.y\n");
    let after = edited(&text, "grant/b@x.y/Ops");
    assert_eq!(after, text.replace("lines\n", "lines\n      - b@x.y\n"));
    assert_eq!(edited(&after, "revoke/b@x.y/Ops"), text);
}
