//! The steps of a history.

use convoke::sandbox::Edit;
use fastrand::Rng;
use jiff::Timestamp;

use super::files::{Files, hours};
use super::scenario::{Cast, at_domain, pick};
use crate::builders::EditExt as _;

#[derive(Clone, Debug)]
pub enum Step {
    /// The files change: a commit.
    Declare(Files),
    /// Another actor changes the account.
    Edit(Edit),
    /// So many hours pass.
    Wait(i64),
    /// A plan is made and saved.
    Plan(Scope),
    /// A plan is made and applied.
    Apply { scope: Scope, question: Option<Question>, run: Run },
    /// A saved plan is applied: the latest, or one `back` plans before it.
    ApplySaved { back: usize, tip: bool, question: Option<Question>, run: Run },
    /// The last run with a journal is undone.
    Undo(Run),
    /// The token becomes valid again.
    RestoreToken,
    /// These people are removed from a group just before its next DELETE, whose answer is lost. The reading that
    /// settles the DELETE shows fewer members than any earlier reading.
    Exodus(Vec<String>),
    /// The answer to the next DELETE in each group is lost, and it takes effect later than the run waits for it.
    Linger,
}

/// What a plan covers.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    Whole,
    /// `--due`
    Due,
    /// `--base … --only-changed`: of the last commit, or one `back` commits before it; with or without `--tip`.
    Change {
        back: usize,
        tip: bool,
    },
}

/// A question before the first write, and what happens until it is answered.
#[derive(Clone, Debug)]
pub struct Question {
    pub seconds: u64,
    pub edits: Vec<Edit>,
    /// Whether the account is read again as the program does, or only before each write.
    pub rechecks: bool,
    /// Whether others add the people who are to join groups to the groups that exclude these.
    pub intrudes: bool,
}

/// How a plan is applied.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Whether the limits are lifted.
    pub accept: bool,
    pub cut: Cut,
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// It ends by itself.
    Never,
    /// It is killed when the write with this number has arrived.
    Killed(usize),
    /// It is interrupted when the write with this number has arrived.
    Stopped(usize),
}

impl Run {
    pub const WHOLE: Self = Self { accept: false, cut: Cut::Never };

    fn random(rng: &mut Rng) -> Self {
        let at = pick(rng, &[1, 1, 1, 2, 2, 3, 5]);
        let cut = match rng.u8(0..8) {
            0..2 => Cut::Killed(at),
            2 => Cut::Stopped(at),
            _ => Cut::Never,
        };
        Self { accept: rng.u8(0..3) == 0, cut }
    }
}

impl Scope {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(0..8) {
            0..4 => Self::Whole,
            4 => Self::Due,
            _ => Self::Change { back: pick(rng, &[0, 0, 1, 2]), tip: rng.u8(0..3) > 0 },
        }
    }
}

impl Question {
    fn random(rng: &mut Rng, cast: &Cast) -> Option<Self> {
        let edits = match rng.u8(0..12) {
            0..9 => return None,
            9 => {
                let mut group = || cast.groups[rng.usize(..cast.groups.len())].name.clone();
                vec![Edit::swap_names(&group(), &group())]
            }
            _ => (0..rng.usize(0..4)).map(|_| edit(rng, cast)).collect(),
        };
        Some(Self { seconds: pick(rng, &[0, 3, 60]), edits, rechecks: rng.bool(), intrudes: rng.u8(0..4) == 0 })
    }
}

