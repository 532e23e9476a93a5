//! `grant`: the steps that give a person access for a time, without reducing any access.

use std::sync::Arc;

use jiff::Timestamp;

use super::lists::{Found, ListName, cover, has_ended};
use super::step::{Action, ChangedTerms, NewTerms, Step, Turn, place_for};
use super::when::{Moment, When, as_from, as_until};
use super::{Decision, EditError, Scene};
use crate::config::problem::Problem;
use crate::config::time::End;
use crate::model::{PersonRef, Window};

/// A request to add somebody to lists.
#[derive(Clone, Debug)]
pub struct Grant {
    pub person: PersonRef,
    pub lists: Vec<ListName>,
    pub from: Option<When>,
    pub until: Option<When>,
    pub reason: Option<String>,
}

/// The requested time.
struct Asked {
    terms: NewTerms,
    window: Window,
}

impl Grant {
    pub(super) fn decide(&self, scene: &Scene<'_>) -> Result<Decision, EditError> {
        let asked = self.asked(scene.now)?;
        let mut decision = Decision::default();
        for list in scene.named(&self.lists)? {
            self.decide_list(scene, list, &asked, &mut decision);
            decision.note_observed(scene, list);
        }
        Ok(decision)
    }

    fn asked(&self, now: Timestamp) -> Result<Asked, EditError> {
        let from = moment(self.from.as_ref(), End::From, "--from", now)?;
        let until = moment(self.until.as_ref(), End::Until, "--until", now)?;
        let begin = from.as_ref().map_or(now, |moment| moment.time);
        if let Some(until) = &until {
            check_end(until, now)?;
            if until.time <= begin {
                return Err(EditError::usage("--until is not after --from", "an `until` date is the last day"));
            }
        }
        let reason = self.reason.as_deref().map(check_reason).transpose()?;
        let window = Window { from: Some(begin), until: until.as_ref().map(|moment| moment.time) };
        Ok(Asked { terms: NewTerms { from, until, reason }, window })
    }

    fn decide_list(&self, scene: &Scene<'_>, list: usize, asked: &Asked, decision: &mut Decision) {
        let Some(of) = scene.lists.get(list) else { return };
        let own = scene.lists.own(list, &self.person);
        let mut known: Vec<Found<'_>> = own.into_iter().collect();
        known.extend(scene.lists.through_rosters(list, &self.person));
        let mut windows: Vec<Window> = known.iter().map(Found::window).collect();
        if cover(&mut windows, asked.window) {
            let covers = |found: &&Found<'_>| cover(&mut [found.window()], asked.window);
            if let Some(found) = known.iter().find(covers).or(known.first()) {
                decision.unchanged(scene, found, format!("{} is already in {}", self.person, of.name));
            }
            return;
        }
        let step = |index, action| Step { list, index, person: self.person.clone(), action };
        match own {
            None => {
                let index = place_for(of.entries, &self.person);
                decision.steps.push(step(index, Action::Insert(asked.terms.clone())));
            }
            Some(own) if has_ended(own.window(), scene.now) => {
                decision.steps.push(step(own.index, Action::Replace(asked.terms.clone())));
            }
            Some(own) if has_gap(own.window(), asked.window) => {
                decision.refusals.extend(self.refuse_gap(scene, &own, &of.name, asked));
            }
            Some(own) => decision.steps.push(step(own.index, Action::Change(widened(own.window(), asked)))),
        }
    }

    fn refuse_gap(&self, scene: &Scene<'_>, own: &Found<'_>, name: &ListName, asked: &Asked) -> Option<Problem> {
        let window = own.window();
        let message = format!(
            "{} has an entry in {name} {}; an entry {} would leave a gap between the two, and one entry cannot cover both",
            self.person,
            shown(window),
            shown(asked.window)
        );
        let from = earlier(window.from, asked.window.from).filter(|from| *from > scene.now).map(as_from);
        let until = later(window.until, asked.window.until).map(as_until);
        let person = self.person.to_string();
        let mut words = vec!["grant", &person];
        words.extend(name.words());
        words.extend(from.iter().flat_map(|from| ["--from", from]));
        words.extend(until.iter().flat_map(|until| ["--until", until]));
        let help = format!("to span both times, run: {}", (scene.spell)(&words));
        Some(Problem::at(&scene.lists.origin(own.list, own.at)?, message).help(help))
    }
}

pub(super) fn moment(when: Option<&When>, end: End, flag: &str, now: Timestamp) -> Result<Option<Moment>, EditError> {
    let Some(when) = when else { return Ok(None) };
    let moment = when.moment(end, now);
    moment.map(Some).ok_or_else(|| EditError::usage(format!("{flag} is too far away"), "omit it if there is no limit"))
}

/// Checks that an end is in the future.
pub(super) fn check_end(until: &Moment, now: Timestamp) -> Result<(), EditError> {
    if until.time > now {
        return Ok(());
    }
    let message = format!("--until {} is not after now ({now:.0})", until.text);
    Err(EditError::usage(message, "a date in `until` is the last day; an instant is the first moment after"))
}

fn check_reason(reason: &str) -> Result<Arc<str>, EditError> {
    let help = "write a short reason on one line";
    if reason.trim().is_empty() {
        return Err(EditError::usage("--reason is empty", help));
    }
    if reason.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(EditError::usage("--reason has control characters", help));
    }
    Ok(reason.into())
}

/// Whether there are instants between two windows.
fn has_gap(one: Window, other: Window) -> bool {
    let before = |first: Window, second: Window| first.until.zip(second.from).is_some_and(|(until, from)| until < from);
    before(one, other) || before(other, one)
}

/// The terms that extend an entry from the earlier beginning to the later end.
fn widened(window: Window, asked: &Asked) -> ChangedTerms {
    let begins_later = window.from.is_some_and(|from| asked.window.from < Some(from));
    let ends_earlier = window.until.is_some_and(|until| asked.window.until.is_none_or(|wanted| until < wanted));
    let turn = |wanted: &Option<Moment>| wanted.clone().map_or(Turn::Drop, Turn::Set);
    ChangedTerms {
        from: if begins_later { turn(&asked.terms.from) } else { Turn::Keep },
        until: if ends_earlier { turn(&asked.terms.until) } else { Turn::Keep },
        reason: asked.terms.reason.clone().map_or(Turn::Keep, Turn::Set),
    }
}

/// `None` means no beginning.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.zip(other).map(|(one, other)| one.min(other))
}

/// `None` means no end.
fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.zip(other).map(|(one, other)| one.max(other))
}

fn shown(window: Window) -> String {
    match (window.from.map(as_from), window.until.map(as_until)) {
        (Some(from), Some(until)) => format!("from {from} until {until}"),
        (Some(from), None) => format!("from {from}"),
        (None, Some(until)) => format!("until {until}"),
        (None, None) => "without an end".into(),
    }
}
