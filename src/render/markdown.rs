//! Plans, drift, reports and failures as a comment on a pull request.
//!
//! A page begins with a hidden marker, so that a workflow can find its comment. What a reviewer must see comes first:
//! what this change does; what is refused, blocked or stale; a table of the changed groups; everybody who joins or
//! leaves. [`sheet`] decides what stays if there is too much for one comment.

mod sheet;

use super::escape::{cell, clean_lines, code, fence, prose, shortened, with_help};
use super::sections::{self, Row, Topic};
use super::text::report_summary;
use super::view::{Next, Repository, View, linked, place};
use super::words::{self, concerns, done, figures, labeled, labels, name, subject};
use super::{Failed, counted};
use crate::config::Problem;
use crate::model::{Mode, Origin};
use crate::plan::{Action, Change, GroupPlan, Plan, Since, Standing, Tally};
use crate::report::{GroupReport, Report, StaleGroup, UnmadeChange};
use sheet::{Rank, Sheet, SheetBlock, list};

/// A page with a hidden marker, so that a workflow can find and replace the comment of the command. `show` and `undo`
/// write the page of a plan. The first line is the title.
fn sheet(command: &str, lines: &[String], foot: String) -> Sheet {
    let page = if matches!(command, "show" | "undo") { "plan" } else { command };
    let title = lines.first().map_or("", String::as_str);
    let further = lines.get(1..).unwrap_or_default().join(" · ");
    let end = if further.is_empty() { "" } else { "\n\n" };
    Sheet::new(format!("<!-- convoke:{page} -->\n### {title}\n\n{further}{end}"), foot)
}

/// How much a page tells, if there is too much for it. Links go first, then everything about a change but its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Links,
    Places,
    Names,
}

/// The plan, on a page of a size that GitHub accepts.
pub fn plan(plan: &Plan, view: View<'_>) -> String {
    let (page, cut) = plan_sheet(plan, view, Detail::Links).fill();
    if cut.is_none() {
        return page;
    }
    let (page, cut) = plan_sheet(plan, view, Detail::Places).fill();
    if cut.is_some_and(|rank| rank <= Rank::Table) { plan_sheet(plan, view, Detail::Names).fill().0 } else { page }
}

fn plan_sheet(plan: &Plan, view: View<'_>, detail: Detail) -> Sheet {
    let view = View { repository: view.repository.filter(|_| detail == Detail::Links), ..view };
    let command = if view.applying { "apply" } else { "plan" };
    let labels = labels(plan);
    let mut sheet = sheet(command, &head(plan, view, &labels), foot(plan, view));
    if let Some(stale) = &plan.stale {
        let stale = prose(&capitalized(stale));
        let text = format!("**Stale.** {stale}. Nothing was changed. {}", prose(&view.stale_help()));
        sheet.alert("CAUTION", [SheetBlock::text(text)]);
    }
    let sections = sections::sections(plan);
    let of = |topics: &[Topic], rank| blocks(sections::about(&sections, topics), rank, view.repository);
    sheet.alert("CAUTION", of(&[Topic::Refused], Rank::Alert));
    let warned = sections.range(Topic::Note..=Topic::Warned);
    sheet.alert("WARNING", blocks(warned, Rank::Alert, view.repository));
    sheet.plain([table(plan, &labels, view.repository)]);
    let first = labels.first().copied().flatten();
    sheet.plain(diffs(&groups(plan, first, false), first, [Rank::Join, Rank::Leave], detail));
    sheet.plain(of(&[Topic::Later], Rank::Later));
    let before = Some(Since::Before);
    let there = groups(plan, before, false);
    let (count, changes) = (counted(there.len() as u64, "group"), signed(total(&there, before)));
    let title = format!("Already there before this change: {changes} in {count}");
    sheet.folded(&title, diffs(&there, before, [Rank::JoinedBefore, Rank::LeftBefore], detail));
    for label in labels {
        let observed = groups(plan, label, true);
        let (adds, removes) = total(&observed, label);
        let (count, changes) =
            (counted(observed.len() as u64, "observed group"), counted(adds + removes, "difference"));
        let note = if label == before { ", already there before this change" } else { "" };
        let title = format!("{changes} in {count}, where convoke does not write{note}");
        sheet.folded(&title, diffs(&observed, label, [Rank::Other, Rank::Other], detail));
    }
    let alone: u64 = plan.groups.iter().map(|group| group.left_alone.len() as u64).sum();
    let title = format!("Already there, left alone: {}", counted(alone, "difference"));
    sheet.folded(&title, of(&[Topic::LeftAlone], Rank::Other));
    sheet.plain(of(&[Topic::Settings, Topic::Expiring], Rank::Other));
    sheet.folded(&unmanaged(plan), of(&[Topic::Unmanaged], Rank::Other));
    sheet
}

