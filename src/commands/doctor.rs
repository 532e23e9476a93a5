//! `doctor`: what the token, the account and the files are fit for. It reads only.

use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::edit::EditFormat;
use super::request::RunRequest;
use super::{Exit, Failure, Output, session};
use crate::cli::{ConnectionArgs, FileArgs};
use crate::cloudflare::{ApiError, ApiErrorKind, ApiOperation, Client, RawAnswer};
use crate::config::{self, export};
use crate::doctor::{Check, CheckStatus, Diagnosis, declared_groups, figures, order};
use crate::model::{Desired, GroupId, Observed};
use crate::render::clean;

pub const EXAMPLES: &str = "\
Examples:
  convoke doctor -f groups
  convoke doctor --format json > doctor.json

The JSON has no address, name or id, so it can be sent to the maintainers.";

/// Groups whose first page of members is read.
const SAMPLED_GROUPS: usize = 5;
/// A token that expires sooner is a warning.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(24 * 14);
/// The clocks may differ by this much.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

const READ_HELP: &str = "give the token the permission Account Settings Read, or SCIM Provisioning";

#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Format of the result: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, display_order = 80)]
    pub format: EditFormat,
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

pub async fn run(args: &DoctorArgs, output: &mut Output) -> Result<Exit, Failure> {
    let request = RunRequest::new(&args.files, &args.connection)?;
    let (files, desired) = files(&request);
    let account_id = match &desired {
        Some(desired) => request.account(desired)?,
        None => request.account_id,
    };
    if account_id.is_none() && files.status == CheckStatus::Failed {
        return Ok(show(args, Diagnosis::new(vec![files], 0), output));
    }
    let connection = session::connect(&request.connection, account_id, output).await?;
    let mut examination = Examination { client: &connection.client, checks: Vec::new() };
    let watching = output.watch(&connection.client, "examining the account");
    let refused = examination.account(desired.as_ref()).await?;
    drop(watching);
    let mut checks = examination.checks;
    checks.push(files);
    let exit = show(args, Diagnosis::new(checks, connection.client.requests()), output);
    Ok(if refused { Exit::Credentials } else { exit })
}

fn show(args: &DoctorArgs, diagnosis: Diagnosis, output: &mut Output) -> Exit {
    match args.format {
        EditFormat::Json => output.json(&diagnosis),
        EditFormat::Text => output.result(&text(&diagnosis)),
    }
    match diagnosis.status {
        CheckStatus::Ok => Exit::Done,
        CheckStatus::Warning => Exit::Differences,
        CheckStatus::Failed => Exit::Refused,
    }
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for check in &diagnosis.checks {
        text += &format!("{:<8} {:<20} {}\n", check.status.name(), check.name, check.seen);
        let indented = |line: String| format!("{:30}{line}\n", "");
        text.extend(check.details.iter().map(|detail| indented(clean(detail))));
        text.extend(check.help.map(|help| indented(format!("help: {help}"))));
    }
    let count = |status| diagnosis.checks.iter().filter(|check| check.status == status).count();
    let (ok, warnings, failed) = (count(CheckStatus::Ok), count(CheckStatus::Warning), count(CheckStatus::Failed));
    text + &format!("\nDoctor: {ok} ok, {warnings} warning, {failed} failed. {} requests.\n", diagnosis.requests)
}

fn files(request: &RunRequest) -> (Check, Option<Desired>) {
    let paths = match request.files.paths() {
        Ok(paths) => paths,
        Err(failure) if failure.exit == Exit::Data => return (Check::ok("files", "there are no files"), None),
        Err(failure) => {
            let check = Check::failed("files", "which files to read is not clear", "name the files with -f");
            return (check.with([failure.to_string()]), None);
        }
    };
    match config::load_checked(&paths, request.time) {
        Ok(desired) => (Check::ok("files", format!("declared groups: {}", desired.groups.len())), Some(desired)),
        Err(problems) => {
            let help = "run `convoke validate`, and correct the files";
            let check = Check::failed("files", format!("problems: {}", problems.iter().count()), help);
            (check.with(problems.iter().map(ToString::to_string)), None)
        }
    }
}

struct Examination<'a> {
    client: &'a Client,
    checks: Vec<Check>,
}

