//! Hashes of a set of members and of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Result as Written, Write};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::change::TouchedGroup;
use super::contents::{Action, LeftOut, LeftOutKind};
use super::group::GroupPlan;
use crate::model::{AccountId, GroupId, GroupName, MemberId, Window};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 hexadecimal digits")]
pub struct DigestError;

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes a value as compact JSON, without keeping the text in memory.
    pub(super) fn of_json(value: &impl serde::Serialize) -> Self {
        let mut text = Hashing(Sha256::new());
        // A value that cannot be serialized still has a hash, which makes the comparison fail.
        let _ = serde_json::to_writer(&mut text, value);
        Self(text.0.finalize().into())
    }
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> Written<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Written<()> {
        Ok(())
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(DigestError);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16)).ok_or(DigestError);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| DigestError)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

/// The hash of a set of members. Equal sets have equal fingerprints. The ids must be sorted.
pub fn fingerprint<'a>(members: impl IntoIterator<Item = &'a MemberId>) -> Digest {
    let members = members.into_iter();
    let mut lines = String::with_capacity(members.size_hint().0 * 33);
    for id in members {
        lines.push_str(id.as_str());
        lines.push('\n');
    }
    Digest(Sha256::digest(lines).into())
}

/// Identifies what a plan does. It covers the account and, for each group that the plan changes, its id, its name,
/// who joins and who leaves. Nothing else counts, so that unrelated changes do not make a reviewed plan stale. What a
/// run of `--due` leaves out counts as planned.
pub(super) fn digest(account_id: AccountId, groups: &[GroupPlan], left_out: &[LeftOut]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(format!("convoke plan 2\naccount {account_id}\n"));
    let ids: BTreeMap<&GroupName, GroupId> = groups.iter().map(|group| (&group.name, group.id)).collect();
    let left = left_out.iter().filter(|it| matches!(it.kind, LeftOutKind::Guard | LeftOutKind::Cap));
    let left = left.filter_map(|it| Some((*ids.get(&it.group)?, &it.group, &it.change)));
    let planned = groups.iter().flat_map(|group| group.carried_out().map(move |it| (group.id, &group.name, it)));
    let mut changes: BTreeMap<(GroupId, &GroupName), BTreeSet<(Action, MemberId)>> = BTreeMap::new();
    for (id, name, change) in planned.chain(left) {
        changes.entry((id, name)).or_default().insert((change.action, change.member.id));
    }
    for ((id, name), changes) in changes {
        // With the length, a name with a line break cannot be confused with other content.
        hash.update(format!("group {id} {} {}\n", name.as_str().len(), name.as_str()));
        for (action, id) in changes {
            let sign = if action == Action::Add { '+' } else { '-' };
            hash.update(format!("{sign}{id}\n"));
        }
    }
    Digest(hash.finalize().into())
}

/// Identifies what a plan of only a change does, by what the files say. See [`TouchedGroup`].
pub(super) fn digest_of_change(account_id: AccountId, touched: &[TouchedGroup]) -> Digest {
    let instant = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(format!("convoke change 1\naccount {account_id}\n"));
    for TouchedGroup { id, name, memberships } in touched {
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        hash.update(format!("group {id} {} {}\n", name.as_str().len(), name.as_str()));
        for (person, times) in memberships {
            hash.update(format!("member {} {person}\n", person.len()));
            for Window { from, until } in times {
                hash.update(format!("in {}/{}\n", instant(*from), instant(*until)));
            }
        }
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_digest_reads_back() {
        let digest = Digest::of(b"convoke");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("+1".repeat(32).parse::<Digest>(), Err(DigestError));
        assert_eq!("é".repeat(32).parse::<Digest>(), Err(DigestError));
        assert_eq!("".parse::<Digest>(), Err(DigestError));
    }
}
