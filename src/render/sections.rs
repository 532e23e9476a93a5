//! What a plan or a report says besides its changes, as rows that are built once. The formats only print them.

use std::collections::{BTreeMap, BTreeSet};

use super::counted;
use super::escape::shell_word;
use super::words::{self, done, name};
use crate::model::{GroupName, GroupRef, Mode, Origin, PersonRef, last_day};
use crate::plan::{
    Action, BaseChange, Blocked, BlockedReason, Change, Expiring, GroupPlan, Guard, Later, LaterKind, LeftOut, Plan,
    PlanWarning, PresentAddresses, Refusal, Since,
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
        self.names().0
    }

    /// The heading of a list, and the word that begins the title of an annotation. A topic without a word is only in
    /// the text.
    pub const fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Refused => ("Refused: this plan cannot be applied", Some("Refused")),
            Self::Note => ("Note", Some("Note")),
            Self::EndsNow => (
                "Access that this change ends at once, because the end that it writes has passed",
                Some("Ends access at once"),
            ),
            Self::Released => ("Released by this change: removals that were held before", Some("Released")),
            Self::HeldExpired => {
                ("Expired access that stays, because its removal is held", Some("Expired access stays"))
            }
            Self::LeftOut => ("Left out: changes that this run does not make", Some("Left out")),
            Self::Loosened => ("This change loosens protections", Some("Loosened")),
            Self::Blocked => ("Blocked: declared, but cannot be applied", Some("Blocked")),
            Self::ToInvite => ("To invite: not members of the account", None),
            Self::Held => ("Held: removals that wait until the blocked entries are resolved", Some("Held")),
            Self::Warned => ("Warnings", Some("Warning")),
            Self::Later => ("Later: what this change does after today", Some("Later")),
            Self::LeftAlone => ("Already there, left alone", None),
            Self::Settings => ("Other settings that this change modifies", None),
            Self::Expiring => ("Expiring soon", Some("Expiring soon")),
            Self::Unmanaged => {
                ("Unmanaged: groups of the account that no file declares", Some("Not declared in any file"))
            }
        }
    }
}

/// The topics of a page, each with at least one row.
pub type Sections = BTreeMap<Topic, Vec<Row>>;

/// One row. Its texts are external: each format escapes them.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub place: Option<Origin>,
    /// Whether the place is in the files before the change under review only, so that no link leads to it.
    pub is_gone: bool,
    pub group: Option<GroupName>,
    pub guard: Option<Guard>,
    pub text: String,
    pub help: Option<String>,
    pub since: Option<Since>,
}

impl Row {
    fn new(place: Option<&Origin>, group: Option<&GroupName>, text: String) -> Self {
        Self { place: place.cloned(), group: group.cloned(), text, ..Self::default() }
    }
}

/// Everything about a plan besides who joins and who leaves.
pub fn sections(plan: &Plan) -> Sections {
    let held = plan.groups.iter().flat_map(|group| group.held.iter().map(move |change| (&group.name, change)));
    let (held_expired, held) = self::held(held, &plan.blocked);
    let left_alone = plan.groups.iter().flat_map(|group| group.left_alone.iter().map(move |change| (group, change)));
    let present_addresses = plan.present_addresses();
    let (loosened, settings): (Vec<_>, Vec<_>) = plan.base_changes.iter().partition(|change| change.loosens);
    present([
        (Topic::Refused, plan.refusals.iter().map(refusal).collect()),
        (Topic::Note, notes(plan)),
        (Topic::EndsNow, ends_now(plan)),
        (Topic::Released, plan.differences().filter(|(_, change)| change.released).map(difference).collect()),
        (Topic::HeldExpired, held_expired),
        (Topic::LeftOut, plan.left_out.iter().map(left_out).collect()),
        (Topic::Loosened, loosened.into_iter().map(base_change).collect()),
        (Topic::Blocked, blocked(&plan.blocked, &present_addresses)),
        (Topic::ToInvite, to_invite(plan, &present_addresses)),
        (Topic::Held, held),
        (Topic::Warned, plan.warnings.iter().map(warning).collect()),
        (Topic::Later, plan.later.iter().map(later).collect()),
        (Topic::LeftAlone, left_alone.map(difference).collect()),
        (Topic::Settings, settings.into_iter().map(base_change).collect()),
        (Topic::Expiring, plan.expiring.iter().map(expiring).collect()),
        (Topic::Unmanaged, plan.unmanaged_groups.iter().map(unmanaged).collect()),
    ])
}

