//! Runs a workflow of GitHub Actions as the runner would: each script with its environment, each `if`, each output.
//! Three actions are mocked: checkout, cache and upload-artifact.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::checkout::Repository;
use super::expression::{Progress, fill, holds, shown};
use super::github::{Github, TOKEN};
use crate::harness::{ACCOUNT, World, repository};

/// The name of this repository in the examples.
pub const PLACEHOLDER: &str = "OWNER/convoke@0000000000000000000000000000000000000000";

/// The event that triggers a workflow.
#[derive(Clone, Debug)]
pub struct Event {
    pub name: &'static str,
    pub payload: Value,
    pub reference: String,
    pub sha: String,
    pub inputs: Value,
}

/// The state that the runs of a test share.
pub struct Runner<'a> {
    pub world: &'a World,
    pub github: &'a Github,
    pub origin: &'a Repository,
    /// Folders at the front of the `PATH`, with mocks of programs.
    pub programs: Vec<PathBuf>,
    /// Additional variables for every step.
    pub environment: BTreeMap<String, String>,
}

/// The result of a job.
#[derive(Debug, Default)]
pub struct Job {
    pub conclusion: &'static str,
    pub log: String,
    pub summary: String,
    /// Uploaded files by the name of their artifact.
    pub artifacts: BTreeMap<String, String>,
    pub outputs: Map<String, Value>,
    /// The requested cache keys.
    pub caches: Vec<String>,
}

/// The variables and contexts of the steps of a job or an action.
struct Scope {
    context: Value,
    environment: BTreeMap<String, String>,
    progress: Progress,
}

/// The folders of a job.
struct Folders {
    workspace: PathBuf,
    temporary: PathBuf,
    action: PathBuf,
}

