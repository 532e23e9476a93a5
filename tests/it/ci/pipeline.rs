//! The pipeline as it really runs: merges that GitHub does not know yet, pushes with several of them, jobs that are run
//! again or stopped, and answers that are none.

use std::fs;

use convoke::sandbox::{Delay, Endpoint, Fault, FaultRule, Match};
use serde_json::{Value, json};

use super::action::{
    ADMINS, READERS, Setting, admins_with, failed, inputs, program, seed, setting, setting_of, succeeded,
};
use super::github_examples::{apply, plan, rebased};
use super::runner::{Event, Job, Stop};
use crate::builders::{FaultRuleExt as _, MatchExt as _, SeedExt as _};

const WITHOUT: [&str; 2] = ["alice@example.com", "bob@example.com"];
const WITH_CAROL: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];

/// Pull request 7, which adds Carol, with its plan.
fn reviewed(setting: &Setting) -> Event {
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&plan(setting, &event));
    event
}

/// Pull request 9, which adds Dave to the readers, with its plan.
fn second(setting: &Setting) -> Event {
    let sha =
        setting.origin.merge_of("second", &[("groups/readers.yaml", &format!("{READERS}      - dave@example.com\n"))]);
    let event = Setting::numbered(9, sha);
    succeeded(&plan(setting, &event));
    event
}

fn code(job: &Job) -> &str {
    job.outputs["exit-code"].as_str().unwrap()
}

#[test]
fn merge_that_github_does_not_know_yet_is_awaited() {
    let Some(setting) = setting() else { return };
    let merged = setting.merged(&reviewed(&setting));
    setting.github.kept.lock().unwrap().lag = 5;
    succeeded(&apply(&setting, &merged));
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
    assert_eq!(setting.slept(), 30);
}

#[test]
fn number_in_a_merge_commit_is_verified() {
    let Some(setting) = setting() else { return };
    let event = reviewed(&setting);
    setting.origin.git(&["checkout", "--quiet", "--detach", &event.sha]);
    setting.origin.git(&["commit", "--quiet", "--amend", "--message", "Merge pull request #7 from acme/change"]);
    let sha = setting.origin.head();
    setting.origin.git(&["checkout", "--quiet", "main"]);
    let merged = setting.pushed(&[(7, &sha)]);
    setting.github.kept.lock().unwrap().lag = 100;
    succeeded(&apply(&setting, &merged));
    assert_eq!(setting.slept(), 0);
    // A message alone proves nothing. The pull request that it names gets the reason.
    setting.origin.git(&["revert", "--no-edit", "--mainline", "1", "HEAD"]);
    setting.origin.git(&["commit", "--quiet", "--amend", "--message", "Remove Carol (#7)"]);
    let direct = Event { payload: json!({ "before": sha }), sha: setting.origin.head(), ..merged };
    failed(&apply(&setting, &direct), "No merged pull request belongs to this commit");
    assert_eq!(setting.slept(), 60);
    let comment = &setting.github.comments(7)[1];
    assert!(comment.starts_with("<!-- convoke:apply -->\n") && comment.contains("run this job again"), "{comment}");
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
}

#[test]
fn each_merge_of_a_push_is_applied_with_its_own_review() {
    let Some(setting) = setting() else { return };
    let (first, second) = (reviewed(&setting), second(&setting));
    let end = setting.origin.merge_onto(&first.sha, "second");
    let job = apply(&setting, &setting.pushed(&[(7, &first.sha), (9, &end)]));
    succeeded(&job);
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
    assert_eq!(setting.world.members("Readers"), ["dave@example.com", "erin@example.com", "frank@example.com"]);
    for (number, person, other) in
        [(7, "carol@example.com", "dave@example.com"), (9, "dave@example.com", "carol@example.com")]
    {
        let comments = setting.github.comments(number);
        assert_eq!(comments.len(), 2);
        assert!(comments[1].starts_with("<!-- convoke:apply -->\n"), "{}", comments[1]);
        assert!(comments[1].contains(person) && !comments[1].contains(other), "{}", comments[1]);
    }
    // One journal for each, with its pull request.
    let runs: Vec<Value> = job.journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<&str> =
        runs.iter().filter(|line| line["entry"] == "run").map(|line| line["pull_request"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), 2);
    assert!(numbers.contains(&"7") && numbers.contains(&"9"), "{numbers:?}");
    assert_eq!(second.name, "pull_request");
}

