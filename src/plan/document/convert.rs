//! Turns a plan into its document and back. Every struct is taken apart whole: a field that is added to one side
//! cannot be forgotten on the other.

use std::sync::Arc;

use super::{
    BlockedDocument, ChangeDocument, ExpiringDocument, GroupDocument, MemberDocument, OriginDocument, RefusalDocument,
    RosterUseDocument, SummaryDocument, UnmanagedDocument,
};
use crate::model::{Member, MemberId, Membership, Origin, RosterUse};
use crate::plan::{Blocked, Change, Expiring, GroupPlan, Refusal, Summary, UnmanagedGroup};

impl From<Summary> for SummaryDocument {
    fn from(summary: Summary) -> Self {
        let Summary { groups, changed, adds, removes, observed_only, held, blocked, refused, requests } = summary;
        Self { groups, changed, adds, removes, observed_only, held, blocked, refused, requests }
    }
}

impl From<&GroupPlan> for GroupDocument {
    fn from(group: &GroupPlan) -> Self {
        let GroupPlan { id, name, mode, origin, observed, fingerprint, changes, held, operations, guards, required } =
            group;
        let member = |(id, member): (&MemberId, &Arc<Member>)| MemberDocument {
            id: *id,
            email: member.email.clone(),
            status: member.status,
        };
        Self {
            id: *id,
            name: name.clone(),
            mode: *mode,
            origin: origin.into(),
            fingerprint: *fingerprint,
            changes: changes.iter().map(ChangeDocument::from).collect(),
            held: held.iter().map(ChangeDocument::from).collect(),
            operations: operations.clone(),
            guards: *guards,
            required: required.clone(),
            observed: observed.iter().map(member).collect(),
        }
    }
}

impl From<GroupDocument> for GroupPlan {
    fn from(document: GroupDocument) -> Self {
        let GroupDocument {
            id,
            name,
            mode,
            origin,
            fingerprint,
            changes,
            held,
            operations,
            guards,
            required,
            observed,
        } = document;
        let observed: Membership = observed
            .into_iter()
            .map(|member| (member.id, Arc::new(Member { id: member.id, email: member.email, status: member.status })))
            .collect();
        Self {
            id,
            name,
            mode,
            origin: origin.into(),
            observed: Arc::new(observed),
            fingerprint,
            changes: changes.into_iter().map(Change::from).collect(),
            held: held.into_iter().map(Change::from).collect(),
            operations,
            guards,
            required,
        }
    }
}

impl From<&Change> for ChangeDocument {
    fn from(change: &Change) -> Self {
        let Change { action, member, origin, via, reason, expired, since, added_at } = change;
        Self {
            action: *action,
            member: MemberDocument { id: member.id, email: member.email.clone(), status: member.status },
            origin: origin.into(),
            via: via.iter().flat_map(|via| via.iter()).map(RosterUseDocument::from).collect(),
            reason: reason.clone(),
            expired: *expired,
            since: *since,
            added_at: *added_at,
        }
    }
}

impl From<ChangeDocument> for Change {
    fn from(document: ChangeDocument) -> Self {
        let ChangeDocument { action, member, origin, via, reason, expired, since, added_at } = document;
        let via: Vec<RosterUse> = via.into_iter().map(RosterUse::from).collect();
        Self {
            action,
            member: Member { id: member.id, email: member.email, status: member.status },
            origin: origin.into(),
            via: (!via.is_empty()).then(|| via.into()),
            reason,
            expired,
            since,
            added_at,
        }
    }
}

impl From<&Origin> for OriginDocument {
    fn from(origin: &Origin) -> Self {
        let Origin { file, line, column } = origin;
        Self { file: Arc::clone(file), line: *line, column: *column }
    }
}

impl From<OriginDocument> for Origin {
    fn from(document: OriginDocument) -> Self {
        let OriginDocument { file, line, column } = document;
        Self { file, line, column }
    }
}

impl From<&RosterUse> for RosterUseDocument {
    fn from(roster_use: &RosterUse) -> Self {
        let RosterUse { roster, origin } = roster_use;
        Self { roster: Arc::clone(roster), origin: origin.into() }
    }
}

impl From<RosterUseDocument> for RosterUse {
    fn from(document: RosterUseDocument) -> Self {
        let RosterUseDocument { roster, origin } = document;
        Self { roster, origin: origin.into() }
    }
}

impl From<&Blocked> for BlockedDocument {
    fn from(blocked: &Blocked) -> Self {
        let Blocked { group, entry, origin, reason, since } = blocked;
        Self {
            group: group.clone(),
            entry: entry.clone(),
            origin: origin.into(),
            reason: reason.clone(),
            message: blocked.to_string(),
            since: *since,
        }
    }
}

impl From<BlockedDocument> for Blocked {
    fn from(document: BlockedDocument) -> Self {
        let BlockedDocument { group, entry, origin, reason, message: _, since } = document;
        Self { group, entry, origin: origin.into(), reason, since }
    }
}

impl From<&Refusal> for RefusalDocument {
    fn from(refusal: &Refusal) -> Self {
        let Refusal { guard, group, message, figures, origin, help } = refusal;
        Self {
            guard: *guard,
            group: group.clone(),
            message: message.clone(),
            help: help.clone(),
            figures: *figures,
            origin: origin.as_ref().map(OriginDocument::from),
        }
    }
}

impl From<RefusalDocument> for Refusal {
    fn from(document: RefusalDocument) -> Self {
        let RefusalDocument { guard, group, message, help, figures, origin } = document;
        Self { guard, group, message, figures, origin: origin.map(Origin::from), help }
    }
}

impl From<&UnmanagedGroup> for UnmanagedDocument {
    fn from(group: &UnmanagedGroup) -> Self {
        let UnmanagedGroup { id, name } = group;
        Self { id: *id, name: name.clone() }
    }
}

impl From<UnmanagedDocument> for UnmanagedGroup {
    fn from(document: UnmanagedDocument) -> Self {
        let UnmanagedDocument { id, name } = document;
        Self { id, name }
    }
}

impl From<&Expiring> for ExpiringDocument {
    fn from(expiring: &Expiring) -> Self {
        let Expiring { group, person, until, origin } = expiring;
        Self { group: group.clone(), person: person.clone(), until: *until, origin: origin.into() }
    }
}

impl From<ExpiringDocument> for Expiring {
    fn from(document: ExpiringDocument) -> Self {
        let ExpiringDocument { group, person, until, origin } = document;
        Self { group, person, until, origin: origin.into() }
    }
}
