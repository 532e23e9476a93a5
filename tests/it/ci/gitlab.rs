//! The pipeline for GitLab. Its jobs run with the variables that a runner sets.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::action::{ADMINS, READERS, admins_with, put_convoke, seed};
use super::checkout::{Repository, tools_are_there};
use super::runner::yaml;
use super::stand_in::{StandIn, found, page, parts};
use crate::builders::SeedExt as _;
use crate::harness::{ACCOUNT, World, given, repository};
use crate::server::{Reply, Request};

const TOKEN: &str = "glpat-of-the-project";
const ME: u64 = 41;

#[derive(Default)]
struct Kept {
    notes: Vec<Value>,
    issues: Vec<Value>,
    /// The notes of issues.
    remarks: Vec<String>,
    requests: BTreeMap<String, Value>,
}

fn answer(kept: &mut Kept, request: &Request) -> Option<Reply> {
    if request.header("private-token") != Some(TOKEN) {
        return Some(Reply::status(401, ""));
    }
    let parts = parts(request);
    if parts == ["user"] {
        return found(&json!({ "id": ME }));
    }
    let ["projects", "12", path @ ..] = parts.as_slice() else { return None };
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    match (request.method(), path) {
        ("GET", ["repository", "commits", sha, "merge_requests"]) => {
            found(kept.requests.get(*sha).unwrap_or(&json!([])))
        }
        ("GET", ["merge_requests", "7", "notes"]) => page(request, kept.notes.iter()),
        ("GET", ["issues"]) => page(request, kept.issues.iter().filter(|issue| issue["state"] == "opened")),
        ("POST", ["merge_requests", "7", "notes"]) => {
            let id = kept.notes.len();
            kept.notes.push(json!({ "id": id, "author": { "id": ME }, "body": form["body"] }));
            found(&json!({}))
        }
        ("PUT", ["merge_requests", "7", "notes", id]) => {
            kept.notes[id.parse::<usize>().unwrap()]["body"] = form["body"].clone().into();
            found(&json!({}))
        }
        ("POST", ["issues"]) => {
            let iid = kept.issues.len();
            let description = &form["description"];
            kept.issues.push(json!({
                "iid": iid, "state": "opened", "author": { "id": ME }, "title": form["title"], "description": description,
            }));
            found(&json!({}))
        }
        ("POST", ["issues", _, "notes"]) => {
            kept.remarks.push(form["body"].clone());
            found(&json!({}))
        }
        ("PUT", ["issues", iid]) => {
            let issue = &mut kept.issues[iid.parse::<usize>().unwrap()];
            match form.get("state_event") {
                Some(event) => assert_eq!(event, "close"),
                None => issue["description"] = form["description"].clone().into(),
            }
            if form.contains_key("state_event") {
                issue["state"] = "closed".into();
            }
            found(&json!({}))
        }
        _ => None,
    }
}

struct Setting {
    world: World,
    gitlab: StandIn<Kept>,
    origin: Repository,
    programs: TempDir,
    pipeline: Value,
}

/// The result of a job.
struct Ended {
    code: i32,
    log: String,
    artifacts: BTreeMap<String, String>,
}

fn setting() -> Option<Setting> {
    if !tools_are_there() {
        return None;
    }
    let programs = tempfile::tempdir().unwrap();
    put_convoke(programs.path());
    super::action::program(programs.path(), "sleep", "");
    Some(Setting {
        world: given(seed()),
        gitlab: StandIn::start(Kept::default(), answer),
        origin: Repository::new(&[("groups/admins.yaml", ADMINS), ("groups/readers.yaml", READERS)]),
        programs,
        pipeline: yaml(&repository("examples/ci/gitlab/.gitlab-ci.yml")),
    })
}

/// Whether a GitLab condition is true: comparisons joined by `&&`.
fn holds(condition: &str, variables: &BTreeMap<String, String>) -> bool {
    let value = |word: &str| match word.trim().strip_prefix('$') {
        Some(name) => variables.get(name).cloned().unwrap_or_default(),
        None => word.trim().trim_matches('"').to_owned(),
    };
    condition.split("&&").all(|comparison| match comparison.split_once("==") {
        Some((left, right)) => value(left) == value(right),
        None => {
            let (left, right) = comparison.split_once("!=").unwrap_or_else(|| panic!("{comparison}"));
            value(left) != value(right)
        }
    })
}

