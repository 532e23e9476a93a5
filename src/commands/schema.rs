//! `schema`: prints the JSON Schema of a file that convoke reads or writes.

use super::{Exit, Failure, Output};
use crate::cli::{SchemaArgs, SchemaOf};
use crate::plan::{Plan, Review};
use crate::report::Report;
use crate::{config, journal, sandbox};

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
