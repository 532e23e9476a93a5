//! Signals that stop a run: SIGINT, SIGTERM, SIGHUP and SIGQUIT. Requests in flight are finished, and no more are
//! sent.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::watch;

use super::{Exit, progress};
use crate::cloudflare::Client;

pub const NOT_RECEIVED: &str = "signals such as Ctrl-C cannot be received";

/// Listens for signals from its creation. Until a run begins to change the account, a signal ends the program
/// immediately.
pub struct Stop {
    /// The client of a run that has begun.
    client: watch::Sender<Option<Client>>,
}

impl Stop {
    /// Listens on a thread of its own, so that a signal is noticed even while the program waits for a file or for an
    /// answer on the terminal.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _entered = runtime.enter();
            Signals::new()?
        };
        let (client, begun) = watch::channel(None);
        let listening = async move {
            signals.next().await;
            stop(&begun);
            signals.next().await;
            progress::end();
            std::process::exit(Exit::Partial.code().into());
        };
        thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(listening))?;
        Ok(Self { client })
    }

    /// Marks the beginning of the run. From now on the first signal stops the client and lets the run finish cleanly.
    pub fn begin(&self, client: &Client) {
        self.client.send_replace(Some(client.clone()));
    }
}

/// Stops the run, or ends the program if none has begun.
fn stop(begun: &watch::Receiver<Option<Client>>) {
    // No run begins while this is borrowed.
    let begun = begun.borrow();
    let Some(client) = &*begun else {
        progress::end();
        tracing::warn!("Interrupted. Nothing was changed.");
        std::process::exit(Exit::Interrupted.code().into());
    };
    tracing::warn!("Interrupt received. Finishing requests in flight; press Ctrl-C again to exit now.");
    client.stop();
}

pub async fn stopped() -> io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

/// Makes a write beyond the file-size limit an error of that write, so that it is reported. Otherwise its signal ends
/// the program. Needs a runtime.
///
/// # Errors
///
/// If the signal cannot be received.
pub fn report_full_files() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // The handler stays when the receiver is dropped.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
    }
    Ok(())
}

/// The number on Linux, macOS and the BSDs.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

struct Signals {
    #[cfg(unix)]
    heard: Vec<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        // A signal that the caller ignores, as `nohup` does, stays ignored.
        let ignored = ignored();
        let heard = kinds.into_iter().filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
        Ok(Self { heard: heard.map(signal).collect::<io::Result<_>>()? })
    }

    async fn next(&mut self) {
        use futures_util::future::select_all;
        if self.heard.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.heard.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// The signals that were ignored when the program started, as a bit set, if the system reports them.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