fn unmanaged(plan: &Plan) -> String {
    counted(plan.unmanaged_groups.len() as u64, "unmanaged group")
}

/// The groups with a change with this label: those that are only observed, or the others.
fn groups(plan: &Plan, label: Option<Since>, observed: bool) -> Vec<&GroupPlan> {
    let of_mode = plan.groups.iter().filter(|group| (group.mode == Mode::Observe) == observed);
    of_mode.filter(|group| labeled(&group.changes, label).next().is_some()).collect()
}

fn total(groups: &[&GroupPlan], label: Option<Since>) -> (u64, u64) {
    figures(groups.iter().flat_map(|group| labeled(&group.changes, label)))
}

/// The title, and what else is said of the whole plan.
fn head(plan: &Plan, view: View<'_>, labels: &[Option<Since>]) -> Vec<String> {
    let mut lines = words::summary(plan);
    if labels.len() > 1 {
        let label = Some(Since::Change);
        let changed = groups(plan, label, false);
        let title = match changed.len() as u64 {
            0 => words::no_difference(plan).into(),
            count => format!("This change: {} in {}", signed(total(&changed, label)), counted(count, "group")),
        };
        lines.insert(0, title);
    }
    let is_not_applied = view.applying && (plan.stale.is_some() || !plan.refusals.is_empty());
    if let Some(title) = lines.first_mut().filter(|_| is_not_applied) {
        title.insert_str(0, "Not applied. ");
    }
    lines
}

fn signed((adds, removes): (u64, u64)) -> String {
    format!("+{adds} −{removes}")
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// The digest, and the command that applies exactly this plan.
fn foot(plan: &Plan, view: View<'_>) -> String {
    let how = match view.next(plan) {
        Next::Nothing => String::new(),
        Next::Resolve(which) => format!("\n{}\n", prose(&which)),
        Next::Accept(line) => {
            command("If you intend all of these removals, lift the limits for exactly this plan:", &line)
        }
        Next::Apply(line) => command("To apply exactly this plan:", &line),
    };
    format!("\nDigest: `{}`\n{how}", plan.digest)
}

fn command(text: &str, line: &str) -> String {
    let fence = fence(line.lines());
    format!("\n{text}\n\n{fence}sh\n{line}\n{fence}\n")
}

fn blocks<'a>(
    sections: impl Iterator<Item = (&'a Topic, &'a Vec<Row>)>,
    rank: Rank,
    repository: Option<&Repository>,
) -> Vec<SheetBlock> {
    let block = |(topic, rows): (&Topic, &'a Vec<Row>)| {
        let title = match topic.title().split_once(": ") {
            Some((word, rest)) => format!("**{word}.** {}.", capitalized(rest)),
            None if *topic == Topic::Loosened => format!("**Loosened.** {}.", topic.title()),
            None => format!("**{}**", topic.title()),
        };
        list(&title, rows.iter().map(|it| row(it, repository)), rank)
    };
    sections.map(block).collect()
}

/// There is always text between two pieces of code, because their backticks would join otherwise.
fn row(row: &Row, repository: Option<&Repository>) -> String {
    let guard = row.guard.map(|guard| format!("**{}**", guard.to_string().replace('_', " ")));
    let place = row.place.as_ref().map(|origin| place(origin, repository.filter(|_| !row.is_gone)));
    let mut head: Vec<String> = guard.into_iter().chain(place).collect();
    if let Some(group) = &row.group {
        let preposition = if head.is_empty() { "" } else { "in " };
        head.push(format!("{preposition}{}", code(group.as_str())));
    }
    let head = if head.is_empty() { String::new() } else { head.join(" ") + ": " };
    let since = row.since.map(|label| format!(" ({})", words::since(label).to_lowercase())).unwrap_or_default();
    with_help(&format!("{head}{}{since}", prose(&row.text)), row.help.as_deref().map(prose).as_deref())
}

