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

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::ser::SerializeMap as _;

pub use grant::Grant;
pub use lists::ListName;
pub use revoke::Revoke;
pub use step::{When, parse_age};

use super::Source;
use super::entry::PersonOrRoster;
use super::file::{self, Declared};
use super::merge::merge;
use super::node::Node;
use super::problem::{Problem, Problems, nearest, quoted};
use super::rules::{Breach, BreachKey, BrokenRule, breaches};
use crate::model::{Desired, Mode, Origin, PersonRef, RunStatus};
use layout::FileLayout;
use lists::{List, Lists};
use rename::sorting;
use step::{EditStep, is_sorted};

#[derive(Clone, Debug)]
pub enum EditRequest {
    Grant(Grant),
    Revoke(Revoke),
    /// Delete the entries that ended longer ago than this.
    Prune {
        older_than: SignedDuration,
    },
    /// Write another address or id of the same person into all lists.
    Rename {
        old: PersonRef,
        new: PersonRef,
    },
    /// Sort the addresses of lists, or refuse lists that are not sorted.
    Sort {
        check: bool,
    },
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
    /// The address or id; null for a `- roster:` entry, whose roster is in `uses`.
    pub person: Option<String>,
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
    let files = Files::new(sources, sources.iter().map(file::tree)).map_err(EditError::Files)?;
    let lists = Lists::new(&files.declared);
    let context = EditContext { files: &files, lists: &lists, now, spell, request };
    let mut draft = match request {
        EditRequest::Grant(grant) => grant.draft(&context)?,
        EditRequest::Revoke(revoke) => revoke.draft(&context)?,
        EditRequest::Prune { older_than } => revoke::prune(&context, *older_than),
        EditRequest::Rename { old, new } => rename::rename(&context, old, new)?,
        EditRequest::Sort { check } => rename::sort(&context, *check),
    };
    draft.steps.sort_by_key(|step| (step.list.index, step.index));
    let (mut new, mut changes) = (BTreeMap::new(), Vec::new());
    let is_partial = matches!(request, EditRequest::Revoke(Revoke { partial: true, .. }));
    if draft.refusals.is_empty() || is_partial {
        match write(sources, &draft.steps, &context) {
            Ok((texts, declared)) => {
                let after = Lists::new(&declared);
                changes = draft.steps.iter().flat_map(|step| step.changes(&after)).collect();
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
    fn new(sources: &[Source], read: impl Iterator<Item = Result<Node<'s>, Problem>>) -> Result<Self, Problems> {
        let mut report = Problems::default();
        let (mut trees, mut declared) = (Vec::new(), Vec::new());
        for (source, tree) in sources.iter().zip(read) {
            match tree {
                Ok(tree) => {
                    declared.push(file::declare(source, &tree, &mut report));
                    trees.push(tree);
                }
                Err(problem) => report.push(problem),
            }
        }
        let desired = merge(declared.clone(), trees.len() == sources.len(), &mut report);
        report.finish(sources)?;
        Ok(Self { trees, declared, desired })
    }
}

struct EditContext<'d> {
    files: &'d Files<'d>,
    lists: &'d Lists<'d>,
    now: Timestamp,
    spell: Spell<'d>,
    request: &'d EditRequest,
}

impl<'d> EditContext<'d> {
    /// The command line of another edit of a person, with the flags that have a value.
    fn command(&self, verb: &str, person: &PersonRef, list: &ListName, flags: &[(&str, Option<&str>)]) -> String {
        let person = person.to_string();
        let mut words = vec![verb, &person];
        if let ListName::Roster(_) = list {
            words.push("--roster");
        }
        words.push(list.as_str());
        words.extend(flags.iter().filter_map(|(flag, value)| Some([*flag, (*value)?])).flatten());
        (self.spell)(&words)
    }

    fn named(&self, names: &[ListName]) -> Result<Vec<&'d List<'d>>, EditError> {
        let find = |name| self.lists.find(name).ok_or_else(|| self.unknown_list(name));
        let mut named: Vec<&List<'_>> = names.iter().map(find).collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        named.retain(|list| seen.insert(list.index));
        Ok(named)
    }

    fn unknown_list(&self, name: &ListName) -> EditError {
        if let (ListName::Group(group), Ok(person)) = (name, name.as_str().parse::<PersonRef>()) {
            let message = format!("{group} is not a group: one command edits one person, and {person} is a second");
            let help = "run the command once for each person, and name the groups after the person";
            return EditError::usage(message, help);
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
struct Draft<'d> {
    steps: Vec<EditStep<'d>>,
    refusals: Vec<Problem>,
    unchanged: Vec<Unchanged>,
    notes: Vec<String>,
    uncompared: Vec<Uncompared>,
    kept: Option<usize>,
}

impl Draft<'_> {
    fn note_once(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds the remark that convoke does not write to an observed group.
    fn note_observed(&mut self, list: &List<'_>) {
        if list.mode() == Some(Mode::Observe) {
            self.note_once(format!("{} is observed: convoke does not write there", list.name));
        }
    }
}

/// The new texts of the changed files, and what all files then declare.
type EditedTexts = (BTreeMap<usize, String>, Vec<Declared>);

/// Makes the steps in the texts of the files. The new texts are read again: the tree of each file must be the tree
/// before with exactly these steps, and no rule may be broken that was not broken before.
fn write(sources: &[Source], steps: &[EditStep<'_>], context: &EditContext<'_>) -> Result<EditedTexts, Vec<Problem>> {
    let (mut after, mut expected) = (sources.to_vec(), context.files.trees.clone());
    let (mut new, mut odd) = (BTreeMap::new(), Vec::new());
    let of_file = |file| steps.iter().filter(move |step| step.list.file == file);
    for (file, ((source, tree), before)) in after.iter_mut().zip(&mut expected).zip(&context.files.trees).enumerate() {
        let steps: Vec<&EditStep<'_>> = of_file(file).collect();
        if steps.is_empty() {
            continue;
        }
        match edited(source, before, tree, &steps, context.lists) {
            Ok(text) => {
                source.bytes = text.clone().into_bytes();
                new.insert(file, text);
            }
            Err(steps) => odd.extend(steps),
        }
    }
    let mut trees = Vec::with_capacity(after.len());
    for (file, (source, expected)) in after.iter().zip(expected).enumerate() {
        let proven = || file::tree(source).ok().filter(|tree| *tree == expected);
        let tree = if new.contains_key(&file) { proven() } else { Some(expected) };
        match tree {
            Some(tree) => trees.push(tree),
            None => odd.extend(of_file(file)),
        }
    }
    if !odd.is_empty() {
        return Err(odd.into_iter().map(EditStep::by_hand).collect());
    }
    let files = Files::new(&after, trees.into_iter().map(Ok)).map_err(|problems| {
        let first = problems.iter().next().map(|problem| problem.message.clone()).unwrap_or_default();
        let because = |problem: Problem| Problem { message: format!("{}: {first}", problem.message), ..problem };
        steps.iter().map(EditStep::by_hand).map(because).collect::<Vec<_>>()
    })?;
    let breaches = new_breaches(&files.desired, context);
    if !breaches.is_empty() {
        return Err(breaches);
    }
    // A list that was sorted stays sorted: a renamed person may belong to another place.
    let lists = Lists::new(&files.declared);
    let were_sorted = context.lists.memberships().filter(|list| is_sorted(list.entries));
    let sorts: Vec<_> = were_sorted.filter_map(|list| sorting(lists.find(&list.name)?)).collect();
    if !sorts.is_empty() {
        let (sorted, declared) = write(&after, &sorts, &EditContext { files: &files, lists: &lists, ..*context })?;
        new.extend(sorted);
        return Ok((new, declared));
    }
    Ok((new, files.declared))
}

/// The new text of a file, with the steps made in its tree too. Otherwise the steps to make by hand.
fn edited<'p, 'd>(
    source: &Source,
    before: &Node<'_>,
    tree: &mut Node<'_>,
    steps: &[&'p EditStep<'d>],
    lists: &Lists<'_>,
) -> Result<String, Vec<&'p EditStep<'d>>> {
    let text = str::from_utf8(&source.bytes).map_err(|_| steps.to_vec())?;
    let layout = FileLayout { text, tree: before };
    let (mut patches, mut odd) = (Vec::new(), Vec::new());
    for steps in steps.chunk_by(|step, other| step.list.index == other.list.index) {
        let found = steps.first().and_then(|step| {
            step::apply(tree, &step.list.name, steps)?;
            patch::patches(&layout, lists, step.list, steps)
        });
        match found {
            Some(found) => patches.extend(found),
            None => odd.extend(steps),
        }
    }
    if !odd.is_empty() {
        return Err(odd);
    }
    patch::apply(text, patches).ok_or_else(|| steps.to_vec())
}

/// The breaches of rules that the edit would add. Their place is that of the rule, because the entry has no line yet.
fn new_breaches(edited: &Desired, context: &EditContext<'_>) -> Vec<Problem> {
    // One person can break a rule several times: with an own entry, and through rosters.
    let mut known: BTreeMap<BreachKey, usize> = BTreeMap::new();
    for mut breach in breaches(&context.files.desired, context.now) {
        // The new address is judged for its own domain.
        if let EditRequest::Rename { old, new } = context.request
            && breach.key.rule != BrokenRule::EmailDomains
            && breach.key.who == PersonOrRoster::Person(old.clone())
        {
            breach.key.who = PersonOrRoster::Person(new.clone());
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
        let (_, origin) = key.rule_in(before)?;
        let (message, help) = (problem.message, problem.help?);
        let (message, help) = match (&key.rule, context.request) {
            (BrokenRule::MaxDuration, EditRequest::Grant(Grant { from: None, .. })) => {
                let most = before.groups.get(&key.group)?.rules.max_duration.as_ref()?.value;
                (message, format!("use `--until +{most}` or an earlier end"))
            }
            (BrokenRule::MaxDuration, EditRequest::Grant(_)) => {
                (message, help.replace("write `until: ", "use `--until "))
            }
            (BrokenRule::RequireReason, _) => (message, "give the reason with `--reason`".into()),
            (BrokenRule::ExclusiveWith(other), _) => {
                let (person, group, other) = (&key.who, quoted(key.group.as_str()), quoted(other.as_str()));
                let message = format!("{person} would be in group {group} and in group {other} at the same time");
                (message, "choose times that do not overlap, or revoke the other membership first".into())
            }
            (BrokenRule::MaxDuration | BrokenRule::EmailDomains, _) => (message, help),
        };
        Some(Problem::at(origin, message).help(help))
    })
    .collect()
}
