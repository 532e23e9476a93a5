//! Plans, drift and reports for a terminal.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::counted;
use super::escape::clean;
use super::sections::{self, Row, Sections, Topic};
use super::view::{Next, View};
use super::words::{self, concerns, done, figures, labeled, labels, name, origin, subject};
use crate::model::Mode;
use crate::plan::{Action, Change, GroupPlan, LeftOutKind, Plan, Since, Standing};
use crate::report::{GroupOutcome, GroupReport, Report, RestCause, StaleGroup, UnmadeChange};

const INDENT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub width: usize,
    pub color: bool,
}

const PLAIN: Style = Style::new();
pub const TITLE: Style = Style::new().bold();
pub const ADD: Style = AnsiColor::Green.on_default();
pub const REMOVE: Style = AnsiColor::Red.on_default();
pub const WARN: Style = AnsiColor::Yellow.on_default();
pub const DIM: Style = Style::new().dimmed();

pub fn paint(color: bool, style: Style, text: &str) -> String {
    if color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.into() }
}

/// The plan: who joins and who leaves, then everything else, the summary, and the command that applies the plan.
pub fn plan(plan: &Plan, view: View<'_>, layout: Layout) -> String {
    let mut page = Terminal { text: String::new(), layout };
    let sections = sections::sections(plan);
    let first = [Topic::Note, Topic::EndsNow, Topic::Released, Topic::HeldExpired, Topic::LeftOut, Topic::Loosened];
    page.sections(&sections, &first);
    for label in labels(plan) {
        page.groups(plan, label);
        if label != Some(Since::Before) {
            page.sections(&sections, &[Topic::Later]);
        }
    }
    page.sections(&sections, &[Topic::LeftAlone, Topic::Settings, Topic::Unmanaged, Topic::Expiring, Topic::Warned]);
    page.sections(&sections, &[Topic::ToInvite, Topic::Blocked, Topic::Refused]);
    let mut lines = words::summary(plan);
    if labels(plan).len() > 1 && plan.has_differences() {
        lines.insert(1.min(lines.len()), this_change(plan));
    }
    lines.iter().for_each(|line| page.title(TITLE, line));
    if plan.summary.requests > 0 || !plan.refusals.is_empty() || plan.touched.as_ref().is_some_and(|it| !it.is_empty())
    {
        page.title(DIM, &format!("Digest: {}", plan.digest));
    }
    if let Some(stale) = &plan.stale {
        page.line("");
        page.title(REMOVE, &format!("Stale: {stale}"));
        page.line(&format!("Nothing was changed. {}", view.stale_help()));
    }
    match view.next(plan) {
        Next::Nothing => {}
        Next::Resolve(which) => page.offer(&which, &[]),
        Next::Apply(command) => page.offer("To apply exactly this plan:", &[command]),
        Next::Accept(command) => page.offer("To lift the limits for exactly this plan:", &[command]),
    }
    page.finish()
}

/// The drift: groups with differences in order, blocked entries, the summary, and both ways out.
pub fn drift(plan: &Plan, view: View<'_>, layout: Layout) -> String {
    let mut page = Terminal { text: String::new(), layout };
    let sections = sections::sections(plan);
    page.sections(&sections, &[Topic::HeldExpired]);
    for group in plan.groups.iter().filter(|group| group.differs()) {
        page.heading(group, &counted(group.observed.len() as u64, "member"));
        page.changes(group.changes.iter().chain(&group.held), true);
        page.line("");
    }
    page.sections(&sections, &[Topic::Unmanaged, Topic::Expiring, Topic::Warned, Topic::ToInvite, Topic::Blocked]);
    if let Some(refused) = sections.get(&Topic::Refused) {
        page.titled(WARN, "Guards that would refuse the correction", refused);
    }
    words::drift_summary(plan).iter().for_each(|line| page.title(TITLE, line));
    if let Next::Apply(command) = view.next(plan) {
        page.offer("To make the account match the files:", &[command]);
    }
    let grants = view.grants(plan);
    if !grants.is_empty() {
        page.offer("To keep an unexpected member, declare the person:", &grants);
    }
    page.finish()
}

