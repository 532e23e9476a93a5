//! The files of a scenario: their declarations as YAML and in the simulation's own types.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use convoke::model::{Desired, MemberId, Mode, Window};
use convoke::sandbox::Invitation;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::scenario::{Cast, Gathering, Somebody, at_domain, pick};
use crate::account::parsed;

/// The only domain that `email_domains` allows.
pub const DOMAIN: &str = "example.com";

#[derive(Clone, Debug)]
pub struct Files {
    pub groups: Vec<Group>,
    pub rosters: Vec<Vec<Entry>>,
    pub group_removals: Limit,
    pub total_removals: Limit,
    pub protected: Vec<String>,
    /// The correct addresses of people whose addresses are misspelled in `protected`.
    pub misspelled: Vec<String>,
    pub refuses_unmanaged: bool,
    pub has_domains: bool,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub mode: &'static str,
    /// The entries of its own list.
    pub members: Vec<Entry>,
    /// The rosters that the list uses, each with the time that narrows its entries.
    pub rosters: Vec<(usize, Window)>,
    pub min_members: Option<u64>,
    pub allow_empty: bool,
    pub group_removals: Option<Limit>,
    /// The names of groups that exclude this one.
    pub excludes: Vec<String>,
}

#[derive(Clone)]
pub struct Entry {
    pub named: String,
    /// The correct address, if the entry is misspelled or has a former domain.
    pub meant: Option<String>,
    pub window: Window,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.yaml())
    }
}

impl Entry {
    fn new(named: String, window: Window) -> Self {
        Self { named, meant: None, window }
    }

    /// An entry with a misspelled address, or one at a former domain.
    fn mistaken(rng: &mut Rng, person: &Somebody) -> Self {
        let named = if rng.bool() { person.mistyped() } else { at_domain(&person.email, "former.example") };
        Self { meant: Some(person.email.clone()), ..Self::new(named, Window::default()) }
    }

    pub fn belongs_at(&self, time: Timestamp) -> bool {
        self.window.from.is_none_or(|from| from <= time) && !self.has_ended(time)
    }

    pub fn has_ended(&self, time: Timestamp) -> bool {
        self.window.until.is_some_and(|until| until <= time)
    }

    fn names(&self, person: &Somebody) -> bool {
        let named = self.named.to_lowercase();
        named == person.email || named == person.id || person.user_email.as_ref() == Some(&named)
    }

    fn yaml(&self) -> String {
        let key = if self.named.contains('@') { "email" } else { "id" };
        format!("{{ {key}: {:?}{} }}", self.named, times(self.window))
    }
}

fn times(window: Window) -> String {
    let time = |key: &str, time: Option<Timestamp>| time.map(|time| format!(", {key}: {:?}", time.to_string()));
    [time("from", window.from), time("until", window.until)].into_iter().flatten().collect()
}

