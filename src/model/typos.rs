//! Finds texts that differ by no more than a typo, to find the members whom an unknown address or id may mean.
//!
//! All these members keep their access, so none may be missed. A file can have many thousands of unknown addresses,
//! so most comparisons end after comparing lengths and character sets.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{PersonRef, comparable, composed};

/// The maximum number of different characters for a typo.
const MOST_DIFFERENT: usize = 3;

/// The maximum total cost of all suggestions of a plan, in quick comparisons.
const MOST_WORK: u64 = 1_000_000_000;
/// The cost of a full comparison, in quick comparisons.
const CLOSE_LOOK: u64 = 100;

/// How many different characters may be a typo in this text. Shorter names allow fewer.
pub fn tolerance(text: &str) -> usize {
    let name = text.split('@').next().unwrap_or_default();
    (1 + composed(name).chars().count() / 6).min(MOST_DIFFERENT)
}

/// The part of an address before the `@`, in composed form.
fn local_part(text: &str) -> Option<Cow<'_, str>> {
    text.split_once('@').map(|(local, _)| composed(local))
}

/// The text of a person in the form for comparisons.
pub fn written(person: &PersonRef) -> &str {
    match person {
        PersonRef::Email(email) => email.folded(),
        PersonRef::Id(id) => id.as_str(),
    }
}

/// Texts with associated values, sorted by the length of their comparable forms.
pub struct Texts<'a, T> {
    by_length: BTreeMap<usize, Vec<Text<'a, T>>>,
    /// By the part before the `@`: who changes to another domain keeps it, however different the rest is.
    by_local_part: BTreeMap<Cow<'a, str>, Vec<(&'a str, T)>>,
    work_left: u64,
}

struct Text<'a, T> {
    /// The set of characters, with one bit for several of them.
    characters: u64,
    text: &'a str,
    form: Cow<'a, str>,
    of: T,
}

impl<'a, T: Copy> Texts<'a, T> {
    pub fn new(texts: impl IntoIterator<Item = (&'a str, T)>) -> Self {
        let mut by_length: BTreeMap<usize, Vec<Text<'a, T>>> = BTreeMap::new();
        let mut by_local_part: BTreeMap<Cow<'a, str>, Vec<(&str, T)>> = BTreeMap::new();
        for (text, of) in texts {
            if let Some(local) = local_part(text) {
                by_local_part.entry(local).or_default().push((text, of));
            }
            let form = comparable(text);
            let row = Text { characters: characters(&form), text, form, of };
            by_length.entry(row.form.chars().count()).or_default().push(row);
        }
        Self { by_length, by_local_part, work_left: MOST_WORK }
    }

    /// The texts with the same part before the `@`.
    pub fn moved(&self, text: &str) -> &[(&'a str, T)] {
        local_part(text).and_then(|local| self.by_local_part.get(&*local)).map_or(&[], Vec::as_slice)
    }

    /// The value of any of these texts that may mean the same person: one that is near, or else one that has moved.
    pub fn any_alike(&self, text: &str, tolerance_of: impl Fn(&str) -> usize) -> Option<T> {
        self.any_near(text, tolerance_of).or_else(|| self.moved(text).first().map(|(_, of)| *of))
    }

    /// The value of any of these texts that may be a typo of the given text, or the other way around. `tolerance_of`
    /// gets the text of this collection.
    pub fn any_near(&self, text: &str, tolerance_of: impl Fn(&str) -> usize) -> Option<T> {
        let text = comparable(text);
        let seen = characters(&text);
        let is_near = |row: &&Text<'_, T>| {
            let most = tolerance_of(row.text);
            may_be_near(row.characters, seen, most) && distance(&row.form, &text, most).is_some()
        };
        self.candidates(&text).find(is_near).map(|row| row.of)
    }

    /// All texts within the tolerance: nearest first, then in the order of the texts. When the total cost of all
    /// searches is used up, later searches find nothing.
    pub fn nearest(&mut self, text: &str, most: usize) -> Vec<(usize, &'a str, T)> {
        let mut found = Vec::new();
        let mut work = 0;
        let text = comparable(text);
        let seen = characters(&text);
        for row in self.candidates(&text) {
            work += 1;
            if !may_be_near(row.characters, seen, most) {
                continue;
            }
            work += CLOSE_LOOK;
            if work > self.work_left {
                break;
            }
            found.extend(distance(&row.form, &text, most).map(|distance| (distance, row.text, row.of)));
        }
        self.work_left = self.work_left.saturating_sub(work);
        found.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        found
    }

    fn candidates(&self, text: &str) -> impl Iterator<Item = &Text<'a, T>> {
        let length = text.chars().count();
        let lengths = length.saturating_sub(MOST_DIFFERENT)..=length + MOST_DIFFERENT;
        self.by_length.range(lengths).flat_map(|(_, rows)| rows)
    }
}

fn characters(text: &str) -> u64 {
    text.chars().fold(0, |set, c| set | 1 << (u32::from(c) % u64::BITS))
}

/// One edit adds at most one kind of character and removes at most one.
const fn may_be_near(a: u64, b: u64, most: usize) -> bool {
    (a ^ b).count_ones() as usize <= 2 * most
}

/// The optimal string alignment distance, if it is at most `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b) = differing(a, b);
    Some(strsim::osa_distance(a, b)).filter(|distance| *distance <= most)
}

/// Both texts without their common beginning and end.
fn differing<'t>(a: &'t str, b: &'t str) -> (&'t str, &'t str) {
    let same = |(x, y): &(char, char)| x == y;
    let front: usize = a.chars().zip(b.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (a, b) = (a.get(front..).unwrap_or_default(), b.get(front..).unwrap_or_default());
    let back: usize = a.chars().rev().zip(b.chars().rev()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    (a.get(..a.len() - back).unwrap_or_default(), b.get(..b.len() - back).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tolerance_grows_with_the_name() {
        let of = |name: usize| tolerance(&format!("{}@example.com", "a".repeat(name)));
        assert_eq!([of(1), of(5), of(6), of(11), of(12), of(60)], [1, 1, 2, 2, 3, 3]);
        assert_eq!(tolerance(&"0".repeat(32)), 3);
    }

    #[test]
    fn every_tie_is_found_nearest_first() {
        let mut texts = Texts::new([("carl@x", 1), ("carol@x", 2), ("caryl@x", 3), ("dave@x", 4)]);
        let found: Vec<i32> = texts.nearest("caroll@x", 2).into_iter().map(|(.., of)| of).collect();
        assert_eq!(found, [2, 1, 3]);
    }

    proptest! {
        #[test]
        fn distance_is_optimal_string_alignment(a in "[ab@é]{0,12}", b in "[ab@é]{0,12}", most in 0..4_usize) {
            let exact = strsim::osa_distance(&a, &b);
            prop_assert_eq!(distance(&a, &b, most), (exact <= most).then_some(exact));
        }

        #[test]
        fn all_similar_texts_are_found(
            texts in prop::collection::vec("[a-c1@]{1,14}", 0..12), text in "[a-c1@]{1,14}", most in 1..4_usize,
        ) {
            let near = |other: &&String| strsim::osa_distance(other, &text) <= most;
            let mut index = Texts::new(texts.iter().map(|text| (text.as_str(), ())));
            prop_assert_eq!(index.nearest(&text, most).len(), texts.iter().filter(near).count());
            prop_assert_eq!(index.any_near(&text, |_| most).is_some(), texts.iter().any(|other| near(&other)));
        }
    }
}
