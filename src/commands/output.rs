//! The one place that writes to the terminal: results to stdout, everything else to stderr.

use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use super::{Failure, step_summary};
use crate::cli::{Cli, Color, Format};
use crate::config::Problems;
use crate::model::RunStatus;
use crate::render::escape::clean_lines;
use crate::render::failure::FailureDocument;
use crate::render::text::{Layout, Paint, Style};
use crate::render::{github, json};

/// The columns where nothing tells how many there are.
const DEFAULT_WIDTH: usize = 100;

/// Where a command writes.
#[derive(Debug)]
pub struct Output {
    layout: Layout,
    messages: Paint,
    quiet: bool,
    format: Format,
}

impl Output {
    /// An output as the command line asks for it.
    #[must_use]
    pub fn new(cli: &Cli) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = |terminal: bool| match cli.output.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        Self {
            layout: Layout { width: width(), color: color(io::stdout().is_terminal()) },
            messages: Paint::new(color(io::stderr().is_terminal())),
            quiet: cli.output.quiet,
            format: cli.command.format(),
        }
    }

    /// How text results are laid out.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether only what matters is wanted.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes a result.
    ///
    /// # Errors
    ///
    /// Fails where stdout cannot be written, such as when it is closed.
    pub fn result(&mut self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Writes a result as JSON.
    ///
    /// # Errors
    ///
    /// As [`Self::result`].
    pub fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        let mut stdout = BufWriter::new(io::stdout().lock());
        json::write(&mut stdout, document)?;
        stdout.flush()
    }

    /// Writes a result as it comes.
    ///
    /// # Errors
    ///
    /// As [`Self::result`].
    pub fn stream(&mut self, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut stdout = BufWriter::new(io::stdout().lock());
        content(&mut stdout)?;
        stdout.flush()
    }

    /// Writes a message for whoever watches, unless only what matters is wanted. Nothing hangs on its arriving.
    pub fn note(&mut self, message: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{message}");
        }
    }

    /// Writes a warning.
    pub fn warn(&mut self, message: &str) {
        let label = self.messages.paint(Style::Warn, "warning:");
        let _ = writeln!(io::stderr(), "{label} {message}");
    }

    /// Writes why a command failed and what to do about it; also to stdout where a program reads that.
    pub fn failure(&mut self, failure: &Failure) {
        self.failed_result(failure);
        self.error(failure);
    }

    /// Writes to stderr alone why a command failed and what to do about it.
    pub fn error(&mut self, failure: &Failure) {
        let label = self.messages.paint(Style::Remove, "error:");
        let mut text = match failure.error.downcast_ref::<Problems>() {
            Some(problems) => {
                let each = problems.iter().map(|problem| format!("{label} {problem}\n"));
                format!("{}{}\n", each.collect::<String>(), problems.summary())
            }
            None => format!("{label} {}\n", clean_lines(&failure.to_string())),
        };
        if let Some(help) = &failure.help {
            let label = self.messages.paint(Style::Add, "help:");
            text.push_str(&format!("{label} {}\n", clean_lines(help)));
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl Output {
    /// Writes a failure where a program reads the result. That it failed is told all the same if this cannot be written.
    fn failed_result(&mut self, failure: &Failure) {
        let (message, help) = (failure.to_string(), failure.help.as_deref());
        let problems = failure.error.downcast_ref::<Problems>();
        if self.format == Format::Github {
            step_summary::set_outputs(RunStatus::Failed, None, self);
        }
        let _ = match (self.format, problems) {
            (Format::Text | Format::Markdown, _) => Ok(()),
            (Format::Github, Some(problems)) => self.result(&github::problems(problems)),
            (Format::Github, None) => self.result(&github::failure(&message, help)),
            (Format::Json, Some(problems)) => self.json(&FailureDocument::of_files(failure.exit.code(), problems)),
            (Format::Json, None) => self.json(&FailureDocument::new(failure.exit.code(), &message, help)),
        };
    }
}

/// The columns of the terminal, or as the environment says.
fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    said.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into())).unwrap_or(DEFAULT_WIDTH)
}
