//! Runs a scenario: its steps one after the other, with checks after each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use convoke::apply::{self, Context, Present, Recheck};
use convoke::cloudflare::{ApiError, BaseUrl, Client, ClientConfig, Credentials};
use convoke::journal::{self, Journal, Record, RunFacts};
use convoke::model::{AccountId, GroupId, MemberId, Mode, Observed};
use convoke::observe;
use convoke::plan::{self, Action, Digest, GroupPlan, Plan};
use convoke::report::Report;
use convoke::sandbox::{self, Delay, Edit, Endpoint, Fault, FaultRule, Late, Match, Sandbox};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::Instant;

use super::Violation;
use super::checks::{self, Memberships};
use super::chronicle::{Bounds, Carried, Chronicle, Made, Terms};
use super::figures::Figures;
use super::files::{Files, hours};
use super::planning::policy;
use super::scenario::{LATENCY, Scenario, start};
use super::steps::{Cut, Question, Run, Scope, Step};
use super::truth::Truth;
use crate::builders::{EditExt as _, FaultRuleExt as _, MatchExt as _};
use crate::live::LiveAccount;

/// How long calls and contradictory readings are repeated: long enough for lagging reads to become current.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// Longer than the longest delay of a request.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Longer than a run waits until a reading shows that somebody is gone.
const LINGERS: Delay = Delay::millis(15_000);

/// A saved plan is applied within this time, as `--max-age` has it.
const MAX_AGE: SignedDuration = hours(7 * 24);

pub struct World {
    sandbox: Sandbox,
    pub account: LiveAccount,
    pub scenario: Scenario,
    pub truth: Truth,
    /// Every version of the files; the last one is the tip. The first one is empty.
    pub commits: Vec<Files>,
    pub now: Timestamp,
    folder: TempDir,
    /// The saved plans as bytes, with their bounds.
    pub saved: Vec<(Vec<u8>, Made)>,
    journals: Vec<PathBuf>,
    pub chronicles: Vec<Chronicle>,
    /// The digest of each change, and the groups that it was made for.
    pub digests: BTreeMap<(usize, Vec<Option<GroupId>>), Digest>,
    /// The last plan of files, applied or not.
    pub planned: Option<Plan>,
    /// What a check found while a run went on.
    pub found: Option<Violation>,
    /// The number of the last request of any run.
    last_request: u64,
    pub figures: Figures,
}

/// What became of a plan.
pub enum Verdict {
    Planned,
    Refused,
    Stale,
    Carried(Box<Carried>),
}

type Attempt = Result<Verdict, ApiError>;

impl World {
    /// Runs the scenario to its end, and then without faults.
    pub async fn live(scenario: &Scenario) -> Result<Figures, Violation> {
        let sandbox = Sandbox::start(&scenario.sandbox_seed(), Sandbox::ANY_PORT).await.unwrap();
        let mut world = Self {
            account: LiveAccount(sandbox.account()),
            sandbox,
            scenario: scenario.clone(),
            truth: Truth::of(&scenario.cast),
            commits: vec![Files::nothing()],
            now: start(),
            folder: tempfile::tempdir().unwrap(),
            saved: Vec::new(),
            journals: Vec::new(),
            chronicles: Vec::new(),
            digests: BTreeMap::new(),
            planned: None,
            found: None,
            last_request: 0,
            figures: Figures { schedules: 1, ..Figures::default() },
        };
        for (at, step) in scenario.steps.iter().enumerate() {
            world.step(step).await.map_err(|violation| format!("step {}, {step:?}: {violation}", at + 1))?;
        }
        world.calm().await.map_err(|violation| format!("once the faults had stopped: {violation}"))?;
        Ok(world.figures)
    }

    /// The newest files.
    pub fn files(&self) -> &Files {
        self.commits.last().unwrap()
    }

