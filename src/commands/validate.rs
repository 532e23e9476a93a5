//! `validate`: checks the files and the groups' rules, offline.

use clap::Args;
use jiff::Timestamp;

use super::request::{agreed_account, given_account};
use super::{Exit, Output, Result};
use crate::cli::{FileArgs, FormatArgs, MORE, TimeArgs};
use crate::config;
use crate::model::{AccountId, RunStatus};
use crate::render::{FAILURE_VERSION, Format, counted, github};

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke validate
  convoke validate -f groups --format github")]
pub struct ValidateArgs {
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub format: FormatArgs,
    /// The account's id: must be the one that the files name [env: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, value_name = "ID", hide_short_help = true, display_order = 90, help_heading = MORE)]
    pub account_id: Option<AccountId>,
    #[command(flatten)]
    pub time: TimeArgs,
}

pub fn run(args: &ValidateArgs, output: &mut Output) -> Result<Exit> {
    let (desired, sources) = config::load_with_sources(&args.files.paths()?)?;
    let time = args.time.at.unwrap_or_else(Timestamp::now);
    config::check_rules(&desired, &sources, time)?;
    agreed_account(given_account(args.account_id)?, &desired)?;
    let groups = desired.groups.len() as u64;
    let memberships: u64 = desired.groups.values().map(|group| group.members.len() as u64).sum();
    let warnings = config::warnings(&desired, &sources, time);
    for warning in &warnings {
        output.warn(warning.to_string().trim_end());
    }
    match output.format {
        Format::Json => output.json(&serde_json::json!({
            "format_version": FAILURE_VERSION,
            // Nothing was changed, and the account is unknown offline.
            "status": RunStatus::Unchanged,
            "valid": true,
            "groups": groups,
            "memberships": memberships,
            "warnings": warnings,
        })),
        Format::Github if !warnings.is_empty() => output.result(&github::warnings(&warnings)),
        _ => {}
    }
    if output.format != Format::Json && !output.args.quiet {
        let (groups, memberships) = (counted(groups, "group"), counted(memberships, "declared membership"));
        output.result(&format!("Valid: {groups}, {memberships}\n"));
    }
    Ok(Exit::Done)
}
