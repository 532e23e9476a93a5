//! The common part of the commands that call the API: the files, the account, the client and the time.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::identity::ci_run_url;
use super::progress::Progress;
use super::signals::{self, Stop};
use super::{Exit, Failure, Output, files};
use crate::cli::{ConnectionArgs, FileArgs, PlanOptions, PlanningArgs, TimeArgs};
use crate::cloudflare::{BaseUrl, Client, ClientConfig, Credentials};
use crate::config;
use crate::model::{AccountId, Desired, GroupName, IdError};
use crate::observe;
use crate::plan::{self, BaseComparison, Plan, Policy, compare_base, nearest_name};
use crate::sandbox::{Sandbox, SeedToken};

/// The file to read if none is given.
const DEFAULT_FILE: &str = "convoke.yaml";

/// The maximum size of a token file.
const MAX_TOKEN_FILE: u64 = 64 * 1024;

/// A connection to the API, or to a sandbox that lives as long as this value.
pub struct Connection {
    pub client: Client,
    pub account_id: AccountId,
    pub stop: Stop,
    _sandbox: Option<Sandbox>,
}

/// Reads the files without checking the groups' rules, because commands that change nothing work with broken rules.
pub fn load(files: &FileArgs) -> Result<Desired, Failure> {
    Ok(config::load(&paths(files))?)
}

/// The files to read: from the command line, else from the environment, else the default.
pub fn paths(files: &FileArgs) -> Vec<PathBuf> {
    match files.files.as_slice() {
        [] => vec![file_variable().unwrap_or_else(|| DEFAULT_FILE.into())],
        given => given.to_vec(),
    }
}

/// Whether the command line or the environment names files.
pub fn names_files(files: &FileArgs) -> bool {
    !files.files.is_empty() || file_variable().is_some()
}

/// Whether there is a default file with any content.
pub fn has_default_file() -> bool {
    Path::new(DEFAULT_FILE).metadata().is_ok_and(|metadata| metadata.len() > 0)
}

