//! One change of one list: how it reads in YAML, and what it makes of the tree of a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::lists::{Found, List, ListName, Lists};
use super::rename::misplaced;
use super::{ListAction, ListChange};
use crate::config::entry::Entry;
use crate::config::node::{Node, Value};
use crate::config::problem::Problem;
use crate::model::{Email, Period, PersonRef, Window, WrittenTime, whole_second};

/// A time in a request: a time as in the files, or a duration from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    Written(String, WrittenTime),
    In(Period),
}

/// A time as it is written into a file, and its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub text: String,
    pub time: Timestamp,
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(duration) = text.strip_prefix('+') {
            let months = || duration.strip_suffix('m')?.parse::<u32>().ok()?.checked_mul(30);
            let period = duration.parse().map_err(|error| match months() {
                Some(days) => format!("{error}; for a month of 30 days, write +{days}d"),
                None => format!("{error}; {}", Period::HELP),
            })?;
            return Ok(Self::In(period));
        }
        if text.parse::<Period>().is_ok() {
            return Err(format!("a duration from now begins with a plus sign; write +{text}"));
        }
        let time: WrittenTime = text.parse().map_err(|error: crate::model::TimeError| {
            format!("{error}; {}, or a duration from now (+8h, +14d, +2w)", error.help)
        })?;
        Ok(Self::Written(text.into(), time))
    }
}

impl When {
    /// The time as written at one end of a window: [`WrittenTime::start`] or [`WrittenTime::end`]. `None` if it is out
    /// of range.
    pub(super) fn moment(&self, end: fn(WrittenTime) -> Timestamp, now: Timestamp) -> Option<Moment> {
        let text = match self {
            Self::Written(text, time) => return Some(Moment { text: text.clone(), time: end(*time) }),
            Self::In(period) if period.is_days() => {
                let days = Span::new().try_days(period.length().as_hours() / 24).ok()?;
                now.to_zoned(TimeZone::UTC).date().checked_add(days).ok()?.to_string()
            }
            Self::In(period) => whole_second(now.checked_add(period.length()).ok()?).to_string(),
        };
        let time = end(text.parse().ok()?);
        Some(Moment { text, time })
    }
}

/// A length of time on the command line, such as `12h`, `30d` or `8w`.
///
/// # Errors
///
/// If the text is not a [`Period`].
pub fn parse_age(text: &str) -> Result<SignedDuration, String> {
    let period: Period = text.parse().map_err(|error| format!("{error}; {}", Period::HELP))?;
    Ok(period.length())
}

/// One change of one list. No list has two steps for one entry.
#[derive(Clone)]
pub(super) struct EditStep<'d> {
    pub list: &'d List<'d>,
    /// The index of the entry. A new entry is inserted before this index.
    pub index: usize,
    /// The entry at the index, if the step is about it.
    pub entry: Option<&'d Entry>,
    pub action: EditAction,
}

impl<'d> EditStep<'d> {
    pub const fn of(found: &Found<'d>, action: EditAction) -> Self {
        Self { list: found.list, index: found.index, entry: Some(found.entry), action }
    }

    /// The refusal of a step that could not be written or proven.
    pub fn by_hand(&self) -> Problem {
        let Self { list, entry, action, .. } = self;
        let origin = entry.map_or_else(|| list.key.clone(), |entry| list.origin(entry.at));
        let message = format!("the list of {} is written in a way that convoke cannot edit safely", list.name);
        let who = self.subject().unwrap_or_default();
        let help = match action {
            EditAction::Insert(_) => format!("add {who} to this list by hand"),
            EditAction::Remove => format!("remove {who} from this list by hand"),
            EditAction::Replace(_) | EditAction::Change(_) => format!("change the entry of {who} by hand"),
            EditAction::Rename { .. } => format!("write {who} there by hand"),
            EditAction::Sort(_) => "sort this list by hand".to_owned(),
        };
        Problem::at(&origin, message).help(help)
    }

