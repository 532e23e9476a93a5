//! The steps of a history.

use convoke::sandbox::Edit;
use fastrand::Rng;

use super::files::Files;
use super::scenario::{Cast, pick};
use crate::builders::EditExt as _;

#[derive(Clone, Debug)]
pub enum Step {
    /// The files change.
    Declare(Files),
    /// Another actor changes the account.
    Edit(Edit),
    /// A plan is made and saved.
    Plan,
    /// A plan is made and applied.
    Apply(Run),
    /// A saved plan is applied: the latest, or one `back` plans before it.
    ApplySaved { back: usize, run: Run },
    /// The last run with a journal is undone.
    Undo(Run),
    /// The token becomes valid again.
    RestoreToken,
    /// These people are removed from a group just before its next DELETE, whose answer is lost. The reading that
    /// settles the DELETE shows fewer members than any earlier reading.
    Exodus(Vec<String>),
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

impl Step {
    /// A history that begins with files.
    pub fn history(rng: &mut Rng, cast: &Cast) -> Vec<Self> {
        let mut steps = vec![Self::Declare(Files::random(rng, cast))];
        if rng.u8(0..3) == 0 {
            steps.push(Self::exodus(rng, cast));
        }
        for _ in 0..rng.usize(3..10) {
            let step = Self::random(rng, cast);
            // An older plan is more interesting after a newer one.
            if matches!(step, Self::ApplySaved { .. }) && rng.bool() {
                steps.push(Self::Plan);
                steps.push(Self::random(rng, cast));
            }
            steps.push(step);
        }
        steps
    }

    fn random(rng: &mut Rng, cast: &Cast) -> Self {
        match rng.u8(0..20) {
            0..4 => Self::Declare(Files::random(rng, cast)),
            4..6 => Self::Edit(edit(rng, cast)),
            6..7 => Self::Plan,
            7..13 => Self::Apply(Run::random(rng)),
            13..16 => Self::ApplySaved { back: pick(rng, &[0, 0, 0, 1, 2]), run: Run::random(rng) },
            16..19 => Self::Undo(Run::random(rng)),
            _ if rng.bool() => Self::RestoreToken,
            _ => Self::exodus(rng, cast),
        }
    }

    fn exodus(rng: &mut Rng, cast: &Cast) -> Self {
        Self::Exodus(cast.people.iter().filter(|_| rng.u8(0..3) == 0).map(|person| person.email.clone()).collect())
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
        14 => Edit::change_email(&person, &format!("new-{person}")),
        _ => Edit::RemovePerson(person),
    }
}
