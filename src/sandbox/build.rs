//! Reads a seed, and creates the account that it describes, or reports what is wrong with it.

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_saphyr::{Location, MessageFormatter as _, UserMessageFormatter};
use tokio::time::Instant;

use super::audit::{AuditLog, AuditRecord};
use super::groups::{Catalog, Grantable, PolicyBody};
use super::seed::{
    Seed, SeedAuditEntry, SeedEntry, SeedGrantable, SeedGroup, SeedMember, SeedPerson, SeedPolicy, SeedPolicyAccess,
};
use super::state::{AccountState, StoredGroup, StoredPerson, derive, hex, id_of_person, now};
use crate::model::{Email, GroupId, MemberId};

const MAX_BYTES: u64 = 64 * 1024 * 1024;

impl Seed {
    /// Reads a seed from text. The path is used only in messages.
    ///
    /// # Errors
    ///
    /// If the text is not YAML, has another shape, or contradicts itself.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SeedError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let seed: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| SeedError::from_yaml(&error).located(path, text))?;
        state(&seed).map_err(|error| error.located(path, text))?;
        Ok(seed)
    }

    /// Reads a seed from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is too large, or is not a seed (see [`Self::parse`]).
    pub fn load(path: &Path) -> Result<Self, SeedError> {
        let unreadable = |source| SeedError::Unreadable { path: PathBuf::from(path), source };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        // The size of a device or a pipe is not known in advance.
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(SeedError::TooLarge { path: path.into(), most: MAX_BYTES });
        }
        Self::parse(path, &text)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("cannot read the seed {}", .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the seed {} is larger than {most} bytes", .path.display())]
    TooLarge { path: PathBuf, most: u64 },
    #[error("{message}")]
    Invalid { place: Option<Location>, message: String },
}

pub(crate) fn problem(place: Option<Location>, message: impl Into<String>) -> SeedError {
    SeedError::Invalid { place, message: message.into() }
}

impl SeedError {
    fn from_yaml(error: &serde_saphyr::Error) -> Self {
        problem(error.location(), UserMessageFormatter.format_message(error.without_snippet()))
    }

    /// Adds the file, the place and the source line to the message.
    fn located(self, path: &Path, text: &str) -> Self {
        let Self::Invalid { place, message } = self else { return self };
        let mut located = format!("{}:", path.display());
        let mut source = None;
        if let Some(place) = place {
            let line = place.line();
            located += &format!("{line}:{}:", place.column());
            let nth = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
            source = nth.map(|shown| shown.chars().filter(|c| !c.is_control()).take(160).collect::<String>());
            source = source.map(|shown| format!("\n  {line} | {shown}"));
        }
        problem(place, format!("{located} {message}{}", source.unwrap_or_default()))
    }
}

/// The time of everything for which the seed has no time: 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

pub(crate) fn state(seed: &Seed) -> Result<AccountState, SeedError> {
    let epoch = Timestamp::from_second(EPOCH).unwrap_or_default();
    let mut state = AccountState::default();
    state.clock = seed.clock.as_deref().map(|text| instant(text, None)).transpose()?;
    state.settling = (seed.new_groups_settle, seed.new_groups_settle_for);
    state.audit = AuditLog::new(seed.audit_log.clone());
    state.member_order = seed.member_order;
    for SeedEntry { value, place } in &seed.permission_groups {
        permission_group(&mut state.catalog, value, *place)?;
    }
    for SeedEntry { value, place } in &seed.resource_groups {
        resource_group(&mut state.catalog, value, *place)?;
    }
    for entry in &seed.people {
        add_person(&mut state, entry)?;
    }
    for (name, group) in &seed.groups {
        add_group(&mut state, name, group, epoch)?;
    }
    for entry in &seed.audit_log.entries {
        let record = past(&state, entry)?;
        state.audit.record(record);
    }
    if let Some(owner) = &seed.token_owner {
        let unknown = || problem(None, format!("token_owner: {owner:?} is neither an email address nor a person's id"));
        state.token_owner = Some(state.find_or_add_person(owner).ok_or_else(unknown)?);
    }
    if let Some(chance) = &seed.chance {
        chance.check().map_err(|message| problem(None, message))?;
    }
    Ok(state)
}

