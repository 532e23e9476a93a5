//! Shows plans and reports in the format that is asked for.

use super::{Exit, Failure, Output};
use crate::cli::{Format, Shared};
use crate::cloudflare::Client;
use crate::plan::Plan;
use crate::plan::document::PlanDocument;
use crate::render::{counted, json, report::ReportDocument, text};
use crate::report::Report;

/// Shows a plan.
pub fn plan(plan: &Plan, shared: &Shared, output: &mut Output) -> Result<(), Failure> {
    let shown = match shared.format {
        Format::Text => text::plan(plan, output.layout()),
        Format::Json => json::render(&PlanDocument::new(plan)).map_err(|error| Failure::new(Exit::Other, error))?,
    };
    Ok(output.result(&shown)?)
}

/// Shows what came of a plan.
pub fn report(report: &Report, shared: &Shared, output: &mut Output) -> Result<(), Failure> {
    let shown = match shared.format {
        Format::Text => text::report(report, output.layout()),
        Format::Json => json::render(&ReportDocument::new(report)).map_err(|error| Failure::new(Exit::Other, error))?,
    };
    Ok(output.result(&shown)?)
}

/// What a run has cost the API.
pub fn cost(client: &Client) -> String {
    format!("{} to the API", counted(client.requests(), "request"))
}