    async fn step(&mut self, step: &Step) -> Result<(), Violation> {
        self.figures.steps += 1;
        self.truth.refresh(&self.account);
        match step {
            Step::Declare(files) => self.commits.push(files.clone()),
            Step::Edit(edit) => self.truth.edit(&self.account, edit),
            Step::Wait(wait) => self.now += hours(*wait),
            Step::RestoreToken => self.account.restore_token(),
            Step::Exodus(people) => {
                for group in &self.scenario.cast.groups {
                    let on = Match::operation(Endpoint::RemoveMember).group(&group.name);
                    let leave = people.iter().map(|person| Fault::EditBefore(Edit::remove(&group.name, person)));
                    let faults = leave.chain([Fault::Cut(sandbox::Cut::After)]).collect();
                    self.account.push_fault(FaultRule::once(on, Fault::All(faults)));
                }
            }
            Step::Linger => {
                let lost = Fault::Late(Late { after: LINGERS, status: None, hang: false });
                for group in &self.scenario.cast.groups {
                    let on = Match::operation(Endpoint::RemoveMember).group(&group.name);
                    self.account.push_fault(FaultRule::once(on, lost.clone()));
                }
            }
            Step::Plan(scope) => self.plan(*scope).await?,
            Step::Apply { scope, question, run } => self.apply(*scope, question.as_ref(), *run).await?,
            Step::ApplySaved { back, tip, question, run } => {
                if let Some(at) = self.saved.len().checked_sub(back + 1) {
                    self.apply_saved(at, *tip, question.as_ref(), *run).await?;
                }
            }
            Step::Undo(run) => self.undo(*run).await?,
        }
        Ok(())
    }

    /// Plans, and saves the plan.
    pub async fn plan(&mut self, scope: Scope) -> Result<(), Violation> {
        let Some(terms) = self.terms(scope) else { return Ok(()) };
        let client = self.client();
        let made = self.make_plan(&client, terms).await;
        if let Ok(made) = &made {
            let document = serde_json::to_vec(&made.plan.sealed()).unwrap();
            self.saved.push((document, made.clone()));
        }
        self.close(made.map(|_| Verdict::Planned))
    }