/// A row for every group that the plan changes, or would change if nothing were held. A group with differences of both
/// labels has one row.
fn table(plan: &Plan, labels: &[Option<Since>], repository: Option<&Repository>) -> SheetBlock {
    let changed = plan.groups.iter().filter(|group| group.mode != Mode::Observe && group.differs());
    let rows = changed.map(|group| {
        let name = linked(cell(group.name.as_str()), &group.origin, repository);
        let about = if group.about.is_empty() { String::new() } else { format!(" {}", cell(&group.about.to_string())) };
        let cells = labels.iter().map(|label| {
            let changes = signed(figures(labeled(&group.changes, *label)));
            match labeled(&group.held, *label).count() {
                0 if !concerns(group, *label) => " |".into(),
                0 => format!(" {changes} |"),
                held => format!(" {changes}, {held} held |"),
            }
        });
        let (present, left) = (group.observed.len(), group.members_left());
        format!("| {name}{about} |{} {present} → {left} |", cells.collect::<String>())
    });
    let head = match labels.len() {
        1 => "| Group | Change | Members |\n| --- | --- | --- |\n",
        _ => "| Group | This change | Already there | Members |\n| --- | --- | --- | --- |\n",
    };
    SheetBlock::table(head, rows)
}

/// A diff for each group: everybody who joins or leaves, once.
fn diffs(groups: &[&GroupPlan], label: Option<Since>, ranks: [Rank; 2], detail: Detail) -> Vec<SheetBlock> {
    let [join, leave] = ranks;
    let block = |group: &&GroupPlan| {
        let lines = labeled(&group.changes, label).map(|change| match change.action {
            Action::Add => (join, diff_line('+', change, detail)),
            Action::Remove => (leave, diff_line('-', change, detail)),
        });
        let title = format!("{} {}", code(group.name.as_str()), signed(figures(labeled(&group.changes, label))));
        SheetBlock::diff(&title, lines.collect())
    };
    groups.iter().map(block).collect()
}

/// `+ email  until DATE or no end  reason  pending  file:line`, each part only where it is known.
fn diff_line(sign: char, change: &Change, detail: Detail) -> String {
    let mut line = format!("{sign} {}", shortened(&name(&change.member)));
    if detail == Detail::Names {
        return line;
    }
    let place = words::places(change).join(" ");
    let place = Some(place).filter(|place| !place.is_empty());
    for fact in words::end(change).into_iter().chain(words::facts(change)).chain(place) {
        line.push_str(&format!("  {}", shortened(&fact)));
    }
    line
}

/// The drift as an issue: the differences from the files, not the actions of a plan.
pub fn drift(plan: &Plan, view: View<'_>) -> String {
    let (page, cut) = drift_sheet(plan, view).fill();
    if cut.is_some() { drift_sheet(plan, View { repository: None, ..view }).fill().0 } else { page }
}

