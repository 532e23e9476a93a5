//! Ctrl-C and SIGTERM: what is in flight is finished, nothing further is begun.

use std::io;

use tokio::sync::watch;

use crate::cloudflare::Client;

/// Turns true at the first signal. At the second the program ends at once: the journal tells what was under way.
pub fn stop(client: &Client) -> io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut signals = Signals::new()?;
    let client = client.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::warn!("told to stop: finishing what is in flight; once more ends at once");
        let _ = sender.send(true);
        client.stop();
        signals.next().await;
        std::process::exit(super::Exit::Partial.code().into());
    });
    Ok(receiver)
}

/// Resolves at the first signal that asks to stop.
pub async fn stopped() -> io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
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
