//! What has to be true once the faults have stopped: ends take effect, delayed jobs end where the newest files say, a
//! run that was cut short goes on, and one whole run does everything.

use std::collections::{BTreeMap, BTreeSet};

use convoke::model::{GroupId, MemberId};
use convoke::plan::{Action, Blocked, BlockedReason, Change, LeftOutKind, Plan};
use convoke::report::GroupReport;
use convoke::sandbox::{Endpoint, Fault, FaultRule, Invitation, Match};
use fastrand::Rng;

use super::Violation;
use super::asks::{About, Says, differ};
use super::chronicle::Carried;
use super::files::{Files, Group};
use super::scenario::{LATENCY, LONG_LATENCY, Somebody, pick};
use super::steps::{Cut, Run, Scope};
use super::world::World;
use crate::builders::MatchExt as _;

/// The maximum number of runs without faults until no further entry becomes resolved.
const RERUNS: usize = 4;

impl World {
    pub async fn calm(&mut self) -> Result<(), Violation> {
        self.account.clear_faults();
        self.account.restore_token();
        self.settle().await;
        let mut rng = Rng::with_seed(self.scenario.seed ^ 0xca11);
        let ends = self.ends_take_effect().await;
        ends.map_err(|violation| format!("with --due: {violation}"))?;
        let unguarded = self.files().unguarded();
        let last = self.commits.len() - 1;
        self.commits[last] = unguarded;
        // The last change is another one now.
        self.digests.retain(|(commit, _), _| *commit != last);
        if last > 0 && rng.u8(0..3) > 0 {
            let delayed = self.delayed_jobs(&mut rng).await;
            delayed.map_err(|violation| format!("with --only-changed and --tip: {violation}"))?;
        }
        if rng.u8(0..3) == 0 {
            let resumed = self.resume(&mut rng).await;
            resumed.map_err(|violation| format!("cut short and run again: {violation}"))?;
        }
        self.one_run_does_everything().await?;
        if rng.u8(0..3) > 0 {
            let exchanged = self.exchanges_keep_the_guards(&mut rng).await;
            exchanged.map_err(|violation| format!("with exchanges: {violation}"))?;
        }
        Ok(())
    }

    async fn settle(&mut self) {
        while self.account.unlanded() > 0 {
            tokio::time::sleep(LATENCY.0).await;
        }
        self.truth.refresh(&self.account);
    }

    /// Everybody who is present in a group although their access may have ended, with the removals that the guards of the
    /// group allow.
    fn overdue(&self) -> Vec<(GroupId, MemberId, u64)> {
        let files = self.files();
        let mut overdue = Vec::new();
        for group in files.groups.iter().filter(|group| group.mode != "observe") {
            let Some(id) = self.account.group_id(&group.name) else { continue };
            let present = self.account.member_ids_of(&group.name);
            let least = group.min_members.unwrap_or(0).max(u64::from(!group.allow_empty));
            let slack = (present.len() as u64).saturating_sub(least);
            let ended = self.truth.ended(files, group, self.now).into_iter();
            let ended = ended.filter(|member| present.contains(member));
            overdue.extend(ended.map(|member| (id, member, slack)));
        }
        overdue
    }

