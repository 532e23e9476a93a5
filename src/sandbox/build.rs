//! Creates the account that a seed describes, or reports what is wrong with the seed.

use std::fmt::Display;

use jiff::Timestamp;
use tokio::time::Instant;

use super::audit::{AuditAlterations, AuditLog, AuditRecord, AuditedClient};
use super::id;
use super::policies::{Catalog, Grantable, StoredPolicy};
use super::seed::{
    Seed, SeedAuditEntry, SeedEntry, SeedGrantable, SeedGroup, SeedMember, SeedPerson, SeedPlace, SeedPolicy,
    SeedProblem, problem,
};
use super::state::{Clock, Settling, State, StoredGroup, StoredPerson, now};
use crate::model::{Email, GroupId, MemberId};

/// The time of everything for which the seed has no time: 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

pub(crate) fn state(seed: &Seed) -> Result<State, SeedProblem> {
    let epoch = Timestamp::from_second(EPOCH).unwrap_or_default();
    let clock = match &seed.clock {
        Some(text) => Clock::Counted(instant(text, None)?),
        None => Clock::Real,
    };
    let settling = Settling { requests: seed.new_groups_settle, time: seed.new_groups_settle_for };
    let mut state = State::new(clock, settling, AuditLog::new(seed.audit_log.clone()));
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
        state.audit.record_past(record);
    }
    if let Some(owner) = &seed.token_owner
        && state.find_or_add_person(owner).is_none()
    {
        return Err(problem(None, format!("token_owner: {owner:?} is neither an email address nor a person's id")));
    }
    if let Some(chance) = &seed.chance {
        chance.check().map_err(|message| problem(None, message))?;
    }
    Ok(state)
}

fn email(text: &str, place: Option<SeedPlace>) -> Result<Email, SeedProblem> {
    text.parse().map_err(|error| problem(place, format!("{text:?} is not an email address: {error}")))
}

/// The API's ids are hexadecimal. Other code accepts more, because it only passes ids on.
fn hexadecimal<T: AsRef<str> + Display>(id: T, place: Option<SeedPlace>) -> Result<(), SeedProblem> {
    match id.as_ref().chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(odd) => Err(problem(place, format!("the id {id} is not hexadecimal: it contains {odd:?}"))),
        None => Ok(()),
    }
}

fn add_person(state: &mut State, entry: &SeedEntry<SeedPerson>) -> Result<(), SeedProblem> {
    let SeedEntry { value, place } = entry;
    let SeedPerson { email: address, id, status, joinable, user_email, user_id, group_email, two_factor } = value;
    let address = email(address, *place)?;
    let id = id.unwrap_or_else(|| id::of_person(&address, |id| state.person(id).is_none()));
    hexadecimal(id.as_str(), *place)?;
    if state.person_with(&address).is_some() {
        return Err(problem(*place, format!("{address} is listed twice: addresses are compared without case")));
    }
    if let Some(other) = state.person(id) {
        return Err(problem(*place, format!("{} already has the id of {address}: {id}", other.email)));
    }
    let mut person = StoredPerson { status: *status, joinable: *joinable, ..StoredPerson::new(address) };
    if let Some(two_factor) = two_factor {
        person.two_factor = *two_factor;
    }
    if let Some(id) = user_id {
        // Any 32 hexadecimal digits are valid. A member's id has the same form.
        let form: Result<MemberId, _> = id.parse();
        let form = form.map_err(|error| problem(*place, format!("{id:?} is not a user's id: {error}")))?;
        hexadecimal(form.as_str(), *place)?;
        person.user_id = Some(id.to_lowercase());
    }
    if let Some(text) = user_email {
        person.user_email = email(text, *place)?;
    }
    match group_email {
        None => {}
        Some(None) => person.group_email = None,
        Some(Some(text)) => person.group_email = Some(email(text, *place)?),
    }
    state.insert_person(id, person);
    Ok(())
}

