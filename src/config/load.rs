//! Finds and reads the files. Only this part of the configuration uses the file system.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;

use super::problem::{Problem, Problems};
use super::{LARGEST_FILE, Source, check_rules, parse_into};
use crate::model::Desired;

/// The maximum time to wait for a program that writes to a pipe.
const LONGEST_OPENING: Duration = Duration::from_secs(2);

/// The maximum time to wait for the end of a pipe.
const LONGEST_PIPE: Duration = Duration::from_secs(60);

/// Reads and merges files, and all `*.yaml` and `*.yml` files below folders, in any letter case and in path order.
///
/// Below a folder, hidden files and folders (whose name begins with `.`) and files with other names are skipped.
/// Links are followed. A file that can be reached in several ways is read once, under its first name.
///
/// # Errors
///
/// All problems of all files, and everything that cannot be read.
pub fn load(paths: &[PathBuf]) -> Result<Desired, Problems> {
    load_with_sources(paths).map(|(desired, _)| desired)
}

/// Reads and merges files as [`load`] does, and checks the groups' rules at a time.
///
/// # Errors
///
/// As [`load`], or if a rule is broken.
pub fn load_checked(paths: &[PathBuf], time: Timestamp) -> Result<Desired, Problems> {
    let (desired, sources) = load_with_sources(paths)?;
    check_rules(&desired, &sources, time)?;
    Ok(desired)
}

/// Reads and merges files as [`load`] does, and also returns their content, because a pipe can be read only once.
///
/// # Errors
///
/// As [`load`].
pub fn load_with_sources(paths: &[PathBuf]) -> Result<(Desired, Vec<Source>), Problems> {
    let (report, sources) = FileSearch::of(paths, false).read();
    let desired = parse_into(report, &sources)?;
    Ok((desired, sources))
}

/// Reads the files as [`load`] does, unparsed. A folder may have no files.
///
/// # Errors
///
/// If a file or folder cannot be read.
pub fn read_sources(paths: &[PathBuf]) -> Result<Vec<Source>, Problems> {
    let (report, sources) = FileSearch::of(paths, true).read();
    report.finish(&[])?;
    Ok(sources)
}

/// Whether there are files below a folder, or anything that [`load`] cannot read.
pub fn holds_files(folder: &Path) -> bool {
    let search = FileSearch::of(folder.is_dir().then_some(folder), true);
    !search.files.is_empty() || search.report.len() > 0
}

pub fn found(paths: &[PathBuf]) -> Vec<PathBuf> {
    FileSearch::of(paths, true).files
}

/// Reads the files as [`load`] does, unparsed and with their paths. Pipes and similar files are refused, because they
/// cannot be written back.
///
/// # Errors
///
/// If a file or folder cannot be read.
pub fn read_regular(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<Source>), Problems> {
    let mut search = FileSearch::of(paths, false);
    for path in search.files.extract_if(.., |path| !fs::metadata(path).is_ok_and(|metadata| metadata.is_file())) {
        let problem = problem(&path, "this is not a regular file, and cannot be edited");
        search.report.push(problem.help("name the file itself with --file"));
    }
    let paths = search.files.clone();
    let (report, sources) = search.read();
    report.finish(&[])?;
    // Without a problem, each file was read.
    Ok((paths, sources))
}

#[derive(Default)]
struct FileSearch {
    files: Vec<PathBuf>,
    /// The real paths of the folders so far, so that each is read once.
    folders: BTreeSet<PathBuf>,
    report: Problems,
    allows_empty: bool,
}

