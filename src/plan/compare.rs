//! Compares each planned group's list with its observed members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, Expiring, LeftOutKind, Plan};
use super::group::GroupPlan;
use super::inputs::{Inputs, Located};
use super::people::Hashed;
use super::tip;
use crate::model::typos::{Texts, tolerance, written};
use crate::model::{DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode, Origin, PersonRef};

/// Plans the differences of every group that [`Inputs::compares`] selects.
pub(super) fn compare(inputs: &Inputs<'_>, plan: &mut Plan) {
    let mut comparison = Comparison { inputs, plan, declared_elsewhere: BTreeMap::new() };
    for (name, located) in inputs.located.iter().filter(|(name, located)| inputs.compares(name, located)) {
        if let Some(group) = inputs.desired.groups.get(name) {
            comparison.add(name, group, located);
        }
    }
    comparison.hold_possible_people();
}

struct Comparison<'p, 'a> {
    inputs: &'p Inputs<'a>,
    plan: &'p mut Plan,
    /// The people declared in groups that cannot be found or read, with the declaring lines.
    declared_elsewhere: BTreeMap<MemberId, Origin>,
}

/// A person who belongs to a group now.
struct Belonging<'d> {
    /// The entry that ends last: a person with several entries stays as long as one of them says so.
    lasting: &'d DesiredMember,
    /// When the earliest entry begins. A missing `from` is earlier than any time.
    from: Option<Timestamp>,
}

/// The people of a list, as far as they belong to the group now.
#[derive(Default)]
struct CurrentList<'d> {
    members: BTreeMap<MemberId, Belonging<'d>>,
    /// Those who are not present, in the order of the list.
    missing: Vec<MemberId>,
    /// The entries that mean nobody, or several people.
    unresolved: Vec<(&'d DesiredMember, BlockedReason)>,
}

impl<'d> CurrentList<'d> {
    /// Takes the entries with whom they mean. Several entries can mean one person.
    fn belong(&mut self, mut meant: Vec<(MemberId, &'d DesiredMember)>) {
        meant.sort_by_key(|(id, _)| *id);
        let end = |entry: &DesiredMember| entry.until().unwrap_or(Timestamp::MAX);
        let of_one = meant.chunk_by(|one, other| one.0 == other.0);
        let belonging = of_one.filter_map(|entries| {
            let from = entries.iter().map(|(_, entry)| entry.from()).min()?;
            let (id, lasting) = entries.iter().copied().reduce(|a, b| if end(a.1) < end(b.1) { b } else { a })?;
            Some((id, Belonging { lasting, from }))
        });
        self.members = belonging.collect();
    }
}

impl<'p> Comparison<'p, '_> {
    fn add(&mut self, name: &GroupName, group: &'p DesiredGroup, located: &Located) {
        let inputs = self.inputs;
        let (time, due) = (inputs.time, inputs.policy.due);
        let tip = inputs.tip().map(|tip| tip::group_at(tip, name, located.as_ref().ok().copied()));
        if located.is_err() && tip.is_some_and(|found| found.is_none()) {
            return;
        }
        let found = self.find(located);
        let is_kept = |entry: &DesiredMember| tip::holds(tip, entry, time);
        let mut listed = self.list(group, found.as_ref().ok().map(|(_, observed)| &***observed));
        listed.unresolved.retain(|(entry, _)| is_kept(entry));
        let soon = time.checked_add(inputs.policy.expiring_within).unwrap_or(Timestamp::MAX);
        self.plan.expiring.extend(expiring(name, &listed, soon));
        let (id, observed) = match found {
            Ok(found) => found,
            Err(reason) => {
                self.plan.blocked.push(Blocked::new(name, group.mode, None, &group.origin, reason));
                self.block(name, group.mode, listed.unresolved);
                for entry in group.members.iter().filter(|entry| entry.belongs_at(time) && is_kept(entry)) {
                    if let Ok(id) = inputs.people.resolve(&entry.person) {
                        self.declared_elsewhere.entry(id).or_insert_with(|| entry.origin.clone());
                    }
                }
                return;
            }
        };
        let foreign = self.foreign(group, tip.flatten().map_or(group, |(_, found)| found), &listed);
        listed.missing.retain(|id| !foreign.contains_key(id));
        let partial = group.mode == Mode::Additive || due || inputs.policy.only_changed;
        let required =
            listed.members.iter().filter(|(id, of)| (!due || of.from.is_some()) && !foreign.contains_key(id));
        let required = partial.then(|| required.map(|(id, _)| *id).collect());
        listed.unresolved.extend(foreign.into_values());
        let ended = self.ended(group);
        let mut changes = self.differences(group, &listed, observed, &ended);
        let begins = |change: &Change| listed.members.get(&change.member.id)?.from;
        let all = changes.len();
        if due {
            changes.retain(|change| change.expired.is_some() || begins(change).is_some());
        }
        let barred = ended.into_keys().filter(|id| partial && !listed.members.contains_key(id)).collect();
        let mut planned = GroupPlan {
            left_out: changes.len() < all,
            changes,
            required,
            barred,
            ..GroupPlan::new(id, name, Some(group), &group.origin, &inputs.desired.settings, observed)
        };
        // Only entries in force hold removals. An entry that names nobody cannot mean a person whom an ended entry names
        // exactly.
        if let Some(origin) = listed.unresolved.iter().map(|(entry, _)| &entry.origin).min() {
            planned.hold(|change| change.expired.is_none().then(|| origin.clone()));
        }
        self.block(name, group.mode, listed.unresolved);
        let reason = "its `from` passed more than 31 days ago; `convoke drift` reports the difference";
        let is_late = |change: &Change| due && begins(change).is_some_and(|from| !is_recent(from, time));
        let late = planned.leave_out(LeftOutKind::Drift, reason, is_late);
        self.plan.left_out.extend(late);
        self.plan.groups.push(planned);
    }

