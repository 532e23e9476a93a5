//! Tests that exported files read back.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::{self, Source};
use crate::model::GroupSummary;
use crate::plan;
use crate::render::samples::{ACCOUNT, HOSTILE, account, group_id, member_id};

fn exported(current: &Observed) -> Export {
    export(current, &current.groups.keys().copied().collect())
}

fn whole(current: &Observed) -> String {
    document(&exported(current), ACCOUNT.parse().unwrap())
}

#[test]
fn a_small_account_is_exported_sorted_and_commented() {
    let current = account(&[
        ("Developers", &["zoe@example.com", "~Bob@Example.com", "alice@example.com", "?"]),
        ("Empty", &[]),
        ("on", &["alice@example.com"]),
    ]);
    insta::assert_snapshot!(whole(&current), @r#"
    # The membership of 3 groups, as it is in the account.
    version: 1
    account_id: 023e105f4ecef8ad9ca31a8372d0c353

    groups:
      Developers:
        id: a0000000000000000000000000000000
        members:
          - alice@example.com
          - Bob@Example.com  # has not accepted the invitation yet
          - zoe@example.com
          - id: b0000000000000000000000000000003  # no address

      Empty:
        id: a0000000000000000000000000000001
        members: []
        allow_empty: true

      "on":
        id: a0000000000000000000000000000002
        members:
          - alice@example.com
    "#);
}

#[test]
fn undeclarable_groups_are_reported() {
    let mut current = account(&[(" blank", &[]), ("Twice", &[]), ("Twice", &[]), (HOSTILE, &[]), ("Unread", &[])]);
    current.memberships.remove(&group_id(4));
    current.unreadable.insert(group_id(4), "Policy validation failed\nmembers: []".into());
    insta::assert_snapshot!(whole(&current), @r#"
    # The membership of 1 group, as it is in the account.
    version: 1
    account_id: 023e105f4ecef8ad9ca31a8372d0c353
    # " blank" (a0000000000000000000000000000000) is not exported: its name begins or ends with a space; change it in the account
    # "Twice" (a0000000000000000000000000000002) is not exported: group a0000000000000000000000000000001 has the same name; give one of them another name
    # "\u{1b}[31m</code></summary>|`**```\r\n::error::x ##[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}\"" (a0000000000000000000000000000003) is not exported: its name contains a control character; change it in the account
    # "Unread" (a0000000000000000000000000000004) is not exported: its members cannot be read: Policy validation failed\nmembers: []

    groups:
      Twice:
        id: a0000000000000000000000000000001
        members: []
        allow_empty: true
    "#);
}

#[test]
fn members_sharing_an_address_are_exported_by_id() {
    let mut current = account(&[("A", &["alice@example.com"]), ("B", &["x@example.com"])]);
    let member = Arc::new(Member { id: member_id(7), email: "ALICE@example.com".parse().ok(), status: None });
    current.memberships.insert(group_id(1), Arc::new(Membership::from([(member_id(7), member)])));
    insta::assert_snapshot!(whole(&current), @r#"
    # The membership of 2 groups, as it is in the account.
    version: 1
    account_id: 023e105f4ecef8ad9ca31a8372d0c353

    groups:
      A:
        id: a0000000000000000000000000000000
        members:
          - id: b0000000000000000000000000000000  # one of several members with the address alice@example.com

      B:
        id: a0000000000000000000000000000001
        members:
          - id: b0000000000000000000000000000007  # one of several members with the address ALICE@example.com
    "#);
}

/// Unusual names.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z ]{1,12}",
        any::<String>(),
        Just("yes".into()),
        Just("a: #b".into()),
        Just("null".into()),
        Just("x".repeat(2000)),
    ]
}

fn email() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        1 => Just(None),
        6 => "[a-dA-D]{1,2}@[a-b]".prop_map(Some),
        2 => "[!-?\\[-~]{1,6}@[!-?\\[-~]{1,6}".prop_map(Some),
        1 => "\\PC{1,4}@\\PC{1,4}".prop_map(Some),
    ]
}

prop_compose! {
    fn any_account()(
        people in prop::collection::vec((email(), any::<bool>()), 1..12),
        groups in prop::collection::vec((name(), prop::collection::vec(any::<prop::sample::Index>(), 0..10)), 0..6),
    ) -> Observed {
        let mut current = Observed::default();
        for (number, (name, members)) in groups.into_iter().enumerate() {
            current.groups.insert(group_id(number), GroupSummary { name: GroupName(name.into()), created_on: None, grants: Vec::new() });
            let members = members.into_iter().map(|index| {
                let index = index.index(people.len());
                let (email, pending) = &people[index];
                let status = Some(if *pending { Status::Pending } else { Status::Accepted });
                (member_id(index), Arc::new(Member { id: member_id(index), email: email.as_deref().and_then(|email| email.parse().ok()), status }))
            });
            current.memberships.insert(group_id(number), Arc::new(members.collect()));
        }
        current
    }
}

fn check(sources: &[Source], current: &Observed, groups: usize) {
    let desired = config::parse(sources).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(desired.groups.len(), groups);
    let policy =
        plan::Policy { expiring_within: jiff::SignedDuration::ZERO, ..plan::Policy::new(ACCOUNT.parse().unwrap()) };
    let plan = plan::plan(&desired, current, &policy, jiff::Timestamp::UNIX_EPOCH);
    assert!(!plan.has_differences() && plan.blocked.is_empty() && plan.refusals.is_empty(), "{plan:?}");
    assert!(plan.sought(current, false).is_empty());
}

proptest! {
    #[test]
    fn exported_files_have_an_empty_plan(current in any_account()) {
        let export = exported(&current);
        let account_id = ACCOUNT.parse().unwrap();
        let one = Source { path: "all.yaml".into(), bytes: document(&export, account_id).into() };
        check(&[one], &current, export.groups.len());

        let names = file_names(&export.groups);
        prop_assert_eq!(names.values().collect::<BTreeSet<_>>().len(), export.groups.len());
        let sources: Vec<Source> = export.groups.values().map(|group| Source {
            path: names[&group.id].clone(),
            bytes: group_document(group, account_id).into(),
        }).collect();
        if !sources.is_empty() {
            check(&sources, &current, export.groups.len());
        }
    }

    #[test]
    fn every_group_is_exported_or_reported(current in any_account()) {
        let export = exported(&current);
        prop_assert_eq!(export.groups.len() + export.warnings.len(), current.groups.len());
    }
}
