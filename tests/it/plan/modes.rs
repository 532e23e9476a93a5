use std::sync::Arc;

use super::*;
use convoke::model::RunStatus;
use convoke::plan::LeftOutKind;

/// An additive group with this list.
fn additive(entries: &str) -> String {
    format!("settings:\n  limits: {{group_removals: 100%}}\ngroups:\n  G:\n    mode: additive\n    members:\n{entries}")
}

#[test]
fn additive_group_loses_only_expired_members() {
    let account = AccountBuilder::default().group("G", [1, 22, 333]);
    let plan = account.plan(&additive("      - p1@example.com\n      - {email: p22@example.com, until: 2026-06-01}\n"));
    assert_eq!(changes(&plan, "G"), (vec![], vec![email(22)]));
    assert_eq!(operations(&plan, "G"), [("DELETE", 1)]);
    let group = &plan.groups[0];
    assert_eq!((group.changes[0].origin.line, group.changes[0].expired.is_some()), (9, true));
    assert_eq!(group.barred, [member_id(22)].into());
}

#[test]
fn additive_group_never_gets_a_put() {
    let account = AccountBuilder::default().group("G", 100..120);
    let ended: String =
        (100..110).map(|n| format!("      - {{email: p{n}@example.com, until: 2026-06-01}}\n")).collect();
    assert_eq!(operations(&account.plan(&additive(&ended)), "G"), [("DELETE", 1); 10]);
}

#[test]
fn second_entry_keeps_a_member_in_additive_group() {
    let account = AccountBuilder::default().group("G", [1]);
    let entries =
        format!("      - {{email: p1@example.com, until: 2026-06-01}}\n      - {{id: \"{}\"}}\n", member_id(1));
    assert!(!account.plan(&additive(&entries)).has_differences());
}

#[test]
fn removals_of_an_additive_group_are_guarded() {
    let account = AccountBuilder::default().group("G", [1]);
    let plan = account.plan(&additive("      - {email: p1@example.com, until: 2026-06-01}\n"));
    assert_eq!(refused(&plan), [Guard::AllowEmpty]);
}

#[test]
fn readding_expired_member_makes_saved_plan_stale() {
    let account = AccountBuilder::default().group("G", [1, 22]).accepted([5]);
    let plan = account.plan(&additive(
        "      - p5@example.com\n      - {email: p22@example.com, until: 2026-06-01}\n      \
         - {email: p333@example.com, until: 2026-06-01}\n",
    ));
    let stranger = member_id(99);
    let mut present: std::collections::BTreeSet<MemberId> = plan.groups[0].observed.keys().copied().collect();
    present.insert(stranger);
    assert!(plan.groups[0].moved_since(&present).is_empty(), "undeclared members do not count");
}

/// The due changes of this plan.
fn due(account: &AccountBuilder, files: &str) -> Plan {
    let policy = Policy { due: true, ..policy() };
    plan(&desired(files), &account.observed, &policy, time("2026-06-15T12:00:00Z"))
}

#[test]
fn due_plans_only_due_changes() {
    let account = AccountBuilder::default().group("G", [1, 22, 333]).accepted([4444, 55_555]);
    let plan = due(
        &account,
        "groups:\n  G:\n    members:\n      - p1@example.com\n      - {email: p22@example.com, until: 2026-06-01}\n      \
         - p4444@example.com\n      - {email: p55555@example.com, from: 2026-06-10}\n",
    );
    assert_eq!(changes(&plan, "G"), (vec![email(55_555)], vec![email(22)]));
    assert!(plan.narrowed && plan.groups[0].left_out && !plan.groups[0].in_sync());
}

#[test]
fn due_never_replaces_a_set() {
    let account = AccountBuilder::default().group("G", 100..120);
    let members: String =
        (100..110).map(|n| format!("      - {{email: p{n}@example.com, until: 2026-06-01}}\n")).collect();
    let files = format!("settings:\n  limits: {{total_removals: 100%}}\ngroups:\n  G:\n    members:\n{members}");
    let plan = due(&account, &files);
    assert_eq!(operations(&plan, "G"), [("DELETE", 1); 10]);
    assert!(Plan::parse(&serde_json::to_vec(&plan.sealed()).unwrap()).is_ok(), "a saved plan keeps its operations");
}

#[test]
fn due_leaves_out_blocked_entries_without_dates() {
    let account = AccountBuilder::default().group("G", [1]);
    let plan = due(
        &account,
        "groups:\n  G: {members: [p1@example.com, nobody@example.org]}\n  H: {members: [p1@example.com]}\n",
    );
    assert_eq!((plan.blocked.len(), plan.is_blocked(), plan.status), (0, false, RunStatus::Changes));
    assert!(!plan.groups[0].in_sync() && !plan.account_in_sync());
}

