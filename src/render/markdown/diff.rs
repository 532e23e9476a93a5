//! One group's difference as a unified diff: its members as they are against its members as they should be.

use std::collections::BTreeMap;

use similar::{Algorithm, ChangeTag, TextDiff};

use crate::model::{Member, MemberId};
use crate::plan::{Action, Change, GroupPlan, Since};
use crate::render::escape;
use crate::render::words::{place, subject};

/// The unchanged members around a changed one.
const CONTEXT: usize = 2;

/// The most changes that are compared: more lines than these fit into no comment.
const MOST_CHANGES: usize = 2500;

/// A diff, line by line.
#[derive(Debug, Default)]
pub struct Diff {
    /// The lines, hunk headers included.
    pub lines: Vec<Line>,
    /// How many changes there are, those without a line included.
    pub changes: usize,
}

/// A line of a diff.
#[derive(Debug)]
pub struct Line {
    /// The line with its sign.
    pub text: String,
    /// Whether somebody joins or leaves on it.
    pub changed: bool,
}

/// A member's line and what it is sorted by: the address in lower case, as the group's own list is.
struct Row<'a> {
    key: (String, MemberId),
    shown: String,
    change: Option<&'a Change>,
}

/// The diff that the changes with this label make. What was there before the change under review is taken for done
/// in the diff of the change itself, so that each shows its own part alone.
pub fn diff(group: &GroupPlan, label: Option<Since>) -> Diff {
    let mut changes: BTreeMap<MemberId, &Change> = BTreeMap::new();
    let mut done_before: BTreeMap<MemberId, &Change> = BTreeMap::new();
    for change in &group.changes {
        if change.since == label {
            changes.insert(change.member.id, change);
        } else if label == Some(Since::Change) {
            done_before.insert(change.member.id, change);
        }
    }
    let rows = rows(group, &changes, &done_before);
    let total = changes.len();
    let rows = first_changes(&rows);
    let stays = |row: &&Row<'_>, without: Action| row.change.is_none_or(|change| change.action != without);
    let old: Vec<&Row<'_>> = rows.iter().filter(|row| stays(row, Action::Add)).collect();
    let new: Vec<&Row<'_>> = rows.iter().filter(|row| stays(row, Action::Remove)).collect();
    Diff { lines: lines(&old, &new), changes: total }
}

/// Everybody who is in the group or joins it, in order.
fn rows<'a>(
    group: &GroupPlan,
    changes: &BTreeMap<MemberId, &'a Change>,
    done_before: &BTreeMap<MemberId, &Change>,
) -> Vec<Row<'a>> {
    let present = group.observed.iter().map(|(id, member)| Member {
        id: *id,
        email: member.email.clone(),
        status: member.status,
    });
    let joining = changes.values().filter(|change| change.action == Action::Add).map(|change| change.member.clone());
    let joined = done_before.values().filter(|change| change.action == Action::Add).map(|change| change.member.clone());
    let left = |subject: &Member| done_before.get(&subject.id).is_none_or(|change| change.action == Action::Add);
    let mut rows: Vec<Row<'a>> =
        present.chain(joined).filter(left).chain(joining).map(|subject| row(&subject, changes)).collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

fn row<'a>(member: &Member, changes: &BTreeMap<MemberId, &'a Change>) -> Row<'a> {
    let key = member.email.as_ref().map_or_else(|| member.id.to_string(), |email| email.folded().into());
    Row { key: (key, member.id), shown: subject(member), change: changes.get(&member.id).copied() }
}

/// The rows as far as they hold no more changes than are compared, with the context of the last.
fn first_changes<'r, 'a>(rows: &'r [Row<'a>]) -> &'r [Row<'a>] {
    let beyond = rows.iter().enumerate().filter(|(_, row)| row.change.is_some()).nth(MOST_CHANGES);
    let end = beyond.map_or(rows.len(), |(index, _)| index);
    rows.get(..end).unwrap_or(rows)
}

fn lines(old: &[&Row<'_>], new: &[&Row<'_>]) -> Vec<Line> {
    // The id tells two members with one address apart.
    let keys = |rows: &[&Row<'_>]| rows.iter().map(|row| format!("{} {}", row.key.0, row.key.1)).collect::<Vec<_>>();
    let (old_keys, new_keys) = (keys(old), keys(new));
    let old_keys: Vec<&str> = old_keys.iter().map(String::as_str).collect();
    let new_keys: Vec<&str> = new_keys.iter().map(String::as_str).collect();
    let compared = TextDiff::configure().algorithm(Algorithm::Myers).diff_slices(&old_keys, &new_keys);
    let mut lines = Vec::new();
    for hunk in compared.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push(Line { text: hunk.header().to_string(), changed: false });
        for change in hunk.iter_changes() {
            let (sign, row) = match change.tag() {
                ChangeTag::Equal => (' ', change.old_index().and_then(|index| old.get(index))),
                ChangeTag::Delete => ('-', change.old_index().and_then(|index| old.get(index))),
                ChangeTag::Insert => ('+', change.new_index().and_then(|index| new.get(index))),
            };
            lines.extend(row.map(|row| line(sign, row)));
        }
    }
    lines
}

fn line(sign: char, row: &Row<'_>) -> Line {
    match row.change {
        None => Line { text: format!("{sign}{}", row.shown), changed: false },
        Some(change) => {
            let place = place(change);
            Line { text: format!("{sign}{}  # {}", row.shown, escape::shortened(&place)), changed: true }
        }
    }
}
