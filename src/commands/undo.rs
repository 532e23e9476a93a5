//! `undo`: plans the inverse of a run from its journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;

use super::request::{RunRequest, unknown_group};
use super::session::{self, Connection};
use super::{Exit, Failure, Output, Result, files, plan, show};
use crate::cli::{FormatArgs, PlanningArgs, TargetArgs};
use crate::model::{Desired, GroupId, GroupName, Mode, Observed};
use crate::plan::{Plan, PlanWarning, Policy, Reversal};
use crate::render::counted;
use crate::render::view::View;
use crate::{config, observe};

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke undo journal.jsonl --out undo.json
  convoke apply undo.json

Revert the files too. Otherwise the next apply makes the same changes again.")]
pub struct UndoArgs {
    /// The journal of a run, from `apply --journal`
    #[arg(value_name = "JOURNAL")]
    pub journal: PathBuf,
    /// Save the plan to this file, for `apply` and `show`
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Reverse the run only in this group; repeatable
    #[arg(long, value_name = "GROUP", display_order = 70)]
    pub only: Vec<GroupName>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub async fn run(args: &UndoArgs, output: &mut Output) -> Result<Exit> {
    let planning = PlanningArgs { only: args.only.clone(), ..PlanningArgs::default() };
    let mut request = RunRequest::new(&args.target, planning)?;
    request.reads.push(args.journal.clone());
    request.check_output("--out", Some(&args.out))?;
    let record = files::read_journal(&args.journal)?;
    // The files are read for their guards and modes, for example `protected`.
    let desired = config::load_checked(&request.target.files.paths()?, request.time)?;
    let account_id = record.run.account_id;
    if let Some(other) = request.account(&desired)?.filter(|other| *other != account_id) {
        let message = format!("the journal is for account {account_id}, but the files are for {other}");
        return Err(Failure::message(Exit::Data, message));
    }
    let Connection { client, .. } = &session::connect(&request.target, Some(account_id), output).await?;
    let reversals = record.reversals(&args.journal.display().to_string().into());
    let watching = output.watch(client, "reading the account");
    let mut current = Observed { groups: client.user_groups().await?, ..Observed::default() };
    let only = only(&args.only, &reversals, &desired, &current)?;
    let policy = Policy { only, ..Policy::new(account_id) };
    let present = reversals.keys().copied().filter(|id| current.groups.contains_key(id)).collect();
    observe::read_members(client, &mut current, &present).await?;
    let make = |current: &Observed| crate::plan::undo(&reversals, &desired, current, &policy, request.time);
    let mut undoing: Plan = observe::resolve(client, &mut current, false, make).await?;
    drop(watching);
    session::check_clock(client, &desired, &request, output)?;
    undoing.requests = Some(client.requests());
    if !record.ended {
        let message = format!("the journal has no end after line {}", record.lines);
        let help = "the run was killed, or the file was cut: compare the account with the files before you apply";
        undoing.warnings.push(PlanWarning::new(message, help, None));
    }
    undoing.paths = session::recorded_paths(&request);
    let is_saved = output.side_output(files::save_plan(&undoing, &args.out));
    let apply = request.apply_command(Some(&args.out));
    // Only a saved plan can be applied.
    let view = View { invocation: is_saved.then_some(&apply), ..View::default() };
    show::plan(&undoing, view, output);
    tell(&undoing, &desired, output);
    output.cost();
    Ok(plan::exit(&undoing, false, output))
}

/// The groups to undo. Each can be named by its former, present or declared name.
fn only(
    named: &[GroupName],
    reversals: &BTreeMap<GroupId, Reversal>,
    desired: &Desired,
    current: &Observed,
) -> Result<BTreeSet<GroupName>> {
    let declared = crate::plan::locate_groups(desired, current, |_| true);
    let declared = declared.iter().filter(|(_, id)| id.as_ref().is_ok_and(|id| reversals.contains_key(id)));
    let listed = reversals.keys().filter_map(|id| Some(&current.groups.get(id)?.name));
    let known: Vec<&GroupName> =
        reversals.values().map(|reversal| &reversal.name).chain(declared.map(|(name, _)| name)).chain(listed).collect();
    let only: BTreeSet<GroupName> = named.iter().cloned().collect();
    let Some(unknown) = only.iter().find(|name| !known.contains(name)) else { return Ok(only) };
    let message = format!("--only names {:?}, but the journal has no change of this group", unknown.as_str());
    let help = "use a group that the run changed; without --only, all groups are undone";
    Err(unknown_group(message, unknown, known, help))
}

/// Reports what the plan does not change, and what the user still has to do.
fn tell(undoing: &Plan, desired: &Desired, output: &mut Output) {
    for group in undoing.groups.iter().filter(|group| group.mode == Mode::Observe && !group.changes.is_empty()) {
        let why = if desired.groups.contains_key(&group.name) { "it has mode: observe" } else { "no file declares it" };
        output.warn(&format!("the group {:?} is listed, but `apply` will not change it: {why}", group.name.as_str()));
    }
    let doubtful = undoing.groups.iter().flat_map(|group| &group.changes).filter(|change| change.reason.is_some());
    let doubtful = doubtful.count() as u64;
    if doubtful > 0 {
        let changes = counted(doubtful, "change");
        output.warn(&format!(
            "the journal does not prove that this run made {changes} (marked \"possibly by somebody else\"). Review them \
             before you apply"
        ));
    }
    output.note("Revert the files too: otherwise the next `convoke apply` makes the same changes again.");
}
