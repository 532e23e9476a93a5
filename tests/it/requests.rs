//! What is asked of the API: no more than it allows, page by page as it answers.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use convoke::sandbox::{Fault, FaultRule, GroupSeed, Match, Operation, Seed};

use crate::harness::{World, config, given};

/// `count` people, named after the group.
fn people(group: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{group}-{number:04}@example.com")).collect()
}

/// An account with groups of these sizes, and files that say the same.
fn in_sync(sizes: &[usize], change: impl FnOnce(Seed) -> Seed) -> World {
    let groups: Vec<(String, Vec<String>)> =
        sizes.iter().enumerate().map(|(at, size)| (format!("g{at}"), people(&format!("g{at}"), *size))).collect();
    let seed = groups.iter().fold(Seed::default(), |seed, (name, members)| seed.group(name, members.clone()));
    let lists: Vec<(&str, Vec<&str>)> =
        groups.iter().map(|(name, members)| (name.as_str(), members.iter().map(String::as_str).collect())).collect();
    let lists: Vec<(&str, &[&str])> = lists.iter().map(|(name, members)| (*name, members.as_slice())).collect();
    given(change(seed)).file("convoke.yaml", config(&lists))
}

fn counts(world: &World) -> BTreeMap<&'static str, usize> {
    world.account().request_counts().into_iter().map(|(operation, count)| (operation.as_str(), count)).collect()
}

#[test]
fn a_steady_state_costs_a_request_a_page_of_groups_and_of_members_and_nothing_else() {
    let sizes = [0, 1, 499, 500, 501, 1200, 1800];
    let world = in_sync(&sizes, |seed| seed);
    world.run("plan --detailed-exitcode").exits(0).says("No changes. 7 groups in sync.");
    let pages: usize = sizes.iter().map(|size| size.div_ceil(500).max(1)).sum();
    assert_eq!(counts(&world), BTreeMap::from([("list-groups", 1), ("list-members", pages)]));
}

#[test]
fn the_groups_themselves_are_read_by_pages_of_500() {
    let world = (0..1001)
        .fold(given(Seed::default().group("Admins", ["alice@example.com"])), |world, number| {
            world.account().create_group(&format!("other {number}"));
            world
        })
        .groups(&[("Admins", &["alice@example.com"])]);
    world.run("plan").exits(0);
    assert_eq!(counts(&world), BTreeMap::from([("list-groups", 3), ("list-members", 1)]));
}

#[test]
fn pages_smaller_than_asked_for_are_read_to_the_end() {
    let world = in_sync(&[250], |seed| Seed { page_size_cap: NonZeroU32::new(100), ..seed });
    world.run("plan").exits(0).says("No changes. 1 group in sync.");
    assert_eq!(counts(&world), BTreeMap::from([("list-groups", 1), ("list-members", 3)]));
}

#[test]
fn lists_that_tell_nothing_of_their_length_are_read_to_the_end() {
    let world = in_sync(&[501, 0], |seed| Seed { result_info: false, ..seed });
    world.run("plan").exits(0).says("No changes. 2 groups in sync.");
}

#[test]
fn the_accounts_members_are_read_only_for_who_is_in_no_group_that_was_read() {
    let seed = Seed::default().person("erin@example.com").group("Admins", ["alice@example.com"]);
    let world = given(seed.group("Billing", ["bob@example.com"]))
        .groups(&[("Admins", &["alice@example.com", "bob@example.com"]), ("Billing", &["bob@example.com"])]);
    world.run("plan").exits(0).says("+ bob@example.com");
    assert_eq!(counts(&world), BTreeMap::from([("list-groups", 1), ("list-members", 2)]));

    world.write("convoke.yaml", config(&[("Admins", &["alice@example.com", "erin@example.com"])]));
    world.forget_requests();
    world.run("plan").exits(0).says("+ erin@example.com");
    assert_eq!(counts(&world), BTreeMap::from([("list-groups", 1), ("list-members", 1), ("list-people", 1)]));
}

#[test]
fn whom_the_token_acts_for_is_asked_once_and_only_where_somebody_would_be_removed() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mallory@example.com"]);
    let world = given(seed).groups(&[("Admins", &["alice@example.com"])]);
    world.run("plan").exits(0).says("- mallory@example.com");
    assert_eq!(counts(&world), BTreeMap::from([("get-user", 1), ("list-groups", 1), ("list-members", 1)]));
}

#[test]
fn only_the_groups_that_are_planned_are_read() {
    let world = in_sync(&[1, 1, 1], |seed| seed);
    world.run("plan --only g1").exits(0);
    assert_eq!(counts(&world), BTreeMap::from([("list-groups", 1), ("list-members", 1)]));
}

#[test]
fn a_list_that_never_comes_to_be_whole_is_an_error_and_removes_nobody() {
    let seed = Seed::default().group("Admins", GroupSeed::from(people("g0", 600)));
    // The second page always lacks people that the first page's figures promise.
    let short = FaultRule::always(Match::operation(Operation::ListMembers).page(2), Fault::OmitResult);
    let names = people("g0", 600);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = given(seed.fault(short)).groups(&[("Admins", &names)]);
    let outcome = world.run("apply --yes --max-wait 1s").exits(69);
    assert!(outcome.stderr.contains("group \"Admins\""), "{outcome}");
    assert_eq!(world.members("Admins").len(), 600);
    assert_eq!(world.writes(), Vec::<String>::new());
}
