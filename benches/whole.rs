//! The cost of the complete program: requests compared with the minimum, time compared with the minimum that the
//! API's latency allows, and start, size and memory. `cargo bench --bench whole` prints each with its limit.
#![expect(clippy::print_stdout, reason = "a bench is there to print")]

use std::cmp::Ordering;
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
    newcomers(folder.path())?;
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

/// The commonest pull request adds somebody to a group: the list of groups, the group, and a look-up of the person among
/// the members of the account. A list of 50 people a page takes as many requests as it has pages.
fn newcomers(folder: &Path) -> Result<()> {
    const FIRST: [&str; 12] =
        ["alex", "chen", "dana", "emil", "hana", "ines", "jonas", "kofi", "lena", "maria", "omar", "yuki"];
    const LAST: [&str; 10] = ["adams", "brown", "costa", "evans", "garcia", "ito", "khan", "lopez", "novak", "weber"];
    const LATENCY: Duration = Duration::from_millis(50);
    println!("    people   pages  declared  requests: median  most     time: median   most  rounds");
    let accounts = [100, 1_000, 2_000, 10_000, 100_000].into_iter();
    for (people, declared) in accounts.flat_map(|people| [(people, 1), (people, people / 5)]) {
        let email = |number: usize| {
            let of =
                |names: &[&'static str], number: usize| names.get(number % names.len()).copied().unwrap_or_default();
            let (first, last) = (of(&FIRST, number), of(&LAST, number / FIRST.len()));
            format!("{first}.{last}{}@example.com", number / (FIRST.len() * LAST.len()))
        };
        let members = vec![entry(SeedMember::from(email(0)))];
        // Another group, which the pull request does not touch, has every fifth person.
        let staff: String = (1..declared).map(|number| format!("      - {}\n", email(number * 5 + 1))).collect();
        let seed = Seed {
            people: (0..people).map(|number| entry(SeedPerson::from(email(number)))).collect(),
            groups: [
                ("Ops".into(), SeedGroup { members, ..SeedGroup::default() }),
                ("Staff".into(), SeedGroup::default()),
            ]
            .into(),
            latency: Delay(LATENCY),
            ..Seed::default()
        };
        let sandbox = BlockingSandbox::start(&seed);
        let (before, after) = (folder.join("before.yaml"), folder.join("after.yaml"));
        let staff = if staff.is_empty() { " []\n".to_owned() } else { format!("\n{staff}") };
        let base = format!(
            "version: 1\ngroups:\n  Staff:\n    allow_empty: true\n    members:{staff}  Ops:\n    members:\n      - {}\n",
            email(0)
        );
        fs::write(&before, &base)?;
        let (mut requests, mut times) = (Vec::new(), Vec::new());
        for part in 1..=9 {
            fs::write(&after, format!("{base}      - {}\n", email(people * part / 10)))?;
            let (sent, start) = (sandbox.account().requests().len(), Instant::now());
            let output = convoke(CONVOKE, &sandbox)
                .args(["plan", "--only-changed", "-f"])
                .arg(&after)
                .arg("--base")
                .arg(&before)
                .output()?;
            times.push(start.elapsed().as_secs_f64());
            ensure!(output.stdout.windows(13).any(|text| text == b"Plan: 1 to ad"), "the plan failed: {output:?}");
            requests.push(sandbox.account().requests().len() - sent);
        }
        let ((median, most), (time, longest)) = (spread(requests)?, spread(times)?);
        let (pages, rounds) = (people.div_ceil(50), time / LATENCY.as_secs_f64());
        println!(
            "{people:>10}  {pages:>6}  {declared:>8}  {median:>16}  {most:>4}  {time:>12.2} s  {longest:>3.2} s  {rounds:>6.1}"
        );
    }
    Ok(())
}

/// The median and the greatest.
fn spread<T: Copy + PartialOrd>(mut values: Vec<T>) -> Result<(T, T)> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    values.get(values.len() / 2).copied().zip(values.last().copied()).context("no runs")
}

fn start_and_size() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..51 {
        let start = Instant::now();
        let status = Command::new(CONVOKE).arg("--version").stdout(Stdio::null()).status()?;
        times.push(start.elapsed());
        ensure!(status.success(), "--version failed");
    }
    let (median, _) = spread(times.clone())?;
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
