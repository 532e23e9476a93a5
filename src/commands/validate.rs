//! `validate`: checks the files and the groups' rules, offline.

use super::{Exit, Failure, Output, session};
use crate::cli::{Format, ValidateArgs};
use crate::config;
use crate::model::RunStatus;
use crate::render::failure::FORMAT_VERSION;
use crate::render::{counted, github};

pub fn run(args: &ValidateArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (desired, sources) = config::load_with_sources(&session::paths(&args.files))?;
    config::check_rules(&desired, &sources, session::time(&args.time))?;
    session::account(args.account_id, &desired)?;
    let groups = desired.groups.len() as u64;
    let memberships: usize = desired.groups.values().map(|group| group.members.len()).sum();
    let memberships = memberships as u64;
    let warnings = config::warnings(&desired, &sources);
    for warning in &warnings {
        output.warn(warning.to_string().trim_end());
    }
    match args.format.format {
        Format::Json => output.json(&serde_json::json!({
            "format_version": FORMAT_VERSION,
            // Nothing was changed, and offline nothing is known of the account.
            "status": RunStatus::Unchanged,
            "valid": true,
            "groups": groups,
            "memberships": memberships,
            "warnings": warnings,
        })),
        Format::Github if !warnings.is_empty() => output.result(&github::warnings(&warnings)),
        _ => {}
    }
    if args.format.format != Format::Json && !output.is_quiet() {
        let (groups, memberships) = (counted(groups, "group"), counted(memberships, "declared membership"));
        output.result(&format!("Valid: {groups}, {memberships}\n"));
    }
    Ok(Exit::Done)
}
