//! `grant`: the steps that give a person access for a time, without reducing any access.

use std::sync::Arc;

use jiff::Timestamp;

use super::lists::{Found, List, ListName, cover, has_ended, meant};
use super::step::{ChangedTerms, EditAction, EditStep, Moment, NewEntry, When, place_for};
use super::{Draft, EditContext, EditError, Unchanged};
use crate::config::problem::Problem;
use crate::model::{PersonRef, Window, WrittenTime, first_day, is_invisible, last_day};

#[derive(Clone, Debug)]
pub struct Grant {
    pub person: PersonRef,
    pub lists: Vec<ListName>,
    pub from: Option<When>,
    pub until: Option<When>,
    pub reason: Option<String>,
}

impl Grant {
    pub(super) fn draft<'d>(&self, context: &EditContext<'d>) -> Result<Draft<'d>, EditError> {
        let asked = self.asked(context.now)?;
        let mut draft = Draft::default();
        draft.notes.extend(self.typo(context));
        for list in context.named(&self.lists)? {
            self.draft_list(context, list, &asked, &mut draft);
            draft.note_observed(list);
            for group in context.lists.groups_of(list.index).filter(|group| group.index != list.index) {
                let uses = context.lists.nested(group).into_iter().filter(|(roster, _)| roster.index == list.index);
                let mut windows: Vec<Window> = uses.map(|(_, window)| window).collect();
                if let (Some(window), false) = (windows.first().copied(), cover(&mut windows, asked.window)) {
                    let (group, roster) = (&group.name, &list.name);
                    draft.notes.push(format!("{group} uses {roster} {}, which limits the access there", shown(window)));
                }
            }
        }
        Ok(draft)
    }

    /// The remark that an address that no list has differs from a known one by no more than a typo.
    fn typo(&self, context: &EditContext<'_>) -> Option<String> {
        let PersonRef::Email(email) = &self.person else { return None };
        let meant = meant(&self.person, context.lists.all.iter()).filter(|meant| **meant != self.person)?;
        Some(format!("{email} is in no list yet; did you mean {meant}?"))
    }

    /// The entry for all of the time asked for.
    fn asked(&self, now: Timestamp) -> Result<NewEntry, EditError> {
        let from = moment(self.from.as_ref(), WrittenTime::start, "--from", now)?;
        let until = end(self.until.as_ref(), now)?;
        let begin = from.as_ref().map_or(now, |moment| moment.time);
        if until.as_ref().is_some_and(|until| until.time <= begin) {
            return Err(EditError::usage("--until is not after --from", "an `until` date is the last day"));
        }
        let reason = self.reason.as_deref().map(check_reason).transpose()?;
        let window = Window { from: Some(begin), until: until.as_ref().map(|moment| moment.time) };
        Ok(NewEntry { person: self.person.clone(), from, until, reason, window })
    }

    fn draft_list<'d>(&self, context: &EditContext<'d>, list: &'d List<'d>, asked: &NewEntry, draft: &mut Draft<'d>) {
        let own = list.own(&self.person);
        let mut known: Vec<Found<'_>> = own.into_iter().collect();
        known.extend(context.lists.through_rosters(list, &self.person));
        let mut windows: Vec<Window> = known.iter().map(|found| found.window).collect();
        if cover(&mut windows, asked.window) {
            let covers = |found: &&Found<'_>| cover(&mut [found.window], asked.window);
            if let Some(found) = known.iter().find(covers).or(known.first()) {
                let message = format!("{} is already in {}", self.person, list.name);
                draft.unchanged.push(Unchanged { message, origin: found.origin() });
                draft.notes.extend(earlier_end(context, found, asked));
                if asked.reason.is_some() && !known.iter().any(|found| found.entry.reason() == asked.reason.as_ref()) {
                    draft.notes.push("--reason is not written, because nothing else changes".into());
                }
            }
            return;
        }
        draft.steps.push(match own {
            None => {
                let index = place_for(list.entries, &self.person);
                EditStep { list, index, entry: None, action: EditAction::Insert(asked.clone()) }
            }
            Some(own) => match extended(context, &own, asked.clone()) {
                Ok(action) => EditStep::of(&own, action),
                Err(gap) => return draft.refusals.push(gap),
            },
        });
    }
}

