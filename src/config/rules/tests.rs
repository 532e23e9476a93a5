//! Compares the rules with a brute-force check, and checks their messages.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::config::parse;
use crate::config::tests::sources;

/// The half day of the check. Half days are counted from the beginning of 2026-12-01.
const NOW: i64 = 6;
/// The latest beginning or end.
const HORIZON: i64 = 30;
const GROUPS: usize = 4;
const ROSTERS: usize = 2;

fn instant(half_day: i64) -> Timestamp {
    let start: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    start.checked_add((half_day * 12).hours()).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Time {
    /// A day that begins at this half day.
    Date(i64),
    Moment(i64),
}

impl Time {
    fn written(self) -> String {
        match self {
            Self::Date(half_day) => instant(half_day).to_string().chars().take(10).collect(),
            Self::Moment(half_day) => instant(half_day).to_string(),
        }
    }

    const fn start(self) -> i64 {
        match self {
            Self::Date(half_day) | Self::Moment(half_day) => half_day,
        }
    }

    const fn end(self) -> i64 {
        match self {
            Self::Date(half_day) => half_day + 2,
            Self::Moment(half_day) => half_day,
        }
    }
}

#[derive(Clone, Debug)]
struct Line {
    from: Option<Time>,
    until: Option<Time>,
    reason: bool,
}

impl Line {
    fn applies_at(&self, half_day: i64) -> bool {
        self.from.is_none_or(|from| from.start() <= half_day) && self.until.is_none_or(|until| half_day < until.end())
    }

    fn is_longer_than(&self, days: i64) -> bool {
        let from = self.from.map_or(NOW, Time::start);
        self.until.is_none_or(|until| until.start() - from > 2 * days)
    }
}

type Lines = std::collections::BTreeMap<usize, Line>;

#[derive(Clone, Debug)]
struct Group {
    people: Lines,
    rosters: std::collections::BTreeMap<usize, bool>,
    max_duration: Option<i64>,
    require_reason: bool,
    exclusive_with: BTreeSet<usize>,
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![(0..HORIZON / 2).prop_map(|day| Time::Date(day * 2)), (0..HORIZON).prop_map(Time::Moment)]
}

fn lines() -> impl Strategy<Value = Lines> {
    let line = (proptest::option::of(time()), proptest::option::of(time()), any::<bool>()).prop_filter_map(
        "a window that opens",
        |(from, until, reason)| {
            let opens = from.zip(until).is_none_or(|(from, until)| from.start() < until.end());
            opens.then_some(Line { from, until, reason })
        },
    );
    btree_map(0..5usize, line, 0..4)
}

prop_compose! {
    fn group()(
        people in lines(),
        rosters in btree_map(0..ROSTERS, any::<bool>(), 0..=ROSTERS),
        max_duration in proptest::option::of(1..12i64),
        require_reason in any::<bool>(),
        exclusive_with in btree_set(0..GROUPS, 0..3),
    ) -> Group {
        Group { people, rosters, max_duration, require_reason, exclusive_with }
    }
}

fn person(number: usize) -> String {
    // Ids and addresses that never match each other.
    if number == 4 { "0123456789abcdef0123456789abcdef".into() } else { format!("p{number}@example.com") }
}

fn write_lines(text: &mut String, people: &Lines) {
    for (number, line) in people {
        let key = if *number == 4 { "id" } else { "email" };
        writeln!(text, "      - {key}: {}", person(*number)).unwrap();
        line.from.iter().for_each(|from| writeln!(text, "        from: {}", from.written()).unwrap());
        line.until.iter().for_each(|until| writeln!(text, "        until: {}", until.written()).unwrap());
        if line.reason {
            writeln!(text, "        reason: x").unwrap();
        }
    }
}

fn written(groups: &[Group], rosters: &[Lines]) -> String {
    let mut text = "version: 1\ngroups:\n".to_owned();
    for (number, group) in groups.iter().enumerate() {
        writeln!(text, "  g{number}:\n    require_reason: {}", group.require_reason).unwrap();
        group.max_duration.iter().for_each(|days| writeln!(text, "    max_duration: {days}d").unwrap());
        let others: Vec<String> =
            group.exclusive_with.iter().filter(|other| **other != number).map(|other| format!("g{other}")).collect();
        writeln!(text, "    exclusive_with: [{}]", others.join(", ")).unwrap();
        let empty = group.people.is_empty() && group.rosters.is_empty();
        writeln!(text, "    members:{}", if empty { " []" } else { "" }).unwrap();
        write_lines(&mut text, &group.people);
        for (roster, reason) in &group.rosters {
            writeln!(text, "      - roster: r{roster}{}", if *reason { "\n        reason: x" } else { "" }).unwrap();
        }
    }
    text.push_str("rosters:\n");
    for (number, people) in rosters.iter().enumerate() {
        writeln!(text, "    r{number}:{}", if people.is_empty() { " []" } else { "" }).unwrap();
        write_lines(&mut text, people);
    }
    text
}

/// The breaches, found by checking each entry at each instant.
fn brute_force(groups: &[Group], rosters: &[Lines]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let all = |group: &Group| -> Vec<(usize, Line)> {
        let lists = std::iter::once(&group.people).chain(group.rosters.keys().map(|roster| &rosters[*roster]));
        lists.flatten().map(|(person, line)| (*person, line.clone())).collect()
    };
    for (number, group) in groups.iter().enumerate() {
        for (who, line) in all(group) {
            if group.max_duration.is_some_and(|days| line.is_longer_than(days)) {
                found.insert(format!("g{number}: {} too long", person(who)));
            }
        }
        if group.require_reason {
            let people = group.people.iter().filter(|(_, line)| !line.reason);
            found.extend(people.map(|(who, _)| format!("g{number}: {} without reason", person(*who))));
            let used = group.rosters.iter().filter(|(_, reason)| !**reason);
            found.extend(used.map(|(roster, _)| format!("g{number}: roster \"r{roster}\" without reason")));
        }
        for (other, second) in groups.iter().enumerate().skip(number + 1) {
            let excluded = group.exclusive_with.contains(&other) || second.exclusive_with.contains(&number);
            for half_day in NOW..=HORIZON + 2 {
                let there = |group| -> BTreeSet<usize> {
                    all(group).into_iter().filter(|(_, line)| line.applies_at(half_day)).map(|(who, _)| who).collect()
                };
                for who in there(group).intersection(&there(second)).filter(|_| excluded) {
                    found.insert(format!("{} in g{number} and g{other}", person(*who)));
                }
            }
        }
    }
    found
}

fn told(key: &BreachKey) -> String {
    let BreachKey { rule, group, who } = key;
    match rule {
        BrokenRule::MaxDuration => format!("{group}: {who} too long"),
        BrokenRule::RequireReason => format!("{group}: {who} without reason"),
        BrokenRule::EmailDomains => format!("{group}: {who} of another domain"),
        BrokenRule::ExclusiveWith(other) => format!("{who} in {group} and {other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn breaches_equal_a_brute_force_check(
        groups in vec(group(), GROUPS),
        rosters in vec(lines(), ROSTERS),
    ) {
        let text = written(&groups, &rosters);
        let sources = sources(&[("a.yaml", &text)]);
        let desired = parse(&sources).map_err(|e| TestCaseError::fail(format!("{text}\n{e}")))?;
        let found: BTreeSet<String> = breaches(&desired, instant(NOW)).map(|breach| told(&breach.key)).collect();
        prop_assert_eq!(&found, &brute_force(&groups, &rosters), "{}", text);
        let exclusive = breaches(&desired, instant(NOW)).filter(|b| matches!(b.key.rule, BrokenRule::ExclusiveWith(_)));
        let keys: Vec<BreachKey> = exclusive.map(|breach| breach.key).collect();
        prop_assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{:?}", keys);
        prop_assert_eq!(check_rules(&desired, &sources, instant(NOW)).is_err(), !found.is_empty());
    }
}

/// The problems of these files at the beginning of 2026-12-01.
fn shown(files: &[(&str, &str)]) -> String {
    let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (*path, format!("version: 1\n{text}"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let sources = sources(&files);
    let desired = parse(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    check_rules(&desired, &sources, instant(0)).err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn entry_without_end_shows_the_latest_end() {
    insta::assert_snapshot!(shown(&[(
        "groups.yaml",
        "\
groups:
  Contractors:
    max_duration: 90d
    members:
      - casey@agency.example
      - email: devon@agency.example
        until: 2027-03-02
      - email: erin@agency.example
        from: 2026-12-15
        until: 2027-06-30
      - email: old@agency.example
        from: 2026-01-01
        until: 2027-01-01
      - roster: agency
  Break Glass:
    max_duration: 8h
    members:
      - email: root@example.com
        until: 2026-12-01T09:00:00Z
rosters:
  agency: [fay@agency.example, {email: gus@agency.example, until: 2027-03-01}]
"
    )]), @r#"
    error: groups.yaml:6:9: casey@agency.example needs an `until`, because group "Contractors" has `max_duration: 90d`
      |       - casey@agency.example
      |         ^
      groups.yaml:4:5: `max_duration` is set here
      help: write `until: 2027-03-01` or an earlier time

    error: groups.yaml:7:9: `until` of devon@agency.example is more than 90d from now, the `max_duration` of group "Contractors"
      |       - email: devon@agency.example
      |         ^
      groups.yaml:4:5: `max_duration` is set here
      help: write `until: 2027-03-01` or an earlier time

    error: groups.yaml:9:9: `until` of erin@agency.example is more than 90d after `from`, the `max_duration` of group "Contractors"
      |       - email: erin@agency.example
      |         ^
      groups.yaml:4:5: `max_duration` is set here
      help: write `until: 2027-03-15` or an earlier time

    error: groups.yaml:12:9: `until` of old@agency.example is more than 90d after `from`, the `max_duration` of group "Contractors"
      |       - email: old@agency.example
      |         ^
      groups.yaml:4:5: `max_duration` is set here
      help: write a later `from`, and an `until` at most 90d after it

    error: groups.yaml:19:9: `until` of root@example.com is more than 8h from now, the `max_duration` of group "Break Glass"
      |       - email: root@example.com
      |         ^
      groups.yaml:17:5: `max_duration` is set here
      help: write `until: 2026-12-01T08:00:00Z` or an earlier time

    error: groups.yaml:22:12: fay@agency.example needs an `until`, because group "Contractors" has `max_duration: 90d`
      |   agency: [fay@agency.example, {email: gus@agency.example, until: 2027-03-01}]
      |            ^
      groups.yaml:15:9: group "Contractors" uses roster "agency" here
      groups.yaml:4:5: `max_duration` is set here
      help: write `until: 2027-03-01` or an earlier time, here or in an entry that uses the roster

    6 problems
    "#);
}

#[test]
fn last_day_does_not_count_for_max_duration() {
    let entry =
        |until: &str| format!("groups:\n  A:\n    max_duration: 1w\n    members: [{{email: a@b.c, until: {until}}}]");
    assert_eq!(shown(&[("a.yaml", &entry("2026-12-08"))]), "");
    assert_eq!(shown(&[("a.yaml", &entry("2026-12-08T00:00:00Z"))]), "");
    assert!(shown(&[("a.yaml", &entry("2026-12-09"))]).contains("more than 1w from now"));
    assert!(shown(&[("a.yaml", &entry("2026-12-08T00:00:01Z"))]).contains("more than 1w from now"));
}

#[test]
fn an_entry_without_a_reason_is_shown() {
    insta::assert_snapshot!(shown(&[(
        "groups.yaml",
        "\
groups:
  Admins:
    require_reason: true
    members:
      - alice@example.com
      - roster: sre
      - roster: leads
        reason: they lead
      - email: bob@example.com
        reason: on call
  Readers:
    require_reason: false
    members: [alice@example.com]
rosters:
  sre: [carol@example.com]
  leads: []
"
    )]), @r#"
    error: groups.yaml:6:9: the entry of alice@example.com needs a `reason`, because group "Admins" has `require_reason`
      |       - alice@example.com
      |         ^
      groups.yaml:4:5: `require_reason` is set here
      help: add `reason:` to the entry, with a few words or a ticket

    error: groups.yaml:7:9: the entry of roster "sre" needs a `reason`, because group "Admins" has `require_reason`
      |       - roster: sre
      |         ^
      groups.yaml:4:5: `require_reason` is set here
      help: add `reason:` to the entry, with a few words or a ticket

    2 problems
    "#);
}

#[test]
fn exclusive_breach_shows_all_places() {
    insta::assert_snapshot!(shown(&[
        (
            "groups/initiators.yaml",
            "\
groups:
  Payments Initiators:
    exclusive_with: [Payments Approvers]
    members:
      - Carol@example.com
      - dave@example.com
      - roster: finance
"
        ),
        (
            "groups/payments.yaml",
            "\
groups:
  Payments Approvers:
    members:
      - email: carol@example.com
        from: 2026-12-15
      - email: dave@example.com
        until: 2026-11-30
      - roster: finance
rosters:
  finance:
    - erin@example.com
"
        ),
    ]), @r#"
    error: groups/initiators.yaml:6:9: Carol@example.com belongs to Payments Initiators, but is also in Payments Approvers (groups/payments.yaml:5)
      |       - Carol@example.com
      |         ^
      groups/payments.yaml:5:9: Carol@example.com is in group "Payments Approvers" here
      groups/initiators.yaml:4:22: `exclusive_with` is set here
      help: remove one of the two entries, or give them times that do not overlap

    error: groups/payments.yaml:12:7: erin@example.com belongs to Payments Initiators, but is also in Payments Approvers (groups/payments.yaml:12)
      |     - erin@example.com
      |       ^
      groups/initiators.yaml:8:9: group "Payments Initiators" uses roster "finance" here
      groups/payments.yaml:12:7: erin@example.com is in group "Payments Approvers" here
      groups/payments.yaml:9:9: group "Payments Approvers" uses roster "finance" here
      groups/initiators.yaml:4:22: `exclusive_with` is set here
      help: remove one of the two entries, or give them times that do not overlap

    2 problems
    "#);
}

#[test]
fn times_that_do_not_overlap_break_nothing() {
    let groups = |first: &str, second: &str| {
        let text = "groups:\n  A: {exclusive_with: [B], members: [{email: a@b.c, FIRST}]}\n  B: {members: [{email: a@b.c, SECOND}]}\n";
        shown(&[("a.yaml", &text.replace("FIRST", first).replace("SECOND", second))])
    };
    assert_eq!(groups("until: 2026-12-04", "from: 2026-12-05"), "");
    assert_ne!(groups("until: 2026-12-05", "from: 2026-12-05"), "");
    assert_eq!(groups("until: 2026-11-30", "reason: x"), "", "an ended entry excludes nobody");
    assert_eq!(groups("until: 2026-12-04T12:00:00Z", "from: 2026-12-04T13:00:00+01:00"), "");
}

#[test]
fn mutual_exclusion_is_reported_once() {
    let text = "groups:\n  A: {exclusive_with: [B], members: [a@b.c]}\n  B: {exclusive_with: [A], members: [a@b.c]}\n";
    assert_eq!(shown(&[("a.yaml", text)]).matches("error:").count(), 1);
    let text = "groups:\n  A: {members: [a@b.c]}\n  B: {exclusive_with: [A], members: [a@b.c]}\n";
    assert!(shown(&[("a.yaml", text)]).contains("a@b.c belongs to B, but is also in A (a.yaml:3)"));
}
