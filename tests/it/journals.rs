//! The journal of a run, and the undo of its proven changes.

use convoke::sandbox::{Cut, Delay, Edit, Endpoint, Fault, FaultRule, Late, Match, Seed};
use serde_json::Value;

use crate::builders::{EditExt as _, FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given, repository};

const MEMBERS: [&str; 6] =
    ["a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com", "f@example.com"];

fn seed() -> Seed {
    Seed::default().person("new@example.com").group("Ops", MEMBERS).group("Dev", ["a@example.com"])
}

/// Ops is replaced; Dev gains one member and loses one.
fn world_of(seed: Seed) -> World {
    given(seed).groups(&[("Ops", &["a@example.com", "new@example.com"]), ("Dev", &["new@example.com"])])
}

fn entries(world: &World) -> Vec<Value> {
    world.read("journal.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn operations_are_recorded_before_and_after() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let entries = entries(&world);
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(repository("schemas/journal.schema.json")).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for entry in &entries {
        assert!(schema.is_valid(entry), "{entry:#}");
    }
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=entries.len() as u64).collect::<Vec<_>>());
    let shown = |entry: &Value| {
        let group = entry["group"]["name"].as_str().unwrap_or_default().to_owned();
        let count = |key: &str| entry[key].as_array().map_or(0, Vec::len);
        let kind = entry["entry"].as_str().unwrap();
        match kind {
            "sending" => {
                let method = entry["request"]["method"].as_str().unwrap();
                format!("sending {method} {group} +{} -{}", count("adds"), count("removes"))
            }
            "answered" => format!("answered {}, ray: {}", entry["outcome"], entry["ray"].is_string()),
            "before" | "seen" | "after" => format!("{kind} {group}: {} members", count("members")),
            _ => kind.to_owned(),
        }
    };
    // Groups are processed concurrently. The lines of one group are in order.
    let of = |group: &str| -> Vec<String> {
        entries.iter().filter(|entry| entry["group"]["name"] == group).map(shown).collect()
    };
    assert_eq!(
        of("Dev"),
        [
            "before Dev: 1 members",
            "sending POST Dev +1 -0",
            "seen Dev: 2 members",
            "sending DELETE Dev +0 -1",
            "seen Dev: 1 members",
            "after Dev: 1 members",
        ]
    );
    assert_eq!(
        of("Ops"),
        [
            "before Ops: 6 members",
            "seen Ops: 6 members",
            "sending PUT Ops +1 -5",
            "seen Ops: 2 members",
            "after Ops: 2 members",
        ]
    );
    let others: Vec<String> = entries.iter().filter(|entry| entry["group"].is_null()).map(shown).collect();
    let answered = "answered \"answered\", ray: true";
    assert_eq!(others, ["run", answered, answered, answered, "end"]);
}

