//! Reads a seed from a file or a text, and checks that its account is possible.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::build;
use super::seed::{Seed, SeedError};

/// The maximum size of a seed.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

impl Seed {
    /// Reads a seed from text. The path is used only in messages.
    ///
    /// # Errors
    ///
    /// If the text is not YAML, has another shape, or contradicts itself.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SeedError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let seed: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| SeedError::from_yaml(path, text, &error))?;
        build::state(&seed).map_err(|problem| SeedError::from_problem(path, text, problem))?;
        Ok(seed)
    }

    /// Reads a seed from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is too large, or is not a seed (see [`Self::parse`]).
    pub fn load(path: &Path) -> Result<Self, SeedError> {
        let unreadable = |source| SeedError::Unreadable { path: PathBuf::from(path), source };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        // The size of a device or a pipe is not known in advance.
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(SeedError::TooLarge { path: path.into(), most: MAX_BYTES });
        }
        Self::parse(path, &text)
    }
}
