//! `schema`: prints the JSON Schema of a file that convoke reads or writes.

use clap::{Args, ValueEnum};

use super::{Exit, Failure, Output};
use crate::plan::{Plan, Review};
use crate::report::Report;
use crate::{config, journal, sandbox};

pub const EXAMPLES: &str = "\
Examples:
  convoke schema config > config.schema.json";

#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum, value_name = "FILE")]
    pub of: SchemaOf,
}

/// The files that have a schema.
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
}

pub fn run(args: &SchemaArgs, output: &mut Output) -> Result<Exit, Failure> {
    let schema = match args.of {
        SchemaOf::Config => config::schema(),
        SchemaOf::Plan => schemars::schema_for!(Plan),
        SchemaOf::Journal => journal::schema(),
        SchemaOf::Review => schemars::schema_for!(Review),
        SchemaOf::Report => schemars::schema_for!(Report),
        SchemaOf::Seed => sandbox::Seed::schema(),
    };
    output.json(&schema);
    Ok(Exit::Done)
}
