//! `plan`: reads the account and shows what would change.

use super::session::{self, Planned};
use super::show::{self, Presentation};
use super::{Exit, Failure, Output, files, invocation, progress::Progress};
use crate::cli::PlanArgs;
use crate::config;
use crate::observe;
use crate::plan::Plan;

pub async fn run(args: &PlanArgs, output: &mut Output) -> Result<Exit, Failure> {
    // What is wrong with the files before the change is told before the API is asked. Until the others are done with,
    // their text alone is kept: the memberships of both at once would take twice the memory.
    let base = match args.base.base.as_slice() {
        [] => None,
        paths => Some(config::load_with_sources(paths)?.1),
    };
    let progress = Progress::new(output);
    let (connection, mut planned) =
        session::make_plan(&args.files, &args.planning, &args.connection, args.accept_self, &progress).await?;
    if let Some(sources) = base {
        let base = config::parse(&sources)?;
        let _watching = progress.watch(&connection.client, "reading the account");
        let Planned { current, policy, time, .. } = &mut planned;
        let before = observe::plan(&connection.client, &base, current, policy, *time).await?;
        planned.plan.label_since(&before);
    }
    let saved = args.out.as_ref().filter(|path| match files::save_plan(&planned.plan, path) {
        Ok(()) => true,
        Err(failure) => {
            output.side_output_failed(&failure);
            false
        }
    });
    let apply = match saved {
        Some(path) => invocation::apply_saved(path, Some(&args.connection)),
        None => invocation::apply(&args.files, &args.planning, &args.connection),
    };
    Presentation::of(&apply).plan(&planned.plan, args.format.format, output);
    output.detail(&show::cost(connection.client.requests()));
    Ok(exit(&planned.plan, args.detailed_exitcode))
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
