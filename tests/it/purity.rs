//! The core does not use the network, the clock, the environment, the file system or randomness, and only one module
//! uses HTTP. This test checks the sources.
//!
//! clippy's `disallowed_types` and `disallowed_methods` list single items and cannot forbid a whole crate or module.
//! clippy's `print_stdout` and `print_stderr` check that only `Output` prints.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::{files_below, repository};

/// The modules that only decide and render.
const CORE: [&str; 5] = ["src/model", "src/config", "src/plan", "src/render", "src/report"];

/// The exception, which reads files.
const LOADING: &str = "src/config/load.rs";

const IMPURE: [&str; 15] = [
    "tokio",
    "reqwest",
    "axum",
    "rand",
    "fastrand",
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::net",
    "std::process",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
];

#[test]
fn core_is_pure() {
    let core = files_below("src")
        .into_iter()
        .filter(|path| CORE.iter().any(|part| is_of(path, part)) && !path.ends_with(LOADING));
    let mut found = BTreeSet::new();
    let mut looked_at = 0;
    for path in core {
        looked_at += 1;
        let code = code(&path);
        found.extend(IMPURE.iter().filter(|name| names(&code, name)).map(|name| format!("{}: {name}", path.display())));
    }
    assert!(looked_at > 20, "only {looked_at} files were looked at");
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn only_one_module_uses_http() {
    let is_test = |path: &Path| {
        let inside = path.strip_prefix(repository("src")).unwrap();
        inside.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    };
    let users: BTreeSet<PathBuf> =
        files_below("src").into_iter().filter(|path| names(&code(path), "reqwest") && !is_test(path)).collect();
    assert!(!users.is_empty());
    let others: Vec<&PathBuf> = users.iter().filter(|path| !is_of(path, "src/cloudflare")).collect();
    assert_eq!(others, Vec::<&PathBuf>::new());
}

#[test]
fn forbidden_names_are_found_in_any_import() {
    assert!(names("use std::fs;", "std::fs"));
    assert!(names("use std::{env, fmt::Display};", "std::env"));
    assert!(names("use tokio::sync::watch;", "tokio"));
    assert!(!names("use std::fmt;", "std::fs"));
    assert!(!names("let operand = 1;", "rand"));
}

/// Whether a source belongs to a module: its file, or a file in its folder.
fn is_of(path: &Path, module: &str) -> bool {
    let module = repository(module);
    path.starts_with(&module) || path == module.with_extension("rs")
}

/// A source without the comments on separate lines.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether code uses a name: by its path, or in a list of imports.
fn names(code: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |(at, _): (usize, &str)| {
        !code[..at].ends_with(word) && (name.ends_with('!') || !code[at + name.len()..].starts_with(word))
    };
    let listed = || {
        let Some((root, item)) = name.split_once("::") else { return false };
        code.split(&format!("{root}::{{")).skip(1).any(|list| {
            let list = list.split(';').next().unwrap_or_default();
            list.split(|c: char| !word(c)).any(|listed| item.split("::").next() == Some(listed))
        })
    };
    code.match_indices(name).any(stands_alone) || listed()
}
