//! Makes plans as the commands do, with their bounds from the files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use convoke::cloudflare::{ApiError, Client};
use convoke::model::{AccountId, GroupId, MemberId, Mode, PersonRef};
use convoke::observe;
use convoke::plan::{Action, Blocked, BlockedReason, Change, GroupPlan, LeftOutKind, Plan, Policy};
use convoke::sandbox::MembershipChange;
use jiff::SignedDuration;
use tokio::time::Instant;

use super::asks::{About, Says, differ};
use super::checks;
use super::chronicle::{Bounds, Made, Terms};
use super::files::{Entry, Files, Group, hours};
use super::steps::Scope;
use super::world::World;

/// For so long after its end, the limits do not count the removal of access.
const RECENT: SignedDuration = hours(744);

/// Longer than readings lag behind.
const LAG: Duration = Duration::from_secs(3);

pub fn policy() -> Policy {
    Policy { expiring_within: SignedDuration::ZERO, ..Policy::new(AccountId::SANDBOX) }
}

impl World {
    /// The versions of the files that a scope means; `None` if there was no such change.
    pub fn terms(&self, scope: Scope) -> Option<Terms> {
        let last = self.commits.len() - 1;
        Some(match scope {
            Scope::Whole => Terms { head: last, base: None, tip: None, due: false },
            Scope::Due => Terms { head: last, base: None, tip: None, due: true },
            Scope::Change { back, tip } => {
                let head = last.checked_sub(back)?;
                Terms { head, base: Some(head.checked_sub(1)?), tip: tip.then_some(last), due: false }
            }
        })
    }

    /// Plans. If the newest files leave nothing to make, the plan is superseded.
    pub async fn make_plan(&mut self, client: &Client, terms: Terms) -> Result<Made, ApiError> {
        let desired = self.commits[terms.head].desired();
        let (seen, began) = (self.account.history().len(), Instant::now());
        let base = terms.base.map(|base| self.commits[base].desired());
        let policy = Policy { only_changed: base.is_some(), base: base.map(Arc::new), due: terms.due, ..policy() };
        let newcomers = match terms.base {
            Some(_) => policy.newcomers(&desired, self.now),
            // Like the look-up for a pull request that adds one person, who may be in a group already.
            None => desired
                .groups
                .values()
                .flat_map(|group| &group.members)
                .find_map(|entry| match &entry.person {
                    PersonRef::Email(email) => Some(email.clone()),
                    PersonRef::Id(_) => None,
                })
                .into_iter()
                .collect(),
        };
        let located = self.located(terms.head);
        let (mut current, mut plan) = observe::read(client, &desired, &policy, self.now, &newcomers).await?;
        if let Some(tip) = terms.tip {
            let policy = Policy { tip: Some(Arc::new(self.commits[tip].desired())), ..policy.clone() };
            let reviewed = plan.digest;
            plan = observe::plan(client, &desired, &mut current, &policy, self.now).await?;
            plan.digest = reviewed;
        }
        plan = plan.with_base(&desired, &current, &policy);
        if located == self.located(terms.head) {
            self.compare_digest(terms, located, &plan);
        }
        let made = Made { bounds: self.bounds(&plan, Some(terms)), terms: Some(terms), plan, seen, began };
        self.check_plan(&made, false);
        self.planned = Some(made.plan.clone());
        Ok(made)
    }

    /// The groups of the account that the files name.
    fn located(&self, head: usize) -> Vec<Option<GroupId>> {
        self.commits[head].groups.iter().map(|group| self.account.group_id(&group.name)).collect()
    }

    /// Neither the clock nor the account changes the digest of a change. It covers the ids of the groups, and the members
    /// of a group that becomes exact.
    fn compare_digest(&mut self, terms: Terms, located: Vec<Option<GroupId>>, plan: &Plan) {
        let Some(base) = terms.base else { return };
        let was_exact =
            |group: &Group| self.commits[base].group(&group.name).is_some_and(|group| group.mode == "exact");
        if self.commits[terms.head].groups.iter().any(|group| group.mode == "exact" && !was_exact(group)) {
            return;
        }
        let first = self.digests.entry((terms.head, located)).or_insert(plan.digest);
        if *first != plan.digest {
            let what = format!("the digest of change {} was {first}, and is {} now", terms.head, plan.digest);
            self.found.get_or_insert(what);
        }
    }

