//! Reads and writes plans and other files. A file is written completely or not at all, and read up to a size limit.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tempfile::NamedTempFile;

use super::{Exit, Failure, Result};
use crate::config;
use crate::journal::{self, Record, UNREAD_WITHIN, unread};
use crate::plan::Plan;
use crate::render;
use crate::sandbox::Seed;

/// The maximum size of a plan: sufficient for more than a million memberships.
const LARGEST_PLAN: u64 = 512 << 20;

const LARGEST_JOURNAL: u64 = 256 << 20;

const LARGEST_SEED: u64 = 64 << 20;

/// What is written at a time, as much as a pipe holds.
const CHUNK: usize = 64 << 10;

/// The mode of new files: only the owner can read them.
pub const PRIVATE: u32 = 0o600;

/// The mode of new files: everybody can read them.
pub const PUBLIC: u32 = 0o644;

pub type Content<'c> = &'c dyn Fn(&mut dyn Write) -> io::Result<()>;

pub fn save_plan(plan: &Plan, path: &Path) -> Result<()> {
    let sealed = plan.sealed();
    write(path, PRIVATE, &|file| render::json(file, &sealed))
}

/// Writes a file. A regular file is replaced atomically and keeps its mode. A link stays, and its target is replaced.
/// A device or a pipe is written directly.
pub fn write(path: &Path, new_mode: u32, content: Content<'_>) -> Result<()> {
    let written = || {
        let target = match path.metadata() {
            Ok(metadata) if metadata.is_file() => path.canonicalize()?,
            // A folder fails here with the system's own message.
            Ok(_) => return write_through(path, OpenOptions::new().write(true), content),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if path.is_symlink() => {
                return write_through(path, OpenOptions::new().write(true).create(true).truncate(true), content);
            }
            Err(_) => path.to_path_buf(),
        };
        Staged::new(target, new_mode, content)?.replace()
    };
    written().map_err(|error| {
        let failure = Failure::caused(Exit::Other, format!("{} cannot be written", path.display()), error);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        match folder {
            Some(folder) => failure.with_help(format!("create the folder {}, which does not exist", folder.display())),
            None => failure,
        }
    })
}

/// Writes into what is there. A thread does it, because a FIFO blocks as long as nobody reads it. The wait ends when
/// nothing was taken for some seconds.
pub fn write_through(path: &Path, options: &OpenOptions, content: Content<'_>) -> io::Result<()> {
    let mut bytes = Vec::new();
    content(&mut bytes)?;
    let (path, options) = (path.to_owned(), options.clone());
    let (progress, written) = mpsc::channel();
    std::thread::spawn(move || {
        let write = || {
            let mut file = options.open(path)?;
            for part in bytes.chunks(CHUNK) {
                file.write_all(part)?;
                // Fails only when nobody waits any more.
                let _ = progress.send(None);
            }
            file.flush()
        };
        let _ = progress.send(Some(write()));
    });
    loop {
        match written.recv_timeout(UNREAD_WITHIN) {
            Ok(None) => {}
            Ok(Some(result)) => return result,
            Err(_) => return Err(unread()),
        }
    }
}

/// The complete new content of a regular file, stored beside it.
pub struct Staged {
    target: PathBuf,
    new: NamedTempFile,
}

impl Staged {
    /// Writes the content beside the file, with its permissions and its owner, or with this mode for a new file.
    pub fn new(target: PathBuf, new_mode: u32, content: Content<'_>) -> io::Result<Self> {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The error of the temporary file would name it, and a user does not know it.
        folder.metadata()?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".convoke-");
        let mut new = builder.tempfile_in(folder).map_err(|error| io::Error::from(error.kind()))?;
        let mut buffer = BufWriter::new(&mut new);
        content(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        set_permissions(new.as_file(), &target, new_mode)?;
        new.as_file().sync_all()?;
        Ok(Self { target, new })
    }

    pub fn target(&self) -> &Path {
        &self.target
    }

    pub fn replace(self) -> io::Result<()> {
        self.new.persist(&self.target).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Set on the open file, because the umask restricts the mode at creation.
#[cfg(unix)]
fn set_permissions(new: &File, target: &Path, new_mode: u32) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt, fchown};
    let Ok(replaced) = target.metadata() else {
        return new.set_permissions(PermissionsExt::from_mode(new_mode));
    };
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
        // Only an administrator can change owners. The content is correct without it.
        let _ = fchown(new, Some(replaced.uid()), Some(replaced.gid()));
    }
    new.set_permissions(replaced.permissions())
}

#[cfg(not(unix))]
fn set_permissions(new: &File, target: &Path, _new_mode: u32) -> io::Result<()> {
    target.metadata().map_or(Ok(()), |replaced| new.set_permissions(replaced.permissions()))
}

pub fn read_plan(path: &Path) -> Result<Plan> {
    let use_flag = || format!("use -f for files that declare groups: '-f {}'", path.display());
    let bytes = read(path, LARGEST_PLAN).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => unreadable(path, error).with_help(use_flag()),
        _ => unreadable(path, error),
    })?;
    Plan::parse(&bytes).map_err(|error| {
        let failure = Failure::caused(Exit::Data, format!("{} is not a valid plan file", path.display()), error);
        let help = || "make a new plan: convoke plan --out FILE".to_owned();
        failure.with_help(if config::is_yaml(path) { use_flag() } else { help() })
    })
}

pub fn read_journal(path: &Path) -> Result<Record> {
    let bytes = read(path, LARGEST_JOURNAL).map_err(|error| unreadable(path, error))?;
    journal::parse(&bytes)
        .map_err(|error| Failure::caused(Exit::Data, format!("{} is not a valid journal", path.display()), error))
}

pub fn read_seed(path: &Path) -> Result<Seed> {
    let text = read(path, LARGEST_SEED).and_then(|bytes| io::read_to_string(bytes.as_slice()));
    let unreadable = |error| Failure::caused(Exit::Data, format!("cannot read the seed {}", path.display()), error);
    let text = text.map_err(unreadable)?;
    Seed::parse(path, &text).map_err(|error| {
        if config::load(&[path.to_owned()]).is_ok() {
            let message = format!("{} is a configuration, not a seed", path.display());
            return Failure::message(Exit::Data, message)
                .with_help("`convoke schema seed` prints the format of a seed; pass the configuration with -f");
        }
        Failure::new(Exit::Data, error)
    })
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    Failure::caused(Exit::Data, format!("{} cannot be read", path.display()), error)
}

/// Reads a file up to a size limit.
pub fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {largest} bytes")))
    } else {
        Ok(bytes)
    }
}
