//! Who runs, for the journal.

use crate::journal::RunEntry;
use crate::plan::Plan;

/// The run that is about to carry out a plan.
pub fn run_entry(plan: &Plan) -> RunEntry {
    let mut run = RunEntry::new(plan.account_id, plan.digest);
    run.host = first_of(&["HOSTNAME", "COMPUTERNAME"]).or_else(host_file);
    run.user = first_of(&["USER", "LOGNAME", "USERNAME"]);
    run.ci_run_url = ci_run_url();
    run
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

/// The address of the CI run, as GitHub Actions, GitLab CI, Buildkite, CircleCI and Jenkins tell it.
pub fn ci_run_url() -> Option<String> {
    let github = || {
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
    };
    github().or_else(|| first_of(&["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"]))
}

/// The commit that a CI job works on.
pub fn commit() -> Option<String> {
    first_of(&["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "GIT_COMMIT"])
}
