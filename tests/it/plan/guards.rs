use super::*;
use convoke::model::{TokenOwner, TokenUser, UserId};

/// Limits that do not affect the guard under test.
const NO_LIMITS: &str = "settings:\n  limits: {group_removals: 100%, total_removals: 100%}\n";

/// Plans `removals` removals from a group with `present` members, without a limit on the total.
fn shrink(present: usize, removals: usize, settings: &str, extra: &str) -> Plan {
    let account = AccountBuilder::default().group("G", 0..present);
    let text = format!("{settings}groups:\n{}", listing("G", extra, removals..present));
    account.plan(&text)
}

const FREE_TOTAL: &str = "settings:\n  limits: {total_removals: 100%}\n";

#[test]
fn default_limit_is_a_quarter_per_group() {
    for (present, allowed) in [(2, 1), (4, 1), (7, 1), (8, 2), (11, 2), (12, 3), (100, 25)] {
        assert_eq!(refused(&shrink(present, allowed - 1, FREE_TOTAL, "")), [], "{present}, one below");
        assert_eq!(refused(&shrink(present, allowed, FREE_TOTAL, "")), [], "{present}, at the limit");
        let above = shrink(present, allowed + 1, FREE_TOTAL, "    allow_empty: true\n");
        assert_eq!(refused(&above), [Guard::GroupRemovals], "{present}, one above");
        let figures = above.refusals[0].figures.unwrap();
        let shown = [figures.planned, figures.allowed, figures.present];
        assert_eq!(shown, [allowed + 1, allowed, present].map(|number| number as u64));
    }
}

#[test]
fn last_member_needs_allow_empty_within_limit() {
    assert_eq!(refused(&shrink(1, 1, FREE_TOTAL, "")), [Guard::AllowEmpty]);
    assert_eq!(refused(&shrink(1, 1, FREE_TOTAL, "    allow_empty: true\n")), []);
}

#[test]
fn already_empty_group_is_not_refused() {
    assert_eq!(refused(&shrink(0, 0, "", "")), []);
    assert_eq!(
        refused(
            &AccountBuilder::default().group("G", []).accepted([1]).plan("groups:\n  G: {members: [p1@example.com]}\n")
        ),
        []
    );
}

#[test]
fn total_limit_counts_declared_memberships_in_force() {
    let settings = "settings:\n  limits: {group_removals: 100%}\n";
    let account = AccountBuilder::default().group("G", 0..10).group("H", 0..10).group("Big", 0..200);
    let allowed = |more: &str| {
        let lists = format!("{}{}", listing("G", "", 6..10), listing("H", "", 6..10));
        let plan = account.plan(&format!("{settings}groups:\n{lists}  Big:\n{more}"));
        plan.refusals.iter().find(|refusal| refusal.guard == Guard::TotalRemovals).map(|it| it.figures.unwrap().present)
    };
    let list = |terms: &str| -> String {
        (0..200).map(|number| format!("      - {{email: {}{terms}}}\n", email(number))).collect()
    };
    assert_eq!(allowed(&format!("    members:\n{}", list(""))), None);
    assert_eq!(allowed(&format!("    mode: additive\n    members:\n{}", list(""))), None);
    assert_eq!(allowed(&format!("    mode: observe\n    members:\n{}", list(""))), Some(8));
    assert_eq!(allowed(&format!("    mode: additive\n    members:\n{}", list(", until: 2026-01-01"))), Some(8));
    assert_eq!(allowed(&format!("    mode: additive\n    members:\n{}", list(", from: 2027-01-01"))), Some(8));
}

#[test]
fn recent_ends_do_not_count_for_limits() {
    let account = AccountBuilder::default().group("G", 0..4);
    let files = |until: &str| {
        let ended: String = (0..3).map(|it| format!("      - {{email: {}, until: {until}}}\n", email(it))).collect();
        format!("groups:\n  G:\n    members:\n{ended}      - {}\n", email(3))
    };
    let at = |until: &str| refused(&account.plan_at(&files(until), "2026-06-15T12:00:00Z"));
    assert_eq!(at("2026-06-14"), []);
    assert_eq!(at("2026-05-15T12:00:00Z"), [], "744 hours ago");
    assert_eq!(at("2026-05-15T11:59:59Z"), [Guard::GroupRemovals]);
    // The change under review wrote the ends, brought them forward, or kept them.
    let against = |base: &str| {
        let policy = Policy { base: Some(std::sync::Arc::new(desired(base))), ..policy() };
        refused(&plan(&desired(&files("2026-06-14")), &account.observed, &policy, time("2026-06-15T12:00:00Z")))
    };
    assert_eq!(against(&format!("groups:\n{}", listing("G", "", 0..4))), [Guard::GroupRemovals]);
    assert_eq!(against(&files("2026-06-20")), [Guard::GroupRemovals]);
    assert_eq!(against(&files("2026-06-14")), []);
    assert_eq!(against(&files("2026-06-10")), []);
    assert_eq!(against(&format!("groups:\n{}", listing("G", "    mode: observe\n", 0..4))), []);
}

