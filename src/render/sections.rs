//! What a plan says, as rows that are built once. The formats only print them.

use std::collections::BTreeMap;

use super::counted;
use super::escape;
use super::words::{self, name};
use crate::model::{GroupName, Mode, Origin, PersonRef, last_day};
use crate::plan::{
    Action, BaseChange, Blocked, BlockedReason, Change, GroupPlan, Later, LaterKind, LeftOut, Plan, PresentAddresses,
    Since,
};
use crate::report::Report;

/// What the rows of a section are about. The order is the order on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Refused,
    /// What a reader must know about the change under review as a whole.
    Note,
    /// How many members who have access now lose it at once, because the change under review writes an end that has
    /// passed.
    EndsNow,
    /// Removals that were held before the change under review.
    Released,
    /// Expired access whose removal is held, which a reader must not overlook.
    HeldExpired,
    LeftOut,
    Loosened,
    Blocked,
    ToInvite,
    Held,
    Warned,
    Later,
    /// Differences of other causes, in a plan of one change.
    LeftAlone,
    Settings,
    Expiring,
    Unmanaged,
}

impl Topic {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Refused => "Refused: this plan cannot be applied",
            Self::Note => "Note",
            Self::Released => "Released by this change: removals that were held before",
            Self::Later => "Later: what this change does after today",
            Self::LeftAlone => "Already there, left alone",
            Self::EndsNow => "Access that this change ends at once, because the end that it writes has passed",
            Self::LeftOut => "Left out: changes that this run does not make",
            Self::HeldExpired => "Expired access that stays, because its removal is held",
            Self::Loosened => "This change loosens protections",
            Self::Blocked => "Blocked: declared, but cannot be applied",
            Self::ToInvite => "To invite: not members of the account",
            Self::Held => "Held: removals that wait until the blocked entries are resolved",
            Self::Warned => "Warnings",
            Self::Settings => "Other settings that this change modifies",
            Self::Expiring => "Expiring soon",
            Self::Unmanaged => "Unmanaged: groups of the account that no file declares",
        }
    }
}

/// Rows about one topic. There is always at least one.
#[derive(Clone, Debug)]
pub struct Section {
    pub topic: Topic,
    pub rows: Vec<Row>,
}

/// One row. Its texts are external: each format escapes them.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub place: Option<Origin>,
    /// Whether the place is in the files before the change under review only, so that no link leads to it.
    pub is_gone: bool,
    pub group: Option<GroupName>,
    pub guard: Option<&'static str>,
    pub text: String,
    pub help: Option<String>,
    pub since: Option<Since>,
}

/// Everything about a plan besides who joins and who leaves.
pub fn sections(plan: &Plan) -> Vec<Section> {
    let removals = |expired: bool| {
        let all = plan.groups.iter().flat_map(|group| group.held.iter().map(move |change| (group, change)));
        let of_kind = all.filter(move |(_, change)| change.expired.is_some() == expired);
        of_kind.map(|(group, change)| held(&plan.blocked, &group.name, change)).collect::<Vec<Row>>()
    };
    let changed = |loosens: bool| {
        plan.base_changes.iter().filter(|change| change.loosens == loosens).map(base_change).collect::<Vec<Row>>()
    };
    let former = plan.present_addresses();
    let all = [
        (Topic::Refused, refusals(plan)),
        (Topic::Note, notes(plan)),
        (Topic::EndsNow, ends_now(plan)),
        (Topic::Released, of_changes(plan, |group| group.changes.iter().filter(|change| change.released).collect())),
        (Topic::HeldExpired, removals(true)),
        (Topic::LeftOut, left_out(&plan.left_out)),
        (Topic::Loosened, changed(true)),
        (Topic::Blocked, blocked(&plan.blocked, &former)),
        (Topic::ToInvite, to_invite(plan, &former)),
        (Topic::Held, removals(false)),
        (Topic::Warned, warnings(plan)),
        (Topic::Later, plan.later.iter().map(later).collect()),
        (Topic::LeftAlone, of_changes(plan, |group| group.left_alone.iter().collect())),
        (Topic::Settings, changed(false)),
        (Topic::Expiring, expiring(plan)),
        (Topic::Unmanaged, unmanaged(plan)),
    ];
    present(all)
}

