//! Builders of seeds, fault rules and edits. The program reads these types from YAML, so only tests need builders.

use std::num::NonZeroU32;
use std::path::Path;

use convoke::model::GroupId;
use convoke::sandbox::{
    Edit, EditActor, Endpoint, Fault, FaultRule, Invitation, Match, Respond, Seed, SeedEntry, SeedGroup, SeedMember,
    SeedPerson, Share,
};

const fn entry<T>(value: T) -> SeedEntry<T> {
    SeedEntry { value, place: None }
}

pub trait SeedExt {
    fn load(path: &Path) -> Self;
    /// Adds this person to the account.
    fn person(self, person: impl IntoPerson) -> Self;
    /// Adds these people to the account.
    fn people<P: IntoPerson>(self, people: impl IntoIterator<Item = P>) -> Self;
    /// Adds this group: a [`SeedGroup`], or a list of its members.
    fn group(self, name: &str, group: impl IntoGroup) -> Self;
    /// Adds this fault rule.
    fn fault(self, rule: FaultRule) -> Self;
    /// Makes this token the only valid one.
    fn token(self, token: &str) -> Self;
}

impl SeedExt for Seed {
    fn load(path: &Path) -> Self {
        Self::parse(path, &std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn person(mut self, person: impl IntoPerson) -> Self {
        self.people.push(entry(person.into_person()));
        self
    }

    fn people<P: IntoPerson>(self, people: impl IntoIterator<Item = P>) -> Self {
        people.into_iter().fold(self, Self::person)
    }

    fn group(mut self, name: &str, group: impl IntoGroup) -> Self {
        self.groups.insert(name.into(), group.into_group());
        self
    }

    fn fault(mut self, rule: FaultRule) -> Self {
        self.faults.push(rule);
        self
    }

    fn token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }
}

/// A person, or an address.
pub trait IntoPerson {
    fn into_person(self) -> SeedPerson;
}

impl IntoPerson for SeedPerson {
    fn into_person(self) -> SeedPerson {
        self
    }
}

impl IntoPerson for &str {
    fn into_person(self) -> SeedPerson {
        SeedPerson::from(String::from(self))
    }
}

impl IntoPerson for String {
    fn into_person(self) -> SeedPerson {
        SeedPerson::from(self)
    }
}

pub trait SeedPersonExt {
    fn of(email: &str) -> Self;
    fn status(self, status: Invitation) -> Self;
    /// A person who cannot be added to groups.
    fn not_joinable(self) -> Self;
}

impl SeedPersonExt for SeedPerson {
    fn of(email: &str) -> Self {
        email.into_person()
    }

    fn status(self, status: Invitation) -> Self {
        Self { status, ..self }
    }

    fn not_joinable(self) -> Self {
        Self { joinable: false, ..self }
    }
}

/// A group, or a list of its members by email or id.
pub trait IntoGroup {
    fn into_group(self) -> SeedGroup;
}

impl IntoGroup for SeedGroup {
    fn into_group(self) -> SeedGroup {
        self
    }
}

impl<M: Into<String>, const N: usize> IntoGroup for [M; N] {
    fn into_group(self) -> SeedGroup {
        SeedGroup::of(self)
    }
}

impl<M: Into<String>> IntoGroup for Vec<M> {
    fn into_group(self) -> SeedGroup {
        SeedGroup::of(self)
    }
}

pub trait SeedGroupExt {
    /// A group of these members, by email or id.
    fn of<M: Into<String>>(members: impl IntoIterator<Item = M>) -> Self;
    fn id(self, id: GroupId) -> Self;
    /// A group that SCIM manages.
    fn scim(self) -> Self;
}

impl SeedGroupExt for SeedGroup {
    fn of<M: Into<String>>(members: impl IntoIterator<Item = M>) -> Self {
        let members = members.into_iter().map(|member| entry(SeedMember::from(member.into()))).collect();
        Self { members, ..Self::default() }
    }

    fn id(self, id: GroupId) -> Self {
        Self { id: Some(id), ..self }
    }

