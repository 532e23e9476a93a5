//! Reads the files of a Git revision, with the `git` program.
//!
//! The result is what [`config::load_with_sources`] reads from a checkout of that revision: links are followed, hidden
//! files are skipped, and files below a folder are read in path order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use super::{Exit, Failure, Result};
use crate::config::{self, Source};

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

#[derive(Debug)]
pub struct Checkout {
    root: PathBuf,
    pub paths: Vec<PathBuf>,
}

impl Checkout {
    /// Finds the repository of the files and their paths in it.
    pub fn of(files: &[PathBuf]) -> Result<Self> {
        let located: Vec<_> = files.iter().map(|file| locate(file)).collect::<Result<_, _>>()?;
        let Some((root, _)) = located.first().cloned() else {
            return Err(Failure::message(Exit::Usage, "no files are named"));
        };
        if let Some((other, _)) = located.iter().find(|(other, _)| *other != root) {
            let message = format!("the files lie in two repositories: {} and {}", root.display(), other.display());
            return Err(Failure::message(Exit::Usage, message).with_help("name a path instead of a revision"));
        }
        Ok(Self { root, paths: located.into_iter().map(|(_, path)| path).collect() })
    }

    /// The repository of the working directory, with files named relative to its root.
    pub fn here(paths: &[PathBuf]) -> Result<Self> {
        let (root, _) = find(Path::new("."), Path::new("."))?;
        Ok(Self { root, paths: paths.to_vec() })
    }

    /// Reads the files of a revision. The result is empty if no path exists there, or if the folders contain no files.
    ///
    /// # Errors
    ///
    /// With the exit code of data if a file there cannot be used, such as a link that leads nowhere.
    pub fn read(&self, revision: &str) -> Result<Vec<Source>> {
        let commit = self.commit(revision)?;
        let failed = |error: io::Error| Failure::caused(Exit::Other, "git cannot read the repository", error);
        let mut tree = Tree::open(&self.root, &commit, revision).map_err(failed)?;
        for path in &self.paths {
            match tree.resolve(path, path).and_then(|real| tree.add(path, real)) {
                Ok(()) | Err(Unread::Missing) => {}
                Err(Unread::Broken(message)) => return Err(Failure::message(Exit::Data, message)),
                Err(Unread::Failed(error)) => return Err(failed(error)),
            }
        }
        Ok(std::mem::take(&mut tree.sources))
    }

    fn commit(&self, revision: &str) -> Result<String> {
        let unknown = || {
            let message = format!("the repository {} has no such revision", self.root.display());
            Failure::message(Exit::Usage, message).with_help(
                "use a path that exists, or a branch, tag or commit of the repository in which the files lie; a \
                 shallow clone has few",
            )
        };
        // Git would read it as an option.
        if revision.starts_with('-') {
            return Err(unknown());
        }
        let object = format!("{revision}^{{commit}}");
        let output = run(&self.root, ["rev-parse", "--verify", "--quiet", "--end-of-options", &object])?;
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() { Ok(commit) } else { Err(unknown()) }
    }
}

/// The commit that is checked out where the files lie, and those of the files that differ from it. Nothing if they are in
/// no repository, or if git cannot read it.
pub fn committed(files: &[PathBuf], read: &[Source]) -> Option<(String, Vec<String>)> {
    let checkout = Checkout::of(files).ok()?;
    let commit = checkout.commit("HEAD").ok()?;
    let there = match checkout.read(&commit) {
        Ok(sources) => sources,
        Err(failure) if failure.exit == Exit::Data => Vec::new(),
        Err(_) => return None,
    };
    // The paths here and there begin at different folders, and there with the commit.
    let key = |source: &Source| {
        let name = source.path.rsplit(['/', '\\', ':']).next().map(str::to_owned);
        (name, source.bytes.clone())
    };
    let named = |from: &[Source], without: &[Source]| {
        let without: BTreeSet<_> = without.iter().map(key).collect();
        let names = from.iter().filter(|source| !without.contains(&key(source)));
        names.map(|source| source.path.to_string()).collect::<Vec<String>>()
    };
    let changed = named(read, &there);
    // A file of the commit that is gone has no changed counterpart.
    let differing = if changed.is_empty() { named(&there, read) } else { changed };
    Some((commit, differing))
}

