//! The invariants after every step, whatever faults occurred.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use convoke::cloudflare::Fate;
use convoke::journal::SentRequest;
use convoke::model::{GroupId, MemberId, Mode};
use convoke::plan::{Action, BlockedReason, GroupPlan};
use convoke::report::{GroupOutcome, GroupReport, Report};
use convoke::sandbox::{Endpoint, Fault, MembershipChange, Request};
use tokio::time::Instant;

use super::Violation;
use super::chronicle::{Carried, Chronicle, Made, is};
use super::view::{DECIDING, View};
use crate::account::method;

/// The memberships right after a run.
pub type Memberships = BTreeMap<GroupId, BTreeSet<MemberId>>;

/// The invariants of a run that stay true forever.
pub fn lasting(run: &Chronicle, history: &[MembershipChange]) -> Result<(), Violation> {
    let Some(carried) = &run.carried else { return wrote_nothing(run, history) };
    removed_as_planned(run, carried, history)?;
    kept_the_bounds(run, carried, history)?;
    requests_keep_to_the_plan(run, carried, history)?;
    readings_are_recent(run, carried, history)?;
    read_before_each_put(run)?;
    journal_is_true(run, carried, history)
}

/// The invariants immediately after a run.
pub fn ended(run: &Chronicle, history: &[MembershipChange], now: &Memberships) -> Result<(), Violation> {
    match &run.carried {
        Some(carried) => report_is_true(run, carried, history, now),
        None => Ok(()),
    }
}

fn wrote_nothing(run: &Chronicle, history: &[MembershipChange]) -> Result<(), Violation> {
    if let Some(write) = run.requests.iter().find(|request| request.method != "GET") {
        return Err(format!("a run without a plan to apply sent a write: {write:?}"));
    }
    match run.did(history).next() {
        Some(change) => Err(format!("a run without a plan to apply changed the account: {change:?}")),
        None => Ok(()),
    }
}

/// The plan removes every member whom the run removed. One exception cannot be prevented: a PUT removes a member who
/// joined after the reading before it.
fn removed_as_planned(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    for left in run.did(history).filter(|change| !change.joined) {
        let Some(group) = carried.made.group(left.group) else {
            return Err(format!("somebody was removed from a group that is not planned: {left:?}"));
        };
        if !group.removals().any(|change| change.member.id == left.member) {
            if !crossed(run, carried, history, left) {
                let what = "a PUT removed somebody whom the reading before it had shown";
                return Err(format!("{what}: {left:?}\n{}", run.log_of(left.group)));
            }
            continue;
        }
        let has_ended = carried.made.bounds.ended.contains(&(left.group, left.member));
        if !has_ended && carried.made.bounds.unresolved.contains(&group.name) {
            return Err(format!("somebody was removed while an entry of the group's list is unresolved: {left:?}"));
        }
        if carried.made.bounds.spared.contains(&left.member) {
            return Err(format!("somebody was removed whom an unresolved entry may mean: {left:?}"));
        }
        let listed = carried.made.bounds.surely_listed.get(&left.group);
        if listed.is_some_and(|listed| listed.contains(&left.member)) {
            return Err(format!("somebody was removed who is on the group's list: {left:?}"));
        }
    }
    Ok(())
}

/// Whether another actor had made the opposite change so late that the last reading before the request did not show it.
/// A PUT reverses such a change.
fn crossed(run: &Chronicle, carried: &Carried, history: &[MembershipChange], change: &MembershipChange) -> bool {
    let view = View::before(Duration::ZERO, change.request.unwrap_or_default(), change.group, run, carried, history);
    let before = history.iter().take_while(|other| other.request != change.request).copied().collect::<Vec<_>>();
    !view.certain || view.is_outdated_by(&before, change.group, change.member)
}

