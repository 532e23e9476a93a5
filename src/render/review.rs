//! An access review as CSV, text and Markdown; `html` has the page.

use std::io::{self, Write};

use super::counted;
use super::escape::{cell, clean, code, spreadsheet};
use crate::model::{first_day, last_day};
use crate::plan::{BesideGroups, BesideStanding, Claim, Review, ReviewGroup, ReviewMembership, ReviewSummary};

pub use super::html::html;

/// The heading of the people with access beside the groups.
pub(super) const BESIDE: &str = "Access beside the groups";

/// The columns of the table: those of a group, of a person, of the declaring lines, of a group again, and of a membership.
const COLUMNS: &str = "group,group_id,mode,grants,person,member_id,status,two_factor,state,declared_at,via,reason,from,\
                       until,description,owners,member_since\n";

/// One row for each membership. There is no preamble, so that every spreadsheet program can read it.
pub fn as_csv(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(COLUMNS.as_bytes())?;
    let mut table = csv::Writer::from_writer(to);
    let mut write = |cells: &[&[String]]| table.write_record(cells.concat().iter().map(|text| spreadsheet(text)));
    for group in &review.groups {
        let of_group = [group.name.to_string(), text(group.id), mode_name(group), group.grants.join("; ")];
        let about = [text(group.about.description.as_ref()), group.about.owners.join("; ")];
        for it in &group.memberships {
            let (id, status, two_factor) = (text(it.member_id), text(it.status), on_or_off(it.two_factor));
            let who = [it.person.to_string(), id, status, two_factor, it.standing.name().into()];
            write(&[&of_group, &who, &declaration(&it.declared), &about, &[text(it.began)]])?;
        }
        if group.memberships.is_empty() {
            // A group without members is evidence too: nobody has what it grants.
            write(&[&of_group, &<[String; 10]>::default(), &about, &[String::new()]])?;
        }
    }
    for it in &review.beside_groups {
        let (id, status, two_factor) = (it.member_id.to_string(), text(it.status), on_or_off(it.two_factor));
        let who = [it.grants.join("; "), it.person.to_string(), id, status, two_factor, it.standing.to_string()];
        write(&[&<[String; 3]>::default(), &who, &<[String; 8]>::default()])?;
    }
    table.flush()
}

