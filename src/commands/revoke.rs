//! `revoke`: removes a person from groups or rosters in the files.

use clap::Args;

use super::edit::{EditArgs, UntilArgs};
use super::{Exit, Failure, Output, edit};
use crate::config::{EditRequest, Revoke};
use crate::model::PersonRef;

pub const EXAMPLES: &str = "\
Examples:
  convoke revoke alice@example.com 'Platform Admins'
  convoke revoke alice@example.com --roster sre --until 2026-12-31
  convoke revoke alice@example.com --everywhere

Edits the files offline: the account is not touched. Without --until, the access ends now. An entry
that ends before --until does not change. In additive groups, and in rosters that they use, an entry
is ended and not deleted, so that the next apply removes the access.";

#[derive(Clone, Debug, Args)]
pub struct RevokeArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "PERSON", value_parser = edit::parse_person)]
    pub person: PersonRef,
    /// The groups to remove the person from
    #[arg(value_name = "GROUP", required_unless_present_any = ["roster", "everywhere"])]
    #[arg(conflicts_with_all = ["roster", "everywhere"])]
    pub groups: Vec<String>,
    /// Remove the person from this roster; repeatable
    #[arg(long, value_name = "NAME", conflicts_with = "everywhere")]
    pub roster: Vec<String>,
    /// Remove the person from all groups and rosters of all files
    #[arg(long)]
    pub everywhere: bool,
    /// Make what is allowed, and exit with 65 naming what is left; needs --everywhere
    #[arg(long, requires = "everywhere", conflicts_with_all = ["groups", "roster"])]
    pub partial: bool,
    #[command(flatten)]
    pub until: UntilArgs,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn run(args: &RevokeArgs, output: &mut Output) -> Result<Exit, Failure> {
    let lists = (!args.everywhere).then(|| edit::lists(&args.groups, &args.roster));
    let (person, until) = (args.person.clone(), args.until.until.clone());
    let request = EditRequest::Revoke(Revoke { person, lists, until, partial: args.partial });
    edit::run(&request, &args.edit, output)
}
