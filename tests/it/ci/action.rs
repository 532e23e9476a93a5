//! The action: what it shows, what it applies, and what it refuses to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use convoke::sandbox::Seed;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::checkout::{Repository, tools_are_there};
use super::github::{self, BOT, Github};
use super::runner::{Event, Job, PLACEHOLDER, Runner};
use crate::builders::SeedExt as _;
use crate::harness::{ACCOUNT, World, binary, given};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
const TARGET: &str = "x86_64-unknown-linux-musl";

/// A repository on GitHub, its account, and a release of convoke.
pub struct Setting {
    pub world: World,
    pub github: Github,
    pub origin: Repository,
    pub folder: TempDir,
}

/// Puts the program under test into a folder.
pub fn put_convoke(folder: &Path) {
    program(folder, "convoke", &format!("exec '{}' \"$@\"", binary().display()));
}

/// The account: two groups, and two people outside them.
pub fn seed() -> Seed {
    Seed::default()
        .people(["carol@example.com", "dave@example.com"])
        .group("Admins", ["alice@example.com", "bob@example.com"])
        .group("Readers", ["erin@example.com", "frank@example.com"])
}

/// The account, and files that declare the same.
pub fn setting() -> Option<Setting> {
    setting_of(seed())
}

/// An account of this seed, and the same files.
pub fn setting_of(seed: Seed) -> Option<Setting> {
    if !tools_are_there() {
        return None;
    }
    let setting = Setting {
        world: given(seed),
        github: github::start(),
        origin: Repository::new(&[("groups/admins.yaml", ADMINS), ("groups/readers.yaml", READERS)]),
        folder: tempfile::tempdir().unwrap(),
    };
    setting.release(&setting.folder.path().join("release"));
    // The scripts wait for a slow API. Here time passes at once, and is counted.
    let slept = setting.folder.path().join("slept");
    program(&setting.folder.path().join("programs"), "sleep", &format!("echo \"$1\" >> '{}'", slept.display()));
    Some(setting)
}

pub const ADMINS: &str = "\
version: 1
groups:
  Admins:
    members:
      - alice@example.com
      - bob@example.com
";

pub const READERS: &str = "\
version: 1
groups:
  Readers:
    members:
      - erin@example.com
      - frank@example.com
";

/// The administrators, and Carol.
pub fn admins_with(person: &str) -> String {
    format!("{ADMINS}      - {person}\n")
}

impl Setting {
    /// Publishes a release whose binary is the program under test.
    fn release(&self, folder: &Path) {
        let name = format!("convoke-{VERSION}-{TARGET}");
        let inside = folder.join(&name);
        fs::create_dir_all(&inside).unwrap();
        put_convoke(&inside);
        let archive = folder.join(format!("{name}.tar.gz"));
        run("tar", &["-czf", archive.to_str().unwrap(), "-C", folder.to_str().unwrap(), &name]);
        let digest = run("sh", &["-c", "sha256sum < \"$0\" || shasum -a 256 < \"$0\"", archive.to_str().unwrap()]);
        let digest = digest.split(' ').next().unwrap();
        let file = format!("{name}.tar.gz");
        let mut kept = self.github.kept.lock().unwrap();
        kept.assets = vec![fs::read(&archive).unwrap(), format!("{digest}  {file}\n").into_bytes()];
        kept.release = Some(json!({ "assets": [{ "id": 0, "name": file }, { "id": 1, "name": "SHA256SUMS" }] }));
        let commit = PLACEHOLDER.split_once('@').unwrap().1.to_owned();
        kept.commits.insert(format!("v{VERSION}"), commit);
    }

    /// The seconds that scripts waited.
    pub fn slept(&self) -> u32 {
        let text = fs::read_to_string(self.folder.path().join("slept")).unwrap_or_default();
        text.lines().map(|line| line.parse::<u32>().unwrap()).sum()
    }