impl Setting {
    fn variables(&self, source: &str, others: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> = [
            ("CI", "true"),
            ("CI_PIPELINE_SOURCE", source),
            ("CI_PROJECT_ID", "12"),
            ("CI_DEFAULT_BRANCH", "main"),
            ("CI_JOB_URL", "https://gitlab.example/job/1"),
            ("GITLAB_TOKEN", TOKEN),
            ("CLOUDFLARE_API_TOKEN", crate::harness::TOKEN),
            ("CLOUDFLARE_ACCOUNT_ID", ACCOUNT),
            ("CI_MERGE_REQUEST_EVENT_TYPE", ""),
            ("ACCEPT", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.insert("CI_API_V4_URL".into(), self.gitlab.url());
        variables.insert("CLOUDFLARE_BASE_URL".into(), self.world.process_env("CLOUDFLARE_BASE_URL"));
        variables.extend(others.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        variables
    }

    fn merge_request(&self, kind: &str) -> BTreeMap<String, String> {
        let base = self.origin.head();
        self.variables(
            "merge_request_event",
            &[
                ("CI_MERGE_REQUEST_IID", "7"),
                ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "12"),
                ("CI_MERGE_REQUEST_PROJECT_ID", "12"),
                ("CI_MERGE_REQUEST_EVENT_TYPE", kind),
                ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &base),
            ],
        )
    }

    fn on_main(&self, source: &str, others: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut variables = self.variables(source, others);
        variables.insert("CI_COMMIT_BRANCH".into(), "main".into());
        variables.insert("CI_COMMIT_SHA".into(), self.origin.head());
        variables
    }

    /// The jobs of a pipeline with these variables.
    fn jobs(&self, variables: &BTreeMap<String, String>) -> Vec<String> {
        let rule = |rule: &Value| holds(rule["if"].as_str().unwrap(), variables);
        let pipeline = self.pipeline.as_object().unwrap();
        if !pipeline["workflow"]["rules"].as_array().unwrap().iter().any(rule) {
            return Vec::new();
        }
        let jobs = pipeline.iter().filter(|(_, job)| job["script"].is_array());
        let starts = jobs.filter(|(_, job)| job["rules"].as_array().unwrap().iter().any(rule));
        starts.map(|(name, _)| name.clone()).collect()
    }

    /// Runs a job on a commit, with the files of earlier jobs.
    fn job(&self, name: &str, variables: &BTreeMap<String, String>, commit: &str, files: &[(&str, &str)]) -> Ended {
        assert!(self.jobs(variables).contains(&name.to_owned()), "{name} does not start: {:?}", self.jobs(variables));
        let folder = tempfile::tempdir().unwrap();
        let checkout = folder.path().join("project");
        assert_eq!(self.pipeline["variables"]["GIT_DEPTH"], "0");
        self.origin.check_out(commit, 0, &checkout);
        for (path, text) in files {
            fs::write(checkout.join(path), text).unwrap();
        }
        let job = &self.pipeline[name];
        let lines = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
        };
        let mut script = lines(&self.pipeline["default"]["before_script"]);
        script.extend(lines(&job["script"]));
        let path = format!("{}:{}", self.programs.path().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-eo", "pipefail", "-c", &script.join("\n")])
            .current_dir(&checkout)
            .env_clear()
            .envs(variables)
            .envs([("PATH", path.as_str()), ("HOME", folder.path().to_str().unwrap())])
            .env("CI_PROJECT_DIR", &checkout)
            .output()
            .unwrap();
        let paths = job["artifacts"]["paths"].as_array().cloned().unwrap_or_default();
        let kept = output.status.success() || job["artifacts"]["when"] == "always";
        let artifacts = paths.iter().filter(|_| kept).filter_map(|path| {
            let path = path.as_str().unwrap();
            Some((path.to_owned(), fs::read_to_string(checkout.join(path)).ok()?))
        });
        Ended {
            code: output.status.code().unwrap(),
            log: format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
            artifacts: artifacts.collect(),
        }
    }

    fn notes(&self) -> Vec<String> {
        let kept = self.gitlab.kept.lock().unwrap();
        kept.notes.iter().map(|note| note["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Merges a commit as merge request 7, and returns the variables of the pipeline on the default branch.
    fn merged(&self, commit: &str) -> BTreeMap<String, String> {
        let before = self.origin.head();
        self.origin.push(commit);
        let request = json!([{ "iid": 7, "state": "merged", "merge_commit_sha": commit, "squash_commit_sha": null }]);
        self.gitlab.kept.lock().unwrap().requests.insert(commit.into(), request);
        self.on_main("push", &[("CI_COMMIT_BEFORE_SHA", &before)])
    }
}

#[test]
fn each_pipeline_starts_its_jobs() {
    let Some(setting) = setting() else { return };
    assert_eq!(setting.jobs(&setting.merge_request("detached")), ["plan", "validate"]);
    assert_eq!(setting.jobs(&setting.merge_request("merge_train")), ["train", "validate"]);
    assert_eq!(setting.jobs(&setting.on_main("push", &[])), ["apply", "validate"]);
    assert_eq!(setting.jobs(&setting.on_main("web", &[])), ["apply by hand", "everything", "validate"]);
    assert_eq!(setting.jobs(&setting.on_main("schedule", &[("CONVOKE_TASK", "due")])), ["due"]);
    assert_eq!(setting.jobs(&setting.on_main("schedule", &[("CONVOKE_TASK", "drift")])), ["drift"]);
    let mut fork = setting.merge_request("detached");
    // The pipeline of a fork's merge request runs in the fork.
    for name in ["CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_PROJECT_ID"] {
        fork.insert(name.into(), "99".into());
    }
    assert_eq!(setting.jobs(&fork), ["validate"]);
    let mut branch = setting.on_main("push", &[]);
    branch.insert("CI_COMMIT_BRANCH".into(), "elsewhere".into());
    assert_eq!(setting.jobs(&branch), Vec::<String>::new());
}

#[test]
fn change_goes_from_merge_request_to_account() {
    let Some(setting) = setting() else { return };
    setting.gitlab.kept.lock().unwrap().notes = (0..150)
        .map(|id| json!({ "id": id, "author": { "id": 5 }, "body": format!("<!-- convoke:plan -->\nDigest: `{}`", "f".repeat(64)) }))
        .collect();
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    for kind in ["merged_result", "detached"] {
        let ended = setting.job("plan", &setting.merge_request(kind), &merge, &[]);
        assert_eq!(ended.code, 0, "{}", ended.log);
        assert!(ended.artifacts.contains_key("plan.json") && !ended.log.contains(TOKEN), "{}", ended.log);
    }
    assert_eq!(setting.notes().len(), 151);
    assert!(setting.notes()[150].contains("carol@example.com"), "{}", setting.notes()[150]);

    let ended = setting.job("train", &setting.merge_request("merge_train"), &merge, &[]);
    assert_eq!(ended.code, 0, "{}", ended.log);

    let ended = setting.job("apply", &setting.merged(&merge), &merge, &[]);
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert!(setting.notes()[151].starts_with("<!-- convoke:apply -->\n"), "{}", setting.notes()[151]);
    assert!(ended.artifacts.contains_key("journal.jsonl"));
}

#[test]
fn gitlab_job_that_is_run_again_keeps_newer_changes() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 0);
    let old = setting.merged(&merge);
    for _ in 0..2 {
        let ended = setting.job("apply", &old, &merge, &[]);
        assert_eq!(ended.code, 0, "{}", ended.log);
    }
    setting.origin.commit(&[("groups/admins.yaml", ADMINS)]);
    setting.world.account().remove("Admins", "carol@example.com");
    let ended = setting.job("apply", &old, &merge, &[]);
    assert_eq!(ended.code, 4, "{}", ended.log);
    assert!(setting.notes()[1].contains("`carol@example.com` is not added"), "{}", setting.notes()[1]);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com"]);
}

#[test]
fn refused_plan_keeps_its_artifact() {
    let Some(setting) = setting() else { return };
    let empty = "version: 1\ngroups: { Admins: { members: [] } }\n";
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", empty)]);
    let ended = setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]);
    assert_eq!(ended.code, 3, "{}", ended.log);
    assert!(ended.artifacts.contains_key("plan.json"));
    assert_eq!(setting.notes().len(), 1);
}

