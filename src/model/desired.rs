//! What the files declare.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{AccountId, Email, GroupId, MemberId, Origin, Period, RosterUse, Window};

/// All declarations of the files, merged and checked. The groups' [`Rules`] are checked separately, because that
/// depends on the time.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    pub account_id: Option<Setting<AccountId>>,
    pub settings: Settings,
    pub groups: BTreeMap<GroupName, DesiredGroup>,
    /// The rosters that no group uses, directly or through other rosters, and their places.
    pub unused_rosters: BTreeMap<Arc<str>, Origin>,
}

impl Desired {
    /// The number of memberships that exact and additive groups declare for this time, a person once a group.
    pub fn memberships_at(&self, time: Timestamp) -> u64 {
        let people = |group: &DesiredGroup| {
            let present = group.members.iter().filter(|entry| entry.belongs_at(time));
            present.map(|entry| &entry.person).collect::<BTreeSet<_>>().len() as u64
        };
        self.groups.values().filter(|group| group.mode != Mode::Observe).map(people).sum()
    }

    /// The domains that addresses may have in a group, unless they may have any.
    pub fn domains_of<'d>(&'d self, group: &'d DesiredGroup) -> Option<&'d Setting<Vec<String>>> {
        let domains = group.rules.email_domains.as_ref().or(self.settings.email_domains.as_ref());
        domains.filter(|domains| !domains.value.is_empty())
    }
}

/// A value, and the place where it was set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting<T> {
    pub value: T,
    /// The place in a file; missing for a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl<T> Setting<T> {
    /// A default that no file sets.
    pub const fn preset(value: T) -> Self {
        Self { value, origin: None }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub limits: Limits,
    /// People who are never removed from any group.
    pub protected: Vec<Protected>,
    pub unmanaged_groups: Setting<Unmanaged>,
    /// Whether `drift` reports roles and policies that people have beside their groups.
    pub reports_direct_access: bool,
    /// The domains that addresses may have in groups without a list of their own. None means any.
    pub email_domains: Option<Setting<Vec<String>>>,
}

/// The limits on the removals of one plan.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of removals from one group, relative to its present members.
    pub group_removals: Setting<Limit>,
    /// The maximum number of removals in total, relative to the memberships that the files declare.
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

/// A maximum number of removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    Count(u64),
    Percent {
        /// Hundredths of a percent, from 0 to 10,000.
        hundredths: u32,
    },
}

impl Limit {
    /// The number of removals that the limit allows for `present` memberships. A percentage is rounded down, but
    /// allows at least `least` removals, so that small groups can be changed. `0%` allows none, `100%` any number.
    pub fn allows(self, present: u64, least: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent { hundredths: 0 } => 0,
            Self::Percent { hundredths: 10_000.. } => u64::MAX,
            Self::Percent { hundredths } => (present.saturating_mul(u64::from(hundredths)) / 10_000).max(least),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent { hundredths } => write!(f, "{}%", f64::from(*hundredths) / 100.0),
        }
    }
}

/// An entry of `settings.protected`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    pub person: PersonRef,
    pub origin: Origin,
}

/// What a plan does if the account has groups that no file declares.
///
/// Ordered by strictness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmanaged {
    #[default]
    Ignore,
    Report,
    Refuse,
}

impl fmt::Display for Unmanaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct GroupName(pub Arc<str>);

impl GroupName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For people: the API may show no name.
    pub fn shown(&self) -> &str {
        if self.0.is_empty() { "name unknown" } else { &self.0 }
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

#[derive(Clone, Debug)]
pub struct DesiredGroup {
    /// The place of its name.
    pub origin: Origin,
    /// The group's id, if the file pins it.
    pub pin: Option<Setting<GroupId>>,
    pub mode: Mode,
    pub members_origin: Origin,
    /// The list with all rosters expanded, in the order of the files. A person can occur several times: through
    /// several rosters, or by email and by id.
    pub members: Vec<DesiredMember>,
    /// Entries of rosters that have no time in common with the uses of the roster. They mean nothing.
    pub never: Vec<DesiredMember>,
    /// The `- roster:` entries without a reason of the group's own list, in order.
    pub rosters_without_reason: Vec<RosterUse>,
    /// A plan that would leave fewer members is refused.
    pub min_members: Option<Setting<u64>>,
    pub allow_empty: Setting<bool>,
    pub group_removals: Option<Setting<Limit>>,
    pub rules: Rules,
    /// What membership gives, if the file pins it: see [`super::Permission::is`].
    pub permissions: Option<Setting<Vec<String>>>,
    pub description: Option<String>,
    /// The addresses, and the names of rosters, of those who decide about the group.
    pub owners: Vec<Setting<String>>,
}

impl DesiredGroup {
    /// The id that the file pins.
    pub fn pinned(&self) -> Option<GroupId> {
        self.pin.as_ref().map(|pin| pin.value)
    }

    pub fn about(&self) -> About {
        let owners = self.owners.iter().map(|owner| owner.value.clone()).collect();
        About { description: self.description.clone(), owners }
    }
}

/// What the files tell people about a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct About {
    /// One line; null if there is none.
    pub description: Option<String>,
    /// The addresses and rosters of those who decide about the group.
    pub owners: Vec<String>,
}

