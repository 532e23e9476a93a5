//! Tests of the planner, with files as text and an account as a list.

mod base;
mod blocked;
mod exclusive;
mod guards;
mod modes;
mod operations;
mod saved;
mod undo;

use convoke::model::{Desired, GroupId, GroupName, MemberId, Status};
use convoke::plan::{Action, Guard, Plan, Policy, plan};
use jiff::Timestamp;

use crate::account::{AccountBuilder, group_id, member, member_id, method, parsed, policy};

/// The files' groups and settings, below the version.
fn desired(text: &str) -> Desired {
    parsed(&[("convoke.yaml", &format!("version: 1\n{text}"))])
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The address of the person with this number.
fn email(number: usize) -> String {
    format!("p{number}@example.com")
}

/// Accounts of numbered people: p7 has the address p7@example.com.
impl AccountBuilder {
    fn group(self, name: &str, members: impl IntoIterator<Item = usize>) -> Self {
        self.group_of(name, members.into_iter().map(|number| member(number, Some(&email(number)), Status::Accepted)))
    }

    fn accepted(self, numbers: impl IntoIterator<Item = usize>) -> Self {
        let known = Some(Status::Accepted);
        numbers.into_iter().fold(self, |account, number| account.person(number, &email(number), known))
    }

    fn plan(&self, files: &str) -> Plan {
        self.plan_at(files, "2026-06-15T12:00:00Z")
    }

    fn plan_at(&self, files: &str, at: &str) -> Plan {
        plan(&desired(files), &self.observed, &policy(), time(at))
    }
}

/// A group in the files with these people.
fn listing(name: &str, extra: &str, people: impl IntoIterator<Item = usize>) -> String {
    let people: Vec<String> = people.into_iter().map(email).collect();
    format!("  {name}:\n    members: [{}]\n{extra}", people.join(", "))
}

/// The effects of a group's operations in short form.
fn operations(plan: &Plan, group: &str) -> Vec<(&'static str, usize)> {
    let group = plan.groups.iter().find(|planned| planned.name == GroupName::from(group)).unwrap();
    group.operations.iter().map(|operation| (method(operation), operation.members().len())).collect()
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