struct ChangeLine<'a> {
    style: Style,
    mark: String,
    name: String,
    end: String,
    change: &'a Change,
}

impl<'a> ChangeLine<'a> {
    /// A row of a drift begins with the state instead of a sign; "expired" is said by it.
    fn new(change: &'a Change, is_drift: bool) -> Self {
        let (sign, style) = match (&change.held_by, change.action) {
            (Some(_), _) => ("~", WARN),
            (None, Action::Add) => ("+", ADD),
            (None, Action::Remove) => ("-", REMOVE),
        };
        let (mark, end) = if is_drift {
            (format!("{:<10}", Standing::of_change(change).drift()), words::drift_end(change))
        } else {
            (sign.into(), words::end(change))
        };
        Self { style, mark, name: name(&change.member), end: end.unwrap_or_default(), change }
    }
}

struct Terminal {
    text: String,
    layout: Layout,
}

impl Terminal {
    fn paint(&self, style: Style, text: &str) -> String {
        paint(self.layout.color, style, text)
    }

    fn finish(self) -> String {
        format!("{}\n", self.text.trim_end())
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn title(&mut self, style: Style, title: &str) {
        let title = self.paint(style, title);
        self.line(&title);
    }

    /// The sections about these topics, in this order.
    fn sections(&mut self, sections: &Sections, topics: &[Topic]) {
        sections::about(sections, topics).for_each(|(topic, rows)| self.section(topic, rows));
    }

    fn section(&mut self, topic: &Topic, rows: &[Row]) {
        let style = match topic {
            Topic::Refused => REMOVE,
            Topic::Note => TITLE,
            topic if *topic < Topic::Later => WARN,
            _ => TITLE,
        };
        self.titled(style, topic.title(), rows);
    }

    fn titled(&mut self, style: Style, title: &str, rows: &[Row]) {
        self.title(style, title);
        rows.iter().for_each(|row| self.row(row));
        self.line("");
    }

    fn row(&mut self, row: &Row) {
        let place = row.place.as_ref().map(|place| (DIM, origin(place)));
        let guard = row.guard.map(|guard| (REMOVE, guard.to_string()));
        let group = row.group.as_ref().map(|group| (TITLE, format!("{}:", clean(group.as_str()))));
        let heads: Vec<(Style, String)> = place.into_iter().chain(guard).chain(group).collect();
        let since = match row.since {
            Some(Since::Change) => " [this change]",
            Some(Since::Before) => " [already there]",
            None => "",
        };
        let text = clean(&row.text) + since;
        let width = INDENT + heads.iter().map(|(_, head)| head.width() + 2).sum::<usize>() + text.width();
        let painted: Vec<String> = heads.iter().map(|(style, head)| self.paint(*style, head)).collect();
        let gap = match (heads.is_empty(), width > self.layout.width) {
            (true, _) => "",
            (false, true) => "\n      ",
            (false, false) if row.group.is_some() => " ",
            (false, false) => "  ",
        };
        self.line(&format!("  {}{gap}{text}", painted.join("  ")));
        if let Some(help) = &row.help {
            let help = self.paint(DIM, &format!("help: {}", clean(help)));
            self.line(&format!("    {help}"));
        }
    }

    /// The groups that have differences with this label.
    fn groups(&mut self, plan: &Plan, label: Option<Since>) {
        let groups: Vec<&GroupPlan> = plan.groups.iter().filter(|group| concerns(group, label)).collect();
        if let Some(label) = label {
            let title = match (label, groups.is_empty()) {
                (Since::Change, true) => words::no_difference(plan).into(),
                (Since::Before, true) => return,
                (label, false) => format!("{}:", words::since(label)),
            };
            self.title(TITLE, &title);
            self.line("");
        }
        for group in groups {
            let (present, left) = (group.observed.len() as u64, group.members_left() as u64);
            let members = if group.operations.is_empty() {
                counted(present, "member")
            } else {
                format!("{present} -> {}", counted(left, "member"))
            };
            self.heading(group, &members);
            self.changes(labeled(&group.changes, label), false);
            let held = labeled(&group.held, label).count() as u64;
            if held > 0 {
                let until = if plan.blocked.is_empty() { "" } else { " until the blocked entries are resolved" };
                self.title(WARN, &format!("  {} held{until}:", counted(held, "removal")));
                self.changes(labeled(&group.held, label), false);
            }
            self.line("");
        }
    }

    fn heading(&mut self, group: &GroupPlan, members: &str) {
        let title = self.paint(TITLE, &clean(group.name.as_str()));
        let mode = match group.mode {
            Mode::Observe => ", observed: convoke does not write here",
            Mode::Additive => ", additive",
            Mode::Exact => "",
        };
        let note = self.paint(DIM, &format!("({members}{mode})"));
        self.line(&format!("{title} {note}"));
        if !group.about.is_empty() {
            self.line(&self.paint(DIM, &format!("  {}", clean(&group.about.to_string()))));
        }
    }

    /// The changes of a group in columns. What does not fit continues on the next line, between two facts.
    fn changes<'a>(&mut self, changes: impl Iterator<Item = &'a Change>, is_drift: bool) {
        /// Longer addresses move only their own facts to the right.
        const LONGEST: usize = 44;
        let rows: Vec<ChangeLine<'_>> = changes.map(|change| ChangeLine::new(change, is_drift)).collect();
        let who = rows.iter().map(|row| row.name.width()).max().unwrap_or(0).min(LONGEST);
        let end = rows.iter().map(|row| row.end.width()).max().unwrap_or(0);
        for row in &rows {
            let begin = INDENT + row.mark.width() + 1;
            let mut line = format!("  {}", self.paint(row.style, &format!("{} {}", row.mark, row.name)));
            let mut width = begin + row.name.width();
            let pad = |line: &mut String, width: &mut usize, to: usize| {
                line.push_str(&" ".repeat(to.saturating_sub(*width)));
                *width = to.max(*width);
            };
            pad(&mut line, &mut width, begin + who);
            if end > 0 {
                line.push_str(&format!("  {}", row.end));
                width += 2 + row.end.width();
                pad(&mut line, &mut width, begin + who + 2 + end);
            }
            let facts = words::facts(row.change).map(|fact| (fact, PLAIN, "  "));
            let held = row.change.held_by.as_ref().map(|by| format!("held by {}", origin(by)));
            let places = words::places(row.change).into_iter().chain(held).enumerate();
            let places = places.map(|(number, place)| (place, DIM, if number == 0 { "  " } else { " " }));
            for (piece, style, gap) in facts.chain(places) {
                if width + gap.len() + piece.width() > self.layout.width {
                    self.line(&line);
                    (line, width) = ("      ".into(), 6);
                } else {
                    line.push_str(gap);
                    width += gap.len();
                }
                line.push_str(&self.paint(style, &piece));
                width += piece.width();
            }
            self.line(&line);
        }
    }

