//! An access review in every format.

use std::io::{self, Write};

use super::escape::{cell, clean, code, spreadsheet};
use super::{beside, counted, json};
use crate::model::{first_day, last_day};
use crate::plan::{Claim, Review, ReviewGroup, ReviewMembership, ReviewSummary};

pub use super::html::html;

/// One row for each membership. There is no preamble, so that every spreadsheet program can read it.
const COLUMNS: [&str; 17] = [
    "group",
    "group_id",
    "mode",
    "grants",
    "person",
    "member_id",
    "status",
    "two_factor",
    "state",
    "declared_at",
    "via",
    "reason",
    "from",
    "until",
    "description",
    "owners",
    "member_since",
];

pub fn as_json(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    json(to, review)
}

pub fn as_csv(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(to);
    table.write_record(COLUMNS)?;
    for group in &review.groups {
        for membership in &group.memberships {
            table.write_record(row(group, membership).map(|text| spreadsheet(&text)))?;
        }
        if group.memberships.is_empty() {
            // A group without members is evidence too: nobody has what it grants.
            let mut row: [String; 17] = Default::default();
            let head = [group.name.as_str().into(), id_text(group), mode_name(group).into(), group.grants.join("; ")];
            row.iter_mut().zip(head).for_each(|(cell, text)| *cell = text);
            let [.., description, owners, _] = &mut row;
            (*description, *owners) = about(group);
            table.write_record(row.map(|text| spreadsheet(&text)))?;
        }
    }
    for person in &review.beside_groups {
        table.write_record(beside::row(person).map(|text| spreadsheet(&text)))?;
    }
    table.flush()
}

fn about(group: &ReviewGroup) -> (String, String) {
    (group.about.description.clone().unwrap_or_default(), group.about.owners.join("; "))
}

fn row(group: &ReviewGroup, membership: &ReviewMembership) -> [String; 17] {
    let (description, owners) = about(group);
    let each = |of: fn(&Claim) -> Option<String>| {
        let texts: Vec<String> = membership.declared.iter().filter_map(of).collect();
        texts.join("; ")
    };
    [
        group.name.as_str().into(),
        id_text(group),
        mode_name(group).into(),
        group.grants.join("; "),
        membership.person.to_string(),
        membership.member_id.map(|id| id.to_string()).unwrap_or_default(),
        membership.status.map(|status| status.to_string()).unwrap_or_default(),
        two_factor(membership).into(),
        membership.standing.name().into(),
        each(|entry| Some(entry.origin.to_string())),
        each(|entry| {
            let rosters: Vec<&str> = entry.via.iter().map(|used| &*used.roster).collect();
            (!rosters.is_empty()).then(|| rosters.join(" > "))
        }),
        each(|entry| entry.reason.as_deref().map(Into::into)),
        each(|entry| entry.window.from.map(first_day)),
        each(|entry| entry.window.until.map(last_day)),
        description,
        owners,
        membership.began.map(|began| began.to_string()).unwrap_or_default(),
    ]
}

pub(super) const fn mode_name(group: &ReviewGroup) -> &'static str {
    match group.mode {
        Some(mode) => mode.name(),
        None => "unmanaged",
    }
}

/// The number of members, and of missing people apart.
pub(super) fn members(group: &ReviewGroup) -> String {
    let (present, missing) = group.figures();
    let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
    counted(present, "member") + &missing
}

fn id_text(group: &ReviewGroup) -> String {
    group.id.map(|id| id.to_string()).unwrap_or_default()
}

pub(super) const fn two_factor(membership: &ReviewMembership) -> &'static str {
    match membership.two_factor {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
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
    let account = match &review.account_name {
        Some(name) => format!("{name} ({})", review.account_id),
        None => review.account_id.to_string(),
    };
    let mut head = vec![("Account", account), ("Time", review.time.to_string())];
    head.extend(review.organization.as_ref().map(|name| ("Note", beside::organization(name))));
    head.extend(review.commit.clone().map(|commit| ("Commit", commit)));
    let modified = format!("{} (not as in the commit)", review.uncommitted.join(", "));
    head.extend((!review.uncommitted.is_empty()).then_some(("Modified", modified)));
    head.push(("Files", format!("SHA-256 {}", review.files_digest)));
    head.push(("Requests", review.requests.to_string()));
    head
}

pub(super) fn figures(summary: &ReviewSummary) -> [(&'static str, u64); 12] {
    let ReviewSummary {
        groups,
        unmanaged_groups,
        people,
        memberships,
        undeclared,
        expired,
        missing,
        pending,
        without_two_factor,
        direct,
        in_no_file,
        invited,
    } = *summary;
    [
        ("groups", groups),
        ("unmanaged groups", unmanaged_groups),
        ("people", people),
        ("memberships", memberships),
        ("undeclared", undeclared),
        ("expired", expired),
        ("missing", missing),
        ("pending", pending),
        ("without two-factor", without_two_factor),
        ("with roles or policies of their own", direct),
        ("in no file", in_no_file),
        ("invited", invited),
    ]
}

fn remarks(membership: &ReviewMembership) -> Vec<String> {
    let mut remarks = vec![membership.standing.name().to_owned()];
    remarks.extend(membership.status.map(|status| status.to_string()));
    remarks.extend(membership.two_factor.map(|on| format!("two-factor {}", if on { "on" } else { "off" })));
    remarks.extend(membership.began.map(|began| format!("member since {began}")));
    remarks
}

pub fn as_text(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    for (label, value) in head(review) {
        writeln!(to, "{:<9} {}", format!("{label}:"), clean(&value))?;
    }
    for group in &review.groups {
        let count = members(group);
        let id = group.id.map_or_else(|| "not in the account".into(), |id| id.to_string());
        writeln!(to, "\n{} ({}, {id}): {count}", clean(group.name.as_str()), mode_name(group))?;
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
    beside::as_text(review, to)?;
    let figures: Vec<String> =
        figures(&review.summary).iter().map(|(label, figure)| format!("{label}: {figure}")).collect();
    writeln!(to, "\nTotals: {}", figures.join(", "))
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
        let id = group.id.map_or_else(|| "not in the account".into(), |id| id.to_string());
        let (name, count) = (code(group.name.as_str()), members(group));
        writeln!(to, "\n### {name}\n\n{}, {count}, {}", mode_name(group), code(&id))?;
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
        for membership in &group.memberships {
            let join = |of: fn(&Claim) -> Option<String>| {
                let texts: Vec<String> = membership.declared.iter().filter_map(of).map(|text| cell(&text)).collect();
                texts.join("; ")
            };
            writeln!(
                to,
                "| {} | {} | {} | {} | {} | {} | {} |",
                cell(&membership.person),
                membership.status.map(|status| status.to_string()).unwrap_or_default(),
                two_factor(membership),
                membership.standing.name(),
                join(|entry| Some(place(entry))),
                join(terms),
                membership.began.map(|began| began.to_string()).unwrap_or_default(),
            )?;
        }
    }
    beside::as_markdown(review, to)
}
