//! Interrupted runs: killed before and after every write, or stopped by a signal.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use convoke::cloudflare::Fate;
use convoke::journal;
use convoke::sandbox::{Cut, Delay, Endpoint, Fault, FaultRule, Match, Request, Seed};

use crate::builders::{FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given};

/// Longer than any test waits.
const FOREVER: Delay = Delay::millis(600_000);

/// Long enough for a signal to arrive meanwhile, also on a busy machine.
const LONG: Delay = Delay::millis(6000);

/// The time within which an immediate effect must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The memberships before the run, and as declared.
const BEFORE: [(&str, &[&str]); 3] = [
    (
        "Large",
        &["a1@example.com", "a2@example.com", "a3@example.com", "a4@example.com", "a5@example.com", "both@example.com"],
    ),
    ("Other", &["c1@example.com"]),
    ("Small", &["b1@example.com", "b2@example.com", "b3@example.com"]),
];
const AFTER: [(&str, &[&str]); 3] = [
    ("Large", &["a5@example.com", "both@example.com", "new1@example.com"]),
    ("Other", &["a1@example.com", "c1@example.com"]),
    ("Small", &["b3@example.com", "new2@example.com"]),
];

/// A plan with every kind of write, and a member who moves between groups.
pub fn world() -> World {
    let seed = Seed::default().people(["new1@example.com", "new2@example.com"]);
    let group = |seed: Seed, (name, members): (&str, &[&str])| seed.group(name, members.to_vec());
    given(BEFORE.into_iter().fold(seed, group)).groups(&AFTER)
}

