//! What must hold after every step, whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};

use convoke::apply::Start;
use convoke::journal::{Outcome, Sent};
use convoke::model::{GroupId, MemberId};
use convoke::plan::{Action, Method};
use convoke::report::GroupReport;
use convoke::sandbox::{Endpoint, MembershipChange, Request};

use super::Violation;
use super::chronicle::{Carried, Chronicle, is};

/// The memberships right after a run.
pub type Memberships = BTreeMap<GroupId, BTreeSet<MemberId>>;

/// What holds of a run for good.
pub fn lasting(run: &Chronicle, history: &[MembershipChange]) -> Result<(), Violation> {
    let Some(carried) = &run.carried else { return wrote_nothing(run, history) };
    removed_as_planned(run, carried, history)?;
    kept_the_bounds(run, carried, history)?;
    moved_without_a_gap(run, carried, history)?;
    read_before_each_put(run)?;
    journal_tells(run, carried, history)
}

/// What holds right after a run.
pub fn ended(run: &Chronicle, history: &[MembershipChange], now: &Memberships) -> Result<(), Violation> {
    match &run.carried {
        Some(carried) => report_tells(run, carried, history, now),
        None => Ok(()),
    }
}

fn wrote_nothing(run: &Chronicle, history: &[MembershipChange]) -> Result<(), Violation> {
    if let Some(write) = run.requests.iter().find(|request| request.method != "GET") {
        return Err(format!("a run that was not to write did: {write:?}"));
    }
    match run.did(history).next() {
        Some(change) => Err(format!("a run that was not to write changed the account: {change:?}")),
        None => Ok(()),
    }
}

/// Who is removed was to be removed, or came in after the last reading before a PUT: nobody can help that.
fn removed_as_planned(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    for left in run.did(history).filter(|change| !change.joined) {
        let Some(group) = carried.made.group(left.group) else {
            return Err(format!("somebody was removed from a group that is not planned: {left:?}"));
        };
        if group.removals().any(|change| change.member.id == left.member) {
            if carried.made.plan.blocked.iter().any(|blocked| blocked.group == group.name) {
                return Err(format!("somebody was removed while an entry of the group's list is unresolved: {left:?}"));
            }
            let listed = carried.made.bounds.listed.get(&left.group);
            if listed.is_some_and(|listed| listed.contains(&left.member)) {
                return Err(format!("somebody was removed who is on the group's list: {left:?}"));
            }
            continue;
        }
        if group.observed.contains_key(&left.member) {
            return Err(format!("somebody lost access who was in the group and is to stay: {left:?}"));
        }
        if !crossed(run, history, left) {
            return Err(format!("a PUT removed somebody whom the reading before it had shown: {left:?}"));
        }
    }
    Ok(())
}

/// Whether somebody else had done the opposite after the last whole reading of the group before the request that did
/// this: a PUT takes back what nothing has told it of.
fn crossed(run: &Chronicle, history: &[MembershipChange], change: &MembershipChange) -> bool {
    let number = change.request.unwrap_or_default();
    let before: Vec<&MembershipChange> = history.iter().take_while(|other| other.request != Some(number)).collect();
    let opposite = |other: &&&MembershipChange| is(other, change.group, change.member, !change.joined);
    let Some(opposite) = before.iter().rev().find(opposite) else { return false };
    let reads = |request: &&Request| {
        request.operation == Some(Endpoint::ListMembers)
            && request.group == Some(change.group)
            && request.number < number
    };
    // Several pages make a reading: one that began before somebody came may not show them.
    let last = run.requests.iter().filter(reads).filter(|request| is_first_page(request)).map(|request| request.number);
    last.max().is_none_or(|read| opposite.after >= read)
}

fn is_first_page(request: &Request) -> bool {
    request.query.as_deref().is_some_and(|query| query.split('&').any(|pair| pair == "page=1"))
}

fn kept_the_bounds(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    let Carried { made, accepted, .. } = carried;
    let mut removed: BTreeMap<GroupId, BTreeSet<MemberId>> = BTreeMap::new();
    for left in run.did(history).filter(|change| !change.joined) {
        // Who came in behind the plan's back is no matter of its bounds.
        if made.group(left.group).is_some_and(|group| group.observed.contains_key(&left.member)) {
            removed.entry(left.group).or_default().insert(left.member);
            if made.bounds.protected.contains(&left.member) {
                return Err(format!("somebody protected was removed: {left:?}"));
            }
        }
    }
    if !accepted {
        for (group, members) in &removed {
            let allowed = made.bounds.group_removals.get(group).copied().unwrap_or(0);
            if members.len() as u64 > allowed {
                return Err(format!("{} were removed from {group}, {allowed} may be", members.len()));
            }
        }
        let total: usize = removed.values().map(BTreeSet::len).sum();
        // Within one group its own limit is what counts.
        let losing = made.plan.groups.iter().filter(|group| group.removals().next().is_some()).count();
        if losing > 1 && total as u64 > made.bounds.total_removals {
            return Err(format!("{total} were removed in all, {} may be", made.bounds.total_removals));
        }
    }
    for (group, least) in &made.bounds.least {
        let Some(group) = made.group(*group).filter(|group| !group.operations.is_empty()) else { continue };
        if (group.target().len() as u64) < *least {
            return Err(format!("{:?} was to have {} members, not {least}", group.name, group.target().len()));
        }
    }
    Ok(())
}