    /// `--due` removes every member whose time has ended in as many runs as the limit needs, unless a guard of the group
    /// keeps them.
    async fn ends_take_effect(&mut self) -> Result<(), Violation> {
        let cap = self.files().total_removals.allows(self.declared(self.files()), 5);
        let mut left = self.overdue().len() as u64;
        while left > 0 {
            self.apply(Scope::Due, None, Run::WHOLE).await?;
            let Some(run) = self.chronicles.last().and_then(|run| run.carried.clone()) else {
                return Err("a due run was refused, or the account could not be read".into());
            };
            // Removals that the API refuses are tried again in each run, and others may wait for them.
            let failed = run.report.iter().flat_map(|report| &report.groups).flat_map(|group| &group.failed);
            let refused = failed.filter(|failed| failed.action == Action::Remove).count() as u64;
            if refused >= cap {
                return Ok(());
            }
            left = left.saturating_sub(cap - refused);
            if left > 0 {
                continue;
            }
            let overdue = self.overdue();
            for (group, member, slack) in overdue.into_iter().filter(|(_, member, _)| self.truth.is_plain(*member)) {
                // Several groups may have the same name.
                if run.made.group(group).is_none() && run.made.plan.blocked.iter().any(|it| it.entry.is_none()) {
                    continue;
                }
                let change = (group, Action::Remove, member);
                let name = &run.made.group(group).map(|group| group.name.clone());
                // A protected entry may also name nobody, or be misspelled.
                let mut left_out = run.made.plan.left_out.iter();
                let protected = self.truth.protected(self.files()).contains(&member)
                    || left_out.any(|it| it.change.member.id == member && it.reason.starts_with("protected"));
                let held = run.made.plan.groups.iter().flat_map(|group| &group.held);
                let is_held =
                    held.into_iter().any(|held| held.member.id == member) && !run.made.plan.blocked.is_empty();
                // Whom the API refuses to remove counts as a member who leaves.
                let stay = run.made.group(group).into_iter().flat_map(|group| group.removals());
                let stay = stay.filter(|it| refused_in(&run, (group, Action::Remove, it.member.id))).count() as u64;
                if slack > stay && cap > 0 && !protected && !is_held && !refused_in(&run, change) {
                    let what = format!("the access of {member} to {name:?} has ended, and no guard keeps it");
                    return Err(format!("{what}{}", summary(&run.made.plan)));
                }
            }
            self.figures.happened("ends that took effect");
        }
        Ok(())
    }

    /// Every change is applied at least once after its own merge, in any order, with the newest files as the tip. Then
    /// every membership that any of them touched is as the newest files say.
    async fn delayed_jobs(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        let mut waiting: Vec<usize> = (1..self.commits.len()).collect();
        // By its last run.
        let mut excused: BTreeMap<usize, BTreeSet<(GroupId, MemberId)>> = BTreeMap::new();
        let mut blocked: BTreeSet<String> = BTreeSet::new();
        let mut told = String::new();
        for _ in 0..5 {
            rng.shuffle(&mut waiting);
            for commit in std::mem::take(&mut waiting) {
                let scope = Scope::Change { back: self.commits.len() - 1 - commit, tip: true };
                self.apply(scope, None, Run::WHOLE).await?;
                let run = self.chronicles.last().and_then(|run| run.carried.clone());
                let Some(plan) = self.planned.take() else { return Err("the account could not be read".into()) };
                told += &format!("change {commit}: {}", summary(&plan));
                let waits = plan.left_out.iter().filter(|it| it.kind == LeftOutKind::Waits);
                if waits.clone().next().is_some() {
                    waiting.push(commit);
                }
                blocked.extend(plan.blocked.iter().map(|blocked| blocked.group.to_string()));
                let excused = excused.entry(commit).or_default();
                excused.clear();
                for group in &plan.groups {
                    let was_refused = |change: &&Change| {
                        let change = (group.id, change.action, change.member.id);
                        run.as_ref().is_some_and(|run| refused_in(run, change))
                    };
                    let left = group.held.iter().chain(group.carried_out().filter(was_refused));
                    let left = left.map(|change| change.member.id);
                    let waits = waits.clone().filter(|it| it.group == group.name).map(|it| it.change.member.id);
                    excused.extend(left.chain(waits).map(|member| (group.id, member)));
                }
            }
            if waiting.is_empty() {
                break;
            }
        }
        for group in &self.files().groups {
            let Some(id) = self.account.group_id(&group.name).filter(|_| !blocked.contains(&group.name)) else {
                continue;
            };
            let (present, entries) = (self.account.member_ids_of(&group.name), self.files().entries(group));
            for member in self.truth.members().filter(|member| self.truth.is_plain(*member)) {
                let own = self.truth.entries_of(member, &entries);
                let says = About { group: Some(group), entries: &own }.says(self.now);
                let is_so = match says {
                    Says::In => present.contains(&member),
                    Says::Out => !present.contains(&member),
                    Says::Free => true,
                };
                let is_excused = excused.values().any(|excused| excused.contains(&(id, member)));
                if !is_so && !is_excused && self.was_touched(&group.name, member) {
                    let person = self.truth.entries_of(member, &entries);
                    let what = format!("the newest files say {says:?} of {member} in {:?}: {person:?}", group.name);
                    return Err(format!("{what}\n{told}"));
                }
            }
        }
        self.figures.happened("delayed jobs in any order");
        Ok(())
    }

