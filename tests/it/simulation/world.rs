//! Runs a scenario: its steps one after the other, with checks after each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use convoke::apply::{self, Context, Recheck, Start};
use convoke::cloudflare::{ApiError, BaseUrl, Client, ClientConfig, Credentials};
use convoke::journal::{self, Journal, Record, RunFacts};
use convoke::model::{AccountId, GroupId, MemberId, Mode, Observed, PersonRef};
use convoke::observe;
use convoke::plan::{self, Action, Blocked, BlockedReason, GroupPlan, Plan, Policy};
use convoke::report::Report;
use convoke::sandbox::{self, Edit, Endpoint, Fault, FaultRule, Match, Sandbox};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::sync::watch;

use super::Violation;
use super::checks::{self, Memberships};
use super::chronicle::{Bounds, Carried, Chronicle, Made};
use super::figures::Figures;
use super::files::Files;
use super::scenario::{LATENCY, Scenario};
use super::steps::{Cut, Run, Step};
use super::truth::Truth;
use crate::builders::{FaultRuleExt as _, MatchExt as _};
use crate::live::LiveAccount;

/// How long calls and contradictory readings are repeated: long enough for lagging reads to become current.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// Longer than the longest delay of a request.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum number of runs without faults until no further entry becomes resolved.
const RERUNS: usize = 4;

pub struct World {
    sandbox: Sandbox,
    account: LiveAccount,
    scenario: Scenario,
    truth: Truth,
    files: Files,
    folder: TempDir,
    /// The saved plans as bytes, with their bounds.
    saved: Vec<(Vec<u8>, Made)>,
    journals: Vec<PathBuf>,
    chronicles: Vec<Chronicle>,
    /// The number of the last request of any run.
    last_request: u64,
    figures: Figures,
}

/// The result of trying to apply a plan.
type Attempt = Result<Option<Carried>, ApiError>;

impl World {
    /// Runs the scenario to its end, and then without faults.
    pub async fn live(scenario: &Scenario) -> Result<Figures, Violation> {
        let sandbox = Sandbox::start(&scenario.sandbox_seed(), Sandbox::ANY_PORT).await.unwrap();
        let mut world = Self {
            account: LiveAccount(sandbox.account()),
            sandbox,
            scenario: scenario.clone(),
            truth: Truth::of(&scenario.cast),
            files: nothing_declared(),
            folder: tempfile::tempdir().unwrap(),
            saved: Vec::new(),
            journals: Vec::new(),
            chronicles: Vec::new(),
            last_request: 0,
            figures: Figures { schedules: 1, ..Figures::default() },
        };
        for (at, step) in scenario.steps.iter().enumerate() {
            world.step(step).await.map_err(|violation| format!("step {}, {step:?}: {violation}", at + 1))?;
        }
        world.calm().await.map_err(|violation| format!("once the faults had stopped: {violation}"))?;
        Ok(world.figures)
    }

    async fn step(&mut self, step: &Step) -> Result<(), Violation> {
        self.figures.steps += 1;
        self.truth.refresh(&self.account);
        match step {
            Step::Declare(files) => self.files = files.clone(),
            Step::Edit(edit) => self.truth.edit(&self.account, edit),
            Step::RestoreToken => self.account.restore_token(),
            Step::Exodus(people) => {
                for group in &self.scenario.cast.groups {
                    let on = Match::operation(Endpoint::RemoveMember).group(&group.name);
                    let leave = people.iter().map(|person| Fault::EditBefore(Edit::remove(&group.name, person)));
                    let faults = leave.chain([Fault::Cut(sandbox::Cut::After)]).collect();
                    self.account.push_fault(FaultRule::once(on, Fault::All(faults)));
                }
            }
            Step::Plan => {
                let client = self.client();
                let made = self.make_plan(&client).await;
                if let Ok(made) = &made {
                    let document = serde_json::to_vec(&made.plan.sealed()).unwrap();
                    self.saved.push((document, made.clone()));
                }
                self.close(made.map(|_| None), "planned")?;
            }
            Step::Apply(run) => self.apply(*run).await.map(drop)?,
            Step::ApplySaved { back, run } => {
                if let Some(at) = self.saved.len().checked_sub(back + 1) {
                    let (attempt, otherwise) = match self.apply_saved(at, *run).await {
                        Ok(Some(refused_or_carried_out)) => (Ok(refused_or_carried_out), "refused"),
                        Ok(None) => (Ok(None), "stale"),
                        Err(error) => (Err(error), ""),
                    };
                    self.close(attempt, otherwise)?;
                }
            }
            Step::Undo(run) => self.undo(*run).await?,
        }
        Ok(())
    }

