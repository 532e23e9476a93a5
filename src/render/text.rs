//! A plan for a person at a terminal.

mod paint;
mod report;
#[cfg(test)]
mod tests;

use unicode_width::UnicodeWidthStr;

pub use paint::{Paint, Style};
pub(super) use report::summary as report_summary;
pub use report::{report, stale};

use super::words::{ending, origin, place, since, subject, untold_origin};
use super::{clean, counted};
use crate::model::Mode;
use crate::plan::{Action, Change, GroupPlan, Plan, Since};

/// The columns in front of what belongs to a heading.
const INDENT: usize = 2;

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The columns there are.
    pub width: usize,
    /// Whether to colour.
    pub color: bool,
}

/// The plan: changed groups in order, what is blocked, what ends soon, the summary, and what the guards refuse.
/// `apply` is the command line that applies it.
#[must_use]
pub fn plan(plan: &Plan, apply: &str, layout: Layout) -> String {
    let mut page = Page { text: String::new(), layout, paint: Paint::new(layout.color) };
    let shown = plan.groups.iter().filter(|group| !group.in_sync());
    shown.for_each(|group| page.group(group));
    page.blocked(plan);
    page.unmanaged(plan);
    page.expiring(plan);
    page.summary(plan);
    page.refusals(plan, apply);
    format!("{}\n", page.text.trim_end())
}

struct Page {
    text: String,
    layout: Layout,
    paint: Paint,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn section(&mut self, style: Style, title: &str) {
        let title = self.paint.paint(style, title);
        self.line(&title);
    }

    fn end_section(&mut self) {
        self.line("");
    }

    fn group(&mut self, group: &GroupPlan) {
        let title = self.paint.paint(Style::Title, &clean(group.name.as_str()));
        let note = match group.mode {
            Mode::Observe => ", observed only: nothing is written".into(),
            Mode::Additive => ", additive".into(),
            Mode::Exact => String::new(),
        };
        let count = counted(group.observed.len() as u64, "member");
        let note = self.paint.paint(Style::Dim, &format!("({count}{note})"));
        self.line(&format!("{title} {note}"));
        let who: Vec<String> = group.changes.iter().chain(&group.held).map(|change| subject(&change.member)).collect();
        let longest = who.iter().map(|who| who.width()).max().unwrap_or(0);
        let (changes, held) = who.split_at(group.changes.len().min(who.len()));
        for (change, who) in group.changes.iter().zip(changes) {
            let (sign, style) = match change.action {
                Action::Add => ("+", Style::Add),
                Action::Remove => ("-", Style::Remove),
            };
            self.change(sign, style, who, longest, change);
        }
        if !held.is_empty() {
            let waiting = counted(held.len() as u64, "removal");
            let held_back = format!("  {waiting} held until what is blocked is resolved:");
            self.section(Style::Warn, &held_back);
        }
        for (change, who) in group.held.iter().zip(held) {
            self.change("~", Style::Warn, who, longest, change);
        }
        self.end_section();
    }

    fn change(&mut self, sign: &str, style: Style, who: &str, longest: usize, change: &Change) {
        let place = place(change) + &change.since.map_or_else(String::new, label);
        /// Addresses longer than this push their places to the right, and nobody else's.
        const COLUMN: usize = 44;
        let gap = longest.min(COLUMN).saturating_sub(who.width()) + 2;
        let entry = self.paint.paint(style, &format!("{sign} {who}"));
        let dim = self.paint.paint(Style::Dim, &place);
        if INDENT + 2 + who.width() + gap + place.width() > self.layout.width {
            self.line(&format!("  {entry}"));
            self.line(&format!("      {dim}"));
        } else {
            self.line(&format!("  {entry}{}{dim}", " ".repeat(gap)));
        }
    }

