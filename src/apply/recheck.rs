//! Reads every group of a saved plan again before the first write.

use futures_util::future::join_all;

use super::Present;
use crate::cloudflare::{ApiError, ApiErrorKind, Client};
use crate::model::GroupRef;
use crate::plan::{Freshness, Plan};
use crate::report::{Difference, StaleGroup};

/// Whether a saved plan can still be carried out.
#[derive(Clone, Debug)]
pub enum Recheck {
    /// Every group is what the plan saw, but for changes the plan makes anyway. With the members as they are now.
    Fresh(Present),
    /// Some groups are not.
    Stale(Vec<StaleGroup>),
}

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
        let members = match answer {
            Ok(members) => members,
            Err(error) if error.kind() == ApiErrorKind::NotFound => {
                stale.push(StaleGroup { name: group.name.clone(), difference: None });
                continue;
            }
            Err(error) => return Err(error),
        };
        let ids = members.keys().copied().collect();
        if let Freshness::Stale { added, removed } = group.freshness(&ids) {
            let difference = Some(Difference::new(group, &members, &added, &removed));
            stale.push(StaleGroup { name: group.name.clone(), difference });
        }
        present.insert(group.id, ids);
    }
    Ok(if stale.is_empty() { Recheck::Fresh(present) } else { Recheck::Stale(stale) })
}
