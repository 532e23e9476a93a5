//! The program: reads the command line, starts logging, calls the library and ends with an exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, ColorChoice, CommandFactory as _, FromArgMatches as _, ValueEnum};
use convoke::cli::{self, LogFormat, OutputArgs};
use convoke::cloudflare::RETRY_TARGET;
use convoke::commands::{self, Cli, Command, Exit, Failure, Output};
use convoke::render::clean;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

fn main() -> ExitCode {
    let (cli, matches) = match parse(arguments()) {
        Ok(parsed) => parsed,
        Err(error) => {
            // The parser does not escape the arguments that it prints. They may come from a form, for example.
            let shown = arguments().map(|argument| clean(&argument.to_string_lossy()).into());
            return usage_error(&parse(shown).err().unwrap_or(error));
        }
    };
    start_logging(&cli.output);
    let command = matches.subcommand_name().unwrap_or("convoke");
    let mut output = Output::new(command, given("--format").unwrap_or_default(), cli.output);
    let exit = run(cli.command, &mut output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    ExitCode::from(output.exit(exit).code())
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// The command line. `convoke help --help` prints the same as `convoke help`.
fn arguments() -> impl Iterator<Item = OsString> {
    let asks_for_help = std::env::args_os().nth(1).is_some_and(|command| command == "help");
    std::env::args_os().filter(move |argument| !(asks_for_help && (argument == "--help" || argument == "-h")))
}

/// Prints a message of the argument parser. Help and version are results, everything else is an error.
fn usage_error(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let failed = error.print().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe);
        return ExitCode::from(if failed { Exit::Other } else { Exit::Done }.code());
    }
    let tip = cli::file_tip(error).map(|tip| format!("\n  tip: {tip}\n")).unwrap_or_default();
    let log_format = given("--log-format").unwrap_or_default();
    let command = arguments().nth(1).unwrap_or_else(|| "convoke".into());
    let args = OutputArgs { color: ColorChoice::Never, verbose: 0, quiet: false, log_format };
    let mut output = Output::new(&command.to_string_lossy(), given("--format").unwrap_or_default(), args);
    let failure = Failure::message(Exit::Usage, format!("{error}{tip}").trim_start_matches("error: ").trim_end());
    if log_format == LogFormat::Text {
        // The parser prints its own colors.
        let _ = error.print();
        let _ = write!(io::stderr(), "{tip}");
        output.failed_result(&failure);
    } else {
        output.failure(&failure);
    }
    ExitCode::from(Exit::Usage.code())
}

/// The value of a flag, even if the command line cannot be parsed. Formats that only one command has count as none.
fn given<T: ValueEnum>(flag: &str) -> Option<T> {
    let arguments: Vec<String> = arguments().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let mut flags = arguments.iter().take_while(|argument| *argument != "--");
    let joined = flags.clone().find_map(|argument| argument.strip_prefix(flag)?.strip_prefix('='));
    let separate = flags.find(|argument| *argument == flag).and_then(|_| flags.next()).map(String::as_str);
    T::from_str(joined.or(separate)?, false).ok()
}

fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Other, error))?;
    runtime.block_on(async {
        commands::report_full_files().map_err(|error| Failure::new(Exit::Other, error))?;
        commands::run(command, output).await
    })
}

/// Logs only messages of this program, because logs of libraries could contain headers.
fn start_logging(args: &OutputArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, 2) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    let mut filter = Targets::new().with_target("convoke", level);
    let draws = args.log_format == LogFormat::Text && io::stderr().is_terminal();
    if draws && level == Level::WARN {
        // The progress line shows each retry.
        filter = filter.with_target(RETRY_TARGET, Level::ERROR);
    }
    let time: fn(&mut Writer<'_>) -> std::fmt::Result = |to| write!(to, "{}", commands::log_time());
    let layer = fmt::layer().with_writer(|| commands::Stderr).with_timer(time);
    let layer = match args.log_format {
        LogFormat::Text => layer.with_target(false).with_ansi(false).boxed(),
        LogFormat::Json => layer.json().boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
