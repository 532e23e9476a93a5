//! Removes a member by DELETE.

use super::Shared;
use super::run::GroupRun;
use super::send::{Write, Written, refusal};
use crate::cloudflare::ApiErrorKind;
use crate::model::MemberId;
use crate::plan::{Action, Method};

impl GroupRun<'_> {
    /// Removes the member, or notes why not.
    pub async fn remove(&mut self, member: MemberId, shared: &Shared<'_>) {
        if !self.present.contains(&member) {
            return;
        }
        if self.keep(member, shared) {
            return;
        }
        if shared.stopped() {
            return self.skip(Action::Remove, member, "interrupted before it was begun", shared);
        }
        let write = Write { method: Method::Delete, members: vec![member], adds: Vec::new(), removes: vec![member] };
        match self.send_until_settled(&write, shared).await {
            Written::Done(members) => {
                self.present.remove(&member);
                self.proven = members.is_some();
            }
            Written::Refused(_, error)
                if matches!(
                    error.kind(),
                    ApiErrorKind::Refused | ApiErrorKind::NotFound | ApiErrorKind::NotAllowed
                ) =>
            {
                self.refused_removal(member, &refusal(&error), shared).await;
            }
            Written::Refused(_, error) | Written::NotSent(error) | Written::Lost(error) => {
                self.fail(Action::Remove, member, &error.reason(), shared);
            }
            Written::GivenUp(reason) => self.fail(Action::Remove, member, &reason, shared),
        }
    }

    /// Keeps somebody here who could not be added elsewhere, and notes that. Says whether it is so.
    pub fn keep(&mut self, member: MemberId, shared: &Shared<'_>) -> bool {
        let Some(group) = shared.kept_for(member) else { return false };
        let reason = format!("stays, because adding them to {:?} failed", group.as_str());
        self.skip(Action::Remove, member, &reason, shared);
        true
    }

    /// The API refuses to remove somebody who is not there: that is as good as done, once it is seen to be so.
    async fn refused_removal(&mut self, member: MemberId, reason: &str, shared: &Shared<'_>) {
        match self.read(shared).await {
            Ok(_) if !self.present.contains(&member) => {}
            Ok(_) => self.fail(Action::Remove, member, reason, shared),
            Err(error) => {
                let reason = format!("{reason}, and the group cannot be read: {}", error.reason());
                self.fail(Action::Remove, member, &reason, shared);
            }
        }
    }
}