#[test]
fn change_that_nobody_reviewed_keeps_no_other_back() {
    for unreviewed in [7, 9] {
        let Some(setting) = setting() else { return };
        let first = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
        let dave = format!("{READERS}      - dave@example.com\n");
        let second = Setting::numbered(9, setting.origin.merge_of("second", &[("groups/readers.yaml", &dave)]));
        succeeded(&plan(&setting, if unreviewed == 7 { &second } else { &first }));
        let end = setting.origin.merge_onto(&first.sha, "second");
        let job = apply(&setting, &setting.pushed(&[(7, &first.sha), (9, &end)]));
        failed(&job, &format!("::error title=convoke::#{unreviewed} has no comment of"));
        assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["1", "failed"]);
        assert_eq!(setting.world.members("Admins").len(), if unreviewed == 7 { 2 } else { 3 });
        assert_eq!(setting.world.members("Readers").len(), if unreviewed == 9 { 2 } else { 3 });
        for number in [7, 9] {
            let comments = setting.github.comments(number);
            let report = comments.iter().find(|body| body.starts_with("<!-- convoke:apply -->")).unwrap();
            let text = if number == unreviewed { "has no comment of" } else { "1 added" };
            assert!(report.contains(text), "{report}");
            assert!(job.summary.contains(text), "{}", job.summary);
        }
    }
}

#[test]
fn direct_push_between_merges_is_named_and_skipped() {
    let Some(setting) = setting() else { return };
    let first = reviewed(&setting);
    second(&setting);
    setting.origin.git(&["checkout", "--quiet", "-B", "direct", &first.sha]);
    let direct = setting.origin.commit(&[("groups/admins.yaml", ADMINS)]);
    setting.origin.git(&["checkout", "--quiet", "main"]);
    let end = setting.origin.merge_onto("direct", "second");
    let job = apply(&setting, &setting.pushed(&[(7, &first.sha), (9, &end)]));
    failed(&job, &format!("No merged pull request belongs to this commit ({direct})"));
    assert_eq!(setting.slept(), 60);
    assert!(setting.world.members("Readers").contains(&"dave@example.com".into()), "{}", job.log);
    // The newest files do not want Carol, so her addition is left out.
    assert_eq!(setting.world.members("Admins"), WITHOUT);
}

#[test]
fn outputs_of_a_push_are_of_one_change() {
    let Some(setting) = setting() else { return };
    let first = reviewed(&setting);
    second(&setting);
    // The reviewed plan of the first was another one.
    setting.github.kept.lock().unwrap().comments[0]["body"] =
        format!("<!-- convoke:plan -->\nDigest: `{}`\n", "a".repeat(64)).into();
    let end = setting.origin.merge_onto(&first.sha, "second");
    let job = apply(&setting, &setting.pushed(&[(7, &first.sha), (9, &end)]));
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["4", "stale"], "{}", job.log);
    assert_eq!(setting.world.members("Admins"), WITHOUT);
    assert!(setting.world.members("Readers").contains(&"dave@example.com".into()));
}

#[test]
fn rebased_pull_request_is_planned_from_before_the_push() {
    let Some(setting) = setting() else { return };
    let merged = rebased(&setting);
    succeeded(&apply(&setting, &merged));
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
    assert!(setting.world.members("Readers").contains(&"dave@example.com".into()));
}

