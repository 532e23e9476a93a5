//! A plan for a terminal.

mod drift;
mod paint;
mod report;

use unicode_width::UnicodeWidthStr;

pub use drift::drift;
pub use paint::{Paint, Style};
pub(super) use report::summary as report_summary;
pub use report::{report, stale};

use super::counted;
use super::escape::clean;
use super::view::{Next, STALE_HELP, Stale, View, unsaid_origin};
use super::words::{self, concerns, figures, labeled, labels, last_day, name, origin, place};
use crate::model::{Mode, Status};
use crate::plan::{Action, BaseChange, Change, GroupPlan, Plan, Since, Standing};

/// The indentation below a heading.
const INDENT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The width of the terminal.
    pub width: usize,
    pub color: bool,
}

/// The plan: changed groups in order, blocked entries and refusals, the summary, and the command that applies the
/// plan.
#[must_use]
pub fn plan(plan: &Plan, view: View<'_>, layout: Layout) -> String {
    let mut page = Page::new(layout);
    page.held_expired(plan);
    page.base_changes(plan);
    for label in labels(plan) {
        page.groups(plan, label);
    }
    page.unmanaged(plan);
    page.expiring(plan);
    page.warnings(plan);
    page.blocked(plan);
    page.refusals(plan, "Refused: this plan cannot be applied");
    page.summary(plan);
    page.stale(plan, view.stale);
    page.next(view.next(plan));
    page.finish()
}

struct Page {
    text: String,
    layout: Layout,
    paint: Paint,
}

impl Page {
    const fn new(layout: Layout) -> Self {
        Self { text: String::new(), layout, paint: Paint::new(layout.color) }
    }

    fn finish(self) -> String {
        format!("{}\n", self.text.trim_end())
    }

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

    /// Expired access that stays for now, which a reader must not overlook.
    fn held_expired(&mut self, plan: &Plan) {
        let expired = |group: &GroupPlan| group.held.iter().any(|change| change.expired.is_some());
        if !plan.groups.iter().any(expired) {
            return;
        }
        self.section(Style::Warn, "Expired access that stays, because its removal is held");
        for group in plan.groups.iter().filter(|group| expired(group)) {
            for change in group.held.iter().filter(|change| change.expired.is_some()) {
                let (who, place) = (name(&change.member), self.paint.paint(Style::Dim, &place(change)));
                self.line(&format!("  ~ {who} in {}  {place}", clean(group.name.as_str())));
                if let Some(line) = words::holding(plan, change) {
                    self.line(&format!("      {line}"));
                }
            }
        }
        self.end_section();
    }

    /// The changes under review that affect no membership directly, loosened settings first.
    fn base_changes(&mut self, plan: &Plan) {
        for (loosens, style, title) in [
            (true, Style::Warn, "This change loosens protections"),
            (false, Style::Title, "Other settings that this change modifies"),
        ] {
            let changes: Vec<&BaseChange> =
                plan.base_changes.iter().filter(|change| change.loosens == loosens).collect();
            if changes.is_empty() {
                continue;
            }
            self.section(style, title);
            for change in changes {
                let (what, place) = (words::base_change(change, clean), change.origin.as_ref().map(origin));
                let place = place.unwrap_or_default();
                let long = INDENT + what.width() + 2 + place.width() > self.layout.width;
                let place = self.paint.paint(Style::Dim, &place);
                self.line(&format!("  {what}{}{place}", if long { "\n      " } else { "  " }));
            }
            self.end_section();
        }
    }

    /// The groups that have differences with this label.
    fn groups(&mut self, plan: &Plan, label: Option<Since>) {
        let groups: Vec<&GroupPlan> = plan.groups.iter().filter(|group| concerns(group, label)).collect();
        if let Some(label) = label {
            let title = match (label, groups.is_empty()) {
                (Since::Change, true) if plan.base_changes.is_empty() => "This change makes no difference".into(),
                (Since::Change, true) => "This change makes no difference to any membership".into(),
                (Since::Before, true) => return,
                (label, false) => format!("{}:", words::since(label)),
            };
            self.section(Style::Title, &title);
            self.end_section();
        }
        for group in groups {
            self.group(group, label);
        }
    }