    /// Whether any change touched a membership.
    fn was_touched(&self, name: &str, member: MemberId) -> bool {
        let entries = |files: &Files| {
            let all = files.group(name).map(|group| files.entries(group)).unwrap_or_default();
            self.truth.entries_of(member, &all)
        };
        self.commits.windows(2).any(|pair| {
            let (base, head) = (entries(&pair[0]), entries(&pair[1]));
            differ(
                About { group: pair[0].group(name), entries: &base },
                About { group: pair[1].group(name), entries: &head },
            )
        })
    }

    /// A run that was cut short can be run again: a saved plan is not stale, and the rest is made.
    async fn resume(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        let scope = pick(rng, &[Scope::Whole, Scope::Whole, Scope::Due, Scope::Change { back: 0, tip: true }]);
        self.plan(scope).await?;
        let Some((_, made)) = self.saved.last().cloned() else { return Ok(()) };
        let at = self.saved.len() - 1;
        let write = pick(rng, &[1, 1, 2, 3]);
        let cut = pick(rng, &[Cut::Killed(write), Cut::Stopped(write)]);
        self.apply_saved(at, false, None, Run { accept: true, cut }).await?;
        if self.chronicles.last().is_some_and(|run| run.carried.is_none()) {
            return Ok(());
        }
        self.settle().await;
        self.apply_saved(at, false, None, Run { accept: true, cut: Cut::Never }).await?;
        let Some(run) = self.chronicles.last().and_then(|run| run.carried.clone()) else {
            return Err("the same plan was stale or refused".into());
        };
        let now = self.memberships();
        for (group, action, member) in made.changes() {
            let is_made = now.get(&group).is_some_and(|now| now.contains(&member) == (action == Action::Add));
            if !is_made && !refused_in(&run, (group, action, member)) {
                return Err(format!("{action:?} {member} in {group} was not made"));
            }
        }
        self.figures.happened("a cut run went on");
        Ok(())
    }

    /// A run does everything except blocked entries, and the next run has nothing to do. Whether a shared address is
    /// ambiguous depends on whether the account's members were read. If a run finds such an entry resolved, it makes the
    /// changes that the entry held, and one more run follows.
    async fn one_run_does_everything(&mut self) -> Result<(), Violation> {
        let mut last = self.converge().await?;
        for _ in 0..RERUNS {
            let (before, known) = (self.memberships(), self.account.history().len());
            let next = self.converge().await?;
            let resolved = ambiguous(&last).difference(&ambiguous(&next)).next().is_some();
            // A present member may satisfy an entry by an address that only the account's members show.
            let differs = self.memberships() != before;
            let is_last = !resolved && (!differs || !self.truth.has_shared_entries(self.files(), self.now));
            if is_last {
                if differs {
                    let history = self.account.history().split_off(known);
                    let (last, next) = (summary(&last.made.plan), summary(&next.made.plan));
                    let plans = format!("after{last}then{next}");
                    return Err(format!("a run that was not needed changed the account: {history:?}\n{plans}"));
                }
                let again: Vec<_> = next.made.changes().filter(|change| !refused_in(&last, *change)).collect();
                return match again.is_empty() {
                    true => Ok(()),
                    false => Err(format!("the next plan still has changes that nobody refused: {again:?}")),
                };
            }
            last = next;
        }
        Err("entries are resolved run after run".into())
    }

    /// A run after which every group is as the files declare, as far as the API allows.
    async fn converge(&mut self) -> Result<Carried, Violation> {
        self.apply(Scope::Whole, None, Run::WHOLE).await?;
        let Some(carried) = self.chronicles.last().and_then(|run| run.carried.clone()) else {
            return Err("a plan without guards was refused, or the account could not be read".into());
        };
        self.converged(&carried)?;
        Ok(carried)
    }

