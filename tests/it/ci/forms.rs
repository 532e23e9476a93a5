//! The forms. Each edits the files in its own branch, and opens a pull request with the request.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::action::{ADMINS, Setting, failed, program, seed, setting, setting_of, succeeded};
use super::github;
use super::runner::{Event, Job, Runner, yaml};
use crate::builders::SeedExt as _;
use crate::harness::repository;

pub const ACCESS: &str = "examples/ci/github/access-request.yaml";
const OFFBOARD: &str = "examples/ci/github/offboard.yaml";
const OFFBOARDED: &str = "examples/ci/github/offboarded.yaml";
const PRUNE: &str = "examples/ci/github/prune.yaml";
const ADOPT: &str = "examples/ci/github/adopt.yaml";

/// Runs a form with a mock of `gh`. Returns the job, the arguments of `gh`, and the text of the pull request.
pub fn submit(setting: &Setting, form: &str, inputs: Value) -> (Job, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let script = format!(
        "printf '%s\\n' \"$*\" >> '{calls}'\nwhile [ $# -gt 0 ]; do\n  if [ \"$1\" = --body-file ]; then cat \"$2\" > '{body}'; fi\n  shift\ndone",
        calls = file("calls"),
        body = file("body"),
    );
    let gh: PathBuf = program(&folder.path().join("programs"), "gh", &script);
    let runner = Runner { programs: vec![gh.parent().unwrap().to_owned()], ..setting.runner() };
    let name = only_job(form);
    let mut values = inputs;
    values["GH_TOKEN"] = github::TOKEN.into();
    values["APP"] = "false".into();
    let job = runner.run(form, &name, &setting.on_main("workflow_dispatch"), values);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    (job, read("calls"), read("body"))
}

fn only_job(form: &str) -> String {
    yaml(&repository(form))["jobs"].as_object().unwrap().keys().next().unwrap().clone()
}

pub fn request(person: &str, group: &str, duration: &str, reason: &str) -> Value {
    json!({ "person": person, "group": group, "duration": duration, "reason": reason })
}

/// The branches besides `main`.
fn branches(setting: &Setting) -> Vec<String> {
    let all = setting.origin.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
    all.lines().filter(|branch| *branch != "main").map(str::to_owned).collect()
}

#[test]
fn access_request_becomes_a_pull_request() {
    let Some(setting) = setting() else { return };
    let (job, calls, body) =
        submit(&setting, ACCESS, request("carol@example.com", "Admins", "2999-12-31", "INC-1 cover"));
    succeeded(&job);
    assert_eq!(branches(&setting), ["convoke/access-77-1"]);
    let entry = "      - email: carol@example.com\n        until: 2999-12-31\n        reason: INC-1 cover";
    let edited = setting.origin.git(&["show", "convoke/access-77-1:groups/admins.yaml"]);
    assert_eq!(edited, format!("{ADMINS}{entry}"));
    assert_eq!(setting.origin.git(&["diff", "--name-only", "main", "convoke/access-77-1"]), "groups/admins.yaml");
    assert!(
        calls.contains("pr create --base main --head convoke/access-77-1 --title Access request by octocat"),
        "{calls}"
    );
    for line in [
        "    asked    octocat",
        "    person   carol@example.com",
        "    group    Admins",
        "    until    2999-12-31",
        "    reason   INC-1 cover",
        "    +      - email: carol@example.com",
        "The checks of this pull request do not start automatically. Close the pull request and open it again.",
    ] {
        assert!(body.lines().any(|other| other == line), "{line:?} is missing:\n{body}");
    }
}

