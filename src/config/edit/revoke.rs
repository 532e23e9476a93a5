//! `revoke`: the steps that end a person's memberships, and the reasons against them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use super::grant::{check_end, moment};
use super::lists::{Found, ListName, has_ended};
use super::step::{Action, ChangedTerms, Step, Turn};
use super::when::{Moment, When, whole_second};
use super::{Decision, EditError, Scene, Uncompared};
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::time::End;
use crate::model::{Mode, PersonRef, Window};

#[derive(Clone, Debug)]
pub struct Revoke {
    pub person: PersonRef,
    /// The lists; `None` for all lists.
    pub lists: Option<Vec<ListName>>,
    pub until: Option<When>,
}

/// The state of the decision.
struct Revoking<'r, 'd> {
    scene: &'r Scene<'d>,
    person: &'r PersonRef,
    /// The named lists.
    named: Vec<usize>,
    everywhere: bool,
    until: Option<Moment>,
    decision: Decision,
}

impl Revoke {
    pub(super) fn decide(&self, scene: &Scene<'_>) -> Result<Decision, EditError> {
        let until = moment(self.until.as_ref(), End::Until, "--until", scene.now)?;
        if let Some(until) = &until {
            check_end(until, scene.now)?;
        }
        let named = match &self.lists {
            Some(lists) => scene.named(lists)?,
            None => (0..scene.lists.all.len()).collect(),
        };
        let everywhere = self.lists.is_none();
        let decision = Decision::default();
        let mut revoking = Revoking { scene, person: &self.person, named, everywhere, until, decision };
        revoking.list_uncompared();
        revoking.decide_named()?;
        revoking.guard();
        revoking.note_who_stays();
        Ok(revoking.decision)
    }
}

impl Revoking<'_, '_> {
    /// When the revoke takes effect.
    fn effect(&self) -> Timestamp {
        self.until.as_ref().map_or(self.scene.now, |until| until.time)
    }

    fn decide_named(&mut self) -> Result<(), EditError> {
        let lists = &self.scene.lists;
        let mut nowhere = true;
        for list in self.named.clone() {
            let own = lists.own(list, self.person);
            let through = if self.everywhere { Vec::new() } else { lists.through_rosters(list, self.person) };
            nowhere &= own.is_none() && through.is_empty();
            if let Some(own) = own {
                self.end(own);
            } else if through.is_empty() && !self.everywhere {
                let name = lists.get(list).map(|list| list.name.to_string()).unwrap_or_default();
                self.decision.notes.push(format!("{} is not in {name}", self.person));
            }
            let is_group = lists.get(list).is_some_and(|list| list.group.is_some());
            if is_group || own.is_none() {
                self.refuse_remaining(list, own.is_some(), &through);
            }
        }
        if nowhere { Err(self.unknown_person()) } else { Ok(()) }
    }

    /// Ends the person's own entry.
    fn end(&mut self, own: Found<'_>) {
        let scene = self.scene;
        let window = own.window();
        let stays_written = scene.lists.ends_additive(own.list);
        let action = match &self.until {
            None if !stays_written => Action::Remove,
            _ if has_ended(window, self.effect()) => {
                let name = scene.lists.get(own.list).map(|list| list.name.to_string()).unwrap_or_default();
                self.decision.unchanged(
                    scene,
                    &own,
                    format!("{} has an entry in {name} that already ends by then", self.person),
                );
                return;
            }
            None if window.from.is_some_and(|from| from > scene.now) => Action::Remove,
            None => Action::Change(ended_now(window, scene.now)),
            Some(until) if window.from.is_some_and(|from| from >= until.time) => Action::Remove,
            Some(until) => {
                Action::Change(ChangedTerms { from: Turn::Keep, until: Turn::Set(until.clone()), reason: Turn::Keep })
            }
        };
        self.decision.steps.push(Step { list: own.list, index: own.index, person: self.person.clone(), action });
    }

