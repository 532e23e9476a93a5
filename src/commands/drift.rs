//! `drift`: tells whether the account still is what the files say.

use super::{Exit, Failure, Output, context, plan, progress::Progress, show};
use crate::cli::{DriftArgs, Shared};

pub async fn run(shared: &Shared, _args: &DriftArgs, output: &mut Output) -> Result<Exit, Failure> {
    let progress = Progress::new(output);
    let (connection, planned) = context::make_plan(shared, &progress).await?;
    let exit = plan::exit(&planned.plan, true);
    if exit != Exit::Done || !planned.plan.expiring.is_empty() || !output.is_quiet() {
        show::plan(&planned.plan, shared, output)?;
    }
    output.note(&show::cost(&connection.client));
    Ok(exit)
}
