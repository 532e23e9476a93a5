//! The content of every format for plans, drift and failures. Results arrive even if stdout fails.

use std::process::Stdio;

use serde_json::Value;

use crate::builders::SeedExt as _;
use crate::harness::{World, admins, given, nothing};

/// One addition and one removal in one of two groups.
fn world() -> World {
    let seed = admins().group("Developers", ["alice@example.com"]);
    given(seed).groups(&[("Admins", &["alice@example.com", "bob@example.com"]), ("Developers", &["alice@example.com"])])
}

const OTHER_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn every_document_has_a_status() {
    let world = world();
    let status = |arguments: &str| world.run(&format!("{arguments} --format json")).json()["status"].clone();
    assert_eq!(status("validate"), "unchanged");
    assert_eq!(status("why alice@example.com"), "in_sync");
    assert_eq!(status("why bob@example.com"), "changes");
    assert_eq!(status("plan --out plan.json"), "changes");
    assert_eq!(status("show plan.json"), "changes");
    assert_eq!(status("drift"), "changes");
    assert_eq!(status(&format!("apply --yes --expect {OTHER_DIGEST}")), "stale");
    assert_eq!(status(&format!("apply --yes --accept {OTHER_DIGEST}")), "stale");
    assert_eq!(status("apply --yes"), "applied");
    assert_eq!(status("drift"), "in_sync");
    assert_eq!(status("plan -f missing.yaml"), "failed");
}

#[test]
fn every_document_counts_the_requests_of_its_run() {
    let world = world();
    let counted = |arguments: &str| {
        world.forget_requests();
        let document = world.run(&format!("{arguments} --format json")).json();
        assert!(world.request_count() > 0, "{arguments}");
        assert_eq!(document["requests"], world.request_count(), "{arguments}: {document}");
    };
    counted("plan --out plan.json");
    counted("drift");
    counted("why alice@example.com");
    counted("review");
    counted(&format!("apply --yes --accept {OTHER_DIGEST}"));
    world.account().add("Admins", "late@example.com");
    counted("apply plan.json --yes");
    counted("apply --yes --journal journal.jsonl");
    counted("undo journal.jsonl --out undo.json");
    counted("why nobody@example.com Unknown");
    assert_eq!(world.run("plan -f missing.yaml --format json").json()["requests"], Value::Null);
}

#[test]
fn saved_plan_keeps_its_request_count() {
    let world = world();
    let planned = world.run("plan --out plan.json --format json").json();
    assert_eq!(world.run("show plan.json --format json").exits(0).json(), planned);
    let mut without = planned.clone();
    without.as_object_mut().unwrap().remove("requests").unwrap();
    world.write("without.json", without.to_string());
    world.run("apply without.json --yes").exits(65).warns("its checksum does not match");
    world.run("apply plan.json --yes").exits(0);
}

#[test]
fn plan_ends_with_the_command_that_applies_it() {
    let world = world().without("CLOUDFLARE_ACCOUNT_ID");
    let account = crate::harness::ACCOUNT;
    let shown = world.run(&format!("plan --account-id {account} -f convoke.yaml --only Admins")).exits(0);
    let last = shown.stdout.lines().last().unwrap();
    assert!(last.starts_with("  convoke apply -f convoke.yaml --only Admins "), "{last}");
    assert!(last.contains(&format!("--account-id {account} --expect ")), "{last}");
    let words: Vec<&str> = last.split_whitespace().skip(1).chain(["--yes"]).collect();
    world.run_with(&words).exits(0);
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn heading_shows_remaining_members() {
    world().run("plan").exits(0).says("Admins (2 -> 2 members)").says("+ bob@example.com");
}

#[test]
fn number_of_requests_is_shown_with_v_only() {
    let world = world();
    assert!(!world.run("plan").stderr.contains("request"));
    world.run("plan -v").warns("requests to the API");
}

#[test]
fn stale_is_reported_in_every_format() {
    let world = world();
    let apply = |format: &str| world.run(&format!("apply --yes --expect {OTHER_DIGEST} --format {format}")).exits(4);
    apply("text").says("Stale: this is not the plan that was reviewed").says("Nothing was changed.");
    apply("github").says("::error title=Stale::");
    let page = apply("markdown").says("> [!CAUTION]\n> **Stale.**").stdout;
    assert!(page.starts_with("<!-- convoke:apply -->\n### Not applied. "), "{page}");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn stale_saved_plan_is_reported_in_every_format() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().add("Admins", "late@example.com");
    let apply = |format: &str| world.run(&format!("apply plan.json --yes --format {format}")).exits(4);
    apply("text").says("Stale: ");
    apply("github").says("::error title=Stale");
    apply("markdown").says("<!-- convoke:apply -->\n").says("> [!CAUTION]");
    assert_eq!(apply("json").json()["status"], "stale");
}

#[test]
fn drift_speaks_of_drift() {
    let world = world();
    world.run("drift").exits(2).says("Drift: 1 missing, 1 unexpected, 0 expired in 1 of 2 groups");
    let page = world.run("drift --format markdown").exits(2).stdout;
    assert!(page.starts_with("<!-- convoke:drift -->\n### Drift: 1 missing, 1 unexpected, 0 expired"), "{page}");
    assert!(!page.contains("Plan:"), "{page}");
}

#[test]
fn guards_do_not_change_drift_exit_code() {
    let refused = "version: 1\nsettings: { protected: [mallory@example.com] }\ngroups:\n  Admins:\n    members: [alice@example.com]\n";
    let world = world().file("convoke.yaml", refused);
    world.run("plan").exits(3);
    world.run("drift").exits(2).says("Guards that would refuse the correction");
}

#[test]
fn unwritable_metrics_file_never_hides_drift() {
    let world = world();
    let drift = world.run("drift --metrics-file missing/drift.prom").exits(2);
    drift.says("unexpected mallory@example.com").warns("missing/drift.prom cannot be written");
    world.run("apply --yes").exits(0);
    world.run("drift --metrics-file missing/drift.prom").exits(1).says("No drift.");
}

#[test]
fn failure_has_a_page_with_the_marker_first() {
    let world = nothing().file("convoke.yaml", "version: 1\ngroups: { A: {} }\n");
    let first = |arguments: &str, code: i32, line: &str| {
        let page = world.run(arguments).exits(code).stdout;
        assert!(page.starts_with(line) && page.contains("> [!CAUTION]"), "{page}");
        page
    };
    let page = first("plan --format markdown", 65, "<!-- convoke:plan -->\n");
    assert!(page.contains("`convoke.yaml:2`"), "{page}");
    first("drift --format markdown", 65, "<!-- convoke:drift -->\n");
    first("apply --yes --format markdown", 65, "<!-- convoke:apply -->\n");
    first("plan --format markdown --nonsense", 64, "<!-- convoke:plan -->\n");
    world.write("convoke.yaml", "version: 1\ngroups: {}\n");
    first(&format!("plan --format markdown --account-id {}", crate::harness::ACCOUNT), 77, "<!-- convoke:plan -->\n");
    assert_eq!(world.run("plan --format json --nonsense").exits(64).json()["status"], "failed");
}

#[test]
fn every_problem_says_error() {
    let world = nothing().file("convoke.yaml", "version: 1\ngroup: {}\nroster: {}\n");
    let outcome = world.run("validate").exits(65);
    assert_eq!(outcome.stderr.matches("error: convoke.yaml:").count(), 2, "{outcome}");
}

#[test]
fn places_are_links_where_the_repository_is_known() {
    let world = world()
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "octo/access")
        .env("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567");
    world
        .run("plan --format markdown")
        .exits(0)
        .says("https://github.com/octo/access/blob/0123456789abcdef0123456789abcdef01234567/convoke.yaml#L");
}

