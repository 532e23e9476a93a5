//! People who are declared by id in one group and by address in a group that excludes it.

use std::collections::BTreeSet;

use super::*;

fn files(initiators: &str, approvers: &str) -> String {
    format!(
        "groups:\n  Initiators: {{exclusive_with: [Approvers], members: [{initiators}]}}\n  \
         Approvers: {{allow_empty: true, members: [{approvers}]}}\n"
    )
}

fn by_id(number: usize) -> String {
    format!("id: {}", member_id(number))
}

fn blocked(plan: &Plan) -> Vec<String> {
    plan.blocked.iter().map(|blocked| format!("{} {}: {}", blocked.group, blocked.origin, blocked.message)).collect()
}

#[test]
fn an_addition_to_an_exclusive_group_is_blocked() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", [2, 3, 4, 5]);
    let files = files(&format!("{}, {}", email(1), email(2)), &format!("{}, {}, {}", by_id(2), email(3), email(4)));
    let plan = account.plan(&files);
    assert_eq!(changes(&plan, "Initiators"), (vec![], vec![]));
    assert_eq!(changes(&plan, "Approvers").1, [email(5)], "the removal is not held");
    assert_eq!(
        blocked(&plan),
        ["Initiators convoke.yaml:3: p2@example.com: also in Approvers (convoke.yaml:4), and the groups exclude each \
          other; remove one of the entries"]
    );
}

#[test]
fn a_blocked_person_still_leaves_other_groups() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", [2]).group("Old", [2, 3]);
    let files = files(&format!("{}, {}", email(1), by_id(2)), &email(2)) + &listing("Old", "", [3]);
    let plan = account.plan(&files);
    assert_eq!(changes(&plan, "Old").1, [email(2)]);
    assert_eq!(plan.blocked.len(), 1);
}

#[test]
fn neither_of_two_exclusive_additions_is_made() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", [3]).accepted([2]);
    let plan = account.plan(&files(&format!("{}, {}", email(1), by_id(2)), &format!("{}, {}", email(2), email(3))));
    assert_eq!((changes(&plan, "Initiators").0, changes(&plan, "Approvers").0), (vec![], vec![]));
    assert_eq!(plan.blocked.len(), 2);
}

#[test]
fn existing_exclusive_memberships_stay_and_are_reported() {
    let account = AccountBuilder::default().group("Initiators", [1, 2]).group("Approvers", [2]);
    let plan = account.plan(&files(&format!("{}, {}", email(1), email(2)), &by_id(2)));
    assert!(!plan.has_differences());
    assert_eq!(blocked(&plan).len(), 1);
    assert!(blocked(&plan)[0].contains("both memberships stay"), "{:?}", blocked(&plan));
}

#[test]
fn memberships_at_different_times_are_not_exclusive() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", [2]);
    let until = format!("{{id: {}, until: 2026-06-20}}", member_id(2));
    let from = format!("{}, {{email: {}, from: 2026-06-21}}", email(1), email(2));
    let files = files(&from, &until);
    assert_eq!(blocked(&account.plan_at(&files, "2026-06-20T12:00:00Z")), Vec::<String>::new());
    let plan = account.plan_at(&files, "2026-06-21T12:00:00Z");
    assert_eq!((changes(&plan, "Initiators").0, changes(&plan, "Approvers").1), (vec![email(2)], vec![email(2)]));
}

#[test]
fn an_exclusive_group_that_is_not_planned_counts() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", []).accepted([2]);
    let policy = Policy { only: BTreeSet::from(["Initiators".into()]), ..policy() };
    let files = files(&format!("{}, {}", email(1), email(2)), &by_id(2));
    let plan = plan(&desired(&files), &account.observed, &policy, time("2026-06-15T12:00:00Z"));
    assert_eq!(plan.blocked.len(), 1);
    assert_eq!(changes(&plan, "Initiators").0, Vec::<String>::new());
}

#[test]
fn person_excluded_by_several_groups_is_reported_once() {
    let account = AccountBuilder::default().group("A", [1, 2]).group("B", [1, 2]).group("C", [1, 2]);
    let ids = format!("{{{}}}, {{{}}}", by_id(1), by_id(2));
    let files = format!(
        "groups:\n  A: {{exclusive_with: [B, C], members: [{}, {}]}}\n  B: {{members: [{ids}]}}\n  C: {{members: [{ids}]}}\n",
        email(1),
        email(2)
    );
    assert_eq!(account.plan(&files).blocked.len(), 2);
}

#[test]
fn every_group_of_an_exclusive_name_excludes() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", [2]).group("Approvers", [3]);
    let plan = account.plan(&files(&format!("{}, {}, {}", email(1), email(2), email(3)), &email(4)));
    assert_eq!(changes(&plan, "Initiators").0, Vec::<String>::new());
    assert_eq!(blocked(&plan).iter().filter(|it| it.starts_with("Initiators")).count(), 2, "{:?}", blocked(&plan));
}

#[test]
fn newest_files_without_the_exclusion_need_no_exchange() {
    let account = AccountBuilder::default().group("Initiators", [1]).group("Approvers", [2, 3]);
    let files = files(&format!("{}, {}", email(1), email(2)), &email(3));
    let plan = account.plan(&files);
    assert_eq!((plan.exchanges.len(), plan.exclusive.len()), (1, 1));
    let tip = desired(&files.replace("exclusive_with: [Approvers], ", ""));
    let decided = plan.decided_by(&tip, &account.observed, time("2026-06-15T12:00:00Z"));
    assert_eq!((decided.exchanges.len(), decided.exclusive.len()), (0, 0));
    let mut changes = decided.groups.iter().flat_map(|group| &group.changes);
    assert!(changes.all(|change| change.after.is_empty()));
}