#[test]
fn inputs_cannot_become_commands_flags_or_markdown() {
    let Some(setting) = setting() else { return };
    let hostile = "$(touch pwned) `touch pwned` ; @team #1\n# heading\n::add-mask::x <img src=x>";
    let (job, ..) = submit(&setting, ACCESS, request("carol@example.com", "Admins", "", hostile));
    // A reason with several lines is refused.
    failed(&job, "--reason has control characters");
    let hostile = hostile.replace('\n', " ");
    let (job, calls, body) = submit(&setting, ACCESS, request("carol@example.com", "Admins", "", &hostile));
    succeeded(&job);
    let prose = body.lines().filter(|line| !line.starts_with("    ")).collect::<Vec<_>>().join("\n");
    assert!(!prose.contains("team") && !prose.contains("img") && !prose.contains("carol"), "{body}");
    assert!(body.contains(&format!("    reason   {hostile}\n")), "{body}");
    assert!(!calls.contains("team") && !calls.contains("carol"), "{calls}");
    let message = setting.origin.git(&["log", "-1", "--format=%B%an%ae", "convoke/access-77-1"]);
    assert!(!message.contains("team") && !message.contains("carol"), "{message}");
    let files = setting.origin.git(&["ls-tree", "-r", "--name-only", "convoke/access-77-1"]);
    assert_eq!(files, "groups/admins.yaml\ngroups/readers.yaml");
    for (person, group) in [("--everywhere", "Admins"), ("carol@example.com", "--dry-run"), ("$(id)", "Admins")] {
        assert_eq!(
            submit(&setting, ACCESS, request(person, group, "", "x")).0.conclusion,
            "failure",
            "{person} {group}"
        );
    }
    let twice = submit(&setting, ACCESS, request("carol@example.com", "Admins", "+1h --everywhere", "x")).0;
    assert_eq!(twice.conclusion, "failure");
}

#[test]
fn request_that_changes_nothing_opens_nothing() {
    let Some(setting) = setting() else { return };
    let (job, calls, _) = submit(&setting, ACCESS, request("alice@example.com", "Admins", "+8h", "again"));
    succeeded(&job);
    assert!(job.summary.contains("Nothing to change"), "{}", job.summary);
    assert!(calls.is_empty() && branches(&setting).is_empty(), "{calls}");
}

#[test]
fn leaver_is_removed_in_a_pull_request() {
    let Some(setting) = setting() else { return };
    let id = "4f5f0c14a2a41d5063dd301b2f829f04";
    let lists = "version: 1\nrosters:\n  all:\n    - bob@example.com\n    - id: 4f5f0c14a2a41d5063dd301b2f829f04\n";
    setting.origin.commit(&[("groups/rosters.yaml", lists)]);
    let inputs = json!({ "person": "bob@example.com", "last-day": "", "reason": "HR-7" });
    let (job, calls, body) = submit(&setting, OFFBOARD, inputs);
    succeeded(&job);
    let changed = setting.origin.git(&["diff", "-U0", "main", "convoke/offboard-77-1"]);
    assert!(changed.contains("-      - bob@example.com") && changed.contains("-    - bob@example.com"), "{changed}");
    assert!(calls.contains("--title Offboarding, requested by octocat"), "{calls}");
    assert!(body.contains("    until    now\n") && body.contains("    reason   HR-7\n") && body.contains(id), "{body}");
    let nobody = json!({ "person": "nobody@example.com", "last-day": "", "reason": "HR-8" });
    failed(&submit(&setting, OFFBOARD, nobody).0, "is not in any group or roster");
}

#[test]
fn misspelled_address_is_named_in_the_pull_request() {
    let Some(setting) = setting() else { return };
    let (job, _, body) = submit(&setting, ACCESS, request("alicee@example.com", "Admins", "+8h", "INC-2"));
    succeeded(&job);
    assert!(
        body.contains("    warning: alicee@example.com is in no list yet; did you mean alice@example.com?"),
        "{body}"
    );
}

/// A leaver in a group that would be too small without them, in another one, in one of an identity provider and in one
/// that no file declares.
fn with_leaver() -> Option<Setting> {
    let seed = seed()
        .group("Writers", ["bob@example.com", "erin@example.com"])
        .group("Staff", ["bob@example.com", "erin@example.com"])
        .group("Legacy", ["bob@example.com"]);
    let setting = setting_of(seed)?;
    let admins = ADMINS.replace("    members:", "    min_members: 2\n    members:");
    let writers = "version: 1\ngroups:\n  Writers:\n    group_removals: 100%\n    members:\n      - bob@example.com\n      \
                   - erin@example.com\n  Staff:\n    mode: observe\n    members:\n      - bob@example.com\n      \
                   - erin@example.com\n";
    setting.origin.commit(&[("groups/admins.yaml", &admins), ("groups/writers.yaml", writers)]);
    Some(setting)
}

