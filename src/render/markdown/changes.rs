//! The changed groups of a page: a table of all groups, every removal by name, and a diff for each group.
//!
//! The table and the removals are never left out. If they are long, they have fewer details: first without links,
//! then without other facts. Diffs use the remaining space.

use std::collections::{BTreeMap, BTreeSet};

use super::page::{Page, REST, folded, list, shares};
use super::{facts, signed};
use crate::model::{Mode, Origin, Status};
use crate::plan::{Action, Change, GroupPlan, Plan, Since};
use crate::render::counted;
use crate::render::escape::{cell, code, fence, html, shortened};
use crate::render::view::{Repository, place};
use crate::render::words::{concerns, figures, labeled, labels, name};

/// The bytes of a diff in addition to its lines.
const FRAME: usize = 1500;

/// The bytes of the titles and numbers of everything besides the table and the removals.
const TITLES: usize = 12 * REST;

/// The maximum number of file lines below a diff.
const PLACES: usize = 8;

/// The amount of detail for each group and each removal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Links,
    Places,
    Names,
}

/// The differences with one label.
pub struct Part<'a> {
    label: Option<Since>,
    changed: Vec<&'a GroupPlan>,
    /// The groups that are only observed.
    observed: Vec<&'a GroupPlan>,
}

pub struct Parts<'a> {
    parts: Vec<Part<'a>>,
    repository: Option<&'a Repository>,
}

impl<'a> Parts<'a> {
    pub fn of(plan: &'a Plan, repository: Option<&'a Repository>) -> Self {
        let part = |label| {
            let groups = plan.groups.iter().filter(|group| concerns(group, label));
            let (observed, changed) = groups.partition(|group| group.mode == Mode::Observe);
            Part { label, changed, observed }
        };
        Self { parts: labels(plan).into_iter().map(part).collect(), repository }
    }

    /// The bytes of the table of all groups and of every removal.
    fn whole(&self, detail: Detail) -> usize {
        let removals: usize = self.parts.iter().map(|part| self.removals(part, detail, usize::MAX).len()).sum();
        self.table(detail, usize::MAX).len() + removals
    }

    /// The bytes with which nothing of the table and the removals is left out.
    pub fn essential(&self) -> usize {
        self.whole(Detail::Names) + TITLES
    }

    /// Writes the parts into the page, and leaves `reserved` bytes for others.
    pub fn write(&self, page: &mut Page, reserved: usize) {
        let reserved = reserved + TITLES;
        let essential = page.room().saturating_sub(reserved);
        let mut details = [Detail::Links, Detail::Places, Detail::Names].into_iter();
        let detail = details.find(|detail| self.whole(*detail) <= essential);
        let cut = detail.is_none();
        let detail = detail.unwrap_or(Detail::Names);
        let share = if cut { self.share_of_table(essential) } else { usize::MAX };
        page.push(&self.table(detail, share));
        let Some((first, rest)) = self.parts.split_first() else { return };
        // Keep space for the required text of the folded parts.
        let shares = match cut {
            true => self.shares(page.room().saturating_sub(reserved)),
            false => vec![usize::MAX; self.parts.len()],
        };
        let share = |place: usize| shares.get(place).copied().unwrap_or_default();
        let kept = rest.iter().enumerate().map(|(place, part)| self.removals(part, detail, share(place + 1)));
        let kept: Vec<String> = kept.collect();
        let reserved = reserved + kept.iter().map(|text| text.len() + FRAME).sum::<usize>();
        page.push(&self.removals(first, detail, share(0)));
        let room = page.room().saturating_sub(reserved);
        page.push(&self.diffs(&first.changed, first.label, room, true));
        self.observed(first, page, reserved);
        for (part, removals) in rest.iter().zip(kept) {
            self.before(part, &removals, page);
        }
    }

    /// The space for the table: what the removals do not need, and at least half.
    fn share_of_table(&self, room: usize) -> usize {
        let table = self.table(Detail::Names, usize::MAX).len();
        let removals = self.whole(Detail::Names).saturating_sub(table);
        let needs = [table + REST, removals + self.parts.len() * REST];
        shares(&needs, room).first().copied().unwrap_or_default()
    }

    /// The space for the removals of each part: what a part does not need is for the others.
    fn shares(&self, room: usize) -> Vec<usize> {
        let need = |part| match self.removals(part, Detail::Names, usize::MAX).len() {
            0 => 0,
            removals => removals + REST,
        };
        shares(&self.parts.iter().map(need).collect::<Vec<_>>(), room)
    }