    fn group(&mut self, group: &GroupPlan, label: Option<Since>) {
        let title = self.paint.paint(Style::Title, &clean(group.name.as_str()));
        let note = self.paint.paint(Style::Dim, &format!("({}{})", members(group), mode(group.mode)));
        self.line(&format!("{title} {note}"));
        let changes: Vec<&Change> = labeled(&group.changes, label).collect();
        let held: Vec<&Change> = labeled(&group.held, label).collect();
        let columns = Columns::of(changes.iter().chain(&held).copied(), false);
        for change in changes {
            let (sign, style) = match change.action {
                Action::Add => ("+", Style::Add),
                Action::Remove => ("-", Style::Remove),
            };
            self.change(sign, style, change, &columns);
        }
        if !held.is_empty() {
            let title =
                format!("  {} held until the blocked entries are resolved:", counted(held.len() as u64, "removal"));
            self.section(Style::Warn, &title);
        }
        for change in held {
            self.change("~", Style::Warn, change, &columns);
        }
        self.end_section();
    }

    fn change(&mut self, sign: &str, style: Style, change: &Change, columns: &Columns) {
        let held = change.held_by.as_ref().map(|by| format!(", held by {}", origin(by))).unwrap_or_default();
        let (who, place) = (name(&change.member), place(change) + &held);
        let mut facts =
            if columns.kind { format!("{:<12}", Standing::of_change(change).drift()) } else { String::new() };
        facts.push_str(&format!("{:<10}", status(change)));
        let gap = columns.who.saturating_sub(who.width()) + 2;
        let entry = self.paint.paint(style, &format!("{sign} {who}"));
        let dim = self.paint.paint(Style::Dim, &place);
        if INDENT + 2 + who.width() + gap + facts.len() + place.width() > self.layout.width {
            self.line(&format!("  {entry}{}{facts}", " ".repeat(gap)));
            self.line(&format!("      {dim}"));
        } else {
            self.line(&format!("  {entry}{}{facts}{dim}", " ".repeat(gap)));
        }
    }

    fn blocked(&mut self, plan: &Plan) {
        if plan.blocked.is_empty() {
            return;
        }
        self.section(Style::Warn, "Blocked: declared, but cannot be applied");
        for blocked in &plan.blocked {
            let place = origin(&blocked.origin);
            let (group, what) = (clean(blocked.group.as_str()), clean(&blocked.to_string()));
            let since = match blocked.since {
                Some(Since::Change) => " [this change]",
                Some(Since::Before) => " [already there]",
                None => "",
            };
            let long = INDENT + place.width() + group.width() + what.width() + since.len() + 4 > self.layout.width;
            let place = self.paint.paint(Style::Dim, &place);
            let space = if long { "\n      " } else { " " };
            self.line(&format!("  {place}  {group}:{space}{what}{since}"));
        }
        self.end_section();
    }

    fn warnings(&mut self, plan: &Plan) {
        if plan.warnings.is_empty() {
            return;
        }
        self.section(Style::Warn, "Warnings");
        for warning in &plan.warnings {
            let place = warning.origin.as_ref().map(|place| format!("{}  ", origin(place))).unwrap_or_default();
            let place = self.paint.paint(Style::Dim, &place);
            self.line(&format!("  {place}{}", clean(&warning.message)));
            let help = self.paint.paint(Style::Dim, &format!("help: {}", clean(&warning.help)));
            self.line(&format!("    {help}"));
        }
        self.end_section();
    }

    fn unmanaged(&mut self, plan: &Plan) {
        if plan.unmanaged_groups.is_empty() {
            return;
        }
        self.section(Style::Title, "Unmanaged: groups of the account that no file declares");
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
        self.section(Style::Title, "Expiring soon");
        for expiring in &plan.expiring {
            let (who, group) = (clean(&expiring.person.to_string()), clean(expiring.group.as_str()));
            let place = self.paint.paint(Style::Dim, &origin(&expiring.origin));
            self.line(&format!("  {who} in {group} until {}  {place}", last_day(expiring.until)));
        }
        self.end_section();
    }

