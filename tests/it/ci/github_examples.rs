//! The workflows for GitHub. All their scripts run, from the first pull request to the access review.

use serde_json::{Value, json};

use super::action::{ADMINS, READERS, Setting, admins_with, digest, failed, setting, succeeded};
use super::runner::{Event, Job, PLACEHOLDER, yaml};
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

/// Runs the job "plan" of the pull request or of the queue.
pub fn plan(setting: &Setting, event: &Event) -> Job {
    setting.runner().run(PLAN, "plan", event, json!({}))
}

/// Pull request 7, which was planned and then rebased onto `main`: two commits that add Carol and Dave. Returns the push.
pub fn rebased(setting: &Setting) -> Event {
    setting.origin.git(&["checkout", "--quiet", "-B", "change", "main"]);
    setting.origin.commit(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let middle = setting.origin.head();
    setting.origin.commit(&[("groups/readers.yaml", &format!("{READERS}      - dave@example.com\n"))]);
    let end = setting.origin.head();
    setting.origin.git(&["checkout", "--quiet", "main"]);
    succeeded(&plan(setting, &setting.pull_request_of("change")));
    // GitHub names the end of a rebased pull request for each of its commits.
    let pushed = setting.pushed(&[(7, &end)]);
    let mut kept = setting.github.kept.lock().unwrap();
    let pulls = kept.pulls[&end].clone();
    kept.pulls.insert(middle, pulls);
    pushed
}

/// Runs the job "apply" of a push.
pub fn apply(setting: &Setting, event: &Event) -> Job {
    setting.runner().run(APPLY, "apply", event, json!({ "only-changed": "true" }))
}

/// Runs the job "apply" by hand with these inputs.
fn apply_by_hand(setting: &Setting, mut inputs: Value) -> Job {
    inputs["only-changed"] = "false".into();
    setting.runner().run(APPLY, "apply", &setting.on_main("workflow_dispatch"), inputs)
}

#[test]
fn change_goes_from_pull_request_to_account() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.runner().run(PLAN, "validate", &event, json!({})));
    succeeded(&plan(&setting, &event));
    assert!(setting.github.comments(7)[0].contains("carol@example.com"));

    succeeded(&plan(&setting, &queued(&event, &setting)));
    assert_eq!(setting.github.comments(7).len(), 1);

    let job = apply(&setting, &setting.merged(&event));
    succeeded(&job);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert_eq!(setting.github.comments(7).len(), 2);
    assert!(job.journal.contains("\"method\":\"POST\""), "{}", job.journal);
}

#[test]
fn smallest_workflow_of_the_readme_plans_and_applies() {
    let Some(setting) = setting() else { return };
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let shown = readme.split("```yaml\n").find(|block| block.starts_with("name: convoke")).unwrap();
    let file = setting.folder.path().join("convoke.yaml");
    std::fs::write(&file, shown.split("```").next().unwrap()).unwrap();
    let run = |command: &str, event: &Event| {
        let values = json!({ "command": command });
        setting.runner().run(file.to_str().unwrap(), "convoke", event, values)
    };
    let event = setting.pull_request(&[(
        "groups/admins.yaml",
        &format!("{}account_id: {ACCOUNT}\n", admins_with("carol@example.com")),
    )]);
    succeeded(&run("plan", &event));
    succeeded(&run("apply", &setting.merged(&event)));
    assert!(setting.world.members("Admins").contains(&"carol@example.com".into()));
}

#[test]
fn merge_queue_stops_a_stale_plan() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&plan(&setting, &event));
    let reviewed = setting.github.comments(7);
    // The pull request was changed after its plan.
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("dave@example.com"))]);
    let job = plan(&setting, &queued(&event, &setting));
    assert_eq!(job.outputs["exit-code"], "4", "{}", job.log);
    assert_eq!(setting.github.comments(7), reviewed, "the queue must not replace the page that was reviewed");
}

#[test]
fn required_checks_complete_without_group_changes() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("README.md", "Hello\n")]);
    for event in [queued(&event, &setting), event] {
        succeeded(&setting.runner().run(PLAN, "validate", &event, json!({})));
        succeeded(&plan(&setting, &event));
    }
    assert_eq!(setting.world.account().requests().len(), 0);
    assert_eq!(setting.github.comments(7), Vec::<String>::new());
}

