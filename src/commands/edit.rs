//! The common part of `grant`, `revoke` and `prune`: reads the files, edits them in memory, and writes all results or
//! none.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::files::{self, Staged};
use super::{Exit, Failure, Output, request};
use crate::cli::{FileArgs, TimeArgs};
use crate::config::{self, EditError, EditRequest, Edited, ListName, Source, When};
use crate::model::PersonRef;
use crate::render::edit;
use crate::render::text::Paint;
use crate::render::{clean, counted};

/// How the files are edited.
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

#[derive(Clone, Debug, Args)]
pub struct UntilArgs {
    /// When the access ends: a date (through that day), a date and time with offset (RFC 3339), or a duration from now
    ///
    /// The units are h, d and w. Examples: --until 2026-12-31, --until 2026-12-31T18:00:00Z, --until +8h, --until +2w.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EditFormat {
    /// For people: a unified diff, and one line for each change
    #[default]
    Text,
    /// For programs
    Json,
}

pub fn lists(groups: &[String], rosters: &[String]) -> Vec<ListName> {
    let groups = groups.iter().map(|name| ListName::Group(name.as_str().into()));
    groups.chain(rosters.iter().map(|name| ListName::Roster(name.as_str().into()))).collect()
}

/// A person in the form of the files.
pub fn parse_person(text: &str) -> Result<PersonRef, String> {
    match text.parse()? {
        PersonRef::Id(id) if !id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err("a member id has 32 hexadecimal digits".into())
        }
        person => Ok(person),
    }
}

pub fn run(request: &EditRequest, args: &EditArgs, output: &mut Output) -> Result<Exit, Failure> {
    let given = args.files.paths()?;
    // Edits of the same files take turns. Programs that do not lock are noticed by a comparison with the disk.
    let _lock = config::found(&given).first().filter(|_| !args.dry_run).and_then(|path| lock(path));
    let (paths, sources): (Vec<PathBuf>, Vec<Source>) = config::read_regular(&given)?.into_iter().unzip();
    let now = args.time.or_now();
    let mut edited = match config::edit(&sources, request, now, &|words| request::edit_command(words, &args.files)) {
        Ok(edited) => edited,
        Err(EditError::Usage { message, help, uncompared }) => {
            tell(&[], edit::uncompared(&uncompared), output);
            return Err(Failure::message(Exit::Usage, message).with_help(help));
        }
        Err(EditError::Files(problems)) => return Err(problems.into()),
    };
    if !args.dry_run && !edited.files.is_empty() {
        write(&paths, &sources, &edited)?;
        edited.written = true;
        output.something_changed();
    }
    tell(&edited.notes, edit::uncompared(&edited.uncompared), output);
    if let Some(problems) = &edited.problems {
        let failure = Failure::from(problems.clone());
        if args.format == EditFormat::Text {
            output.result(&text(&sources, &edited, output));
            return Err(failure);
        }
        output.json(&edited);
        output.error(&failure);
        return Ok(failure.exit);
    }
    match args.format {
        EditFormat::Json => output.json(&edited),
        EditFormat::Text => output.result(&text(&sources, &edited, output)),
    }
    let files = counted(edited.files.len() as u64, "file");
    match (edited.files.is_empty(), args.dry_run) {
        (true, _) => output.note("Nothing to change."),
        (false, true) => output.note(&format!("{files} would change; nothing was written (--dry-run).")),
        (false, false) => output.note(&format!("{files} written.")),
    }
    Ok(Exit::Done)
}

fn tell(notes: &[String], uncompared: Option<String>, output: &mut Output) {
    for note in notes {
        output.warn(&clean(note));
    }
    if let Some(uncompared) = uncompared {
        output.warn(&uncompared);
    }
}

fn text(sources: &[Source], edited: &Edited, output: &Output) -> String {
    let mut text = String::new();
    for (index, after) in &edited.files {
        if let Some(source) = sources.get(*index) {
            let before = String::from_utf8_lossy(&source.bytes);
            text += &edit::diff(&source.path, &before, after, Paint::new(output.layout().color));
        }
    }
    text + &edit::summary(edited)
}

/// Replaces the files. All files that were read are compared with the disk before the first is replaced. The first,
/// which is locked, is replaced last.
fn write(paths: &[PathBuf], sources: &[Source], edited: &Edited) -> Result<(), Failure> {
    let mut replacements = Vec::new();
    for (index, text) in edited.files.iter().rev() {
        let (Some(path), Some(source)) = (paths.get(*index), sources.get(*index)) else { continue };
        // A link stays, and its target is replaced.
        let staged = fs::canonicalize(path)
            .and_then(|target| Staged::new(target, files::PUBLIC, |file| file.write_all(text.as_bytes())))
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
    let context = format!("{} cannot be written", source.path);
    let help = match written {
        [] => "nothing was written; resolve the cause, then run the command again".to_owned(),
        _ => format!("already written: {}; restore them, or run the command again", written.join(", ")),
    };
    Failure::new(Exit::Other, anyhow::Error::new(error).context(context)).with_help(help)
}