/// The sections about these topics, in this order.
pub fn about<'a>(sections: &'a Sections, topics: &'a [Topic]) -> impl Iterator<Item = (&'a Topic, &'a Vec<Row>)> {
    topics.iter().filter_map(|topic| sections.get_key_value(topic))
}

fn present<const N: usize>(all: [(Topic, Vec<Row>); N]) -> Sections {
    all.into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
}

/// What a run left because it is blocked, held or left out.
pub fn left(report: &Report) -> Sections {
    let (held_expired, held) = held(report.held.iter().map(|held| (&held.group, &held.change)), &report.blocked);
    present([
        (Topic::HeldExpired, held_expired),
        (Topic::LeftOut, report.left_out.iter().map(left_out).collect()),
        (Topic::Blocked, blocked(&report.blocked, &report.present_addresses)),
        (Topic::Held, held),
    ])
}

/// The number of members whose access the change ends at once.
fn ends_now(plan: &Plan) -> Vec<Row> {
    let ends = |change: &Change| change.expired.is_some() && !change.exempt && change.since == Some(Since::Change);
    let ending: Vec<_> = plan.differences().filter(|(_, change)| ends(change)).map(|(group, _)| group.id).collect();
    let groups = ending.iter().collect::<BTreeSet<_>>().len() as u64;
    let text = format!("{} in {}", counted(ending.len() as u64, "member"), counted(groups, "group"));
    (!ending.is_empty()).then(|| Row::new(None, None, text)).into_iter().collect()
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
    shown.map(|(_, text)| Row::new(None, None, text.into())).collect()
}

fn difference((group, change): (&GroupPlan, &Change)) -> Row {
    let done = if change.action == Action::Add { "missing" } else { "to remove" };
    Row::new(None, Some(&group.name), format!("{} ({done})", name(&change.member)))
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
            let words = format!("{} {}", shell_word(&person), shell_word(group));
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
        // The line is in the files before the change.
        is_gone: matches!(later.what, LaterKind::JoinRemoved | LaterKind::LetGo),
        ..Row::new(Some(&later.origin), Some(&later.group), format!("{}: {what}{via}", later.person))
    }
}

fn left_out(left: &LeftOut) -> Row {
    let place = left.origin.as_ref().unwrap_or(&left.change.origin);
    let text = format!("{} is not {}: {}", name(&left.change.member), done(left.change.action), left.reason);
    // The lines at the tip are in other files than those that the page links to.
    Row { is_gone: left.origin.is_some(), ..Row::new(Some(place), Some(&left.group), text) }
}

fn refusal(refusal: &Refusal) -> Row {
    // Some messages name the place themselves.
    let place = refusal.origin.as_ref().filter(|origin| !refusal.message.contains(&origin.to_string()));
    let (guard, help) = (Some(refusal.guard), Some(refusal.help.clone()));
    Row { guard, help, ..Row::new(place, refusal.group.as_ref(), refusal.message.clone()) }
}

/// The held removals: those of expired access, and the others.
fn held<'a>(held: impl Iterator<Item = (&'a GroupName, &'a Change)>, blocked: &[Blocked]) -> (Vec<Row>, Vec<Row>) {
    let row = |(group, change): (&GroupName, &Change)| {
        let facts = words::end(change).into_iter().chain(words::facts(change)).map(|fact| format!(", {fact}"));
        let by = change.held_by.as_ref().map(|by| {
            let why = blocked.iter().find(|blocked| blocked.origin == *by);
            format!("; held by {by}{}", why.map(|why| format!(": {}", why.message)).unwrap_or_default())
        });
        let text = format!("{}{}{}", name(&change.member), facts.collect::<String>(), by.unwrap_or_default());
        Row::new(change.expired.map(|_| &change.origin), Some(group), text)
    };
    let (expired, others): (Vec<_>, Vec<_>) = held.partition(|(_, change)| change.expired.is_some());
    (expired.into_iter().map(row).collect(), others.into_iter().map(row).collect())
}

