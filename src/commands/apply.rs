//! `apply`: applies the configuration, or a saved plan, to the account.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::request::RunRequest;
use super::session::{self, Connection};
use super::{Exit, Failure, Output, Result, environment, files, progress, show};
use crate::apply::{self, Context, Present, Recheck, SETTLE_WITHIN};
use crate::cli::{FormatArgs, PlanOptions, PlanningArgs, TargetArgs};
use crate::cloudflare::Client;
use crate::config::parse_age;
use crate::journal::Journal;
use crate::observe;
use crate::plan::{Digest, GroupPlan, LeftOutKind, Plan};
use crate::render::view::View;
use crate::render::{Format, clean, counted, summary};
use crate::report::{Report, StaleGroup};

/// Why a plan is stale if the newest files say otherwise.
const SUPERSEDED: &str = "the newest files leave nothing of it to make";

const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke apply
  convoke apply --yes --expect DIGEST --journal journal.jsonl
  convoke apply plan.json --yes

`plan` prints DIGEST. The same changes have the same digest, so a reviewed plan can be applied
exactly without its file.")]
pub struct ApplyArgs {
    /// A saved plan; without it the files are planned first
    #[arg(value_name = "PLAN", conflicts_with_all = ["files", "only", "at", "base", "only_changed", "due", "expiring"])]
    pub plan: Option<PathBuf>,
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
    /// Lift the limits for exactly the plan of this digest
    ///
    /// Only `group_removals` and `total_removals` are lifted, no other guard. If the digest differs, nothing is
    /// changed and the exit code is 4.
    #[arg(long, value_name = "DIGEST")]
    pub accept: Option<Digest>,
    /// Refuse an older saved plan, such as 12h [default: 7d]
    ///
    /// The age is counted from the time that the plan was made for. A plan from the future, or one that adds access
    /// which has ended meanwhile, is stale, too: nothing is changed and the exit code is 4.
    #[arg(long, value_name = "DURATION", requires = "plan", value_parser = parse_age)]
    pub max_age: Option<SignedDuration>,
    /// The same files at the branch's tip: path or revision
    ///
    /// A path that exists is read; anything else is a Git revision, such as origin/main. For a job that may be run again
    /// after newer changes. The plan selects the changes, the tip decides: a join or a removal that the files there do
    /// not say as well is left out and named, and the exit code is 5. If nothing else is left to make, it is 4, and
    /// nothing is changed. Settings and guards are those of the tip.
    #[arg(long, value_name = "PATH-OR-REV")]
    pub tip: Vec<PathBuf>,
    /// Record each write and what confirms it in this new file
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    #[command(flatten)]
    pub options: PlanOptions,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub async fn run(args: &ApplyArgs, output: &mut Output) -> Result<Exit> {
    let request = request(args)?;
    let command = request.apply_command(args.plan.as_deref());
    let (connection, mut plan, present) = match &args.plan {
        Some(path) => prepare_saved(args, path, &request, output).await?,
        None => prepare_fresh(args, &request, output).await?,
    };
    let client = &connection.client;
    plan.requests = Some(client.requests());
    let show_stale = |plan: &Plan, groups: Vec<StaleGroup>, output: &mut Output| {
        show::stale(plan, groups, &command, client.requests(), output);
        Ok(Exit::Stale)
    };
    let view = View { applying: true, ..View::of(&command) };
    if plan.stale.is_some() {
        show::plan(&plan, view, output);
        return Ok(Exit::Stale);
    }
    if args.accept.is_some() && present.is_ok() {
        plan = accepted(plan, output);
    }
    let is_refused = present.is_ok() && !plan.refusals.is_empty();
    // JSON and Markdown have one document: the report, or the plan if there is no report.
    let is_shown = is_refused || matches!(output.format, Format::Text | Format::Github);
    if is_shown {
        show::plan(&plan, view, output);
    }
    if is_refused {
        output.error(&Failure::message(Exit::Refused, "the plan is refused: nothing was changed"));
        return Ok(Exit::Refused);
    }
    let present = match present {
        Ok(present) => present,
        Err(groups) => return show_stale(&plan, groups, output),
    };
    if plan.summary.requests > 0 && !args.yes {
        if !confirmed(&plan, client, is_shown).await? {
            output.warn("not confirmed; nothing was changed");
            return Ok(Exit::Other);
        }
        client.outdate_readings();
    }
    let present = match still_valid(client, &plan, present, args.accept.is_some()).await? {
        Ok(present) => present,
        Err(groups) => return show_stale(&plan, groups, output),
    };
    let mut report = carry_out(&connection, &plan, present, args, output).await?;
    if !report.stale.is_empty() && !report.may_have_changed {
        return show_stale(&plan, std::mem::take(&mut report.stale), output);
    }
    if report.wrote {
        output.something_changed();
    }
    show::report(&report, output);
    output.cost();
    Ok(exit(&report))
}

/// What the command line asks for, as far as it can be checked before anything is read.
fn request(args: &ApplyArgs) -> Result<RunRequest> {
    if !(args.yes || io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let failure = Failure::message(Exit::Usage, "there is no terminal to ask on");
        return Err(failure.with_help("pass --yes to apply without asking"));
    }
    let request = RunRequest::new(&args.target, args.planning.clone())?;
    let mut request = RunRequest { options: args.options.clone(), tip: args.tip.clone(), ..request };
    request.reads.extend(args.plan.clone());
    request.check_output("--journal", args.journal.as_deref())?;
    Ok(request)
}

/// The groups that were read again since the plan was made; or those that differ from what it was made for.
type Fresh = Result<Present, Vec<StaleGroup>>;

/// A plan, which says why if it is not the reviewed one.
type Prepared = (Connection, Plan, Fresh);

async fn prepare_fresh(args: &ApplyArgs, request: &RunRequest, output: &mut Output) -> Result<Prepared> {
    let (connection, mut plan) = session::make_plan(request, output).await?;
    if let Some(reason) = not_reviewed(&plan, args).or_else(|| plan.is_superseded().then(|| SUPERSEDED.into())) {
        plan = plan.with_stale(reason);
    }
    Ok((connection, plan, Ok(Present::new())))
}

/// Reads a saved plan, and checks that the account has not changed.
async fn prepare_saved(args: &ApplyArgs, path: &Path, request: &RunRequest, output: &mut Output) -> Result<Prepared> {
    let plan = files::read_plan(path)?;
    if let Some(given) = request.account_id.filter(|given| *given != plan.account_id) {
        let message = format!("the plan is for account {}, but {given} is requested", plan.account_id);
        return Err(Failure::message(Exit::Data, message).with_help("use the account that the plan was made for"));
    }
    let connection = session::connect(&request.target, Some(plan.account_id), output).await?;
    let client = &connection.client;
    let stale = not_reviewed(&plan, args);
    let tip = session::load_tip(request, Some(&plan), Some(plan.account_id))?;
    let plan = match tip.filter(|_| stale.is_none()) {
        Some(tip) => observe::decide_by_tip(client, &plan, &tip, request.time).await?,
        None => plan,
    };
    if let Some(reason) = stale.or_else(|| plan.is_superseded().then(|| SUPERSEDED.into())) {
        return Ok((connection, plan.with_stale(reason), Ok(Present::new())));
    }
    let watching = output.watch(client, "reading the account again");
    let (present, remaining) = match apply::recheck(client, &plan).await? {
        Recheck::Fresh { present, remaining } => (present, remaining),
        Recheck::Stale(groups) => return Ok((connection, plan, Err(groups))),
    };
    drop(watching);
    // An earlier run made what the newest files say as well.
    if remaining.summary.requests == 0 && plan.left_out.iter().any(|left_out| left_out.kind == LeftOutKind::Tip) {
        return Ok((connection, remaining.with_stale(SUPERSEDED.into()), Ok(Present::new())));
    }
    check_clock_of(&plan, client, output)?;
    let watching = output.watch(client, "looking up protected people");
    let remaining = observe::ask_for_people(client, &remaining, args.options.accept_self).await?;
    drop(watching);
    // What was already made is not left to make.
    let mut plan = plan;
    plan.left_out.retain(|left_out| remaining.left_out.contains(left_out));
    Ok((connection, plan.with_refusals(remaining.refusals), Ok(present)))
}

/// Compares the clocks for a saved plan, which knows the ends of what it adds.
fn check_clock_of(plan: &Plan, client: &Client, output: &mut Output) -> Result<()> {
    let Some((ahead, message)) = session::clock_difference(client) else { return Ok(()) };
    output.warn(&message);
    let true_time = Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX);
    let mut additions = plan.groups.iter().flat_map(GroupPlan::additions);
    let ended = additions.find(|change| change.until.is_some_and(|until| until <= true_time));
    let Some(change) = ended else { return Ok(()) };
    let message = format!("{message}, and an addition of the plan has ended by then ({})", change.origin);
    Err(Failure::message(Exit::Other, message).with_help("set this machine's clock, and plan again"))
}

