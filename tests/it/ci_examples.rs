//! The examples for CI: their YAML is YAML, and the command lines in them work.

use std::path::{Path, PathBuf};

use convoke::sandbox::Seed;
use serde_json::Value;

use crate::harness::{given, repository};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

fn examples() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&repository("examples/ci"), &mut found);
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_example_is_yaml_and_pins_its_actions() {
    let examples = examples();
    assert!(examples.len() >= 5);
    for (path, text) in examples {
        let value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(value.is_object(), "{}", path.display());
        for line in text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, action)| action) {
            let (action, version) = line.split_once(" # v").unwrap_or_else(|| panic!("{line}"));
            let (_, commit) = action.split_once('@').unwrap();
            assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{line}");
        }
    }
}

/// The command lines of an example, without what the shell makes of them.
fn commands(text: &str) -> Vec<String> {
    let starts = |line: &&str| line.starts_with("convoke ");
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- ").trim_start_matches("run: "));
    lines.filter(starts).map(|line| line.split(" ||").next().unwrap().split(" >").next().unwrap().into()).collect()
}

#[test]
fn every_command_line_of_the_workflows_works() {
    let group = "version: 1\ngroups:\n  Admins:\n    members: [alice@example.com]\n";
    let world = given(Seed::default().group("Admins", ["alice@example.com"]))
        .file("groups/admins.yaml", group)
        .file("base/groups/admins.yaml", group)
        .file("seed.yaml", "version: 1\ngroups: { Admins: { members: [alice@example.com] } }\n");
    let digest = world.run("plan -f groups --format json").exits(0).json()["digest"].as_str().unwrap().to_owned();
    let mut ran = 0;
    for (path, text) in examples() {
        for command in commands(&text) {
            let command = command.replace("\"$EXPECT\"", &digest).replace("\"$ACCEPT\"", &digest);
            let arguments = command.strip_prefix("convoke ").unwrap();
            let _ = std::fs::remove_file(world.path("journal.jsonl"));
            let outcome = world.run(arguments);
            assert_eq!(outcome.code, Some(0), "{}: {command}\n{outcome}", path.display());
            ran += 1;
        }
    }
    assert!(ran >= 9, "{ran}");
}