    fn scim(self) -> Self {
        Self { scim: true, ..self }
    }
}

pub trait MatchExt {
    /// Every request.
    fn any() -> Self;
    /// The requests for this operation.
    fn operation(operation: Endpoint) -> Self;
    /// Only requests to this group.
    fn group(self, name: &str) -> Self;
    /// Only requests about this person.
    fn member(self, who: &str) -> Self;
    /// Only requests for this page.
    fn page(self, page: u64) -> Self;
    /// Only from this one of these requests on; 0 means the first.
    fn nth(self, nth: u32) -> Self;
}

impl MatchExt for Match {
    fn any() -> Self {
        Self::default()
    }

    fn operation(operation: Endpoint) -> Self {
        Self { operation: Some(operation), ..Self::default() }
    }

    fn group(self, name: &str) -> Self {
        Self { group: Some(name.into()), ..self }
    }

    fn member(self, who: &str) -> Self {
        Self { member: Some(who.into()), ..self }
    }

    fn page(self, page: u64) -> Self {
        Self { page: Some(page), ..self }
    }

    fn nth(self, nth: u32) -> Self {
        Self { nth: NonZeroU32::new(nth), ..self }
    }
}

pub trait FaultRuleExt {
    fn once(on: Match, fault: Fault) -> Self;
    fn always(on: Match, fault: Fault) -> Self;
}

impl FaultRuleExt for FaultRule {
    fn once(on: Match, fault: Fault) -> Self {
        Self { on, fault, times: 1 }
    }

    fn always(on: Match, fault: Fault) -> Self {
        Self { on, fault, times: u32::MAX }
    }
}

/// Faults that answer with an error. The request is not carried out.
pub trait FaultExt {
    /// A JSON error with this status.
    fn status(status: u16) -> Self;
    /// An HTML error with this status, as from the edge.
    fn html(status: u16) -> Self;
    /// An error of the edge with this status.
    fn edge(status: u16) -> Self;
    fn rate_limited(retry_after: u64) -> Self;
}

impl FaultExt for Fault {
    fn status(status: u16) -> Self {
        Self::Respond(Respond { status, ..Respond::default() })
    }

    fn html(status: u16) -> Self {
        Self::Respond(Respond { status, html: true, ..Respond::default() })
    }

    fn edge(status: u16) -> Self {
        Self::Respond(Respond { status, edge: true, ..Respond::default() })
    }

    fn rate_limited(retry_after: u64) -> Self {
        Self::Respond(Respond { status: 429, retry_after: Some(retry_after), ..Respond::default() })
    }
}

pub trait EditExt {
    fn add(group: &str, member: &str) -> Self;
    fn remove(group: &str, member: &str) -> Self;
    fn rename_group(group: &str, to: &str) -> Self;
    fn swap_names(group: &str, with: &str) -> Self;
    fn change_email(member: &str, to: &str) -> Self;
    /// This edit with an actor, for the audit log.
    fn by(self, actor: EditActor) -> Self;
}

impl EditExt for Edit {
    fn add(group: &str, member: &str) -> Self {
        Self::Add { group: group.into(), member: member.into() }
    }

    fn remove(group: &str, member: &str) -> Self {
        Self::Remove { group: group.into(), member: member.into() }
    }

    fn rename_group(group: &str, to: &str) -> Self {
        Self::RenameGroup { group: group.into(), to: to.into() }
    }

    fn swap_names(group: &str, with: &str) -> Self {
        Self::SwapNames { group: group.into(), with: with.into() }
    }

    fn change_email(member: &str, to: &str) -> Self {
        Self::ChangeEmail { member: member.into(), to: to.into() }
    }

    fn by(self, actor: EditActor) -> Self {
        Self::By { actor, edit: Box::new(self) }
    }
}

pub trait EditActorExt {
    /// A user in the dashboard.
    fn dashboard(email: &str) -> Self;
    /// A token.
    fn token(name: &str) -> Self;
}

impl EditActorExt for EditActor {
    fn dashboard(email: &str) -> Self {
        let text = |text: &str| Some(text.into());
        Self { email: text(email), context: text("dash"), kind: text("user"), ..Self::default() }
    }

    fn token(name: &str) -> Self {
        let text = |text: &str| Some(text.into());
        Self { token_name: text(name), context: text("api_token"), kind: text("account"), ..Self::default() }
    }
}

pub trait ShareExt {
    fn percent(percent: u32) -> Self;
}

impl ShareExt for Share {
    fn percent(percent: u32) -> Self {
        format!("{percent}%").try_into().unwrap()
    }
}