#[test]
fn pull_request_without_groups_does_not_lose_the_other() {
    let Some(setting) = setting() else { return };
    let first = reviewed(&setting);
    setting.origin.merge_of("second", &[("README.md", "Hello\n")]);
    let end = setting.origin.merge_onto(&first.sha, "second");
    succeeded(&apply(&setting, &setting.pushed(&[(7, &first.sha), (9, &end)])));
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
    assert_eq!(setting.github.comments(9), Vec::<String>::new());
}

#[test]
fn job_that_is_run_again_keeps_newer_changes() {
    let Some(setting) = setting() else { return };
    let old = setting.merged(&reviewed(&setting));
    succeeded(&apply(&setting, &old));
    let again = || {
        let mut runner = setting.runner();
        runner.environment.insert("GITHUB_RUN_ATTEMPT".into(), "2".into());
        runner.run(super::github_examples::APPLY, "apply", &old, json!({ "only-changed": "true" }))
    };
    succeeded(&again());
    // Carol leaves in a newer change.
    let newer = Setting::numbered(9, setting.origin.merge_of("leave", &[("groups/admins.yaml", ADMINS)]));
    succeeded(&plan(&setting, &newer));
    succeeded(&apply(&setting, &setting.pushed(&[(9, &newer.sha)])));
    assert_eq!(setting.world.members("Admins"), WITHOUT);
    let job = again();
    assert_eq!(job.conclusion, "failure", "{}", job.log);
    assert_eq!(setting.world.members("Admins"), WITHOUT);
    let comment = &setting.github.comments(7)[1];
    assert!(comment.contains("Nothing was changed"), "{comment}");
}

#[test]
fn apply_needs_the_tip_of_its_branch() {
    let Some(setting) = setting() else { return };
    let merged = setting.merged(&reviewed(&setting));
    let gone = Event { reference: "refs/heads/gone".into(), ..merged };
    failed(&apply(&setting, &gone), "The tip of refs/heads/gone cannot be fetched");
    assert_eq!(setting.world.members("Admins"), WITHOUT);
}

#[test]
fn tip_is_fetched_with_a_token_that_no_argument_shows() {
    let Some(setting) = setting() else { return };
    let merged = setting.merged(&reviewed(&setting));
    let calls = setting.folder.path().join("calls");
    let git = super::action::run("sh", &["-c", "command -v git"]);
    let record = format!(
        "case \"$*\" in fetch*|*' fetch '*) {{ echo \"$*\"; env | grep ^GIT_CONFIG; }} >> '{}' ;; esac\nexec {} \"$@\"",
        calls.display(),
        git.trim()
    );
    program(&setting.folder.path().join("programs"), "git", &record);
    succeeded(&apply(&setting, &merged));
    let calls = fs::read_to_string(calls).unwrap();
    let (arguments, environment): (Vec<&str>, Vec<&str>) =
        calls.lines().partition(|line| !line.starts_with("GIT_CONFIG"));
    assert!(arguments.iter().all(|line| !line.contains("basic") && !line.contains(super::github::TOKEN)), "{calls}");
    assert!(environment.iter().any(|line| line.contains("AUTHORIZATION: basic ")), "{calls}");
    assert!(environment.iter().any(|line| line.ends_with("=http.https://github.example/.extraheader")), "{calls}");
}

#[test]
fn plan_warns_of_newer_changes_in_the_base() {
    let Some(setting) = setting() else { return };
    let event = reviewed(&setting);
    setting.origin.commit(&[("groups/readers.yaml", &READERS.replace("      - frank@example.com\n", ""))]);
    let job = plan(&setting, &event);
    succeeded(&job);
    assert!(job.log.contains("::warning title=convoke::main has changed the groups since"), "{}", job.log);
}

