//! Reads single values: ids, numbers, limits, choices, names.

use std::str::FromStr;

use super::nearest::did_you_mean;
use super::node::Value;
use super::problem::{Position, quoted, shortened};
use super::reader::{Field, Reader};
use crate::model::{AccountId, GroupId, IdError, Limit, MemberId, Mode, Unmanaged};

const MODES: [(&str, Mode); 3] = [("exact", Mode::Exact), ("additive", Mode::Additive), ("observe", Mode::Observe)];

const UNMANAGED: [(&str, Unmanaged); 3] =
    [("ignore", Unmanaged::Ignore), ("report", Unmanaged::Report), ("refuse", Unmanaged::Refuse)];

pub(super) trait ApiId: FromStr<Err = IdError> {
    /// The kind of id, with its article.
    const WHAT: &'static str;
}

impl ApiId for AccountId {
    const WHAT: &'static str = "an account id";
}

impl ApiId for GroupId {
    const WHAT: &'static str = "a group id";
}

impl ApiId for MemberId {
    const WHAT: &'static str = "a member id";
}

/// Whether a text looks like an id.
pub(super) fn looks_like_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Reader<'_> {
    pub fn id<T: ApiId>(&mut self, field: &Field<'_>) -> Option<T> {
        let help = format!("{} has 32 characters, each 0-9 or a-f", T::WHAT);
        let text = self.text("the id", field, &help)?;
        let parsed = looks_like_id(text).then(|| text.parse().ok()).flatten();
        if parsed.is_none() {
            let reason = match text.chars().find(|c| !c.is_ascii_hexdigit()) {
                Some(odd) => format!("it contains {}", quoted(odd.encode_utf8(&mut [0; 4]))),
                None => format!("it has {} characters", text.len()),
            };
            self.refuse(field.node.at, format!("{} is not {}: {reason}", quoted(text), T::WHAT), help);
        }
        parsed
    }

    pub fn version(&mut self, field: &Field<'_>) {
        match &field.node.value {
            Value::Typed(text) if text == "1" => {}
            Value::Text(text) if text == "1" => {
                self.refuse(
                    field.node.at,
                    "`version` must be a number, not text",
                    "write `version: 1`, without quotes",
                );
            }
            Value::Typed(text) | Value::Text(text) => {
                let message = format!("unknown version {} of the file format", quoted(text));
                self.refuse(field.node.at, message, "this release of convoke reads `version: 1`");
            }
            _ => self.refuse_kind("`version`", field, "a number", "write `version: 1`"),
        }
    }

    pub fn whole_number(&mut self, key: &str, field: &Field<'_>) -> Option<u64> {
        let help = format!("write a whole number, for example `{key}: 2`");
        match &field.node.value {
            Value::Typed(text) => match whole(text) {
                Ok(number) => Some(number),
                Err(reason) => {
                    self.refuse(field.node.at, format!("{} is not a whole number: {reason}", shortened(text)), help);
                    None
                }
            },
            Value::Text(text) if whole(text).is_ok() => {
                self.refuse(field.node.at, format!("`{key}` must be a number, not text"), "remove the quotes");
                None
            }
            _ => {
                self.refuse_kind(&format!("`{key}`"), field, "a whole number", &help);
                None
            }
        }
    }

    pub fn boolean(&mut self, key: &str, field: &Field<'_>) -> Option<bool> {
        match &field.node.value {
            Value::Typed(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Typed(text) if text.eq_ignore_ascii_case("false") => Some(false),
            other => {
                let help = match other {
                    Value::Text(text) if matches!(&*text.to_lowercase(), "yes" | "on" | "y") => {
                        format!("write `{key}: true`")
                    }
                    Value::Text(text) if matches!(&*text.to_lowercase(), "no" | "off" | "n") => {
                        format!("write `{key}: false`")
                    }
                    Value::Text(text) if matches!(&**text, "true" | "false") => "remove the quotes".into(),
                    _ => format!("write `{key}: true` or `{key}: false`"),
                };
                self.refuse_kind(&format!("`{key}`"), field, "true or false", &help);
                None
            }
        }
    }

    pub fn mode(&mut self, field: &Field<'_>) -> Option<Mode> {
        self.choice("mode", field, &MODES)
    }

    pub fn unmanaged_groups(&mut self, field: &Field<'_>) -> Option<Unmanaged> {
        self.choice("unmanaged_groups", field, &UNMANAGED)
    }

    pub fn direct_access(&mut self, field: &Field<'_>) -> Option<bool> {
        self.choice("direct_access", field, &[("ignore", false), ("report", true)])
    }

    fn choice<T: Copy>(&mut self, key: &str, field: &Field<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let text = self.text(&format!("`{key}`"), field, &format!("write one of: {}", words.join(", ")))?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            self.refuse(field.node.at, format!("unknown {key} {}", quoted(text)), did_you_mean(text, &words));
        }
        chosen
    }

    pub fn limit(&mut self, key: &str, field: &Field<'_>) -> Option<Limit> {
        let help = format!("write a number of removals (`{key}: 5`) or a percentage (`{key}: 25%`)");
        let (text, parsed) = match &field.node.value {
            Value::Typed(text) => (text, whole(text).map(Limit::Count).map_err(|reason| count_error(text, reason))),
            Value::Text(text) if whole(text).is_ok() => {
                (text, Err(("it is text".into(), Some("remove the quotes, or add a \"%\"".into()))))
            }
            Value::Text(text) => (text, percentage(text)),
            _ => {
                self.refuse_kind(&format!("`{key}`"), field, "a limit", &help);
                return None;
            }
        };
        match parsed {
            Ok(limit) => Some(limit),
            Err((reason, remedy)) => {
                let message = format!("{} is not a limit: {reason}", quoted(text));
                self.refuse(field.node.at, message, remedy.unwrap_or(help));
                None
            }
        }
    }

    /// Checks the name of a group or a roster.
    pub fn check_name(&mut self, what: &str, at: Position, name: &str) {
        let trimmed = name.trim();
        if trimmed.is_empty() {
            self.refuse(at, format!("the name of a {what} is empty"), "write the name before the \":\"");
        } else if let Some(odd) = name.chars().find(|c| c.is_control()) {
            let odd = odd.escape_default();
            let message = format!("the name of {what} {} contains the control character {odd}", quoted(name));
            self.refuse(at, message, "remove it");
        } else if trimmed.len() != name.len() {
            let message = format!("the name of {what} {} begins or ends with a space", quoted(name));
            self.refuse(at, message, format!("write {}", quoted(trimmed)));
        }
    }
}

