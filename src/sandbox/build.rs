//! Reads a seed, and creates the account that it describes, or reports what is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_saphyr::{Location, MessageFormatter as _, UserMessageFormatter};

use super::groups::{BUILT_IN, Grantable, Granted, PERMISSION_GROUP, PolicyBody, RESOURCE_GROUP, WHOLE_ACCOUNT};
use super::seed::{
    Seed, SeedAuditEntry, SeedEntry, SeedGrantable, SeedGroup, SeedMember, SeedPerson, SeedPolicy, SeedPolicyAccess,
};
use super::server::Server;
use super::state::{AccountState, StoredGroup, StoredPerson, derive, hex, now};
use crate::model::{Email, EmailError, GroupId, MemberId};

/// The time of everything for which the seed has no time: 2026-01-01T00:00:00Z.
const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Seed {
    /// Reads a seed from text. The path is used only in messages.
    ///
    /// # Errors
    ///
    /// If the text is not YAML, has another shape, or contradicts itself.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SeedError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let invalid = |error: serde_saphyr::Error| SeedError {
            place: error.location(),
            message: UserMessageFormatter.format_message(error.without_snippet()).into_owned(),
        };
        let seed: Self =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| invalid(error).located(path, text))?;
        Server::new(&seed).map_err(|error| error.located(path, text))?;
        Ok(seed)
    }
}

/// What is wrong with a seed. Without a place it concerns the entry that is being read, or the complete seed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SeedError {
    place: Option<Location>,
    message: String,
}

pub(crate) fn problem(message: impl Into<String>) -> SeedError {
    SeedError { place: None, message: message.into() }
}

impl SeedError {
    /// Adds the file, the place and the source line to the message.
    fn located(self, path: &Path, text: &str) -> Self {
        let (path, message) = (path.display(), self.message);
        let Some(at) = self.place else { return problem(format!("{path}: {message}")) };
        let (line, column) = (at.line(), at.column());
        let source = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
        let visible = |source: &str| source.chars().filter(|c| !c.is_control()).take(160).collect::<String>();
        let source = source.map(|source| format!("\n  {line} | {}", visible(source))).unwrap_or_default();
        problem(format!("{path}:{line}:{column}: {message}{source}"))
    }
}

/// Reads each entry. A problem gets the place of the innermost entry that it is about.
fn each<T, R>(entries: &[SeedEntry<T>], mut read: impl FnMut(&T) -> Result<R, SeedError>) -> Result<Vec<R>, SeedError> {
    let placed = |entry: &SeedEntry<T>| {
        read(&entry.value).map_err(|error| SeedError { place: error.place.or(entry.place), ..error })
    };
    entries.iter().map(placed).collect()
}

pub(crate) fn state(seed: &Seed) -> Result<AccountState, SeedError> {
    let mut state = AccountState::default();
    state.clock = seed.clock;
    state.new_groups_settle = seed.new_groups_settle;
    state.member_order = seed.member_order;
    for (name, label) in BUILT_IN {
        let (id, name) = (hex(PERMISSION_GROUP, name), name.into());
        state.permission_groups.push(Grantable { id, name, label: Some(label), eol_at: None });
    }
    grantable(&mut state.resource_groups, RESOURCE_GROUP, &SeedGrantable::from(WHOLE_ACCOUNT.to_owned()))?;
    each(&seed.permission_groups, |group| grantable(&mut state.permission_groups, PERMISSION_GROUP, group))?;
    each(&seed.resource_groups, |group| grantable(&mut state.resource_groups, RESOURCE_GROUP, group))?;
    each(&seed.people, |person| add_person(&mut state, person))?;
    for (name, group) in &seed.groups {
        add_group(&mut state, name, group)?;
    }
    for SeedAuditEntry { time, by, edit } in &seed.audit_log.entries {
        let unknown = format!("audit_log: {edit:?} is not about a group and a person of this account");
        let record = state.request_for(by, edit).ok_or_else(|| problem(unknown))?;
        state.record_request(*time, record);
    }
    if let Some(owner) = &seed.token_owner {
        let unknown = |_| problem(format!("token_owner: {owner:?} is neither an email address nor a person's id"));
        state.token_owner = Some(state.find_or_add_person(owner).map_err(unknown)?);
    }
    Ok(state)
}

fn email(text: &str) -> Result<Email, SeedError> {
    text.parse().map_err(|error| not_an_email(text, error))
}

fn not_an_email(text: &str, error: EmailError) -> SeedError {
    problem(format!("{text:?} is not an email address: {error}"))
}

/// The API's ids are hexadecimal. Other code accepts more, because it only passes ids on.
fn check_hexadecimal(id: &str) -> Result<(), SeedError> {
    let is_valid = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_valid.then_some(()).ok_or_else(|| problem(format!("the id {id} is not hexadecimal")))
}

