//! `doctor`: what the token, the account and the files are fit for. It reads only.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::edit::EditFormat;
use super::request::RunRequest;
use super::{Exit, Failure, Output, session};
use crate::cli::{ConnectionArgs, FileArgs, PlanningArgs};
use crate::cloudflare::{ApiError, ApiErrorKind, ApiOperation, Client, RawAnswer, account_info};
use crate::config::{self, export};
use crate::doctor::{Check, CheckStatus, Diagnosis, declared_groups, figures, order};
use crate::model::{AccountInfo, Desired, GroupId, Observed, ScimGroup};
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
    let request = RunRequest::new(&args.files, &args.connection, PlanningArgs::default())?;
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
            // The first line of each has the place; `validate` shows the rest.
            (
                check.with(problems.iter().filter_map(|problem| problem.to_string().lines().next().map(String::from))),
                None,
            )
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
        let works = self.credentials().await?;
        let account = self.client.raw(ApiOperation::ReadAccount, &[], &[]).await;
        let help = "without it, convoke shows the account's id only";
        if let Some(account) = self.take("account", account, false, help, |_| "reachable".to_owned())? {
            self.about(account_info(&account.result));
        }
        let observed = self.groups().await?;
        let query = [("per_page", "50"), ("order", "user.email"), ("direction", "asc")];
        let people = self.client.raw(ApiOperation::ListAccountMembers, &["members"], &query).await;
        self.take("read_account_members", people, true, READ_HELP, |page| listed(page, 50))?;
        let now = Timestamp::now();
        let since = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now).to_string();
        let query = [("since", since.as_str()), ("before", &now.to_string()), ("limit", "1")];
        let log = self.client.raw(ApiOperation::ReadAuditLog, &["logs", "audit"], &query).await;
        let help = "without Account Settings Read, `drift` cannot say who made a change";
        self.take("read_audit_log", log, false, help, |_| "answered".to_owned())?;
        let user = self.client.raw(ApiOperation::ReadTokenOwner, &["user"], &[]).await;
        let help = "without User Details Read, convoke cannot protect the token's own user";
        self.take("read_user", user, false, help, |_| "answered".to_owned())?;
        let external = self.scim(observed.as_ref()).await?;
        self.checks.push(Check::ok("write", "unknown: whether the token can change members is never tried"));
        self.clock_and_limit();
        if let (Some(desired), Some(observed)) = (desired, &observed) {
            self.checks.extend(declared_groups(desired, observed, &external));
        }
        // A token that reads the groups works, whatever the check of tokens knows about it.
        if let (None, Some(_), Some(check)) = (works, &observed, self.checks.first_mut()) {
            check.status = CheckStatus::Warning;
        }
        Ok(works != Some(true) && observed.is_none())
    }

    /// Whether the API says that the credentials work; `None` if it does not know them.
    async fn credentials(&mut self) -> Result<Option<bool>, ApiError> {
        const HELP: &str = "create a token with the permissions that docs/threat-model.md lists";
        let (kind, answer) = if self.client.uses_key() {
            ("an API key of a user", self.client.raw(ApiOperation::ReadTokenOwner, &["user"], &[]).await)
        } else {
            match self.client.raw(ApiOperation::VerifyToken, &["user", "tokens", "verify"], &[]).await {
                Err(error) if is_refusal(&error) => {
                    let account = self.client.raw(ApiOperation::VerifyToken, &["tokens", "verify"], &[]).await;
                    ("an account's API token", account)
                }
                answer => ("a user's API token", answer),
            }
        };
        let check = match answer {
            Err(error) if is_refusal(&error) => {
                self.checks.push(Check::refused("credentials", &error, CheckStatus::Failed, HELP));
                return Ok(None);
            }
            Err(error) => return Err(error),
            Ok(_) if self.client.uses_key() => {
                Check::warning("credentials", kind, "use an API token: a key may do everything")
            }
            Ok(RawAnswer { result, .. }) => token(kind, &result),
        };
        let works = check.status != CheckStatus::Failed;
        self.checks.push(check);
        Ok(Some(works))
    }

    /// Adds the account's name and organization to the last check.
    fn about(&mut self, info: AccountInfo) {
        let Some(check) = self.checks.last_mut() else { return };
        if info.organization.is_some() {
            "reachable; it belongs to an organization, whose Super Administrators may not appear"
                .clone_into(&mut check.seen);
        }
        check.details.extend(info.name.into_iter().chain(info.organization));
    }

    /// Reads the groups, and the first page of members of some of them.
    async fn groups(&mut self) -> Result<Option<Observed>, ApiError> {
        let path = ["iam", "user_groups"];
        let first = self.client.raw(ApiOperation::ListGroups, &path, &[("per_page", "500")]).await;
        let figures = |page: &RawAnswer| figures(page.rows().len(), 500, &page.result_info);
        if self.take("read_groups", first, true, READ_HELP, figures)?.is_none() {
            return Ok(None);
        }
        let groups = self.client.user_groups().await;
        let help = "the API's answers contradict themselves; send this report to the maintainers";
        let complete = |groups: &BTreeMap<_, _>| format!("groups: {}", groups.len());
        let Some(groups) = self.take("all_groups", groups, true, help, complete)? else { return Ok(None) };
        let mut largest = Ok(RawAnswer::default());
        for id in groups.keys().take(SAMPLED_GROUPS) {
            let path = ["iam", "user_groups", id.as_str(), "members"];
            let page = self.client.raw(ApiOperation::ListGroupMembers, &path, &[("per_page", "500")]).await;
            let rows = |page: &Result<RawAnswer, ApiError>| page.as_ref().map_or(usize::MAX, |page| page.rows().len());
            if rows(&largest) <= rows(&page) {
                largest = page;
            }
        }
        self.take("read_members", largest, true, READ_HELP, |page| listed(page, 500))?;
        Ok(Some(Observed { groups, ..Observed::default() }))
    }

    async fn scim(&mut self, observed: Option<&Observed>) -> Result<BTreeSet<GroupId>, ApiError> {
        let groups = self.client.scim_groups().await;
        let help =
            "groups of an identity provider are not recognized; this needs an API token with Account Settings Read";
        let seen = |groups: &Vec<ScimGroup>| {
            let external = groups.iter().filter(|group| group.external).count();
            format!("groups: {}, with an id of an identity provider: {external}", groups.len())
        };
        let groups = self.take("read_scim", groups, false, help, seen)?;
        let external = observed.zip(groups).map(|(observed, groups)| export::external_groups(observed, &groups));
        Ok(external.unwrap_or_default())
    }

    fn clock_and_limit(&mut self) {
        self.checks.push(match (self.client.clock_ahead(), session::clock_difference(self.client)) {
            (None, _) => Check::ok("clock", "the answers have no time"),
            (Some(_), None) => Check::ok("clock", "within 5 minutes of the API's"),
            (Some(ahead), Some(_)) => {
                let side = if ahead.is_positive() { "behind" } else { "ahead of" };
                let seen = format!("{} seconds {side} the API's", ahead.as_secs().unsigned_abs());
                Check::warning("clock", seen, "set this machine's clock: it decides which temporary access holds")
            }
        });
        let left =
            self.client.allowance().map(|(left, reset)| format!("requests left: {left}, for {} s", reset.as_secs()));
        self.checks.push(Check::ok("rate_limit", left.unwrap_or_else(|| "the answers do not tell it".to_owned())));
    }

    /// Records a reading. A refusal fails the check if convoke needs the reading, and else is a warning. An API that
    /// does not answer ends the examination.
    fn take<T>(
        &mut self,
        name: &'static str,
        answer: Result<T, ApiError>,
        needed: bool,
        help: &'static str,
        seen: impl FnOnce(&T) -> String,
    ) -> Result<Option<T>, ApiError> {
        use ApiErrorKind as K;
        match answer {
            Ok(answer) => {
                self.checks.push(Check::ok(name, seen(&answer)));
                Ok(Some(answer))
            }
            Err(error) if matches!(error.kind, K::Stopped | K::Unreachable) || (needed && !is_refusal(&error)) => {
                Err(error)
            }
            Err(error) => {
                let status = if needed { CheckStatus::Failed } else { CheckStatus::Warning };
                self.checks.push(Check::refused(name, &error, status, help));
                Ok(None)
            }
        }
    }
}

