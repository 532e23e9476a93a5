//! The journal: what a run of apply set out to do and what came of it, written down request by request.
//!
//! It is a file of JSON Lines. Each entry is flushed to disk before the run goes on, so that a run that is killed
//! leaves a true record: an operation that was announced and never answered may or may not have happened.

mod record;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

pub use record::{Effect, Entry, JournalError, Operation, Outcome, Record, RunEntry, parse, schema};

/// Where entries go.
#[derive(Debug)]
pub struct Journal {
    sink: Option<Mutex<Sink>>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    next: u64,
    /// Whether an entry failed to reach the disk: it may be torn, and what came after it could not be read.
    broken: bool,
}

/// The number of an announced operation.
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
    pub fn create(path: &Path, run: RunEntry) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let sink = Sink { file: options.open(path)?, next: 1, broken: false };
        let journal = Self { sink: Some(Mutex::new(sink)) };
        journal.write(|_| Entry::Run(run))?;
        Ok(journal)
    }

    /// Announces an operation before it is sent.
    ///
    /// # Errors
    ///
    /// Fails where the entry does not reach the disk: the operation must then not be sent.
    pub fn announce(&self, effect: Effect) -> io::Result<Announced> {
        self.write(|seq| Entry::Sending { seq, time: Timestamp::now(), effect }).map(Announced)
    }

    /// Records what the API answered.
    ///
    /// # Errors
    ///
    /// Fails where the entry does not reach the disk.
    pub fn answered(
        &self,
        operation: Announced,
        outcome: Outcome,
        ray: Option<&str>,
        error: Option<String>,
    ) -> io::Result<()> {
        let ray = ray.map(Into::into);
        self.write(|_| Entry::Answered { seq: operation.0, time: Timestamp::now(), outcome, ray, error }).map(drop)
    }

    /// Records what reading showed of an operation whose answer was lost.
    ///
    /// # Errors
    ///
    /// Fails where the entry does not reach the disk.
    pub fn settled(&self, operation: Announced, done: bool) -> io::Result<()> {
        let outcome = if done { Outcome::Done } else { Outcome::NotDone };
        self.write(|_| Entry::Settled { seq: operation.0, time: Timestamp::now(), outcome }).map(drop)
    }

    /// Records that the run came to its end.
    ///
    /// # Errors
    ///
    /// Fails where the entry does not reach the disk.
    pub fn end(&self, complete: bool) -> io::Result<()> {
        self.write(|_| Entry::End { time: Timestamp::now(), complete }).map(drop)
    }

    fn write(&self, entry: impl FnOnce(u64) -> Entry) -> io::Result<u64> {
        let Some(sink) = &self.sink else { return Ok(0) };
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = sink.next;
        let mut line = serde_json::to_vec(&entry(seq))?;
        line.push(b'\n');
        if sink.broken {
            return Err(io::Error::other("an entry before this one could not be written"));
        }
        sink.broken = true;
        // One write a line: a kill leaves whole lines, but for perhaps the last.
        sink.file.write_all(&line)?;
        sink.file.sync_data()?;
        sink.broken = false;
        sink.next += 1;
        Ok(seq)
    }
}