/// Why this is not the reviewed plan, if it is not.
fn not_reviewed(plan: &Plan, args: &ApplyArgs) -> Option<String> {
    let max_age = args.max_age.unwrap_or(MAX_AGE);
    let outdated = args.plan.as_ref().and_then(|_| plan.outdated(Timestamp::now(), max_age));
    // A plan is not stale if all of its changes are already made.
    let expect = args.expect.filter(|_| plan.has_planned_differences());
    let given = [("--expect", expect), ("--accept", args.accept)];
    outdated.or_else(|| given.into_iter().find_map(|(flag, given)| plan.is_other(flag, given?)))
}

fn accepted(plan: Plan, output: &mut Output) -> Plan {
    let is_capped = plan.left_out.iter().any(|left_out| left_out.kind == LeftOutKind::Cap);
    let refused = plan.refusals.len() + usize::from(is_capped);
    let plan = plan.with_limits_lifted();
    let lifted = (refused - plan.refusals.len()) as u64;
    output.note(&format!("Accepted for exactly this plan: {} lifted.", counted(lifted, "limit")));
    plan
}

/// Asks on the terminal, where the plan may be shown already. The runtime continues, so that a signal ends the program.
async fn confirmed(plan: &Plan, client: &Client, is_shown: bool) -> Result<bool> {
    // Without its name, the account is still known by its id.
    let name = client.account_info().await.unwrap_or_default().name;
    let account = name.map_or_else(|| plan.account_id.to_string(), |name| format!("{name} ({})", plan.account_id));
    let mut question = format!("Apply these changes to account {}? Only \"yes\" is accepted: ", clean(&account));
    if !is_shown {
        question = format!("{}\n{question}", summary(plan).join("\n"));
    }
    let ask = move || -> io::Result<String> {
        // Not locked while waiting for the answer: a signal writes to it, too.
        let mut stderr = io::stderr();
        stderr.write_all(question.as_bytes())?;
        stderr.flush()?;
        progress::ASKING.store(true, Ordering::Relaxed);
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? != 0 {
            // At the end of input the cursor is still after the question.
            progress::ASKING.store(false, Ordering::Relaxed);
        }
        Ok(answer)
    };
    let answer = tokio::task::spawn_blocking(ask).await.unwrap_or_else(|failed| Err(io::Error::other(failed)));
    let context = "the terminal cannot be used to ask for confirmation";
    Ok(answer.map_err(|error| Failure::caused(Exit::Other, context, error))?.trim() == "yes")
}

