//! Reads and writes plans and other files. A file is written completely or not at all, and read up to a size limit.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::{Exit, Failure};
use crate::config;
use crate::journal::{self, Record};
use crate::plan::Plan;
use crate::render::json;
use crate::sandbox::Seed;

/// The maximum size of a plan: sufficient for more than a million memberships.
const LARGEST_PLAN: u64 = 512 << 20;

/// The maximum size of a journal.
const LARGEST_JOURNAL: u64 = 256 << 20;

/// Saves a plan in a file that only its owner can read.
pub fn save_plan(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let sealed = plan.sealed();
    write(path, 0o600, |file| json::write(file, &sealed))
}

/// Writes a file that only its owner can read, as a stream.
pub fn write_private(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write(path, 0o600, content)
}

/// Writes a file that everybody can read.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write(path, 0o644, |file| file.write_all(bytes))
}

/// Whether the file exists with exactly this content.
pub fn holds(path: &Path, bytes: &[u8]) -> bool {
    read(path, bytes.len() as u64).is_ok_and(|found| found == bytes)
}

/// Writes a file. A regular file is replaced atomically. A link stays, and its target is replaced. A device or a pipe
/// is written directly.
fn write(path: &Path, mode: u32, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write_through_links(path, mode, content).map_err(|error| {
        let context = format!("{} cannot be written", path.display());
        Failure::new(Exit::Other, anyhow::Error::new(error).context(context))
    })
}

fn write_through_links(
    path: &Path,
    mode: u32,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => {
            let target = if is_link { path.canonicalize()? } else { path.to_path_buf() };
            replace(&target, mode, content)
        }
        // A folder fails here with the system's own message.
        Ok(_) => write_into(OpenOptions::new().write(true).open(path)?, content),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_link => {
            write_into(OpenOptions::new().write(true).create(true).truncate(true).open(path)?, content)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, mode, content),
        Err(error) => Err(error),
    }
}

fn write_into(file: File, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = BufWriter::new(file);
    content(&mut buffer)?;
    buffer.flush()
}

fn replace(path: &Path, mode: u32, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".convoke-");
    // The error would name the temporary file, which a user does not know.
    let mut file = builder.tempfile_in(folder).map_err(|error| io::Error::from(error.kind()))?;
    let mut buffer = BufWriter::new(&mut file);
    content(&mut buffer)?;
    buffer.flush()?;
    drop(buffer);
    // Set on the file itself, because the umask restricts the mode at creation.
    #[cfg(unix)]
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = mode;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Reads a saved plan and checks it.
pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let bytes = read(path, LARGEST_PLAN).map_err(|error| unreadable(path, error))?;
    Plan::parse(&bytes).map_err(|error| {
        let context = format!("{} is not a valid plan file", path.display());
        let help = match is_yaml(path) {
            true => format!("use -f for files that declare groups: '-f {}'", path.display()),
            false => "make a new plan: convoke plan --out FILE".to_owned(),
        };
        Failure::new(Exit::Data, anyhow::Error::new(error).context(context)).with_help(help)
    })
}

/// Reads a journal.
pub fn read_journal(path: &Path) -> Result<Record, Failure> {
    let bytes = read(path, LARGEST_JOURNAL).map_err(|error| unreadable(path, error))?;
    journal::parse(&bytes).map_err(|error| {
        let context = format!("{} is not a valid journal", path.display());
        Failure::new(Exit::Data, anyhow::Error::new(error).context(context))
    })
}

/// Reads a seed.
pub fn read_seed(path: &Path) -> Result<Seed, Failure> {
    Seed::load(path).map_err(|error| {
        if config::load(&[path.to_owned()]).is_ok() {
            let message = format!("{} is a configuration, not a seed", path.display());
            return Failure::message(Exit::Data, message)
                .with_help("`convoke schema seed` prints the format of a seed; pass the configuration with -f");
        }
        Failure::new(Exit::Data, error)
    })
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    Failure::new(Exit::Data, anyhow::Error::new(error).context(format!("{} cannot be read", path.display())))
}

/// Reads a file up to a size limit.
fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > largest {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {largest} bytes"))),
        false => Ok(bytes),
    }
}
