//! The files of a scenario: their declarations as YAML and in the simulation's own types.

use std::fmt::Write as _;

use convoke::model::{Desired, Mode};
use convoke::sandbox::Invitation;
use fastrand::Rng;

use super::scenario::{Cast, pick};
use crate::account::parsed;

#[derive(Clone, Debug)]
pub struct Files {
    pub groups: Vec<Group>,
    pub group_removals: Limit,
    pub total_removals: Limit,
    pub protected: Vec<String>,
    /// The correct addresses of people whose addresses are misspelled in `protected`.
    pub misspelled: Vec<String>,
    pub refuses_unmanaged: bool,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub mode: &'static str,
    pub members: Vec<String>,
    /// The correct addresses of people whose addresses are misspelled in the list.
    pub misspelled: Vec<String>,
    pub min_members: Option<u64>,
    pub allow_empty: bool,
    pub group_removals: Option<Limit>,
    /// The name of a group that excludes this one.
    pub excludes: Option<String>,
}

/// A limit on removals.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    Count(u64),
    Percent(u64),
}

impl Default for Limit {
    fn default() -> Self {
        Self::Percent(100)
    }
}

impl Limit {
    /// The number that the contract allows.
    pub fn allows(self, present: u64, least: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(0) => 0,
            Self::Percent(100) => u64::MAX,
            Self::Percent(percent) => (present * percent / 100).max(least),
        }
    }

    fn random(rng: &mut Rng) -> Self {
        match rng.u8(0..6) {
            0 => Self::Count(rng.u64(0..6)),
            1 => Self::Percent(rng.u64(0..60)),
            _ => Self::Percent(100),
        }
    }

    /// The smallest percentage of `present` that allows these removals.
    fn just(removed: usize, present: usize) -> Self {
        Self::Percent((100 * removed as u64).div_ceil(present.max(1) as u64))
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Files {
    /// Files that are similar to the account.
    pub fn random(rng: &mut Rng, cast: &Cast) -> Self {
        let groups = cast.groups.iter().filter(|_| rng.u8(0..10) > 0).map(|group| group.name.clone());
        let mut names: Vec<String> = groups.collect();
        if rng.u8(0..40) == 0 {
            names.push("Nowhere".into());
        }
        let mut groups: Vec<Group> = names.into_iter().map(|name| Group::random(rng, cast, name)).collect();
        for _ in 0..pick(rng, &[0, 0, 1, 3]) {
            move_somebody(rng, cast, &mut groups);
        }
        if groups.len() > 1 && rng.u8(0..3) == 0 {
            let (one, other) = (rng.usize(..groups.len()), rng.usize(..groups.len()));
            let name = groups[other].name.clone();
            groups[one].excludes = (one != other).then_some(name);
        }
        let (mut removed, mut present) = (0, 0);
        for group in &groups {
            let members = cast.members(&group.name);
            removed += group.leaving(cast, members).count();
            present += members.len();
        }
        let total_removals = if rng.u8(0..4) == 0 { Limit::just(removed, present) } else { Limit::random(rng) };
        let precious: Vec<_> = cast.people.iter().filter(|_| rng.u8(0..20) == 0).collect();
        let mut protected: Vec<String> = precious.into_iter().map(|person| person.named(rng)).collect();
        protected.sort_by_key(|named| named.to_lowercase());
        protected.dedup_by_key(|named| named.to_lowercase());
        let mut misspelled = Vec::new();
        if rng.u8(0..20) == 0 {
            let person = &cast.people[rng.usize(..cast.people.len())];
            protected.push(person.mistyped());
            misspelled.push(person.email.clone());
        }
        Self {
            groups,
            group_removals: Limit::random(rng),
            total_removals,
            protected,
            misspelled,
            refuses_unmanaged: rng.u8(0..25) == 0,
        }
    }

    /// The same lists without anything that could refuse them.
    pub fn unguarded(&self) -> Self {
        let groups = self.groups.iter().map(|group| Group {
            min_members: None,
            allow_empty: true,
            group_removals: None,
            ..group.clone()
        });
        Self {
            groups: groups.collect(),
            group_removals: Limit::Percent(100),
            total_removals: Limit::Percent(100),
            protected: Vec::new(),
            misspelled: Vec::new(),
            refuses_unmanaged: false,
        }
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The declarations as the program reads them.
    pub fn desired(&self) -> Desired {
        parsed(&[("convoke.yaml", &self.yaml())])
    }

    fn yaml(&self) -> String {
        let mut yaml = format!(
            "version: 1\nsettings:\n  limits: {{ group_removals: {}, total_removals: {} }}\n  protected: {:?}\n",
            self.group_removals, self.total_removals, self.protected
        );
        if self.refuses_unmanaged {
            yaml.push_str("  unmanaged_groups: refuse\n");
        }
        yaml.push_str("groups:\n");
        if self.groups.is_empty() {
            yaml = yaml.replace("groups:\n", "groups: {}\n");
        }
        for Group { name, mode, members, min_members, allow_empty, group_removals, excludes, .. } in &self.groups {
            let _ = writeln!(yaml, "  {name}:\n    mode: {mode}\n    allow_empty: {allow_empty}");
            if let Some(least) = min_members {
                let _ = writeln!(yaml, "    min_members: {least}");
            }
            if let Some(limit) = group_removals {
                let _ = writeln!(yaml, "    group_removals: {limit}");
            }
            if let Some(other) = excludes {
                let _ = writeln!(yaml, "    exclusive_with: [{other}]");
            }
            let entry = |member: &String| match member.contains('@') {
                true => format!("{member:?}"),
                false => format!("{{ id: {member:?} }}"),
            };
            let _ = writeln!(yaml, "    members: [{}]", members.iter().map(entry).collect::<Vec<_>>().join(", "));
        }
        yaml
    }
}

impl Group {
    fn random(rng: &mut Rng, cast: &Cast, name: String) -> Self {
        let present = cast.members(&name);
        let kept = match rng.u8(0..6) {
            0 => 0,
            1 => 50,
            2 => 75,
            _ => 92,
        };
        let joining = match rng.u8(0..3) {
            0 => 30,
            _ => 6,
        };
        let belongs = |index: &usize| {
            let percent = match cast.people[*index].status {
                // A list with a person who declined holds its removals, so add others.
                Invitation::Rejected => 2,
                _ if present.contains(index) => kept,
                _ => joining,
            };
            rng.u8(0..100) < percent
        };
        let chosen: Vec<usize> = (0..cast.people.len()).filter(belongs).collect();
        let mut members: Vec<String> = chosen.into_iter().map(|index| cast.people[index].named(rng)).collect();
        if rng.u8(0..24) == 0 {
            members.push("nobody-at-all@elsewhere.example".into());
        }
        // If two people share an address, one entry names both.
        members.sort_by_key(|named| named.to_lowercase());
        members.dedup_by_key(|named| named.to_lowercase());
        let mut misspelled = Vec::new();
        if rng.u8(0..16) == 0 {
            let person = &cast.people[rng.usize(..cast.people.len())];
            members.push(person.mistyped());
            misspelled.push(person.email.clone());
        }
        rng.shuffle(&mut members);
        // Limits that the plan just meets can be exceeded during a run.
        let least = if rng.bool() { members.len() as u64 } else { rng.u64(0..=members.len() as u64) };
        let mut group = Self {
            name,
            mode: pick(rng, &["exact", "exact", "exact", "exact", "additive", "observe"]),
            min_members: (rng.u8(0..3) == 0).then_some(least),
            allow_empty: rng.bool(),
            group_removals: None,
            excludes: None,
            members,
            misspelled,
        };
        group.group_removals = match rng.u8(0..8) {
            0 => Some(Limit::random(rng)),
            1..4 => Some(Limit::just(group.leaving(cast, present).count(), present.len())),
            _ => None,
        };
        group
    }

    pub fn mode(&self) -> Mode {
        match self.mode {
            "additive" => Mode::Additive,
            "observe" => Mode::Observe,
            _ => Mode::Exact,
        }
    }

    /// The members of these who are not on the list.
    fn leaving<'a>(&'a self, cast: &'a Cast, present: &'a [usize]) -> impl Iterator<Item = &'a usize> {
        present.iter().filter(|index| {
            let person = &cast.people[**index];
            let named = |named: &String| {
                let named = named.to_lowercase();
                named == person.email || named == person.id || person.user_email.as_ref() == Some(&named)
            };
            !self.members.iter().any(named)
        })
    }
}

/// Moves a person from one group's list to another's.
fn move_somebody(rng: &mut Rng, cast: &Cast, groups: &mut [Group]) {
    if groups.len() < 2 {
        return;
    }
    let (from, to) = (rng.usize(..groups.len()), rng.usize(..groups.len()));
    let Some(present) = cast.groups.iter().find(|group| group.name == groups[from].name) else { return };
    if from == to || present.members.is_empty() {
        return;
    }
    let person = &cast.people[pick(rng, &present.members)];
    let names = |named: &String| {
        let named = named.to_lowercase();
        named == person.email || named == person.id || person.user_email.as_ref() == Some(&named)
    };
    groups[from].members.retain(|named| !names(named));
    let known = |named: &String| named.eq_ignore_ascii_case(&person.email) || names(named);
    if !groups[to].members.iter().any(known) {
        groups[to].members.push(person.email.clone());
    }
}