    /// The bounds of a plan, from the files. Without terms, of a plan of `undo`.
    pub fn bounds(&self, plan: &Plan, terms: Option<Terms>) -> Bounds {
        let last = self.commits.len() - 1;
        let head = &self.commits[terms.map_or(last, |terms| terms.head)];
        let tip = terms.and_then(|terms| terms.tip).map(|tip| &self.commits[tip]);
        let rules = tip.unwrap_or(head);
        let mut bounds = Bounds {
            protected: self.truth.protected(rules),
            total_removals: rules.total_removals,
            declared: self.declared(rules),
            due: terms.is_some_and(|terms| terms.due),
            known: self.truth.members().collect(),
            ..Bounds::default()
        };
        for group in &plan.groups {
            let ruling = rules.group(group.name.as_str());
            let limit = ruling.and_then(|declared| declared.group_removals).unwrap_or(rules.group_removals);
            bounds.group_removals.insert(group.id, limit);
            let least = ruling.map_or(0, |it| it.min_members.unwrap_or(0).max(u64::from(!it.allow_empty)));
            bounds.least.insert(group.id, least);
            let Some(declared) = head.group(group.name.as_str()) else { continue };
            bounds
                .ended
                .extend(self.truth.ended(head, declared, self.now).into_iter().map(|member| (group.id, member)));
            let Some(terms) = terms else { continue };
            bounds.listed.insert(group.id, self.truth.listed(head, declared, self.now));
            bounds.surely_listed.insert(group.id, self.truth.surely_listed(head, declared, self.now));
            bounds.exempt.extend(self.exempt(terms, declared).map(|member| (group.id, member)));
        }
        // What a change does later is blocked without holding anything.
        let is_in_force = |blocked: &&Blocked| {
            let Some(entry) = blocked.entry.as_ref().filter(|_| terms.is_some()) else { return true };
            let entries = head.group(blocked.group.as_str()).map(|group| head.entries(group)).unwrap_or_default();
            let same = |other: &Entry| other.named.eq_ignore_ascii_case(&entry.to_string());
            entries.iter().any(|other| same(other) && other.belongs_at(self.now))
        };
        let unresolved = plan.blocked.iter().filter(|blocked| !checks::is_exclusion(&blocked.reason));
        let unresolved: Vec<&Blocked> = unresolved.filter(is_in_force).collect();
        bounds.unresolved = unresolved.iter().map(|blocked| blocked.group.clone()).collect();
        if let Some(terms) = terms {
            let named: Vec<String> =
                unresolved.iter().filter_map(|blocked| Some(blocked.entry.as_ref()?.to_string())).collect();
            let is_of_change = terms.base.is_some();
            bounds.spared = self.truth.spared(head, tip, is_of_change, named.iter().map(String::as_str), self.now);
        }
        bounds.asked = terms.and_then(|terms| Some(self.asked(plan, head, &self.commits[terms.base?])));
        if let Some(tip) = tip {
            self.add_tip(&mut bounds, plan, tip);
        }
        let planned = |name: &str| plan.groups.iter().find(|group| group.name.as_str() == name).map(|group| group.id);
        // Others rename groups in some schedules; then only the plan knows which group it means.
        let is_stable = self.scenario.luck.regroup + self.scenario.luck.swap_names == 0;
        let id = |name: &str| planned(name).or_else(|| self.account.group_id(name).filter(|_| is_stable));
        for group in &rules.groups {
            let others = group.excludes.iter().filter(|name| rules.group(name).is_some());
            for other in others.filter_map(|name| id(name)) {
                if let Some(one) = id(&group.name) {
                    bounds.exclusive.extend([(one, other), (other, one)]);
                }
            }
        }
        bounds
    }

    /// The memberships that files declare now, a person once a group.
    pub fn declared(&self, files: &Files) -> u64 {
        let written = files.groups.iter().filter(|group| group.mode() != Mode::Observe);
        let in_force = written.map(|group| {
            let entries = files.entries(group).into_iter().filter(|entry| entry.belongs_at(self.now));
            entries.map(|entry| entry.named.to_lowercase()).collect::<BTreeSet<_>>().len() as u64
        });
        in_force.sum()
    }

