//! This repository's own workflows, images and package, and the references in its documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::action::{VERSION, program, run};
use super::checkout::tools_are_there;
use super::runner::{PLACEHOLDER, yaml};
use crate::harness::{binary, files_below, repository};

/// Everything that users read or copy, or that CI runs.
fn published() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["README.md", "action.yml", "Cargo.toml", "Dockerfile", ".pre-commit-hooks.yaml"]
        .into_iter()
        .map(repository)
        .collect();
    for folder in ["docs", "examples", ".github"] {
        files.extend(files_below(folder));
    }
    files
}

#[test]
fn only_the_placeholder_names_this_repository() {
    let name = PLACEHOLDER.split('@').next().unwrap();
    let mut seen = 0;
    for path in published() {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}: {line}", path.display(), number + 1);
            seen += line.matches(PLACEHOLDER).count();
            // `somebody/convoke` is a repository; `/usr/local/bin/convoke`, `$root/convoke` and `target/convoke` are files.
            for (at, _) in line.match_indices("/convoke") {
                let owner: String = line[..at]
                    .chars()
                    .rev()
                    .take_while(|c| c.is_ascii_alphanumeric() || "-_./".contains(*c))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect();
                let is_repository = line[at + 8..].starts_with('@') || owner.starts_with("github.com/");
                assert!(!is_repository || format!("{owner}/convoke") == name, "{place}");
            }
            assert!(!line.contains("cargo install convoke") && !line.contains("cargo binstall convoke"), "{place}");
            assert!(!line.contains("install --locked convoke"), "{place}");
        }
        let quoted = text.matches(&format!("{name}@")).count();
        assert_eq!(quoted, text.matches(PLACEHOLDER).count(), "{}: OWNER/convoke at something else", path.display());
    }
    assert!(seen >= 5, "{seen}");
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    assert!(!manifest.lines().any(|line| line.starts_with("repository") || line.starts_with("homepage")));
}

#[test]
fn actions_are_pinned_by_commit_with_version() {
    let workflows = published().into_iter().filter(|path| {
        let inside = path.strip_prefix(repository("")).unwrap();
        inside.starts_with(".github/workflows")
            || inside.starts_with("examples/ci/github")
            || inside.ends_with("action.yml")
    });
    let mut pins: BTreeSet<String> = BTreeSet::new();
    for path in workflows {
        let text = fs::read_to_string(&path).unwrap();
        for action in text.lines().filter_map(|line| Some(line.split_once("uses: ")?.1)) {
            if action.starts_with("./ ") {
                continue;
            }
            let (action, version) = action.split_once(" # v").unwrap_or_else(|| panic!("{action}"));
            let (_, commit) = action.split_once('@').unwrap();
            assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{action}");
            pins.insert(format!("{action} {version}"));
        }
    }
    // One commit for each action in all files.
    let actions: BTreeSet<&str> = pins.iter().map(|pin| pin.split('@').next().unwrap()).collect();
    assert_eq!(actions.len(), pins.len(), "{pins:?}");
}

#[test]
fn inputs_and_events_reach_scripts_through_the_environment() {
    let mut scripts = 0;
    for path in files_below(".github/workflows").into_iter().chain(files_below("examples/ci/github")) {
        for (job, step) in steps(&yaml(&path)) {
            if let Some(script) = step["run"].as_str() {
                assert!(!script.contains("${{"), "{}: {job}: {script}", path.display());
                scripts += 1;
            }
        }
    }
    for step in yaml(&repository("action.yml"))["runs"]["steps"].as_array().unwrap() {
        if let Some(script) = step["run"].as_str() {
            assert!(script.starts_with("exec bash \"$GITHUB_ACTION_PATH/.github/action/"), "{script}");
            scripts += 1;
        }
    }
    assert!(scripts >= 15, "{scripts}");
}

/// The steps of a workflow with the names of their jobs.
fn steps(workflow: &Value) -> Vec<(String, Value)> {
    let jobs = workflow["jobs"].as_object().unwrap();
    let of = |(name, job): (&String, &Value)| {
        let steps = job["steps"].as_array().unwrap().clone();
        steps.into_iter().map(|step| (name.clone(), step)).collect::<Vec<_>>()
    };
    jobs.iter().flat_map(of).collect()
}