    /// The differences that existed before the change under review, folded.
    fn before(&self, part: &Part<'_>, removals: &str, page: &mut Page) {
        if !part.changed.is_empty() {
            let changes = part.changed.iter().flat_map(|group| labeled(&group.changes, part.label));
            let (adds, removes) = figures(changes);
            let groups = counted(part.changed.len() as u64, "group");
            let title = format!("Already there before this change: {} in {groups}", signed(adds, removes));
            let room = page.room().saturating_sub(removals.len() + title.len() + REST * 2);
            let diffs = self.diffs(&part.changed, part.label, room, false);
            page.push(&folded(&title, &format!("{removals}{diffs}")));
        }
        self.observed(part, page, 0);
    }

    /// The differences of observed groups, folded.
    fn observed(&self, part: &Part<'_>, page: &mut Page, reserved: usize) {
        if part.observed.is_empty() {
            return;
        }
        let count: usize = part.observed.iter().map(|group| labeled(&group.changes, part.label).count()).sum();
        let note = if part.label == Some(Since::Before) { ", already there before this change" } else { "" };
        let title = format!(
            "{} in {}, where convoke does not write{note}",
            counted(count as u64, "difference"),
            counted(part.observed.len() as u64, "observed group"),
        );
        let room = page.room().saturating_sub(reserved + title.len() + REST * 2);
        let diffs = self.diffs(&part.observed, part.label, room, false);
        page.push(&folded(&title, &diffs));
    }

    fn repository(&self, detail: Detail) -> Option<&Repository> {
        self.repository.filter(|_| detail == Detail::Links)
    }

    /// A row for every group that the plan changes, or would change if nothing were held.
    fn table(&self, detail: Detail, most: usize) -> String {
        // Groups of this change come first. A group with both kinds of differences has one row.
        let mut seen = BTreeSet::new();
        let groups = self.parts.iter().flat_map(|part| &part.changed).copied();
        let all: Vec<&GroupPlan> = groups.filter(|group| seen.insert(group.id)).collect();
        if all.is_empty() {
            return String::new();
        }
        let labeled = self.parts.len() > 1;
        let mut text = String::from(match labeled {
            true => "| Group | This change | Already there | Members |\n| --- | --- | --- | --- |\n",
            false => "| Group | Change | Members |\n| --- | --- | --- |\n",
        });
        let mut shown = 0;
        for group in &all {
            let row = self.row(group, detail);
            if text.len().saturating_add(row.len() + REST) > most {
                break;
            }
            text.push_str(&row);
            shown += 1;
        }
        if shown < all.len() {
            text.push_str(&format!("\n… and {}\n", counted((all.len() - shown) as u64, "more group")));
        }
        text.push('\n');
        text
    }

    fn row(&self, group: &GroupPlan, detail: Detail) -> String {
        let name = cell(group.name.as_str());
        let name = match self.repository(detail) {
            Some(repository) => crate::render::view::linked(&name, &group.origin, repository),
            None => name,
        };
        let cells = self.parts.iter().map(|part| {
            let (adds, removes) = figures(labeled(&group.changes, part.label));
            match labeled(&group.held, part.label).count() {
                0 if !concerns(group, part.label) => " |".into(),
                0 => format!(" {} |", signed(adds, removes)),
                held => format!(" {}, {held} held |", signed(adds, removes)),
            }
        });
        let (present, left) = (group.observed.len(), group.members_left());
        format!("| {name} |{} {present} → {left} |\n", cells.collect::<String>())
    }

    /// All removals, by group.
    fn removals(&self, part: &Part<'_>, detail: Detail, most: usize) -> String {
        let leaving = part.changed.iter().map(|group| {
            let changes = labeled(&group.changes, part.label);
            (*group, changes.filter(|change| change.action == Action::Remove).collect())
        });
        let groups: Vec<(&GroupPlan, Vec<&Change>)> =
            leaving.filter(|(_, leaving): &(_, Vec<_>)| !leaving.is_empty()).collect();
        let count: usize = groups.iter().map(|(_, leaving)| leaving.len()).sum();
        let title = format!("**{}**", counted(count as u64, "removal"));
        if detail == Detail::Names {
            return grouped(&title, &groups, most);
        }
        let items: Vec<String> = groups
            .iter()
            .flat_map(|(group, leaving)| leaving.iter().map(|change| self.removal(group, change, detail)))
            .collect();
        list(&title, items, most)
    }

