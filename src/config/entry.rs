//! Reads lists of people: of a group, a roster or `protected`.

use std::fmt;
use std::sync::Arc;

use super::node::{Node, Value};
use super::problem::quoted;
use super::reader::{Field, Fields, MappingEntries, Reader, looks_like_id};
use crate::model::{Email, PersonRef, Position, Terms, Window, WrittenTime, is_invisible};

pub(super) const KEYS: [&str; 6] = ["email", "id", "roster", "from", "until", "reason"];

pub(super) const PROTECTED: [&str; 2] = ["email", "id"];

/// An entry of the own list of a group or a roster.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub who: PersonOrRoster,
    pub at: Position,
    pub terms: Option<Box<Terms>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PersonOrRoster {
    Person(PersonRef),
    Roster(Arc<str>),
}

impl fmt::Display for PersonOrRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => person.fmt(f),
            Self::Roster(name) => write!(f, "roster {}", quoted(name)),
        }
    }
}

impl Entry {
    pub const fn person(&self) -> Option<&PersonRef> {
        if let PersonOrRoster::Person(person) = &self.who { Some(person) } else { None }
    }

    pub fn window(&self) -> Window {
        self.terms.as_deref().map(|terms| terms.window).unwrap_or_default()
    }

    pub fn reason(&self) -> Option<&Arc<str>> {
        self.terms.as_deref()?.reason.as_ref()
    }

    pub fn roster(&self) -> Option<&str> {
        if let PersonOrRoster::Roster(name) = &self.who { Some(name) } else { None }
    }
}