/// Reads a whole number without sign, leading zeros or other YAML syntax.
fn whole(text: &str) -> Result<u64, &'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(if text.starts_with('-') { "it is less than 0" } else { "it has characters other than digits" });
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err("it begins with a zero");
    }
    text.parse().map_err(|_| "it is too large")
}

/// Why a text is not a limit, and a remedy if there is a likely one.
type LimitError = (String, Option<String>);

fn count_error(text: &str, reason: &str) -> LimitError {
    let help = match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => {
            Some(format!("for this percentage, write {}%", (share * 10_000.0).round() / 100.0))
        }
        Ok(number) if number < 0.0 => Some("write 0 to allow no removals".into()),
        _ => None,
    };
    (reason.into(), help)
}

fn percentage(text: &str) -> Result<Limit, LimitError> {
    let Some(number) = text.strip_suffix('%') else {
        return Err(("it is neither a number nor a percentage".into(), None));
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        let trimmed = number.trim();
        return Err(match trimmed {
            _ if trimmed.starts_with('-') => ("it is less than 0".into(), Some("write 0% to allow no removals".into())),
            _ if trimmed.len() != number.len() => {
                ("it contains a space".into(), Some(format!("write {}", quoted(&format!("{trimmed}%")))))
            }
            _ => ("a percentage is a number followed by \"%\"".into(), None),
        });
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(("it begins with a zero".into(), None));
    }
    if part.len() > 2 {
        return Err(("a percentage has at most two decimals".into(), None));
    }
    let hundredths = whole.parse::<u32>().ok().and_then(|n| n.checked_mul(100)).zip(format!("{part:0<2}").parse().ok());
    match hundredths.and_then(|(whole, part): (u32, u32)| whole.checked_add(part)) {
        Some(hundredths @ 0..=10_000) => Ok(Limit::Percent { hundredths }),
        _ => Err(("it is more than 100%".into(), Some("write 100% for no limit".into()))),
    }
}
