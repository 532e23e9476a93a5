//! What somebody watching a terminal sees while a command works.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::Output;
use crate::cloudflare::Client;
use crate::render::counted;

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Draws progress, or nothing where nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

/// A line of progress that is drawn while this lives.
pub struct Watching {
    bar: ProgressBar,
    ticking: Option<JoinHandle<()>>,
}

impl Progress {
    /// Draws on a terminal, unless only what matters is wanted.
    pub fn new(output: &Output) -> Self {
        Self { shown: !output.is_quiet() && std::io::stderr().is_terminal() }
    }

    /// Draws that the client is at work on something.
    pub fn watch(self, client: &Client, what: &'static str) -> Watching {
        self.start(client, what.into(), ProgressBar::no_length(), "{spinner} {msg}")
    }

    /// Draws how many of a plan's operations are done with.
    pub fn watch_operations(self, client: &Client, total: u64) -> Watching {
        let template = "{spinner} {bar:30} {pos}/{len} {msg}";
        self.start(client, "applying".into(), ProgressBar::new(total), template)
    }

    fn start(self, client: &Client, what: Cow<'static, str>, bar: ProgressBar, template: &str) -> Watching {
        if !self.shown {
            return Watching { bar: ProgressBar::hidden(), ticking: None };
        }
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let (drawn, client) = (bar.clone(), client.clone());
        let ticking = tokio::spawn(async move {
            loop {
                drawn.set_message(message(&what, &client));
                drawn.tick();
                tokio::time::sleep(TICK).await;
            }
        });
        Watching { bar, ticking: Some(ticking) }
    }
}

fn message(what: &str, client: &Client) -> String {
    let requests = counted(client.requests(), "request");
    match *client.wait_notice().borrow() {
        None => format!("{what}, {requests}"),
        Some(wait) => {
            let left = wait.until.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
            format!("{what}, {requests}, waiting {left} s: {}", wait.why)
        }
    }
}

impl Watching {
    /// Draws that so many operations are done with.
    pub fn finished(&self, operations: u64) {
        self.bar.set_position(operations);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
        self.bar.finish_and_clear();
    }
}
