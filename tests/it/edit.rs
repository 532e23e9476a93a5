//! `grant`, `revoke`, `prune`, `rename` and `sort`: edits of the files through the program.

use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::{Outcome, World, given, nothing};

mod granting;
mod leaving;
mod organisation;
mod pruning;
mod renaming;
mod revoking;
mod rosters;
mod writing;

/// The present time in all of these tests.
const NOW: &str = "2026-12-01T12:00:00Z";

fn world(text: &str) -> World {
    nothing().file("convoke.yaml", text)
}

fn text_of(world: &World, path: &str) -> String {
    std::fs::read_to_string(world.path(path)).unwrap()
}

/// Runs a command line with quoted words, at the time of the tests.
fn run(world: &World, line: &str) -> Outcome {
    let mut words: Vec<String> = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words.extend(["--at".into(), NOW.into()]);
    world.run_with(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The file after a successful command.
fn after(text: &str, line: &str) -> String {
    let world = world(text);
    run(&world, line).exits(0);
    text_of(&world, "convoke.yaml")
}

/// The output of a command that is refused with this code and does not change the file.
fn refused(text: &str, line: &str, code: i32) -> String {
    let world = world(text);
    let outcome = run(&world, line).exits(code);
    assert_eq!(text_of(&world, "convoke.yaml"), text);
    if code == 65 {
        assert_eq!(run(&world, &format!("{line} --format json")).exits(65).json()["status"], "refused");
    }
    outcome.stderr
}

/// A group with this list.
fn ops(list: &str) -> String {
    format!("version: 1\ngroups:\n  Ops:\n    allow_empty: true\n    members:{list}")
}
