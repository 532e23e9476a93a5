//! `--base` as a path or as a Git revision.

#![cfg(unix)]

use std::process::Command;

use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::{World, config, given};

/// An account whose group is to get Bob.
fn world() -> World {
    given(Seed::default().group("Admins", ["alice@example.com"]).people(["bob@example.com", "carol@example.com"]))
}

fn git(world: &World, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(world.path("."))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(world: &World) {
    git(world, &["add", "-A"]);
    git(world, &["commit", "-q", "-m", "files"]);
}

/// The emails of this change and of what was there before.
fn labels(world: &World, arguments: &str) -> [Vec<String>; 2] {
    let plan = world.run(&format!("{arguments} --format json")).exits(0).json();
    let groups = plan["groups"].as_array().unwrap().iter();
    let changes: Vec<_> = groups.flat_map(|group| group["changes"].as_array().unwrap()).collect();
    ["change", "before"].map(|since| {
        let of = changes.iter().filter(|change| change["since"] == since);
        of.map(|change| change["member"]["email"].as_str().unwrap().to_owned()).collect()
    })
}

#[test]
fn base_can_be_a_git_revision() {
    let world = world().file("groups/a b.yaml", config(&[("Admins", &["alice@example.com", "bob@example.com"])]));
    git(&world, &["init", "-q"]);
    commit(&world);
    git(&world, &["branch", "before"]);
    world.write(
        "groups/a b.yaml",
        config(&[("Admins", &["alice@example.com", "bob@example.com", "carol@example.com"])]),
    );
    let expected = [vec!["carol@example.com".to_owned()], vec!["bob@example.com".to_owned()]];
    for base in ["before", "main", "HEAD"] {
        assert_eq!(labels(&world, &format!("plan -f groups --base {base}")), expected, "{base}");
    }
    // The files and the current folder may be named in any way.
    assert_eq!(labels(&world, "plan -f ./groups/../groups/ --base HEAD"), expected);
    let folder = world.path("groups");
    let output = world.command().current_dir(&folder).args("plan -f . --base HEAD".split(' ')).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("This change") && text.contains("carol@example.com"), "{text}");
    // The suggested command repeats the revision.
    world.run("plan -f groups --base before --only-changed").exits(0).says("--base before --only-changed");
}

#[test]
fn links_and_hidden_files_of_a_revision_are_read_as_in_folders() {
    let admins = config(&[("Admins", &["alice@example.com"])]);
    let world = world()
        .file("groups/.hidden.yaml", "not: [valid")
        .file("groups/notes.txt", "not: [valid")
        .file("shared/admins.yml", &admins)
        .file("groups/sub/note.md", "");
    std::os::unix::fs::symlink("../shared/admins.yml", world.path("groups/admins.yaml")).unwrap();
    std::os::unix::fs::symlink("../../groups", world.path("groups/sub/up")).unwrap();
    std::os::unix::fs::symlink("groups", world.path("link")).unwrap();
    git(&world, &["init", "-q"]);
    commit(&world);
    world.write("shared/admins.yml", config(&[("Admins", &["alice@example.com", "bob@example.com"])]));
    for files in ["groups", "link", "link/admins.yaml"] {
        let [change, before] = labels(&world, &format!("plan -f {files} --base HEAD"));
        assert_eq!((change, before), (vec!["bob@example.com".to_owned()], vec![]), "{files}");
    }
    // A link that leads nowhere is an error in folders. Here nothing can be labeled.
    std::fs::remove_file(world.path("groups/admins.yaml")).unwrap();
    std::os::unix::fs::symlink("../shared/gone.yml", world.path("groups/admins.yaml")).unwrap();
    commit(&world);
    std::fs::remove_file(world.path("groups/admins.yaml")).unwrap();
    world.write("groups/admins.yaml", &admins);
    world.run("plan -f groups --base HEAD").exits(0).warns("the base cannot be used").warns("groups/admins.yaml");
}

