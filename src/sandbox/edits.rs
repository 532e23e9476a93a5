//! Applies changes by other actors, and records them as requests in the audit log.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::audit::{AuditedClient, AuditedRequest};
use super::edit::{Edit, EditActor, EditBy, InGroup, NameSwap, Readdressing, Renaming};
use super::state::State;
use crate::model::GroupId;

impl State {
    /// Makes another actor's change; returns whether it changed anything.
    pub(crate) fn edit(&mut self, edit: &Edit) -> bool {
        match edit {
            Edit::Add(InGroup { group, member }) => {
                let Some(group) = self.group_named(group) else { return false };
                let Some(member) = self.find_or_add_person(member) else { return false };
                self.add_members(group, &BTreeSet::from([member]))
            }
            Edit::Remove(InGroup { group, member }) => match (self.group_named(group), self.find_person(member)) {
                (Some(group), Some(member)) => self.remove_member(group, member),
                _ => false,
            },
            Edit::CreateGroup(name) => {
                self.create_group(name, Vec::new());
                true
            }
            Edit::RenameGroup(Renaming { group, to }) => {
                self.group_named(group).is_some_and(|group| self.rename_group(group, to))
            }
            Edit::SwapNames(NameSwap { group, with }) => match (self.group_named(group), self.group_named(with)) {
                (Some(one), Some(other)) if one != other => {
                    self.rename_group(one, with);
                    self.rename_group(other, group)
                }
                _ => false,
            },
            Edit::DeleteGroup(name) => self.group_named(name).is_some_and(|group| self.delete_group(group)),
            Edit::ChangeEmail(Readdressing { member, to }) => match (self.find_person(member), to.parse()) {
                (Some(member), Ok(email)) => self.change_email(member, email),
                _ => false,
            },
            Edit::AddPerson(email) => self.find_person(email).is_none() && self.find_or_add_person(email).is_some(),
            Edit::RemovePerson(who) => self.find_person(who).is_some_and(|person| self.remove_person(person)),
            Edit::RevokeToken => !std::mem::replace(&mut self.token_revoked, true),
            Edit::Several(edits) => edits.iter().fold(false, |changed, edit| self.edit(edit) | changed),
            Edit::By(EditBy { actor, edit }) => self.edit_by(actor, edit),
        }
    }

    /// Makes another actor's change, and records it in the audit log.
    fn edit_by(&mut self, actor: &EditActor, edit: &Edit) -> bool {
        if let Edit::Several(edits) = edit {
            return edits.iter().fold(false, |changed, edit| self.edit_by(actor, edit) | changed);
        }
        // Before the edit, for what it removes or renames; after it, for what it adds.
        let before = self.request_for(edit);
        if !self.edit(edit) {
            return false;
        }
        if let Some(request) = before.or_else(|| self.request_for(edit)) {
            self.audit(actor.clone(), request, AuditedClient::default());
        }
        true
    }

    /// The request that corresponds to an edit; `None` if the API has none, or the account lacks the objects of the
    /// edit.
    pub(crate) fn request_for(&self, edit: &Edit) -> Option<AuditedRequest> {
        let on = |group: GroupId, method, rest: &str, body: Value| {
            let path = format!("/iam/user_groups/{group}{rest}");
            Some(AuditedRequest { method, group: Some(group), path, body })
        };
        match edit {
            Edit::Add(InGroup { group, member }) => {
                let member = self.find_person(member)?;
                on(self.group_named(group)?, "POST", "/members", json!([{ "id": member }]))
            }
            Edit::Remove(InGroup { group, member }) => {
                let member = self.find_person(member)?;
                on(self.group_named(group)?, "DELETE", &format!("/members/{member}"), Value::Null)
            }
            Edit::CreateGroup(name) => Some(AuditedRequest {
                method: "POST",
                group: self.group_named(name),
                path: "/iam/user_groups".into(),
                body: json!({ "name": name }),
            }),
            Edit::RenameGroup(Renaming { group, to }) => on(self.group_named(group)?, "PUT", "", json!({ "name": to })),
            Edit::DeleteGroup(name) => on(self.group_named(name)?, "DELETE", "", Value::Null),
            Edit::SwapNames(_)
            | Edit::ChangeEmail(_)
            | Edit::AddPerson(_)
            | Edit::RemovePerson(_)
            | Edit::RevokeToken
            | Edit::Several(_)
            | Edit::By(_) => None,
        }
    }
}
