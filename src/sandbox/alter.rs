//! Answers that contradict themselves.

use serde_json::{Map, Value, json};

use super::course::Alteration;
use super::fault::Contradiction;

/// The parts of an answer that are altered, besides its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Altered {
    Body,
    /// The status is 206.
    Partial,
}

/// Alters the envelope of a successful answer.
pub(crate) fn alter(envelope: &mut Map<String, Value>, alteration: &Alteration) -> Altered {
    match alteration {
        Alteration::Omit(field) => {
            envelope.remove(*field);
        }
        Alteration::ResultInfo(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Null => drop(info(envelope).map(|info| info.remove(name))),
                    value => set(envelope, name, value.clone()),
                }
            }
        }
        Alteration::NumbersAsText => {
            if let Some(info) = info(envelope) {
                info.values_mut().filter(|value| value.is_number()).for_each(|value| *value = value.to_string().into());
            }
        }
        Alteration::Contradict(contradiction) => return contradict(envelope, *contradiction),
    }
    Altered::Body
}

fn info(envelope: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    envelope.get_mut("result_info").and_then(Value::as_object_mut)
}

/// Sets a field of the answer's `result_info`, and adds `result_info` if it is missing.
fn set(envelope: &mut Map<String, Value>, field: &str, value: Value) {
    let info = envelope.entry("result_info").or_insert(Value::Null);
    match info {
        Value::Object(fields) => drop(fields.insert(field.into(), value)),
        _ => *info = json!({ field: value }),
    }
}

/// A number of `result_info`, or its value if it is missing.
fn number(envelope: &Map<String, Value>, field: &str, without: u64) -> u64 {
    envelope.get("result_info").and_then(|info| info.get(field)).and_then(Value::as_u64).unwrap_or(without)
}

fn contradict(envelope: &mut Map<String, Value>, contradiction: Contradiction) -> Altered {
    use Contradiction as C;
    let entries = envelope.get("result").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let total = number(envelope, "total_count", entries);
    let (page, pages) = (number(envelope, "page", 1), number(envelope, "total_pages", 1));
    match contradiction {
        C::Count => set(envelope, "count", json!(entries + 1)),
        C::PerPage => set(envelope, "per_page", json!(entries.saturating_sub(1))),
        C::TotalCount => set(envelope, "total_count", json!(total + 1)),
        // A total cannot be negative, so an empty list gets one that is too high.
        C::TotalCountLow => set(envelope, "total_count", json!(total.checked_sub(1).unwrap_or(1))),
        C::TotalCountText => set(envelope, "total_count", json!((total + 1).to_string())),
        C::TotalPages => set(envelope, "total_pages", json!(pages + 1)),
        C::Page => set(envelope, "page", json!(page + 1)),
        C::LostEntry => match envelope.get_mut("result").and_then(Value::as_array_mut) {
            Some(list) if !list.is_empty() => {
                list.pop();
                // Without any number, the shortened list would be consistent.
                set(envelope, "total_count", json!(total));
            }
            _ => return contradict(envelope, C::NullResult),
        },
        C::DuplicateIds => match envelope.get_mut("result").and_then(Value::as_array_mut) {
            Some(list) if list.len() > 1 => {
                if let (Some(first), Some(last)) = (list.first().cloned(), list.last_mut()) {
                    *last = first;
                }
            }
            Some(list) if list.len() == 1 => {
                list.extend_from_within(..);
                for field in ["count", "total_count"] {
                    let more = number(envelope, field, 1) + 1;
                    set(envelope, field, json!(more));
                }
            }
            _ => return contradict(envelope, C::NullResult),
        },
        C::Errors => {
            envelope.insert("errors".into(), json!([{ "code": 1104, "message": "the request was not successful" }]));
        }
        C::Partial => return Altered::Partial,
        C::NoResult | C::NullResult => {
            let least = entries.max(1);
            for (field, value) in [("count", least), ("total_count", total.max(least))] {
                set(envelope, field, json!(value));
            }
            match contradiction {
                C::NoResult => drop(envelope.remove("result")),
                _ => drop(envelope.insert("result".into(), Value::Null)),
            }
        }
    }
    Altered::Body
}
