//! `show`, and the output of plans and reports in the requested format.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Output, environment, files, request};
use crate::cli::FormatArgs;
use crate::model::RunStatus;
use crate::plan::Plan;
use crate::render::Failed;
use crate::render::Format;
use crate::render::text::Layout;
use crate::render::view::{Invocation, View};
use crate::render::{github, markdown, text};
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
    let apply = request::apply_saved(&args.plan);
    Presentation::of(&apply).plan(&files::read_plan(&args.plan)?, output);
    Ok(Exit::Done)
}

/// The presentation of a plan besides its format.
pub struct Presentation<'a> {
    /// The command that applies the plan, if there is one.
    pub apply: Option<&'a Invocation>,
    pub applying: bool,
}

impl<'a> Presentation<'a> {
    pub const fn of(apply: &'a Invocation) -> Self {
        Self { apply: Some(apply), applying: false }
    }

    pub fn plan(&self, plan: &Plan, output: &mut Output) {
        self.show(plan, output, text::plan, markdown::plan, github::plan);
    }

    pub fn drift(&self, plan: &Plan, output: &mut Output) {
        self.show(plan, output, text::drift, markdown::drift, |plan, _, text| github::drift(plan, text));
    }

    fn show(
        &self,
        plan: &Plan,
        output: &mut Output,
        text: impl Fn(&Plan, View<'_>, Layout) -> String,
        markdown: impl Fn(&Plan, View<'_>) -> String,
        github: impl Fn(&Plan, View<'_>, &str) -> String,
    ) {
        let repository = environment::repository();
        let view = View { invocation: self.apply, repository: repository.as_ref(), applying: self.applying };
        match output.format() {
            Format::Text => output.result(&text(plan, view, output.layout())),
            Format::Markdown => output.result(&markdown(plan, view)),
            Format::Json => output.json(&plan.sealed()),
            Format::Github => {
                environment::append_summary(&markdown(plan, view), output);
                environment::set_outputs(plan.status, Some(plan.digest), output);
                output.result(&github(plan, view, &text(plan, view, output.layout())));
            }
        }
    }
}

pub fn report(report: &Report, output: &mut Output) {
    match output.format() {
        Format::Text => output.result(&text::report(report, output.layout())),
        Format::Markdown => output.result(&markdown::report(report, environment::repository().as_ref())),
        Format::Json => output.json(report),
        Format::Github => {
            environment::append_summary(&markdown::report(report, environment::repository().as_ref()), output);
            environment::set_outputs(report.status, Some(report.digest), output);
            output.result(&github::report(report, &text::report(report, output.layout())));
        }
    }
}

/// Shows why the account is not the one that the plan was made for.
pub fn stale(plan: &Plan, mut groups: Vec<StaleGroup>, apply: &Invocation, requests: u64, output: &mut Output) {
    let help = apply.stale_help();
    for group in &mut groups {
        let planned = plan.groups.iter().filter(|planned| planned.name == group.name);
        group.expected = planned.flat_map(|planned| planned.carried_out().cloned()).collect();
    }
    match output.format() {
        Format::Text => output.result(&text::stale(&groups, &help, output.layout())),
        Format::Markdown => output.result(&markdown::stale(&groups, &help)),
        Format::Json => output.json(&StaleReport::new(groups, requests)),
        Format::Github => {
            environment::append_summary(&markdown::stale(&groups, &help), output);
            environment::set_outputs(RunStatus::Stale, None, output);
            output.result(&github::stale(&groups, &help, &text::stale(&groups, &help, output.layout())));
        }
    }
}

/// Shows a failure as the result, where the format is not text: the message on stderr says it there.
pub fn failure(failed: &Failed<'_>, command: &str, output: &mut Output) {
    let page = || markdown::failure(failed, command, environment::repository().as_ref());
    match output.format() {
        Format::Text => {}
        Format::Markdown => output.result(&page()),
        Format::Json => output.json(failed),
        Format::Github => {
            environment::append_summary(&page(), output);
            environment::set_outputs(failed.status, None, output);
            output.result(&github::failure(failed));
        }
    }
}