fn add_person(state: &mut AccountState, seed: &SeedPerson) -> Result<(), SeedError> {
    let address = email(&seed.email)?;
    let id = seed.id.unwrap_or_else(|| state.new_person_id(&address));
    check_hexadecimal(id.as_str())?;
    if state.person_with(&address).is_some() {
        return Err(problem(format!("{address} is listed twice: addresses are compared without case")));
    }
    if let Some(other) = state.person(id) {
        return Err(problem(format!("{} already has the id of {address}: {id}", other.email)));
    }
    let mut person = StoredPerson::new(address, seed.clone());
    if let Some(text) = &seed.user_email {
        person.user_email = email(text)?;
    }
    if let Some(text) = &seed.group_email {
        person.group_email = text.as_deref().map(email).transpose()?;
    }
    person.policies = stored_policies(state, id.as_str(), &seed.policies)?;
    state.insert_person(id, person);
    Ok(())
}

fn add_group(state: &mut AccountState, name: &str, seed: &SeedGroup) -> Result<(), SeedError> {
    let id: GroupId = seed.id.unwrap_or_else(|| derive("group", name));
    check_hexadecimal(id.as_str())?;
    if let Some(other) = state.groups.get(&id) {
        return Err(problem(format!("group {name:?}: the group {:?} already has the id {id}", other.name)));
    }
    let created_on = seed.created_on.unwrap_or_else(|| if seed.settling > 0 { now() } else { EPOCH });
    let policies = stored_policies(state, name, &seed.policies)?;
    let mut members = BTreeMap::new();
    each(&seed.members, |member| {
        let id = find_member(state, member)?;
        match members.insert(id, member.since.unwrap_or(EPOCH)) {
            Some(_) => Err(problem(format!("group {name:?} lists the same person twice"))),
            None => Ok(()),
        }
    })?;
    let (name, modified_on, seed) = (name.into(), created_on, seed.clone());
    state.groups.insert(id, StoredGroup { name, created_on, modified_on, policies, members, seed });
    Ok(())
}

fn find_member(state: &mut AccountState, seed: &SeedMember) -> Result<MemberId, SeedError> {
    match (&seed.email, seed.id) {
        (Some(text), None) => state.find_or_add_person(text).map_err(|error| not_an_email(text, error)),
        (None, Some(id)) if state.person(id).is_some() => Ok(id),
        (None, Some(id)) => Err(problem(format!("no account member has the id {id}"))),
        _ => Err(problem("a member has either an email or an id")),
    }
}

/// The policies of a group or a person. Without a resource group, a policy applies to the whole account.
fn stored_policies(state: &mut AccountState, of: &str, seeds: &[SeedPolicy]) -> Result<Vec<PolicyBody>, SeedError> {
    let mut policies = Vec::new();
    for (nth, seed) in seeds.iter().enumerate() {
        let id = Some(hex("policy", &format!("{nth} of {of}")));
        let access = if seed.access == SeedPolicyAccess::Allow { "allow" } else { "deny" }.into();
        let permission_group = |group: &_| grantable(&mut state.permission_groups, PERMISSION_GROUP, group);
        let permission_groups = each(&seed.permission_groups, permission_group)?;
        let resource_group = |group: &_| grantable(&mut state.resource_groups, RESOURCE_GROUP, group);
        let mut resource_groups = each(&seed.resource_groups, resource_group)?;
        if resource_groups.is_empty() {
            let whole_account = SeedGrantable::from(WHOLE_ACCOUNT.to_owned());
            resource_groups.push(grantable(&mut state.resource_groups, RESOURCE_GROUP, &whole_account)?);
        }
        policies.push(PolicyBody { id, access, permission_groups, resource_groups });
    }
    Ok(policies)
}

/// The id of a permission group or a resource group, as policies send it. One with a name becomes known to the account.
fn grantable(known: &mut Vec<Grantable>, kind: &str, seed: &SeedGrantable) -> Result<Granted, SeedError> {
    let SeedGrantable { name, id, eol_at } = seed.clone();
    let given = id.map(|id| id.to_lowercase());
    let unnamed = || problem("a permission group or a resource group has a name or an id");
    let Some(name) = name else { return Ok(Granted { id: given.ok_or_else(unnamed)? }) };
    if let Some(one) = known.iter().find(|one| one.name == name && given.as_ref().is_none_or(|id| one.id == *id)) {
        return Ok(Granted { id: one.id.clone() });
    }
    let id = given.unwrap_or_else(|| hex(kind, &name));
    known.push(Grantable { id: id.clone(), name, label: None, eol_at });
    Ok(Granted { id })
}
