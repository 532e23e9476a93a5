//! Where something was declared.

use std::fmt;
use std::sync::Arc;

/// A place in a file that declares something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The file's path as it was named, with `/` between its parts.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A use of a roster, on the way from a group to somebody the roster lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RosterUse {
    /// The roster's name.
    pub roster: Arc<str>,
    /// Where the roster is named: in the group's list, or in another roster.
    pub origin: Origin,
}
