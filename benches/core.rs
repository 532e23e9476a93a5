//! The time for reading the files and planning, by the number of memberships. There is no network, and only the bench
//! uses a clock. `cargo bench --bench core` prints one line for each size.
#![expect(clippy::print_stdout, reason = "a bench is there to print")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use convoke::config::{self, Source};
use convoke::model::{GroupId, GroupName, GroupSummary, Member, MemberId, Observed, Status};
use convoke::plan::{self, Policy};
use jiff::{SignedDuration, Timestamp};

/// The members of a group.
const GROUP: usize = 500;
/// The groups of a person.
const GROUPS_EACH: usize = 5;
/// One of this number of memberships is missing in the account, and the account has as many undeclared ones.
const DIFFERENT: usize = 100;
/// Each figure is the mean of several runs that together have at least this number of memberships, but never fewer
/// than three runs.
const ENOUGH: usize = 300_000;

fn main() -> Result<()> {
    println!("memberships  differences  reading the files  per membership     planning  per membership");
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        measure(size)?;
    }
    Ok(())
}

fn measure(memberships: usize) -> Result<()> {
    let sources = [Source { path: "convoke.yaml".into(), bytes: file(memberships)?.into_bytes() }];
    let current = account(memberships)?;
    let policy = Policy { expiring_within: SignedDuration::from_hours(24 * 14), ..Policy::new(id(0).parse()?) };
    let (desired, reading) = timed(memberships, || config::parse(&sources));
    let desired = desired?;
    let time = Timestamp::UNIX_EPOCH;
    let (plan, planning) = timed(memberships, || plan::plan(&desired, &current, &policy, time));
    let summary = plan.summary;
    ensure!(summary.blocked == 0 && summary.adds > 0 && summary.removes > 0, "the plan is not the one meant");
    println!(
        "{memberships:>11}  {:>11}  {:>14.1} ms  {:>11} ns  {:>8.1} ms  {:>11} ns",
        summary.adds + summary.removes,
        milliseconds(reading),
        each(reading, memberships),
        milliseconds(planning),
        each(planning, memberships),
    );
    Ok(())
}

/// The result, and the mean time.
fn timed<T>(memberships: usize, run: impl Fn() -> T) -> (T, Duration) {
    let runs = u32::try_from(ENOUGH / memberships).unwrap_or_default().max(3);
    let mut result = run();
    let (start, before) = (Instant::now(), on_processor());
    for _ in 0..runs {
        result = run();
    }
    let spent = before.zip(on_processor()).map(|(before, after)| after.saturating_sub(before));
    (result, spent.unwrap_or_else(|| start.elapsed()) / runs)
}

/// The processor time of this thread, if the system reports it. On a busy machine this is less than the elapsed time.
fn on_processor() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn each(time: Duration, memberships: usize) -> u128 {
    time.as_nanos() / memberships as u128
}

/// The person at an index of a group's list.
fn person(group: usize, place: usize, memberships: usize) -> usize {
    (group * GROUP + place) % (memberships / GROUPS_EACH).max(2 * GROUP)
}

fn email(person: usize) -> String {
    format!("person.{person}@example.com")
}

/// 32 digits without an order, as in the API.
fn id(number: usize) -> String {
    let mixed = |salt: u64| {
        let mut bits = (number as u64).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    };
    format!("{:016x}{:016x}", mixed(1), mixed(2))
}

fn file(memberships: usize) -> Result<String> {
    let mut text = String::from("version: 1\ngroups:\n");
    for group in 0..memberships.div_ceil(GROUP) {
        write!(text, "  Group {group}:\n    members:\n")?;
        for place in 0..GROUP {
            writeln!(text, "      - {}", email(person(group, place, memberships)))?;
        }
    }
    Ok(text)
}

/// The account: each group lacks some members of its list and has some others.
fn account(memberships: usize) -> Result<Observed> {
    let mut current = Observed::default();
    for group in 0..memberships.div_ceil(GROUP) {
        let group_id: GroupId = id(usize::MAX - group).parse()?;
        current.groups.insert(
            group_id,
            GroupSummary { name: GroupName::from(&*format!("Group {group}")), created_on: None, policies: Vec::new() },
        );
        let member = |place| {
            let place = if place % DIFFERENT == 0 { place + GROUP } else { place };
            let person = person(group, place, memberships);
            let id: MemberId = id(person).parse().context("an id of a member")?;
            let member = Member { id, email: Some(email(person).parse()?), status: Some(Status::Accepted) };
            anyhow::Ok((id, member))
        };
        let members = (0..GROUP).map(member).collect::<Result<_>>()?;
        current.memberships.insert(group_id, Arc::new(members));
    }
    Ok(current)
}
