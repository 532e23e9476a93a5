//! Reads the files of a Git revision, with the `git` program.
//!
//! The result is what [`config::load_with_sources`] reads from a checkout of that revision: links are followed, hidden
//! files are skipped, and files below a folder are read in path order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::rc::Rc;

use super::{Exit, Failure};
use crate::config::{self, Source};

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

#[derive(Debug)]
pub struct Checkout {
    root: PathBuf,
    pub paths: Vec<PathBuf>,
}

pub enum Snapshot {
    /// None of the paths exists, or they are folders without files.
    Absent,
    Files(Vec<Source>),
    /// A link that leads nowhere, for example.
    Unreadable(String),
}

impl Checkout {
    /// Finds the repository of the files and their paths in it.
    pub fn of(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut checkout: Option<Self> = None;
        for file in files {
            let (root, path) = locate(file)?;
            match &mut checkout {
                None => checkout = Some(Self { root, paths: vec![path] }),
                Some(found) if found.root == root => found.paths.push(path),
                Some(found) => {
                    let message =
                        format!("the files lie in two repositories: {} and {}", found.root.display(), root.display());
                    return Err(Failure::message(Exit::Usage, message).with_help("name a path instead of a revision"));
                }
            }
        }
        checkout.ok_or_else(|| Failure::message(Exit::Usage, "no files are named"))
    }

    /// The repository of the working directory, with files named relative to its root.
    pub fn here(paths: &[PathBuf]) -> Result<Self, Failure> {
        let (root, _) = find(Path::new("."))?.map_err(|said| outside(Path::new("."), &said))?;
        Ok(Self { root, paths: paths.to_vec() })
    }

    /// Reads the files as they are in a revision.
    pub fn read(&self, revision: &str) -> Result<Snapshot, Failure> {
        let commit = self.commit(revision)?;
        let failed = |error: io::Error| Failure::caused(Exit::Other, "git cannot read the repository", error);
        let mut tree = Tree::open(&self.root, &commit, revision).map_err(failed)?;
        for path in &self.paths {
            match tree.resolve(path, path).and_then(|node| tree.add(path, node)) {
                Ok(()) | Err(Unread::Missing) => {}
                Err(Unread::Broken(message)) => return Ok(Snapshot::Unreadable(message)),
                Err(Unread::Failed(error)) => return Err(failed(error)),
            }
        }
        Ok(if tree.sources.is_empty() { Snapshot::Absent } else { Snapshot::Files(std::mem::take(&mut tree.sources)) })
    }

    fn commit(&self, revision: &str) -> Result<String, Failure> {
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
        let is_id = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        if output.status.success() && is_id { Ok(commit) } else { Err(unknown()) }
    }
}

