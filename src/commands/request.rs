//! The request of a command: its flags and the environment, resolved once into plain values.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{Exit, Failure, files};
use crate::cli::{ConnectionArgs, FileArgs, PlanOptions, PlanningArgs, TimeArgs};
use crate::config;
use crate::model::{AccountId, Desired, GroupName, IdError};
use crate::plan::{Policy, nearest_name};
use crate::render::shell_word;
use crate::render::view::Invocation;

/// The file to read if none is given.
const DEFAULT_FILE: &str = "convoke.yaml";

/// The folder to read if there is no such file.
const DEFAULT_FOLDER: &str = "groups";

/// What a command that calls the API is asked to do.
#[derive(Clone, Debug)]
pub struct RunRequest {
    pub files: FileArgs,
    /// The account that the command line or the environment names.
    pub account_id: Option<AccountId>,
    pub connection: ConnectionArgs,
    pub only: Vec<GroupName>,
    /// The time of `--at`, else the present time.
    pub time: Timestamp,
    pub is_timed: bool,
    expiring_within: SignedDuration,
    pub options: PlanOptions,
    /// Whether roles and policies beside the groups are read, if the settings ask for them.
    pub reads_direct_access: bool,
    reads: Vec<PathBuf>,
    /// The files at the tip of the branch.
    pub tip: Vec<PathBuf>,
}

impl RunRequest {
    pub fn new(files: &FileArgs, connection: &ConnectionArgs) -> Result<Self, Failure> {
        Ok(Self {
            files: files.clone(),
            account_id: given_account(connection.account_id)?,
            connection: connection.clone(),
            only: Vec::new(),
            time: Timestamp::now(),
            is_timed: false,
            expiring_within: SignedDuration::ZERO,
            options: PlanOptions::default(),
            reads_direct_access: false,
            tip: Vec::new(),
            reads: connection.sandbox.iter().chain(&connection.token_file).cloned().collect(),
        })
    }

    #[must_use]
    pub fn only(mut self, groups: &[String]) -> Self {
        self.only = groups.iter().map(|name| name.as_str().into()).collect();
        self
    }

    #[must_use]
    pub fn at(mut self, time: &TimeArgs) -> Self {
        (self.time, self.is_timed) = (time.or_now(), time.at.is_some());
        self
    }

    #[must_use]
    pub fn planning(self, planning: &PlanningArgs) -> Self {
        let expiring_within = SignedDuration::from_hours(24 * i64::from(planning.expiring));
        Self { expiring_within, ..self.only(&planning.only).at(&planning.time) }
    }

    #[must_use]
    pub fn options(mut self, options: &PlanOptions) -> Self {
        self.options = options.clone();
        self
    }

    #[must_use]
    pub fn reading(mut self, path: &Path) -> Self {
        self.reads.push(path.into());
        self
    }

    #[must_use]
    pub fn deciding(mut self, tip: &[PathBuf]) -> Self {
        self.tip = tip.to_vec();
        self
    }

    /// Checks that an output is not one of the inputs.
    pub fn check_output(&self, flag: &str, output: Option<&Path>) -> Result<(), Failure> {
        let files = self.files.paths().unwrap_or_default();
        let inputs: Vec<_> =
            self.reads.iter().chain(&self.options.base).chain(&self.tip).chain(&files).cloned().collect();
        files::check_output(flag, output, &inputs)
    }

    /// The account that the files, the command line and the environment agree on.
    pub fn account(&self, desired: &Desired) -> Result<Option<AccountId>, Failure> {
        agreed_account(self.account_id, desired)
    }

    /// What to plan, but for the groups that `--only-changed` selects.
    pub fn policy(&self, account_id: AccountId) -> Policy {
        Policy {
            only: self.only.iter().cloned().collect(),
            expiring_within: self.expiring_within,
            due: self.options.due,
            accept_self: self.options.accept_self,
            ..Policy::new(account_id)
        }
    }

    /// Checks that the groups of `--only` are declared.
    pub fn check_only(&self, desired: &Desired) -> Result<(), Failure> {
        let Some(unknown) = self.only.iter().find(|name| !desired.groups.contains_key(*name)) else { return Ok(()) };
        let message = format!("--only names {:?}, which no file declares", unknown.as_str());
        let help = "use the group's name in the files; without --only, all groups are planned";
        Err(unknown_group(message, unknown, desired.groups.keys(), help))
    }

    /// The command that applies the plan of the same files with the same flags. Without these flags it would be
    /// another plan.
    pub fn apply_command(&self) -> Invocation {
        let PlanOptions { base, only_changed, due, accept_self } = &self.options;
        let mut words = vec!["convoke".to_owned(), "apply".to_owned()];
        words.extend(self.files.files.iter().flat_map(|path| flag("--file", &path.to_string_lossy())));
        words.extend(self.only.iter().flat_map(|group| flag("--only", group.as_str())));
        words.extend(base.iter().flat_map(|path| flag("--base", &path.to_string_lossy())));
        let switches = [("--only-changed", only_changed), ("--due", due), ("--accept-self", accept_self)];
        words.extend(switches.into_iter().filter(|(_, given)| **given).map(|(name, _)| name.to_owned()));
        // Not --at: what was tried for another time must not be applied for it.
        words.extend(connection_flags(&self.connection));
        Invocation { words: words.join(" "), saved: None, files: file_flags(&self.files), applying: self.tip_flags() }
    }

