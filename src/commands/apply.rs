//! `apply`: applies the configuration, or a saved plan, to the account.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::session::{self, Connection};
use super::show::{self, Presentation};

use super::{Exit, Failure, Output, files, identity, invocation, progress::Progress};
use crate::apply::{self, Means, Recheck, SETTLE_WITHIN, Start};
use crate::cli::{ConnectionArgs, FileArgs, FormatArgs, PlanOptions, PlanningArgs};
use crate::journal::Journal;
use crate::model::RunStatus;
use crate::observe;
use crate::plan::{Digest, Plan};
use crate::render::Format;
use crate::render::view::{Invocation, Stale};
use crate::render::{counted, summary};
use crate::report::Report;

pub const EXAMPLES: &str = "\
Examples:
  convoke apply
  convoke apply --yes --expect DIGEST --journal journal.jsonl
  convoke apply plan.json --yes

`plan` prints DIGEST. The same changes have the same digest, so a reviewed plan can be applied
exactly without its file.";

#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// A saved plan; without it the files are planned first
    #[arg(value_name = "PLAN", conflicts_with_all = ["files", "only", "at", "base", "only_changed", "due", "expiring"])]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub files: FileArgs,
    /// Apply without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Apply only if the plan has this digest
    ///
    /// `plan` prints the digest. It covers what would be done and nothing else, so a plan that was reviewed can be
    /// applied without its file: convoke apply --yes --expect DIGEST. If the digest differs, nothing is changed and
    /// the exit code is 4.
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<Digest>,
    /// Lift the limits on removals for exactly the plan with this digest
    ///
    /// Only `group_removals` and `total_removals` are lifted, no other guard. If the digest differs, nothing is
    /// changed and the exit code is 4.
    #[arg(long, value_name = "DIGEST")]
    pub accept: Option<Digest>,
    /// Record each write and what confirms it in this new file
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    #[command(flatten)]
    pub options: PlanOptions,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

/// A plan that is ready to be applied.
struct Ready {
    connection: Connection,
    plan: Plan,
    start: Start,
}

pub async fn run(args: &ApplyArgs, output: &mut Output) -> Result<Exit, Failure> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !args.yes && !can_ask {
        let failure = Failure::message(Exit::Usage, "there is no terminal to ask on");
        return Err(failure.with_help("pass --yes to apply without asking"));
    }
    let progress = Progress::new(output);
    let ready = match &args.plan {
        Some(path) => prepare_saved(args, path, &progress, output).await?,
        None => prepare_fresh(args, output).await?,
    };
    let ready = match ready {
        Ok(ready) => ready,
        Err(exit) => return Ok(exit),
    };
    if ready.plan.summary.requests > 0 && !args.yes && !confirmed(&ready.plan, args).await? {
        output.warn("not confirmed; nothing was changed");
        return Ok(Exit::Other);
    }
    let report = carry_out(ready, args, &progress, output).await?;
    if report.wrote {
        output.something_changed();
    }
    show::report(&report, args.format.format, output);
    output.detail(&show::cost(report.requests));
    Ok(exit(&report))
}

/// Plans, shows the plan, and checks the guards.
async fn prepare_fresh(args: &ApplyArgs, output: &mut Output) -> Result<Result<Ready, Exit>, Failure> {
    let (connection, plan) =
        session::make_plan(&args.files, &args.planning, &args.connection, &args.options, output).await?;
    let judged = judge(plan, args, output);
    Ok(judged.map(|plan| Ready { connection, plan, start: Start::Planned }))
}

/// Reads a saved plan, shows it, checks the guards, and checks that the account has not changed.
async fn prepare_saved(
    args: &ApplyArgs,
    path: &Path,
    progress: &Progress,
    output: &mut Output,
) -> Result<Result<Ready, Exit>, Failure> {
    let plan = files::read_plan(path)?;
    if let Some(given) = session::given_account(args.connection.account_id)?.filter(|given| *given != plan.account_id) {
        let message = format!("the plan is for account {}, but {given} is requested", plan.account_id);
        return Err(Failure::message(Exit::Data, message).with_help("use the account that the plan was made for"));
    }
    let connection = session::connect(&args.connection, Some(plan.account_id), output).await?;
    if let Some(reason) = stale(&plan, args) {
        let plan = plan.with_requests(connection.client.requests());
        return Ok(Err(show_stale(plan, reason, args, output)));
    }
    let watching = progress.watch(&connection.client, "reading the account again");
    let rechecked = apply::recheck(&connection.client, &plan).await?;
    drop(watching);
    match rechecked {
        Recheck::Fresh { present, remaining } => {
            let watching = progress.watch(&connection.client, "reading the user of the token");
            let remaining = observe::check_token_user(&connection.client, &remaining, args.options.accept_self).await?;
            drop(watching);
            let plan = plan.with_refusals(remaining.refusals).with_requests(connection.client.requests());
            let judged = judge(plan, args, output);
            Ok(judged.map(|plan| Ready { connection, plan, start: Start::Rechecked(present) }))
        }
        Recheck::Stale(groups) => {
            if has_page_before_report(args) {
                show_plan(&plan, None, args, output);
            }
            show::stale(groups, connection.client.requests(), args.format.format, output);
            Ok(Err(Exit::Stale))
        }
    }
}