    /// Whose removal the limits do not count: access that ended a short time ago, unless only this change ended it.
    fn exempt(&self, terms: Terms, group: &Group) -> impl Iterator<Item = MemberId> {
        let head = &self.commits[terms.head];
        let entries = head.entries(group);
        let before = terms.base.map(|base| &self.commits[base]);
        let ended = self.truth.ended(head, group, self.now).into_iter();
        let exempt = ended.filter(move |member| {
            let own = self.truth.entries_of(*member, &entries);
            let end = own.iter().filter_map(|entry| entry.window.until).filter(|end| *end <= self.now).max();
            let was_in = |end| {
                let before = before?;
                let group = before.group(&group.name)?;
                let entries = self.truth.entries_of(*member, &before.entries(group));
                Some(About { group: Some(group), entries: &entries }.says(end) == Says::In)
            };
            let is_plain = self.truth.is_plain(*member);
            end.is_some_and(|end| {
                terms.due || !is_plain || (self.now.duration_since(end) <= RECENT && was_in(end) != Some(true))
            })
        });
        exempt.collect::<Vec<_>>().into_iter()
    }

    /// Everything that a change may ask for in the groups of a plan, whatever the program knows of people's addresses.
    fn asked(&self, plan: &Plan, head: &Files, base: &Files) -> BTreeSet<(GroupId, MemberId, bool)> {
        let mut asked = BTreeSet::new();
        for planned in &plan.groups {
            let Some(group) = head.group(planned.name.as_str()) else { continue };
            let entries = head.entries(group);
            let was = base.group(&group.name);
            let former = was.map(|was| base.entries(was)).unwrap_or_default();
            for member in self.truth.members() {
                let (own, own_before) =
                    (self.truth.entries_of(member, &entries), self.truth.entries_of(member, &former));
                let mut names: BTreeSet<Option<&str>> = BTreeSet::from([None]);
                if !self.truth.is_plain(member) {
                    names.extend(own.iter().chain(&own_before).map(|entry| Some(entry.named.as_str())));
                    // By none of these names.
                    names.insert(Some(""));
                }
                for name in names {
                    let named = |all: &[Entry]| -> Vec<Entry> {
                        all.iter().filter(|entry| name.is_none_or(|name| entry.named == name)).cloned().collect()
                    };
                    let (own, own_before) = (named(&own), named(&own_before));
                    let (says, said) =
                        (About { group: Some(group), entries: &own }, About { group: was, entries: &own_before });
                    match says.says(self.now) {
                        Says::Free => {}
                        state if differ(said, says) => drop(asked.insert((planned.id, member, state == Says::In))),
                        Says::In | Says::Out => {}
                    }
                }
            }
        }
        asked
    }

    /// What the newest files say of everybody whom nobody can take for another.
    pub fn add_tip(&self, bounds: &mut Bounds, plan: &Plan, tip: &Files) {
        for planned in &plan.groups {
            let group = tip.group(planned.name.as_str());
            let entries = group.map(|group| tip.entries(group)).unwrap_or_default();
            for member in self.truth.members().filter(|member| self.truth.is_plain(*member)) {
                let own = self.truth.entries_of(member, &entries);
                let says = About { group, entries: &own }.says(self.now);
                bounds.tip_says.insert((planned.id, member), says);
            }
        }
    }

    /// Checks what a plan is going to do, at the time at which it is going to do it. The addresses of people may have
    /// changed since a plan was saved.
    pub fn check_plan(&mut self, made: &Made, is_saved: bool) {
        let all = made.plan.groups.iter();
        let wrong =
            all.flat_map(|group| group.carried_out().map(move |change| (group, change))).find_map(|(group, change)| {
                let why = self.wrong(made, is_saved, group, change)?;
                let Change { action, member, origin, .. } = change;
                Some(format!("{action:?} {} in {:?} ({origin}): {why}", member.id, group.name))
            });
        if let Some(wrong) = wrong {
            self.found.get_or_insert(wrong);
        }
    }

