//! The journal of a run, and undoing what it proves was done.

use convoke::sandbox::{Cut, Endpoint, Fault, FaultRule, Match, Seed};
use serde_json::Value;

use crate::harness::{World, given, repository};

const MEMBERS: [&str; 6] =
    ["a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com", "f@example.com"];

fn seed() -> Seed {
    Seed::default().person("new@example.com").group("Ops", MEMBERS).group("Dev", ["a@example.com"])
}

/// Ops is replaced; Dev gains one and loses one.
fn world_of(seed: Seed) -> World {
    given(seed).groups(&[("Ops", &["a@example.com", "new@example.com"]), ("Dev", &["new@example.com"])])
}

fn entries(world: &World) -> Vec<Value> {
    world.read("journal.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_operation_is_recorded_before_it_is_sent_and_after_its_answer() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let entries = entries(&world);
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(repository("schemas/journal.schema.json")).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for entry in &entries {
        assert!(schema.is_valid(entry), "{entry:#}");
    }
    let shown: Vec<String> = entries
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let count = |key: &str| entry[key].as_array().map_or(0, Vec::len);
            match entry["entry"].as_str().unwrap() {
                "sending" => {
                    format!("sending {} {} +{} -{}", text("method"), text("group"), count("adds"), count("removes"))
                }
                "answered" => format!(
                    "answered {} {}",
                    text("outcome"),
                    if entry["ray"].is_string() { "with its ray" } else { "" }
                ),
                other => other.to_owned(),
            }
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    run
    sending POST Dev +1 -0
    answered done with its ray
    sending DELETE Dev +0 -1
    answered done with its ray
    sending PUT Ops +1 -5
    answered done with its ray
    end
    ");
}

#[test]
fn a_journal_says_who_ran_what_where() {
    let world = world_of(seed())
        .env("HOSTNAME", "runner-7")
        .env("USER", "ci")
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "example/groups")
        .env("GITHUB_RUN_ID", "42");
    let digest = world.run("plan --format json").exits(0).json()["digest"].clone();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let run = &entries(&world)[0];
    assert_eq!(
        [&run["host"], &run["user"], &run["ci_run_url"], &run["digest"]],
        [&"runner-7".into(), &"ci".into(), &"https://github.com/example/groups/actions/runs/42".into(), &digest]
    );
}

#[test]
fn a_journal_is_never_overwritten_and_without_one_nothing_is_written() {
    let world = world_of(seed()).file("journal.jsonl", "the record of an earlier run\n");
    let refused = world.run("apply --yes --journal journal.jsonl").exits(1);
    insta::assert_snapshot!(refused.stderr, @r"
    error: the journal journal.jsonl cannot be made; nothing was changed: File exists (os error 17)
    help: give each run a journal of its own: one that is there is never overwritten
    ");
    assert!(world.writes().is_empty());
    assert_eq!(world.read("journal.jsonl"), "the record of an earlier run\n");
}

#[test]
fn a_journal_that_can_not_be_written_stops_the_run_before_the_first_write() {
    let world = world_of(seed());
    if std::path::Path::new("/dev/full").exists() {
        world.run("apply --yes --journal /dev/full").exits(1);
    }
    world.run("apply --yes --journal no/such/folder/journal.jsonl").exits(1);
    assert!(world.writes().is_empty());
}

#[test]
fn undoing_a_run_brings_the_account_back() {
    let world = world_of(seed());
    let before = world.account().memberships();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    assert_ne!(world.account().memberships(), before);
    let undo = world.run("undo journal.jsonl --out undo.json").exits(0);
    insta::assert_snapshot!(undo.stdout, @"
    Dev (1 -> 1 member)
      + a@example.com    accepted  journal.jsonl:4
      - new@example.com  accepted  journal.jsonl:2

    Ops (2 -> 6 members)
      + b@example.com    accepted  journal.jsonl:6
      + c@example.com    accepted  journal.jsonl:6
      + d@example.com    accepted  journal.jsonl:6
      + e@example.com    accepted  journal.jsonl:6
      + f@example.com    accepted  journal.jsonl:6
      - new@example.com  accepted  journal.jsonl:6

    Plan: 6 to add, 2 to remove in 2 of 2 groups
    Digest: ae435b1f3044a4a403a90b977e7a7128a349c1236837467920746182166edf22

    To apply exactly this plan:
      convoke apply undo.json
    ");
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.account().memberships(), before);
}

#[test]
fn an_operation_whose_answer_never_came_is_settled_by_reading() {
    let world = world_of(seed());
    let before = world.account().memberships();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    // As a run leaves it that is killed in the midst of things: no answers, and a torn last line.
    let kept = world.read("journal.jsonl");
    let kept: Vec<&str> =
        kept.lines().filter(|line| !line.contains("\"answered\"") && !line.contains("\"end\"")).collect();
    world.write("journal.jsonl", format!("{}\n{{\"entry\":\"answ", kept.join("\n")));
    world.run("undo journal.jsonl --out undo.json").exits(0);
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.account().memberships(), before);
}