    pub fn runner(&self) -> Runner<'_> {
        Runner {
            world: &self.world,
            github: &self.github,
            origin: &self.origin,
            programs: vec![self.folder.path().join("programs")],
            environment: [].into(),
            depth: 0,
            stop: None,
        }
    }

    /// The event of pull request 7 with these files.
    pub fn pull_request(&self, files: &[(&str, &str)]) -> Event {
        Self::tested(self.origin.merge_of("change", files))
    }

    /// The event of pull request 7 from this branch.
    pub fn pull_request_of(&self, branch: &str) -> Event {
        Self::tested(self.origin.merged_branch(branch))
    }

    /// The event of pull request 7, tested as this merge commit.
    fn tested(sha: String) -> Event {
        Self::numbered(7, sha)
    }

    /// The event of a pull request, tested as this merge commit.
    pub fn numbered(number: u64, sha: String) -> Event {
        Event {
            name: "pull_request",
            payload: json!({ "pull_request": { "number": number, "head": { "repo": { "full_name": "acme/access" } } } }),
            reference: format!("refs/pull/{number}/merge"),
            sha,
        }
    }

    /// Merges a commit as pull request 7, and returns the event of the push.
    pub fn merged(&self, event: &Event) -> Event {
        self.pushed(&[(7, &event.sha)])
    }

    /// Moves `main` to the last of these commits, each merged as this pull request, and returns the event of the push.
    pub fn pushed(&self, merges: &[(u64, &str)]) -> Event {
        let before = self.origin.head();
        let mut end = String::new();
        for (number, sha) in merges {
            let pulls = json!([
                { "number": 8, "merged_at": null, "merge_commit_sha": "f00" },
                { "number": number, "merged_at": "2026-11-24T00:00:00Z", "merge_commit_sha": sha },
            ]);
            self.github.kept.lock().unwrap().pulls.insert((*sha).to_owned(), pulls);
            end = (*sha).to_owned();
        }
        self.origin.push(&end);
        Event {
            name: "push",
            payload: json!({ "before": before, "after": end }),
            reference: "refs/heads/main".into(),
            sha: end,
        }
    }

    /// The event of a schedule or of a manual run.
    pub fn on_main(&self, name: &'static str) -> Event {
        Event { name, payload: json!({}), reference: "refs/heads/main".into(), sha: self.origin.head() }
    }

    pub fn plan(&self, event: &Event) -> Job {
        self.runner().action(inputs("plan", json!({ "only-changed": "true" })), event)
    }

    pub fn apply(&self, event: &Event) -> Job {
        self.runner().action(inputs("apply", json!({ "only-changed": "true" })), event)
    }
}

/// The inputs of a command, for the folder of groups.
pub fn inputs(command: &str, others: Value) -> Value {
    let mut inputs = json!({
        "command": command, "files": "groups", "account-id": ACCOUNT, "api-token": crate::harness::TOKEN,
    });
    inputs.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    inputs
}

/// Writes an executable script.
pub fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub fn run(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub fn succeeded(job: &Job) {
    assert_eq!(job.conclusion, "success", "{}", job.log);
}

#[track_caller]
pub fn failed(job: &Job, saying: &str) {
    assert_eq!(job.conclusion, "failure", "{}", job.log);
    assert!(job.log.contains(saying), "the log lacks {saying:?}:\n{}", job.log);
}

/// The digest in a page.
pub fn digest(page: &str) -> &str {
    let lines = page.lines().filter_map(|line| line.strip_prefix("Digest: `")?.strip_suffix('`'));
    let digests: Vec<&str> = lines.collect();
    assert_eq!(digests.len(), 1, "{page}");
    digests[0]
}

#[test]
fn second_push_updates_the_one_comment() {
    let Some(setting) = setting() else { return };
    let job = setting.plan(&setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]));
    succeeded(&job);
    let first = setting.github.comments(7);
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with("<!-- convoke:plan -->\n") && first[0].contains("carol@example.com"), "{}", first[0]);
    assert_eq!(job.outputs["digest"], digest(&first[0]));
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["0", "changes"]);
    assert!(job.summary.contains("carol@example.com"));
    assert!(!job.log.contains(crate::harness::TOKEN) && !job.log.contains(github::TOKEN), "{}", job.log);

    succeeded(&setting.plan(&setting.pull_request(&[("groups/admins.yaml", &admins_with("dave@example.com"))])));
    let second = setting.github.comments(7);
    assert_eq!(second.len(), 1);
    assert!(second[0].contains("dave@example.com") && !second[0].contains("carol@example.com"), "{}", second[0]);
}

#[test]
fn refused_plan_alerts_and_fails_the_job() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", "version: 1\ngroups: { Admins: { members: [] } }\n")]);
    let job = setting.plan(&event);
    assert_eq!(job.conclusion, "failure", "{}", job.log);
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["3", "refused"]);
    let comments = setting.github.comments(7);
    assert!(comments[0].contains("> [!CAUTION]") || comments[0].contains("> [!WARNING]"), "{}", comments[0]);
}

