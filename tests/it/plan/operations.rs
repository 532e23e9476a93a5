use super::*;

const FREE: &str = "settings:\n  limits: {group_removals: 100%, total_removals: 100%}\n";

/// The operations that change a group from one set to another.
fn between(present: &[usize], wanted: &[usize], extra: &str) -> Vec<(&'static str, usize)> {
    let account = AccountBuilder::default().group("G", present.iter().copied()).accepted(wanted.iter().copied());
    let files =
        format!("{FREE}groups:\n{}", listing("G", &format!("    allow_empty: true\n{extra}"), wanted.iter().copied()));
    operations(&account.plan(&files), "G")
}

#[test]
fn any_number_of_additions_is_one_post() {
    assert_eq!(between(&[1], &[1, 2], ""), [("POST", 1)]);
    assert_eq!(between(&[], &(0..300).collect::<Vec<_>>(), ""), [("POST", 300)]);
}

#[test]
fn few_removals_are_deletes_many_are_put() {
    assert_eq!(between(&[1, 2, 3, 4, 5], &[4, 5], ""), [("DELETE", 1); 3]);
    assert_eq!(between(&[1, 2, 3, 4, 5], &[5], ""), [("PUT", 1)]);
    assert_eq!(between(&[1, 2, 3, 4, 5], &[], ""), [("PUT", 0)]);
}

#[test]
fn post_counts_as_one_request() {
    let (two, three) = (between(&[1, 2, 3], &[3, 9], ""), between(&[1, 2, 3, 4], &[4, 9], ""));
    assert_eq!(two, [("POST", 1), ("DELETE", 1), ("DELETE", 1)]);
    assert_eq!(three, [("PUT", 2)]);
}

#[test]
fn a_group_in_sync_needs_nothing() {
    assert_eq!(between(&[1, 2], &[2, 1], ""), []);
}

#[test]
fn additive_adds_only_and_observed_changes_nothing() {
    assert_eq!(between(&[1, 2, 3, 4, 5], &[9], "    mode: additive\n"), [("POST", 1)]);
    assert_eq!(between(&[1, 2, 3, 4, 5], &[9], "    mode: observe\n"), []);
}

#[test]
fn mover_is_posted_before_a_put() {
    let account = AccountBuilder::default().group("From", [1, 2, 9]).group("To", [3, 4, 5, 6]).accepted([8]);
    let files = format!("{FREE}groups:\n{}{}", listing("From", "", [1, 2]), listing("To", "", [8, 9]));
    let plan = account.plan(&files);
    assert_eq!(operations(&plan, "From"), [("DELETE", 1)]);
    assert_eq!(operations(&plan, "To"), [("POST", 1), ("PUT", 2)]);
    let to = &plan.groups[1];
    assert_eq!(to.operations[0].members(), [member_id(9)], "only who another group loses");
}