#[test]
fn journal_records_the_run() {
    let world = world_of(seed())
        .env("HOSTNAME", "runner-7")
        .env("USER", "ci")
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "example/groups")
        .env("GITHUB_RUN_ID", "42")
        .env("GITHUB_SHA", "3f2c1ab")
        .env("GITHUB_REF", "refs/pull/17/merge")
        .env("CONVOKE_APPROVERS", "dana, erin");
    let digest = world.run("plan --format json").exits(0).json()["digest"].clone();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let run = &entries(&world)[0];
    assert_eq!(
        [&run["host"], &run["user"], &run["ci_run_url"], &run["digest"]],
        [&"runner-7".into(), &"ci".into(), &"https://github.com/example/groups/actions/runs/42".into(), &digest]
    );
    assert_eq!([&run["commit"], &run["pull_request"]], [&Value::from("3f2c1ab"), &"17".into()]);
    assert_eq!(run["approvers"], serde_json::json!(["dana", "erin"]));
    assert_eq!(run["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn existing_journal_is_never_overwritten() {
    let world = world_of(seed()).file("journal.jsonl", "the record of an earlier run\n");
    let refused = world.run("apply --yes --journal journal.jsonl").exits(1);
    insta::assert_snapshot!(refused.stderr, @"
    error: cannot create the journal journal.jsonl; nothing was changed: File exists (os error 17)
    help: use a new file for each run; an existing journal is never overwritten
    ");
    assert!(world.writes().is_empty());
    assert_eq!(world.read("journal.jsonl"), "the record of an earlier run\n");
}

#[cfg(unix)]
#[test]
fn journal_is_written_through_links_and_devices() {
    let world = world_of(seed());
    std::fs::create_dir(world.path("kept")).unwrap();
    std::os::unix::fs::symlink("kept/real.jsonl", world.path("journal.jsonl")).unwrap();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    assert!(world.path("journal.jsonl").is_symlink());
    assert_eq!(world.read("kept/real.jsonl").lines().count(), entries(&world).len());
    // The link leads to a journal now.
    world.run("apply --yes --journal journal.jsonl").exits(1);
    world.run("apply --yes --journal /dev/null").exits(0);
}

#[test]
fn unwritable_journal_stops_before_the_first_write() {
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
    // Two groups are written concurrently, so the order of their lines can differ.
    let shown = undo.stdout.replace("journal.jsonl:9", "journal.jsonl:10");
    insta::assert_snapshot!(shown, @"
    Dev (1 -> 1 member)
      + a@example.com    no end  journal.jsonl:7
      - new@example.com

    Ops (2 -> 6 members)
      + b@example.com    no end  journal.jsonl:10
      + c@example.com    no end  journal.jsonl:10
      + d@example.com    no end  journal.jsonl:10
      + e@example.com    no end  journal.jsonl:10
      + f@example.com    no end  journal.jsonl:10
      - new@example.com

    Plan: 6 to add, 2 to remove in 2 of 2 groups
    Digest: 33b2c9db7bd50f0e400fdf174b24d8fecc9db85ec3de101cf271ae1f2409a13b

    To apply exactly this plan:
      convoke apply undo.json
    ");
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.account().memberships(), before);
}

#[test]
fn undo_that_cannot_be_saved_is_shown() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let undo = world.run("undo journal.jsonl --out no/such/folder/undo.json").exits(1);
    let undo = undo.warns("undo.json cannot be written").says("Plan: 6 to add, 2 to remove in 2 of 2 groups");
    assert!(!undo.stdout.contains("convoke apply"), "there is nothing to apply: {undo}");
    for format in ["json", "markdown", "github"] {
        let undo = world.run(&format!("undo journal.jsonl --out no/such/folder/undo.json --format {format}")).exits(1);
        assert!(undo.stdout.contains("new@example.com") && !undo.stdout.contains("convoke apply"), "{undo}");
    }
    // The plan's own code is kept.
    let file = world.read("convoke.yaml");
    world.write("convoke.yaml", file.replace("groups:\n", "  protected: [new@example.com]\ngroups:\n"));
    world.run("undo journal.jsonl --out undo.json").exits(3);
    world.run("undo journal.jsonl --out no/such/folder/undo.json").exits(3).warns("cannot be written");
}

#[test]
fn unanswered_operation_is_settled_by_reading() {
    let world = world_of(seed());
    let before = world.account().memberships();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    // The journal of a run that was killed during the last request: no answer, and an incomplete last line.
    let whole = world.read("journal.jsonl");
    let put = whole.find("\"PUT\"").unwrap();
    let end = put + whole[put..].find('\n').unwrap();
    world.write("journal.jsonl", format!("{}\n{{\"seq\":11,\"ent", &whole[..end]));
    world.run("undo journal.jsonl --out undo.json").exits(0);
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.account().memberships(), before);
}

/// The changes of an undo in a group: sign, address and mark.
fn undone(world: &World, group: &str) -> Vec<String> {
    let undo = world.run("undo journal.jsonl --out undo.json --format json").json();
    let groups = undo["groups"].as_array().unwrap();
    let group = groups.iter().find(|found| found["name"] == group).unwrap();
    let change = |change: &Value| {
        let sign = if change["action"] == "add" { "+" } else { "-" };
        let mark = change["reason"].as_str().map(|mark| format!(" ({mark})")).unwrap_or_default();
        format!("{sign}{}{mark}", change["member"]["email"].as_str().unwrap())
    };
    group["changes"].as_array().unwrap().iter().map(change).collect()
}

