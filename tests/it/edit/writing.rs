//! How edits are written: completely, through links, with the file's mode, and never into a pipe.

use super::*;

#[test]
fn wrong_files_are_reported_and_left_alone() {
    let text = "version: 1\ngroups:\n  Ops:\n    members: [a@b.c]\n    modus: exact\n";
    let world = world(text);
    run(&world, "grant d@b.c Ops").exits(65).warns("convoke.yaml:5:5: unknown key");
    assert_eq!(run(&world, "grant d@b.c Ops --format json").exits(65).json()["problems"][0]["line"], 5);
    assert_eq!(text_of(&world, "convoke.yaml"), text);
}

#[test]
fn uneditable_list_is_named_with_its_line() {
    let text = "version: 1\ngroups:\n  Ops:\n    members: &people\n      - a@b.c\n  Dev:\n    members: *people\n";
    let refusal = refused(text, "grant d@b.c Ops", 65);
    assert!(refusal.contains("convoke.yaml:4:5: ") && refusal.contains("by hand"), "{refusal}");
}

#[test]
fn entry_and_roster_may_be_in_different_files() {
    let world = nothing()
        .file("groups/a.yaml", "version: 1\ngroups:\n  Ops:\n    members:\n      - roster: sre\n")
        .file("groups/b.yaml", "version: 1\r\nrosters:\r\n  sre:\r\n  - a@b.c\r\n  - c@b.c");
    run(&world, "grant b@b.c --roster sre -f groups").exits(0).says("(groups/b.yaml:5)");
    assert_eq!(
        text_of(&world, "groups/b.yaml"),
        "version: 1\r\nrosters:\r\n  sre:\r\n  - a@b.c\r\n  - b@b.c\r\n  - c@b.c"
    );
    run(&world, "revoke b@b.c --roster sre -f groups").exits(0);
    assert_eq!(text_of(&world, "groups/b.yaml"), "version: 1\r\nrosters:\r\n  sre:\r\n  - a@b.c\r\n  - c@b.c");
}

#[test]
fn hostile_entries_cannot_send_terminal_escapes() {
    let world =
        world("version: 1\ngroups:\n  \"A\\e[31m\": {members: []}\n  B\u{202e}: {members: [], allow_empty: true}\n");
    let said = run(&world, "grant a@b.c 'B\u{202e}' --reason '::add-mask::x'");
    assert!(!format!("{said}").contains(['\u{202e}', '\u{1b}']), "{said}");
    world.write("convoke.yaml", "version: 1\ngroups:\n  B\u{202e}: {members: [], allow_empty: true}\n");
    let said = run(&world, "grant a@b.c 'B\u{202e}' --reason '::add-mask::x'").exits(0);
    assert!(!format!("{said}").contains('\u{202e}'), "{said}");
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn links_and_modes_are_kept() {
        let world = nothing().file("real/ops.yaml", ops("\n      - a@b.c\n"));
        fs::create_dir(world.path("groups")).unwrap();
        symlink("../real/ops.yaml", world.path("groups/link.yaml")).unwrap();
        fs::set_permissions(world.path("real/ops.yaml"), Permissions::from_mode(0o640)).unwrap();
        run(&world, "grant b@b.c Ops -f groups").exits(0);
        assert!(fs::symlink_metadata(world.path("groups/link.yaml")).unwrap().is_symlink());
        assert_eq!(fs::metadata(world.path("real/ops.yaml")).unwrap().mode() & 0o777, 0o640);
        assert_eq!(text_of(&world, "real/ops.yaml"), ops("\n      - a@b.c\n      - b@b.c\n"));
        assert_eq!(fs::read_dir(world.path("real")).unwrap().count(), 1);
    }

    #[test]
    fn pipe_is_refused_without_being_read() {
        let world = world(&ops(" []\n"));
        let made = std::process::Command::new("mkfifo").arg(world.path("pipe.yaml")).status().unwrap();
        assert!(made.success());
        run(&world, "grant b@b.c Ops -f pipe.yaml").exits(65).warns("pipe.yaml: this is not a regular file");
        run(&world, "grant b@b.c Ops -f /dev/stdin --dry-run").exits(65);
    }

    #[test]
    fn unwritable_file_exits_1_and_writes_nothing() {
        let world = world(&ops("\n      - a@b.c\n").replace("Ops", "Other"));
        fs::create_dir(world.path("groups")).unwrap();
        fs::write(world.path("groups/a.yaml"), ops(" []\n")).unwrap();
        let folder = world.path("groups");
        fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
        let probe = fs::write(folder.join("probe"), "");
        if probe.is_ok() {
            fs::remove_file(folder.join("probe")).unwrap();
        } else {
            run(&world, "grant b@b.c Ops Other -f groups -f convoke.yaml")
                .exits(1)
                .warns("groups/a.yaml cannot be written")
                .warns("nothing was written");
            assert_eq!(text_of(&world, "convoke.yaml"), ops("\n      - a@b.c\n").replace("Ops", "Other"));
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn parallel_edits_keep_every_reported_change() {
        let world = world(&ops("\n      - a@b.c\n"));
        let people: Vec<String> = (0..12).map(|number| format!("p{number}@b.c")).collect();
        let started: Vec<_> = people
            .iter()
            .map(|person| {
                let mut command = world.process();
                command
                    .args(["grant", person, "Ops"])
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null());
                (person, command.spawn().unwrap())
            })
            .collect();
        let mut granted = Vec::new();
        for (person, mut child) in started {
            if child.wait().unwrap().success() {
                granted.push(person);
            }
        }
        let text = text_of(&world, "convoke.yaml");
        assert!(!granted.is_empty());
        assert!(granted.iter().all(|person| text.contains(&format!("- {person}\n"))), "{granted:?} {text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn edit_is_reported_with_full_stdout() {
    let world = world(&ops(" []\n"));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = world.process().args(["grant", "a@b.c", "Ops"]).stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("add a@b.c to group \"Ops\""));
}

/// Two grants that break a rule together, each in its own file.
#[test]
fn edits_of_two_files_cannot_break_a_rule_together() {
    let exclusive = "version: 1\ngroups:\n  A:\n    exclusive_with: [B]\n    members:\n      - a@x.y\n";
    let other = "version: 1\ngroups:\n  B:\n    members:\n      - b@x.y\n";
    for _ in 0..8 {
        let world = nothing().file("groups/a.yaml", exclusive).file("groups/b.yaml", other);
        let grant = |group: &str| {
            let mut command = world.process();
            command.args(["grant", "c@x.y", group]);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
        };
        let codes = [grant("A"), grant("B")].map(|mut child| child.wait().unwrap().code());
        assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
        world.run("validate").exits(0);
    }
}

#[test]
fn edits_that_name_the_files_in_another_order_take_turns() {
    let people: String = (0..12).map(|number| format!("      - z{number}@b.c\n")).collect();
    let file = |group: &str| format!("version: 1\ngroups:\n  {group}:\n    members:\n      - a@b.c\n{people}");
    let world = nothing().file("a.yaml", file("A")).file("b.yaml", file("B"));
    let flags = ["-f a.yaml -f b.yaml", "-f b.yaml -f a.yaml", "-f b.yaml"];
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (world, flags) = (&world, flags[number % 3]);
            scope.spawn(move || world.run(&format!("revoke z{number}@b.c B {flags}")).exits(0));
        }
    });
    assert_eq!(world.read("b.yaml"), file("B").replace(&people, ""));
}
