//! Who made a change that no file declares, as far as the audit log proves it.
//!
//! The log is late, has gaps, and does not have the values before and after a change. A missing entry therefore
//! proves nothing, and an entry that does not name the member is at most probable.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::Action;
use crate::model::{GroupId, MemberId};

/// An entry this close to the recorded beginning of a membership belongs to it. The two times come from different
/// clocks.
const CLOSE: SignedDuration = SignedDuration::from_mins(5);

/// A change of a group's members in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedChange {
    pub group: GroupId,
    pub time: Option<Timestamp>,
    pub effect: RecordedEffect,
    pub by: Author,
}

/// The effect of a request, by its entry in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedEffect {
    /// Adds these members; `None` if the entry does not name them.
    Added(Option<Vec<MemberId>>),
    /// Replaces all members with these; `None` if the entry does not name them.
    Replaced(Option<Vec<MemberId>>),
    Removed(MemberId),
    Unknown,
}

/// Who sent a request, by the log. The texts are not escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// An address, or the name of a token; null if the entry has none.
    pub actor: Option<String>,
    pub kind: AuthorKind,
    /// The CI run, if convoke sent the request and knew its run.
    pub run: Option<String>,
    /// The request's `cf-ray`.
    pub ray: Option<String>,
}

/// How the author reached the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    Dashboard,
    Token,
    ApiKey,
    /// An identity provider, over SCIM.
    IdentityProvider,
    /// A run of convoke.
    Convoke,
    /// The API, without saying how.
    Api,
    /// An application that the actor allowed to act for them.
    OauthApp,
    /// Cloudflare itself, or a service that acts for the account.
    Service,
    /// The entry does not say, or the context is unknown.
    Other,
}

/// The author of a change, and how sure that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attribution {
    /// Whether the entry names the member as added or removed, and no other entry can have done that.
    pub certain: bool,
    pub time: Option<Timestamp>,
    #[serde(flatten)]
    pub by: Author,
}

/// The author of one difference: of the addition of an unexpected member, or of the removal of a missing one.
/// `action` is the planned change. `recorded` can be in any order.
pub fn attribute(
    recorded: &[RecordedChange],
    group: GroupId,
    member: MemberId,
    action: Action,
    added_at: Option<Timestamp>,
) -> Option<Attribution> {
    let is_near = |time: Timestamp| added_at.is_none_or(|added| added.duration_since(time).abs() <= CLOSE);
    let of_group = recorded.iter().filter(|change| change.group == group);
    let mut changes: Vec<&RecordedChange> =
        of_group.filter(|change| change.time.map_or(added_at.is_none(), is_near)).collect();
    changes.sort_by_key(|change| change.time);
    let (wanted, opposite) = match action {
        Action::Remove => (Meaning::Joined, Meaning::Left),
        Action::Add => (Meaning::Left, Meaning::Joined),
    };
    let mut all: Vec<(&RecordedChange, Meaning)> =
        changes.into_iter().filter_map(|change| Some((change, meaning(&change.effect, member, wanted)?))).collect();
    // Only what came after the last opposite change can have made the difference.
    let last = all.iter().rposition(|(_, meaning)| *meaning == opposite);
    let all = all.split_off(last.map_or(0, |last| last + 1));
    // Whether other entries could have made the same change.
    let (change, is_doubtful) = match all.iter().position(|(_, meaning)| *meaning == wanted) {
        None => (all.last()?.0, true),
        Some(place) => {
            let (earlier, rest) = all.split_at(place);
            // A removal of somebody who has left is refused, and not recorded. An addition may have had no effect.
            let is_second = earlier.last().is_some_and(|it| action == Action::Remove || it.0.time.is_none());
            (rest.first()?.0, is_second || rest.len() > 1)
        }
    };
    let is_single = match &change.effect {
        RecordedEffect::Added(Some(_)) => added_at.is_some(),
        effect => matches!(effect, RecordedEffect::Removed(_)),
    };
    let certain = is_single && !is_doubtful && change.time.is_some();
    Some(Attribution { certain, time: change.time, by: change.by.clone() })
}

/// What a recorded change means for one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Joined,
    Left,
    Unclear,
}

