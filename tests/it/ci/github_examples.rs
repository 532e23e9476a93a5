//! The workflows for GitHub. All their scripts run, from the first pull request to the access review.

use std::fs;

use serde_json::json;

use super::action::{ADMINS, READERS, Setting, admins_with, digest, failed, setting, succeeded};
use super::runner::{Event, PLACEHOLDER, yaml};
use crate::harness::{ACCOUNT, repository};

pub const PLAN: &str = "examples/ci/github/plan.yaml";
pub const APPLY: &str = "examples/ci/github/apply.yaml";
const DUE: &str = "examples/ci/github/due.yaml";
const DRIFT: &str = "examples/ci/github/drift.yaml";
const REVIEW: &str = "examples/ci/github/review.yaml";

/// The event of the merge queue for pull request 7.
fn queued(event: &Event, setting: &Setting) -> Event {
    Event {
        name: "merge_group",
        payload: json!({ "merge_group": { "base_sha": setting.origin.head() } }),
        reference: format!("refs/heads/gh-readonly-queue/main/pr-7-{}", setting.origin.head()),
        ..event.clone()
    }
}

#[test]
fn change_goes_from_pull_request_to_account() {
    let Some(setting) = setting() else { return };
    let runner = setting.runner();
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let jobs = runner.run(PLAN, &event);
    succeeded(&jobs["validate"]);
    succeeded(&jobs["plan"]);
    assert_eq!(jobs["everything"].conclusion, "skipped");
    assert!(setting.github.comments(7)[0].contains("carol@example.com"));

    succeeded(&runner.run(PLAN, &queued(&event, &setting))["plan"]);
    assert_eq!(setting.github.comments(7).len(), 1);

    let job = &runner.run(APPLY, &setting.merged(&event))["apply"];
    succeeded(job);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert_eq!(setting.github.comments(7).len(), 2);
    assert_eq!(job.artifacts.len(), 1);
}

#[test]
fn merge_queue_stops_a_stale_plan() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.runner().run(PLAN, &event)["plan"]);
    let reviewed = setting.github.comments(7);
    setting.world.account().add("Admins", "dave@example.com");
    let jobs = setting.runner().run(PLAN, &queued(&event, &setting));
    assert_eq!(jobs["plan"].conclusion, "failure", "{}", jobs["plan"].log);
    assert_eq!(setting.github.comments(7), reviewed, "the queue must not replace the page that was reviewed");
}

#[test]
fn required_checks_complete_without_group_changes() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("README.md", "Hello\n")]);
    for event in [queued(&event, &setting), event] {
        let jobs = setting.runner().run(PLAN, &event);
        succeeded(&jobs["validate"]);
        succeeded(&jobs["plan"]);
    }
    assert_eq!(setting.world.account().requests().len(), 0);
    assert_eq!(setting.github.comments(7), Vec::<String>::new());
}

#[test]
fn stale_change_is_applied_by_hand() {
    let Some(setting) = setting() else { return };
    let runner = setting.runner();
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&runner.run(PLAN, &event)["plan"]);
    setting.world.account().add("Admins", "dave@example.com");
    assert_eq!(runner.run(APPLY, &setting.merged(&event))["apply"].conclusion, "failure");

    let by_hand = setting.on_main("workflow_dispatch", json!({}));
    let jobs = runner.run(PLAN, &by_hand);
    succeeded(&jobs["everything"]);
    assert_eq!(jobs["plan"].conclusion, "skipped");
    let summary = &jobs["everything"].summary;
    assert!(summary.contains("dave@example.com"), "{summary}");

    let wrong = json!({ "digest": "f".repeat(64) });
    assert_eq!(runner.run(APPLY, &setting.on_main("workflow_dispatch", wrong))["apply"].conclusion, "failure");
    let right = json!({ "digest": digest(summary) });
    let job = &runner.run(APPLY, &setting.on_main("workflow_dispatch", right))["apply"];
    succeeded(job);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert_eq!(job.artifacts.len(), 1);
}

