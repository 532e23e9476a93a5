//! What is wrong with files as a whole, and with several of them together.

use super::*;

fn all_problems(files: &[(&str, &str)]) -> String {
    parse_all(files).unwrap_err().to_string()
}

#[test]
fn a_file_that_declares_nothing_is_told() {
    insta::assert_snapshot!(all_problems(&[("a.yaml", ""), ("b.yaml", "# nothing yet\n"), ("c.yaml", "---\n")]), @r#"
    a.yaml:1:1: the file declares nothing
      help: write `version: 1` and the groups, or take the file away

    b.yaml:1:1: the file declares nothing
      | # nothing yet
      | ^
      help: write `version: 1` and the groups, or take the file away

    c.yaml:1:1: the file declares nothing
      | ---
      | ^
      help: write `version: 1` and the groups, or take the file away

    3 problems
    "#);
}

#[test]
fn what_is_no_mapping_or_no_yaml_is_told() {
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", "- alice@example.com\n"),
        ("b.yaml", "version: 1\ngroups: {A: {members: [a@b.c}}\n"),
        ("c.yaml", "version: 1\ngroups: A: B\n"),
        ("d.yaml", "version: 1\n---\nversion: 1\n"),
        ("e.yaml", "version: 1\ngroups: *all\n"),
        ("f.yaml", "version: 1\ngroups: !include x.yaml\n"),
        ("g.yaml", "version: 1\ngroups: &g {A: *g}\n"),
    ]), @r#"
    a.yaml:1:1: the file is not a mapping
      | - alice@example.com
      | ^
      help: begin with `version: 1`, then `groups:` with the groups below it

    b.yaml:2:23: this cannot be read as YAML: mismatched bracket '[' closed by '}'
      | groups: {A: {members: [a@b.c}}
      |                       ^
      help: check the indentation, and quote text that begins with a special character or holds ": "

    c.yaml:2:10: this cannot be read as YAML: mapping values are not allowed in this context
      | groups: A: B
      |          ^
      help: check the indentation, and quote text that begins with a special character or holds ": "

    d.yaml:3:1: a second YAML document begins here
      | version: 1
      | ^
      help: put it into a file of its own

    e.yaml:2:9: no anchor of this name stands further up
      | groups: *all
      |         ^
      help: text that begins with "*" needs quotes; an alias needs its "&" further up

    f.yaml:2:18: this cannot be read as YAML: unsupported tag `!include`
      | groups: !include x.yaml
      |                  ^
      help: check the indentation, and quote text that begins with a special character or holds ": "

    g.yaml:2:16: this alias stands inside of what it stands for
      | groups: &g {A: *g}
      |                ^
      help: take it out

    7 problems
    "#);
}

#[test]
fn a_byte_that_is_not_utf_8_is_shown_where_it_stands() {
    let bytes = b"version: 1\r\n# \xc3\xa4\xe4\n".to_vec();
    let problems = parse(&[Source { path: "a.yaml".into(), bytes }]).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    a.yaml:2:4: this byte is not UTF-8
      | # ä�
      |    ^
      help: save the file as UTF-8

    1 problem
    "#);
}

