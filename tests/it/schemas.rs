//! The committed schemas are current, and the examples match them.

use std::path::{Path, PathBuf};

use convoke::config;
use serde_json::Value;

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{files_below, given, nothing, repository};
use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Seed};

const KINDS: [&str; 7] = ["config", "plan", "journal", "seed", "review", "report", "doctor"];

#[test]
fn committed_schemas_are_current() {
    for kind in KINDS {
        let path = repository(&format!("schemas/{kind}.schema.json"));
        let committed = std::fs::read_to_string(&path).unwrap();
        let current = nothing().run(&format!("schema {kind}")).exits(0).stdout;
        assert_eq!(committed, current, "run: cargo run -- schema {kind} > schemas/{kind}.schema.json");
    }
}

#[test]
fn examples_match_their_schemas() {
    let mut named = 0;
    for path in yaml_files("examples") {
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(schema) = text.lines().find_map(|line| line.strip_prefix("# yaml-language-server: $schema=")) else {
            continue;
        };
        named += 1;
        let schema = path.parent().unwrap().join(schema);
        let schema = std::fs::read_to_string(&schema).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
        keeps_to(&serde_json::from_str(&schema).unwrap(), &yaml(&text), &path);
    }
    assert!(named > 5, "only {named} examples name a schema");
}

#[test]
fn examples_name_their_schema() {
    for path in yaml_files("examples") {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().any(|line| line == "version: 1") {
            assert!(text.starts_with("# yaml-language-server: $schema="), "{}", path.display());
        }
    }
}

#[test]
fn printed_plan_matches_its_schema() {
    let seed = Seed::default().person("bob@example.com").group("Admins", ["alice@example.com", "mallory@example.com"]);
    let world = given(seed)
        .groups(&[("Admins", &["alice@example.com", "bob@example.com"]), ("Unknown", &["alice@example.com"])]);
    let plan = world.run("plan --format json").exits(3).json();
    keeps_to(&schema("plan"), &plan, Path::new("the plan"));
}

#[test]
fn report_matches_its_schema() {
    let refused = FaultRule::always(Match::operation(Endpoint::RemoveMember), Fault::status(403));
    let seed = Seed::default()
        .person("bob@example.com")
        .group("Admins", ["alice@example.com"])
        .group("Others", ["alice@example.com", "mallory@example.com"])
        .fault(refused);
    let world = given(seed)
        .groups(&[("Admins", &["alice@example.com", "bob@example.com"]), ("Others", &["alice@example.com"])]);
    let report = world.run("apply --yes --format json").exits(5).json();
    assert_eq!((&report["added"], &report["groups"][1]["outcome"]), (&1.into(), &"failed".into()), "{report:#}");
    keeps_to(&schema("report"), &report, Path::new("the report"));
}

#[test]
fn journal_lines_match_the_schema() {
    let world = given(Seed::default().group("Admins", ["alice@example.com"]).person("bob@example.com"))
        .groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let journal = world.read("journal.jsonl");
    assert!(journal.lines().count() >= 4, "{journal}");
    for line in journal.lines() {
        keeps_to(&schema("journal"), &serde_json::from_str(line).unwrap(), Path::new("the journal"));
    }
}

#[test]
fn schema_refuses_what_the_reader_refuses() {
    let refused = [
        "version: 2\n",
        "version: 1\ngruops: {}\n",
        "version: 1\ngroups: { A: {} }\n",
        "version: 1\ngroups: { A: { members: [nobody] } }\n",
        "version: 1\ngroups: { A: { members: [{ email: a@b, untill: 2026-01-01 }] } }\n",
        "version: 1\ngroups: { A: { members: [], mode: strict } }\n",
        "version: 1\nsettings: { limits: { total_removals: 101% } }\n",
    ];
    let schema = jsonschema::validator_for(&schema("config")).unwrap();
    for text in refused {
        let source = config::Source { path: "convoke.yaml".into(), bytes: text.into() };
        assert!(config::parse(&[source]).is_err(), "{text}");
        assert!(!schema.is_valid(&yaml(text)), "{text}");
    }
}

fn schema(kind: &str) -> Value {
    let path = repository(&format!("schemas/{kind}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[track_caller]
fn keeps_to(schema: &Value, value: &Value, what: &Path) {
    let schema = jsonschema::validator_for(schema).unwrap();
    let wrong: Vec<String> =
        schema.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", what.display());
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    files_below(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect()
}

/// The page of commands: what each does, and its first example.
fn commands_page() -> String {
    let world = nothing();
    let mut page = "# Commands\n\nGenerated from the help; `convoke COMMAND --help` describes every flag.\n".to_owned();
    let help = world.run("--help").exits(0).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for (name, about) in listed.filter_map(|line| line.trim().split_once("  ")).filter(|(name, _)| *name != "help") {
        page.push_str(&format!("\n## {name}\n\n{}.\n", about.trim()));
        let help = world.run(&format!("{name} -h")).exits(0).stdout;
        let mut examples = help.lines().skip_while(|line| *line != "Examples:").skip(1);
        if let Some(example) = examples.next() {
            page.push_str(&format!("\n```text\n{}\n```\n", example.trim()));
        }
    }
    page
}

#[test]
fn committed_page_of_commands_is_current() {
    let path = repository("docs/commands.md");
    let current = commands_page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(committed, current, "run: UPDATE_DOCS=1 cargo test --test it committed_page_of_commands");
}
