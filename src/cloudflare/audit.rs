//! The audit log (version 2): who changed what in the account.
//!
//! Every field of an entry may be missing or have an unexpected type; it is then `None`. Texts are not escaped:
//! renderers must escape them for their format.

use jiff::Timestamp;
use serde_json::Value;

use super::envelope::ListPage;

/// Longer texts are cut.
const LONGEST_TEXT: usize = 2_000;

/// A page of the audit log, newest entries first.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// Continues with older entries; `None` on the last page.
    pub next: Option<AuditCursor>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCursor(pub(super) String);

#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub time: Option<Timestamp>,
    pub actor: AuditActor,
    /// The result in the log: `success` or `failure`.
    pub result: Option<String>,
    pub request: AuditRequest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditActor {
    pub id: Option<String>,
    pub email: Option<String>,
    /// `user`, `account`, `system` or `cloudflare_admin`.
    pub kind: Option<String>,
    /// `dash`, `api_token`, `api_key`, `oauth` or `origin_ca_key`.
    pub context: Option<String>,
    pub token_id: Option<String>,
    pub token_name: Option<String>,
}

/// The request that made the change.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRequest {
    pub method: Option<String>,
    /// Identifies the operation. The documentation does not say whether it begins with the host or with `/client/v4`,
    /// so compare its end.
    pub uri: Option<String>,
    /// The status of the answer.
    pub status: Option<u64>,
    pub cf_ray: Option<String>,
    pub user_agent: Option<String>,
    /// The request body in the log. A text that contains JSON is parsed. `Null` if there is no body.
    pub body: Value,
}

impl From<ListPage<Value>> for AuditPage {
    fn from(page: ListPage<Value>) -> Self {
        let next = page.cursor().map(AuditCursor);
        Self { entries: page.rows.iter().map(AuditEntry::from).collect(), next }
    }
}

impl From<&Value> for AuditEntry {
    fn from(entry: &Value) -> Self {
        let text = |pointer: &str| text(entry.pointer(pointer));
        Self {
            time: text("/action/time").and_then(|time| time.parse().ok()),
            actor: AuditActor {
                id: text("/actor/id"),
                email: text("/actor/email"),
                kind: text("/actor/type"),
                context: text("/actor/context"),
                token_id: text("/actor/token_id"),
                token_name: text("/actor/token_name"),
            },
            result: text("/action/result"),
            request: AuditRequest {
                method: text("/raw/method"),
                uri: text("/raw/uri"),
                status: entry.pointer("/raw/status_code").and_then(Value::as_u64),
                cf_ray: text("/raw/cf_ray_id"),
                user_agent: text("/raw/user_agent"),
                body: body(entry.pointer("/resource/request")),
            },
        }
    }
}

/// A non-empty text.
fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    (!text.is_empty()).then(|| text.chars().take(LONGEST_TEXT).collect())
}

fn body(value: Option<&Value>) -> Value {
    match value {
        None => Value::Null,
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
        Some(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(body: Value) -> AuditPage {
        AuditPage::from(serde_json::from_value::<ListPage<Value>>(body).unwrap())
    }

    #[test]
    fn documented_fields_are_read() {
        let page = page(json!({
            "result": [{
                "id": "f1", "action": { "time": "2026-11-20T14:02:00Z", "type": "create", "result": "success", "description": "Add" },
                "actor": { "id": "u1", "email": "dana@example.com", "type": "user", "context": "dash", "token_id": "t", "token_name": "ci" },
                "raw": { "cf_ray_id": "8a1", "method": "POST", "uri": "/accounts/a/iam", "user_agent": "curl" },
                "resource": { "request": "[{\"id\":\"1\"}]" },
            }],
            "result_info": { "cursors": { "after": "next" }, "cursor": "older" },
        }));
        let entry = &page.entries[0];
        assert_eq!(entry.time, Some("2026-11-20T14:02:00Z".parse().unwrap()));
        assert_eq!(entry.actor.email.as_deref(), Some("dana@example.com"));
        assert_eq!(entry.request.body, json!([{ "id": "1" }]));
        assert_eq!(page.next, Some(AuditCursor("next".to_owned())));
    }

    #[test]
    fn unexpected_types_are_missing_fields() {
        for odd in
            [json!(null), json!(3), json!([]), json!({}), json!({ "action": [], "actor": { "email": 7 }, "raw": 1 })]
        {
            let page = page(json!({ "result": [odd], "result_info": { "cursor": "", "cursors": 4 } }));
            let AuditEntry { time, actor, request, .. } = &page.entries[0];
            assert_eq!((time, &actor.email, &request.uri, &page.next), (&None, &None, &None, &None));
        }
    }

    #[test]
    fn older_log_cursor_is_read() {
        assert_eq!(
            page(json!({ "result": [], "result_info": { "cursor": "older" } })).next,
            Some(AuditCursor("older".to_owned()))
        );
    }
}
