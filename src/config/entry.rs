//! Reads lists of people: of a group, a roster or `protected`. An address or id that many lists name is parsed, stored
//! and later looked up once.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::Arc;

use super::node::{Node, Value};
use super::problem::quoted;
use super::reader::{Field, Reader, looks_like_id};
use crate::model::{Email, EmailError, MemberId, PersonRef, Position, Terms, Window, WrittenTime, is_invisible};

/// The keys of an entry, in the order in which the reader takes it apart.
pub(super) const KEYS: [&str; 6] = ["email", "id", "roster", "from", "until", "reason"];

pub(super) const PROTECTED: [&str; 2] = ["email", "id"];

/// An entry of the own list of a group or a roster.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub who: PersonOrRoster,
    pub at: Position,
    pub terms: Option<Box<Terms>>,
}

/// A person with their number in [`Numbers`], or the name of a roster.
#[derive(Clone, Debug)]
pub(super) enum PersonOrRoster {
    Person(PersonRef, u32),
    Roster(Arc<str>),
}

impl fmt::Display for PersonOrRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person, _) => person.fmt(f),
            Self::Roster(name) => write!(f, "roster {}", quoted(name)),
        }
    }
}

impl Entry {
    pub const fn person(&self) -> Option<&PersonRef> {
        match &self.who {
            PersonOrRoster::Person(person, _) => Some(person),
            PersonOrRoster::Roster(_) => None,
        }
    }

    pub fn window(&self) -> Window {
        self.terms.as_deref().map(|terms| terms.window).unwrap_or_default()
    }

    pub fn reason(&self) -> Option<&Arc<str>> {
        self.terms.as_deref()?.reason.as_ref()
    }

    pub fn roster(&self) -> Option<&str> {
        match &self.who {
            PersonOrRoster::Roster(name) => Some(name),
            PersonOrRoster::Person(..) => None,
        }
    }
}