/// The script of a step by its name.
fn script(workflow: &str, name: &str) -> String {
    let steps = steps(&yaml(&repository(workflow)));
    let (_, step) = steps.iter().find(|(_, step)| step["name"] == name).unwrap_or_else(|| panic!("no step {name}"));
    step["run"].as_str().unwrap().to_owned()
}

/// The places of the steps that use an action.
fn using(steps: &[Value], action: &str) -> Vec<usize> {
    let uses = |step: &Value| step["uses"].as_str().is_some_and(|uses| uses.starts_with(&format!("{action}@")));
    (0..steps.len()).filter(|at| uses(&steps[*at])).collect()
}

#[test]
fn build_is_kept_before_convoke_runs() {
    let action = yaml(&repository("action.yml"));
    let steps = action["runs"]["steps"].as_array().unwrap();
    let place = |name: &str| steps.iter().position(|step| step["name"] == name).unwrap();
    let (restore, save) = (using(steps, "actions/cache/restore"), using(steps, "actions/cache/save"));
    let order = [place("Look for a release"), restore[0], place("Build"), save[0], place("Run convoke")];
    assert!(order.is_sorted() && (restore.len(), save.len()) == (1, 1), "{order:?}");
    // This action saves at the end of a job, and only of one that succeeds.
    assert_eq!(using(steps, "actions/cache"), Vec::<usize>::new());
    let (restore, save) = (&steps[restore[0]], &steps[save[0]]);
    assert_eq!(restore["with"], save["with"]);
    let is_built = "steps.install.outputs.build == 'true'";
    assert_eq!([&restore["if"], &steps[place("Build")]["if"]], [is_built, is_built]);
    assert_eq!(save["if"], format!("{is_built} && steps.cache.outputs.cache-hit != 'true'"));
    let release = |of: &Value| of["uses"].as_str().unwrap().rsplit('@').next().unwrap().to_owned();
    assert_eq!((release(restore), &restore["id"]), (release(save), &json!("cache")));
}

#[test]
fn plan_uses_the_build_of_validate() {
    let jobs = yaml(&repository("examples/ci/github/plan.yaml"))["jobs"].clone();
    let uses = |job: &str| {
        let steps = jobs[job]["steps"].as_array().unwrap();
        steps.last().unwrap()["uses"].as_str().unwrap().to_owned()
    };
    assert_eq!((&jobs["plan"]["needs"], uses("plan")), (&json!("validate"), uses("validate")));
    assert_eq!(jobs["plan"]["runs-on"], jobs["validate"]["runs-on"]);
    // No old plan remains visible if the files become invalid.
    assert!(jobs["plan"]["if"].as_str().unwrap().contains("!cancelled()"));
    assert!(jobs["validate"]["environment"].is_null() && !jobs["validate"].to_string().contains("secrets."));
}

#[test]
fn only_jobs_that_apply_record_deployments() {
    let mut recorded = Vec::new();
    for file in fs::read_dir(repository("examples/ci/github")).unwrap() {
        let path = file.unwrap().path();
        for (name, job) in yaml(&path)["jobs"].as_object().unwrap() {
            let environment = &job["environment"];
            if !environment.is_null() && environment["deployment"] != false {
                recorded.push(format!("{} {name}", path.file_stem().unwrap().display()));
                let steps = job["steps"].as_array().unwrap();
                assert!(steps.iter().any(|step| step["with"]["command"] == "apply"), "{name} of {}", path.display());
            }
        }
    }
    recorded.sort();
    assert_eq!(recorded, ["apply apply", "due due"]);
    for page in ["docs/ci.md", "docs/access-requests.md", "README.md"] {
        let text = fs::read_to_string(repository(page)).unwrap();
        let mut lines = text.lines().map(str::trim);
        assert!(!lines.any(|line| line.starts_with("environment: plan")), "{page}");
    }
}