/// The remark that an entry that ends later than asked stays.
fn earlier_end(context: &EditContext<'_>, found: &Found<'_>, asked: &NewEntry) -> Option<String> {
    let until = asked.until.as_ref()?;
    if found.window.until.is_some_and(|end| end <= until.time) {
        return None;
    }
    let (person, list) = (&asked.person, &found.list.name);
    let command = context.command("revoke", person, list, &[("--until", Some(&until.text))]);
    Some(format!("{person} stays in {list} {}; to end it earlier, run: {command}", shown(found.window)))
}

/// The action that gives an entry the time asked for too. An ended entry is replaced. The entry of two times with a gap
/// is refused.
pub(super) fn extended(context: &EditContext<'_>, own: &Found<'_>, asked: NewEntry) -> Result<EditAction, Problem> {
    if has_ended(own.window, context.now) {
        return Ok(EditAction::Replace(asked));
    }
    let before = |first: Window, second: Window| first.until.zip(second.from).is_some_and(|(until, from)| until < from);
    if !before(own.window, asked.window) && !before(asked.window, own.window) {
        return Ok(EditAction::Change(widened(own.window, &asked)));
    }
    let (list, person) = (&own.list.name, &asked.person);
    let message = format!(
        "{person} has an entry in {list} {}; an entry {} would leave a gap between the two, and one entry cannot cover both",
        shown(own.window),
        shown(asked.window)
    );
    // `None` means no beginning in the first, and no end in the second.
    let earlier = own.window.from.zip(asked.window.from).map(|(one, other)| one.min(other));
    let later = own.window.until.zip(asked.window.until).map(|(one, other)| one.max(other));
    let from = earlier.filter(|from| *from > context.now).map(first_day);
    let until = later.map(last_day);
    let flags = [("--from", from.as_deref()), ("--until", until.as_deref())];
    let help = format!("to span both times, run: {}", context.command("grant", person, list, &flags));
    Err(Problem::at(&own.origin(), message).help(help))
}

fn moment(
    when: Option<&When>,
    end: fn(WrittenTime) -> Timestamp,
    flag: &str,
    now: Timestamp,
) -> Result<Option<Moment>, EditError> {
    let too_far = || EditError::usage(format!("{flag} is too far away"), "omit it if there is no limit");
    when.map(|when| when.moment(end, now).ok_or_else(too_far)).transpose()
}

/// The end of `--until`, which is in the future.
pub(super) fn end(when: Option<&When>, now: Timestamp) -> Result<Option<Moment>, EditError> {
    let until = moment(when, WrittenTime::end, "--until", now)?;
    if let Some(Moment { text, .. }) = until.as_ref().filter(|until| until.time <= now) {
        let message = format!("--until {text} is not after now ({now:.0})");
        let help = "a date in `until` is the last day; an instant is the first moment after";
        return Err(EditError::usage(message, help));
    }
    Ok(until)
}

fn check_reason(reason: &str) -> Result<Arc<str>, EditError> {
    let message = if reason.trim().is_empty() {
        "--reason is empty"
    } else if reason.chars().any(is_invisible) {
        "--reason has control characters, or characters that cannot be seen"
    } else {
        return Ok(reason.into());
    };
    Err(EditError::usage(message, "write a short reason on one line"))
}

/// The terms that extend an entry from the earlier beginning to the later end.
fn widened(window: Window, asked: &NewEntry) -> ChangedTerms {
    let begins_later = window.from.is_some_and(|from| asked.window.from < Some(from));
    let ends_earlier = window.until.is_some_and(|until| asked.window.until.is_none_or(|wanted| until < wanted));
    let text = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.text.clone());
    let from = begins_later.then(|| ("from", text(&asked.from)));
    let until = ends_earlier.then(|| ("until", text(&asked.until)));
    let reason = asked.reason.as_ref().map(|reason| ("reason", Some(reason.to_string())));
    from.into_iter().chain(until).chain(reason).collect()
}

fn shown(window: Window) -> String {
    match (window.from.map(first_day), window.until.map(last_day)) {
        (Some(from), Some(until)) => format!("from {from} until {until}"),
        (Some(from), None) => format!("from {from}"),
        (None, Some(until)) => format!("until {until}"),
        (None, None) => "without an end".into(),
    }
}
