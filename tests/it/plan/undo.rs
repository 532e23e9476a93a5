use std::collections::BTreeMap;

use super::*;
use convoke::model::{Mode, Origin};
use convoke::plan::{AttemptedChange, Reversal, undo};

/// The attempted changes in the first group, whose name was Old.
fn reversals(joined: &[usize], left: &[usize]) -> BTreeMap<GroupId, Reversal> {
    let attempt = |added| AttemptedChange {
        added,
        proven: true,
        origin: Origin { file: "journal.jsonl".into(), line: 2, column: 1 },
    };
    let attempts = joined
        .iter()
        .map(|number| (member_id(*number), attempt(true)))
        .chain(left.iter().map(|number| (member_id(*number), attempt(false))));
    BTreeMap::from([(group_id(0), Reversal { name: "Old".into(), attempts: attempts.collect() })])
}

fn undone(account: &AccountBuilder, joined: &[usize], left: &[usize], files: &str) -> Plan {
    undo(&reversals(joined, left), &desired(files), &account.observed, &policy(), Timestamp::UNIX_EPOCH)
}

const NOTHING: &str = "groups: {}\n";

/// Declares the group, and allows any number of removals.
const DECLARED: &str = "settings: {limits: {group_removals: 100%, total_removals: 100%}}\ngroups:\n  G: {members: [], allow_empty: true}\n";

#[test]
fn undo_reverses_additions_and_removals() {
    let account = AccountBuilder::default().group("G", [1, 2, 3, 4, 9]).accepted([5]);
    let plan = undone(&account, &[9], &[5], DECLARED);
    assert_eq!(changes(&plan, "G"), (vec![email(5)], vec![email(9)]));
    assert_eq!(plan.groups[0].changes[0].origin.to_string(), "journal.jsonl:2");
    assert_eq!(refused(&plan), []);
}

#[test]
fn undeclared_group_is_shown_and_not_changed() {
    let account = AccountBuilder::default().group("G", [1, 2, 3, 4, 9]);
    let plan = undone(&account, &[9], &[], NOTHING);
    assert_eq!((plan.groups[0].mode, plan.summary.removes, plan.summary.observed_only), (Mode::Observe, 0, 1));
    assert_eq!(refused(&plan), []);
}

#[test]
fn undo_removes_additions_from_additive_groups() {
    let account = AccountBuilder::default().group("G", [1, 2, 3, 4, 9]);
    let plan = undone(&account, &[9], &[], &DECLARED.replace("members:", "mode: additive, members:"));
    assert_eq!(changes(&plan, "G"), (vec![], vec![email(9)]));
    assert_eq!(plan.summary.removes, 1);
}

#[test]
fn guards_are_found_by_group_id() {
    let account = AccountBuilder::default().group("G", [1, 9]);
    let plan = undone(&account, &[9], &[], &DECLARED.replace("allow_empty", "min_members: 2, allow_empty"));
    assert_eq!(refused(&plan), [Guard::MinMembers]);
}

#[test]
fn unproven_changes_are_marked() {
    let account = AccountBuilder::default().group("G", [1, 9]);
    let mut reversals = reversals(&[9], &[]);
    reversals.get_mut(&group_id(0)).unwrap().attempts.get_mut(&member_id(9)).unwrap().proven = false;
    let plan = undo(&reversals, &desired(DECLARED), &account.observed, &policy(), Timestamp::UNIX_EPOCH);
    assert_eq!(plan.groups[0].changes[0].reason.as_deref(), Some("possibly by somebody else"));
}

#[test]
fn undone_state_needs_no_change() {
    let account = AccountBuilder::default().group("G", [1, 2]);
    assert!(!undone(&account, &[9], &[1], NOTHING).has_differences());
}

#[test]
fn undoing_is_guarded_like_any_plan() {
    let account = AccountBuilder::default().group("G", 0..10);
    let files =
        "settings: {protected: [p1@example.com]}\ngroups:\n  G: {members: [p0@example.com], group_removals: 1}\n";
    let plan = undone(&account, &[0, 1], &[], files);
    assert_eq!(refused(&plan), [Guard::GroupRemovals, Guard::Protected]);
}

#[test]
fn missing_account_member_is_blocked_and_holds_removals() {
    let account = AccountBuilder::default().group("G", 0..10);
    let plan = undone(&account, &[1], &[77], DECLARED);
    assert_eq!((plan.blocked.len(), plan.summary.held, plan.summary.removes), (1, 1, 0));
}

#[test]
fn deleted_group_is_reported_by_undo() {
    let plan = undone(&AccountBuilder::default(), &[1], &[], NOTHING);
    assert_eq!((plan.groups.len(), plan.blocked.len()), (0, 1));
}
