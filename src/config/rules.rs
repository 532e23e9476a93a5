//! Checks the rules of groups for the entries that declare their members: `max_duration`, `require_reason`,
//! `exclusive_with` and `email_domains`.
//!
//! The check is separate from reading, because it needs a time: an entry without `from` begins now, and an ended
//! entry does not break an exclusion. Addresses cannot be compared with ids offline; `plan::exclusive` does that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::Source;
use super::entry::PersonOrRoster;
use super::problem::{MOST_PROBLEMS, Problem, Problems, quoted};
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupName, Origin, Period, PersonRef, RosterUse, Setting, Terms,
};

#[derive(Clone, Debug)]
pub(super) struct Breach {
    pub key: BreachKey,
    pub problem: Problem,
}

/// Identifies a breach independently of positions in the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BreachKey {
    pub rule: BrokenRule,
    pub group: GroupName,
    pub who: PersonOrRoster,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BrokenRule {
    MaxDuration,
    RequireReason,
    /// Of two groups, the first one is that of the key, whichever has the rule.
    ExclusiveWith(GroupName),
    EmailDomains,
}

impl BreachKey {
    /// The key of the rule in the files, and its place.
    pub fn rule_in<'d>(&self, desired: &'d Desired) -> Option<(&'static str, &'d Origin)> {
        let group = desired.groups.get(&self.group)?;
        Some(match &self.rule {
            BrokenRule::MaxDuration => ("max_duration", group.rules.max_duration.as_ref()?.origin.as_ref()?),
            BrokenRule::RequireReason => ("require_reason", group.rules.require_reason.as_ref()?),
            BrokenRule::ExclusiveWith(other) => {
                let reverse = || desired.groups.get(other)?.rules.exclusive_with.get(&self.group);
                ("exclusive_with", group.rules.exclusive_with.get(other).or_else(reverse)?)
            }
            BrokenRule::EmailDomains => ("email_domains", desired.domains_of(group)?.origin.as_ref()?),
        })
    }
}

impl Breach {
    /// The breach of an entry. The problem names the rosters that lead from the group to it.
    fn of(rule: BrokenRule, group: &GroupName, entry: &DesiredMember, message: String, help: String) -> Self {
        let who = PersonOrRoster::Person(entry.person.clone());
        let problem = with_rosters(Problem::at(&entry.origin, message).help(help), group, entry);
        Self { key: BreachKey { rule, group: group.clone(), who }, problem }
    }
}

/// Reports every breach as a problem of the files, with its source line.
///
/// # Errors
///
/// If a rule is broken.
pub fn check_rules(desired: &Desired, sources: &[Source], time: Timestamp) -> Result<(), Problems> {
    let mut report = Problems::default();
    for breach in breaches(desired, time).take(MOST_PROBLEMS) {
        report.push(breach.problem);
    }
    report.finish(sources)
}

/// All breaches of rules at this time or later, one by one, because there can be as many as memberships. A part of them
/// must not be compared with a part of others.
pub(super) fn breaches(desired: &Desired, time: Timestamp) -> impl Iterator<Item = Breach> {
    let of_groups = desired.groups.iter().flat_map(move |(name, group)| {
        let too_long = group.members.iter().filter_map(move |entry| too_long(name, group, entry, time));
        let domains = desired.domains_of(group);
        let foreign = group.members.iter().filter_map(move |entry| foreign_domain(name, domains?, entry, time));
        let missing = group.rules.require_reason.iter().flat_map(move |_| missing_reasons(name, group));
        too_long.chain(missing).chain(foreign)
    });
    // The exclusions are compared only if they are needed.
    let exclusive = std::iter::once_with(move || exclusive_breaches(desired, time)).flatten();
    of_groups.chain(exclusive).map(|Breach { key, problem }| {
        let problem = match key.rule_in(desired) {
            Some((rule, place)) => problem.related(place.clone(), format!("`{rule}` is set here")),
            None => problem,
        };
        Breach { key, problem }
    })
}

