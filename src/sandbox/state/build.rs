//! From a seed to the account it describes, or to what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;

use super::{State, StoredGroup, StoredPerson, id};
use crate::model::{Email, GroupId, MemberId};
use crate::sandbox::history::History;
use crate::sandbox::seed::{Seed, SeedEntry, SeedGroup, SeedMember, SeedPerson, SeedPlace, SeedProblem, problem};

/// When everything began that the seed gives no time for: 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

/// The account as the seed describes it.
pub(super) fn state(seed: &Seed) -> Result<State, SeedProblem> {
    let epoch = Timestamp::from_second(EPOCH).unwrap_or_default();
    let mut state = State {
        people: BTreeMap::new(),
        by_email: BTreeMap::new(),
        groups: BTreeMap::new(),
        sorted_people: BTreeMap::new(),
        new_groups_settle: seed.new_groups_settle,
        token_revoked: false,
        history: History::default(),
        now: epoch,
        created_groups: 0,
    };
    for entry in &seed.people {
        add_person(&mut state, entry)?;
    }
    for (name, group) in &seed.groups {
        add_group(&mut state, name, group, epoch)?;
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
    text.parse().map_err(|error| problem(place, format!("{text:?} is no email address: {error}")))
}

/// The API's ids are hexadecimal; the wider shape is left to those who only pass them on.
fn hexadecimal<T: AsRef<str> + Display>(id: T, place: Option<SeedPlace>) -> Result<(), SeedProblem> {
    match id.as_ref().chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(odd) => Err(problem(place, format!("the id {id} is not hexadecimal: it holds {odd:?}"))),
        None => Ok(()),
    }
}

fn add_person(state: &mut State, entry: &SeedEntry<SeedPerson>) -> Result<(), SeedProblem> {
    let SeedEntry { value, place } = entry;
    let SeedPerson { email: address, id, status, joinable, user_email, group_email } = value;
    let address = email(address, *place)?;
    let id = id.unwrap_or_else(|| id::of_person(&address, |id| !state.people.contains_key(&id)));
    hexadecimal(id.as_str(), *place)?;
    if state.person_with(&address).is_some() {
        return Err(problem(*place, format!("{address} is listed twice: addresses are compared without case")));
    }
    if let Some(other) = state.people.get(&id) {
        return Err(problem(*place, format!("{} has the id of {address} already: {id}", other.email)));
    }
    let mut person = StoredPerson { status: *status, joinable: *joinable, ..StoredPerson::new(address) };
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
    let SeedGroup { id, scim, members, policy_invalid, settling } = seed;
    let id: GroupId = id.unwrap_or_else(|| id::of_group(name));
    hexadecimal(id.as_str(), None)?;
    if let Some(other) = state.groups.get(&id) {
        return Err(problem(None, format!("group {name:?}: the group {:?} has the id {id} already", other.name)));
    }
    let mut group = StoredGroup::new(name.into(), epoch);
    group.scim = *scim;
    group.policy_invalid = *policy_invalid;
    group.settling = *settling;
    for SeedEntry { value, place } in members {
        let member = find_member(state, value, *place)?;
        let since = match &value.since {
            None => epoch,
            Some(text) => text
                .parse()
                .map_err(|_| problem(*place, format!("{text:?} is no instant: write it like 2026-01-05T10:00:00Z")))?,
        };
        if group.members.insert(member, since).is_some() {
            return Err(problem(*place, format!("group {name:?} lists the same person twice")));
        }
    }
    state.groups.insert(id, group);
    Ok(())
}

fn find_member(state: &mut State, seed: &SeedMember, place: Option<SeedPlace>) -> Result<MemberId, SeedProblem> {
    match (&seed.email, seed.id) {
        (Some(text), None) => {
            let address = email(text, place)?;
            Ok(state.person_with_or_new(&address))
        }
        (None, Some(id)) if state.people.contains_key(&id) => Ok(id),
        (None, Some(id)) => Err(problem(place, format!("nobody among the people has the id {id}"))),
        _ => Err(problem(place, "a member has either an email or an id")),
    }
}