    pub fn client(&self) -> Client {
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

    pub async fn apply(&mut self, scope: Scope, question: Option<&Question>, run: Run) -> Result<(), Violation> {
        let Some(terms) = self.terms(scope) else { return Ok(()) };
        let client = self.client();
        let attempt = match self.make_plan(&client, terms).await {
            Ok(made) if made.plan.is_superseded() => Ok(Verdict::Stale),
            Ok(made) => self.decide(&client, made, None, question, run).await,
            Err(error) => Err(error),
        };
        self.close(attempt)
    }

    pub async fn apply_saved(
        &mut self,
        at: usize,
        tip: bool,
        question: Option<&Question>,
        run: Run,
    ) -> Result<(), Violation> {
        let attempt = self.try_saved(at, tip, question, run).await;
        self.close(attempt)
    }

    async fn try_saved(&mut self, at: usize, tip: bool, question: Option<&Question>, run: Run) -> Attempt {
        let (document, made) = self.saved[at].clone();
        let mut plan = Plan::parse(&document).unwrap();
        if plan.outdated(self.now, MAX_AGE).is_some() {
            return Ok(Verdict::Stale);
        }
        let client = self.client();
        let mut made = Made { plan: plan.clone(), ..made };
        if tip && let Some(terms) = made.terms.filter(|terms| !terms.due) {
            let (last, began) = (self.commits.len() - 1, Instant::now());
            plan = observe::decide_by_tip(&client, &plan, &self.commits[last].desired(), self.now).await?;
            if plan.is_superseded() {
                return Ok(Verdict::Stale);
            }
            made.began = began;
            made.bounds = self.saved_bounds(&made, &plan, Terms { tip: Some(last), ..terms });
            made.terms = Some(Terms { tip: Some(last), ..terms });
        }
        let renamed = self.renamed(&plan);
        let renamed = plan.groups.iter().any(|group| !group.operations.is_empty() && renamed.contains(&group.id));
        match apply::recheck(&client, &plan).await? {
            Recheck::Stale(_) => Ok(Verdict::Stale),
            Recheck::Fresh { .. } if renamed => panic!("a plan is taken for fresh although a group has another name"),
            Recheck::Fresh { present, remaining } => {
                let remaining = observe::ask_for_people(&client, &remaining, false).await?;
                let plan = plan.with_refusals(remaining.refusals);
                made = Made { plan, ..made };
                self.check_plan(&made, true);
                self.decide(&client, made, Some(present), question, run).await
            }
        }
    }

    /// The bounds of a saved plan, about which the newest files decide. What its own files say stays.
    fn saved_bounds(&self, made: &Made, plan: &Plan, terms: Terms) -> Bounds {
        let mut rules = self.bounds(plan, Some(terms));
        let old = &made.bounds;
        // The newest files exclude groups by the names that they have now.
        let is_named = |group: &GroupPlan| self.account.group_id(group.name.as_str()) == Some(group.id);
        let moved: BTreeSet<GroupId> =
            plan.groups.iter().filter(|group| !is_named(group)).map(|group| group.id).collect();
        rules.exclusive.retain(|(one, other)| !moved.contains(one) && !moved.contains(other));
        Bounds {
            spared: &old.spared & &rules.spared,
            listed: old.listed.clone(),
            surely_listed: old.surely_listed.clone(),
            exempt: old.exempt.clone(),
            asked: old.asked.clone(),
            ..rules
        }
    }

    /// Undoes the last journal, and checks that everything is as before the run.
    pub async fn undo(&mut self, run: Run) -> Result<(), Violation> {
        let Some(path) = self.journals.last().cloned() else { return Ok(()) };
        let undone = self.chronicles.iter().rposition(|run| run.carried.is_some());
        let reversals = read(&path)?.reversals(&Arc::from("journal"));
        let client = self.client();
        let attempt = match self.plan_undoing(&client, &reversals).await {
            Ok(made) => {
                self.undoes_by_id(&made.plan)?;
                self.restores_no_ended_access(&made)?;
                self.decide(&client, made, None, None, run).await
            }
            Err(error) => Err(error),
        };
        self.close(attempt)?;
        let (Some(undone), Some(undoing)) = (undone, self.chronicles.last()) else { return Ok(()) };
        let (history, now) = (self.account.history(), self.memberships());
        checks::undone(&self.chronicles[undone], undoing, &history, &now)?;
        self.figures.moves_undone += checks::keeps_one_of_both(&self.chronicles[undone], undoing, &history, &now)?;
        Ok(())
    }

    /// Checks that an undo uses the mode and the `min_members` of the files that declare each group by its id.
    fn undoes_by_id(&self, plan: &Plan) -> Result<(), Violation> {
        let luck = self.scenario.luck;
        for group in plan.groups.iter().filter(|_| luck.regroup + luck.swap_names == 0) {
            let declared =
                self.files().groups.iter().find(|declared| self.account.group_id(&declared.name) == Some(group.id));
            let expected = declared.map_or((Mode::Observe, None), |group| (group.mode(), group.min_members));
            let bound = (group.mode, group.guards.min_members.as_ref().map(|least| least.value));
            if bound != expected {
                return Err(format!("{:?} is undone as {bound:?}, the files say {expected:?}", group.name));
            }
        }
        Ok(())
    }

    /// Checks that an undo gives no access again that has ended meanwhile.
    fn restores_no_ended_access(&self, made: &Made) -> Result<(), Violation> {
        let mut added = made.changes().filter(|(_, action, _)| *action == Action::Add);
        let has_ended = |(group, _, member): &(GroupId, Action, MemberId)| {
            made.bounds.ended.contains(&(*group, *member)) && self.truth.is_plain(*member)
        };
        match added.find(has_ended) {
            Some((group, _, member)) => Err(format!("the access of {member} to {group} has ended, and undo gives it")),
            None => Ok(()),
        }
    }

    async fn plan_undoing(
        &self,
        client: &Client,
        reversals: &BTreeMap<GroupId, plan::Reversal>,
    ) -> Result<Made, ApiError> {
        let desired = self.files().desired();
        let (seen, began) = (self.account.history().len(), Instant::now());
        let mut current = Observed { groups: client.user_groups().await?, ..Observed::default() };
        let present = reversals.keys().copied().filter(|id| current.groups.contains_key(id)).collect();
        observe::read_members(client, &mut current, &present).await?;
        let make = |current: &Observed| plan::undo(reversals, &desired, current, &policy(), self.now);
        let plan = observe::resolve(client, &mut current, true, make).await?;
        let bounds = self.bounds(&plan, None);
        Ok(Made { plan, bounds, terms: None, seen, began })
    }

    /// Applies the plan unless its guards refuse it, or it is stale after a question.
    async fn decide(
        &mut self,
        client: &Client,
        mut made: Made,
        read_again: Option<Present>,
        question: Option<&Question>,
        run: Run,
    ) -> Attempt {
        if run.accept {
            made.plan = made.plan.with_limits_lifted();
        }
        self.figures.planned(&made.plan);
        if !made.plan.refusals.is_empty() {
            return Ok(Verdict::Refused);
        }
        let (mut answered, mut renamed) = (None, BTreeSet::new());
        let (made_plan, mut present) = (read_again.is_none(), read_again.unwrap_or_default());
        if let Some(question) = question.filter(|_| made.plan.summary.requests > 0) {
            let before = self.renamed(&made.plan);
            self.ask(question, &made.plan).await;
            client.outdate_readings();
            answered = Some(Instant::now());
            renamed = &self.renamed(&made.plan) - &before;
            if question.rechecks {
                match self.recheck(client, &made.plan, run).await? {
                    Some(again) => present = again,
                    None => return Ok(Verdict::Stale),
                }
            }
        }
        let path = self.folder.path().join(format!("{}.jsonl", self.journals.len()));
        let journal = Journal::create(&path, run_facts(made.plan.digest)).unwrap();
        self.journals.push(path.clone());
        let before = present.clone();
        let report = self.carry_out(client, &journal, &made.plan, present, made_plan, run).await;
        self.figures.ended(match &report {
            None => "killed",
            Some(report) if report.interrupted => "interrupted",
            Some(report) if !report.stale.is_empty() && !report.may_have_changed => "stale before the first write",
            Some(report) if report.complete => "complete",
            Some(_) => "in part",
        });
        report.iter().for_each(|report| self.figures.reported(report));
        let (accepted, record) = (run.accept, read(&path).unwrap());
        Ok(Verdict::Carried(Box::new(Carried { made, accepted, answered, renamed, before, report, record })))
    }

    /// Time passes until a question is answered, and others change the account.
    async fn ask(&mut self, question: &Question, plan: &Plan) {
        self.figures.happened("a question");
        tokio::time::advance(Duration::from_secs(question.seconds) + super::TICK).await;
        for edit in &question.edits {
            self.truth.edit(&self.account, edit);
        }
        for pair in plan.exclusive.iter().filter(|_| question.intrudes) {
            let joining = plan.groups.iter().filter(|group| group.id == pair.group.id).flat_map(GroupPlan::additions);
            for change in joining.filter(|change| change.after.is_empty()) {
                self.figures.happened("an intrusion into a group that excludes another one");
                self.account.add(pair.other.name.as_str(), &change.member.id.to_string());
            }
        }
    }

    /// The groups of a plan that have another name now. Nothing is known if others rename groups at any time, or create
    /// one of the same name.
    fn renamed(&self, plan: &Plan) -> BTreeSet<GroupId> {
        let edits = self.scenario.steps.iter().flat_map(Step::edits);
        let regrouping = self.scenario.luck.regroup + self.scenario.luck.swap_names > 0
            || edits.into_iter().any(|edit| matches!(edit, Edit::CreateGroup(_)));
        let known = |group: &&GroupPlan| regrouping || self.account.group_id(group.name.as_str()) == Some(group.id);
        plan.groups.iter().filter(|group| !known(group)).map(|group| group.id).collect()
    }

    /// Reads the account again after a question, as the program does. `None` if the plan is stale.
    async fn recheck(&mut self, client: &Client, plan: &Plan, run: Run) -> Result<Option<Present>, ApiError> {
        let Recheck::Fresh { present, remaining } = apply::recheck(client, plan).await? else { return Ok(None) };
        let broken = remaining.refusals.iter().any(|it| it.group.is_some() && !(run.accept && it.guard.is_limit()));
        Ok((!broken).then_some(present))
    }

    async fn carry_out(
        &self,
        client: &Client,
        journal: &Journal,
        plan: &Plan,
        present: Present,
        made_plan: bool,
        Run { accept, cut }: Run,
    ) -> Option<Report> {
        let context =
            Context { client, journal, progress: &|_| {}, settle_within: MAX_WAIT, made_plan, limits_lifted: accept };
        let is_stopped = || client.settles_until().is_some();
        let mut applying = pin!(apply::apply(plan, present, context));
        let report = std::future::poll_fn(|context| {
            let polled = applying.as_mut().poll(context).map(Some);
            match cut {
                Cut::Killed(at) if polled.is_pending() && self.writes_arrived() >= at => Poll::Ready(None),
                Cut::Stopped(at) if polled.is_pending() && self.writes_arrived() >= at && !is_stopped() => {
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
            if self.scenario.luck.slow {
                tokio::time::sleep(self.scenario.luck.latency().0).await;
            }
        }
        report
    }

    fn writes_arrived(&self) -> usize {
        self.account.requests().iter().filter(|request| request.method != "GET").count()
    }

    /// Records a run, and checks the invariants of it and of all earlier runs.
    fn close(&mut self, attempt: Attempt) -> Result<(), Violation> {
        let requests = self.account.requests();
        self.account.clear_requests();
        self.figures.count(&requests);
        let first = self.last_request + 1;
        self.last_request = requests.last().map_or(self.last_request, |request| request.number);
        let (ended, carried) = match attempt {
            Ok(Verdict::Carried(carried)) => (None, Some(*carried)),
            Ok(Verdict::Planned) => (Some("planned"), None),
            Ok(Verdict::Refused) => (Some("refused"), None),
            Ok(Verdict::Stale) => (Some("stale"), None),
            Err(_) => (Some("could not read the account"), None),
        };
        ended.into_iter().for_each(|ended| self.figures.ended(ended));
        if let Some(found) = self.found.take() {
            return Err(found);
        }
        let history = self.account.history();
        let run = Chronicle { numbers: first..self.last_request + 1, requests, carried };
        checks::ended(&run, &history, &self.memberships())?;
        self.chronicles.push(run);
        self.chronicles.iter().try_for_each(|run| checks::lasting(run, &history))
    }

    pub fn memberships(&self) -> Memberships {
        let names = self.account.memberships().into_keys();
        names.filter_map(|name| Some((self.account.group_id(&name)?, self.account.member_ids_of(&name)))).collect()
    }
}

fn read(path: &Path) -> Result<Record, Violation> {
    journal::parse(&std::fs::read(path).unwrap()).map_err(|error| format!("the journal cannot be read: {error}"))
}

fn run_facts(digest: Digest) -> RunFacts {
    RunFacts {
        format_version: journal::FORMAT_VERSION,
        version: "0.0.0".into(),
        account_id: AccountId::SANDBOX,
        digest,
        host: None,
        user: None,
        ci_run_url: None,
        commit: None,
        pull_request: None,
        approvers: Vec::new(),
    }
}