impl Examination<'_> {
    /// Makes all checks of the account. Returns whether the API refuses the credentials altogether.
    ///
    /// # Errors
    ///
    /// If the API cannot be reached, or misbehaves where convoke needs it.
    async fn account(&mut self, desired: Option<&Desired>) -> Result<bool, ApiError> {
        let known = self.credentials().await?;
        self.account_info().await?;
        let observed = self.groups().await?;
        self.people().await?;
        let now = Timestamp::now();
        let since = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now).to_string();
        let query = [("since", since.as_str()), ("before", &now.to_string()), ("limit", "1")];
        let log = self.client.raw(ApiOperation::ReadAuditLog, &["logs", "audit"], &query).await;
        self.optional("read_audit_log", log, "without Account Settings Read, `drift` cannot say who made a change")?;
        let user = self.client.raw(ApiOperation::ReadTokenOwner, &["user"], &[]).await;
        self.optional("read_user", user, "without User Details Read, convoke cannot protect the token's own user")?;
        let external = self.scim(observed.as_ref()).await?;
        self.checks.push(Check::ok("write", "unknown: whether the token can change members is never tried"));
        self.clock_and_limit();
        if let (Some(desired), Some(observed)) = (desired, &observed) {
            self.checks.extend(declared_groups(desired, observed, &external));
        }
        Ok(!known && observed.is_none())
    }

    /// Whether the API knows the credentials.
    async fn credentials(&mut self) -> Result<bool, ApiError> {
        const HELP: &str = "create a token with the permissions that docs/threat-model.md lists";
        if self.client.uses_key() {
            let user = self.client.raw(ApiOperation::ReadTokenOwner, &["user"], &[]).await;
            let known = user.is_ok();
            self.checks.push(match required(user)? {
                Ok(_) => {
                    Check::warning("credentials", "an API key of a user", "use an API token: a key may do everything")
                }
                Err(error) => Check::refused("credentials", &error, CheckStatus::Failed, HELP),
            });
            return Ok(known);
        }
        let user = required(self.client.raw(ApiOperation::VerifyToken, &["user", "tokens", "verify"], &[]).await)?;
        let (kind, answer) = match user {
            Ok(answer) => ("a user's API token", Ok(answer)),
            Err(_) => {
                let account = self.client.raw(ApiOperation::VerifyToken, &["tokens", "verify"], &[]).await;
                ("an account's API token", required(account)?)
            }
        };
        let (check, known) = match answer {
            Err(error) => (Check::refused("credentials", &error, CheckStatus::Failed, HELP), false),
            Ok(RawAnswer { result, .. }) => token(kind, &result),
        };
        self.checks.push(check);
        Ok(known)
    }

    async fn account_info(&mut self) -> Result<(), ApiError> {
        let answer = self.client.raw(ApiOperation::ReadAccount, &[], &[]).await;
        let Some(_) = self.optional("account", answer, "without it, convoke shows the account's id only")? else {
            return Ok(());
        };
        let info = self.client.account_info().await?;
        let Some(check) = self.checks.last_mut() else { return Ok(()) };
        check.details.extend(info.name);
        if let Some(organization) = info.organization {
            "reachable; it belongs to an organization, whose Super Administrators may not appear"
                .clone_into(&mut check.seen);
            check.details.push(organization);
        }
        Ok(())
    }

    /// Reads the groups, and the first page of members of some of them.
    async fn groups(&mut self) -> Result<Option<Observed>, ApiError> {
        let path = ["iam", "user_groups"];
        let first = self.client.raw(ApiOperation::ListGroups, &path, &[("per_page", "500")]).await;
        let first = match required(first)? {
            Ok(first) => first,
            Err(error) => {
                self.checks.push(Check::refused("read_groups", &error, CheckStatus::Failed, READ_HELP));
                return Ok(None);
            }
        };
        let groups = match required(self.client.user_groups().await)? {
            Ok(groups) => groups,
            Err(error) => {
                let help = "the API's answers contradict themselves; send this report to the maintainers";
                self.checks.push(Check::refused("read_groups", &error, CheckStatus::Failed, help));
                return Ok(None);
            }
        };
        let rows = first.result.as_array().map_or(0, Vec::len);
        self.checks.push(Check::ok("read_groups", figures(rows, 500, &first.result_info)));
        let mut sampled = Vec::new();
        for id in groups.keys().take(SAMPLED_GROUPS) {
            let path = ["iam", "user_groups", id.as_str(), "members"];
            let members = self.client.raw(ApiOperation::ListGroupMembers, &path, &[("per_page", "500")]).await;
            match required(members)? {
                Ok(members) => sampled.push(members),
                Err(error) => {
                    self.checks.push(Check::refused("read_members", &error, CheckStatus::Failed, READ_HELP));
                    return Ok(Some(Observed { groups, ..Observed::default() }));
                }
            }
        }
        let size = |answer: &RawAnswer| answer.result.as_array().map_or(0, Vec::len);
        sampled.sort_by_key(size);
        self.checks.push(match sampled.last() {
            None => Check::ok("read_members", "there is no group"),
            Some(largest) => {
                let rows = largest.result.as_array().map(Vec::as_slice).unwrap_or_default();
                Check::ok(
                    "read_members",
                    format!("{}; {}", figures(rows.len(), 500, &largest.result_info), order(rows)),
                )
            }
        });
        Ok(Some(Observed { groups, ..Observed::default() }))
    }

    /// Reads the first page of the account's members.
    async fn people(&mut self) -> Result<(), ApiError> {
        let query = [("per_page", "50"), ("order", "user.email"), ("direction", "asc")];
        let people = self.client.raw(ApiOperation::ListAccountMembers, &["members"], &query).await;
        self.checks.push(match required(people)? {
            Ok(RawAnswer { result, result_info }) => {
                let rows = result.as_array().map(Vec::as_slice).unwrap_or_default();
                Check::ok("read_account_members", format!("{}; {}", figures(rows.len(), 50, &result_info), order(rows)))
            }
            Err(error) => Check::refused("read_account_members", &error, CheckStatus::Failed, READ_HELP),
        });
        Ok(())
    }

    async fn scim(&mut self, observed: Option<&Observed>) -> Result<BTreeSet<GroupId>, ApiError> {
        let groups = self.client.scim_groups().await;
        let count = groups.as_ref().map_or(0, |groups| groups.iter().filter(|group| group.external).count());
        let help =
            "groups of an identity provider are not recognized; this needs an API token with Account Settings Read";
        let Some(groups) = self.optional("read_scim", groups, help)? else { return Ok(BTreeSet::new()) };
        if let Some(check) = self.checks.last_mut() {
            check.seen = format!("groups: {}, with an id of an identity provider: {count}", groups.len());
        }
        Ok(observed.map(|observed| export::external_groups(observed, &groups)).unwrap_or_default())
    }

    fn clock_and_limit(&mut self) {
        self.checks.push(match self.client.clock_ahead() {
            None => Check::ok("clock", "the answers have no time"),
            Some(ahead) if ahead.abs() <= CLOCK_TOLERANCE => Check::ok("clock", "within 5 minutes of the API's"),
            Some(ahead) => {
                let seen = format!("{} seconds from the API's", ahead.as_secs());
                Check::warning("clock", seen, "set this machine's clock: it decides which temporary access holds")
            }
        });
        self.checks.push(match self.client.allowance() {
            None => Check::ok("rate_limit", "the answers do not tell it"),
            Some((remaining, reset)) => {
                Check::ok("rate_limit", format!("requests left: {remaining}, for {} seconds", reset.as_secs()))
            }
        });
    }

    /// A reading that convoke can do without.
    fn optional<T>(
        &mut self,
        name: &'static str,
        answer: Result<T, ApiError>,
        help: &'static str,
    ) -> Result<Option<T>, ApiError> {
        match answer {
            Ok(answer) => {
                self.checks.push(Check::ok(name, "answered"));
                Ok(Some(answer))
            }
            Err(error) if error.kind == ApiErrorKind::Stopped || error.kind == ApiErrorKind::Unreachable => Err(error),
            Err(error) => {
                self.checks.push(Check::refused(name, &error, CheckStatus::Warning, help));
                Ok(None)
            }
        }
    }
}

