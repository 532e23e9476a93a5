//! `revoke`: the steps that end a person's memberships, and the reasons against them. `prune`: those that delete entries
//! that ended long ago.

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::grant::end;
use super::lists::{Found, List, ListName, has_ended, meant};
use super::step::{ChangedTerms, EditAction, EditStep, Moment, When};
use super::{Draft, EditContext, EditError, Unchanged, Uncompared};
use crate::config::problem::Problem;
use crate::model::{DesiredGroup, Mode, Origin, PersonRef, Window, whole_second};

#[derive(Clone, Debug)]
pub struct Revoke {
    pub person: PersonRef,
    /// `None` means all groups and rosters of all files.
    pub lists: Option<Vec<ListName>>,
    pub until: Option<When>,
    /// Make what is allowed, and refuse the rest.
    pub partial: bool,
}

pub(super) fn prune<'d>(context: &EditContext<'d>, older_than: SignedDuration) -> Draft<'d> {
    let (mut draft, mut kept) = (Draft::default(), 0);
    for list in context.lists.memberships() {
        for (index, entry) in list.entries.iter().enumerate() {
            if entry.window().until.is_none_or(|until| context.now.duration_since(until) <= older_than) {
                continue;
            }
            if context.lists.ends_additive(list) {
                kept += 1;
            } else {
                draft.steps.push(EditStep { list, index, entry: Some(entry), action: EditAction::Remove });
            }
        }
    }
    Draft { kept: Some(kept), ..draft }
}

struct Revoking<'r, 'd> {
    context: &'r EditContext<'d>,
    person: &'r PersonRef,
    named: Vec<&'d List<'d>>,
    everywhere: bool,
    until: Option<Moment>,
    draft: Draft<'d>,
}

impl Revoke {
    pub(super) fn draft<'d>(&self, context: &EditContext<'d>) -> Result<Draft<'d>, EditError> {
        let until = end(self.until.as_ref(), context.now)?;
        let named = match &self.lists {
            Some(lists) => context.named(lists)?,
            None => context.lists.memberships().collect(),
        };
        let everywhere = self.lists.is_none();
        let draft = Draft::default();
        let mut revoking = Revoking { context, person: &self.person, named, everywhere, until, draft };
        revoking.list_uncompared();
        revoking.draft_named()?;
        let mut refused = revoking.guard();
        while self.partial && !refused.is_empty() && !revoking.draft.steps.is_empty() {
            for (group, problem) in refused {
                let stays = revoking.drop_steps(group).into_iter();
                let problem = stays.fold(problem, |problem, place| problem.related(place, "this entry stays"));
                revoking.draft.refusals.push(problem);
            }
            refused = revoking.guard();
        }
        revoking.draft.refusals.extend(refused.into_iter().map(|(_, problem)| problem));
        revoking.note_who_stays();
        if everywhere {
            revoking.note_owned();
        }
        Ok(revoking.draft)
    }
}

