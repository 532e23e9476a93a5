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
use super::problem::{MOST_PROBLEMS, Problem, ProblemReport, Problems, quoted};
use crate::model::{
    Desired, DesiredGroup, DesiredMember, Exclusion, GroupName, Origin, Period, PersonRef, RosterUse, Setting, Terms,
};

#[derive(Clone, Debug)]
pub struct Breach {
    pub key: BreachKey,
    pub(super) problem: Problem,
}

/// Identifies a breach independently of positions in the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreachKey {
    MaxDuration { group: GroupName, person: PersonRef },
    MissingReason { group: GroupName, person: PersonRef },
    MissingRosterReason { group: GroupName, roster: Arc<str> },
    Exclusive { group: GroupName, other: GroupName, person: PersonRef },
    Domain { group: GroupName, person: PersonRef },
}

impl BreachKey {
    /// The person, if the key stays the same when they get another address. That is judged for its own domain.
    pub(super) const fn renamed(&mut self) -> Option<&mut PersonRef> {
        match self {
            Self::MaxDuration { person, .. } | Self::MissingReason { person, .. } | Self::Exclusive { person, .. } => {
                Some(person)
            }
            Self::MissingRosterReason { .. } | Self::Domain { .. } => None,
        }
    }

    pub(super) fn rule_in<'d>(&self, desired: &'d Desired) -> Option<&'d Origin> {
        let rules = |group: &GroupName| desired.groups.get(group).map(|group| &group.rules);
        let exclusion = |of: &GroupName, with: &GroupName| rules(of)?.exclusion_of(with);
        match self {
            Self::MaxDuration { group, .. } => rules(group)?.max_duration.as_ref()?.origin.as_ref(),
            Self::MissingReason { group, .. } | Self::MissingRosterReason { group, .. } => {
                rules(group)?.require_reason.as_ref()
            }
            Self::Exclusive { group, other, .. } => {
                Some(&exclusion(group, other).or_else(|| exclusion(other, group))?.origin)
            }
            Self::Domain { group, .. } => desired.domains_of(desired.groups.get(group)?)?.origin.as_ref(),
        }
    }
}

/// Reports every breach as a problem of the files, with its source line.
///
/// # Errors
///
/// If a rule is broken.
pub fn check_rules(desired: &Desired, sources: &[Source], time: Timestamp) -> Result<(), Problems> {
    let mut report = ProblemReport::default();
    for breach in breaches(desired, time).take(MOST_PROBLEMS) {
        report.push(breach.problem);
    }
    report.finish(sources)
}

/// All breaches of rules at this time or later, one by one, because there can be as many as memberships. A part of them
/// must not be compared with a part of others.
pub fn breaches(desired: &Desired, time: Timestamp) -> impl Iterator<Item = Breach> {
    let of_groups = desired.groups.iter().flat_map(move |(name, group)| {
        let too_long = group
            .rules
            .max_duration
            .iter()
            .flat_map(move |rule| group.members.iter().filter_map(move |entry| too_long(name, rule, entry, time)));
        let missing = group.rules.require_reason.iter().flat_map(move |rule| missing_reasons(name, group, rule));
        let domains = desired.domains_of(group).into_iter();
        let foreign = domains.flat_map(move |rule| {
            group.members.iter().filter_map(move |entry| foreign_domain(name, rule, entry, time))
        });
        too_long.chain(missing).chain(foreign)
    });
    // The exclusions are sorted only if they are needed.
    let exclusive = std::iter::once_with(move || ExclusivePairs::of(desired).breaches(time)).flatten();
    of_groups.chain(exclusive)
}

