//! Runs the steps of the action and of a workflow's job as GitHub's runner does: the same shell line, environment and
//! process, which gets the signals. Expressions with operators are not evaluated: actionlint and zizmor check them, and a
//! test gives their values.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::checkout::Repository;
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
}

/// Whether it is time for the signal.
type When<'a> = Box<dyn Fn() -> bool + 'a>;

/// The state that the runs of a test share.
pub struct Runner<'a> {
    pub world: &'a World,
    pub github: &'a Github,
    pub origin: &'a Repository,
    /// Folders at the front of the `PATH`, with mocks of programs.
    pub programs: Vec<PathBuf>,
    /// Additional variables for every step.
    pub environment: BTreeMap<String, String>,
    /// The depth of the checkout for a single action; 0 means the complete history.
    pub depth: usize,
    /// What happens to the step that runs convoke, once this is so.
    pub stop: Option<(Stop, When<'a>)>,
}

/// How a step is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By these signals to its process, with a pause in between.
    Signals(&'static [&'static str]),
    /// convoke is killed, as by a lack of memory.
    Convoke,
    /// All its processes are killed, as GitHub does ten seconds after a cancel.
    Everything,
}

impl Stop {
    fn send(self, process: u32) {
        let process = process.to_string();
        match self {
            Self::Signals(signals) => {
                for (at, signal) in signals.iter().enumerate() {
                    if at > 0 {
                        std::thread::sleep(std::time::Duration::from_millis(400));
                    }
                    super::action::run("kill", &[signal, &process]);
                }
            }
            Self::Convoke | Self::Everything => {
                // The script must not see the end of its child before its own.
                super::action::run("kill", &["-STOP", &process]);
                super::action::run("pkill", &["-KILL", "-P", &process]);
                let end = if self == Self::Convoke { "-CONT" } else { "-KILL" };
                super::action::run("kill", &[end, &process]);
            }
        }
    }
}

/// The result of a job.
#[derive(Debug, Default)]
pub struct Job {
    pub conclusion: &'static str,
    pub log: String,
    pub summary: String,
    /// The stored journal or review.
    pub journal: String,
    pub review: String,
    pub outputs: Map<String, Value>,
}

/// A running job: its folders, its variables, and the outputs of its steps.
struct Scope {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    context: Value,
    failed: bool,
}

pub fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Replaces each `${{ a.b.c }}` by its value.
fn fill(value: &Value, context: &Value) -> String {
    let text = shown(value);
    let mut parts = text.split("${{");
    let mut filled = String::from(parts.next().unwrap());
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap();
        let name = name.trim();
        assert!(!name.contains(' '), "the test has to give the value of {name:?}");
        filled.push_str(&shown(name.split('.').fold(context, |value, key| &value[key])));
        filled.push_str(rest);
    }
    filled
}

