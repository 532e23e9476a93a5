//! The request of a command: its flags and the environment, resolved once into plain values. `session` reads the
//! credentials and the URL of the API.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::environment::{os_variable, variable};
use super::{Exit, Failure, Result};
use crate::cli::{FileArgs, PlanOptions, PlanningArgs, TargetArgs};
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
    pub target: TargetArgs,
    /// The account that the command line or the environment names.
    pub account_id: Option<AccountId>,
    pub planning: PlanningArgs,
    /// The time of `--at`, else the present time.
    pub time: Timestamp,
    pub options: PlanOptions,
    /// Whether roles and policies beside the groups are read, if the settings ask for them.
    pub reads_direct_access: bool,
    /// The files at the tip of the branch.
    pub tip: Vec<PathBuf>,
    pub reads: Vec<PathBuf>,
}

impl RunRequest {
    pub fn new(target: &TargetArgs, planning: PlanningArgs) -> Result<Self> {
        Ok(Self {
            target: target.clone(),
            account_id: given_account(target.account_id)?,
            time: planning.time.at.unwrap_or_else(Timestamp::now),
            planning,
            options: PlanOptions::default(),
            reads_direct_access: false,
            tip: Vec::new(),
            reads: target.sandbox.iter().chain(&target.token_file).cloned().collect(),
        })
    }

    /// Checks that an output is not one of the inputs.
    pub fn check_output(&self, flag: &str, output: Option<&Path>) -> Result<()> {
        let Some(output) = output else { return Ok(()) };
        let files = self.target.files.paths().unwrap_or_default();
        let inputs = [self.reads.as_slice(), &self.options.base, &self.tip, &files].concat();
        if let Some(folder) = inputs.iter().find(|folder| !output.exists() && config::reads_below(folder, output)) {
            let message = format!("{flag} {} would be one of the files of {}", output.display(), folder.display());
            return Err(Failure::message(Exit::Usage, message).with_help("name a file outside of this folder"));
        }
        let real = |path: &Path| path.canonicalize().ok();
        let is_read = |path: &PathBuf| output.is_file() && real(path) == real(output);
        let Some(input) = config::found(&inputs).into_iter().find(is_read) else { return Ok(()) };
        let message = format!("{flag} would overwrite {}, which this command reads", input.display());
        Err(Failure::message(Exit::Usage, message).with_help("name another file"))
    }

    /// The account that the files, the command line and the environment agree on.
    pub fn account(&self, desired: &Desired) -> Result<Option<AccountId>> {
        agreed_account(self.account_id, desired)
    }

    pub fn policy(&self, account_id: AccountId, base: Option<Arc<Desired>>) -> Policy {
        Policy {
            // Without a base that can be read, everything is planned.
            only_changed: self.options.only_changed && base.is_some(),
            base,
            only: self.planning.only.iter().cloned().collect(),
            expiring_within: SignedDuration::from_hours(24 * i64::from(self.planning.expiring)),
            due: self.options.due,
            accept_self: self.options.accept_self,
            ..Policy::new(account_id)
        }
    }

    /// Checks that the groups of `--only` are declared.
    pub fn check_only(&self, desired: &Desired) -> Result<()> {
        let mut names = self.planning.only.iter();
        let Some(unknown) = names.find(|name| !desired.groups.contains_key(*name)) else { return Ok(()) };
        let message = format!("--only names {:?}, which no file declares", unknown.as_str());
        let help = "use the group's name in the files; without --only, all groups are planned";
        Err(unknown_group(message, unknown, desired.groups.keys(), help))
    }

    /// The command that applies a saved plan, or the plan of the same files with the same flags. Without these flags it
    /// would be another plan.
    pub fn apply_command(&self, saved: Option<&Path>) -> Invocation {
        let PlanOptions { base, only_changed, due, accept_self } = &self.options;
        let mut command = match saved {
            Some(path) => apply_saved(path),
            None => {
                let (files, base) = (path_flags("--file", &self.target.files.files), path_flags("--base", base));
                let only: String = self.planning.only.iter().map(|group| flag("--only", group.as_str())).collect();
                let changed = if *only_changed { " --only-changed" } else { "" };
                let due = if *due { " --due" } else { "" };
                // Not --at: what was tried for another time must not be applied for it.
                let words = format!("convoke apply{files}{only}{base}{changed}{due}");
                Invocation { words, files, ..Invocation::default() }
            }
        };
        command.words += if *accept_self { " --accept-self" } else { "" };
        command.words += &connection_flags(&self.target);
        command.applying = path_flags("--tip", &self.tip);
        command
    }
}