#[test]
fn all_differences_are_applied_by_hand() {
    let Some(setting) = setting() else { return };
    setting.origin.commit(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let everything = setting.runner().run(PLAN, "everything", &setting.on_main("workflow_dispatch"), json!({}));
    succeeded(&everything);
    let summary = &everything.summary;
    assert!(summary.contains("carol@example.com"), "{summary}");
    let wrong = apply_by_hand(&setting, json!({ "digest": "f".repeat(64) }));
    assert_eq!(wrong.outputs["exit-code"], "4", "{}", wrong.log);
    let job = apply_by_hand(&setting, json!({ "digest": digest(summary) }));
    succeeded(&job);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert!(job.journal.contains("\"method\":\"POST\""), "{}", job.journal);
}

#[test]
fn removals_beyond_the_limits_are_accepted_by_hand() {
    let Some(setting) = setting() else { return };
    let many: String = (0..8).map(|number| format!("      - person{number}@example.com\n")).collect();
    let full = format!("{ADMINS}{many}");
    setting.origin.commit(&[("groups/admins.yaml", &full)]);
    for number in 0..8 {
        setting.world.account().add_person(&format!("person{number}@example.com"));
        setting.world.account().add("Admins", &format!("person{number}@example.com"));
    }
    let event = setting.pull_request(&[("groups/admins.yaml", ADMINS)]);
    let job = plan(&setting, &event);
    assert_eq!(job.conclusion, "failure", "{}", job.log);
    let comment = &setting.github.comments(7)[0];
    let reviewed = digest(comment).to_owned();
    assert!(
        comment.contains("merge the pull request and then run `apply` by hand with this digest as `accept`"),
        "{comment}"
    );
    assert!(!comment.contains("convoke apply"), "{comment}");
    assert_eq!(apply(&setting, &setting.merged(&event)).conclusion, "failure");
    assert_eq!(setting.world.members("Admins").len(), 10);
    let applied = &setting.github.comments(7)[1];
    assert!(applied.contains("run `apply` by hand with this digest as `accept`"), "{applied}");
    assert!(!applied.contains("convoke apply -f"), "{applied}");
    // Only the change of the pull request: a stranger and later commits do not matter.
    setting.world.account().add("Readers", "dave@example.com");
    setting.origin.commit(&[("README.md", "Hello\n")]);
    let readers = READERS.replace("      - frank@example.com\n", "");
    setting.origin.commit(&[("groups/readers.yaml", &readers)]);
    succeeded(&apply_by_hand(&setting, json!({ "accept": reviewed })));
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com"]);
    assert_eq!(setting.world.members("Readers").len(), 3);
    assert!(setting.github.comments(7)[1].contains("8 removals made"), "{}", setting.github.comments(7)[1]);
    // The digest of a plan by hand is of everything.
    let everything = setting.runner().run(PLAN, "everything", &setting.on_main("workflow_dispatch"), json!({}));
    succeeded(&apply_by_hand(&setting, json!({ "accept": self::digest(&everything.summary) })));
    assert_eq!(setting.world.members("Readers"), ["erin@example.com"]);
}

#[test]
fn digest_of_a_rebased_pull_request_works_by_hand() {
    let Some(setting) = setting() else { return };
    rebased(&setting);
    let reviewed = digest(&setting.github.comments(7)[0]).to_owned();
    succeeded(&apply_by_hand(&setting, json!({ "digest": reviewed })));
    assert_eq!(setting.world.members("Admins").len(), 3);
    assert_eq!(setting.world.members("Readers").len(), 3);
}

#[test]
fn schedule_ends_access_and_applies_nothing_else() {
    let Some(setting) = setting() else { return };
    let temporary = "      - email: carol@example.com\n        until: 2026-01-31\n";
    setting.world.account().add("Admins", "carol@example.com");
    let readers = READERS.replace("      - frank@example.com\n", "");
    let files = [("groups/admins.yaml", &*format!("{ADMINS}{temporary}")), ("groups/readers.yaml", &*readers)];
    setting.origin.commit(&files);
    let event = setting.on_main("schedule");
    let look = setting.runner().run(DUE, "look", &event, json!({}));
    succeeded(&look);
    assert_eq!(look.outputs["exit-code"], "2", "{}", look.log);
    let job = setting.runner().run(DUE, "due", &event, json!({}));
    succeeded(&job);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com"]);
    assert_eq!(setting.world.members("Readers"), ["erin@example.com", "frank@example.com"]);
    assert!(!job.journal.is_empty());
    // Usually nothing is due, so the second job does not start.
    let look = setting.runner().run(DUE, "look", &event, json!({}));
    assert_eq!(look.outputs["exit-code"], "0", "{}", look.log);
}

#[test]
fn drift_opens_and_closes_the_issue() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("schedule");
    setting.world.account().remove("Readers", "erin@example.com");
    succeeded(&setting.runner().run(DRIFT, "drift", &event, json!({})));
    setting.world.account().add("Readers", "erin@example.com");
    succeeded(&setting.runner().run(DRIFT, "drift", &event, json!({})));
    let kept = setting.github.kept.lock().unwrap();
    assert_eq!(kept.issues.len(), 1);
    assert_eq!(kept.issues[0]["state"], "closed");
}

#[test]
fn review_is_kept_as_an_artifact() {
    let Some(setting) = setting() else { return };
    let job = setting.runner().run(REVIEW, "review", &setting.on_main("schedule"), json!({}));
    succeeded(&job);
    let page = &job.review;
    assert!(page.contains("<html") && page.contains("alice@example.com"), "{page}");
}

#[test]
fn forks_are_validated_but_not_planned() {
    let Some(setting) = setting() else { return };
    let mut event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    event.payload["pull_request"]["head"]["repo"]["full_name"] = "mallory/access".into();
    succeeded(&setting.runner().run(PLAN, "validate", &event, json!({})));
    let job = setting.runner().run(PLAN, "plan", &event, json!({ "api-token": "" }));
    failed(&job, "A pull request from a fork gets no secrets");
}

#[test]
fn each_account_has_its_own_comment() {
    let Some(setting) = setting() else { return };
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
    for name in ["production", "staging"] {
        let with = json!({
            "command": "plan", "name": name, "files": format!("accounts/{name}\nshared"), "only-changed": "true",
            "api-token": crate::harness::TOKEN,
        });
        succeeded(&setting.runner().action(with, &event));
    }
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
