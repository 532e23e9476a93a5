//! The number of requests: no more than necessary.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use convoke::sandbox::Endpoint::{
    self, AddMembers, GetUser, ListGroups, ListMembers, ListPeople, RemoveMember, ReplaceMembers,
};
use convoke::sandbox::{Fault, FaultRule, Match, Seed, SeedGroup};

use crate::builders::{FaultRuleExt as _, MatchExt as _, SeedExt as _, SeedGroupExt as _};
use crate::harness::{World, config, given, in_sync, people};

fn counts(world: &World) -> BTreeMap<Endpoint, usize> {
    world.account().request_counts()
}

#[test]
fn steady_state_costs_one_request_a_page() {
    let sizes = [0, 1, 499, 500, 501, 1200, 1800];
    let world = in_sync(&sizes, |seed| seed);
    world.run("plan --detailed-exitcode").exits(0).says("No changes. 7 groups in sync.");
    let pages: usize = sizes.iter().map(|size| size.div_ceil(500).max(1)).sum();
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, pages)]));
}

#[test]
fn groups_are_read_in_pages_of_500() {
    let world = (0..1001)
        .fold(given(Seed::default().group("Admins", ["alice@example.com"])), |world, number| {
            world.account().create_group(&format!("other {number}"));
            world
        })
        .groups(&[("Admins", &["alice@example.com"])]);
    world.run("plan").exits(0);
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 3), (ListMembers, 1)]));
}

#[test]
fn smaller_pages_are_read_to_the_end() {
    let world = in_sync(&[250], |seed| Seed { page_size_cap: NonZeroU32::new(100), ..seed });
    world.run("plan").exits(0).says("No changes. 1 group in sync.");
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 3)]));
}

#[test]
fn lists_without_length_end_at_an_empty_page() {
    let world = in_sync(&[501, 0], |seed| Seed { result_info: Some(false), ..seed });
    world.run("plan").exits(0).says("No changes. 2 groups in sync.");
    // Without a count, an empty group is read twice.
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 2), (ListMembers, 3 + 2)]));
}

#[test]
fn account_members_are_read_only_for_unlisted_people() {
    let seed = Seed::default().person("erin@example.com").group("Admins", ["alice@example.com"]);
    let world = given(seed.group("Billing", ["bob@example.com"]))
        .groups(&[("Admins", &["alice@example.com", "bob@example.com"]), ("Billing", &["bob@example.com"])]);
    world.run("plan").exits(0).says("+ bob@example.com");
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 2)]));

    world.write("convoke.yaml", config(&[("Admins", &["alice@example.com", "erin@example.com"])]));
    world.forget_requests();
    world.run("plan").exits(0).says("+ erin@example.com");
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 1), (ListPeople, 1)]));
}

#[test]
fn token_user_is_read_only_for_removals() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mallory@example.com"]);
    let world = given(seed).groups(&[("Admins", &["alice@example.com"])]);
    world.run("plan").exits(0).says("- mallory@example.com");
    assert_eq!(counts(&world), BTreeMap::from([(GetUser, 1), (ListGroups, 1), (ListMembers, 1)]));
}

#[test]
fn only_the_groups_that_are_planned_are_read() {
    let world = in_sync(&[1, 1, 1], |seed| seed);
    world.run("plan --only g1").exits(0);
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 1)]));
}

#[test]
fn incomplete_list_removes_nobody() {
    let seed = Seed::default().group("Admins", SeedGroup::of(people("g0", 600)));
    // The second page always lacks people that the first page's figures announce.
    let short = FaultRule::always(Match::operation(ListMembers).page(2), Fault::OmitResult);
    let names = people("g0", 600);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = given(seed.fault(short)).groups(&[("Admins", &names)]);
    let outcome = world.run("apply --yes --max-wait 1s").exits(69);
    assert!(outcome.stderr.contains("group \"Admins\""), "{outcome}");
    assert_eq!(world.members("Admins").len(), 600);
    assert_eq!(world.writes(), Vec::<String>::new());
}

/// An account of 2,000 members on 40 pages, of whom only one is in the group.
fn large_account() -> Seed {
    Seed::default().people(people("p", 2000)).group("Admins", ["p-0000@example.com"])
}

