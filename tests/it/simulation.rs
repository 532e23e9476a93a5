//! Random histories under seeded faults: random accounts and files; plans, applies, undos, edits by others and
//! interrupted runs. Invariants are checked after every step.
//!
//! `CONVOKE_SCHEDULES` sets the number of schedules, `CONVOKE_SEED` the first seed. A failure prints its seed and the
//! shortest history that still fails.

mod asks;
mod calm;
mod checks;
mod chronicle;
mod figures;
mod files;
mod planning;
mod scenario;
mod steps;
mod truth;
mod view;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use figures::Figures;
use scenario::Scenario;
use world::World;

/// The default number of schedules.
const SCHEDULES: u64 = 100;

/// A schedule that takes longer fails, because something does not end.
const PATIENCE: Duration = Duration::from_secs(120);

/// The simulated time that passes in a millisecond.
const TICK: Duration = Duration::from_millis(20);

/// A broken invariant.
type Violation = String;

#[test]
fn simulated_schedules_keep_every_invariant() {
    let first = number("CONVOKE_SEED").unwrap_or(1);
    let count = number("CONVOKE_SCHEDULES").unwrap_or(if number("CONVOKE_SEED").is_some() { 1 } else { SCHEDULES });
    let next = AtomicU64::new(first);
    let (figures, failed) = (Mutex::new(Figures::default()), Mutex::new(None::<(u64, Violation)>));
    std::thread::scope(|scope| {
        // Most of a schedule's time is spent waiting.
        for _ in 0..4 * std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().is_some() {
                        break;
                    }
                    match run(&Scenario::new(seed)) {
                        Ok(counted) => figures.lock().unwrap().add(counted),
                        Err(violation) => *failed.lock().unwrap() = Some((seed, violation)),
                    }
                }
            });
        }
    });
    let figures = figures.into_inner().unwrap();
    println!("{figures}");
    if let Some((seed, violation)) = failed.into_inner().unwrap() {
        let (shortest, violation) = shrink(Scenario::new(seed), violation);
        panic!("seed {seed}: {violation}\n\nthe shortest history found:\n{shortest}\nCONVOKE_SEED={seed} repeats it");
    }
    assert_eq!(figures.missing(), Vec::<&str>::new(), "never happened");
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value:?}")))
}

/// Runs a scenario.
fn run(scenario: &Scenario) -> Result<Figures, Violation> {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                lived = World::live(scenario) => lived,
                () = pass_time() => Err(format!("it did not end within {PATIENCE:?}")),
            }
        })
    }));
    lived.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")))
    })
}

/// Advances the simulated time by [`TICK`] in every real millisecond, until the patience ends. Time that tokio
/// advances by itself would exceed the timeout of a request whose bytes are still in the loopback socket. tokio does
/// not advance time while a blocking task runs.
async fn pass_time() {
    let (tick, mut ticks) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        while tick.blocking_send(()).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let begun = std::time::Instant::now();
    while ticks.recv().await.is_some() && begun.elapsed() < PATIENCE {
        tokio::time::advance(TICK).await;
    }
}

/// Removes steps as long as the scenario still fails.
fn shrink(scenario: Scenario, violation: Violation) -> (Scenario, Violation) {
    let (mut shortest, mut violation) = (scenario, violation);
    let mut at = 0;
    while at < shortest.steps.len() {
        let mut shorter = shortest.clone();
        shorter.steps.remove(at);
        match run(&shorter) {
            Ok(_) => at += 1,
            Err(still) => (shortest, violation) = (shorter, still),
        }
    }
    (shortest, violation)
}