impl FileSearch {
    fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, allows_empty: bool) -> Self {
        let mut search = Self { allows_empty, ..Self::default() };
        paths.into_iter().for_each(|path| search.add(path.as_ref()));
        let mut seen = BTreeSet::new();
        search.files.retain(|path| seen.insert(real(path)));
        search
    }

    fn add(&mut self, path: &Path) {
        match fs::metadata(path) {
            Err(error) => self.report.push(unreadable(path, &error)),
            Ok(metadata) if !metadata.is_dir() => self.files.push(path.to_owned()),
            Ok(_) if !self.folders.insert(real(path)) => {}
            Ok(_) => {
                let before = (self.files.len(), self.report.len());
                self.add_below(path);
                if !self.allows_empty && before == (self.files.len(), self.report.len()) {
                    let problem = problem(path, "there is no *.yaml or *.yml file below this folder");
                    self.report.push(problem.help("name the folder that holds the groups with --file"));
                }
            }
        }
    }

    fn read(mut self) -> (Problems, Vec<Source>) {
        let mut sources = Vec::with_capacity(self.files.len());
        for path in self.files {
            match read(&path) {
                Ok(bytes) => sources.push(Source { path: shown(&path), bytes }),
                Err(problem) => self.report.push(problem),
            }
        }
        (self.report, sources)
    }

    /// Adds everything below a folder. A cycle of links ends at a folder that was already seen.
    fn add_below(&mut self, folder: &Path) {
        let listed = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>());
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => return self.report.push(unreadable(folder, &error)),
        };
        entries.retain(|path| !is_hidden(path));
        entries.sort();
        for path in entries {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    if self.folders.insert(real(&path)) {
                        self.add_below(&path);
                    }
                }
                // An unreadable entry with any name may lead to a folder with groups.
                Err(error) => self.report.push(unreadable(&path, &error)),
                Ok(_) if !is_yaml(&path) => {}
                Ok(metadata) if metadata.is_file() => self.files.push(path),
                Ok(_) => {
                    let problem = problem(&path, "this is not a regular file");
                    self.report.push(problem.help("remove it from the folder, or name it with --file"));
                }
            }
        }
    }
}

/// The path without links. A pipe, for example, has none.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether a file with this path would be one of those below a folder.
pub fn reads_below(folder: &Path, path: &Path) -> bool {
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let real = |path: &Path| fs::canonicalize(path).ok();
    let Some((folder, parent)) = real(folder).zip(parent.and_then(real)) else { return false };
    let is_seen = |below: &Path| !below.iter().any(|part| is_hidden(Path::new(part)));
    folder.is_dir() && parent.strip_prefix(&folder).is_ok_and(is_seen) && is_yaml(path) && !is_hidden(path)
}

/// Whether a file below a folder is skipped for its name.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a file below a folder is read for its name.
pub fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml"))
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_file() {
        File::open(path).and_then(read_open).map_err(|error| unreadable(path, &error))
    } else if is_pipe(&metadata) {
        read_pipe(path)
    } else {
        let problem = problem(path, "this is a device or a socket, not a file");
        Err(problem.help("name a file, a folder or a pipe with --file"))
    }
}

#[cfg(unix)]
fn is_pipe(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}

/// Reads the content, of a file that is too large only as much as shows that.
fn read_open(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a pipe, such as a shell's `<(command)`. Opening a pipe without a writer would block forever, and so would
/// reading a pipe that no program closes.
fn read_pipe(path: &Path) -> Result<Vec<u8>, Problem> {
    let help = "make sure that a program writes to the pipe and ends, or name a file";
    let failed = |message: String| problem(path, message).help(help);
    let unread = |error| unreadable(path, &error);
    let of_thread = path.to_owned();
    let file = within(LONGEST_OPENING, move || File::open(of_thread));
    let file = file.ok_or_else(|| failed("no program writes to this pipe".into()))?.map_err(unread)?;
    let read = within(LONGEST_PIPE, move || read_open(file));
    read.ok_or_else(|| failed(format!("the pipe did not end within {} s", LONGEST_PIPE.as_secs())))?.map_err(unread)
}

/// The result of work that may block, if it ends in time. Otherwise its thread is left behind.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(limit).ok()
}