impl<'d> Revoking<'_, 'd> {
    fn effect(&self) -> Timestamp {
        self.until.as_ref().map_or(self.context.now, |until| until.time)
    }

    /// The lists that the steps edit.
    fn edited(&self) -> BTreeSet<usize> {
        self.draft.steps.iter().map(|step| step.list.index).collect()
    }

    fn is_named(&self, list: &List<'_>) -> bool {
        self.named.iter().any(|named| named.index == list.index)
    }

    fn draft_named(&mut self) -> Result<(), EditError> {
        let mut nowhere = true;
        for list in self.named.clone() {
            let own = list.own(self.person);
            let lists = self.context.lists;
            let through = if self.everywhere { Vec::new() } else { lists.through_rosters(list, self.person) };
            nowhere &= own.is_none() && through.is_empty();
            if let Some(own) = &own {
                self.end(own);
            } else if through.is_empty() && !self.everywhere {
                self.draft.notes.push(format!("{} is not in {}", self.person, list.name));
            }
            if list.group.is_some() || own.is_none() {
                self.refuse_remaining(list, own.is_some(), &through);
            }
        }
        if nowhere { Err(self.unknown_person()) } else { Ok(()) }
    }

    fn end(&mut self, own: &Found<'d>) {
        let (context, window) = (self.context, own.window);
        let stays_written = context.lists.ends_additive(own.list);
        let begins_by = |end: Timestamp| window.from.is_none_or(|from| from < end);
        let action = match &self.until {
            None if !stays_written => EditAction::Remove,
            _ if has_ended(window, self.effect()) => return self.leave(own),
            None if window.from.is_some_and(|from| from > context.now) => EditAction::Remove,
            None => EditAction::Change(ended_now(window, context.now)),
            Some(until) if begins_by(until.time) => EditAction::Change([("until", Some(until.text.clone()))].into()),
            Some(_) => EditAction::Remove,
        };
        self.draft.steps.push(EditStep::of(own, action));
    }

    fn leave(&mut self, found: &Found<'_>) {
        let message = format!("{} has an entry in {} that already ends by then", self.person, found.list.name);
        self.draft.unchanged.push(Unchanged { message, origin: found.origin() });
    }

    /// Refuses an edit that leaves the person in a list through rosters that are not named.
    fn refuse_remaining(&mut self, list: &List<'_>, has_own: bool, through: &[Found<'_>]) {
        for found in through {
            if self.is_named(found.list) {
                continue;
            }
            if has_ended(found.window, self.effect()) {
                if !has_own {
                    self.leave(found);
                }
                continue;
            }
            let (person, name, roster) = (self.person, &list.name, &found.list.name);
            let message = match list.group {
                Some(_) => format!("{person} would remain in {name} through {roster}"),
                None => format!("{person} is not directly in {name}, but in {roster}, which is nested in it"),
            };
            let until = self.until.as_ref().map(|until| until.text.as_str());
            let command = self.context.command("revoke", person, roster, &[("--until", until)]);
            let others = self.context.lists.groups_of(found.list.index).filter(|group| !self.is_named(group));
            let others: Vec<String> = others.map(|group| group.name.to_string()).collect();
            let touched = if others.is_empty() {
                "no other group uses it".to_owned()
            } else {
                format!("it also gives members to {}", others.join(", "))
            };
            let help = format!("run: {command} ({touched})");
            self.draft.refusals.push(Problem::at(&found.origin(), message).help(help));
        }
    }

    fn unknown_person(&self) -> EditError {
        let meant = meant(self.person, self.context.lists.with_rosters(&self.named));
        let usual = || "run `convoke why` to see the groups of a person".to_owned();
        let help = meant.map_or_else(usual, |meant| format!("did you mean {meant}?"));
        let place = if self.everywhere {
            "in any group or roster of the files".to_owned()
        } else {
            let names: Vec<String> = self.named.iter().map(|list| list.name.to_string()).collect();
            format!("in {}", names.join(" or "))
        };
        let uncompared = self.draft.uncompared.clone();
        EditError::Usage { message: format!("{} is not {place}", self.person), help, uncompared }
    }

    /// What the settings forbid, with the group that it is about.
    fn guard(&mut self) -> Vec<(Option<&'d List<'d>>, Problem)> {
        let context = self.context;
        let mut refused = Vec::new();
        if self.draft.steps.is_empty() && self.draft.refusals.is_empty() {
            return refused;
        }
        let mut protected = context.files.desired.settings.protected.iter();
        if let Some(protected) = protected.find(|protected| protected.person == *self.person) {
            let message = format!("{} is protected and cannot be removed from any group", self.person);
            let help = "remove the person from `protected` first, in a separate change";
            refused.push((None, Problem::at(&protected.origin, message).help(help)));
        }
        let ended = self.edited();
        for list in &context.lists.all {
            if let ListName::Group(name) = &list.name
                && let Some(group) = context.files.desired.groups.get(name)
                && ended.iter().any(|ended| list.draws_on(*ended))
            {
                self.draft.note_observed(list);
                let problems = self.guard_group(list, group, &ended);
                refused.extend(problems.into_iter().map(|problem| (Some(list), problem)));
            }
        }
        refused
    }

    /// Drops the steps that a refusal concerns: those that take a person out of this group, or all. An own entry that
    /// stays is enough to keep the person in the group. Returns the places of the entries that stay.
    fn drop_steps(&mut self, group: Option<&List<'_>>) -> Vec<Origin> {
        let is_own = |step: &EditStep<'_>| group.is_some_and(|group| step.list.index == group.index);
        let has_own = self.draft.steps.iter().any(is_own);
        let concerns = |step: &mut EditStep<'_>| match group {
            Some(_) if has_own => is_own(step),
            Some(group) => group.draws_on(step.list.index),
            None => true,
        };
        let dropped = self.draft.steps.extract_if(.., concerns);
        dropped.filter_map(|step| Some(step.list.origin(step.entry?.at))).collect()
    }

    /// What the settings of a group forbid, if the person's entries in these lists have ended.
    fn guard_group(&mut self, list: &List<'d>, group: &DesiredGroup, ended: &BTreeSet<usize>) -> Vec<Problem> {
        let (mut refused, time) = (Vec::new(), self.effect());
        let own = list.own(self.person).into_iter().chain(self.context.lists.through_rosters(list, self.person));
        // Each step of `revoke` ends an entry no later than this time.
        let holding: Vec<Found<'_>> = own.filter(|found| found.window.contains(time)).collect();
        let stays = holding.is_empty() || holding.iter().any(|found| !ended.contains(&found.list.index));
        if stays || group.mode == Mode::Observe {
            return refused;
        }
        // The list of an additive group is not complete; only the plan knows its other members.
        let is_complete = group.mode == Mode::Exact;
        let present = group.members.iter().filter(|member| member.belongs_at(time));
        let present: HashSet<_> = present.map(|member| &member.person).collect();
        let left = (present.len() as u64).saturating_sub(1);
        let name = &list.name;
        if left == 0 && !group.allow_empty.value {
            if is_complete {
                let help = "add somebody else first, or set `allow_empty: true`";
                refused.push(Problem::at(&group.members_origin, format!("{name} would be left empty")).help(help));
            } else {
                let note = format!("{name} would have no declared member left; a plan that empties it is refused");
                self.draft.note_once(note);
            }
        }
        if let Some(least) = &group.min_members
            && left < least.value
            && (is_complete || left + 1 >= least.value)
        {
            let message = format!("{name} would be left with {left}, and `min_members` is {}", least.value);
            let origin = least.origin.as_ref().unwrap_or(&group.origin);
            refused.push(Problem::at(origin, message).help("add somebody else first, or lower `min_members`"));
        }
        refused
    }

    /// Adds a remark for each group in which the person stays although a roster loses them.
    fn note_who_stays(&mut self) {
        let (context, time, edited) = (self.context, self.effect(), self.edited());
        for group in context.lists.all.iter().filter(|list| list.group.is_some()) {
            // All lists that are edited are named, so a group that is not named draws on rosters.
            if self.is_named(group) || !edited.iter().any(|list| group.draws_on(*list)) {
                continue;
            }
            let mut entries = context.lists.through_rosters(group, self.person);
            entries.extend(group.own(self.person));
            for Found { list, entry, window, .. } in entries {
                if edited.contains(&list.index) || has_ended(window, time) {
                    continue;
                }
                let through = if list.group.is_none() { format!(" through {}", list.name) } else { String::new() };
                let place = list.origin(entry.at);
                self.draft.notes.push(format!("{} stays in {}{through}: {place}", self.person, group.name));
            }
        }
    }

    /// Adds a remark for each group of which the person stays an owner.
    fn note_owned(&mut self) {
        for list in self.context.lists.all.iter().filter(|list| matches!(list.name, ListName::Owners(_))) {
            let note = |own: Found<'_>| format!("{} stays in {}: {}", self.person, list.name, own.origin());
            self.draft.notes.extend(list.own(self.person).map(note));
        }
    }

    /// Lists the entries by id or by address, those of `protected` included, that may mean the same person but cannot
    /// be compared.
    fn list_uncompared(&mut self) {
        let protected = self.context.lists.all.iter().filter(|list| matches!(list.name, ListName::Setting(_)));
        let listed = self.context.lists.with_rosters(&self.named).chain(protected).flat_map(List::people);
        let differs = |found: &Found<'_>| std::mem::discriminant(found.person) != std::mem::discriminant(self.person);
        let uncompared = |found: Found<'_>| Uncompared { person: found.person.clone(), origin: found.origin() };
        self.draft.uncompared = listed.filter(differs).map(uncompared).collect();
        self.draft.uncompared.sort_by(|a, b| a.origin.cmp(&b.origin));
    }
}

/// Ends a membership now. A beginning within this second is dropped, because it would not be before the end.
fn ended_now(window: Window, now: Timestamp) -> ChangedTerms {
    let end = Some(whole_second(now)).filter(|end| window.from.is_none_or(|from| from < *end)).unwrap_or(now);
    let from = window.from.filter(|from| *from >= end).map(|_| ("from", None));
    from.into_iter().chain([("until", Some(end.to_string()))]).collect()
}