/// Shows the plan, and returns it if it may be applied. Otherwise returns the exit code.
fn judge(plan: Plan, args: &ApplyArgs, output: &mut Output) -> Result<Plan, Exit> {
    if let Some(reason) = stale(&plan, args) {
        return Err(show_stale(plan, reason, args, output));
    }
    let plan = if args.accept.is_some() { accepted(plan, output) } else { plan };
    let is_refused = !plan.refusals.is_empty();
    if has_page_before_report(args) || is_refused {
        show_plan(&plan, None, args, output);
    }
    if is_refused {
        output.warn("the plan is refused: nothing was changed");
        return Err(Exit::Refused);
    }
    Ok(plan)
}

/// Shows a plan that is not the reviewed one.
fn show_stale(plan: Plan, reason: Stale, args: &ApplyArgs, output: &mut Output) -> Exit {
    show_plan(&plan.with_status(RunStatus::Stale), Some(reason), args, output);
    Exit::Stale
}

fn show_plan(plan: &Plan, stale: Option<Stale>, args: &ApplyArgs, output: &mut Output) {
    let presentation = Presentation { apply: Some(&command(args)), stale, applying: true };
    presentation.plan(plan, args.format.format, output);
}

fn accepted(plan: Plan, output: &mut Output) -> Plan {
    let refused = plan.refusals.len();
    let plan = plan.with_limits_lifted();
    let lifted = (refused - plan.refusals.len()) as u64;
    output.note(&format!("Accepted for exactly this plan: {} lifted.", counted(lifted, "limit")));
    plan
}

/// JSON and Markdown have one document: the report, or the plan if there is no report.
const fn has_page_before_report(args: &ApplyArgs) -> bool {
    matches!(args.format.format, Format::Text | Format::Github)
}

/// The command that applies this plan.
fn command(args: &ApplyArgs) -> Invocation {
    match &args.plan {
        Some(path) => invocation::apply_saved(path, Some(&args.connection), args.options.accept_self),
        None => invocation::apply(&args.files, &args.planning, &args.connection, &args.options),
    }
}

/// Whether this is not the reviewed plan.
fn stale(plan: &Plan, args: &ApplyArgs) -> Option<Stale> {
    // A plan is not stale if all of its changes are already made.
    let expect = args.expect.filter(|_| plan.has_planned_differences());
    let given = [("--expect", expect), ("--accept", args.accept)];
    given.into_iter().find_map(|(flag, given)| match given {
        Some(given) if given != plan.digest => Some(Stale { flag, given }),
        _ => None,
    })
}

/// Asks on the terminal. The runtime continues, so that a signal ends the program.
async fn confirmed(plan: &Plan, args: &ApplyArgs) -> Result<bool, Failure> {
    // In the other formats the plan is already on the terminal.
    let mut question = match has_page_before_report(args) {
        true => String::new(),
        false => summary(plan).into_iter().map(|line| line + "\n").collect(),
    };
    question.push_str(&format!("Apply these changes to account {}? Only \"yes\" is accepted: ", plan.account_id));
    let ask = move || -> io::Result<String> {
        // Not locked while waiting for the answer: a signal writes to it, too.
        let mut stderr = io::stderr();
        stderr.write_all(question.as_bytes())?;
        stderr.flush()?;
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? == 0 {
            // At the end of input the cursor is still after the question.
            writeln!(stderr)?;
        }
        Ok(answer)
    };
    let answer = tokio::task::spawn_blocking(ask).await.map_err(|error| Failure::new(Exit::Other, error))?;
    let answer =
        answer.map_err(|error| Failure::system("the terminal cannot be used to ask for confirmation", error))?;
    Ok(answer.trim() == "yes")
}

async fn carry_out(
    Ready { connection, plan, start }: Ready,
    args: &ApplyArgs,
    progress: &Progress,
    output: &mut Output,
) -> Result<Report, Failure> {
    let journal = match &args.journal {
        None => Journal::none(),
        Some(path) => Journal::create(path, identity::run_facts(&plan)).map_err(|error| {
            let context = format!("cannot create the journal {}; nothing was changed", path.display());
            let failure = Failure::new(Exit::Other, anyhow::Error::new(error).context(context));
            failure.with_help("use a new file for each run; an existing journal is never overwritten")
        })?,
    };
    let watching = progress.watch_operations(&connection.client, plan.summary.requests);
    let means = Means {
        client: &connection.client,
        journal: &journal,
        stop: connection.stop.begin(&connection.client),
        progress: &|finished| watching.finished(finished),
        settle_within: SETTLE_WITHIN.min(args.connection.max_wait),
        whole_account: !plan.narrowed,
        limits_lifted: args.accept.is_some(),
    };
    let report = apply::apply(&plan, start, means).await;
    drop(watching);
    if let Some(error) = &report.journal_failed {
        output.warn(&format!("the journal is incomplete: {error}"));
    }
    Ok(report)
}

fn exit(report: &Report) -> Exit {
    match report {
        Report { complete: true, .. } => Exit::Done,
        Report { interrupted: true, wrote: false, .. } => Exit::Interrupted,
        Report { credentials_refused: true, may_have_changed: false, .. } => Exit::Credentials,
        Report { journal_failed: Some(_), wrote: false, .. } => Exit::Other,
        report if report.is_applied() => Exit::Other,
        _ => Exit::Partial,
    }
}
