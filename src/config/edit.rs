//! Edits the files: from their texts, a request and a time to new texts, or to a refusal. All bytes that the request
//! does not concern stay the same. The new texts are read again to prove this before they are returned.

mod grant;
mod layout;
mod lists;
mod patch;
mod proof;
mod prune;
mod revoke;
mod step;
#[cfg(test)]
mod tests;
mod when;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use grant::Grant;
pub use lists::ListName;
pub use prune::Prune;
pub use revoke::Revoke;
pub use when::{When, parse_age};

use super::entry::Entry;
use super::file::{self, Declared};
use super::nearest::nearest;
use super::numbers::Numbers;
use super::problem::{Problem, Problems, Report, quoted};
use super::rules::{BreachKey, breaches};
use super::{Source, node, parse};
use crate::model::{Desired, GroupName, Mode, Origin, PersonRef};
use layout::{Layout, Style};
use lists::{Found, Lists};
use patch::Writer;
use step::{Action, Step};

/// A request to edit the files.
#[derive(Clone, Debug)]
pub enum EditRequest {
    Grant(Grant),
    Revoke(Revoke),
    Prune(Prune),
}

#[derive(Clone, Debug, Default)]
pub struct Edited {
    /// The new content of each changed file, by its index in the sources.
    pub files: BTreeMap<usize, Vec<u8>>,
    pub changes: Vec<ListChange>,
    /// Requests that already hold.
    pub unchanged: Vec<Unchanged>,
    /// Further remarks, as sentences.
    pub notes: Vec<String>,
    pub uncompared: Vec<Uncompared>,
    /// The number of ended entries that are kept because they end an access.
    pub kept: usize,
}

#[derive(Clone, Debug)]
pub struct ListChange {
    pub action: ListAction,
    pub person: PersonRef,
    pub list: ListName,
    /// The place of the entry after the edit, or before it if the entry was removed.
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAction {
    Add,
    Change,
    Remove,
}

impl ListAction {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Unchanged {
    pub message: String,
    pub origin: Origin,
}

/// An entry that may mean the person but cannot be compared.
#[derive(Clone, Debug)]
pub struct Uncompared {
    pub person: PersonRef,
    pub origin: Origin,
}

/// Why the files are not edited.
#[derive(Clone, Debug)]
pub enum EditError {
    /// The request does not fit these files. Has the entries that could not be compared.
    Usage { message: String, help: String, uncompared: Vec<Uncompared> },
    /// The files have problems before the edit.
    Files(Problems),
    /// The edit is refused. Has the reasons, and the entries that could not be compared.
    Refused { problems: Problems, uncompared: Vec<Uncompared>, notes: Vec<String> },
}

impl EditError {
    fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: help.into(), uncompared: Vec::new() }
    }
}

/// Writes a command of this program for the user's shell.
pub type Spell<'s> = &'s dyn Fn(&[&str]) -> String;

/// Edits the files.
///
/// # Errors
///
/// If the request does not fit the files, the files have problems, or the edit is refused.
pub fn edit(sources: &[Source], request: &EditRequest, now: Timestamp, spell: Spell<'_>) -> Result<Edited, EditError> {
    let desired = parse(sources).map_err(EditError::Files)?;
    let declared: Vec<Declared> =
        sources.iter().map(|source| file::read(source, &mut Numbers::default(), &mut Report::default())).collect();
    let scene = Scene { lists: Lists::new(&declared), desired: &desired, now, spell };
    let mut decision = match request {
        EditRequest::Grant(grant) => grant.decide(&scene)?,
        EditRequest::Revoke(revoke) => revoke.decide(&scene)?,
        EditRequest::Prune(prune) => prune.decide(&scene),
    };
    decision.steps.sort_by_key(|step| (step.list, step.index));
    if !decision.refusals.is_empty() {
        return Err(decision.refused(sources));
    }
    let mut edited = Edited { kept: decision.kept, ..Edited::default() };
    for file in decision.files(&scene.lists) {
        match edit_file(sources, file, &decision, &scene) {
            Ok(bytes) => {
                edited.files.insert(file, bytes);
            }
            Err(problem) => decision.refusals.extend(problem),
        }
    }
    if decision.refusals.is_empty() {
        let problems = check(sources, &edited.files, &decision, &scene);
        decision.refusals.extend(problems);
    }
    if !decision.refusals.is_empty() {
        return Err(decision.refused(sources));
    }
    edited.changes = changes(sources, &edited.files, &decision, &scene);
    let Decision { unchanged, notes, uncompared, .. } = decision;
    Ok(Edited { unchanged, notes, uncompared, ..edited })
}

