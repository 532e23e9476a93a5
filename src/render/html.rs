//! The HTML page of an access review: one self-contained file without scripts, to read, print and sign.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::escape::clean;
use super::review::{BESIDE, figures, head, members, mode_name, on_or_off, place, remark, terms};
use crate::plan::{BesideGroups, Review, ReviewGroup, ReviewMembership, Standing};

/// A matrix with more people or groups is not readable on a page.
const MATRIX_PEOPLE: usize = 80;
const MATRIX_GROUPS: usize = 40;

const STYLE: &str = include_str!("review.css");

pub fn html(review: &Review, to: &mut dyn Write) -> io::Result<()> {
    let title = format!("Access review, account {}", review.facts.account_id);
    let start = markup! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">"))
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
            title { (title) }
            style { (PreEscaped(STYLE)) }
        }
        (PreEscaped("<body>"))
        (overview(review))
    };
    let mut put = |markup: Markup| to.write_all(markup.into_string().as_bytes());
    put(start)?;
    matrix(review).map_or(Ok(()), &mut put)?;
    let dated = review.groups.iter().flat_map(|group| &group.memberships).any(|membership| membership.began.is_some());
    for (number, group) in review.groups.iter().enumerate() {
        put(section_start(number, group, dated))?;
        // One row at a time, because a group can have a hundred thousand members.
        for membership in &group.memberships {
            put(row(membership, dated))?;
        }
        let end = if group.memberships.is_empty() { "</section>" } else { "</tbody></table></section>" };
        put(PreEscaped(end.into()))?;
    }
    if !review.beside_groups.is_empty() {
        put(beside(&review.beside_groups))?;
    }
    put(PreEscaped("</body></html>\n".into()))
}

fn overview(review: &Review) -> Markup {
    markup! {
        header {
            h1 { "Access review" }
            dl {
                @for (label, value) in head(review) {
                    dt { (label) } dd { (clean(&value)) }
                }
            }
            ul.figures {
                @for (label, figure) in figures(&review.summary) {
                    @let bad = figure > 0 && matches!(label, "undeclared" | "expired" | "missing" | "without two-factor");
                    li.bad[bad] { strong { (figure) } " " (label) }
                }
            }
            p.sign { "Reviewed by" span {} "Date" span {} "Signature" span {} }
        }
        @if review.groups.len() > 1 {
            nav {
                h2 { "Groups" }
                ol {
                    @for (number, group) in review.groups.iter().enumerate() {
                        li { a href={ "#g" (number) } { (clean(group.name.as_str())) } " " small { (members(group)) } }
                    }
                }
            }
        }
    }
}

/// People and groups in one table, if it fits a page.
fn matrix(review: &Review) -> Option<Markup> {
    let groups: Vec<&ReviewGroup> = review.groups.iter().filter(|group| !group.memberships.is_empty()).collect();
    let memberships = groups.iter().flat_map(|group| &group.memberships);
    let people: BTreeSet<(String, &str)> = memberships.map(|it| (it.person.to_lowercase(), &*it.person)).collect();
    if people.len() > MATRIX_PEOPLE || !(2..=MATRIX_GROUPS).contains(&groups.len()) {
        return None;
    }
    let states: Vec<BTreeMap<&str, Standing>> = groups
        .iter()
        .map(|group| group.memberships.iter().map(|membership| (&*membership.person, membership.standing)).collect())
        .collect();
    Some(markup! {
        section.matrix {
            h2 { "People and groups" }
            p.legend { "● declared  ○ undeclared  ◷ expired  – missing" }
            table {
                thead {
                    tr {
                        th { "person" }
                        @for group in &groups { th.group { span { (clean(group.name.as_str())) } } }
                    }
                }
                tbody {
                    @for (_, person) in people {
                        tr {
                            th scope="row" { (clean(person)) }
                            @for states in &states {
                                @match states.get(person) {
                                    Some(state) => td class=(state.name()) title=(state.name()) { (mark(*state)) },
                                    None => td {},
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

const fn mark(state: Standing) -> &'static str {
    match state {
        Standing::Declared => "●",
        Standing::Undeclared => "○",
        Standing::Expired => "◷",
        Standing::Missing => "–",
        Standing::NotNow => "",
    }
}

fn section_start(number: usize, group: &ReviewGroup, dated: bool) -> Markup {
    markup! {
        (PreEscaped(format!("<section id=\"g{number}\">")))
        h2 { (clean(group.name.as_str())) " " small { (mode_name(group)) ", " (members(group)) } }
        p.id {
            @match group.id {
                Some(id) => (id),
                None => "This group is declared, and the account does not have it.",
            }
        }
        @if let Some(description) = &group.about.description { p.about { (clean(description)) } }
        @if !group.about.owners.is_empty() { p.owners { "Owners: " b { (clean(&group.about.owners.join(", "))) } } }
        @if !group.grants.is_empty() {
            p.grants { "Grants: " @for (place, grant) in group.grants.iter().enumerate() {
                @if place > 0 { ", " } b { (clean(grant)) }
            } }
        }
        @if group.memberships.is_empty() {
            p { "No members." }
        } @else {
            (PreEscaped("<table><thead>"))
            // Printed at the head of every page of the group.
            tr.again { th colspan=(if dated { 9 } else { 8 }) { (clean(group.name.as_str())) } }
            (PreEscaped("<tr>"))
            @for column in ["person", "status", "two-factor", "state", "declared at", "terms"] { th { (column) } }
            @if dated { th { "member since" } }
            @for column in ["keep?", "sign"] { th { (column) } }
            (PreEscaped("</tr></thead><tbody>"))
        }
    }
}

/// An address that is longer than this is broken, because the page would be too narrow for the rest.
const LONGEST: usize = 48;

fn row(membership: &ReviewMembership, dated: bool) -> Markup {
    markup! {
        tr class=(membership.standing.name()) {
            td.person[membership.person.chars().count() <= LONGEST] {
                (clean(&membership.person))
                @if let Some(id) = membership.member_id { br; small { (id) } }
            }
            td.word { @if let Some(status) = membership.status { (status) } }
            td.off[membership.two_factor == Some(false)] { (on_or_off(membership.two_factor)) }
            td.word.state { (membership.standing.name()) }
            td.at { (lines(membership.declared.iter().map(place))) }
            td { (lines(membership.declared.iter().filter_map(terms))) }
            @if dated { td { @if let Some(began) = membership.began { (began) } } }
            td.box {}
            td.box {}
        }
    }
}

fn lines(texts: impl Iterator<Item = String>) -> Markup {
    markup! { @for (number, text) in texts.enumerate() { @if number > 0 { br; } (clean(&text)) } }
}

fn beside(people: &[BesideGroups]) -> Markup {
    markup! {
        section {
            h2 { (BESIDE) }
            table {
                thead { tr {
                    @for column in ["person", "status", "two-factor", "state", "what", "keep?", "sign"] { th { (column) } }
                } }
                tbody {
                    @for person in people {
                        tr {
                            td.person { (clean(&person.person)) br; small { (person.member_id) } }
                            td.word { @if let Some(status) = person.status { (status) } }
                            td.off[person.two_factor == Some(false)] { (on_or_off(person.two_factor)) }
                            td.word { (person.standing) }
                            td { (clean(&remark(person))) }
                            td.box {}
                            td.box {}
                        }
                    }
                }
            }
        }
    }
}
