//! One change of one list, and the list's entries after it.

use std::sync::Arc;

use super::when::Moment;
use crate::config::entry::Entry;
use crate::config::yaml::scalar;
use crate::model::{PersonRef, Window};

#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The index of the list.
    pub list: usize,
    /// The index of the entry. A new entry is inserted before this index.
    pub index: usize,
    pub person: PersonRef,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Insert(NewTerms),
    Remove,
    /// A new entry replaces an ended one.
    Replace(NewTerms),
    Change(ChangedTerms),
}

#[derive(Clone, Debug, Default)]
pub(super) struct NewTerms {
    pub from: Option<Moment>,
    pub until: Option<Moment>,
    pub reason: Option<Arc<str>>,
}

/// The changes of an entry's terms.
#[derive(Clone, Debug)]
pub(super) struct ChangedTerms {
    pub from: Turn<Moment>,
    pub until: Turn<Moment>,
    pub reason: Turn<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(super) enum Turn<T> {
    Keep,
    Drop,
    Set(T),
}

impl NewTerms {
    /// The keys and values of the entry, as written.
    pub fn pairs(&self, person: &PersonRef, in_flow: bool) -> Vec<(&'static str, String)> {
        let text = |text: &str| scalar(text, in_flow);
        let who = match person {
            PersonRef::Email(email) => ("email", text(email.as_str())),
            PersonRef::Id(id) => ("id", text(id.as_str())),
        };
        let from = self.from.as_ref().map(|moment| ("from", moment.text.clone()));
        let until = self.until.as_ref().map(|moment| ("until", moment.text.clone()));
        let reason = self.reason.as_deref().map(|reason| ("reason", text(reason)));
        [Some(who), from, until, reason].into_iter().flatten().collect()
    }

    pub fn window(&self) -> Window {
        let time = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.time);
        Window { from: time(&self.from), until: time(&self.until) }
    }
}

impl ChangedTerms {
    /// The change of each key, with the new value as written.
    pub fn turns(&self, in_flow: bool) -> [(&'static str, Turn<String>); 3] {
        [
            ("from", self.from.map(|moment| moment.text.clone())),
            ("until", self.until.map(|moment| moment.text.clone())),
            ("reason", self.reason.map(|reason| scalar(reason, in_flow))),
        ]
    }

    pub fn window(&self, before: Window) -> Window {
        let time = |turn: &Turn<Moment>, before| match turn {
            Turn::Keep => before,
            Turn::Drop => None,
            Turn::Set(moment) => Some(moment.time),
        };
        Window { from: time(&self.from, before.from), until: time(&self.until, before.until) }
    }
}

impl<T> Turn<T> {
    pub fn map<U>(&self, value: impl FnOnce(&T) -> U) -> Turn<U> {
        match self {
            Self::Keep => Turn::Keep,
            Self::Drop => Turn::Drop,
            Self::Set(set) => Turn::Set(value(set)),
        }
    }
}

/// The index of a new entry: its sorted place if the addresses are sorted, else the end.
pub(super) fn place_for(entries: &[Entry], person: &PersonRef) -> usize {
    let PersonRef::Email(email) = person else { return entries.len() };
    let addresses = || {
        entries.iter().enumerate().filter_map(|(index, entry)| match entry {
            Entry::Person { person: PersonRef::Email(email), .. } => Some((index, email)),
            _ => None,
        })
    };
    if !addresses().is_sorted_by_key(|(_, email)| email) {
        return entries.len();
    }
    addresses().find(|(_, other)| *other > email).map_or(entries.len(), |(index, _)| index)
}
