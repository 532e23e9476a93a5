//! `grant`: adds a person to groups or rosters in the files.

use clap::Args;

use super::edit::{EditArgs, UntilArgs};
use super::{Exit, Failure, Output, edit};
use crate::config::{EditRequest, Grant, When};
use crate::model::PersonRef;

pub const EXAMPLES: &str = "\
Examples:
  convoke grant alice@example.com 'Platform Admins' --until +8h --reason 'INC-4821 cover'
  convoke grant bob@example.com --roster sre

Edits the files offline: the account is not touched. `plan` then shows what the edit changes.
If the person already has access for all of that time, nothing changes. An entry that ends earlier
or begins later is extended. `grant` never removes access.";

#[derive(Clone, Debug, Args)]
pub struct GrantArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "PERSON", value_parser = edit::parse_person)]
    pub person: PersonRef,
    /// The groups to add the person to
    #[arg(value_name = "GROUP", required_unless_present = "roster", conflicts_with = "roster")]
    pub groups: Vec<String>,
    /// Add the person to this roster; repeatable
    #[arg(long, value_name = "NAME")]
    pub roster: Vec<String>,
    /// When the access begins [default: now]; written like --until
    #[arg(long, value_name = "TIME")]
    pub from: Option<When>,
    #[command(flatten)]
    pub until: UntilArgs,
    /// The reason to write into the entry
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn run(args: &GrantArgs, output: &mut Output) -> Result<Exit, Failure> {
    let request = EditRequest::Grant(Grant {
        person: args.person.clone(),
        lists: edit::lists(&args.groups, &args.roster),
        from: args.from.clone(),
        until: args.until.until.clone(),
        reason: args.reason.clone(),
    });
    edit::run(&request, &args.edit, output)
}