/// Each request, with or without effect, names only planned changes and breaks no guard, given what the run could know
/// when it sent the request.
fn requests_keep_to_the_plan(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
) -> Result<(), Violation> {
    let made = &carried.made;
    for request in run.requests.iter().filter(|request| request.method != "GET") {
        let Some(group) = request.group.and_then(|id| made.group(id)) else {
            return Err(format!("a write to a group that is not planned: {request:?}"));
        };
        let view = View::before(Duration::ZERO, request.number, group.id, run, carried, history);
        let leaving: BTreeSet<MemberId> = group.removals().map(|change| change.member.id).collect();
        let joining: BTreeSet<MemberId> = group.additions().map(|change| change.member.id).collect();
        let named: BTreeSet<MemberId> = request.body_ids.iter().copied().collect();
        let (dropped, added, left) = match request.operation {
            Some(Endpoint::AddMembers) => (BTreeSet::new(), named, None),
            Some(Endpoint::ReplaceMembers) => (&view.members - &named, &named - &view.members, Some(named.len())),
            _ => {
                let dropped: BTreeSet<MemberId> = request.member.into_iter().collect();
                let left = &(&view.members - &view.gone) - &dropped;
                (dropped, BTreeSet::new(), Some(left.len()))
            }
        };
        if request.operation == Some(Endpoint::ReplaceMembers) {
            ends_in_the_target(request, group, &view)?;
            if !view.certain {
                continue;
            }
        }
        if let Some(other) = dropped.difference(&leaving).next() {
            return Err(format!(
                "a request removes {other}, whom the plan does not remove: {request:?}\n{view:?}\n{}",
                run.log_of(view.group)
            ));
        }
        if let Some(other) = added.difference(&joining).next() {
            return Err(format!(
                "a request adds {other}, whom the plan does not add: {request:?}\n{view:?}\n{}",
                run.log_of(view.group)
            ));
        }
        let least = made.bounds.least.get(&group.id).copied().unwrap_or_default();
        let takes_out = dropped.iter().any(|id| view.members.contains(id));
        if takes_out && view.certain && left.is_some_and(|left| (left as u64) < least) {
            return Err(format!(
                "a request leaves fewer than {least}: {request:?}\n{view:?}\n{}",
                run.log_of(view.group)
            ));
        }
        if takes_out && view.certain && !carried.accepted {
            keeps_the_limits(run, carried, request, &view, &dropped)?;
        }
        for member in &added {
            joins_no_exclusive_group(run, carried, history, request, *member)?;
        }
        for member in &dropped {
            moves_with_proof(run, carried, history, request, *member)?;
        }
    }
    Ok(())
}

pub fn is_exclusion(reason: &BlockedReason) -> bool {
    matches!(
        reason,
        BlockedReason::Exclusive { .. } | BlockedReason::ExclusiveMember { .. } | BlockedReason::ExclusiveOrder { .. }
    )
}

/// No request adds a member to a group while the last reading shows them in a group that excludes it. That reading is
/// there, and it is recent.
fn joins_no_exclusive_group(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
    request: &Request,
    member: MemberId,
) -> Result<(), Violation> {
    let pairs = &carried.made.bounds.exclusive;
    for (_, other) in pairs.iter().filter(|(joined, _)| Some(*joined) == request.group) {
        let views =
            [Duration::ZERO, DECIDING].map(|time| View::before(time, request.number, *other, run, carried, history));
        if views.iter().all(|view| view.certain && view.members.contains(&member)) {
            return Err(format!(
                "a request adds {member} while a group that excludes this one shows them: {request:?}\n{}",
                run.log_of(*other)
            ));
        }
        is_recent(run, carried, request, &views[0])
            .map_err(|why| format!("{why}, and it excludes the group that {member} joins: {request:?}"))?;
    }
    Ok(())
}

/// How late a request may arrive after it was sent.
const ON_ITS_WAY: Duration = Duration::from_millis(600);