/// The root of the repository of a file or folder, and its path there.
fn locate(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let own = path.is_dir().then(|| find(path, path));
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let (Some(parent), Some(name)) = (parent, path.file_name()) else {
        return own.unwrap_or_else(|| Err(outside(path, "")));
    };
    match (own, find(parent, path)) {
        // The name is kept, because it may be a link that leads elsewhere in another revision.
        (Some(Ok((root, _))), Ok((same, prefix))) if root == same => Ok((same, prefix.join(name))),
        (Some(Ok(own)), _) => Ok(own),
        (Some(Err(_)), Ok(_)) => Err(outside(path, "it is a link to another place")),
        (None, Ok((root, prefix))) => Ok((root, prefix.join(name))),
        (_, Err(failure)) => Err(failure),
    }
}

fn outside(path: &Path, said: &str) -> Failure {
    let message = match said {
        "" => format!("{} is not in a Git repository", path.display()),
        said => format!("{} is not in a Git repository that can be used: {said}", path.display()),
    };
    // Git's check of who owns a repository, for example in a container.
    let help = if said.contains("ownership") {
        "allow it, `git config --global --add safe.directory FOLDER`, or name a path that exists instead of a revision"
    } else {
        "name a path that exists instead of a revision"
    };
    Failure::message(Exit::Usage, message).with_help(help)
}

/// The root of the repository of a folder, and the folder's path there. A failure names the path that is looked for.
fn find(folder: &Path, named: &Path) -> Result<(PathBuf, PathBuf)> {
    if !folder.is_dir() {
        return Err(outside(named, "the folder does not exist"));
    }
    let output = run(folder, ["rev-parse", "--show-toplevel", "--show-prefix"])?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(outside(named, said.lines().next().unwrap_or_default().trim_start_matches("fatal: ")));
    }
    let mut lines = output.stdout.split(|byte| *byte == b'\n');
    let mut line = || path_from(lines.next().unwrap_or_default());
    Ok((line(), line().components().collect()))
}

#[cfg(unix)]
fn path_from(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).as_ref().into()
}

fn run<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
    git(folder).args(arguments).output().map_err(|error| {
        let context = "a Git revision is named, but the program git cannot be run";
        Failure::caused(Exit::Usage, context, error).with_help("install git, or name a path that exists")
    })
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
    // A Git hook sets these for the repository that it runs in, relative to another folder.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ObjectKind {
    Folder,
    File,
    Link,
    Submodule,
}

/// Why a path of a tree was not read.
enum Unread {
    Missing,
    /// A link that leads nowhere, for example, with the path.
    Broken(String),
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// The tree of a commit. One `git cat-file --batch` reads all objects.
struct Tree<'r> {
    root: &'r Path,
    revision: &'r str,
    /// The kind and the id of everything below the root.
    entries: BTreeMap<PathBuf, (ObjectKind, String)>,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The real paths so far, so that each file is read once and a cycle of links ends.
    seen: BTreeSet<PathBuf>,
    sources: Vec<Source>,
}

