//! The command line: types only.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::config::{ListName, When, parse_age};
use crate::model::{AccountId, Email, PersonRef, TimeError, WrittenTime};
use crate::plan::Digest;

mod examples;

/// The heading of the flags that few need.
const MORE: &str = "Account, time, pace and output";

/// Keep the membership of Cloudflare user groups in Git
///
/// YAML files declare the members of each group. `plan` shows what would change, `apply` makes the change, and `drift`
/// reports changes made outside the repository.
#[derive(Debug, Parser)]
#[command(name = "convoke", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = examples::TOP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the files offline
    #[command(after_help = examples::VALIDATE)]
    Validate(ValidateArgs),
    /// Read the account and show what would change
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Apply the configuration, or a saved plan, to the account
    #[command(after_help = examples::APPLY)]
    Apply(ApplyArgs),
    /// Report differences between the account and the files; exit code 2 if there are any
    #[command(after_help = examples::DRIFT)]
    Drift(DriftArgs),
    /// Write a plan that reverses a run of apply
    #[command(after_help = examples::UNDO)]
    Undo(UndoArgs),
    /// Write the evidence for an access review: every membership of every group
    #[command(after_help = examples::REVIEW)]
    Review(ReviewArgs),
    /// Show a saved plan
    #[command(after_help = examples::SHOW)]
    Show(ShowArgs),
    /// Show the groups a person is in or should be in, and the lines that say so
    #[command(after_help = examples::WHY)]
    Why(WhyArgs),
    /// Write the account's present membership as files ready to commit
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Add a person to groups or rosters in the files
    #[command(after_help = examples::GRANT)]
    Grant(GrantArgs),
    /// Take a person out of groups or rosters in the files
    #[command(after_help = examples::REVOKE)]
    Revoke(RevokeArgs),
    /// Delete entries from the files that ended long ago
    #[command(after_help = examples::PRUNE)]
    Prune(PruneArgs),
    /// Serve a mock of the API on a loopback port until stopped
    #[command(after_help = examples::SANDBOX)]
    Sandbox(SandboxArgs),
    /// Print the JSON Schema of a file that convoke reads or writes
    #[command(after_help = examples::SCHEMA)]
    Schema(SchemaArgs),
    /// Print shell completions
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print a manual page
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

impl Command {
    /// The command's name, as the command line has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Validate(_) => "validate",
            Self::Plan(_) => "plan",
            Self::Apply(_) => "apply",
            Self::Drift(_) => "drift",
            Self::Undo(_) => "undo",
            Self::Show(_) => "show",
            Self::Why(_) => "why",
            Self::Review(_) => "review",
            Self::Export(_) => "export",
            Self::Grant(_) => "grant",
            Self::Revoke(_) => "revoke",
            Self::Prune(_) => "prune",
            Self::Sandbox(_) => "sandbox",
            Self::Schema(_) => "schema",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// The format of the command's result. Commands without `--format` print text.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            Self::Validate(args) => args.format.format,
            Self::Plan(args) => args.format.format,
            Self::Apply(args) => args.format.format,
            Self::Drift(args) => args.format.format,
            Self::Undo(args) => args.format.format,
            Self::Show(args) => args.format.format,
            Self::Why(args) => args.format.format,
            Self::Review(args) => match args.format {
                ReviewFormat::Json => Format::Json,
                ReviewFormat::Markdown => Format::Markdown,
                ReviewFormat::Text | ReviewFormat::Csv | ReviewFormat::Html => Format::Text,
            },
            Self::Grant(GrantArgs { edit, .. })
            | Self::Revoke(RevokeArgs { edit, .. })
            | Self::Prune(PruneArgs { edit, .. }) => match edit.format {
                EditFormat::Json => Format::Json,
                EditFormat::Text => Format::Text,
            },
            Self::Export(_) | Self::Sandbox(_) | Self::Schema(_) | Self::Completions(_) | Self::Man(_) => Format::Text,
        }
    }
}