    /// People move between groups that exclude each other, and the groups may lose hardly anybody. If there is an order in
    /// which the guards hold throughout, one run makes all of the moves. Otherwise it says so, and everybody is in one of
    /// the two groups.
    async fn exchanges_keep_the_guards(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        let cast = self.scenario.cast.clone();
        let groups = cast.groups.iter().filter(|group| self.account.group_id(&group.name).is_some());
        let names: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
        // The API refuses changes of a group that SCIM synchronizes, which may have another name now.
        if names.len() < 2 || cast.groups.iter().any(|group| group.scim) {
            return Ok(());
        }
        let mut pairs = BTreeSet::new();
        for _ in 0..pick(rng, &[1, 2, 3]) {
            let (one, other) = (rng.usize(..names.len()), rng.usize(..names.len()));
            pairs.extend((one != other).then_some((one.min(other), one.max(other))));
        }
        for (one, other) in &pairs {
            let both = &self.account.member_ids_of(names[*one]) & &self.account.member_ids_of(names[*other]);
            for member in both {
                self.account.remove(names[*other], &member.to_string());
            }
        }
        let present: Vec<BTreeSet<MemberId>> = names.iter().map(|name| self.account.member_ids_of(name)).collect();
        let excludes = |one: usize, other: usize| pairs.contains(&(one.min(other), one.max(other)));
        let is_able = |person: &Somebody| person.joinable && person.status != Invitation::Rejected;
        let able: BTreeSet<&str> = cast.people.iter().filter(|it| is_able(it)).map(|it| it.id.as_str()).collect();
        let may_join = |member: &MemberId| able.contains(member.as_str());
        let mut target = present.clone();
        let mut moves: Vec<(usize, usize)> = Vec::new();
        let mut moved = BTreeSet::new();
        for (one, other) in pairs.iter().copied().cycle().take(2 * pairs.len()) {
            let (from, to) = if rng.bool() { (one, other) } else { (other, one) };
            let is_out = |at: usize, id: &MemberId| at == from || !excludes(at, to) || !target[at].contains(id);
            let free = |id: &&MemberId| may_join(id) && (0..names.len()).all(|at| is_out(at, id));
            let mover = target[from].iter().filter(|id| !moved.contains(*id)).find(free).copied();
            if let Some(member) = mover.filter(|member| !target[to].contains(member)) {
                target[from].remove(&member);
                target[to].insert(member);
                moved.insert(member);
                moves.push((from, to));
            }
        }
        let slack: Vec<usize> = present.iter().map(|all| pick(rng, &[0, 0, 1]).min(all.len())).collect();
        let least = |at: usize| (present[at].len() - slack[at]) as u64;
        let declare = |at: usize| {
            let others = (at + 1..names.len()).filter(|other| excludes(at, *other)).map(|other| names[other]);
            Group::of(names[at], &target[at], least(at), others)
        };
        self.commits.push(Files { groups: (0..names.len()).map(declare).collect(), ..Files::nothing() });
        // Slow readings are too old for a write when the last one has come.
        if rng.bool() {
            let on = Match::operation(Endpoint::ListMembers);
            self.account.push_fault(FaultRule { on, fault: Fault::Latency(LONG_LATENCY), times: 3 });
        }
        let applied = self.apply(Scope::Whole, None, Run::WHOLE).await;
        self.account.clear_faults();
        applied?;
        let Some(run) = self.chronicles.last().and_then(|run| run.carried.clone()) else {
            return Err("the plan was refused, or the account could not be read".into());
        };
        // Several groups may have the same name.
        if run.made.plan.blocked.iter().any(|blocked| blocked.entry.is_none()) {
            return Ok(());
        }
        let now: Vec<BTreeSet<MemberId>> = names.iter().map(|name| self.account.member_ids_of(name)).collect();
        let unmade: Vec<&str> = run.report.iter().flat_map(|report| &report.groups).flat_map(unmade).collect();
        let told = || format!("{moves:?} with slack {slack:?}: {unmade:?}{}", summary(&run.made.plan));
        match has_order(&mut slack.clone(), &mut moves.clone()) {
            true if now != target => Err(format!("there is an order, but the run did not make {}", told())),
            false if run.made.plan.blocked.is_empty() => Err(format!("there is no order, and the plan has {}", told())),
            _ if moved.iter().any(|member| !now.iter().any(|group| group.contains(member))) => {
                Err(format!("somebody is in no group after {}", told()))
            }
            is_possible => {
                let what = if is_possible { "exchanges in an order" } else { "exchanges without an order" };
                self.figures.happened(if moves.is_empty() { "nobody to exchange" } else { what });
                Ok(())
            }
        }
    }