fn present<const N: usize>(all: [(Topic, Vec<Row>); N]) -> Vec<Section> {
    all.into_iter().filter(|(_, rows)| !rows.is_empty()).map(|(topic, rows)| Section { topic, rows }).collect()
}

/// What a run left because it is blocked, held or left out.
pub fn left(report: &Report) -> Vec<Section> {
    let removals = |expired: bool| {
        let of_kind = report.held.iter().filter(move |held| held.change.expired.is_some() == expired);
        of_kind.map(|it| held(&report.blocked, &it.group, &it.change)).collect::<Vec<Row>>()
    };
    let blocked = blocked(&report.blocked, &report.present_addresses);
    let left_out = left_out(&report.left_out);
    let held = (Topic::Held, removals(false));
    present([(Topic::HeldExpired, removals(true)), (Topic::LeftOut, left_out), (Topic::Blocked, blocked), held])
}

/// One row for each group with the number of members whose access the change ends at once.
fn ends_now(plan: &Plan) -> Vec<Row> {
    let ends = |change: &&Change| {
        change.action == Action::Remove
            && change.expired.is_some()
            && !change.exempt
            && change.since == Some(Since::Change)
    };
    let count = |group: &GroupPlan| group.changes.iter().chain(&group.held).filter(ends).count() as u64;
    let counts: Vec<u64> = plan.groups.iter().map(count).filter(|count| *count > 0).collect();
    if counts.is_empty() {
        return Vec::new();
    }
    let (members, groups) = (counted(counts.iter().sum(), "member"), counted(counts.len() as u64, "group"));
    vec![Row { text: format!("{members} in {groups}"), ..Row::default() }]
}

/// What the change under review is as a whole.
fn notes(plan: &Plan) -> Vec<Row> {
    let refused = if plan.touched.is_some() {
        "the files before this change were refused; this change is not, and `convoke apply` makes the other differences"
    } else {
        "the files before this change were refused; these are not, so every difference will be made"
    };
    let notes = [(plan.first_adoption, "first adoption: the base declares no group"), (plan.was_refused, refused)];
    let shown = notes.into_iter().filter(|(applies, _)| *applies);
    shown.map(|(_, text)| Row { text: text.to_owned(), ..Row::default() }).collect()
}

fn of_changes<'p>(plan: &'p Plan, wanted: fn(&'p GroupPlan) -> Vec<&'p Change>) -> Vec<Row> {
    let row = |group: &GroupPlan, change: &Change| {
        let done = if change.action == Action::Add { "missing" } else { "to remove" };
        Row { group: Some(group.name.clone()), text: format!("{} ({done})", name(&change.member)), ..Row::default() }
    };
    let all = plan.groups.iter().flat_map(|group| wanted(group).into_iter().map(move |change| (group, change)));
    all.map(|(group, change)| row(group, change)).collect()
}

fn later(later: &Later) -> Row {
    let end = |time: &Option<String>| time.as_ref().map_or_else(|| "no end".to_owned(), |time| format!("until {time}"));
    let (from, to) = (&later.from, &later.to);
    let begin = from.clone().unwrap_or_default();
    let via: String = later.via.iter().flat_map(|via| words::rosters(via)).map(|used| format!(", {used}")).collect();
    let what = match later.what {
        LaterKind::EndAdded | LaterKind::EndRemoved | LaterKind::EndMoved => {
            format!("{}, before this change {}", end(to), end(from))
        }
        LaterKind::JoinsLater => format!("joins on {begin}, {}", end(to)),
        LaterKind::JoinRemoved => format!("no longer joins on {begin}"),
        LaterKind::AlreadyOver => format!("the entry is over already ({}), so it does nothing", end(to)),
        LaterKind::LetGo => {
            let (person, group) = (later.person.to_string(), later.group.as_str());
            let words = format!("{} {}", escape::shell_word(&person), escape::shell_word(group));
            match later.mode {
                None => "stays: no file declares the group any more".to_owned(),
                Some(Mode::Observe) => "stays: convoke only observes the group now".to_owned(),
                // `revoke` ends an entry, so there must be one.
                Some(_) => format!(
                    "stays: the group is additive; `convoke grant {words}`, then `convoke revoke {words}` ends it"
                ),
            }
        }
    };
    Row {
        place: Some(later.origin.clone()),
        // The line is in the files before the change.
        is_gone: matches!(later.what, LaterKind::JoinRemoved | LaterKind::LetGo),
        group: Some(later.group.clone()),
        text: format!("{}: {what}{via}", later.person),
        ..Row::default()
    }
}

