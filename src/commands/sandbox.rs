//! `sandbox`: serves a stand-in for the API until stopped.

use super::{Exit, Failure, Output, signals};
use crate::cli::SandboxArgs;
use crate::sandbox::{Sandbox, Seed};

pub async fn run(args: &SandboxArgs, output: &mut Output) -> Result<Exit, Failure> {
    let seed = Seed::load(&args.seed).map_err(|error| Failure::new(Exit::Data, error))?;
    let sandbox = Sandbox::start(&seed, args.listen).await.map_err(|error| {
        Failure::new(Exit::Usage, error).with_help("listen on a free port of a loopback address, such as 127.0.0.1:0")
    })?;
    output.result(&format!("{}\n", sandbox.base_url()));
    let token = if seed.token.is_some() { "the seed's token" } else { "any token" };
    output.note(&format!(
        "serving a sandbox; use it with --api-url and {token} in CLOUDFLARE_API_TOKEN. Ctrl-C stops it"
    ));
    signals::stopped().await?;
    Ok(Exit::Done)
}
