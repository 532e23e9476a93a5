//! `doctor`: what the token, the account and the files are fit for. It reads only.

use std::collections::BTreeMap;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::edit::EditFormat;
use super::request::RunRequest;
use super::{Exit, Failure, Output, session};
use crate::cli::{PlanningArgs, TargetArgs};
use crate::cloudflare::{ApiError, ApiErrorKind, ApiOperation, Client, RawAnswer, account_info};
use crate::config::{self, export};
use crate::doctor::{Check, CheckStatus, Diagnosis, declared_groups, figures, order, unknown_names};
use crate::model::{AccountInfo, Desired, GroupId, Observed, ScimGroup};
use crate::render::clean;

/// Groups whose first page of members is read.
const SAMPLED_GROUPS: usize = 5;
/// A token that expires sooner is a warning.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(24 * 14);

const KEY: &str = "an API key of a user";
const READ_HELP: &str = "give the token the permission Account Settings Read, or SCIM Provisioning";

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  convoke doctor -f groups
  convoke doctor --format json > doctor.json

The JSON has no address, name or id, so it can be sent to the maintainers.")]
pub struct DoctorArgs {
    /// Format of the result: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, display_order = 80)]
    pub format: EditFormat,
    #[command(flatten)]
    pub target: TargetArgs,
}

pub async fn run(args: &DoctorArgs, output: &mut Output) -> Result<Exit, Failure> {
    let request = RunRequest::new(&args.target, PlanningArgs::default())?;
    let (files, desired) = files(&request);
    let account_id = desired.as_ref().map_or(Ok(request.account_id), |desired| request.account(desired))?;
    if account_id.is_none() && files.status == CheckStatus::Failed {
        return Ok(show(args, Diagnosis::new(vec![files], 0), output));
    }
    let connection = session::connect(&request.target, account_id, output).await?;
    let mut examination = Examination::default();
    let watching = output.watch(&connection.client, "examining the account");
    let refused = examination.account(&connection.client, desired.as_ref()).await;
    drop(watching);
    examination.checks.push(files);
    let exit = show(args, Diagnosis::new(examination.checks, connection.client.requests()), output);
    let failure = if examination.misbehaves {
        let message = "the API cannot be reached, or misbehaves: the failed checks say how";
        Failure::message(Exit::Unavailable, message)
    } else if refused {
        Failure::message(Exit::Credentials, "the credentials were refused")
    } else {
        return Ok(exit);
    };
    // A log may show nothing but this.
    output.error(&failure);
    Ok(failure.exit)
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
    let paths = match request.target.files.paths() {
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
            let unread = problems.iter().filter(|problem| problem.position.is_none()).count();
            let unread = if unread == 0 { String::new() } else { format!(", files that cannot be read: {unread}") };
            let seen = format!("problems: {}{unread}", problems.iter().count());
            let check = Check::failed("files", seen, "run `convoke validate`, and correct the files");
            // The first line of each has the place; `validate` shows the rest.
            let places = problems.iter().filter_map(|problem| problem.to_string().lines().next().map(String::from));
            (check.with(places), None)
        }
    }
}

#[derive(Default)]
struct Examination {
    checks: Vec<Check>,
    /// Whether the API cannot be reached, or misbehaves, where convoke needs it.
    misbehaves: bool,
}