#[test]
fn release_attests_what_it_publishes() {
    let jobs = yaml(&repository(".github/workflows/release.yml"))["jobs"].clone();
    let attest = "actions/attest-build-provenance";
    for job in ["publish", "image"] {
        for permission in ["id-token", "attestations"] {
            assert_eq!(jobs[job]["permissions"][permission], "write", "{job}: {permission}");
        }
    }
    let steps = jobs["publish"]["steps"].as_array().unwrap();
    let place = |name: &str| steps.iter().position(|step| step["name"] == name).unwrap();
    let attested = using(steps, attest);
    assert!(place("Write SHA256SUMS") < attested[0] && attested[0] < place("Publish"));
    // Exactly the archives whose digests the action compares.
    assert_eq!(steps[attested[0]]["with"]["subject-checksums"], "dist/SHA256SUMS");
    assert!(
        steps[place("Write SHA256SUMS")]["run"].as_str().unwrap().starts_with("sha256sum -- *.tar.gz > SHA256SUMS")
    );
    assert!(steps[place("Publish")]["run"].as_str().unwrap().ends_with(" dist/*.tar.gz dist/SHA256SUMS"));
    // Each pushed image, by the digest that its push printed.
    let steps = jobs["image"]["steps"].as_array().unwrap();
    let script = fs::read_to_string(repository(".github/release/image.sh")).unwrap();
    let pushed = script.lines().filter_map(|line| line.strip_prefix("push ")?.split(' ').next());
    let mut pushed: Vec<String> = pushed.map(|output| format!("${{{{ steps.push.outputs.{output} }}}}")).collect();
    let digests = using(steps, attest).into_iter().map(|at| steps[at]["with"]["subject-digest"].as_str().unwrap());
    let mut digests: Vec<String> = digests.map(str::to_owned).collect();
    pushed.sort();
    digests.sort();
    assert_eq!((digests, pushed.len()), (pushed, 2));
}

/// Programs that record their arguments in `calls`.
fn recorded(folder: &Path, programs: &[(&str, &str)]) {
    for (name, script) in programs {
        let record = format!("echo \"{name} $*\" >> '{}'\n{script}", folder.join("calls").display());
        program(&folder.join("bin"), name, &record);
    }
}

/// Runs a script of a workflow here, with these programs first on the `PATH`.
fn run_script(folder: &Path, script: &str, working_directory: &Path, env: &[(&str, &str)]) -> String {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-e", "-c", script])
        .current_dir(working_directory)
        .env("PATH", path)
        .env("GITHUB_OUTPUT", folder.join("outputs"))
        .env("RUNNER_TEMP", folder)
        .env("CI", "true")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{said}");
    fs::read_to_string(folder.join("calls")).unwrap_or_default()
}

