//! `revoke`: the steps that end a person's memberships, and the reasons against them. `prune`: those that delete entries
//! that ended long ago.

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::grant::{check_end, moment};
use super::lists::{Found, ListName, has_ended, meant};
use super::step::{ChangedTerms, EditAction, EditStep, FieldEdit, Moment, When};
use super::{Draft, EditContext, EditError, Unchanged, Uncompared};
use crate::config::problem::Problem;
use crate::model::{Mode, Origin, PersonRef, Window, WrittenTime, whole_second};

#[derive(Clone, Debug)]
pub struct Revoke {
    pub person: PersonRef,
    /// `None` means all groups and rosters of all files.
    pub lists: Option<Vec<ListName>>,
    pub until: Option<When>,
    /// Make what is allowed, and refuse the rest.
    pub partial: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Prune {
    pub older_than: SignedDuration,
}

impl Prune {
    pub(super) fn draft(self, context: &EditContext<'_>) -> Draft {
        let mut draft = Draft::default();
        let mut kept = 0;
        for list in context.lists.memberships() {
            let keeps = context.lists.ends_additive(list);
            for (index, entry) in context.lists.get(list).entries.iter().enumerate() {
                let ended = entry.window().until.filter(|until| context.now.duration_since(*until) > self.older_than);
                match (ended, keeps) {
                    (None, _) => {}
                    (Some(_), true) => kept += 1,
                    (Some(_), false) => draft.steps.push(EditStep { list, index, action: EditAction::Remove }),
                }
            }
        }
        Draft { kept: Some(kept), ..draft }
    }
}

struct Revoking<'r, 'd> {
    context: &'r EditContext<'d>,
    person: &'r PersonRef,
    named: Vec<usize>,
    everywhere: bool,
    until: Option<Moment>,
    draft: Draft,
}

impl Revoke {
    pub(super) fn draft(&self, context: &EditContext<'_>) -> Result<Draft, EditError> {
        let until = moment(self.until.as_ref(), WrittenTime::end, "--until", context.now)?;
        if let Some(until) = &until {
            check_end(until, context.now)?;
        }
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

impl Revoking<'_, '_> {
    fn effect(&self) -> Timestamp {
        self.until.as_ref().map_or(self.context.now, |until| until.time)
    }

    fn draft_named(&mut self) -> Result<(), EditError> {
        let lists = &self.context.lists;
        let mut nowhere = true;
        for list in self.named.clone() {
            let of = lists.get(list);
            let own = lists.own(list, self.person);
            let through = if self.everywhere { Vec::new() } else { lists.through_rosters(list, self.person) };
            nowhere &= own.is_none() && through.is_empty();
            if let Some(own) = own {
                self.end(&own);
            } else if through.is_empty() && !self.everywhere {
                self.draft.notes.push(format!("{} is not in {}", self.person, of.name));
            }
            if of.group.is_some() || own.is_none() {
                self.refuse_remaining(list, own.is_some(), &through);
            }
        }
        if nowhere { Err(self.unknown_person()) } else { Ok(()) }
    }

    fn end(&mut self, own: &Found<'_>) {
        let (context, window) = (self.context, own.window);
        let stays_written = context.lists.ends_additive(own.list);
        let action = match &self.until {
            None if !stays_written => EditAction::Remove,
            _ if has_ended(window, self.effect()) => return self.leave(own),
            None if window.from.is_some_and(|from| from > context.now) => EditAction::Remove,
            None => EditAction::Change(ended_now(window, context.now)),
            Some(until) if window.from.is_some_and(|from| from >= until.time) => EditAction::Remove,
            Some(until) => {
                let until = FieldEdit::Set(until.text.clone());
                EditAction::Change(ChangedTerms { from: FieldEdit::Keep, until, reason: FieldEdit::Keep })
            }
        };
        self.draft.steps.push(EditStep { list: own.list, index: own.index, action });
    }

    fn leave(&mut self, found: &Found<'_>) {
        let of = self.context.lists.get(found.list);
        let message = format!("{} has an entry in {} that already ends by then", self.person, of.name);
        self.draft.unchanged.push(Unchanged { message, origin: of.origin(found.entry.at) });
    }

    /// Refuses an edit that leaves the person in a list through rosters that are not named.
    fn refuse_remaining(&mut self, list: usize, has_own: bool, through: &[Found<'_>]) {
        let lists = &self.context.lists;
        let of = lists.get(list);
        for found in through {
            if self.named.contains(&found.list) {
                continue;
            }
            let roster = lists.get(found.list);
            if has_ended(found.window, self.effect()) {
                if !has_own {
                    self.leave(found);
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
            let until = self.until.as_ref().map(|until| until.text.as_str());
            let command = self.context.command("revoke", self.person, &roster.name, &[("--until", until)]);
            let others = lists.groups_of(found.list).filter(|group| !self.named.contains(group));
            let others: Vec<String> = others.map(|group| lists.get(group).name.to_string()).collect();
            let touched = if others.is_empty() {
                "no other group uses it".to_owned()
            } else {
                format!("it also gives members to {}", others.join(", "))
            };
            let help = format!("run: {command} ({touched})");
            self.draft.refusals.push(Problem::at(&roster.origin(found.entry.at), message).help(help));
        }
    }

    fn unknown_person(&self) -> EditError {
        let lists = &self.context.lists;
        let people = lists.with_rosters(&self.named).into_iter().flat_map(|list| lists.people(list));
        let help = match meant(self.person, people.map(|(person, _)| person)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "run `convoke why` to see the groups of a person".into(),
        };
        let place = if self.everywhere {
            "in any group or roster of the files".to_owned()
        } else {
            let names = self.named.iter().map(|list| lists.get(*list).name.to_string());
            format!("in {}", names.collect::<Vec<_>>().join(" or "))
        };
        let uncompared = self.draft.uncompared.clone();
        EditError::Usage { message: format!("{} is not {place}", self.person), help, uncompared }
    }

    /// What the settings forbid, with the group that it is about.
    fn guard(&mut self) -> Vec<(Option<usize>, Problem)> {
        let context = self.context;
        let mut refused = Vec::new();
        if self.draft.steps.is_empty() && self.draft.refusals.is_empty() {
            return refused;
        }
        let protected = context.files.desired.settings.protected.iter();
        if let Some(protected) = protected.clone().find(|protected| protected.person == *self.person) {
            let message = format!("{} is protected and cannot be removed from any group", self.person);
            let help = "remove the person from `protected` first, in a separate change";
            refused.push((None, Problem::at(&protected.origin, message).help(help)));
        }
        let ended: BTreeSet<usize> = self.draft.steps.iter().map(|step| step.list).collect();
        let touched: BTreeSet<usize> = ended.iter().flat_map(|list| context.lists.groups_of(*list)).collect();
        for group in touched {
            self.draft.note_observed(context, group);
            refused.extend(self.guard_group(group, &ended).into_iter().map(|problem| (Some(group), problem)));
        }
        refused
    }

    /// Drops the steps that a refusal concerns: those that take a person out of this group, or all. An own entry that
    /// stays is enough to keep the person in the group. Returns the places of the entries that stay.
    fn drop_steps(&mut self, group: Option<usize>) -> Vec<Origin> {
        let lists = &self.context.lists;
        let has_own = self.draft.steps.iter().any(|step| Some(step.list) == group);
        let concerns = |step: &mut EditStep| match group {
            Some(group) if has_own => step.list == group,
            Some(group) => lists.get(group).reach.contains(&step.list),
            None => true,
        };
        let place = |step: EditStep| {
            let list = lists.get(step.list);
            list.entries.get(step.index).map(|entry| list.origin(entry.at))
        };
        self.draft.steps.extract_if(.., concerns).filter_map(place).collect()
    }

    /// What the settings of a group forbid, if the person's entries in these lists have ended.
    fn guard_group(&mut self, list: usize, ended: &BTreeSet<usize>) -> Vec<Problem> {
        let mut refused = Vec::new();
        let context = self.context;
        let of = context.lists.get(list);
        let Some(group) = of.group.filter(|group| group.mode != Mode::Observe) else { return refused };
        // The list of an additive group is not complete; only the plan knows its other members.
        let is_complete = group.mode == Mode::Exact;
        let ListName::Group(name) = &of.name else { return refused };
        let members = context.files.desired.groups.get(name).into_iter().flat_map(|group| &group.members);
        let time = self.effect();
        let lists = &context.lists;
        let own = lists.own(list, self.person).into_iter().chain(lists.through_rosters(list, self.person));
        // Each step of `revoke` ends an entry no later than this time.
        let holding: Vec<Found<'_>> = own.filter(|found| found.window.contains(time)).collect();
        if holding.is_empty() || holding.iter().any(|found| !ended.contains(&found.list)) {
            return refused;
        }
        let present = members.filter(|member| member.belongs_at(time)).map(|member| &member.person);
        let left = (present.collect::<HashSet<_>>().len() as u64).saturating_sub(1);
        let name = &of.name;
        if left == 0 && !group.allow_empty.value && !is_complete {
            let note = format!("{name} would have no declared member left; a plan that empties it is refused");
            if !self.draft.notes.contains(&note) {
                self.draft.notes.push(note);
            }
        } else if left == 0 && !group.allow_empty.value {
            let message = format!("{name} would be left empty");
            let help = "add somebody else first, or set `allow_empty: true`";
            refused.push(Problem::at(&group.members_origin, message).help(help));
        }
        if let Some(least) = &group.min_members
            && left < least.value
            && (is_complete || left + 1 >= least.value)
        {
            let message = format!("{name} would be left with {left}, and `min_members` is {}", least.value);
            let origin = least.origin.as_ref().unwrap_or(&group.origin);
            let help = "add somebody else first, or lower `min_members`";
            refused.push(Problem::at(origin, message).help(help));
        }
        refused
    }

    /// Adds a remark for each group in which the person stays although a roster loses them.
    fn note_who_stays(&mut self) {
        let lists = &self.context.lists;
        let time = self.effect();
        let edited: BTreeSet<usize> = self.draft.steps.iter().map(|step| step.list).collect();
        let rosters = edited.iter().filter(|list| lists.get(**list).group.is_none());
        let groups: BTreeSet<usize> = rosters.flat_map(|roster| lists.groups_of(*roster)).collect();
        for group in groups.into_iter().filter(|group| !self.named.contains(group)) {
            let mut entries = lists.through_rosters(group, self.person);
            entries.extend(lists.own(group, self.person));
            for found in entries.iter().filter(|found| !edited.contains(&found.list) && !has_ended(found.window, time))
            {
                let of = lists.get(found.list);
                let through = if of.group.is_none() { format!(" through {}", of.name) } else { String::new() };
                let place = of.origin(found.entry.at);
                self.draft.notes.push(format!("{} stays in {}{through}: {place}", self.person, lists.get(group).name));
            }
        }
    }

    /// Adds a remark for each group of which the person stays an owner.
    fn note_owned(&mut self) {
        for (list, of) in self.context.lists.all.iter().enumerate() {
            let own = self.context.lists.own(list, self.person).filter(|_| matches!(of.name, ListName::Owners(_)));
            let note = own.map(|own| format!("{} stays in {}: {}", self.person, of.name, of.origin(own.entry.at)));
            self.draft.notes.extend(note);
        }
    }

    /// Lists the entries by id or by address, those of `protected` included, that may mean the same person but cannot
    /// be compared.
    fn list_uncompared(&mut self) {
        let lists = &self.context.lists;
        let place = |found: Found<'_>| lists.get(found.list).origin(found.entry.at);
        let listed = lists.with_rosters(&self.named).into_iter().flat_map(|list| lists.people(list));
        let listed = listed.map(|(person, found)| (person, place(found)));
        let protected = self.context.files.desired.settings.protected.iter();
        let protected = protected.map(|protected| (&protected.person, protected.origin.clone()));
        let differs = |person: &PersonRef| std::mem::discriminant(person) != std::mem::discriminant(self.person);
        let uncompared = listed.chain(protected).filter(|(person, _)| differs(person));
        self.draft.uncompared =
            uncompared.map(|(person, origin)| Uncompared { person: person.clone(), origin }).collect();
        self.draft.uncompared.sort_by(|a, b| a.origin.cmp(&b.origin));
    }
}

/// Ends a membership now. A beginning within this second is dropped, because it would not be before the end.
fn ended_now(window: Window, now: Timestamp) -> ChangedTerms {
    let end = Some(whole_second(now)).filter(|end| window.from.is_none_or(|from| from < *end)).unwrap_or(now);
    let from = if window.from.is_some_and(|from| from >= end) { FieldEdit::Drop } else { FieldEdit::Keep };
    ChangedTerms { from, until: FieldEdit::Set(end.to_string()), reason: FieldEdit::Keep }
}
