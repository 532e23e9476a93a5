//! The journal: what a run of `apply` set out to do and what it saw, line by line.
//!
//! It is a file of JSON Lines, numbered from 1. Each line reaches the disk before the run goes on, so that a run that
//! is killed leaves a true record: an operation that was announced and never answered may or may not have happened.

mod record;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

pub use record::{Effect, JournalError, Line, LineKind, Outcome, Record, RunFacts, Sent, parse, schema};

/// Where lines go.
#[derive(Clone, Debug)]
pub struct Journal {
    sink: Option<Arc<Mutex<Sink>>>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    next: u64,
    /// Whether a line failed to reach the disk: it may be torn, and what came after it could not be read.
    broken: bool,
}

/// The number of the line that announced an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced(u64);

impl Journal {
    /// A journal that keeps nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self { sink: None }
    }

    /// A new journal file, readable by its owner only. A file that is there is not overwritten: it may be the only
    /// record of an earlier run.
    ///
    /// # Errors
    ///
    /// Fails where the file is there or cannot be made.
    pub fn create(path: &Path, run: RunFacts) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut sink = Sink { file: options.open(path)?, next: 1, broken: false };
        sink.write(LineKind::Run(run))?;
        Ok(Self { sink: Some(Arc::new(Mutex::new(sink))) })
    }

    /// Announces an operation before it is sent.
    ///
    /// # Errors
    ///
    /// Fails where the line does not reach the disk: the operation must then not be sent.
    pub async fn announce(&self, effect: Effect) -> io::Result<Announced> {
        self.write(LineKind::Sending(effect)).await.map(Announced)
    }

    /// Records what became of an announced operation.
    ///
    /// # Errors
    ///
    /// Fails where the line does not reach the disk.
    pub async fn answered(
        &self,
        Announced(operation): Announced,
        outcome: Outcome,
        ray: Option<String>,
        error: Option<String>,
    ) -> io::Result<()> {
        self.write(LineKind::Answered { operation, outcome, ray, error }).await.map(drop)
    }

    /// Records anything else.
    ///
    /// # Errors
    ///
    /// Fails where the line does not reach the disk.
    pub async fn note(&self, line: LineKind) -> io::Result<()> {
        self.write(line).await.map(drop)
    }

    /// Writes a line without holding up what else goes on, as a disk may take its time. Says the line's number.
    async fn write(&self, line: LineKind) -> io::Result<u64> {
        let Some(sink) = self.sink.clone() else { return Ok(0) };
        let write = move || sink.lock().unwrap_or_else(PoisonError::into_inner).write(line);
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|failed| Err(io::Error::other(failed)))
    }
}

impl Sink {
    fn write(&mut self, kind: LineKind) -> io::Result<u64> {
        if self.broken {
            return Err(io::Error::other("a line before this one could not be written"));
        }
        let seq = self.next;
        let mut line = serde_json::to_vec(&Line { seq, time: Timestamp::now(), kind })?;
        line.push(b'\n');
        self.broken = true;
        // One write a line: a kill leaves whole lines, but for perhaps the last.
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.broken = false;
        self.next += 1;
        Ok(seq)
    }
}
