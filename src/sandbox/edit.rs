//! Changes that another actor makes to the account, recorded as requests in the audit log.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::AuditedRequest;
use super::state::AccountState;
use crate::model::GroupId;

/// A change of the account by another actor. Groups are identified by their present name, people by email or id. An
/// edit without anything to change has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// A person joins a group, and the account if they are not a member yet.
    Add {
        group: String,
        member: String,
    },
    Remove {
        group: String,
        member: String,
    },
    CreateGroup(String),
    RenameGroup {
        group: String,
        to: String,
    },
    SwapNames {
        group: String,
        with: String,
    },
    DeleteGroup(String),
    /// The address of a person becomes `to`, in the account and in every group.
    ChangeEmail {
        member: String,
        to: String,
    },
    /// A person with this address joins the account.
    AddPerson(String),
    /// A person leaves the account and all of its groups.
    RemovePerson(String),
    RevokeToken,
    /// Several edits, one after the other.
    Several(Vec<Edit>),
    /// An edit with an actor, which the audit log records. It does not record edits without one.
    By {
        actor: EditActor,
        edit: Box<Edit>,
    },
}

/// An actor as the audit log shows it. Missing fields are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditActor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the actor reached the API: `dash`, `api_token`, `api_key`, `oauth`, or another text, such as `scim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_name: Option<String>,
    /// The kind of actor: `user`, `account`, `system` or `cloudflare_admin`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl Edit {
    pub fn add(group: &str, member: &str) -> Self {
        Self::Add { group: group.into(), member: member.into() }
    }

    pub fn remove(group: &str, member: &str) -> Self {
        Self::Remove { group: group.into(), member: member.into() }
    }

    pub fn rename_group(group: &str, to: &str) -> Self {
        Self::RenameGroup { group: group.into(), to: to.into() }
    }

    pub fn swap_names(group: &str, with: &str) -> Self {
        Self::SwapNames { group: group.into(), with: with.into() }
    }
}

impl AccountState {
    /// Makes another actor's change; returns whether it changed anything.
    pub(crate) fn edit(&mut self, edit: &Edit) -> bool {
        match edit {
            Edit::Add { group, member } => {
                let Some(group) = self.group_named(group) else { return false };
                let Some(member) = self.find_or_add_person(member) else { return false };
                self.add_members(group, &BTreeSet::from([member]))
            }
            Edit::Remove { group, member } => match (self.group_named(group), self.find_person(member)) {
                (Some(group), Some(member)) => self.remove_member(group, member),
                _ => false,
            },
            Edit::CreateGroup(name) => {
                self.create_group(name, Vec::new());
                true
            }
            Edit::RenameGroup { group, to } => {
                self.group_named(group).is_some_and(|group| self.rename_group(group, to))
            }
            Edit::SwapNames { group, with } => match (self.group_named(group), self.group_named(with)) {
                (Some(one), Some(other)) if one != other => {
                    self.rename_group(one, with);
                    self.rename_group(other, group)
                }
                _ => false,
            },
            Edit::DeleteGroup(name) => self.group_named(name).is_some_and(|group| self.delete_group(group)),
            Edit::ChangeEmail { member, to } => match (self.find_person(member), to.parse()) {
                (Some(member), Ok(email)) => self.change_email(member, email),
                _ => false,
            },
            Edit::AddPerson(email) => self.find_person(email).is_none() && self.find_or_add_person(email).is_some(),
            Edit::RemovePerson(who) => self.find_person(who).is_some_and(|person| self.remove_person(person)),
            Edit::RevokeToken => !std::mem::replace(&mut self.token_revoked, true),
            Edit::Several(edits) => edits.iter().fold(false, |changed, edit| self.edit(edit) | changed),
            Edit::By { actor, edit } => self.edit_by(actor, edit),
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
            self.audit(actor.clone(), request);
        }
        true
    }

    /// The request that corresponds to an edit; `None` if the API has none, or the account lacks the objects of the
    /// edit.
    pub(crate) fn request_for(&self, edit: &Edit) -> Option<AuditedRequest> {
        let on = |group: GroupId, method, rest: &str, body: Value| {
            let path = format!("/iam/user_groups/{group}{rest}");
            Some(AuditedRequest { method, group: Some(group), path, body, ..AuditedRequest::default() })
        };
        match edit {
            Edit::Add { group, member } => {
                let member = self.find_person(member)?;
                on(self.group_named(group)?, "POST", "/members", json!([{ "id": member }]))
            }
            Edit::Remove { group, member } => {
                let member = self.find_person(member)?;
                on(self.group_named(group)?, "DELETE", &format!("/members/{member}"), Value::Null)
            }
            Edit::CreateGroup(name) => Some(AuditedRequest {
                method: "POST",
                group: self.group_named(name),
                path: "/iam/user_groups".into(),
                body: json!({ "name": name }),
                ..AuditedRequest::default()
            }),
            Edit::RenameGroup { group, to } => on(self.group_named(group)?, "PUT", "", json!({ "name": to })),
            Edit::DeleteGroup(name) => on(self.group_named(name)?, "DELETE", "", Value::Null),
            _ => None,
        }
    }
}
