//! Random files and accounts, and a simulation of applying a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use convoke::model::{Desired, GroupId, MemberId, Mode, Observed, Status};
use convoke::plan::{GroupPlan, Operation, Plan, plan};
use jiff::Timestamp;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::account::{AccountBuilder, group_id, member, member_id, parsed, policy};

/// The number of people.
const PEOPLE: u8 = 9;

/// A group: its declaration and its members.
#[derive(Clone, Debug)]
pub struct GroupCase {
    pub mode: Mode,
    pub desired: BTreeSet<u8>,
    pub present: BTreeSet<u8>,
    /// Whether the list also names a person who is not an account member.
    pub stranger: bool,
}

/// Files and an account.
#[derive(Clone, Debug)]
pub struct Case {
    pub groups: Vec<GroupCase>,
}

pub fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![4 => Just(Mode::Exact), 1 => Just(Mode::Additive), 1 => Just(Mode::Observe)]
}

pub fn cases() -> impl Strategy<Value = Case> {
    let people = || btree_set(0..PEOPLE, 0..=usize::from(PEOPLE));
    let group = (mode(), people(), people(), prop::bool::weighted(0.15))
        .prop_map(|(mode, desired, present, stranger)| GroupCase { mode, desired, present, stranger });
    vec(group, 1..5).prop_map(|groups| Case { groups })
}

pub fn ids(people: &BTreeSet<u8>) -> BTreeSet<MemberId> {
    people.iter().map(|person| member_id(usize::from(*person))).collect()
}

/// The spelling of the files, which must not make a difference.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    /// Rotates the order of the lists and the groups.
    pub rotation: usize,
    /// Distributes the groups over additional files.
    pub further_files: usize,
    /// Writes addresses in capitals.
    pub shouting: bool,
    /// A prefix of the groups' names.
    pub prefix: &'static str,
}

impl Case {
    pub fn desired(&self, spelling: &Spelling) -> Desired {
        let files = spelling.further_files + 1;
        let mut texts = vec![String::from("version: 1\ngroups:\n"); files];
        let rotated = |count: usize| (0..count).map(move |at| (at + spelling.rotation) % count);
        for number in rotated(self.groups.len()) {
            let case = &self.groups[number];
            let people: Vec<u8> = case.desired.iter().copied().collect();
            let mut members: Vec<String> = rotated(people.len()).map(|at| address(people[at])).collect();
            members.extend(case.stranger.then(|| "stranger@example.com".into()));
            if spelling.shouting {
                members.iter_mut().for_each(|address| address.make_ascii_uppercase());
            }
            let _ = write!(
                texts[(number + spelling.rotation) % files],
                "  {}group {number}:\n    mode: {}\n    allow_empty: true\n    members: [{}]\n",
                spelling.prefix,
                case.mode,
                members.join(", ")
            );
        }
        let texts = texts.into_iter().enumerate().map(|(at, text)| (format!("{at}.yaml"), finished(text)));
        let texts: Vec<_> = texts.collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        parsed(&files)
    }

    pub fn current(&self, spelling: &Spelling) -> Observed {
        let mut account = AccountBuilder::default();
        for (number, case) in self.groups.iter().enumerate() {
            let members = case.present.iter();
            let members = members.map(|person| member(usize::from(*person), Some(&address(*person)), Status::Accepted));
            account = account.group_of(&format!("{}group {number}", spelling.prefix), members);
        }
        let known = Some(Status::Accepted);
        let everybody =
            (0..PEOPLE).fold(account, |account, person| account.person(usize::from(person), &address(person), known));
        everybody.observed
    }

    pub fn plan(&self) -> Plan {
        self.plan_as(&Spelling::default(), time())
    }

    pub fn plan_as(&self, spelling: &Spelling, time: Timestamp) -> Plan {
        plan(&self.desired(spelling), &self.current(spelling), &policy(), time)
    }

    /// The present members of the groups.
    pub fn present(&self) -> BTreeMap<GroupId, BTreeSet<MemberId>> {
        self.groups.iter().enumerate().map(|(number, case)| (group_id(number), ids(&case.present))).collect()
    }

    /// The same files with the account after a run.
    pub fn with_present(&self, present: &BTreeMap<GroupId, BTreeSet<MemberId>>) -> Self {
        let groups = self.groups.iter().enumerate().map(|(number, case)| {
            let there = |person: &u8| present[&group_id(number)].contains(&member_id(usize::from(*person)));
            GroupCase { present: (0..PEOPLE).filter(there).collect(), ..case.clone() }
        });
        Self { groups: groups.collect() }
    }
}

/// A file without groups has no `groups` key.
fn finished(text: String) -> String {
    if text.ends_with("groups:\n") { text.replace("groups:\n", "groups: {}\n") } else { text }
}

fn address(person: u8) -> String {
    format!("Person.{person}@example.com")
}

pub fn time() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

/// A request of a plan, and its group.
pub type Step<'a> = (&'a GroupPlan, &'a Operation);

/// The requests of a plan: first every POST, then the others. In each half the order of groups is arbitrary.
pub fn steps(plan: &Plan, rotation: usize) -> Vec<Step<'_>> {
    let all = || plan.groups.iter().flat_map(|group| group.operations.iter().map(move |operation| (group, operation)));
    let half = |posts: bool| {
        let mut half: Vec<Step<'_>> =
            all().filter(|(_, operation)| (matches!(operation, Operation::Post(_))) == posts).collect();
        let middle = rotation % half.len().max(1);
        half.rotate_left(middle);
        half
    };
    half(true).into_iter().chain(half(false)).collect()
}

/// Applies a request to a group's members.
pub fn carry_out(operation: &Operation, members: &mut BTreeSet<MemberId>) {
    match operation {
        Operation::Post(added) => members.extend(added),
        Operation::Put(all) => *members = all.iter().copied().collect(),
        Operation::Delete([member]) => drop(members.remove(member)),
    }
}
