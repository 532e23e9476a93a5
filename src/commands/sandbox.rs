//! `sandbox`: serves a mock of the API until stopped.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Output, files, signals};
use crate::sandbox::Sandbox;

pub const EXAMPLES: &str = "\
Examples:
  convoke sandbox --seed seed.yaml --listen 127.0.0.1:8787
  CLOUDFLARE_API_TOKEN=any convoke plan --api-url http://127.0.0.1:8787/client/v4";

#[derive(Clone, Debug, Args)]
pub struct SandboxArgs {
    /// The account's initial state
    #[arg(long, value_name = "FILE")]
    pub seed: PathBuf,
    /// Loopback address to listen on; port 0 takes a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

pub async fn run(args: &SandboxArgs, output: &mut Output) -> Result<Exit, Failure> {
    let seed = files::read_seed(&args.seed)?;
    let sandbox = Sandbox::start(&seed, args.listen).await.map_err(|error| {
        Failure::new(Exit::Usage, error).with_help("listen on a free port of a loopback address, such as 127.0.0.1:0")
    })?;
    output.result(&format!("{}\n", sandbox.base_url()));
    let token = if seed.token.is_some() { "the seed's token" } else { "any token" };
    output.note(&format!(
        "serving a sandbox; use it with --api-url and {token} in CLOUDFLARE_API_TOKEN. Ctrl-C stops it"
    ));
    signals::stopped().await.map_err(|error| Failure::system(signals::NOT_RECEIVED, error))?;
    Ok(Exit::Done)
}
