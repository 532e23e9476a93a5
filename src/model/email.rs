//! Email addresses: they keep their spelling and are compared without regard to ASCII case. Also finds invisible
//! characters, and brings texts into one Unicode form.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The maximum length of an address in the API, in characters.
const MAX_CHARACTERS: usize = 90;

/// Why a text is not an email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} characters, and at most {MAX_CHARACTERS} are allowed")]
    TooLong(usize),
    #[error("it has no \"@\"")]
    NoAt,
    #[error("it has {0} \"@\"")]
    SeveralAts(usize),
    #[error("there is nothing {0} the \"@\"")]
    EmptySide(&'static str),
    #[error("it contains {0:?}")]
    Character(char),
    #[error("it contains the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    #[error("a part of its domain is empty")]
    EmptyLabel,
}

// An email address as written. Equality, order and hash ignore the case of ASCII letters only. The case rules of
// other characters could make the addresses of two people equal. For example, the lower case of the Kelvin sign is
// `k`.
#[derive(Clone, Debug, schemars::JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[^@\\s]+@[^@\\s]+$", "maxLength" = MAX_CHARACTERS))]
pub struct Email {
    text: Arc<str>,
    /// The text in lower case if it differs from the text, so that comparisons do not have to convert it.
    folded: Option<Arc<str>>,
}

impl Email {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address with its ASCII letters in lower case. Equal addresses have equal values.
    pub fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.text)
    }

    pub fn domain(&self) -> Cow<'_, str> {
        ascii_domain(self.folded().rsplit_once('@').map_or("", |(_, domain)| domain))
    }

    /// Parses an address from a file or the command line. It refuses probable mistakes, such as `alice@example,com`.
    /// Addresses from the API are parsed with [`str::parse`], which accepts everything that can be compared.
    ///
    /// # Errors
    ///
    /// If the text is not an address.
    pub fn declared(text: &str) -> Result<Self, EmailError> {
        // Spaces are named as characters, because they are seen.
        if let Some(odd) = text.chars().find(|c| is_invisible(*c) && !matches!(c, '\t' | '\n' | '\r')) {
            return Err(EmailError::Invisible(odd));
        }
        let email: Self = text.parse()?;
        let (local, domain) = text.split_once('@').unwrap_or_default();
        let odd_in_local = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"!#$%&'*+/=?^_`{|}~.-".contains(c);
        let odd_in_domain = |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '.' | '_');
        if let Some(odd) =
            local.chars().find(|c| odd_in_local(*c)).or_else(|| domain.chars().find(|c| odd_in_domain(*c)))
        {
            return Err(EmailError::Character(odd));
        }
        if domain.split('.').any(str::is_empty) {
            return Err(EmailError::EmptyLabel);
        }
        Ok(email)
    }
}

impl std::str::FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let odd = text.chars().find(|c| c.is_whitespace() || c.is_control());
        let characters = text.chars().count();
        Err(match (odd, text.split_once('@')) {
            _ if text.is_empty() => EmailError::Empty,
            (Some(odd), _) => EmailError::Character(odd),
            _ if characters > MAX_CHARACTERS => EmailError::TooLong(characters),
            (None, None) => EmailError::NoAt,
            (None, Some((_, domain))) if domain.contains('@') => EmailError::SeveralAts(text.matches('@').count()),
            (None, Some(("", _))) => EmailError::EmptySide("before"),
            (None, Some((_, ""))) => EmailError::EmptySide("after"),
            (None, Some(_)) => {
                let folded = text.bytes().any(|b| b.is_ascii_uppercase()).then(|| text.to_ascii_lowercase().into());
                return Ok(Self { text: text.into(), folded });
            }
        })
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Email {}

impl PartialOrd for Email {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Email {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

super::serialize_as_text!(Email);

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
fn ascii_domain(domain: &str) -> Cow<'_, str> {
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

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_compare_without_ascii_case() {
        let (a, b) = (email("Alice@Example.com"), email("alice@EXAMPLE.com"));
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_eq!(a.to_string(), "Alice@Example.com");
        assert_eq!(a.folded(), "alice@example.com");
    }

    #[test]
    fn characters_beyond_ascii_compare_exactly() {
        assert_ne!(email("mi\u{212a}e@example.com"), email("mike@example.com"));
        assert_ne!(email("\u{c4}nne@example.com"), email("\u{e4}nne@example.com"));
        assert_ne!(email("\u{130}@example.com"), email("i\u{307}@example.com"));
        assert_eq!(email("\u{c4}NNE@example.com"), email("\u{c4}nne@example.com"));
    }

    #[test]
    fn invalid_addresses_are_refused() {
        let error = |text: &str| text.parse::<Email>().unwrap_err();
        assert_eq!(error(""), EmailError::Empty);
        assert_eq!(error("alice"), EmailError::NoAt);
        assert_eq!(error("a@b@c"), EmailError::SeveralAts(2));
        assert_eq!(error("@b"), EmailError::EmptySide("before"));
        assert_eq!(error("a@"), EmailError::EmptySide("after"));
        assert_eq!(error("a b@c"), EmailError::Character(' '));
        assert_eq!(error("a\u{7}@c"), EmailError::Character('\u{7}'));
        assert_eq!(error(&format!("{}@c", "a".repeat(89))), EmailError::TooLong(91));
        assert!(format!("{}@c", "a".repeat(88)).parse::<Email>().is_ok());
    }

    #[test]
    fn probable_mistakes_in_addresses_are_refused() {
        let odd = |text: &str| match Email::declared(text).unwrap_err() {
            EmailError::Character(odd) => odd,
            other => panic!("{text}: {other}"),
        };
        let texts = ["alice@example,com", "alice@example;com", "<alice@example.com>", "mailto:alice@example.com"];
        assert_eq!(texts.map(odd), [',', ';', '<', ':']);
        assert_eq!(["a,b@c", "a@b/c", "\"a\"@b", "a@[1.2.3.4]"].map(odd), [',', '/', '"', '[']);
        for text in ["alice@example..com", "alice@.example.com", "alice@example.com."] {
            assert_eq!(Email::declared(text), Err(EmailError::EmptyLabel), "{text}");
        }
        for text in ["o'hara+x@example.co.uk", "a@b", "!#$%&'*+/=?^_`{|}~.-@x-1.de", "\u{e4}nne@b\u{fc}cher.example"] {
            assert!(Email::declared(text).is_ok(), "{text}");
        }
    }

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