#[test]
fn release_archive_holds_program_manual_and_completions() {
    if !tools_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let release = ".github/workflows/release.yml";
    // There is no toolchain for other machines here. The mock of cargo puts the program under test in place of a
    // build.
    let built = folder.path().join("target/x86_64-unknown-linux-musl/dist");
    let source = folder.path().join("source");
    fs::create_dir_all(source.join(".github/release")).unwrap();
    for file in [
        "Cargo.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        ".github/release/archive.sh",
        ".github/release/check-tag.sh",
    ] {
        fs::copy(repository(file), source.join(file)).unwrap();
    }
    let cargo = format!(
        "mkdir -p target/$TARGET/dist && printf '#!/bin/sh\\nexec \"{}\" \"$@\"\\n' > target/$TARGET/dist/convoke && chmod +x target/$TARGET/dist/convoke",
        binary().display()
    );
    recorded(folder.path(), &[("cargo", &cargo), ("rustup", ""), ("sudo", ""), ("git", "echo 1700000000")]);
    let env =
        [("TARGET", "x86_64-unknown-linux-musl"), ("GITHUB_REF_NAME", &*format!("v{VERSION}")), ("HOME", "/root")];
    for name in ["Compare the tag with the version", "Prepare the target", "Build"] {
        run_script(folder.path(), &script(release, name), &source, &env);
    }
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert!(calls.contains("--target x86_64-unknown-linux-musl"), "{calls}");
    assert!(calls.contains("cargo build --locked --profile dist --target x86_64-unknown-linux-musl"), "{calls}");
    assert!(!built.exists());

    let name = format!("convoke-{VERSION}-x86_64-unknown-linux-musl");
    let archive = source.join(format!("dist/{name}.tar.gz"));
    let listed = run("tar", &["-tzf", archive.to_str().unwrap()]);
    for file in [
        "convoke",
        "README.md",
        "LICENSE-MIT",
        "CHANGELOG.md",
        "completions/convoke.bash",
        "completions/_convoke",
        "completions/convoke.fish",
        "man/convoke.1",
        "man/convoke-apply.1",
        "man/convoke-sandbox.1",
    ] {
        assert!(listed.lines().any(|line| line == format!("{name}/{file}")), "{file} is missing:\n{listed}");
    }
    // A second run gives the same bytes.
    let first = fs::read(&archive).unwrap();
    run_script(folder.path(), &script(release, "Build"), &source, &env);
    assert_eq!(fs::read(&archive).unwrap(), first);

    run_script(folder.path(), &script(release, "Write SHA256SUMS"), &source.join("dist"), &[]);
    let sums = fs::read_to_string(source.join("dist/SHA256SUMS")).unwrap();
    assert_eq!(sums.split_whitespace().nth(1).unwrap(), format!("{name}.tar.gz"));

    recorded(folder.path(), &[("gh", "")]);
    let calls = run_script(folder.path(), &script(release, "Publish"), &source, &env);
    assert!(
        calls.contains(&format!(
            "gh release create v{VERSION} --verify-tag --generate-notes dist/{name}.tar.gz dist/SHA256SUMS"
        )),
        "{calls}"
    );
}

#[test]
fn tag_must_match_the_version() {
    let check = repository(".github/release/check-tag.sh");
    let output = Command::new("bash").arg(&check).arg("v99.0.0").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(Command::new("bash").arg(&check).arg(format!("v{VERSION}")).status().unwrap().success());
}

#[test]
fn image_is_pushed_with_its_version_and_digest() {
    if !tools_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let release = ".github/workflows/release.yml";
    let docker = "case \"$*\" in login*) cat > /dev/null ;; *--target\\ ci*) echo '{\"containerimage.digest\":\"sha256:ccc\"}' > metadata.json ;; *) echo '{\"containerimage.digest\":\"sha256:abc\"}' > metadata.json ;; esac";
    recorded(folder.path(), &[("docker", docker), ("git", "echo 1700000000")]);
    let image = repository(".github/release/image.sh");
    fs::create_dir_all(folder.path().join(".github/release")).unwrap();
    fs::copy(image, folder.path().join(".github/release/image.sh")).unwrap();
    for machine in ["x86_64", "aarch64"] {
        let name = format!("convoke-1.2.3-{machine}-unknown-linux-musl");
        let dist = folder.path().join("dist");
        fs::create_dir_all(dist.join(&name)).unwrap();
        fs::write(dist.join(&name).join("convoke"), machine).unwrap();
        let archive = dist.join(format!("{name}.tar.gz"));
        run("tar", &["-czf", archive.to_str().unwrap(), "-C", dist.to_str().unwrap(), &name]);
    }
    let summary = folder.path().join("summary").display().to_string();
    let env = [
        ("IMAGE", "ghcr.io/Acme/Access"),
        ("GITHUB_REF_NAME", "v1.2.3"),
        ("GITHUB_SHA", "abc123"),
        ("GITHUB_ACTOR", "alice"),
        ("GH_TOKEN", "secret"),
        ("GITHUB_STEP_SUMMARY", &summary),
    ];
    run_script(folder.path(), &script(release, "Sign in"), folder.path(), &env);
    let calls = run_script(folder.path(), &script(release, "Build and push"), folder.path(), &env);
    assert!(!calls.contains("secret"), "{calls}");
    for tag in ["ghcr.io/acme/access:1.2.3 ", "ghcr.io/acme/access:1.2.3-ci "] {
        let call = calls.lines().find(|call| call.contains(&format!("--tag {tag}"))).unwrap();
        for part in ["--platform linux/amd64,linux/arm64", "SOURCE_DATE_EPOCH=1700000000", "REVISION=abc123"] {
            assert!(call.contains(part), "{call}");
        }
    }
    for (platform, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        assert_eq!(fs::read_to_string(folder.path().join(format!("dist/convoke-{platform}"))).unwrap(), machine);
    }
    assert_eq!(fs::read_to_string(folder.path().join("outputs")).unwrap(), "ci-digest=sha256:ccc\ndigest=sha256:abc\n");
    let printed = fs::read_to_string(summary).unwrap();
    assert!(printed.contains("access:1.2.3-ci@sha256:ccc") && printed.contains("access:1.2.3@sha256:abc"), "{printed}");
}

