//! Accepted files and their meaning.

use super::*;
use crate::model::{Limit, Mode, Unmanaged};

const EVERYTHING: &str = "\
version: 1
account_id: 023E105f4ecef8ad9ca31a8372d0c353

settings:
  limits:
    group_removals: 12.5%
    total_removals: 7
  protected: [root@example.com, 4f5f0c14a2a41d5063dd301b2f829f04, {email: a@b.c}]
  unmanaged_groups: report

rosters:
  leads:
    - carol@example.com
  sre:
    - alice@example.com
    - roster: leads

groups:
  Platform Admins:
    id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1
    mode: additive
    members:
      - dave@example.com
      - roster: sre
      - email: erin@example.com
        from: 2026-12-01
        until: 2026-12-31
        reason: INC-4821 cover
      - id: 4F5F0C14A2A41D5063DD301B2F829F04
        until: 2026-12-31T18:00:00.5+01:00
    min_members: 2
    allow_empty: true
    group_removals: 50%
";

#[test]
fn the_settings_are_read_with_their_places() {
    let desired = parse_one(EVERYTHING).unwrap();
    assert_eq!(desired.account_id.unwrap().value.as_str(), "023e105f4ecef8ad9ca31a8372d0c353");
    let settings = desired.settings;
    assert_eq!(settings.limits.group_removals.value, Limit::Percent { hundredths: 1250 });
    assert_eq!(settings.limits.total_removals.value, Limit::Count(7));
    assert_eq!(settings.limits.total_removals.origin.unwrap().to_string(), "convoke.yaml:7");
    assert_eq!(settings.unmanaged_groups.value, Unmanaged::Report);
    let protected: Vec<String> = settings.protected.iter().map(|p| format!("{} at {}", p.person, p.origin)).collect();
    assert_eq!(
        protected,
        [
            "root@example.com at convoke.yaml:8",
            "4f5f0c14a2a41d5063dd301b2f829f04 at convoke.yaml:8",
            "a@b.c at convoke.yaml:8"
        ]
    );
}

#[test]
fn group_is_read_with_all_settings() {
    let desired = parse_one(EVERYTHING).unwrap();
    let group = group(&desired, "Platform Admins");
    assert_eq!(group.origin.to_string(), "convoke.yaml:19");
    assert_eq!(group.pin.as_ref().unwrap().value.as_str(), "6d7f2f5f5b1d4a0e9081fdc98d432fd1");
    assert_eq!(group.mode, Mode::Additive);
    assert_eq!(group.members_origin.to_string(), "convoke.yaml:22");
    assert_eq!(group.min_members.as_ref().unwrap().value, 2);
    assert!(group.allow_empty.value);
    assert_eq!(group.group_removals.as_ref().unwrap().value, Limit::Percent { hundredths: 5000 });
}

#[test]
fn memberships_have_origins_through_rosters() {
    let desired = parse_one(EVERYTHING).unwrap();
    assert_eq!(
        members(&desired, "Platform Admins"),
        [
            "dave@example.com at convoke.yaml:23",
            "alice@example.com at convoke.yaml:15 via sre at convoke.yaml:24",
            "carol@example.com at convoke.yaml:13 via sre at convoke.yaml:24 via leads at convoke.yaml:16",
            "erin@example.com at convoke.yaml:25",
            "4f5f0c14a2a41d5063dd301b2f829f04 at convoke.yaml:29",
        ]
    );
}