#[test]
fn limits_can_be_numbers_and_per_group() {
    let number = "settings:\n  limits: {group_removals: 2, total_removals: 100%}\n";
    assert_eq!(refused(&shrink(100, 2, number, "")), []);
    assert_eq!(refused(&shrink(100, 3, number, "")), [Guard::GroupRemovals]);
    assert_eq!(refused(&shrink(100, 3, number, "    group_removals: 3\n")), []);
    assert_eq!(refused(&shrink(100, 3, number, "    group_removals: 3%\n")), []);
    assert_eq!(refused(&shrink(100, 4, number, "    group_removals: 3%\n")), [Guard::GroupRemovals]);
    assert_eq!(refused(&shrink(100, 1, FREE_TOTAL, "    group_removals: 0\n")), [Guard::GroupRemovals]);
    assert_eq!(refused(&shrink(100, 1, FREE_TOTAL, "    group_removals: 0%\n")), [Guard::GroupRemovals]);
    assert_eq!(refused(&shrink(100, 1, FREE_TOTAL, "    group_removals: 0.01%\n")), [], "a percentage allows one");
}

#[test]
fn default_total_limit_is_a_tenth_at_least_five() {
    // Groups of 10 with one removal each, which is within each group's own limit.
    let plan = |groups: usize, removals: usize| {
        let mut account = AccountBuilder::default();
        let mut text = String::from("groups:\n");
        for group in 0..groups {
            let (name, first) = (format!("G{group}"), 10 * group);
            account = account.group(&name, first..first + 10);
            text += &listing(&name, "", first + usize::from(group < removals)..first + 10);
        }
        account.plan(&text)
    };
    for (groups, allowed) in [(3, 3), (5, 5), (6, 5), (12, 10)] {
        let removals = refused(&plan(groups, allowed));
        assert_eq!(removals, [], "{groups} groups, at the limit");
        let above = if allowed < groups { vec![Guard::TotalRemovals] } else { Vec::new() };
        assert_eq!(refused(&plan(groups, allowed + 1)), above, "{groups} groups, one above");
    }
    // A second group loses one more member.
    let few = AccountBuilder::default().group("G", 0..14).group("H", 100..110);
    let settings = "settings:\n  limits: {group_removals: 100%}\n";
    let to = |left| format!("{settings}groups:\n{}{}", listing("G", "", left), listing("H", "", 101..110));
    assert_eq!(refused(&few.plan(&to(3..14))), []);
    assert_eq!(refused(&few.plan(&to(4..14))), [], "five always may");
    assert_eq!(refused(&few.plan(&to(5..14))), [Guard::TotalRemovals]);
    let many = AccountBuilder::default().group("G", 0..67).group("H", 100..110);
    assert_eq!(refused(&many.plan(&to(5..67))), []);
    assert_eq!(refused(&many.plan(&to(6..67))), [], "a tenth of 70 declared memberships");
    assert_eq!(refused(&many.plan(&to(7..67))), [Guard::TotalRemovals]);
}

#[test]
fn limits_count_deletes_and_replacements_equally() {
    let settings = "settings:\n  limits: {group_removals: 3, total_removals: 100%}\n";
    let deletes = shrink(20, 3, settings, "");
    assert_eq!((operations(&deletes, "G"), refused(&deletes)), (vec![("DELETE", 1); 3], vec![]));
    let account = AccountBuilder::default().group("G", 0..20).accepted([50, 51]);
    let replacing =
        |left| account.plan(&format!("{settings}groups:\n{}", listing("G", "", (left..20).chain([50, 51]))));
    let at = replacing(3);
    assert_eq!((operations(&at, "G"), refused(&at)), (vec![("PUT", 19)], vec![]));
    let above = replacing(4);
    assert_eq!((operations(&above, "G"), refused(&above)), (vec![("PUT", 18)], vec![Guard::GroupRemovals]));
    assert_eq!(above.refusals[0].figures.unwrap().planned, 4);
}