fn drift_sheet(plan: &Plan, view: View<'_>) -> Sheet {
    let apply = match view.next(plan) {
        Next::Apply(line) => command("To make the account match the files:", &line),
        _ => String::new(),
    };
    let mut sheet = sheet("drift", &words::drift_summary(plan), apply);
    let sections = sections::sections(plan);
    let of = |topics: &[Topic], rank| blocks(sections::about(&sections, topics), rank, view.repository);
    let warned = [Topic::HeldExpired, Topic::Blocked, Topic::ToInvite, Topic::Warned];
    sheet.alert("WARNING", of(&warned, Rank::Alert));
    let rows = plan.groups.iter().filter(|group| group.differs()).map(|group| {
        let Tally { missing, unexpected, expired, .. } = Tally::of([group]);
        let observed = if group.mode == Mode::Observe { " (observed)" } else { "" };
        let (name, present) = (cell(group.name.as_str()), group.observed.len());
        format!("| {name}{observed} | {missing} | {unexpected} | {expired} | {present} |")
    });
    let head = "| Group | Missing | Unexpected | Expired | Members |\n| --- | --- | --- | --- | --- |\n";
    sheet.plain([SheetBlock::table(head, rows)]);
    let kinds = [Standing::Undeclared, Standing::Expired, Standing::Missing];
    sheet.plain(kinds.map(|kind| drifted(plan, kind, view)));
    sheet.folded("Guards that would refuse the correction", of(&[Topic::Refused], Rank::Other));
    sheet.plain(of(&[Topic::Expiring], Rank::Other));
    sheet.folded(&unmanaged(plan), of(&[Topic::Unmanaged], Rank::Other));
    let grants = view.grants(plan).into_iter().map(|line| (Rank::Other, line));
    let title = "To keep an unexpected member, declare the person:";
    sheet.plain([SheetBlock::fenced(title, "sh", grants.collect())]);
    sheet
}

fn drifted(plan: &Plan, kind: Standing, view: View<'_>) -> SheetBlock {
    let of_kind = plan.differences().filter(|(_, change)| Standing::of_change(change) == kind);
    let rows = of_kind.map(|(group, change)| {
        let (who, name) = (code(&name(&change.member)), code(group.name.as_str()));
        format!("{} {who} in {name}{}", kind.drift(), details(change, words::drift_end(change), view.repository))
    });
    list(&format!("**{}**", capitalized(kind.drift())), rows, Rank::Leave)
}

/// The end, the reason and what else is known of a change, and the line that declares it.
fn details(change: &Change, end: Option<String>, repository: Option<&Repository>) -> String {
    let held = change.held_by.as_ref().map(|_| "held".to_owned());
    let facts = end.into_iter().chain(words::facts(change)).chain(held).map(|fact| format!(", {}", prose(&fact)));
    let place = change.named_at().map(|line| format!(" ({})", place(line, repository)));
    facts.chain(place).collect()
}

/// What was done, what was not done, and why.
pub fn report(report: &Report, repository: Option<&Repository>) -> String {
    let mut lines = report_summary(report).into_iter();
    let title = lines.next().unwrap_or_default();
    let lines = lines.map(|line| prose(&line)).collect::<Vec<_>>().join(" · ");
    let mut sheet = sheet("apply", &[title], format!("\nDigest: `{}`\n", report.digest));
    if report.made_everything() {
        sheet.plain([SheetBlock::text(lines)]);
    } else {
        let text = format!("**Not everything was applied.** {lines}");
        sheet.alert("CAUTION", [SheetBlock::text(text)]);
    }
    let groups: Vec<&GroupReport> = report.groups.iter().filter(|group| group.is_news()).collect();
    sheet.alert("WARNING", blocks(sections::left(report).iter(), Rank::Alert, repository));
    let rows = groups.iter().map(|group| {
        let change = signed((group.added.len() as u64, group.removed.len() as u64));
        let after = group.members_after.map_or_else(|| "?".into(), |after| after.to_string());
        let (name, word) = (cell(group.name.as_str()), group.outcome.word());
        format!("| {name} | {word} | {change} | {} → {after} |", group.members_before)
    });
    let head = "| Group | Result | Change | Members |\n| --- | --- | --- | --- |\n";
    sheet.plain([SheetBlock::table(head, rows)]);
    let undone: Vec<String> = groups.iter().flat_map(|group| not_made(group, repository)).collect();
    let title = format!("**{} not made**", counted(undone.len() as u64, "change"));
    let others = groups.iter().flat_map(|group| {
        let changes = group.stale.iter().flat_map(words::difference);
        changes.map(|(member, what)| format!("{}: {} {what}", code(group.name.as_str()), code(&subject(member))))
    });
    let troubles = groups.iter().filter_map(|group| {
        let trouble = group.trouble.as_ref()?;
        Some(format!("{}: {}", code(group.name.as_str()), prose(trouble)))
    });
    sheet.plain([
        list(&title, undone, Rank::Alert),
        list("**Changed by somebody else meanwhile**", others, Rank::Alert),
        list("**Errors**", troubles, Rank::Alert),
    ]);
    let made = |of: fn(&GroupReport) -> &Vec<Change>, link: &str| -> Vec<String> {
        let row = |group: &GroupReport, change: &Change| {
            let (who, name) = (code(&name(&change.member)), code(group.name.as_str()));
            format!("{who} {link} {name}{}", details(change, words::end(change), repository))
        };
        groups.iter().flat_map(|group| of(group).iter().map(|change| row(group, change)).collect::<Vec<_>>()).collect()
    };
    let removed = made(|group| &group.removed, "from");
    let title = format!("**{} made**", counted(removed.len() as u64, "removal"));
    sheet.plain([list(&title, removed, Rank::Leave)]);
    let added = made(|group| &group.added, "to");
    let title = format!("{} made", counted(added.len() as u64, "addition"));
    sheet.folded(&title, [list("", added, Rank::Join)]);
    sheet.fill().0
}