/// One row for each blocked entry, but one for all entries of a person whom the account does not have: the remedy is
/// the same for all of them.
fn blocked(blocked: &[Blocked], former: &PresentAddresses) -> Vec<Row> {
    let mut of_person: BTreeMap<&PersonRef, Vec<&Blocked>> = BTreeMap::new();
    for entry in blocked {
        if let Some(person) = unknown(entry) {
            of_person.entry(person).or_default().push(entry);
        }
    }
    let row = |entry: &Blocked| {
        let person = unknown(entry);
        // The first entry of a person takes them all.
        let entries = person.map_or_else(|| Some(vec![entry]), |person| of_person.remove(person))?;
        let (help, since) =
            (person.map(|person| remedies(person, former)), entries.iter().map(|entry| entry.since).min());
        let text = format!("{}{}", entry.message, others(entry, &entries));
        Some(Row { help, since: since.flatten(), ..Row::new(Some(&entry.origin), Some(&entry.group), text) })
    };
    blocked.iter().filter_map(row).collect()
}

/// The other lines of a person with their groups. A line of a roster is named once.
fn others(first: &Blocked, entries: &[&Blocked]) -> String {
    let mut lines: BTreeMap<&Origin, Vec<&str>> = BTreeMap::new();
    for entry in entries.iter().skip(1) {
        lines.entry(&entry.origin).or_default().push(entry.group.as_str());
    }
    let own = lines.remove(&first.origin).map(|groups| format!("; also in {}", groups.join(", ")));
    let others = lines.iter().map(|(line, groups)| format!("; also {line} in {}", groups.join(", ")));
    own.into_iter().chain(others).collect()
}

/// The person whom the account does not have, if this is why the entry is blocked.
fn unknown(blocked: &Blocked) -> Option<&PersonRef> {
    blocked.entry.as_ref().filter(|_| matches!(blocked.reason, BlockedReason::UnknownPerson { .. }))
}

/// What to do about a person who is not a member of the account.
fn remedies(person: &PersonRef, former: &PresentAddresses) -> String {
    let old = shell_word(&person.to_string());
    let remove = format!("`convoke revoke {old} --everywhere`");
    let found = former.get(person).map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        return format!("invite the person; or correct the address in the files; or remove it with {remove}");
    }
    let renames = found.iter().map(|new| format!("`convoke rename {old} {}`", shell_word(new)));
    let renames = renames.collect::<Vec<_>>().join(" or ");
    let domain = |address: &str| address.rsplit('@').next().map(str::to_ascii_lowercase);
    let is_typo = found.iter().all(|new| domain(new) == domain(&person.to_string()));
    let why = if is_typo { "correct the address" } else { "the address may have changed" };
    format!("{why}: {renames}; else invite the person, or remove the address with {remove}")
}

/// The people who are not members of the account and are not known by another address, each once.
fn to_invite(plan: &Plan, former: &PresentAddresses) -> Vec<Row> {
    let people = plan.blocked.iter().filter_map(|blocked| match (&blocked.entry, &blocked.reason) {
        (Some(person @ PersonRef::Email(_)), BlockedReason::UnknownPerson { similar, .. }) => {
            (similar.is_empty() && former.get(person).is_none_or(Vec::is_empty)).then(|| person.to_string())
        }
        _ => None,
    });
    people.collect::<BTreeSet<String>>().into_iter().map(|person| Row::new(None, None, person)).collect()
}

fn warning(warning: &PlanWarning) -> Row {
    Row { help: Some(warning.help.clone()), ..Row::new(warning.origin.as_ref(), None, warning.message.clone()) }
}

fn expiring(expiring: &Expiring) -> Row {
    let text = format!("{} until {}", expiring.person, last_day(expiring.until));
    Row::new(Some(&expiring.origin), Some(&expiring.group), text)
}

fn unmanaged(group: &GroupRef) -> Row {
    Row::new(None, Some(&group.name.shown().into()), group.id.to_string())
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
    let text = if change.group.is_none() { format!("settings: {text}") } else { text };
    Row { is_gone: change.after.is_none(), ..Row::new(change.origin.as_ref(), change.group.as_ref(), text) }
}
