//! Finds the known word that somebody probably meant.

/// Longer words are not compared: the comparison takes the product of the two lengths.
const LONGEST_WORD: usize = 64;

/// The candidate that differs from the word in at most a third of its letters, if there is one; the first of several
/// that are equally near.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let folded = word.to_lowercase();
    let most = (folded.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= LONGEST_WORD)
        .map(|candidate| (strsim::osa_distance(&folded, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// What to do about an unknown word: the one probably meant, or all there are.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("what can stand here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_forgiven_and_another_word_is_not() {
        let known = ["members", "mode", "min_members"];
        assert_eq!(nearest("membres", known), Some("members"));
        assert_eq!(nearest("Mode", known), Some("mode"));
        assert_eq!(nearest("modus", known), None);
        assert_eq!(nearest("owner", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn without_a_near_word_all_are_named() {
        assert_eq!(did_you_mean("exakt", &["exact", "additive"]), "did you mean \"exact\"?");
        assert_eq!(did_you_mean("full", &["exact", "additive"]), "what can stand here: exact, additive");
    }
}
