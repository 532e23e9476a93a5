//! Statistics of the schedules.

use std::collections::BTreeMap;
use std::fmt;

use convoke::plan::{LeftOutKind, Plan};
use convoke::report::{Report, UnmadeChange};
use convoke::sandbox::{Contradiction, Cut, Edit, FalseClaim, Fault, Request};

/// The ends of runs. Each must occur.
const ENDS: [&str; 9] = [
    "complete",
    "could not read the account",
    "in part",
    "interrupted",
    "killed",
    "planned",
    "refused",
    "stale",
    "stale before the first write",
];

/// What plans and runs have to meet. Each must occur.
const EVENTS: [&str; 14] = [
    "a cut run went on",
    "a question",
    "an exchange between exclusive groups",
    "an intrusion into a group that excludes another one",
    "delayed jobs in any order",
    "ends that took effect",
    "exchanges in an order",
    "exchanges without an order",
    "left out: a guard",
    "left out: drift",
    "left out: the limit of one run",
    "left out: the newest files",
    "left out: waits for another group",
    "only a change",
];

/// The faults. Each must occur.
const FAULTS: [&str; 42] = [
    "429 with Retry-After",
    "429 without Retry-After",
    "5xx in JSON",
    "HTML error",
    "HTML error after the effect",
    "claim: the list as it is",
    "claim: the list as it would be",
    "claim: an empty list",
    "claim: null",
    "claim: like a write that was done",
    "clamped page",
    "contradiction: count",
    "contradiction: total_pages",
    "contradiction: page",
    "contradiction: per_page",
    "contradiction: total_count too high",
    "contradiction: total_count too low",
    "contradiction: total_count as text",
    "contradiction: an entry is missing",
    "contradiction: an entry occurs twice",
    "contradiction: success with errors",
    "contradiction: status 206",
    "contradiction: no result, but figures",
    "contradiction: result is null, but figures",
    "cut after the effect",
    "cut before the effect",
    "cut body",
    "effect after the answer was lost",
    "group deleted",
    "group renamed",
    "latency",
    "names of two groups swapped",
    "no result",
    "no result_info",
    "numbers as text",
    "read that lags behind",
    "several people leave, and the answer is lost",
    "somebody else edits after the request",
    "somebody else edits before the request",
    "success: false with 200",
    "success: false with 200 after the effect",
    "token revoked",
];

/// Why removals are kept back while a plan is applied, and the words of the report for it. Each of the first four must
/// occur.
const KEPT: [(&str, &str); 6] = [
    ("allow_empty", "allow_empty is not set"),
    ("group_removals", "but group_removals ("),
    ("min_members", "min_members is"),
    ("an addition not proven", "is not proven"),
    ("protected", "is protected at"),
    ("an exchange", "could not join the other group"),
];

/// With at least this number of schedules, each end and each fault must occur.
const ENOUGH: u64 = 1000;

/// With at least this number, removals must be kept back for each reason except the rarest.
const PLENTY: u64 = 5000;

#[derive(Debug, Default)]
pub struct Figures {
    pub schedules: u64,
    pub steps: u64,
    pub requests: u64,
    pub writes: u64,
    /// How runs ended.
    pub ends: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
    /// Removals that were kept back, by the reason.
    pub kept: BTreeMap<&'static str, u64>,
    pub events: BTreeMap<&'static str, u64>,
    /// Moves between groups that were undone.
    pub moves_undone: u64,
}

impl Figures {
    pub fn happened(&mut self, what: &'static str) {
        *self.events.entry(what).or_default() += 1;
    }

    pub fn planned(&mut self, plan: &Plan) {
        if plan.touched.is_some() {
            self.happened("only a change");
        }
        if !plan.exchanges.is_empty() {
            self.happened("an exchange between exclusive groups");
        }
        for left_out in &plan.left_out {
            self.happened(match left_out.kind {
                LeftOutKind::Guard => "left out: a guard",
                LeftOutKind::Tip => "left out: the newest files",
                LeftOutKind::Cap => "left out: the limit of one run",
                LeftOutKind::Waits => "left out: waits for another group",
                LeftOutKind::Drift => "left out: drift",
            });
        }
    }

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

    pub fn reported(&mut self, report: &Report) {
        for kept in report.groups.iter().flat_map(|group| &group.kept) {
            *self.kept.entry(reason(kept)).or_default() += 1;
        }
    }

