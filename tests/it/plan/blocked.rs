use super::*;
use convoke::plan::{BlockedReason, Change};

fn reasons(plan: &Plan) -> Vec<String> {
    plan.blocked.iter().map(|blocked| format!("{} {}: {}", blocked.origin, blocked.group, blocked.message)).collect()
}

#[test]
fn unknown_address_holds_removals_of_its_group() {
    let account = AccountBuilder::default().group("G", [1, 2]).group("H", [1, 2]).accepted([3]);
    let plan = account.plan(
        "groups:\n  G:\n    members:\n      - p1@example.com\n      - p22@example.com\n      - p3@example.com\n  \
         H: {members: [p1@example.com]}\n",
    );
    assert_eq!(changes(&plan, "G"), (vec![email(3)], vec![]));
    assert_eq!(plan.groups[0].held.len(), 1);
    assert_eq!(operations(&plan, "G"), [("POST", 1)]);
    insta::assert_snapshot!(reasons(&plan).join("\n"), @"convoke.yaml:6 G: p22@example.com: not a member of the account; did you mean p2@example.com?");
}

#[test]
fn typo_holds_probable_person_in_all_groups() {
    // p2 moves from H to G, and G's file misspells the address.
    let account = AccountBuilder::default().group("G", [1]).group("H", [1, 2]);
    let plan =
        account.plan("groups:\n  G: {members: [p1@example.com, pp2@example.com]}\n  H: {members: [p1@example.com]}\n");
    assert_eq!(changes(&plan, "H"), (vec![], vec![]));
    assert_eq!(plan.groups[1].held[0].member.id, member_id(2));
}

#[test]
fn members_of_unreadable_groups_are_not_removed_elsewhere() {
    let account = AccountBuilder::default().group("H", [1, 2]);
    let plan = account.plan("groups:\n  Gone: {members: [p2@example.com]}\n  H: {members: [p1@example.com]}\n");
    assert_eq!(plan.summary.held, 1);
    assert!(plan.groups[0].operations.is_empty());
}

#[test]
fn rejected_invitation_blocks_unless_invited_again() {
    let account = AccountBuilder::default().group("G", [1]).person(2, "p2@example.com", None);
    let files = "groups:\n  G: {members: [p1@example.com, p2@example.com]}\n";
    assert_eq!(account.plan(files).blocked[0].reason, BlockedReason::RejectedInvitation);
    let again = account.person(3, "P2@example.com", Some(Status::Pending));
    let plan = again.plan(files);
    assert_eq!((plan.blocked.len(), plan.groups[0].changes[0].member.id), (0, member_id(3)));
}

#[test]
fn shared_address_blocks_and_names_ids() {
    let known = Some(Status::Accepted);
    let account =
        AccountBuilder::default().group("G", []).person(2, "x@example.com", known).person(3, "X@example.com", known);
    let plan = account.plan("groups:\n  G: {members: [x@example.com]}\n");
    let candidates = vec![member_id(2), member_id(3)];
    assert_eq!(plan.blocked[0].reason, BlockedReason::AmbiguousPerson { candidates });
}

#[test]
fn shared_address_is_ambiguous_across_groups() {
    let known = Some(Status::Accepted);
    let account = AccountBuilder::default().group("G", [1]).person(2, "P1@example.com", known);
    let plan = account.plan(&format!("groups:\n{}", listing("G", "", [1])));
    assert!(plan.blocked.is_empty() && plan.groups[0].in_sync(), "the entry has its member");
    // It blocks the join of another group, and everybody whom it may mean stays where they are.
    let account = account.group("H", [1, 3]).group("I", [3]);
    let files = format!("{}{}{}", listing("G", "", [1]), listing("H", "", [3]), listing("I", "", [1, 3]));
    let plan = account.plan(&format!("groups:\n{files}"));
    let candidates = vec![member_id(1), member_id(2)];
    assert_eq!(plan.blocked.len(), 1);
    assert_eq!(plan.blocked[0].reason, BlockedReason::AmbiguousPerson { candidates });
    assert_eq!((plan.blocked[0].group.as_str(), plan.summary.removes, plan.summary.held), ("I", 0, 1));
}

#[test]
fn ended_entry_of_a_shared_address_ends_its_present_member() {
    let known = Some(Status::Accepted);
    let account = AccountBuilder::default().group("G", [1, 3]).person(2, "P1@example.com", known);
    for mode in ["exact", "additive"] {
        let ended = format!("      - {{email: {}, until: 2026-06-01}}\n      - {}\n", email(1), email(3));
        let plan = account.plan(&format!("groups:\n  G:\n    mode: {mode}\n    members:\n{ended}"));
        assert_eq!((changes(&plan, "G").1, plan.blocked.len()), (vec![email(1)], 0), "{mode}");
    }
}