    /// Without faults, a run does everything except blocked entries, and the next run has nothing to do. Whether a shared
    /// address is ambiguous depends on whether the account's members were read. If a run finds such an entry resolved, it
    /// makes the changes that the entry held, and one more run follows.
    async fn calm(&mut self) -> Result<(), Violation> {
        self.account.clear_faults();
        self.account.restore_token();
        while self.account.unlanded() > 0 {
            tokio::time::sleep(LATENCY.0).await;
        }
        self.files = self.files.unguarded();
        self.truth.refresh(&self.account);
        let run = Run { accept: false, cut: Cut::Never };
        let mut last = self.converge(run).await?;
        for _ in 0..RERUNS {
            let (before, known) = (self.memberships(), self.account.history().len());
            let next = self.converge(run).await?;
            let resolved = ambiguous(&last).difference(&ambiguous(&next)).next().is_some();
            if !resolved {
                if self.memberships() != before {
                    let history = self.account.history().split_off(known);
                    return Err(format!("a run that was not needed changed the account: {history:?}\n{before:?}"));
                }
                let again: Vec<_> = next.made.changes().filter(|change| !refused(&last, *change)).collect();
                return match again.is_empty() {
                    true => Ok(()),
                    false => Err(format!("the next plan still has changes that nobody refused: {again:?}")),
                };
            }
            last = next;
        }
        Err("entries are resolved run after run".into())
    }

    /// A run after which every group is as the files declare, as far as the API allows.
    async fn converge(&mut self, run: Run) -> Result<Carried, Violation> {
        self.apply(run).await?;
        let Some(carried) = self.chronicles.last().and_then(|run| run.carried.clone()) else {
            return Err("a plan without guards was refused, or the account could not be read".into());
        };
        self.converged(&carried)?;
        Ok(carried)
    }

    /// Whether every group is as the files declare, as far as the API allows.
    fn converged(&self, run: &Carried) -> Result<(), Violation> {
        for group in &run.made.plan.groups {
            let Some(declared) = self.files.group(group.name.as_str()) else { continue };
            if declared.mode == "observe" {
                continue;
            }
            let present = self.account.member_ids_of(group.name.as_str());
            let (listed, surely) = (self.truth.listed(declared), self.truth.surely_listed(declared));
            let excused = |id: &&MemberId| {
                let refusal = |action| refused(run, (group.id, action, **id));
                let blocked = run.made.plan.blocked.iter().any(|blocked| blocked.group == group.name);
                refusal(Action::Add) || refusal(Action::Remove) || blocked
            };
            if let Some(missing) = surely.difference(&present).find(|id| !excused(id)) {
                return Err(format!("{missing} is on the list of {:?} and not in it", group.name));
            }
            let holds = run.made.plan.blocked.is_empty() && declared.mode == "exact";
            if let Some(extra) = present.difference(&listed).find(|id| holds && !excused(id)) {
                return Err(format!("{extra} is in {:?} and not on its list", group.name));
            }
        }
        Ok(())
    }

    fn client(&self) -> Client {
        let config = ClientConfig {
            base_url: BaseUrl::parse(&self.sandbox.base_url()).unwrap(),
            credentials: Credentials::Token("a-token-of-the-simulation".into()),
            account_id: AccountId::SANDBOX,
            concurrency: self.scenario.concurrency,
            timeout: TIMEOUT,
            max_wait: MAX_WAIT,
            run_url: None,
        };
        Client::new(config).unwrap()
    }