fn applying(world: &World, journal: &str) -> Command {
    let mut command = world.process();
    command.args(["apply", "--yes", "--concurrency", "1", "--journal", journal]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The write requests of an uninterrupted run.
fn writes() -> Vec<Request> {
    let world = world();
    world.run("apply --yes --concurrency 1").exits(0);
    let requests = world.account().requests().into_iter();
    requests.filter(|request| request.method != "GET").collect()
}

/// The requests that are equal to this one.
fn same(world: &World, write: &Request) -> Match {
    let group = BEFORE.iter().find(|(name, _)| world.account().group_id(name) == write.group).unwrap().0;
    let on = Match::operation(write.operation.unwrap()).group(group);
    write.member.map_or(on.clone(), |member| on.member(member.as_str()))
}

/// Waits until a request of this operation for this member has arrived, and has taken effect if it should.
fn arrived(world: &World, write: &Request, effect: bool) {
    let same = |request: &Request| {
        (request.operation, request.group, request.member) == (write.operation, write.group, write.member)
            && request.effect == effect
    };
    until("the write arrives", || world.account().requests().iter().any(same));
}

fn until(what: &str, happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "it takes too long until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for the process to end by itself.
pub fn ended(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "the program does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// No member who should stay in a group ever left it.
#[track_caller]
pub fn nobody_to_stay_ever_left(world: &World) {
    for ((name, before), (_, after)) in BEFORE.iter().zip(AFTER) {
        let staying: BTreeSet<_> = before.iter().filter(|email| after.contains(email)).collect();
        for email in staying {
            let (group, member) = (world.account().group_id(name).unwrap(), world.account().person_id(email).unwrap());
            let left =
                world.account().history().into_iter().any(|change| (change.group, change.member) == (group, member));
            assert!(!left, "{email} was not left alone in {name}");
        }
    }
    // The member who moves is in the new group before leaving the old one.
    let mover = world.account().person_id("a1@example.com").unwrap();
    let moves: Vec<bool> =
        world.account().history().iter().filter(|change| change.member == mover).map(|change| change.joined).collect();
    assert!(moves.is_empty() || moves[0], "a1 left before joining");
}

/// The account confirms the changes in the journal, except the one write that was in flight.
#[track_caller]
fn journal_is_true(world: &World, path: &str, under_way: &Request) {
    let bytes = std::fs::read(world.path(path)).unwrap();
    let record = journal::parse(&bytes).unwrap();
    let effects = world.account().requests().iter().filter(|request| request.effect).count();
    let operations = record.operations.values();
    let done = operations.clone().filter(|operation| operation.outcome == Fate::Answered).count();
    let unknown: Vec<_> = operations.filter(|operation| operation.outcome == Fate::Unknown).collect();
    // Other writes may have been announced and wait for their turn.
    let unknown_groups: Vec<_> = unknown.iter().map(|operation| Some(operation.effect.group.id)).collect();
    assert!(unknown_groups.contains(&under_way.group), "{record:#?}");
    // An answered write may not have been recorded yet.
    assert!((done..=done + unknown_groups.len()).contains(&effects), "{effects} effects, {record:#?}");
    // The journal can be read with a last line that is cut anywhere.
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for end in last + 1..bytes.len() {
        journal::parse(&bytes[..end]).unwrap_or_else(|error| panic!("torn at {end}: {error}"));
    }
}

#[test]
fn killed_run_loses_nothing_and_converges() {
    let writes = writes();
    let kinds: BTreeSet<Endpoint> = writes.iter().filter_map(|write| write.operation).collect();
    assert_eq!(kinds.len(), 3, "the plan is to hold every kind of write: {writes:#?}");
    for write in &writes {
        for after in [false, true] {
            let world = world();
            let fault = if after { Fault::Stall(FOREVER) } else { Fault::Latency(FOREVER) };
            world.account().push_fault(FaultRule::once(same(&world, write), fault));
            let mut child = applying(&world, "first.jsonl").spawn().unwrap();
            arrived(&world, write, after);
            child.kill().unwrap();
            child.wait().unwrap();
            journal_is_true(&world, "first.jsonl", write);
            nobody_to_stay_ever_left(&world);

            world.account().clear_faults();
            world.run("apply --yes --journal second.jsonl").exits(0);
            for (name, members) in AFTER {
                assert_eq!(world.members(name), members, "killed {write:?}, after its effect: {after}");
            }
            nobody_to_stay_ever_left(&world);
            world.forget_requests();
            world.run("apply --yes").exits(0);
            assert_eq!(world.writes(), Vec::<String>::new());
        }
    }
}

#[test]
fn killed_saved_plan_continues() {
    for write in &writes() {
        let world = world();
        world.run("plan --out plan.json").exits(0);
        world.account().push_fault(FaultRule::once(same(&world, write), Fault::Stall(FOREVER)));
        let mut command = world.process();
        command.args(["apply", "plan.json", "--yes", "--concurrency", "1"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        arrived(&world, write, true);
        child.kill().unwrap();
        child.wait().unwrap();

        world.account().clear_faults();
        world.run("apply plan.json --yes").exits(0);
        for (name, members) in AFTER {
            assert_eq!(world.members(name), members, "killed {write:?}");
        }
        nobody_to_stay_ever_left(&world);
    }
}

#[test]
fn signal_finishes_requests_in_flight_only() {
    std::thread::scope(|scope| {
        let ignored = hangup_is_ignored();
        for name in ["INT", "TERM", "HUP", "QUIT"].into_iter().filter(|name| *name != "HUP" || !ignored) {
            scope.spawn(move || finishes_requests_in_flight_only(name));
        }
    });
}

/// Whether this process was started by `nohup` or the like: its children then ignore the signal, too.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

fn finishes_requests_in_flight_only(name: &str) {
    let world = world();
    let write = &writes()[0];
    world.account().push_fault(FaultRule::once(same(&world, write), Fault::Stall(LONG)));
    let child = applying(&world, "journal.jsonl").spawn().unwrap();
    arrived(&world, write, true);
    signal(&child, name);
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(5), "{stdout}{stderr}");
    assert!(stdout.contains("interrupted before it was sent"), "{stdout}{stderr}");
    // Two groups start concurrently, so the other group's POST may have come first.
    let writes = world.writes().len();
    assert!(writes <= 2, "{:?}", world.writes());
    let record = journal::parse(world.read("journal.jsonl").as_bytes()).unwrap();
    let operations = record.operations.values();
    let outcomes: Vec<Fate> = operations.map(|operation| operation.outcome).collect();
    let answered = outcomes.iter().filter(|outcome| **outcome == Fate::Answered).count();
    let unsent = outcomes.iter().filter(|outcome| **outcome == Fate::NotSent).count();
    assert_eq!((answered, unsent), (writes, outcomes.len() - writes), "{record:#?}");
    world.run("apply --yes").exits(0);
    for (name, members) in AFTER {
        assert_eq!(world.members(name), members);
    }
}

#[test]
fn ignored_hangup_does_not_stop_the_run() {
    let world = world();
    let write = &writes()[0];
    world.account().push_fault(FaultRule::once(same(&world, write), Fault::Stall(LONG)));
    // As `nohup` starts it.
    let mut command = world.shell("trap '' HUP;", "apply --yes --concurrency 1", "");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    arrived(&world, write, true);
    signal(&child, "HUP");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, members) in AFTER {
        assert_eq!(world.members(name), members);
    }
}

#[test]
fn interrupted_run_settles_a_lost_write_by_reading() {
    let world = world();
    let write = &writes()[0];
    // Longer than the time that a run has for reading after a signal.
    let fault = Fault::All(vec![Fault::Stall(Delay::millis(3500)), Fault::Cut(Cut::After)]);
    world.account().push_fault(FaultRule::once(same(&world, write), fault));
    let child = applying(&world, "journal.jsonl").args(["--format", "json"]).spawn().unwrap();
    arrived(&world, write, true);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["interrupted"]), (Some(5), &true.into()), "{report:#}");
    // Two groups start concurrently, so the other group's POST may have come first.
    let effects = world.account().requests().iter().filter(|request| request.effect).count();
    assert_eq!(report["added"], effects, "{report:#}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Interrupt received. Finishing requests in flight; press Ctrl-C again"), "{stderr}");
}

#[test]
fn signal_during_the_last_write_leaves_nothing_to_do() {
    let seed = Seed::default().group("A", ["a@example.com"]).person("b@example.com");
    let adds = Match::operation(Endpoint::AddMembers);
    let world = given(seed.fault(FaultRule::once(adds, Fault::Stall(LONG))))
        .groups(&[("A", &["a@example.com", "b@example.com"])]);
    let child = applying(&world, "journal.jsonl").spawn().unwrap();
    while world.account().requests().iter().all(|request| request.method == "GET") {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stdout}");
    assert!(stdout.contains("Applied: 1 added, 0 removed."), "{stdout}");
    assert!(stdout.contains("Interrupted. Requests in flight were finished; nothing was left to do."), "{stdout}");
    assert!(!stdout.contains("in part") && !stdout.contains("Resolve"), "{stdout}");
}

#[test]
fn interrupted_run_does_not_judge_an_accepted_write() {
    let seed =
        Seed { lag: Delay::millis(60_000), ..Seed::default().group("A", ["a@example.com"]).person("b@example.com") };
    let world = given(seed).groups(&[("A", &["a@example.com", "b@example.com"])]);
    let child = applying(&world, "journal.jsonl").spawn().unwrap();
    until("the write is answered", || world.account().requests().iter().any(|request| request.effect));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stdout}");
    assert!(
        stdout.contains("unknown whether the change was made: the API accepted the change, but the run was"),
        "{stdout}"
    );
    assert!(stdout.contains("Run `convoke apply` again") && !stdout.contains("is not in the group"), "{stdout}");
}

