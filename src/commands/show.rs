//! Shows plans and reports in the format that is asked for; and `show`, which does so with a saved plan.

use super::{Exit, Failure, Output, files, invocation, step_summary};
use crate::cli::{Format, ShowArgs};
use crate::model::RunStatus;
use crate::plan::Plan;
use crate::render::report::{ReportDocument, StaleDocument};
use crate::render::{counted, github, markdown, text};
use crate::report::{Report, StaleGroup};

/// Shows a saved plan.
pub fn run(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let apply = invocation::apply_saved(&args.plan, None);
    plan(&files::read_plan(&args.plan)?, &apply, args.format.format, output)?;
    Ok(Exit::Done)
}

/// Shows a plan, which is saved in a file or not.
pub fn plan(plan: &Plan, apply: &str, format: Format, output: &mut Output) -> Result<(), Failure> {
    let shown = match format {
        Format::Text => text::plan(plan, apply, output.layout()),
        Format::Markdown => markdown::plan(plan, apply),
        Format::Json => return Ok(output.json(&plan.sealed())?),
        Format::Github => {
            step_summary::append(&markdown::plan(plan, apply), output);
            step_summary::set_outputs(plan.status, Some(plan.digest), output);
            github::plan(plan, &text::plan(plan, apply, output.layout()))
        }
    };
    Ok(output.result(&shown)?)
}

/// Shows what came of a plan.
pub fn report(report: &Report, format: Format, output: &mut Output) -> Result<(), Failure> {
    let shown = match format {
        Format::Text => text::report(report, output.layout()),
        Format::Markdown => markdown::report(report),
        Format::Json => return Ok(output.json(&ReportDocument::new(report))?),
        Format::Github => {
            step_summary::append(&markdown::report(report), output);
            step_summary::set_outputs(status(report), Some(report.digest), output);
            github::report(report, &text::report(report, output.layout()))
        }
    };
    Ok(output.result(&shown)?)
}

/// Shows why a saved plan is stale.
pub fn stale(groups: &[StaleGroup], format: Format, output: &mut Output) -> Result<(), Failure> {
    let shown = match format {
        Format::Text => text::stale(groups, output.layout()),
        Format::Markdown => markdown::stale(groups),
        Format::Json => return Ok(output.json(&StaleDocument::new(groups))?),
        Format::Github => {
            step_summary::append(&markdown::stale(groups), output);
            step_summary::set_outputs(RunStatus::Stale, None, output);
            github::stale(groups, &text::stale(groups, output.layout()))
        }
    };
    Ok(output.result(&shown)?)
}

/// How a run ended.
fn status(report: &Report) -> RunStatus {
    match (report.is_complete(), report.changed()) {
        (false, _) => RunStatus::Partial,
        (true, (0, 0)) => RunStatus::InSync,
        (true, _) => RunStatus::Applied,
    }
}

/// What a run has cost the API.
pub fn cost(requests: u64) -> String {
    format!("{} to the API", counted(requests, "request"))
}