    /// Whether files have a member in another group that the program writes, where nothing shows them and the plan does
    /// not add them. An entry that the newest files do not have counts for nothing.
    fn is_awaited(&self, made: &Made, files: &Files, leaves: &GroupPlan, member: MemberId, tip: Option<usize>) -> bool {
        // Others rename groups in some schedules; then nothing is known.
        let is_stable = self.scenario.luck.regroup + self.scenario.luck.swap_names == 0;
        let history = self.account.history();
        let others = files.groups.iter().filter(|group| is_stable && group.name != leaves.name.as_str());
        others.filter(|group| group.mode != "observe").any(|group| {
            let newest = tip.map(|tip| {
                let tip = &self.commits[tip];
                tip.group(&group.name).filter(|it| it.mode != "observe").map(|it| tip.entries(it)).unwrap_or_default()
            });
            let stays = |entry: &Entry| {
                let same = |other: &Entry| other.named == entry.named && other.belongs_at(self.now);
                newest.as_ref().is_none_or(|newest| newest.iter().any(same))
            };
            let own = self.truth.entries_of(member, &files.entries(group));
            let Some(id) = self.account.group_id(&group.name) else { return false };
            if !own.iter().any(|entry| entry.belongs_at(self.now) && stays(entry)) {
                return false;
            }
            // Of somebody whom files have in two groups that exclude each other, only an exchange is held.
            let is_contradictory = |blocked: &Blocked| {
                matches!(blocked.reason, BlockedReason::Exclusive { .. }) && blocked.group.as_str() == group.name
            };
            if made.plan.blocked.iter().any(is_contradictory) {
                return false;
            }
            let planned = made.group(id);
            let joins = planned.is_some_and(|it| it.additions().any(|change| change.member.id == member));
            let was_read = planned.is_some_and(|it| it.observed.contains_key(&member));
            // Readings may lag, and others change the group while the account is read.
            let earlier = made.began.checked_sub(LAG).unwrap_or(made.began);
            let was_there = self.account.members_at(id, earlier).contains(&member);
            let changed = |it: &MembershipChange| (it.group, it.member) == (id, member) && it.at >= earlier;
            !joins && !was_read && !was_there && !history.iter().any(changed)
        })
    }

    fn wrong(&self, made: &Made, is_saved: bool, group: &GroupPlan, change: &Change) -> Option<&'static str> {
        let Made { bounds, terms, .. } = made;
        let (member, joins) = (change.member.id, change.action == Action::Add);
        let is_known = self.truth.is_known(member) && !(is_saved && self.truth.has_moved(member));
        if bounds.asked.as_ref().is_some_and(|asked| is_known && !asked.contains(&(group.id, member, joins))) {
            return Some("the change does not ask for it");
        }
        // A saved plan knows people by the addresses that they had when it was made.
        let newest = bounds.tip_says.get(&(group.id, member)).filter(|_| !is_saved || !self.truth.has_moved(member));
        match (newest, joins) {
            (Some(Says::In), true) | (Some(Says::Out), false) | (None, _) => {}
            (Some(_), _) => return Some("the newest files say otherwise"),
        }
        let terms = (*terms)?;
        let head = &self.commits[terms.head];
        let declared = head.group(group.name.as_str())?;
        let own = self.truth.entries_of(member, &head.entries(declared));
        let in_force: Vec<&Entry> = own.iter().filter(|entry| entry.belongs_at(self.now)).collect();
        if joins {
            let by_id = in_force.iter().all(|entry| !entry.named.contains('@'));
            let rules = &self.commits[terms.tip.unwrap_or(terms.head)];
            let is_late = |entry: &&Entry| entry.window.from.is_none_or(|from| self.now.duration_since(from) > RECENT);
            return if in_force.is_empty() {
                is_known.then_some("no entry in force names the member")
            } else if by_id && rules.has_domains && self.truth.is_plain(member) && !self.truth.has_domain(member) {
                Some("the member has no address at an allowed domain")
            } else if terms.due && in_force.iter().all(is_late) {
                Some("its `from` did not come in the last 31 days")
            } else {
                None
            };
        }
        if bounds.surely_listed.get(&group.id).is_some_and(|listed| listed.contains(&member)) {
            return Some("the member is on the group's list");
        }
        let has_ended = own.iter().any(|entry| entry.has_ended(self.now));
        if !has_ended && self.truth.is_plain(member) {
            if !is_saved && terms.base.is_some() && self.is_awaited(made, head, group, member, terms.tip) {
                return Some("the files have the member in another group that does not show them");
            }
            let mut left_out = made.plan.left_out.iter();
            let is_moved_on = left_out.any(|it| {
                it.kind == LeftOutKind::Tip && it.change.action == Action::Add && it.change.member.id == member
            });
            if let Some(tip) = terms.tip
                && is_moved_on
                && self.is_awaited(made, &self.commits[tip], group, member, None)
            {
                return Some("the newest files have the member in another group that does not show them");
            }
        }
        if (terms.due || declared.mode == "additive") && is_known && !has_ended {
            return Some("no entry of the member has ended");
        }
        None
    }
}