/// The breach of an entry without `until`, or with an `until` too far after its beginning.
fn too_long(name: &GroupName, group: &DesiredGroup, entry: &DesiredMember, time: Timestamp) -> Option<Breach> {
    let most = group.rules.max_duration.as_ref()?.value;
    let from = entry.from();
    let latest = from.unwrap_or(time).checked_add(most.length()).unwrap_or(Timestamp::MAX);
    let end = entry.terms.as_deref().and_then(counted_end);
    if end.is_some_and(|end| end <= latest) {
        return None;
    }
    let (person, whose) = (&entry.person, quoted(name.as_str()));
    let start = if from.is_some() { "after `from`" } else { "from now" };
    let message = match end {
        None => format!("{person} needs an `until`, because group {whose} has `max_duration: {most}`"),
        Some(_) => format!("`until` of {person} is more than {most} {start}, the `max_duration` of group {whose}"),
    };
    let help = match shown_end(latest, most) {
        _ if latest <= time => format!("write a later `from`, and an `until` at most {most} after it"),
        latest if entry.via.is_some() => {
            format!("write `until: {latest}` or an earlier time, here or in an entry that uses the roster")
        }
        latest => format!("write `until: {latest}` or an earlier time"),
    };
    Some(Breach::of(BrokenRule::MaxDuration, name, entry, message, help))
}

/// The breach of an entry that has not ended, and has an address of another domain.
fn foreign_domain(
    name: &GroupName,
    rule: &Setting<Vec<String>>,
    entry: &DesiredMember,
    time: Timestamp,
) -> Option<Breach> {
    let PersonRef::Email(email) = &entry.person else { return None };
    let domain = email.domain();
    if rule.value.iter().any(|allowed| *allowed == domain) || entry.has_ended(time) {
        return None;
    }
    let (whose, allowed) = (quoted(name.as_str()), rule.value.join(", "));
    let message = format!("{email} is not allowed in group {whose}: its `email_domains` are {allowed}");
    let help = format!("use an address of one of these domains, or add {domain} to `email_domains`");
    Some(Breach::of(BrokenRule::EmailDomains, name, entry, message, help))
}

/// The end of an entry for `max_duration`. A date itself is not counted, so thirty days from now is the date thirty
/// days from today.
fn counted_end(terms: &Terms) -> Option<Timestamp> {
    let until = terms.window.until?;
    if terms.until_is_date { Some(until.checked_sub(24.hours()).unwrap_or(Timestamp::MIN)) } else { Some(until) }
}

/// The latest `until` as a file writes it: a date, or an instant if the rule is in hours.
fn shown_end(latest: Timestamp, most: Period) -> String {
    if most.is_days() {
        latest.to_zoned(TimeZone::UTC).date().to_string()
    } else {
        latest.round(jiff::Unit::Second).unwrap_or(latest).to_string()
    }
}

/// The entries of the group's own list without a reason.
fn missing_reasons<'d>(name: &'d GroupName, group: &'d DesiredGroup) -> impl Iterator<Item = Breach> + 'd {
    let has_reason = |entry: &DesiredMember| entry.terms.as_deref().is_some_and(|terms| terms.reason.is_some());
    let own = group.members.iter().filter(move |entry| entry.via.is_none() && !has_reason(entry));
    let people = own.map(|entry| (PersonOrRoster::Person(entry.person.clone()), &entry.origin));
    let rosters = group.rosters_without_reason.iter();
    let rosters = rosters.map(|used| (PersonOrRoster::Roster(Arc::clone(&used.roster)), &used.origin));
    people.chain(rosters).map(move |(who, origin)| {
        let group = quoted(name.as_str());
        let message = format!("the entry of {who} needs a `reason`, because group {group} has `require_reason`");
        let problem = Problem::at(origin, message).help("add `reason:` to the entry, with a few words or a ticket");
        Breach { key: BreachKey { rule: BrokenRule::RequireReason, group: name.clone(), who }, problem }
    })
}

