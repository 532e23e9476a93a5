//! `rename`: the steps that replace one person by another in every list. `sort`: those that sort the addresses of lists.

use super::grant::extended;
use super::lists::{Found, List, ListName, cover, has_ended, meant};
use super::step::{EditAction, EditStep, Moment, NewEntry, addresses, is_sorted};
use super::{Draft, EditContext, EditError, Unchanged};
use crate::config::entry::Entry;
use crate::config::problem::Problem;
use crate::model::{Email, PersonRef, Window, first_day, last_day};

pub(super) fn rename<'d>(context: &EditContext<'d>, old: &PersonRef, new: &PersonRef) -> Result<Draft<'d>, EditError> {
    let (mut draft, mut nowhere) = (Draft::default(), true);
    for list in &context.lists.all {
        let Some(found) = list.own(old) else { continue };
        nowhere = false;
        let other = list.own(new).filter(|other| other.index != found.index);
        let is_bare = matches!((new, &list.name), (PersonRef::Email(_), _) | (_, ListName::Setting(_)));
        match other {
            Some(other) if list.is_membership() => join(context, &found, &other, new, &mut draft),
            Some(_) => draft.steps.push(EditStep::of(&found, EditAction::Remove)),
            None if !list.is_membership() && !is_bare => {
                let help = "name the owner by an address, or remove the entry first";
                draft.refusals.push(Problem::at(&found.origin(), "an owner cannot be named by an id").help(help));
            }
            None if found.person.to_string() == new.to_string() => {
                let message = format!("{new} is already in {}", list.name);
                draft.unchanged.push(Unchanged { message, origin: found.origin() });
            }
            None => {
                let action = EditAction::Rename { person: new.clone(), is_bare };
                draft.steps.push(EditStep::of(&found, action));
            }
        }
        draft.note_observed(list);
    }
    if nowhere {
        let help = match meant(old, context.lists.all.iter()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "use the address or id as it is in the files".into(),
        };
        return Err(EditError::usage(format!("{old} is not in any list of the files"), help));
    }
    Ok(draft)
}

/// Joins the entries of both in one list as a grant to the new person of the old one's time would.
fn join<'d>(context: &EditContext<'d>, old: &Found<'d>, new: &Found<'d>, person: &PersonRef, draft: &mut Draft<'d>) {
    let Window { from, until } = old.window;
    let replaces = has_ended(new.window, context.now);
    let asked = NewEntry {
        person: person.clone(),
        from: from.map(|time| Moment { text: first_day(time), time }),
        until: until.map(|time| Moment { text: last_day(time), time }),
        reason: old.entry.reason().filter(|_| replaces || new.entry.reason().is_none()).cloned(),
        window: old.window,
    };
    if !has_ended(old.window, context.now) && !cover(&mut [new.window], old.window) {
        match extended(context, new, asked) {
            Ok(action) => draft.steps.push(EditStep::of(new, action)),
            Err(gap) => return draft.refusals.push(gap),
        }
    }
    draft.steps.push(EditStep::of(old, EditAction::Remove));
}

pub(super) fn sort<'d>(context: &EditContext<'d>, check: bool) -> Draft<'d> {
    let mut draft = Draft::default();
    for list in context.lists.memberships() {
        if !check {
            draft.steps.extend(sorting(list));
            continue;
        }
        for (entry, next) in misplaced(list.entries) {
            let message = format!("{} is out of order in {}: it belongs before {next}", entry.who, list.name);
            let help = format!("run: {}", (context.spell)(&["sort"]));
            draft.refusals.push(Problem::at(&list.origin(entry.at), message).help(help));
        }
    }
    draft
}

/// The step that sorts a list, if it is not sorted. Only addresses move.
pub(super) fn sorting<'d>(list: &'d List<'d>) -> Option<EditStep<'d>> {
    let entries = list.entries;
    if is_sorted(entries) {
        return None;
    }
    let mut sorted: Vec<_> = addresses(entries).collect();
    sorted.sort_by_key(|(_, email)| *email);
    let mut order: Vec<usize> = (0..entries.len()).collect();
    for ((place, _), (from, _)) in addresses(entries).zip(sorted) {
        if let Some(slot) = order.get_mut(place) {
            *slot = from;
        }
    }
    Some(EditStep { list, index: 0, entry: None, action: EditAction::Sort(order) })
}

/// The entries with an address that is less than one above, each with the first such address.
pub(super) fn misplaced(entries: &[Entry]) -> Vec<(&Entry, &Email)> {
    let (mut found, mut greatest): (Vec<_>, Vec<&Email>) = (Vec::new(), Vec::new());
    for (index, email) in addresses(entries) {
        match greatest.get(greatest.partition_point(|other| *other <= email)) {
            Some(next) => found.extend(entries.get(index).map(|entry| (entry, *next))),
            None => greatest.push(email),
        }
    }
    found
}
