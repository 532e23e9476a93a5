//! Reads the files of a Git revision, with the `git` program.
//!
//! The result is what [`config::load_with_sources`] reads from a checkout of that revision: links are followed, hidden
//! files are skipped, and files below a folder are read in path order.

use std::collections::{BTreeMap, BTreeSet};
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
        let mut tree = Tree::open(&self.root, &commit, revision)?;
        for path in &self.paths {
            if let Some(real) = tree.resolve(path, path)? {
                tree.add(path, real)?;
            }
        }
        Ok(std::mem::take(&mut tree.sources))
    }

    fn commit(&self, revision: &str) -> Result<String> {
        let object = format!("{revision}^{{commit}}");
        let output = run(&self.root, ["rev-parse", "--verify", "--quiet", "--end-of-options", &object])?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let message = format!("the repository {} has no such revision", self.root.display());
        Err(Failure::message(Exit::Usage, message).with_help(
            "use a path that exists, or a branch, tag or commit of the repository in which the files lie; a shallow \
             clone has few",
        ))
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
    let named = |from: &[Source], without: &[Source]| -> Vec<String> {
        let without: BTreeSet<_> = without.iter().map(name_and_content).collect();
        let differing = from.iter().filter(|source| !without.contains(&name_and_content(source)));
        differing.map(|source| source.path.clone()).collect()
    };
    let changed = named(read, &there);
    // A file of the commit that is gone has no changed counterpart.
    let differing = if changed.is_empty() { named(&there, read) } else { changed };
    Some((commit, differing))
}

/// Without the folders, because the paths of a commit begin at another one, and with the commit.
fn name_and_content(source: &Source) -> (Option<&str>, &[u8]) {
    (source.path.rsplit(['/', '\\', ':']).next(), &source.bytes)
}

/// The root of the repository of a file or folder, and its path there.
fn locate(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let own = if path.is_dir() { Some(find(path, path)?) } else { None };
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let (Some(parent), Some(name)) = (parent, path.file_name()) else {
        return own.ok_or_else(|| outside(path, "the folder does not exist"));
    };
    let named = find(parent, path).map(|(root, prefix)| (root, prefix.join(name)));
    match (own, named) {
        // The name is kept, because it may be a link that leads elsewhere in another revision.
        (Some((root, _)), Ok(named)) if root == named.0 => Ok(named),
        (Some(own), _) => Ok(own),
        (None, named) => named,
    }
}

fn outside(path: &Path, said: &str) -> Failure {
    let message = format!("{} is not in a Git repository that can be used: {said}", path.display());
    // Git's check of who owns a repository, for example in a container.
    let allow = if said.contains("ownership") {
        "allow it, `git config --global --add safe.directory FOLDER`, or "
    } else {
        ""
    };
    Failure::message(Exit::Usage, message).with_help(format!("{allow}name a path that exists instead of a revision"))
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

fn run(folder: &Path, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<Output> {
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

fn unread(error: io::Error) -> Failure {
    Failure::caused(Exit::Other, "git cannot read the repository", error)
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
    fn open(root: &'r Path, commit: &str, revision: &'r str) -> Result<Self> {
        let listing = run(root, ["ls-tree", "-r", "-t", "-z", "--full-tree", commit])?;
        if !listing.status.success() {
            return Err(unread(io::Error::other(String::from_utf8_lossy(&listing.stderr).trim().to_owned())));
        }
        let entries = listing.stdout.split(|byte| *byte == 0).filter_map(entry).collect();
        let mut command = git(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(unread)?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (questions, answers) = pipes.ok_or_else(|| unread(io::Error::other("git has no pipes")))?;
        let (answers, seen, sources) = (BufReader::new(answers), BTreeSet::new(), Vec::new());
        Ok(Self { root, revision, entries, process, questions, answers, seen, sources })
    }

    /// The content of an object. A failure names the path that leads to it.
    fn object(&mut self, id: &str, path: &Path) -> Result<Vec<u8>> {
        self.ask(id).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => self.broken(path, "the file is too large"),
            _ => unread(error),
        })
    }

    fn ask(&mut self, id: &str) -> io::Result<Vec<u8>> {
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

    /// The real path of a path, relative to the root, through links; `None` if it is not there. A failure names the path
    /// that leads there.
    fn resolve(&mut self, path: &Path, named: &Path) -> Result<Option<PathBuf>> {
        let (mut real, mut rest, mut links) = (PathBuf::new(), path.to_owned(), 0);
        loop {
            let mut parts = rest.components();
            let Some(part) = parts.next() else { return Ok(Some(real)) };
            let mut after = parts.as_path().to_owned();
            match part {
                Component::CurDir => {}
                Component::ParentDir if real.pop() => {}
                Component::Normal(name) => match self.entries.get(&real.join(name)).cloned() {
                    None if links == 0 => return Ok(None),
                    None => return Err(self.broken(named, "the link leads to nothing")),
                    Some((ObjectKind::Link, _)) if links == MOST_LINKS => {
                        return Err(self.broken(named, "too many links"));
                    }
                    Some((ObjectKind::Link, id)) => {
                        links += 1;
                        after = path_from(&self.object(&id, named)?).join(after);
                    }
                    Some(_) => real.push(name),
                },
                _ => return Err(self.broken(named, "the link leads out of the repository")),
            }
            rest = after;
        }
    }

    /// Adds a file, or all files below a folder.
    fn add(&mut self, path: &Path, real: PathBuf) -> Result<()> {
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
                    let Some(found) = self.resolve(&child, &shown)? else { continue };
                    let is_file = matches!(self.entries.get(&found), Some((ObjectKind::File, _)));
                    if !is_file || config::is_yaml(&child) {
                        self.add(&shown, found)?;
                    }
                }
            }
            Some((ObjectKind::File, id)) => {
                let bytes = self.checked_out(path, &real, &id)?;
                self.sources.push(Source { path: self.shown(path), bytes });
            }
            Some((ObjectKind::Link | ObjectKind::Submodule, _)) => {
                return Err(self.broken(path, "it is a submodule"));
            }
        }
        Ok(())
    }

    /// The content that a checkout has.
    fn checked_out(&mut self, path: &Path, real: &Path, id: &str) -> Result<Vec<u8>> {
        let bytes = self.object(id, path)?;
        // Only files that are stored in another form (Git LFS, encrypted) are filtered, each by a process of its own.
        if !bytes.starts_with(b"version https://git-lfs") && !bytes.contains(&0) {
            return Ok(bytes);
        }
        let mut option = OsString::from("--path=");
        option.push(real);
        let output = run(self.root, ["cat-file".as_ref(), "--filters".as_ref(), option.as_os_str(), id.as_ref()])?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.broken(path, "its Git filter failed")) }
    }

    fn shown(&self, path: &Path) -> String {
        format!("{}:{}", self.revision, path.display())
    }

    fn broken(&self, path: &Path, why: &str) -> Failure {
        Failure::message(Exit::Data, format!("{} cannot be read: {why}", self.shown(path)))
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
