//! The journal: the operations of a run of `apply` and what it saw, line by line.
//!
//! It is a JSON Lines file, numbered from 1. Each line is written to disk before the run continues, so that the
//! record of a killed run is correct. An operation that was announced and not answered may or may not have happened.

mod record;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::cloudflare::Fate;

pub use record::{Effect, JournalError, Line, LineKind, Record, RunFacts, SentRequest, parse, schema};

#[derive(Clone, Debug)]
pub struct Journal {
    sink: Option<Arc<Mutex<Sink>>>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// Only a regular file can be synced to a disk.
    is_regular: bool,
    next: u64,
    /// Whether a line could not be written. That line may be incomplete, and lines after it could not be read.
    broken: bool,
}

/// The number of the line that announced an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced(u64);

impl Journal {
    /// A journal that stores nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self { sink: None }
    }

    /// Creates a journal file that only its owner can read. An existing file is not overwritten, because it may be the
    /// only record of an earlier run. A device, a FIFO and a link to a file that does not exist are written through.
    ///
    /// # Errors
    ///
    /// If the file exists or cannot be created.
    pub fn create(path: &Path, run: RunFacts) -> io::Result<Self> {
        let file = open(path)?;
        let is_regular = file.metadata()?.is_file();
        let mut sink = Sink { file, is_regular, next: 1, broken: false };
        sink.write(LineKind::Run(run))?;
        Ok(Self { sink: Some(Arc::new(Mutex::new(sink))) })
    }

    /// Announces an operation before it is sent.
    ///
    /// # Errors
    ///
    /// If the line cannot be written. The operation must then not be sent.
    pub async fn announce(&self, effect: Effect) -> io::Result<Announced> {
        self.write(LineKind::Sending(effect)).await.map(Announced)
    }

    /// Records the outcome of an announced operation.
    ///
    /// # Errors
    ///
    /// If the line cannot be written.
    pub async fn answered(
        &self,
        Announced(operation): Announced,
        outcome: Fate,
        ray: Option<String>,
        error: Option<String>,
    ) -> io::Result<()> {
        self.write(LineKind::Answered { operation, outcome, ray, error }).await.map(drop)
    }

    /// Records any other line.
    ///
    /// # Errors
    ///
    /// If the line cannot be written.
    pub async fn note(&self, line: LineKind) -> io::Result<()> {
        self.write(line).await.map(drop)
    }

    /// Writes a line without blocking other tasks, because a disk can be slow. Returns the line's number.
    async fn write(&self, line: LineKind) -> io::Result<u64> {
        let Some(sink) = self.sink.clone() else { return Ok(0) };
        let write = move || sink.lock().unwrap_or_else(PoisonError::into_inner).write(line);
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|failed| Err(io::Error::other(failed)))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_kept(path) => {
            options.create_new(false).create(true).append(true).open(path)
        }
        result => result,
    }
}

/// Whether something is stored at a path: not in a device or a FIFO, and not behind a link to a missing file.
fn is_kept(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() || found.is_dir())
}

impl Sink {
    fn write(&mut self, kind: LineKind) -> io::Result<u64> {
        if self.broken {
            return Err(io::Error::other("an earlier line could not be written"));
        }
        let seq = self.next;
        let mut line = serde_json::to_vec(&Line { seq, time: Timestamp::now(), kind })?;
        line.push(b'\n');
        self.broken = true;
        // One write per line: a kill leaves complete lines, except perhaps the last.
        self.file.write_all(&line)?;
        if self.is_regular {
            self.file.sync_data()?;
        }
        self.broken = false;
        self.next += 1;
        Ok(seq)
    }
}
