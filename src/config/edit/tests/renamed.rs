//! Tests of the decisions of `rename` and `sort`.

use super::*;

#[test]
fn quotes_anchors_and_keys_stay() {
    let text = members("\n      - 'a@x.y'\n      - \"b@x.y\"\n      - {reason: r, email: c@x.y}\n      - &d d@x.y\n");
    let text = format!("{text}rosters:\n  r: [*d, \"it's@x.y\"]\n");
    let after = |old: &str, new: &str| diff(&text, &edited(&text, &format!("rename/{old}/{new}")));
    assert_eq!(after("a@x.y", "ab@x.y"), ["-      - 'a@x.y'", "+      - 'ab@x.y'"]);
    assert_eq!(after("b@x.y", "bb@x.y"), ["-      - \"b@x.y\"", "+      - \"bb@x.y\""]);
    assert_eq!(after("c@x.y", "ca@x.y"), ["-      - {reason: r, email: c@x.y}", "+      - {reason: r, email: ca@x.y}"]);
    assert_eq!(after("d@x.y", "da@x.y"), ["-      - &d d@x.y", "+      - &d da@x.y"]);
    assert_eq!(after("it's@x.y", "z@x.y"), ["-  r: [*d, \"it's@x.y\"]", "+  r: [*d, \"z@x.y\"]"],);
}

#[test]
fn anchor_outside_the_lists_is_refused() {
    let text = format!(
        "account_id: 023e105f4ecef8ad9ca31a8372d0c353\n{}",
        members("\n      - email: &a a@x.y\n      - b@x.y\n")
    );
    let text = text + "    owners: [*a]\n";
    assert!(edited(&text, "rename/b@x.y/bb@x.y").contains("- bb@x.y\n"));
    let said = refusal(&text, "rename/a@x.y/ab@x.y");
    assert!(said.contains("cannot edit safely"), "{said}");
}

#[test]
fn entries_of_both_are_joined_as_grant_would() {
    let joined = |old: &str, new: &str| {
        let entry = |name: &str, terms: &str| format!("\n      - {{email: {name}@x.y{terms}}}");
        let text = members(&format!("{}{}\n", entry("old", old), entry("new", new)));
        let after = outcome(&[("a.yaml", &text)], "rename/old@x.y/new@x.y");
        after.map(|after| {
            after.files[&0].lines().skip(5).map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("|")
        })
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(joined("", ", until: 2026-12-31, reason: n"), ok("- {email: new@x.y, reason: n}"));
    assert_eq!(joined(", until: 2026-12-10", ", until: 2026-12-31"), ok("- {email: new@x.y, until: 2026-12-31}"));
    assert_eq!(
        joined(", until: 2026-12-31, reason: o", ", until: 2026-12-10"),
        ok("- {email: new@x.y, until: 2026-12-31, reason: o}")
    );
    assert_eq!(joined(", until: 2026-11-10", ""), ok("- {email: new@x.y}"));
    assert_eq!(
        joined(", until: 2027-01-31, reason: o", ", until: 2026-11-10"),
        ok("- email: new@x.y|until: 2027-01-31|reason: o")
    );
    let gap = joined(", from: 2027-02-01", ", until: 2026-12-10").unwrap_err();
    assert!(gap.contains("would leave a gap") && gap.contains("convoke grant/new@x.y/Ops"), "{gap}");
}

#[test]
fn id_and_address_replace_each_other() {
    let id = "4f5f0c14a2a41d5063dd301b2f829f04";
    let text = "version: 1\nsettings:\n  protected: [a@x.y]\nrosters:\n  r: [a@x.y]\ngroups:\n  Ops:\n    owners: [b@x.y]\n    \
         members:\n      - a@x.y\n      - b@x.y\n      - email: c@x.y\n        reason: r\n";
    let renamed = edited(text, &format!("rename/a@x.y/{id}"));
    assert_eq!(
        diff(text, &renamed),
        [
            "-  protected: [a@x.y]".to_owned(),
            format!("+  protected: [{id}]"),
            "-  r: [a@x.y]".into(),
            format!("+  r: [{{id: {id}}}]"),
            "-      - a@x.y".into(),
            format!("+      - id: {id}"),
        ]
    );
    assert!(edited(text, &format!("rename/c@x.y/{id}")).contains(&format!("- id: {id}\n        reason: r")));
    assert!(edited(&renamed, &format!("rename/{id}/a@x.y")).contains("      - email: a@x.y\n"));
    assert!(refusal(text, &format!("rename/b@x.y/{id}")).contains("an owner cannot be named by an id"));
}

#[test]
fn rename_breaks_no_rule_that_was_kept() {
    let text = "\
version: 1
settings:
  email_domains: [x.y]
groups:
  Ops:
    exclusive_with: [Dev]
    max_duration: 30d
    members: [a@x.y]
  Dev:
    members: [b@x.y]
";
    edited(text, "rename/a@x.y/c@x.y");
    assert!(refusal(text, "rename/b@x.y/a@x.y").contains("a.yaml:6:22: a@x.y would be in group"));
    assert!(refusal(text, "rename/b@x.y/b@other.y").contains("a.yaml:3:3: b@other.y is not allowed"));
    assert!(refusal(text, "rename/z@x.y/b@x.y").contains("z@x.y is not in any list of the files"));
}

#[test]
fn list_with_comments_between_brackets_is_not_sorted() {
    let text = members(" [b@x.y, # b\n      a@x.y]\n");
    assert!(refusal(&text, "sort").contains("help: sort this list by hand"));
    assert_eq!(edited(&members(" [b@x.y, a@x.y]  # c\n"), "sort"), members(" [a@x.y, b@x.y]  # c\n"));
    let text = members("\n      - email: b@x.y\n        reason: |+\n          x\n\n      - a@x.y\n");
    assert!(refusal(&text, "sort").contains("sort this list by hand"));
    // The other list is not named, because it can be sorted.
    let text = members("\n      - email: b@x.y\n        reason: |+\n          x\n      - a@x.y\n\n      - c@x.y\n");
    let said = refusal(&format!("{text}rosters:\n  r: [b@x.y, a@x.y]\n"), "sort");
    assert!(said.contains("the list of group \"Ops\"") && !said.contains("roster"), "{said}");
}