impl Runner<'_> {
    /// Runs one step that uses this repository's action with these inputs, after a complete checkout.
    pub fn action(&self, inputs: Value, event: &Event) -> Job {
        let (mut job, mut scope) = (Job::default(), self.scope(event));
        self.origin.check_out(&event.sha, self.depth, &scope.folder.path().join("workspace"));
        self.convoke(&inputs, &mut scope, &mut job);
        Self::finished(job, &scope)
    }

    /// Runs the steps of a workflow's job. `values` has the inputs of the event, and the values of inputs and variables
    /// of steps whose expressions have operators.
    pub fn run(&self, workflow: &str, name: &str, event: &Event, values: Value) -> Job {
        let workflow = yaml(&repository(workflow));
        assert!(workflow["on"].get(event.name).is_some(), "the workflow does not run for {}", event.name);
        let (mut job, mut scope) = (Job::default(), self.scope(event));
        scope.context["inputs"] = values.clone();
        for step in workflow["jobs"][name]["steps"].as_array().unwrap() {
            let with = given(&step["with"], &values, &scope.context);
            match step["uses"].as_str() {
                Some(PLACEHOLDER) => self.convoke(&with, &mut scope, &mut job),
                Some(action) if action.starts_with("actions/checkout@") => {
                    let depth = shown(&with["fetch-depth"]).parse().unwrap_or(1);
                    self.origin.check_out(&event.sha, depth, &scope.folder.path().join("workspace"));
                }
                // The app's token, which this repository does not have.
                Some(_) => {}
                None if scope.failed => {}
                None => drop(self.step(step, &values, "", &mut scope, &mut job)),
            }
        }
        Self::finished(job, &scope)
    }

    fn finished(mut job: Job, scope: &Scope) -> Job {
        job.conclusion = if scope.failed { "failure" } else { "success" };
        job
    }

    fn scope(&self, event: &Event) -> Scope {
        let folder = tempfile::tempdir().unwrap();
        for name in ["workspace", "temp"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("event.json"), event.payload.to_string()).unwrap();
        let programs = std::env::var("PATH").unwrap();
        let programs = self.programs.iter().rev().fold(programs, |path, folder| format!("{}:{path}", folder.display()));
        let mut environment: BTreeMap<String, String> = [
            ("PATH", programs),
            ("HOME", path("")),
            ("CI", "true".into()),
            ("GITHUB_ACTIONS", "true".into()),
            ("GITHUB_ACTION_PATH", repository("").display().to_string()),
            ("GITHUB_API_URL", self.github.url()),
            ("GITHUB_GRAPHQL_URL", format!("{}/graphql", self.github.url())),
            ("GITHUB_SERVER_URL", "https://github.example".into()),
            ("GITHUB_REPOSITORY", "acme/access".into()),
            ("GITHUB_EVENT_NAME", event.name.into()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_REF", event.reference.clone()),
            ("GITHUB_BASE_REF", if event.name == "pull_request" { "main".into() } else { String::new() }),
            ("GITHUB_SHA", event.sha.clone()),
            ("GITHUB_RUN_ID", "77".into()),
            ("GITHUB_RUN_ATTEMPT", "1".into()),
            ("GITHUB_WORKSPACE", path("workspace")),
            ("RUNNER_TEMP", path("temp")),
            ("RUNNER_OS", "Linux".into()),
            ("RUNNER_ARCH", "X64".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("CLOUDFLARE_BASE_URL", self.world.process_env("CLOUDFLARE_BASE_URL")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(self.environment.clone());
        let (action, reference) = PLACEHOLDER.split_once('@').unwrap();
        let context = json!({
            "github": {
                "token": TOKEN, "actor": "octocat", "action_repository": action, "action_ref": reference,
                "event": event.payload,
            },
            "secrets": { "CLOUDFLARE_API_TOKEN": crate::harness::TOKEN },
            "vars": { "CLOUDFLARE_ACCOUNT_ID": ACCOUNT },
            "steps": {},
        });
        Scope { folder, environment, context, failed: false }
    }

    /// Runs this repository's action. A step runs where its condition in `action.yml` holds.
    fn convoke(&self, with: &Value, scope: &mut Scope, job: &mut Job) {
        let action = yaml(&repository("action.yml"));
        let declared = action["inputs"].as_object().unwrap();
        for name in with.as_object().unwrap().keys() {
            assert!(declared.contains_key(name), "the action has no input {name:?}");
        }
        let inputs: Map<String, Value> = declared
            .iter()
            .map(|(name, input)| {
                let value = with.get(name).map_or_else(|| fill(&input["default"], &scope.context), shown);
                (name.clone(), value.into())
            })
            .collect();
        let outer = std::mem::replace(&mut scope.context["inputs"], inputs.clone().into());
        let input = |name: &str| shown(&inputs[name]);
        for step in action["runs"]["steps"].as_array().unwrap() {
            let output = |step: &str, name: &str| shown(&scope.context["steps"][step]["outputs"][name]);
            let failed = scope.failed;
            let touched = output("change", "touched") != "false";
            let commanded = !input("command").is_empty();
            let runs = match step["name"].as_str().unwrap() {
                "Inspect the change" => commanded && !failed,
                "Look for a release" => touched && !failed,
                "Build" => output("install", "build") == "true" && !failed,
                "Run convoke" | "Exit with the code of convoke" => commanded && touched && !failed,
                "Show the result on GitHub" => {
                    let pull_request = !output("change", "pull-request").is_empty()
                        && scope.environment["GITHUB_EVENT_NAME"] != "merge_group";
                    input("comment") == "true" && (input("command") == "drift" || pull_request)
                }
                _ => false,
            };
            if runs {
                let id = shown(&step["id"]);
                let outputs = self.step(step, &Value::Null, &id, scope, job);
                scope.context["steps"][&id] = json!({ "outputs": outputs });
            }
        }
        let output = |step: &str, name: &str| shown(&scope.context["steps"][step]["outputs"][name]);
        job.journal = stored(&output("run", "journal"));
        if input("command") == "review" {
            job.review = stored(&output("run", "report"));
        }
        for (name, value) in action["outputs"].as_object().unwrap() {
            job.outputs.insert(name.clone(), fill(&value["value"], &scope.context).into());
        }
        scope.context["inputs"] = outer;
    }

    /// Runs the script of a step in the shell of the runner, and returns its outputs.
    fn step(&self, step: &Value, values: &Value, id: &str, scope: &mut Scope, job: &mut Job) -> Map<String, Value> {
        let files = tempfile::tempdir_in(scope.folder.path().join("temp")).unwrap();
        let [output, summary, path] = ["output", "summary", "path"].map(|name| files.path().join(name));
        for file in [&output, &summary, &path] {
            fs::write(file, "").unwrap();
        }
        let script = files.path().join("script.sh");
        fs::write(&script, fill(&step["run"], &scope.context)).unwrap();
        let folder = fill(&step["working-directory"], &scope.context);
        let env = given(&step["env"], values, &scope.context);
        let log = files.path().join("log");
        let file = fs::File::create(&log).unwrap();
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&script)
            .env_clear()
            .envs(&scope.environment)
            .envs(env.as_object().unwrap().iter().map(|(name, value)| (name, shown(value))))
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_PATH", &path)
            .current_dir(scope.folder.path().join("workspace").join(folder))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        if let Some((stop, started)) = self.stop.as_ref().filter(|_| id == "run") {
            while !started() {
                assert!(child.try_wait().unwrap().is_none(), "the step ended before it was stopped");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            stop.send(child.id());
        }
        scope.failed |= !child.wait().unwrap().success();
        let _ = writeln!(job.log, "== {}", shown(&step["name"]));
        job.log.push_str(&String::from_utf8_lossy(&fs::read(log).unwrap()));
        job.summary.push_str(&fs::read_to_string(summary).unwrap());
        for folder in fs::read_to_string(path).unwrap().lines() {
            let path = scope.environment.get_mut("PATH").unwrap();
            *path = format!("{folder}:{path}");
        }
        let text = fs::read_to_string(output).unwrap();
        let lines = text.lines().map(|line| line.split_once('=').unwrap_or_else(|| panic!("no output: {line}")));
        lines.map(|(name, value)| (name.to_owned(), Value::String(value.into()))).collect()
    }
}

/// The values of a step's inputs or variables. The test gives those whose expressions have operators.
fn given(of: &Value, values: &Value, context: &Value) -> Value {
    let entries = of.as_object().into_iter().flatten();
    let value = |(name, value): (&String, &Value)| {
        let computed = shown(value).contains("${{") && values.get(name).is_some();
        (name.clone(), if computed { values[name].clone() } else { fill(value, context).into() })
    };
    Value::Object(entries.map(value).collect())
}

/// The text of a stored file, or of the files of a stored folder.
fn stored(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let Ok(entries) = fs::read_dir(path) else { return fs::read_to_string(path).unwrap() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}
