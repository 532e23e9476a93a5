//! Edits the files: from their texts, a request and a time to new texts, or to a refusal. All bytes that the request
//! does not concern stay the same. The new texts are read again to prove this before they are returned.

mod grant;
mod layout;
mod lists;
mod patch;
mod rename;
mod revoke;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::SerializeMap as _;

pub use grant::Grant;
pub use lists::ListName;
pub use rename::{Rename, Sort};
pub use revoke::{Prune, Revoke};
pub use step::{When, parse_age};

use super::Source;
use super::entry::{Entry, Numbers};
use super::file::{self, Declared};
use super::merge::merge;
use super::node::{self, Node};
use super::problem::{Problem, ProblemReport, Problems, nearest, quoted};
use super::rules::{Breach, BreachKey, breaches};
use crate::model::{Desired, Mode, Origin, PersonRef, RunStatus};
use layout::{FileLayout, ListStyle};
use lists::{List, Lists};
use patch::Writer;
use rename::{misplaced, sorting};
use step::{EditAction, EditStep, is_sorted};

#[derive(Clone, Debug)]
pub enum EditRequest {
    Grant(Grant),
    Revoke(Revoke),
    Prune(Prune),
    Rename(Rename),
    Sort(Sort),
}

/// An edit of the files, or its refusal.
#[derive(Clone, Debug, Serialize)]
pub struct Edited {
    format_version: u32,
    pub status: RunStatus,
    pub written: bool,
    pub changes: Vec<ListChange>,
    /// The number of ended entries that are kept because they end an access. Only `prune` counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<usize>,
    pub uncompared: Vec<Uncompared>,
    pub unchanged: Vec<Unchanged>,
    pub notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Problems>,
    /// The new content of each changed file, by its index in the sources.
    #[serde(skip)]
    pub files: BTreeMap<usize, String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ListChange {
    pub action: ListAction,
    /// The address or id; null for a `- roster:` entry.
    pub person: Option<String>,
    /// The roster of a `- roster:` entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<ListName>,
    #[serde(flatten)]
    pub list: ListName,
    /// The place of the entry after the edit, or before it if the entry was removed.
    #[serde(flatten, serialize_with = "file_and_line")]
    pub origin: Origin,
}

/// Programs that open the file need no column.
fn file_and_line<S: serde::Serializer>(origin: &Origin, serializer: S) -> Result<S::Ok, S::Error> {
    let mut place = serializer.serialize_map(Some(2))?;
    place.serialize_entry("file", &origin.file)?;
    place.serialize_entry("line", &origin.line)?;
    place.end()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListAction {
    Add,
    Change,
    Remove,
}

#[derive(Clone, Debug, Serialize)]
pub struct Unchanged {
    pub message: String,
    #[serde(flatten, serialize_with = "file_and_line")]
    pub origin: Origin,
}

/// An entry that may mean the person but cannot be compared.
#[derive(Clone, Debug, Serialize)]
pub struct Uncompared {
    #[serde(flatten)]
    pub person: PersonRef,
    #[serde(flatten, serialize_with = "file_and_line")]
    pub origin: Origin,
}

/// Why the request does not apply to these files.
#[derive(Clone, Debug)]
pub enum EditError {
    /// It does not fit them. Has the entries that could not be compared.
    Usage {
        message: String,
        help: String,
        uncompared: Vec<Uncompared>,
    },
    Files(Problems),
}

impl EditError {
    fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: help.into(), uncompared: Vec::new() }
    }
}

/// Writes a command of this program for the user's shell.
pub type Spell<'s> = &'s dyn Fn(&[&str]) -> String;