    fn offer(&mut self, title: &str, commands: &[String]) {
        self.line("");
        self.line(title);
        commands.iter().for_each(|command| self.line(&format!("  {command}")));
    }
}

/// The effect of the change under review, in one line.
fn this_change(plan: &Plan) -> String {
    let is_meant = |change: &&Change| change.since == Some(Since::Change);
    let groups = plan.groups.iter().filter(|group| group.carried_out().any(|change| is_meant(&change))).count() as u64;
    let (adds, removes) = figures(plan.groups.iter().flat_map(GroupPlan::carried_out).filter(is_meant));
    format!("This change: {adds} to add, {removes} to remove in {}", counted(groups, "group"))
}

/// The results of each group that changed, what is left and why, then the summary.
pub fn report(report: &Report, layout: Layout) -> String {
    // The plan is printed above.
    let mut page = Terminal { text: "\n".into(), layout };
    let news: Vec<&GroupReport> = report.groups.iter().filter(|group| group.is_news()).collect();
    news.iter().for_each(|group| page.outcome(group));
    if !news.is_empty() {
        page.line("");
    }
    sections::left(report).iter().for_each(|(topic, rows)| page.section(topic, rows));
    report_summary(report).iter().for_each(|line| page.title(TITLE, line));
    page.finish()
}

