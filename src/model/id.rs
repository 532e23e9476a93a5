//! The ids of accounts, groups and members. Each has its own type, so that they cannot be confused.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The length of every id of the API.
const LENGTH: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an id has 32 characters, this has {0}")]
    Length(usize),
    #[error("an id has only letters and digits, this has {0:?}")]
    Character(char),
}

/// 32 ASCII letters and digits in lower case: safe as a path segment, compared without letter case.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id([u8; LENGTH]);

impl Id {
    fn parse(text: &str) -> Result<Self, IdError> {
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(IdError::Character(odd));
        }
        let bytes = <[u8; LENGTH]>::try_from(text.as_bytes()).map_err(|_| IdError::Length(text.len()))?;
        Ok(Self(bytes.map(|byte| byte.to_ascii_lowercase())))
    }

    fn as_str(&self) -> &str {
        // `parse` accepts only ASCII, so the default is never used.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id as two numbers with the same order, which are compared and hashed faster than the bytes.
    fn halves(&self) -> impl Iterator<Item = u128> {
        self.0.as_chunks().0.iter().map(|half| u128::from_be_bytes(*half))
    }
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.halves().for_each(|half| state.write_u128(half));
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        self.halves().cmp(other.halves())
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! id_type {
    ($name:ident) => {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
        #[schemars(with = "String", extend("pattern" = "^[0-9A-Za-z]{32}$"))]
        pub struct $name(Id);

        impl $name {
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Id::parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

id_type!(AccountId);
id_type!(GroupId);
// The id of a person's membership in the account. It is not the id of the user.
id_type!(MemberId);
super::serialize_as_text!(AccountId, GroupId, MemberId);

/// The id of a user, who can be a member of several accounts. It is compared and never sent, so any format is
/// accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct UserId(std::sync::Arc<str>);

impl UserId {
    /// Longer texts are not user ids.
    const LONGEST: usize = 64;

    /// The id in a text; `None` if the text is empty or too long. Letter case is ignored.
    pub fn new(text: &str) -> Option<Self> {
        let plausible = !text.is_empty() && text.len() <= Self::LONGEST && !text.chars().any(char::is_control);
        plausible.then(|| Self(text.to_ascii_lowercase().into()))
    }
}

impl AccountId {
    /// The account of a sandbox if neither the seed nor the files name one.
    pub const SANDBOX: Self = Self(Id(*b"5a4db0c5000000000000000000000000"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_compare_without_case() {
        let lower: MemberId = "4f5f0c14a2a41d5063dd301b2f829f04".parse().unwrap();
        let upper: MemberId = "4F5F0C14A2A41D5063DD301B2F829F04".parse().unwrap();
        assert_eq!(lower, upper);
        assert_eq!(upper.as_str(), "4f5f0c14a2a41d5063dd301b2f829f04");
    }

    #[test]
    fn ids_sort_like_their_text() {
        let at = |place: usize, digit: &str| "5".repeat(place) + digit + &"5".repeat(31 - place);
        let mut texts: Vec<String> = (0..32).flat_map(|place| ["4", "6", "z"].map(|digit| at(place, digit))).collect();
        let mut ids: Vec<MemberId> = texts.iter().map(|text| text.parse().unwrap()).collect();
        texts.sort();
        ids.sort();
        assert_eq!(ids.iter().map(MemberId::as_str).collect::<Vec<_>>(), texts);
    }

    #[test]
    fn path_characters_are_not_an_id() {
        assert_eq!("../../user".parse::<GroupId>(), Err(IdError::Character('.')));
        assert_eq!("abc".parse::<GroupId>(), Err(IdError::Length(3)));
        assert!("é".repeat(16).parse::<GroupId>().is_err());
    }
}