#[test]
fn due_reports_blocked_entries_with_dates() {
    let account = AccountBuilder::default().group("G", [1]);
    let files = "groups:\n  G:\n    members:\n      - p1@example.com\n      - {email: nobody@example.org, from: 2026-06-01}\n  \
                 H:\n    members: [{email: p1@example.com, until: 2026-06-01}]\n";
    let groups: Vec<_> = due(&account, files).blocked.into_iter().map(|blocked| blocked.group).collect();
    assert_eq!(groups, [GroupName::from("G"), GroupName::from("H")]);
}

#[test]
fn due_reports_entries_that_hold_removals() {
    let account = AccountBuilder::default().group("G", [1, 22]);
    let files =
        "groups:\n  G:\n    members: [p1@example.com, {email: p22@example.com, until: 2026-06-01}, p2@example.com]\n";
    let plan = due(&account, files);
    assert_eq!((plan.blocked.len(), plan.summary.held, plan.is_blocked()), (1, 1, true));
}

/// The plan of only the change from one text to another.
fn changing(account: &AccountBuilder, base: &str, files: &str) -> Plan {
    let policy = Policy { base: Some(Arc::new(desired(base))), only_changed: true, ..policy() };
    plan(&desired(files), &account.observed, &policy, time("2026-06-15T12:00:00Z"))
}

const BOTH: &str = "groups:\n  G: {members: [p11@example.com, p222@example.com]}\n  H: {members: [p222@example.com, p3333@example.com]}\n";
const LEAVES: &str =
    "groups:\n  G: {members: [p11@example.com]}\n  H: {members: [p222@example.com, p3333@example.com]}\n";

#[test]
fn a_leave_waits_for_another_group_that_declares_the_person() {
    let account = AccountBuilder::default().group("G", [11, 222]).group("H", [3333]);
    let waits = changing(&account, BOTH, LEAVES);
    assert_eq!((changes(&waits, "G"), waits.groups.len()), ((vec![], vec![]), 1));
    assert_eq!(waits.left_out.iter().map(|it| it.kind).collect::<Vec<_>>(), [LeftOutKind::Waits]);
    let account = AccountBuilder::default().group("G", [11, 222]).group("H", [3333, 222]);
    let plan = changing(&account, BOTH, LEAVES);
    assert_eq!(changes(&plan, "G"), (vec![], vec![email(222)]));
    assert_eq!(plan.digest, waits.digest, "the account does not change what is reviewed");
}

#[test]
fn a_leave_waits_for_the_reading_of_the_other_group() {
    let mut account = AccountBuilder::default().group("G", [11, 222]).group("H", []);
    let other: GroupId = group_id(1);
    account.observed.memberships.remove(&other);
    let plan = changing(&account, BOTH, LEAVES);
    assert_eq!((plan.summary.removes, plan.left_out.len()), (0, 1));
    assert_eq!(plan.needs(&account.observed, true).groups, [other].into());
    account.observed.unreadable.insert(other, "refused".into());
    let plan = changing(&account, BOTH, LEAVES);
    assert!(plan.needs(&account.observed, true).is_empty());
    assert_eq!((plan.summary.removes, plan.summary.held, plan.blocked.len()), (0, 1, 1), "the group is named");
}

#[test]
fn a_typo_elsewhere_is_read_before_somebody_leaves() {
    let mut account = AccountBuilder::default().group("G", [11, 222]).group("H", []);
    account.observed.memberships.remove(&group_id(1));
    let typo = |files: &str| files.replace("p222@example.com, p3333", "p2222@example.com, p3333");
    let plan = changing(&account, &typo(BOTH), &typo(LEAVES));
    assert_eq!(plan.needs(&account.observed, true).groups, [group_id(1)].into());
}

#[test]
fn ambiguous_entry_elsewhere_holds_a_removal() {
    let known = Some(Status::Accepted);
    let account = AccountBuilder::default().group("G", [11, 222]).group("H", []).person(9, "p222@example.com", known);
    let plan = changing(&account, BOTH, LEAVES);
    assert_eq!((plan.summary.removes, plan.summary.held + plan.left_out.len() as u64), (0, 1));
}

#[test]
fn nothing_but_the_change_is_planned() {
    let account = AccountBuilder::default().group("G", [11, 222, 5]).group("H", [3333, 222, 6]).group("I", [7]);
    let plan = changing(&account, BOTH, LEAVES);
    assert_eq!((changes(&plan, "G"), plan.groups.len()), ((vec![], vec![email(222)]), 1));
    let alone: Vec<_> = plan.groups[0].left_alone.iter().filter_map(|change| change.member.email.clone()).collect();
    assert_eq!(alone, [email(5).parse().unwrap()]);
    assert!(!plan.account_in_sync() && !plan.groups[0].in_sync());
    let nothing = changing(&account, LEAVES, LEAVES);
    assert_eq!((nothing.groups.len(), nothing.account_in_sync()), (0, false));
}
