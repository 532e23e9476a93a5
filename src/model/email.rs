//! Email addresses: kept as written, compared without regard to case.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The most characters an address may have in the API.
const MAX_CHARACTERS: usize = 90;

/// Why a text is no email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// There is nothing at all.
    #[error("it is empty")]
    Empty,
    /// More characters than the API takes.
    #[error("it has {0} characters, at most {MAX_CHARACTERS} are allowed")]
    TooLong(usize),
    /// No `@`, or more than one.
    #[error("it has {0} \"@\", an address has one")]
    Ats(usize),
    /// Nothing before or after the `@`.
    #[error("nothing stands {0} the \"@\"")]
    EmptySide(&'static str),
    /// A blank or control character.
    #[error("it holds {0:?}: blanks and control characters are not allowed")]
    Character(char),
}

/// An email address as it was written. Equality, order and hash disregard case.
#[derive(Clone)]
pub struct Email {
    text: Arc<str>,
    /// The text in lower case, where that is another text: comparing must not fold again and again.
    folded: Option<Arc<str>>,
}

impl Email {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address in lower case: what all spellings of one address have in common.
    #[must_use]
    pub fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.text)
    }
}

impl std::str::FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        if let Some(odd) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(EmailError::Character(odd));
        }
        let characters = text.chars().count();
        if characters > MAX_CHARACTERS {
            return Err(EmailError::TooLong(characters));
        }
        let ats = text.matches('@').count();
        let (1, Some((local, domain))) = (ats, text.split_once('@')) else {
            return Err(EmailError::Ats(ats));
        };
        if local.is_empty() {
            return Err(EmailError::EmptySide("before"));
        }
        if domain.is_empty() {
            return Err(EmailError::EmptySide("after"));
        }
        let lower = text.to_lowercase();
        let folded = (lower != text).then(|| lower.into());
        Ok(Self { text: text.into(), folded })
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

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({:?})", &*self.text)
    }
}

impl serde::Serialize for Email {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Email {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Email {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Email".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$", "maxLength": MAX_CHARACTERS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_tell_two_addresses_apart() {
        let a: Email = "Alice@Example.com".parse().unwrap();
        let b: Email = "alice@EXAMPLE.com".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_eq!(a.to_string(), "Alice@Example.com");
        assert_eq!(a.folded(), "alice@example.com");
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        let error = |text: &str| text.parse::<Email>().unwrap_err();
        assert_eq!(error(""), EmailError::Empty);
        assert_eq!(error("alice"), EmailError::Ats(0));
        assert_eq!(error("a@b@c"), EmailError::Ats(2));
        assert_eq!(error("@b"), EmailError::EmptySide("before"));
        assert_eq!(error("a@"), EmailError::EmptySide("after"));
        assert_eq!(error("a b@c"), EmailError::Character(' '));
        assert_eq!(error("a\u{7}@c"), EmailError::Character('\u{7}'));
        assert_eq!(error(&format!("{}@c", "a".repeat(89))), EmailError::TooLong(91));
        assert!(format!("{}@c", "a".repeat(88)).parse::<Email>().is_ok());
    }
}