#[test]
fn failed_plan_replaces_the_old_note() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 0);
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", "version: 1\ngroups: 3\n")]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 65);
    assert_eq!(setting.notes().len(), 1);
    assert!(!setting.notes()[0].contains("carol@example.com") && !setting.notes()[0].contains("Digest: `"));
    // After a complete revert, the change has no page either.
    let merge = setting.origin.merge_of("change", &[("README.md", "Hello\n")]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 0);
    assert!(setting.notes()[0].contains("No group is changed"), "{}", setting.notes()[0]);
}

#[test]
fn other_differences_are_applied_by_hand() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 0);
    setting.world.account().add("Admins", "frank@example.com");
    // The change does not concern frank, so the reviewed digest still counts.
    assert_eq!(setting.job("train", &setting.merge_request("merge_train"), &merge, &[]).code, 0);
    let ended = setting.job("apply", &setting.merged(&merge), &merge, &[]);
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert_eq!(setting.world.members("Admins").len(), 4);

    let by_hand = setting.on_main("web", &[]);
    let planned = setting.job("everything", &by_hand, &merge, &[]);
    assert_eq!(planned.code, 0, "{}", planned.log);
    let ended = setting.job("apply by hand", &by_hand, &merge, &[("plan.json", &planned.artifacts["plan.json"])]);
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert!(ended.artifacts.contains_key("journal.jsonl"));
}