/// The breach of an entry without `until`, or with an `until` too far after its beginning.
fn too_long(name: &GroupName, rule: &Setting<Period>, entry: &DesiredMember, time: Timestamp) -> Option<Breach> {
    let terms = entry.terms.as_deref();
    let from = terms.and_then(|terms| terms.window.from);
    let latest = from.unwrap_or(time).checked_add(rule.value.length()).unwrap_or(Timestamp::MAX);
    let end = terms.and_then(counted_end);
    if end.is_some_and(|end| end <= latest) {
        return None;
    }
    let (person, most) = (&entry.person, rule.value);
    let whose = quoted(name.as_str());
    let message = match (end, from) {
        (None, _) => format!("{person} needs an `until`, because group {whose} has `max_duration: {most}`"),
        (Some(_), Some(_)) => {
            format!("`until` of {person} is more than {most} after `from`, the `max_duration` of group {whose}")
        }
        (Some(_), None) => {
            format!("`until` of {person} is more than {most} from now, the `max_duration` of group {whose}")
        }
    };
    let help = match shown_end(latest, most) {
        _ if latest <= time => format!("write a later `from`, and an `until` at most {most} after it"),
        latest if entry.via.is_some() => {
            format!("write `until: {latest}` or an earlier time, here or in an entry that uses the roster")
        }
        latest => format!("write `until: {latest}` or an earlier time"),
    };
    let problem = with_rosters(Problem::at(&entry.origin, message).help(help), name, entry);
    let problem = with_rule(problem, rule.origin.as_ref(), "max_duration");
    Some(Breach { key: BreachKey::MaxDuration { group: name.clone(), person: person.clone() }, problem })
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
    if rule.value.iter().any(|allowed| *allowed == domain) || entry.until().is_some_and(|until| until <= time) {
        return None;
    }
    let (whose, allowed) = (quoted(name.as_str()), rule.value.join(", "));
    let message = format!("{email} is not allowed in group {whose}: its `email_domains` are {allowed}");
    let help = format!("use an address of one of these domains, or add {domain} to `email_domains`");
    let problem = with_rosters(Problem::at(&entry.origin, message).help(help), name, entry);
    let problem = with_rule(problem, rule.origin.as_ref(), "email_domains");
    Some(Breach { key: BreachKey::Domain { group: name.clone(), person: entry.person.clone() }, problem })
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
fn missing_reasons<'d>(
    name: &'d GroupName,
    group: &'d DesiredGroup,
    rule: &'d Origin,
) -> impl Iterator<Item = Breach> + 'd {
    let problem = move |origin: &Origin, what: &str| {
        let message = format!("{what} needs a `reason`, because group {} has `require_reason`", quoted(name.as_str()));
        let problem = Problem::at(origin, message).help("add `reason:` to the entry, with a few words or a ticket");
        with_rule(problem, Some(rule), "require_reason")
    };
    let own = group.members.iter().filter(|entry| entry.via.is_none());
    let people =
        own.filter(|entry| entry.terms.as_deref().is_none_or(|terms| terms.reason.is_none())).map(move |entry| {
            let key = BreachKey::MissingReason { group: name.clone(), person: entry.person.clone() };
            Breach { key, problem: problem(&entry.origin, &format!("the entry of {}", entry.person)) }
        });
    let rosters = group.roster_entries.iter().filter(|entry| entry.reason.is_none()).map(move |entry| {
        let key = BreachKey::MissingRosterReason { group: name.clone(), roster: Arc::clone(&entry.roster) };
        Breach { key, problem: problem(&entry.origin, &format!("the entry of roster {}", quoted(&entry.roster))) }
    });
    people.chain(rosters)
}

fn with_rule(problem: Problem, rule: Option<&Origin>, key: &str) -> Problem {
    match rule {
        Some(origin) => problem.related(origin.clone(), format!("`{key}` is set here")),
        None => problem,
    }
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

/// The groups that exclude each other, numbered in the order of their names.
struct ExclusivePairs<'d> {
    groups: Vec<(&'d GroupName, &'d DesiredGroup)>,
    /// The groups that each group excludes, with the place of the rule. Either of two groups can have the rule.
    partners: BTreeMap<usize, BTreeMap<usize, &'d Exclusion>>,
}

/// A period of a person in a group.
struct Stay<'d> {
    person: &'d PersonRef,
    start: Timestamp,
    end: Timestamp,
    group: usize,
    /// The index in the group's list. Of several stays that begin together, the first one is reported.
    place: usize,
    entry: &'d DesiredMember,
}

impl<'d> ExclusivePairs<'d> {
    fn of(desired: &'d Desired) -> Self {
        let groups: Vec<_> = desired.groups.iter().collect();
        let mut partners: BTreeMap<usize, BTreeMap<usize, &Exclusion>> = BTreeMap::new();
        for (number, (_, group)) in groups.iter().enumerate() {
            for exclusion in &group.rules.exclusive_with {
                let Ok(other) = groups.binary_search_by(|(name, _)| (*name).cmp(&exclusion.group)) else { continue };
                partners.entry(number).or_default().insert(other, exclusion);
                partners.entry(other).or_default().entry(number).or_insert(exclusion);
            }
        }
        Self { groups, partners }
    }