#[test]
fn shallow_checkout_warns_only_of_newer_changes() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let mut runner = setting.runner();
    runner.depth = 1;
    let warns = || runner.action(inputs("plan", json!({})), &event).log.contains("has changed the groups since");
    assert!(!warns());
    setting.origin.commit(&[("README.md", "Hello\n")]);
    assert!(!warns());
    setting.origin.commit(&[("groups/readers.yaml", &READERS.replace("      - frank@example.com\n", ""))]);
    assert!(warns());
}

#[test]
fn user_of_the_token_is_never_guessed() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    setting.github.kept.lock().unwrap().broken = Some(("graphql", 502, "<html>"));
    failed(&setting.plan(&event), "The user of the input \"github-token\" cannot be looked up");
    assert_eq!(setting.slept(), 17);
    assert_eq!(setting.github.comments(7), Vec::<String>::new());
    let refusal = r#"{"errors":[{"message":"Resource not accessible"}]}"#;
    setting.github.kept.lock().unwrap().broken = Some(("graphql", 200, refusal));
    failed(&setting.plan(&event), "Resource not accessible");
    // The query is repeated after one failed request.
    setting.github.kept.lock().unwrap().broken = None;
    succeeded(&plan(&setting, &event));
    let merged = setting.merged(&event);
    setting.github.kept.lock().unwrap().unavailable = 1;
    succeeded(&apply(&setting, &merged));
}

#[test]
fn accepted_digest_is_no_header() {
    let Some(setting) = setting() else { return };
    let merged = setting.merged(&reviewed(&setting));
    let digest = super::action::digest(&setting.github.comments(7)[0]).to_owned();
    let accept = json!({ "only-changed": "true", "expect": "reviewed", "accept": digest });
    succeeded(&setting.runner().action(inputs("apply", accept), &merged));
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
}

#[test]
fn summary_says_why_no_plan_was_found() {
    let Some(setting) = setting() else { return };
    let merged = setting.merged(&setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]));
    let job = apply(&setting, &merged);
    failed(&job, "has no comment of");
    assert!(job.summary.contains("has no comment of"), "{}", job.summary);
}

#[test]
fn checkout_that_is_not_the_merge_is_refused() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let head = setting.origin.git(&["rev-parse", &format!("{}^2", event.sha)]);
    failed(&setting.plan(&Event { sha: head, ..event }), "The checkout is not the merge");
}

/// An account where an addition takes this long, and pull request 7 merged there.
fn slow_to_write(milliseconds: u64) -> Option<(Setting, Event)> {
    let slow = FaultRule::once(Match::operation(Endpoint::AddMembers), Fault::Stall(Delay::millis(milliseconds)));
    let setting = setting_of(seed().fault(slow))?;
    let merged = setting.merged(&reviewed(&setting));
    Some((setting, merged))
}

/// Runs an apply, and stops it as soon as it has sent such a request.
fn stopped(setting: &Setting, merged: &Event, stop: Stop, method: &'static str) -> Job {
    let mut runner = setting.runner();
    let before = setting.world.account().requests().len();
    let sent = move || setting.world.account().requests().iter().skip(before).any(|r| r.method == method);
    runner.stop = Some((stop, Box::new(sent)));
    runner.run(super::github_examples::APPLY, "apply", merged, json!({ "only-changed": "true" }))
}

/// Cancels or times out an apply while its write is in flight, by signals to the process that the runner started.
fn stopped_by(signals: &'static [&'static str]) {
    let Some((setting, merged)) = slow_to_write(1500) else { return };
    let job = stopped(&setting, &merged, Stop::Signals(signals), "POST");
    assert_eq!(code(&job), "5", "{}", job.log);
    assert!(job.journal.contains("\"entry\":\"end\""), "{}", job.journal);
    let comment = &setting.github.comments(7)[1];
    assert!(comment.starts_with("<!-- convoke:apply -->\n") && comment.contains("Interrupted"), "{comment}");
    assert!(job.summary.contains("Interrupted") && !job.summary.contains("killed"), "{}", job.summary);
    // Run again, it converges with the same digest.
    succeeded(&apply(&setting, &merged));
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
}