#[test]
fn dates_include_the_whole_day() {
    let desired = parse_one(EVERYTHING).unwrap();
    let members = &group(&desired, "Platform Admins").members;
    let terms = members[3].terms.as_deref().unwrap();
    assert_eq!(terms.window.from.unwrap().to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(terms.window.until.unwrap().to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(terms.reason.as_deref(), Some("INC-4821 cover"));
    let terms = members[4].terms.as_deref().unwrap();
    assert_eq!((terms.window.from, terms.window.until.unwrap().to_string()), (None, "2026-12-31T17:00:00.5Z".into()));
}

#[test]
fn one_day_can_be_both_ends() {
    let text = "version: 1\ngroups: {A: {members: [{email: a@b.c, from: 2026-12-01, until: 2026-12-01}]}}";
    assert!(parse_one(text).is_ok());
}

#[test]
fn missing_settings_have_defaults() {
    let desired = parse_one("version: 1\ngroups: {A: {members: []}}\n").unwrap();
    assert!(desired.account_id.is_none());
    assert_eq!(desired.settings.limits.group_removals.value.to_string(), "25%");
    assert_eq!(desired.settings.limits.total_removals.value.to_string(), "10%");
    assert_eq!(desired.settings.unmanaged_groups.value, Unmanaged::Ignore);
    let group = group(&desired, "A");
    assert_eq!((group.mode, group.allow_empty.value, group.members.len()), (Mode::Exact, false, 0));
    assert!(group.pin.is_none() && group.min_members.is_none() && group.group_removals.is_none());
}

#[test]
fn a_name_is_taken_as_it_is_written() {
    let names = ["123", "0123", "1e3", "no", "null", "true", "~", "2026-12-01", "0x1F", ".nan", "-0", "Ünï çøde 👩‍💻"];
    let groups: String = names.iter().map(|name| format!("  {name}: {{members: []}}\n")).collect();
    let desired = parse_one(&format!("version: 1\ngroups:\n{groups}")).unwrap();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    assert_eq!(desired.groups.keys().map(GroupName::as_str).collect::<Vec<_>>(), sorted);
}

#[test]
fn a_name_in_quotes_can_be_anything_visible() {
    let desired = parse_one("version: 1\ngroups: {'<<': {members: []}, \"a: #b\": {members: []}}\n").unwrap();
    assert_eq!(desired.groups.keys().map(GroupName::as_str).collect::<Vec<_>>(), ["<<", "a: #b"]);
}

#[test]
fn an_id_of_digits_needs_no_quotes() {
    let ids =
        ["12345678901234567890123456789012", "00000000000000000000000000000001", "123456789012345678901234567890e1"];
    let entries: String = ids.iter().map(|id| format!("  - id: {id}\n")).collect();
    let desired = parse_one(&format!("version: 1\ngroups: {{A: {{members: *m}}}}\nrosters:\n x: &m\n{entries}"));
    assert!(desired.is_err(), "an alias does not look ahead");
    let desired =
        parse_one(&format!("version: 1\nrosters:\n x: &m\n{entries}groups: {{A: {{members: *m}}}}\n")).unwrap();
    let found: Vec<String> = group(&desired, "A").members.iter().map(|member| member.person.to_string()).collect();
    assert_eq!(found, ids);
}

#[test]
fn byte_order_marks_and_line_ends_are_accepted() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "\u{feff}version: 1\ngroups:\n  Ä:\n    members:\n      - a@b.c\n".replace('\n', end);
        assert_eq!(members(&parse_one(&text).unwrap(), "Ä"), ["a@b.c at convoke.yaml:5"]);
    }
}

#[test]
fn files_are_merged_and_share_their_rosters() {
    let account = "account_id: 023e105f4ecef8ad9ca31a8372d0c353";
    let desired = parse_all(&[
        ("a.yaml", &format!("version: 1\n{account}\ngroups: {{A: {{members: [roster: all]}}}}")),
        ("b.yaml", &format!("version: 1\n{account}\ngroups: {{B: {{members: [roster: all]}}}}")),
        ("c.yaml", "version: 1\nrosters: {all: [a@b.c]}"),
        ("d.yaml", "version: 1\nsettings: {unmanaged_groups: refuse}"),
    ])
    .unwrap();
    assert_eq!(members(&desired, "A"), ["a@b.c at c.yaml:2 via all at a.yaml:3"]);
    assert_eq!(members(&desired, "B"), ["a@b.c at c.yaml:2 via all at b.yaml:3"]);
    assert_eq!(desired.settings.unmanaged_groups.value, Unmanaged::Refuse);
}

#[test]
fn person_can_be_in_several_rosters() {
    let text = "version: 1\nrosters: {x: [a@b.c], y: [A@B.C]}\ngroups: {A: {members: [a@b.c, roster: x, roster: y]}}";
    assert_eq!(members(&parse_one(text).unwrap(), "A").len(), 3);
}

#[test]
fn roster_entries_narrow_the_times_of_their_people() {
    let text = "version: 1
rosters:
  x: [a@b.c, {email: d@b.c, from: 2026-12-10, until: 2026-12-31, reason: own}]
  y: [{roster: x, from: 2026-12-05, reason: middle}]
groups: {A: {members: [{roster: y, until: 2026-12-20, reason: outer}]}}";
    let desired = parse_one(text).unwrap();
    let shown = |member: &DesiredMember| {
        let terms = member.terms.as_deref().unwrap();
        format!("{} {} {}", terms.window.from.unwrap(), terms.window.until.unwrap(), terms.reason.as_deref().unwrap())
    };
    let members: Vec<String> = group(&desired, "A").members.iter().map(shown).collect();
    assert_eq!(
        members,
        ["2026-12-05T00:00:00Z 2026-12-21T00:00:00Z middle", "2026-12-10T00:00:00Z 2026-12-21T00:00:00Z own"]
    );
}

#[test]
fn names_are_case_sensitive() {
    assert_eq!(parse_one("version: 1\ngroups: {a: {members: []}, A: {members: []}}").unwrap().groups.len(), 2);
}