#[test]
fn group_member_counts_as_not_rejected() {
    let account = AccountBuilder::default().group("G", [1]).person(1, "p1@example.com", None);
    assert!(!account.plan(&format!("groups:\n{}", listing("G", "", [1]))).has_differences());
}

#[test]
fn unknown_ambiguous_or_unreadable_group_is_blocked() {
    let mut account =
        AccountBuilder::default().group("Platform Admins", []).group("Twin", []).group("Twin", []).group("Shut", []);
    let shut: GroupId = group_id(3);
    account.observed.memberships.remove(&shut);
    account.observed.unreadable.insert(shut, "the API refused: Policy validation failed (code 400)".into());
    let plan = account.plan(
        "groups:\n  Platfrom Admins: {members: []}\n  Twin: {members: []}\n  Shut: {members: []}\n  \
         Pinned: {id: ffffffffffffffffffffffffffffffff, members: []}\n",
    );
    insta::assert_snapshot!(reasons(&plan).join("\n"), @r#"
    convoke.yaml:6 Pinned: the account has no group with the pinned id ffffffffffffffffffffffffffffffff
    convoke.yaml:3 Platfrom Admins: the account has no group with this name; did you mean "Platform Admins"?
    convoke.yaml:5 Shut: its members cannot be read: the API refused: Policy validation failed (code 400)
    convoke.yaml:4 Twin: several groups of the account have this name; pin one by id: a0000000000000000000000000000001, a0000000000000000000000000000002
    "#);
}

#[test]
fn inactive_entries_are_not_resolved() {
    let account = AccountBuilder::default().group("G", [1]);
    let plan = account.plan(
        "groups:\n  G:\n    members:\n      - p1@example.com\n      - {email: later@example.com, from: 2026-07-01}\n      \
         - {email: gone@example.com, until: 2026-06-01}\n",
    );
    assert_eq!((plan.blocked.len(), plan.has_differences()), (0, false));
}

#[test]
fn expiring_membership_is_reported_unless_extended() {
    let account = AccountBuilder::default().group("G", [1, 2]).group("H", [1]);
    let files = "rosters:\n  sre: [p2@example.com]\n  ops: [{email: p1@example.com, until: 2026-06-18}]\n\
                 groups:\n  G:\n    members:\n      - roster: ops\n      \
                 - {email: p1@example.com, until: 2026-06-20}\n      \
                 - {email: p2@example.com, until: 2026-06-20}\n      - roster: sre\n  \
                 H:\n    members:\n      - {email: p1@example.com, until: 2026-08-01}\n";
    let plan = account.plan(files);
    let reported: Vec<String> = plan
        .expiring
        .iter()
        .map(|expiring| format!("{} {} {} {}", expiring.group, expiring.person, expiring.until, expiring.origin))
        .collect();
    assert_eq!(reported, ["G p1@example.com 2026-06-21T00:00:00Z convoke.yaml:9"], "the line that ends it");
}

#[test]
fn expired_removal_shows_its_entry() {
    let account = AccountBuilder::default().group("G", [1, 2]);
    let plan = account.plan(
        "groups:\n  G:\n    members:\n      - p1@example.com\n      - {email: p2@example.com, until: 2026-06-01}\n",
    );
    let change = &plan.groups[0].changes[0];
    assert_eq!((change.origin.line, change.expired), (6, Some(time("2026-06-02T00:00:00Z"))));
}

/// The held members of a group, and the lines that hold them.
fn held(plan: &Plan, group: &str) -> Vec<(String, u32)> {
    let group = plan.groups.iter().find(|planned| planned.name == GroupName::from(group)).unwrap();
    let shown =
        |change: &Change| (change.member.email.as_ref().unwrap().to_string(), change.held_by.as_ref().unwrap().line);
    group.held.iter().map(shown).collect()
}

#[test]
fn everybody_with_an_ambiguous_address_is_held() {
    let known = Some(Status::Accepted);
    let account = AccountBuilder::default().group("G", []).group("H", [1, 2, 3]);
    let account = account.person(1, "same@example.com", known).person(2, "same@example.com", known);
    let plan = account.plan("groups:\n  G: {members: [same@example.com]}\n  H: {members: [p3@example.com]}\n");
    assert_eq!(held(&plan, "H"), [(email(1), 3), (email(2), 3)]);
    assert_eq!(changes(&plan, "H"), (vec![], vec![]));
}

#[test]
fn every_tie_of_a_typo_is_held() {
    let account = AccountBuilder::default().group("G", []).group("H", [1, 2, 77777]);
    let plan = account.plan("groups:\n  G: {members: [p3@example.com]}\n  H: {members: [], allow_empty: true}\n");
    assert_eq!(held(&plan, "H"), [(email(1), 3), (email(2), 3)]);
    assert_eq!(changes(&plan, "H"), (vec![], vec![email(77777)]), "nobody means somebody so different");
    insta::assert_snapshot!(reasons(&plan).join("\n"), @"convoke.yaml:3 G: p3@example.com: not a member of the account; did you mean p1@example.com or p2@example.com?");
}

#[test]
fn typo_of_shared_address_holds_all_owners() {
    let known = Some(Status::Accepted);
    let account = AccountBuilder::default().group("G", []).group("H", [111, 222]);
    let account = account.person(111, "twin@example.com", known).person(222, "twin@example.com", known);
    let plan = account.plan("groups:\n  G: {members: [twim@example.com]}\n  H: {members: [], allow_empty: true}\n");
    assert_eq!(plan.groups[1].held.len(), 2);
}

#[test]
fn typo_beyond_the_hundredth_is_held_too() {
    let account = AccountBuilder::default().group("G", []).group("H", [1]);
    let unknown: Vec<String> = (0..200).map(|number| format!("nobody.{number:03}@elsewhere.org")).collect();
    let files = format!(
        "groups:\n  G: {{members: [{}, pp1@example.com]}}\n  H: {{members: [], allow_empty: true}}\n",
        unknown.join(", ")
    );
    assert_eq!(held(&account.plan(&files), "H"), [(email(1), 3)]);
}

#[test]
fn mistyped_id_holds_its_member() {
    let account = AccountBuilder::default().group("G", []).group("H", [1, 87_654_321]);
    let mistyped = member_id(1).to_string().replacen("00000", "0000", 1) + "0";
    let files =
        format!("groups:\n  G: {{members: [{{id: \"{mistyped}\"}}]}}\n  H: {{members: [p87654321@example.com]}}\n");
    let plan = account.plan(&files);
    assert_eq!(held(&plan, "H"), [(email(1), 3)]);
    assert!(plan.blocked[0].message.ends_with("did you mean p1@example.com?"), "{}", plan.blocked[0].message);
}

#[test]
fn held_expired_access_comes_first() {
    let account = AccountBuilder::default().group("G", [11, 22, 33]);
    let plan = account.plan(
        "groups:\n  G:\n    members:\n      - p3@example.com\n      - {email: p33@example.com, until: 2026-06-01}\n",
    );
    assert_eq!(held(&plan, "G"), [(email(33), 5), (email(11), 5), (email(22), 5)]);
}

#[test]
fn unrelated_unknown_entry_does_not_keep_expired_access() {
    let account = AccountBuilder::default().group("G", [11, 33]);
    let plan = account.plan(
        "groups:\n  G:\n    members:\n      - zoe.unknown@example.com\n      - {email: p33@example.com, until: 2026-06-01}\n",
    );
    assert_eq!(changes(&plan, "G"), (vec![], vec![email(33)]));
    assert_eq!(held(&plan, "G"), [(email(11), 5)]);
}

#[test]
fn same_name_at_another_domain_is_held_and_named() {
    let account = AccountBuilder::default().group("New", [1]).group("Old", [1, 2]);
    let plan = account.plan(
        "groups:\n  New: {members: [p1@example.com, p2@brand.example.org]}\n  Old: {members: [p1@example.com]}\n",
    );
    assert_eq!(held(&plan, "Old"), [(email(2), 3)]);
    assert!(plan.blocked[0].message.ends_with("did you mean p2@example.com?"), "{}", plan.blocked[0].message);
}

#[test]
fn planned_group_with_blocked_entry_is_not_in_sync() {
    let account = AccountBuilder::default().group("G", [1]).group("H", [1]);
    let plan = account.plan(
        "groups:\n  G: {members: [p1@example.com, unknown.person@example.com]}\n  H: {members: [p1@example.com]}\n",
    );
    assert_eq!((plan.groups_in_sync(), plan.account_in_sync()), (1, false));
}

#[test]
fn blocked_entries_of_observed_groups_hold_nothing() {
    let account = AccountBuilder::default().group("G", [1]);
    let plan = account.plan("groups:\n  G: {mode: observe, members: [unknown.person@example.com]}\n");
    assert_eq!((plan.is_blocked(), plan.blocked.len()), (false, 1));
    assert_eq!((plan.groups[0].changes.len(), plan.groups[0].held.len()), (1, 0));
    assert!(!plan.has_planned_differences() && plan.has_differences());
}