impl Terminal {
    fn outcome(&mut self, group: &GroupReport) {
        let style = match group.outcome {
            GroupOutcome::Failed => REMOVE,
            GroupOutcome::Stale | GroupOutcome::Kept | GroupOutcome::Skipped => WARN,
            GroupOutcome::Done | GroupOutcome::InSync | GroupOutcome::Differs | GroupOutcome::NotRead => ADD,
        };
        let (word, name) = (self.paint(style, group.outcome.word()), clean(group.name.as_str()));
        self.line(&format!("{word} {name}: {} added, {} removed", group.added.len(), group.removed.len()));
        group.failed.iter().chain(&group.kept).for_each(|unmade| self.unmade("not", unmade));
        if let Some(difference) = &group.stale {
            let left = counted(group.skipped.len() as u64, "change");
            self.line(&format!("  somebody else changed the group meanwhile; {left} not made:"));
            for (member, what) in words::difference(difference) {
                self.line(&format!("    {what}: {}", subject(member)));
            }
        } else {
            group.skipped.iter().for_each(|unmade| self.unmade("skipped: not", unmade));
        }
        if let Some(trouble) = &group.trouble {
            self.line(&format!("  {}", clean(trouble)));
        }
    }

    fn unmade(&mut self, not: &str, unmade: &UnmadeChange) {
        let why = words::unmade(unmade, unmade.origin.as_ref().map(ToString::to_string));
        self.line(&format!("  {not} {}: {}: {}", done(unmade.action), subject(&unmade.member), clean(&why)));
    }
}

/// The figures of a report in one line, then further lines.
pub(super) fn report_summary(report: &Report) -> Vec<String> {
    let total = report.groups.len() as u64;
    let count = |outcome| report.groups.iter().filter(|group| group.outcome == outcome).count() as u64;
    let in_sync = report.groups.iter().filter(|group| group.in_sync).count() as u64;
    let read = total - count(GroupOutcome::NotRead);
    let mut lines = vec![headline(report)];
    lines.push(match (report.account_in_sync(), in_sync == read) {
        (true, _) => format!("The account is in sync: {}.", counted(total, "group")),
        (false, true) => format!("{} in sync.", counted(in_sync, "group")),
        (false, false) => format!("{in_sync} of {} in sync.", counted(read, "group")),
    });
    let further = [
        (GroupOutcome::Failed, "failed"),
        (GroupOutcome::Stale, "changed meanwhile"),
        (GroupOutcome::Kept, "with removals that were not made"),
        (GroupOutcome::Skipped, "skipped"),
        (GroupOutcome::NotRead, "not read again, because the plan has no changes there"),
    ];
    for (outcome, what) in further.into_iter().filter(|(outcome, _)| count(*outcome) > 0) {
        lines.push(format!("{} {what}", counted(count(outcome), "group")));
    }
    lines.extend(still_different(report));
    if !report.blocked.is_empty() {
        lines.push(format!("{} blocked", report.blocked.len()));
    }
    if report.interrupted {
        let rest = if report.has_nothing_left() { "nothing was left to do" } else { "no further requests were sent" };
        lines.push(format!("Interrupted. Requests in flight were finished; {rest}."));
    }
    // A token that has just written a group is strong enough.
    if report.credentials_refused && !report.has_changes() {
        lines.push(if report.may_have_changed {
            "The API accepted the token before: it has probably expired or was revoked.".into()
        } else {
            "To apply, the token needs \"Account Settings Write\" or \"SCIM Provisioning\".".into()
        });
    }
    if report.journal_failed.is_some() {
        lines.push("The journal is incomplete: `convoke undo` cannot rely on it.".into());
    }
    if !report.has_nothing_left() {
        lines.push(rest(report).into());
    }
    lines
}