/// No write relies on a reading that is ten seconds old, or that came before a question or a wait of a second. This
/// holds for the group, and for the list of all groups.
fn readings_are_recent(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    for request in run.requests.iter().filter(|request| request.method != "GET") {
        let Some(group) = request.group else { continue };
        if carried.renamed.contains(&group) {
            return Err(format!(
                "a write to a group that had another name when the question was answered: {request:?}"
            ));
        }
        let view = View::before(Duration::ZERO, request.number, group, run, carried, history);
        let fail = |why: String| format!("{why}: {request:?}\n{}", run.log_of(group));
        is_recent(run, carried, request, &view).map_err(fail)?;
        let is_list = |list: &&Request| {
            list.operation == Some(Endpoint::ListGroups)
                && list.status_sent == Some(200)
                && list.answered.is_some_and(|answered| answered <= request.arrived)
        };
        let listed = run.requests.iter().filter(is_list).map(|list| list.arrived).max();
        if interruptions(run, carried).any(|wait| wait.outdates(listed, request)) {
            return Err(fail("the list of groups was not read again after a wait".into()));
        }
    }
    Ok(())
}

/// Whether a request may rely on this reading.
fn is_recent(run: &Chronicle, carried: &Carried, request: &Request, view: &View) -> Result<(), Violation> {
    let Some(read_at) = view.read_at else { return Err(format!("{} was not read", view.group)) };
    let age = request.arrived.saturating_duration_since(read_at);
    if age > Duration::from_secs(10) + ON_ITS_WAY {
        return Err(format!("the reading of {} is {age:?} old", view.group));
    }
    match interruptions(run, carried).any(|wait| wait.outdates(Some(read_at), request)) {
        true => Err(format!("{} was not read again after a wait", view.group)),
        false => Ok(()),
    }
}

/// A question, or a wait that the API asked for.
struct Interruption {
    since: Instant,
    until: Instant,
}

impl Interruption {
    fn outdates(&self, read: Option<Instant>, request: &Request) -> bool {
        read.is_none_or(|read| read < self.since) && request.arrived > self.until + ON_ITS_WAY
    }
}

fn interruptions(run: &Chronicle, carried: &Carried) -> impl Iterator<Item = Interruption> {
    let question = carried.answered.map(|answered| Interruption { since: answered, until: answered });
    let waits = run.requests.iter().filter_map(|request| {
        let Some(Fault::Respond(respond)) = &request.fault else { return None };
        let seconds = respond.retry_after.filter(|seconds| respond.status == 429 && !respond.bare && *seconds > 0)?;
        let since = request.answered?;
        Some(Interruption { since, until: since + Duration::from_secs(seconds) })
    });
    // An answer that nobody waits for any more holds nothing back.
    let waits = waits.filter(|wait| {
        let meanwhile = wait.since + Duration::from_millis(100)..wait.until - Duration::from_millis(50);
        !run.requests.iter().any(|request| meanwhile.contains(&request.arrived))
    });
    waits.chain(question)
}

/// A PUT ends in the plan's target, without the members whom the API refuses, and with those who must stay. It is not
/// sent if the reading before it shows a change by another actor. If the plan does not decide about everybody, the PUT
/// does not change the others.
fn ends_in_the_target(request: &Request, group: &GroupPlan, view: &View) -> Result<(), Violation> {
    let named: BTreeSet<MemberId> = request.body_ids.iter().copied().collect();
    let target = group.target();
    let leaving: BTreeSet<MemberId> = group.removals().map(|change| change.member.id).collect();
    let joining: BTreeSet<MemberId> = group.additions().map(|change| change.member.id).collect();
    let (mut additional, mut lost) = (&(&named - &target) - &leaving, &(&target - &joining) - &named);
    if group.required.is_some() {
        if !view.certain {
            return Ok(());
        }
        additional = &additional - &view.members;
        lost = &lost & &view.members;
    }
    match additional.union(&lost).next() {
        Some(member) => Err(format!("a PUT to a group that somebody else changed: {member}, {request:?}")),
        None => Ok(()),
    }
}