impl FileArgs {
    /// The files to read: from the command line, else from the environment, else the default.
    pub fn paths(&self) -> Result<Vec<PathBuf>> {
        let named = self.named();
        if !named.is_empty() {
            return Ok(named);
        }
        let (file, folder) = (DEFAULT_FILE, DEFAULT_FOLDER);
        match (Path::new(file).symlink_metadata().is_ok(), config::holds_files(Path::new(folder))) {
            (true, false) => Ok(vec![file.into()]),
            (false, true) => Ok(vec![folder.into()]),
            (true, true) => {
                let message = format!("there are both the file {file} and the folder {folder} with files");
                let help = format!("name what to read: -f {file}, -f {folder}, or both");
                Err(Failure::message(Exit::Usage, message).with_help(help))
            }
            (false, false) => {
                let message = format!("there are no files: neither {file} nor the folder {folder}");
                let export = format!("convoke export --out-dir {folder}");
                let help = format!("name the files with -f, or write the account's present groups to files: {export}");
                Err(Failure::message(Exit::Data, message).with_help(help))
            }
        }
    }

    /// The default that is not read, because there is the other one.
    pub fn other_default(&self) -> Option<PathBuf> {
        let is_file = Path::new(DEFAULT_FILE).symlink_metadata().is_ok();
        self.named().is_empty().then(|| if is_file { DEFAULT_FOLDER.into() } else { DEFAULT_FILE.into() })
    }

    /// The files that the command line names, else the environment.
    pub fn named(&self) -> Vec<PathBuf> {
        match self.files.as_slice() {
            [] => os_variable("CONVOKE_FILE").map(PathBuf::from).into_iter().collect(),
            given => given.to_vec(),
        }
    }
}

/// The failure for an unknown group. Suggests the name that was probably meant, or has other help.
pub fn unknown_group<'n>(
    message: String,
    unknown: &GroupName,
    known: impl IntoIterator<Item = &'n GroupName>,
    help: &str,
) -> Failure {
    let nearest = nearest_name(unknown, known).map(|nearest| format!("did you mean {:?}?", nearest.as_str()));
    Failure::message(Exit::Usage, message).with_help(nearest.unwrap_or_else(|| help.into()))
}

/// The account of the command line and the environment.
pub fn given_account(given: Option<AccountId>) -> Result<Option<AccountId>> {
    let Some(text) = variable("CLOUDFLARE_ACCOUNT_ID") else { return Ok(given) };
    let named: AccountId = text.trim().parse().map_err(|error: IdError| {
        let failure = Failure::caused(Exit::Usage, "CLOUDFLARE_ACCOUNT_ID is not an account id", error);
        failure.with_help("copy the id from the dashboard: 32 hexadecimal digits")
    })?;
    match given.filter(|given| *given != named) {
        Some(given) => Err(two_accounts(&format!("{given} by --account-id, {named} by CLOUDFLARE_ACCOUNT_ID"))),
        None => Ok(Some(named)),
    }
}

/// The account that the files agree on with the command line and the environment.
pub fn agreed_account(given: Option<AccountId>, desired: &Desired) -> Result<Option<AccountId>> {
    let Some(declared) = &desired.account_id else { return Ok(given) };
    let Some(given) = given.filter(|given| *given != declared.value) else { return Ok(Some(declared.value)) };
    let place = declared.origin.as_ref().map(|origin| format!(" at {origin}")).unwrap_or_default();
    let declared = format!("{} by the files{place}", declared.value);
    Err(two_accounts(&format!("{declared}, {given} by --account-id or CLOUDFLARE_ACCOUNT_ID")))
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
    Invocation { words: format!("convoke apply {path}"), saved: Some(path), ..Invocation::default() }
}

pub fn edit_command(words: &[&str], files: &FileArgs) -> String {
    let words: String = words.iter().map(|word| format!(" {}", shell_word(word))).collect();
    format!("convoke{words}{}", path_flags("--file", &files.files))
}

fn path_flags(name: &str, paths: &[PathBuf]) -> String {
    paths.iter().map(|path| flag(name, &path.to_string_lossy())).collect()
}

fn connection_flags(target: &TargetArgs) -> String {
    let account = target.account_id.map(|id| flag("--account-id", &id.to_string())).unwrap_or_default();
    let url = target.api_url.as_ref().map(|url| flag("--api-url", url)).unwrap_or_default();
    let token = path_flags("--token-file", target.token_file.as_slice());
    format!("{account}{url}{token}{}", path_flags("--sandbox", target.sandbox.as_slice()))
}

/// A flag with its value, which may look like a flag, and with a space in front.
fn flag(name: &str, value: &str) -> String {
    let word = shell_word(value);
    match name {
        _ if value.starts_with('-') => format!(" {name}={word}"),
        // The most frequent flag is written in its short form.
        "--file" => format!(" -f {word}"),
        _ => format!(" {name} {word}"),
    }
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