/// How every command writes to the terminal.
#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// When to use colors: auto, always or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", hide_possible_values = true)]
    #[arg(global = true, help_heading = MORE)]
    pub color: Color,
    /// Log more: requests and waits with -v, everything with -vv
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print only results, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Format of stderr: text or json (one object a line)
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(global = true, help_heading = MORE)]
    pub log_format: LogFormat,
}

/// The files that declare groups.
#[derive(Clone, Debug, Default, Args)]
pub struct FileArgs {
    /// File or folder that declares groups; repeatable [env: CONVOKE_FILE] [default: convoke.yaml]
    ///
    /// A folder stands for every *.yaml and *.yml file below it, in path order. All files together are one
    /// configuration. Without the flag, the environment variable names one file or folder.
    #[arg(short, long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
}

/// The account, and how to reach the API.
#[derive(Clone, Debug, Args)]
pub struct ConnectionArgs {
    /// Run against a built-in mock of the API, seeded from this file
    ///
    /// The mock lives as long as the command. Nothing is sent to Cloudflare, and no credentials are needed. `convoke
    /// schema seed` prints the file's format.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["api_url", "token_file"])]
    pub sandbox: Option<PathBuf>,
    /// Read the API token from this file [default: the environment variable CLOUDFLARE_API_TOKEN]
    ///
    /// Without a token, CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY are used. A token is never given as an argument: other
    /// users of the machine could read it.
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    /// The account's id [env: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, value_name = "ID", help_heading = MORE)]
    pub account_id: Option<AccountId>,
    /// Base URL of the API [env: CLOUDFLARE_BASE_URL] [default: https://api.cloudflare.com/client/v4]
    #[arg(long, value_name = "URL", help_heading = MORE)]
    pub api_url: Option<String>,
    /// Maximum number of requests at the same time
    #[arg(long, value_name = "N", default_value = "8", value_parser = parse_concurrency, help_heading = MORE)]
    pub concurrency: NonZeroUsize,
    /// Maximum time of one attempt of a request, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration, help_heading = MORE)]
    pub timeout: Duration,
    /// Maximum total time per request, retries included, such as 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, help_heading = MORE)]
    pub max_wait: Duration,
}

/// What to plan, and for which time.
#[derive(Clone, Debug, Args)]
pub struct PlanningArgs {
    /// Plan only this group; repeatable
    ///
    /// Example: --only 'Platform Admins' --only Developers. Other groups are not read, and the result says nothing
    /// about them.
    #[arg(long, value_name = "GROUP")]
    pub only: Vec<String>,
    #[command(flatten)]
    pub time: TimeArgs,
    /// Report memberships that expire within N days
    #[arg(long, value_name = "N", default_value_t = 7, help_heading = MORE)]
    pub expiring: u16,
}

#[derive(Clone, Debug, Args)]
pub struct TimeArgs {
    /// Use this time instead of now: a date, or an RFC 3339 instant with an offset
    ///
    /// Examples: --at 2026-12-01, --at 2026-12-01T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = MORE)]
    pub at: Option<Timestamp>,
}