fn not_made(group: &GroupReport, repository: Option<&Repository>) -> Vec<String> {
    let name = code(group.name.as_str());
    let item = |unmade: &UnmadeChange| {
        let link = if unmade.action == Action::Add { "to" } else { "from" };
        let place = unmade.origin.as_ref().map(|origin| format!(" {}", place(origin, repository)));
        let why = prose(&words::unmade(unmade, None));
        let (who, place) = (code(&subject(&unmade.member)), place.unwrap_or_default());
        format!("{who} not {} {link} {name}: {why}{place}", done(unmade.action))
    };
    group.failed.iter().chain(&group.kept).chain(&group.skipped).map(item).collect()
}

/// Why a plan is stale: what it would have changed in each group, and what is there now.
pub fn stale(groups: &[StaleGroup], help: &str) -> String {
    let title = "Not applied: the account has changed since the plan was made".into();
    let mut sheet = sheet("apply", &[title], String::new());
    let text = format!("**Stale.** Nothing was changed. {}", prose(help));
    sheet.alert("CAUTION", [SheetBlock::text(text)]);
    let items = groups.iter().flat_map(|group| {
        let name = code(group.name.as_str());
        words::stale(group).into_iter().map(move |row| format!("{name}: {}", prose(&row)))
    });
    sheet.plain([list("**What was planned, and what is there now**", items, Rank::Leave)]);
    sheet.fill().0
}

/// The failure of a command, so that no older comment remains visible as the result.
pub fn failure(failed: &Failed<'_>, command: &str, repository: Option<&Repository>) -> String {
    let (mut title, mut what) = (format!("`convoke {command}` failed"), message(&failed.error));
    if !failed.problems.is_empty() {
        title += &format!(": {} in the files", counted(failed.problems.len() as u64, "problem"));
        what = "Nothing was read from the account, and nothing was changed.".into();
    }
    let mut sheet = sheet(command, &[title], String::new());
    let mut text = format!("**Failed** (exit code {}). {what}", failed.exit_code);
    if let Some(help) = failed.help {
        text.push_str(&format!("\n\nHelp: {}", prose(help)));
    }
    sheet.alert("CAUTION", [SheetBlock::text(text)]);
    let problems = failed.problems.iter().map(|it| problem(it, repository));
    sheet.plain([list("**Problems**", problems, Rank::Leave)]);
    sheet.fill().0
}

/// The first line as a sentence, and the other lines unchanged, because they show a place in a file.
fn message(error: &str) -> String {
    let Some((first, rest)) = error.split_once('\n') else { return prose(error) };
    let rest = clean_lines(rest.trim_end());
    let fence = fence(rest.lines());
    format!("{}\n\n{fence}text\n{rest}\n{fence}", prose(first))
}

fn problem(problem: &Problem, repository: Option<&Repository>) -> String {
    let place = |at| place(&Origin::new(&problem.file, at), repository);
    let place = problem.position.map_or_else(|| code(&problem.file), place);
    let help = problem.help.as_deref().map(prose);
    let mut text = with_help(&format!("{place}: {}", prose(&problem.message)), help.as_deref());
    if let Some(line) = &problem.source_line {
        text.push_str(&format!("\n  {}", code(line.trim())));
    }
    text
}