pub const fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// A time near this one.
fn window(rng: &mut Rng, now: Timestamp) -> Window {
    if rng.u8(0..8) < 5 {
        return Window::default();
    }
    let near = |rng: &mut Rng| now + hours(6 * pick(rng, &[-160, -80, -24, -4, -1, 0, 1, 4, 8, 40, 160]));
    let (from, until) = (near(rng), near(rng));
    match rng.u8(0..8) {
        0..2 => Window { from: Some(from), until: None },
        2..6 => Window { from: None, until: Some(until) },
        _ if from < until => Window { from: Some(from), until: Some(until) },
        _ => Window { from: None, until: Some(until) },
    }
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
    pub fn nothing() -> Self {
        Self {
            groups: Vec::new(),
            rosters: Vec::new(),
            group_removals: Limit::default(),
            total_removals: Limit::default(),
            protected: Vec::new(),
            misspelled: Vec::new(),
            refuses_unmanaged: false,
            has_domains: false,
        }
    }

    /// Files that are similar to the account.
    pub fn random(rng: &mut Rng, cast: &Cast, now: Timestamp) -> Self {
        let groups = cast.groups.iter().filter(|_| rng.u8(0..10) > 0).map(|group| group.name.clone());
        let mut names: Vec<String> = groups.collect();
        if rng.u8(0..40) == 0 {
            names.push("Nowhere".into());
        }
        let mut files = Self { has_domains: rng.u8(0..4) == 0, ..Self::nothing() };
        for name in names {
            let group = Group::random(rng, cast, name, &mut files.rosters, now);
            files.groups.push(group);
        }
        for _ in 0..pick(rng, &[0, 0, 1, 3]) {
            files.move_somebody(rng, cast);
        }
        if files.groups.len() > 1 && rng.u8(0..3) == 0 {
            for _ in 0..pick(rng, &[1, 1, 2]) {
                files.exclude(rng);
            }
            for _ in 0..pick(rng, &[0, 1, 2, 4]) {
                files.exchange_somebody(rng, cast);
            }
        }
        let (mut removed, mut present) = (0, 0);
        for group in &files.groups {
            let members = cast.members(&group.name);
            removed += files.leaving(cast, group, members, now);
            present += members.len();
        }
        files.total_removals = if rng.u8(0..4) == 0 { Limit::just(removed, present) } else { Limit::random(rng) };
        files.group_removals = Limit::random(rng);
        files.limit_groups(rng, cast, now);
        let precious: Vec<_> = cast.people.iter().filter(|_| rng.u8(0..20) == 0).collect();
        files.protected = precious.into_iter().map(|person| person.named(rng)).collect();
        files.protected.sort_by_key(|named| named.to_lowercase());
        files.protected.dedup_by_key(|named| named.to_lowercase());
        if rng.u8(0..20) == 0 {
            let person = &cast.people[rng.usize(..cast.people.len())];
            files.protected.push(person.mistyped());
            files.misspelled.push(person.email.clone());
        }
        files.refuses_unmanaged = rng.u8(0..25) == 0;
        files
    }

    /// Files that declare the members whom the groups had at the start.
    fn of_the_start(cast: &Cast) -> Self {
        let group = |group: &Gathering| Group {
            name: group.name.clone(),
            mode: "exact",
            members: group
                .members
                .iter()
                .map(|at| Entry::new(cast.people[*at].email.clone(), Window::default()))
                .collect(),
            rosters: Vec::new(),
            min_members: None,
            allow_empty: true,
            group_removals: None,
            excludes: Vec::new(),
        };
        Self { groups: cast.groups.iter().map(group).collect(), ..Self::nothing() }
    }

    /// Some people move between groups. The groups may exclude each other.
    pub fn moving(rng: &mut Rng, cast: &Cast) -> Self {
        let mut files = Self::of_the_start(cast);
        for _ in 0..pick(rng, &[0, 1, 2, 3]) {
            files.exclude(rng);
        }
        for _ in 0..pick(rng, &[1, 2, 4]) {
            files.move_somebody(rng, cast);
            files.exchange_somebody(rng, cast);
        }
        for group in &mut files.groups {
            let present = cast.members(&group.name).len().min(group.members.len()) as u64;
            group.min_members = (rng.u8(0..3) == 0).then_some(present);
        }
        files
    }

    /// Commits that move a person step by step: to a second group and from there to a third one (true), or to a second
    /// group and then out of the first one. `None` if there are too few groups.
    pub fn relay(rng: &mut Rng, cast: &Cast, now: Timestamp) -> Option<([Self; 3], bool)> {
        let mut places: Vec<usize> = (0..cast.groups.len()).collect();
        rng.shuffle(&mut places);
        let first = *places.iter().find(|at| !cast.groups[**at].members.is_empty())?;
        let mut others = places.into_iter().filter(|at| *at != first);
        let (second, third) = (others.next()?, others.next());
        let person = &cast.people[pick(rng, &cast.groups[first].members)];
        let join = |files: &mut Self, at: usize, entry: Entry| {
            files.groups[at].members.retain(|entry| !entry.names(person));
            files.groups[at].members.push(entry);
        };
        let leave = |files: &mut Self, at: usize| files.groups[at].members.retain(|entry| !entry.names(person));
        let plainly = Entry::new(person.email.clone(), Window::default());
        let mut base = Self::of_the_start(cast);
        base.groups[second].mode = pick(rng, &["exact", "exact", "additive"]);
        let mut before = base.clone();
        let third = third.filter(|_| rng.u8(0..3) > 0);
        let after = match third {
            Some(third) => {
                leave(&mut before, first);
                join(&mut before, second, plainly.clone());
                let mut after = before.clone();
                leave(&mut after, second);
                join(&mut after, third, plainly);
                after
            }
            None => {
                let entry = if rng.u8(0..3) == 0 { Entry::mistaken(rng, person) } else { plainly.clone() };
                join(&mut before, second, entry);
                let mut after = before.clone();
                leave(&mut after, first);
                if rng.u8(0..3) == 0 {
                    let ended = Window { from: None, until: Some(now - hours(6)) };
                    join(&mut after, first, Entry { window: ended, ..plainly });
                }
                after
            }
        };
        Some(([base, before, after], third.is_some()))
    }

    /// The same files, but for a group that is gone or only observed.
    pub fn without_a_group(&self, rng: &mut Rng) -> Self {
        let mut files = self.clone();
        let at = rng.usize(..files.groups.len());
        if rng.bool() {
            files.groups[at].mode = "observe";
        } else {
            files.groups.remove(at);
        }
        files
    }

    /// Limits that the plan just meets, so that they can be exceeded during a run.
    fn limit_groups(&mut self, rng: &mut Rng, cast: &Cast, now: Timestamp) {
        for at in 0..self.groups.len() {
            let present = cast.members(&self.groups[at].name);
            self.groups[at].group_removals = match rng.u8(0..8) {
                0 => Some(Limit::random(rng)),
                1..4 => Some(Limit::just(self.leaving(cast, &self.groups[at], present, now), present.len())),
                _ => None,
            };
        }
    }

    /// The next commit: a small change of the files.
    pub fn changed(&self, rng: &mut Rng, cast: &Cast, now: Timestamp) -> Self {
        let mut files = self.clone();
        for _ in 0..pick(rng, &[1, 1, 2, 4]) {
            files.change(rng, cast, now);
        }
        files
    }

    fn change(&mut self, rng: &mut Rng, cast: &Cast, now: Timestamp) {
        if self.groups.is_empty() {
            *self = Self::random(rng, cast, now);
            return;
        }
        let at = rng.usize(..self.groups.len());
        let group = &mut self.groups[at];
        match rng.u8(0..20) {
            0..4 => {
                let person = &cast.people[rng.usize(..cast.people.len())];
                if !group.members.iter().any(|entry| entry.names(person) || entry.named == person.mistyped()) {
                    group.members.push(Entry::new(person.named(rng), window(rng, now)));
                }
            }
            4..7 if !group.members.is_empty() => drop(group.members.remove(rng.usize(..group.members.len()))),
            7..11 if !group.members.is_empty() => {
                let entry = rng.usize(..group.members.len());
                group.members[entry].window = window(rng, now);
            }
            11..14 => self.move_somebody(rng, cast),
            14 => group.mode = pick(rng, &["exact", "exact", "additive", "observe"]),
            15 => self.exclude(rng),
            16 => self.exchange_somebody(rng, cast),
            17 => {
                (group.min_members, group.group_removals) = (None, None);
                group.members.retain(|entry| entry.meant.is_none());
            }
            18 => match group.rosters.first_mut() {
                Some((roster, _)) if rng.bool() => drop(self.rosters[*roster].pop()),
                Some((_, times)) => *times = window(rng, now),
                None => group.excludes.clear(),
            },
            _ if rng.u8(0..4) == 0 => drop(self.groups.remove(at)),
            _ => (self.protected, self.misspelled) = (Vec::new(), Vec::new()),
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
        let (groups, rosters, has_domains) = (groups.collect(), self.rosters.clone(), self.has_domains);
        Self { groups, rosters, has_domains, ..Self::nothing() }
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// All entries of a group, through rosters too.
    pub fn entries(&self, group: &Group) -> Vec<Entry> {
        let through = group.rosters.iter().flat_map(|(roster, outer)| {
            self.rosters[*roster].iter().map(|entry| {
                let until = match (entry.window.until, outer.until) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
                let from = entry.window.from.max(outer.from);
                Entry { window: Window { from, until }, ..entry.clone() }
            })
        });
        // An entry that has no time in common with the use of its roster means nothing.
        let is_ever =
            |entry: &Entry| entry.window.from.zip(entry.window.until).is_none_or(|(from, until)| from < until);
        group.members.iter().cloned().chain(through.filter(is_ever)).collect()
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
        if self.has_domains {
            let _ = writeln!(yaml, "  email_domains: [{DOMAIN}]");
        }
        if !self.rosters.is_empty() {
            yaml.push_str("rosters:\n");
        }
        for (number, entries) in self.rosters.iter().enumerate() {
            let entries: Vec<String> = entries.iter().map(Entry::yaml).collect();
            let _ = writeln!(yaml, "  roster{number}: [{}]", entries.join(", "));
        }
        yaml.push_str(if self.groups.is_empty() { "groups: {}\n" } else { "groups:\n" });
        for Group { name, mode, members, rosters, min_members, allow_empty, group_removals, excludes } in &self.groups {
            let _ = writeln!(yaml, "  {name}:\n    mode: {mode}\n    allow_empty: {allow_empty}");
            if let Some(least) = min_members {
                let _ = writeln!(yaml, "    min_members: {least}");
            }
            if let Some(limit) = group_removals {
                let _ = writeln!(yaml, "    group_removals: {limit}");
            }
            let excludes: Vec<&str> =
                excludes.iter().map(String::as_str).filter(|name| self.group(name).is_some()).collect();
            if !excludes.is_empty() {
                let _ = writeln!(yaml, "    exclusive_with: [{}]", excludes.join(", "));
            }
            let uses = rosters.iter().map(|(roster, window)| format!("{{ roster: roster{roster}{} }}", times(*window)));
            let entries: Vec<String> = members.iter().map(Entry::yaml).chain(uses).collect();
            let _ = writeln!(yaml, "    members: [{}]", entries.join(", "));
        }
        yaml
    }
}

impl Group {
    fn random(rng: &mut Rng, cast: &Cast, name: String, rosters: &mut Vec<Vec<Entry>>, now: Timestamp) -> Self {
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
        let mut names: Vec<String> = chosen.into_iter().map(|index| cast.people[index].named(rng)).collect();
        if rng.u8(0..24) == 0 {
            names.push("nobody-at-all@elsewhere.example".into());
        }
        // If two people share an address, one entry names both.
        names.sort_by_key(|named| named.to_lowercase());
        names.dedup_by_key(|named| named.to_lowercase());
        let is_timed = rng.u8(0..3) > 0;
        let time = |rng: &mut Rng| if is_timed { window(rng, now) } else { Window::default() };
        let mut members: Vec<Entry> = names.into_iter().map(|named| Entry::new(named, time(rng))).collect();
        if rng.u8(0..16) == 0 {
            let person = &cast.people[rng.usize(..cast.people.len())];
            members.push(Entry::mistaken(rng, person));
        }
        rng.shuffle(&mut members);
        let mut used = Vec::new();
        if rng.u8(0..5) == 0 {
            let kept = members.split_off(rng.usize(..=members.len()));
            used.push((rosters.len(), time(rng)));
            rosters.push(kept);
            // Another group may use it as well.
            if rng.u8(0..4) == 0 {
                used.push((rng.usize(..rosters.len()), time(rng)));
                used.dedup_by_key(|(roster, _)| *roster);
            }
        }
        let in_force = members.iter().filter(|entry| entry.belongs_at(now)).count() as u64;
        let least = if rng.bool() { in_force } else { rng.u64(0..=in_force) };
        Self {
            name,
            mode: pick(rng, &["exact", "exact", "exact", "exact", "additive", "observe"]),
            min_members: (rng.u8(0..3) == 0).then_some(least),
            allow_empty: rng.bool(),
            group_removals: None,
            excludes: Vec::new(),
            rosters: used,
            members,
        }
    }

    /// A group with these members, by id.
    pub fn of<'a>(
        name: &str,
        members: &BTreeSet<MemberId>,
        least: u64,
        excludes: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self {
            name: name.into(),
            mode: "exact",
            members: members.iter().map(|id| Entry::new(id.to_string(), Window::default())).collect(),
            rosters: Vec::new(),
            min_members: Some(least),
            allow_empty: true,
            group_removals: None,
            excludes: excludes.map(str::to_owned).collect(),
        }
    }

    pub fn mode(&self) -> Mode {
        match self.mode {
            "additive" => Mode::Additive,
            "observe" => Mode::Observe,
            _ => Mode::Exact,
        }
    }
}

impl Files {
    /// How many of these members are not on the group's list.
    fn leaving(&self, cast: &Cast, group: &Group, present: &[usize], now: Timestamp) -> usize {
        let entries = self.entries(group);
        let stays = |index: &&usize| {
            let person = &cast.people[**index];
            entries.iter().any(|entry| entry.belongs_at(now) && entry.names(person))
        };
        present.iter().filter(|index| !stays(index)).count()
    }

    /// Makes two groups exclude each other.
    fn exclude(&mut self, rng: &mut Rng) {
        let (one, other) = (rng.usize(..self.groups.len()), rng.usize(..self.groups.len()));
        let name = self.groups[other].name.clone();
        if one != other && !self.groups[one].excludes.contains(&name) {
            self.groups[one].excludes.push(name);
        }
    }

    /// Moves a person from one group's list to another's.
    fn move_somebody(&mut self, rng: &mut Rng, cast: &Cast) {
        if self.groups.is_empty() {
            return;
        }
        let (from, to) = (rng.usize(..self.groups.len()), rng.usize(..self.groups.len()));
        self.move_between(rng, cast, from, to);
    }

    /// Moves a person between groups that exclude each other, in one direction or the other.
    fn exchange_somebody(&mut self, rng: &mut Rng, cast: &Cast) {
        let excluding = self.groups.iter().enumerate();
        let pairs = excluding.flat_map(|(at, group)| group.excludes.iter().map(move |other| (at, other)));
        let pairs: Vec<(usize, usize)> = pairs
            .filter_map(|(at, other)| Some((at, self.groups.iter().position(|group| group.name == *other)?)))
            .collect();
        if !pairs.is_empty() {
            let (one, other) = pick(rng, &pairs);
            let (from, to) = if rng.bool() { (one, other) } else { (other, one) };
            self.move_between(rng, cast, from, to);
        }
    }

    fn move_between(&mut self, rng: &mut Rng, cast: &Cast, from: usize, to: usize) {
        let present = cast.members(&self.groups[from].name);
        if from == to || present.is_empty() {
            return;
        }
        let person = &cast.people[pick(rng, present)];
        self.groups[from].members.retain(|entry| !entry.names(person));
        if !self.groups[to].members.iter().any(|entry| entry.names(person)) {
            self.groups[to].members.push(Entry::new(person.email.clone(), Window::default()));
        }
    }
}