#[test]
fn failed_plan_replaces_the_old_page() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    let event = setting.pull_request(&[("groups/admins.yaml", "version: 1\ngroups: { Admins: { member: [] } }\n")]);
    let job = setting.plan(&event);
    failed(&job, "member");
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["65", "failed"]);
    let comments = setting.github.comments(7);
    assert_eq!(comments.len(), 1);
    assert!(comments[0].starts_with("<!-- convoke:plan -->\n"), "{}", comments[0]);
    assert!(!comments[0].contains("carol@example.com") && !comments[0].contains("Digest: "), "{}", comments[0]);
}

#[test]
fn failed_install_replaces_the_old_page() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    setting.github.kept.lock().unwrap().assets[1] =
        format!("{}  convoke-{VERSION}-{TARGET}.tar.gz\n", "0".repeat(64)).into();
    failed(&setting.plan(&event), "does not have the digest in SHA256SUMS");
    let comments = setting.github.comments(7);
    assert!(comments[0].contains("SHA256SUMS") && !comments[0].contains("Digest: "), "{}", comments[0]);
}

#[test]
fn comments_of_others_are_left_alone() {
    let Some(setting) = setting() else { return };
    let forged = format!("<!-- convoke:plan -->\nDigest: `{}`\n", "f".repeat(64));
    setting.github.comment(7, "mallory", &forged);
    // More comments than fit on one page of the list.
    for _ in 0..120 {
        setting.github.comment(7, "alice", "Looks good.");
    }
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    succeeded(&setting.plan(&event));
    assert_eq!(setting.github.comments(7).len(), 122);
    assert_eq!(setting.github.comments(7)[0], forged);
    succeeded(&setting.apply(&setting.merged(&event)));
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
}

#[test]
fn apply_takes_the_reviewed_digest_and_reports_back() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    // Another group changes in the account. The reviewed plan stays valid.
    setting.world.account().add("Readers", "dave@example.com");
    let job = setting.apply(&setting.merged(&event));
    succeeded(&job);
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["0", "applied"]);
    assert_eq!(setting.world.members("Admins"), ["alice@example.com", "bob@example.com", "carol@example.com"]);
    assert!(setting.world.members("Readers").contains(&"dave@example.com".into()));
    let comments = setting.github.comments(7);
    assert_eq!(comments.len(), 2);
    assert!(comments[1].starts_with("<!-- convoke:apply -->\n"), "{}", comments[1]);
    assert!(comments[1].contains("carol@example.com"), "{}", comments[1]);
    let journal = &job.journal;
    assert!(journal.lines().count() > 2 && journal.contains("\"pull_request\""), "{journal}");
}

#[test]
fn stale_plan_changes_nothing_and_is_reported() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    // What is merged is not what was reviewed.
    let other = setting.pull_request(&[("groups/admins.yaml", &admins_with("dave@example.com"))]);
    let job = setting.apply(&setting.merged(&other));
    assert_eq!(job.conclusion, "failure", "{}", job.log);
    assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["4", "stale"]);
    assert!(!setting.world.members("Admins").contains(&"carol@example.com".into()));
    assert!(setting.github.comments(7)[1].to_lowercase().contains("stale"), "{}", setting.github.comments(7)[1]);
}

#[test]
fn github_apply_without_review_changes_nothing() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    let merged = setting.merged(&event);
    // The pull request was merged before its plan was made.
    failed(&setting.apply(&merged), "has no comment of github-actions[bot] with the digest of a plan");
    assert!(setting.github.comments(7)[0].starts_with("<!-- convoke:apply -->\n"));
    // A digest by another author does not count.
    setting.github.comment(7, "mallory", &format!("<!-- convoke:plan -->\nDigest: `{}`\n", "f".repeat(64)));
    failed(&setting.apply(&merged), "has no comment of github-actions[bot] with the digest of a plan");
    // No pull request has the commit.
    setting.github.kept.lock().unwrap().pulls.clear();
    failed(&setting.apply(&merged), "No merged pull request belongs to this commit");
    assert_eq!(setting.world.account().requests().len(), 0);
}

