//! The request that an edit amounts to, as the audit log shows it.

use serde_json::{Value, json};

use super::State;
use crate::model::GroupId;
use crate::sandbox::audit::AuditedRequest;
use crate::sandbox::edit::{Edit, InGroup, Renaming};

impl State {
    /// The request that makes an edit; nothing where the API has none, or the account lacks what the edit is about.
    pub(super) fn request_for(&self, edit: &Edit) -> Option<AuditedRequest> {
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
