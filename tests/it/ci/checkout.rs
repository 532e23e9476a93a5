//! A Git repository for tests.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A repository with the files of an account.
pub struct Repository {
    folder: TempDir,
}

/// Git without the user's settings.
fn command(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    git
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().into()
}

impl Repository {
    /// A repository whose branch `main` holds these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        repository.commit(files);
        repository
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        run(self.folder.path(), arguments)
    }

    /// Commits these files to the current branch. A file without text is removed.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if text.is_empty() { std::fs::remove_file(path).unwrap() } else { std::fs::write(path, text).unwrap() }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Change"]);
        self.head()
    }

    /// Commits a link.
    pub fn link(&self, target: &str, path: &str) {
        std::os::unix::fs::symlink(target, self.folder.path().join(path)).unwrap();
        self.commit(&[]);
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The commit of a pull request with these files: the merge of its branch into `main`.
    pub fn merge_of(&self, branch: &str, files: &[(&str, &str)]) -> String {
        self.git(&["checkout", "--quiet", "-B", branch, "main"]);
        self.commit(files);
        self.merged_branch(branch)
    }

    /// The merge of a branch into `main`. `main` itself does not move.
    pub fn merged_branch(&self, branch: &str) -> String {
        self.merge_onto("main", branch)
    }

    /// The merge of a branch into a commit.
    pub fn merge_onto(&self, commit: &str, branch: &str) -> String {
        self.git(&["checkout", "--quiet", "--detach", commit]);
        self.git(&["merge", "--quiet", "--no-ff", "--message", "Merge", branch]);
        let merge = self.head();
        self.git(&["checkout", "--quiet", "main"]);
        merge
    }

    /// Moves `main` to a commit, as a merge on the server does.
    pub fn push(&self, commit: &str) {
        self.git(&["reset", "--quiet", "--hard", commit]);
    }

    /// Checks out a commit into another folder with this depth; 0 means the complete history.
    pub fn check_out(&self, commit: &str, depth: usize, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        run(folder, &["init", "--quiet"]);
        let origin = format!("file://{}", self.folder.path().display());
        run(folder, &["remote", "add", "origin", &origin]);
        let depth = if depth == 0 { vec![] } else { vec![format!("--depth={depth}")] };
        let mut fetch = vec!["fetch", "--quiet"];
        fetch.extend(depth.iter().map(String::as_str));
        fetch.extend(["origin", commit]);
        run(folder, &fetch);
        run(folder, &["checkout", "--quiet", "--detach", commit]);
    }
}

/// Whether the programs that the scripts need are installed. They may be missing on a user's machine, but not in CI.
pub fn tools_are_there() -> bool {
    let missing: Vec<&str> = ["bash", "curl", "git", "jq", "tar"]
        .into_iter()
        .filter(|tool| Command::new(tool).arg("--version").output().map_or(true, |output| !output.status.success()))
        .collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "CI lacks {missing:?}");
    if !missing.is_empty() {
        println!("skipped: this test needs {missing:?}");
    }
    missing.is_empty()
}