/// The cells about the lines that declare a membership.
fn declaration(entries: &[Claim]) -> [String; 5] {
    let each = |of: fn(&Claim) -> Option<String>| entries.iter().filter_map(of).collect::<Vec<_>>().join("; ");
    let via = |entry: &Claim| {
        let rosters: Vec<&str> = entry.via.iter().map(|used| &*used.roster).collect();
        (!rosters.is_empty()).then(|| rosters.join(" > "))
    };
    let places = each(|entry| Some(entry.origin.to_string()));
    let reasons = each(|entry| entry.reason.as_deref().map(Into::into));
    let (begins, ends) =
        (each(|entry| entry.window.from.map(first_day)), each(|entry| entry.window.until.map(last_day)));
    [places, each(via), reasons, begins, ends]
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(super) fn on_or_off(two_factor: Option<bool>) -> String {
    text(two_factor.map(|on| if on { "on" } else { "off" }))
}

pub(super) fn mode_name(group: &ReviewGroup) -> String {
    group.mode.map_or_else(|| "unmanaged".into(), |mode| mode.to_string())
}

/// The number of members, and of missing people apart.
pub(super) fn members(group: &ReviewGroup) -> String {
    let (present, missing) = group.figures();
    let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
    counted(present, "member") + &missing
}

fn group_id(group: &ReviewGroup) -> String {
    group.id.map_or_else(|| "not in the account".into(), |id| id.to_string())
}

/// What a reader should know about a person with access beside the groups.
pub(super) fn remark(person: &BesideGroups) -> String {
    match person.standing {
        BesideStanding::Direct => format!("has of their own: {}", person.grants.join(", ")),
        BesideStanding::InNoFile => "is a member of the account, and no file names them in a group".into(),
        BesideStanding::Invited => "has not accepted the invitation to the account".into(),
    }
}

/// The place of an entry, with the rosters that lead to it.
pub(super) fn place(entry: &Claim) -> String {
    let via = entry.via.iter().rev().map(|used| format!(" via {}", used.roster)).collect::<String>();
    format!("{}{via}", entry.origin)
}

/// The facts about an entry besides its place.
pub(super) fn terms(entry: &Claim) -> Option<String> {
    let from = entry.window.from.map(|from| format!("from {}", first_day(from)));
    let until = entry.window.until.map(|until| format!("until {}", last_day(until)));
    let reason = entry.reason.as_deref().map(Into::into);
    let parts: Vec<String> = [from, until, reason].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The head of the formats for people: labels and values.
pub(super) fn head(review: &Review) -> Vec<(&'static str, String)> {
    let facts = &review.facts;
    let account = match &facts.account_name {
        Some(name) => format!("{name} ({})", facts.account_id),
        None => facts.account_id.to_string(),
    };
    let mut head = vec![("Account", account), ("Time", facts.time.to_string())];
    if let Some(name) = &facts.organization {
        let whose = "whose Super Administrators have every right and may not appear here";
        head.push(("Note", format!("the account belongs to the organization {name}, {whose}")));
    }
    head.extend(facts.commit.clone().map(|commit| ("Commit", commit)));
    let modified = format!("{} (not as in the commit)", facts.uncommitted.join(", "));
    head.extend((!facts.uncommitted.is_empty()).then_some(("Modified", modified)));
    head.push(("Files", format!("SHA-256 {}", facts.files_digest)));
    head.push(("Requests", facts.requests.to_string()));
    head
}

pub(super) fn figures(summary: &ReviewSummary) -> [(&'static str, u64); 12] {
    [
        ("groups", summary.groups),
        ("unmanaged groups", summary.unmanaged_groups),
        ("people", summary.people),
        ("memberships", summary.memberships),
        ("undeclared", summary.undeclared),
        ("expired", summary.expired),
        ("missing", summary.missing),
        ("pending", summary.pending),
        ("without two-factor", summary.without_two_factor),
        ("with roles or policies of their own", summary.direct),
        ("in no file", summary.in_no_file),
        ("invited", summary.invited),
    ]
}

fn remarks(membership: &ReviewMembership) -> Vec<String> {
    let mut remarks = vec![membership.standing.name().to_owned()];
    remarks.extend(membership.status.map(|status| status.to_string()));
    remarks.extend(membership.two_factor.map(|on| format!("two-factor {}", on_or_off(Some(on)))));
    remarks.extend(membership.began.map(|began| format!("member since {began}")));
    remarks
}

pub fn as_text(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    for (label, value) in head(review) {
        writeln!(to, "{:<9} {}", format!("{label}:"), clean(&value))?;
    }
    for group in &review.groups {
        let (name, count) = (clean(group.name.as_str()), members(group));
        writeln!(to, "\n{name} ({}, {}): {count}", mode_name(group), group_id(group))?;
        if !group.about.is_empty() {
            writeln!(to, "  {}", clean(&group.about.to_string()))?;
        }
        if !group.grants.is_empty() {
            writeln!(to, "  grants: {}", clean(&group.grants.join(", ")))?;
        }
        for membership in &group.memberships {
            writeln!(to, "  {}: {}", clean(&membership.person), remarks(membership).join(", "))?;
            for entry in &membership.declared {
                let terms = terms(entry).map(|terms| format!(", {terms}")).unwrap_or_default();
                writeln!(to, "      {}", clean(&format!("{}{terms}", place(entry))))?;
            }
        }
    }
    if !review.beside_groups.is_empty() {
        writeln!(to, "\n{BESIDE}")?;
    }
    for person in &review.beside_groups {
        writeln!(to, "  {}: {}", clean(&person.person), clean(&remark(person)))?;
    }
    let totals: Vec<_> = figures(&review.summary).iter().map(|(label, figure)| format!("{label}: {figure}")).collect();
    writeln!(to, "\nTotals: {}", totals.join(", "))
}

pub fn as_markdown(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "<!-- convoke:review -->\n## Access review\n")?;
    for (label, value) in head(review) {
        writeln!(to, "- {label}: {}", code(&value))?;
    }
    writeln!(to, "\n| | |\n| --- | ---: |")?;
    for (label, figure) in figures(&review.summary) {
        writeln!(to, "| {label} | {figure} |")?;
    }
    for group in &review.groups {
        let (name, count) = (code(group.name.as_str()), members(group));
        writeln!(to, "\n### {name}\n\n{}, {count}, {}", mode_name(group), code(&group_id(group)))?;
        if !group.about.is_empty() {
            writeln!(to, "\n{}", code(&group.about.to_string()))?;
        }
        if !group.grants.is_empty() {
            let grants: Vec<String> = group.grants.iter().map(|grant| code(grant)).collect();
            writeln!(to, "\nGrants: {}", grants.join(", "))?;
        }
        if group.memberships.is_empty() {
            writeln!(to, "\nNo members.")?;
            continue;
        }
        writeln!(to, "\n| person | status | two-factor | state | declared | terms | member since |")?;
        writeln!(to, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for it in &group.memberships {
            let join = |of: fn(&Claim) -> Option<String>| {
                let texts: Vec<String> = it.declared.iter().filter_map(of).map(|text| cell(&text)).collect();
                texts.join("; ")
            };
            let (places, terms) = (join(|entry| Some(place(entry))), join(terms));
            let (person, status, two_factor) = (cell(&it.person), text(it.status), on_or_off(it.two_factor));
            let (state, began) = (it.standing.name(), text(it.began));
            writeln!(to, "| {person} | {status} | {two_factor} | {state} | {places} | {terms} | {began} |")?;
        }
    }
    if !review.beside_groups.is_empty() {
        writeln!(to, "\n### {BESIDE}\n\n| person | state | what |\n| --- | --- | --- |")?;
    }
    for person in &review.beside_groups {
        writeln!(to, "| {} | {} | {} |", cell(&person.person), person.standing, cell(&remark(person)))?;
    }
    Ok(())
}
