//! Hashes of a set of members and of a plan.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{Result as Written, Write};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::change::TouchedGroup;
use super::contents::{Action, LeftOut, LeftOutKind};
use super::group::GroupPlan;
use crate::model::{AccountId, MemberId, Window};

#[derive(Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9a-f]{64}$"))]
pub struct Digest([u8; 32]);

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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const INVALID: &str = "a digest has 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(INVALID);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            let pair = text.get(at..at + 2).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).map_err(|_| INVALID)?;
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

crate::model::serialize_as_text!(Digest);

/// The hash of a set of members. Equal sets have equal fingerprints. The ids must be sorted.
pub fn fingerprint<'a>(members: impl IntoIterator<Item = &'a MemberId>) -> Digest {
    let lines: String = members.into_iter().flat_map(|id| [id.as_str(), "\n"]).collect();
    Digest::of(lines.as_bytes())
}

/// Identifies what a plan does. It covers the account and, for each group that the plan changes, its id, its name,
/// who joins and who leaves. Nothing else counts, so that unrelated changes do not make a reviewed plan stale. What a
/// run of `--due` leaves out counts as planned.
pub(super) fn digest(account_id: AccountId, groups: &[GroupPlan], left_out: &[LeftOut]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(format!("convoke plan 2\naccount {account_id}\n"));
    let mut groups: Vec<&GroupPlan> = groups.iter().collect();
    groups.sort_by_key(|group| (group.id, &group.name));
    for group in groups {
        let left = left_out.iter().filter(|it| matches!(it.kind, LeftOutKind::Guard | LeftOutKind::Cap));
        let left = left.filter(|it| it.group == group.name).map(|it| &it.change);
        let changes: BTreeSet<(Action, MemberId)> =
            group.carried_out().chain(left).map(|change| (change.action, change.member.id)).collect();
        if changes.is_empty() {
            continue;
        }
        // With the length, a name with a line break cannot be confused with other content.
        hash.update(format!("group {} {} {}\n", group.id, group.name.as_str().len(), group.name.as_str()));
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
        assert_eq!("+1".repeat(32).parse::<Digest>(), Err("a digest has 64 hexadecimal digits"));
        assert_eq!("é".repeat(32).parse::<Digest>(), Err("a digest has 64 hexadecimal digits"));
        assert_eq!("".parse::<Digest>(), Err("a digest has 64 hexadecimal digits"));
    }
}
