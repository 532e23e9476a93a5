//! `completions` and `man`: what the command line says of itself, for shells and for `man`.

use clap::CommandFactory as _;

use super::{Exit, Failure, Output};
use crate::cli::{Cli, CompletionsArgs, ManArgs};

/// Prints completions for a shell.
pub fn completions(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "convoke", &mut script);
    output.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints a page of the manual: of the program, or of a command.
pub fn man(args: &ManArgs, output: &mut Output) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    program.build();
    let page = match &args.command {
        None => clap_mangen::Man::new(program),
        Some(name) => {
            let command = program.find_subcommand(name).cloned().ok_or_else(|| {
                let failure = Failure::message(Exit::Usage, format!("there is no command {name:?}"));
                failure.with_help("convoke --help lists the commands")
            })?;
            clap_mangen::Man::new(command.display_name(format!("convoke-{name}")))
        }
    };
    let mut roff = Vec::new();
    page.source(concat!("convoke ", env!("CARGO_PKG_VERSION"))).render(&mut roff)?;
    output.result(&String::from_utf8_lossy(&roff))?;
    Ok(Exit::Done)
}