impl Step {
    /// A history that begins with files.
    pub fn history(rng: &mut Rng, cast: &Cast, start: Timestamp) -> Vec<Self> {
        let mut writer = Writer { files: Files::random(rng, cast, start), now: start };
        let mut steps = vec![Self::Declare(writer.files.clone())];
        if rng.u8(0..3) == 0 {
            steps.push(Self::exodus(rng, cast));
        }
        if rng.u8(0..3) == 0 {
            // People move, and the move is undone, although a group may not be written any more.
            writer.files = Files::moving(rng, cast);
            steps.push(Self::Declare(writer.files.clone()));
            if rng.u8(0..5) == 0 {
                steps.push(Self::Linger);
            }
            let intrusion = Question { seconds: 3, edits: Vec::new(), rechecks: rng.u8(0..4) == 0, intrudes: true };
            let question = (rng.u8(0..3) == 0).then_some(intrusion);
            steps.push(Self::Apply { scope: Scope::Whole, question, run: Run { accept: true, cut: Cut::Never } });
            if rng.bool() {
                writer.files = writer.files.without_a_group(rng);
                steps.push(Self::Declare(writer.files.clone()));
            }
            steps.push(Self::Undo(Run { accept: true, cut: Cut::Never }));
        }
        if rng.u8(0..3) == 0
            && let Some((commits, moves_on)) = Files::relay(rng, cast, start)
        {
            // Each commit has its own job, and jobs are late.
            writer.files = commits[2].clone();
            steps.extend(commits.map(Self::Declare));
            let order = if moves_on { [&[1][..], &[1, 0], &[0, 1]] } else { [&[0][..], &[0, 1], &[1, 0]] };
            for back in pick(rng, &order) {
                let scope = Scope::Change { back: *back, tip: moves_on || rng.bool() };
                steps.push(Self::Apply { scope, question: None, run: Run { accept: true, cut: Cut::Never } });
            }
        }
        for _ in 0..rng.usize(3..10) {
            let step = writer.random(rng, cast);
            // An older plan is more interesting after a newer one.
            if matches!(step, Self::ApplySaved { .. }) && rng.bool() {
                steps.push(Self::Plan(Scope::random(rng)));
                steps.push(writer.random(rng, cast));
            }
            let is_applied = matches!(step, Self::Apply { .. } | Self::ApplySaved { .. });
            steps.push(step);
            // What was undone is more interesting if nothing happened in between.
            if is_applied && rng.u8(0..4) == 0 {
                if rng.u8(0..4) == 0 {
                    steps.push(writer.random(rng, cast));
                }
                steps.push(Self::Undo(Run { accept: true, ..Run::random(rng) }));
            }
        }
        steps
    }

    /// The changes by others that the step makes itself.
    pub fn edits(&self) -> &[Edit] {
        match self {
            Self::Edit(edit) => std::slice::from_ref(edit),
            Self::Apply { question: Some(question), .. } | Self::ApplySaved { question: Some(question), .. } => {
                &question.edits
            }
            _ => &[],
        }
    }

    fn exodus(rng: &mut Rng, cast: &Cast) -> Self {
        Self::Exodus(cast.people.iter().filter(|_| rng.u8(0..3) == 0).map(|person| person.email.clone()).collect())
    }
}

/// What the next step is chosen for.
struct Writer {
    files: Files,
    now: Timestamp,
}

impl Writer {
    fn random(&mut self, rng: &mut Rng, cast: &Cast) -> Step {
        match rng.u8(0..24) {
            0..5 => {
                let is_small = rng.u8(0..3) > 0;
                self.files = match is_small {
                    true => self.files.changed(rng, cast, self.now),
                    false => Files::random(rng, cast, self.now),
                };
                Step::Declare(self.files.clone())
            }
            5..7 => Step::Edit(edit(rng, cast)),
            7..9 => {
                let wait = pick(rng, &[1, 6, 7, 24, 150, 200, 900]);
                self.now += hours(wait);
                Step::Wait(wait)
            }
            9..10 => Step::Plan(Scope::random(rng)),
            10..17 => {
                let question = Question::random(rng, cast);
                Step::Apply { scope: Scope::random(rng), question, run: Run::random(rng) }
            }
            17..20 => {
                let (question, tip) = (Question::random(rng, cast), rng.u8(0..3) == 0);
                Step::ApplySaved { back: pick(rng, &[0, 0, 0, 1, 2]), tip, question, run: Run::random(rng) }
            }
            20..22 => Step::Undo(Run::random(rng)),
            _ if rng.bool() => Step::RestoreToken,
            _ => Step::exodus(rng, cast),
        }
    }
}

fn edit(rng: &mut Rng, cast: &Cast) -> Edit {
    let person = cast.people[rng.usize(..cast.people.len())].email.clone();
    let group = cast.groups[rng.usize(..cast.groups.len())].name.clone();
    match rng.u8(0..16) {
        0..5 => Edit::add(&group, &person),
        5..10 => Edit::remove(&group, &person),
        10 => Edit::rename_group(&group, &format!("{group} renamed")),
        11 => Edit::rename_group(&format!("{group} renamed"), &group),
        12 => Edit::DeleteGroup(group),
        13 if rng.bool() => Edit::CreateGroup(group),
        13 => Edit::swap_names(&group, &cast.groups[rng.usize(..cast.groups.len())].name),
        14 if rng.bool() => Edit::change_email(&person, &at_domain(&person, "moved.example")),
        14 => Edit::change_email(&person, &format!("new-{person}")),
        _ => Edit::RemovePerson(person),
    }
}