impl Examination {
    /// Makes all checks of the account. Each reading waits for its own answer only. Returns whether the API refuses the
    /// credentials altogether.
    async fn account(&mut self, client: &Client, desired: Option<&Desired>) -> bool {
        let now = Timestamp::now();
        let since = (now - SignedDuration::from_hours(1)).to_string();
        let newest = [("since", since.as_str()), ("before", &now.to_string()), ("limit", "1")];
        let ordered = [("per_page", "50"), ("order", "user.email"), ("direction", "asc")];
        let (mut kind, mut verified) = verify(client).await;
        if verified.as_ref().is_err_and(|error| error.kind == ApiErrorKind::Unreachable) {
            // Every other reading would fail like this one.
            self.misbehaves = true;
            self.checks.push(credentials(kind, verified, false));
            return false;
        }
        // A new token is given some seconds here, and is verified again when they have helped.
        let first = client.raw(ApiOperation::ListGroups, &["iam", "user_groups"], &[("per_page", "500")]).await;
        let groups = if first.is_ok() { Some(client.user_groups().await) } else { None };
        let members = largest_page(client, groups.iter().flatten().flat_map(BTreeMap::keys)).await;
        if groups.is_some() && verified.as_ref().is_err_and(ApiError::is_refusal) {
            (kind, verified) = verify(client).await;
        }
        let (account, people, log, user, scim) = tokio::join!(
            client.raw(ApiOperation::ReadAccount, &[], &[]),
            client.raw(ApiOperation::ListAccountMembers, &["members"], &ordered),
            client.raw(ApiOperation::ReadAuditLog, &["logs", "audit"], &newest),
            client.raw(ApiOperation::ReadTokenOwner, &["user"], &[]),
            client.scim_groups(),
        );
        let credentials = credentials(kind, verified, matches!(groups, Some(Ok(_))));
        let is_refused = credentials.status == CheckStatus::Failed;
        self.checks.push(credentials);
        self.account_info(account.map(|account| account_info(&account.result)));
        self.take("read_groups", first, None, |page| figures(page.rows().len(), 500, &page.result_info));
        let groups = groups
            .and_then(|groups| self.take("all_groups", groups, None, |groups| format!("groups: {}", groups.len())));
        if let Some(members) = members {
            self.take("read_members", members, None, |page| listed(page, 500));
        }
        self.take("read_account_members", people, None, |page| listed(page, 50));
        let without = "without Account Settings Read, `drift` cannot say who made a change";
        self.take("read_audit_log", log, Some(without), |_| "answered".to_owned());
        let without = "without User Details Read, convoke cannot protect the token's own user";
        self.take("read_user", user, Some(without), |_| "answered".to_owned());
        let without =
            "groups of an identity provider are not recognized; this needs an API token with Account Settings Read";
        let scim = self.take("read_scim", scim, Some(without), |groups| provided(groups)).unwrap_or_default();
        self.checks.push(Check::ok("write", "unknown: whether the token can change members is never tried"));
        self.clock_and_limit(client);
        let Some(groups) = groups else { return is_refused };
        let observed = Observed { groups, ..Observed::default() };
        self.checks.push(unknown_names(&observed));
        let external = export::external_groups(&observed, &scim);
        self.checks.extend(desired.into_iter().flat_map(|desired| declared_groups(desired, &observed, &external)));
        false
    }

    fn account_info(&mut self, answer: Result<AccountInfo, ApiError>) {
        let seen = |info: &AccountInfo| match info.organization {
            Some(_) => "reachable; it belongs to an organization, whose Super Administrators may not appear".to_owned(),
            None => "reachable".to_owned(),
        };
        let info = self.take("account", answer, Some("without it, convoke shows the account's id only"), seen);
        if let (Some(info), Some(check)) = (info, self.checks.last_mut()) {
            check.details.extend(info.name.into_iter().chain(info.organization));
        }
    }

    fn clock_and_limit(&mut self, client: &Client) {
        self.checks.push(match (client.clock_ahead(), session::clock_difference(client)) {
            (None, _) => Check::ok("clock", "the answers have no time"),
            (Some(_), None) => Check::ok("clock", "within 5 minutes of the API's"),
            (Some(ahead), Some(_)) => {
                let side = if ahead.is_positive() { "behind" } else { "ahead of" };
                let seen = format!("{} seconds {side} the API's", ahead.as_secs().unsigned_abs());
                Check::warning("clock", seen, "set this machine's clock: it decides which temporary access holds")
            }
        });
        let left = client.allowance().map(|(left, reset)| format!("requests left: {left}, for {} s", reset.as_secs()));
        self.checks.push(Check::ok("rate_limit", left.unwrap_or_else(|| "the answers do not tell it".to_owned())));
    }