fn add_group(state: &mut State, name: &str, seed: &SeedGroup, epoch: Timestamp) -> Result<(), SeedProblem> {
    let SeedGroup { id, scim, members, policies, created_on, status, policy_invalid, settling, settling_for } = seed;
    let id: GroupId = id.unwrap_or_else(|| id::of_group(name));
    hexadecimal(id.as_str(), None)?;
    if let Some(other) = state.group(id) {
        return Err(problem(None, format!("group {name:?}: the group {:?} already has the id {id}", other.name)));
    }
    let created_on = match created_on {
        Some(text) => instant(text, None)?,
        None if *settling > 0 || settling_for.is_some() => now(),
        None => epoch,
    };
    let mut group = StoredGroup::new(name.into(), created_on);
    group.status.clone_from(status);
    for (nth, policy) in policies.iter().enumerate() {
        group.policies.push(stored_policy(&mut state.catalog, &format!("{nth} of {name}"), policy)?);
    }
    group.scim = *scim;
    group.policy_invalid = *policy_invalid;
    group.settling = *settling;
    group.settles_at = settling_for.map(|delay| delay.after(Instant::now()));
    for SeedEntry { value, place } in members {
        let member = find_member(state, value, *place)?;
        let since = match &value.since {
            None => epoch,
            Some(text) => instant(text, *place)?,
        };
        if group.members.insert(member, since).is_some() {
            return Err(problem(*place, format!("group {name:?} lists the same person twice")));
        }
    }
    state.insert_group(id, group);
    Ok(())
}

fn instant(text: &str, place: Option<SeedPlace>) -> Result<Timestamp, SeedProblem> {
    text.parse().map_err(|_| problem(place, format!("{text:?} is not an instant: write it like 2026-01-05T10:00:00Z")))
}

/// An entry of the audit log from before the start.
fn past(state: &State, entry: &SeedAuditEntry) -> Result<AuditRecord, SeedProblem> {
    let SeedAuditEntry { time, by, edit, omit, set, verbatim } = entry;
    let request = state.request_for(edit).ok_or_else(|| {
        problem(None, format!("audit_log: {edit:?} is not about a group and a person of this account"))
    })?;
    Ok(AuditRecord {
        time: instant(time, None)?,
        by: by.clone(),
        request,
        client: AuditedClient::default(),
        alterations: AuditAlterations { omit: omit.clone(), set: set.clone(), verbatim: verbatim.clone() },
    })
}

fn stored_policy(catalog: &mut Catalog, which: &str, seed: &SeedPolicy) -> Result<StoredPolicy, SeedProblem> {
    let SeedPolicy { id, access, permission_groups, resource_groups } = seed;
    let sent = |id: String| serde_json::Map::from_iter([("id".into(), id.into())]);
    let mut policy = StoredPolicy {
        id: id.clone().unwrap_or_else(|| id::hex("policy", which)),
        access: access.as_str().into(),
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
fn permission_group(
    catalog: &mut Catalog,
    seed: &SeedGrantable,
    place: Option<SeedPlace>,
) -> Result<String, SeedProblem> {
    grantable(&mut catalog.permission_groups, seed, place, |name, id| {
        Grantable::permission_group(name, id, seed.label.as_deref())
    })
}

fn resource_group(
    catalog: &mut Catalog,
    seed: &SeedGrantable,
    place: Option<SeedPlace>,
) -> Result<String, SeedProblem> {
    grantable(&mut catalog.resource_groups, seed, place, Grantable::resource_group)
}

fn grantable(
    known: &mut Vec<Grantable>,
    seed: &SeedGrantable,
    place: Option<SeedPlace>,
    make: impl FnOnce(&str, Option<&str>) -> Grantable,
) -> Result<String, SeedProblem> {
    let SeedGrantable { name, id, label: _ } = seed;
    match (name, id) {
        (None, None) => Err(problem(place, "a permission group or a resource group has a name or an id")),
        (None, Some(id)) => Ok(id.to_lowercase()),
        (Some(name), id) => {
            let is_it = |one: &&Grantable| one.name == *name && id.as_ref().is_none_or(|id| one.id == *id);
            if let Some(one) = known.iter().find(is_it) {
                return Ok(one.id.clone());
            }
            let new = make(name, id.as_deref());
            let id = new.id.clone();
            known.push(new);
            Ok(id)
        }
    }
}

fn find_member(state: &mut State, seed: &SeedMember, place: Option<SeedPlace>) -> Result<MemberId, SeedProblem> {
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
