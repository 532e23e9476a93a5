//! The progress of a command: a line on a terminal, or messages in a log.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use super::Output;
use crate::cli::LogFormat;
use crate::cloudflare::{Client, Wait, WaitReason};
use crate::render::counted;

const TICK: Duration = Duration::from_millis(100);

/// Without a terminal, shorter waits are not logged.
const LONG: Duration = Duration::from_secs(10);

/// The line on the terminal, which is hidden while nothing is drawn.
static LINE: LazyLock<ProgressBar> = LazyLock::new(ProgressBar::hidden);

/// Whether a question waits for its answer, so that the next line begins behind it.
pub static ASKING: AtomicBool = AtomicBool::new(false);

/// Stderr for whole lines, which appear above the progress line. Otherwise parts of that line would stay between them.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if ASKING.swap(false, Ordering::Relaxed) {
            io::stderr().write_all(b"\n")?;
        }
        LINE.suspend(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Clears the progress line, so that nothing of it stays on the terminal.
pub fn end() {
    LINE.finish_and_clear();
    LINE.set_draw_target(ProgressDrawTarget::hidden());
}

/// Progress is shown until this value is dropped, which ends the task in it.
pub struct Watching(JoinSet<()>);

impl Output {
    /// Reports that the client works on something: draws on a terminal, or logs long waits; does neither with
    /// `--quiet`.
    pub fn watch(&self, client: &Client, what: &'static str) -> Watching {
        self.watch_operations(client, what, None)
    }

    /// The same, with the number of completed operations of so many.
    pub fn watch_operations(&self, client: &Client, what: &'static str, operations: Option<u64>) -> Watching {
        let mut task = JoinSet::new();
        if self.args.quiet {
            return Watching(task);
        }
        if self.args.log_format == LogFormat::Json || !io::stderr().is_terminal() {
            task.spawn(log_long_waits(what, client.clone()));
            return Watching(task);
        }
        let bar = if operations.is_some() { "{bar:30} {pos}/{len} " } else { "" };
        if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {bar}{{msg}}")) {
            LINE.set_style(style);
        }
        LINE.reset();
        LINE.set_message("");
        operations.map_or_else(|| LINE.unset_length(), |total| LINE.set_length(total));
        LINE.set_draw_target(ProgressDrawTarget::stderr());
        task.spawn(draw(what, client.clone(), client.pages()));
        Watching(task)
    }
}

async fn draw(what: &str, client: Client, before: (u64, u64)) {
    loop {
        let wait = client.longest_wait();
        let (read, expected) = client.pages();
        // Operations have a count of their own.
        let pages = (read - before.0, if LINE.length().is_some() { 0 } else { expected - before.1 });
        LINE.set_message(message(what, pages, client.requests(), wait, Instant::now()));
        LINE.tick();
        tokio::time::sleep(TICK).await;
    }
}

/// Logs each long wait for the rate limit once, when it begins. The client itself logs retries.
async fn log_long_waits(what: &str, client: Client) {
    let mut notice = client.wait_notice();
    let mut logged: Option<Wait> = None;
    loop {
        let (wait, now) = (client.longest_wait(), Instant::now());
        if wait.is_some_and(|wait| is_news(wait, logged, now)) {
            tracing::warn!("{}", message(what, (0, 0), client.requests(), wait, now));
            logged = wait;
        }
        if notice.changed().await.is_err() {
            return;
        }
    }
}

/// Whether a wait is long, and ends much later than the last logged one. Concurrent requests wait for the same thing.
fn is_news(wait: Wait, logged: Option<Wait>, now: Instant) -> bool {
    let since = logged.map_or(now, |logged| logged.until.max(now));
    wait.status.is_none()
        && matches!(wait.why, WaitReason::RateLimit | WaitReason::Pacing)
        && wait.until.saturating_duration_since(since) >= LONG
}

fn message(what: &str, (read, pages): (u64, u64), requests: u64, wait: Option<Wait>, now: Instant) -> String {
    let what = if pages > 1 { format!("{what} {read}/{pages}") } else { what.to_owned() };
    let requests = counted(requests, "request");
    match wait {
        None => format!("{what}, {requests}"),
        Some(wait) => {
            let left = wait.until.saturating_duration_since(now).as_secs_f64().ceil();
            format!("{what}, {requests}, waiting {left} s: {wait}")
        }
    }
}

pub fn finished(operations: u64) {
    LINE.set_position(operations);
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort_all();
        end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_line_shows_work_and_wait() {
        let now = Instant::now();
        let until = now + Duration::from_millis(11_200);
        let wait = |why| Some(Wait { until, why, status: None, attempt: 1 });
        assert_eq!(message("reading the account", (0, 1), 0, None, now), "reading the account, 0 requests");
        assert_eq!(message("reading", (40, 200), 41, None, now), "reading 40/200, 41 requests");
        assert_eq!(
            message("reading the account", (0, 0), 1, wait(WaitReason::RateLimit), now),
            "reading the account, 1 request, waiting 12 s: rate limit"
        );
        assert_eq!(
            message("applying", (0, 0), 1100, wait(WaitReason::Pacing), now),
            "applying, 1100 requests, waiting 12 s: pacing, to stay within the rate limit"
        );
        let failed = Wait { until, why: WaitReason::NewToken, status: Some(403), attempt: 2 };
        assert_eq!(
            message("reading the account", (0, 0), 2, Some(failed), now),
            "reading the account, 2 requests, waiting 12 s: the token is refused; a new token can need some \
             seconds [status 403, attempt 2]"
        );
    }

    #[test]
    fn each_long_wait_is_logged_once() {
        let now = Instant::now();
        let wait = |seconds| Wait {
            until: now + Duration::from_secs(seconds),
            why: WaitReason::RateLimit,
            status: None,
            attempt: 1,
        };
        assert!(!is_news(wait(9), None, now));
        assert!(is_news(wait(10), None, now));
        assert!(!is_news(wait(12), Some(wait(10)), now + Duration::from_secs(1)));
        assert!(is_news(wait(30), Some(wait(10)), now + Duration::from_secs(10)));
        assert!(is_news(wait(250), Some(wait(12)), now + Duration::from_secs(5)));
    }
}
