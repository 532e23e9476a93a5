//! The harness of all tests: an account in a sandbox, files in a folder, and the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use convoke::model::{GroupId, MemberId};
use convoke::sandbox::{Request, Seed};
use tempfile::TempDir;

use crate::blocking::BlockingSandbox;
use crate::builders::SeedExt as _;
use crate::live::LiveAccount;

/// The default account of the files.
pub const ACCOUNT: &str = "023e105f4ecef8ad9ca31a8372d0c353";

/// The program's token. No output may contain it.
pub const TOKEN: &str = "v1.0-e24fd090c02efcfecb4de8f4ff246fd5";

/// A command that takes longer fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files, and their account.
pub struct World {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    server: Option<Server>,
}

struct Server {
    sandbox: BlockingSandbox,
    /// The first people. They keep their names in descriptions of requests.
    names: BTreeMap<MemberId, String>,
}

/// An account.
pub fn given(seed: Seed) -> World {
    let people = seed.people.iter().map(|person| person.value.email.clone());
    let members = seed.groups.values().flat_map(|group| &group.members).filter_map(|member| member.value.email.clone());
    let emails: BTreeSet<String> = people.chain(members).collect();
    let sandbox = BlockingSandbox::start(&seed);
    let account = sandbox.account();
    let names = emails.into_iter().filter_map(|email| Some((account.person_id(&email)?, email))).collect();
    let mut world = nothing();
    world.environment.extend([
        ("CLOUDFLARE_ACCOUNT_ID".into(), ACCOUNT.into()),
        ("CLOUDFLARE_API_TOKEN".into(), TOKEN.into()),
        ("CLOUDFLARE_BASE_URL".into(), sandbox.base_url().into()),
    ]);
    world.server = Some(Server { sandbox, names });
    world
}

/// No account, for offline commands.
pub fn nothing() -> World {
    let environment = BTreeMap::from([("NO_COLOR".into(), "1".into()), ("COLUMNS".into(), "100".into())]);
    World { folder: tempfile::tempdir().unwrap(), environment, server: None }
}

/// A group in which Bob is to replace Mallory.
pub fn admins() -> Seed {
    Seed::default().person("bob@example.com").group("Admins", ["alice@example.com", "mallory@example.com"])
}

/// A group of four, and two people outside it.
pub fn team() -> Seed {
    Seed::default()
        .people(["bob@example.com", "carol@example.com"])
        .group("Admins", ["alice@example.com", "mallory@example.com", "trent@example.com", "victor@example.com"])
}

/// A file that declares these groups by their members and allows any number of removals.
pub fn config(groups: &[(&str, &[&str])]) -> String {
    let mut text =
        String::from("version: 1\nsettings:\n  limits: { group_removals: 100%, total_removals: 100% }\ngroups:\n");
    for (name, members) in groups {
        let empty = if members.is_empty() { "    allow_empty: true\n" } else { "" };
        let _ = write!(text, "  {name}:\n{empty}    members:{}\n", if members.is_empty() { " []" } else { "" });
        for member in *members {
            let _ = writeln!(text, "      - {member}");
        }
    }
    text
}

/// `count` people, named after the group.
pub fn people(group: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{group}-{number:04}@example.com")).collect()
}

/// An account with groups of these sizes, and matching files.
pub fn in_sync(sizes: &[usize], change: impl FnOnce(Seed) -> Seed) -> World {
    let groups: Vec<(String, Vec<String>)> =
        sizes.iter().enumerate().map(|(at, size)| (format!("g{at}"), people(&format!("g{at}"), *size))).collect();
    let seed = groups.iter().fold(Seed::default(), |seed, (name, members)| seed.group(name, members.clone()));
    let lists: Vec<(&str, Vec<&str>)> =
        groups.iter().map(|(name, members)| (name.as_str(), members.iter().map(String::as_str).collect())).collect();
    let lists: Vec<(&str, &[&str])> = lists.iter().map(|(name, members)| (*name, members.as_slice())).collect();
    given(change(seed)).file("convoke.yaml", config(&lists))
}

