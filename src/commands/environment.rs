//! What the environment says about the run: the CI job, the commit, the pull request, and the files of a GitHub
//! Actions step.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::Path;

use super::{Output, files};
use crate::cloudflare::without_password;
use crate::journal::{FORMAT_VERSION, RunFacts};
use crate::model::RunStatus;
use crate::plan::{Digest, Plan};
use crate::render::view::Repository;

pub fn run_facts(plan: &Plan) -> RunFacts {
    RunFacts {
        format_version: FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        account_id: plan.account_id,
        digest: plan.digest,
        host: first_of(&["HOSTNAME", "COMPUTERNAME"]).or_else(host_file),
        user: first_of(&["USER", "LOGNAME", "USERNAME"]),
        ci_run_url: ci_run_url(),
        commit: commit(),
        pull_request: pull_request(),
        approvers: approvers(),
    }
}

/// The pull request of the run: `CONVOKE_PULL_REQUEST` if a workflow sets it, else from CI.
fn pull_request() -> Option<String> {
    let named = ["CONVOKE_PULL_REQUEST", "CI_MERGE_REQUEST_IID", "CIRCLE_PULL_REQUEST", "CHANGE_ID"];
    let github = || {
        let reference = variable("GITHUB_REF")?;
        let number = reference.strip_prefix("refs/pull/")?.split('/').next()?;
        Some(number.to_owned())
    };
    // Buildkite says "false" if there is none.
    let buildkite = || variable("BUILDKITE_PULL_REQUEST").filter(|number| number != "false");
    first_of(&named).or_else(github).or_else(buildkite)
}

/// The people who approved the change. CI does not report them, so a workflow sets `CONVOKE_APPROVERS`, separated by
/// commas.
fn approvers() -> Vec<String> {
    let named = variable("CONVOKE_APPROVERS").unwrap_or_default();
    named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect()
}

fn first_of(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| variable(name))
}

fn host_file() -> Option<String> {
    let name = std::fs::read_to_string("/etc/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The URL of the CI run, from GitHub Actions, GitLab CI, Buildkite, CircleCI or Jenkins.
pub fn ci_run_url() -> Option<String> {
    let github = || {
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
    };
    let url = github().or_else(|| first_of(&["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"]));
    url.map(|url| without_password(&url))
}

pub fn commit() -> Option<String> {
    first_of(&["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "GIT_COMMIT"])
}

/// The repository and commit of the job, so that places can be links.
pub fn repository() -> Option<Repository> {
    let server = variable("GITHUB_SERVER_URL")?;
    let (name, commit) = (variable("GITHUB_REPOSITORY")?, variable("GITHUB_SHA")?);
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~:/".contains(c);
    let blob = format!("{}/{name}/blob/{commit}", server.trim_end_matches('/'));
    let is_address = blob.starts_with("https://") || blob.starts_with("http://");
    (is_address && blob.chars().all(harmless)).then(|| Repository { blob, folder: folder().unwrap_or_default() })
}

/// The current folder, relative to the root of the checkout.
fn folder() -> Option<String> {
    let root = Path::new(&os_variable("GITHUB_WORKSPACE")?).canonicalize().ok()?;
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    Some(here.strip_prefix(root).ok()?.to_str()?.replace('\\', "/"))
}

/// Appends to the job summary, and sets the outputs `status` and `digest` of the step, if it has these files. Their
/// failures do not affect the result.
pub fn report_to_step(summary: &str, status: RunStatus, digest: Option<Digest>, output: &mut Output) {
    let status = serde_json::to_value(status).unwrap_or_default();
    let mut outputs = format!("status={}", status.as_str().unwrap_or_default());
    if let Some(digest) = digest {
        outputs.push_str(&format!("\ndigest={digest}"));
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let named = [("GITHUB_STEP_SUMMARY", "job summary", summary), ("GITHUB_OUTPUT", "outputs of the step", &outputs)];
    for (name, what, lines) in named {
        let Some(path) = os_variable(name) else { continue };
        let written = files::write_through(Path::new(&path), &options, &|file| writeln!(file, "{lines}"));
        if let Err(error) = written {
            output.warn(&format!("the {what} cannot be written: {error}"));
        }
    }
}

/// A variable that is set and not empty, in whatever encoding it is.
pub fn os_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A variable that is set to more than blanks. CI sets an empty one for a missing secret.
pub fn variable(name: &str) -> Option<String> {
    os_variable(name)?.into_string().ok().filter(|value| !value.trim().is_empty())
}
