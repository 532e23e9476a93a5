//! Sends one write, records it, and settles by reading what a lost answer leaves open.

use std::collections::BTreeSet;

use super::Shared;
use super::run::GroupRun;
use crate::cloudflare::{ApiError, Concern, WriteFate};
use crate::journal::{Announced, Effect, Outcome};
use crate::model::MemberId;
use crate::plan::Method;

/// How often a write is sent before its group is given up.
pub(super) const MAX_SENDS: usize = 4;

/// A write as it goes out.
pub(super) struct Write {
    pub method: Method,
    /// What the request names.
    pub members: Vec<MemberId>,
    /// Whom it brings in, given the members now.
    pub adds: Vec<MemberId>,
    /// Whom it takes out, given the members now.
    pub removes: Vec<MemberId>,
}

/// What came of a write.
pub(super) enum Written {
    /// It was carried out; with the group's members where the answer gives them.
    Done(Option<BTreeSet<MemberId>>),
    /// The API refused it.
    Refused(Concern, ApiError),
    /// It was certainly not carried out, or is not known to have been, and trying again is of no use.
    GivenUp(String),
    /// It was certainly not carried out; trying again may help.
    NotSent(ApiError),
    /// Its answer was lost.
    Lost(ApiError),
}

impl GroupRun<'_> {
    /// Sends a write once.
    pub async fn send(&mut self, write: &Write, shared: &Shared<'_>) -> (Written, Option<Announced>) {
        let journal = shared.means.journal;
        let effect = Effect {
            group_id: self.plan.id,
            group: self.plan.name.clone(),
            method: write.method,
            adds: write.adds.clone(),
            removes: write.removes.clone(),
        };
        let announced = match journal.announce(effect) {
            Ok(announced) => announced,
            Err(error) => return (Written::GivenUp(unrecorded(&error)), None),
        };
        let fate = self.request(write, shared).await;
        let outcome = match &fate {
            WriteFate::Answered { .. } => Outcome::Done,
            WriteFate::Refused { .. } => Outcome::Refused,
            WriteFate::NotSent(_) => Outcome::NotDone,
            WriteFate::Unknown(_) => Outcome::Unknown,
        };
        if let Err(error) = journal.answered(announced, outcome, fate.ray(), fate.error().map(ApiError::reason)) {
            // The next write cannot be announced either, and is then not sent.
            self.trouble = Some(unrecorded(&error));
        }
        if let Some(error) = fate.error() {
            shared.note_failure(error);
        }
        let written = match fate {
            WriteFate::Answered { members, .. } => {
                self.written = true;
                self.proven = false;
                Written::Done(members)
            }
            WriteFate::Refused { concerns, error } => Written::Refused(concerns, error),
            WriteFate::NotSent(error) => Written::NotSent(error),
            WriteFate::Unknown(error) => Written::Lost(error),
        };
        (written, Some(announced))
    }

    async fn request(&self, write: &Write, shared: &Shared<'_>) -> WriteFate {
        let client = shared.means.client;
        match (write.method, write.members.as_slice()) {
            (Method::Post, members) => client.add_members(&self.target, members).await,
            (Method::Put, members) => client.replace_members(&self.target, members).await,
            (Method::Delete, members) => {
                // The plan gives a DELETE one member.
                let mut last = WriteFate::Answered { members: None, ray: None };
                for member in members {
                    last = client.remove_member(&self.target, *member).await;
                }
                last
            }
        }
    }

    /// Sends a POST or a DELETE until it is known what came of it. A lost answer is settled by reading.
    pub async fn send_until_settled(&mut self, write: &Write, shared: &Shared<'_>) -> Written {
        let mut lost = None;
        for _ in 0..MAX_SENDS {
            if lost.is_some() && shared.stopped() {
                break;
            }
            let (error, announced) = match self.send(write, shared).await {
                (Written::Lost(error), announced) => (error, announced),
                (Written::NotSent(error), _) => return Written::GivenUp(error.reason()),
                (written, _) => return written,
            };
            let made = |present: &BTreeSet<MemberId>| {
                write.adds.iter().all(|id| present.contains(id)) && !write.removes.iter().any(|id| present.contains(id))
            };
            match self.settle(&error, announced, made, shared).await {
                Err(unknown) => return Written::GivenUp(unknown),
                Ok(true) => return Written::Done(Some(self.present.clone())),
                Ok(false) => lost = Some(error.reason()),
            }
        }
        Written::GivenUp(lost.unwrap_or_default())
    }

    /// Reads what became of a write whose answer was lost, and records it. Says whether it was carried out.
    ///
    /// # Errors
    ///
    /// Says that this is not known, where the group cannot be read.
    pub async fn settle(
        &mut self,
        lost: &ApiError,
        announced: Option<Announced>,
        made: impl Fn(&BTreeSet<MemberId>) -> bool,
        shared: &Shared<'_>,
    ) -> Result<bool, String> {
        if let Err(error) = self.read(shared).await {
            let (lost, unread) = (lost.reason(), error.reason());
            return Err(format!(
                "it is not known whether it was carried out ({lost}), nor can the group be read: {unread}"
            ));
        }
        let made = made(&self.present);
        self.written |= made;
        if let Some(announced) = announced
            && let Err(error) = shared.means.journal.settled(announced, made)
        {
            self.trouble = Some(unrecorded(&error));
        }
        Ok(made)
    }
}

fn unrecorded(error: &std::io::Error) -> String {
    format!("the journal cannot be written: {error}")
}

fn speaks_of_scim(error: &ApiError) -> bool {
    error.messages().iter().any(|message| message.message.to_lowercase().contains("scim"))
}

/// Why a write was refused, with what to do about it where the API's words do not say it.
pub(super) fn refusal(error: &ApiError) -> String {
    match speaks_of_scim(error) {
        true => format!("{}; declare the group with mode: observe", error.reason()),
        false => error.reason(),
    }
}
