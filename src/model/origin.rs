//! Places in files.

use std::fmt;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Counted from 1.
    pub line: u32,
    /// Counted in characters, from 1.
    pub column: u32,
}

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

impl Origin {
    pub fn new(file: &Arc<str>, at: Position) -> Self {
        Self { file: Arc::clone(file), line: at.line, column: at.column }
    }

    pub const fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }
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
