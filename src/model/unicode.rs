//! Characters that nobody sees, and texts that look the same and are spelled differently.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Whether a character controls a terminal, has no width, changes the direction of text, or looks blank without being a
/// space.
pub fn is_invisible(c: char) -> bool {
    !matches!(c, ' '..='~')
        && (c.is_control()
            || c.is_whitespace()
            || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'))
}

pub fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// A domain in its ASCII form. Domains that have none are composed.
#[must_use]
pub fn ascii_domain(domain: &str) -> Cow<'_, str> {
    match idna::domain_to_ascii(domain) {
        _ if domain.is_ascii() => domain.into(),
        Ok(ascii) => ascii.into(),
        Err(_) => composed(domain),
    }
}

/// An address in the form in which typos are measured: composed, and the domain in ASCII. Other texts are composed.
pub fn comparable(text: &str) -> Cow<'_, str> {
    match text.rsplit_once('@') {
        _ if text.is_ascii() => text.into(),
        Some((local, domain)) => format!("{}@{}", composed(local), ascii_domain(domain)).into(),
        None => composed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        for [one, other] in [
            ["zoe\u{308}@x.y", "zo\u{eb}@x.y"],
            ["a@b\u{fc}cher.example", "a@xn--bcher-kva.example"],
            ["a@bu\u{308}cher.example", "a@xn--bcher-kva.example"],
        ] {
            assert_eq!(comparable(one), comparable(other));
        }
        assert_eq!(comparable("Alice@x.y"), "Alice@x.y");
    }

    #[test]
    fn letters_and_spaces_are_visible() {
        assert!(!" aé\u{301}日👍-".chars().any(is_invisible));
        assert!("\u{200b}\u{202e}\u{3164}\u{2800}\u{a0}\u{feff}\u{e0041}\t\u{7f}".chars().all(is_invisible));
    }
}