#[test]
fn names_given_twice_are_told_with_both_places() {
    let account = |digit: &str| format!("account_id: {}", digit.repeat(32));
    let body = "settings: {}\nrosters: {r: []}\ngroups: {A: {id: 4f5f0c14a2a41d5063dd301b2f829f04, members: []}}\n";
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", &format!("version: 1\n{}\n{body}", account("a"))),
        ("b.yaml", &format!("version: 1\n{}\n{body}", account("b"))),
        ("c.yaml", "version: 1\ngroups: {B: {id: 4F5F0C14A2A41D5063DD301B2F829F04, members: []}}\nrosters: {r: [], r: []}"),
    ]), @r#"
    b.yaml:2:1: the files name different accounts
      | account_id: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
      | ^
      a.yaml:2:1: another account is named here
      help: keep the groups of each account in a folder of their own

    b.yaml:3:1: `settings` stands in a second file
      | settings: {}
      | ^
      a.yaml:3:1: it stands here first
      help: keep all settings in one file

    b.yaml:4:11: roster "r" is declared twice
      | rosters: {r: []}
      |           ^
      a.yaml:4:11: it is declared here first
      help: put all its people into one of the two, or rename one

    b.yaml:5:10: group "A" is declared twice
      | groups: {A: {id: 4f5f0c14a2a41d5063dd301b2f829f04, members: []}}
      |          ^
      a.yaml:5:10: it is declared here first
      help: put all its members into one of the two

    c.yaml:2:14: two groups have the id 4f5f0c14a2a41d5063dd301b2f829f04
      | groups: {B: {id: 4F5F0C14A2A41D5063DD301B2F829F04, members: []}}
      |              ^
      a.yaml:5:14: it stands here first
      help: an id belongs to one group: correct it, or take it out

    c.yaml:3:11: roster "r" is declared twice
      | rosters: {r: [], r: []}
      |           ^
      a.yaml:4:11: it is declared here first
      help: put all its people into one of the two, or rename one

    c.yaml:3:18: roster "r" is declared twice
      | rosters: {r: [], r: []}
      |                  ^
      a.yaml:4:11: it is declared here first
      help: put all its people into one of the two, or rename one

    7 problems
    "#);
}

#[test]
fn rosters_that_nobody_declares_are_told() {
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", "version: 1\ngroups: {A: {members: [roster: srr, roster: owners]}}\n"),
        ("b.yaml", "version: 1\nrosters: {sre: [roster: managers]}\n"),
    ]), @r#"
    a.yaml:2:24: no file declares a roster "srr"
      | groups: {A: {members: [roster: srr, roster: owners]}}
      |                        ^
      help: did you mean "sre"?

    a.yaml:2:37: no file declares a roster "owners"
      | groups: {A: {members: [roster: srr, roster: owners]}}
      |                                     ^
      help: declare it below `rosters:`, in any of the files: `owners: […]`

    b.yaml:2:17: no file declares a roster "managers"
      | rosters: {sre: [roster: managers]}
      |                 ^
      help: declare it below `rosters:`, in any of the files: `managers: […]`

    3 problems
    "#);
}

#[test]
fn nothing_is_said_of_missing_rosters_while_a_file_cannot_be_read() {
    let shown = all_problems(&[
        ("a.yaml", "version: 1\ngroups: {A: {members: [roster: sre, alice]}}\n"),
        ("b.yaml", "version: 1\nrosters: {sre: [\n"),
    ]);
    assert!(!shown.contains("declares a roster"), "{shown}");
    assert!(shown.ends_with("2 problems"), "{shown}");
}

#[test]
fn a_circle_of_rosters_is_shown_with_its_places() {
    insta::assert_snapshot!(all_problems(&[
        ("a.yaml", "version: 1\nrosters:\n  a: [roster: b]\n  b:\n    - roster: c\n  me: [roster: me]\n"),
        ("c.yaml", "version: 1\nrosters:\n  c: [x@y.z, roster: a]\n  d: [roster: a]\n"),
    ]), @r#"
    a.yaml:6:8: rosters name each other in a circle: "me" -> "me"
      |   me: [roster: me]
      |        ^
      help: take one of the rosters out of another, for example this one out of "me"

    c.yaml:3:14: rosters name each other in a circle: "a" -> "b" -> "c" -> "a"
      |   c: [x@y.z, roster: a]
      |              ^
      a.yaml:3:7: "a" names "b" here
      a.yaml:5:7: "b" names "c" here
      help: take one of the rosters out of another, for example this one out of "c"

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
fn one_mistake_does_not_hide_another() {
    let text = "version: 2\ngroups: {A: {mode: x, members: [x, y]}, B: 1}\nrosters: {r: [z]}\nsettings: {limits: 1}\n";
    assert_eq!(summary(text).len(), 7);
}