/// The facts that a decision depends on.
struct Scene<'d> {
    lists: Lists<'d>,
    desired: &'d Desired,
    now: Timestamp,
    spell: Spell<'d>,
}

impl Scene<'_> {
    /// The lists with these names, each once.
    fn named(&self, names: &[ListName]) -> Result<Vec<usize>, EditError> {
        let mut named = Vec::with_capacity(names.len());
        for name in names {
            let index = self.lists.find(name).ok_or_else(|| self.unknown_list(name))?;
            if !named.contains(&index) {
                named.push(index);
            }
        }
        Ok(named)
    }

    fn unknown_list(&self, name: &ListName) -> EditError {
        let text = |name: &ListName| match name {
            ListName::Group(name) => name.as_str().to_owned(),
            ListName::Roster(name) => name.to_string(),
        };
        let alike = |other: &&ListName| std::mem::discriminant(*other) == std::mem::discriminant(name);
        let known: Vec<String> = self.lists.names().filter(alike).map(text).collect();
        let help = match nearest(&text(name), known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None if known.is_empty() => "the files declare none".into(),
            None => "use the name as it is in the files".into(),
        };
        EditError::usage(format!("no file declares a {name}"), help)
    }
}

/// What a request changes.
#[derive(Debug, Default)]
struct Decision {
    steps: Vec<Step>,
    refusals: Vec<Problem>,
    unchanged: Vec<Unchanged>,
    notes: Vec<String>,
    uncompared: Vec<Uncompared>,
    kept: usize,
}

impl Decision {
    fn unchanged(&mut self, scene: &Scene<'_>, found: &Found<'_>, message: String) {
        let origin = scene.lists.origin(found.list, found.at);
        self.unchanged.extend(origin.map(|origin| Unchanged { message, origin }));
    }