#[test]
fn effective_refused_change_is_undone_and_marked() {
    let seed = seed().fault(FaultRule::always(Match::operation(Endpoint::AddMembers).group("Dev"), Fault::status(400)));
    let world = world_of(seed);
    world.run("apply --yes --journal journal.jsonl").exits(5);
    assert_eq!(undone(&world, "Dev"), Vec::<String>::new());
    world.account().add("Dev", "new@example.com");
    assert_eq!(undone(&world, "Dev"), ["-new@example.com (possibly by somebody else)"]);
    world.run("undo journal.jsonl --out undo.json").exits(0).warns("possibly by somebody else");
}

#[test]
fn foreign_change_is_not_undone() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.account().add("Dev", "b@example.com");
    assert_eq!(undone(&world, "Dev"), ["+a@example.com", "-new@example.com"]);
}

#[test]
fn late_removal_with_a_refused_repetition_is_undone() {
    // The answer is lost, and the request is carried out after the end of the run.
    let late = Late { after: Delay::millis(1500), status: Some(502), hang: false };
    let world = given(
        Seed::default()
            .group("Dev", ["a@example.com", "b@example.com"])
            .fault(FaultRule::once(Match::operation(Endpoint::RemoveMember), Fault::Late(late)))
            .fault(FaultRule::always(Match::operation(Endpoint::RemoveMember).nth(2), Fault::status(400))),
    )
    .groups(&[("Dev", &["b@example.com"])]);
    let before = world.account().memberships();
    world.run("apply --yes --journal journal.jsonl --max-wait 1s").exits(5);
    while world.account().unlanded() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(undone(&world, "Dev"), ["+a@example.com (possibly by somebody else)"]);
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.account().memberships(), before);
}

#[test]
fn effective_write_with_failed_answer_is_undone() {
    let seed = seed().fault(FaultRule::once(Match::operation(Endpoint::AddMembers), Fault::UnsuccessfulAfter));
    let world = world_of(seed);
    world.run("apply --yes --journal journal.jsonl").exits(0);
    assert_eq!(undone(&world, "Dev"), ["+a@example.com", "-new@example.com (possibly by somebody else)"]);
}

#[test]
fn replacement_with_foreign_addition_is_undone() {
    let put = Match::operation(Endpoint::ReplaceMembers);
    let faults = Fault::All(vec![Fault::EditAfter(Edit::add("Ops", "stranger@example.com")), Fault::Cut(Cut::After)]);
    let world = world_of(seed().person("stranger@example.com").fault(FaultRule::once(put, faults)));
    world.run("apply --yes --journal journal.jsonl --max-wait 1s").exits(5);
    let undone = undone(&world, "Ops");
    assert_eq!(undone.len(), 6, "{undone:?}");
    assert!(undone.iter().all(|change| change.ends_with("(possibly by somebody else)")), "{undone:?}");
}

#[test]
fn removal_hidden_by_a_reading_is_undone() {
    // When the group is read before the PUT, somebody has just left. They are back when the PUT arrives.
    let gone = "b@example.com";
    let edits = vec![Fault::EditBefore(Edit::remove("Ops", gone)), Fault::EditAfter(Edit::add("Ops", gone))];
    let reading = Match::operation(Endpoint::ListMembers).group("Ops").nth(2);
    let world = world_of(seed().fault(FaultRule::once(reading, Fault::All(edits))));
    let before = world.account().memberships();
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let undone = undone(&world, "Ops");
    assert!(undone.contains(&format!("+{gone} (possibly by somebody else)")), "{undone:?}");
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.account().memberships(), before);
}

#[test]
fn guards_of_undo_are_found_after_a_rename() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.account().rename_group("Dev", "Developers");
    world.write(
        "convoke.yaml",
        "version: 1\ngroups:\n  Developers: { min_members: 2, members: [new@example.com, a@example.com] }\n",
    );
    world.run("undo journal.jsonl --out undo.json --only Developers").exits(3).says("min_members");
    world.run("undo journal.jsonl --out undo.json --only Dev").exits(3).says("min_members");
}

#[test]
fn undo_of_an_unknown_group_is_an_error() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.run("undo journal.jsonl --out undo.json --only Typo").exits(64).warns("Typo");
}