#[test]
fn signal_before_the_first_write_changes_nothing() {
    let world = world();
    let reads = Match::operation(Endpoint::ListGroups);
    world.account().push_fault(FaultRule::once(reads, Fault::Stall(FOREVER)));
    let child = applying(&world, "journal.jsonl").spawn().unwrap();
    while world.account().requests().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(world.writes().is_empty());
}

#[test]
fn signal_ends_commands_that_only_read() {
    for command in ["plan", "drift", "review", "export", "why a1@example.com"] {
        let world = world();
        let reads = Match::operation(Endpoint::ListGroups);
        world.account().push_fault(FaultRule::once(reads, Fault::Stall(FOREVER)));
        let mut process = world.process();
        process.args(command.split(' ')).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = process.spawn().unwrap();
        while world.account().requests().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "TERM");
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{command}: {stderr}");
        assert!(stderr.contains("Interrupted. Nothing was changed."), "{command}: {stderr}");
    }
}

#[test]
#[cfg(target_os = "linux")] // for /proc
fn signal_is_noticed_while_a_file_is_awaited() {
    let world = world();
    assert!(Command::new("mkfifo").arg(world.path("token")).status().unwrap().success());
    let mut process = world.process();
    process.args(["plan", "--token-file", "token"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = process.spawn().unwrap();
    let listens = format!("/proc/{}/task", child.id());
    // The second thread listens for signals.
    while std::fs::read_dir(&listens).map_or(0, Iterator::count) < 2 {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let world = world();
    let write = &writes()[0];
    world.account().push_fault(FaultRule::once(same(&world, write), Fault::Stall(FOREVER)));
    let mut child = applying(&world, "journal.jsonl").arg("-v").spawn().unwrap();
    arrived(&world, write, true);
    signal(&child, "INT");
    // Signals of the same kind can merge into one, so use another kind.
    signal(&child, "TERM");
    let mut again = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        again += 1;
        assert!(again < 60_000, "the program does not end");
        std::thread::sleep(Duration::from_millis(1));
        if again % 100 == 0 {
            signal(&child, "INT");
        }
    };
    assert_eq!(status.code(), Some(5));
    journal_is_true(&world, "journal.jsonl", write);
}
