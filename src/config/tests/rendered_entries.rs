//! What is wrong with entries of lists is shown so that whoever reads it knows what to do.

use super::*;

#[test]
fn what_is_no_person_is_told_with_how_to_write_it() {
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
    convoke.yaml:5:9: "alice" is not an email address: it has 0 "@", an address has one
      |       - alice
      |         ^
      help: write one address: `- alice@example.com`

    convoke.yaml:6:9: "sre" is not an email address: it has 0 "@", an address has one
      |       - sre
      |         ^
      help: "sre" is a roster: write `- roster: sre`

    convoke.yaml:7:9: "4f5f0c14a2a41d5063dd301b2f829f04" is an id, not an email address
      |       - 4f5f0c14a2a41d5063dd301b2f829f04
      |         ^
      help: write `- id: 4f5f0c14a2a41d5063dd301b2f829f04`

    convoke.yaml:8:9: "Alice <alice@example.com>" is not an email address: it holds ' ': blanks and control characters are not allowed
      |       - Alice <alice@example.com>
      |         ^
      help: write the address alone, without a name

    convoke.yaml:9:9: " alice@example.com" is not an email address: it holds ' ': blanks and control characters are not allowed
      |       - ' alice@example.com'
      |         ^
      help: write alice@example.com

    convoke.yaml:10:9: "a@b@c" is not an email address: it has 2 "@", an address has one
      |       - a@b@c
      |         ^
      help: write one address: `- alice@example.com`

    convoke.yaml:11:9: "12" is not an email address: it has 0 "@", an address has one
      |       - 12
      |         ^
      help: write one address: `- alice@example.com`

    convoke.yaml:12:8: this entry is empty
      |       -
      |        ^
      help: write an email address, or take the line out

    convoke.yaml:13:9: this entry is a list in a list
      |       - [a@b.c]
      |         ^
      help: write each person on a line of their own: `- alice@example.com`

    9 problems
    "#);
}

#[test]
fn an_entry_that_does_not_name_one_person_is_told() {
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
    convoke.yaml:5:9: unknown key "emial" in an entry
      |       - emial: x@y.z
      |         ^
      help: did you mean "email"?

    convoke.yaml:6:9: this entry names nobody
      |       - {}
      |         ^
      help: give it one of the keys email, id and roster

    convoke.yaml:7:9: this entry names nobody
      |       - reason: none
      |         ^
      help: give it one of the keys email, id and roster

    convoke.yaml:8:9: an entry names one of email, id and roster, this has several
      |       - {email: a@b.c, id: 4f5f0c14a2a41d5063dd301b2f829f04}
      |         ^
      help: make an entry of its own for each of them

    convoke.yaml:9:16: "4f5f0c14a2a41d5063dd301b2f829f04" is an id, not an email address
      |       - email: 4f5f0c14a2a41d5063dd301b2f829f04
      |                ^
      help: write `id: 4f5f0c14a2a41d5063dd301b2f829f04`

    convoke.yaml:10:16: "alice" is not an email address: it has 0 "@", an address has one
      |       - email: alice
      |                ^
      help: write one address: `- alice@example.com`

    convoke.yaml:11:9: `email` has no value
      |       - email:
      |         ^
      help: write one address: `email: alice@example.com`

    convoke.yaml:12:13: "alice@example.com" is an email address, not an id
      |       - id: alice@example.com
      |             ^
      help: write `email: alice@example.com`

    convoke.yaml:13:13: "4g5f0c14a2a41d5063dd301b2f829f04" is not a member id: it holds "g"
      |       - id: 4g5f0c14a2a41d5063dd301b2f829f04
      |             ^
      help: a member id is 32 of the characters 0-9 and a-f

    convoke.yaml:14:13: "123" is not a member id: its length is 3
      |       - id: 123
      |             ^
      help: a member id is 32 of the characters 0-9 and a-f

    convoke.yaml:15:17: `roster` must be text, this is a list
      |       - roster: [a]
      |                 ^
      help: write the name of one roster: `- roster: NAME`

    convoke.yaml:16:9: unknown key "alice@example.com" in an entry
      |       - alice@example.com: x
      |         ^
      help: what can stand here: email, id, roster, from, until, reason

    12 problems
    "#);
}