fn meaning(effect: &RecordedEffect, member: MemberId, wanted: Meaning) -> Option<Meaning> {
    match effect {
        RecordedEffect::Added(Some(members)) => members.contains(&member).then_some(Meaning::Joined),
        RecordedEffect::Replaced(Some(members)) if members.contains(&member) => Some(Meaning::Joined),
        RecordedEffect::Replaced(Some(_)) => Some(Meaning::Left),
        RecordedEffect::Removed(removed) => (*removed == member).then_some(Meaning::Left),
        // An addition never removes anybody, whomever it names.
        RecordedEffect::Added(None) if wanted == Meaning::Left => None,
        RecordedEffect::Added(None) | RecordedEffect::Replaced(None) | RecordedEffect::Unknown => {
            Some(Meaning::Unclear)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> MemberId {
        format!("{number:032x}").parse().unwrap()
    }

    fn group(number: u8) -> GroupId {
        format!("{number:032x}").parse().unwrap()
    }

    fn by(actor: &str) -> Author {
        Author { actor: Some(actor.into()), kind: AuthorKind::Dashboard, run: None, ray: None }
    }

    fn change(minute: u8, effect: RecordedEffect, actor: &str) -> RecordedChange {
        let time = format!("2026-11-20T14:{minute:02}:00Z").parse().ok();
        RecordedChange { group: group(1), time, effect, by: by(actor) }
    }

    fn added(member: u8) -> RecordedEffect {
        RecordedEffect::Added(Some(vec![id(member)]))
    }

    fn author(recorded: &[RecordedChange], action: Action, added_at: Option<&str>) -> Option<(String, bool)> {
        let added_at = added_at.map(|time| time.parse().unwrap());
        let found = attribute(recorded, group(1), id(7), action, added_at)?;
        Some((found.by.actor.unwrap_or_default(), found.certain))
    }

    const AT_2: Option<&str> = Some("2026-11-20T14:02:01Z");

    #[test]
    fn certain_addition_names_the_member_and_has_its_time() {
        let log = [change(2, added(7), "dana"), change(3, added(8), "eve")];
        assert_eq!(author(&log, Action::Remove, AT_2), Some(("dana".into(), true)));
        assert_eq!(author(&log, Action::Remove, None), Some(("dana".into(), false)));
    }

    #[test]
    fn change_that_others_could_have_made_is_probable() {
        let replaced = || RecordedEffect::Replaced(Some(vec![id(7), id(8)]));
        for other in [replaced(), added(7), RecordedEffect::Unknown, RecordedEffect::Added(None)] {
            let log = [change(3, other, "ci"), change(2, added(7), "dana")];
            assert_eq!(author(&log, Action::Remove, AT_2), Some(("dana".into(), false)), "{log:?}");
        }
        let log = [change(1, RecordedEffect::Unknown, "ci"), change(2, added(7), "dana")];
        assert_eq!(author(&log, Action::Remove, AT_2), Some(("dana".into(), false)));
        assert_eq!(author(&[change(2, replaced(), "ci")], Action::Remove, AT_2), Some(("ci".into(), false)));

        let without = || RecordedEffect::Replaced(Some(vec![id(8)]));
        for other in [without(), RecordedEffect::Unknown, RecordedEffect::Replaced(None)] {
            let log = |minute| [change(minute, other.clone(), "ci"), change(2, RecordedEffect::Removed(id(7)), "dana")];
            assert_eq!(author(&log(3), Action::Add, None), Some(("dana".into(), false)), "{other:?}");
        }
        // A removal of somebody who was already removed would not be recorded.
        let log = [change(1, RecordedEffect::Unknown, "ci"), change(2, RecordedEffect::Removed(id(7)), "dana")];
        assert_eq!(author(&log, Action::Add, None), Some(("dana".into(), true)));
    }

    #[test]
    fn request_before_the_last_removal_does_not_count() {
        let removed = RecordedEffect::Removed(id(7));
        let log = [change(1, added(7), "dana"), change(2, removed.clone(), "eve")];
        assert_eq!(author(&log, Action::Remove, None), None);
        assert_eq!(author(&log, Action::Add, None), Some(("eve".into(), true)));
        let again = [log[0].clone(), log[1].clone(), change(3, added(7), "fay")];
        assert_eq!(author(&again, Action::Remove, AT_2), Some(("fay".into(), true)));
        assert_eq!(author(&again, Action::Add, None), None);
    }

    #[test]
    fn list_without_member_is_only_probable() {
        let log = [change(5, RecordedEffect::Replaced(Some(vec![id(8)])), "ci")];
        assert_eq!(author(&log, Action::Add, None), Some(("ci".into(), false)));
    }

    #[test]
    fn an_entry_without_names_is_probable() {
        let log = [change(5, RecordedEffect::Unknown, "idp")];
        assert_eq!(author(&log, Action::Remove, None), Some(("idp".into(), false)));
    }

    #[test]
    fn addition_without_names_removes_nobody() {
        let log = [change(5, RecordedEffect::Added(None), "eve")];
        assert_eq!(author(&log, Action::Add, None), None);
        assert_eq!(author(&log, Action::Remove, None), Some(("eve".into(), false)));
    }

    #[test]
    fn distant_log_entry_does_not_match() {
        let log = [change(5, added(7), "dana"), change(40, added(7), "eve")];
        assert_eq!(author(&log, Action::Remove, Some("2026-11-20T14:41:00Z")), Some(("eve".into(), true)));
        assert_eq!(author(&log, Action::Remove, Some("2026-11-21T14:41:00Z")), None);
    }

    #[test]
    fn entry_of_another_group_proves_nothing() {
        let mut other = change(5, added(7), "dana");
        other.group = group(2);
        assert_eq!(author(&[other], Action::Remove, None), None);
    }
}