/// The answer, or the API's refusal. An API that does not answer at all ends the examination.
fn required<T>(answer: Result<T, ApiError>) -> Result<Result<T, ApiError>, ApiError> {
    use ApiErrorKind as K;
    match answer {
        Err(error)
            if matches!(error.kind, K::Credentials | K::NotFound | K::Refused | K::NotAllowed | K::Incomplete) =>
        {
            Ok(Err(error))
        }
        answer => answer.map(Ok),
    }
}

/// The check of a verified token, and whether it works.
fn token(kind: &str, result: &Value) -> (Check, bool) {
    const HELP: &str = "create a new token, or extend this one";
    let active = result.get("status").and_then(Value::as_str) == Some("active");
    let expires: Option<Timestamp> =
        result.get("expires_on").and_then(Value::as_str).and_then(|time| time.parse().ok());
    let until = expires.map_or_else(String::new, |time| format!(", valid until {}", time.strftime("%Y-%m-%d")));
    let soon = expires.is_some_and(|time| time.duration_since(Timestamp::now()) < EXPIRES_SOON);
    let check = match (active, soon) {
        (false, _) => Check::failed("credentials", format!("{kind} that is disabled or expired{until}"), HELP),
        (true, true) => Check::warning("credentials", format!("{kind}, active{until}"), HELP),
        (true, false) => Check::ok("credentials", format!("{kind}, active{until}")),
    };
    (check, active)
}