#[test]
fn what_was_refused_is_not_undone() {
    let seed = seed().fault(FaultRule::always(Match::operation(Endpoint::AddMembers).group("Dev"), Fault::status(400)));
    let world = world_of(seed);
    world.run("apply --yes --journal journal.jsonl").exits(5);
    world.account().add("Dev", "new@example.com");
    let undo = world.run("undo journal.jsonl --out undo.json --format json").exits(0).json();
    let dev = undo["groups"].as_array().unwrap().iter().find(|group| group["name"] == "Dev").unwrap();
    let change = |change: &Value| {
        format!("{} {}", change["action"].as_str().unwrap(), change["member"]["email"].as_str().unwrap())
    };
    let undone: Vec<String> = dev["changes"].as_array().unwrap().iter().map(change).collect();
    assert_eq!(undone, ["add a@example.com"], "somebody else added new@example.com");
}

#[test]
fn a_lost_answer_is_settled_in_the_journal() {
    let lost = FaultRule::once(Match::operation(Endpoint::AddMembers).group("Dev"), Fault::Cut(Cut::After));
    let world = world_of(seed().fault(lost));
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let told: Vec<String> = entries(&world)
        .iter()
        .filter(|entry| entry["outcome"] != "done" || entry["entry"] == "settled")
        .filter_map(|entry| Some(format!("{} {}", entry["entry"].as_str()?, entry["outcome"].as_str()?)))
        .collect();
    assert_eq!(told, ["answered unknown", "settled done"]);
}

#[test]
fn undoing_is_guarded_by_the_files() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.write("convoke.yaml", "version: 1\nsettings: {protected: [new@example.com]}\ngroups: {}\n");
    let refused = world.run("undo journal.jsonl --out undo.json").exits(3).says("new@example.com would be removed");
    drop(refused);
    world.forget_requests();
    world.run("apply undo.json --yes").exits(3);
    assert!(world.writes().is_empty());
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let world = world_of(seed());
    for (text, says) in [
        ("", "the first line does not say which run it is of"),
        ("{}\n", "line 1 is no entry of a journal"),
        ("{\"entry\":\"end\",\"time\":\"2026-01-01T00:00:00Z\",\"complete\":true}\n", "the first line does not say"),
    ] {
        world.write("journal.jsonl", text);
        world.run("undo journal.jsonl --out undo.json").exits(65).warns(says);
    }
    world.run("undo missing.jsonl --out undo.json").exits(65).warns("missing.jsonl");
}

#[test]
fn two_journals_in_one_file_and_two_operations_with_one_number_are_refused() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let whole = world.read("journal.jsonl");
    let announced = whole.lines().find(|line| line.contains("\"sending\"")).unwrap();
    for (text, says) in [
        (format!("{whole}{whole}"), "begins another run: a journal is of one"),
        (format!("{whole}{announced}\n"), "as a line before it does"),
    ] {
        world.write("journal.jsonl", text);
        world.run("undo journal.jsonl --out undo.json").exits(65).warns(says);
    }
}
