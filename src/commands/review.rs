//! `review`: the evidence for an access review.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use futures_util::future::try_join_all;

use super::request::RunRequest;
use super::{Exit, Failure, Output, Result, environment, files, git, session};
use crate::cli::{PlanningArgs, TargetArgs};
use crate::cloudflare::Client;
use crate::config::{self, Source};
use crate::model::{GroupRef, Observed, whole_second};
use crate::observe;
use crate::plan::{self, Beginnings, Digest, ReviewFacts};
use crate::render::{self, clean, counted, review};

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke review -f groups --format html --out review.html
  convoke review -f groups --format csv > review.csv

The exit code is 0 whatever the review finds. If anything cannot be read, nothing is written.")]
pub struct ReviewArgs {
    /// Format of the result: text, csv, html, json or markdown
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, display_order = 80)]
    pub format: ReviewFormat,
    /// Write the result to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Add when each membership began; needs one more request for each membership
    #[arg(long)]
    pub dates: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReviewFormat {
    /// For a person at a terminal
    #[default]
    Text,
    /// For spreadsheet programs: one row per membership
    Csv,
    /// One self-contained page to read, print and sign
    Html,
    /// For programs
    Json,
    /// For a comment or a wiki
    Markdown,
}

pub async fn run(args: &ReviewArgs, output: &mut Output) -> Result<Exit> {
    let request = RunRequest::new(&args.target, PlanningArgs::default())?;
    request.check_output("--out", args.out.as_deref())?;
    let (desired, sources) = config::load_with_sources(&request.target.files.paths()?)?;
    let files_digest = digest(&sources);
    // What is in the clone counts: CI may have checked out another commit than the one that it reports.
    let committed = git::committed(&request.target.files.paths()?, &sources);
    let (commit, uncommitted) =
        committed.map_or_else(|| (environment::commit(), Vec::new()), |(commit, rest)| (Some(commit), rest));
    drop(sources);
    let connection = session::connect(&request.target, request.account(&desired)?, output).await?;
    let client = &connection.client;
    let watching = output.watch(client, "reading the account");
    let observed = read(client).await?;
    drop(watching);
    // Evidence is of now, so there is no --at.
    let checked = session::check_clock(client, &desired, &request, output);
    checked.map_err(|failure| failure.with_help("set this machine's clock"))?;
    let beginnings = if args.dates {
        let memberships: usize = observed.memberships.values().map(|members| members.len()).sum();
        output.note(&format!("--dates needs {}, one for each membership", counted(memberships as u64, "more request")));
        let _watching = output.watch(client, "reading when memberships began");
        beginnings(client, &observed).await?
    } else {
        Beginnings::new()
    };
    let account = client.account_info().await?;
    let facts = ReviewFacts {
        account_id: connection.account_id,
        account_name: account.name,
        organization: account.organization,
        time: whole_second(request.time),
        commit,
        uncommitted,
        files_digest,
        requests: client.requests(),
    };
    let review = plan::review(&desired, &observed, facts, &beginnings);
    for warning in &review.warnings {
        let place = warning.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
        output.warn(&clean(&format!("{place}{}; {}", warning.message, warning.help)));
    }
    let render = |to: &mut dyn Write| match args.format {
        ReviewFormat::Text => review::as_text(&review, to),
        ReviewFormat::Csv => review::as_csv(&review, to),
        ReviewFormat::Html => review::html(&review, to),
        ReviewFormat::Json => render::json(to, &review),
        ReviewFormat::Markdown => review::as_markdown(&review, to),
    };
    match &args.out {
        Some(path) => files::write(path, files::PRIVATE, &render)?,
        None => output.stream(&render),
    }
    Ok(Exit::Done)
}

/// A digest of the files' content, in the order in which they are read. Their paths differ between machines.
fn digest(sources: &[Source]) -> Digest {
    let digests: Vec<String> = sources.iter().map(|source| Digest::of(&source.bytes).to_string()).collect();
    Digest::of(digests.join("\n").as_bytes())
}

/// Reads all groups with their members, and all members of the account. An incomplete reading is an error.
async fn read(client: &Client) -> Result<Observed> {
    let mut observed = Observed { groups: client.user_groups().await?, ..Observed::default() };
    let everything = observed.groups.keys().copied().collect();
    observe::read_members(client, &mut observed, &everything).await?;
    observed.people = client.account_members().await?;
    if let Some((id, cause)) = observed.unreadable.first_key_value() {
        let name = observed.groups.get(id).map_or("", |group| group.name.as_str());
        let message = format!("the members of group {:?} ({id}) cannot be read: {}", name, clean(cause));
        return Err(Failure::message(Exit::Unavailable, message).with_help(
            "make the group readable first; nothing was written, because an incomplete review proves nothing",
        ));
    }
    Ok(observed)
}

async fn beginnings(client: &Client, observed: &Observed) -> Result<Beginnings> {
    let memberships = observed.memberships.iter().flat_map(|(id, members)| {
        let name = observed.groups.get(id).map(|group| group.name.clone());
        let group = name.map(|name| GroupRef { id: *id, name });
        members.keys().filter_map(move |member| Some((group.clone()?, *member)))
    });
    let asking = memberships.map(async |(group, member)| {
        let Some(detail) = client.group_member(&group, member).await? else {
            let message = format!("member {member} of group {:?} is listed, but cannot be read", group.name.as_str());
            return Err(Failure::message(Exit::Unavailable, message).with_help(
                "the membership may have just ended: run review again, or omit --dates; nothing was written",
            ));
        };
        Ok::<_, Failure>(detail.added_at.map(|time| ((group.id, member), time)))
    });
    Ok(try_join_all(asking).await?.into_iter().flatten().collect())
}