#[test]
fn leaver_loses_what_guards_allow_and_the_rest_is_named() {
    let Some(setting) = with_leaver() else { return };
    let inputs = json!({ "person": "bob@example.com", "last-day": "", "reason": "HR-7" });
    let (job, _, body) = submit(&setting, OFFBOARD, inputs);
    succeeded(&job);
    let changed = setting.origin.git(&["diff", "--name-only", "main", "convoke/offboard-77-1"]);
    assert_eq!(changed, "groups/writers.yaml");
    for line in [
        "    remove bob@example.com from group \"Writers\" (groups/writers.yaml:6)",
        "    error: groups/admins.yaml:4:5: group \"Admins\" would be left with 1, and `min_members` is 2",
        "      groups/admins.yaml:7:9: this entry stays",
    ] {
        assert!(body.lines().any(|other| other == line), "{line:?} is missing:\n{body}");
    }

    // After the merge and the apply, a comment says what is left.
    let event = setting.pull_request_of("convoke/offboard-77-1");
    succeeded(&super::github_examples::plan(&setting, &event));
    let merged = setting.merged(&event);
    succeeded(&super::github_examples::apply(&setting, &merged));
    let (job, calls, comment) = remaining(&setting, &merged.sha, "convoke/offboard-77-1", &body);
    succeeded(&job);
    assert!(calls.contains("pr comment 7 --repo acme/access"), "{calls}");
    for line in [
        "    Admins: a member, as declared",
        "      groups/admins.yaml:7",
        "    Legacy: a member; no file declares the group",
        "    Staff (observe): a member and not declared; the group is only observed",
    ] {
        assert!(comment.lines().any(|other| other == line), "{line:?} is missing:\n{comment}");
    }
    assert!(!comment.contains("Writers"), "{comment}");
    // The push can hold later merges, since the apply before.
    let before = setting.origin.git(&["rev-parse", &format!("{}^1", merged.sha)]);
    let head = setting.origin.commit(&[("README.md", "Hello\n")]);
    let (job, calls, _) = remaining_of_push(&setting, &before, &merged.sha, &head, "convoke/offboard-77-1", &body);
    succeeded(&job);
    assert!(calls.contains("pr comment 7 --repo acme/access"), "{calls}");
    // Another apply is not commented on.
    let (job, calls, comment) = remaining(&setting, &merged.sha, "feature", &body);
    succeeded(&job);
    assert!(!calls.contains("comment") && comment.is_empty(), "{calls}");
}

/// Runs the end of an offboarding after the apply of a commit, whose pull request 7 has this branch and text. Returns
/// the job, the arguments of `gh`, and the comment.
fn remaining(setting: &Setting, commit: &str, branch: &str, body: &str) -> (Job, String, String) {
    remaining_of_push(setting, "", commit, commit, branch, body)
}

/// The same after the apply of a push to this head, with the commit of the apply before, if there was one.
fn remaining_of_push(
    setting: &Setting,
    before: &str,
    commit: &str,
    head: &str,
    branch: &str,
    body: &str,
) -> (Job, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pulls = json!([{ "number": 7, "head": { "ref": branch } }]);
    fs::write(path("pulls"), pulls.to_string()).unwrap();
    fs::write(path("pull"), json!({ "body": body }).to_string()).unwrap();
    fs::write(path("none"), "[]").unwrap();
    let run = |number: u64, sha: &str| json!({ "run_number": number, "head_sha": sha });
    let earlier = if before.is_empty() { vec![] } else { vec![run(4, before), run(3, "0")] };
    let runs = [vec![run(6, "1"), run(5, head)], earlier].concat();
    fs::write(path("runs"), json!({ "workflow_runs": runs }).to_string()).unwrap();
    let script = format!(
        "echo \"$*\" >> '{calls}'
all=\"$*\"
case \"$all\" in
  'api repos/acme/access/commits/{commit}/pulls '*) file='{pulls}' ;;
  'api repos/acme/access/commits/'*) file='{none}' ;;
  'api repos/acme/access/actions/workflows/12/runs?'*) file='{runs}' ;;
  'pr view 7 '*) file='{pull}' ;;
  'pr comment 7 '*) ;;
  *) exit 9 ;;
