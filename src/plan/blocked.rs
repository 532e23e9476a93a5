//! Declared entries and groups that cannot be applied, and the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::{Action, Plan, Since};
use super::group::GroupPlan;
use super::guards::Guard;
use crate::model::typos::{Texts, written};
use crate::model::{Email, GroupId, GroupName, Member, MemberId, Mode, Origin, PersonRef};

/// A declared entry or group that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blocked {
    /// The declared group.
    pub group: GroupName,
    /// The entry; null if the whole group is blocked.
    pub entry: Option<PersonRef>,
    /// Where it is declared.
    pub origin: Origin,
    pub reason: BlockedReason,
    /// The reason in words.
    pub message: String,
    /// The mode of the group. An observed group is never applied.
    #[serde(default)]
    pub mode: Mode,
    /// Whether the change under review caused it; null without a base.
    pub since: Option<Since>,
}

impl Blocked {
    pub fn new(
        group: &GroupName,
        mode: Mode,
        entry: Option<PersonRef>,
        origin: &Origin,
        reason: BlockedReason,
    ) -> Self {
        let message = match (&entry, &reason) {
            (Some(id), BlockedReason::Domain { email, .. }) => format!("{email} ({id}): {reason}"),
            (Some(entry), _) => format!("{entry}: {reason}"),
            (None, _) => reason.to_string(),
        };
        Self { group: group.clone(), entry, origin: origin.clone(), reason, message, mode, since: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BlockedReason {
    /// No member of the account has this address or id.
    #[error("not a member of the account; {}", unknown_person(.similar))]
    UnknownPerson {
        /// The most similar address of the account.
        nearest: Option<Email>,
        /// Up to five members whom the entry could mean, the most similar first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        similar: Vec<Member>,
    },
    /// The person whom a run removed is no longer a member of the account.
    #[error(
        "no longer a member of the account; invite the person and declare them in the files, because an invitation gives \
         a new id"
    )]
    LeftAccount,
    /// No entry in force gives the person the access that a run ended, and the group has these rules for entries.
    #[error(
        "not restored, because the group has {}, and no entry in force names the person; revert the files first",
        .rules.join(" and ")
    )]
    NoEntry { rules: Vec<String> },
    /// The person declined the invitation to the account.
    #[error("declined the invitation to the account; invite the person again")]
    RejectedInvitation,
    /// Several members of the account have this address.
    #[error("several members of the account have this address; use one of their ids: {}", joined(.candidates))]
    AmbiguousPerson { candidates: Vec<MemberId> },
    /// No group of the account has this name.
    #[error("the account has no group with this name; {}", unknown_group(.nearest.as_ref()))]
    UnknownGroup {
        /// The most similar name of the account.
        nearest: Option<GroupName>,
    },
    /// No group of the account has the pinned id.
    #[error(
        "the account has no group with the pinned id {pin}{}",
        .namesake.map(|id| format!("; the group with this name has the id {id}")).unwrap_or_default()
    )]
    UnknownPin {
        pin: GroupId,
        /// The group that has the declared name now.
        namesake: Option<GroupId>,
    },
    /// The pinned group has another name. Only plans of due changes go on without it.
    #[error("the pinned group {pin} is called {:?} in the account; nobody is removed from it", .name.as_str())]
    RenamedPin { pin: GroupId, name: GroupName },
    /// Several groups of the account have this name.
    #[error("several groups of the account have this name; pin one by id: {}", joined(.candidates))]
    AmbiguousGroup { candidates: Vec<GroupId> },
    /// The API refuses to list the group's members.
    #[error("its members cannot be read: {cause}")]
    UnreadableGroup {
        /// In the API's words.
        cause: String,
    },
    /// The group gives other permissions than the files pin.
    #[error("not added, because the group {}", changed_permissions(.lost, .gained))]
    Permissions {
        /// Pinned, but not given.
        lost: Vec<String>,
        /// Given, but not pinned.
        gained: Vec<String>,
    },
    /// The address of the member with this id is at none of the allowed domains.
    #[error("the address is at none of the `email_domains`: {}", .allowed.join(", "))]
    Domain { email: Email, allowed: Vec<String> },
    /// The person is declared in a group that excludes this one. One group names the person by id, the other by
    /// address.
    #[error("{}", exclusive(.group, .origin, *.present))]
    Exclusive {
        /// The other group.
        group: GroupName,
        /// The person's entry in the other group.
        origin: Origin,
        /// Whether the person is already in both groups, and stays in both.
        present: bool,
    },
    /// The person is in a group that excludes this one, and the plan does not remove the person there.
    #[error("{}", exclusive_member(.group, .cause.as_deref()))]
    ExclusiveMember {
        /// The other group.
        group: GroupName,
        /// Why the other group cannot be read, if it cannot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// The person moves between groups that exclude each other, and no order of requests keeps this guard.
    #[error(
        "moves between groups that exclude each other, and {group} would break {guard} meanwhile; move {} in two changes",
        listed(.people, "and")
    )]
    ExclusiveOrder {
        guard: Guard,
        /// The group that would have too few members meanwhile.
        group: GroupName,
        /// Everybody whose move is blocked for this reason.
        people: Vec<Member>,
    },
}

