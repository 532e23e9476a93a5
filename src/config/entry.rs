//! Reads the entries of a list of people: of a group, a roster or `protected`.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use super::node::{Node, Value};
use super::problem::{Position, quoted};
use super::reader::{Field, Reader};
use super::value::looks_like_id;
use crate::model::{Email, EmailError, MemberId, PersonRef, Terms};

/// The keys of an entry, in the order in which the reader takes it apart.
pub(super) const KEYS: [&str; 6] = ["email", "id", "roster", "from", "until", "reason"];

/// The keys of an entry of `protected`.
pub(super) const PROTECTED: [&str; 2] = ["email", "id"];

/// An entry of the own list of a group or a roster.
#[derive(Debug)]
pub(super) enum Entry {
    Person {
        person: PersonRef,
        /// As in [`Numbers`](super::numbers::Numbers).
        number: u32,
        at: Position,
        terms: Option<Box<Terms>>,
    },
    Roster {
        name: Arc<str>,
        at: Position,
        reason: Option<Arc<str>>,
    },
}

impl Entry {
    pub const fn at(&self) -> Position {
        match self {
            Self::Person { at, .. } | Self::Roster { at, .. } => *at,
        }
    }
}

impl Reader<'_> {
    /// Reads a list of people and rosters, and reports duplicates.
    pub fn entries(&mut self, whose: &str, items: Vec<Node<'_>>) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            if self.report.is_full() {
                break;
            }
            entries.extend(self.entry(item));
        }
        self.report_repeated(whose, &entries);
        entries
    }

    fn entry(&mut self, node: Node<'_>) -> Option<Entry> {
        let at = node.at;
        match node.value {
            Value::Text(text) | Value::Typed(text) => {
                let (person, number) = match self.numbers.spelled(&text) {
                    Some(known) => known,
                    None => {
                        let person = self.bare_person(at, &text)?;
                        self.numbered(person)
                    }
                };
                Some(Entry::Person { person, number, at, terms: None })
            }
            Value::Mapping(entries) => self.detailed_entry(at, entries),
            Value::Null(_) => {
                self.refuse(at, "this entry is empty", "write an email address, or remove the line");
                None
            }
            Value::Sequence(_) => {
                let help = "write each person on a separate line: `- alice@example.com`";
                self.refuse(at, "this entry is a list inside a list", help);
                None
            }
        }
    }

    fn numbered(&mut self, person: PersonRef) -> (PersonRef, u32) {
        let number = self.numbers.of(&person);
        (person, number)
    }

    fn detailed_entry(&mut self, at: Position, entries: Vec<(Node<'_>, Node<'_>)>) -> Option<Entry> {
        let before = self.report.len();
        let [email, id, roster, from, until, reason] = self.fields("an entry", entries, KEYS);
        let person = match (email, id, roster) {
            (Some(email), None, None) => self.email(&email).map(PersonRef::Email),
            (None, Some(id), None) => self.member_id(&id).map(PersonRef::Id),
            (None, None, Some(roster)) => return self.roster_use(at, &roster, [from, until, reason]),
            (None, None, None) => {
                // If the key that names the person is mistyped, this was already reported.
                if self.report.len() == before {
                    self.refuse(at, "this entry names no person or roster", "add one of the keys email, id and roster");
                }
                None
            }
            _ => {
                let help = "write a separate entry for each of them";
                self.refuse(at, "this entry has more than one of the keys email, id and roster", help);
                None
            }
        };
        let terms = self.terms(from.as_ref(), until.as_ref(), reason.as_ref());
        let (person, number) = self.numbered(person?);
        Some(Entry::Person { person, number, at, terms })
    }

    fn terms(
        &mut self,
        from: Option<&Field<'_>>,
        until: Option<&Field<'_>>,
        reason: Option<&Field<'_>>,
    ) -> Option<Box<Terms>> {
        if from.is_none() && until.is_none() && reason.is_none() {
            return None;
        }
        let (window, until_is_date) = self.window(from, until);
        let reason = reason.and_then(|field| self.reason(field));
        Some(Box::new(Terms { window, until_is_date, reason }))
    }

    fn reason(&mut self, field: &Field<'_>) -> Option<Arc<str>> {
        let help = "write the reason in a few words, or remove the key";
        let text = self.text("`reason`", field, help)?;
        if text.trim().is_empty() {
            self.refuse(field.node.at, "`reason` is empty", help);
        }
        Some(text.into())
    }

    fn roster_use(&mut self, at: Position, roster: &Field<'_>, terms: [Option<Field<'_>>; 3]) -> Option<Entry> {
        let [from, until, reason] = terms;
        for field in [from, until].into_iter().flatten() {
            let help = "set it on the people in the roster, or list them here by email";
            self.refuse(field.key, "a roster entry cannot have `from` or `until`", help);
        }
        let reason = reason.and_then(|field| self.reason(&field));
        let name = self.text("`roster`", roster, "write the name of one roster: `- roster: NAME`")?;
        Some(Entry::Roster { name: name.into(), at, reason })
    }

    fn member_id(&mut self, field: &Field<'_>) -> Option<MemberId> {
        if let Value::Text(text) = &field.node.value
            && text.parse::<Email>().is_ok()
        {
            let message = format!("{} is an email address, not an id", quoted(text));
            self.refuse(field.node.at, message, format!("write `email: {text}`"));
            return None;
        }
        self.id(field)
    }

    fn email(&mut self, field: &Field<'_>) -> Option<Email> {
        let text = self.text("`email`", field, "write one address: `email: alice@example.com`")?;
        match Email::declared(text) {
            Ok(email) => Some(email),
            Err(_) if looks_like_id(text) => {
                let message = format!("{} is an id, not an email address", quoted(text));
                self.refuse(field.node.at, message, format!("write `id: {text}`"));
                None
            }
            Err(error) => {
                let message = format!("{} is not an email address: {error}", quoted(text));
                self.refuse(field.node.at, message, remedy(text, error));
                None
            }
        }
    }

    /// Reads an entry that is not a mapping.
    fn bare_person(&mut self, at: Position, text: &str) -> Option<PersonRef> {
        match Email::declared(text) {
            Ok(email) => Some(PersonRef::Email(email)),
            Err(_) if looks_like_id(text) => {
                let message = format!("{} is an id, not an email address", quoted(text));
                self.refuse(at, message, format!("write `- id: {text}`"));
                None
            }
            Err(error) => {
                let message = format!("{} is not an email address: {error}", quoted(text));
                let problem = self.problem(at, message).help(remedy(text, error));
                self.report.push_perhaps_roster(problem, text);
                None
            }
        }
    }

    fn report_repeated(&mut self, whose: &str, entries: &[Entry]) {
        self.numbers.begin_list();
        let mut rosters: HashMap<&str, Position> = HashMap::new();
        for entry in entries {
            let (first, message) = match entry {
                Entry::Person { person, number, at, .. } => match self.numbers.list(*number, *at) {
                    None => continue,
                    Some(first) => (first, format!("{person} is listed twice in {whose}")),
                },
                Entry::Roster { name, at, .. } => match rosters.entry(name) {
                    Slot::Vacant(slot) => {
                        slot.insert(*at);
                        continue;
                    }
                    Slot::Occupied(first) => {
                        (*first.get(), format!("roster {} is listed twice in {whose}", quoted(name)))
                    }
                },
            };
            self.refuse_again(entry.at(), message, first, "it is first listed here");
        }
    }

    /// Reads `protected`: emails and ids, with or without their key.
    pub fn protected(&mut self, items: Vec<Node<'_>>) -> Vec<(PersonRef, Position)> {
        let mut protected = Vec::with_capacity(items.len());
        let mut seen: HashMap<PersonRef, Position> = HashMap::new();
        for item in items {
            if self.report.is_full() {
                break;
            }
            let at = item.at;
            let Some(person) = self.protected_person(item) else { continue };
            if let Some(&first) = seen.get(&person) {
                self.refuse_again(
                    at,
                    format!("{person} is listed twice in `protected`"),
                    first,
                    "it is first listed here",
                );
                continue;
            }
            seen.insert(person.clone(), at);
            protected.push((person, at));
        }
        protected
    }

    fn protected_person(&mut self, node: Node<'_>) -> Option<PersonRef> {
        let help = "list email addresses and member ids";
        match node.value {
            Value::Text(text) | Value::Typed(text) => {
                if looks_like_id(&text) {
                    return text.parse().ok().map(PersonRef::Id);
                }
                match Email::declared(&text) {
                    Ok(email) => Some(PersonRef::Email(email)),
                    Err(error) => {
                        let message = format!("{} is neither an email address nor an id: {error}", quoted(&text));
                        self.refuse(node.at, message, help);
                        None
                    }
                }
            }
            Value::Mapping(entries) => {
                let before = self.report.len();
                match self.fields("an entry of `protected`", entries, PROTECTED) {
                    [Some(email), None] => self.email(&email).map(PersonRef::Email),
                    [None, Some(id)] => self.member_id(&id).map(PersonRef::Id),
                    _ if self.report.len() > before => None,
                    _ => {
                        self.refuse(node.at, "an entry of `protected` must name one person by email or id", help);
                        None
                    }
                }
            }
            Value::Null(_) | Value::Sequence(_) => {
                self.refuse(node.at, "an entry of `protected` must be an email address or an id", help);
                None
            }
        }
    }
}

/// The remedy for a text that is not an email address.
fn remedy(text: &str, error: EmailError) -> String {
    match error {
        EmailError::Character(_) if Email::declared(text.trim()).is_ok() => format!("write {}", text.trim()),
        EmailError::Character(',') if has_comma_for_dot(text) => format!("write {}", text.replace(',', ".")),
        EmailError::Character(',' | ';') | EmailError::SeveralAts(_) if text.contains([',', ';']) => {
            "write each address on a separate line: `- alice@example.com`".into()
        }
        EmailError::Character(_) if text.contains('<') => "write only the address, without a name".into(),
        EmailError::Character(':') => "write only the address, without \"mailto:\"".into(),
        _ => "write one address: `- alice@example.com`".into(),
    }
}

/// Whether the only mistake is a `,` in the domain.
fn has_comma_for_dot(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, _)| !local.contains(','))
        && Email::declared(&text.replace(',', ".")).is_ok()
}