impl Reader<'_> {
    /// Reads a list of people and rosters, and reports duplicates.
    pub fn entries(
        &mut self,
        whose: &str,
        items: Vec<Node<'_>>,
        read: impl Fn(&mut Self, Node<'_>) -> Option<Entry>,
    ) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            if self.report.is_full() {
                break;
            }
            entries.extend(read(self, item));
        }
        self.report_repeated(whose, &entries);
        entries
    }

    /// An entry of a group or a roster.
    pub fn entry(&mut self, node: Node<'_>) -> Option<Entry> {
        let at = node.at;
        match node.value {
            Value::Text(text) | Value::Typed(text) => {
                let who = match self.numbers.spelled(&text) {
                    Some((person, number)) => PersonOrRoster::Person(person, number),
                    None => self.person(at, &text, "- id: ")?,
                };
                Some(Entry { who, at, terms: None })
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

    fn numbered(&mut self, person: PersonRef) -> PersonOrRoster {
        let number = self.numbers.of(&person);
        PersonOrRoster::Person(person, number)
    }

    fn detailed_entry(&mut self, at: Position, entries: Vec<(Node<'_>, Node<'_>)>) -> Option<Entry> {
        let before = self.report.len();
        let [email, id, roster, from, until, reason] = self.fields("an entry", entries, KEYS);
        let who = match (email, id, roster) {
            (Some(email), None, None) => self.email(&email),
            (None, Some(id), None) => self.member_id(&id),
            (None, None, Some(roster)) => {
                let name = self.text("`roster`", &roster, "write the name of one roster: `- roster: NAME`");
                name.map(|name| PersonOrRoster::Roster(name.into()))
            }
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
        Some(Entry { who: who?, at, terms })
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
        let first = from.and_then(|field| self.time(field)).map(WrittenTime::start);
        let last = until.and_then(|field| self.time(field));
        let window = Window { from: first, until: last.map(WrittenTime::end) };
        if let (Some(first), Some(after), Some(from), Some(until)) = (window.from, window.until, from, until)
            && first >= after
        {
            let problem = self
                .problem(until.node.at, "`until` is not after `from`, so the entry never applies")
                .related(self.origin(from.node.at), "`from` is here")
                .help("a date in `until` is the last day; an instant is the first moment after");
            self.report.push(problem);
        }
        let until_is_date = matches!(last, Some(WrittenTime::Day(_)));
        let reason = reason.and_then(|field| self.reason(field));
        Some(Box::new(Terms { window, until_is_date, reason }))
    }

    fn reason(&mut self, field: &Field<'_>) -> Option<Arc<str>> {
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

    fn member_id(&mut self, field: &Field<'_>) -> Option<PersonOrRoster> {
        if let Value::Text(text) = &field.node.value
            && text.parse::<Email>().is_ok()
        {
            let message = format!("{} is an email address, not an id", quoted(text));
            self.refuse(field.node.at, message, format!("write `email: {text}`"));
            return None;
        }
        self.id("a member id", field).map(|id| self.numbered(PersonRef::Id(id)))
    }

    fn email(&mut self, field: &Field<'_>) -> Option<PersonOrRoster> {
        let text = self.text("`email`", field, "write one address: `email: alice@example.com`")?;
        self.person(field.node.at, text, "id: ")
    }

    /// Reads an address. `id` is how an entry by id begins here.
    fn person(&mut self, at: Position, text: &str, id: &str) -> Option<PersonOrRoster> {
        let error = match Email::declared(text) {
            Ok(email) => return Some(self.numbered(PersonRef::Email(email))),
            Err(error) => error,
        };
        if looks_like_id(text) {
            let message = format!("{} is an id, not an email address", quoted(text));
            self.refuse(at, message, format!("write `{id}{text}`"));
            return None;
        }
        let message = format!("{} is not an email address: {error}", quoted(text));
        let problem = self.problem(at, message).help(remedy(text, error));
        if id.starts_with('-') {
            self.report.push_perhaps_roster(problem, text)
        } else {
            self.report.push(problem)
        }
        None
    }

    fn report_repeated(&mut self, whose: &str, entries: &[Entry]) {
        self.numbers.begin_list();
        let mut rosters: HashMap<&str, Position> = HashMap::new();
        for Entry { who, at, .. } in entries {
            let (first, what) = match who {
                PersonOrRoster::Person(person, number) => match self.numbers.list(*number, *at) {
                    None => continue,
                    Some(first) => (first, person.to_string()),
                },
                PersonOrRoster::Roster(name) => match rosters.entry(name) {
                    Slot::Vacant(slot) => {
                        slot.insert(*at);
                        continue;
                    }
                    Slot::Occupied(first) => (*first.get(), format!("roster {}", quoted(name))),
                },
            };
            let message = format!("{what} is listed twice in {whose}");
            self.refuse_again(*at, message, first, "it is first listed here");
        }
    }

    /// An address, or the name of a roster.
    pub fn owner(&mut self, node: Node<'_>) -> Option<Entry> {
        let at = node.at;
        let who = match &node.value {
            Value::Text(text) | Value::Typed(text) if text.contains('@') => self.person(at, text, "- id: "),
            Value::Text(text) | Value::Typed(text) => Some(PersonOrRoster::Roster(text.as_ref().into())),
            _ => {
                let help = "list addresses and rosters: `owners: [alice@example.com, sre]`";
                self.refuse(at, "an owner must be an address or the name of a roster", help);
                None
            }
        };
        Some(Entry { who: who?, at, terms: None })
    }

    pub fn protected(&mut self, node: Node<'_>) -> Option<Entry> {
        let at = node.at;
        Some(Entry { who: self.protected_person(node)?, at, terms: None })
    }

    fn protected_person(&mut self, node: Node<'_>) -> Option<PersonOrRoster> {
        let help = "list email addresses and member ids";
        let at = node.at;
        let message = match node.value {
            Value::Text(text) | Value::Typed(text) if looks_like_id(&text) => {
                return text.parse().ok().map(|id| self.numbered(PersonRef::Id(id)));
            }
            Value::Text(text) | Value::Typed(text) => match Email::declared(&text) {
                Ok(email) => return Some(self.numbered(PersonRef::Email(email))),
                Err(error) => format!("{} is neither an email address nor an id: {error}", quoted(&text)),
            },
            Value::Mapping(entries) => {
                let before = self.report.len();
                match self.fields("an entry of `protected`", entries, PROTECTED) {
                    [Some(email), None] => return self.email(&email),
                    [None, Some(id)] => return self.member_id(&id),
                    _ if self.report.len() > before => return None,
                    _ => "an entry of `protected` must name one person by email or id".into(),
                }
            }
            Value::Null(_) | Value::Sequence(_) => "an entry of `protected` must be an email address or an id".into(),
        };
        self.refuse(at, message, help);
        None
    }
}

/// The remedy for a text that is not an email address.
fn remedy(text: &str, error: EmailError) -> String {
    let visible = || text.replace(is_invisible, "");
    match error {
        EmailError::Invisible(_) if Email::declared(&visible()).is_ok() => format!("write {}", visible()),
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

/// A map with a hash that is faster for short keys than that of the standard library. It is never iterated, so hash
/// order cannot affect the output.
type NumberMap<K> = HashMap<K, u32, foldhash::fast::RandomState>;

/// The number of each person that the lists name.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    emails: NumberMap<Email>,
    ids: NumberMap<MemberId>,
    /// The last entry of each person: in which list, and where.
    last: Vec<(u32, Position)>,
    lists: u32,
}

impl Numbers {
    /// The person that an earlier entry names with exactly this address.
    pub fn spelled(&self, address: &str) -> Option<(PersonRef, u32)> {
        let (email, number) = self.emails.get_key_value(address)?;
        (email.as_str() == address).then(|| (PersonRef::Email(email.clone()), *number))
    }

    /// The number of a person: equal people have equal numbers.
    pub fn of(&mut self, person: &PersonRef) -> u32 {
        // A file has less than 2^32 bytes.
        let next = u32::try_from(self.last.len()).unwrap_or(u32::MAX);
        let number = match person {
            PersonRef::Email(email) => *self.emails.entry(email.clone()).or_insert(next),
            PersonRef::Id(id) => *self.ids.entry(*id).or_insert(next),
        };
        if number == next {
            self.last.push((0, Position { line: 0, column: 0 }));
        }
        number
    }

    /// Begins a list: from now on, only its own entries count as duplicates.
    pub fn begin_list(&mut self) {
        self.lists += 1;
    }

    /// Adds a person to the current list, and returns the place of an entry before.
    pub fn list(&mut self, number: u32, at: Position) -> Option<Position> {
        let list = self.lists;
        let last = self.last.get_mut(number as usize)?;
        match *last {
            (before, first) if before == list => Some(first),
            _ => {
                *last = (list, at);
                None
            }
        }
    }

    pub fn count(&self) -> usize {
        self.last.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> PersonRef {
        PersonRef::Email(Email::declared(text).unwrap())
    }

    #[test]
    fn equal_people_have_equal_numbers() {
        let mut numbers = Numbers::default();
        let id = PersonRef::Id("4f5f0c14a2a41d5063dd301b2f829f04".parse().unwrap());
        let all = [email("alice@example.com"), id.clone(), email("Alice@example.com"), email("bob@example.com"), id];
        assert_eq!(all.each_ref().map(|person| numbers.of(person)), [0, 1, 0, 2, 1]);
        assert_eq!(numbers.count(), 3);
    }

    #[test]
    fn spelling_is_kept() {
        let mut numbers = Numbers::default();
        numbers.of(&email("alice@example.com"));
        assert_eq!(numbers.spelled("alice@example.com"), Some((email("alice@example.com"), 0)));
        assert_eq!(numbers.spelled("Alice@example.com"), None);
    }

    #[test]
    fn duplicates_count_within_one_list() {
        let mut numbers = Numbers::default();
        let alice = numbers.of(&email("alice@example.com"));
        let at = |line| Position { line, column: 3 };
        numbers.begin_list();
        assert_eq!(numbers.list(alice, at(3)), None);
        assert_eq!(numbers.list(alice, at(4)), Some(at(3)));
        assert_eq!(numbers.list(alice, at(5)), Some(at(3)));
        numbers.begin_list();
        assert_eq!(numbers.list(alice, at(8)), None);
    }
}