#[test]
fn the_same_person_twice_in_one_list_is_told_with_both_places() {
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
    convoke.yaml:7:12: bob@example.com is in the list of group "Ops" twice
      |       - &b bob@example.com
      |            ^
      help: an alias repeats it: take the alias out

    convoke.yaml:8:9: ALICE@example.com is in the list of group "Ops" twice
      |       - email: ALICE@example.com
      |         ^
      convoke.yaml:5:9: it is listed here first
      help: take one of the two out

    convoke.yaml:10:9: 4f5f0c14a2a41d5063dd301b2f829f04 is in the list of group "Ops" twice
      |       - id: 4F5F0C14A2A41D5063DD301B2F829F04
      |         ^
      convoke.yaml:6:9: it is listed here first
      help: take one of the two out

    convoke.yaml:13:9: roster "x" is in the list of group "Ops" twice
      |       - roster: x
      |         ^
      convoke.yaml:12:9: it is listed here first
      help: take one of the two out

    convoke.yaml:15:14: C@d.e is in the list of roster "x" twice
      |   x: [c@d.e, C@d.e]
      |              ^
      convoke.yaml:15:7: it is listed here first
      help: take one of the two out

    5 problems
    "#);
}

#[test]
fn times_that_make_no_sense_are_told() {
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
    "2026-2-1" is not a time: it is neither a day nor an instant (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-02-31" is not a time: there is no such day (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "31.12.2026" is not a time: it is neither a day nor an instant (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "9999-12-31" is not a time: it is too far away (leave the key out if there is no such end)
    "2026-01-01T00:00:00" is not a time: it does not say in which time zone (put a "Z" behind it for UTC, or an offset such as +01:00)
    "2026-01-01T00:00Z" is not a time: it is neither a day nor an instant (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-01-01 00:00:00Z" is not a time: it is neither a day nor an instant (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-13-01T00:00:00Z" is not a time: there is no such instant (check each of its numbers; every month and day counts)
    "2026-01-01T00:00:00.Z" is not a time: there are no digits behind the "." (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026-01-01T00:00:00+99:99" is not a time: there is no such instant (check each of its numbers; every month and day counts)
    "tomorrow" is not a time: it is neither a day nor an instant (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "2026" is not a time: it is neither a day nor an instant (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    `until` has no value (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    `until` must be text, this is a list (write a day (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z))
    "#);
}

#[test]
fn a_window_that_never_opens_is_told() {
    insta::assert_snapshot!(entry_problems("
      - email: a@b.c
        from: 2026-02-01
        until: 2026-01-31
      - email: b@b.c
        from: 2026-02-01T00:00:00Z
        until: 2026-02-01T01:00:00+01:00
        reason: ' '
"), @r#"
    convoke.yaml:7:16: nobody would ever belong: `until` is not after `from`
      |         until: 2026-01-31
      |                ^
      convoke.yaml:6:15: `from` stands here
      help: an `until` day is the last day; an `until` instant is the first moment after

    convoke.yaml:10:16: nobody would ever belong: `until` is not after `from`
      |         until: 2026-02-01T01:00:00+01:00
      |                ^
      convoke.yaml:9:15: `from` stands here
      help: an `until` day is the last day; an `until` instant is the first moment after

    convoke.yaml:11:17: `reason` is empty
      |         reason: ' '
      |                 ^
      help: say in a few words why, or leave the key out

    3 problems
    "#);
}

#[test]
fn a_roster_has_no_times_of_its_own() {
    insta::assert_snapshot!(entry_problems("
      - roster: x
        until: 2026-12-31
        reason: none
rosters: {x: []}
"), @r#"
    convoke.yaml:6:9: from, until and reason go with a person, not with a roster
      |         until: 2026-12-31
      |         ^
      help: give it to the people in the roster, or list them here by email

    convoke.yaml:7:9: from, until and reason go with a person, not with a roster
      |         reason: none
      |         ^
      help: give it to the people in the roster, or list them here by email

    2 problems
    "#);
}