/// Whether the API answered, but not with what was asked.
const fn is_refusal(error: &ApiError) -> bool {
    use ApiErrorKind as K;
    matches!(error.kind, K::Credentials | K::NotFound | K::Refused | K::NotAllowed | K::Incomplete)
}

fn listed(page: &RawAnswer, asked: usize) -> String {
    format!("{}; {}", figures(page.rows().len(), asked, &page.result_info), order(page.rows()))
}

fn token(kind: &str, result: &Value) -> Check {
    const HELP: &str = "create a new token, or extend this one";
    let active = result.get("status").and_then(Value::as_str) == Some("active");
    let expires: Option<Timestamp> =
        result.get("expires_on").and_then(Value::as_str).and_then(|time| time.parse().ok());
    let until = expires.map_or_else(String::new, |time| format!(", valid until {}", time.strftime("%Y-%m-%d")));
    let begins: Option<Timestamp> = result.get("not_before").and_then(Value::as_str).and_then(|time| time.parse().ok());
    if active && let Some(begins) = begins.filter(|begins| *begins > Timestamp::now()) {
        let seen = format!("{kind} that is not valid before {}", begins.strftime("%Y-%m-%dT%H:%M:%SZ"));
        return Check::failed("credentials", seen, "wait until then, or create a token that is valid now");
    }
    let soon = expires.is_some_and(|time| time.duration_since(Timestamp::now()) < EXPIRES_SOON);
    match (active, soon) {
        (false, _) => Check::failed("credentials", format!("{kind} that is disabled or expired{until}"), HELP),
        (true, true) => Check::warning("credentials", format!("{kind}, active{until}"), HELP),
        (true, false) => Check::ok("credentials", format!("{kind}, active{until}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_that_is_not_valid_yet_fails() {
        let at = |time: &str| token("a token", &serde_json::json!({ "status": "active", "not_before": time }));
        let later = at("2999-01-01T00:00:00Z");
        assert_eq!(later.status, CheckStatus::Failed);
        assert_eq!(later.seen, "a token that is not valid before 2999-01-01T00:00:00Z");
        assert_eq!(at("2000-01-01T00:00:00Z").status, CheckStatus::Ok);
    }
}
