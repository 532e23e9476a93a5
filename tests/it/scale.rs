//! A medium-sized account: planned, applied, and then in sync.

use std::collections::{BTreeMap, BTreeSet};

use convoke::sandbox::{Invitation, Seed, SeedPerson};

use crate::builders::{SeedExt as _, SeedPersonExt as _};
use crate::harness::{World, config, given};

const GROUPS: usize = 40;
const LARGE: usize = 1200;

/// The declared members of each group, in the spelling of the files.
fn desired() -> BTreeMap<String, Vec<String>> {
    let small = (0..GROUPS - 2).map(|group| {
        let members = (0..12).map(|member| format!("User.{}@Example.com", group * 5 + member)).collect();
        (format!("Team {group:02}"), members)
    });
    let large = (0..LARGE).map(|number| format!("everyone-{number}@EXAMPLE.com")).collect();
    small.chain([("Everyone".to_owned(), large), ("Nobody".to_owned(), Vec::new())]).collect()
}

/// The account. All people are members, some with a pending invitation. Every group differs from the files, except
/// the empty one.
fn account(desired: &BTreeMap<String, Vec<String>>) -> Seed {
    let everybody: BTreeSet<String> = desired.values().flatten().map(|email| email.to_lowercase()).collect();
    let people = everybody.iter().enumerate().map(|(at, email)| {
        let person = SeedPerson::of(email);
        person.status(if at % 7 == 0 { Invitation::Pending } else { Invitation::Accepted })
    });
    let seed = Seed::default().people(people);
    desired.iter().enumerate().fold(seed, |seed, (at, (name, members))| {
        // Some groups lack one member, others three. All except the empty one have up to four unexpected members.
        let missing = if at % 2 == 0 { 1 } else { 3 };
        let strangers = if members.is_empty() { 0 } else { 1 + at % 4 };
        let present = members.iter().skip(missing).map(|email| email.to_lowercase());
        let strangers = (0..strangers).map(|number| format!("stranger-{at}-{number}@example.com"));
        seed.group(name, present.chain(strangers).collect::<Vec<_>>())
    })
}

fn world() -> World {
    let desired = desired();
    let lists: Vec<(&str, Vec<&str>)> =
        desired.iter().map(|(name, members)| (name.as_str(), members.iter().map(String::as_str).collect())).collect();
    let lists: Vec<(&str, &[&str])> = lists.iter().map(|(name, members)| (*name, members.as_slice())).collect();
    given(account(&desired)).file("convoke.yaml", config(&lists))
}

#[test]
fn forty_groups_converge_with_few_requests() {
    let world = world();
    let planned = world.run("plan --format json").exits(0).json();
    assert_eq!(planned["summary"]["groups"], 40);
    assert_eq!(planned["summary"]["changed"], 39);
    assert_eq!(world.writes(), Vec::<String>::new());

    let requests = planned["summary"]["requests"].as_u64().unwrap();
    world.forget_requests();
    world.run("apply --yes").exits(0).says("The account is in sync: 40 groups.");
    assert_eq!(world.writes().len() as u64, requests);
    for (group, members) in desired() {
        let wanted: BTreeSet<String> = members.iter().map(|email| email.to_lowercase()).collect();
        assert_eq!(world.members(&group).into_iter().collect::<BTreeSet<_>>(), wanted, "{group}");
    }

    world.forget_requests();
    let again = world.run("plan --detailed-exitcode").exits(0);
    assert_eq!(again.stdout, "No changes. 40 groups in sync.\n");
    let pages = LARGE.div_ceil(500);
    assert_eq!(world.request_count(), 1 + (GROUPS - 1) + pages);
    assert!(world.account().requests().iter().all(|request| request.method == "GET"));
}

/// Each unknown entry is compared with the members of its group. That must not mean all entries times all members.
#[test]
fn thousands_of_unknown_entries_are_shown() {
    let members: Vec<String> = (0..2000).map(|number| format!("p{number:05}@example.com")).collect();
    let entries: Vec<String> = (0..5000).map(|number| format!("unknown.person{number:05}@example.org")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let world =
        given(Seed::default().group("Everyone", members)).file("convoke.yaml", config(&[("Everyone", &entries)]));
    for format in ["text", "markdown", "github"] {
        world.run(&format!("plan --format {format}")).exits(3).says("unknown.person00000@example.org");
    }
}
