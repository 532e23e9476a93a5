//! The program: reads the command line, starts logging, calls the library and ends with an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use convoke::cli::{Cli, LogFormat, Shared};
use convoke::commands::{self, Exit, Failure, Output};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, not wrong.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let exit = if error.print().is_ok() { exit } else { Exit::Other };
            return ExitCode::from(exit.code());
        }
    };
    start_logging(&cli.shared);
    let mut output = Output::new(&cli.shared);
    let exit = run(cli, &mut output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

fn run(cli: Cli, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Other, error))?;
    runtime.block_on(commands::run(cli, output))
}

/// Logs of this program alone go to stderr: what libraries log of their own could hold headers.
fn start_logging(shared: &Shared) {
    let level = match (shared.quiet, shared.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, 2) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    let filter = Targets::new().with_target("convoke", level);
    let layer = match shared.log_format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