fn left_out(all: &[LeftOut]) -> Vec<Row> {
    let row = |left: &LeftOut| {
        let done = if left.change.action == Action::Add { "added" } else { "removed" };
        Row {
            place: Some(left.origin.as_ref().unwrap_or(&left.change.origin).clone()),
            // The lines at the tip are in other files than those that the page links to.
            is_gone: left.origin.is_some(),
            group: Some(left.group.clone()),
            text: format!("{} is not {done}: {}", name(&left.change.member), left.reason),
            ..Row::default()
        }
    };
    all.iter().map(row).collect()
}

fn refusals(plan: &Plan) -> Vec<Row> {
    let row = |refusal: &crate::plan::Refusal| Row {
        // Some messages name the place themselves.
        place: refusal.origin.clone().filter(|origin| !refusal.message.contains(&origin.to_string())),
        group: refusal.group.clone(),
        guard: Some(refusal.guard.name()),
        text: refusal.message.clone(),
        help: Some(refusal.help.clone()),
        ..Row::default()
    };
    plan.refusals.iter().map(row).collect()
}

fn held(blocked: &[Blocked], group: &GroupName, change: &Change) -> Row {
    let facts = words::end(change).into_iter().chain(words::facts(change)).map(|fact| format!(", {fact}"));
    let by = holding(blocked, change).map(|by| format!("; {by}")).unwrap_or_default();
    Row {
        place: change.expired.map(|_| change.origin.clone()),
        group: Some(group.clone()),
        text: format!("{}{}{by}", name(&change.member), facts.collect::<String>()),
        ..Row::default()
    }
}

/// The entry that holds a removal, with its problem; `None` if the removal is not held.
fn holding(blocked: &[Blocked], change: &Change) -> Option<String> {
    let by = change.held_by.as_ref()?;
    let blocked = blocked.iter().find(|blocked| blocked.origin == *by);
    let why = blocked.map(|blocked| format!(": {blocked}")).unwrap_or_default();
    Some(format!("held by {by}{why}"))
}

/// One row for each blocked entry, but one for all entries of a person whom the account does not have: the remedy is
/// the same for all of them.
fn blocked(blocked: &[Blocked], former: &PresentAddresses) -> Vec<Row> {
    let mut rows: Vec<(Row, Vec<&Blocked>)> = Vec::new();
    let mut of_person: BTreeMap<&PersonRef, usize> = BTreeMap::new();
    for entry in blocked {
        let unknown = entry.entry.as_ref().filter(|_| is_unknown(entry));
        let first = unknown.and_then(|person| of_person.get(person)).and_then(|place| rows.get_mut(*place));
        if let Some((first, more)) = first {
            first.since = first.since.min(entry.since);
            more.push(entry);
            continue;
        }
        of_person.extend(unknown.map(|person| (person, rows.len())));
        let row = Row {
            place: Some(entry.origin.clone()),
            group: Some(entry.group.clone()),
            text: entry.to_string(),
            help: unknown.map(|person| remedies(person, former)),
            since: entry.since,
            ..Row::default()
        };
        rows.push((row, Vec::new()));
    }
    let completed = rows.into_iter().map(|(row, more)| Row { text: row.text.clone() + &others(&row, &more), ..row });
    completed.collect()
}

/// The other lines of a person with their groups. A line of a roster is named once.
fn others(first: &Row, more: &[&Blocked]) -> String {
    let mut lines: BTreeMap<&Origin, Vec<&str>> = BTreeMap::new();
    for entry in more {
        lines.entry(&entry.origin).or_default().push(entry.group.as_str());
    }
    let own = first.place.as_ref().and_then(|place| lines.remove(place));
    let own = own.map(|groups| format!("; also in {}", groups.join(", ")));
    let others = lines.iter().map(|(line, groups)| format!("; also {line} in {}", groups.join(", ")));
    own.into_iter().chain(others).collect()
}