impl World {
    /// Adds this file to the folder of the program.
    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(path, text);
        self
    }

    /// Adds a `convoke.yaml` that declares these groups.
    pub fn groups(self, groups: &[(&str, &[&str])]) -> Self {
        self.file("convoke.yaml", config(groups))
    }

    /// Sets this environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Removes this environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Writes a file into the folder.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Reads a file of the folder.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// A path in the folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("the test has an account")
    }

    /// The present account.
    pub fn account(&self) -> LiveAccount {
        LiveAccount(self.server().sandbox.account())
    }

    /// The group's members by email.
    pub fn members(&self, group: &str) -> Vec<String> {
        self.account().members_of(group)
    }

    /// The value of a variable in the program's environment.
    pub fn process_env(&self, name: &str) -> String {
        self.environment[name].clone()
    }

    /// The program as a process that can be observed and killed.
    pub fn process(&self) -> std::process::Command {
        let mut command = std::process::Command::new(binary());
        command.env_clear().envs(&self.environment).current_dir(self.folder.path());
        command
    }

    /// The program, started from a shell with this preparation.
    pub fn shell(&self, preparation: &str, arguments: &str, redirection: &str) -> std::process::Command {
        let script = format!("{preparation} exec {} {arguments} {redirection}", binary().display());
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", &script]).env_clear().envs(&self.environment);
        command.current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        command
    }

    /// The program with a clean environment, in the folder.
    pub fn command(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(binary());
        command.env_clear().envs(&self.environment).current_dir(self.folder.path()).timeout(PATIENCE);
        command
    }

    /// Runs the program with arguments separated by blanks.
    pub fn run(&self, arguments: &str) -> Outcome {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_with(&self, arguments: &[&str]) -> Outcome {
        let output = self.command().args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| self.redacted(&String::from_utf8(bytes).expect("output is UTF-8"));
        let (log, stderr) = text(output.stderr).split_inclusive('\n').map(String::from).partition(|line| is_log(line));
        Outcome { code: output.status.code(), stdout: text(output.stdout), stderr, log }
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.account().clear_requests();
    }

    /// The number of requests.
    pub fn request_count(&self) -> usize {
        self.account().requests().len()
    }

    /// Descriptions of the write requests in the order of arrival.
    pub fn writes(&self) -> Vec<String> {
        let groups: BTreeMap<GroupId, String> = self
            .account()
            .memberships()
            .into_keys()
            .filter_map(|name| Some((self.account().group_id(&name)?, name)))
            .collect();
        let requests = self.account().requests();
        let writing = requests.iter().filter(|request| request.method != "GET");
        writing.map(|request| self.described(request, &groups)).collect()
    }

    fn described(&self, request: &Request, groups: &BTreeMap<GroupId, String>) -> String {
        let group = request.group.and_then(|id| groups.get(&id)).map_or("a group that is gone", String::as_str);
        let named = |id: &MemberId| self.server().names.get(id).cloned().unwrap_or_else(|| id.to_string());
        let mut members: Vec<String> = request.body_ids.iter().chain(&request.member).map(named).collect();
        members.sort_unstable();
        format!("{} {group}: {}", request.method, members.join(" ")).trim_end().into()
    }

    /// The text without values that differ between runs.
    fn redacted(&self, text: &str) -> String {
        let mut text = text.replace(&*self.folder.path().to_string_lossy(), "[folder]");
        if let Some(server) = &self.server {
            text = text.replace(server.sandbox.base_url().split([':', '/']).nth(4).unwrap(), "[port]");
        }
        let text = replace_after(&text, "cf-ray ", "[ray]", |c| c.is_ascii_alphanumeric() || c == '-');
        replace_before(&text, " attempts", "[n]")
    }
}

/// The text without digests, which have their own tests.
fn without_digests(text: &str) -> String {
    let other = |c: char| !c.is_ascii_hexdigit();
    let redact = |part: &str| match part.trim_end_matches(other) {
        hex if hex.len() == 64 => part.replace(hex, "[digest]"),
        _ => part.into(),
    };
    text.split_inclusive(other).map(redact).collect()
}

/// Whether a line is a log line: it begins with a time, or has one in JSON.
fn is_log(line: &str) -> bool {
    let line = line.trim_start_matches("{\"timestamp\":\"");
    line.starts_with("20") && line.get(4..5) == Some("-") && line.get(10..11) == Some("T")
}

/// The program under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_convoke"))
}

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All files below a folder of the repository, sorted.
pub fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![repository(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Replaces the text of these characters after each occurrence of a prefix.
fn replace_after(text: &str, prefix: &str, by: &str, of: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(prefix);
    let mut replaced = String::from(parts.next().unwrap_or_default());
    for part in parts {
        replaced.extend([prefix, by, part.trim_start_matches(&of)]);
    }
    replaced
}

/// Replaces the number before each occurrence of a suffix.
fn replace_before(text: &str, suffix: &str, by: &str) -> String {
    let mut parts: Vec<String> = text.split(suffix).map(String::from).collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        let kept = part.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        part.replace_range(kept.., by);
    }
    parts.join(suffix)
}

/// The exit code and output of a run. It is shown without values that differ between runs.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    /// Everything on stderr except the log.
    pub stderr: String,
    /// The log. The number of retries depends on timing.
    pub log: String,
}

impl Outcome {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}-- log\n{}", self.log);
        self
    }

    /// Asserts that stdout contains a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout lacks {text:?}:\n{self}");
        self
    }

    /// Asserts that stderr contains a text.
    #[track_caller]
    pub fn warns(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}:\n{self}");
        self
    }

    /// The result as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "-- {name}\n{}", without_digests(text))?;
            }
        }
        Ok(())
    }
}
