//! Tests that exported files read back.

use std::collections::BTreeSet;
use std::sync::Arc;

use convoke::config::export::{Export, ExportExtras, document, export, file_names, group_document};
use convoke::model::{Observed, Status};
use convoke::plan;
use proptest::prelude::*;

use crate::account::{AccountBuilder, account, group_id, member, member_id, parsed, policy};
use crate::harness::ACCOUNT;
use crate::render::samples::HOSTILE;

fn exported(current: &Observed) -> Export {
    export(current, &current.groups.keys().copied().collect(), &ExportExtras::default())
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
    # The membership of 2 groups, as it is in the account.
    version: 1
    account_id: 023e105f4ecef8ad9ca31a8372d0c353
    # group " blank" (a0000000000000000000000000000000) is not exported: its name begins or ends with a space; change it in the account
    # group "Twice" (a0000000000000000000000000000002) is not exported: group a0000000000000000000000000000001 has the same name; give one of them another name
    # group "Unread" (a0000000000000000000000000000004) is not exported: its members cannot be read: Policy validation failed\nmembers: []

    groups:
      "\u001b[31m</code></summary>|`**```\u000d\u000a::error::x ##[error]%0A @admin [a](http://e.vil) #1 \u202e<!-- {}\"":
        id: a0000000000000000000000000000003
        members: []
        allow_empty: true

      Twice:
        id: a0000000000000000000000000000001
        members: []
        allow_empty: true
    "#);
}

#[test]
fn members_sharing_an_address_are_exported_by_id() {
    let mut current = account(&[("A", &["alice@example.com"]), ("B", &["x@example.com"])]);
    let shared = member(7, Some("ALICE@example.com"), Status::Accepted);
    current.memberships.insert(group_id(1), Arc::new([(member_id(7), shared)].into()));
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
        let account = groups.into_iter().fold(AccountBuilder::default(), |account, (name, members)| {
            let members = members.into_iter().map(|index| {
                let index = index.index(people.len());
                let (email, pending) = &people[index];
                member(index, email.as_deref(), if *pending { Status::Pending } else { Status::Accepted })
            });
            account.group_of(&name, members)
        });
        account.observed
    }
}

fn check(files: &[(&str, &str)], current: &Observed, groups: usize) {
    let desired = parsed(files);
    assert_eq!(desired.groups.len(), groups);
    let plan = plan::plan(&desired, current, &policy(), jiff::Timestamp::UNIX_EPOCH);
    assert!(!plan.has_differences() && plan.blocked.is_empty() && plan.refusals.is_empty(), "{plan:?}");
    assert!(plan.needs(current, false).is_empty());
}

proptest! {
    #[test]
    fn exported_files_have_an_empty_plan(current in any_account()) {
        let export = exported(&current);
        let account_id = ACCOUNT.parse().unwrap();
        check(&[("all.yaml", &document(&export, account_id))], &current, export.groups.len());

        let names = file_names(&export.groups);
        prop_assert_eq!(names.values().collect::<BTreeSet<_>>().len(), export.groups.len());
        let texts = export.groups.values().map(|group| (&names[&group.id], group_document(group, account_id)));
        let texts: Vec<_> = texts.collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        if !files.is_empty() {
            check(&files, &current, export.groups.len());
        }
    }

    #[test]
    fn every_group_is_exported_or_reported(current in any_account()) {
        let export = exported(&current);
        prop_assert_eq!(export.groups.len() + export.warnings.len(), current.groups.len());
    }
}