/// The limits hold at every request, for the members of the group by the answers before it and the members whom the
/// run has removed.
fn keeps_the_limits(
    run: &Chronicle,
    carried: &Carried,
    request: &Request,
    view: &View,
    dropped: &BTreeSet<MemberId>,
) -> Result<(), Violation> {
    let made = &carried.made;
    let removed = |group: &GroupPlan| run.may_have_removed(group, request.number);
    let Some(group) = made.group(view.group) else { return Ok(()) };
    let gone = &removed(group) | &(dropped & &view.members);
    let present = (&view.members | &gone).len() as u64;
    let counted = counted(made, group, &gone);
    let allowed = made.bounds.group_removals.get(&group.id).map_or(0, |limit| limit.allows(present, 1));
    if counted > allowed {
        return Err(format!(
            "{counted} of {present} are removed; the limit allows {allowed}: {request:?}\n{view:?}\n{}",
            run.log_of(view.group)
        ));
    }
    let losing = made.plan.groups.iter().filter(|group| group.removals().next().is_some()).count();
    if losing < 2 && !made.bounds.due {
        return Ok(());
    }
    let gone_from = |other: &GroupPlan| if other.id == group.id { gone.clone() } else { removed(other) };
    let total: u64 = made.plan.groups.iter().map(|other| in_total(made, other, &gone_from(other))).sum();
    let (declared, allowed) = (made.bounds.declared, made.bounds.total_allowed());
    match total > allowed {
        true => Err(format!("{total} memberships are removed, {declared} declared, {allowed} allowed: {request:?}")),
        false => Ok(()),
    }
}

/// How many of these removals the limits count.
fn counted(made: &Made, group: &GroupPlan, gone: &BTreeSet<MemberId>) -> u64 {
    gone.iter().filter(|member| !made.bounds.exempt.contains(&(group.id, **member))).count() as u64
}

/// A due run has one limit, which counts all removals.
fn in_total(made: &Made, group: &GroupPlan, gone: &BTreeSet<MemberId>) -> u64 {
    if made.bounds.due { gone.len() as u64 } else { counted(made, group, gone) }
}

/// A member who moves is shown in the new group before a request removes them from the old one.
fn moves_with_proof(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
    request: &Request,
    member: MemberId,
) -> Result<(), Violation> {
    let other = |change: &(GroupId, Action, MemberId)| (change.1, change.2) == (Action::Add, member);
    let leaves = request.group.unwrap();
    // A removal by an ended entry waits for no addition.
    if carried.made.bounds.ended.contains(&(leaves, member)) {
        return Ok(());
    }
    let waits = |group: GroupId| {
        let additions = carried.made.group(group).into_iter().flat_map(GroupPlan::additions);
        additions.filter(|change| change.member.id == member).any(|change| change.after.iter().any(|g| g.id == leaves))
    };
    for (other, ..) in carried.made.changes().filter(other).filter(|(other, ..)| !waits(*other)) {
        let view = View::before(Duration::ZERO, request.number, other, run, carried, history);
        // An answer without the member may not have arrived yet when the run decided.
        let earlier = View::before(DECIDING, request.number, other, run, carried, history);
        let was_shown =
            !earlier.certain || earlier.members.contains(&member) || run.has_just_shown(request, other, member);
        if view.certain && !view.members.contains(&member) && !was_shown {
            return Err(format!(
                "{member} is to leave without being shown in {other}: {request:?}\n{view:?}\n{}{}",
                run.log_of(view.group),
                request.group.map(|group| run.log_of(group)).unwrap_or_default()
            ));
        }
        is_recent(run, carried, request, &view)
            .map_err(|why| format!("{why}, and {member} is to leave for it: {request:?}"))?;
    }
    Ok(())
}

