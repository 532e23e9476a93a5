//! Access beside the groups, in each format of an access review.

use std::io::{self, Write};

use maud::{Markup, html as markup};

use super::escape::{cell, clean};
use crate::plan::{BesideGroups, BesideStanding, Review};

const HEADING: &str = "Access beside the groups";

pub(super) fn organization(name: &str) -> String {
    format!(
        "the account belongs to the organization {name}, whose Super Administrators have every right and may not appear here"
    )
}

/// A row of the table: without a group, the columns are those of a membership.
pub(super) fn row(person: &BesideGroups) -> [String; 17] {
    let mut row: [String; 17] = Default::default();
    let [_, _, _, grants, address, member_id, status, two_factor, state, ..] = &mut row;
    *grants = person.grants.join("; ");
    *address = person.person.to_string();
    *member_id = person.member_id.to_string();
    *status = person.status.map(|status| status.to_string()).unwrap_or_default();
    *two_factor = on_or_off(person).into();
    *state = person.standing.name().into();
    row
}

const fn on_or_off(person: &BesideGroups) -> &'static str {
    match person.two_factor {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
    }
}

/// What a reader should know about the person.
fn remark(person: &BesideGroups) -> String {
    match person.standing {
        BesideStanding::Direct => format!("has of their own: {}", person.grants.join(", ")),
        BesideStanding::InNoFile => "is a member of the account, and no file names them in a group".into(),
        BesideStanding::Invited => "has not accepted the invitation to the account".into(),
    }
}

pub(super) fn as_text(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    if review.beside_groups.is_empty() {
        return Ok(());
    }
    writeln!(to, "\n{HEADING}")?;
    for person in &review.beside_groups {
        writeln!(to, "  {}: {}", clean(&person.person), clean(&remark(person)))?;
    }
    Ok(())
}

pub(super) fn as_markdown(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    if review.beside_groups.is_empty() {
        return Ok(());
    }
    writeln!(to, "\n### {HEADING}\n\n| person | state | what |\n| --- | --- | --- |")?;
    for person in &review.beside_groups {
        writeln!(to, "| {} | {} | {} |", cell(&person.person), person.standing.name(), cell(&remark(person)))?;
    }
    Ok(())
}

pub(super) fn html(review: &Review) -> Option<Markup> {
    (!review.beside_groups.is_empty()).then(|| {
        markup! {
            section {
                h2 { (HEADING) }
                table {
                    thead { tr { @for column in ["person", "status", "two-factor", "state", "what", "keep?", "sign"] { th { (column) } } } }
                    tbody {
                        @for person in &review.beside_groups {
                            tr {
                                td.person { (clean(&person.person)) br; small { (person.member_id) } }
                                td.word { @if let Some(status) = person.status { (status) } }
                                td.off[person.two_factor == Some(false)] { (on_or_off(person)) }
                                td.word { (person.standing.name()) }
                                td { (clean(&remark(person))) }
                                td.box {}
                                td.box {}
                            }
                        }
                    }
                }
            }
        }
    })
}