    /// Records a reading, and what its failure means for convoke; `None` if convoke needs it.
    fn take<T>(
        &mut self,
        name: &'static str,
        answer: Result<T, ApiError>,
        without: Option<&'static str>,
        seen: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        self.checks.push(match &answer {
            Ok(answer) => Check::ok(name, seen(answer)),
            Err(error) => {
                self.misbehaves |= without.is_none() && !error.is_refusal();
                let status = if without.is_none() { CheckStatus::Failed } else { CheckStatus::Warning };
                Check::refused(name, error, status, without.unwrap_or(READ_HELP))
            }
        });
        answer.ok()
    }
}

/// What the API says about the credentials. A token that reads the groups works, whatever the verification of tokens
/// knows about it.
fn credentials(kind: &str, answer: Result<RawAnswer, ApiError>, reads_groups: bool) -> Check {
    let error = match answer {
        Ok(_) if kind == KEY => {
            return Check::warning("credentials", kind, "use an API token: a key may do everything");
        }
        Ok(answer) => return token(kind, &answer.result),
        Err(error) => error,
    };
    let (status, help) = if reads_groups {
        (CheckStatus::Warning, "the groups can be read, so it works; how long it is valid is not known")
    } else {
        (CheckStatus::Failed, "create a token with the permissions that docs/threat-model.md lists")
    };
    let check = Check::refused("credentials", &error, status, help);
    Check { seen: format!("{kind}: {}", check.seen), ..check }
}

/// The kind of the credentials, and what the API says about them. Each kind of token is known to one address only.
async fn verify(client: &Client) -> (&'static str, Result<RawAnswer, ApiError>) {
    if client.uses_key() {
        return (KEY, client.raw(ApiOperation::ReadTokenOwner, &["user"], &[]).await);
    }
    let (mut kind, path) = ("a user's API token", ["user", "tokens", "verify"]);
    let mut answer = client.raw(ApiOperation::VerifyToken, &path, &[]).await;
    if answer.as_ref().is_err_and(ApiError::is_refusal) {
        kind = "an account's API token";
        answer = client.raw(ApiOperation::VerifyToken, &["tokens", "verify"], &[]).await;
    }
    (if answer.is_ok() { kind } else { "an API token" }, answer)
}

/// Of some groups, the largest first page of members, or a failure.
async fn largest_page(client: &Client, groups: impl Iterator<Item = &GroupId>) -> Option<Result<RawAnswer, ApiError>> {
    let mut pages = Vec::new();
    for id in groups.take(SAMPLED_GROUPS) {
        let path = ["iam", "user_groups", id.as_str(), "members"];
        pages.push(client.raw(ApiOperation::ListGroupMembers, &path, &[("per_page", "500")]).await);
    }
    pages.into_iter().max_by_key(|page| page.as_ref().map_or(usize::MAX, |page| page.rows().len()))
}

fn listed(page: &RawAnswer, asked: usize) -> String {
    format!("{}; {}", figures(page.rows().len(), asked, &page.result_info), order(page.rows()))
}

fn provided(groups: &[ScimGroup]) -> String {
    let external = groups.iter().filter(|group| group.external).count();
    format!("groups: {}, with an id of an identity provider: {external}", groups.len())
}

fn token(kind: &str, result: &Value) -> Check {
    const HELP: &str = "create a new token, or extend this one";
    let text = |key: &str| result.get(key).and_then(Value::as_str);
    let time = |key: &str| text(key)?.parse::<Timestamp>().ok();
    let Some(status) = text("status") else {
        return Check::warning("credentials", format!("{kind}, whose status is not given"), HELP);
    };
    let (now, expires) = (Timestamp::now(), time("expires_on"));
    let until = expires.map_or_else(String::new, |time| format!(", valid until {}", time.strftime("%Y-%m-%d")));
    if status != "active" {
        return Check::failed("credentials", format!("{kind} that is disabled or expired{until}"), HELP);
    }
    if let Some(begins) = time("not_before").filter(|begins| *begins > now) {
        let seen = format!("{kind} that is not valid before {}", begins.strftime("%Y-%m-%dT%H:%M:%SZ"));
        return Check::failed("credentials", seen, "wait until then, or create a token that is valid now");
    }
    let seen = format!("{kind}, active{until}");
    match expires {
        Some(expires) if expires.duration_since(now) < EXPIRES_SOON => Check::warning("credentials", seen, HELP),
        _ => Check::ok("credentials", seen),
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