impl<'r> Tree<'r> {
    fn open(root: &'r Path, commit: &str, revision: &'r str) -> io::Result<Self> {
        let listing = git(root).args(["ls-tree", "-r", "-t", "-z", "--full-tree", commit]).output()?;
        if !listing.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&listing.stderr).trim().to_owned()));
        }
        let entries = listing.stdout.split(|byte| *byte == 0).filter_map(entry).collect();
        let mut command = git(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (questions, answers) = pipes.ok_or_else(|| io::Error::other("git has no pipes"))?;
        let (answers, seen, sources) = (BufReader::new(answers), BTreeSet::new(), Vec::new());
        Ok(Self { root, revision, entries, process, questions, answers, seen, sources })
    }

    fn object(&mut self, id: &str) -> io::Result<Vec<u8>> {
        writeln!(self.questions, "{id}")?;
        self.questions.flush()?;
        let mut header = String::new();
        self.answers.read_line(&mut header)?;
        let words: Vec<&str> = header.split_whitespace().collect();
        let [_, _, size] = words.as_slice() else { return Err(io::Error::other(header.trim().to_owned())) };
        let size: u64 = size.parse().map_err(io::Error::other)?;
        if size > config::LARGEST_FILE as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut content = Vec::new();
        // A line end follows the content.
        (&mut self.answers).take(size + 1).read_to_end(&mut content)?;
        content.pop();
        Ok(content)
    }

    /// The real path of a path, relative to the root, through links. A failure names the path that leads there.
    fn resolve(&mut self, path: &Path, named: &Path) -> Result<PathBuf, Unread> {
        let mut real = PathBuf::new();
        let mut links = 0;
        let mut rest: VecDeque<PathBuf> = parts(path);
        while let Some(part) = rest.pop_front() {
            if part == Path::new("..") {
                if !real.pop() {
                    return Err(self.broken(named, "the link leads out of the repository"));
                }
                continue;
            }
            let found = real.join(part);
            match self.entries.get(&found).cloned() {
                None if links == 0 => return Err(Unread::Missing),
                None => return Err(self.broken(named, "the link leads to nothing")),
                Some((ObjectKind::Link, id)) => {
                    links += 1;
                    let target = path_from(&self.object(&id)?);
                    if links > MOST_LINKS {
                        return Err(self.broken(named, "too many links"));
                    }
                    if target.is_absolute() {
                        return Err(self.broken(named, "the link leads out of the repository"));
                    }
                    parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
                }
                Some(_) => real = found,
            }
        }
        Ok(real)
    }

    /// Adds a file, or all files below a folder.
    fn add(&mut self, path: &Path, real: PathBuf) -> Result<(), Unread> {
        if !self.seen.insert(real.clone()) {
            return Ok(());
        }
        match self.entries.get(&real).cloned() {
            // The root is no entry.
            None | Some((ObjectKind::Folder, _)) => {
                let below = self.entries.range(real.clone()..).map(|(entry, _)| entry);
                let below = below.take_while(|entry| entry.starts_with(&real));
                let children = below.filter(|entry| entry.parent() == Some(&real) && !config::is_hidden(entry));
                for child in children.cloned().collect::<Vec<PathBuf>>() {
                    let shown = path.join(child.file_name().unwrap_or_default());
                    let found = self.resolve(&child, &shown)?;
                    let is_file = matches!(self.entries.get(&found), Some((ObjectKind::File, _)));
                    if !is_file || config::is_yaml(&child) {
                        self.add(&shown, found)?;
                    }
                }
            }
            Some((ObjectKind::File, id)) => {
                let bytes = match self.object(&id) {
                    Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                        return Err(self.broken(path, "the file is too large"));
                    }
                    content => content?,
                };
                let filtered = self.checked_out(bytes, &real, &id)?;
                let bytes = filtered.ok_or_else(|| self.broken(path, "its Git filter failed"))?;
                self.sources.push(Source { path: self.shown(path), bytes });
            }
            Some((ObjectKind::Link | ObjectKind::Submodule, _)) => {
                return Err(self.broken(path, "it is a submodule"));
            }
        }
        Ok(())
    }

    /// The content that a checkout has. Only for files that are stored in another form (Git LFS, encrypted), because
    /// each needs a process of its own.
    fn checked_out(&self, bytes: Vec<u8>, real: &Path, id: &str) -> io::Result<Option<Vec<u8>>> {
        if !bytes.starts_with(b"version https://git-lfs") && !bytes.contains(&0) {
            return Ok(Some(bytes));
        }
        let mut path = OsString::from("--path=");
        path.push(real);
        let output = git(self.root).args(["cat-file", "--filters"]).arg(path).arg(id).output()?;
        Ok(output.status.success().then_some(output.stdout))
    }

    fn shown(&self, path: &Path) -> String {
        format!("{}:{}", self.revision, path.display())
    }

    fn broken(&self, path: &Path, why: &str) -> Unread {
        Unread::Broken(format!("{} cannot be read: {why}", self.shown(path)))
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The path, the kind and the id of an entry of a listed tree: "MODE TYPE ID", a tab and the path.
fn entry(line: &[u8]) -> Option<(PathBuf, (ObjectKind, String))> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let words = std::str::from_utf8(line.get(..tab)?).ok()?;
    let (mode, id) = (words.split(' ').next()?, words.split(' ').next_back()?);
    let kind = match mode {
        "040000" => ObjectKind::Folder,
        "120000" => ObjectKind::Link,
        "160000" => ObjectKind::Submodule,
        _ => ObjectKind::File,
    };
    Some((path_from(line.get(tab + 1..)?), (kind, id.to_owned())))
}

fn parts(path: &Path) -> VecDeque<PathBuf> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.into()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}
