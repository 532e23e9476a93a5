//! Outputs that fail: a full or closed stdout, a full disk.

#![cfg(unix)]

use std::process::Stdio;

use convoke::cloudflare::Fate;
use convoke::journal;
use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::{World, given};
use crate::killed::{ended, nobody_to_stay_ever_left, world};

/// Runs the program from a shell with this preparation.
fn run_from_shell(world: &World, scene: &str, arguments: &str, redirection: &str) -> (Option<i32>, String, String) {
    let output = world.shell(scene, arguments, redirection).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code(), stdout, stderr)
}

#[test]
fn report_goes_to_stderr_if_stdout_fails() {
    for redirection in [">/dev/full", "| true"] {
        let world = world();
        let (_, _, stderr) = run_from_shell(&world, "", "apply --yes --format json", redirection);
        let report = stderr.find('{').map(|at| &stderr[at..]).unwrap_or_default();
        assert!(report.contains("\"status\": \"applied\""), "{stderr}");
    }
    // In text, the plan is lost before the change. The exit code is still the report's.
    for format in ["json", "text"] {
        let world = world();
        let (code, _, stderr) = run_from_shell(&world, "", &format!("apply --yes --format {format}"), ">/dev/full");
        assert_eq!(code, Some(0), "{stderr}");
    }
}

#[cfg(target_os = "linux")] // for /dev/full
#[test]
fn result_goes_to_stderr_if_stdout_fails() {
    let world = world();
    for (arguments, exit) in [("plan", 1), ("plan --format json", 1), ("drift", 2)] {
        let (code, _, stderr) = run_from_shell(&world, "", arguments, ">/dev/full");
        assert_eq!(code, Some(exit), "{arguments}: {stderr}");
        assert!(stderr.contains("cannot write the result"), "{arguments}: {stderr}");
    }
    assert_eq!(world.writes(), Vec::<String>::new());
    // If stdout is closed at the start, the standard library opens it as /dev/null.
    let (code, _, stderr) = run_from_shell(&world, "", "plan", ">&-");
    assert!(matches!(code, Some(0 | 1)), "{stderr}");
}

#[test]
fn closed_pipe_ends_quietly() {
    let world = world();
    let mut child = world.process().arg("plan").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = ended(&mut child);
    let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn full_disk_stops_the_run_and_keeps_journal() {
    let full = (0..12).map(|blocks| {
        let world = world();
        // Files have a maximum number of blocks, so the write that exceeds it is cut.
        let scene = format!("ulimit -f {blocks};");
        let (code, stdout, stderr) =
            run_from_shell(&world, &scene, "apply --yes --concurrency 1 --journal j.jsonl", "");
        let effects = world.account().requests().iter().filter(|request| request.effect).count();
        if code == Some(0) {
            return false;
        }
        let text = std::fs::read(world.path("j.jsonl")).unwrap_or_default();
        match journal::parse(&text) {
            Ok(record) => {
                let ended = if effects == 0 { [Some(1), Some(5)] } else { [Some(5), Some(1)] };
                assert!(ended.contains(&code), "{stdout}{stderr}");
                let said = ["the journal cannot be written", "The journal is incomplete"];
                assert!(said.iter().any(|said| stdout.contains(said)), "{stdout}{stderr}");
                let recorded = record.operations.values();
                let recorded = recorded.filter(|operation| operation.outcome != Fate::NotSent).count();
                assert!(effects <= recorded, "{effects} effects, {record:#?}");
            }
            // There is no space even for the first line, so nothing starts.
            Err(error) => {
                assert_eq!((code, effects), (Some(1), 0), "{error}: {stdout}{stderr}");
            }
        }
        nobody_to_stay_ever_left(&world);
        world.run("apply --yes").exits(0);
        true
    });
    let full = full.filter(|full| *full).count();
    assert!(full > 3, "the disk was full {full} times only");
}

#[test]
fn too_small_disk_stops_before_the_first_write() {
    let members: Vec<String> = (0..400).map(|number| format!("p{number}@example.com")).collect();
    let lists: Vec<&str> = members.iter().map(String::as_str).collect();
    let world = given(Seed::default().group("A", members.clone()).person("new@example.com"))
        .groups(&[("A", &[&lists[..], &["new@example.com"]].concat())]);
    // There is space for the first line, but not for the members of the group.
    let (code, stdout, stderr) = run_from_shell(&world, "ulimit -f 4;", "apply --yes --journal j.jsonl", "");
    assert_eq!((code, world.writes()), (Some(1), Vec::new()), "{stdout}{stderr}");
    assert!(stdout.contains("the journal cannot be written"), "{stdout}{stderr}");
    assert!(journal::parse(world.read("j.jsonl").as_bytes()).unwrap().last_seen.is_empty());
}

#[test]
fn failed_write_keeps_the_old_file() {
    let world = world();
    world.write("plan.json", "the plan before");
    world.write("metrics.prom", "the metrics before");
    for (arguments, exit) in [("plan --out plan.json", 1), ("drift --metrics-file metrics.prom", 2)] {
        let (code, _, stderr) = run_from_shell(&world, "ulimit -f 0;", arguments, "");
        assert_eq!(code, Some(exit), "{arguments}: {stderr}");
        assert!(stderr.contains("cannot be written"), "{stderr}");
    }
    assert_eq!(world.read("plan.json"), "the plan before");
    assert_eq!(world.read("metrics.prom"), "the metrics before");
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "something was left behind: {left:?}");
}

