//! Reads every group of a saved plan again before the first write.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::Present;
use crate::cloudflare::{ApiError, ApiErrorKind, Client, GroupRef};
use crate::model::{GroupName, MemberId};
use crate::plan::{Freshness, Plan};

/// Whether a saved plan can still be carried out.
#[derive(Clone, Debug)]
pub enum Recheck {
    /// Every group is what the plan saw, but for changes the plan makes anyway. With the members as they are now.
    Fresh(Present),
    /// Some groups are not.
    Stale(Vec<StaleGroup>),
}

/// A group that is no longer what the plan saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleGroup {
    /// The group.
    pub name: GroupName,
    /// How it differs.
    pub difference: Result<(BTreeSet<MemberId>, BTreeSet<MemberId>), Gone>,
}

/// The group is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Reads every group of the plan and compares it with what the plan saw.
///
/// # Errors
///
/// Fails where a group cannot be read whole.
pub async fn recheck(client: &Client, plan: &Plan) -> Result<Recheck, ApiError> {
    let reading = plan.groups.iter().map(async |group| {
        let target = GroupRef { id: group.id, name: group.name.clone() };
        client.group_members(&target).await
    });
    let answers = join_all(reading).await;
    let (mut present, mut stale) = (Present::new(), Vec::new());
    for (group, answer) in plan.groups.iter().zip(answers) {
        let members: BTreeSet<MemberId> = match answer {
            Ok(members) => members.into_keys().collect(),
            Err(error) if error.kind() == ApiErrorKind::NotFound => {
                stale.push(StaleGroup { name: group.name.clone(), difference: Err(Gone) });
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Freshness::Stale { added, removed } = group.freshness(&members) {
            stale.push(StaleGroup { name: group.name.clone(), difference: Ok((added, removed)) });
        }
        present.insert(group.id, members);
    }
    Ok(if stale.is_empty() { Recheck::Fresh(present) } else { Recheck::Stale(stale) })
}
