//! `apply` asks on a terminal, and accepts only "yes".

#![cfg(target_os = "linux")] // for `script` of util-linux, which makes a terminal

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use convoke::sandbox::{self, Delay, Endpoint, Fault, FaultRule, Match, Seed};

use crate::builders::{EditExt as _, FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, binary, given};
use crate::live::LiveAccount;

/// A question that is never answered fails after this time.
const PATIENCE: Duration = Duration::from_secs(60);

fn world() -> World {
    let seed = Seed::default().group("A", ["a@example.com"]).person("b@example.com");
    given(seed).groups(&[("A", &["a@example.com", "b@example.com"])])
}

/// Runs `apply` on its own terminal.
fn on_terminal(world: &World) -> Command {
    command_on_terminal(world, "apply")
}

fn command_on_terminal(world: &World, arguments: &str) -> Command {
    let environment = world.process();
    let variables = environment.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut command = Command::new("script");
    command.args([
        "--quiet",
        "--return",
        "--command",
        &format!("exec {} {arguments}", binary().display()),
        "/dev/null",
    ]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").envs(variables).current_dir(world.path(""));
    command
}

/// The typed text is followed by Ctrl-D.
fn typed(world: &World, text: &str) -> (Option<i32>, String) {
    let mut command = assert_cmd::Command::from_std(on_terminal(world));
    let output = command.write_stdin(text).timeout(PATIENCE).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Runs `apply`, does something while it asks, and then types the answer.
fn answered(world: &World, answer: &[u8], meanwhile: impl FnOnce()) -> (Option<i32>, String) {
    let mut child = on_terminal(world).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    while !shown.ends_with(b"accepted: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    meanwhile();
    keyboard.write_all(answer).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    (child.wait().unwrap().code(), String::from_utf8(shown).unwrap())
}

#[test]
fn end_of_input_at_the_question_changes_nothing() {
    let world = world();
    let (code, shown) = typed(&world, "");
    assert!(
        shown.contains("to account Sandbox (")
            && shown.contains("Only \"yes\" is accepted")
            && shown.contains("not confirmed; nothing was changed"),
        "{shown}"
    );
    assert_eq!((code, world.writes()), (Some(1), Vec::new()), "{shown}");
}

#[test]
fn answers_other_than_yes_change_nothing() {
    for answer in ["y\n", "no\n", "\n", "yes please\n"] {
        let world = world();
        let (code, shown) = typed(&world, answer);
        assert_eq!((code, world.writes()), (Some(1), Vec::new()), "{answer:?}: {shown}");
    }
}

#[test]
fn yes_at_the_question_applies_the_plan() {
    let world = world();
    let (code, shown) = typed(&world, "yes\n");
    assert_eq!((code, world.writes().len()), (Some(0), 1), "{shown}");
}

#[test]
fn signal_at_the_question_changes_nothing() {
    // Ctrl-C and Ctrl-\, which the terminal turns into SIGINT and SIGQUIT.
    for key in [3, 28] {
        let world = world();
        let (code, shown) = answered(&world, &[key], || {});
        assert_eq!((code, world.writes()), (Some(130), Vec::new()), "{shown}");
        assert!(shown.contains("Interrupted. Nothing was changed."), "{shown}");
    }
}

#[test]
fn plan_that_no_longer_fits_at_the_answer_is_stale() {
    type Edit = fn(&LiveAccount);
    let edits: [(&str, Edit); 4] = [
        ("names swapped", |account| assert!(account.edit(&sandbox::Edit::swap_names("Old", "Other")))),
        ("new group left", |account| assert!(account.remove("New", "mover@example.com"))),
        ("below min_members", |account| assert!(account.remove("Old", "b@example.com"))),
        ("group deleted", |account| assert!(account.delete_group("Old"))),
    ];
    for (what, edit) in edits {
        let seed = Seed::default()
            .group("Old", ["a@example.com", "b@example.com", "mover@example.com"])
            .group("New", ["mover@example.com"])
            .group("Other", ["x@example.com"]);
        let file = "version: 1\nsettings: {limits: {group_removals: 100%, total_removals: 100%}}\ngroups:\n  \
                    Old: {min_members: 2, members: [a@example.com, b@example.com]}\n  New: {members: [mover@example.com]}\n  \
                    Other: {members: [x@example.com]}\n";
        let world = given(seed).file("convoke.yaml", file);
        let (code, shown) = answered(&world, b"yes\n", || edit(&world.account()));
        assert_eq!((code, world.writes()), (Some(4), Vec::new()), "{what}: {shown}");
    }
}

#[test]
fn a_stranger_at_the_question_does_not_matter_to_an_additive_group() {
    let seed = Seed::default().group("A", ["a@example.com"]).person("b@example.com");
    let world =
        given(seed).file("convoke.yaml", "version: 1\ngroups:\n  A: {mode: additive, members: [b@example.com]}\n");
    let (code, shown) = answered(&world, b"yes\n", || assert!(world.account().add("A", "stranger@example.com")));
    assert_eq!((code, world.writes().len()), (Some(0), 1), "{shown}");
}

/// What is left of the lines of a terminal.
fn scrollback(output: &str) -> Vec<String> {
    let after_clearing = |part: &str| part.rsplit("\u{1b}[2K").next().unwrap_or_default().to_owned();
    output.split('\n').map(|line| after_clearing(line.trim_end_matches('\r').rsplit('\r').next().unwrap())).collect()
}

/// Twenty groups in sync, and an API that asks to wait once and fails once.
fn twenty_groups() -> World {
    let on = || Match::operation(Endpoint::ListMembers);
    let seed = Seed { latency: Delay::millis(150), ..Seed::default() };
    let seed =
        seed.fault(FaultRule::once(on(), Fault::rate_limited(1))).fault(FaultRule::once(on(), Fault::status(502)));
    let names: Vec<String> = (0..20).map(|number| format!("G{number}")).collect();
    let groups: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), ["a@example.com"].as_slice())).collect();
    given(names.iter().fold(seed, |seed, name| seed.group(name, ["a@example.com"]))).groups(&groups)
}

#[test]
fn retries_update_one_line_and_leave_nothing() {
    for (flags, lines) in [("", 0), ("-v", 2)] {
        let output = command_on_terminal(&twenty_groups(), &format!("plan {flags}")).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("reading the account 1/21, ") && shown.contains("s: rate limit"), "{shown}");
        let left = scrollback(&shown);
        assert!(!left.iter().any(|line| line.contains("reading the account")), "{left:#?}");
        assert_eq!(left.iter().filter(|line| line.contains("trying again")).count(), lines, "{left:#?}");
        assert!(left.iter().any(|line| line.contains("No changes. 20 groups in sync.")), "{left:#?}");
    }
}

#[test]
fn retries_are_lines_where_there_is_no_terminal() {
    let outcome = twenty_groups().run("plan").exits(0);
    let retries: Vec<&str> = outcome.log.lines().filter(|line| line.contains("trying again")).collect();
    assert_eq!(retries.len(), 2, "{}", outcome.log);
    // The time has no parts of a second: 2026-11-29T04:20:00Z.
    assert!(retries.iter().all(|line| line.as_bytes()[19] == b'Z'), "{retries:?}");
}