#[test]
fn one_lookup_bisects_the_account_pages() {
    let world = given(large_account()).groups(&[("Admins", &["p-0000@example.com", "p-1234@example.com"])]);
    world.run("plan").exits(0).says("+ p-1234@example.com");
    let counts = counts(&world);
    assert_eq!((counts[&ListGroups], counts[&ListMembers]), (1, 1));
    // The logarithm of 40 pages, and the first and the last page.
    assert!(counts[&ListPeople] <= 6 + 2, "{counts:?}");
}

#[test]
fn a_newcomer_costs_at_most_eleven_requests() {
    let world = given(large_account());
    world.write("base.yaml", config(&[("Admins", &["p-0000@example.com"])]));
    for newcomer in ["p-0001", "p-0049", "p-0050", "p-1000", "p-1777", "p-1999"] {
        let newcomer = format!("{newcomer}@example.com");
        world.write("convoke.yaml", config(&[("Admins", &["p-0000@example.com", &newcomer])]));
        world.forget_requests();
        world.run("plan --base base.yaml --only-changed").exits(0).says(&format!("+ {newcomer}"));
        let requests: usize = counts(&world).values().sum();
        assert!(requests <= 11, "{newcomer}: {requests}");
    }
}

#[test]
fn unknown_people_need_every_account_page() {
    let world = given(large_account()).groups(&[("Admins", &["p-0000@example.com", "p-1234x@example.com"])]);
    world.run("plan").exits(3).says("did you mean p-1234@example.com?");
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 1), (ListPeople, 40)]));
}

#[test]
fn many_lookups_read_each_account_page_once() {
    let everybody = people("p", 2000);
    let everybody: Vec<&str> = everybody.iter().map(String::as_str).collect();
    let world = given(large_account()).groups(&[("Admins", &everybody)]);
    world.run("plan").exits(0).says("1999 to add");
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 1), (ListPeople, 40)]));
}

/// An account with one group of eight. Two of them may be replaced by others of the account.
fn eight() -> Seed {
    Seed::default().group("Admins", people("a", 8)).group("Others", people("b", 8))
}

fn admins(world: &World, members: &[&str]) {
    let members: Vec<&str> = members.iter().flat_map(|members| members.split_whitespace()).collect();
    let others = people("b", 8);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    world.write("convoke.yaml", config(&[("Admins", &members), ("Others", &others)]));
}

const A0_TO_3: &str = "a-0000@example.com a-0001@example.com a-0002@example.com a-0003@example.com";
const A4_AND_5: &str = "a-0004@example.com a-0005@example.com";
const A6_AND_7: &str = "a-0006@example.com a-0007@example.com";
const B0_AND_1: &str = "b-0000@example.com b-0001@example.com";

#[test]
fn additions_cost_one_request_and_a_reading() {
    let world = given(eight());
    admins(&world, &[A0_TO_3, A4_AND_5, A6_AND_7, B0_AND_1]);
    world.run("apply --yes").exits(0);
    assert_eq!(counts(&world), BTreeMap::from([(ListGroups, 1), (ListMembers, 2 + 1), (AddMembers, 1)]));
}

#[test]
fn removals_cost_one_request_each_and_a_reading() {
    let world = given(eight());
    admins(&world, &[A0_TO_3, A4_AND_5]);
    world.run("apply --yes").exits(0);
    let expected = [(GetUser, 1), (ListGroups, 1), (ListMembers, 2 + 1), (RemoveMember, 2)];
    assert_eq!(counts(&world), BTreeMap::from(expected));
}

#[test]
fn mixed_changes_need_one_final_reading() {
    let world = given(eight());
    admins(&world, &[A0_TO_3, A4_AND_5, B0_AND_1]);
    world.run("apply --yes").exits(0);
    let expected = [(GetUser, 1), (ListGroups, 1), (ListMembers, 2 + 1), (AddMembers, 1), (RemoveMember, 2)];
    assert_eq!(counts(&world), BTreeMap::from(expected));
}

#[test]
fn put_reads_before_and_after() {
    let world = given(eight());
    admins(&world, &[A0_TO_3, B0_AND_1]);
    world.run("apply --yes").exits(0);
    let expected = [(GetUser, 1), (ListGroups, 1), (ListMembers, 2 + 2), (ReplaceMembers, 1)];
    assert_eq!(counts(&world), BTreeMap::from(expected));
}

#[test]
fn cost_is_shown_with_v_only() {
    let world = in_sync(&[3, 700], |seed| seed);
    for command in ["plan", "drift"] {
        world.run(&format!("{command} -v")).exits(0).warns("4 requests to the API");
        assert_eq!(world.run(command).exits(0).stderr, "", "{command}");
    }
}