    fn tip_flags(&self) -> String {
        let flags = self.tip.iter().flat_map(|path| flag("--tip", &path.to_string_lossy()));
        flags.map(|word| format!(" {word}")).collect()
    }

    pub fn apply_saved_command(&self, path: &Path) -> Invocation {
        let mut command = apply_saved(path);
        command.applying = self.tip_flags();
        let words = self.options.accept_self.then(|| "--accept-self".to_owned()).into_iter();
        command.words +=
            &words.chain(connection_flags(&self.connection)).map(|word| format!(" {word}")).collect::<String>();
        command
    }
}

impl FileArgs {
    /// The files to read: from the command line, else from the environment, else the default.
    pub fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        match (self.files.as_slice(), file_variable()) {
            ([], Some(path)) => return Ok(vec![path]),
            ([], None) => {}
            (given, _) => return Ok(given.to_vec()),
        }
        let (file, folder) = (Path::new(DEFAULT_FILE), Path::new(DEFAULT_FOLDER));
        match (file.symlink_metadata().is_ok(), config::holds_files(folder)) {
            (true, false) => Ok(vec![file.into()]),
            (false, true) => Ok(vec![folder.into()]),
            (true, true) => {
                let message =
                    format!("there are both the file {DEFAULT_FILE} and the folder {DEFAULT_FOLDER} with files");
                Err(Failure::message(Exit::Usage, message)
                    .with_help(format!("name what to read: -f {DEFAULT_FILE}, -f {DEFAULT_FOLDER}, or both")))
            }
            (false, false) => {
                let message = format!("there are no files: neither {DEFAULT_FILE} nor the folder {DEFAULT_FOLDER}");
                Err(Failure::message(Exit::Data, message).with_help(format!(
                    "name the files with -f, or write the account's present groups to files: convoke export --out-dir \
                     {DEFAULT_FOLDER}"
                )))
            }
        }
    }

    /// Whether the command line or the environment names files.
    pub fn are_named(&self) -> bool {
        !self.files.is_empty() || file_variable().is_some()
    }
}

impl TimeArgs {
    pub fn or_now(&self) -> Timestamp {
        self.at.unwrap_or_else(Timestamp::now)
    }
}

fn file_variable() -> Option<PathBuf> {
    std::env::var_os("CONVOKE_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A variable that is set to more than blanks. CI sets an empty one for a missing secret.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
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

/// The account of the command line and the environment.
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

/// The account that the files agree on with the command line and the environment.
pub fn agreed_account(given: Option<AccountId>, desired: &Desired) -> Result<Option<AccountId>, Failure> {
    match (given, &desired.account_id) {
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

pub fn apply_saved(path: &Path) -> Invocation {
    let path = path.to_string_lossy();
    // A name that looks like a flag is not accepted as an argument.
    let path = if path.starts_with('-') { format!("./{path}") } else { path.into_owned() };
    let path = shell_word(&path);
    Invocation {
        words: format!("convoke apply {path}"),
        saved: Some(path),
        files: String::new(),
        applying: String::new(),
    }
}

pub fn edit_command(words: &[&str], files: &FileArgs) -> String {
    let words = words.iter().map(|word| shell_word(word));
    std::iter::once("convoke".to_owned()).chain(words).collect::<Vec<_>>().join(" ") + &file_flags(files)
}

/// The flags that name the files, each with a space in front.
fn file_flags(files: &FileArgs) -> String {
    let flags = files.files.iter().flat_map(|path| flag("--file", &path.to_string_lossy()));
    flags.map(|word| format!(" {word}")).collect()
}

fn connection_flags(connection: &ConnectionArgs) -> Vec<String> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let values = [
        ("--account-id", connection.account_id.map(|id| id.to_string())),
        ("--api-url", connection.api_url.clone()),
        ("--token-file", path(&connection.token_file)),
        ("--sandbox", path(&connection.sandbox)),
    ];
    values.into_iter().filter_map(|(name, value)| Some(flag(name, &value?))).flatten().collect()
}

/// A flag with its value, which may look like a flag.
fn flag(name: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') {
        return vec![format!("{name}={}", shell_word(value))];
    }
    // Files are the most frequent flag, so use its short form.
    let short = if name == "--file" { "-f" } else { name };
    vec![short.into(), shell_word(value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_quoted_for_a_shell() {
        assert_eq!(shell_word("groups/a.yaml"), "groups/a.yaml");
        assert_eq!(shell_word("Platform Admins"), "'Platform Admins'");
        assert_eq!(shell_word("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }
}