    async fn make_plan(&self, client: &Client) -> Result<Made, ApiError> {
        let desired = self.files.desired();
        let seen = self.account.history().len();
        let newcomers =
            desired.groups.values().flat_map(|group| &group.members).filter_map(|entry| match &entry.person {
                PersonRef::Email(email) => Some(email.clone()),
                PersonRef::Id(_) => None,
            });
        // Like the look-up for a pull request that adds one person, who may be in a group already.
        let newcomers = newcomers.take(1).collect();
        let (_, plan) = observe::read(client, &desired, &policy(), Timestamp::UNIX_EPOCH, &newcomers).await?;
        let bounds = self.bounds(&plan, true);
        Ok(Made { plan, bounds, seen })
    }

    /// The bounds of these groups from the files.
    fn bounds(&self, plan: &Plan, by_lists: bool) -> Bounds {
        let mut bounds = Bounds { protected: self.truth.protected(&self.files), ..Bounds::default() };
        for group in &plan.groups {
            let declared = self.files.group(group.name.as_str());
            let limit = declared.and_then(|declared| declared.group_removals).unwrap_or(self.files.group_removals);
            bounds.group_removals.insert(group.id, limit);
            let Some(declared) = declared else { continue };
            let least = declared.min_members.unwrap_or(0).max(u64::from(!declared.allow_empty));
            bounds.least.insert(group.id, least);
            if by_lists {
                bounds.listed.insert(group.id, self.truth.listed(declared));
                bounds.surely_listed.insert(group.id, self.truth.surely_listed(declared));
            }
        }
        if by_lists {
            let unresolved = plan.blocked.iter().filter(|blocked| !checks::is_exclusion(&blocked.reason));
            let unresolved: Vec<String> =
                unresolved.filter_map(|blocked| Some(blocked.entry.as_ref()?.to_string())).collect();
            bounds.spared = self.truth.spared(&self.files, unresolved.iter().map(String::as_str));
        }
        bounds.total_removals = self.files.total_removals;
        let written = self.files.groups.iter().filter(|group| group.mode() != Mode::Observe);
        bounds.declared = written.map(|group| group.members.len() as u64).sum();
        let id = |name: &str| plan.groups.iter().find(|group| group.name.as_str() == name).map(|group| group.id);
        for group in &self.files.groups {
            if let (Some(one), Some(other)) = (id(&group.name), group.excludes.as_deref().and_then(id)) {
                bounds.exclusive.extend([(one, other), (other, one)]);
            }
        }
        bounds
    }

    async fn apply(&mut self, run: Run) -> Result<(), Violation> {
        let client = self.client();
        let attempt = match self.make_plan(&client).await {
            Ok(made) => Ok(self.judge_and_carry_out(&client, made, Start::Planned, run).await),
            Err(error) => Err(error),
        };
        self.close(attempt, "refused")
    }

    /// Applies a saved plan; `None` if it is refused or stale.
    async fn apply_saved(&mut self, at: usize, run: Run) -> Result<Option<Option<Carried>>, ApiError> {
        let (document, made) = self.saved[at].clone();
        let plan = Plan::parse(&document).unwrap();
        let client = self.client();
        let regrouping = self.scenario.luck.regroup + self.scenario.luck.swap_names > 0;
        let known = |group: &GroupPlan| self.account.group_id(group.name.as_str()) == Some(group.id);
        let renamed = plan.groups.iter().any(|group| !group.operations.is_empty() && !known(group)) && !regrouping;
        match apply::recheck(&client, &plan).await? {
            Recheck::Stale(_) => Ok(None),
            Recheck::Fresh { .. } if renamed => panic!("a plan is taken for fresh although a group has another name"),
            Recheck::Fresh { present, remaining } => {
                let (start, plan) =
                    (Start::Rechecked { present, planned: false }, plan.with_refusals(remaining.refusals));
                Ok(Some(self.judge_and_carry_out(&client, Made { plan, ..made }, start, run).await))
            }
        }
    }