const fn is_unknown(blocked: &Blocked) -> bool {
    matches!(blocked.reason, BlockedReason::UnknownPerson { .. })
}

/// What to do about a person who is not a member of the account.
fn remedies(person: &PersonRef, former: &PresentAddresses) -> String {
    let remove = format!("`convoke revoke {} --everywhere`", escape::shell_word(&person.to_string()));
    match former.get(person).map_or(&[][..], Vec::as_slice) {
        [] => format!("invite the person; or correct the address in the files; or remove it with {remove}"),
        found => {
            let old = escape::shell_word(&person.to_string());
            let renames = found.iter().map(|new| format!("`convoke rename {old} {}`", escape::shell_word(new)));
            let renames = renames.collect::<Vec<_>>().join(" or ");
            let domain = |address: &str| address.rsplit('@').next().map(str::to_ascii_lowercase);
            let is_typo = found.iter().all(|new| domain(new) == domain(&person.to_string()));
            let why = if is_typo { "correct the address" } else { "the address may have changed" };
            format!("{why}: {renames}; else invite the person, or remove the address with {remove}")
        }
    }
}

/// The people who are not members of the account and are not known by another address, each once.
fn to_invite(plan: &Plan, former: &PresentAddresses) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for blocked in plan.blocked.iter().filter(|blocked| is_unknown(blocked)) {
        let Some(person @ PersonRef::Email(_)) = &blocked.entry else { continue };
        let BlockedReason::UnknownPerson { similar, .. } = &blocked.reason else { continue };
        if similar.is_empty() && former.get(person).is_none_or(Vec::is_empty) {
            rows.entry(person.to_string()).or_insert_with(|| Row { text: person.to_string(), ..Row::default() });
        }
    }
    rows.into_values().collect()
}

fn warnings(plan: &Plan) -> Vec<Row> {
    let row = |warning: &crate::plan::PlanWarning| Row {
        place: warning.origin.clone(),
        text: warning.message.clone(),
        help: Some(warning.help.clone()),
        ..Row::default()
    };
    plan.warnings.iter().map(row).collect()
}

fn expiring(plan: &Plan) -> Vec<Row> {
    let row = |expiring: &crate::plan::Expiring| Row {
        place: Some(expiring.origin.clone()),
        group: Some(expiring.group.clone()),
        text: format!("{} until {}", expiring.person, last_day(expiring.until)),
        ..Row::default()
    };
    plan.expiring.iter().map(row).collect()
}

fn unmanaged(plan: &Plan) -> Vec<Row> {
    let row = |group: &crate::model::GroupRef| Row {
        group: Some(group.name.shown().into()),
        text: group.id.to_string(),
        ..Row::default()
    };
    plan.unmanaged_groups.iter().map(row).collect()
}

/// A change of the files that affects no membership directly.
fn base_change(change: &BaseChange) -> Row {
    let is_list = matches!(change.setting.as_str(), "protected" | "exclusive_with");
    let setting = &change.setting;
    let text = match (change.before.as_deref(), change.after.as_deref()) {
        _ if setting == "group" => "no longer declared: convoke no longer manages a group of this name".into(),
        (Some(before), Some(after)) => format!("{setting} changes from {before} to {after}"),
        (Some(before), None) if is_list => format!("{setting} no longer lists {before}"),
        (Some(before), None) => format!("{setting} was {before} and is no longer set"),
        (None, after) => {
            let verb = if is_list { "now lists" } else { "is now" };
            format!("{setting} {verb} {}", after.unwrap_or_default())
        }
    };
    Row {
        place: change.origin.clone(),
        is_gone: change.after.is_none(),
        text: if change.group.is_none() { format!("settings: {text}") } else { text },
        group: change.group.clone(),
        ..Row::default()
    }
}

/// The `convoke grant` line for each unexpected member, for somebody who wants to keep them. `files` are the flags
/// that name the files.
pub fn grants(plan: &Plan, files: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &plan.groups {
        for change in group.changes.iter().chain(&group.held) {
            if change.action == Action::Remove && change.expired.is_none() {
                let (who, group) = (escape::shell_word(&name(&change.member)), escape::shell_word(group.name.as_str()));
                lines.push(format!("convoke grant {who} {group}{files}"));
            }
        }
    }
    lines
}