#[test]
fn every_line_of_a_json_log_is_json() {
    let world = world();
    let all_json = |arguments: &str| {
        let output = world.command().args(arguments.split(' ')).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.is_empty(), "{arguments}");
        for line in text.lines() {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{arguments}: {error}: {line}"));
            assert!(value["level"].is_string() && value["fields"]["message"].is_string(), "{line}");
        }
    };
    all_json("plan -v --log-format json");
    all_json("plan --log-format json -f missing.yaml");
    all_json("plan --log-format=json --nonsense");
    all_json("drift --log-format json --metrics-file missing/drift.prom");
    all_json("apply --log-format json");
}

#[test]
#[cfg(target_os = "linux")]
fn report_reaches_stderr_when_stdout_is_full() {
    let world = world();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let run = |arguments: &str| world.process().args(arguments.split(' ')).stdout(full()).output().unwrap();
    let plan = run("plan");
    assert_eq!(plan.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&plan.stderr).contains("+ bob@example.com"));
    assert_eq!(run("drift").status.code(), Some(2));
    let applied = run("apply --yes --format json");
    assert_eq!(applied.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&applied.stderr).contains("\"status\": \"applied\""));
    assert_eq!(world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
#[cfg(unix)]
fn closed_pipe_ends_quietly_unless_something_was_changed() {
    let world = world();
    let run = |arguments: &str| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        world.process().args(arguments.split(' ')).stdout(writer).output().unwrap()
    };
    let plan = run("plan");
    assert_eq!((plan.status.code(), plan.stderr.is_empty()), (Some(0), true));
    let applied = run("apply --yes --format json");
    assert_eq!(applied.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&applied.stderr).contains("\"status\": \"applied\""));
}

#[test]
#[cfg(unix)]
fn devices_and_links_are_written_through() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    let world = world();
    world.run("plan --out /dev/null").exits(0);
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    world.write("folder/target.json", "old");
    symlink("folder/target.json", world.path("link.json")).unwrap();
    symlink("folder/new.json", world.path("dangling.json")).unwrap();
    for (link, target) in [("link.json", "folder/target.json"), ("dangling.json", "folder/new.json")] {
        world.run(&format!("plan --out {link}")).exits(0);
        assert!(world.path(link).symlink_metadata().unwrap().is_symlink());
        assert!(world.read(target).contains("\"format_version\""));
    }
    let fifo = world.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut child = world.process().args(["plan", "--out", "fifo"]).stdout(Stdio::null()).spawn().unwrap();
    assert!(std::fs::read_to_string(&fifo).unwrap().contains("\"format_version\""));
    assert!(child.wait().unwrap().success());
    assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo());
}

#[test]
fn unwritable_plan_file_does_not_hide_the_plan() {
    let outcome = world().run("plan --out missing/plan.json").exits(1);
    let outcome = outcome.says("+ bob@example.com").warns("missing/plan.json cannot be written");
    assert!(!outcome.stderr.contains(".convoke-"), "{outcome}");
}