#[test]
fn gitlab_apply_without_review_changes_nothing() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let ended = setting.job("apply", &setting.merged(&merge), &merge, &[]);
    assert!(ended.code != 0 && ended.log.contains("has no note with one digest"), "{}", ended.log);
    setting.gitlab.kept.lock().unwrap().requests.clear();
    let variables = setting.on_main("push", &[("CI_COMMIT_BEFORE_SHA", "f00")]);
    let ended = setting.job("apply", &variables, &merge, &[]);
    assert!(ended.code != 0 && ended.log.contains("No merged merge request"), "{}", ended.log);
    assert_eq!(setting.world.account().requests().len(), 0);
}

#[test]
fn token_that_is_refused_ends_the_job_and_is_named() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    for token in ["", "expired"] {
        let mut variables = setting.merge_request("merged_result");
        variables.insert("GITLAB_TOKEN".into(), token.into());
        let ended = setting.job("plan", &variables, &merge, &[]);
        assert!(ended.code != 0 && ended.log.contains("The variable GITLAB_TOKEN is missing"), "{}", ended.log);
    }
    assert_eq!(setting.notes(), Vec::<String>::new());
}

#[test]
fn schedules_end_access_and_report_drift() {
    let Some(setting) = setting() else { return };
    let temporary = "      - email: carol@example.com\n        until: 2026-01-31\n";
    setting.world.account().add("Admins", "carol@example.com");
    setting.world.account().remove("Readers", "erin@example.com");
    setting.origin.commit(&[("groups/admins.yaml", &format!("{ADMINS}{temporary}"))]);
    let commit = setting.origin.head();
    let due = setting.on_main("schedule", &[("CONVOKE_TASK", "due")]);
    let ended = setting.job("due", &due, &commit, &[]);
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com"]);
    assert_eq!(setting.world.members("Readers"), ["frank@example.com"]);

    let drift = setting.on_main("schedule", &[("CONVOKE_TASK", "drift")]);
    for _ in 0..2 {
        let ended = setting.job("drift", &drift, &commit, &[]);
        assert_eq!(ended.code, 0, "{}", ended.log);
    }
    assert_eq!(setting.gitlab.kept.lock().unwrap().issues.len(), 1);
    setting.world.account().add("Readers", "erin@example.com");
    assert_eq!(setting.job("drift", &drift, &commit, &[]).code, 0);
    assert_eq!(setting.gitlab.kept.lock().unwrap().issues[0]["state"], "closed");
}

#[test]
fn issue_on_gitlab_says_that_the_drift_changed() {
    let Some(mut setting) = setting() else { return };
    let commit = setting.origin.commit(&super::drift::FILES);
    // An issue that somebody opened with the same token, without a description.
    let own = json!({ "iid": 0, "state": "opened", "author": { "id": ME }, "title": "Own", "description": null });
    setting.gitlab.kept.lock().unwrap().issues.push(own);
    for (at, (seed, changes)) in super::drift::steps().into_iter().enumerate() {
        setting.world = given(seed);
        let drift = setting.on_main("schedule", &[("CONVOKE_TASK", "drift")]);
        let ended = setting.job("drift", &drift, &commit, &[]);
        assert_eq!(ended.code, 0, "{}", ended.log);
        assert_eq!(setting.gitlab.kept.lock().unwrap().remarks.len(), changes, "{at}: {}", ended.log);
    }
    assert_eq!(setting.gitlab.kept.lock().unwrap().issues.len(), 2);
}

