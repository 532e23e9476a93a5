//! What was lived through, in figures.

use std::collections::BTreeMap;
use std::fmt;

use convoke::sandbox::{Cut, Fault, Request};

#[derive(Debug, Default)]
pub struct Figures {
    pub schedules: u64,
    pub steps: u64,
    pub requests: u64,
    pub writes: u64,
    /// How runs ended.
    pub ends: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
}

impl Figures {
    pub fn ended(&mut self, how: &'static str) {
        *self.ends.entry(how).or_default() += 1;
    }

    pub fn count(&mut self, requests: &[Request]) {
        self.requests += requests.len() as u64;
        self.writes += requests.iter().filter(|request| request.effect).count() as u64;
        for fault in requests.iter().filter_map(|request| request.fault.as_ref()) {
            *self.faults.entry(kind(fault)).or_default() += 1;
        }
    }

    pub fn add(&mut self, other: Self) {
        let Self { schedules, steps, requests, writes, ends, faults } = other;
        self.schedules += schedules;
        self.steps += steps;
        self.requests += requests;
        self.writes += writes;
        for (how, count) in ends {
            *self.ends.entry(how).or_default() += count;
        }
        for (kind, count) in faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Latency(_) => "latency",
        Fault::Stall(_) => "stall",
        Fault::Respond(respond) if respond.status == 429 && respond.bare => "429 without Retry-After",
        Fault::Respond(respond) if respond.status == 429 => "429 with Retry-After",
        Fault::Respond(respond) if respond.after => "HTML error after the effect",
        Fault::Respond(respond) if respond.html => "HTML error",
        Fault::Respond(_) => "5xx in JSON",
        Fault::Cut(Cut::Before) => "cut before the effect",
        Fault::Cut(Cut::After) => "cut after the effect",
        Fault::Cut(Cut::Body) => "cut body",
        Fault::Clamp(_) => "clamped page",
        Fault::OmitResultInfo => "no result_info",
        Fault::OmitResult => "no result",
        Fault::Unsuccessful => "success: false with 200",
        Fault::UnsuccessfulAfter => "success: false with 200 after the effect",
        Fault::Late(_) => "effect after the answer was lost",
        Fault::Claim(_) => "claimed effect",
        Fault::Lag(_) => "read that lags behind",
        Fault::Contradict(_) | Fault::ResultInfo(_) => "contradictory list",
        Fault::NumbersAsText => "numbers as text",
        Fault::All(_) => "several at once",
        Fault::EditBefore(edit) | Fault::EditAfter(edit) => match edit {
            convoke::sandbox::Edit::RevokeToken => "token revoked",
            convoke::sandbox::Edit::RenameGroup(_)
            | convoke::sandbox::Edit::SwapNames(_)
            | convoke::sandbox::Edit::DeleteGroup(_) => "group renamed or deleted",
            _ => "edit by somebody else",
        },
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedules, steps, requests, writes, ends, faults } = self;
        writeln!(f, "{schedules} schedules, {steps} steps, {requests} requests, {writes} writes with effect")?;
        let list = |f: &mut fmt::Formatter<'_>, name: &str, of: &BTreeMap<&str, u64>| {
            writeln!(f, "{name}: {} in all", of.values().sum::<u64>())?;
            of.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:>8} {kind}"))
        };
        list(f, "runs", ends)?;
        list(f, "faults", faults)
    }
}