    fn blocked(&mut self, plan: &Plan) {
        if plan.blocked.is_empty() {
            return;
        }
        self.section(Style::Warn, "Blocked: declared, and cannot be applied");
        for blocked in &plan.blocked {
            let place = origin(&blocked.origin);
            let (group, what) = (clean(blocked.group.as_str()), clean(&blocked.to_string()));
            let since = blocked.since.map_or_else(String::new, label);
            let long = INDENT + place.width() + group.width() + what.width() + since.len() + 4 > self.layout.width;
            let place = self.paint.paint(Style::Dim, &place);
            let space = if long { "\n      " } else { " " };
            self.line(&format!("  {place}  {group}:{space}{what}{since}"));
        }
        self.end_section();
    }

    fn unmanaged(&mut self, plan: &Plan) {
        if plan.unmanaged_groups.is_empty() {
            return;
        }
        self.section(Style::Title, "Groups of the account that no file declares");
        for group in &plan.unmanaged_groups {
            let id = self.paint.paint(Style::Dim, group.id.as_str());
            self.line(&format!("  {}  {id}", clean(group.name.as_str())));
        }
        self.end_section();
    }

    fn expiring(&mut self, plan: &Plan) {
        if plan.expiring.is_empty() {
            return;
        }
        self.section(Style::Title, "Ending soon");
        for expiring in &plan.expiring {
            let (who, group) = (clean(&expiring.person.to_string()), clean(expiring.group.as_str()));
            let (until, origin) = (ending(expiring.until), clean(&expiring.origin.to_string()));
            let place = self.paint.paint(Style::Dim, &origin);
            self.line(&format!("  {who} in {group} until the {until}  {place}"));
        }
        self.end_section();
    }

    fn summary(&mut self, plan: &Plan) {
        for line in summary(plan) {
            let line = self.paint.paint(Style::Title, &line);
            self.line(&line);
        }
        if plan.summary.requests > 0 || !plan.refusals.is_empty() {
            let digest = self.paint.paint(Style::Dim, &format!("Digest: {}", plan.digest));
            self.line(&digest);
        }
    }

    fn refusals(&mut self, plan: &Plan, apply: &str) {
        if plan.refusals.is_empty() {
            return;
        }
        self.end_section();
        self.section(Style::Remove, "Refused");
        for refusal in &plan.refusals {
            let group = refusal.group.as_ref().map(|group| format!("  {}:", clean(group.as_str()))).unwrap_or_default();
            let guard = self.paint.paint(Style::Remove, refusal.guard.name());
            let message = clean(&refusal.message);
            let gap = if group.is_empty() { "  " } else { " " };
            let width = INDENT + refusal.guard.name().len() + group.width() + gap.len() + message.width();
            let gap = if width > self.layout.width { "\n    " } else { gap };
            self.line(&format!("  {guard}{group}{gap}{message}"));
            if let Some(bound) = untold_origin(refusal) {
                let place = self.paint.paint(Style::Dim, &format!("at {bound}"));
                self.line(&format!("    {place}"));
            }
            let help = self.paint.paint(Style::Dim, &format!("to proceed: {}", clean(&refusal.help)));
            self.line(&format!("    {help}"));
        }
        self.end_section();
        if plan.refusals_beyond_limits().next().is_none() {
            self.line("To accept the limits for exactly this plan:");
            self.line(&format!("  {} --accept {}", clean(apply), plan.digest));
        }
    }
}

/// The figures of a plan in a line, and what else there is to say in further lines.
#[must_use]
pub fn summary(plan: &Plan) -> Vec<String> {
    let summary = plan.summary;
    let groups = counted(summary.groups, "group");
    if !plan.has_differences() && plan.blocked.is_empty() {
        return vec![format!("No changes. {groups} in sync.")];
    }
    let (adds, removes, changed) = (summary.adds, summary.removes, summary.changed);
    let mut lines = vec![format!("Plan: {adds} to add, {removes} to remove in {changed} of {groups}")];
    if summary.blocked > 0 {
        lines.push(format!("{} blocked", summary.blocked));
    }
    if summary.held > 0 {
        lines.push(format!("{} held", counted(summary.held, "removal")));
    }
    if summary.observed_only > 0 {
        lines.push(format!("{} in groups that are only observed", counted(summary.observed_only, "difference")));
    }
    lines
}

/// A difference's label.
fn label(label: Since) -> String {
    format!(" [{}]", since(label))
}