#[test]
fn removals_beyond_the_limits_are_accepted_by_hand() {
    let Some(setting) = setting() else { return };
    let runner = setting.runner();
    let many: String = (0..8).map(|number| format!("      - person{number}@example.com\n")).collect();
    let full = format!("{ADMINS}{many}");
    setting.origin.commit(&[("groups/admins.yaml", &full)]);
    for number in 0..8 {
        setting.world.account().add_person(&format!("person{number}@example.com"));
        setting.world.account().add("Admins", &format!("person{number}@example.com"));
    }
    let event = setting.pull_request(&[("groups/admins.yaml", ADMINS)]);
    let job = &runner.run(PLAN, &event)["plan"];
    assert_eq!(job.conclusion, "failure", "{}", job.log);
    let reviewed = setting.github.comments(7);
    let digest = digest(&reviewed[0]);
    assert_eq!(runner.run(APPLY, &setting.merged(&event))["apply"].conclusion, "failure");
    assert_eq!(setting.world.members("Admins").len(), 10);
    succeeded(&runner.run(APPLY, &setting.on_main("workflow_dispatch", json!({ "accept": digest })))["apply"]);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn schedule_ends_access_and_applies_nothing_else() {
    let Some(setting) = setting() else { return };
    let temporary = "      - email: carol@example.com\n        until: 2026-01-31\n";
    setting.world.account().add("Admins", "carol@example.com");
    let readers = READERS.replace("      - frank@example.com\n", "");
    let files = [("groups/admins.yaml", &*format!("{ADMINS}{temporary}")), ("groups/readers.yaml", &*readers)];
    setting.origin.commit(&files);
    let event = setting.on_main("schedule", json!({}));
    let job = &setting.runner().run(DUE, &event)["due"];
    succeeded(job);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com"]);
    assert_eq!(setting.world.members("Readers"), ["erin@example.com", "frank@example.com"]);
    assert_eq!(job.artifacts.len(), 1);
    // Usually nothing is due, so there is no journal to store.
    let job = &setting.runner().run(DUE, &event)["due"];
    succeeded(job);
    assert_eq!(job.artifacts.len(), 0);
}

#[test]
fn drift_opens_and_closes_the_issue() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("schedule", json!({}));
    setting.world.account().remove("Readers", "erin@example.com");
    succeeded(&setting.runner().run(DRIFT, &event)["drift"]);
    setting.world.account().add("Readers", "erin@example.com");
    succeeded(&setting.runner().run(DRIFT, &event)["drift"]);
    let kept = setting.github.kept.lock().unwrap();
    assert_eq!(kept.issues.len(), 1);
    assert_eq!(kept.issues[0]["state"], "closed");
}

#[test]
fn review_is_kept_as_an_artifact() {
    let Some(setting) = setting() else { return };
    let job = &setting.runner().run(REVIEW, &setting.on_main("schedule", json!({})))["review"];
    succeeded(job);
    let page = &job.artifacts["convoke-review-1"];
    assert!(page.contains("<html") && page.contains("alice@example.com"), "{page}");
}

#[test]
fn forks_are_validated_but_not_planned() {
    let Some(setting) = setting() else { return };
    let mut event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    event.payload["pull_request"]["head"]["repo"]["full_name"] = "mallory/access".into();
    let jobs = setting.runner().run_without_secrets(PLAN, &event);
    succeeded(&jobs["validate"]);
    failed(&jobs["plan"], "A pull request from a fork gets no secrets");
}

#[test]
fn each_account_has_its_own_job_and_comment() {
    let Some(setting) = setting() else { return };
    let page = fs::read_to_string(repository("docs/ci.md")).unwrap();
    let shown = page.split("```yaml\n").find(|block| block.contains("matrix:")).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let workflow = folder.path().join("plan.yaml");
    fs::write(&workflow, shown).unwrap();

    let account = |group: &str, people: &str| {
        let head = format!("version: 1\naccount_id: {ACCOUNT}\ngroups:\n  {group}:\n    members:\n");
        format!("{head}      - roster: leads\n{people}")
    };
    let roster = "version: 1\nrosters:\n  leads:\n    - alice@example.com\n    - erin@example.com\n";
    setting.origin.commit(&[
        ("accounts/production/a.yaml", &account("Admins", "      - bob@example.com\n")),
        ("accounts/staging/a.yaml", &account("Readers", "      - frank@example.com\n")),
        ("shared/rosters.yaml", roster),
    ]);
    let dave = format!("{roster}    - dave@example.com\n");
    let event = setting.pull_request(&[("shared/rosters.yaml", &dave)]);
    let mut runner = setting.runner();
    // The environments have no variable for the account, because the files name it.
    runner.environment.insert("CLOUDFLARE_ACCOUNT_ID".into(), String::new());
    let jobs = runner.run(workflow.to_str().unwrap(), &event);
    succeeded(&jobs["plan (production)"]);
    succeeded(&jobs["plan (staging)"]);
    let comments = setting.github.comments(7);
    assert_eq!(comments.len(), 2);
    for (comment, name, group) in [(&comments[0], "production", "Admins"), (&comments[1], "staging", "Readers")] {
        assert_eq!(comment.lines().nth(1).unwrap(), format!("<!-- convoke:name {name} -->"));
        assert!(comment.contains(group) && comment.contains("dave@example.com"), "{comment}");
    }
}

#[test]
fn workflows_request_few_permissions() {
    for (path, writes) in [
        (PLAN, vec!["plan: pull-requests"]),
        (APPLY, vec!["apply: pull-requests"]),
        (DUE, vec![]),
        (DRIFT, vec!["drift: issues"]),
        (REVIEW, vec![]),
    ] {
        let workflow = yaml(&repository(path));
        assert_eq!(workflow["permissions"], json!({}), "{path}");
        let mut found = Vec::new();
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let permissions = job["permissions"].as_object().unwrap().iter();
            found.extend(permissions.filter(|(_, level)| *level == "write").map(|(of, _)| format!("{name}: {of}")));
            assert!(
                job["timeout-minutes"].is_u64() && job["steps"].to_string().contains(PLACEHOLDER),
                "{path}: {name}"
            );
        }
        assert_eq!(found, writes, "{path}");
    }
}