    /// Everybody who would be in two exclusive groups at this time or later, once for each pair of groups.
    fn breaches(self, time: Timestamp) -> impl Iterator<Item = Breach> {
        let mut stays: Vec<Stay<'_>> = self.partners.keys().flat_map(|number| self.stays(*number, time)).collect();
        stays
            .sort_unstable_by(|a, b| (a.person, a.start, a.group, a.place).cmp(&(b.person, b.start, b.group, b.place)));
        let mut stays = stays.into_iter().peekable();
        let of_next_person = move || {
            let mut of_person = vec![stays.next()?];
            let person = of_person.first()?.person;
            of_person.extend(std::iter::from_fn(|| stays.next_if(|stay| stay.person == person)));
            Some(of_person)
        };
        std::iter::from_fn(of_next_person).flat_map(move |of_person| self.overlaps(&of_person))
    }

    fn stays(&self, number: usize, time: Timestamp) -> impl Iterator<Item = Stay<'d>> {
        let members = self.groups.get(number).map(|(_, group)| group.members.as_slice()).unwrap_or_default();
        members.iter().enumerate().filter_map(move |(place, entry)| {
            let window = entry.terms.as_deref().map(|terms| terms.window).unwrap_or_default();
            let start = window.from.map_or(time, |from| from.max(time));
            let end = window.until.unwrap_or(Timestamp::MAX);
            (start < end).then_some(Stay { person: &entry.person, start, end, group: number, place, entry })
        })
    }

    /// The overlaps of one person's stays, which are sorted by their beginning. A stay overlaps an earlier stay in
    /// another group if the latest end there is after its beginning.
    fn overlaps(&self, stays: &[Stay<'d>]) -> Vec<Breach> {
        let mut latest: BTreeMap<usize, &Stay<'_>> = BTreeMap::new();
        let mut reported: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut found = Vec::new();
        for stay in stays {
            let Some(partners) = self.partners.get(&stay.group) else { continue };
            let excluded = |other: &&&Stay<'_>| partners.contains_key(&other.group) && other.end > stay.start;
            for other in latest.values().filter(excluded) {
                let pair = (stay.group.min(other.group), stay.group.max(other.group));
                if reported.insert(pair) {
                    found.extend(self.breach(stay, other));
                }
            }
            let kept = latest.entry(stay.group).or_insert(stay);
            if kept.end < stay.end {
                *kept = stay;
            }
        }
        found
    }

    /// The breach of two stays. It is reported in the group that has the rule, or in the first group if both have it.
    fn breach(&self, a: &Stay<'_>, b: &Stay<'_>) -> Option<Breach> {
        let (first, second) = if a.group < b.group { (a, b) } else { (b, a) };
        let excludes = |of: &Stay<'_>, other: &Stay<'_>| {
            let name = self.groups.get(other.group)?.0;
            self.groups.get(of.group)?.1.rules.exclusion_of(name)
        };
        let (stay, other, rule) = match excludes(first, second) {
            Some(rule) => (first, second, rule),
            None => (second, first, excludes(second, first)?),
        };
        let (name, other_name) = (self.groups.get(stay.group)?.0, self.groups.get(other.group)?.0);
        let (person, place) = (stay.person, &other.entry.origin);
        let message = format!("{person} belongs to {name}, but is also in {other_name} ({place})");
        let problem = with_rosters(Problem::at(&stay.entry.origin, message), name, stay.entry)
            .related(place.clone(), format!("{person} is in group {} here", quoted(other_name.as_str())))
            .help("remove one of the two entries, or give them times that do not overlap");
        let problem = with_rosters(problem, other_name, other.entry);
        let problem = with_rule(problem, Some(&rule.origin), "exclusive_with");
        let (first, second) = (name.min(other_name), name.max(other_name));
        let key = BreachKey::Exclusive { group: first.clone(), other: second.clone(), person: person.clone() };
        Some(Breach { key, problem })
    }
}

#[cfg(test)]
mod tests;
