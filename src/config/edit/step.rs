//! One change of one list: how it reads in YAML, and what it makes of the tree of a file.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::lists::ListName;
use crate::config::entry::Entry;
use crate::config::node::{Node, Value, scalar};
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
            format!("{error}; {}, or a duration from now (+8h, +14d, +2w)", error.help())
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

#[derive(Clone, Debug)]
pub(super) struct EditStep {
    pub list: usize,
    /// The index of the entry. A new entry is inserted before this index.
    pub index: usize,
    pub action: EditAction,
}

#[derive(Clone, Debug)]
pub(super) enum EditAction {
    Insert(NewEntry),
    Remove,
    /// A new entry replaces an ended one.
    Replace(NewEntry),
    Change(ChangedTerms),
    Rename(PersonRef),
    /// A new order of the entries, by their indexes before.
    Sort(Vec<usize>),
}

#[derive(Clone, Debug)]
pub(super) struct NewEntry {
    pub person: PersonRef,
    pub from: Option<Moment>,
    pub until: Option<Moment>,
    pub reason: Option<Arc<str>>,
    /// The time that it gives from now on.
    pub window: Window,
}

#[derive(Clone, Debug)]
pub(super) struct ChangedTerms {
    pub from: FieldEdit,
    pub until: FieldEdit,
    pub reason: FieldEdit,
}

#[derive(Clone, Debug)]
pub(super) enum FieldEdit {
    Keep,
    Drop,
    Set(String),
}

impl NewEntry {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let from = self.from.as_ref().map(|moment| ("from", moment.text.clone()));
        let until = self.until.as_ref().map(|moment| ("until", moment.text.clone()));
        let reason = self.reason.as_deref().map(|reason| ("reason", reason.to_owned()));
        [Some((key_of(&self.person), self.person.to_string())), from, until, reason].into_iter().flatten()
    }

    /// The keys and values of the entry, as written.
    pub fn written(&self, in_flow: bool) -> Vec<(&'static str, String)> {
        self.pairs().map(|(key, value)| (key, written(key, value, in_flow))).collect()
    }
}