/// Edits the files. A refused edit has problems, and changes nothing.
///
/// # Errors
///
/// If the files have problems, or the request does not fit them.
pub fn edit(sources: &[Source], request: &EditRequest, now: Timestamp, spell: Spell<'_>) -> Result<Edited, EditError> {
    let files = Files::read(sources, |_| None).map_err(EditError::Files)?;
    let context = EditContext { files: &files, lists: Lists::new(&files.declared), now, spell, request };
    let mut draft = match request {
        EditRequest::Grant(grant) => grant.draft(&context)?,
        EditRequest::Revoke(revoke) => revoke.draft(&context)?,
        EditRequest::Prune(prune) => prune.draft(&context),
        EditRequest::Rename(rename) => rename.draft(&context)?,
        EditRequest::Sort(sort) => sort.draft(&context),
    };
    draft.steps.sort_by_key(|step| (step.list, step.index));
    let (mut new, mut changes) = (BTreeMap::new(), Vec::new());
    let is_partial = matches!(request, EditRequest::Revoke(Revoke { partial: true, .. }));
    if draft.refusals.is_empty() || is_partial {
        let written = write(sources, &draft.steps, &context);
        match written.and_then(|written| keep_sorted(sources, written, &draft.steps, &context)) {
            Ok((texts, declared)) => {
                let lists = Lists::new(&declared);
                changes = draft.steps.iter().flat_map(|step| changes_of(step, &context, &lists)).collect();
                new = texts;
            }
            Err(problems) => draft.refusals.extend(problems),
        }
    }
    let Draft { refusals, unchanged, notes, uncompared, kept, .. } = draft;
    let problems = Problems::of(refusals, sources);
    let status = match (&problems, changes.is_empty()) {
        (Some(_), true) => RunStatus::Refused,
        (Some(_), false) => RunStatus::Partial,
        (None, true) => RunStatus::Unchanged,
        (None, false) => RunStatus::Changes,
    };
    let (format_version, written, files) = (FORMAT_VERSION, false, new);
    Ok(Edited { format_version, status, written, changes, kept, uncompared, unchanged, notes, problems, files })
}

const FORMAT_VERSION: u32 = 1;

/// The files, each parsed once: as trees, as what each declares, and merged.
struct Files<'s> {
    trees: Vec<Node<'s>>,
    declared: Vec<Declared>,
    desired: Desired,
}

impl<'s> Files<'s> {
    /// Reads the files. Those of which the tree is known, by their index, are not parsed again.
    fn read(sources: &'s [Source], known: impl Fn(usize) -> Option<Node<'s>>) -> Result<Self, Problems> {
        let (mut report, mut numbers) = (ProblemReport::default(), Numbers::default());
        let (mut trees, mut declared) = (Vec::new(), Vec::new());
        let mut all_there = true;
        for (index, source) in sources.iter().enumerate() {
            match known(index).map_or_else(|| file::tree(source), Ok) {
                Ok(tree) => {
                    declared.push(file::declare(source, tree.clone(), &mut numbers, &mut report));
                    trees.push(tree);
                }
                Err(problem) => {
                    report.push(*problem);
                    all_there = false;
                }
            }
        }
        let desired = merge(declared.clone(), all_there, numbers.count(), &mut report);
        report.finish(sources)?;
        Ok(Self { trees, declared, desired })
    }
}

struct EditContext<'d> {
    files: &'d Files<'d>,
    lists: Lists<'d>,
    now: Timestamp,
    spell: Spell<'d>,
    request: &'d EditRequest,
}

impl EditContext<'_> {
    /// The command line of another edit of a person, with the flags that have a value.
    fn command(&self, verb: &str, person: &PersonRef, list: &ListName, flags: &[(&str, Option<&str>)]) -> String {
        let person = person.to_string();
        let mut words = vec![verb, &person];
        words.extend(list.words());
        words.extend(flags.iter().filter_map(|(flag, value)| Some([*flag, (*value)?])).flatten());
        (self.spell)(&words)
    }

    fn named(&self, names: &[ListName]) -> Result<Vec<usize>, EditError> {
        let mut named = Vec::with_capacity(names.len());
        for name in names {
            let index = self.lists.find(name).ok_or_else(|| self.unknown_list(name))?;
            if !named.contains(&index) {
                named.push(index);
            }
        }
        if named.is_empty() {
            let help = "name at least one group, or use --roster or --everywhere";
            return Err(EditError::usage("no group or roster is named", help));
        }
        Ok(named)
    }

    fn unknown_list(&self, name: &ListName) -> EditError {
        if let (ListName::Group(group), Ok(person)) = (name, name.as_str().parse::<PersonRef>()) {
            let help = "run the command once for each person, and name the groups after the person";
            return EditError::usage(
                format!("{group} is not a group: one command edits one person, and {person} is a second"),
                help,
            );
        }
        let alike = |other: &&ListName| std::mem::discriminant(*other) == std::mem::discriminant(name);
        let known: Vec<&str> =
            self.lists.all.iter().map(|list| &list.name).filter(alike).map(ListName::as_str).collect();
        let help = match nearest(name.as_str(), known.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None if known.is_empty() => "the files declare none".into(),
            None => "use the name as it is in the files".into(),
        };
        EditError::usage(format!("no file declares a {name}"), help)
    }
}