    /// Refuses an edit that leaves the person in a list through rosters that are not named.
    fn refuse_remaining(&mut self, list: usize, has_own: bool, through: &[Found<'_>]) {
        let scene = self.scene;
        let Some(of) = scene.lists.get(list) else { return };
        for found in through.iter().filter(|found| !self.named.contains(&found.list)) {
            let Some(roster) = scene.lists.get(found.list) else { continue };
            if has_ended(found.window(), self.effect()) {
                let message = format!("{} has an entry in {} that already ends by then", self.person, roster.name);
                if !has_own {
                    self.decision.unchanged(scene, found, message);
                }
                continue;
            }
            let message = match of.group {
                Some(_) => format!("{} would remain in {} through {}", self.person, of.name, roster.name),
                None => format!(
                    "{} is not directly in {}, but in {}, which is nested in it",
                    self.person, of.name, roster.name
                ),
            };
            let person = self.person.to_string();
            let mut words = vec!["revoke", &person];
            words.extend(roster.name.words());
            words.extend(self.until.iter().flat_map(|until| ["--until", &until.text]));
            let command = (scene.spell)(&words);
            let others = scene.lists.groups_of(found.list).filter(|group| !self.named.contains(group));
            let others: Vec<String> =
                others.filter_map(|group| scene.lists.get(group)).map(|group| group.name.to_string()).collect();
            let touched = match others.is_empty() {
                true => "no other group uses it".to_owned(),
                false => format!("it also gives members to {}", others.join(", ")),
            };
            if let Some(origin) = scene.lists.origin(found.list, found.at) {
                let help = format!("run: {command} ({touched})");
                self.decision.refusals.push(Problem::at(&origin, message).help(help));
            }
        }
    }

    fn unknown_person(&self) -> EditError {
        let lists = &self.scene.lists;
        let reached = self.named.iter().flat_map(|list| lists.rosters_of(*list).iter().chain([list]));
        let reached: BTreeSet<usize> = reached.copied().collect();
        let known: Vec<String> =
            reached.iter().flat_map(|list| lists.people(*list)).map(|found| found.person.to_string()).collect();
        let text = self.person.to_string();
        let help = match nearest(&text, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "run `convoke why` to see the groups of a person".into(),
        };
        let place = match self.everywhere {
            true => "in any group or roster of the files".to_owned(),
            false => {
                let names = self.named.iter().filter_map(|list| lists.get(*list)).map(|list| list.name.to_string());
                format!("in {}", names.collect::<Vec<_>>().join(" or "))
            }
        };
        let uncompared = self.decision.uncompared.clone();
        EditError::Usage { message: format!("{} is not {place}", self.person), help, uncompared }
    }

    /// Refuses what the settings forbid.
    fn guard(&mut self) {
        let scene = self.scene;
        if self.decision.steps.is_empty() && self.decision.refusals.is_empty() {
            return;
        }
        let protected = scene.desired.settings.protected.iter().find(|protected| protected.person == *self.person);
        if let Some(protected) = protected {
            let message = format!("{} is protected and cannot be removed from any group", self.person);
            let help = "remove the person from `protected` first, in a separate change";
            self.decision.refusals.push(Problem::at(&protected.origin, message).help(help));
        }
        let ended: BTreeMap<usize, Option<Window>> =
            self.decision.steps.iter().map(|step| (step.list, after(step, scene))).collect();
        let lists = &scene.lists;
        let touched: BTreeSet<usize> = ended.keys().flat_map(|list| lists.groups_of(*list)).collect();
        for group in touched {
            self.decision.note_observed(scene, group);
            self.guard_group(group, &ended);
        }
    }

    fn guard_group(&mut self, list: usize, ended: &BTreeMap<usize, Option<Window>>) {
        let scene = self.scene;
        let Some((of, group)) = scene.lists.get(list).and_then(|of| Some((of, of.group?))) else { return };
        // In other groups the list is not complete; the plan counts their members.
        if group.mode != Mode::Exact {
            return;
        }
        let time = self.effect();
        let sources = || scene.lists.rosters_of(list).iter().copied().chain([list]);
        let own: Vec<Found<'_>> = sources().filter_map(|source| scene.lists.own(source, self.person)).collect();
        let before = own.iter().any(|found| found.window().contains(time));
        let stays = |found: &Found<'_>| match ended.get(&found.list) {
            Some(window) => window.is_some_and(|window| window.contains(time)),
            None => found.window().contains(time),
        };
        if !before || own.iter().any(stays) {
            return;
        }
        let people = sources().flat_map(|source| scene.lists.people(source));
        let present = people.filter(|found| found.window().contains(time)).map(|found| found.person);
        let left = (present.collect::<HashSet<_>>().len() as u64).saturating_sub(1);
        let name = &of.name;
        if left == 0 && !group.allow_empty.value {
            let message = format!("{name} would be left empty");
            let help = "add somebody else first, or set `allow_empty: true`";
            self.decision.refusals.push(Problem::at(&group.members_origin, message).help(help));
        }
        if let Some(least) = &group.min_members
            && left < least.value
        {
            let message = format!("{name} would be left with {left}, and `min_members` is {}", least.value);
            let origin = least.origin.as_ref().unwrap_or(&group.origin);
            let help = "add somebody else first, or lower `min_members`";
            self.decision.refusals.push(Problem::at(origin, message).help(help));
        }
    }