impl ChangedTerms {
    fn pairs(&self) -> [(&'static str, &FieldEdit); 3] {
        [("from", &self.from), ("until", &self.until), ("reason", &self.reason)]
    }

    /// The change of each key, with the new value as written.
    pub fn written(&self, in_flow: bool) -> [(&'static str, FieldEdit); 3] {
        self.pairs().map(|(key, edit)| match edit {
            FieldEdit::Set(value) => (key, FieldEdit::Set(written(key, value.clone(), in_flow))),
            FieldEdit::Keep | FieldEdit::Drop => (key, edit.clone()),
        })
    }
}

/// A value as YAML. Times need no quotes, whatever they look like: every text of a time is read as text.
fn written(key: &str, value: String, in_flow: bool) -> String {
    if matches!(key, "from" | "until") { value } else { scalar(&value, in_flow) }
}

/// The index of a new entry: its sorted place if the addresses are sorted, else the end.
pub(super) fn place_for(entries: &[Entry], person: &PersonRef) -> usize {
    let PersonRef::Email(email) = person else { return entries.len() };
    if !is_sorted(entries) {
        return entries.len();
    }
    addresses(entries).find(|(_, other)| *other > email).map_or(entries.len(), |(index, _)| index)
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
pub(super) fn apply<'s>(tree: &mut Node<'s>, list: &ListName, steps: &[&EditStep]) -> Option<()> {
    let path = match list {
        ListName::Group(name) => vec!["groups", name.as_str(), "members"],
        ListName::Owners(name) => vec!["groups", name.as_str(), "owners"],
        ListName::Roster(name) => vec!["rosters", name],
        ListName::Setting(name) => vec!["settings", name],
    };
    let node = path.into_iter().try_fold(tree, |node, key| match &mut node.value {
        Value::Mapping(pairs) => pairs.iter_mut().find(|(name, _)| name.text() == Some(key)).map(|(_, node)| node),
        _ => None,
    })?;
    let Value::Sequence(items) = &mut node.value else { return None };
    if let [EditStep { action: EditAction::Sort(order), .. }] = steps {
        *items = order.iter().map(|index| items.get(*index).cloned()).collect::<Option<_>>()?;
        return Some(());
    }
    let mut steps = steps.iter().peekable();
    let mut edited = Vec::with_capacity(items.len());
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        let mut item = Some(item);
        while let Some(step) = steps.next_if(|step| step.index == index) {
            match &step.action {
                EditAction::Insert(new) => edited.push(entry(new)),
                EditAction::Remove => item = None,
                EditAction::Replace(new) => item = Some(entry(new)),
                EditAction::Change(terms) => item = Some(changed(item?, terms)?),
                EditAction::Rename(person) => item = Some(renamed(item?, person, is_bare(list, person))?),
                EditAction::Sort(_) => return None,
            }
        }
        edited.extend(item);
    }
    for step in steps {
        let EditAction::Insert(new) = &step.action else { return None };
        edited.push(entry(new));
    }
    *items = edited;
    Some(())
}

fn entry<'s>(new: &NewEntry) -> Node<'s> {
    let text = |text: String| Node::new(Value::Text(text.into()));
    let mut pairs: Vec<_> = new.pairs().map(|(key, value)| (text(key.into()), text(value))).collect();
    match (&new.person, pairs.as_slice()) {
        (PersonRef::Email(_), [_]) => pairs.remove(0).1,
        _ => Node::new(Value::Mapping(pairs)),
    }
}

fn changed<'s>(item: Node<'s>, terms: &ChangedTerms) -> Option<Node<'s>> {
    let text = |text: &str| Node::new(Value::Text(text.to_owned().into()));
    let mut pairs = match item.value {
        Value::Text(_) => vec![(text("email"), item)],
        Value::Mapping(pairs) => pairs,
        _ => return None,
    };
    for (key, edit) in terms.pairs() {
        if !matches!(edit, FieldEdit::Keep) {
            pairs.retain(|(name, _)| name.text() != Some(key));
        }
        if let FieldEdit::Set(value) = edit {
            pairs.push((text(key), text(value)));
        }
    }
    Some(Node::new(Value::Mapping(pairs)))
}

/// Whether an entry for this person can be only an address or an id.
pub(super) fn is_bare(list: &ListName, person: &PersonRef) -> bool {
    matches!(person, PersonRef::Email(_)) || matches!(list, ListName::Setting(_))
}

pub(super) const fn key_of(person: &PersonRef) -> &'static str {
    match person {
        PersonRef::Email(_) => "email",
        PersonRef::Id(_) => "id",
    }
}

fn renamed<'s>(item: Node<'s>, person: &PersonRef, is_bare: bool) -> Option<Node<'s>> {
    let text = |text: String| Node::new(Value::Text(text.into()));
    let named = || (text(key_of(person).into()), text(person.to_string()));
    match item.value {
        Value::Mapping(mut pairs) => {
            let whom = pairs.iter_mut().find(|(key, _)| matches!(key.text(), Some("email" | "id")))?;
            *whom = named();
            Some(Node::new(Value::Mapping(pairs)))
        }
        _ if is_bare => Some(text(person.to_string())),
        _ => Some(Node::new(Value::Mapping(vec![named()]))),
    }
}

/// Whether two trees have the same content, at any positions. The order of keys has no meaning.
pub(super) fn same(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (&one.value, &other.value) {
        (Value::Text(one), Value::Text(other))
        | (Value::Typed(one), Value::Typed(other))
        | (Value::Null(one), Value::Null(other)) => one == other,
        (Value::Sequence(one), Value::Sequence(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Mapping(one), Value::Mapping(other)) => {
            let equal = |a: &(Node<'_>, Node<'_>), b: &(Node<'_>, Node<'_>)| same(&a.0, &b.0) && same(&a.1, &b.1);
            let has = |(index, pair)| {
                other.get(index).is_some_and(|found| equal(pair, found)) || other.iter().any(|found| equal(pair, found))
            };
            one.len() == other.len() && one.iter().enumerate().all(has)
        }
        _ => false,
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