#[test]
fn cancel_reaches_convoke() {
    stopped_by(&["-INT"]);
}

#[test]
fn timeout_reaches_convoke() {
    stopped_by(&["-TERM"]);
}

/// GitHub sends both to cancel a job. A second signal would end convoke at once.
#[test]
fn convoke_gets_one_signal_only() {
    stopped_by(&["-INT", "-TERM"]);
}

#[test]
fn killed_apply_never_shows_the_plan_as_its_report() {
    for stop in [Stop::Convoke, Stop::Everything] {
        let Some((setting, merged)) = slow_to_write(5000) else { return };
        let job = stopped(&setting, &merged, stop, "POST");
        assert_eq!(job.conclusion, "failure", "{}", job.log);
        assert!(job.journal.contains("\"entry\":\"sending\""), "{}", job.journal);
        let comment = &setting.github.comments(7)[1];
        assert!(comment.starts_with("<!-- convoke:apply -->\n## convoke apply failed\n"), "{comment}");
        assert!(comment.contains("- `Admins`: POST, 1 to add, 0 to remove: no answer"), "{comment}");
        assert!(comment.contains("The journal of this run") && !comment.contains("Digest:"), "{comment}");
        assert!(job.summary.contains("- `Admins`: POST"), "{}", job.summary);
        if stop == Stop::Convoke {
            assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["137", "failed"]);
        }
        succeeded(&apply(&setting, &merged));
        assert_eq!(setting.world.members("Admins"), WITH_CAROL);
    }
}

#[test]
fn signal_before_the_first_write_changes_nothing() {
    let slow = FaultRule::always(Match::operation(Endpoint::ListMembers), Fault::Stall(Delay::millis(1500)));
    let Some(setting) = setting_of(seed().fault(slow)) else { return };
    let merged = setting.merged(&reviewed(&setting));
    let job = stopped(&setting, &merged, Stop::Signals(&["-INT", "-TERM"]), "GET");
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["130", "failed"], "{}", job.log);
    let comment = &setting.github.comments(7)[1];
    assert!(comment.contains("convoke was interrupted. Nothing was changed."), "{comment}");
    assert!(job.summary.contains("convoke was interrupted. Nothing was changed."), "{}", job.summary);
    assert_eq!(job.journal, "");
    assert_eq!(setting.world.members("Admins"), WITHOUT);
}

#[test]
fn answers_that_are_no_pages_end_the_job() {
    let Some(setting) = setting() else { return };
    let merged = setting.merged(&reviewed(&setting));
    let html = "<html>Sign in</html>";
    for (part, status, reason) in [
        ("comments", 200, "not JSON"),
        ("/pulls", 200, "cannot be looked up: GET"),
        ("/pulls", 403, "HTTP 403"),
        ("comments", 502, "HTTP 502"),
    ] {
        setting.github.kept.lock().unwrap().broken = Some((part, status, html));
        failed(&apply(&setting, &merged), reason);
    }
    assert_eq!(setting.world.members("Admins"), WITHOUT);
}

#[test]
fn failing_api_is_no_reason_to_build() {
    let Some(setting) = setting() else { return };
    let validate = json!({ "command": "validate", "files": "groups" });
    for (status, body) in [(502, "<html>"), (200, "<html>"), (403, r#"{"message":"API rate limit exceeded"}"#)] {
        setting.github.kept.lock().unwrap().broken = Some(("git/ref/tags", status, body));
        let job = setting.runner().action(validate.clone(), &setting.on_main("workflow_dispatch"));
        failed(&job, "The release cannot be looked up");
        assert!(!job.log.contains("built from source"), "{}", job.log);
    }
}

#[test]
fn workflow_can_name_the_release_to_use() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("workflow_dispatch");
    let run = |version: &str| {
        setting.runner().action(json!({ "command": "validate", "files": "groups", "version": version }), &event)
    };
    // The tag of the action is another commit. The release counts.
    setting.github.kept.lock().unwrap().commits.clear();
    succeeded(&run(super::action::VERSION));
    failed(&run("v9.9.9"), "There is no convoke 9.9.9 to use");
    failed(&run("../x"), "has to be a release");
    let job = run("source");
    assert!(job.log.contains("built from source: the workflow asks for it"), "{}", job.log);
}

