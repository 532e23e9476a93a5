//! `undo`: the inverse of what a journal says was done, as a plan.

use jiff::Timestamp;

use super::session::{self, Connection};
use super::show::{self, Presentation};
use super::{Exit, Failure, Output, files, invocation, plan, progress::Progress};
use crate::cli::UndoArgs;
use crate::model::{GroupName, Observed};
use crate::observe;
use crate::plan::{Plan, Policy};

pub async fn run(args: &UndoArgs, output: &mut Output) -> Result<Exit, Failure> {
    let record = files::read_journal(&args.journal)?;
    // The files are read for their guards: what is protected stays so.
    let desired = session::load(&args.files)?;
    let account_id = record.run.account_id;
    if let Some(other) = session::account(args.connection.account_id, &desired)?.filter(|other| *other != account_id) {
        let message = format!("the journal is of account {account_id}, the files are for {other}");
        return Err(Failure::message(Exit::Data, message));
    }
    let Connection { client, .. } = &session::connect(&args.connection, Some(account_id)).await?;
    let file = args.journal.display().to_string().into();
    let reversals = record.reversals(&file);
    let only = args.only.iter().map(|name| GroupName::from(name.as_str())).collect();
    let policy = Policy { only, ..Policy::new(account_id) };
    let watching = Progress::new(output).watch(client, "reading the account");
    let mut current = Observed { groups: observe::groups(client).await?, ..Observed::default() };
    let present = reversals.keys().copied().filter(|id| current.groups.contains_key(id)).collect();
    observe::read_members(client, &mut current, &present).await?;
    let time = Timestamp::now();
    let make = |current: &Observed| crate::plan::undo(&reversals, &desired, current, &policy, time);
    let undoing: Plan = observe::resolve(client, &mut current, false, make).await?;
    drop(watching);
    files::save_plan(&undoing, &args.out)?;
    let apply = invocation::apply_saved(&args.out, Some(&args.connection));
    Presentation::of(&apply).plan(&undoing, args.format.format, output);
    output.detail(&show::cost(client.requests()));
    Ok(plan::exit(&undoing, false))
}
