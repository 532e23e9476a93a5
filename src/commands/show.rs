//! `show`, and the output of plans and reports in the requested format.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Output, files, github_actions, invocation};
use crate::cli::FormatArgs;
use crate::model::RunStatus;
use crate::plan::Plan;
use crate::render::Format;
use crate::render::failure::Failed;
use crate::render::view::{Invocation, Stale, View};
use crate::render::{counted, github, markdown, text};
use crate::report::{Report, StaleGroup, StaleReport};

pub const EXAMPLES: &str = "\
Examples:
  convoke show plan.json
  convoke show plan.json --format markdown > comment.md";

#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub fn run(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let apply = invocation::apply_saved(&args.plan, None, false);
    Presentation::of(&apply).plan(&files::read_plan(&args.plan)?, args.format.format, output);
    Ok(Exit::Done)
}

/// The presentation of a plan besides its format.
pub struct Presentation<'a> {
    /// The command that applies the plan, if there is one.
    pub apply: Option<&'a Invocation>,
    /// Why it is not the reviewed plan, if it is not.
    pub stale: Option<Stale>,
    /// Whether it is about to be applied.
    pub applying: bool,
}

impl<'a> Presentation<'a> {
    pub const fn of(apply: &'a Invocation) -> Self {
        Self { apply: Some(apply), stale: None, applying: false }
    }

    /// Shows a plan.
    pub fn plan(&self, plan: &Plan, format: Format, output: &mut Output) {
        let repository = github_actions::repository();
        let Self { apply, stale, applying } = self;
        let view =
            View { invocation: *apply, repository: repository.as_ref(), stale: stale.as_ref(), applying: *applying };
        let text = |output: &Output| text::plan(plan, view, output.layout());
        match format {
            Format::Text => output.result(&text(output)),
            Format::Markdown => output.result(&markdown::plan(plan, view)),
            Format::Json => output.json(&plan.sealed()),
            Format::Github => {
                github_actions::append_summary(&markdown::plan(plan, view), output);
                github_actions::set_outputs(plan.status, Some(plan.digest), output);
                output.result(&github::plan(plan, view, &text(output)));
            }
        }
    }

    /// Shows a plan as drift.
    pub fn drift(&self, plan: &Plan, format: Format, output: &mut Output) {
        let repository = github_actions::repository();
        let view = View { invocation: self.apply, repository: repository.as_ref(), stale: None, applying: false };
        let text = |output: &Output| text::drift(plan, view, output.layout());
        match format {
            Format::Text => output.result(&text(output)),
            Format::Markdown => output.result(&markdown::drift(plan, view)),
            Format::Json => output.json(&plan.sealed()),
            Format::Github => {
                github_actions::append_summary(&markdown::drift(plan, view), output);
                github_actions::set_outputs(plan.status, Some(plan.digest), output);
                output.result(&github::drift(plan, &text(output)));
            }
        }
    }
}

pub fn report(report: &Report, format: Format, output: &mut Output) {
    match format {
        Format::Text => output.result(&text::report(report, output.layout())),
        Format::Markdown => output.result(&markdown::report(report)),
        Format::Json => output.json(report),
        Format::Github => {
            github_actions::append_summary(&markdown::report(report), output);
            github_actions::set_outputs(report.status, Some(report.digest), output);
            output.result(&github::report(report, &text::report(report, output.layout())));
        }
    }
}

pub fn stale(groups: Vec<StaleGroup>, requests: u64, format: Format, output: &mut Output) {
    match format {
        Format::Text => output.result(&text::stale(&groups, output.layout())),
        Format::Markdown => output.result(&markdown::stale(&groups)),
        Format::Json => output.json(&StaleReport::new(groups, requests)),
        Format::Github => {
            github_actions::append_summary(&markdown::stale(&groups), output);
            github_actions::set_outputs(RunStatus::Stale, None, output);
            output.result(&github::stale(&groups, &text::stale(&groups, output.layout())));
        }
    }
}

/// Shows a failure as the result, where the format is not text: the message on stderr says it there.
pub fn failure(failed: &Failed<'_>, command: &str, format: Format, output: &mut Output) {
    let page = || markdown::failure(failed, command, github_actions::repository().as_ref());
    match format {
        Format::Text => {}
        Format::Markdown => output.result(&page()),
        Format::Json => output.json(failed),
        Format::Github => {
            github_actions::append_summary(&page(), output);
            github_actions::set_outputs(failed.status, None, output);
            output.result(&github::failure(failed));
        }
    }
}

/// The number of requests to the API.
pub fn cost(requests: u64) -> String {
    format!("{} to the API", counted(requests, "request"))
}
