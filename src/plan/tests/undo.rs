use std::collections::BTreeMap;

use super::*;
use crate::model::Origin;
use crate::plan::{Before, Reversal, undo};

/// What a run did to the first group: who joined and who left.
fn reversals(joined: &[u64], left: &[u64]) -> BTreeMap<GroupId, Reversal> {
    let before =
        |was_member| Before { was_member, origin: Origin { file: "journal.jsonl".into(), line: 2, column: 1 } };
    let before = joined
        .iter()
        .map(|number| (member_id(*number), before(false)))
        .chain(left.iter().map(|number| (member_id(*number), before(true))));
    BTreeMap::from([(id(1), Reversal { name: "G".into(), before: before.collect() })])
}

fn undone(account: &Account, joined: &[u64], left: &[u64], files: &str) -> Plan {
    undo(&reversals(joined, left), &desired(files), &account.0, &policy(), Timestamp::UNIX_EPOCH)
}

const NOTHING: &str = "groups: {}\n";

#[test]
fn who_joined_leaves_and_who_left_joins_again() {
    let account = Account::default().group("G", [1, 2, 3, 4, 9]).accepted([5]);
    let plan = undone(&account, &[9], &[5], NOTHING);
    assert_eq!(changes(&plan, "G"), (vec![email(5)], vec![email(9)]));
    assert_eq!(plan.groups[0].changes[0].origin.to_string(), "journal.jsonl:2");
    assert_eq!(refused(&plan), []);
}

#[test]
fn what_is_as_it_was_needs_nothing() {
    let account = Account::default().group("G", [1, 2]);
    assert!(!undone(&account, &[9], &[1], NOTHING).has_differences());
}

#[test]
fn undoing_is_guarded_like_any_plan() {
    let account = Account::default().group("G", 0..10);
    let files =
        "settings: {protected: [p1@example.com]}\ngroups:\n  G: {members: [p0@example.com], group_removals: 1}\n";
    let plan = undone(&account, &[0, 1], &[], files);
    assert_eq!(refused(&plan), [Guard::GroupRemovals, Guard::Protected]);
}

#[test]
fn who_is_gone_from_the_account_is_told_and_holds_the_removals() {
    let account = Account::default().group("G", 0..10);
    let plan = undone(&account, &[1], &[77], NOTHING);
    assert_eq!((plan.blocked.len(), plan.summary.held, plan.summary.removes), (1, 1, 0));
}

#[test]
fn a_group_that_is_gone_is_told() {
    let plan = undone(&Account::default(), &[1], &[], NOTHING);
    assert_eq!((plan.groups.len(), plan.blocked.len()), (0, 1));
}
