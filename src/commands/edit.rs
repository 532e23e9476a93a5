//! `grant`, `revoke`, `rename`, `prune` and `sort`: each reads the files, edits them in memory, and writes all results or
//! none.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::files::{self, Staged};
use super::{Exit, Failure, Output, Result, request};
use crate::cli::{FileArgs, TimeArgs};
use crate::config::{self, EditError, EditRequest, Edited, Grant, ListName, Revoke, Source, When, parse_age};
use crate::model::PersonRef;
use crate::render::{clean, counted, edit};

#[derive(Clone, Debug, Args)]
pub struct EditArgs {
    /// Show the edit, and write nothing
    #[arg(long, display_order = 60)]
    pub dry_run: bool,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    /// Format of the result: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, display_order = 80)]
    pub format: EditFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EditFormat {
    /// For people: a unified diff, and one line for each change
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke grant alice@example.com 'Platform Admins' --until +8h --reason 'INC-4821 cover'
  convoke grant bob@example.com --roster sre

Edits the files offline: the account is not touched. `plan` then shows what the edit changes.
If the person already has access for all of that time, nothing changes. An entry that ends earlier
or begins later is extended. `grant` never removes access.")]
pub struct GrantArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "PERSON", value_parser = parse_person)]
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
    /// When the access ends: a date (through that day), a date and time with offset (RFC 3339), or a duration from now
    ///
    /// The units are h, d and w. Examples: --until 2026-12-31, --until 2026-12-31T18:00:00Z, --until +8h, --until +2w.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// The reason to write into the entry
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn grant(args: GrantArgs, output: &mut Output) -> Result<Exit> {
    let GrantArgs { person, groups, roster, from, until, reason, edit } = args;
    let grant = Grant { person, lists: lists(&groups, &roster), from, until, reason };
    run(&EditRequest::Grant(grant), &edit, output)
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke revoke alice@example.com 'Platform Admins'
  convoke revoke alice@example.com --roster sre --until 2026-12-31
  convoke revoke alice@example.com --everywhere

Edits the files offline: the account is not touched. Without --until, the access ends now. An entry
that ends before --until does not change. In additive groups, and in rosters that they use, an entry
is ended and not deleted, so that the next apply removes the access.")]
pub struct RevokeArgs {
    /// The person: an email address, or an account member's id
    #[arg(value_name = "PERSON", value_parser = parse_person)]
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
    /// When the access ends: a date (through that day), a date and time with offset (RFC 3339), or a duration from now
    ///
    /// The units are h, d and w. Examples: --until 2026-12-31, --until 2026-12-31T18:00:00Z, --until +8h, --until +2w.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn revoke(args: RevokeArgs, output: &mut Output) -> Result<Exit> {
    let lists = (!args.everywhere).then(|| lists(&args.groups, &args.roster));
    let revoke = Revoke { person: args.person, lists, until: args.until, partial: args.partial };
    run(&EditRequest::Revoke(revoke), &args.edit, output)
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke rename ann@example.com ann.lee@example.com
  convoke rename ann@example.com 4f5f0c14a2a41d5063dd301b2f829f04 --dry-run

Edits the files offline: the account is not touched. All groups, rosters, owners and the setting
`protected` are edited. Sorted lists stay sorted. If a list has both people, their entries are
joined as `grant` would.")]
pub struct RenameArgs {
    /// The person as the files name them: an email address, or an account member's id
    #[arg(value_name = "OLD", value_parser = parse_renamed)]
    pub old: PersonRef,
    /// The address or id to write instead
    #[arg(value_name = "NEW", value_parser = parse_renamed)]
    pub new: PersonRef,
    #[command(flatten)]
    pub edit: EditArgs,
}

fn parse_renamed(text: &str) -> Result<PersonRef, String> {
    parse_person(text).map_err(|error| format!("`rename` renames people, not groups or rosters; {error}"))
}

pub fn rename(args: RenameArgs, output: &mut Output) -> Result<Exit> {
    run(&EditRequest::Rename { old: args.old, new: args.new }, &args.edit, output)
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke prune --dry-run
  convoke prune --older-than 90d

Edits the files offline. Ended entries of additive groups stay: without them, convoke would not
remove the access.")]
pub struct PruneArgs {
    /// Delete entries that ended longer ago than this, such as 12h, 30d or 8w
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_age)]
    pub older_than: SignedDuration,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn prune(args: PruneArgs, output: &mut Output) -> Result<Exit> {
    run(&EditRequest::Prune { older_than: args.older_than }, &args.edit, output)
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke sort
  convoke sort --check

Edits the files offline. Addresses are sorted without regard to letter case, in groups and rosters.
Entries by id and uses of rosters keep their places. Comment lines directly above an entry move with it.")]
pub struct SortArgs {
    /// Write nothing; exit with 65 and the lines that are out of order
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn sort(args: SortArgs, output: &mut Output) -> Result<Exit> {
    run(&EditRequest::Sort { check: args.check }, &args.edit, output)
}

fn lists(groups: &[String], rosters: &[String]) -> Vec<ListName> {
    let groups = groups.iter().map(|name| ListName::Group(name.as_str().into()));
    groups.chain(rosters.iter().map(|name| ListName::Roster(name.as_str().into()))).collect()
}

/// A person in the form of the files.
fn parse_person(text: &str) -> Result<PersonRef, String> {
    match text.parse()? {
        PersonRef::Id(id) if !id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err("a member id has 32 hexadecimal digits".into())
        }
        person => Ok(person),
    }
}

fn run(request: &EditRequest, args: &EditArgs, output: &mut Output) -> Result<Exit> {
    let given = args.files.paths()?;
    let _locks = if args.dry_run { Vec::new() } else { locks(&given) };
    let (paths, sources) = config::read_regular(&given)?;
    let now = args.time.at.unwrap_or_else(Timestamp::now);
    let mut edited = match config::edit(&sources, request, now, &|words| request::edit_command(words, &args.files)) {
        Ok(edited) => edited,
        Err(EditError::Usage { message, help, uncompared }) => {
            edit::uncompared(&uncompared).iter().for_each(|warning| output.warn(warning));
            return Err(Failure::message(Exit::Usage, message).with_help(help));
        }
        Err(EditError::Files(problems)) => return Err(problems.into()),
    };
    if !args.dry_run && !edited.files.is_empty() {
        write(&paths, &sources, &edited)?;
        edited.written = true;
        output.something_changed();
    }
    edited.notes.iter().for_each(|note| output.warn(&clean(note)));
    edit::uncompared(&edited.uncompared).iter().for_each(|warning| output.warn(warning));
    match args.format {
        EditFormat::Json => output.json(&edited),
        EditFormat::Text => output.result(&text(&sources, &edited, output)),
    }
    if let Some(problems) = edited.problems {
        let failure = Failure::from(problems);
        output.error(&failure);
        return Ok(failure.exit);
    }
    let files = counted(edited.files.len() as u64, "file");
    match (edited.files.is_empty(), args.dry_run) {
        (true, _) => output.note("Nothing to change."),
        (false, true) => output.note(&format!("{files} would change; nothing was written (--dry-run).")),
        (false, false) => output.note(&format!("{files} written.")),
    }
    Ok(Exit::Done)
}

fn text(sources: &[Source], edited: &Edited, output: &Output) -> String {
    let mut text = String::new();
    for (index, after) in &edited.files {
        if let Some(source) = sources.get(*index) {
            let before = String::from_utf8_lossy(&source.bytes);
            text += &edit::diff(&source.path, &before, after, output.layout.color);
        }
    }
    text + &edit::summary(edited)
}

/// Replaces the files. All files that were read are compared with the disk before the first is replaced.
fn write(paths: &[PathBuf], sources: &[Source], edited: &Edited) -> Result<()> {
    let mut replacements = Vec::new();
    for (index, text) in &edited.files {
        let (Some(path), Some(source)) = (paths.get(*index), sources.get(*index)) else { continue };
        // A link stays, and its target is replaced.
        let staged = fs::canonicalize(path)
            .and_then(|target| Staged::new(target, files::PUBLIC, &|file| file.write_all(text.as_bytes())))
            .map_err(|error| unwritten(source, error, &[]))?;
        replacements.push((source, staged));
    }
    for (source, path) in sources.iter().zip(paths) {
        compare(source, path).map_err(|error| unwritten(source, error, &[]))?;
    }
    let mut written: Vec<&str> = Vec::new();
    for (source, staged) in replacements {
        compare(source, staged.target())
            .and_then(|()| staged.replace())
            .map_err(|error| unwritten(source, error, &written))?;
        written.push(&source.path);
    }
    Ok(())
}

/// Locks the files, so that edits take turns, in one order, whatever the order on the command line. Programs that do not
/// lock are noticed by a comparison with the disk.
fn locks(given: &[PathBuf]) -> Vec<File> {
    /// A process may have 256 files open on some systems.
    const MOST: usize = 200;
    let real = config::found(given).into_iter().filter_map(|path| fs::canonicalize(path).ok());
    let real: BTreeSet<PathBuf> = real.collect();
    real.iter().take(MOST).filter_map(|path| lock(path)).collect()
}

/// Locks a file. Another edit may have replaced it meanwhile, so the new one is locked then.
fn lock(path: &Path) -> Option<File> {
    loop {
        // A pipe would block.
        let file = File::open(fs::metadata(path).is_ok_and(|metadata| metadata.is_file()).then_some(path)?).ok()?;
        file.lock().ok()?;
        if is_still(&file, path) {
            return Some(file);
        }
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(locked), Ok(found)) = (file.metadata(), fs::metadata(path)) else { return true };
    (locked.dev(), locked.ino()) == (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn is_still(_: &File, _: &Path) -> bool {
    true
}

/// Checks that a file still has the content that was edited.
fn compare(source: &Source, target: &Path) -> io::Result<()> {
    if fs::read(target)? == source.bytes {
        Ok(())
    } else {
        Err(io::Error::other("another program changed it meanwhile"))
    }
}

fn unwritten(source: &Source, error: io::Error, written: &[&str]) -> Failure {
    let help = match written {
        [] => "nothing was written; resolve the cause, then run the command again".to_owned(),
        _ => format!("already written: {}; restore them, or run the command again", written.join(", ")),
    };
    Failure::caused(Exit::Other, format!("{} cannot be written", source.path), error).with_help(help)
}
