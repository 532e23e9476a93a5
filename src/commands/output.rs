//! Writes results to stdout and messages to stderr. Only the argument parser, the question of `apply`, the progress
//! line and the log write to stderr by themselves.

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ColorChoice;
use jiff::Timestamp;
use serde::Serialize;
use tracing::Level;

use super::environment::os_variable;
use super::files::Content;
use super::progress::Stderr;
use super::{Exit, Failure, Result, show};
use crate::cli::{LogFormat, OutputArgs};
use crate::cloudflare::Client;
use crate::model::whole_second;
use crate::render::escape::clean_lines;
use crate::render::text::{ADD, Layout, REMOVE, WARN, paint};
use crate::render::{self, Format, counted};

const DEFAULT_WIDTH: usize = 100;

/// The outputs of a command. A result is never lost: if stdout cannot be written, it goes to stderr.
#[derive(Debug)]
pub struct Output {
    pub layout: Layout,
    pub format: Format,
    pub args: OutputArgs,
    colors_messages: bool,
    command: String,
    /// Whether the account or the files were changed, so that the result must reach the user.
    changed: bool,
    /// Whether a side output failed, or stdout for a result while nothing was changed.
    output_failed: bool,
    /// The client, as soon as there is one. Its requests are counted.
    pub client: Option<Client>,
}

impl Output {
    pub fn new(command: &str, format: Format, args: OutputArgs) -> Self {
        let no_color = os_variable("NO_COLOR").is_some() || os_variable("TERM").is_some_and(|term| term == "dumb");
        let color = |terminal: bool| match args.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_color,
        };
        Self {
            layout: Layout { width: width(), color: color(io::stdout().is_terminal()) },
            format,
            colors_messages: color(io::stderr().is_terminal()),
            args,
            command: command.into(),
            changed: false,
            output_failed: false,
            client: None,
        }
    }

    /// The account or the files may have been changed, so results must now reach the user even if stdout fails.
    pub fn something_changed(&mut self) {
        self.changed = true;
        // From here on the exit code is the report's.
        self.output_failed = false;
    }

    pub fn result(&mut self, text: &str) {
        self.stream(&|to| to.write_all(text.as_bytes()));
    }

    pub fn json(&mut self, document: &impl Serialize) {
        self.stream(&|to| render::json(to, document));
    }

    /// Writes a result to stdout, or to stderr if stdout fails.
    pub fn stream(&mut self, content: Content<'_>) {
        let written = || -> io::Result<()> {
            let mut stdout = BufWriter::new(io::stdout().lock());
            content(&mut stdout)?;
            stdout.flush()
        };
        let Err(error) = written() else { return };
        // A closed pipe (`| head`) is not an error.
        if error.kind() == io::ErrorKind::BrokenPipe && !self.changed {
            return;
        }
        self.output_failed |= !self.changed;
        let message = format!("cannot write the result to stdout ({error}); it follows here");
        match self.args.log_format {
            LogFormat::Text => {
                self.message(Level::ERROR, &message, None);
                let _ = content(&mut BufWriter::new(io::stderr().lock()));
            }
            LogFormat::Json => {
                let mut result = Vec::new();
                let _ = content(&mut result);
                let result = String::from_utf8_lossy(&result);
                self.log_line(Level::ERROR, serde_json::json!({"message": message, "result": result}));
            }
        }
    }

    /// Writes a message for a user at a terminal, unless `--quiet` is given.
    pub fn note(&mut self, message: &str) {
        if !self.args.quiet {
            self.message(Level::INFO, message, None);
        }
    }

    pub fn warn(&mut self, message: &str) {
        self.message(Level::WARN, message, None);
    }

    /// Writes the failure of a command and the remedy to stderr, and to stdout if the format is not text.
    pub fn failure(&mut self, failure: &Failure) {
        self.failed_result(failure);
        self.error(failure);
        self.cost();
    }

    /// Writes the number of requests to the API, with `-v`.
    pub fn cost(&mut self) {
        if let Some(client) = self.client.as_ref().filter(|_| self.args.verbose > 0) {
            self.note(&format!("{} to the API", counted(client.requests(), "request")));
        }
    }

    /// Reports a side output that could not be written, and returns whether it was. The result is valid without it. The
    /// exit code reports the failure if the result's own code is 0.
    pub fn side_output(&mut self, written: Result<()>) -> bool {
        let Err(failure) = &written else { return true };
        self.output_failed = true;
        match failure.error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut) => self.warn(&failure.to_string()),
            _ => self.error(failure),
        }
        false
    }

    /// The exit code of the run, for this code of the result.
    pub fn exit(&self, exit: Exit) -> Exit {
        if exit == Exit::Done && self.output_failed { Exit::Other } else { exit }
    }

    /// Writes a failure and the remedy to stderr only.
    pub fn error(&mut self, failure: &Failure) {
        let Some(problems) = failure.problems() else {
            return self.message(Level::ERROR, &failure.to_string(), failure.help.as_deref());
        };
        for problem in problems.iter() {
            // In text, a blank line separates two problems.
            let end = if self.args.log_format == LogFormat::Json { "" } else { "\n" };
            self.message(Level::ERROR, &format!("{}{end}", problem.to_string().trim_end()), None);
        }
        self.message(Level::INFO, &problems.summary(), failure.help.as_deref());
    }

    /// Writes a failure as the result, if the format is not text.
    pub fn failed_result(&mut self, failure: &Failure) {
        let requests = self.client.as_ref().map(Client::requests);
        show::failure(&failure.failed(requests), &self.command.clone(), self);
    }

    fn message(&mut self, level: Level, message: &str, help: Option<&str>) {
        if self.args.log_format == LogFormat::Json {
            let fields = match help {
                Some(help) => serde_json::json!({"message": message, "help": help}),
                None => serde_json::json!({ "message": message }),
            };
            return self.log_line(level, fields);
        }
        let lead = match level {
            Level::ERROR => paint(self.colors_messages, REMOVE, "error:") + " ",
            Level::WARN => paint(self.colors_messages, WARN, "warning:") + " ",
            _ => String::new(),
        };
        let mut text = format!("{lead}{}\n", clean_lines(message));
        if let Some(help) = help {
            text += &format!("{} {}\n", paint(self.colors_messages, ADD, "help:"), clean_lines(help));
        }
        let _ = Stderr.write_all(text.as_bytes());
    }

    /// Writes a line in the format of the log.
    fn log_line(&self, level: Level, fields: serde_json::Value) {
        let (level, timestamp) = (level.as_str(), log_time().to_string());
        let line = serde_json::json!({"timestamp": timestamp, "level": level, "fields": fields, "target": "convoke"});
        let _ = Stderr.write_all(format!("{line}\n").as_bytes());
    }
}

/// The time of a line of the log, in whole seconds.
pub fn log_time() -> Timestamp {
    whole_second(Timestamp::now())
}

/// The width of the terminal, or that of the environment.
fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    said.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into())).unwrap_or(DEFAULT_WIDTH)
}
