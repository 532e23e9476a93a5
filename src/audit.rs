//! Reads who changed a group from the audit log. Missing information stays unknown, and no run fails because of it.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cloudflare::{ApiError, AuditEntry, Client, without_password};
use crate::model::MemberId;
use crate::plan::{
    Author, AuthorKind, Beginnings, Change, GroupPlan, Plan, RecordedChange, RecordedEffect, Standing, attribute,
};

/// The maximum number of pages of the log in a run.
const MOST_PAGES: u64 = 10;

/// The maximum number of pages around known times, so that some remain for the other differences.
const MOST_NEAR_PAGES: u64 = 5;

/// The maximum number of members whose `added_at` is read, with one request each.
const MOST_LOOKUPS: usize = 100;

/// The time before and after a known time in which the log is read.
const AROUND: SignedDuration = SignedDuration::from_mins(5);

/// A time before this one is a placeholder, such as the year 1.
const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;

/// How far back the log is read if no time is known.
const BACK: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Notes in a plan when each unexpected member was added, and who made each difference. Sends no request if there is no
/// difference. Nobody makes a membership expire, so expired memberships are not looked up. Returns why the log could not
/// be read, if so.
pub async fn attribute_differences(client: &Client, plan: &mut Plan, now: Timestamp) -> Option<ApiError> {
    let beginnings = beginnings(client, plan, now).await;
    let mut log = Log { client, recorded: Vec::new(), pages: 0 };
    let mut read = log.read_around(&beginnings, now).await;
    let is_undated = |(group, change): (&GroupPlan, &Change)| {
        change.expired.is_none() && !beginnings.contains_key(&(group.id, change.member.id))
    };
    if read.is_ok() && plan.differences().any(is_undated) {
        read = log.read(now.checked_sub(BACK).unwrap_or(EARLIEST), now, MOST_PAGES).await;
    }
    for group in &mut plan.groups {
        let changes = group.changes.iter_mut().chain(&mut group.held);
        for change in changes.filter(|change| change.expired.is_none()) {
            change.added_at = beginnings.get(&(group.id, change.member.id)).copied();
            let by = attribute(&log.recorded, group.id, change.member.id, change.action, change.added_at);
            change.by = by.map(Box::new);
        }
    }
    read.err()
}

/// When each unexpected member was added. A time that cannot be true counts as unknown: a log that is asked about it
/// refuses, and would tell nothing about the others either.
async fn beginnings(client: &Client, plan: &Plan, now: Timestamp) -> Beginnings {
    // The clocks may differ.
    let latest = now.checked_add(AROUND).unwrap_or(now);
    let unexpected = plan.differences().filter(|(_, change)| Standing::of_change(change) == Standing::Undeclared);
    let asking = unexpected.take(MOST_LOOKUPS).map(async |(group, change)| {
        let detail = client.group_member(&group.reference(), change.member.id).await;
        if let Err(error) = &detail {
            tracing::info!(%error, "cannot tell when a member was added");
        }
        let added_at = detail.ok()??.added_at.filter(|time| (EARLIEST..=latest).contains(time))?;
        Some(((group.id, change.member.id), added_at))
    });
    join_all(asking).await.into_iter().flatten().collect()
}

/// The part of the log that was read.
struct Log<'a> {
    client: &'a Client,
    recorded: Vec<RecordedChange>,
    pages: u64,
}

impl Log<'_> {
    /// Reads the log around these times, the newest first. Close times share one reading.
    async fn read_around(&mut self, beginnings: &Beginnings, now: Timestamp) -> Result<(), ApiError> {
        let mut times: Vec<Timestamp> = beginnings.values().copied().collect();
        times.sort_unstable();
        for near in times.chunk_by(|one, next| next.duration_since(*one) <= AROUND * 2).rev() {
            let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
            let since = first.checked_sub(AROUND).unwrap_or(EARLIEST);
            let before = last.checked_add(AROUND).map_or(now, |end| end.min(now));
            if since < before {
                self.read(since, before, MOST_NEAR_PAGES).await?;
            }
        }
        Ok(())
    }

    /// Reads the entries between two times, until the run has read `most_pages` pages in total.
    async fn read(&mut self, since: Timestamp, before: Timestamp, most_pages: u64) -> Result<(), ApiError> {
        let mut cursor = None;
        while self.pages < most_pages {
            self.pages += 1;
            let page = self.client.audit_log(since, before, cursor.as_deref()).await?;
            // Two times can have a part of the log in common.
            for change in page.rows().iter().filter_map(recorded) {
                if !self.recorded.contains(&change) {
                    self.recorded.push(change);
                }
            }
            // A page that refers to itself would be read forever.
            cursor = page.cursor().filter(|next| cursor.as_ref() != Some(next));
            if cursor.is_none() || page.rows().is_empty() {
                break;
            }
        }
        Ok(())
    }
}