    pub fn add(&mut self, other: Self) {
        let Self { schedules, steps, requests, writes, ends, faults, kept, events, moves_undone } = other;
        self.moves_undone += moves_undone;
        self.schedules += schedules;
        self.steps += steps;
        self.requests += requests;
        self.writes += writes;
        let all =
            [(&mut self.ends, ends), (&mut self.faults, faults), (&mut self.kept, kept), (&mut self.events, events)];
        for (counts, more) in all {
            more.into_iter().for_each(|(kind, count)| *counts.entry(kind).or_default() += count);
        }
    }

    /// The ends, faults and reasons that must occur in this number of schedules, but did not.
    pub fn missing(&self) -> Vec<&'static str> {
        let kept: Vec<&str> = KEPT.iter().take(4).map(|(name, _)| *name).collect();
        let all = [
            (ENOUGH, &self.ends, &ENDS[..]),
            (ENOUGH, &self.faults, &FAULTS),
            (ENOUGH, &self.events, &EVENTS),
            (PLENTY, &self.kept, &kept),
        ];
        let expected = all.iter().filter(|(least, ..)| self.schedules >= *least);
        let missing = expected.flat_map(|(_, counts, kinds)| kinds.iter().filter(|kind| !counts.contains_key(**kind)));
        missing.copied().collect()
    }
}

fn reason(kept: &UnmadeChange) -> &'static str {
    let known = KEPT.iter().find(|(_, text)| kept.reason.contains(text));
    known.unwrap_or_else(|| panic!("the simulation does not know this reason to keep a removal: {:?}", kept.reason)).0
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
        Fault::Claim(claim) => match claim {
            FalseClaim::Done => "claim: like a write that was done",
            FalseClaim::DoneList => "claim: the list as it would be",
            FalseClaim::Unchanged => "claim: the list as it is",
            FalseClaim::Empty => "claim: an empty list",
            FalseClaim::Null => "claim: null",
        },
        Fault::Lag(_) => "read that lags behind",
        Fault::Contradict(contradiction) => contradicting(*contradiction),
        Fault::NumbersAsText => "numbers as text",
        Fault::All(_) => "several people leave, and the answer is lost",
        Fault::EditBefore(Edit::RevokeToken) => "token revoked",
        Fault::EditBefore(Edit::RenameGroup { .. }) => "group renamed",
        Fault::EditBefore(Edit::SwapNames { .. }) => "names of two groups swapped",
        Fault::EditBefore(Edit::DeleteGroup(_)) => "group deleted",
        Fault::EditBefore(_) => "somebody else edits before the request",
        Fault::EditAfter(_) => "somebody else edits after the request",
    }
}

fn contradicting(contradiction: Contradiction) -> &'static str {
    match contradiction {
        Contradiction::Count => "contradiction: count",
        Contradiction::TotalPages => "contradiction: total_pages",
        Contradiction::Page => "contradiction: page",
        Contradiction::PerPage => "contradiction: per_page",
        Contradiction::TotalCount => "contradiction: total_count too high",
        Contradiction::TotalCountLow => "contradiction: total_count too low",
        Contradiction::TotalCountText => "contradiction: total_count as text",
        Contradiction::LostEntry => "contradiction: an entry is missing",
        Contradiction::DuplicateIds => "contradiction: an entry occurs twice",
        Contradiction::Errors => "contradiction: success with errors",
        Contradiction::Partial => "contradiction: status 206",
        Contradiction::NoResult => "contradiction: no result, but figures",
        Contradiction::NullResult => "contradiction: result is null, but figures",
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedules, steps, requests, writes, ends, faults, kept, events, moves_undone } = self;
        writeln!(f, "{schedules} schedules, {steps} steps, {requests} requests, {writes} writes with effect")?;
        let list = |f: &mut fmt::Formatter<'_>, name: &str, of: &BTreeMap<&str, u64>| {
            writeln!(f, "{name}: {} in all", of.values().sum::<u64>())?;
            of.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:>8} {kind}"))
        };
        list(f, "runs", ends)?;
        list(f, "faults", faults)?;
        list(f, "events", events)?;
        writeln!(f, "moves undone: {moves_undone}")?;
        list(f, "removals kept back", kept)
    }
}