#[test]
fn two_digests_in_a_pull_request_are_refused() {
    let Some(setting) = setting() else { return };
    for digit in ["a", "b"] {
        setting.github.comment(7, BOT, &format!("<!-- convoke:plan -->\r\nDigest: `{}`\r\n", digit.repeat(64)));
    }
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    failed(&setting.apply(&setting.merged(&event)), "different digests");
    assert_eq!(setting.world.account().requests().len(), 0);
}

#[test]
fn named_uses_have_their_own_comments() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    for name in ["europe", "asia", "", "asia"] {
        let base = json!({ "base": "HEAD^1", "name": name });
        succeeded(&setting.runner().action(inputs("plan", base), &event));
    }
    let comments = setting.github.comments(7);
    assert_eq!(comments.len(), 3);
    let second_lines: Vec<&str> = comments.iter().map(|body| body.lines().nth(1).unwrap()).collect();
    assert_eq!(second_lines[..2], ["<!-- convoke:name europe -->", "<!-- convoke:name asia -->"]);
    let merged = setting.merged(&event);
    let job = setting.runner().action(inputs("apply", json!({ "base": "HEAD^1", "name": "asia" })), &merged);
    succeeded(&job);
    assert!(job.journal.contains("\"pull_request\""), "{}", job.journal);
}

#[test]
fn unrelated_pull_request_sends_no_request() {
    let Some(setting) = setting() else { return };
    setting.github.kept.lock().unwrap().release = None;
    let event = setting.pull_request(&[("README.md", "Hello\n")]);
    succeeded(&setting.plan(&event));
    assert_eq!(setting.github.comments(7), Vec::<String>::new());
    assert_eq!(setting.world.account().requests().len(), 0);
    // A push that reverts the change removes the page.
    setting.github.comment(7, BOT, &format!("<!-- convoke:plan -->\nDigest: `{}`\n", "a".repeat(64)));
    succeeded(&setting.plan(&event));
    let comments = setting.github.comments(7);
    assert!(comments[0].starts_with("<!-- convoke:plan -->\n") && !comments[0].contains("Digest"), "{}", comments[0]);
}

#[test]
fn first_pull_request_has_an_empty_base() {
    let Some(setting) = setting() else { return };
    setting.origin.git(&["rm", "--quiet", "-r", "groups"]);
    setting.origin.commit(&[("README.md", "Hello\n")]);
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    assert!(setting.github.comments(7)[0].contains("carol@example.com"));
}

#[test]
fn change_behind_a_link_is_planned() {
    let Some(setting) = setting() else { return };
    setting.origin.git(&["mv", "groups/admins.yaml", "admins.yaml"]);
    setting.origin.link("../admins.yaml", "groups/admins.yaml");
    let event = setting.pull_request(&[("admins.yaml", &admins_with("carol@example.com"))]);
    succeeded(&setting.plan(&event));
    assert!(setting.github.comments(7)[0].contains("carol@example.com"));
}

#[test]
fn change_without_an_effect_is_applied_too() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &format!("# Who may do everything.\n{ADMINS}"))]);
    succeeded(&setting.plan(&event));
    let job = setting.apply(&setting.merged(&event));
    succeeded(&job);
    assert_eq!(job.outputs["status"], "in_sync", "{}", job.log);
    assert_eq!(job.journal, "");
}

#[test]
fn base_that_was_not_fetched_is_an_error() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    for only_changed in ["true", "false"] {
        let base = json!({ "base": "a".repeat(40), "only-changed": only_changed });
        failed(&setting.runner().action(inputs("plan", base), &event), "The checkout has no commit");
    }
    let outside = json!({ "base": "HEAD^1", "files": "groups/../../groups" });
    failed(&setting.runner().action(inputs("plan", outside), &event), "have to be below the checkout");
}

#[test]
fn input_of_another_command_is_an_error() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("workflow_dispatch");
    for (command, input, value) in [
        ("drift", "base", "HEAD^1"),
        ("plan", "accept", "abc"),
        ("validate", "sandbox", "seed.yaml"),
        ("apply", "format", "html"),
        ("review", "due", "true"),
    ] {
        let mut given = json!({ "command": command, "files": "groups" });
        given[input] = value.into();
        failed(&setting.runner().action(given, &event), &format!("The input \"{input}\" is not for the command"));
    }
    failed(&setting.runner().action(json!({ "command": "undo" }), &event), "The command has to be plan");
    failed(&setting.runner().action(json!({ "command": "plan", "name": "a b" }), &event), "may hold letters");
}