#[test]
fn dockerfile_copies_what_exists_and_runs_as_nobody() {
    let text = fs::read_to_string(repository("Dockerfile")).unwrap();
    for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for source in
            words[..words.len() - 1].iter().filter(|word| !word.starts_with("--") && !word.starts_with("dist/"))
        {
            assert!(repository(source).exists(), "{source}");
        }
    }
    // Every base image is pinned by its digest.
    for line in text.lines().filter_map(|line| line.strip_prefix("ARG ")) {
        assert!(!line.contains(':') || line.contains("@sha256:"), "{line}");
    }
    let last = text.rsplit("\nFROM ").next().unwrap();
    assert!(
        last.starts_with("scratch\n") && last.contains("\nUSER 65532:65532\n") && !last.contains("\nRUN "),
        "{last}"
    );
}

#[test]
fn ci_runs_the_required_checks() {
    let ci = ".github/workflows/ci.yml";
    assert_eq!(script(ci, "Format, lints, tests"), "bash .ci/run");
    assert_eq!(script(ci, "Licenses, sources, versions and known vulnerabilities"), "cargo deny --locked check");
    let quickstart = script(ci, "Apply the quickstart");
    let folder = tempfile::tempdir().unwrap();
    program(&folder.path().join("bin"), "convoke", &format!("exec '{}' \"$@\"", binary().display()));
    run_script(folder.path(), &quickstart, &repository(""), &[]);
}

#[test]
fn pre_commit_hooks_check_the_files() {
    if !tools_are_there() {
        return;
    }
    let hooks = yaml(&repository(".pre-commit-hooks.yaml"));
    let languages: Vec<&str> =
        hooks.as_array().unwrap().iter().map(|hook| hook["language"].as_str().unwrap()).collect();
    assert_eq!(languages, ["rust", "system", "rust"]);
    for hook in hooks.as_array().unwrap() {
        let entry = hook["entry"].as_str().unwrap();
        assert!(hook["args"].is_null());
        let words: Vec<&str> = entry.split(' ').skip(1).collect();
        // Every file that convoke reads starts the hook.
        for (path, starts) in [
            ("convoke.yaml", true),
            ("groups/a.yaml", true),
            ("groups/teams/B.YAML", true),
            ("groups/c.Yml", true),
            ("groups/d.yaml.bak", false),
            ("docs/a.yaml", false),
        ] {
            let pattern = hook["files"].as_str().unwrap();
            let said = run("jq", &["-n", "--arg", "path", path, "--arg", "files", pattern, "$path | test($files)"]);
            assert_eq!(said.trim(), starts.to_string(), "{path}");
        }
        // The README's own file, and the folder that the workflows use.
        for path in ["convoke.yaml", "groups/a.yaml"] {
            let world = crate::harness::nothing().file(path, "version: 1\ngroups: {}\n");
            world.run_with(&words).exits(0);
            world.write(path, "version: 1\ngroup: {}\n");
            world.run_with(&words).exits(65);
        }
    }
}

#[test]
fn binstall_finds_release_archives() {
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let url = "{ repo }/releases/download/v{ version }/{ name }-{ version }-{ target }{ archive-suffix }";
    assert!(manifest.contains(&format!("pkg-url = \"{url}\"")));
    assert!(manifest.contains("bin-dir = \"{ name }-{ version }-{ target }/{ bin }{ binary-ext }\""));
    let archive = fs::read_to_string(repository(".github/release/archive.sh")).unwrap();
    assert!(archive.contains("name=convoke-$version-$target") && archive.contains("$folder/$name.tar.gz"));
}