esac
while [ $# -gt 1 ]; do
  if [ \"$1\" = --jq ]; then jq -r \"$2\" \"$file\"; fi
  if [ \"$1\" = --body-file ]; then cat \"$2\" > '{comment}'; fi
  shift
done",
        calls = path("calls"),
        pulls = path("pulls"),
        none = path("none"),
        runs = path("runs"),
        pull = path("pull"),
        comment = path("comment"),
    );
    program(&folder.path().join("programs"), "gh", &script);
    let runner = Runner { programs: vec![folder.path().join("programs")], ..setting.runner() };
    let payload = json!({ "workflow_run": { "head_sha": head, "workflow_id": 12, "run_number": 5 } });
    let event = Event { payload, ..setting.on_main("workflow_run") };
    let job = runner.run(OFFBOARDED, &only_job(OFFBOARDED), &event, json!({}));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    (job, read("calls"), read("comment"))
}

#[test]
fn gitlab_offboarding_names_what_guards_keep() {
    let Some(setting) = with_leaver() else { return };
    let (succeeded, said, options) = submit_to_gitlab(&setting, &[("TASK", "offboard"), ("PERSON", "bob@example.com")]);
    assert!(succeeded, "{said}");
    assert!(options[3].contains("group \"Admins\" would be left with 1, and  min_members  is 2"), "{options:?}");
    assert!(options[3].contains("groups/admins.yaml:7:9: this entry stays"), "{options:?}");
}

#[test]
fn ended_entries_are_pruned_in_a_pull_request() {
    let Some(setting) = setting() else { return };
    let old = format!("{ADMINS}      - email: eve@example.com\n        until: 2020-01-31\n");
    setting.origin.commit(&[("groups/admins.yaml", &old)]);
    let (job, _, body) = submit(&setting, PRUNE, json!({}));
    succeeded(&job);
    assert_eq!(setting.origin.git(&["show", "convoke/prune-77-1:groups/admins.yaml"]), ADMINS.trim_end());
    assert!(body.contains("    remove eve@example.com from group \"Admins\""), "{body}");
}

#[test]
fn account_is_adopted_in_a_pull_request() {
    let Some(setting) = setting_of(seed().group(" Odd", ["alice@example.com"])) else { return };
    setting.origin.git(&["rm", "--quiet", "-r", "groups"]);
    setting.origin.commit(&[("README.md", "Hello\n")]);
    let (job, _, body) = submit(&setting, ADOPT, json!({}));
    succeeded(&job);
    assert!(body.contains("Nothing changes when this is merged"), "{body}");
    // A group that no file can declare.
    assert!(body.contains("    warning: group \" Odd\"") && body.contains("is not exported"), "{body}");
    let event = setting.pull_request_of("convoke/adopt-77-1");
    let job = super::github_examples::plan(&setting, &event);
    succeeded(&job);
    assert_eq!(job.outputs["status"], "in_sync", "{}", job.log);
}

#[test]
fn forms_have_no_cloudflare_token() {
    for form in [ACCESS, OFFBOARD, PRUNE] {
        let text = fs::read_to_string(repository(form)).unwrap();
        assert!(!text.contains("CLOUDFLARE"), "{form}");
        assert!(text.contains("CONVOKE_APP_ID"), "{form}");
    }
}

/// Runs the form for GitLab. Returns whether it succeeded, its output, and the push options.
fn submit_to_gitlab(setting: &Setting, inputs: &[(&str, &str)]) -> (bool, String, Vec<String>) {
    let text = fs::read_to_string(repository("examples/ci/gitlab/access-requests.yaml")).unwrap();
    let (_, pipeline) = text.split_once("\n---\n").unwrap();
    let pipeline: Value = serde_saphyr::from_str(pipeline).unwrap();
    let script = pipeline["access request"]["script"][0].as_str().unwrap();
    assert!(!script.contains("$[["));
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("work");
    setting.origin.check_out(&setting.origin.head(), 1, &workspace);
    // The server: a bare repository that records the push options.
    let server = folder.path().join("acme/access.git");
    setting.origin.git(&["clone", "--quiet", "--bare", ".", &server.display().to_string()]);
    let options = folder.path().join("options");
    let hook = format!(
        "cat > /dev/null; i=0; while [ $i -lt ${{GIT_PUSH_OPTION_COUNT:-0}} ]; do eval \"printf '%s\\\\n' \\\"\\$GIT_PUSH_OPTION_$i\\\"\" >> '{}'; i=$((i+1)); done",
        options.display()
    );
    program(&server.join("hooks"), "pre-receive", &hook);
    setting.origin.git(&["-C", &server.display().to_string(), "config", "receive.advertisePushOptions", "true"]);
    let programs = folder.path().join("programs");
    super::action::put_convoke(&programs);
    let ended = std::process::Command::new("bash")
        .args(["-e", "-c", script])
        .current_dir(&workspace)
        .env_clear()
        .env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()))
        .env("TMPDIR", std::env::temp_dir())
        .envs([("GITLAB_USER_LOGIN", "tanuki"), ("CI_PIPELINE_ID", "9"), ("CI_DEFAULT_BRANCH", "main")])
        .envs([
            ("CI_SERVER_HOST", "gitlab.example"),
            ("CI_PROJECT_PATH", "acme/access"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ])
        .env("CI_PROJECT_DIR", &workspace)
        .env("CI_SERVER_URL", format!("file://{}", folder.path().display()))
        .envs(["TASK", "PERSON", "GROUP", "UNTIL", "REASON"].map(|name| (name, "")))
        .envs(inputs.iter().copied())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let branches = setting.origin.git(&["-C", &server.display().to_string(), "branch", "--list", "convoke/*"]);
    let options = fs::read_to_string(options).unwrap_or_default();
    assert_eq!(branches.is_empty(), options.is_empty(), "{said}");
    (ended.status.success(), said, options.lines().map(str::to_owned).collect())
}

