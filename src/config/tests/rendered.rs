//! What is wrong with settings and groups is shown so that whoever reads it knows what to do.

use super::*;

#[test]
fn a_file_of_another_version_is_not_read() {
    insta::assert_snapshot!(problems("version: 2\n"), @r#"
    convoke.yaml:1:10: version "2" of the file format is not known
      | version: 2
      |          ^
      help: this release reads `version: 1`

    1 problem
    "#);
    insta::assert_snapshot!(problems("version: '1'\n"), @r#"
    convoke.yaml:1:10: the version is a number, this is text
      | version: '1'
      |          ^
      help: write `version: 1`, without quotes

    1 problem
    "#);
    insta::assert_snapshot!(problems("groups: {}\n"), @r#"
    convoke.yaml:1:1: the file does not say its version
      | groups: {}
      | ^
      help: put `version: 1` on its first line

    1 problem
    "#);
}

#[test]
fn unknown_and_repeated_keys_are_told() {
    insta::assert_snapshot!(problems("version: 1\nversion: 1\ngruops: {}\nowner: me\nsettings: {limit: {}}\n"), @r#"
    convoke.yaml:2:1: "version" stands in the file twice
      | version: 1
      | ^
      convoke.yaml:1:1: it stands here first
      help: take one of the two out

    convoke.yaml:3:1: unknown key "gruops" in the file
      | gruops: {}
      | ^
      help: did you mean "groups"?

    convoke.yaml:4:1: unknown key "owner" in the file
      | owner: me
      | ^
      help: what can stand here: version, account_id, settings, rosters, groups

    convoke.yaml:5:12: unknown key "limit" in `settings`
      | settings: {limit: {}}
      |            ^
      help: did you mean "limits"?

    4 problems
    "#);
}

#[test]
fn a_merge_key_is_refused_in_favour_of_rosters() {
    insta::assert_snapshot!(problems("version: 1\ngroups: {A: {<<: {mode: exact}, members: []}, [B]: {}}\n"), @r#"
    convoke.yaml:2:14: merge keys are not supported
      | groups: {A: {<<: {mode: exact}, members: []}, [B]: {}}
      |              ^
      help: name people once in `rosters`, and use them with `- roster: NAME`

    convoke.yaml:2:47: a list or a mapping cannot be a key
      | groups: {A: {<<: {mode: exact}, members: []}, [B]: {}}
      |                                               ^
      help: write plain text in front of the ":"

    2 problems
    "#);
}

#[test]
fn a_group_without_a_list_is_refused() {
    insta::assert_snapshot!(problems("version: 1\ngroups:\n  A:\n    members:\n  B:\n  C:\n    membres: []\n  D: []\n"), @r#"
    convoke.yaml:4:5: `members` has no value
      |     members:
      |     ^
      help: write its people below it, one a line; write `members: []` if it shall have none

    convoke.yaml:5:3: group "B" has no value
      |   B:
      |   ^
      help: write `members:` below it, with the people below that

    convoke.yaml:6:3: group "C" has no `members`
      |   C:
      |   ^
      help: write `members: []` if it shall have none

    convoke.yaml:7:5: unknown key "membres" in group "C"
      |     membres: []
      |     ^
      help: did you mean "members"?

    convoke.yaml:8:6: group "D" must be a mapping, this is a list
      |   D: []
      |      ^
      help: write `members:` below it, with the people below that

    5 problems
    "#);
}

#[test]
fn wrong_values_of_a_group_are_told_with_what_would_be_right() {
    insta::assert_snapshot!(problems("\
version: 1
groups:
  A:
    id: 4f5f
    mode: exakt
    members: alice@example.com
    min_members: -1
    allow_empty: yes
    group_removals: 0.25
  B:
    id:
    mode: []
    members: {}
    min_members: '2'
    allow_empty: 'true'
    group_removals: 25 %
"), @r#"
    convoke.yaml:4:9: "4f5f" is not a group id: its length is 4
      |     id: 4f5f
      |         ^
      help: a group id is 32 of the characters 0-9 and a-f

    convoke.yaml:5:11: unknown mode "exakt"
      |     mode: exakt
      |           ^
      help: did you mean "exact"?

    convoke.yaml:6:14: `members` must be a list, this is the text "alice@example.com"
      |     members: alice@example.com
      |              ^
      help: write its people below it, one a line; write `members: []` if it shall have none

    convoke.yaml:7:18: -1 is not a whole number: it is less than 0
      |     min_members: -1
      |                  ^
      help: write a whole number, for example `min_members: 2`

    convoke.yaml:8:18: `allow_empty` must be true or false, this is the text "yes"
      |     allow_empty: yes
      |                  ^
      help: write `allow_empty: true`

    convoke.yaml:9:21: "0.25" is not a limit: it is not only digits
      |     group_removals: 0.25
      |                     ^
      help: for that share write 25%

    convoke.yaml:11:5: the id has no value
      |     id:
      |     ^
      help: a group id is 32 of the characters 0-9 and a-f

    convoke.yaml:12:11: `mode` must be text, this is a list
      |     mode: []
      |           ^
      help: write one of: exact, additive, observe

    convoke.yaml:13:14: `members` must be a list, this is a mapping
      |     members: {}
      |              ^
      help: write its people below it, one a line; write `members: []` if it shall have none

    convoke.yaml:14:18: `min_members` must be a number, this is text
      |     min_members: '2'
      |                  ^
      help: take the quotes off

    convoke.yaml:15:18: `allow_empty` must be true or false, this is the text "true"
      |     allow_empty: 'true'
      |                  ^
      help: take the quotes off

    convoke.yaml:16:21: "25 %" is not a limit: there is a blank in it
      |     group_removals: 25 %
      |                     ^
      help: write "25%"

    12 problems
    "#);
}

#[test]
fn what_is_no_limit_is_told_apart() {
    let limit = |text: &str| {
        let problems = parse_one(&format!("version: 1\nsettings: {{limits: {{total_removals: {text}}}}}")).unwrap_err();
        let problem = problems.iter().next().unwrap().clone();
        format!("{} ({})", problem.message, problem.help.unwrap())
    };
    let wrong = [
        "-1",
        "110%",
        "12.345%",
        "1e2",
        "'5'",
        "lots",
        "%",
        "-5%",
        "010",
        "025%",
        "0.005",
        "18446744073709551616",
        "[]",
    ];
    insta::assert_snapshot!(wrong.map(limit).join("\n"), @r#"
    "-1" is not a limit: it is less than 0 (write 0 to allow no removals at all)
    "110%" is not a limit: it is more than 100% (write 100% to set no limit)
    "12.345%" is not a limit: a percentage has at most two decimals (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    "1e2" is not a limit: it is not only digits (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    "5" is not a limit: it is text (take the quotes off, or add a "%")
    "lots" is not a limit: it is neither a number nor a percentage (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    this cannot be read as YAML: unexpected character: `%' (check the indentation, and quote text that begins with a special character or holds ": ")
    "-5%" is not a limit: it is less than 0 (write 0% or more; 0 allows no removals at all)
    "010" is not a limit: it begins with a zero (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    "025%" is not a limit: it begins with a zero (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    "0.005" is not a limit: it is not only digits (for that share write 0.5%)
    "18446744073709551616" is not a limit: it is too large (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    `total_removals` must be a limit, this is a list (write a number of removals (`total_removals: 5`) or a percentage (`total_removals: 25%`))
    "#);
}

#[test]
fn names_that_nobody_could_tell_apart_are_refused() {
    insta::assert_snapshot!(problems("version: 1\ngroups: {'A ': {members: []}, '': {members: []}, \"B\\e[2J\": {members: []}}\n"), @r#"
    convoke.yaml:2:10: the name of group "A " begins or ends with a blank
      | groups: {'A ': {members: []}, '': {members: []}, "B\e[2J": {members: []}}
      |          ^
      help: write "A"

    convoke.yaml:2:31: the name of a group is empty
      | groups: {'A ': {members: []}, '': {members: []}, "B\e[2J": {members: []}}
      |                               ^
      help: write the name in front of the ":"

    convoke.yaml:2:50: the name of group "B\u{1b}[2J" holds the control character \u{1b}
      | groups: {'A ': {members: []}, '': {members: []}, "B\e[2J": {members: []}}
      |                                                  ^
      help: take it out

    3 problems
    "#);
}

#[test]
fn what_is_no_protected_person_is_told() {
    insta::assert_snapshot!(problems("\
version: 1
settings:
  protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  unmanaged_groups: refuze
"), @r#"
    convoke.yaml:3:15: "alice" is neither an email address nor an id: it has 0 "@", an address has one
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |               ^
      help: list email addresses and member ids

    convoke.yaml:3:29: A@b.c is in `protected` twice
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |                             ^
      convoke.yaml:3:22: it is listed here first
      help: take one of the two out

    convoke.yaml:3:37: unknown key "roster" in an entry of `protected`
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |                                     ^
      help: what can stand here: email, id

    convoke.yaml:3:56: "a@b.c" is an email address, not an id
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |                                                        ^
      help: write `email: a@b.c`

    convoke.yaml:3:64: an entry of `protected` names one person by email or id
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |                                                                ^
      help: list email addresses and member ids

    convoke.yaml:3:87: an entry of `protected` names one person by email or id
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |                                                                                       ^
      help: list email addresses and member ids

    convoke.yaml:3:91: an entry of `protected` must be an email address or an id
      |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
      |                                                                                           ^
      help: list email addresses and member ids

    convoke.yaml:4:21: unknown unmanaged_groups "refuze"
      |   unmanaged_groups: refuze
      |                     ^
      help: did you mean "refuse"?

    8 problems
    "#);
}

#[test]
fn a_long_line_is_not_shown_and_a_long_word_is_shortened() {
    let text = format!("version: 1\n? {}\n: 1\n", "k".repeat(300));
    insta::assert_snapshot!(problems(&text), @r#"
    convoke.yaml:2:3: unknown key "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…" in the file
      help: what can stand here: version, account_id, settings, rosters, groups

    1 problem
    "#);
}

#[test]
fn nothing_that_a_terminal_would_obey_gets_through() {
    let shown = problems("version: 1\n\"\\e[31m\\u202e\\n\": 1\n# \u{202e}\n? a\u{202e}b\t\"\n: 1 # 👩‍💻\n");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{shown:?}");
    insta::assert_snapshot!(shown, @r#"
    convoke.yaml:2:1: unknown key "\u{1b}[31m\u{202e}\n" in the file
      | "\e[31m\u202e\n": 1
      | ^
      help: what can stand here: version, account_id, settings, rosters, groups

    convoke.yaml:4:3: unknown key "a\u{202e}b\t\"" in the file
      | ? a\u{202e}b "
      |   ^
      help: what can stand here: version, account_id, settings, rosters, groups

    2 problems
    "#);
}

#[test]
fn the_caret_stands_below_wide_and_tabbed_text() {
    insta::assert_snapshot!(problems("version: 1\ngroups: {日本:\t{members: [], x: 1}}\n"), @r#"
    convoke.yaml:2:28: unknown key "x" in group "日本"
      | groups: {日本: {members: [], x: 1}}
      |                              ^
      help: what can stand here: id, mode, members, min_members, allow_empty, group_removals

    1 problem
    "#);
}