    /// Undoes the last journal, and checks that everything is as before the run.
    async fn undo(&mut self, run: Run) -> Result<(), Violation> {
        let Some(path) = self.journals.last().cloned() else { return Ok(()) };
        let undone = self.chronicles.iter().rposition(|run| run.carried.is_some());
        let reversals = read(&path)?.reversals(&Arc::from("journal"));
        let client = self.client();
        let attempt = match self.plan_undoing(&client, &reversals).await {
            Ok(made) => {
                self.undoes_by_id(&made.plan)?;
                Ok(self.judge_and_carry_out(&client, made, Start::Planned, run).await)
            }
            Err(error) => Err(error),
        };
        self.close(attempt, "refused")?;
        let (Some(undone), Some(undoing)) = (undone, self.chronicles.last()) else { return Ok(()) };
        checks::undone(&self.chronicles[undone], undoing, &self.account.history(), &self.memberships())
    }

    /// Checks that an undo uses the mode and the `min_members` of the files that declare each group by its id.
    fn undoes_by_id(&self, plan: &Plan) -> Result<(), Violation> {
        let luck = self.scenario.luck;
        for group in plan.groups.iter().filter(|_| luck.regroup + luck.swap_names == 0) {
            let declared =
                self.files.groups.iter().find(|declared| self.account.group_id(&declared.name) == Some(group.id));
            let expected = declared.map_or((Mode::Observe, None), |group| (group.mode(), group.min_members));
            let bound = (group.mode, group.guards.min_members.as_ref().map(|least| least.value));
            if bound != expected {
                return Err(format!("{:?} is undone as {bound:?}, the files say {expected:?}", group.name));
            }
        }
        Ok(())
    }

    async fn plan_undoing(
        &self,
        client: &Client,
        reversals: &BTreeMap<GroupId, plan::Reversal>,
    ) -> Result<Made, ApiError> {
        let desired = self.files.desired();
        let seen = self.account.history().len();
        let mut current = Observed { groups: client.user_groups().await?, ..Observed::default() };
        let present = reversals.keys().copied().filter(|id| current.groups.contains_key(id)).collect();
        observe::read_members(client, &mut current, &present).await?;
        let make = |current: &Observed| plan::undo(reversals, &desired, current, &policy(), Timestamp::UNIX_EPOCH);
        let plan = observe::resolve(client, &mut current, true, make).await?;
        let bounds = self.bounds(&plan, false);
        Ok(Made { plan, bounds, seen })
    }

    /// Applies the plan unless its guards refuse it.
    async fn judge_and_carry_out(&mut self, client: &Client, made: Made, start: Start, run: Run) -> Option<Carried> {
        let refused = match run.accept {
            true => made.plan.refusals_beyond_limits().next().is_some(),
            false => !made.plan.refusals.is_empty(),
        };
        if refused {
            return None;
        }
        let path = self.folder.path().join(format!("{}.jsonl", self.journals.len()));
        let journal = Journal::create(&path, RunFacts::new(AccountId::SANDBOX, made.plan.digest)).unwrap();
        self.journals.push(path.clone());
        let before = start.clone();
        let report = self.carry_out(client, &journal, &made.plan, start, run).await;
        self.figures.ended(match &report {
            None => "killed",
            Some(report) if report.interrupted => "interrupted",
            Some(report) if report.complete => "complete",
            Some(_) => "in part",
        });
        report.iter().for_each(|report| self.figures.reported(report));
        Some(Carried { made, accepted: run.accept, before, report, record: read(&path).unwrap() })
    }

