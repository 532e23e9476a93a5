//! The command line: types only.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::model::{AccountId, PersonRef};
use crate::plan::Digest;

mod examples;

/// The heading of the flags that few need.
const MORE: &str = "Account, time, pace and output";

/// Keeps the membership of Cloudflare user groups in Git.
#[derive(Debug, Parser)]
#[command(name = "convoke", version, about, max_term_width = 100, propagate_version = true)]
#[command(after_help = examples::TOP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What all commands share.
    #[command(flatten)]
    pub shared: Shared,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the files offline
    #[command(after_help = examples::VALIDATE)]
    Validate,
    /// Read the account and show what would change
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Make the account what the files, or a saved plan, say
    #[command(after_help = examples::APPLY)]
    Apply(ApplyArgs),
    /// Tell whether the account still is what the files say: exit 2 if not
    #[command(after_help = examples::DRIFT)]
    Drift(DriftArgs),
    /// Plan the inverse of what a journal says was done
    #[command(after_help = examples::UNDO)]
    Undo(UndoArgs),
    /// Show a saved plan in any format
    #[command(after_help = examples::SHOW)]
    Show(ShowArgs),
    /// Tell which groups somebody is in or should be in, and the lines that say so
    #[command(after_help = examples::WHY)]
    Why(WhyArgs),
    /// Write the account's present membership as files ready to commit
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Serve a local stand-in for the API until stopped
    #[command(after_help = examples::SANDBOX)]
    Sandbox(SandboxArgs),
    /// Print the JSON Schema of a file that convoke reads or writes
    #[command(after_help = examples::SCHEMA)]
    Schema(SchemaArgs),
    /// Print completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print a page of the manual
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// What all commands share.
#[derive(Clone, Debug, Args)]
pub struct Shared {
    /// File or folder that declares groups; repeatable [default: convoke.yaml]
    #[arg(short, long = "file", value_name = "PATH", global = true)]
    pub files: Vec<PathBuf>,
    /// Plan this group only; repeatable
    #[arg(long, value_name = "GROUP", global = true)]
    pub only: Vec<String>,
    /// How to show results: text, markdown, json or github
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    #[arg(global = true)]
    pub format: Format,
    /// Run against an in-process stand-in for the API, started from this seed
    #[arg(long, value_name = "SEED", global = true, conflicts_with = "api_url")]
    pub sandbox: Option<PathBuf>,
    /// Read the API token from this file [default: CLOUDFLARE_API_TOKEN]
    #[arg(long, value_name = "PATH", global = true)]
    pub token_file: Option<PathBuf>,
    /// The account's id [default: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, value_name = "ID", global = true, help_heading = MORE)]
    pub account_id: Option<AccountId>,
    /// The API's base URL [default: CLOUDFLARE_BASE_URL]
    #[arg(long, value_name = "URL", global = true, help_heading = MORE)]
    pub api_url: Option<String>,
    /// Plan for this date or RFC 3339 instant [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, global = true, help_heading = MORE)]
    pub at: Option<Timestamp>,
    /// Tell memberships that end within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 7, global = true, help_heading = MORE)]
    pub expiring: u16,
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value = "8", global = true, help_heading = MORE)]
    pub concurrency: NonZeroUsize,
    /// The longest one request may take, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration, global = true)]
    #[arg(help_heading = MORE)]
    pub timeout: Duration,
    /// The longest to wait for one request in all, such as 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, global = true)]
    #[arg(help_heading = MORE)]
    pub max_wait: Duration,
    /// When to colour: auto, always or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", hide_possible_values = true)]
    #[arg(global = true, help_heading = MORE)]
    pub color: Color,
    /// Say more; -vv says most
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say only what matters
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How to write the log: text or json
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(global = true, help_heading = MORE)]
    pub log_format: LogFormat,
}

/// The arguments of `plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// Save the plan here, for apply and show
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 where there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// The same files as they were before the change under review
    #[arg(long, value_name = "PATH")]
    pub base: Vec<PathBuf>,
    /// Allow removing the person the token acts for
    #[arg(long)]
    pub accept_self: bool,
}

/// The arguments of `apply`.
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// A saved plan to carry out; without it the files are planned anew
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Apply only if the plan has this digest
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<Digest>,
    /// Lift the limits on removals for the plan with this digest
    #[arg(long, value_name = "DIGEST")]
    pub accept: Option<Digest>,
    /// Allow removing the person the token acts for
    #[arg(long)]
    pub accept_self: bool,
    /// Record here what is done, request by request
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

/// The arguments of `drift`.
#[derive(Clone, Debug, Args)]
pub struct DriftArgs {
    /// Write figures for Prometheus here
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

/// The arguments of `undo`.
#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    /// What an apply recorded with --journal
    #[arg(value_name = "JOURNAL")]
    pub journal: PathBuf,
    /// Save the plan here, for apply and show
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
}

/// The arguments of `show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
}

/// The arguments of `why`.
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// Whom: an email address, or an account member's id
    #[arg(value_name = "EMAIL-OR-ID", value_parser = parse_person)]
    pub person: PersonRef,
    /// Look at this group only
    #[arg(value_name = "GROUP")]
    pub group: Option<String>,
}

/// The arguments of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The groups to write [default: all]
    #[arg(value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Write a file for each group into this folder, instead of one document to stdout
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// Overwrite files that are there and hold something else
    #[arg(long, requires = "out_dir")]
    pub force: bool,
}

/// The arguments of `sandbox`.
#[derive(Clone, Debug, Args)]
pub struct SandboxArgs {
    /// What the account holds at first
    #[arg(long, value_name = "FILE")]
    pub seed: PathBuf,
    /// Where to listen: a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// The arguments of `schema`.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Which file's: config, plan, journal or seed
    #[arg(value_enum, value_name = "FILE", hide_possible_values = true)]
    pub of: SchemaOf,
}

/// The arguments of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// The arguments of `man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// The command to print the page of [default: the program's]
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// The files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The files that declare groups
    Config,
    /// A saved plan
    Plan,
    /// A line of a journal
    Journal,
    /// The sandbox's seed
    Seed,
}

/// How to show results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person at a terminal
    #[default]
    Text,
    /// For a comment on a pull request
    Markdown,
    /// For programs
    Json,
    /// For a workflow of GitHub Actions: annotations, a job summary and the text
    Github,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How to write the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let date: Result<jiff::civil::Date, _> = text.parse();
    let midnight = date.ok().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    midnight
        .map(|midnight| midnight.timestamp())
        .ok_or_else(|| "write a date such as 2026-12-01 or an instant such as 2026-12-01T09:00:00Z".into())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let friendly = || text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    let duration = seconds.or_else(friendly).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| "write a number of seconds, or a time such as 500ms, 30s or 5m".into())
}

/// Reads a person as the command line names them.
///
/// # Errors
///
/// Says that the text is neither an address nor an id.
pub fn parse_person(text: &str) -> Result<PersonRef, String> {
    if let Ok(id) = text.parse() {
        return Ok(PersonRef::Id(id));
    }
    match text.parse() {
        Ok(email) => Ok(PersonRef::Email(email)),
        Err(error) => Err(format!("write an email address or a member's id of 32 hexadecimal digits: {error}")),
    }
}