#[derive(Default)]
struct Draft {
    steps: Vec<EditStep>,
    refusals: Vec<Problem>,
    unchanged: Vec<Unchanged>,
    notes: Vec<String>,
    uncompared: Vec<Uncompared>,
    kept: Option<usize>,
}

impl Draft {
    /// Adds the remark that convoke does not write to an observed group.
    fn note_observed(&mut self, context: &EditContext<'_>, list: usize) {
        let of = context.lists.get(list);
        if of.mode() == Some(Mode::Observe) {
            let note = format!("{} is observed: convoke does not write there", of.name);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }
}

/// The new texts of the changed files, and what all files then declare.
type EditedTexts = (BTreeMap<usize, String>, Vec<Declared>);

/// Makes the steps in the texts of the files. The new texts are read again: the tree of each file must be the tree
/// before with exactly these steps, and no rule may be broken that was not broken before.
fn write(sources: &[Source], steps: &[EditStep], context: &EditContext<'_>) -> Result<EditedTexts, Vec<Problem>> {
    let mut by_file: BTreeMap<usize, BTreeMap<usize, Vec<&EditStep>>> = BTreeMap::new();
    for step in steps {
        let file = context.lists.get(step.list).file;
        by_file.entry(file).or_default().entry(step.list).or_default().push(step);
    }
    let (mut new, mut odd) = (BTreeMap::new(), Vec::new());
    for (file, lists) in &by_file {
        let (Some(source), Some(tree)) = (sources.get(*file), context.files.trees.get(*file)) else { continue };
        match edited(source, tree, lists, context) {
            Ok(text) => drop(new.insert(*file, text)),
            Err(steps) => odd.extend(steps.into_iter().map(|step| by_hand(step, context))),
        }
    }
    if !odd.is_empty() {
        return Err(odd);
    }
    let after = with_texts(sources, &new);
    let unchanged = |index| context.files.trees.get(index).filter(|_| !new.contains_key(&index)).cloned();
    let files = Files::read(&after, unchanged).map_err(|problems| {
        let first = problems.iter().next().map(|problem| problem.message.clone()).unwrap_or_default();
        let refused = steps.iter().map(|step| by_hand(step, context));
        let refused = refused.map(|problem| Problem { message: format!("{}: {first}", problem.message), ..problem });
        refused.collect::<Vec<_>>()
    })?;
    let breaches = new_breaches(&files.desired, context);
    if !breaches.is_empty() {
        return Err(breaches);
    }
    Ok((new, files.declared))
}

/// Sorts the lists again that were sorted before a person was renamed.
fn keep_sorted(
    sources: &[Source],
    (mut new, declared): EditedTexts,
    steps: &[EditStep],
    context: &EditContext<'_>,
) -> Result<EditedTexts, Vec<Problem>> {
    if !matches!(context.request, EditRequest::Rename(_)) {
        return Ok((new, declared));
    }
    let lists = Lists::new(&declared);
    let were_sorted =
        |list: &usize| context.lists.get(*list).is_membership() && is_sorted(context.lists.get(*list).entries);
    let edited: BTreeSet<usize> = steps.iter().map(|step| step.list).filter(were_sorted).collect();
    let sorts: Vec<EditStep> = edited.into_iter().filter_map(|list| sorting(list, lists.get(list).entries)).collect();
    if sorts.is_empty() {
        return Ok((new, declared));
    }
    let renamed = with_texts(sources, &new);
    let files = Files::read(&renamed, |_| None).map_err(|problems| problems.list)?;
    let (sorted, declared) = write(&renamed, &sorts, &EditContext { files: &files, lists, ..*context })?;
    new.extend(sorted);
    Ok((new, declared))
}

fn with_texts(sources: &[Source], new: &BTreeMap<usize, String>) -> Vec<Source> {
    let mut sources = sources.to_vec();
    for (file, text) in new {
        if let Some(source) = sources.get_mut(*file) {
            source.bytes = text.clone().into_bytes();
        }
    }
    sources
}

/// The new text of a file, with its proof. Otherwise the steps to make by hand.
fn edited<'p>(
    source: &Source,
    tree: &Node<'_>,
    lists: &BTreeMap<usize, Vec<&'p EditStep>>,
    context: &EditContext<'_>,
) -> Result<String, Vec<&'p EditStep>> {
    let all = || lists.values().flatten().copied().collect::<Vec<_>>();
    let text = str::from_utf8(&source.bytes).map_err(|_| all())?;
    let layout = FileLayout::new(text).ok_or_else(all)?;
    let (mut patches, mut odd, mut expected) = (Vec::new(), Vec::new(), tree.clone());
    for (list, steps) in lists {
        let applied = step::apply(&mut expected, &context.lists.get(*list).name, steps);
        match list_patches(&layout, context, *list, steps).filter(|_| applied.is_some()) {
            Some(found) => patches.extend(found),
            None => odd.extend(steps),
        }
    }
    if !odd.is_empty() {
        return Err(odd);
    }
    let new = patch::apply(text, patches).ok_or_else(all)?;
    let is_proven = node::parse("", &new).is_ok_and(|after| step::same(&expected, &after));
    if is_proven { Ok(new) } else { Err(all()) }
}