    /// Adds the remark that convoke does not write to an observed group.
    fn note_observed(&mut self, scene: &Scene<'_>, list: usize) {
        let Some(of) = scene.lists.get(list) else { return };
        if of.group.is_some_and(|group| group.mode == Mode::Observe) {
            let note = format!("{} is observed: convoke does not write there", of.name);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    fn refused(self, sources: &[Source]) -> EditError {
        let Self { refusals, uncompared, notes, .. } = self;
        let mut report = Report::default();
        refusals.into_iter().for_each(|problem| report.push(problem));
        match report.finish(sources) {
            Err(problems) => EditError::Refused { problems, uncompared, notes },
            Ok(()) => EditError::usage(
                "no group or roster is named",
                "name at least one group, or use --roster or --everywhere",
            ),
        }
    }

    /// The files that change.
    fn files(&self, lists: &Lists<'_>) -> BTreeSet<usize> {
        self.steps.iter().filter_map(|step| lists.get(step.list)).map(|list| list.file_index).collect()
    }

    /// The steps in one file, list by list.
    fn steps_of<'a>(&'a self, lists: &Lists<'_>, file: usize) -> BTreeMap<usize, Vec<&'a Step>> {
        let mut by_list: BTreeMap<usize, Vec<&Step>> = BTreeMap::new();
        for step in &self.steps {
            if lists.get(step.list).is_some_and(|list| list.file_index == file) {
                by_list.entry(step.list).or_default().push(step);
            }
        }
        by_list
    }
}

/// Edits one file and proves the edit. Otherwise names the lines to edit by hand.
fn edit_file(sources: &[Source], file: usize, decision: &Decision, scene: &Scene<'_>) -> Result<Vec<u8>, Vec<Problem>> {
    let steps = decision.steps_of(&scene.lists, file);
    let by_hand = || steps.values().flatten().filter_map(|step| by_hand(step, scene)).collect::<Vec<_>>();
    let source = sources.get(file).ok_or_else(by_hand)?;
    let text = str::from_utf8(&source.bytes).map_err(|_| by_hand())?;
    let layout = Layout::new(text).ok_or_else(by_hand)?;
    let mut patches = Vec::new();
    let mut odd = Vec::new();
    for (list, steps) in &steps {
        match list_patches(&layout, scene, *list, steps) {
            Some(found) => patches.extend(found),
            None => odd.extend(steps.iter().filter_map(|step| self::by_hand(step, scene))),
        }
    }
    if !odd.is_empty() {
        return Err(odd);
    }
    let new = patch::apply(text, patches).ok_or_else(by_hand)?;
    let named = steps.iter().filter_map(|(list, steps)| Some((scene.lists.get(*list)?.name.clone(), steps.clone())));
    let named = named.collect();
    let (Ok(before), Ok(after)) = (node::parse(text), node::parse(&new)) else { return Err(by_hand()) };
    if !proof::proves(&before, &after, &named) {
        return Err(by_hand());
    }
    Ok(new.into_bytes())
}

fn list_patches(layout: &Layout<'_>, scene: &Scene<'_>, list: usize, steps: &[&Step]) -> Option<Vec<patch::Patch>> {
    let of = scene.lists.get(list)?;
    let found = layout.list(of.key)?;
    if found.items.len() != of.entries.len() {
        return None;
    }
    let indent = indent_of_lists(layout, scene, list);
    Writer { layout, list: &found, indent }.patches(steps)
}

/// The indentation of lists in this file: as in the nearest list above, or else below.
fn indent_of_lists(layout: &Layout<'_>, scene: &Scene<'_>, list: usize) -> usize {
    const USUAL: usize = 2;
    let Some(of) = scene.lists.get(list) else { return USUAL };
    let indent = |other: usize| {
        let other = scene.lists.get(other)?;
        if other.file_index != of.file_index || other.group.is_some() != of.group.is_some() || other.entries.is_empty()
        {
            return None;
        }
        let found = layout.list(other.key)?;
        let dash = found.items.first().filter(|_| found.style == Style::Block)?.dash?;
        layout.column(dash).checked_sub(layout.column(found.key))
    };
    (0..list).rev().chain(list + 1..scene.lists.all.len()).find_map(indent).unwrap_or(USUAL)
}

/// The refusal of a step that could not be written or proven.
fn by_hand(step: &Step, scene: &Scene<'_>) -> Option<Problem> {
    let list = scene.lists.get(step.list)?;
    let own = list.entries.get(step.index).filter(|_| !matches!(step.action, Action::Insert(_)));
    let origin = scene.lists.origin(step.list, own.map_or(list.key, Entry::at))?;
    let message = format!("the list of {} is written in a way that convoke cannot edit safely", list.name);
    let help = match &step.action {
        Action::Insert(_) => format!("add {} to this list by hand", step.person),
        Action::Remove => format!("remove {} from this list by hand", step.person),
        Action::Replace(_) | Action::Change(_) => format!("change the entry of {} by hand", step.person),
    };
    Some(Problem::at(&origin, message).help(help))
}

fn with(sources: &[Source], files: &BTreeMap<usize, Vec<u8>>) -> Vec<Source> {
    let new = |(index, source): (usize, &Source)| match files.get(&index) {
        Some(bytes) => Source { path: source.path.clone(), bytes: bytes.clone() },
        None => source.clone(),
    };
    sources.iter().enumerate().map(new).collect()
}

/// The problems of the edited files that were not there before.
fn check(sources: &[Source], files: &BTreeMap<usize, Vec<u8>>, decision: &Decision, scene: &Scene<'_>) -> Vec<Problem> {
    if files.is_empty() {
        return Vec::new();
    }
    match parse(&with(sources, files)) {
        Ok(desired) => new_breaches(&desired, scene),
        Err(problems) => {
            let first = problems.iter().next().map(|problem| problem.message.clone()).unwrap_or_default();
            let refused = decision.steps.iter().filter_map(|step| by_hand(step, scene));
            let explained =
                refused.map(|problem| Problem { message: format!("{}: {first}", problem.message), ..problem });
            explained.collect()
        }
    }
}

/// The breaches of rules that the edit would add. Their place is that of the rule, because the entry has no line yet.
fn new_breaches(edited: &Desired, scene: &Scene<'_>) -> Vec<Problem> {
    // One person can break a rule several times: with an own entry, and through rosters.
    let mut known: BTreeMap<BreachKey, usize> = BTreeMap::new();
    for breach in breaches(scene.desired, scene.now) {
        *known.entry(breach.key).or_default() += 1;
    }
    let new = breaches(edited, scene.now).filter(|breach| match known.get_mut(&breach.key) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    new.filter_map(|breach| {
        let rules = |group: &GroupName| scene.desired.groups.get(group).map(|group| &group.rules);
        let exclusion = |of: &GroupName, with: &GroupName| rules(of)?.exclusion_of(with);
        let (origin, message, help) = match &breach.key {
            BreachKey::MaxDuration { group, .. } => {
                let origin = rules(group)?.max_duration.as_ref()?.origin.clone()?;
                (origin, breach.problem.message.clone(), breach.problem.help.clone()?)
            }
            BreachKey::MissingReason { group, .. } | BreachKey::MissingRosterReason { group, .. } => {
                let origin = rules(group)?.require_reason.clone()?;
                (origin, breach.problem.message.clone(), "give the reason with `--reason`".into())
            }
            BreachKey::Exclusive { group, other, person } => {
                let origin = exclusion(group, other).or_else(|| exclusion(other, group))?.origin.clone();
                let (group, other) = (quoted(group.as_str()), quoted(other.as_str()));
                let message = format!("{person} would be in group {group} and in group {other} at the same time");
                (origin, message, "choose times that do not overlap, or revoke the other membership first".into())
            }
        };
        Some(Problem::at(&origin, message).help(help))
    })
    .collect()
}

/// The changes, with the lines of the entries after the edit.
fn changes(
    sources: &[Source],
    files: &BTreeMap<usize, Vec<u8>>,
    decision: &Decision,
    scene: &Scene<'_>,
) -> Vec<ListChange> {
    let read = |index: &usize, bytes: &Vec<u8>| {
        let path = sources.get(*index).map(|source| source.path.clone()).unwrap_or_default();
        (*index, file::read(&Source { path, bytes: bytes.clone() }, &mut Numbers::default(), &mut Report::default()))
    };
    let after: BTreeMap<usize, Declared> = files.iter().map(|(index, bytes)| read(index, bytes)).collect();
    let after: Vec<Declared> = (0..sources.len())
        .map({
            let mut after = after;
            move |index| after.remove(&index).unwrap_or_default()
        })
        .collect();
    let after = Lists::new(&after);
    let change = |step: &Step| {
        let list = scene.lists.get(step.list)?;
        let new = || {
            let found = after.find(&list.name).and_then(|list| after.own(list, &step.person))?;
            after.origin(found.list, found.at)
        };
        let (action, origin) = match step.action {
            Action::Insert(_) => (ListAction::Add, new()),
            Action::Remove => (ListAction::Remove, scene.lists.origin(step.list, list.entries.get(step.index)?.at())),
            Action::Replace(_) | Action::Change(_) => (ListAction::Change, new()),
        };
        Some(ListChange { action, person: step.person.clone(), list: list.name.clone(), origin: origin? })
    };
    decision.steps.iter().filter_map(change).collect()
}
