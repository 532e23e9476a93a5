//! The commands: each puts the other modules to work in order, and holds no rules of its own.

mod apply;
mod drift;
mod edit;
mod export;
mod failure;
mod files;
mod github_actions;
mod grant;
mod identity;
mod invocation;
mod manual;
mod output;
mod plan;
mod progress;
mod prune;
mod review;
mod revoke;
mod sandbox;
mod schema;
mod session;
mod show;
mod signals;
mod undo;
mod validate;
mod why;

pub use failure::{Exit, Failure};
pub use output::Output;

use crate::cli::{Cli, Command};

/// Runs the command and says how it ended.
///
/// # Errors
///
/// Says what went wrong, with what to do about it and the exit code that tells it.
pub async fn run(cli: Cli, output: &mut Output) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Validate(args) => validate::run(args, output),
        Command::Plan(args) => plan::run(args, output).await,
        Command::Apply(args) => apply::run(args, output).await,
        Command::Drift(args) => drift::run(args, output).await,
        Command::Undo(args) => undo::run(args, output).await,
        Command::Review(args) => review::run(args, output).await,
        Command::Show(args) => show::run(args, output),
        Command::Why(args) => why::run(args, output).await,
        Command::Export(args) => export::run(args, output).await,
        Command::Grant(args) => grant::run(args, output),
        Command::Revoke(args) => revoke::run(args, output),
        Command::Prune(args) => prune::run(args, output),
        Command::Sandbox(args) => sandbox::run(args, output).await,
        Command::Schema(args) => schema::run(args, output),
        Command::Completions(args) => manual::completions(args, output),
        Command::Man(args) => manual::man(args, output),
    }
}