/// Reads again what the plan relies on, if it is too old: a question was asked, or the run has waited. Returns the groups
/// that make the plan stale, if there are any.
async fn still_valid(client: &Client, plan: &Plan, present: Present, limits_lifted: bool) -> Result<Fresh> {
    let mut changed = plan.groups.iter().filter(|group| !group.operations.is_empty());
    if !changed.any(|group| client.is_outdated(Some(group.id))) {
        return Ok(Ok(present));
    }
    let (present, remaining) = match apply::recheck(client, plan).await? {
        Recheck::Fresh { present, remaining } => (present, remaining),
        Recheck::Stale(groups) => return Ok(Err(groups)),
    };
    let broken = |group: &GroupPlan| {
        let mut refusals = remaining.refusals.iter().filter(|refusal| !(limits_lifted && refusal.guard.is_limit()));
        refusals.any(|refusal| refusal.group.as_ref() == Some(&group.name))
    };
    let groups = remaining.groups.iter().zip(&plan.groups);
    let stale = groups.filter(|(now, before)| !before.operations.is_empty() && broken(now));
    let stale: Vec<_> = stale.map(|(now, before)| StaleGroup::of_change(before, &now.observed)).collect();
    Ok(if stale.is_empty() { Ok(present) } else { Err(stale) })
}

async fn carry_out(
    connection: &Connection,
    plan: &Plan,
    present: Present,
    args: &ApplyArgs,
    output: &mut Output,
) -> Result<Report> {
    let journal = match &args.journal {
        None => Journal::none(),
        Some(path) => Journal::create(path, environment::run_facts(plan)).map_err(|error| {
            let context = format!("cannot create the journal {}; nothing was changed", path.display());
            let failure = Failure::caused(Exit::Other, context, error);
            failure.with_help("use a new file for each run; an existing journal is never overwritten")
        })?,
    };
    let watching = output.watch_operations(&connection.client, "applying", Some(plan.summary.requests));
    connection.stop.begin(&connection.client);
    let context = Context {
        client: &connection.client,
        journal: &journal,
        progress: &progress::finished,
        settle_within: SETTLE_WITHIN.min(args.target.max_wait),
        made_plan: args.plan.is_none(),
        limits_lifted: args.accept.is_some(),
    };
    let report = apply::apply(plan, present, context).await;
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
        report if report.has_nothing_left() && !report.interrupted => Exit::Other,
        _ => Exit::Partial,
    }
}