#[test]
fn additions_never_count_against_a_limit() {
    let account = AccountBuilder::default().group("G", [1]).accepted(2..500);
    let settings = "settings:\n  limits: {group_removals: 0, total_removals: 0}\n";
    let plan = account.plan(&format!("{settings}groups:\n{}", listing("G", "", 1..500)));
    assert_eq!((operations(&plan, "G"), refused(&plan)), (vec![("POST", 498)], vec![]));
}

#[test]
fn held_and_observed_removals_do_not_count() {
    let account = AccountBuilder::default().group("G", 0..10);
    let settings = "settings:\n  limits: {group_removals: 0, total_removals: 0}\n";
    let held = account.plan(&format!("{settings}groups:\n  G: {{members: [nobody@example.com]}}\n"));
    assert_eq!((held.summary.held, refused(&held)), (10, vec![]));
    let observed = account.plan(&format!("{settings}groups:\n  G: {{mode: observe, members: []}}\n"));
    assert_eq!((observed.summary.observed_only, refused(&observed)), (10, vec![]));
    let additive = account.plan(&format!("{settings}groups:\n  G: {{mode: additive, members: []}}\n"));
    assert_eq!((additive.has_differences(), refused(&additive)), (false, vec![]));
}

#[test]
fn protected_people_are_found_in_any_spelling() {
    let account = AccountBuilder::default().group("G", 0..10);
    let without = |who: usize| listing("G", "", (0..10).filter(move |number| *number != who));
    for entry in ["P3@EXAMPLE.com".to_owned(), member_id(3).to_string()] {
        let settings = format!("settings:\n  protected: [\"{entry}\"]\n");
        let plan = account.plan(&format!("{settings}groups:\n{}", without(3)));
        assert_eq!(refused(&plan), [Guard::Protected], "{entry}");
        assert_eq!(refused(&account.plan(&format!("{settings}groups:\n{}", without(4)))), []);
    }
}

#[test]
fn protected_member_with_other_address_stays() {
    let known = Some(Status::Accepted);
    let files = format!(
        "settings:\n  protected: [boss@example.com]\ngroups:\n{}",
        listing("G", "", (0..10).filter(|number| *number != 3))
    );
    let unaware = AccountBuilder::default().group("G", 0..10);
    let needs = unaware.plan(&files).needs(&unaware.observed, true);
    assert!(!needs.people.is_empty(), "the account is asked who that is");
    let aware = unaware.person(3, "boss@example.com", known);
    let plan = aware.plan(&files);
    assert_eq!(refused(&plan), [Guard::Protected]);
    assert!(plan.refusals[0].message.contains("p3@example.com (protected as boss@example.com)"));
}

#[test]
fn protected_people_are_looked_up_only_for_removals() {
    let account = AccountBuilder::default().group("G", 0..10);
    let files = format!("settings:\n  protected: [boss@example.com]\ngroups:\n{}", listing("G", "", 0..10));
    let plan = account.plan(&files);
    assert!(plan.needs(&account.observed, false).is_empty());
}

#[test]
fn min_members_refuses_too_few_members() {
    let least = "    min_members: 4\n";
    assert_eq!(refused(&shrink(6, 1, NO_LIMITS, least)), []);
    assert_eq!(refused(&shrink(6, 2, NO_LIMITS, least)), [], "just enough are left");
    assert_eq!(refused(&shrink(6, 3, NO_LIMITS, least)), [Guard::MinMembers]);
    assert_eq!(refused(&shrink(3, 0, NO_LIMITS, least)), [], "what the plan does not touch it does not leave");
}

#[test]
fn emptying_a_group_needs_allow_empty() {
    for present in [1, 3, 40] {
        assert_eq!(refused(&shrink(present, present, NO_LIMITS, "")), [Guard::AllowEmpty], "{present} members");
        assert_eq!(refused(&shrink(present, present, NO_LIMITS, "    allow_empty: true\n")), []);
        if present > 1 {
            assert_eq!(refused(&shrink(present, present - 1, NO_LIMITS, "")), [], "one is left");
        }
    }
}

#[test]
fn expiry_does_not_empty_a_group() {
    let account = AccountBuilder::default().group("G", [1, 2]);
    let files = format!(
        "{NO_LIMITS}groups:\n  G:\n    members:\n      - {{email: p1@example.com, until: 2026-05-31}}\n      \
         - {{email: p2@example.com, until: 2026-06-14}}\n"
    );
    assert_eq!(refused(&account.plan_at(&files, "2026-06-14T23:59:59Z")), []);
    assert_eq!(refused(&account.plan_at(&files, "2026-06-15T00:00:00Z")), [Guard::AllowEmpty]);
}