    /// The changes that a step makes. Their lines are those of the entries in the edited files, unless they are removed.
    pub fn changes(&self, after: &Lists<'_>) -> Vec<ListChange> {
        let Self { list, entry, action, .. } = self;
        if let (EditAction::Remove, Some(entry)) = (action, entry) {
            let uses = entry.roster().map(|name| ListName::Roster(name.into()));
            let (person, origin) = (entry.person().map(ToString::to_string), list.origin(entry.at));
            return vec![ListChange { action: ListAction::Remove, person, uses, list: list.name.clone(), origin }];
        }
        let people: Vec<String> = match action {
            EditAction::Sort(_) => {
                misplaced(list.entries).into_iter().map(|(entry, _)| entry.who.to_string()).collect()
            }
            _ => self.subject().into_iter().collect(),
        };
        let change = |person: String| {
            let found = after.find(&list.name)?;
            let entry = found.entries.iter().find(|entry| entry.who.to_string().eq_ignore_ascii_case(&person))?;
            let (list, origin) = (list.name.clone(), found.origin(entry.at));
            let action = if matches!(action, EditAction::Insert(_)) { ListAction::Add } else { ListAction::Change };
            Some(ListChange { action, person: Some(person), uses: None, list, origin })
        };
        people.into_iter().filter_map(change).collect()
    }

    /// Whom or what a step concerns, as the entry names them.
    fn subject(&self) -> Option<String> {
        match &self.action {
            EditAction::Insert(new) | EditAction::Replace(new) => Some(new.person.to_string()),
            EditAction::Rename { person, .. } => Some(person.to_string()),
            EditAction::Remove | EditAction::Change(_) => self.entry.map(|entry| entry.who.to_string()),
            EditAction::Sort(_) => None,
        }
    }
}

#[derive(Clone)]
pub(super) enum EditAction {
    Insert(NewEntry),
    Remove,
    Replace(NewEntry),
    Change(ChangedTerms),
    /// Another person, whose entry can be only an address or id if it is bare.
    Rename {
        person: PersonRef,
        is_bare: bool,
    },
    /// A new order of the entries, by their indexes before.
    Sort(Vec<usize>),
}

/// Keys of an entry with their new values; `None` drops the key.
pub(super) type ChangedTerms = BTreeMap<&'static str, Option<String>>;

#[derive(Clone)]
pub(super) struct NewEntry {
    pub person: PersonRef,
    pub from: Option<Moment>,
    pub until: Option<Moment>,
    pub reason: Option<Arc<str>>,
    /// The time that it gives from now on.
    pub window: Window,
}

impl NewEntry {
    /// The keys and values of the entry, in the order in which they are written.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let from = self.from.as_ref().map(|moment| ("from", moment.text.clone()));
        let until = self.until.as_ref().map(|moment| ("until", moment.text.clone()));
        let reason = self.reason.as_deref().map(|reason| ("reason", reason.to_owned()));
        [Some((key_of(&self.person), self.person.to_string())), from, until, reason].into_iter().flatten()
    }

    /// Whether it is only an address, without a key.
    pub fn is_bare(&self) -> bool {
        matches!(self.person, PersonRef::Email(_)) && self.pairs().count() == 1
    }
}

/// The index of a new entry: its sorted place if the addresses are sorted, else the end.
pub(super) fn place_for(entries: &[Entry], person: &PersonRef) -> usize {
    let is_after = |(_, other): &(usize, &Email)| matches!(person, PersonRef::Email(email) if *other > email);
    let next = addresses(entries).find(is_after).filter(|_| is_sorted(entries));
    next.map_or(entries.len(), |(index, _)| index)
}

/// The addresses of a list, with the indexes of their entries.
pub(super) fn addresses(entries: &[Entry]) -> impl Iterator<Item = (usize, &Email)> {
    entries.iter().enumerate().filter_map(|(index, entry)| match entry.person() {
        Some(PersonRef::Email(email)) => Some((index, email)),
        _ => None,
    })
}

pub(super) fn is_sorted(entries: &[Entry]) -> bool {
    addresses(entries).is_sorted_by_key(|(_, email)| email)
}