fn list_patches(
    layout: &FileLayout<'_>,
    context: &EditContext<'_>,
    list: usize,
    steps: &[&EditStep],
) -> Option<Vec<patch::Patch>> {
    let of = context.lists.get(list);
    let found = layout.list(of.key)?;
    if found.items.len() != of.entries.len() {
        return None;
    }
    let indent = indent_of_lists(layout, context, list);
    Writer { layout, list: &found, name: &of.name, indent }.patches(steps)
}

/// The indentation of lists in this file: as in the nearest list above, or else below.
fn indent_of_lists(layout: &FileLayout<'_>, context: &EditContext<'_>, list: usize) -> usize {
    const USUAL: usize = 2;
    let of = context.lists.get(list);
    let indent = |other: usize| {
        let other = context.lists.get(other);
        if !other.is_membership()
            || other.file != of.file
            || other.group.is_some() != of.group.is_some()
            || other.entries.is_empty()
        {
            return None;
        }
        let found = layout.list(other.key)?;
        let dash = found.items.first().filter(|_| found.style == ListStyle::Block)?.dash?;
        layout.column(dash).checked_sub(layout.column(found.key))
    };
    (0..list).rev().chain(list + 1..context.lists.all.len()).find_map(indent).unwrap_or(USUAL)
}

/// The refusal of a step that could not be written or proven.
fn by_hand(step: &EditStep, context: &EditContext<'_>) -> Problem {
    let list = context.lists.get(step.list);
    let own =
        list.entries.get(step.index).filter(|_| !matches!(step.action, EditAction::Insert(_) | EditAction::Sort(_)));
    let origin = list.origin(own.map_or(list.key, |entry| entry.at));
    let message = format!("the list of {} is written in a way that convoke cannot edit safely", list.name);
    let who = subject(step, list).unwrap_or_default();
    let help = match &step.action {
        EditAction::Insert(_) => format!("add {who} to this list by hand"),
        EditAction::Remove => format!("remove {who} from this list by hand"),
        EditAction::Replace(_) | EditAction::Change(_) => format!("change the entry of {who} by hand"),
        EditAction::Rename(_) => format!("write {who} there by hand"),
        EditAction::Sort(_) => "sort this list by hand".to_owned(),
    };
    Problem::at(&origin, message).help(help)
}