    fn removal(&self, group: &GroupPlan, change: &Change, detail: Detail) -> String {
        let (who, name) = (code(&name(&change.member)), code(group.name.as_str()));
        let place = place(&change.origin, self.repository(detail));
        format!("{who} leaves {name}: {place}{}", facts(change))
    }

    /// A diff for each group, as far as there is space, and the number of those left out.
    fn diffs(&self, groups: &[&GroupPlan], label: Option<Since>, room: usize, fold: bool) -> String {
        let mut text = String::new();
        let (mut left_out, mut changes) = (0u64, 0u64);
        for group in groups {
            let count = labeled(&group.changes, label).count() as u64;
            if count == 0 {
                continue;
            }
            let room = room.saturating_sub(text.len() + REST);
            match room > FRAME {
                true => text.push_str(&self.diff(group, label, room, fold)),
                false => {
                    left_out += 1;
                    changes += count;
                }
            }
        }
        if left_out > 0 {
            let (diffs, changes) = (counted(left_out, "more diff"), counted(changes, "difference"));
            text.push_str(&format!("… and {diffs} with {changes}\n\n"));
        }
        text
    }

    fn diff(&self, group: &GroupPlan, label: Option<Since>, room: usize, fold: bool) -> String {
        let changes: Vec<&Change> = labeled(&group.changes, label).collect();
        let (mut lines, mut used) = (Vec::new(), FRAME);
        for change in &changes {
            let sign = if change.action == Action::Add { '+' } else { '-' };
            let line = format!("{sign} {}", shortened(&name(&change.member)));
            used += line.len() + 1;
            if used > room {
                break;
            }
            lines.push(line);
        }
        let fence = fence(lines.iter().map(String::as_str));
        let mut content = format!("{fence}diff\n{}\n{fence}\n\n", lines.join("\n"));
        if lines.len() < changes.len() {
            let more = counted((changes.len() - lines.len()) as u64, "more change");
            content.push_str(&format!("… and {more} in this group\n\n"));
        }
        content.push_str(&self.places(&changes));
        let (adds, removes) = figures(changes.iter().copied());
        let title = html(&shortened(group.name.as_str()));
        let title = format!("<code>{title}</code> {}", signed(adds, removes));
        if fold { folded(&title, &content) } else { format!("<p>{title}</p>\n\n{content}") }
    }

    /// The lines that declare the changes of a diff, and members who have not accepted their invitation.
    fn places(&self, changes: &[&Change]) -> String {
        // Two columns of one line are one place.
        let places: BTreeMap<(&str, u32), &Origin> =
            changes.iter().map(|change| ((&*change.origin.file, change.origin.line), &change.origin)).collect();
        let mut shown: Vec<String> =
            places.values().take(PLACES).map(|origin| place(origin, self.repository)).collect();
        if places.len() > PLACES {
            shown.push(format!("and {} more", places.len() - PLACES));
        }
        let mut text = format!("Declared at {}", shown.join(", "));
        let pending = changes.iter().filter(|change| change.member.status == Some(Status::Pending)).count() as u64;
        if pending > 0 {
            text.push_str(&format!(" · {}", counted(pending, "pending invitation")));
        }
        text + "\n\n"
    }
}

/// The removals, one line for each group.
fn grouped(title: &str, groups: &[(&GroupPlan, Vec<&Change>)], most: usize) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let mut text = format!("{title}\n\n");
    let total: usize = groups.iter().map(|(_, leaving)| leaving.len()).sum();
    let mut shown = 0;
    'groups: for (group, leaving) in groups {
        let mut line = format!("- {} loses ", code(group.name.as_str()));
        for (index, change) in leaving.iter().enumerate() {
            let who = code(&name(&change.member));
            if text.len().saturating_add(line.len() + who.len() + REST) > most {
                if index > 0 {
                    text.push_str(line.trim_end_matches(", "));
                    text.push('\n');
                }
                break 'groups;
            }
            line.push_str(&who);
            line.push_str(", ");
            shown += 1;
        }
        text.push_str(line.trim_end_matches(", "));
        text.push('\n');
    }
    if shown < total {
        text.push_str(&format!("- … and {} more\n", total - shown));
    }
    text.push('\n');
    text
}
