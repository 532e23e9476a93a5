//! The common part of the commands that call the API: the files, the account, the client and the time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::environment::{ci_run_url, variable};
use super::git::Checkout;
use super::request::RunRequest;
use super::signals::{self, Stop};
use super::{Exit, Failure, Output, Result, files};
use crate::cli::{FileArgs, TargetArgs};
use crate::cloudflare::{BaseUrl, Client, ClientConfig, ClientError, Credentials};
use crate::config::{self, Source};
use crate::model::{AccountId, Desired};
use crate::observe;
use crate::plan::{self, Plan, Policy};
use crate::sandbox::Sandbox;

const MAX_TOKEN_FILE: u64 = 64 * 1024;
/// Clocks that differ by less count as equal.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A connection to the API, or to a sandbox that lives as long as this value.
pub struct Connection {
    pub client: Client,
    pub account_id: AccountId,
    pub stop: Stop,
    _sandbox: Option<Sandbox>,
}

/// Connects to the API, or to its own sandbox.
pub async fn connect(args: &TargetArgs, declared: Option<AccountId>, output: &mut Output) -> Result<Connection> {
    let stop = Stop::listen().map_err(|error| Failure::caused(Exit::Other, signals::NOT_RECEIVED, error))?;
    let (sandbox, url, account_id, token) = match &args.sandbox {
        Some(seed) => {
            let (sandbox, account_id, token) = start_sandbox(seed, declared).await?;
            let url = sandbox.base_url();
            (Some(sandbox), Some(url), account_id, Some(token))
        }
        None => {
            let account_id = declared.ok_or_else(|| {
                Failure::message(Exit::Data, "no account is set")
                    .with_help("write account_id: in a file, set CLOUDFLARE_ACCOUNT_ID, or pass --account-id")
            })?;
            // Not read by the argument parser, where a variable that happens to be set would conflict with --sandbox.
            let url = args.api_url.clone().or_else(|| variable("CLOUDFLARE_BASE_URL"));
            (None, url, account_id, None)
        }
    };
    let base_url = BaseUrl::parse(url.as_deref().unwrap_or(BaseUrl::DEFAULT)).map_err(|error| {
        let failure = Failure::caused(Exit::Usage, "the API's URL cannot be used", error);
        failure.with_help("check --api-url and CLOUDFLARE_BASE_URL")
    })?;
    let client = Client::new(ClientConfig {
        base_url,
        credentials: token.map_or_else(|| credentials(args), |token| Ok(Credentials::Token(token)))?,
        account_id,
        concurrency: args.concurrency,
        timeout: args.timeout,
        max_wait: args.max_wait,
        run_url: ci_run_url(),
    })
    .map_err(|error| {
        let exit = if matches!(error, ClientError::Setup(_)) { Exit::Other } else { Exit::Credentials };
        Failure::new(exit, error)
    })?;
    output.client = Some(client.clone());
    Ok(Connection { client, account_id, stop, _sandbox: sandbox })
}

/// A sandbox for this command, its account and its token.
async fn start_sandbox(seed: &Path, declared: Option<AccountId>) -> Result<(Sandbox, AccountId, SecretString)> {
    let seed = files::read_seed(seed)?;
    let account_id = match (seed.account_id, declared) {
        (Some(seeded), Some(declared)) if seeded != declared => {
            let message = format!("the seed is for account {seeded}, but the files are for {declared}");
            return Err(Failure::message(Exit::Data, message).with_help("remove account_id from the seed"));
        }
        (seeded, declared) => declared.or(seeded).unwrap_or(AccountId::SANDBOX),
    };
    let sandbox = Sandbox::start(&seed, Sandbox::ANY_PORT).await.map_err(|error| Failure::new(Exit::Other, error))?;
    Ok((sandbox, account_id, seed.token.clone().unwrap_or_else(|| "sandbox".into())))
}

/// The credentials: from the token file if one is given, else from the environment.
fn credentials(args: &TargetArgs) -> Result<Credentials> {
    if let Some(path) = &args.token_file {
        return token_file(path).map(Credentials::Token);
    }
    if let Some(token) = variable("CLOUDFLARE_API_TOKEN") {
        return Ok(Credentials::Token(token.trim().into()));
    }
    if let (Some(email), Some(key)) = (variable("CLOUDFLARE_EMAIL"), variable("CLOUDFLARE_API_KEY")) {
        return Ok(Credentials::Key { email: email.trim().into(), key: key.trim().into() });
    }
    Err(Failure::message(Exit::Credentials, "no credentials were found").with_help(
        "set CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY, or pass --token-file; \
         to try the files without an account, pass --sandbox",
    ))
}