#[test]
fn inputs_never_become_flags_or_commands() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("workflow_dispatch");
    let hostile = "--version\n  $(touch hacked)  \n`touch hacked`; touch hacked";
    let job = setting.runner().action(json!({ "command": "validate", "files": hostile }), &event);
    failed(&job, "$(touch hacked)");
    assert_eq!(job.outputs["exit-code"], "65", "{}", job.log);
    failed(&setting.runner().action(inputs("plan", json!({ "expect": "--yes" })), &event), "has to be a digest");
    let account = json!({ "account-id": "-h" });
    assert_eq!(setting.runner().action(inputs("plan", account), &event).outputs["exit-code"], "64");
}

#[test]
fn result_that_cannot_be_shown_fails_the_job() {
    let Some(setting) = setting() else { return };
    setting.github.kept.lock().unwrap().forbidden = Some("comments");
    let event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    failed(&setting.plan(&event), "give the job the permission");
}

#[test]
fn one_issue_opens_and_closes_with_the_drift() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("schedule");
    let drift = || setting.runner().action(inputs("drift", json!({})), &event);
    succeeded(&drift());
    assert_eq!(setting.github.kept.lock().unwrap().issues.len(), 0);
    setting.world.account().add("Admins", "carol@example.com");
    for _ in 0..2 {
        let job = drift();
        succeeded(&job);
        assert_eq!([&job.outputs["exit-code"], &job.outputs["status"]], ["2", "changes"]);
    }
    {
        let kept = setting.github.kept.lock().unwrap();
        assert_eq!(kept.issues.len(), 1);
        let body = kept.issues[0]["body"].as_str().unwrap();
        assert!(body.starts_with("<!-- convoke:drift -->\n") && body.contains("carol@example.com"), "{body}");
    }
    // A run that could not compare reports nothing about the account.
    let unreachable = setting.world.process_env("CLOUDFLARE_BASE_URL") + "/nowhere";
    let mut runner = setting.runner();
    runner.environment.insert("CLOUDFLARE_BASE_URL".into(), unreachable);
    assert_eq!(runner.action(inputs("drift", json!({})), &event).conclusion, "failure");
    assert_eq!(setting.github.kept.lock().unwrap().issues[0]["state"], "open");
    setting.world.account().remove("Admins", "carol@example.com");
    succeeded(&drift());
    assert_eq!(setting.github.kept.lock().unwrap().issues[0]["state"], "closed");
    assert!(setting.github.comments(1)[0].contains("matches the files again"));
    setting.world.account().add("Admins", "carol@example.com");
    succeeded(&drift());
    assert_eq!(setting.github.kept.lock().unwrap().issues.len(), 2);
}

#[test]
fn drift_without_an_issue_fails_the_job() {
    let Some(setting) = setting() else { return };
    setting.world.account().add("Admins", "carol@example.com");
    let event = setting.on_main("schedule");
    let job = setting.runner().action(inputs("drift", json!({ "comment": "false" })), &event);
    assert_eq!((job.conclusion, &job.outputs["exit-code"]), ("failure", &json!("2")), "{}", job.log);
    assert_eq!(setting.github.kept.lock().unwrap().issues.len(), 0);
}

#[test]
fn binary_of_another_commit_is_never_used() {
    let Some(setting) = setting() else { return };
    let built = setting.folder.path().join("cargo");
    let cargo = format!(
        "echo \"cargo $*\"\nwhile [ \"$1\" != --root ]; do shift; done\nmkdir -p \"$2/bin\"\nln -s '{}' \"$2/bin/convoke\"",
        binary().display()
    );
    program(&built, "cargo", &cargo);
    let mut runner = setting.runner();
    runner.programs.push(built);
    let event = setting.on_main("workflow_dispatch");
    let validate = json!({ "command": "validate", "files": "groups" });
    let tag = format!("v{VERSION}");
    for reason in ["is not the commit of", "has no tag", "there is no release", "has no convoke-"] {
        setting.release(&setting.folder.path().join("again"));
        {
            let mut kept = setting.github.kept.lock().unwrap();
            match reason {
                "is not the commit of" => drop(kept.commits.insert(tag.clone(), "f00".into())),
                "has no tag" => kept.commits.clear(),
                "there is no release" => kept.release = None,
                _ => kept.release = Some(json!({ "assets": [] })),
            }
        }
        let job = runner.action(validate.clone(), &event);
        succeeded(&job);
        assert!(job.log.contains(reason) && job.log.contains("cargo install --locked --path"), "{}", job.log);
    }
}