    fn refusals(&mut self, plan: &Plan, title: &str) {
        if plan.refusals.is_empty() {
            return;
        }
        self.section(Style::Remove, title);
        for refusal in &plan.refusals {
            let group = refusal.group.as_ref().map(|group| format!("  {}:", clean(group.as_str()))).unwrap_or_default();
            let guard = self.paint.paint(Style::Remove, refusal.guard.name());
            let message = clean(&refusal.message);
            let gap = if group.is_empty() { "  " } else { " " };
            let width = INDENT + refusal.guard.name().len() + group.width() + gap.len() + message.width();
            let gap = if width > self.layout.width { "\n    " } else { gap };
            self.line(&format!("  {guard}{group}{gap}{message}"));
            if let Some(bound) = unsaid_origin(refusal) {
                let place = self.paint.paint(Style::Dim, &format!("at {}", origin(bound)));
                self.line(&format!("    {place}"));
            }
            let help = self.paint.paint(Style::Dim, &format!("help: {}", clean(&refusal.help)));
            self.line(&format!("    {help}"));
        }
        self.end_section();
    }

    fn summary(&mut self, plan: &Plan) {
        let mut lines = words::summary(plan);
        if labels(plan).len() > 1 && plan.has_differences() {
            lines.insert(1.min(lines.len()), this_change(plan));
        }
        for line in lines {
            self.section(Style::Title, &line);
        }
        if plan.summary.requests > 0 || !plan.refusals.is_empty() {
            self.section(Style::Dim, &format!("Digest: {}", plan.digest));
        }
    }

    fn stale(&mut self, plan: &Plan, stale: Option<&Stale>) {
        let Some(stale) = stale else { return };
        self.end_section();
        self.section(Style::Remove, &format!("Stale: {}", stale.message(plan.digest)));
        self.line(&format!("Nothing was changed. {STALE_HELP}"));
    }

    fn next(&mut self, next: Next) {
        let (title, command) = match next {
            Next::Nothing => return,
            Next::Resolve => ("Resolve these refusals first; --accept does not lift them.", None),
            Next::Apply(command) => ("To apply exactly this plan:", Some(command)),
            Next::Accept(command) => ("To lift the limits for exactly this plan:", Some(command)),
        };
        self.end_section();
        self.line(title);
        if let Some(command) = command {
            self.line(&format!("  {command}"));
        }
    }
}

/// The widths of the columns before the places of a group's changes.
struct Columns {
    who: usize,
    /// Whether the kind of difference is shown.
    kind: bool,
}

impl Columns {
    fn of<'a>(changes: impl Iterator<Item = &'a Change>, kind: bool) -> Self {
        /// Longer addresses move only their own places to the right.
        const LONGEST: usize = 44;
        let who = changes.map(|change| name(&change.member).width()).max().unwrap_or(0).min(LONGEST);
        Self { who, kind }
    }
}

fn status(change: &Change) -> &'static str {
    match change.member.status {
        Some(Status::Accepted) => "accepted",
        Some(Status::Pending) => "pending",
        None => "-",
    }
}

/// "4 -> 5 members", or "5 members" if convoke changes nothing.
fn members(group: &GroupPlan) -> String {
    let (present, left) = (group.observed.len() as u64, group.members_left() as u64);
    match group.operations.is_empty() {
        true => counted(present, "member"),
        false => format!("{present} -> {}", counted(left, "member")),
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => ", observed: convoke does not write here",
        Mode::Additive => ", additive",
        Mode::Exact => "",
    }
}

/// The effect of the change under review, in one line.
fn this_change(plan: &Plan) -> String {
    let label = Some(Since::Change);
    let groups: Vec<&GroupPlan> =
        plan.groups.iter().filter(|group| group.carried_out().any(|change| change.since == label)).collect();
    let changes = groups.iter().flat_map(|group| group.carried_out().filter(|change| change.since == label));
    let (adds, removes) = figures(changes);
    format!("This change: {adds} to add, {removes} to remove in {}", counted(groups.len() as u64, "group"))
}
