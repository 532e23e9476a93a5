//! The groups of a person, or the people of a group, with the reasons, for people.

use anstyle::Style;

use super::text::{ADD, DIM, Layout, REMOVE, TITLE, WARN, paint};
use super::words::{origin, rosters, subject};
use super::{clean, counted};
use crate::model::{Member, Mode, first_day, last_day};
use crate::plan::{Claim, Why, WhyGroup};

/// The memberships asked about, each with its state and the declaring lines.
pub fn text(why: &Why, layout: Layout) -> String {
    let color = layout.color;
    let mut lines = Vec::new();
    if why.person.is_some() {
        let unread = counted(why.unreadable.len() as u64, "group");
        let unread = if why.unreadable.is_empty() { String::new() } else { format!("; {unread} cannot be read") };
        lines.push(paint(color, TITLE, &(who(why) + &unread)));
        for group in &why.groups {
            lines.push(String::new());
            let id = group.id.filter(|_| group.name.as_str().is_empty()).map(|id| format!(" ({id})"));
            let note = id.unwrap_or_default() + &mode(group);
            membership(group, &clean(group.name.shown()), &note, color, &mut lines);
        }
    } else {
        for rows in why.groups.chunk_by(|a, b| a.id == b.id) {
            people(rows, color, &mut lines);
        }
        if let (true, true, Some(name)) = (why.groups.is_empty(), why.unreadable.is_empty(), &why.group) {
            let empty = format!("{}: nobody is in the group, and nobody is declared for it", clean(name.as_str()));
            lines.push(paint(color, TITLE, &empty));
        }
    }
    for group in &why.unreadable {
        let (name, cause) = (clean(group.name.as_str()), clean(&group.cause));
        let unknown = paint(color, WARN, &format!("unknown, because its members cannot be read: {cause}"));
        lines.extend([String::new(), format!("{}: {unknown}", paint(color, TITLE, &name))]);
    }
    lines.join("\n") + "\n"
}

fn people(rows: &[WhyGroup], color: bool, lines: &mut Vec<String>) {
    let Some(group) = rows.first() else { return };
    let count = |is_meant: fn(&&WhyGroup) -> bool| rows.iter().filter(is_meant).count() as u64;
    let members = counted(count(|row| row.present), "member");
    let declared = count(|row| row.claims.iter().any(|claim| claim.holds));
    let id = group.id.map(|id| format!(", id {id}")).unwrap_or_default();
    let head = format!("{}{}{id}: {members}, {declared} declared", clean(group.name.as_str()), mode(group));
    lines.extend((!lines.is_empty()).then(String::new));
    lines.push(paint(color, TITLE, &head));
    lines.extend(gives(group));
    lines.push(String::new());
    for row in rows {
        let person = row.person.as_deref().map(clean).unwrap_or_default();
        membership(row, &person, "", color, lines);
    }
}

/// What is asked about a membership: its group or its person, then its state and lines.
fn membership(row: &WhyGroup, title: &str, note: &str, color: bool, lines: &mut Vec<String>) {
    let (word, style) = word(row);
    lines.push(format!("{}{note}: {}", paint(color, TITLE, title), paint(color, style, &clean(&word))));
    lines.extend(gives(row).filter(|_| row.person.is_none()));
    lines.extend(row.claims.iter().map(|claim| format!("  {}", self::claim(claim))));
    if row.claims.is_empty() && row.mode.is_some() {
        lines.push("  no entry names this person".into());
    }
}

fn gives(group: &WhyGroup) -> impl Iterator<Item = String> {
    let about = (!group.about.is_empty()).then(|| format!("  {}", clean(&group.about.to_string())));
    let gives = (!group.grants.is_empty()).then(|| format!("  gives: {}", clean(&group.grants.join(", "))));
    about.into_iter().chain(gives)
}

fn mode(group: &WhyGroup) -> String {
    let unusual = group.mode.filter(|mode| *mode != Mode::Exact);
    unusual.map(|mode| format!(" ({mode})")).unwrap_or_default()
}

fn who(why: &Why) -> String {
    let person = why.person.as_deref().map(clean).unwrap_or_default();
    let groups = |is_meant: fn(&&WhyGroup) -> bool| counted(why.groups.iter().filter(is_meant).count() as u64, "group");
    let present = groups(|group| group.present);
    let declared = groups(|group| !group.claims.is_empty());
    match why.members.as_slice() {
        [] if why.groups.is_empty() => {
            let unnamed = if why.group.is_some() { "not declared for this group" } else { "no file names this person" };
            let similar = (!why.similar.is_empty()).then(|| clean(&why.similar.join(" or ")));
            let meant = similar.map(|similar| format!("; did you mean {similar}?")).unwrap_or_default();
            format!("{person}: not a member of the account, and {unnamed}{meant}")
        }
        [] => format!("{person}: not a member of the account, declared for {declared}"),
        [member] if why.group.is_some() && why.groups.is_empty() => {
            format!("{}: not in this group, and not declared for it", identity(member))
        }
        // The state of the one membership follows.
        [member] if why.group.is_some() => identity(member),
        [member] => format!("{}: in {present}, declared for {declared}", identity(member)),
        several => {
            let ids: Vec<&str> = several.iter().map(|member| member.id.as_str()).collect();
            format!("{person}: the address of several members: {}", ids.join(", "))
        }
    }
}

fn identity(member: &Member) -> String {
    let id = member.email.as_ref().map(|_| format!(", id {}", member.id));
    subject(member) + &id.unwrap_or_default()
}

fn word(group: &WhyGroup) -> (String, Style) {
    if let Some(why) = &group.blocked {
        let what = if group.present { "a member, but blocked" } else { "declared, and cannot be applied" };
        return (format!("{what}: {why}"), WARN);
    }
    let (word, style) = match group.prospect {
        "held" => ("a member, not declared; kept until the blocked entries of the group are resolved", WARN),
        "unmanaged" => ("a member; no file declares the group", DIM),
        "member" => ("a member, as declared", ADD),
        "not_now" => ("declared for another time, and not a member now", DIM),
        "missing" => ("declared and missing; the group is only observed", WARN),
        "joins" => ("declared, to be added", ADD),
        "unexpected" => ("a member and not declared; the group is only observed", WARN),
        "additional" => ("a member and not declared, which an additive group allows", DIM),
        _ => ("a member, to be removed", REMOVE),
    };
    (word.into(), style)
}

fn claim(claim: &Claim) -> String {
    let rosters = rosters(&claim.via).map(|used| format!(" {used}"));
    let from = claim.window.from.map(|from| format!(", from {}", first_day(from)));
    let until = claim.window.until.map(|until| format!(", until {}", last_day(until)));
    let not_now = (!claim.holds).then(|| ", not now".to_owned());
    let reason = claim.reason.as_deref().map(|reason| format!(", {}", clean(reason)));
    let facts = from.into_iter().chain(until).chain(not_now).chain(reason);
    std::iter::once(origin(&claim.origin)).chain(rosters).chain(facts).collect()
}
