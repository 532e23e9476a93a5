//! `drift`: reports differences between the account and the files, for a scheduled job.

use std::path::Path;
use std::time::Instant;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::show::{self, Presentation};
use super::{Exit, Failure, Output, files, invocation, progress::Progress, session};
use crate::cli::DriftArgs;
use crate::cloudflare::Client;
use crate::model::{GroupRef, RunStatus};
use crate::plan::{Action, Change, Plan};
use crate::render::counted;
use crate::render::metrics::{Found, Run, metrics};

/// The most members that are asked about one by one: further ones would use up the API's rate limit.
const MOST_LOOKUPS: usize = 200;

/// What a run found.
struct Drift {
    plan: Plan,
    exit: Exit,
    requests: u64,
}

pub async fn run(args: &DriftArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (began, clock) = (Timestamp::now(), Instant::now());
    let examined = examine(args, output).await;
    if let Some(path) = &args.metrics_file {
        let exit = examined.as_ref().map_or_else(|failure| failure.exit, |drift| drift.exit);
        let run = Run { began, seconds: clock.elapsed().as_secs_f64(), exit_code: exit.code() };
        if let Err(failure) = write_metrics(path, &run, examined.as_ref().ok()) {
            output.side_output_failed(&failure);
        }
    }
    let Drift { plan, exit, requests } = examined?;
    if has_something_to_say(&plan) || !output.is_quiet() {
        let apply = invocation::apply(&args.files, &args.planning, &args.connection);
        Presentation::of(&apply).drift(&plan, args.format.format, output);
    }
    output.detail(&show::cost(requests));
    Ok(exit)
}

fn write_metrics(path: &Path, run: &Run, drift: Option<&Drift>) -> Result<(), Failure> {
    let found = drift.map(|drift| Found { plan: &drift.plan, requests: drift.requests });
    files::write_public(path, metrics(run, found).as_bytes())
}

/// Whether anything is not as it should be, or soon will not be.
fn has_something_to_say(plan: &Plan) -> bool {
    let Plan { blocked, refusals, unmanaged_groups, expiring, .. } = plan;
    plan.has_differences()
        || !(blocked.is_empty() && refusals.is_empty() && unmanaged_groups.is_empty() && expiring.is_empty())
}

async fn examine(args: &DriftArgs, output: &mut Output) -> Result<Drift, Failure> {
    let progress = Progress::new(output);
    let (connection, planned) =
        session::make_plan(&args.files, &args.planning, &args.connection, true, &progress).await?;
    let mut plan = planned.plan;
    let watching = progress.watch(&connection.client, "asking since when");
    let unknown = date_removals(&connection.client, &mut plan).await;
    drop(watching);
    if unknown > 0 {
        output.note(&format!("it is not known when {} joined", counted(unknown, "unexpected member")));
    }
    let (exit, status) = verdict(&plan);
    plan.status = status;
    Ok(Drift { plan, exit, requests: connection.client.requests() })
}

/// How a drift ends. Guards have no say in it: they concern what would be done about it.
fn verdict(plan: &Plan) -> (Exit, RunStatus) {
    if !plan.blocked.is_empty() {
        (Exit::Refused, RunStatus::Blocked)
    } else if plan.has_differences() {
        (Exit::Differences, RunStatus::Changes)
    } else {
        (Exit::Done, RunStatus::InSync)
    }
}

/// Asks for each unexpected member when they were added, side by side, and says for how many there was no answer. The
/// difference itself is known without it, so nothing fails here.
async fn date_removals(client: &Client, plan: &mut Plan) -> u64 {
    let unexpected = plan.groups.iter_mut().flat_map(|group| {
        let name = GroupRef { id: group.id, name: group.name.clone() };
        let changes = group.changes.iter_mut().chain(&mut group.held);
        changes.filter(|change| change.action == Action::Remove).map(move |change| (name.clone(), change))
    });
    let mut unexpected: Vec<(GroupRef, &mut Change)> = unexpected.collect();
    let asking = unexpected.iter_mut().take(MOST_LOOKUPS).map(async |(group, change)| {
        match client.group_member(group, change.member.id).await {
            Ok(detail) => change.added_at = detail.and_then(|detail| detail.added_at),
            Err(error) => tracing::info!(%error, "cannot tell when a member was added"),
        }
    });
    join_all(asking).await;
    unexpected.iter().filter(|(_, change)| change.added_at.is_none()).count() as u64
}
