//! The commands. Each calls the other modules in order, and decides which exit code its result has.

mod apply;
mod doctor;
mod drift;
mod edit;
mod environment;
mod export;
mod failure;
mod files;
mod git;
mod manual;
mod output;
mod plan;
mod progress;
mod request;
mod review;
mod sandbox;
mod session;
mod show;
mod signals;
mod undo;
mod validate;
mod why;

pub use failure::{Exit, Failure};
pub use output::{Output, log_time};
pub use progress::Stderr;
pub use signals::report_full_files;

use clap::{Parser, Subcommand};

use crate::cli::OutputArgs;

type Result<T, E = Failure> = std::result::Result<T, E>;

pub const EXAMPLES: &str = "\
Start here:
  convoke export --out-dir groups    write the account's groups to files
  convoke plan -f groups             show what would change";

fn after_long_help() -> String {
    let codes = Exit::MEANINGS.map(|(exit, meaning, _)| format!("\n  {:>3}  {meaning}", exit.code()));
    format!("{EXAMPLES}\n\nExit codes:{}", codes.concat())
}

/// Manage the members of Cloudflare user groups from files in Git
///
/// YAML files declare the members of each group. `plan` shows what would change, `apply` makes the change, and `drift`
/// reports changes made outside the repository.
#[derive(Debug, Parser)]
#[command(name = "convoke", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = EXAMPLES, after_long_help = after_long_help())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the files offline
    Validate(validate::ValidateArgs),
    /// Read the account and show what would change
    Plan(plan::PlanArgs),
    /// Apply the configuration, or a saved plan, to the account
    Apply(apply::ApplyArgs),
    /// Report differences between the account and the files; exit code 2 if there are any
    Drift(drift::DriftArgs),
    /// Write a plan that reverses a run of apply
    Undo(undo::UndoArgs),
    /// Write the evidence for an access review: every membership of every group
    Review(review::ReviewArgs),
    /// Show a saved plan
    Show(show::ShowArgs),
    /// Show the groups of a person, or the people of a group, and the lines that say so
    Why(why::WhyArgs),
    /// Write the account's present membership as files ready to commit
    Export(export::ExportArgs),
    /// Check what the token, the account and the files are fit for; changes nothing
    Doctor(doctor::DoctorArgs),
    /// Add a person to groups or rosters in the files
    Grant(edit::GrantArgs),
    /// Remove a person from groups or rosters in the files
    Revoke(edit::RevokeArgs),
    /// Delete entries that ended long ago from the files
    Prune(edit::PruneArgs),
    /// Replace an address or id of a person by another in all lists of the files
    Rename(edit::RenameArgs),
    /// Sort the addresses of every list in the files
    Sort(edit::SortArgs),
    /// Serve a mock of the API on a loopback port until stopped
    Sandbox(sandbox::SandboxArgs),
    /// Print the JSON Schema of a file that convoke reads or writes
    Schema(manual::SchemaArgs),
    /// Print shell completions
    Completions(manual::CompletionsArgs),
    /// Print a manual page
    Man(manual::ManArgs),
}

/// Runs the command and returns its exit code.
///
/// # Errors
///
/// The error, its remedy and its exit code.
pub async fn run(command: Command, output: &mut Output) -> Result<Exit> {
    match command {
        Command::Validate(args) => validate::run(&args, output),
        Command::Plan(args) => plan::run(&args, output).await,
        Command::Apply(args) => apply::run(&args, output).await,
        Command::Drift(args) => drift::run(&args, output).await,
        Command::Undo(args) => undo::run(&args, output).await,
        Command::Review(args) => review::run(&args, output).await,
        Command::Show(args) => show::run(&args, output),
        Command::Why(args) => why::run(&args, output).await,
        Command::Export(args) => export::run(&args, output).await,
        Command::Doctor(args) => doctor::run(&args, output).await,
        Command::Grant(args) => edit::grant(args, output),
        Command::Revoke(args) => edit::revoke(args, output),
        Command::Prune(args) => edit::prune(args, output),
        Command::Rename(args) => edit::rename(args, output),
        Command::Sort(args) => edit::sort(args, output),
        Command::Sandbox(args) => sandbox::run(&args, output).await,
        Command::Schema(args) => manual::schema(&args, output),
        Command::Completions(args) => manual::completions(&args, output),
        Command::Man(args) => manual::man(&args, output),
    }
}