#[test]
fn undo_shows_undeclared_and_observed_groups_only() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.write("convoke.yaml", "version: 1\ngroups:\n  Dev: { mode: observe, members: [new@example.com] }\n");
    let undo = world.run("undo journal.jsonl --out undo.json").exits(0);
    assert!(undo.stderr.contains("\"Dev\" is listed, but `apply` will not change it: it has mode: observe"), "{undo}");
    assert!(undo.stderr.contains("\"Ops\" is listed, but `apply` will not change it: no file declares it"), "{undo}");
    assert!(undo.stderr.contains("Revert the files too"), "{undo}");
    world.forget_requests();
    world.run("apply undo.json --yes").exits(0);
    assert!(world.writes().is_empty());
}

#[test]
fn undo_never_removes_the_token_user() {
    let seed = Seed { token_owner: Some("new@example.com".into()), ..seed() };
    let world = given(seed).groups(&[("Dev", &["a@example.com", "new@example.com"])]);
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.run("undo journal.jsonl --out undo.json").exits(3).says("oneself");
}

#[test]
fn a_lost_answer_is_settled_in_the_journal() {
    let lost = FaultRule::once(Match::operation(Endpoint::AddMembers).group("Dev"), Fault::Cut(Cut::After));
    let world = world_of(seed().fault(lost));
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let entries = entries(&world);
    let lost = entries.iter().position(|entry| entry["outcome"] == "unknown").unwrap();
    let settled = &entries[lost + 1];
    assert_eq!((&settled["entry"], settled["members"].as_array().unwrap().len()), (&"seen".into(), 2), "{settled:#}");
}

#[test]
fn undoing_is_guarded_by_the_files() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.write(
        "convoke.yaml",
        "version: 1\nsettings: {protected: [new@example.com]}\ngroups:\n  Dev: {members: [new@example.com]}\n",
    );
    let refused = world.run("undo journal.jsonl --out undo.json").exits(3).says("new@example.com would be removed");
    drop(refused);
    world.forget_requests();
    world.run("apply undo.json --yes").exits(3);
    assert!(world.writes().is_empty());
}

#[test]
fn nobody_is_restored_whose_domain_is_no_longer_allowed() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let files = "version: 1\ngroups:\n  Dev: {email_domains: [example.org], members: []}\n";
    world.write("convoke.yaml", files);
    world.run("undo journal.jsonl --out undo.json").exits(3).says("): the address is at none of the `email_domains`");
    world.forget_requests();
    world.run("apply undo.json --yes").exits(5);
    assert_eq!(world.members("Dev"), ["new@example.com"], "who came stays, because who went is not restored");
}

#[test]
fn invalid_journal_file_is_refused() {
    let world = world_of(seed());
    for (text, says) in [
        ("", "the first line does not describe a run"),
        ("{}\n", "line 1 is not a line of a journal"),
        (
            "{\"seq\":1,\"entry\":\"end\",\"time\":\"2026-01-01T00:00:00Z\",\"complete\":true}\n",
            "the first line does not describe a run",
        ),
    ] {
        world.write("journal.jsonl", text);
        world.run("undo journal.jsonl --out undo.json").exits(65).warns(says);
    }
    world.run("undo missing.jsonl --out undo.json").exits(65).warns("missing.jsonl");
}

#[test]
fn journal_with_missing_or_repeated_lines_is_refused() {
    let world = world_of(seed());
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let whole = world.read("journal.jsonl");
    let lines: Vec<&str> = whole.lines().collect();
    let without = |gone: usize| -> String {
        lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| format!("{line}\n")).collect()
    };
    for (text, says) in [
        (format!("{whole}{whole}"), "begins another run"),
        (format!("{whole}{}\n", lines[3]), "lines are missing or repeated"),
        (without(0), "the first line does not describe a run"),
        (without(3), "lines are missing or repeated"),
        (whole.replacen("\"seq\":5", "\"se", 1), "line 5 is not a line of a journal"),
    ] {
        world.write("journal.jsonl", text);
        world.run("undo journal.jsonl --out undo.json").exits(65).warns(says);
    }
}