/// A comparison with the files before a change.
#[derive(Clone, Debug, Default, Args)]
pub struct BaseArgs {
    /// The same files as they were before the change under review; repeatable
    ///
    /// Each difference is labelled "this change" or "already there". A path that does not exist counts as an empty
    /// configuration. Example: git worktree add ../base main && convoke plan -f groups --base ../base/groups
    #[arg(long, value_name = "PATH")]
    pub base: Vec<PathBuf>,
    /// Plan only the groups that the change under review touches; needs --base
    ///
    /// Only these groups are read, so a pull request costs the requests of its own groups and not those of the whole
    /// organisation. Example: convoke plan -f groups --base ../base/groups --only-changed
    #[arg(long, requires = "base")]
    pub only_changed: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub struct FormatArgs {
    /// Format of the result: text, markdown, json or github
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub format: FormatArgs,
    /// The account's id: must be the one that the files name [env: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, value_name = "ID", help_heading = MORE)]
    pub account_id: Option<AccountId>,
    #[command(flatten)]
    pub time: TimeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Save the plan to this file, for `apply` and `show`
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with code 2 if there are differences
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub base: BaseArgs,
    /// Plan only what the clock brings: additions whose `from` has come, removals whose `until` has passed
    ///
    /// For a scheduled job that ends temporary access without applying anything else. Members whom no entry names
    /// stay. Example: convoke apply --due --yes
    #[arg(long)]
    pub due: bool,
    /// Exit with code 4 if the plan has another digest than this
    ///
    /// The plan is printed, and --out is not written. For merge queues: convoke plan --expect DIGEST
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<Digest>,
    /// Allow the removal of the person the token belongs to
    #[arg(long)]
    pub accept_self: bool,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

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
    /// Allow the removal of the person the token belongs to
    #[arg(long)]
    pub accept_self: bool,
    /// Record every request and answer in this new file
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Plan only what the clock brings: additions whose `from` has come, removals whose `until` has passed
    ///
    /// For a scheduled job that ends temporary access without applying anything else. Members whom no entry names
    /// stay. Example: convoke apply --due --yes
    #[arg(long)]
    pub due: bool,
    #[command(flatten)]
    pub base: BaseArgs,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DriftArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Write metrics for Prometheus to this file
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Do not ask the audit log who made each unexpected change
    ///
    /// The log is asked only if there is a difference: at most 10 pages a run. It needs the permission Account Settings
    /// Read.
    #[arg(long)]
    pub no_audit_log: bool,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    /// The journal of a run: what `apply --journal` wrote
    #[arg(value_name = "JOURNAL")]
    pub journal: PathBuf,
    /// Save the plan to this file, for `apply` and `show`
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub files: FileArgs,
    /// Reverse the run in this group only; repeatable
    #[arg(long, value_name = "GROUP")]
    pub only: Vec<String>,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ReviewArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Format of the result: text, csv, html, json or markdown
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: ReviewFormat,
    /// Write the result to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Read when each membership began: one more request a membership
    #[arg(long)]
    pub dates: bool,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub format: FormatArgs,
}

#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "EMAIL-OR-ID", value_parser = parse_person)]
    pub person: PersonRef,
    /// Look at this group only
    #[arg(value_name = "GROUP")]
    pub group: Option<String>,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The groups to write [default: all]
    #[arg(value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Write one file a group into this folder, instead of one document to stdout
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// Overwrite existing files that differ
    #[arg(long, requires = "out_dir")]
    pub force: bool,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// How the files are edited.
#[derive(Clone, Debug, Args)]
pub struct EditArgs {
    /// Show the edit, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    /// Format of the result: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: EditFormat,
}

#[derive(Clone, Debug, Args)]
pub struct GrantArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "PERSON", value_parser = parse_declared_person)]
    pub person: PersonRef,
    /// The groups to add the person to
    #[arg(value_name = "GROUP", required_unless_present = "roster", conflicts_with = "roster")]
    pub groups: Vec<String>,
    /// Add the person to this roster; repeatable
    #[arg(long, value_name = "NAME")]
    pub roster: Vec<String>,
    /// Begin then, instead of now: a date, an RFC 3339 instant, or a duration from now
    ///
    /// Examples: --from 2026-12-01, --from 2026-12-01T09:00:00Z, --from +2d.
    #[arg(long, value_name = "TIME")]
    pub from: Option<When>,
    /// End then: a date (through that day), an RFC 3339 instant, or a duration from now
    ///
    /// The units are h, d and w. Examples: --until 2026-12-31, --until +8h, --until +2w.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// The reason to write into the entry
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub edit: EditArgs,
}