#[test]
fn release_without_checksums_is_refused() {
    let Some(setting) = setting() else { return };
    setting.github.kept.lock().unwrap().release.as_mut().unwrap()["assets"].as_array_mut().unwrap().pop();
    let event = setting.on_main("workflow_dispatch");
    let job = setting.runner().action(json!({ "command": "validate", "files": "groups" }), &event);
    failed(&job, "has no SHA256SUMS");
}

#[test]
fn action_without_a_command_only_installs() {
    let Some(setting) = setting() else { return };
    let event = setting.on_main("workflow_dispatch");
    let job = setting.runner().action(json!({}), &event);
    succeeded(&job);
    assert!(job.log.contains(&format!("convoke {VERSION} is the release of OWNER/convoke")), "{}", job.log);
}

#[test]
fn sandbox_needs_no_account() {
    let Some(setting) = setting() else { return };
    let seed = "version: 1\ngroups: { Admins: { members: [alice@example.com] }, Readers: { members: [] } }\n";
    setting.origin.commit(&[("seed.yaml", seed)]);
    let event = setting.on_main("workflow_dispatch");
    let job = setting.runner().action(json!({ "command": "plan", "files": "groups", "sandbox": "seed.yaml" }), &event);
    assert!(job.log.contains("bob@example.com"), "{}", job.log);
    assert_eq!(setting.world.account().requests().len(), 0);
}

#[test]
fn fork_gets_the_reason_without_a_plan() {
    let Some(setting) = setting() else { return };
    let mut event = setting.pull_request(&[("groups/admins.yaml", &admins_with("carol@example.com"))]);
    event.payload["pull_request"]["head"]["repo"]["full_name"] = "mallory/access".into();
    let base = json!({ "base": "HEAD^1", "only-changed": "true", "api-token": "" });
    failed(&setting.runner().action(inputs("plan", base), &event), "A pull request from a fork gets no secrets");
    assert_eq!(setting.github.comments(7), Vec::<String>::new());
    succeeded(&setting.runner().action(json!({ "command": "validate", "files": "groups" }), &event));
}

#[test]
fn validate_annotates_and_comments_nothing() {
    let Some(setting) = setting() else { return };
    let event = setting.pull_request(&[("groups/admins.yaml", "version: 1\ngroups: { Admins: { member: [] } }\n")]);
    let job = setting.runner().action(json!({ "command": "validate", "files": "groups" }), &event);
    failed(&job, "::error file=groups/admins.yaml,line=2");
    assert_eq!(setting.github.kept.lock().unwrap().writes, Vec::<String>::new());
}

/// Runs one script of the action, with a folder for its files.
fn script(name: &str, folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut bash = Command::new("bash");
    bash.arg(crate::harness::repository(&format!(".github/action/{name}")))
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("RUNNER_OS", "Linux")
        .env("RUNNER_TEMP", folder)
        .env("GITHUB_OUTPUT", folder.join("outputs"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary"))
        .envs(environment.iter().copied());
    bash
}

#[test]
fn too_long_page_keeps_its_digest() {
    let Some(setting) = setting() else { return };
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.md");
    let digest = "a".repeat(64);
    let lines = "- `Admins` loses `é@example.com`\n".repeat(3000);
    fs::write(&report, format!("<!-- convoke:plan -->\n{lines}\nDigest: `{digest}`\n")).unwrap();
    let environment = [
        ("GITHUB_API_URL", &*setting.github.url()),
        ("GITHUB_GRAPHQL_URL", &format!("{}/graphql", setting.github.url())),
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_REPOSITORY", "acme/access"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_TOKEN", github::TOKEN),
        ("COMMAND", "plan"),
        ("NAME", ""),
        ("REPORT", report.to_str().unwrap()),
        ("EXIT_CODE", "0"),
        ("DIGEST", &digest),
        ("PULL_REQUEST", "7"),
        ("TOUCHED", ""),
    ];
    let output = script("report.sh", folder.path(), &environment).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let comment = &setting.github.comments(7)[0];
    assert_eq!(self::digest(comment), digest);
    assert!(comment.contains("The summary of the job holds all of it."), "{comment}");
}
