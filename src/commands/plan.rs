//! `plan`: reads the account and shows what would change.

use super::session::{self, PlanOptions};
use super::show::{self, Presentation};
use super::{Exit, Failure, Output, files, invocation};
use crate::cli::PlanArgs;
use crate::model::RunStatus;
use crate::plan::Plan;
use crate::render::view::Stale;

pub async fn run(args: &PlanArgs, output: &mut Output) -> Result<Exit, Failure> {
    let options = PlanOptions {
        base: &args.base.base,
        only_changed: args.base.only_changed,
        due: args.due,
        accept_self: args.accept_self,
    };
    let (connection, planned) =
        session::make_plan(&args.files, &args.planning, &args.connection, options, output).await?;
    let plan = planned.plan;
    let stale = args.expect.filter(|expected| *expected != plan.digest);
    let plan = if stale.is_some() { plan.with_status(RunStatus::Stale) } else { plan };
    let saved = args.out.as_ref().filter(|_| stale.is_none()).filter(|path| match files::save_plan(&plan, path) {
        Ok(()) => true,
        Err(failure) => {
            output.side_output_failed(&failure);
            false
        }
    });
    let apply = match saved {
        Some(path) => invocation::apply_saved(path, Some(&args.connection), args.accept_self),
        None => invocation::apply(&args.files, &args.planning, &args.connection, options),
    };
    let stale = stale.map(|given| Stale::Digest { flag: "--expect", given });
    let is_stale = stale.is_some();
    Presentation { stale, ..Presentation::of(&apply) }.plan(&plan, args.format.format, output);
    output.detail(&show::cost(connection.client.requests()));
    Ok(if is_stale { Exit::Stale } else { exit(&plan, args.detailed_exitcode) })
}

/// The exit code of a plan: what cannot be applied outranks differences. Groups that are only observed are not
/// planned, so that they do not count.
pub fn exit(plan: &Plan, tell_differences: bool) -> Exit {
    if !plan.refusals.is_empty() || plan.is_blocked() {
        Exit::Refused
    } else if tell_differences && plan.has_planned_differences() {
        Exit::Differences
    } else {
        Exit::Done
    }
}