    async fn carry_out(
        &self,
        client: &Client,
        journal: &Journal,
        plan: &Plan,
        start: Start,
        Run { accept, cut }: Run,
    ) -> Option<Report> {
        let (stop, stopped) = watch::channel(false);
        let context = Context {
            client,
            journal,
            stop: stopped,
            progress: &|_| {},
            settle_within: MAX_WAIT,
            whole_account: true,
            limits_lifted: accept,
        };
        let mut applying = pin!(apply::apply(plan, start, context));
        let report = std::future::poll_fn(|context| {
            let polled = applying.as_mut().poll(context).map(Some);
            match cut {
                Cut::Killed(at) if polled.is_pending() && self.writes_arrived() >= at => Poll::Ready(None),
                Cut::Stopped(at) if polled.is_pending() && self.writes_arrived() >= at && !*stop.borrow() => {
                    stop.send_replace(true);
                    client.stop();
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => polled,
            }
        })
        .await;
        if report.is_none() {
            // Requests of a killed run may still arrive, and nothing shows when the last one has. Each sleep lets the
            // server, which shares this thread, process the received requests, even if the thread is delayed.
            for _ in 0..10 {
                tokio::time::sleep(LATENCY.0).await;
            }
        }
        report
    }

    fn writes_arrived(&self) -> usize {
        self.account.requests().iter().filter(|request| request.method != "GET").count()
    }

    /// Records a run, and checks the invariants of it and of all earlier runs.
    fn close(&mut self, attempt: Attempt, otherwise: &'static str) -> Result<(), Violation> {
        let requests = self.account.requests();
        self.account.clear_requests();
        self.figures.count(&requests);
        let first = self.last_request + 1;
        self.last_request = requests.last().map_or(self.last_request, |request| request.number);
        let carried = match attempt {
            Ok(carried) => {
                if carried.is_none() {
                    self.figures.ended(otherwise);
                }
                carried
            }
            Err(_) => {
                self.figures.ended("could not read the account");
                None
            }
        };
        let history = self.account.history();
        let run = Chronicle { numbers: first..self.last_request + 1, requests, carried };
        checks::ended(&run, &history, &self.memberships())?;
        self.chronicles.push(run);
        self.chronicles.iter().try_for_each(|run| checks::lasting(run, &history))
    }

    fn memberships(&self) -> Memberships {
        let names = self.account.memberships().into_keys();
        names.filter_map(|name| Some((self.account.group_id(&name)?, self.account.member_ids_of(&name)))).collect()
    }
}

/// The places of the entries whose address several members share.
fn ambiguous(run: &Carried) -> BTreeSet<String> {
    let shared = |blocked: &&Blocked| matches!(blocked.reason, BlockedReason::AmbiguousPerson { .. });
    run.made.plan.blocked.iter().filter(shared).map(|blocked| blocked.origin.to_string()).collect()
}

/// Whether the run tried the change and the API refused it, or the run left the change out because of a refusal.
fn refused(run: &Carried, (group, action, member): (GroupId, Action, MemberId)) -> bool {
    let report = run.report.iter().flat_map(|report| &report.groups).find(|reported| reported.id == group);
    report.is_some_and(|reported| {
        let failed = reported.failed.iter().map(|failed| (failed.action, failed.member.id));
        let skipped = reported.skipped.iter().chain(&reported.kept).map(|skipped| (skipped.action, skipped.member.id));
        failed.chain(skipped).any(|change| change == (action, member))
    })
}

fn read(path: &Path) -> Result<Record, Violation> {
    journal::parse(&std::fs::read(path).unwrap()).map_err(|error| format!("the journal cannot be read: {error}"))
}

fn policy() -> Policy {
    Policy { expiring_within: SignedDuration::ZERO, ..Policy::new(AccountId::SANDBOX) }
}

fn nothing_declared() -> Files {
    Files {
        groups: Vec::new(),
        group_removals: super::files::Limit::Percent(100),
        total_removals: super::files::Limit::Percent(100),
        protected: Vec::new(),
        misspelled: Vec::new(),
        refuses_unmanaged: false,
    }
}
