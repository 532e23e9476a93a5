//! The facts about the run, for the journal.

use crate::journal::RunFacts;
use crate::plan::Plan;

pub fn run_facts(plan: &Plan) -> RunFacts {
    let mut run = RunFacts::new(plan.account_id, plan.digest);
    run.host = first_of(&["HOSTNAME", "COMPUTERNAME"]).or_else(host_file);
    run.user = first_of(&["USER", "LOGNAME", "USERNAME"]);
    run.ci_run_url = ci_run_url();
    run.commit = first_of(&["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "GIT_COMMIT"]);
    run.pull_request = pull_request();
    run.approvers = approvers();
    run
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

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
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
    github().or_else(|| first_of(&["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"]))
}

/// The commit of a CI job.
pub fn commit() -> Option<String> {
    first_of(&["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "GIT_COMMIT"])
}
