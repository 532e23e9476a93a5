//! The tests named on the safety page exist.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::harness::{files_below, repository};

/// The names of all tests below a folder.
fn tests_below(folder: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    for path in files_below(folder).into_iter().filter(is_source) {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if let Some((_, rest)) = line.split_once("fn ")
                && is_test
            {
                names.insert(rest.split(['(', '<']).next().unwrap().to_owned());
                is_test = false;
            } else if line.starts_with("#[") {
                is_test |= line.contains("test]") || line.contains("test(");
            } else if text.contains("proptest!") {
                is_test |= line.ends_with("test]");
            }
        }
    }
    names
}

/// The texts in backticks on a page that look like test names.
fn named_tests(page: &str) -> Vec<&str> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name = |name: &&str| {
        name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(is_name).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let tests = &tests_below("tests") | &tests_below("src");
    for page in ["docs/safety.md", "docs/reliability.md"].map(repository).into_iter().filter(|page| page.exists()) {
        let text = std::fs::read_to_string(&page).unwrap();
        let missing: Vec<&str> = named_tests(&text).into_iter().filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "{} names tests that are not there: {missing:#?}", page.display());
        if page.ends_with("safety.md") {
            assert!(named_tests(&text).len() > 40, "{} tests are named", named_tests(&text).len());
        }
    }
}

#[test]
fn every_accident_names_a_test() {
    let text = std::fs::read_to_string(repository("docs/safety.md")).unwrap();
    let rows =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| accident") && !line.contains("---"));
    let unproven: Vec<&str> = rows.filter(|row| named_tests(row).is_empty()).collect();
    assert!(unproven.is_empty(), "{unproven:#?}");
}
