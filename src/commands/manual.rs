//! `completions`, `man` and `schema`: what the program knows about itself and its files.

use std::fmt::Display;
use std::io::{self, Write};

use clap::{Args, Command, CommandFactory as _, ValueEnum};

use super::{Cli, EXAMPLES, Exit, Failure, Output, Result};
use crate::cli::LogFormat;
use crate::doctor::Diagnosis;
use crate::plan::{Plan, Review};
use crate::report::Report;
use crate::{config, journal, sandbox};

/// These commands log nothing, so the flag of all commands is a usage error here.
#[derive(Clone, Debug, Args)]
pub struct NoLog {
    #[arg(long, hide = true, value_parser = no_log_format)]
    log_format: Option<LogFormat>,
}

fn no_log_format(_: &str) -> Result<LogFormat, &'static str> {
    Err("this command has no log")
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke completions bash > /etc/bash_completion.d/convoke
  convoke completions zsh > ~/.zfunc/_convoke")]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
    #[command(flatten)]
    pub no_log: NoLog,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke man | man -l -
  convoke man plan > convoke-plan.1")]
pub struct ManArgs {
    /// The command to print the page of [default: convoke itself]
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    #[command(flatten)]
    pub no_log: NoLog,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke schema config > config.schema.json")]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum, value_name = "FILE")]
    pub of: SchemaOf,
    #[command(flatten)]
    pub no_log: NoLog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The files that declare groups
    Config,
    /// A saved plan
    Plan,
    /// A line of a journal
    Journal,
    /// The sandbox's seed
    Seed,
    /// The JSON of an access review
    Review,
    /// The JSON of what `apply` did
    Report,
    /// The JSON of `doctor`
    Doctor,
}

const ENVIRONMENT: [(&str, &str); 7] = [
    ("CLOUDFLARE_API_TOKEN", "The API token. A token is not accepted as an argument."),
    ("CLOUDFLARE_EMAIL, CLOUDFLARE_API_KEY", "A global API key, if there is no token."),
    ("CLOUDFLARE_ACCOUNT_ID", "The account. An error if the files or --account-id name another one."),
    ("CLOUDFLARE_BASE_URL", "The base URL of the API."),
    ("CONVOKE_FILE", "The file or folder to read, if -f is not given."),
    ("NO_COLOR, COLUMNS", "Turn colors off; the width of text."),
    (
        "GITHUB_*, CI_*",
        "The CI run, commit and pull request: for the journal, the User-Agent, links and the job summary.",
    ),
];

const FILES: [(&str, &str); 1] =
    [("convoke.yaml", "The configuration that is read by default. convoke schema config prints its schema.")];

pub fn completions(args: &CompletionsArgs, output: &mut Output) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "convoke", &mut script);
    output.result(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// Prints a manual page of the program or of a command.
pub fn man(args: &ManArgs, output: &mut Output) -> Result<Exit> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => {
            let command = program.find_subcommand(name).cloned().ok_or_else(|| {
                let failure = Failure::message(Exit::Usage, format!("there is no command {name:?}"));
                failure.with_help("convoke --help lists the commands")
            })?;
            command.display_name(format!("convoke-{name}"))
        }
    };
    output.stream(&|to| page(&command, to));
    Ok(Exit::Done)
}

/// Prints the JSON Schema of a file that convoke reads or writes.
pub fn schema(args: &SchemaArgs, output: &mut Output) -> Result<Exit> {
    match args.of {
        SchemaOf::Config => output.result(config::SCHEMA),
        SchemaOf::Plan => output.json(&schemars::schema_for!(Plan)),
        SchemaOf::Journal => output.json(&schemars::schema_for!(journal::Line)),
        SchemaOf::Review => output.json(&schemars::schema_for!(Review)),
        SchemaOf::Report => output.json(&schemars::schema_for!(Report)),
        SchemaOf::Doctor => output.json(&schemars::schema_for!(Diagnosis)),
        SchemaOf::Seed => output.json(&schemars::schema_for!(sandbox::Seed)),
    }
    Ok(Exit::Done)
}

fn page(command: &Command, to: &mut dyn Write) -> io::Result<()> {
    let has_subcommands = command.has_subcommands();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // The program's help has the exit codes too, which are a section of their own here.
    let examples = if has_subcommands { EXAMPLES } else { &help };
    let man =
        clap_mangen::Man::new(command.clone().after_help("")).source(concat!("convoke ", env!("CARGO_PKG_VERSION")));
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    if has_subcommands {
        man.render_subcommands_section(to)?;
    }
    let codes = Exit::MEANINGS.map(|(exit, meaning, details)| (exit.code(), format!("{meaning}{details}")));
    section(to, "EXIT STATUS", &codes)?;
    section(to, "ENVIRONMENT", &ENVIRONMENT)?;
    section(to, "FILES", &FILES)?;
    let examples = examples.strip_prefix("Examples:\n").unwrap_or(examples);
    if !examples.is_empty() {
        writeln!(to, ".SH EXAMPLES\n.nf\n{}\n.fi", escaped(examples))?;
    }
    Ok(())
}

fn section(to: &mut dyn Write, title: &str, entries: &[(impl Display, impl Display)]) -> io::Result<()> {
    writeln!(to, ".SH \"{title}\"")?;
    for (term, text) in entries {
        writeln!(to, ".TP\n\\fB{}\\fR\n{}", escaped(&term.to_string()), escaped(&text.to_string()))?;
    }
    Ok(())
}

/// Text that roff prints unchanged: hyphens stay hyphens, and no line is a request.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| line.replace('\\', "\\e").replace('-', "\\-"));
    let protected = lines.map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line });
    protected.collect::<Vec<_>>().join("\n")
}