fn kept_the_bounds(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    let Carried { made, accepted, .. } = carried;
    let mut removed: BTreeMap<GroupId, BTreeSet<MemberId>> = BTreeMap::new();
    for left in run.did(history).filter(|change| !change.joined) {
        // The bounds are for the members whom the plan observed. Members who joined later do not count.
        if made.group(left.group).is_some_and(|group| group.observed.contains_key(&left.member)) {
            removed.entry(left.group).or_default().insert(left.member);
            if made.bounds.protected.contains(&left.member) {
                return Err(format!("a protected member was removed: {left:?}"));
            }
        }
    }
    if !accepted {
        let mut total = 0;
        for (group, members) in &removed {
            let Some(planned) = made.group(*group) else { continue };
            let (present, counted) = (planned.observed.len() as u64, counted(made, planned, members));
            let allowed = made.bounds.group_removals.get(group).map_or(0, |limit| limit.allows(present, 1));
            if counted > allowed {
                return Err(format!("{counted} of {members:?} were removed from {group}; the limit allows {allowed}"));
            }
            total += in_total(made, planned, members);
        }
        // If only one group loses members, only its own limit applies.
        let losing = made.plan.groups.iter().filter(|group| group.removals().next().is_some()).count();
        let allowed = made.bounds.total_allowed();
        if (losing > 1 || made.bounds.due) && total > allowed {
            return Err(format!("{total} memberships were removed; the limit allows {allowed}"));
        }
    }
    // After a saved plan was refused, others may have made its changes in a group. The plan then has no operations there.
    // If it does not decide about everybody, others may have joined.
    for (group, least) in made.bounds.least.iter().filter(|(group, _)| removed.contains_key(group)) {
        let Some(group) = made.group(*group).filter(|group| !group.operations.is_empty() && group.required.is_none())
        else {
            continue;
        };
        if (group.target().len() as u64) < *least {
            return Err(format!(
                "the target of {:?} has {} members, fewer than {least}",
                group.name,
                group.target().len()
            ));
        }
    }
    Ok(())
}

/// Between the last reading of a group and a PUT there is no other request for the group.
fn read_before_each_put(run: &Chronicle) -> Result<(), Violation> {
    for (at, put) in run.requests.iter().enumerate().filter(|(_, request)| request.method == "PUT") {
        let before = run.requests[..at].iter().rev().find(|request| request.group == put.group);
        if before.is_none_or(|request| request.operation != Some(Endpoint::ListMembers)) {
            return Err(format!("a PUT was sent without reading the group before it: {put:?}"));
        }
    }
    Ok(())
}

