//! What the files declare.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{AccountId, Email, GroupId, MemberId, Origin, RosterUse};

/// All that the files declare, merged and checked.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The account, where a file names it.
    pub account_id: Option<Setting<AccountId>>,
    /// What governs the plan as a whole.
    pub settings: Settings,
    /// The declared groups by name.
    pub groups: BTreeMap<GroupName, DesiredGroup>,
}

/// A value together with where it was set.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where a file set it; absent for a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl<T> Setting<T> {
    /// A value that no file set.
    pub const fn preset(value: T) -> Self {
        Self { value, origin: None }
    }
}

/// The `settings` of the files: the policy that guards a plan.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much one plan may remove.
    pub limits: Limits,
    /// Who is never removed from any group.
    pub protected: Vec<Protected>,
    /// What becomes of groups that no file declares.
    pub unmanaged_groups: Setting<Unmanaged>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), protected: Vec::new(), unmanaged_groups: Setting::preset(Unmanaged::Ignore) }
    }
}

/// How much one plan may remove.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most removals from one group, of its present members.
    pub group_removals: Setting<Limit>,
    /// The most removals in all, of all present memberships of the groups in the plan.
    pub total_removals: Setting<Limit>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            group_removals: Setting::preset(Limit::Percent { hundredths: 2500 }),
            total_removals: Setting::preset(Limit::Percent { hundredths: 1000 }),
        }
    }
}

/// A bound on removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// So many removals.
    Count(u64),
    /// A share of what is there.
    Percent {
        /// Hundredths of a percent, from 0 to 10,000.
        hundredths: u32,
    },
}

impl Limit {
    /// How many removals the limit allows where `present` memberships are there. A percentage is rounded down and
    /// never comes to less than `least`.
    #[must_use]
    pub fn allows(self, present: u64, least: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent { hundredths } => {
                let share = u128::from(present) * u128::from(hundredths) / 10_000;
                u64::try_from(share).unwrap_or(u64::MAX).max(least)
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent { hundredths } => {
                let (whole, part) = (hundredths / 100, hundredths % 100);
                match part {
                    0 => write!(f, "{whole}%"),
                    _ if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
                    _ => write!(f, "{whole}.{part:02}%"),
                }
            }
        }
    }
}

/// An entry of `settings.protected`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    /// Who is protected.
    pub person: PersonRef,
    /// Where that is said.
    pub origin: Origin,
}

/// What becomes of groups of the account that no file declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmanaged {
    /// Nothing is said of them.
    Ignore,
    /// They are listed.
    Report,
    /// They are listed, and the plan is refused.
    Refuse,
}

/// The name of a user group.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct GroupName(pub Arc<str>);

impl GroupName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for GroupName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A declared group.
#[derive(Clone, Debug)]
pub struct DesiredGroup {
    /// Where its key stands.
    pub origin: Origin,
    /// The group's id, where the file pins it.
    pub pin: Option<Setting<GroupId>>,
    /// What the list means.
    pub mode: Mode,
    /// Where the list of members stands.
    pub members_origin: Origin,
    /// The list with all rosters expanded, in the order of the files. A person can be in it more than once: through
    /// several rosters, or by email and by id.
    pub members: Vec<DesiredMember>,
    /// A plan that would leave fewer members is refused.
    pub min_members: Option<Setting<u64>>,
    /// Whether the group may become empty.
    pub allow_empty: Setting<bool>,
    /// Overrides the limit of the settings.
    pub group_removals: Option<Setting<Limit>>,
}

/// What a group's list means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The list is the whole truth.
    #[default]
    Exact,
    /// Who is missing is added; nobody is removed.
    Additive,
    /// The difference is reported; nothing is written.
    Observe,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Additive => "additive",
            Self::Observe => "observe",
        })
    }
}

/// A person as a file names them.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PersonRef {
    /// By email address.
    Email(Email),
    /// By the account member's id.
    Id(MemberId),
}

impl fmt::Display for PersonRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(email) => email.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// One declared membership.
#[derive(Clone, Debug)]
pub struct DesiredMember {
    /// Who.
    pub person: PersonRef,
    /// Where the person stands: in the group's list or in a roster.
    pub origin: Origin,
    /// The rosters that lead from the group's list to the person, outermost first; nothing for the group's own list.
    pub via: Option<Arc<[RosterUse]>>,
    /// From when, until when and why, where the file says so.
    pub terms: Option<Box<Terms>>,
}

impl DesiredMember {
    /// Whether the person belongs at this time.
    #[must_use]
    pub fn belongs_at(&self, time: Timestamp) -> bool {
        self.terms.as_deref().is_none_or(|terms| terms.window.contains(time))
    }

    /// The first instant after the membership, where the file ends it.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.terms.as_deref().and_then(|terms| terms.window.until)
    }
}

/// The conditions of a membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When the person belongs.
    pub window: Window,
    /// Why, in the words of the file.
    pub reason: Option<Arc<str>>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first instant inside.
    pub from: Option<Timestamp>,
    /// The first instant after.
    pub until: Option<Timestamp>,
}

impl Window {
    /// Whether the instant lies inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_down_and_never_falls_below_its_least() {
        let quarter = Limit::Percent { hundredths: 2500 };
        assert_eq!(quarter.allows(0, 1), 1);
        assert_eq!(quarter.allows(3, 1), 1);
        assert_eq!(quarter.allows(7, 1), 1);
        assert_eq!(quarter.allows(8, 1), 2);
        assert_eq!(quarter.allows(10, 5), 5);
        assert_eq!(Limit::Count(0).allows(100, 5), 0);
    }

    #[test]
    fn a_limit_reads_as_it_is_written() {
        let shown = |hundredths| Limit::Percent { hundredths }.to_string();
        assert_eq!([shown(2500), shown(250), shown(205)], ["25%", "2.5%", "2.05%"]);
        assert_eq!(Limit::Count(7).to_string(), "7");
    }

    #[test]
    fn a_window_holds_its_first_instant_and_not_its_last() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = Window { from: Some(at("2026-12-01T00:00:00Z")), until: Some(at("2027-01-01T00:00:00Z")) };
        assert!(!window.contains(at("2026-11-30T23:59:59Z")));
        assert!(window.contains(at("2026-12-01T00:00:00Z")));
        assert!(window.contains(at("2026-12-31T23:59:59Z")));
        assert!(!window.contains(at("2027-01-01T00:00:00Z")));
    }
}