/// Adds the roster entries that lead from a group to an entry.
fn with_rosters(problem: Problem, group: &GroupName, entry: &DesiredMember) -> Problem {
    let uses: &[RosterUse] = entry.via.as_deref().unwrap_or_default();
    let mut user = format!("group {}", quoted(group.as_str()));
    uses.iter().fold(problem, |problem, used| {
        let roster = format!("roster {}", quoted(&used.roster));
        let label = format!("{user} uses {roster} here");
        user = roster;
        problem.related(used.origin.clone(), label)
    })
}

/// A period of a person in a group.
struct Stay<'d> {
    group: &'d GroupName,
    start: Timestamp,
    end: Timestamp,
    entry: &'d DesiredMember,
}

/// Each two groups that exclude each other, in order, with the one that has the rule. If both have it, the first one
/// counts.
type ExclusivePairs<'d> = BTreeMap<[&'d GroupName; 2], &'d GroupName>;

/// Everybody who would be in two exclusive groups at this time or later, once for each pair of groups.
fn exclusive_breaches(desired: &Desired, time: Timestamp) -> impl Iterator<Item = Breach> {
    let mut pairs = ExclusivePairs::new();
    for (name, group) in &desired.groups {
        for other in group.rules.exclusive_with.keys() {
            pairs.entry([name.min(other), name.max(other)]).or_insert(name);
        }
    }
    let excluded: BTreeSet<&GroupName> = pairs.keys().flatten().copied().collect();
    let mut people: BTreeMap<&PersonRef, Vec<Stay<'_>>> = BTreeMap::new();
    for (name, group) in desired.groups.iter().filter(|(name, _)| excluded.contains(name)) {
        for entry in &group.members {
            let start = entry.from().map_or(time, |from| from.max(time));
            let end = entry.until().unwrap_or(Timestamp::MAX);
            if start < end {
                people.entry(&entry.person).or_default().push(Stay { group: name, start, end, entry });
            }
        }
    }
    people.into_values().flat_map(move |mut stays| {
        // The sort is stable: of several stays that begin together, the first one is reported.
        stays.sort_by_key(|stay| stay.start);
        overlaps(&stays, &pairs)
    })
}

/// The overlaps of one person's stays, which are sorted by their beginning. A stay overlaps an earlier stay in another
/// group if the latest end there is after its beginning.
fn overlaps(stays: &[Stay<'_>], pairs: &ExclusivePairs<'_>) -> Vec<Breach> {
    let mut latest: BTreeMap<&GroupName, &Stay<'_>> = BTreeMap::new();
    let mut reported: BTreeSet<[&GroupName; 2]> = BTreeSet::new();
    let mut found = Vec::new();
    for stay in stays {
        for other in latest.values().filter(|other| other.end > stay.start) {
            let pair = [stay.group.min(other.group), stay.group.max(other.group)];
            if let Some(owner) = pairs.get(&pair)
                && reported.insert(pair)
            {
                let (stay, other) = if stay.group == *owner { (stay, *other) } else { (*other, stay) };
                found.push(exclusive_breach(stay, other, pair));
            }
        }
        let kept = latest.entry(stay.group).or_insert(stay);
        if kept.end < stay.end {
            *kept = stay;
        }
    }
    found
}

/// The breach of a stay in the group that has the rule, and another stay.
fn exclusive_breach(stay: &Stay<'_>, other: &Stay<'_>, [first, second]: [&GroupName; 2]) -> Breach {
    let (person, place) = (&stay.entry.person, &other.entry.origin);
    let message = format!("{person} belongs to {}, but is also in {} ({place})", stay.group, other.group);
    let help = "remove one of the two entries, or give them times that do not overlap";
    let problem = with_rosters(Problem::at(&stay.entry.origin, message).help(help), stay.group, stay.entry)
        .related(place.clone(), format!("{person} is in group {} here", quoted(other.group.as_str())));
    let (rule, who) = (BrokenRule::ExclusiveWith(second.clone()), PersonOrRoster::Person(person.clone()));
    Breach {
        key: BreachKey { rule, group: first.clone(), who },
        problem: with_rosters(problem, other.group, other.entry),
    }
}

#[cfg(test)]
mod tests;