    /// Finds everybody who belongs to the group now. A shared address means its present members; it is ambiguous only for
    /// a join.
    fn list(&self, group: &'p DesiredGroup, present: Option<&Membership>) -> CurrentList<'p> {
        let is_present = |member: &MemberId| present.is_some_and(|present| present.contains_key(member));
        // Most entries name a present member by the address in the group's list. Unlike the map of everybody, this map
        // fits into the processor's cache.
        let members = present.into_iter().flat_map(|present| present.values());
        let near: Hashed<&str, MemberId> =
            members.filter_map(|member| Some((member.email.as_ref()?.folded(), member.id))).collect();
        let (people, time) = (&self.inputs.people, self.inputs.time);
        let mut listed = CurrentList::default();
        let (mut meant, mut seen, mut joining) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for entry in group.members.iter().filter(|entry| entry.belongs_at(time)) {
            if let PersonRef::Email(email) = &entry.person
                && let Some(member) = near.get(email.folded()).filter(|_| !people.is_shared(email))
            {
                meant.push((*member, entry));
                continue;
            }
            match people.resolve(&entry.person) {
                Ok(member) => {
                    listed.missing.extend((!is_present(&member) && joining.insert(member)).then_some(member));
                    meant.push((member, entry));
                }
                Err(BlockedReason::AmbiguousPerson { candidates }) if candidates.iter().any(is_present) => {
                    meant.extend(candidates.into_iter().filter(is_present).map(|member| (member, entry)));
                }
                Err(reason) if seen.insert(&entry.person) => listed.unresolved.push((entry, reason)),
                Err(_) => {}
            }
        }
        listed.belong(meant);
        listed
    }

    /// The group in the account, with its members; or why it is blocked.
    fn find(&self, located: &Located) -> Result<(GroupId, &'p Arc<Membership>), BlockedReason> {
        let (id, current) = (located.clone()?, self.inputs.current);
        current.memberships.get(&id).map(|observed| (id, observed)).ok_or_else(|| {
            let cause = current.unreadable.get(&id).map_or("its members were not read", String::as_str);
            BlockedReason::UnreadableGroup { cause: cause.into() }
        })
    }

    fn block(&mut self, name: &GroupName, mode: Mode, entries: Vec<(&DesiredMember, BlockedReason)>) {
        for (entry, reason) in entries {
            let person = Some(entry.person.clone());
            self.plan.blocked.push(Blocked::new(name, mode, person, &entry.origin, reason));
        }
    }

    /// The entries by id of members without an address at an allowed domain. They never join; who is present stays.
    fn foreign(
        &self,
        group: &'p DesiredGroup,
        rules: &DesiredGroup,
        listed: &CurrentList<'p>,
    ) -> BTreeMap<MemberId, (&'p DesiredMember, BlockedReason)> {
        let Some(allowed) = self.inputs.rules().domains_of(rules) else { return BTreeMap::new() };
        let by_id = group.members.iter().filter_map(|entry| match entry.person {
            PersonRef::Id(id) if entry.belongs_at(self.inputs.time) => Some((id, entry)),
            _ => None,
        });
        let by_id = by_id.filter(|(id, _)| listed.members.contains_key(id));
        let outside = |(id, entry)| Some((id, (entry, self.inputs.people.outside(id, &allowed.value)?)));
        by_id.filter_map(outside).collect()
    }

    /// Who joins and who leaves, if nothing is blocked.
    fn differences(
        &self,
        group: &DesiredGroup,
        listed: &CurrentList<'_>,
        observed: &Membership,
        ended: &BTreeMap<MemberId, &DesiredMember>,
    ) -> Vec<Change> {
        let people = &self.inputs.people;
        let joining = listed.missing.iter().filter_map(|id| Some((*id, listed.members.get(id)?)));
        let additions = joining.map(|(id, of)| Change::addition(people.subject(id), of.lasting));
        let leaving = observed.keys().filter(|id| !listed.members.contains_key(id));
        let removals = leaving.filter_map(|id| match ended.get(id) {
            None if group.mode == Mode::Additive => None,
            None => Some(Change::new(Action::Remove, people.subject(*id), group.members_origin.clone())),
            Some(entry) => Some(Change {
                via: entry.via.clone(),
                expired: entry.until(),
                // The limits are for changes of the files. How many due removals one run makes has a limit of its own.
                exempt: self.inputs.policy.due || entry.until().is_some_and(|until| is_recent(until, self.inputs.time)),
                ..Change::new(Action::Remove, people.subject(*id), entry.origin.clone())
            }),
        });
        additions.chain(removals).collect()
    }

    /// The entry of each person that has ended, the latest if there are several.
    fn ended(&self, group: &'p DesiredGroup) -> BTreeMap<MemberId, &'p DesiredMember> {
        let mut ended: BTreeMap<MemberId, &DesiredMember> = BTreeMap::new();
        for entry in group.members.iter().filter(|entry| entry.has_ended(self.inputs.time)) {
            let meant = match self.inputs.people.resolve(&entry.person) {
                Ok(id) => vec![id],
                // Sharing an address blocks joins only.
                Err(BlockedReason::AmbiguousPerson { candidates }) => candidates,
                Err(_) => Vec::new(),
            };
            for id in meant {
                let latest = ended.entry(id).or_insert(entry);
                if latest.until() < entry.until() {
                    *latest = entry;
                }
            }
        }
        ended
    }

    /// Holds the removals of all members whom a blocked entry could mean, when all blocked entries are known.
    fn hold_possible_people(self) {
        let people = &self.inputs.people;
        // Of several lines that name a person, the first counts.
        let lines = self.plan.blocked.iter().rev();
        let lines = lines.filter_map(|blocked| Some((written(blocked.entry.as_ref()?), &blocked.origin)));
        let lines: BTreeMap<&str, &Origin> = lines.collect();
        if lines.is_empty() && self.declared_elsewhere.is_empty() {
            return;
        }
        let blocked = Texts::new(lines);
        for group in &mut self.plan.groups {
            group.hold(|change| {
                let id = change.member.id;
                let declared = self.declared_elsewhere.get(&id).filter(|_| change.expired.is_none());
                let meant = || people.texts(id).find_map(|text| blocked.any_alike(text, tolerance));
                declared.or_else(meant).cloned()
            });
        }
    }
}

/// The memberships that end soon, each with the entry that ends it.
fn expiring(name: &GroupName, listed: &CurrentList<'_>, soon: Timestamp) -> impl Iterator<Item = Expiring> {
    listed.members.values().filter_map(move |of| {
        let until = of.lasting.until().filter(|until| *until <= soon)?;
        let (person, origin) = (of.lasting.person.clone(), of.lasting.origin.clone());
        Some(Expiring { group: name.clone(), person, until, origin })
    })
}

/// Whether a scheduled run should have met this instant within the last 31 days.
fn is_recent(instant: Timestamp, time: Timestamp) -> bool {
    time.duration_since(instant) <= SignedDuration::from_hours(744)
}

/// For `--due`, leaves out blocked entries and groups that time alone does not concern. If a removal is held, they all
/// stay, because they may be the reason. As long as somebody is removed whose addresses are not all known, unknown people
/// stay too, so that they are looked up: one of them may be that member.
pub(super) fn leave_out_undated(inputs: &Inputs<'_>, plan: &mut Plan) {
    if plan.groups.iter().any(|group| !group.held.is_empty()) {
        return;
    }
    let time = inputs.time;
    let is_dated = |entry: &&DesiredMember| entry.has_ended(time) || (entry.from().is_some() && entry.belongs_at(time));
    let mut dated: BTreeSet<&Origin> = BTreeSet::new();
    for group in inputs.desired.groups.values() {
        for entry in group.members.iter().filter(is_dated) {
            dated.extend([&group.origin, &entry.origin]);
        }
    }
    let looks_up = plan.removes_anybody() && !inputs.current.knows_everybody;
    let is_undated = |blocked: &mut Blocked| match &blocked.reason {
        BlockedReason::UnknownPerson { .. } if looks_up => false,
        BlockedReason::Exclusive { origin, .. } => !dated.contains(&blocked.origin) && !dated.contains(origin),
        _ => !dated.contains(&blocked.origin),
    };
    let undated: BTreeSet<GroupName> = plan.blocked.extract_if(.., is_undated).map(|blocked| blocked.group).collect();
    plan.groups.iter_mut().filter(|group| undated.contains(&group.name)).for_each(|group| group.left_out = true);
}
