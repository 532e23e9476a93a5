//! Reads and writes plans and other files: written whole or not at all, read up to a bound.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::{Exit, Failure};
use crate::journal::{self, Record};
use crate::plan::Plan;
use crate::render::json;

/// The most bytes of a plan that is read: a million memberships with room to spare.
const LARGEST_PLAN: u64 = 512 << 20;

/// The most bytes of a journal that is read.
const LARGEST_JOURNAL: u64 = 256 << 20;

/// Saves a plan in a file that its owner alone may read.
pub fn save_plan(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let sealed = plan.sealed();
    write(path, 0o600, |file| json::write(file, &sealed))
}

/// Writes a file that its owner alone may read, as its content comes.
pub fn write_private(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write(path, 0o600, content)
}

/// Writes a file that everybody may read.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write(path, 0o644, |file| file.write_all(bytes))
}

/// Whether a file is there and holds exactly this.
pub fn holds(path: &Path, bytes: &[u8]) -> bool {
    read(path, bytes.len() as u64).is_ok_and(|found| found == bytes)
}

/// Writes a file, and replaces one that is there only once the new one is whole.
fn write(path: &Path, mode: u32, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let write = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".convoke-");
        let mut file = builder.tempfile_in(folder)?;
        let mut buffer = BufWriter::new(&mut file);
        content(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        // Set on the file itself: what it is created with would be narrowed by the umask.
        #[cfg(unix)]
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        #[cfg(not(unix))]
        let _ = mode;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| {
        let context = format!("{} cannot be written", path.display());
        Failure::new(Exit::Other, anyhow::Error::new(error).context(context))
    })
}

/// Reads a saved plan and checks it.
pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let wrong = |error: anyhow::Error| {
        let context = format!("{} is no plan that can be used", path.display());
        Failure::new(Exit::Data, error.context(context)).with_help("make the plan anew: convoke plan --out FILE")
    };
    let bytes = read(path, LARGEST_PLAN).map_err(|error| wrong(error.into()))?;
    Plan::parse(&bytes).map_err(|error| wrong(error.into()))
}

/// Reads a journal.
pub fn read_journal(path: &Path) -> Result<Record, Failure> {
    let wrong = |error: anyhow::Error| {
        let context = format!("{} is no journal that can be used", path.display());
        Failure::new(Exit::Data, error.context(context))
    };
    let bytes = read(path, LARGEST_JOURNAL).map_err(|error| wrong(error.into()))?;
    journal::parse(&bytes).map_err(|error| wrong(error.into()))
}

/// Reads a file, but no more than so many bytes.
fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > largest {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {largest} bytes"))),
        false => Ok(bytes),
    }
}