/// The journal contains everything that the run did, and every operation that it records as answered was sent.
fn journal_is_true(run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Result<(), Violation> {
    let operations: Vec<&SentRequest> = carried.record.operations.values().collect();
    for change in run.did(history) {
        let planned = carried.made.changes().any(|(group, action, member)| {
            (group, action == Action::Add, member) == (change.group, change.joined, change.member)
        });
        // A change that an earlier run of a saved plan made is not this run's change, even if a PUT makes it again.
        let was_so =
            carried.before.get(&change.group).is_some_and(|before| before.contains(&change.member) == change.joined);
        if (!planned || was_so) && crossed(run, carried, history, change) {
            continue;
        }
        let mut recorded = operations.iter().filter(|operation| {
            let named = if change.joined { &operation.effect.adds } else { &operation.effect.removes };
            operation.effect.group.id == change.group && named.contains(&change.member)
        });
        if !recorded.any(|operation| matches!(operation.outcome, Fate::Answered | Fate::Unknown)) {
            return Err(format!("the journal does not have {change:?}\n{operations:#?}"));
        }
    }
    for operation in operations.iter().filter(|operation| operation.outcome == Fate::Answered) {
        let effect = &operation.effect;
        let method = method(&effect.request);
        let sent = |request: &Request| request.method == method && request.group == Some(effect.group.id);
        if !run.requests.iter().any(sent) {
            return Err(format!("the journal has an operation that was never sent: {operation:?}"));
        }
    }
    Ok(())
}

/// The report's statement about each change is true, unless another actor touched the membership.
fn report_is_true(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
    now: &Memberships,
) -> Result<(), Violation> {
    let Carried { made, report: Some(report), .. } = carried else { return Ok(()) };
    let groups: BTreeMap<GroupId, &GroupReport> = report.groups.iter().map(|group| (group.id, group)).collect();
    for (group, action, member) in made.changes() {
        let Some(reported) = groups.get(&group) else { return Err(format!("the report does not name {group}")) };
        let done = reported.added.iter().filter(|_| action == Action::Add);
        let done = done.chain(reported.removed.iter().filter(|_| action == Action::Remove));
        let done = done.filter(|change| change.member.id == member).count();
        let failed: Vec<&str> = reported
            .failed
            .iter()
            .filter(|failed| (failed.action, failed.member.id) == (action, member))
            .map(|failed| failed.reason.as_str())
            .chain(
                reported
                    .skipped
                    .iter()
                    .chain(&reported.kept)
                    .filter(|skipped| (skipped.action, skipped.member.id) == (action, member))
                    .map(|skipped| skipped.reason.as_str()),
            )
            .collect();
        // A change is not reported only if its effect was there before the run.
        let is_reported_once = done + failed.len() == 1;
        let was_so =
            carried.before.get(&group).is_some_and(|before| before.contains(&member) == (action == Action::Add));
        let own = run.did(history).any(|change| is(change, group, member, action == Action::Add));
        let needs_no_report = (was_so || !own) && done + failed.len() == 0;
        if !is_reported_once && !needs_no_report {
            return Err(format!("{action:?} {member} in {group} is reported {done} times as done, and as {failed:?}"));
        }
        let Some(present) = now.get(&group) else { continue };
        let was_touched = run.was_touched(history, made.seen, group, member);
        let is_so = present.contains(&member) == (action == Action::Add);
        // Lagging readings are repeated until they are current.
        if own
            && is_so
            && !was_touched
            && failed.iter().any(|reason| reason.contains("the API accepted the change, but the m"))
        {
            return Err(format!(
                "{action:?} {member} in {group} was made, but is reported as {failed:?}\n{}",
                run.log_of(group)
            ));
        }
        let view = View::at_the_end(group, run, carried, history);
        let excused = !view.certain || view.is_outdated_by(history, group, member);
        if excused || was_touched {
            continue;
        }
        let unknown = failed.iter().any(|reason| reason.contains("unknown whether"));
        if !unknown && is_so != failed.is_empty() {
            return Err(format!("{action:?} {member} in {group}: done is {is_so}, the report says {done} {failed:?}"));
        }
    }
    exchanges_are_reported(run, carried, history, now, report)?;
    for group in &report.groups {
        let Some(planned) = made.group(group.id) else { return Err(format!("{group:?} is not planned")) };
        if group.in_sync {
            is_in_sync(run, carried, history, planned, now)?;
        } else if report.complete && planned.held.is_empty() && planned.mode != Mode::Observe && !planned.left_out {
            let read = group.outcome != GroupOutcome::NotRead;
            if read {
                return Err(format!("the report is complete, but {:?} is not in sync", group.name));
            }
        }
    }
    Ok(())
}

/// Of everybody whom a run has removed and not added in an exchange, the report says that they are in neither group. It
/// does not say so of anybody whom the last reading of one of the groups shows.
fn exchanges_are_reported(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
    now: &Memberships,
    report: &Report,
) -> Result<(), Violation> {
    let joins = carried.made.plan.groups.iter().flat_map(|group| group.additions().map(move |change| (group, change)));
    for (group, change) in joins.filter(|(_, change)| !change.after.is_empty()) {
        let member = change.member.id;
        let places: Vec<GroupId> = change.after.iter().map(|left| left.id).chain([group.id]).collect();
        if places.iter().any(|place| run.was_touched(history, carried.made.seen, *place, member)) {
            continue;
        }
        let failed = report.groups.iter().filter(|reported| reported.id == group.id).flat_map(|reported| {
            let unmade = reported.failed.iter().chain(&reported.skipped);
            unmade.filter(|it| it.action == Action::Add && it.member.id == member)
        });
        let reasons: Vec<&str> = failed.map(|unmade| unmade.reason.as_str()).collect();
        let fail = |why: &str| {
            let logs: String = places.iter().map(|place| run.log_of(*place)).collect();
            Err(format!("{why}: {member} of {places:?}, and the report says {reasons:?}\n{logs}"))
        };
        let is_in = |group: &GroupId| now.get(group).is_none_or(|present| present.contains(&member));
        let was_removed = change.after.iter().any(|left| run.did(history).any(|it| is(it, left.id, member, false)));
        let says = |words: &str| reasons.iter().any(|reason| reason.contains(words));
        if was_removed && !places.iter().any(is_in) && !says("neither") {
            return fail("somebody is in none of the groups of an exchange");
        }
        let is_shown = |place: &GroupId| {
            let view = View::at_the_end(*place, run, carried, history);
            view.certain && view.whole && view.members.contains(&member)
        };
        if says("is in neither") && places.iter().any(is_shown) {
            return fail("the last reading shows somebody of an exchange");
        }
    }
    Ok(())
}

/// A group is called "in sync" only if the last reading shows its target. Every difference then arose too late to be
/// shown.
fn is_in_sync(
    run: &Chronicle,
    carried: &Carried,
    history: &[MembershipChange],
    group: &GroupPlan,
    now: &Memberships,
) -> Result<(), Violation> {
    let view = View::at_the_end(group.id, run, carried, history);
    let fail = |why: String| {
        Err(format!("{:?} is reported as in sync, but {why}\n{view:?}\n{}", group.name, run.log_of(group.id)))
    };
    if !view.certain {
        return Ok(());
    }
    if !view.whole {
        return fail("it was not read completely after the last write".into());
    }
    if carried.made.plan.blocked.iter().any(|blocked| blocked.group == group.name) || !group.held.is_empty() {
        return fail("it has something blocked or held".into());
    }
    let bounds = &carried.made.bounds;
    let decides_all = bounds.asked.is_none() && !bounds.due;
    if decides_all
        && let (Some(listed), Some(surely)) = (bounds.listed.get(&group.id), bounds.surely_listed.get(&group.id))
    {
        let extra = view.members.difference(listed).find(|id| bounds.known.contains(id));
        let extra = extra.filter(|_| group.mode == Mode::Exact);
        if let Some(wrong) = surely.difference(&view.members).next().or(extra) {
            return fail(format!("{wrong} differs from its list"));
        }
    }
    let target = group.target();
    let extra = |present: &BTreeSet<MemberId>| match group.required.is_some() {
        true => {
            let leaving = group.removals().map(|change| change.member.id);
            leaving.filter(|id| present.contains(id)).collect::<BTreeSet<_>>()
        }
        false => present - &target,
    };
    let missing = |present: &BTreeSet<MemberId>| match group.required.is_some() {
        true => group.additions().map(|change| change.member.id).filter(|id| !present.contains(id)).collect(),
        false => &target - present,
    };
    if let Some(member) = extra(&view.members).union(&missing(&view.members)).next() {
        return fail(format!("the last reading shows a difference: {member}"));
    }
    let Some(present) = now.get(&group.id) else { return Ok(()) };
    let differing: BTreeSet<MemberId> = &extra(present) | &missing(present);
    match differing.iter().find(|id| !view.is_outdated_by(history, group.id, **id)) {
        Some(member) => fail(format!("the account has a difference: {member}")),
        None => Ok(()),
    }
}

/// An undone run has no effect left, unless another actor interfered.
pub fn undone(
    run: &Chronicle,
    undoing: &Chronicle,
    history: &[MembershipChange],
    now: &Memberships,
) -> Result<(), Violation> {
    let (Some(done), Some(carried)) = (&run.carried, &undoing.carried) else { return Ok(()) };
    if !carried.report.as_ref().is_some_and(|report| report.complete) {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for change in run.did(history) {
        let (group, member) = (change.group, change.member);
        // The first change of a membership shows its state before the run.
        if !seen.insert((group, member)) {
            continue;
        }
        let planned = carried.made.group(group);
        let undeclared = planned.is_none_or(|group| group.mode == Mode::Observe) && planned.is_some();
        let own = |number: u64| run.numbers.contains(&number) || undoing.numbers.contains(&number);
        let by_others = |other: &&MembershipChange| {
            (other.group, other.member) == (group, member) && other.request.is_none_or(|number| !own(number))
        };
        let was_touched = history.iter().skip(done.made.seen).any(|other| by_others(&other));
        let by_put = !done
            .made
            .changes()
            .any(|(of, action, who)| (of, action == Action::Add, who) == (group, change.joined, member));
        let view = View::at_the_end(group, undoing, carried, history);
        // Access that has ended is not given again.
        let has_ended = !change.joined && carried.made.bounds.ended.contains(&(group, member));
        // A reading that lags behind, or a write that takes effect later, hides the effect from the undo.
        let was_hidden = planned.is_some_and(|group| group.observed.contains_key(&member) != change.joined);
        let excused = has_ended || was_hidden || !view.certain || view.is_outdated_by(history, group, member);
        let Some(present) = now.get(&group) else { continue };
        let is_back = present.contains(&member) != change.joined;
        if !is_back && !undeclared && !was_touched && !by_put && !excused {
            return Err(format!(
                "the run was undone, but {member} is not as before in {group}: {change:?}\n{view:?}\n{}",
                undoing.log_of(group)
            ));
        }
    }
    Ok(())
}

/// Who moved between groups in a run is in one of them at least when it was undone. Returns how many moves that were.
pub fn keeps_one_of_both(
    run: &Chronicle,
    undoing: &Chronicle,
    history: &[MembershipChange],
    now: &Memberships,
) -> Result<u64, Violation> {
    let Some(undoing_carried @ Carried { made, report: Some(report), .. }) = &undoing.carried else { return Ok(0) };
    let mut moves = 0;
    for left in undoing.did(history).filter(|change| !change.joined) {
        let lost = run.did(history).filter(|change| !change.joined && change.member == left.member);
        for lost in lost.filter(|lost| lost.group != left.group) {
            moves += 1;
            let is_back = now.get(&lost.group).is_some_and(|now| now.contains(&left.member));
            let is_known = made.group(lost.group).is_some();
            let by_others = is_known && undoing.was_touched(history, made.seen, lost.group, left.member);
            let mut failed = report.groups.iter().flat_map(|group| group.failed.iter().chain(&group.skipped));
            let is_reported = failed.any(|failed| failed.member.id == left.member && failed.action == Action::Add);
            let was_deleted = is_known && !now.contains_key(&lost.group);
            // A reading that lags behind still shows the member there, before the undo or as its proof.
            let planned = made.group(lost.group);
            let mut added = planned.into_iter().flat_map(GroupPlan::additions);
            let seen = match added.any(|change| change.member.id == left.member) {
                true => View::at_the_end(lost.group, undoing, undoing_carried, history).is_outdated_by(
                    history,
                    lost.group,
                    left.member,
                ),
                false => planned.is_some_and(|group| group.observed.contains_key(&left.member)),
            };
            if !is_back && !seen && !by_others && !is_reported && !was_deleted {
                return Err(format!("undo removed {left:?}, who had lost {lost:?} and did not get it back"));
            }
        }
    }
    Ok(moves)
}