pub fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Runner<'_> {
    /// Runs a workflow, and returns the result of each job.
    pub fn run(&self, workflow: &str, event: &Event) -> BTreeMap<String, Job> {
        let secrets = json!({ "CLOUDFLARE_API_TOKEN": crate::harness::TOKEN, "GITHUB_TOKEN": TOKEN });
        self.run_with(workflow, event, &secrets)
    }

    /// Runs a workflow for a pull request from a fork.
    pub fn run_without_secrets(&self, workflow: &str, event: &Event) -> BTreeMap<String, Job> {
        self.run_with(workflow, event, &json!({}))
    }

    fn run_with(&self, workflow: &str, event: &Event, secrets: &Value) -> BTreeMap<String, Job> {
        let workflow = yaml(&repository(workflow));
        let triggers = &workflow["on"];
        assert!(triggers.get(event.name).is_some(), "the workflow does not run for {}: {triggers}", event.name);
        let mut context = json!({
            "github": {
                "event_name": event.name, "event": event.payload, "ref": event.reference, "sha": event.sha,
                "repository": "acme/access", "token": TOKEN, "run_id": "77", "run_attempt": "1", "actor": "octocat",
            },
            "inputs": event.inputs,
            "secrets": secrets,
            "vars": { "CLOUDFLARE_ACCOUNT_ID": ACCOUNT },
            "runner": { "os": "Linux", "arch": "X64" },
            "needs": {},
        });
        let mut done: BTreeMap<String, Job> = BTreeMap::new();
        // The jobs of a matrix. Other jobs do not wait for them here.
        let mut matrices: BTreeMap<String, Job> = BTreeMap::new();
        let jobs = workflow["jobs"].as_object().unwrap();
        while done.len() < jobs.len() {
            let (name, job) = jobs
                .iter()
                .find(|(name, job)| !done.contains_key(*name) && needs(job).iter().all(|need| done.contains_key(need)))
                .expect("a job waits for one that does not exist");
            let waits_for: Vec<&Job> = needs(job).iter().map(|need| &done[need]).collect();
            let progress =
                Progress { failed: waits_for.iter().any(|need| need.conclusion != "success"), cancelled: false };
            if let Some((key, values)) = job["strategy"]["matrix"].as_object().and_then(|matrix| matrix.iter().next()) {
                for value in values.as_array().unwrap() {
                    context["matrix"] = json!({ key: value });
                    matrices.insert(format!("{name} ({})", shown(value)), self.job(job, &context, event));
                }
                done.insert(name.clone(), Job::default());
                continue;
            }
            let finished = if holds(job["if"].as_str(), &context, progress) {
                self.job(job, &context, event)
            } else {
                Job { conclusion: "skipped", ..Job::default() }
            };
            context["needs"][name] = json!({ "outputs": finished.outputs, "result": finished.conclusion });
            done.insert(name.clone(), finished);
        }
        done.extend(matrices);
        done
    }

    /// Runs one step that uses this repository's action with these inputs.
    pub fn action(&self, inputs: Value, event: &Event) -> Job {
        let checkout = json!({ "uses": "actions/checkout@x", "with": { "fetch-depth": 0 } });
        let step = json!({ "id": "convoke", "uses": PLACEHOLDER, "with": inputs });
        let keys = ["exit-code", "status", "digest", "plan", "report", "journal"];
        let outputs: Map<String, Value> = keys
            .iter()
            .map(|key| ((*key).to_owned(), format!("${{{{ steps.convoke.outputs.{key} }}}}").into()))
            .collect();
        let context = json!({
            "github": {
                "event_name": event.name, "event": event.payload, "ref": event.reference, "sha": event.sha,
                "repository": "acme/access", "token": TOKEN, "run_id": "77", "run_attempt": "1", "actor": "octocat",
            },
            "runner": { "os": "Linux", "arch": "X64" },
        });
        self.job(&json!({ "steps": [checkout, step], "outputs": outputs }), &context, event)
    }

    fn job(&self, job: &Value, context: &Value, event: &Event) -> Job {
        let folder = tempfile::tempdir().unwrap();
        let mut finished = Job::default();
        let folders = Folders {
            workspace: folder.path().join("workspace"),
            temporary: folder.path().join("temp"),
            action: repository(""),
        };
        fs::create_dir_all(&folders.workspace).unwrap();
        fs::create_dir_all(&folders.temporary).unwrap();
        let mut scope = Scope {
            context: context.clone(),
            environment: self.environment(&folders, &folder, event),
            progress: Progress::default(),
        };
        scope.context["steps"] = json!({});
        scope.context["runner"]["temp"] = folders.temporary.display().to_string().into();
        set(&mut scope, &job["env"]);
        self.steps(job["steps"].as_array().unwrap(), &mut scope, &folders, &mut finished);
        if let Some(outputs) = job["outputs"].as_object() {
            for (name, value) in outputs {
                let value = fill(value.as_str().unwrap(), &scope.context, scope.progress);
                finished.outputs.insert(name.clone(), value.into());
            }
        }
        finished.conclusion = if scope.progress.failed { "failure" } else { "success" };
        finished
    }

    fn environment(&self, folders: &Folders, folder: &TempDir, event: &Event) -> BTreeMap<String, String> {
        let event_file = folder.path().join("event.json");
        fs::write(&event_file, event.payload.to_string()).unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = self.programs.iter().rev().fold(path, |path, folder| format!("{}:{path}", folder.display()));
        let mut environment: BTreeMap<String, String> = [
            ("PATH", path.as_str()),
            ("HOME", &folder.path().display().to_string()),
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", &self.github.url()),
            ("GITHUB_GRAPHQL_URL", &format!("{}/graphql", self.github.url())),
            ("GITHUB_SERVER_URL", "https://github.example"),
            ("GITHUB_REPOSITORY", "acme/access"),
            ("GITHUB_EVENT_NAME", event.name),
            ("GITHUB_EVENT_PATH", &event_file.display().to_string()),
            ("GITHUB_REF", &event.reference),
            ("GITHUB_SHA", &event.sha),
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_WORKSPACE", &folders.workspace.display().to_string()),
            ("RUNNER_TEMP", &folders.temporary.display().to_string()),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        // The account's URL, which is known only now.
        environment.insert("CLOUDFLARE_BASE_URL".into(), self.world.process_env("CLOUDFLARE_BASE_URL"));
        environment.extend(self.environment.clone());
        environment
    }

    fn steps(&self, steps: &[Value], scope: &mut Scope, folders: &Folders, job: &mut Job) {
        for step in steps {
            if !holds(step["if"].as_str(), &scope.context, scope.progress) {
                continue;
            }
            let _ = writeln!(job.log, "== {}", step["name"].as_str().or(step["uses"].as_str()).unwrap_or("run"));
            let before = scope.environment.clone();
            set(scope, &step["env"]);
            let (outputs, succeeded) = match step["uses"].as_str() {
                Some(action) => self.uses(action, &filled(&step["with"], scope), scope, folders, job),
                None => self.script(step, scope, folders, job),
            };
            let path = scope.environment.get("PATH").cloned();
            scope.environment = before;
            scope.environment.extend(path.map(|path| ("PATH".to_owned(), path)));
            scope.progress.failed |= !succeeded;
            if let Some(id) = step["id"].as_str() {
                let outcome = if succeeded { "success" } else { "failure" };
                scope.context["steps"][id] = json!({ "outputs": outputs, "outcome": outcome });
            }
        }
    }

    fn script(&self, step: &Value, scope: &mut Scope, folders: &Folders, job: &mut Job) -> (Map<String, Value>, bool) {
        let script = fill(step["run"].as_str().unwrap(), &scope.context, scope.progress);
        let files = tempfile::tempdir_in(&folders.temporary).unwrap();
        let file = |name: &str| {
            let path = files.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let [output, summary, path] = ["output", "summary", "path"].map(file);
        let script_file = files.path().join("script.sh");
        fs::write(&script_file, script).unwrap();
        let folder = fill(step["working-directory"].as_str().unwrap_or("."), &scope.context, scope.progress);
        let mut bash = Command::new("bash");
        match step["shell"].as_str() {
            Some("bash") => bash.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]),
            None => bash.arg("-e"),
            other => panic!("the shell {other:?}"),
        };
        let ended = bash
            .arg(script_file)
            .env_clear()
            .envs(&scope.environment)
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_PATH", &path)
            .env("GITHUB_ACTION_PATH", &folders.action)
            .current_dir(folders.workspace.join(folder))
            .output()
            .unwrap();
        job.log.push_str(&String::from_utf8_lossy(&ended.stdout));
        job.log.push_str(&String::from_utf8_lossy(&ended.stderr));
        job.summary.push_str(&fs::read_to_string(summary).unwrap());
        for folder in fs::read_to_string(path).unwrap().lines() {
            let path = scope.environment.get_mut("PATH").unwrap();
            *path = format!("{folder}:{path}");
        }
        (outputs(&fs::read_to_string(output).unwrap()), ended.status.success())
    }

    fn uses(
        &self,
        action: &str,
        with: &Value,
        scope: &mut Scope,
        folders: &Folders,
        job: &mut Job,
    ) -> (Map<String, Value>, bool) {
        if action == PLACEHOLDER {
            return self.convoke(action, with, scope, folders, job);
        }
        match action.split('@').next().unwrap() {
            "actions/checkout" => {
                assert_ne!(shown(&with["persist-credentials"]), "true");
                let commit = with["ref"].as_str().filter(|commit| !commit.is_empty());
                let commit = commit.unwrap_or_else(|| scope.context["github"]["sha"].as_str().unwrap());
                let depth = shown(&with["fetch-depth"]).parse().unwrap_or(1);
                let folder = folders.workspace.join(with["path"].as_str().unwrap_or("."));
                self.origin.check_out(commit, depth, &folder);
            }
            "actions/cache" => job.caches.push(shown(&with["key"])),
            "actions/upload-artifact" => {
                let text = fs::read_to_string(folders.workspace.join(shown(&with["path"]))).unwrap();
                let before = job.artifacts.insert(shown(&with["name"]), text);
                assert!(before.is_none(), "GitHub refuses a second artifact of the same name");
            }
            other => panic!("no mock of {other}"),
        }
        (Map::new(), true)
    }

    /// Runs this repository's own action.
    fn convoke(
        &self,
        action: &str,
        with: &Value,
        scope: &mut Scope,
        folders: &Folders,
        job: &mut Job,
    ) -> (Map<String, Value>, bool) {
        let definition = yaml(&repository("action.yml"));
        let declared = definition["inputs"].as_object().unwrap();
        for (name, value) in with.as_object().into_iter().flatten() {
            assert!(declared.contains_key(name), "the action has no input {name:?} (= {value})");
        }
        let inputs: Map<String, Value> = declared
            .iter()
            .map(|(name, input)| {
                let default = fill(&shown(&input["default"]), &scope.context, scope.progress);
                let given = with.get(name).map_or(default, shown);
                (name.clone(), Value::String(given))
            })
            .collect();
        let mut inner =
            Scope { context: scope.context.clone(), environment: scope.environment.clone(), progress: scope.progress };
        inner.context["inputs"] = inputs.into();
        inner.context["steps"] = json!({});
        inner.context["secrets"] = Value::Null;
        let (name, reference) = action.split_once('@').unwrap();
        inner.context["github"]["action_repository"] = name.into();
        inner.context["github"]["action_ref"] = reference.into();
        self.steps(definition["runs"]["steps"].as_array().unwrap(), &mut inner, folders, job);
        // Paths that an action adds stay on the PATH for the following steps.
        scope.environment.extend(inner.environment.remove_entry("PATH"));
        let outputs = definition["outputs"].as_object().unwrap();
        let outputs = outputs.iter().map(|(name, output)| {
            let value = fill(output["value"].as_str().unwrap(), &inner.context, inner.progress);
            (name.clone(), Value::String(value))
        });
        (outputs.collect(), !inner.progress.failed)
    }
}

fn needs(job: &Value) -> Vec<String> {
    match &job["needs"] {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names.iter().map(shown).collect(),
        _ => Vec::new(),
    }
}

/// Sets the variables of an `env`.
fn set(scope: &mut Scope, env: &Value) {
    for (name, value) in env.as_object().into_iter().flatten() {
        let value = fill(&shown(value), &scope.context, scope.progress);
        scope.environment.insert(name.clone(), value);
    }
}

fn filled(with: &Value, scope: &Scope) -> Value {
    let entries = with.as_object().into_iter().flatten();
    let filled =
        entries.map(|(name, value)| (name.clone(), Value::String(fill(&shown(value), &scope.context, scope.progress))));
    Value::Object(filled.collect())
}

/// The outputs in the file of a step. Only `name=value` is supported.
fn outputs(text: &str) -> Map<String, Value> {
    let lines = text.lines().map(|line| line.split_once('=').unwrap_or_else(|| panic!("no output: {line}")));
    lines.map(|(name, value)| (name.to_owned(), Value::String(value.into()))).collect()
}
