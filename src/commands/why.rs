//! `why`: the groups that a person is in or should be in, or the people of a group, and the lines that say so.

use std::collections::BTreeSet;

use clap::Args;

use super::request::{RunRequest, unknown_group};
use super::{Exit, Output, Result, session};
use crate::cli::{FormatArgs, PlanningArgs, TargetArgs, TimeArgs};
use crate::model::{Desired, GroupId, GroupName, Observed, PersonRef};
use crate::plan::{self, Policy};
use crate::render::{Format, why};
use crate::{config, observe};

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke why alice@example.com
  convoke why alice@example.com 'Platform Admins'
  convoke why --group 'Platform Admins'

To edit the lines that this command shows, use `convoke grant` and `convoke revoke`.")]
pub struct WhyArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "EMAIL-OR-ID", required_unless_present = "everybody")]
    pub person: Option<PersonRef>,
    /// Show only this group
    #[arg(value_name = "GROUP")]
    pub group: Option<GroupName>,
    /// Show everybody who is in this group or is declared for it
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "person")]
    pub everybody: Option<GroupName>,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub format: FormatArgs,
}

pub async fn run(args: &WhyArgs, output: &mut Output) -> Result<Exit> {
    let planning = PlanningArgs { time: args.time.clone(), ..PlanningArgs::default() };
    let request = RunRequest::new(&args.target, planning)?;
    let desired = config::load(&request.target.files.paths()?)?;
    let connection = session::connect(&request.target, request.account(&desired)?, output).await?;
    let client = &connection.client;
    let watching = output.watch(client, "reading the account");
    let mut current = Observed { groups: client.user_groups().await?, ..Observed::default() };
    let asked = args.group.as_ref().or(args.everybody.as_ref());
    let only = asked.map(|asked| concerned(&desired, asked)).unwrap_or_default();
    let wanted = wanted(&desired, &current, asked, &only)?;
    observe::read_members(client, &mut current, &wanted).await?;
    let policy = Policy { only, accept_self: true, ..Policy::new(connection.account_id) };
    let plan = observe::plan(client, &desired, &mut current, &policy, request.time).await?;
    if let Some(person) = &args.person {
        observe::look_up(client, &mut current, person).await?;
    }
    let mut why = plan::why(args.person.as_ref(), asked, &desired, &current, &plan, request.time);
    drop(watching);
    session::check_clock(client, &desired, &request, output)?;
    why.requests = Some(client.requests());
    match output.format {
        Format::Json => output.json(&why),
        _ => output.result(&why::text(&why, output.layout)),
    }
    Ok(Exit::Done)
}

/// A group, if the files declare it, with those that exclude it or that it excludes: they can block its entries.
fn concerned(desired: &Desired, asked: &GroupName) -> BTreeSet<GroupName> {
    let excludes = |name: &GroupName, other: &GroupName| {
        desired.groups.get(name).is_some_and(|group| group.rules.exclusive_with.contains_key(other))
    };
    let is_concerned = |name: &&GroupName| *name == asked || excludes(name, asked) || excludes(asked, name);
    desired.groups.keys().filter(is_concerned).cloned().collect()
}

/// The groups to read: all groups of the account, or those that the requested one may mean, with the concerned ones.
fn wanted(
    desired: &Desired,
    current: &Observed,
    asked: Option<&GroupName>,
    concerned: &BTreeSet<GroupName>,
) -> Result<BTreeSet<GroupId>> {
    let Some(asked) = asked else { return Ok(current.groups.keys().copied().collect()) };
    let named = current.groups.iter().filter(|(_, group)| group.name == *asked).map(|(id, _)| *id);
    let declared = plan::locate_groups(desired, current, |name| concerned.contains(name));
    let wanted: BTreeSet<GroupId> = named.chain(declared.into_values().filter_map(Result::ok)).collect();
    if wanted.is_empty() && !desired.groups.contains_key(asked) {
        let message = format!("neither the files nor the account has a group {:?}", asked.as_str());
        let known = desired.groups.keys().chain(current.groups.values().map(|group| &group.name));
        let help = "use the name of a group in the files or in the account";
        return Err(unknown_group(message, asked, known, help));
    }
    Ok(wanted)
}