fn email(text: &str, place: Option<Location>) -> Result<Email, SeedError> {
    text.parse().map_err(|error| problem(place, format!("{text:?} is not an email address: {error}")))
}

/// The API's ids are hexadecimal. Other code accepts more, because it only passes ids on.
fn hexadecimal<T: AsRef<str> + Display>(id: T, place: Option<Location>) -> Result<(), SeedError> {
    match id.as_ref().chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(odd) => Err(problem(place, format!("the id {id} is not hexadecimal: it contains {odd:?}"))),
        None => Ok(()),
    }
}

fn add_person(state: &mut AccountState, entry: &SeedEntry<SeedPerson>) -> Result<(), SeedError> {
    let SeedEntry { value, place } = entry;
    let address = email(&value.email, *place)?;
    let id = value.id.unwrap_or_else(|| id_of_person(&address, |id| state.person(id).is_none()));
    hexadecimal(id.as_str(), *place)?;
    if state.person_with(&address).is_some() {
        return Err(problem(*place, format!("{address} is listed twice: addresses are compared without case")));
    }
    if let Some(other) = state.person(id) {
        return Err(problem(*place, format!("{} already has the id of {address}: {id}", other.email)));
    }
    if let Some(id) = &value.user_id {
        // Any 32 hexadecimal digits are valid. A member's id has the same form.
        let form: Result<MemberId, _> = id.parse();
        let form = form.map_err(|error| problem(*place, format!("{id:?} is not a user's id: {error}")))?;
        hexadecimal(form.as_str(), *place)?;
    }
    let mut person = StoredPerson::new(address, value.clone());
    if let Some(text) = &value.user_email {
        person.user_email = email(text, *place)?;
    }
    if let Some(text) = &value.group_email {
        person.group_email = text.as_deref().map(|text| email(text, *place)).transpose()?;
    }
    for (nth, policy) in value.policies.iter().enumerate() {
        person.policies.push(stored_policy(&mut state.catalog, &format!("{nth} of {id}"), policy)?);
    }
    state.insert_person(id, person);
    Ok(())
}

fn add_group(state: &mut AccountState, name: &str, seed: &SeedGroup, epoch: Timestamp) -> Result<(), SeedError> {
    let mut seed = seed.clone();
    let (members, policies) = (std::mem::take(&mut seed.members), std::mem::take(&mut seed.policies));
    let id: GroupId = seed.id.unwrap_or_else(|| derive("group", name));
    hexadecimal(id.as_str(), None)?;
    if let Some(other) = state.group(id) {
        return Err(problem(None, format!("group {name:?}: the group {:?} already has the id {id}", other.name)));
    }
    let created_on = match &seed.created_on {
        Some(text) => instant(text, None)?,
        None if seed.settling > 0 || seed.settling_for.is_some() => now(),
        None => epoch,
    };
    let (settling, settles_at) = (seed.settling, seed.settling_for.map(|delay| delay.after(Instant::now())));
    let mut group = StoredGroup::new(name.into(), created_on, seed);
    (group.settling, group.settles_at) = (settling, settles_at);
    for (nth, policy) in policies.iter().enumerate() {
        group.policies.push(stored_policy(&mut state.catalog, &format!("{nth} of {name}"), policy)?);
    }
    for SeedEntry { value, place } in &members {
        let member = find_member(state, value, *place)?;
        let since = match &value.since {
            None => epoch,
            Some(text) => instant(text, *place)?,
        };
        if group.members.insert(member, since).is_some() {
            return Err(problem(*place, format!("group {name:?} lists the same person twice")));
        }
    }
    state.groups.insert(id, group);
    Ok(())
}

