//! The groups of a person, for people.

use convoke::model::{RunStatus, Status};
use convoke::plan::{Why, plan, why};
use convoke::render::text::Layout;
use convoke::render::why::text;

use crate::account::{AccountBuilder, account, member, member_id, parsed, policy};

const FILE: &str = "\
version: 1
rosters:
  sre: [alice@example.com]
groups:
  Admins:
    members:
      - roster: sre
  Developers:
    members:
      - email: alice@example.com
        until: 2026-11-01
        reason: INC-1
  Later:
    members:
      - email: alice@example.com
        from: 2026-12-24
    allow_empty: true
  Open:
    mode: additive
    members: []
  Typo:
    members: [alcie@example.com]
  Gone:
    members: [alice@example.com]
";

fn asked(person: &str) -> Why {
    let current = account(&[
        ("Admins", &["bob@example.com"]),
        ("Developers", &["alice@example.com"]),
        ("Later", &[]),
        ("Open", &["alice@example.com"]),
        ("Typo", &["alice@example.com"]),
        ("Others", &["alice@example.com"]),
    ]);
    let desired = parsed(&[("groups.yaml", FILE)]);
    let time = "2026-12-01T00:00:00Z".parse().unwrap();
    let plan = plan(&desired, &current, &policy(), time);
    why(Some(&person.parse().unwrap()), None, &desired, &current, &plan, time)
}

const LAYOUT: Layout = Layout { width: 100, color: false };

#[test]
fn why_shows_every_group_with_its_lines() {
    insta::assert_snapshot!(text(&asked("Alice@example.com"), LAYOUT), @"
    alice@example.com, id b0000000000000000000000000000001: in 4 groups, declared for 4 groups

    Admins: declared, to be added
      groups.yaml:3 via sre (groups.yaml:7)

    Developers: a member, not declared; kept until the blocked entries of the group are resolved
      groups.yaml:10, until 2026-11-01, not now, INC-1

    Gone: declared, and cannot be applied: the account has no group with this name; create it first, or pin its id
      groups.yaml:24

    Later: declared for another time, and not a member now
      groups.yaml:15, from 2026-12-24, not now

    Open (additive): a member and not declared, which an additive group allows
      no entry names this person

    Others: a member; no file declares the group

    Typo: a member, not declared; kept until the blocked entries of the group are resolved
      no entry names this person
    ");
}

#[test]
fn unknown_person_is_reported_as_unknown() {
    insta::assert_snapshot!(text(&asked("nobody@example.com"), LAYOUT), @"nobody@example.com: not a member of the account, and no file names this person");
}

#[test]
fn nearest_known_address_is_suggested() {
    let why = asked("alyce@example.com");
    assert_eq!(why.similar, ["alice@example.com"]);
    insta::assert_snapshot!(text(&why, LAYOUT), @"alyce@example.com: not a member of the account, and no file names this person; did you mean alice@example.com?");
}

#[test]
fn person_only_in_files_is_shown_with_cause() {
    insta::assert_snapshot!(text(&asked("alcie@example.com"), LAYOUT), @r#"
    alcie@example.com: not a member of the account, declared for 1 group

    Typo: declared, and cannot be applied: not a member of the account; did you mean alice@example.com?
      groups.yaml:22
    "#);
}

#[test]
fn shared_address_means_the_member_in_the_group() {
    let sharing = [0, 1].map(|number| member(number, Some("alice@example.com"), Status::Accepted));
    let [first, second] = sharing;
    let current = AccountBuilder::default().group_of("Open", [first]).group_of("Other", [second]).observed;
    let file = "version: 1\ngroups:\n  Open:\n    mode: additive\n    members: [alice@example.com]\n";
    let desired = parsed(&[("groups.yaml", file)]);
    let time = "2026-12-01T00:00:00Z".parse().unwrap();
    let plan = plan(&desired, &current, &policy(), time);
    assert_eq!(plan.status, RunStatus::InSync);
    for (person, groups) in [
        ("alice@example.com".to_owned(), vec!["Open", "Other"]),
        (member_id(0).to_string(), vec!["Open"]),
        (member_id(1).to_string(), vec!["Other"]),
    ] {
        let found = why(Some(&person.parse().unwrap()), None, &desired, &current, &plan, time);
        assert_eq!(found.status, RunStatus::InSync, "{person}");
        assert_eq!(found.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), groups, "{person}");
    }
    let everybody = why(None, Some(&"Open".into()), &desired, &current, &plan, time);
    let rows: Vec<_> = everybody.groups.iter().map(|row| (row.present, row.prospect)).collect();
    assert_eq!(rows, [(true, "member")]);
}

#[test]
fn shared_address_of_nobody_in_the_group_is_blocked() {
    let sharing = [0, 1].map(|number| member(number, Some("alice@example.com"), Status::Accepted));
    let current = AccountBuilder::default().group_of("Open", []).group_of("Other", sharing).observed;
    let file = "version: 1\ngroups:\n  Open:\n    mode: additive\n    members: [alice@example.com]\n";
    let desired = parsed(&[("groups.yaml", file)]);
    let time = "2026-12-01T00:00:00Z".parse().unwrap();
    let plan = plan(&desired, &current, &policy(), time);
    // The entry may mean either of the two, so it is shown for each of them.
    for person in ["alice@example.com".to_owned(), member_id(0).to_string(), member_id(1).to_string()] {
        let found = why(Some(&person.parse().unwrap()), None, &desired, &current, &plan, time);
        assert_eq!(found.status, RunStatus::Blocked, "{person}");
        let group = found.groups.iter().find(|group| group.name.as_str() == "Open").unwrap();
        assert!(group.blocked.is_some() && !group.present && group.claims.len() == 1, "{person}: {group:?}");
    }
}