/// The breaches of rules that the edit would add. Their place is that of the rule, because the entry has no line yet.
fn new_breaches(edited: &Desired, context: &EditContext<'_>) -> Vec<Problem> {
    // One person can break a rule several times: with an own entry, and through rosters.
    let mut known: BTreeMap<BreachKey, usize> = BTreeMap::new();
    for mut breach in breaches(&context.files.desired, context.now) {
        // The new address is judged for its own domain.
        let is_domain = matches!(breach.key, BreachKey::Domain { .. });
        if let (EditRequest::Rename(rename), Some(person), false) =
            (context.request, breach.key.person_mut(), is_domain)
            && *person == rename.old
        {
            *person = rename.new.clone();
        }
        *known.entry(breach.key).or_default() += 1;
    }
    let new = breaches(edited, context.now).filter(|breach| match known.get_mut(&breach.key) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    new.filter_map(|Breach { key, problem }| {
        let before = &context.files.desired;
        let origin = key.rule_in(before)?;
        let (message, help) = (problem.message, problem.help?);
        let (message, help) = match (&key, context.request) {
            (BreachKey::MaxDuration { group, .. }, EditRequest::Grant(Grant { from: None, .. })) => {
                let most = before.groups.get(group)?.rules.max_duration.as_ref()?.value;
                (message, format!("use `--until +{most}` or an earlier end"))
            }
            (BreachKey::MaxDuration { .. }, EditRequest::Grant(_)) => {
                (message, help.replace("write `until: ", "use `--until "))
            }
            (BreachKey::MissingReason { .. } | BreachKey::MissingRosterReason { .. }, _) => {
                (message, "give the reason with `--reason`".into())
            }
            (BreachKey::Exclusive { group, other, person }, _) => {
                let (group, other) = (quoted(group.as_str()), quoted(other.as_str()));
                let message = format!("{person} would be in group {group} and in group {other} at the same time");
                (message, "choose times that do not overlap, or revoke the other membership first".into())
            }
            (BreachKey::MaxDuration { .. } | BreachKey::Domain { .. }, _) => (message, help),
        };
        Some(Problem::at(origin, message).help(help))
    })
    .collect()
}

/// The changes that a step makes. Their lines are those of the entries in the edited files, unless they are removed.
fn changes_of(step: &EditStep, context: &EditContext<'_>, after: &Lists<'_>) -> Vec<ListChange> {
    let list = context.lists.get(step.list);
    let people: Vec<String> = match &step.action {
        EditAction::Sort(_) => misplaced(list.entries).into_iter().map(|(entry, _)| entry.who.to_string()).collect(),
        _ => subject(step, list).into_iter().collect(),
    };
    let change = |person: String| {
        let new = || {
            let found = after.get(after.find(&list.name)?);
            let entry = found.entries.iter().find(|entry| entry.who.to_string().eq_ignore_ascii_case(&person))?;
            Some(found.origin(entry.at))
        };
        let (action, origin) = match step.action {
            EditAction::Insert(_) => (ListAction::Add, new()?),
            EditAction::Remove => (ListAction::Remove, list.origin(list.entries.get(step.index)?.at)),
            _ => (ListAction::Change, new()?),
        };
        let removed = list.entries.get(step.index).filter(|_| action == ListAction::Remove);
        let uses = removed.and_then(Entry::roster).map(|name| ListName::Roster(name.into()));
        let person = Some(person).filter(|_| uses.is_none());
        Some(ListChange { action, person, uses, list: list.name.clone(), origin })
    };
    people.into_iter().filter_map(change).collect()
}

/// Whom or what a step concerns, as the entry names them.
fn subject(step: &EditStep, list: &List<'_>) -> Option<String> {
    match &step.action {
        EditAction::Insert(new) | EditAction::Replace(new) => Some(new.person.to_string()),
        EditAction::Rename(person) => Some(person.to_string()),
        EditAction::Remove | EditAction::Change(_) => list.entries.get(step.index).map(|entry| entry.who.to_string()),
        EditAction::Sort(_) => None,
    }
}