fn rest(report: &Report) -> &'static str {
    if report.interrupted {
        return "Run `convoke apply` again, and resolve the problems above if they remain.";
    }
    let leaves = |kind| report.left_out.iter().any(|left_out| left_out.kind == kind);
    let failed = |group: &GroupReport| group.failed.iter().any(|unmade| unmade.action == Action::Remove);
    if leaves(LeftOutKind::Cap) && report.groups.iter().any(failed) {
        "Resolve the problems above. Until then each run tries the failed removals first, and they count for \
         `total_removals`; raise it, or pass the digest with --accept, to make the others."
    } else if !report.made_its_changes() || leaves(LeftOutKind::Guard) {
        "Resolve the problems above, then run `convoke apply` again."
    } else if leaves(LeftOutKind::Waits) {
        "Run this again for the rest, after the members have joined their other groups."
    } else if leaves(LeftOutKind::Tip) {
        "The newest files say otherwise about the rest."
    } else if report.removed == 0 {
        "Raise `total_removals`, or pass the digest with --accept, to make the rest."
    } else {
        "The next run makes the rest."
    }
}

/// The groups that still differ although the plan's changes were made, one line for each cause.
fn still_different(report: &Report) -> Vec<String> {
    const NAMED: usize = 10;
    let mut by_cause: BTreeMap<RestCause, Vec<String>> = BTreeMap::new();
    for group in report.groups.iter().filter(|group| group.outcome == GroupOutcome::Differs) {
        let cause = group.cause.unwrap_or(RestCause::LeftOut);
        by_cause.entry(cause).or_default().push(clean(group.name.as_str()));
    }
    let by_cause = by_cause.into_iter();
    by_cause.map(|(cause, groups)| format!("{}: {}", cause.title(), words::first(groups, NAMED))).collect()
}

/// What was done, in one line. Changes that were not made are never worded as made.
fn headline(report: &Report) -> String {
    let unmade = |group: &GroupReport| !(group.failed.is_empty() && group.kept.is_empty() && group.skipped.is_empty());
    let only_blocked = report.is_blocked && report.journal_failed.is_none() && !report.groups.iter().any(unmade);
    let word = match (report.made_everything(), report.has_changes()) {
        (true, false) => return "Nothing was changed.".into(),
        (false, false) if only_blocked && !report.may_have_changed => {
            return "Nothing was changed: all that is left is blocked.".into();
        }
        (false, false) if !report.wrote && !report.left_out.is_empty() => return "Nothing was changed.".into(),
        (true, true) => "Applied",
        (false, true) => "Applied in part",
        (false, false) => "Not applied",
    };
    format!("{word}: {} added, {} removed.", report.added, report.removed)
}

/// Why a plan is stale: what it would have changed in each group, and what is there now.
pub fn stale(groups: &[StaleGroup], help: &str, layout: Layout) -> String {
    let title = paint(layout.color, REMOVE, "Stale: the account has changed since the plan was made");
    let rows = groups.iter().flat_map(|group| {
        let rows = words::stale(group).into_iter().map(|row| format!("    {row}\n"));
        std::iter::once(format!("  {}\n", clean(group.name.as_str()))).chain(rows)
    });
    format!("\n{title}\n{}Nothing was changed. {help}\n", rows.collect::<String>())
}