#[test]
fn only_a_manual_run_needs_no_review() {
    let Some(setting) = setting() else { return };
    setting.origin.commit(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    for name in ["schedule", "repository_dispatch", "workflow_run", "push"] {
        let job = setting.runner().action(inputs("apply", json!({})), &setting.on_main(name));
        failed(&job, "No merged pull request belongs to this commit");
    }
    assert_eq!(setting.world.members("Admins"), WITHOUT);
    succeeded(&setting.runner().action(inputs("apply", json!({})), &setting.on_main("workflow_dispatch")));
    assert_eq!(setting.world.members("Admins"), WITH_CAROL);
}

#[test]
fn drift_that_changes_is_commented() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("schedule");
    let options = json!({ "labels": "access, drift", "assignees": "octocat" });
    let drift = || succeeded(&setting.runner().action(inputs("drift", options.clone()), &event));
    setting.world.account().add("Admins", "carol@example.com");
    drift();
    drift();
    assert_eq!(setting.github.comments(1), Vec::<String>::new());
    setting.world.account().add("Admins", "dave@example.com");
    drift();
    drift();
    assert_eq!(setting.github.comments(1).len(), 1);
    assert!(setting.github.comments(1)[0].contains("The differences have changed"));
    let kept = setting.github.kept.lock().unwrap();
    assert_eq!(
        [&kept.issues[0]["labels"], &kept.issues[0]["assignees"]],
        [&json!(["access", "drift"]), &json!(["octocat"])]
    );
}

#[test]
fn checkout_of_another_user_is_read() {
    let Some(setting) = setting() else { return };
    let event = reviewed(&setting);
    let mut runner = setting.runner();
    // As if the checkout belonged to another user.
    runner.environment.insert("GIT_TEST_ASSUME_DIFFERENT_OWNER".into(), "1".into());
    succeeded(&runner.run(super::github_examples::PLAN, "plan", &event, json!({})));
}

#[test]
fn page_ends_with_what_to_do() {
    let Some(setting) = setting() else { return };
    reviewed(&setting);
    let comment = &setting.github.comments(7)[0];
    assert!(comment.contains("merge the pull request, or run `apply` by hand with this digest"), "{comment}");
    assert!(!comment.contains("plan.json"), "{comment}");
}

#[test]
fn invalid_name_is_refused_before_anything_is_written() {
    let Some(setting) = setting() else { return };
    setting.world.account().add("Admins", "carol@example.com");
    for command in ["plan", "drift"] {
        let job = setting.runner().action(inputs(command, json!({ "name": "-->" })), &setting.on_main("schedule"));
        failed(&job, "may hold letters");
    }
    assert_eq!(setting.github.kept.lock().unwrap().writes, Vec::<String>::new());
}

#[test]
fn comment_that_cannot_be_written_says_why() {
    let Some(setting) = setting() else { return };
    setting.github.kept.lock().unwrap().broken =
        Some(("issues/7/comments", 410, r#"{"message":"Issues are disabled for this repo"}"#));
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    failed(&plan(&setting, &event), "Issues are disabled for this repo");
}

#[test]
fn action_checks_the_setup() {
    let Some(setting) = setting() else { return };
    let job = setting.runner().action(inputs("doctor", json!({})), &setting.on_main("workflow_dispatch"));
    assert!(["0", "2"].contains(&code(&job)), "{}", job.log);
    assert!(job.summary.starts_with("```text\n"), "{}", job.summary);
}
