//! `plan`: reads the account and shows what would change.

use std::path::PathBuf;

use clap::Args;

use super::request::RunRequest;
use super::{Exit, Failure, Output, Result, files, session, show};
use crate::cli::{FormatArgs, PlanOptions, PlanningArgs, TargetArgs};
use crate::plan::{Digest, LeftOutKind, Plan};
use crate::render::view::View;

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke plan
  convoke plan --out plan.json
  convoke plan -f groups --base main/groups --format markdown
  convoke plan --sandbox seed.yaml")]
pub struct PlanArgs {
    /// Save the plan to this file, for `apply` and `show`
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with code 2 if there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Exit with code 4 if the plan has another digest than this
    ///
    /// The plan is printed, and --out is not written. For merge queues: convoke plan --expect DIGEST
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<Digest>,
    #[command(flatten)]
    pub options: PlanOptions,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub async fn run(args: &PlanArgs, output: &mut Output) -> Result<Exit> {
    let request = RunRequest::new(&args.target, args.planning.clone())?;
    let request = RunRequest { options: args.options.clone(), ..request };
    request.check_output("--out", args.out.as_deref())?;
    let (_connection, plan) = session::make_plan(&request, output).await?;
    let mut plan = match args.expect.and_then(|expected| plan.is_other("--expect", expected)) {
        Some(reason) => plan.with_stale(reason),
        None => plan,
    };
    let is_stale = plan.stale.is_some();
    if args.out.is_some() {
        plan.paths = session::recorded_paths(&request);
    }
    let out = args.out.as_ref().filter(|_| !is_stale);
    let saved = out.filter(|path| output.side_output(files::save_plan(&plan, path)));
    let apply = request.apply_command(saved.map(PathBuf::as_path));
    show::plan(&plan, View::of(&apply), output);
    output.cost();
    Ok(if is_stale { Exit::Stale } else { exit(&plan, args.detailed_exitcode, output) })
}

pub const BLOCKED: &str = "blocked: something that the files declare cannot be applied";

/// The exit code of a plan: blocked entries outrank differences. Observed groups are not planned, so they do not
/// count. If the code is that of a refusal, stderr has the reason, because a log may show nothing else.
pub fn exit(plan: &Plan, tell_differences: bool, output: &mut Output) -> Exit {
    let leaves_out = plan.left_out.iter().any(|left_out| left_out.kind == LeftOutKind::Guard);
    let reason = if !plan.refusals.is_empty() {
        "the plan is refused: it cannot be applied"
    } else if !(plan.is_blocked() || leaves_out) {
        return if tell_differences && plan.has_planned_differences() { Exit::Differences } else { Exit::Done };
    } else if !plan.blocked.is_empty() {
        BLOCKED
    } else if plan.left_out.is_empty() {
        "removals are held: their members would lose access"
    } else {
        "refused in part: a guard leaves out changes"
    };
    output.error(&Failure::message(Exit::Refused, reason));
    Exit::Refused
}