fn unknown_person(similar: &[Member]) -> String {
    match similar {
        [] => "invite the person first".to_owned(),
        similar => format!("did you mean {}?", listed(similar, "or")),
    }
}

fn unknown_group(nearest: Option<&GroupName>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {:?}?", nearest.as_str()),
        None => "create it first, or pin its id".to_owned(),
    }
}

fn exclusive(group: &GroupName, origin: &Origin, present: bool) -> String {
    if present {
        let stays = "both memberships stay until one of the entries is removed";
        format!("already in both this group and {group} ({origin}), which exclude each other; {stays}")
    } else {
        format!("also in {group} ({origin}), and the groups exclude each other; remove one of the entries")
    }
}

fn exclusive_member(group: &GroupName, cause: Option<&str>) -> String {
    match cause {
        None => format!("in {group}, and the groups exclude each other; this plan does not remove the person there"),
        Some(cause) => format!("{group} excludes this group, and its members cannot be read: {cause}"),
    }
}

/// What a group gives, compared with its pins.
pub(super) fn changed_permissions(lost: &[String], gained: &[String]) -> String {
    let gives = match gained {
        [] => "does not give".to_owned(),
        gained => format!("gives {}, which `permissions` does not list", gained.join(", ")),
    };
    match (lost, gained) {
        ([], _) => gives,
        (lost, []) => format!("{gives} {}, which `permissions` lists", lost.join(", ")),
        (lost, _) => format!("{gives}, and does not give {}, which it lists", lost.join(", ")),
    }
}

/// "a, b or c": members by address, or by id if they have none.
fn listed(members: &[Member], joint: &str) -> String {
    let mut names: Vec<String> = members.iter().map(|member| member.person().to_string()).collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} {joint} {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

fn joined(ids: &[impl fmt::Display]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The addresses that may be the present ones of each unknown person.
pub type PresentAddresses = BTreeMap<PersonRef, Vec<String>>;

impl Plan {
    /// For each person whom the account does not have: the undeclared members of the person's groups who may be the same
    /// person. Their address has the same part before the `@`, or differs by no more than a typo.
    pub fn present_addresses(&self) -> PresentAddresses {
        // A plan can have as many unknown entries as members, so each group is walked once, not once for each entry.
        let planned: BTreeMap<&GroupName, &GroupPlan> = self.groups.iter().map(|group| (&group.name, group)).collect();
        let mut undeclared: BTreeMap<&GroupName, (BTreeMap<MemberId, &Email>, Texts<'_, MemberId>)> = BTreeMap::new();
        let mut present = PresentAddresses::new();
        for entry in &self.blocked {
            let (Some(person), BlockedReason::UnknownPerson { similar, .. }) = (&entry.entry, &entry.reason) else {
                continue;
            };
            let Some(group) = planned.get(&entry.group).copied() else { continue };
            let (emails, texts) = undeclared.entry(&group.name).or_insert_with(|| {
                let emails = undeclared_emails(group);
                let texts = Texts::new(emails.iter().map(|(id, email)| (email.folded(), *id)));
                (emails, texts)
            });
            let moved = texts.moved(written(person)).iter().map(|(_, id)| *id);
            let ids: BTreeSet<MemberId> = moved.chain(similar.iter().map(|member| member.id)).collect();
            let found = present.entry(person.clone()).or_default();
            for email in ids.iter().filter_map(|id| emails.get(id)).map(ToString::to_string) {
                if !found.contains(&email) {
                    found.push(email);
                }
            }
        }
        present
    }
}

/// The members of a group whom no entry names.
fn undeclared_emails(group: &GroupPlan) -> BTreeMap<MemberId, &Email> {
    let leaving = group.changes.iter().chain(&group.held).filter(|change| change.action == Action::Remove);
    let leaving: BTreeSet<MemberId> = leaving.map(|change| change.member.id).collect();
    // An additive group does not remove undeclared members.
    let is_undeclared =
        |id: &MemberId| leaving.contains(id) || group.required.as_ref().is_some_and(|required| !required.contains(id));
    let members = group.observed.values().filter(|member| is_undeclared(&member.id));
    members.filter_map(|member| Some((member.id, member.email.as_ref()?))).collect()
}