#[test]
fn output_over_an_input_is_a_usage_error() {
    let world = world();
    world.run("apply --yes --journal j.jsonl").exits(0);
    world.write("groups/a.yaml", world.read("convoke.yaml"));
    std::os::unix::fs::symlink("convoke.yaml", world.path("link")).unwrap();
    let files = ["convoke.yaml", "j.jsonl", "groups/a.yaml"];
    let before = files.map(|file| world.read(file));
    for arguments in [
        "undo j.jsonl -f convoke.yaml --out j.jsonl",
        "undo j.jsonl -f convoke.yaml --out convoke.yaml",
        "plan -f convoke.yaml --out ./convoke.yaml",
        "plan -f convoke.yaml --out link",
        "plan -f groups --out groups/a.yaml",
        "plan -f groups --base convoke.yaml --out convoke.yaml",
        "drift -f groups --metrics-file groups/a.yaml",
        "review -f groups --out groups/a.yaml",
        "apply j.jsonl --yes --journal j.jsonl",
    ] {
        world.run(arguments).exits(64).warns("which this command reads");
    }
    assert_eq!(files.map(|file| world.read(file)), before);
    // A new file in the folder would be read by the next command.
    for arguments in ["plan -f groups --out groups/new.yaml", "drift -f groups --metrics-file groups/new.YML"] {
        world.run(arguments).exits(64).warns("would be one of the files of groups");
    }
    world.run("plan -f groups --out groups/plan.json").exits(0);
    world.run("plan -f groups --out groups/.plan.yaml").exits(0);
}

#[test]
fn fifo_that_nobody_reads_does_not_hide_the_result() {
    let world = world();
    std::process::Command::new("mkfifo").arg(world.path("fifo")).status().unwrap();
    let began = std::time::Instant::now();
    let outcome = world.run("drift --metrics-file fifo").exits(2).warns("warning: fifo cannot be written");
    outcome.says("Drift:").warns("nothing read from it for 5 s");
    assert!(began.elapsed().as_secs() < 15);
    // With a reader the output arrives.
    let mut reader = std::process::Command::new("cat").arg(world.path("fifo")).stdout(Stdio::piped()).spawn().unwrap();
    world.run("drift --metrics-file fifo").exits(2);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader.stdout.take().unwrap(), &mut text).unwrap();
    reader.wait().unwrap();
    assert!(text.contains("convoke_drift_"), "{text}");
}

#[test]
fn journal_that_nobody_reads_stops_before_the_first_write() {
    let world = world();
    std::process::Command::new("mkfifo").arg(world.path("fifo")).status().unwrap();
    let began = std::time::Instant::now();
    world.run("apply --yes --journal fifo").exits(1).warns("cannot create the journal fifo; nothing was changed");
    assert!(began.elapsed().as_secs() < 15 && world.writes().is_empty());
    // With a reader the journal arrives.
    let reader = std::process::Command::new("cat").arg(world.path("fifo")).stdout(Stdio::piped()).spawn().unwrap();
    world.run("apply --yes --journal fifo").exits(0);
    let text = reader.wait_with_output().unwrap().stdout;
    assert!(journal::parse(&text).unwrap().ended);
}

#[test]
fn journal_that_nobody_reads_any_more_does_not_hide_the_report() {
    let world = world();
    std::process::Command::new("mkfifo").arg(world.path("fifo")).status().unwrap();
    // A pipe of the smallest size takes some lines, and no more.
    let script = "import fcntl, os, sys, time\nfifo = os.open(sys.argv[1], os.O_RDONLY)\n\
                  fcntl.fcntl(fifo, 1031, 4096)\ntime.sleep(60)";
    let mut reader =
        std::process::Command::new("python3").args(["-c", script]).arg(world.path("fifo")).spawn().unwrap();
    let outcome = world.run("apply --yes --journal fifo");
    reader.kill().unwrap();
    reader.wait().unwrap();
    outcome.exits(1).says("Applied in part").warns("the journal is incomplete: nothing read from it for 5 s");
}

#[test]
fn argument_that_is_not_utf8_is_a_usage_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let world = world();
    for arguments in [vec!["plan", "--only"], vec!["why"], vec!["plan", "--format"], vec!["--log-format"], vec![]] {
        let output = world.process().args(&arguments).arg(odd).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    // A path may have any bytes.
    let output = world.process().args(["validate", "-f"]).arg(odd).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
}
