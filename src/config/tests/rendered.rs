//! Problems of settings and groups, with the remedy.

use super::*;

#[test]
fn a_file_of_another_version_is_not_read() {
    insta::assert_snapshot!(problems("version: 2\n"), @r#"
    error: convoke.yaml:1:10: `version` must be 1, not 2
      | version: 2
      |          ^
      help: this release of convoke reads only `version: 1`, without quotes

    1 problem
    "#);
    insta::assert_snapshot!(problems("version: '1'\n"), @r#"
    error: convoke.yaml:1:10: `version` must be 1, not the text "1"
      | version: '1'
      |          ^
      help: this release of convoke reads only `version: 1`, without quotes

    1 problem
    "#);
    insta::assert_snapshot!(problems("groups: {}\n"), @r#"
    error: convoke.yaml:1:1: the file has no `version`
      | groups: {}
      | ^
      help: add the line `version: 1` at the top

    1 problem
    "#);
}

#[test]
fn unknown_and_repeated_keys_are_reported() {
    insta::assert_snapshot!(problems("version: 1\nversion: 1\ngruops: {}\nowner: me\nsettings: {limit: {}}\n"), @r#"
    error: convoke.yaml:2:1: "version" is in the file twice
      | version: 1
      | ^
      convoke.yaml:1:1: the first is here
      help: remove one of the two

    error: convoke.yaml:3:1: unknown key "gruops" in the file
      | gruops: {}
      | ^
      help: did you mean "groups"?

    error: convoke.yaml:4:1: unknown key "owner" in the file
      | owner: me
      | ^
      help: expected one of: version, account_id, settings, rosters, groups

    error: convoke.yaml:5:12: unknown key "limit" in `settings`
      | settings: {limit: {}}
      |            ^
      help: did you mean "limits"?

    4 problems
    "#);
}

#[test]
fn merge_key_is_refused() {
    insta::assert_snapshot!(problems("version: 1\ngroups: {A: {<<: {mode: exact}, members: []}, [B]: {}}\n"), @r#"
    error: convoke.yaml:2:14: merge keys are not supported
      | groups: {A: {<<: {mode: exact}, members: []}, [B]: {}}
      |              ^
      help: list the people in `rosters`, and use them with `- roster: NAME`

    error: convoke.yaml:2:47: a list or a mapping cannot be a key
      | groups: {A: {<<: {mode: exact}, members: []}, [B]: {}}
      |                                               ^
      help: write plain text before the ":"

    2 problems
    "#);
}

#[test]
fn a_group_without_a_list_is_refused() {
    insta::assert_snapshot!(problems("version: 1\ngroups:\n  A:\n    members:\n  B:\n  C:\n    membres: []\n  D: []\n"), @r#"
    error: convoke.yaml:4:5: `members` has no value
      |     members:
      |     ^
      help: list the people below it, one per line, or write `members: []`

    error: convoke.yaml:5:3: group "B" has no value
      |   B:
      |   ^
      help: write `members:` below it, and list the people below that

    error: convoke.yaml:6:3: group "C" has no `members`
      |   C:
      |   ^
      help: add `members: []` if the group has no members

    error: convoke.yaml:7:5: unknown key "membres" in group "C"
      |     membres: []
      |     ^
      help: did you mean "members"?

    error: convoke.yaml:8:6: group "D" must be a mapping, not a list
      |   D: []
      |      ^
      help: write `members:` below it, and list the people below that

    5 problems
    "#);
}

#[test]
fn wrong_group_values_show_remedies() {
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
error: convoke.yaml:4:9: "4f5f" is not a group id
  |     id: 4f5f
  |         ^
  help: a group id has 32 characters, each 0-9 or a-f

error: convoke.yaml:5:11: unknown mode "exakt"
  |     mode: exakt
  |           ^
  help: did you mean "exact"?

error: convoke.yaml:6:14: `members` must be a list, not the text "alice@example.com"
  |     members: alice@example.com
  |              ^
  help: list the people below it, one per line, or write `members: []`

error: convoke.yaml:7:18: `min_members` must be a whole number, not -1
  |     min_members: -1
  |                  ^
  help: write a whole number without quotes, for example `min_members: 2`

error: convoke.yaml:8:18: `allow_empty` must be true or false, not the text "yes"
  |     allow_empty: yes
  |                  ^
  help: write `allow_empty: true` or `allow_empty: false`, without quotes

error: convoke.yaml:9:21: `group_removals` must be a limit, not 0.25
  |     group_removals: 0.25
  |                     ^
  help: write a number of removals (`group_removals: 5`), or a percentage up to 100% with at most two decimals (`group_removals: 12.5%`)

error: convoke.yaml:11:5: the id has no value
  |     id:
  |     ^
  help: a group id has 32 characters, each 0-9 or a-f

error: convoke.yaml:12:11: `mode` must be text, not a list
  |     mode: []
  |           ^
  help: write one of: exact, additive, observe

error: convoke.yaml:13:14: `members` must be a list, not a mapping
  |     members: {}
  |              ^
  help: list the people below it, one per line, or write `members: []`

error: convoke.yaml:14:18: `min_members` must be a whole number, not the text "2"
  |     min_members: '2'
  |                  ^
  help: write a whole number without quotes, for example `min_members: 2`

error: convoke.yaml:15:18: `allow_empty` must be true or false, not the text "true"
  |     allow_empty: 'true'
  |                  ^
  help: write `allow_empty: true` or `allow_empty: false`, without quotes

error: convoke.yaml:16:21: `group_removals` must be a limit, not the text "25 %"
  |     group_removals: 25 %
  |                     ^
  help: write a number of removals (`group_removals: 5`), or a percentage up to 100% with at most two decimals (`group_removals: 12.5%`)

12 problems
"#);
}

#[test]
fn invalid_limits_are_refused() {
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
    `total_removals` must be a limit, not -1 (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not the text "110%" (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not the text "12.345%" (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not 1e2 (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not the text "5" (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not the text "lots" (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    invalid YAML: unexpected character: `%' (check the indentation, and put text in quotes that begins with a special character or contains ": ")
    `total_removals` must be a limit, not the text "-5%" (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not 010 (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not the text "025%" (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not 0.005 (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not 18446744073709551616 (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    `total_removals` must be a limit, not a list (write a number of removals (`total_removals: 5`), or a percentage up to 100% with at most two decimals (`total_removals: 12.5%`))
    "#);
}

#[test]
fn indistinguishable_names_are_refused() {
    insta::assert_snapshot!(problems("version: 1\ngroups: {'A ': {members: []}, '': {members: []}}\nrosters: {\"B\\e[2J\": []}\n"), @r#"
    error: convoke.yaml:2:10: the name of group "A " begins or ends with a space
      | groups: {'A ': {members: []}, '': {members: []}}
      |          ^
      help: write "A"

    error: convoke.yaml:2:31: the name of a group is empty
      | groups: {'A ': {members: []}, '': {members: []}}
      |                               ^
      help: write the name before the ":"

    error: convoke.yaml:3:11: the name of roster "B\u{1b}[2J" contains the invisible character \u{1b}
      | rosters: {"B\e[2J": []}
      |           ^
      help: remove it

    3 problems
    "#);
}

#[test]
fn invalid_protected_entries_are_reported() {
    insta::assert_snapshot!(problems("\
version: 1
settings:
  protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  unmanaged_groups: refuze
"), @r#"
error: convoke.yaml:3:15: "alice" is neither an email address nor an id: it has no "@"
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |               ^
  help: list email addresses and member ids

error: convoke.yaml:3:29: A@b.c is listed twice in `protected`
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |                             ^
  convoke.yaml:3:22: it is first listed here
  help: remove one of the two

error: convoke.yaml:3:37: unknown key "roster" in an entry of `protected`
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |                                     ^
  help: expected one of: email, id

error: convoke.yaml:3:56: "a@b.c" is not a member id
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |                                                        ^
  help: a member id has 32 characters, each 0-9 or a-f

error: convoke.yaml:3:64: an entry of `protected` must have exactly one of the keys email or id
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |                                                                ^
  help: name each person in a separate entry

error: convoke.yaml:3:87: an entry of `protected` must have exactly one of the keys email or id
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |                                                                                       ^
  help: name each person in a separate entry

error: convoke.yaml:3:91: an entry of `protected` must be an email address or an id
  |   protected: [alice, a@b.c, A@b.c, {roster: sre}, {id: a@b.c}, {email: d@b.c, id: 1}, {}, []]
  |                                                                                           ^
  help: list email addresses and member ids

error: convoke.yaml:4:21: unknown unmanaged_groups "refuze"
  |   unmanaged_groups: refuze
  |                     ^
  help: did you mean "refuse"?

8 problems
"#);
}

#[test]
fn long_lines_and_words_are_cut() {
    let text = format!("version: 1\n? {}\n: 1\n", "k".repeat(300));
    insta::assert_snapshot!(problems(&text), @r#"
    error: convoke.yaml:2:3: unknown key "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…" in the file
      help: expected one of: version, account_id, settings, rosters, groups

    1 problem
    "#);
}

#[test]
fn terminal_escapes_in_files_are_shown_escaped() {
    let shown = problems("version: 1\n\"\\e[31m\\u202e\\n\": 1\n# \u{202e}\n? a\u{202e}b\t\"\n: 1 # 👩‍💻\n");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{shown:?}");
    insta::assert_snapshot!(shown, @r#"
    error: convoke.yaml:2:1: unknown key "\u{1b}[31m\u{202e}\n" in the file
      | "\e[31m\u202e\n": 1
      | ^
      help: expected one of: version, account_id, settings, rosters, groups

    error: convoke.yaml:4:3: unknown key "a\u{202e}b\t\"" in the file
      | ? a\u{202e}b "
      |   ^
      help: expected one of: version, account_id, settings, rosters, groups

    2 problems
    "#);
}

#[test]
fn caret_is_below_wide_and_tabbed_text() {
    insta::assert_snapshot!(problems("version: 1\ngroups: {日本:\t{members: [], x: 1}}\n"), @r#"
    error: convoke.yaml:2:28: unknown key "x" in group "日本"
      | groups: {日本: {members: [], x: 1}}
      |                              ^
      help: expected one of: id, mode, members, min_members, allow_empty, group_removals, max_duration, require_reason, exclusive_with, email_domains, permissions, description, owners

    1 problem
    "#);
}