/// Makes the steps of one list, which are in the order of its entries, in the tree of its file. `None` if the tree does
/// not have such a list.
pub(super) fn apply(tree: &mut Node<'_>, list: &ListName, steps: &[&EditStep<'_>]) -> Option<()> {
    let node = list.path().into_iter().try_fold(tree, |node, key| match &mut node.value {
        Value::Mapping(pairs) => pairs.iter_mut().find(|(name, _)| name.text() == Some(key)).map(|(_, node)| node),
        _ => None,
    })?;
    let Value::Sequence(items) = &mut node.value else { return None };
    // From the end, so that the indexes of the other steps stay.
    for EditStep { index, entry, action, .. } in steps.iter().rev() {
        let item = entry.and_then(|_| items.get(*index));
        let new = match action {
            EditAction::Insert(new) | EditAction::Replace(new) => {
                let pairs = new.pairs().map(|(key, value)| (key, Some(value)));
                Some(changed(None, pairs, new.is_bare()))
            }
            EditAction::Remove => None,
            EditAction::Change(terms) => Some(changed(item, terms.clone(), false)),
            EditAction::Rename { person, is_bare } => {
                let whom = (key_of(person), Some(person.to_string()));
                Some(changed(item, [("email", None), ("id", None), whom], *is_bare))
            }
            EditAction::Sort(order) => {
                *items = order.iter().map(|from| items.get(*from).cloned()).collect::<Option<_>>()?;
                continue;
            }
        };
        let end = *index + usize::from(entry.is_some());
        if end > items.len() {
            return None;
        }
        items.splice(*index..end, new);
    }
    Some(())
}

/// An entry with other keys, or a new one. It is only an address or id if it can be, and was no mapping.
fn changed<'s>(
    item: Option<&Node<'s>>,
    keys: impl IntoIterator<Item = (&'static str, Option<String>)>,
    can_be_bare: bool,
) -> Node<'s> {
    let text = |text: Cow<'s, str>| Node::new(Value::Text(text));
    let (mut pairs, was_mapping) = match item.map(|item| &item.value) {
        Some(Value::Mapping(pairs)) => (pairs.clone(), true),
        _ => (item.map(|item| (text("email".into()), item.clone())).into_iter().collect(), false),
    };
    for (key, value) in keys {
        pairs.retain(|(name, _)| name.text() != Some(key));
        pairs.extend(value.map(|value| (text(key.into()), text(value.into()))));
    }
    match pairs.as_slice() {
        [(_, whom)] if can_be_bare && !was_mapping => whom.clone(),
        _ => Node::new(Value::Mapping(pairs)),
    }
}

pub(super) const fn key_of(person: &PersonRef) -> &'static str {
    match person {
        PersonRef::Email(_) => "email",
        PersonRef::Id(_) => "id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str, end: fn(WrittenTime) -> Timestamp) -> String {
        let now = "2026-12-01T12:00:00.75Z".parse().unwrap();
        let moment = text.parse::<When>().unwrap().moment(end, now).unwrap();
        format!("{} = {}", moment.text, moment.time)
    }

    #[test]
    fn hours_become_an_instant_days_a_date() {
        assert_eq!(moment("+8h", WrittenTime::end), "2026-12-01T20:00:00Z = 2026-12-01T20:00:00Z");
        assert_eq!(moment("+14d", WrittenTime::end), "2026-12-15 = 2026-12-16T00:00:00Z");
        assert_eq!(moment("+2w", WrittenTime::start), "2026-12-15 = 2026-12-15T00:00:00Z");
        assert_eq!(moment("2026-12-24", WrittenTime::end), "2026-12-24 = 2026-12-25T00:00:00Z");
        let offset = "2026-12-24T18:00:00+01:00";
        assert_eq!(moment(offset, WrittenTime::start), format!("{offset} = 2026-12-24T17:00:00Z"));
    }

    #[test]
    fn other_times_are_refused() {
        for text in ["", "+", "8h", "+8", "+8m", "+-8h", "+1.5h", "+h", "tomorrow", "2026-13-01", "2026-12-01T09:00:00"]
        {
            assert!(text.parse::<When>().is_err(), "{text:?}");
        }
        for text in ["", "30", "d", "-1d", "+1d", "1.5d", "30 d", "99999999999999999999d", "9223372036854775807w"] {
            assert!(parse_age(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn out_of_range_time_is_refused() {
        for text in ["+9223372036854775807h", "+9223372036854775807d", "+99999999d", "+090d"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        let now = "2026-12-01T12:00:00Z".parse().unwrap();
        assert_eq!("+8766000d".parse::<When>().unwrap().moment(WrittenTime::end, now), None);
    }
}