#[test]
fn unmanaged_groups_are_ignored_reported_or_refused() {
    let account = AccountBuilder::default().group("G", [1]).group("Other", [1]).group("Third", []);
    let plan = |setting: &str| account.plan(&format!("{setting}groups:\n{}", listing("G", "", [1])));
    let ignored = plan("");
    assert_eq!((ignored.unmanaged_groups.len(), refused(&ignored)), (0, vec![]));
    let reported = plan("settings: {unmanaged_groups: report}\n");
    assert_eq!((reported.unmanaged_groups.len(), refused(&reported)), (2, vec![]));
    let objected = plan("settings: {unmanaged_groups: refuse}\n");
    assert_eq!((objected.unmanaged_groups.len(), refused(&objected)), (2, vec![Guard::UnmanagedGroups]));
    assert!(objected.refusals[0].message.contains("\"Other\", \"Third\""));
}

#[test]
fn renamed_pinned_group_is_refused() {
    let account = AccountBuilder::default().group("New Name", 0..4).group("Old Name", 0..4);
    let pin: GroupId = group_id(0);
    let files = |name: &str| format!("groups:\n{}", listing(name, &format!("    id: \"{pin}\"\n"), 0..4));
    assert_eq!(refused(&account.plan(&files("New Name"))), []);
    let renamed = account.plan(&files("Old Name"));
    assert_eq!(refused(&renamed), [Guard::PinnedName]);
    assert_eq!(renamed.groups[0].id, pin, "the pin decides, not the namesake");
}

/// The account with a token of this user.
fn token_of(account: &AccountBuilder, user: &str, email: Option<&str>) -> AccountBuilder {
    let mut account = account.clone();
    let (user_id, email) = (UserId::new(user).unwrap(), email.map(|email| email.parse().unwrap()));
    account.observed.token_user = TokenUser::Known(TokenOwner { user_id, email });
    account
}

#[test]
fn token_user_is_found_by_any_address() {
    let account = AccountBuilder::default().group("G", 0..10);
    let files = format!("groups:\n{}", listing("G", "", 1..10));
    let refusals = |email: &str| refused(&token_of(&account, "u1", Some(email)).plan(&files));
    assert_eq!(refusals("P5@example.com"), [], "somebody who stays");
    assert_eq!(refusals("P0@Example.com"), [Guard::Oneself]);
}

#[test]
fn token_user_is_found_by_user_id() {
    let mut account = AccountBuilder::default().group("G", 0..10).accepted([0]);
    account.observed.people.get_mut(&member_id(0)).unwrap().user_id = UserId::new("u1");
    let files = format!("groups:\n{}", listing("G", "", 1..10));
    assert_eq!(refused(&token_of(&account, "u1", Some("login@example.com")).plan(&files)), [Guard::Oneself]);
    assert_eq!(refused(&token_of(&account, "u2", None).plan(&files)), []);
}

#[test]
fn token_user_is_looked_up_until_found() {
    let account = AccountBuilder::default().group("G", 0..10);
    let files = format!("groups:\n{}", listing("G", "", 1..10));
    let needs = |account: &AccountBuilder| account.plan(&files).needs(&account.observed, false);
    assert!(needs(&account).token_user);
    assert!(!account.plan(&files).needs(&account.observed, true).token_user, "removing oneself is accepted");
    let mut listed = token_of(&account, "u1", Some("p0@example.com"));
    assert_eq!(needs(&listed).people.len(), 1, "somebody else may have the address too");
    listed = token_of(&listed.accepted([0]), "u1", Some("p0@example.com"));
    assert!(needs(&listed).is_empty());
    let mut unlisted = token_of(&account, "u1", Some("login@example.com"));
    assert!(!needs(&unlisted).people.is_empty(), "only the user id is left to go by");
    unlisted.observed.knows_everybody = true;
    assert!(needs(&unlisted).is_empty());
    assert!(needs(&token_of(&account, "u1", None)).everybody);
}

#[test]
fn saved_plan_records_token_user() {
    let account = AccountBuilder::default().group("G", 0..10);
    let files = format!("groups:\n{}", listing("G", "", 1..10));
    let plan = token_of(&account, "u1", Some("p0@example.com")).plan(&files);
    let again = Plan::parse(&serde_json::to_vec(&plan.sealed()).unwrap()).unwrap();
    let token = |user: &str| token_of(&AccountBuilder::default(), user, Some("renamed@example.com")).observed;
    assert!(again.knows_token_user(&token("u1").token_user));
    assert!(!again.knows_token_user(&token("u2").token_user));
    assert_eq!(refused(&again.clone().judged_for_people(&token("u1"), false)), [Guard::Oneself]);
    assert_eq!(refused(&again.clone().judged_for_people(&token("u2"), false)), []);
    assert_eq!(refused(&again.judged_for_people(&token("u1"), true)), []);
}

