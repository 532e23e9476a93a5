//! `show`, and the output of plans and reports in the requested format.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Output, Result, environment, files, request};
use crate::cli::FormatArgs;
use crate::model::RunStatus;
use crate::plan::{Digest, Plan};
use crate::render::text::Layout;
use crate::render::view::{Invocation, Repository, View};
use crate::render::{Failed, Format, github, markdown, text};
use crate::report::{self, Report, StaleGroup, StaleReport};

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke show plan.json
  convoke show plan.json --format markdown > comment.md")]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub fn run(args: &ShowArgs, output: &mut Output) -> Result<Exit> {
    let apply = request::apply_saved(&args.plan);
    plan(&files::read_plan(&args.plan)?, View::of(&apply), output);
    Ok(Exit::Done)
}

pub fn plan(plan: &Plan, view: View<'_>, output: &mut Output) {
    document(
        (plan.status, Some(plan.digest)),
        output,
        |layout| text::plan(plan, view, layout),
        |repository| markdown::plan(plan, View { repository, ..view }),
        |output| output.json(&plan.sealed()),
        |text| github::plan(plan, view, text),
    );
}

pub fn drift(plan: &Plan, view: View<'_>, output: &mut Output) {
    document(
        (plan.status, Some(plan.digest)),
        output,
        |layout| text::drift(plan, view, layout),
        |repository| markdown::drift(plan, View { repository, ..view }),
        |output| output.json(&plan.sealed()),
        |text| github::drift(plan, text),
    );
}

pub fn report(report: &Report, output: &mut Output) {
    document(
        (report.status, Some(report.digest)),
        output,
        |layout| text::report(report, layout),
        |repository| markdown::report(report, repository),
        |output| output.json(report),
        |text| github::report(report, text),
    );
}

/// Shows why the account is not the one that the plan was made for.
pub fn stale(plan: &Plan, mut groups: Vec<StaleGroup>, apply: &Invocation, requests: u64, output: &mut Output) {
    let help = apply.stale_help();
    for group in &mut groups {
        let planned = plan.groups.iter().filter(|planned| planned.name == group.name);
        group.expected = planned.flat_map(|planned| planned.carried_out().cloned()).collect();
    }
    let report =
        StaleReport { status: RunStatus::Stale, format_version: report::FORMAT_VERSION, stale: groups, requests };
    let groups = &report.stale;
    document(
        (report.status, None),
        output,
        |layout| text::stale(groups, &help, layout),
        |_| markdown::stale(groups, &help),
        |output| output.json(&report),
        |text| github::stale(groups, &help, text),
    );
}

/// Shows a failure as the result, where the format is not text: the message on stderr says it there.
pub fn failure(failed: &Failed<'_>, command: &str, output: &mut Output) {
    document(
        (failed.status, None),
        output,
        |_| String::new(),
        |repository| markdown::failure(failed, command, repository),
        |output| output.json(failed),
        |_| github::failure(failed),
    );
}

/// Shows a document in the format of the result. The one for GitHub has the text too.
fn document(
    (status, digest): (RunStatus, Option<Digest>),
    output: &mut Output,
    text: impl Fn(Layout) -> String,
    markdown: impl Fn(Option<&Repository>) -> String,
    json: impl Fn(&mut Output),
    github: impl Fn(&str) -> String,
) {
    let markdown = || markdown(environment::repository().as_ref());
    match output.format {
        Format::Text => output.result(&text(output.layout)),
        Format::Markdown => output.result(&markdown()),
        Format::Json => json(output),
        Format::Github => {
            environment::report_to_step(&markdown(), status, digest, output);
            output.result(&github(&text(output.layout)));
        }
    }
}
