//! Problems of whole files, and of several files together.

use super::*;

fn all_problems(files: &[(&str, &str)]) -> String {
    parse_all(files).unwrap_err().to_string()
}

#[test]
fn empty_file_is_reported() {
    insta::assert_snapshot!(all_problems(&[("a.yaml", ""), ("b.yaml", "# nothing yet\n"), ("c.yaml", "---\n")]), @r#"
    error: a.yaml:1:1: the file is empty
      help: write `version: 1` and the groups, or delete the file

    error: b.yaml:1:1: the file is empty
      | # nothing yet
      | ^
      help: write `version: 1` and the groups, or delete the file

    error: c.yaml:1:1: the file is empty
      | ---
      | ^
      help: write `version: 1` and the groups, or delete the file

    3 problems
    "#);
}

#[test]
fn invalid_yaml_or_mapping_is_reported() {
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", "- alice@example.com\n"),
        ("b.yaml", "version: 1\ngroups: {A: {members: [a@b.c}}\n"),
        ("c.yaml", "version: 1\ngroups: A: B\n"),
        ("d.yaml", "version: 1\n---\nversion: 1\n"),
        ("e.yaml", "version: 1\ngroups: *all\n"),
        ("f.yaml", "version: 1\ngroups: !include x.yaml\n"),
        ("g.yaml", "version: 1\ngroups: &g {A: *g}\n"),
    ]), @r#"
    error: a.yaml:1:1: the file is not a mapping
      | - alice@example.com
      | ^
      help: start with `version: 1`, then `groups:` with the groups below it

    error: b.yaml:2:23: invalid YAML: mismatched bracket '[' closed by '}'
      | groups: {A: {members: [a@b.c}}
      |                       ^
      help: check the indentation, and put text in quotes that begins with a special character or contains ": "

    error: c.yaml:2:10: invalid YAML: mapping values are not allowed in this context
      | groups: A: B
      |          ^
      help: check the indentation, and put text in quotes that begins with a special character or contains ": "

    error: d.yaml:3:1: a second YAML document begins here
      | version: 1
      | ^
      help: put it in a separate file

    error: e.yaml:2:9: this alias has no anchor above it
      | groups: *all
      |         ^
      help: put text that begins with "*" in quotes; an alias needs an anchor ("&") above it

    error: f.yaml:2:18: invalid YAML: unsupported tag `!include`
      | groups: !include x.yaml
      |                  ^
      help: check the indentation, and put text in quotes that begins with a special character or contains ": "

    error: g.yaml:2:16: this alias contains itself
      | groups: &g {A: *g}
      |                ^
      help: remove it

    7 problems
    "#);
}

#[test]
fn invalid_utf_8_is_reported_with_position() {
    let bytes = b"version: 1\r\n# \xc3\xa4\xe4\n".to_vec();
    let problems = parse(&[Source { path: "a.yaml".into(), bytes }]).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    error: a.yaml:2:4: invalid UTF-8
      | # ä�
      |    ^
      help: save the file as UTF-8

    1 problem
    "#);
}