fn file_variable() -> Option<PathBuf> {
    std::env::var_os("CONVOKE_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The policy of the command line.
fn policy(planning: &PlanningArgs, account_id: AccountId) -> Policy {
    let only = planning.only.iter().map(|name| GroupName::from(name.as_str())).collect();
    let expiring_within = SignedDuration::from_hours(24 * i64::from(planning.expiring));
    Policy { only, expiring_within, ..Policy::new(account_id) }
}

/// Checks that the groups of `--only` are declared.
fn check_only(only: &[String], desired: &Desired) -> Result<(), Failure> {
    let mut named = only.iter().map(|name| GroupName::from(name.as_str()));
    let Some(unknown) = named.find(|name| !desired.groups.contains_key(name)) else { return Ok(()) };
    let message = format!("--only names {:?}, which no file declares", unknown.as_str());
    let help = "use the group's name in the files; without --only, all groups are planned";
    Err(unknown_group(message, &unknown, desired.groups.keys(), help))
}

/// The failure for an unknown group. Suggests the name that was probably meant, or has other help.
pub fn unknown_group<'n>(
    message: String,
    unknown: &GroupName,
    known: impl IntoIterator<Item = &'n GroupName>,
    help: &str,
) -> Failure {
    let help = match nearest_name(unknown, known) {
        Some(nearest) => format!("did you mean {:?}?", nearest.as_str()),
        None => help.into(),
    };
    Failure::message(Exit::Usage, message).with_help(help)
}

/// The time to plan for.
pub fn time(args: &TimeArgs) -> Timestamp {
    args.at.unwrap_or_else(Timestamp::now)
}

/// Connects to the API, or to its own sandbox.
pub async fn connect(
    args: &ConnectionArgs,
    declared: Option<AccountId>,
    output: &mut Output,
) -> Result<Connection, Failure> {
    let stop = Stop::listen().map_err(|error| Failure::system(signals::NOT_RECEIVED, error))?;
    let connection = match &args.sandbox {
        Some(seed) => connect_to_sandbox(args, seed, declared, stop).await?,
        None => connect_to_api(args, declared, stop)?,
    };
    output.count_requests_of(&connection.client);
    Ok(connection)
}

fn connect_to_api(args: &ConnectionArgs, declared: Option<AccountId>, stop: Stop) -> Result<Connection, Failure> {
    let account_id = declared.ok_or_else(|| {
        Failure::message(Exit::Data, "no account is set")
            .with_help("write account_id: in a file, set CLOUDFLARE_ACCOUNT_ID, or pass --account-id")
    })?;
    // Not read by the argument parser, where a variable that happens to be set would conflict with --sandbox.
    let url = args.api_url.clone().or_else(|| variable("CLOUDFLARE_BASE_URL"));
    let base_url = BaseUrl::parse(url.as_deref().unwrap_or(BaseUrl::DEFAULT))?;
    let client = client(args, base_url, credentials(args)?, account_id)?;
    Ok(Connection { client, account_id, stop, _sandbox: None })
}

async fn connect_to_sandbox(
    args: &ConnectionArgs,
    seed: &Path,
    declared: Option<AccountId>,
    stop: Stop,
) -> Result<Connection, Failure> {
    let seed = files::read_seed(seed)?;
    let account_id = match (seed.account_id, declared) {
        (Some(seeded), Some(declared)) if seeded != declared => {
            let message = format!("the seed is for account {seeded}, but the files are for {declared}");
            return Err(Failure::message(Exit::Data, message).with_help("remove account_id from the seed"));
        }
        (seeded, declared) => declared.or(seeded).unwrap_or(AccountId::SANDBOX),
    };
    let sandbox = Sandbox::start(&seed, Sandbox::ANY_PORT).await.map_err(|error| Failure::new(Exit::Other, error))?;
    let token = seed.token.as_ref().map_or_else(|| "sandbox".into(), SeedToken::secret);
    let base_url = BaseUrl::parse(&sandbox.base_url())?;
    let client = client(args, base_url, Credentials::Token(token), account_id)?;
    Ok(Connection { client, account_id, stop, _sandbox: Some(sandbox) })
}

fn client(
    args: &ConnectionArgs,
    base_url: BaseUrl,
    credentials: Credentials,
    account_id: AccountId,
) -> Result<Client, Failure> {
    let (concurrency, timeout, max_wait) = (args.concurrency, args.timeout, args.max_wait);
    Ok(Client::new(ClientConfig {
        base_url,
        credentials,
        account_id,
        concurrency,
        timeout,
        max_wait,
        run_url: ci_run_url(),
    })?)
}

/// The account of the command line and the environment. An empty variable does not count: CI sets one for a missing
/// secret.
pub fn given_account(given: Option<AccountId>) -> Result<Option<AccountId>, Failure> {
    let Some(text) = variable("CLOUDFLARE_ACCOUNT_ID") else { return Ok(given) };
    let named: AccountId = text.trim().parse().map_err(|error: IdError| {
        let error = anyhow::Error::new(error).context("CLOUDFLARE_ACCOUNT_ID is not an account id");
        Failure::new(Exit::Usage, error).with_help("copy the id from the dashboard: 32 hexadecimal digits")
    })?;
    match given {
        Some(given) if given != named => {
            Err(two_accounts(&format!("{given} by --account-id, {named} by CLOUDFLARE_ACCOUNT_ID")))
        }
        _ => Ok(Some(named)),
    }
}

/// The account that the files, the command line and the environment agree on.
pub fn account(given: Option<AccountId>, desired: &Desired) -> Result<Option<AccountId>, Failure> {
    match (given_account(given)?, &desired.account_id) {
        (Some(given), Some(declared)) if given != declared.value => {
            let place = declared.origin.as_ref().map(|origin| format!(" at {origin}")).unwrap_or_default();
            let declared = format!("{} by the files{place}", declared.value);
            Err(two_accounts(&format!("{declared}, {given} by --account-id or CLOUDFLARE_ACCOUNT_ID")))
        }
        (given, declared) => Ok(given.or(declared.as_ref().map(|declared| declared.value))),
    }
}

fn two_accounts(named: &str) -> Failure {
    Failure::message(Exit::Data, format!("two accounts are named: {named}"))
        .with_help("check which account you mean, and remove the other")
}

/// The credentials: from the token file if one is given, else from the environment.
fn credentials(args: &ConnectionArgs) -> Result<Credentials, Failure> {
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

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn token_file(path: &Path) -> Result<SecretString, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let error = anyhow::Error::new(error).context(format!("the token file {shown} cannot be read"));
        Failure::new(Exit::Credentials, error)
    };
    let mut token = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    // The size of a device or a pipe is not known in advance.
    file.take(MAX_TOKEN_FILE + 1).read_to_string(&mut token).map_err(failed)?;
    if token.len() as u64 > MAX_TOKEN_FILE {
        return Err(Failure::message(Exit::Credentials, format!("the token file {shown} is too large for a token")));
    }
    match token.trim_start_matches('\u{feff}').trim() {
        "" => Err(Failure::message(Exit::Credentials, format!("the token file {shown} is empty"))),
        token => Ok(token.into()),
    }
}

