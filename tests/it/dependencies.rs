//! Every direct dependency has a documented reason, and every documented dependency exists.

use std::collections::BTreeSet;

use crate::harness::repository;

#[test]
fn dependencies_and_reasons_match() {
    // In a packed crate Cargo.toml is rewritten, and the original is beside it.
    let original = Some(repository("Cargo.toml.orig")).filter(|path| path.exists());
    let manifest = std::fs::read_to_string(original.unwrap_or_else(|| repository("Cargo.toml"))).unwrap();
    let document = std::fs::read_to_string(repository("docs/dependencies.md")).unwrap();
    let declared =
        |table: &str| names(section(&manifest, table, "["), |line| line.split_once(" = ").map(|(name, _)| name));
    let explained = |heading: &str| {
        names(section(&document, heading, "## "), |line| {
            line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
        })
    };
    let program = declared("[dependencies]");
    assert!(program.len() > 20, "{program:?}");
    assert_eq!(explained("## In the program"), program);
    // Dependencies that tests use with other features are already documented.
    let tests: BTreeSet<String> = declared("[dev-dependencies]").difference(&program).cloned().collect();
    assert_eq!(explained("## In tests"), tests);
}

#[test]
fn duplicate_crates_are_explained() {
    let lock = std::fs::read_to_string(repository("Cargo.lock")).unwrap();
    let document = std::fs::read_to_string(repository("docs/dependencies.md")).unwrap();
    let mut seen = BTreeSet::new();
    let packages = lock.split("[[package]]").skip(1);
    let named = packages.filter_map(|package| package.lines().find_map(|line| line.strip_prefix("name = ")));
    let twice: BTreeSet<String> =
        named.filter(|name| !seen.insert(*name)).map(|name| name.trim_matches('"').to_owned()).collect();
    let explained = names(section(&document, "## Two versions of one crate", "## "), |line| {
        line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
    });
    assert_eq!(explained, twice);
}

/// The lines below a heading, until the next heading.
fn section<'a>(text: &'a str, heading: &str, next: &'a str) -> impl Iterator<Item = &'a str> {
    let below = text.lines().skip_while(move |line| *line != heading).skip(1).collect::<Vec<_>>();
    below.into_iter().take_while(move |line| !line.starts_with(next))
}

fn names<'a>(lines: impl Iterator<Item = &'a str>, name: impl Fn(&'a str) -> Option<&'a str>) -> BTreeSet<String> {
    lines.filter_map(name).map(String::from).collect()
}