fn instant(text: &str, place: Option<Location>) -> Result<Timestamp, SeedError> {
    text.parse().map_err(|_| problem(place, format!("{text:?} is not an instant: write it like 2026-01-05T10:00:00Z")))
}

/// An entry of the audit log from before the start.
fn past(state: &AccountState, entry: &SeedAuditEntry) -> Result<AuditRecord, SeedError> {
    let SeedAuditEntry { time, by, edit, .. } = entry;
    let request = state.request_for(edit).ok_or_else(|| {
        problem(None, format!("audit_log: {edit:?} is not about a group and a person of this account"))
    })?;
    Ok(AuditRecord { time: instant(time, None)?, by: by.clone(), request, given: Some(entry.clone()) })
}

fn stored_policy(catalog: &mut Catalog, which: &str, seed: &SeedPolicy) -> Result<PolicyBody, SeedError> {
    let SeedPolicy { id, access, permission_groups, resource_groups } = seed;
    let sent = |id: String| serde_json::Map::from_iter([("id".into(), id.into())]);
    let mut policy = PolicyBody {
        id: id.clone().or_else(|| Some(hex("policy", which))),
        access: if *access == SeedPolicyAccess::Allow { "allow" } else { "deny" }.into(),
        permission_groups: Vec::new(),
        resource_groups: Vec::new(),
    };
    for SeedEntry { value, place } in permission_groups {
        policy.permission_groups.push(sent(permission_group(catalog, value, *place)?));
    }
    for SeedEntry { value, place } in resource_groups {
        policy.resource_groups.push(sent(resource_group(catalog, value, *place)?));
    }
    if resource_groups.is_empty() {
        policy.resource_groups.extend(catalog.resource_groups.first().map(|all| sent(all.id.clone())));
    }
    Ok(policy)
}

/// The id of a permission group. A named one becomes known to the account.
fn permission_group(catalog: &mut Catalog, seed: &SeedGrantable, place: Option<Location>) -> Result<String, SeedError> {
    grantable(&mut catalog.permission_groups, "permission group", seed, place)
}

fn resource_group(catalog: &mut Catalog, seed: &SeedGrantable, place: Option<Location>) -> Result<String, SeedError> {
    grantable(&mut catalog.resource_groups, "resource group", seed, place)
}

fn grantable(
    known: &mut Vec<Grantable>,
    kind: &str,
    seed: &SeedGrantable,
    place: Option<Location>,
) -> Result<String, SeedError> {
    let SeedGrantable { name, id, label, eol_at, scope } = seed;
    match (name, id) {
        (None, None) => Err(problem(place, "a permission group or a resource group has a name or an id")),
        (None, Some(id)) => Ok(id.to_lowercase()),
        (Some(name), id) => {
            let is_it = |one: &&Grantable| one.name == *name && id.as_ref().is_none_or(|id| one.id == *id);
            if let Some(one) = known.iter().find(is_it) {
                return Ok(one.id.clone());
            }
            let mut new = Grantable::new(kind, name, id.as_deref(), label.as_deref());
            new.eol_at.clone_from(eol_at);
            let zone = format!("com.cloudflare.api.account.zone.{}", new.id);
            new.scope = Some((scope.clone(), if scope.is_some() { "*".into() } else { zone }));
            let id = new.id.clone();
            known.push(new);
            Ok(id)
        }
    }
}

fn find_member(state: &mut AccountState, seed: &SeedMember, place: Option<Location>) -> Result<MemberId, SeedError> {
    match (&seed.email, seed.id) {
        (Some(text), None) => {
            let address = email(text, place)?;
            Ok(state.person_with_or_new(&address))
        }
        (None, Some(id)) if state.person(id).is_some() => Ok(id),
        (None, Some(id)) => Err(problem(place, format!("no account member has the id {id}"))),
        _ => Err(problem(place, "a member has either an email or an id")),
    }
}