fn problem(path: &Path, message: impl Into<String>) -> Problem {
    Problem::new(shown(path).into(), None, message)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    if let Ok(target) = fs::read_link(path) {
        let message = format!("the link to {} cannot be followed: {error}", target.to_string_lossy());
        return problem(path, message).help("correct the link, or remove it");
    }
    let problem = problem(path, format!("cannot be read: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => problem.help("name the file or folder that holds the groups with --file"),
        _ => problem,
    }
}

/// A path for display: with `/` between its parts, and without a leading `./`.
fn shown(path: &Path) -> String {
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    let plain = if plain.as_os_str().is_empty() { path } else { &plain };
    let text = plain.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' { text.into_owned() } else { text.replace(std::path::MAIN_SEPARATOR, "/") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupName;

    /// A folder with these files, each of which declares a group of the same name.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("version: 1\ngroups: {{{name}: {{members: []}}}}\n")).unwrap();
        }
        folder
    }

    fn names(desired: &Desired) -> Vec<&str> {
        desired.groups.keys().map(GroupName::as_str).collect()
    }

    /// The problems, without the folder's own path.
    fn shown_below(folder: &Path, problems: &Problems) -> String {
        problems.to_string().replace(&shown(folder), "FOLDER")
    }

    #[test]
    fn folder_includes_all_visible_yaml_files() {
        let folder = folder(&["b.yaml", "a/x.yml", "a/b/c.yaml", ".git/d.yaml", ".e.yaml", "f.json", "g.yaml.bak"]);
        assert_eq!(names(&load(&[folder.path().into()]).unwrap()), ["a/b/c.yaml", "a/x.yml", "b.yaml"]);
    }

    #[test]
    fn files_are_found_in_path_order() {
        let folder = folder(&["b.yaml", "a.yaml", "a/z.yaml", "a-b.yaml"]);
        let mut search = FileSearch::default();
        search.add(folder.path());
        let mut sorted = search.files.clone();
        sorted.sort();
        assert_eq!(search.files, sorted);
        assert_eq!(sorted.len(), 4);
    }

    #[test]
    fn a_file_named_twice_is_read_once() {
        let folder = folder(&["a.yaml", "b.yaml"]);
        let path = folder.path();
        let paths = [path.join("b.yaml"), path.into(), path.join("./a.yaml"), path.into()];
        assert_eq!(names(&load(&paths).unwrap()), ["a.yaml", "b.yaml"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_through_cycles() {
        let folder = folder(&["a.yaml", "sub/b.yaml"]);
        let elsewhere = self::folder(&["c.yaml"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("sub/up")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("c.yaml"), folder.path().join("link.yaml")).unwrap();
        assert_eq!(names(&load(&[folder.path().into()]).unwrap()), ["a.yaml", "c.yaml", "sub/b.yaml"]);
    }

    #[cfg(unix)]
    #[test]
    fn broken_link_is_an_error() {
        let folder = folder(&["a.yaml", "B.YAML", "c.Yml"]);
        assert_eq!(names(&load(&[folder.path().into()]).unwrap()), ["B.YAML", "a.yaml", "c.Yml"]);
        std::os::unix::fs::symlink("../teams", folder.path().join("teams")).unwrap();
        std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
        let shown = shown_below(folder.path(), &load(&[folder.path().into()]).unwrap_err());
        assert!(shown.contains("FOLDER/teams: the link to ../teams cannot be followed: No such file"), "{shown}");
        assert!(shown.contains("FOLDER/loop: the link to loop cannot be followed"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn unreadable_files_are_reported_with_other_problems() {
        let folder = folder(&["a.yaml", "empty/x.txt"]);
        let path = folder.path();
        fs::write(path.join("b.yaml"), "version: 1\ngroups: {B: {members: [roster: gone]}}\nx: 1\n").unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("c.yaml")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path.join("d.yaml")).unwrap();
        let problems = load(&[path.into(), path.join("missing"), path.join("empty")]).unwrap_err();
        insta::assert_snapshot!(shown_below(path, &problems), @r#"
        error: FOLDER/b.yaml:3:1: unknown key "x" in the file
          | x: 1
          | ^
          help: expected one of: version, account_id, settings, rosters, groups

        error: FOLDER/c.yaml: the link to nowhere cannot be followed: No such file or directory (os error 2)
          help: correct the link, or remove it

        error: FOLDER/d.yaml: this is not a regular file
          help: remove it from the folder, or name it with --file

        error: FOLDER/missing: cannot be read: No such file or directory (os error 2)
          help: name the file or folder that holds the groups with --file

        4 problems
        "#);
    }

    #[test]
    fn oversized_file_is_reported_with_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.yaml");
        File::create(&path).unwrap().set_len(u64::try_from(LARGEST_FILE).unwrap() + 1).unwrap();
        insta::assert_snapshot!(shown_below(folder.path(), &load(&[path]).unwrap_err()), @r#"
        error: FOLDER/large.yaml: the file is larger than 64 MiB
          help: split it into several files in one folder

        1 problem
        "#);
    }

    #[test]
    fn path_is_shown_without_leading_dot() {
        assert_eq!(shown(Path::new("./groups/./a.yaml")), "groups/a.yaml");
        assert_eq!(shown(Path::new("../a.yaml")), "../a.yaml");
        assert_eq!(shown(Path::new("/a.yaml")), "/a.yaml");
        assert_eq!(shown(Path::new(".")), ".");
    }
}
