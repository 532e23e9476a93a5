//! The cost of the complete program: requests compared with the minimum, time compared with the minimum that the
//! API's latency allows, and start, size and memory. `cargo bench --bench whole` prints each with its limit.
#![expect(clippy::print_stdout, reason = "a bench is there to print")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blocking::BlockingSandbox;
use convoke::sandbox::{Delay, Seed, SeedEntry, SeedGroup, SeedMember, SeedPerson};

#[path = "../tests/it/blocking.rs"]
mod blocking;

const CONVOKE: &str = env!("CARGO_BIN_EXE_convoke");
/// GNU time, which reports a program's peak memory.
const GNU_TIME: &str = "/usr/bin/time";
/// The concurrency and the latency of each run. The client sends at most 190 requests a second, below the API's 200.
/// The longer latency keeps a concurrency of 32 below that, so that waiting is measured.
const RUNS: [(usize, Duration); 3] =
    [(1, Duration::from_millis(50)), (8, Duration::from_millis(50)), (32, Duration::from_millis(200))];

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    waiting(folder.path())?;
    println!();
    start_and_size()?;
    memory(folder.path())
}

/// Plans an account in sync: one request for the list of groups, then one for each group.
fn waiting(folder: &Path) -> Result<()> {
    let account = Account { groups: 200, members: 50, people: 2_000 };
    let file = folder.join("convoke.yaml");
    fs::write(&file, account.file()?)?;
    println!("concurrency  latency  requests  least  ratio      time     floor  ratio  (bound 1.25)");
    for (concurrency, latency) in RUNS {
        let sandbox = BlockingSandbox::start(&Seed { latency: Delay(latency), ..account.seed() });
        let start = Instant::now();
        let output = convoke(CONVOKE, &sandbox)
            .args(["plan", "--concurrency", &concurrency.to_string(), "--file"])
            .arg(&file)
            .output()?;
        let time = start.elapsed();
        ensure!(output.stdout.starts_with(b"No changes."), "the plan failed: {output:?}");
        let requests = sandbox.account().requests().len();
        // The list of groups comes first. All other requests can overlap.
        let floor = latency.mul_f64(1.0 + account.groups.div_ceil(concurrency) as f64);
        let least = 1 + account.groups;
        println!(
            "{concurrency:>11}  {:>4} ms  {requests:>8}  {least:>5}  {:>5.2}  {:>6.2} s  {:>6.2} s  {:>5.2}",
            latency.as_millis(),
            requests as f64 / least as f64,
            time.as_secs_f64(),
            floor.as_secs_f64(),
            time.as_secs_f64() / floor.as_secs_f64(),
        );
    }
    Ok(())
}

fn start_and_size() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..51 {
        let start = Instant::now();
        let status = Command::new(CONVOKE).arg("--version").stdout(Stdio::null()).status()?;
        times.push(start.elapsed());
        ensure!(status.success(), "--version failed");
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).context("no runs")?;
    println!("--version: {:.1} ms, the median of {} (bound 10 ms)", median.as_secs_f64() * 1e3, times.len());
    println!("the program: {:.1} MB (bound 15 MB)", fs::metadata(CONVOKE)?.len() as f64 / 1e6);
    Ok(())
}

/// The peak memory of planning: with people in five groups each, and with everybody in one group.
fn memory(folder: &Path) -> Result<()> {
    if !Path::new(GNU_TIME).exists() {
        println!("memory: not measured, there is no {GNU_TIME}");
        return Ok(());
    }
    for people in [20_000, 100_000] {
        let account = Account { groups: 200, members: 500, people };
        let (file, plan) = (folder.join("convoke.yaml"), folder.join("plan.json"));
        fs::write(&file, account.file()?)?;
        let sandbox = BlockingSandbox::start(&account.seed());
        let report = folder.join("peak");
        for (option, path) in [("--out", &plan), ("--base", &file)] {
            let output = convoke(GNU_TIME, &sandbox)
                .args(["--format", "%M", "--output"])
                .arg(&report)
                .args([CONVOKE, "plan", "--file"])
                .arg(&file)
                .arg(option)
                .arg(path)
                .output()?;
            ensure!(output.status.success(), "the plan failed: {output:?}");
            let peak: f64 = fs::read_to_string(&report)?.trim().parse()?;
            let peak = peak / 1024.0;
            let bound = if option == "--base" { "twice that of --out" } else { "64 MiB" };
            println!("plan {option}, 100000 memberships of {people} people: {peak:.1} MiB (bound {bound})");
        }
    }
    Ok(())
}

/// The program, with the sandbox as its API.
fn convoke(program: &str, sandbox: &BlockingSandbox) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([
        ("CLOUDFLARE_ACCOUNT_ID", "023e105f4ecef8ad9ca31a8372d0c353"),
        ("CLOUDFLARE_API_TOKEN", "any"),
        ("CLOUDFLARE_BASE_URL", sandbox.base_url()),
    ]);
    command
}

/// The size of an account that is in sync with its file.
struct Account {
    groups: usize,
    members: usize,
    people: usize,
}

impl Account {
    fn email(&self, number: usize) -> String {
        format!("person.{}@example.com", number % self.people)
    }

    fn of_group(&self, group: usize) -> impl Iterator<Item = String> {
        (0..self.members).map(move |place| self.email(group * self.members + place))
    }

    fn seed(&self) -> Seed {
        let groups = (0..self.groups).map(|group| {
            let members = self.of_group(group).map(SeedMember::from).map(entry).collect();
            (format!("Group {group}"), SeedGroup { members, ..SeedGroup::default() })
        });
        Seed {
            people: (0..self.people).map(|number| entry(SeedPerson::from(self.email(number)))).collect(),
            groups: groups.collect(),
            ..Seed::default()
        }
    }

    fn file(&self) -> Result<String> {
        let mut text = String::from("version: 1\ngroups:\n");
        for group in 0..self.groups {
            write!(text, "  Group {group}:\n    members:\n")?;
            for email in self.of_group(group) {
                writeln!(text, "      - {email}")?;
            }
        }
        Ok(text)
    }
}

const fn entry<T>(value: T) -> SeedEntry<T> {
    SeedEntry { value, place: None }
}