#[test]
fn gitlab_opens_a_merge_request_by_push_options() {
    let Some(setting) = setting() else { return };
    let inputs =
        [("TASK", "grant"), ("PERSON", "carol@example.com"), ("GROUP", "Admins"), ("REASON", "`x` @team\n/merge")];
    let (succeeded, said, _) = submit_to_gitlab(&setting, &inputs);
    assert!(!succeeded && said.contains("--reason has control characters"), "{said}");
    let inputs = [
        ("TASK", "grant"),
        ("PERSON", "carol@example.com"),
        ("GROUP", "Admins"),
        ("REASON", "`x` @team"),
        ("UNTIL", "+8h"),
    ];
    let (succeeded, said, options) = submit_to_gitlab(&setting, &inputs);
    assert!(succeeded, "{said}");
    assert_eq!(options[..2], ["merge_request.create", "merge_request.target=main"]);
    let about = "merge_request.description=task: `grant` asked: `tanuki` person: `carol@example.com` group: `Admins` until: `+8h` reason: ` x  @team` ";
    assert_eq!(options[3], about);
    let (succeeded, said, options) = submit_to_gitlab(&setting, &[("TASK", "offboard"), ("PERSON", "bob@example.com")]);
    assert!(succeeded && options[2] == "merge_request.title=Access: offboard, pipeline 9", "{said}");
    let (succeeded, said, options) = submit_to_gitlab(&setting, &[("TASK", "prune")]);
    assert!(succeeded && options.is_empty() && said.contains("Nothing to change."), "{said}");
}
