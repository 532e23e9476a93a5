//! The command line that applies a plan, as a shell takes it.

use std::path::Path;

use crate::cli::Shared;

/// How apply is called for a plan that was saved, or for one that is made anew from the same files.
pub fn apply(saved: Option<&Path>, shared: &Shared) -> String {
    let mut words = vec!["convoke".to_owned(), "apply".to_owned()];
    match saved {
        Some(path) => words.push(quoted(&path.to_string_lossy())),
        None => {
            for path in &shared.files {
                words.extend(["-f".into(), quoted(&path.to_string_lossy())]);
            }
            for group in &shared.only {
                words.extend(["--only".into(), quoted(group)]);
            }
            words.extend(shared.at.into_iter().flat_map(|at| ["--at".into(), at.to_string()]));
        }
    }
    if let Some(seed) = &shared.sandbox {
        words.extend(["--sandbox".into(), quoted(&seed.to_string_lossy())]);
    }
    words.join(" ")
}

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_take_apart_is_quoted() {
        assert_eq!(quoted("groups/a.yaml"), "groups/a.yaml");
        assert_eq!(quoted("Platform Admins"), "'Platform Admins'");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
