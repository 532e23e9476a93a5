//! Places in files.

use std::fmt;
use std::sync::Arc;

/// A place in a file that declares something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The path as given, with `/` between its parts.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A use of a roster, between a group's list and a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RosterUse {
    pub roster: Arc<str>,
    /// The `- roster:` entry, in the group's list or in another roster.
    pub origin: Origin,
}
