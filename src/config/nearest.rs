//! Finds the known word that a misspelled word probably means.

/// Longer words are not compared, because the cost is the product of the two lengths.
const LONGEST_WORD: usize = 64;

/// Shorter words are part of too many other words.
const SHORTEST_PART: usize = 4;

/// The nearest candidate that differs in at most a third of its letters, else a candidate that contains the word. Of
/// several, the first one.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let folded = word.to_lowercase();
    let length = folded.chars().count();
    let most = (length / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= LONGEST_WORD)
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::osa_distance(&folded, &other);
            let contains = length >= SHORTEST_PART && other.contains(&folded);
            (distance <= most || contains).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The remedy for an unknown word: the probable one, or all known words.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("expected one of: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_word_is_found() {
        let known = ["members", "mode", "min_members"];
        assert_eq!(nearest("membres", known), Some("members"));
        assert_eq!(nearest("Mode", known), Some("mode"));
        assert_eq!(nearest("modus", known), None);
        assert_eq!(nearest("owner", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("exclusive", ["mode", "exclusive_with"]), Some("exclusive_with"));
        assert_eq!(nearest("min", known), None);
    }

    #[test]
    fn all_words_are_listed_without_a_near_one() {
        assert_eq!(did_you_mean("exakt", &["exact", "additive"]), "did you mean \"exact\"?");
        assert_eq!(did_you_mean("full", &["exact", "additive"]), "expected one of: exact, additive");
    }
}
