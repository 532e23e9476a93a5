//! The course of one request with its fault.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::edit::Edit;
use super::fault::{Contradiction, Cut, FalseClaim, Fault, Late, Respond};

#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) latency: Duration,
    pub(crate) stall: Duration,
    pub(crate) lag: Duration,
    pub(crate) clamp: Option<NonZeroU32>,
    pub(crate) before: Vec<Edit>,
    pub(crate) effect: CourseEffect,
    pub(crate) after: Vec<Edit>,
    pub(crate) alterations: Vec<Alteration>,
    pub(crate) ending: Ending,
}

/// Whether and when the request is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CourseEffect {
    #[default]
    Now,
    /// After this time, whether or not the client still waits.
    Later(Duration),
    /// Never, and the request is not even checked.
    Never,
    /// Never, but the answer claims that it was.
    Claimed(FalseClaim),
}

/// A change of the true answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    Omit(&'static str),
    Contradict(Contradiction),
    ResultInfo(BTreeMap<String, Value>),
    NumbersAsText,
}

/// What the client receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer, as altered.
    #[default]
    Answer,
    /// The first half of its body.
    Half,
    /// Nothing; the connection is closed.
    Nothing,
    /// `success: false` with status 200.
    Unsuccessful,
    /// Another answer.
    Instead(Respond),
}

impl Ending {
    /// Whether the client receives a part of the true answer.
    pub(crate) const fn needs_answer(&self) -> bool {
        matches!(self, Self::Answer | Self::Half)
    }
}

impl Course {
    pub(crate) fn new(fault: Option<&Fault>) -> Self {
        let mut course = Self::default();
        fault.into_iter().for_each(|fault| course.meet(fault));
        course
    }

    fn meet(&mut self, fault: &Fault) {
        match fault {
            Fault::Latency(delay) => self.latency = self.latency.saturating_add(delay.0),
            Fault::Stall(delay) => self.stall = self.stall.saturating_add(delay.0),
            Fault::Lag(delay) => self.lag = self.lag.max(delay.0),
            Fault::Clamp(most) => self.clamp = Some(self.clamp.map_or(*most, |clamp| clamp.min(*most))),
            Fault::Respond(respond) => {
                if !respond.after {
                    self.effect = CourseEffect::Never;
                }
                self.ending = Ending::Instead(respond.clone());
            }
            Fault::Cut(cut) => {
                if *cut == Cut::Before {
                    self.effect = CourseEffect::Never;
                }
                self.ending = if *cut == Cut::Body { Ending::Half } else { Ending::Nothing };
            }
            Fault::Late(late) => self.meet_late(*late),
            Fault::Unsuccessful => (self.effect, self.ending) = (CourseEffect::Never, Ending::Unsuccessful),
            Fault::UnsuccessfulAfter => self.ending = Ending::Unsuccessful,
            Fault::Claim(claim) => self.effect = CourseEffect::Claimed(*claim),
            Fault::OmitResultInfo => self.alterations.push(Alteration::Omit("result_info")),
            Fault::OmitResult => self.alterations.push(Alteration::Omit("result")),
            Fault::Contradict(contradiction) => self.alterations.push(Alteration::Contradict(*contradiction)),
            Fault::ResultInfo(fields) => self.alterations.push(Alteration::ResultInfo(fields.clone())),
            Fault::NumbersAsText => self.alterations.push(Alteration::NumbersAsText),
            Fault::EditBefore(edit) => self.before.push(edit.clone()),
            Fault::EditAfter(edit) => self.after.push(edit.clone()),
            Fault::All(faults) => faults.iter().for_each(|fault| self.meet(fault)),
        }
    }

    fn meet_late(&mut self, Late { after, status, hang }: Late) {
        self.effect = CourseEffect::Later(after.0);
        self.ending = match status {
            Some(status) => Ending::Instead(Respond { status, edge: true, ..Respond::default() }),
            None if hang => Ending::Answer,
            None => Ending::Nothing,
        };
    }
}
