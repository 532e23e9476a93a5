//! Tests of the planner, with files as text and an account as a list.

mod blocked;
mod exclusive;
mod guards;
mod modes;
mod operations;
mod saved;
mod undo;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Action, Guard, Method, Plan, Policy, plan};
use crate::config::{self, Source};
use crate::model::{
    AccountId, Desired, GroupId, GroupName, GroupSummary, Member, MemberId, Observed, Person, PersonStatus, Status,
};

/// The id with this number.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u64) -> T {
    format!("{number:032x}").parse().unwrap()
}

/// The files' groups and settings, below the version.
fn desired(text: &str) -> Desired {
    let bytes = format!("version: 1\n{text}").into_bytes();
    config::parse(&[Source { path: "convoke.yaml".into(), bytes }]).unwrap_or_else(|problems| panic!("{problems}"))
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Builds an account. People are numbered, and p7 has the address p7@example.com.
#[derive(Clone, Default)]
struct Account(Observed);

fn member_id(number: u64) -> MemberId {
    id(1000 + number)
}

fn email(number: u64) -> String {
    format!("p{number}@example.com")
}

impl Account {
    fn group(mut self, name: &str, members: impl IntoIterator<Item = u64>) -> Self {
        let group: GroupId = id(self.0.groups.len() as u64 + 1);
        let member = |number| {
            let status = Some(Status::Accepted);
            (member_id(number), Arc::new(Member { id: member_id(number), email: email(number).parse().ok(), status }))
        };
        self.0.groups.insert(group, GroupSummary { name: name.into(), created_on: None, grants: Vec::new() });
        self.0.memberships.insert(group, Arc::new(members.into_iter().map(member).collect()));
        self
    }

    /// A person who was looked up among the account's members.
    fn person(mut self, number: u64, address: &str, status: PersonStatus) -> Self {
        let emails = [address.parse().unwrap()].into();
        self.0.people.insert(member_id(number), Person { emails, status, user_id: None, two_factor: None });
        self
    }

    fn accepted(self, numbers: impl IntoIterator<Item = u64>) -> Self {
        let known = PersonStatus::Known(Status::Accepted);
        numbers.into_iter().fold(self, |account, number| account.person(number, &email(number), known.clone()))
    }

    fn plan(&self, files: &str) -> Plan {
        self.plan_at(files, "2026-06-15T12:00:00Z")
    }

    fn plan_at(&self, files: &str, at: &str) -> Plan {
        plan(&desired(files), &self.0, &policy(), time(at))
    }
}

fn policy() -> Policy {
    Policy { expiring_within: SignedDuration::from_hours(7 * 24), ..Policy::new(id::<AccountId>(9)) }
}

/// A group in the files with these people.
fn listing(name: &str, extra: &str, people: impl IntoIterator<Item = u64>) -> String {
    let people: Vec<String> = people.into_iter().map(email).collect();
    format!("  {name}:\n    members: [{}]\n{extra}", people.join(", "))
}

/// The effects of a group's operations in short form.
fn operations(plan: &Plan, group: &str) -> Vec<(Method, usize)> {
    let group = plan.groups.iter().find(|planned| planned.name == GroupName::from(group)).unwrap();
    group.operations.iter().map(|operation| (operation.method(), operation.members().len())).collect()
}

fn refused(plan: &Plan) -> Vec<Guard> {
    plan.refusals.iter().map(|refusal| refusal.guard).collect()
}

fn changes(plan: &Plan, group: &str) -> (Vec<String>, Vec<String>) {
    let group = plan.groups.iter().find(|planned| planned.name == GroupName::from(group)).unwrap();
    let of = |action| {
        let changes = group.changes.iter().filter(move |change| change.action == action);
        changes.map(|change| change.member.email.as_ref().unwrap().to_string()).collect()
    };
    (of(Action::Add), of(Action::Remove))
}