fn token_file(path: &Path) -> Result<SecretString> {
    let file = format!("the token file {}", path.display());
    let token = files::read(path, MAX_TOKEN_FILE).and_then(|bytes| io::read_to_string(bytes.as_slice()));
    let token = token.map_err(|error| Failure::caused(Exit::Credentials, format!("{file} cannot be read"), error))?;
    match token.trim_start_matches('\u{feff}').trim() {
        "" => Err(Failure::message(Exit::Credentials, format!("{file} is empty"))),
        token => Ok(token.into()),
    }
}

/// Loads the files, reads the account and plans.
pub async fn make_plan(request: &RunRequest, output: &mut Output) -> Result<(Connection, Plan)> {
    let desired = config::load_checked(&request.target.files.paths()?, request.time)?;
    let account_id = request.account(&desired)?;
    // Check the names on the command line before any request.
    request.check_only(&desired)?;
    let base = load_base(request, output)?.map(Arc::new);
    let tip = load_tip(request, None, account_id)?;
    let connection = connect(&request.target, account_id, output).await?;
    let policy = request.policy(connection.account_id, base);
    let client = &connection.client;
    let watching = output.watch(client, "reading the account");
    let newcomers = policy.newcomers(&desired, request.time);
    let (mut current, mut plan) = observe::read(client, &desired, &policy, request.time, &newcomers).await?;
    drop(watching);
    check_clock(client, &desired, request, output)?;
    let mut beside = Vec::new();
    if request.reads_direct_access && desired.settings.reports_direct_access {
        observe::everybody(client, &mut current).await?;
        plan = observe::plan(client, &desired, &mut current, &policy, request.time).await?;
        beside = plan::direct_access(&desired, &current);
    }
    if tip.is_some() {
        let policy = Policy { tip: tip.map(Arc::new), ..policy.clone() };
        // The plan of the files was reviewed, from which the newest ones leave out a part.
        let reviewed = plan.digest;
        plan = observe::plan(client, &desired, &mut current, &policy, request.time).await?;
        plan.digest = reviewed;
    }
    plan = plan.with_base(&desired, &current, &policy);
    plan.warnings.extend(beside);
    // Only a run that read everything that `drift` reports calls the account in sync.
    plan.narrowed |= desired.settings.reports_direct_access && !request.reads_direct_access;
    plan.requests = Some(client.requests());
    Ok((connection, plan))
}

/// Compares the API's clock with this machine's, which decides what entries with a time mean.
///
/// # Errors
///
/// If the clocks differ, and an entry of the files begins or ends between their times. `--at` says which time counts.
pub fn check_clock(client: &Client, desired: &Desired, request: &RunRequest, output: &mut Output) -> Result<()> {
    let Some((ahead, message)) = clock_difference(client) else { return Ok(()) };
    output.warn(&message);
    let other = request.time.saturating_add(ahead).unwrap_or(request.time);
    let (first, last) = (request.time.min(other), request.time.max(other));
    let is_between = |time: Option<Timestamp>| time.is_some_and(|time| first < time && time <= last);
    let mut entries =
        desired.groups.iter().flat_map(|(name, group)| group.members.iter().map(move |entry| (name, entry)));
    let changed = entries.find(|(_, entry)| is_between(entry.from()) || is_between(entry.until()));
    let Some((name, entry)) = changed.filter(|_| request.planning.time.at.is_none()) else { return Ok(()) };
    let (name, person, origin) = (name.as_str(), &entry.person, &entry.origin);
    let message = format!("{message}, and {person} in group {name:?} ({origin}) begins or ends between the two times");
    let help = "set this machine's clock, or pass the time that counts with --at";
    Err(Failure::message(Exit::Other, message).with_help(help))
}

/// How far the API's clock is ahead of this machine's, with the difference in words; `None` if the two agree.
pub fn clock_difference(client: &Client) -> Option<(SignedDuration, String)> {
    let ahead = client.clock_ahead().filter(|ahead| ahead.abs() > CLOCK_TOLERANCE)?;
    let side = if ahead.is_positive() { "behind" } else { "ahead of" };
    Some((ahead, format!("this machine's clock is {} minutes {side} the API's", ahead.abs().as_mins())))
}