#[test]
fn stored_content_is_filtered_as_in_a_checkout() {
    let world = world().file("convoke.yaml", config(&[("Admins", &["alice@example.com"])]));
    git(&world, &["init", "-q"]);
    world.write(".gitattributes", "*.yaml filter=test\n");
    // Stores a pointer, as Git LFS does, and gets the content from elsewhere.
    git(&world, &["config", "filter.test.clean", "cat >/dev/null; echo version https://git-lfs.github.com/spec/v1"]);
    git(&world, &["config", "filter.test.smudge", "cat .git/content"]);
    std::fs::copy(world.path("convoke.yaml"), world.path(".git/content")).unwrap();
    commit(&world);
    assert!(git(&world, &["cat-file", "blob", "HEAD:convoke.yaml"]).starts_with("version https"));
    world.write("convoke.yaml", config(&[("Admins", &["alice@example.com", "bob@example.com"])]));
    assert_eq!(labels(&world, "plan --base HEAD")[0], ["bob@example.com"]);
}

#[test]
fn base_without_files_is_the_first_adoption() {
    let world = world();
    git(&world, &["init", "-q"]);
    git(&world, &["commit", "-q", "--allow-empty", "-m", "nothing"]);
    world.write("groups/a.yaml", config(&[("Admins", &["alice@example.com", "bob@example.com"])]));
    std::fs::create_dir(world.path("empty")).unwrap();
    for base in ["HEAD", "empty"] {
        let outcome = world.run(&format!("plan -f groups --base {base} --format json")).exits(0);
        let outcome = outcome.warns("--base has no files").warns("first adoption");
        assert_eq!(outcome.json()["groups"][0]["changes"][0]["since"], "change");
    }
}

/// Files that move from one default to the other are the same files: nobody who is undeclared is removed by that.
#[test]
fn a_revision_can_have_the_other_default() {
    let files = config(&[("Admins", &["bob@example.com"])]);
    for (before, now) in [("convoke.yaml", "groups/a.yaml"), ("groups/a.yaml", "convoke.yaml")] {
        let world = world().file(before, files.clone());
        git(&world, &["init", "-q"]);
        commit(&world);
        std::fs::remove_file(world.path(before)).unwrap();
        world.write(now, files.clone());
        let plan = world.run("plan --base HEAD --only-changed --format json").exits(0).json();
        assert!(plan["status"] == "in_sync" && plan["first_adoption"].is_null(), "{plan}");
        assert_eq!(
            labels(&world, "plan --base HEAD"),
            [vec![], vec!["bob@example.com".to_owned(), "alice@example.com".to_owned()]]
        );
        world.run("apply --tip HEAD --yes --format json").exits(0);
        // A path that is named is read there, and no other.
        let named = format!("plan --base HEAD -f {now} --format json");
        world.run(&named).exits(0).warns("first adoption");
    }
}

/// A pull request could otherwise add a folder that is called like its base, and its plan would show no change.
#[test]
fn a_path_does_not_hide_a_revision() {
    let world = world().file("groups/a.yaml", config(&[("Admins", &["alice@example.com"])]));
    git(&world, &["init", "-q"]);
    commit(&world);
    git(&world, &["branch", "before"]);
    let files = config(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    world.write("groups/a.yaml", files.clone());
    for name in ["before".to_owned(), git(&world, &["rev-parse", "HEAD"])] {
        world.write(&format!("{name}/a.yaml"), files.clone());
        world.run(&format!("plan -f groups --base {name}")).exits(64).warns("is both a path that exists and a Git rev");
        world.run(&format!("apply -f groups --yes --tip {name}")).exits(65).warns("is both a path");
        assert_eq!(labels(&world, &format!("plan -f groups --base ./{name}"))[0], Vec::<String>::new());
    }
    assert_eq!(labels(&world, "plan -f groups --base before~0")[0], ["bob@example.com"]);
}

#[test]
fn mistyped_base_is_a_usage_error() {
    let world = world().groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    // There is no repository, then one without this revision.
    for repository in [false, true] {
        if repository {
            git(&world, &["init", "-q"]);
            commit(&world);
        }
        for base in ["--base=nowhere/groups", "--base=-main", "--base=--help", "--base=", "--base=HEAD:convoke.yaml"] {
            let outcome = world.run(&format!("plan {base} --only-changed")).exits(64);
            assert!(outcome.stdout.is_empty(), "{outcome}");
        }
    }
    assert_eq!(world.request_count(), 0);
    world.run("plan --base nowhere").exits(64).warns("\"nowhere\" is neither a path that exists nor a Git revision");
    let outcome = world.env("PATH", "/nowhere").run("plan --base main").exits(64);
    outcome.warns("the program git cannot be run").warns("install git, or name a path that exists");
}
