//! Flags that several commands share, and the parsing of their values. The flags of one command are in its own file
//! in [`commands`](crate::commands).

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, ColorChoice, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use crate::config::is_yaml;
use crate::model::{AccountId, GroupName, TimeError, WrittenTime};
use crate::render::Format;

/// The help heading of the less frequent flags.
pub const MORE: &str = "Account, time, connection and output";

#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// When to use colors: auto, always or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", hide_possible_values = true)]
    #[arg(global = true, hide_short_help = true, display_order = 95, help_heading = MORE)]
    pub color: ColorChoice,
    /// Log more: the number of requests with -v, each request with -vv
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    #[arg(hide_short_help = true, display_order = 96, help_heading = MORE)]
    pub verbose: u8,
    /// Hide progress, notes and retries
    #[arg(short, long, global = true, hide_short_help = true, display_order = 97, help_heading = MORE)]
    pub quiet: bool,
    /// Format of stderr: text or json (one object per line)
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(global = true, hide_short_help = true, display_order = 98, help_heading = MORE)]
    pub log_format: LogFormat,
}

#[derive(Clone, Debug, Default, Args)]
pub struct FileArgs {
    /// File or folder that declares groups; repeatable [default: convoke.yaml, else groups]
    ///
    /// A folder means every *.yaml and *.yml file below it, in path order, but no hidden files (.name). All files
    /// together are one configuration. Without the flag, CONVOKE_FILE names one file or folder. Without both,
    /// convoke.yaml is read, or the folder groups if it has such files.
    #[arg(short, long = "file", value_name = "PATH", display_order = 0)]
    pub files: Vec<PathBuf>,
}

/// The files, the account, and how to reach the API.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Run against a built-in mock of the API, seeded from this file
    ///
    /// The mock lives as long as the command. Nothing is sent to Cloudflare, and no credentials are needed. `convoke
    /// schema seed` prints the file's format.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["api_url", "token_file"], display_order = 81)]
    pub sandbox: Option<PathBuf>,
    /// Read the API token from this file [default: $CLOUDFLARE_API_TOKEN]
    ///
    /// Without a token, CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY are used. A token is not accepted as an argument,
    /// because other users of the machine could read it.
    #[arg(long, value_name = "PATH", display_order = 82)]
    pub token_file: Option<PathBuf>,
    /// The account's id [env: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, value_name = "ID", hide_short_help = true, display_order = 90, help_heading = MORE)]
    pub account_id: Option<AccountId>,
    /// Base URL of the API [env: CLOUDFLARE_BASE_URL] [default: https://api.cloudflare.com/client/v4]
    #[arg(long, value_name = "URL", hide_short_help = true, display_order = 91, help_heading = MORE)]
    pub api_url: Option<String>,
    /// Maximum number of requests at the same time
    #[arg(long, value_name = "N", default_value = "8", value_parser = parse_concurrency)]
    #[arg(hide_short_help = true, display_order = 92, help_heading = MORE)]
    pub concurrency: NonZeroUsize,
    /// Maximum time of one attempt of a request, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    #[arg(hide_short_help = true, display_order = 93, help_heading = MORE)]
    pub timeout: Duration,
    /// Maximum total time per request, retries included, such as 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    #[arg(hide_short_help = true, display_order = 94, help_heading = MORE)]
    pub max_wait: Duration,
}

#[derive(Clone, Debug, Default, Args)]
pub struct PlanningArgs {
    /// Include only this group; repeatable
    ///
    /// Example: --only 'Platform Admins' --only Developers. Other groups are not read, and the result says nothing
    /// about them.
    #[arg(long, value_name = "GROUP", display_order = 70)]
    pub only: Vec<GroupName>,
    #[command(flatten)]
    pub time: TimeArgs,
    /// Warn about memberships that expire within N days
    #[arg(long, value_name = "N", default_value_t = 7, hide_short_help = true, display_order = 89, help_heading = MORE)]
    pub expiring: u16,
}

#[derive(Clone, Debug, Default, Args)]
pub struct TimeArgs {
    /// Use this time instead of now: a date, or a date and time with offset (RFC 3339)
    ///
    /// Examples: --at 2026-12-01, --at 2026-12-01T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    #[arg(hide_short_help = true, display_order = 88, help_heading = MORE)]
    pub at: Option<Timestamp>,
}

/// What a plan is narrowed to, compared with and allowed to do.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanOptions {
    /// The same files before the change: path or revision
    ///
    /// Each difference is labeled "this change" or "already there". A path that exists is read. Anything else is a
    /// revision of the repository in which the files lie, and means the paths of -f at that revision. If none of the
    /// files exists there, everything is new. Example: convoke plan -f groups --base origin/main
    #[arg(long, value_name = "PATH-OR-REV")]
    pub base: Vec<PathBuf>,
    /// Plan only what the change asks for; needs --base
    ///
    /// Only these groups are read, so a pull request needs only the requests for its own groups. Example: convoke
    /// plan -f groups --base origin/main --only-changed
    #[arg(long, requires = "base")]
    pub only_changed: bool,
    /// Plan only what begins or ends by the clock
    ///
    /// That is, `from` has come, or `until` has passed. For a scheduled job that ends temporary access and applies
    /// nothing else. Members that no entry names stay. Example: convoke apply --due --yes
    #[arg(long, conflicts_with = "base")]
    pub due: bool,
    /// Allow the removal of the person the token belongs to
    #[arg(long)]
    pub accept_self: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub struct FormatArgs {
    /// Format of the result: text, markdown, json or github
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, display_order = 80)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// The remedy if a file was given without `-f`.
pub fn file_tip(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
    let is_file = is_yaml(Path::new(argument)) || argument.ends_with('/');
    (error.kind() == ErrorKind::UnknownArgument && is_file).then(|| format!("use -f for files: '-f {argument}'"))
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time: Result<WrittenTime, TimeError> = text.parse();
    time.map(WrittenTime::start).map_err(|error| format!("{error}; {}", error.help))
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
