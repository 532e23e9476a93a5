//! The command line that applies a plan, quoted for a shell.

use std::path::Path;

use crate::cli::{ConnectionArgs, FileArgs, PlanOptions, PlanningArgs};
use crate::render::view::Invocation;

/// The command that applies a saved plan.
pub fn apply_saved(path: &Path, connection: Option<&ConnectionArgs>, accept_self: bool) -> Invocation {
    let path = path.to_string_lossy();
    // A name that looks like a flag is not accepted as an argument.
    let path = if path.starts_with('-') { format!("./{path}") } else { path.into_owned() };
    let mut words = vec!["convoke".to_owned(), "apply".to_owned(), quoted(&path)];
    words.extend(accept_self.then(|| "--accept-self".to_owned()));
    words.extend(connection.into_iter().flat_map(connecting));
    Invocation { words: words.join(" "), saved: true }
}

/// The command that applies the plan of the same files with the same flags. Without these flags it would be another
/// plan.
pub fn apply(
    files: &FileArgs,
    planning: &PlanningArgs,
    connection: &ConnectionArgs,
    options: &PlanOptions,
) -> Invocation {
    let mut words = vec!["convoke".to_owned(), "apply".to_owned()];
    for path in &files.files {
        words.extend(option("--file", &path.to_string_lossy()));
    }
    for group in &planning.only {
        words.extend(option("--only", group));
    }
    for path in &options.base {
        words.extend(option("--base", &path.to_string_lossy()));
    }
    let flags =
        [("--only-changed", options.only_changed), ("--due", options.due), ("--accept-self", options.accept_self)];
    words.extend(flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned()));
    words.extend(planning.time.at.into_iter().flat_map(|at| ["--at".into(), at.to_string()]));
    words.extend(connecting(connection));
    Invocation { words: words.join(" "), saved: false }
}

/// The command that edits these files.
pub fn edit(words: &[&str], files: &FileArgs) -> String {
    let files = files.files.iter().flat_map(|path| ["-f".into(), quoted(&path.to_string_lossy())]);
    let words = words.iter().map(|word| quoted(word));
    std::iter::once("convoke".to_owned()).chain(words).chain(files).collect::<Vec<_>>().join(" ")
}

fn connecting(connection: &ConnectionArgs) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(id) = &connection.account_id {
        words.extend(["--account-id".into(), id.to_string()]);
    }
    if let Some(url) = &connection.api_url {
        words.extend(option("--api-url", url));
    }
    for (flag, path) in [("--token-file", &connection.token_file), ("--sandbox", &connection.sandbox)] {
        if let Some(path) = path {
            words.extend(option(flag, &path.to_string_lossy()));
        }
    }
    words
}

/// A flag with its value, which may look like a flag.
fn option(flag: &str, value: &str) -> Vec<String> {
    match value.starts_with('-') {
        true => vec![format!("{flag}={}", quoted(value))],
        // Files are the most frequent flag, so use its short form.
        false if flag == "--file" => vec!["-f".into(), quoted(value)],
        false => vec![flag.into(), quoted(value)],
    }
}

/// The word, quoted for a shell if necessary.
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
    fn word_is_quoted_for_a_shell() {
        assert_eq!(quoted("groups/a.yaml"), "groups/a.yaml");
        assert_eq!(quoted("Platform Admins"), "'Platform Admins'");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
