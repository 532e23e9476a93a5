//! The README's commands run, and the files that it links to exist.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use convoke::commands::Exit;
use convoke::sandbox::Seed;

use crate::blocking::BlockingSandbox;
use crate::builders::SeedExt as _;
use crate::harness::{nothing, repository};

/// The commands in the README's shell blocks.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        match line.strip_prefix("```") {
            Some(language) => inside = !inside && ["sh", "console"].contains(&language),
            None if inside => commands.extend(line.strip_prefix("$ ").or((!line.trim().is_empty()).then_some(line))),
            None => {}
        }
    }
    commands.into_iter().map(String::from).collect()
}

fn readme() -> String {
    std::fs::read_to_string(repository("README.md")).unwrap()
}

#[test]
fn first_two_commands_need_only_rust() {
    let commands = commands(&readme());
    assert!(commands[0].starts_with("cargo run -- apply "), "{}", commands[0]);
    assert!(commands[0].contains("--sandbox"), "{}", commands[0]);
    assert_eq!(commands[1], "cargo test");
}

#[test]
fn every_command_of_the_readme_works() {
    let seed = Seed::load(&repository("examples/quickstart/seed.yaml"));
    let sandbox = BlockingSandbox::start(&seed);
    // The commands refer to the repository's files but write into a temporary folder.
    let mut world = nothing().env("CLOUDFLARE_BASE_URL", sandbox.base_url());
    copy(&repository("examples"), &world.path("examples"));
    let mut ran = BTreeMap::new();
    for command in commands(&readme()) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["export", assignment] => {
                let (name, value) = assignment.split_once('=').unwrap();
                let value = if name == "CLOUDFLARE_ACCOUNT_ID" { crate::harness::ACCOUNT } else { value };
                world = world.env(name, value);
            }
            ["convoke", "sandbox", arguments @ ..] => {
                let mut served = world.process();
                let mut served =
                    served.arg("sandbox").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
                let mut url = String::new();
                BufReader::new(served.stdout.take().unwrap()).read_line(&mut url).unwrap();
                served.kill().unwrap();
                served.wait().unwrap();
                assert!(url.starts_with("http://127.0.0.1:"), "{url}");
            }
            ["cargo", "run", "--", arguments @ ..] | ["convoke", arguments @ ..] => {
                world.run_with(arguments).exits(0);
                *ran.entry(arguments[0].to_owned()).or_insert(0) += 1;
            }
            ["cargo", "test"] | ["cargo", "install", ..] | ["git", ..] => {}
            other => panic!("the test does not know how to try {other:?}"),
        }
    }
    for command in ["apply", "plan", "export"] {
        assert!(ran.contains_key(command), "the README does not show {command}: {ran:?}");
    }
}

#[test]
fn shown_plans_are_what_the_program_prints() {
    let readme = readme();
    let shown: Vec<&str> = readme.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let seed = std::fs::read_to_string(repository("examples/quickstart/seed.yaml")).unwrap();
    let files = std::fs::read_to_string(repository("examples/quickstart/convoke.yaml")).unwrap();
    let refused = "version: 1\nsettings:\n  protected:\n    - root@example.com\ngroups:\n  Platform Admins:\n    members: \
                   [alice@example.com]\n  Developers:\n    members:\n      - alice@example.com\n      - carol@example.com\n";
    for (shown, files, exit) in [(shown[0], &*files, 0), (shown[1], refused, 3)] {
        let world = nothing().file("seed.yaml", &seed).file("convoke.yaml", files);
        assert_eq!(shown, world.run("plan --sandbox seed.yaml").exits(exit).stdout);
    }
}

#[test]
fn links_of_the_readme_exist() {
    let text = readme();
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .collect();
    assert!(links.len() > 3, "{links:?}");
    for link in links {
        assert!(repository(link).exists(), "{link}");
    }
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let readme = readme().replace('`', "");
    for (exit, meaning, details) in Exit::MEANINGS {
        let row = format!("\n| {} | {meaning}{details} |\n", exit.code());
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn files_named_by_the_package_exist() {
    for path in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", ".ci/run", ".gitignore"] {
        assert!(repository(path).is_file(), "{path}");
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
