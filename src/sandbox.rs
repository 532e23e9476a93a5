//! A mock of the API: an HTTP server on a loopback address that keeps an account in memory, created from a seed.
//!
//! Tests read and change the account in-process through [`Account`], and check its state and the received requests.
//! The server is strict: it rejects every request that the API's reference does not allow.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

mod answer;
mod build;
mod edit;
mod fault;
mod groups;
mod members;
mod routes;
mod rules;
mod seed;
mod server;
mod state;

pub use build::SeedError;
pub use edit::{Edit, EditActor};
pub use fault::{Contradiction, Cut, FalseClaim, Fault, Late, Respond};
pub use routes::{Endpoint, Request};
pub use rules::{Chance, FaultRule, Match, Share};
pub use seed::{
    Access, Delay, Invitation, MemberOrder, RateLimit, Seed, SeedAuditEntry, SeedAuditLog, SeedEntry, SeedGrantable,
    SeedGroup, SeedMember, SeedPerson, SeedPolicy, SeedPolicyAccess, TokenStatus,
};
pub use server::Account;
pub use state::MembershipChange;

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "the sandbox does not check who connects, so it listens only on a loopback address such as 127.0.0.1:0, not on {0}"
    )]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}: choose another port, or 0 for any that is free")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the seed cannot be used: {0}")]
    Seed(#[from] SeedError),
}

/// A running sandbox. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    account: Account,
    _stop: oneshot::Sender<()>,
}

impl Sandbox {
    pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Starts a sandbox in the current tokio runtime. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// If the address is not a loopback address or is in use, or the seed contradicts itself.
    pub async fn start(seed: &Seed, listen: SocketAddr) -> Result<Self, SandboxError> {
        if !listen.ip().is_loopback() {
            return Err(SandboxError::NotLoopback(listen));
        }
        let server = server::Server::new(seed)?;
        let failed = |source| SandboxError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let account = Account::new(server);

        let listener = listener.tap_io(|stream| {
            // Without this, answers can wait for the client's acknowledgment of earlier ones. An error is harmless.
            let _ = stream.set_nodelay(true);
        });
        let (stop, stopped) = oneshot::channel();
        let serving = axum::serve(listener, routes::router(account.clone())).with_graceful_shutdown(async {
            // An error means that the sender was dropped, which stops the server too.
            let _ = stopped.await;
        });
        tokio::spawn(async move { serving.await });
        Ok(Self { address, account, _stop: stop })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    pub fn account(&self) -> Account {
        self.account.clone()
    }
}