/// Who moves from one group to another is in the other before leaving the one.
fn moved_without_a_gap(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    let made = &carried.made;
    for left in run.did(history).filter(|change| !change.joined) {
        let planned = |(group, action, member)| (group, action, member) == (left.group, Action::Remove, left.member);
        if !made.changes().any(planned) {
            continue;
        }
        let before = history.iter().take_while(|change| change.request != left.request);
        let since: Vec<&MembershipChange> = before.skip(made.seen).collect();
        for (other, action, member) in made.changes() {
            if (action, member) != (Action::Add, left.member) {
                continue;
            }
            if !since.iter().any(|change| is(change, other, member, true)) {
                return Err(format!("{member} left {} before joining {other}", left.group));
            }
        }
    }
    Ok(())
}

/// Between the last reading of a group and a PUT nothing else is asked of it.
fn read_before_each_put(run: &Chronicle) -> Result<(), Violation> {
    for (at, put) in run.requests.iter().enumerate().filter(|(_, request)| request.method == "PUT") {
        let before = run.requests[..at].iter().rev().find(|request| request.group == put.group);
        if before.is_none_or(|request| request.operation != Some(Endpoint::ListMembers)) {
            return Err(format!("a PUT was sent without reading the group before it: {put:?}"));
        }
    }
    Ok(())
}

/// Whatever the run did stands in its journal; what the journal denies, the run did not do.
fn journal_tells(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    let operations: Vec<&Sent> = carried.record.groups.values().flat_map(|group| &group.operations).collect();
    for change in run.did(history) {
        let planned = carried.made.changes().any(|(group, action, member)| {
            (group, action == Action::Add, member) == (change.group, change.joined, change.member)
        });
        if !planned && crossed(run, history, change) {
            continue;
        }
        let mut told = operations.iter().filter(|operation| {
            let named = if change.joined { &operation.effect.adds } else { &operation.effect.removes };
            operation.effect.group.id == change.group && named.contains(&change.member)
        });
        if !told.any(|operation| matches!(operation.outcome, Outcome::Answered | Outcome::Unknown)) {
            return Err(format!("the journal does not tell of {change:?}\n{operations:#?}"));
        }
    }
    for operation in operations.iter().filter(|operation| operation.outcome == Outcome::Answered) {
        let effect = &operation.effect;
        let method = match effect.request.method() {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        let sent = |request: &Request| request.method == method && request.group == Some(effect.group.id);
        if !run.requests.iter().any(sent) {
            return Err(format!("the journal tells of an operation that was never sent: {operation:?}"));
        }
    }
    Ok(())
}

/// What the report says of each change is so, unless somebody else touched it.
fn report_tells(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
    now: &Memberships,
) -> Result<(), Violation> {
    let Carried { made, report: Some(report), .. } = carried else { return Ok(()) };
    let groups: BTreeMap<GroupId, &GroupReport> = report.groups.iter().map(|group| (group.id, group)).collect();
    for (group, action, member) in made.changes() {
        let Some(told) = groups.get(&group) else { return Err(format!("the report does not name {group}")) };
        let done = told.added.iter().filter(|_| action == Action::Add);
        let done = done.chain(told.removed.iter().filter(|_| action == Action::Remove));
        let done = done.filter(|subject| subject.id == member).count();
        let failed: Vec<&str> = told
            .failed
            .iter()
            .filter(|failed| (failed.action, failed.member.id) == (action, member))
            .map(|failed| failed.reason.as_str())
            .chain(
                told.skipped
                    .iter()
                    .chain(&told.kept)
                    .filter(|skipped| (skipped.action, skipped.member.id) == (action, member))
                    .map(|skipped| skipped.reason.as_str()),
            )
            .collect();
        // Only what was so before the run is told nowhere.
        let told_once = done + failed.len() == 1;
        let was_so = match &carried.before {
            Start::Planned => false,
            Start::Rechecked(before) => {
                before.get(&group).is_some_and(|before| before.contains(&member) == (action == Action::Add))
            }
        };
        let own = run.did(history).any(|change| is(change, group, member, action == Action::Add));
        let rightly_untold = (was_so || !own) && done + failed.len() == 0;
        if !told_once && !rightly_untold {
            return Err(format!("{action:?} {member} in {group} is told {done} times done and {failed:?}"));
        }
        let Some(present) = now.get(&group) else { continue };
        if run.meddled(history, made.seen, group, member) {
            continue;
        }
        let is_so = present.contains(&member) == (action == Action::Add);
        let unknown = failed.iter().any(|reason| reason.contains("not known"));
        if !unknown && is_so != failed.is_empty() {
            return Err(format!("{action:?} {member} in {group}: done is {is_so}, the report says {done} {failed:?}"));
        }
    }
    if report.complete {
        for group in &made.plan.groups {
            let Some(present) = now.get(&group.id) else { continue };
            let differing: Vec<MemberId> = group.target().symmetric_difference(present).copied().collect();
            if let Some(member) = differing.iter().find(|id| !run.meddled(history, made.seen, group.id, **id)) {
                return Err(format!("the report is complete, and yet {member} differs in {:?}", group.name));
            }
        }
    }
    Ok(())
}
