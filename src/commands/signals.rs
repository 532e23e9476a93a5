//! Signals that stop a run: SIGINT, SIGTERM, SIGHUP and SIGQUIT. Requests in flight are finished, and no more are
//! sent.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::Exit;
use crate::cloudflare::Client;

/// The context of an error of [`Stop::listen`] and [`stopped`].
pub const NOT_RECEIVED: &str = "signals such as Ctrl-C cannot be received";

/// Listens for signals from its creation. Until the run begins, a signal ends the program immediately, because
/// nothing was changed yet.
pub struct Stop {
    stopped: watch::Receiver<bool>,
    /// The client of a run that has begun.
    client: Arc<OnceLock<Client>>,
}

impl Stop {
    pub fn listen() -> io::Result<Self> {
        let (sender, stopped) = watch::channel(false);
        let client = Arc::new(OnceLock::<Client>::new());
        let mut signals = Signals::new()?;
        let begun = Arc::clone(&client);
        tokio::spawn(async move {
            signals.next().await;
            let Some(client) = begun.get() else {
                tracing::warn!("Interrupted. Nothing was changed.");
                std::process::exit(Exit::Interrupted.code().into());
            };
            tracing::warn!("Interrupt received. Finishing requests in flight; press Ctrl-C again to exit now.");
            client.stop();
            let _ = sender.send(true);
            signals.next().await;
            std::process::exit(Exit::Partial.code().into());
        });
        Ok(Self { stopped, client })
    }

    /// Marks the beginning of the run. From now on the first signal lets the run finish cleanly, and the returned
    /// value becomes true.
    pub fn begin(&self, client: &Client) -> watch::Receiver<bool> {
        let _ = self.client.set(client.clone());
        self.stopped.clone()
    }
}

/// Resolves at the first stop signal.
pub async fn stopped() -> io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        // A signal that the caller ignores, as `nohup` does, stays ignored.
        let ignored = ignored();
        let heard = kinds.into_iter().filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
        heard.map(signal).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) {
        use futures_util::future::select_all;
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// The signals that were ignored when the program started, as a bit set, if the system reports them.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