impl About {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owners = (!self.owners.is_empty()).then(|| format!("owners: {}", self.owners.join(", ")));
        let parts: Vec<String> = self.description.iter().cloned().chain(owners).collect();
        f.write_str(&parts.join("; "))
    }
}

/// A group's rules for the entries that declare its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Every entry ends, at most this long after it begins.
    pub max_duration: Option<Setting<Period>>,
    /// Every entry of the group's own list has a reason. The origin is that of `require_reason: true`.
    pub require_reason: Option<Origin>,
    /// Nobody belongs to this group and to one of these at the same time. Each with its place.
    pub exclusive_with: BTreeMap<GroupName, Origin>,
    /// The domains that addresses may have here, instead of those of the settings. None, or an empty list, means any.
    pub email_domains: Option<Setting<Vec<String>>>,
}

// The mode that decides most comes first, so that modes can be compared.
/// What a group's list means.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The list is complete: missing people are added, and everybody else is removed.
    #[default]
    Exact,
    /// Missing people are added. Only people whose `until` has passed are removed.
    Additive,
    /// The difference is reported, and nothing is written.
    Observe,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A person as a file names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PersonRef {
    Email(Email),
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

impl FromStr for PersonRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let message = |error| format!("use an email address, or a member id of 32 hexadecimal digits: {error}");
        Email::declared(text).map(Self::Email).map_err(message)
    }
}

#[derive(Clone, Debug)]
pub struct DesiredMember {
    pub person: PersonRef,
    /// The entry that names the person, in the group's list or in a roster.
    pub origin: Origin,
    /// The rosters from the group's list to the entry, outermost first; `None` for the group's own list.
    pub via: Option<Arc<[RosterUse]>>,
    pub terms: Option<Box<Terms>>,
}

impl DesiredMember {
    pub fn window(&self) -> Window {
        self.terms.as_deref().map(|terms| terms.window).unwrap_or_default()
    }

    pub fn belongs_at(&self, time: Timestamp) -> bool {
        self.window().contains(time)
    }

    /// Whether the membership is over at this time.
    pub fn has_ended(&self, time: Timestamp) -> bool {
        self.until().is_some_and(|until| until <= time)
    }

    /// The first instant of the membership, if the file has one.
    pub fn from(&self) -> Option<Timestamp> {
        self.window().from
    }

    /// The first instant after the membership, if the file has one.
    pub fn until(&self) -> Option<Timestamp> {
        self.window().until
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub window: Window,
    /// Whether `until` is written as a date. The membership then includes that day.
    pub until_is_date: bool,
    /// The reason of the entry itself, or of the nearest `- roster:` entry.
    pub reason: Option<Arc<str>>,
}

impl Terms {
    /// These terms of an entry in a roster, as far as the terms of the `- roster:` entry allow.
    pub fn within(&self, outer: &Self) -> Self {
        let outer_ends_first = outer.window.until.is_some_and(|end| self.window.until.is_none_or(|own| end < own));
        Self {
            window: self.window.within(outer.window),
            until_is_date: if outer_ends_first { outer.until_is_date } else { self.until_is_date },
            reason: self.reason.as_ref().or(outer.reason.as_ref()).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentage_has_a_minimum_unless_zero() {
        let quarter = Limit::Percent { hundredths: 2500 };
        assert_eq!(quarter.allows(0, 1), 1);
        assert_eq!(quarter.allows(3, 1), 1);
        assert_eq!(quarter.allows(7, 1), 1);
        assert_eq!(quarter.allows(8, 1), 2);
        assert_eq!(quarter.allows(10, 5), 5);
        assert_eq!(Limit::Count(0).allows(100, 5), 0);
        assert_eq!(Limit::Percent { hundredths: 0 }.allows(100, 5), 0);
        assert_eq!(Limit::Percent { hundredths: 1 }.allows(100, 5), 5);
        assert_eq!(Limit::Percent { hundredths: 10_000 }.allows(2, 1), u64::MAX);
    }

    #[test]
    fn a_limit_reads_as_it_is_written() {
        let shown = |hundredths| Limit::Percent { hundredths }.to_string();
        assert_eq!([shown(2500), shown(250), shown(205)], ["25%", "2.5%", "2.05%"]);
        assert_eq!(Limit::Count(7).to_string(), "7");
    }
}