#[test]
fn due_job_that_is_run_again_keeps_newer_changes() {
    let Some(setting) = setting() else { return };
    let due = || setting.on_main("schedule", &[("CONVOKE_TASK", "due")]);
    let entry = |field: &str, days: i64| {
        let day = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).strftime("%F");
        format!("{ADMINS}      - {{ email: carol@example.com, {field}: {day} }}\n")
    };
    // Carol may join, but a newer change takes that back. Then she may leave, but a newer change lets her stay.
    let members =
        [&["alice@example.com", "bob@example.com"][..], &["alice@example.com", "bob@example.com", "carol@example.com"]];
    for (old, new, expected) in
        [(entry("from", -2), ADMINS.to_owned(), members[0]), (entry("until", -2), entry("until", 30), members[1])]
    {
        let old = setting.origin.commit(&[("groups/admins.yaml", &old)]);
        setting.origin.commit(&[("groups/admins.yaml", &new)]);
        let account = setting.world.account();
        if expected.len() > account.members_of("Admins").len() {
            account.add("Admins", "carol@example.com");
        }
        let ended = setting.job("due", &due(), &old, &[]);
        assert_eq!(ended.code, 4, "{}", ended.log);
        assert!(ended.log.contains(&format!("{}:groups/admins.yaml", setting.origin.head())), "{}", ended.log);
        assert_eq!(setting.world.members("Admins"), expected, "{}", ended.log);
    }
}

#[test]
fn plan_warns_of_newer_changes_of_the_target_branch() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let variables = setting.merge_request("merged_result");
    let planned = || {
        assert_eq!(setting.job("plan", &variables, &merge, &[]).code, 0);
        setting.notes()[0].clone()
    };
    assert!(!planned().contains("target branch"), "{}", planned());
    setting.origin.commit(&[("README.md", "Hello\n")]);
    assert!(!planned().contains("target branch"), "{}", planned());
    setting.origin.commit(&[("groups/readers.yaml", &READERS.replace("frank", "grace"))]);
    assert!(planned().contains("The target branch has changed the groups"), "{}", planned());
}

#[test]
fn note_says_what_to_do_without_the_saved_plan() {
    let Some(setting) = setting() else { return };
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 0);
    let note = setting.notes()[0].clone();
    assert!(note.contains("To apply this plan, merge the merge request.\n") && !note.contains("plan.json"), "{note}");
    // A limit refuses the next plan.
    let more = format!("{ADMINS}      - carol@example.com\n      - dave@example.com\n");
    setting.origin.commit(&[("groups/admins.yaml", &more)]);
    for person in ["carol@example.com", "dave@example.com"] {
        setting.world.account().add("Admins", person);
    }
    let fewer = ADMINS.replace("      - alice@example.com\n", "");
    let merge = setting.origin.merge_of("fewer", &[("groups/admins.yaml", &fewer)]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 3);
    let note = setting.notes()[0].clone();
    assert!(note.contains("as the variable ACCEPT.\n") && !note.contains("plan.json"), "{note}");
    assert!(note.contains("Digest: `"), "{note}");
}

#[test]
fn offboarding_on_gitlab_ends_with_what_remains() {
    let Some(mut setting) = setting() else { return };
    setting.world = given(seed().group("Legacy", ["carol@example.com"]));
    setting.origin.commit(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    setting.world.account().add("Admins", "carol@example.com");
    let merge = setting.origin.merge_of("change", &[("groups/admins.yaml", ADMINS)]);
    assert_eq!(setting.job("plan", &setting.merge_request("merged_result"), &merge, &[]).code, 0);
    let variables = setting.merged(&merge);
    let request = |branch: &str| {
        let about = "task: `offboard` asked: `tanuki` person: `carol@example.com` group: `all` until: `` reason: `x` ";
        setting.gitlab.kept.lock().unwrap().requests.get_mut(&merge).unwrap()[0]
            .as_object_mut()
            .unwrap()
            .extend([("source_branch".into(), branch.into()), ("description".into(), about.into())]);
    };
    // A branch of somebody else is no offboarding.
    for (branch, notes) in [("change", 2), ("convoke/offboard-9", 3)] {
        request(branch);
        let ended = setting.job("apply", &variables, &merge, &[]);
        assert_eq!((ended.code, setting.notes().len()), (0, notes), "{}", ended.log);
    }
    let note = setting.notes()[2].clone();
    assert!(note.contains("    Legacy: a member; no file declares the group") && !note.contains("Admins"), "{note}");
}

#[test]
fn image_is_pinned_by_digest() {
    let pipeline = yaml(&repository("examples/ci/gitlab/.gitlab-ci.yml"));
    let image = pipeline["default"]["image"].as_str().unwrap();
    assert!(image.ends_with(&format!("@sha256:{}", "0".repeat(64))), "{image}");
}