/// The change that an entry records; `None` if the request was not about members, failed, or changed nothing.
fn recorded(entry: &AuditEntry) -> Option<RecordedChange> {
    let has_failed = entry.text("/action/result").is_some_and(|result| !result.eq_ignore_ascii_case("success"))
        || entry.0.pointer("/raw/status_code").and_then(Value::as_u64).is_some_and(|status| status >= 400);
    let method = entry.text("/raw/method").unwrap_or_default().to_ascii_uppercase();
    if has_failed || method == "GET" {
        return None;
    }
    // The documentation does not say whether the URI begins with the host or with `/client/v4`, so its end is compared.
    let path = entry.text("/raw/uri")?.split(['?', '#']).next()?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (group, effect) = match (method.as_str(), segments.as_slice()) {
        ("POST", [.., "user_groups", group, "members"]) => (group, RecordedEffect::Added(members(&entry.body()))),
        ("PUT", [.., "user_groups", group, "members"]) => (group, RecordedEffect::Replaced(members(&entry.body()))),
        ("DELETE", [.., "user_groups", group, "members", member]) => {
            (group, RecordedEffect::Removed(member.parse().ok()?))
        }
        // SCIM sends bodies of another shape.
        (_, [.., "user_groups", group, "members"] | [.., "Groups", group]) => (group, RecordedEffect::Unknown),
        _ => return None,
    };
    let time = entry.text("/action/time").and_then(|time| time.parse().ok());
    Some(RecordedChange { group: group.parse().ok()?, time, effect, by: author(entry, &segments) })
}

/// The members in a body, if every element is one.
fn members(body: &Value) -> Option<Vec<MemberId>> {
    body.as_array()?.iter().map(|member| member.get("id")?.as_str()?.parse().ok()).collect()
}

fn author(entry: &AuditEntry, path: &[&str]) -> Author {
    let context = entry.text("/actor/context").unwrap_or_default().to_ascii_lowercase();
    let token = entry.text("/actor/token_name").or_else(|| entry.text("/actor/token_id"));
    // Anybody can send the user agent of convoke.
    let is_token = context == "api_token" || (token.is_some() && !context.starts_with("dash"));
    let run = entry.text("/raw/user_agent").filter(|agent| is_token && agent.starts_with("convoke/"));
    let kind_says = |word: &str| entry.text("/actor/type").is_some_and(|kind| kind.to_ascii_lowercase().contains(word));
    let kind = match context.as_str() {
        _ if run.is_some() => AuthorKind::Convoke,
        _ if path.contains(&"scim") || context.contains("scim") || kind_says("scim") => AuthorKind::IdentityProvider,
        "dash" | "dashboard" => AuthorKind::Dashboard,
        "api_token" => AuthorKind::Token,
        "api_key" | "origin_ca_key" => AuthorKind::ApiKey,
        "oauth" => AuthorKind::OauthApp,
        _ if ["delegated_service", "system", "cloudflare_admin"].into_iter().any(kind_says) => AuthorKind::Service,
        "api" => AuthorKind::Api,
        _ => AuthorKind::Other,
    };
    let name = match kind {
        AuthorKind::Token | AuthorKind::Convoke => token.or(entry.text("/actor/email")),
        _ => entry.text("/actor/email").or(token),
    };
    let url = run.and_then(|agent| agent.split_once("(+")?.1.split_once(')')).map(|(url, _)| without_password(url));
    let actor = name.or_else(|| entry.text("/actor/id")).map(String::from);
    Author { actor, kind, run: url, ray: entry.text("/raw/cf_ray_id").map(String::from) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_requests_that_may_have_changed_members_count() {
        let counts = |method: &str, status: u64, result: &str| {
            let group = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";
            let uri = format!("https://api.cloudflare.com/client/v4/accounts/a/iam/user_groups/{group}/members");
            let raw = json!({ "method": method, "status_code": status, "uri": uri });
            recorded(&AuditEntry(json!({ "action": { "result": result }, "raw": raw }))).is_some()
        };
        assert!(counts("POST", 200, "success") && counts("put", 201, "Success"));
        assert!(!counts("GET", 200, "success") && !counts("POST", 400, "success") && !counts("POST", 200, "failure"));
    }

    #[test]
    fn only_a_token_is_a_run_of_convoke() {
        let author = |actor: Value| {
            let raw = json!({ "user_agent": "convoke/1.0.0 (+https://ci.example.com/7)" });
            author(&AuditEntry(json!({ "actor": actor, "raw": raw })), &[])
        };
        let token = author(json!({ "context": "api_token", "token_name": "ci" }));
        assert_eq!((token.kind, token.run.as_deref()), (AuthorKind::Convoke, Some("https://ci.example.com/7")));
        for (context, kind) in
            [("dash", AuthorKind::Dashboard), ("api_key", AuthorKind::ApiKey), ("", AuthorKind::Other)]
        {
            let forged = author(json!({ "context": context, "email": "eve@example.com" }));
            assert_eq!((forged.kind, forged.run), (kind, None));
        }
    }
}