#[test]
fn protected_typo_refuses_removals_near_it() {
    let account = AccountBuilder::default().group("G", 0..10).group("H", 0..10);
    let files =
        |protected: &str, left| format!("settings:\n  protected: [{protected}]\ngroups:\n{}", listing("G", "", left));
    let near = account.plan(&files("p33@example.com", 1..10));
    assert_eq!(refused(&near), [Guard::Protected]);
    insta::assert_snapshot!(near.refusals[0].message, @"p33@example.com is protected at convoke.yaml:3, but is not a member of the account; it may mean p3@example.com, and the plan removes members");
    let far = account.plan(&files("nobody.like.that@example.com", 1..10));
    assert_eq!((refused(&far), far.warnings.len()), (vec![], 1));
    let nothing = account.plan(&files("p33@example.com", 0..10));
    assert_eq!((refused(&nothing), nothing.warnings.len()), (vec![], 0), "nobody was looked up");
    let mut known = account;
    known.observed.knows_everybody = true;
    let nothing = known.plan(&files("p33@example.com", 0..10));
    assert_eq!((refused(&nothing), nothing.warnings.len()), (vec![], 1), "everybody was read for another reason");
}

#[test]
fn total_limit_needs_two_losing_groups() {
    let settings = "settings:\n  limits: {group_removals: 100%, total_removals: 1}\n";
    let account = AccountBuilder::default().group("G", 0..10).group("H", 0..10);
    let files =
        |g: std::ops::Range<usize>, h| format!("{settings}groups:\n{}{}", listing("G", "", g), listing("H", "", h));
    assert_eq!(refused(&account.plan(&files(3..10, 0..10))), []);
    assert_eq!(refused(&account.plan(&files(3..10, 1..10))), [Guard::TotalRemovals]);
}

#[test]
fn only_limits_can_be_accepted() {
    let all = [
        Guard::GroupRemovals,
        Guard::TotalRemovals,
        Guard::Protected,
        Guard::MinMembers,
        Guard::AllowEmpty,
        Guard::UnmanagedGroups,
        Guard::PinnedName,
        Guard::Oneself,
    ];
    let limits: Vec<Guard> = all.into_iter().filter(|guard| guard.is_limit()).collect();
    assert_eq!(limits, [Guard::GroupRemovals, Guard::TotalRemovals]);
}

#[test]
fn refusals_have_figures_place_and_remedy() {
    let account = AccountBuilder::default().group("Admins", 0..10).group("Ops", 0..10);
    let files = format!(
        "settings:\n  limits:\n    group_removals: 20%\n    total_removals: 5\n  protected:\n    - p0@example.com\ngroups:\n{}{}",
        listing("Admins", "    min_members: 9\n", 4..10),
        listing("Ops", "    group_removals: 1\n", 2..10)
    );
    let plan = account.plan(&files);
    let shown: Vec<String> = plan
        .refusals
        .iter()
        .map(|refusal| {
            let group = refusal.group.as_ref().map_or("-", GroupName::as_str);
            format!("{} [{group}] {} / {}", refusal.guard, refusal.message, refusal.help)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    group_removals [Admins] 4 of 10 members would be removed, but the limit allows at most 2 (20%, set at convoke.yaml:4) / if you intend all of these removals, pass the digest of this plan with --accept
    protected [Admins] p0@example.com would be removed, but is protected at convoke.yaml:7 / keep the person in the group's list, or remove the person from settings.protected first
    min_members [Admins] only 6 would remain, and min_members is 9, set at convoke.yaml:11 / declare more members, or lower min_members
    group_removals [Ops] 2 of 10 members would be removed, but the limit allows at most 1 (1, set at convoke.yaml:14) / if you intend all of these removals, pass the digest of this plan with --accept
    protected [Ops] p0@example.com would be removed, but is protected at convoke.yaml:7 / keep the person in the group's list, or remove the person from settings.protected first
    total_removals [-] 6 memberships would be removed in total, but the limit allows at most 5 (5, set at convoke.yaml:5) / if you intend all of these removals, pass the digest of this plan with --accept
    ");
}
