//! Proves an edit: everything read from the edited file is as before, except exactly the requested entries.

use std::collections::BTreeMap;

use super::lists::ListName;
use super::step::{Action, ChangedTerms, NewTerms, Step, Turn};
use crate::config::node::{Node, Value};
use crate::model::PersonRef;

/// The steps of each list of a file, in the order of its entries.
pub(super) type Steps<'p> = BTreeMap<ListName, Vec<&'p Step>>;

/// Whether the second tree is the first one with exactly these steps.
pub(super) fn proves(before: &Node<'_>, after: &Node<'_>, steps: &Steps<'_>) -> bool {
    let (Value::Mapping(before), Value::Mapping(after)) = (&before.value, &after.value) else { return false };
    pairs_match(before, after, |key, before, after| match key {
        "groups" => named_match(before, after, |name, before, after| {
            let list = ListName::Group(name.into());
            match steps.get(&list) {
                None => same(before, after),
                Some(steps) => group_matches(before, after, steps),
            }
        }),
        "rosters" => {
            named_match(before, after, |name, before, after| match steps.get(&ListName::Roster(name.into())) {
                None => same(before, after),
                Some(steps) => list_matches(before, after, steps),
            })
        }
        _ => same(before, after),
    })
}

type Pairs<'s> = [(Node<'s>, Node<'s>)];

fn pairs_match(before: &Pairs<'_>, after: &Pairs<'_>, value: impl Fn(&str, &Node<'_>, &Node<'_>) -> bool) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|((key_before, before), (key_after, after))| {
            same(key_before, key_after) && value(text(key_before).unwrap_or_default(), before, after)
        })
}

fn named_match(before: &Node<'_>, after: &Node<'_>, value: impl Fn(&str, &Node<'_>, &Node<'_>) -> bool) -> bool {
    match (&before.value, &after.value) {
        (Value::Mapping(before), Value::Mapping(after)) => pairs_match(before, after, value),
        _ => same(before, after),
    }
}

fn group_matches(before: &Node<'_>, after: &Node<'_>, steps: &[&Step]) -> bool {
    named_match(before, after, |key, before, after| match key {
        "members" => list_matches(before, after, steps),
        _ => same(before, after),
    })
}

fn list_matches(before: &Node<'_>, after: &Node<'_>, steps: &[&Step]) -> bool {
    let (Value::Sequence(before), Value::Sequence(after)) = (&before.value, &after.value) else { return false };
    let mut after = after.iter();
    let mut steps = steps.iter().peekable();
    for (index, item) in before.iter().enumerate() {
        let mut kept = true;
        while let Some(step) = steps.next_if(|step| step.index == index) {
            kept &= match &step.action {
                Action::Insert(terms) => {
                    if !after.next().is_some_and(|new| is_new(new, &step.person, terms)) {
                        return false;
                    }
                    true
                }
                Action::Remove => false,
                Action::Replace(terms) => {
                    if !after.next().is_some_and(|new| is_new(new, &step.person, terms)) {
                        return false;
                    }
                    false
                }
                Action::Change(terms) => {
                    if !after.next().is_some_and(|new| is_changed(item, new, terms)) {
                        return false;
                    }
                    false
                }
            };
        }
        if kept && !after.next().is_some_and(|new| same(item, new)) {
            return false;
        }
    }
    for step in steps {
        let Action::Insert(terms) = &step.action else { return false };
        if step.index != before.len() || !after.next().is_some_and(|new| is_new(new, &step.person, terms)) {
            return false;
        }
    }
    after.next().is_none()
}

/// Whether an item is the requested entry.
fn is_new(item: &Node<'_>, person: &PersonRef, terms: &NewTerms) -> bool {
    let name = person.to_string();
    let expected = [
        terms.from.as_ref().map(|moment| ("from", moment.text.as_str())),
        terms.until.as_ref().map(|moment| ("until", moment.text.as_str())),
        terms.reason.as_deref().map(|reason| ("reason", reason)),
    ];
    let key = if matches!(person, PersonRef::Email(_)) { "email" } else { "id" };
    let expected: Vec<(&str, &str)> =
        [(key, name.as_str())].into_iter().chain(expected.into_iter().flatten()).collect();
    match &item.value {
        Value::Text(text) => expected.len() == 1 && key == "email" && *text == name,
        Value::Mapping(pairs) => {
            pairs.len() == expected.len()
                && pairs.iter().zip(&expected).all(|((key, value), (expected_key, expected))| {
                    text(key) == Some(expected_key) && text(value) == Some(expected)
                })
        }
        _ => false,
    }
}

/// Whether an item is the previous one with other terms.
fn is_changed(before: &Node<'_>, after: &Node<'_>, terms: &ChangedTerms) -> bool {
    let Value::Mapping(after) = &after.value else { return false };
    let mut expected: BTreeMap<&str, &str> = match &before.value {
        Value::Text(text) => BTreeMap::from([("email", &**text)]),
        Value::Mapping(pairs) => match pairs.iter().map(|(key, value)| Some((text(key)?, text(value)?))).collect() {
            Some(pairs) => pairs,
            None => return false,
        },
        _ => return false,
    };
    let turns = [
        ("from", terms.from.map(|moment| moment.text.as_str().to_owned())),
        ("until", terms.until.map(|moment| moment.text.as_str().to_owned())),
        ("reason", terms.reason.map(|reason| reason.to_string())),
    ];
    for (key, turn) in &turns {
        match turn {
            Turn::Keep => {}
            Turn::Drop => {
                expected.remove(key);
            }
            Turn::Set(value) => {
                expected.insert(key, value);
            }
        }
    }
    let found: Option<BTreeMap<&str, &str>> =
        after.iter().map(|(key, value)| Some((text(key)?, text(value)?))).collect();
    after.len() == expected.len() && found == Some(expected)
}

/// Whether two trees have the same content at any positions.
fn same(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (&one.value, &other.value) {
        (Value::Text(one), Value::Text(other))
        | (Value::Typed(one), Value::Typed(other))
        | (Value::Null(one), Value::Null(other)) => one == other,
        (Value::Sequence(one), Value::Sequence(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Mapping(one), Value::Mapping(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same(&one.0, &other.0) && same(&one.1, &other.1))
        }
        _ => false,
    }
}

/// The text of a scalar of any YAML type.
fn text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Text(text) | Value::Typed(text) => Some(text),
        _ => None,
    }
}
