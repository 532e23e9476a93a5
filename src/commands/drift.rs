//! `drift`: reports differences between the account and the files, for a scheduled job.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use jiff::Timestamp;

use super::plan::BLOCKED;
use super::request::RunRequest;
use super::{Exit, Failure, Output, Result, files, session, show};
use crate::audit;
use crate::cli::{FormatArgs, PlanningArgs, TargetArgs};
use crate::model::RunStatus;
use crate::plan::Plan;
use crate::render::escape::clean;
use crate::render::metrics::{Run, metrics};
use crate::render::view::View;

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke drift
  convoke drift --quiet --metrics-file /var/lib/node_exporter/convoke.prom")]
pub struct DriftArgs {
    /// Write metrics for Prometheus to this file
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Do not ask who made each unexpected change, and when
    ///
    /// The audit log is read only if there is a difference: at most 10 pages per run. It needs the permission Account
    /// Settings Read. For at most 100 unexpected members, one more request tells when they were added.
    #[arg(long)]
    pub no_audit_log: bool,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub async fn run(args: &DriftArgs, output: &mut Output) -> Result<Exit> {
    let (began, clock) = (Timestamp::now(), Instant::now());
    let request = RunRequest::new(&args.target, args.planning.clone())?;
    request.check_output("--metrics-file", args.metrics_file.as_deref())?;
    let apply = request.apply_command(None);
    let examined = examine(request, args, output).await;
    if let Some(path) = &args.metrics_file {
        let exit = examined.as_ref().map_or_else(|failure| failure.exit, |(_, exit)| *exit);
        let run = Run { began, seconds: clock.elapsed().as_secs_f64(), exit_code: exit.code() };
        let found = examined.as_ref().ok().and_then(|(plan, _)| Some((plan, plan.requests?)));
        let text = metrics(&run, found);
        output.side_output(files::write(path, files::PUBLIC, &|file| file.write_all(text.as_bytes())));
    }
    let (plan, exit) = examined?;
    let lists_nothing = plan.blocked.is_empty() && plan.refusals.is_empty() && plan.expiring.is_empty();
    if !output.args.quiet || plan.has_differences() || plan.reports_more() || !lists_nothing {
        show::drift(&plan, View::of(&apply), output);
    }
    output.cost();
    if exit == Exit::Refused {
        output.error(&Failure::message(exit, BLOCKED));
    }
    Ok(exit)
}

async fn examine(mut request: RunRequest, args: &DriftArgs, output: &mut Output) -> Result<(Plan, Exit)> {
    // Nothing is applied, so the user of the token does not matter.
    request.options.accept_self = true;
    request.reads_direct_access = true;
    let (connection, mut plan) = session::make_plan(&request, output).await?;
    if !args.no_audit_log {
        let watching = output.watch(&connection.client, "reading the audit log");
        let unread = audit::attribute_differences(&connection.client, &mut plan, Timestamp::now()).await;
        drop(watching);
        if let Some(error) = unread {
            output.note(&format!("the audit log cannot be read, so authors are unknown: {}", clean(&error.reason())));
        }
    }
    plan.requests = Some(connection.client.requests());
    // Guards do not affect the result, because they concern corrections.
    let (exit, status) = if !plan.blocked.is_empty() {
        (Exit::Refused, RunStatus::Blocked)
    } else if plan.has_differences() || plan.warnings.iter().any(|warning| warning.difference.is_some()) {
        (Exit::Differences, RunStatus::Changes)
    } else {
        (Exit::Done, RunStatus::InSync)
    };
    plan.status = status;
    Ok((plan, exit))
}