#[derive(Clone, Debug, Args)]
pub struct RevokeArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "PERSON", value_parser = parse_declared_person)]
    pub person: PersonRef,
    /// The groups to take the person out of
    #[arg(value_name = "GROUP", required_unless_present_any = ["roster", "everywhere"])]
    #[arg(conflicts_with_all = ["roster", "everywhere"])]
    pub groups: Vec<String>,
    /// Take the person out of this roster; repeatable
    #[arg(long, value_name = "NAME", conflicts_with = "everywhere")]
    pub roster: Vec<String>,
    /// Take the person out of all groups and rosters of all files
    #[arg(long)]
    pub everywhere: bool,
    /// End the entries then instead of now: a date (through that day), an RFC 3339 instant, or a duration from now
    ///
    /// An entry that ends earlier stays as it is. Examples: --until 2026-12-31, --until +8h.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    #[command(flatten)]
    pub edit: EditArgs,
}

#[derive(Clone, Debug, Args)]
pub struct PruneArgs {
    /// Delete entries that ended longer ago than this, such as 12h, 30d or 8w
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_age)]
    pub older_than: SignedDuration,
    #[command(flatten)]
    pub edit: EditArgs,
}

impl GrantArgs {
    #[must_use]
    pub fn lists(&self) -> Vec<ListName> {
        lists(&self.groups, &self.roster)
    }
}

impl RevokeArgs {
    #[must_use]
    pub fn lists(&self) -> Vec<ListName> {
        lists(&self.groups, &self.roster)
    }
}

fn lists(groups: &[String], rosters: &[String]) -> Vec<ListName> {
    let groups = groups.iter().map(|name| ListName::Group(name.as_str().into()));
    groups.chain(rosters.iter().map(|name| ListName::Roster(name.as_str().into()))).collect()
}

#[derive(Clone, Debug, Args)]
pub struct SandboxArgs {
    /// The account's initial state
    #[arg(long, value_name = "FILE")]
    pub seed: PathBuf,
    /// Loopback address to listen on; port 0 takes a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// The kind of file: config, plan, journal, seed or review
    #[arg(value_enum, value_name = "FILE", hide_possible_values = true)]
    pub of: SchemaOf,
}

#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// The command to print the page of [default: convoke itself]
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
    /// The JSON of an access review
    Review,
    /// The JSON of what `apply` did
    Report,
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
pub enum ReviewFormat {
    /// For a person at a terminal
    #[default]
    Text,
    /// For spreadsheet programs: one row a membership
    Csv,
    /// One self-contained page to read, print and sign
    Html,
    /// For programs
    Json,
    /// For a comment or a wiki
    Markdown,
}

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EditFormat {
    /// For people: a unified diff and a line a change
    #[default]
    Text,
    /// For programs
    Json,
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

/// What to do about an error where a file was given without `-f`.
#[must_use]
pub fn file_tip(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
    let is_file = argument.ends_with(".yaml") || argument.ends_with(".yml") || argument.ends_with('/');
    (error.kind() == ErrorKind::UnknownArgument && is_file).then(|| format!("files are named with -f: '-f {argument}'"))
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time: Result<WrittenTime, TimeError> = text.parse();
    time.map(WrittenTime::start).map_err(|error| format!("{error}; {}", error.help()))
}

fn parse_concurrency(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "use a whole number of at least 1".into())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let friendly = || text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    let duration = seconds.or_else(friendly).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| "use a number of seconds, or a duration such as 500ms, 30s or 5m".into())
}

/// # Errors
///
/// Fails if the text is neither an address nor an id.
pub fn parse_person(text: &str) -> Result<PersonRef, String> {
    if let Ok(id) = text.parse() {
        return Ok(PersonRef::Id(id));
    }
    match Email::declared(text) {
        Ok(email) => Ok(PersonRef::Email(email)),
        Err(error) => Err(format!("use an email address, or a member id of 32 hexadecimal digits: {error}")),
    }
}

/// A person as the files can name them.
fn parse_declared_person(text: &str) -> Result<PersonRef, String> {
    match parse_person(text)? {
        PersonRef::Id(id) if !id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err("a member id has 32 hexadecimal digits".into())
        }
        person => Ok(person),
    }
}