    /// Whether every group is as the files declare, as far as the API allows.
    fn converged(&self, run: &Carried) -> Result<(), Violation> {
        for group in &run.made.plan.groups {
            let Some(declared) = self.files().group(group.name.as_str()) else { continue };
            if declared.mode == "observe" {
                continue;
            }
            let present = self.account.member_ids_of(group.name.as_str());
            let listed = self.truth.listed(self.files(), declared, self.now);
            let surely = self.truth.surely_listed(self.files(), declared, self.now);
            let excused = |id: &&MemberId| {
                let refusal = |action| refused_in(run, (group.id, action, **id));
                let blocked = run.made.plan.blocked.iter().any(|blocked| blocked.group == group.name);
                refusal(Action::Add) || refusal(Action::Remove) || blocked
            };
            if let Some(missing) = surely.difference(&present).find(|id| !excused(id)) {
                return Err(format!("{missing} is on the list of {:?} and not in it", group.name));
            }
            let ended = self.truth.ended(self.files(), declared, self.now);
            let extra = |id: &&MemberId| declared.mode == "exact" || ended.contains(id) && self.truth.is_plain(**id);
            let holds = run.made.plan.blocked.is_empty();
            if let Some(extra) = present.difference(&listed).find(|id| holds && extra(id) && !excused(id)) {
                return Err(format!("{extra} is in {:?} and not on its list", group.name));
            }
        }
        Ok(())
    }
}

/// The reasons for the changes that a run did not make.
fn unmade(group: &GroupReport) -> impl Iterator<Item = &str> {
    group.failed.iter().chain(&group.skipped).chain(&group.kept).map(|unmade| unmade.reason.as_str())
}

/// Whether the moves can be made one after the other, if each group can lose as many members as its slack, and a join
/// increases it.
fn has_order(slack: &mut [usize], moves: &mut Vec<(usize, usize)>) -> bool {
    let possible: Vec<usize> = (0..moves.len()).filter(|at| slack[moves[*at].0] > 0).collect();
    moves.is_empty()
        || possible.into_iter().any(|at| {
            let (from, to) = moves.remove(at);
            slack[from] -= 1;
            slack[to] += 1;
            let found = has_order(slack, moves);
            slack[from] += 1;
            slack[to] -= 1;
            moves.insert(at, (from, to));
            found
        })
}

/// The places of the entries whose address several members share.
fn ambiguous(run: &Carried) -> BTreeSet<String> {
    let shared = |blocked: &&Blocked| matches!(blocked.reason, BlockedReason::AmbiguousPerson { .. });
    run.made.plan.blocked.iter().filter(shared).map(|blocked| blocked.origin.to_string()).collect()
}

/// Whether the run tried the change and the API refused it, or the run left the change out because of a refusal.
fn refused_in(run: &Carried, (group, action, member): (GroupId, Action, MemberId)) -> bool {
    let report = run.report.iter().flat_map(|report| &report.groups).find(|reported| reported.id == group);
    report.is_some_and(|reported| {
        let failed = reported.failed.iter().map(|failed| (failed.action, failed.member.id));
        let skipped = reported.skipped.iter().chain(&reported.kept).map(|skipped| (skipped.action, skipped.member.id));
        failed.chain(skipped).any(|change| change == (action, member))
    })
}

fn summary(plan: &Plan) -> String {
    let mut text = String::from("\n");
    for group in plan.groups.iter().filter(|group| group.differs()) {
        let list = |changes: &[Change]| -> Vec<String> {
            changes.iter().map(|change| format!("{:?} {}", change.action, change.member.id)).collect()
        };
        let (changes, held) = (list(&group.changes), list(&group.held));
        text += &format!("  {:?}: {changes:?}, held {held:?}, left alone {:?}\n", group.name, list(&group.left_alone));
    }
    let left_out = plan.left_out.iter().map(|it| format!("{:?} {}: {}", it.group, it.change.member.id, it.reason));
    let blocked = plan.blocked.iter().map(|blocked| format!("{:?} {}", blocked.group, blocked.message));
    left_out.chain(blocked).for_each(|line| text += &format!("  {line}\n"));
    text
}
