//! A sandbox on its own thread, for tests and benches that are not async. Dropping it stops it.

use std::thread::JoinHandle;

use convoke::sandbox::{Account, Sandbox, Seed};
use tokio::sync::oneshot;

pub struct BlockingSandbox {
    base_url: String,
    account: Account,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BlockingSandbox {
    #[expect(clippy::unwrap_used, reason = "tests and benches fail by panicking")]
    pub fn start(seed: &Seed) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(seed, Sandbox::ANY_PORT)).unwrap();
        let (base_url, account) = (sandbox.base_url(), sandbox.account());
        let (stop, stopped) = oneshot::channel();
        // When the thread ends, the runtime and all connections end with it.
        let thread = std::thread::spawn(move || {
            let _ = runtime.block_on(stopped);
            drop(sandbox);
        });
        Self { base_url, account, stop: Some(stop), thread: Some(thread) }
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn account(&self) -> Account {
        self.account.clone()
    }
}

impl Drop for BlockingSandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has already reported a panic of the server.
            let _ = thread.join();
        }
    }
}
