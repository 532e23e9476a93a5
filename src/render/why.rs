//! The groups of a person, with the reasons, for people.

use super::text::{Layout, Paint, Style};
use super::words::{last_day, origin, subject};
use super::{clean, counted};
use crate::model::Mode;
use crate::plan::{Claim, Standing, Why, WhyGroup};

/// The person's groups, each with the state of the membership and the declaring lines.
pub fn text(why: &Why, layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    let unread = match why.unreadable.len() as u64 {
        0 => String::new(),
        count => format!("; {} cannot be read", counted(count, "group")),
    };
    let mut lines = vec![paint.paint(Style::Title, &(who(why) + &unread))];
    for group in &why.groups {
        let (word, style) = word(group);
        lines.push(String::new());
        let mode = match group.mode {
            Some(Mode::Exact) | None => String::new(),
            Some(mode) => format!(" ({mode})"),
        };
        let title = paint.paint(Style::Title, &clean(group.name.as_str()));
        lines.push(format!("{title}{mode}: {}", paint.paint(style, &clean(&word))));
        if !group.grants.is_empty() {
            lines.push(format!("  gives: {}", clean(&group.grants.join(", "))));
        }
        for claim in &group.claims {
            lines.push(format!("  {}", self::claim(claim)));
        }
        if group.claims.is_empty() && group.mode.is_some() {
            lines.push("  no entry names this person".into());
        }
    }
    for group in &why.unreadable {
        let (name, cause) = (clean(group.name.as_str()), clean(&group.cause));
        let unknown = paint.paint(Style::Warn, &format!("unknown, because its members cannot be read: {cause}"));
        lines.extend([String::new(), format!("{}: {unknown}", paint.paint(Style::Title, &name))]);
    }
    lines.join("\n") + "\n"
}

fn who(why: &Why) -> String {
    let person = clean(&why.person.to_string());
    let groups = |is_meant: fn(&&WhyGroup) -> bool| counted(why.groups.iter().filter(is_meant).count() as u64, "group");
    let present = groups(|group| group.present);
    let declared = groups(|group| !group.claims.is_empty());
    match why.members.as_slice() {
        [] if why.groups.is_empty() && why.group.is_some() => {
            format!("{person}: not a member of the account, and not declared for this group{}", meant(why))
        }
        [] if why.groups.is_empty() => {
            format!("{person}: not a member of the account, and no file names this person{}", meant(why))
        }
        [] => format!("{person}: not a member of the account, declared for {declared}"),
        [member] if why.group.is_some() && why.groups.is_empty() => {
            format!("{}: not in this group, and not declared for it", identity(member))
        }
        [member] => format!("{}: in {present}, declared for {declared}", identity(member)),
        several => {
            let ids: Vec<&str> = several.iter().map(|member| member.id.as_str()).collect();
            format!("{person}: the address of several members: {}", ids.join(", "))
        }
    }
}

fn meant(why: &Why) -> String {
    match why.similar.as_slice() {
        [] => String::new(),
        similar => format!("; did you mean {}?", clean(&similar.join(" or "))),
    }
}

fn identity(member: &crate::model::Member) -> String {
    match member.email {
        Some(_) => format!("{}, id {}", subject(member), member.id),
        None => subject(member),
    }
}

fn word(group: &WhyGroup) -> (String, Style) {
    let (word, style) = match (&group.blocked, group.standing, group.mode) {
        (Some(why), ..) if group.present => return (format!("a member, but blocked: {why}"), Style::Warn),
        (Some(why), ..) => return (format!("declared, and cannot be applied: {why}"), Style::Warn),
        _ if group.held => {
            ("a member, not declared; kept until the blocked entries of the group are resolved", Style::Warn)
        }
        (.., None) => ("a member; no file declares the group", Style::Dim),
        (_, Standing::Declared, _) => ("a member, as declared", Style::Add),
        (_, Standing::NotNow, _) => ("declared for another time, and not a member now", Style::Dim),
        (_, Standing::Missing, Some(Mode::Observe)) => {
            ("declared and missing; the group is only observed", Style::Warn)
        }
        (_, Standing::Missing, _) => ("declared, to be added", Style::Add),
        (_, Standing::Undeclared | Standing::Expired, Some(Mode::Observe)) => {
            ("a member and not declared; the group is only observed", Style::Warn)
        }
        (_, Standing::Undeclared, Some(Mode::Additive)) => {
            ("a member and not declared, which an additive group allows", Style::Dim)
        }
        (_, Standing::Undeclared | Standing::Expired, _) => ("a member, to be removed", Style::Remove),
    };
    (word.into(), style)
}

fn claim(claim: &Claim) -> String {
    let mut text = origin(&claim.origin);
    for used in claim.via.iter().rev() {
        text.push_str(&format!(" via {} ({})", clean(&used.roster), origin(&used.origin)));
    }
    if let Some(from) = claim.window.from {
        text.push_str(&format!(", from {from}"));
    }
    if let Some(until) = claim.window.until {
        text.push_str(&format!(", until {}", last_day(until)));
    }
    if !claim.holds {
        text.push_str(", not now");
    }
    if let Some(reason) = &claim.reason {
        text.push_str(&format!(", {}", clean(reason)));
    }
    text
}
