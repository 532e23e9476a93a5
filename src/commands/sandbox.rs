//! `sandbox`: serves a mock of the API until stopped.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Output, Result, files, signals};
use crate::model::AccountId;
use crate::sandbox::Sandbox;

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke sandbox --seed seed.yaml --listen 127.0.0.1:8787
  CLOUDFLARE_API_TOKEN=any convoke export --api-url http://127.0.0.1:8787/client/v4 --account-id 5a4db0c5000000000000000000000000")]
pub struct SandboxArgs {
    /// The account's initial state
    #[arg(long, value_name = "FILE")]
    pub seed: PathBuf,
    /// Loopback address to listen on; port 0 takes a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

pub async fn run(args: &SandboxArgs, output: &mut Output) -> Result<Exit> {
    let seed = files::read_seed(&args.seed)?;
    let sandbox = Sandbox::start(&seed, args.listen).await.map_err(|error| {
        Failure::new(Exit::Usage, error).with_help("listen on a free port of a loopback address, such as 127.0.0.1:0")
    })?;
    output.result(&format!("{}\n", sandbox.base_url()));
    let account = seed.account_id.unwrap_or(AccountId::SANDBOX);
    let token = if seed.token.is_some() { "TOKEN_OF_THE_SEED" } else { "any" };
    output.note(&format!(
        "serving account {account} until Ctrl-C. In another terminal:\n  export CLOUDFLARE_BASE_URL={}\n  \
         export CLOUDFLARE_ACCOUNT_ID={account}\n  export CLOUDFLARE_API_TOKEN={token}",
        sandbox.base_url()
    ));
    signals::stopped().await.map_err(|error| Failure::caused(Exit::Other, signals::NOT_RECEIVED, error))?;
    Ok(Exit::Done)
}