/// The commit that is checked out where the files lie, and those of the files that differ from it. Nothing if they are in
/// no repository, or if git cannot read it.
pub fn committed(files: &[PathBuf], read: &[Source]) -> Option<(String, Vec<String>)> {
    let checkout = Checkout::of(files).ok()?;
    let commit = checkout.commit("HEAD").ok()?;
    let there = match checkout.read(&commit).ok()? {
        Snapshot::Files(sources) => sources,
        Snapshot::Absent | Snapshot::Unreadable(_) => Vec::new(),
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
fn locate(path: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let own = if path.is_dir() { find(path)? } else { Err(String::new()) };
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let (Some(parent), Some(name)) = (parent, path.file_name()) else {
        return own.map_err(|said| outside(path, &said));
    };
    match (own, find(parent)?) {
        // The name is kept, because it may be a link that leads elsewhere in another revision.
        (Ok((root, _)), Ok((same, prefix))) if root == same => Ok((same, prefix.join(name))),
        (Ok(own), _) => Ok(own),
        (Err(_), Ok((root, prefix))) if !path.is_dir() => Ok((root, prefix.join(name))),
        (Err(_), Ok(_)) => Err(outside(path, "it is a link to another place")),
        (Err(_), Err(said)) => Err(outside(path, &said)),
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

/// The root of the repository of a folder, and the folder's path there; or what git says.
fn find(folder: &Path) -> Result<Result<(PathBuf, PathBuf), String>, Failure> {
    if !folder.is_dir() {
        return Ok(Err("the folder does not exist".into()));
    }
    let output = run(folder, ["rev-parse", "--show-toplevel", "--show-prefix"])?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default().trim_start_matches("fatal: ");
        return Ok(Err(said.to_owned()));
    }
    let mut lines = output.stdout.split(|byte| *byte == b'\n');
    let mut line = || path_from(lines.next().unwrap_or_default());
    let (root, prefix) = (line(), line());
    Ok(Ok((root, prefix.components().collect())))
}

#[cfg(unix)]
fn path_from(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).as_ref().into()
}

fn run<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output, Failure> {
    git(folder).args(arguments).stdin(Stdio::null()).output().map_err(|error| {
        let context = "a Git revision is named, but the program git cannot be run";
        Failure::caused(Exit::Usage, context, error).with_help("install git, or name a path that exists")
    })
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    // A Git hook sets these for the repository that it runs in, relative to another folder.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

#[derive(Clone, Debug)]
struct TreeNode {
    kind: ObjectKind,
    id: String,
    real: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ObjectKind {
    Folder,
    File,
    Link,
    Submodule,
}

/// The entries of a folder: by name, their kind and the id of their object.
type FolderEntries = BTreeMap<PathBuf, (ObjectKind, String)>;

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

/// The tree of a commit. One `git cat-file --batch` answers all questions.
struct Tree<'r> {
    root: &'r Path,
    revision: &'r str,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    top: String,
    folders: BTreeMap<String, Rc<FolderEntries>>,
    /// The real paths so far, so that each file is read once and a cycle of links ends.
    seen: BTreeSet<PathBuf>,
    sources: Vec<Source>,
}

impl<'r> Tree<'r> {
    fn open(root: &'r Path, commit: &str, revision: &'r str) -> io::Result<Self> {
        let mut command = git(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (questions, answers) = pipes.ok_or_else(|| io::Error::other("git has no pipes"))?;
        let (answers, top, sources) = (BufReader::new(answers), format!("{commit}^{{tree}}"), Vec::new());
        let (folders, seen) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { root, revision, process, questions, answers, top, folders, seen, sources })
    }

    /// The content of an object, and the length of ids in bytes.
    fn object(&mut self, id: &str) -> io::Result<(Vec<u8>, usize)> {
        writeln!(self.questions, "{id}")?;
        self.questions.flush()?;
        let mut header = String::new();
        self.answers.read_line(&mut header)?;
        let words: Vec<&str> = header.split_whitespace().collect();
        let [full, _, size] = words.as_slice() else { return Err(io::Error::other(header.trim().to_owned())) };
        let size: u64 = size.parse().map_err(io::Error::other)?;
        if size > config::LARGEST_FILE as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let (mut content, width) = (Vec::new(), full.len() / 2);
        // A line end follows the content.
        (&mut self.answers).take(size + 1).read_to_end(&mut content)?;
        content.pop();
        Ok((content, width))
    }

    fn folder(&mut self, id: &str) -> io::Result<Rc<FolderEntries>> {
        if let Some(known) = self.folders.get(id) {
            return Ok(Rc::clone(known));
        }
        let (content, width) = self.object(id)?;
        let mut rest = content.as_slice();
        let mut entries = BTreeMap::new();
        // Each entry is "MODE NAME", a zero byte, and the id in binary.
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            let (head, tail) = rest.split_at(end);
            let Some((object, next)) = tail.get(1..).and_then(|tail| tail.split_at_checked(width)) else { break };
            let space = head.iter().position(|byte| *byte == b' ').unwrap_or(head.len());
            let (mode, name) = head.split_at(space);
            let kind = match mode {
                b"40000" => ObjectKind::Folder,
                b"120000" => ObjectKind::Link,
                b"160000" => ObjectKind::Submodule,
                _ => ObjectKind::File,
            };
            let id = object.iter().map(|byte| format!("{byte:02x}")).collect();
            entries.insert(path_from(name.get(1..).unwrap_or_default()), (kind, id));
            rest = next;
        }
        let entries = Rc::new(entries);
        self.folders.insert(id.to_owned(), Rc::clone(&entries));
        Ok(entries)
    }

    /// Finds a path, relative to the root, through links. A failure names the path that leads there.
    fn resolve(&mut self, path: &Path, named: &Path) -> Result<TreeNode, Unread> {
        let top = TreeNode { kind: ObjectKind::Folder, id: self.top.clone(), real: PathBuf::new() };
        let mut nodes = vec![top];
        let mut links = 0;
        let mut rest: VecDeque<PathBuf> = parts(path);
        while let Some(part) = rest.pop_front() {
            if part == Path::new("..") {
                nodes.pop();
                if nodes.is_empty() {
                    return Err(self.broken(named, "the link leads out of the repository"));
                }
                continue;
            }
            let Some(TreeNode { kind: ObjectKind::Folder, id, real }) = nodes.last().cloned() else {
                return Err(Unread::Missing);
            };
            let Some((kind, id)) = self.folder(&id)?.get(&part).cloned() else {
                return Err(if links == 0 { Unread::Missing } else { self.broken(named, "the link leads to nothing") });
            };
            if kind != ObjectKind::Link {
                nodes.push(TreeNode { kind, id, real: real.join(part) });
                continue;
            }
            links += 1;
            let target = path_from(&self.object(&id)?.0);
            if links > MOST_LINKS || target.is_absolute() {
                let why = if links > MOST_LINKS { "too many links" } else { "the link leads out of the repository" };
                return Err(self.broken(named, why));
            }
            parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
        }
        nodes.pop().ok_or(Unread::Missing)
    }

    /// Adds a file, or all files below a folder.
    fn add(&mut self, path: &Path, node: TreeNode) -> Result<(), Unread> {
        if !self.seen.insert(node.real.clone()) {
            return Ok(());
        }
        match node.kind {
            ObjectKind::Folder => {
                for name in self.folder(&node.id)?.keys().filter(|name| !config::is_hidden(name)) {
                    let below = path.join(name);
                    let child = match self.resolve(&node.real.join(name), &below) {
                        Err(Unread::Missing) => Err(self.broken(&below, "it is not there")),
                        found => found,
                    }?;
                    if child.kind != ObjectKind::File || config::is_yaml(name) {
                        self.add(&below, child)?;
                    }
                }
            }
            ObjectKind::File => {
                let bytes = match self.object(&node.id) {
                    Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                        return Err(self.broken(path, "the file is too large"));
                    }
                    content => content?.0,
                };
                let filtered = self.checked_out(bytes, &node)?;
                let bytes = filtered.ok_or_else(|| self.broken(path, "its Git filter failed"))?;
                self.sources.push(Source { path: self.shown(path), bytes });
            }
            ObjectKind::Link | ObjectKind::Submodule => return Err(self.broken(path, "it is a submodule")),
        }
        Ok(())
    }

    /// The content that a checkout has. Only for files that are stored in another form (Git LFS, encrypted), because
    /// each needs a process of its own.
    fn checked_out(&self, bytes: Vec<u8>, node: &TreeNode) -> io::Result<Option<Vec<u8>>> {
        if !bytes.starts_with(b"version https://git-lfs") && !bytes.contains(&0) {
            return Ok(Some(bytes));
        }
        let mut path = OsString::from("--path=");
        path.push(&node.real);
        let output =
            git(self.root).args(["cat-file", "--filters"]).arg(path).arg(&node.id).stdin(Stdio::null()).output()?;
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

fn parts(path: &Path) -> VecDeque<PathBuf> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.into()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}