/// Reads the files as they were before the change under review, if they are given. Files that cannot be used are only
/// a warning, because the change under review may be the correction.
fn load_base(request: &RunRequest, output: &mut Output) -> Result<Option<Desired>> {
    let paths = &request.options.base;
    if paths.is_empty() {
        return Ok(None);
    }
    let sources = read_version("--base", paths, |revision| read_revision(&request.target.files, revision));
    if sources.as_ref().is_ok_and(Vec::is_empty) {
        output.warn("--base has no files, so everything is new: this is the first adoption");
    }
    match sources.and_then(|sources| Ok(config::parse(&sources)?)) {
        Err(failure) if failure.exit == Exit::Data => {
            let warning = "the base cannot be used, so all groups are planned and no difference is labeled";
            output.warn(&format!("{warning}: {failure}"));
            Ok(None)
        }
        base => base.map(Some),
    }
}

/// Reads the files at the tip of the branch, if they are given: those of the command line, or those of a saved plan.
pub fn load_tip(request: &RunRequest, saved: Option<&Plan>, account: Option<AccountId>) -> Result<Option<Desired>> {
    if request.tip.is_empty() {
        return Ok(None);
    }
    let read = |revision: &str| match saved {
        None => read_revision(&request.target.files, revision),
        Some(plan) if plan.paths.is_empty() => {
            let message = "the plan does not record its files, because they were in no Git repository";
            Err(Failure::message(Exit::Usage, message).with_help("name a path that exists instead of a revision"))
        }
        Some(plan) => Checkout::here(&plan.paths)?.read(revision),
    };
    let shown = request.tip.iter().map(|tip| tip.to_string_lossy()).collect::<Vec<_>>().join(", ");
    let failed =
        |why: String| Failure::message(Exit::Data, format!("the files at --tip {shown} cannot be read: {why}"));
    let sources = read_version("--tip", &request.tip, read);
    let sources = sources.map_err(|failure| Failure { exit: Exit::Data, ..failure })?;
    if sources.is_empty() {
        let help = "if the files were moved, run the newest commit's job instead, or name their new path with --tip";
        return Err(failed("there are none".into()).with_help(help));
    }
    let tip = config::parse(&sources)?;
    config::check_rules(&tip, &sources, request.time)?;
    let declared = tip.account_id.as_ref().map(|declared| declared.value);
    match declared.zip(account).filter(|(declared, account)| declared != account) {
        Some((declared, account)) => Err(failed(format!("they are for account {declared}, not {account}"))),
        None => Ok(Some(tip)),
    }
}

/// The paths of the files in their repository, if they are in one.
pub fn recorded_paths(request: &RunRequest) -> Vec<PathBuf> {
    let checkout = request.target.files.paths().and_then(|files| Checkout::of(&files));
    checkout.map(|checkout| checkout.paths).unwrap_or_default()
}

/// Reads the files of a revision. Where the command line names none, the default may be another one there.
fn read_revision(files: &FileArgs, revision: &str) -> Result<Vec<Source>> {
    let sources = Checkout::of(&files.paths()?)?.read(revision)?;
    match files.other_default() {
        Some(other) if sources.is_empty() => Checkout::of(&[other])?.read(revision),
        _ => Ok(sources),
    }
}

/// Reads the files of another version: from paths that exist, or from Git revisions of the repository in which the
/// files lie. None of the files may exist there.
///
/// # Errors
///
/// With the exit code of data if the files cannot be used, and with another one if they are not named properly.
fn read_version(flag: &str, named: &[PathBuf], read: impl Fn(&str) -> Result<Vec<Source>>) -> Result<Vec<Source>> {
    let (paths, revisions): (Vec<_>, Vec<_>) = named.iter().cloned().partition(|path| path.symlink_metadata().is_ok());
    let is_revision = |name: &str| read(name).map_or_else(|failure| failure.exit == Exit::Data, |_| true);
    // Otherwise a pull request could add a folder with the name of its base, and its plan would show no change.
    if let Some(both) = paths.iter().find(|path| path.is_relative() && is_revision(&path.to_string_lossy())) {
        let message = format!("{flag} {:?} is both a path that exists and a Git revision", both.to_string_lossy());
        let help = format!("write {flag} ./{} for the path, or name the revision in another way", both.display());
        return Err(Failure::message(Exit::Usage, message).with_help(help));
    }
    let mut sources = Vec::new();
    for revision in revisions {
        let shown = revision.to_string_lossy();
        let unknown = format!("{flag} {shown:?} is neither a path that exists nor a Git revision that can be read");
        sources.extend(read(&shown).map_err(|failure| match failure.exit {
            Exit::Data => failure,
            _ => Failure { error: failure.error.context(unknown), ..failure },
        })?);
    }
    sources.extend(config::read_sources(&paths)?);
    Ok(sources)
}