    /// Adds a remark for each group in which the person stays although a roster loses them.
    fn note_who_stays(&mut self) {
        let lists = &self.scene.lists;
        let time = self.effect();
        let edited: BTreeSet<usize> = self.decision.steps.iter().map(|step| step.list).collect();
        let is_roster = |list: &&usize| lists.get(**list).is_some_and(|list| list.group.is_none());
        let groups: BTreeSet<usize> =
            edited.iter().filter(is_roster).flat_map(|roster| lists.groups_of(*roster)).collect();
        for group in groups.into_iter().filter(|group| !self.named.contains(group)) {
            let Some(of) = lists.get(group) else { continue };
            let mut entries = lists.through_rosters(group, self.person);
            entries.extend(lists.own(group, self.person));
            for found in entries.iter().filter(|found| !edited.contains(&found.list)) {
                let through = lists.get(found.list).filter(|list| list.group.is_none());
                let through = through.map(|roster| format!(" through {}", roster.name)).unwrap_or_default();
                if let (false, Some(origin)) = (has_ended(found.window(), time), lists.origin(found.list, found.at)) {
                    self.decision.notes.push(format!("{} stays in {}{through}: {origin}", self.person, of.name));
                }
            }
        }
    }

    /// Lists the entries by id or by address, those of `protected` included, that may mean the same person but cannot
    /// be compared.
    fn list_uncompared(&mut self) {
        let lists = &self.scene.lists;
        let sources = self.named.iter().flat_map(|list| lists.rosters_of(*list).iter().chain([list]));
        let sources: BTreeSet<usize> = sources.copied().collect();
        let listed = sources.into_iter().flat_map(|list| lists.people(list));
        let listed = listed.filter_map(|found| Some((found.person, lists.origin(found.list, found.at)?)));
        let protected = self.scene.desired.settings.protected.iter();
        let protected = protected.map(|protected| (&protected.person, protected.origin.clone()));
        for (person, origin) in listed.chain(protected) {
            let differs = matches!(
                (self.person, person),
                (PersonRef::Email(_), PersonRef::Id(_)) | (PersonRef::Id(_), PersonRef::Email(_))
            );
            if differs {
                self.decision.uncompared.push(Uncompared { person: person.clone(), origin });
            }
        }
        self.decision.uncompared.sort_by(|a, b| a.origin.cmp(&b.origin));
    }
}

/// Ends a membership now. A beginning within this second is dropped, because it would not be before the end.
fn ended_now(window: Window, now: Timestamp) -> ChangedTerms {
    let end = Some(whole_second(now)).filter(|end| window.from.is_none_or(|from| from < *end)).unwrap_or(now);
    let begins = if window.from.is_some_and(|from| from >= end) { Turn::Drop } else { Turn::Keep };
    let until = Moment { text: end.to_string(), time: end };
    ChangedTerms { from: begins, until: Turn::Set(until), reason: Turn::Keep }
}

fn after(step: &Step, scene: &Scene<'_>) -> Option<Window> {
    let before = scene.lists.own(step.list, &step.person).map(|found| found.window()).unwrap_or_default();
    match &step.action {
        Action::Remove => None,
        Action::Change(terms) => Some(terms.window(before)),
        Action::Insert(terms) | Action::Replace(terms) => Some(terms.window()),
    }
}

impl ListName {
    /// The list in the words of a command line.
    pub(super) fn words(&self) -> Vec<&str> {
        match self {
            Self::Group(name) => vec![name.as_str()],
            Self::Roster(name) => vec!["--roster", name],
        }
    }
}