/// Loads the files, reads the account and plans.
pub async fn make_plan(
    files: &FileArgs,
    planning: &PlanningArgs,
    connection: &ConnectionArgs,
    options: &PlanOptions,
    output: &mut Output,
) -> Result<(Connection, Plan), Failure> {
    let time = time(&planning.time);
    let desired = config::load_checked(&paths(files), time)?;
    let account_id = account(connection.account_id, &desired)?;
    // Check the names on the command line before any request.
    check_only(&planning.only, &desired)?;
    let mut base = match options.only_changed {
        true => load_base(&options.base, &desired, output),
        false => None,
    };
    let connection = connect(connection, account_id, output).await?;
    let touched = base.as_ref().map(|(comparison, _)| comparison.touched.clone());
    let policy = Policy {
        touched,
        due: options.due,
        accept_self: options.accept_self,
        ..policy(planning, connection.account_id)
    };
    let watching = Progress::new(output).watch(&connection.client, "reading the account");
    let mut current = observe::read(&connection.client, &desired, &policy).await?;
    let plan = observe::plan(&connection.client, &desired, &mut current, &policy, time).await?;
    drop(watching);
    if !options.only_changed {
        // Not needed before, and a large account and two sets of files take much memory.
        base = load_base(&options.base, &desired, output);
    }
    drop(desired);
    let mut plan = match base {
        None => plan,
        Some((comparison, base)) => {
            // The plan of the base only decides about labels, so nothing more is read for it.
            let before = plan::plan(&base, &current, &Policy { accept_self: true, ..policy }, time);
            plan.with_base(&before, comparison.changes)
        }
    };
    plan.requests = Some(connection.client.requests());
    Ok((connection, plan))
}

/// Reads the files before the change under review, if they are given, and compares them. A missing path counts as
/// empty, because the files may be new. A base that cannot be read is only a warning, because the change under review
/// may be the correction.
fn load_base(paths: &[PathBuf], head: &Desired, output: &mut Output) -> Option<(BaseComparison, Desired)> {
    if paths.is_empty() {
        return None;
    }
    let there: Vec<PathBuf> = paths.iter().filter(|path| path.symlink_metadata().is_ok()).cloned().collect();
    let base = if there.is_empty() { Ok(Desired::default()) } else { config::load(&there) };
    match base {
        Ok(base) => Some((compare_base(&base, head), base)),
        Err(problems) => {
            output.warn(&format!(
                "the base cannot be used, so all groups are planned and no difference is labeled: {problems}"
            ));
            None
        }
    }
}
