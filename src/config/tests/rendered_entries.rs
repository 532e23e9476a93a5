//! Problems of list entries, with the remedy.

use super::*;

#[test]
fn invalid_person_is_reported_with_remedy() {
    insta::assert_snapshot!(entry_problems("
      - alice
      - sre
      - 4f5f0c14a2a41d5063dd301b2f829f04
      - Alice <alice@example.com>
      - ' alice@example.com'
      - a@b@c
      - 12
      -
      - [a@b.c]
rosters:
  sre: []
"), @r#"
error: convoke.yaml:5:9: "alice" is not an email address: it has no "@"
  |       - alice
  |         ^
  help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

error: convoke.yaml:6:9: "sre" is not an email address: it has no "@"
  |       - sre
  |         ^
  help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

error: convoke.yaml:7:9: "4f5f0c14a2a41d5063dd301b2f829f04" is an id, not an email address
  |       - 4f5f0c14a2a41d5063dd301b2f829f04
  |         ^
  help: write `id: 4f5f0c14a2a41d5063dd301b2f829f04`

error: convoke.yaml:8:9: "Alice <alice@example.com>" is not an email address: it contains ' '
  |       - Alice <alice@example.com>
  |         ^
  help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

error: convoke.yaml:9:9: " alice@example.com" is not an email address: it contains ' '
  |       - ' alice@example.com'
  |         ^
  help: write alice@example.com

error: convoke.yaml:10:9: "a@b@c" is not an email address: it has 2 "@"
  |       - a@b@c
  |         ^
  help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

error: convoke.yaml:11:9: "12" is not an email address: it has no "@"
  |       - 12
  |         ^
  help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

error: convoke.yaml:12:8: this entry is empty
  |       -
  |        ^
  help: write an email address, or remove the line

error: convoke.yaml:13:9: this entry is a list inside a list
  |       - [a@b.c]
  |         ^
  help: write each person on a separate line: `- alice@example.com`

9 problems
"#);
}

#[test]
fn entry_without_exactly_one_person_is_reported() {
    insta::assert_snapshot!(entry_problems("
      - emial: x@y.z
      - {}
      - reason: none
      - {email: a@b.c, id: 4f5f0c14a2a41d5063dd301b2f829f04}
      - email: 4f5f0c14a2a41d5063dd301b2f829f04
      - email: alice
      - email:
      - id: alice@example.com
      - id: 4g5f0c14a2a41d5063dd301b2f829f04
      - id: 123
      - roster: [a]
      - alice@example.com: x
"), @r#"
error: convoke.yaml:5:9: unknown key "emial" in an entry
  |       - emial: x@y.z
  |         ^
  help: did you mean "email"?

error: convoke.yaml:6:9: an entry must have exactly one of the keys email, id or roster
  |       - {}
  |         ^
  help: name each person in a separate entry

error: convoke.yaml:7:9: an entry must have exactly one of the keys email, id or roster
  |       - reason: none
  |         ^
  help: name each person in a separate entry

error: convoke.yaml:8:9: an entry must have exactly one of the keys email, id or roster
  |       - {email: a@b.c, id: 4f5f0c14a2a41d5063dd301b2f829f04}
  |         ^
  help: name each person in a separate entry

error: convoke.yaml:9:16: "4f5f0c14a2a41d5063dd301b2f829f04" is an id, not an email address
  |       - email: 4f5f0c14a2a41d5063dd301b2f829f04
  |                ^
  help: write `id: 4f5f0c14a2a41d5063dd301b2f829f04`

error: convoke.yaml:10:16: "alice" is not an email address: it has no "@"
  |       - email: alice
  |                ^
  help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

error: convoke.yaml:11:9: `email` has no value
  |       - email:
  |         ^
  help: write one address: `email: alice@example.com`

error: convoke.yaml:12:13: "alice@example.com" is not a member id
  |       - id: alice@example.com
  |             ^
  help: a member id has 32 characters, each 0-9 or a-f

error: convoke.yaml:13:13: "4g5f0c14a2a41d5063dd301b2f829f04" is not a member id
  |       - id: 4g5f0c14a2a41d5063dd301b2f829f04
  |             ^
  help: a member id has 32 characters, each 0-9 or a-f

error: convoke.yaml:14:13: "123" is not a member id
  |       - id: 123
  |             ^
  help: a member id has 32 characters, each 0-9 or a-f

error: convoke.yaml:15:17: `roster` must be text, not a list
  |       - roster: [a]
  |                 ^
  help: write the name of one roster: `- roster: NAME`

error: convoke.yaml:16:9: unknown key "alice@example.com" in an entry
  |       - alice@example.com: x
  |         ^
  help: expected one of: email, id, roster, from, until, reason

12 problems
"#);
}

#[test]
fn duplicate_person_is_reported_with_both_places() {
    insta::assert_snapshot!(entry_problems("
      - alice@example.com
      - id: 4f5f0c14a2a41d5063dd301b2f829f04
      - &b bob@example.com
      - email: ALICE@example.com
        reason: again
      - id: 4F5F0C14A2A41D5063DD301B2F829F04
      - *b
      - roster: x
      - roster: x
rosters:
  x: [c@d.e, C@d.e]
"), @r#"
error: convoke.yaml:7:12: bob@example.com is listed twice in group "Ops"
  |       - &b bob@example.com
  |            ^
  help: an alias repeats it: remove the alias

error: convoke.yaml:8:9: ALICE@example.com is listed twice in group "Ops"
  |       - email: ALICE@example.com
  |         ^
  convoke.yaml:5:9: it is first listed here
  help: remove one of the two

error: convoke.yaml:10:9: 4f5f0c14a2a41d5063dd301b2f829f04 is listed twice in group "Ops"
  |       - id: 4F5F0C14A2A41D5063DD301B2F829F04
  |         ^
  convoke.yaml:6:9: it is first listed here
  help: remove one of the two

error: convoke.yaml:13:9: roster "x" is listed twice in group "Ops"
  |       - roster: x
  |         ^
  convoke.yaml:12:9: it is first listed here
  help: remove one of the two

error: convoke.yaml:15:14: C@d.e is listed twice in roster "x"
  |   x: [c@d.e, C@d.e]
  |              ^
  convoke.yaml:15:7: it is first listed here
  help: remove one of the two

5 problems
"#);
}

#[test]
fn invalid_times_are_reported() {
    let time = |until: &str| {
        let text = format!("version: 1\ngroups: {{A: {{members: [{{email: a@b.c, until: {until}}}]}}}}");
        let problem = parse_one(&text).unwrap_err().iter().next().unwrap().clone();
        format!("{} ({})", problem.message, problem.help.unwrap())
    };
    let wrong = [
        "2026-2-1",
        "2026-02-31",
        "31.12.2026",
        "9999-12-31",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+99:99",
        "tomorrow",
        "2026",
        "",
        "[]",
    ];
    insta::assert_snapshot!(wrong.map(time).join("\n"), @r#"
    "2026-2-1" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-02-31" is not a time: there is no such day (check the month, the day and the time)
    "31.12.2026" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "9999-12-31" is not a time: it is too far in the future (use a year before 9999, or leave the time out)
    "2026-01-01T00:00:00" is not a time: it has no time zone (add "Z" for UTC, or an offset such as +01:00)
    "2026-01-01T00:00Z" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-01-01 00:00:00Z" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-13-01T00:00:00Z" is not a time: there is no such instant (check the month, the day and the time)
    "2026-01-01T00:00:00.Z" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-01-01T00:00:00+99:99" is not a time: there is no such instant (check the month, the day and the time)
    "tomorrow" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026" is not a time: it is neither a date nor an RFC 3339 instant (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    `until` has no value (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    `until` must be text, not a list (write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "#);
}

#[test]
fn empty_window_is_reported() {
    insta::assert_snapshot!(entry_problems("
      - email: a@b.c
        from: 2026-02-01
        until: 2026-01-31
      - email: b@b.c
        from: 2026-02-01T00:00:00Z
        until: 2026-02-01T01:00:00+01:00
        reason: ' '
"), @r#"
error: convoke.yaml:7:16: `until` is not after `from`, so the entry never applies
  |         until: 2026-01-31
  |                ^
  convoke.yaml:6:15: `from` is here
  help: a date in `until` is the last day; an instant is the first moment after

error: convoke.yaml:10:16: `until` is not after `from`, so the entry never applies
  |         until: 2026-02-01T01:00:00+01:00
  |                ^
  convoke.yaml:9:15: `from` is here
  help: a date in `until` is the last day; an instant is the first moment after

error: convoke.yaml:11:17: `reason` is empty
  |         reason: ' '
  |                 ^
  help: write the reason in a few words, or remove the key

3 problems
"#);
}
