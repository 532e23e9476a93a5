//! Drift for a terminal: the differences from the files, not the actions of a plan.

use super::{Columns, Layout, Page, Style, View, mode};
use crate::plan::{Action, GroupPlan, Plan};
use crate::render::counted;
use crate::render::escape::clean;
use crate::render::view::Next;
use crate::render::words;

/// The drift: groups with differences in order, blocked entries, and the summary.
#[must_use]
pub fn drift(plan: &Plan, view: View<'_>, layout: Layout) -> String {
    let mut page = Page::new(layout);
    page.held_expired(plan);
    for group in plan.groups.iter().filter(|group| group.differs()) {
        page.drifted(group);
    }
    page.unmanaged(plan);
    page.expiring(plan);
    page.warnings(plan);
    page.blocked(plan);
    page.refusals(plan, "Guards that would refuse the correction");
    for line in words::drift_summary(plan) {
        page.section(Style::Title, &line);
    }
    if let Next::Apply(command) = view.next(plan) {
        page.end_section();
        page.line("To make the account match the files:");
        page.line(&format!("  {command}"));
    }
    page.finish()
}

impl Page {
    fn drifted(&mut self, group: &GroupPlan) {
        let title = self.paint.paint(Style::Title, &clean(group.name.as_str()));
        let count = counted(group.observed.len() as u64, "member");
        let note = self.paint.paint(Style::Dim, &format!("({count}{})", mode(group.mode)));
        self.line(&format!("{title} {note}"));
        let columns = Columns::of(group.changes.iter().chain(&group.held), true);
        for change in &group.changes {
            let (sign, style) = match change.action {
                Action::Add => ("+", Style::Add),
                Action::Remove => ("-", Style::Remove),
            };
            self.change(sign, style, change, &columns);
        }
        for change in &group.held {
            self.change("~", Style::Warn, change, &columns);
        }
        self.end_section();
    }
}