#[test]
fn duplicate_names_are_reported_with_both_places() {
    let account = |digit: &str| format!("account_id: {}", digit.repeat(32));
    let body = "settings: {}\nrosters: {r: []}\ngroups: {A: {id: 4f5f0c14a2a41d5063dd301b2f829f04, members: []}}\n";
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", &format!("version: 1\n{}\n{body}", account("a"))),
        ("b.yaml", &format!("version: 1\n{}\n{body}", account("b"))),
        ("c.yaml", "version: 1\ngroups: {B: {id: 4F5F0C14A2A41D5063DD301B2F829F04, members: []}}\nrosters: {r: [], r: []}"),
    ]), @r#"
    error: b.yaml:2:1: the files name different accounts
      | account_id: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
      | ^
      a.yaml:2:1: the other account is named here
      help: keep the groups of each account in a separate folder

    error: b.yaml:3:1: a second file has `settings`
      | settings: {}
      | ^
      a.yaml:3:1: the first is here
      help: keep all settings in one file

    error: b.yaml:4:11: roster "r" is declared twice
      | rosters: {r: []}
      |           ^
      a.yaml:4:11: it is first declared here
      help: merge the two, or rename one of them

    error: b.yaml:5:10: group "A" is declared twice
      | groups: {A: {id: 4f5f0c14a2a41d5063dd301b2f829f04, members: []}}
      |          ^
      a.yaml:5:10: it is first declared here
      help: merge the two

    error: c.yaml:2:14: two groups have the id 4f5f0c14a2a41d5063dd301b2f829f04
      | groups: {B: {id: 4F5F0C14A2A41D5063DD301B2F829F04, members: []}}
      |              ^
      a.yaml:5:14: the first is here
      help: correct one of the ids, or remove it

    error: c.yaml:3:11: roster "r" is declared twice
      | rosters: {r: [], r: []}
      |           ^
      a.yaml:4:11: it is first declared here
      help: merge the two, or rename one of them

    error: c.yaml:3:18: roster "r" is declared twice
      | rosters: {r: [], r: []}
      |                  ^
      a.yaml:4:11: it is first declared here
      help: merge the two, or rename one of them

    7 problems
    "#);
}

#[test]
fn undeclared_rosters_are_reported() {
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", "version: 1\ngroups: {A: {members: [roster: srr, roster: owners]}}\n"),
        ("b.yaml", "version: 1\nrosters: {sre: [roster: managers]}\n"),
    ]), @r#"
    error: a.yaml:2:24: roster "srr" is not declared
      | groups: {A: {members: [roster: srr, roster: owners]}}
      |                        ^
      help: did you mean "sre"?

    error: a.yaml:2:37: roster "owners" is not declared
      | groups: {A: {members: [roster: srr, roster: owners]}}
      |                                     ^
      help: declare it under `rosters:` in any of the files

    error: b.yaml:2:17: roster "managers" is not declared
      | rosters: {sre: [roster: managers]}
      |                 ^
      help: declare it under `rosters:` in any of the files

    3 problems
    "#);
}

#[test]
fn unread_file_silences_missing_rosters() {
    let shown = all_problems(&[
        ("a.yaml", "version: 1\ngroups: {A: {members: [roster: sre, alice]}}\n"),
        ("b.yaml", "version: 1\nrosters: {sre: [\n"),
    ]);
    assert!(!shown.contains("declares a roster"), "{shown}");
    assert!(shown.ends_with("2 problems"), "{shown}");
}

#[test]
fn roster_cycle_is_shown_with_places() {
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", "version: 1\nrosters:\n  a: [roster: b]\n  b:\n    - roster: c\n  me: [roster: me]\n"),
        ("c.yaml", "version: 1\nrosters:\n  c: [x@y.z, roster: a]\n  d: [roster: a]\n"),
    ]), @r#"
    error: a.yaml:6:8: rosters use each other in a cycle: "me" -> "me"
      |   me: [roster: me]
      |        ^
      help: remove one of these entries, for example this one from roster "me"

    error: c.yaml:3:14: rosters use each other in a cycle: "a" -> "b" -> "c" -> "a"
      |   c: [x@y.z, roster: a]
      |              ^
      a.yaml:3:7: "a" uses "b" here
      a.yaml:5:7: "b" uses "c" here
      help: remove one of these entries, for example this one from roster "c"

    2 problems
    "#);
}

#[test]
fn problems_are_ordered_by_file_and_place() {
    let shown = parse_all(&[("b.yaml", "x: 1\ny: 1\n"), ("a.yaml", "z: 1\n")]).unwrap_err();
    let order: Vec<_> = shown.iter().map(|p| (p.file.to_string(), p.position.unwrap().line)).collect();
    assert_eq!(
        order,
        [("a.yaml", 1), ("a.yaml", 1), ("b.yaml", 1), ("b.yaml", 1), ("b.yaml", 2)].map(|(f, l)| (f.into(), l))
    );
}

#[test]
fn all_mistakes_are_reported() {
    let text = "version: 2\ngroups: {A: {mode: x, members: [x, y]}, B: 1}\nrosters: {r: [z]}\nsettings: {limits: 1}\n";
    assert_eq!(summary(text).len(), 7);
}
