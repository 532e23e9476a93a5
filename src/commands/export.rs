//! `export`: writes the account's present membership as files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::request::{RunRequest, unknown_group};
use super::{Exit, Failure, Output, Result, files, session};
use crate::cli::{PlanningArgs, TargetArgs};
use crate::config::export::{Export, ExportExtras};
use crate::config::{self, export};
use crate::model::{AccountId, Desired, DesiredGroup, GroupId, GroupName, GroupSummary, Observed};
use crate::observe;
use crate::render::{clean, counted};

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke export --out convoke.yaml
  convoke export --out-dir groups
  convoke export Developers 'Platform Admins'

A plan of the exported files shows no changes. Groups are pinned by id. A member without a unique
address is written by id.")]
pub struct ExportArgs {
    /// The groups to write [default: all]
    #[arg(value_name = "GROUP")]
    pub groups: Vec<GroupName>,
    /// Write one file for each group into this folder, instead of one document to stdout
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// Write the document to this file instead of stdout
    #[arg(short, long, value_name = "FILE", conflicts_with = "out_dir")]
    pub out: Option<PathBuf>,
    /// Pin what each group gives: its permissions, with the resources that they are limited to
    #[arg(long)]
    pub permissions: bool,
    /// Overwrite existing files that differ
    #[arg(long, requires = "out_dir")]
    pub force: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

pub async fn run(args: &ExportArgs, output: &mut Output) -> Result<Exit> {
    let request = RunRequest::new(&args.target, PlanningArgs::default())?;
    // An empty file, such as a failed `> convoke.yaml` leaves, is no input.
    request.check_output("--out", args.out.as_deref().filter(|path| has_content(path)))?;
    let (account_id, declared) = declared(&request)?;
    let connection = session::connect(&request.target, account_id, output).await?;
    let client = &connection.client;
    let watching = output.watch(client, "reading the account");
    let mut current = Observed { groups: client.user_groups().await?, ..Observed::default() };
    let wanted = wanted(&current, &args.groups)?;
    check_undeclared(&args.groups, &wanted, &declared)?;
    observe::read_members(client, &mut current, &wanted).await?;
    let scim = client.scim_groups().await;
    drop(watching);
    let external = match scim {
        Ok(scim) => export::external_groups(&current, &scim),
        Err(error) => {
            let message = "groups of an identity provider are not recognized, because SCIM cannot be read";
            output.note(&format!("{message}: {}", clean(&error.reason())));
            BTreeSet::new()
        }
    };
    let extras = ExportExtras { permissions: args.permissions, external };
    let export = export::export(&current, &wanted, &extras);
    let document = || export::document(&export, connection.account_id);
    match (&args.out_dir, &args.out) {
        (Some(folder), _) => write(&export, connection.account_id, folder, args.force, output)?,
        (None, Some(path)) => files::write(path, files::PUBLIC, &|file| file.write_all(document().as_bytes()))?,
        (None, None) => output.result(&document()),
    }
    for warning in &export.warnings {
        output.warn(&clean(warning));
    }
    output.cost();
    Ok(Exit::Done)
}

/// The account of the command line, the environment or the files, and what the files declare. Files that `-f` does not
/// name may not exist yet, and `> convoke.yaml` empties the default file before it can be read.
fn declared(request: &RunRequest) -> Result<(Option<AccountId>, Desired)> {
    let (files, account_id) = (&request.target.files, request.account_id);
    let paths = files.paths().unwrap_or_default();
    if files.files.is_empty() && (paths.is_empty() || !paths.iter().all(|path| has_content(path))) {
        return Ok((account_id, Desired::default()));
    }
    if files.named().is_empty() && account_id.is_some() {
        return Ok((account_id, config::load(&paths).unwrap_or_default()));
    }
    let desired = config::load(&paths)?;
    Ok((request.account(&desired)?, desired))
}

/// Checks that no file declares a named group.
fn check_undeclared(names: &[GroupName], wanted: &BTreeSet<GroupId>, declared: &Desired) -> Result<()> {
    let is_wanted = |(name, group): &(&GroupName, &DesiredGroup)| {
        let pin = group.pin.as_ref().filter(|_| !names.is_empty());
        names.contains(name) || pin.is_some_and(|pin| wanted.contains(&pin.value))
    };
    let Some((name, group)) = declared.groups.iter().find(is_wanted) else { return Ok(()) };
    let message = format!("group {:?} is already declared at {}", name.as_str(), group.origin);
    Err(Failure::message(Exit::Usage, message).with_help("edit it there, or leave the name out"))
}

fn has_content(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

/// The groups to write: those of these names, or all groups.
fn wanted(current: &Observed, names: &[GroupName]) -> Result<BTreeSet<GroupId>> {
    let known = || current.groups.values().map(|group| &group.name);
    if let Some(unknown) = names.iter().find(|name| !known().any(|known| known == *name)) {
        let message = format!("the account has no group {:?}", unknown.as_str());
        return Err(unknown_group(message, unknown, known(), "omit the names to export all groups"));
    }
    let is_wanted = |group: &GroupSummary| names.is_empty() || names.contains(&group.name);
    Ok(current.groups.iter().filter(|(_, group)| is_wanted(group)).map(|(id, _)| *id).collect())
}

/// Writes a file for each group. Writes nothing if an existing file would be lost.
fn write(export: &Export, account_id: AccountId, folder: &Path, force: bool, output: &mut Output) -> Result<()> {
    let names = export::file_names(&export.groups);
    let texts = export.groups.values().filter_map(|group| {
        let path = folder.join(names.get(&group.id)?);
        Some((path, export::group_document(group, account_id)))
    });
    let is_there =
        |path: &Path, text: &str| files::read(path, text.len() as u64).is_ok_and(|found| found == text.as_bytes());
    let (same, new): (Vec<_>, Vec<_>) = texts.partition(|(path, text)| is_there(path, text));
    if let Some((lost, _)) = new.iter().find(|(path, _)| !force && path.symlink_metadata().is_ok()) {
        let message = format!("{} already exists with other content", lost.display());
        let help = "pass --force to overwrite, or export into another folder";
        return Err(Failure::message(Exit::Other, message).with_help(help));
    }
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::caused(Exit::Other, format!("the folder {} cannot be created", folder.display()), error)
    })?;
    for (path, text) in &new {
        files::write(path, files::PUBLIC, &|file| file.write_all(text.as_bytes()))?;
    }
    let (written, unchanged) = (counted(new.len() as u64, "file"), same.len());
    output.note(&format!("{written} written to {}, {unchanged} unchanged", clean(&folder.display().to_string())));
    Ok(())
}