impl Reader<'_> {
    /// Reads a list of people and rosters, and reports duplicates. `what` is, for example, "`members`", and `whose` the
    /// list as it is called in other messages.
    pub fn people(
        &mut self,
        what: &str,
        whose: &str,
        field: Field<'_>,
        help: &str,
        read: impl Fn(&mut Self, &Node<'_>) -> Option<Entry>,
    ) -> Vec<Entry> {
        let items = self.sequence(what, field, help).unwrap_or_default();
        let mut entries: Vec<Entry> = Vec::with_capacity(items.len());
        for item in items {
            if self.report.is_full() {
                break;
            }
            entries.extend(read(self, item));
        }
        let places = entries.iter().map(|entry| (&entry.who, entry.at));
        self.refuse_twice(places, |who| format!("{who} is listed twice in {whose}"));
        entries
    }

    /// An entry of a group or a roster.
    pub fn entry(&mut self, node: &Node<'_>) -> Option<Entry> {
        let at = node.at;
        match &node.value {
            Value::Text(text) | Value::Typed(text) => Some(Entry { who: self.person(at, text)?, at, terms: None }),
            Value::Mapping(entries) => self.detailed_entry("an entry", "email, id or roster", at, entries, &KEYS),
            Value::Null(_) => self.refused(at, "this entry is empty", "write an email address, or remove the line"),
            Value::Sequence(_) => {
                let help = "write each person on a separate line: `- alice@example.com`";
                self.refused(at, "this entry is a list inside a list", help)
            }
        }
    }

    /// Reads an entry with these keys, of which exactly one of `whom` is there.
    fn detailed_entry(
        &mut self,
        what: &str,
        whom: &str,
        at: Position,
        entries: &MappingEntries<'_>,
        keys: &[&'static str],
    ) -> Option<Entry> {
        let before = self.report.len();
        let mut fields = self.fields(what, entries, keys);
        let who = match (fields.remove("email"), fields.remove("id"), fields.remove("roster")) {
            (Some(email), None, None) => {
                let text = self.text("`email`", email, "write one address: `email: alice@example.com`");
                text.and_then(|text| self.person(email.node.at, text))
            }
            (None, Some(id), None) => self.id("a member id", id).map(|id| PersonOrRoster::Person(PersonRef::Id(id))),
            (None, None, Some(roster)) => {
                let name = self.text("`roster`", roster, "write the name of one roster: `- roster: NAME`");
                name.map(|name| PersonOrRoster::Roster(name.into()))
            }
            // If the key that names the person is mistyped, this was already reported.
            (None, None, None) if self.report.len() > before => None,
            _ => {
                let message = format!("{what} must have exactly one of the keys {whom}");
                self.refused(at, message, "name each person in a separate entry")
            }
        };
        let terms = (!fields.is_empty()).then(|| Box::new(self.terms(&fields)));
        Some(Entry { who: who?, at, terms })
    }

    fn terms(&mut self, fields: &Fields<'_>) -> Terms {
        let (from, until) = (fields.get("from").copied(), fields.get("until").copied());
        let first = from.and_then(|field| self.time(field)).map(WrittenTime::start);
        let last = until.and_then(|field| self.time(field));
        let window = Window { from: first, until: last.map(WrittenTime::end) };
        if let (Some(from), Some(until), true) = (from, until, window.is_empty()) {
            let problem = self
                .problem(until.node.at, "`until` is not after `from`, so the entry never applies")
                .related(self.origin(from.node.at), "`from` is here")
                .help("a date in `until` is the last day; an instant is the first moment after");
            self.report.push(problem);
        }
        let until_is_date = last.is_some_and(WrittenTime::is_date);
        let reason = fields.get("reason").and_then(|field| self.reason(*field));
        Terms { window, until_is_date, reason }
    }

    fn reason(&mut self, field: Field<'_>) -> Option<Arc<str>> {
        let help = "write the reason in a few words, or remove the key";
        let text = self.text("`reason`", field, help)?;
        // A reason may be a block of several lines.
        if let Some(odd) = text.chars().find(|c| is_invisible(*c) && *c != '\n') {
            let message = format!("`reason` contains the invisible character U+{:04X}", u32::from(odd));
            self.refuse(field.node.at, message, "remove it, or write an ordinary space");
        } else if text.trim().is_empty() {
            self.refuse(field.node.at, "`reason` is empty", help);
        }
        Some(text.into())
    }

    fn person(&mut self, at: Position, text: &str) -> Option<PersonOrRoster> {
        match Email::declared(text) {
            Ok(email) => Some(PersonOrRoster::Person(PersonRef::Email(email))),
            Err(_) if looks_like_id(text) => {
                let message = format!("{} is an id, not an email address", quoted(text));
                self.refused(at, message, format!("write `id: {text}`"))
            }
            Err(error) => self.refused(at, format!("{} is not an email address: {error}", quoted(text)), remedy(text)),
        }
    }

    /// An address, or the name of a roster.
    pub fn owner(&mut self, node: &Node<'_>) -> Option<Entry> {
        let at = node.at;
        let who = match node.text() {
            Some(text) if text.contains('@') => self.person(at, text)?,
            Some(text) => PersonOrRoster::Roster(text.into()),
            None => {
                let help = "list addresses and rosters: `owners: [alice@example.com, sre]`";
                return self.refused(at, "an owner must be an address or the name of a roster", help);
            }
        };
        Some(Entry { who, at, terms: None })
    }

    pub fn protected(&mut self, node: &Node<'_>) -> Option<Entry> {
        let (at, help) = (node.at, "list email addresses and member ids");
        let person = match &node.value {
            Value::Text(text) | Value::Typed(text) if looks_like_id(text) => text.parse().ok().map(PersonRef::Id),
            Value::Text(text) | Value::Typed(text) => {
                let message = |error| format!("{} is neither an email address nor an id: {error}", quoted(text));
                Email::declared(text).map_err(|error| self.refuse(at, message(error), help)).ok().map(PersonRef::Email)
            }
            Value::Mapping(entries) => {
                return self.detailed_entry("an entry of `protected`", "email or id", at, entries, &PROTECTED);
            }
            Value::Null(_) | Value::Sequence(_) => {
                self.refused(at, "an entry of `protected` must be an email address or an id", help)
            }
        };
        Some(Entry { who: PersonOrRoster::Person(person?), at, terms: None })
    }
}

/// The remedy for a text that is not an email address.
fn remedy(text: &str) -> String {
    let visible = text.trim().replace(|c: char| is_invisible(c) && !c.is_ascii_whitespace(), "");
    if Email::declared(&visible).is_ok() {
        return format!("write {visible}");
    }
    "write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`".into()
}
