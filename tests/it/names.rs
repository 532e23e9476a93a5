//! One name has one type: no two types of the crate share a name, private ones included.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::harness::files_below;

/// The types of a source file, without its tests and without the associated types of traits, which are indented.
fn types(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.starts_with(' ') || !line.trim_start().starts_with("type ")).filter_map(|line| {
        let line = line.trim_start();
        let rest = ["pub ", "pub(super) ", "pub(crate) "].iter().find_map(|public| line.strip_prefix(public));
        let rest = rest.unwrap_or(line);
        let rest = ["struct ", "enum ", "trait ", "type ", "union "].iter().find_map(|kind| rest.strip_prefix(kind))?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
}

#[test]
fn no_two_types_share_a_name() {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let is_test = |path: &PathBuf| path.iter().any(|part| part == "tests" || part == "tests.rs");
    for path in files_below("src").into_iter().filter(|path| !is_test(path)) {
        for name in types(&std::fs::read_to_string(&path).unwrap()) {
            found.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    assert!(found.len() > 300, "{}", found.len());
    found.retain(|_, places| places.len() > 1);
    assert!(found.is_empty(), "{found:#?}");
}
