//! Reads any part of a file: mappings and their keys, lists, and single values such as ids, numbers, limits and times.
//! Every problem goes to the report.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use super::entry::Numbers;
use super::node::{MERGE_KEY, Node, Value};
use super::problem::{Problem, ProblemReport, did_you_mean, quoted, shortened};
use crate::model::{Limit, Mode, Origin, Period, Position, Setting, TimeError, Unmanaged, WrittenTime, is_invisible};

/// Reads one file's tree. Problems are added to the report.
pub(super) struct Reader<'r> {
    pub file: Arc<str>,
    pub numbers: &'r mut Numbers,
    pub report: &'r mut ProblemReport,
}

/// The value of a known key, and where the key is. Also an item of a list, with the key of the list.
pub(super) struct Field<'s> {
    pub name: &'static str,
    pub key: Position,
    pub node: Node<'s>,
}

impl Reader<'_> {
    pub fn origin(&self, at: Position) -> Origin {
        Origin::new(&self.file, at)
    }

    /// Reads an optional key, and keeps its place.
    pub fn setting<'s, T>(
        &mut self,
        field: Option<Field<'s>>,
        read: impl FnOnce(&mut Self, &Field<'s>) -> Option<T>,
    ) -> Option<Setting<T>> {
        let field = field?;
        let value = read(self, &field)?;
        Some(Setting { value, origin: Some(self.origin(field.key)) })
    }

    pub fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem::new(Arc::clone(&self.file), Some(at), message)
    }

    pub fn refuse(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem(at, message).help(help);
        self.report.push(problem);
    }

    pub fn refuse_again(&mut self, at: Position, message: impl Into<String>, first: Position, label: &str) {
        let problem = self.problem(at, message);
        self.report.push(if at == first {
            problem.help("an alias repeats it: remove the alias")
        } else {
            problem.related(self.origin(first), label).help("remove one of the two")
        });
    }

    /// Reads the values of these keys from a mapping, in this order. Reports unknown and duplicate keys.
    pub fn fields<'s, const N: usize>(
        &mut self,
        what: &str,
        entries: Vec<(Node<'s>, Node<'s>)>,
        known: [&'static str; N],
    ) -> [Option<Field<'s>>; N] {
        let mut found: [Option<Field<'s>>; N] = std::array::from_fn(|_| None);
        for (key, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = key.at;
            let Some(name) = self.key(key) else { continue };
            match found.iter_mut().zip(known).find(|(_, known)| *known == name) {
                None => {
                    self.refuse(at, format!("unknown key {} in {what}", quoted(&name)), did_you_mean(&name, &known))
                }
                Some((slot @ None, name)) => *slot = Some(Field { name, key: at, node }),
                Some((Some(first), _)) => {
                    let first = first.key;
                    self.refuse_again(at, format!("\"{name}\" is in {what} twice"), first, "the first is here");
                }
            }
        }
        found
    }

    /// The text of a key. Reports lists and mappings, and the merge key.
    pub fn key<'s>(&mut self, key: Node<'s>) -> Option<Cow<'s, str>> {
        match key.value {
            Value::Typed(text) if text == MERGE_KEY => {
                let help = "list the people in `rosters`, and use them with `- roster: NAME`";
                self.refuse(key.at, "merge keys are not supported", help);
                None
            }
            Value::Text(text) | Value::Typed(text) | Value::Null(text) => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => {
                self.refuse(key.at, "a list or a mapping cannot be a key", "write plain text before the \":\"");
                None
            }
        }
    }

    /// The entries of a mapping. Reports any other value.
    pub fn mapping<'s>(&mut self, what: &str, field: Field<'s>, help: &str) -> Option<Vec<(Node<'s>, Node<'s>)>> {
        match field.node.value {
            Value::Mapping(entries) => Some(entries),
            _ => {
                self.refuse_kind(what, &field, "a mapping", help);
                None
            }
        }
    }

    /// The items of a list. Reports any other value.
    pub fn sequence<'s>(&mut self, what: &str, field: Field<'s>, help: &str) -> Option<Vec<Node<'s>>> {
        match field.node.value {
            Value::Sequence(items) => Some(items),
            _ => {
                self.refuse_kind(what, &field, "a list", help);
                None
            }
        }
    }

    /// The text of a scalar of any YAML type. Reports any other value.
    pub fn text<'f>(&mut self, what: &str, field: &'f Field<'_>, help: &str) -> Option<&'f str> {
        match &field.node.value {
            Value::Text(text) | Value::Typed(text) => Some(text),
            _ => {
                self.refuse_kind(what, field, "text", help);
                None
            }
        }
    }

    pub fn refuse_kind(&mut self, what: &str, field: &Field<'_>, wanted: &str, help: &str) {
        match &field.node.value {
            // The position of a missing value would be on the next line.
            Value::Null(_) => self.refuse(field.key, format!("{what} has no value"), help),
            other => self.refuse(field.node.at, format!("{what} must be {wanted}, not {}", kind(other)), help),
        }
    }
}

fn kind(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("the text {}", quoted(text)),
        Value::Typed(text) => format!("{} without quotes", shortened(text)),
        Value::Null(_) => "nothing".into(),
        Value::Sequence(_) => "a list".into(),
        Value::Mapping(_) => "a mapping".into(),
    }
}

pub(super) const MODES: [(&str, Mode); 3] =
    [("exact", Mode::Exact), ("additive", Mode::Additive), ("observe", Mode::Observe)];

pub(super) const UNMANAGED: [(&str, Unmanaged); 3] =
    [("ignore", Unmanaged::Ignore), ("report", Unmanaged::Report), ("refuse", Unmanaged::Refuse)];

pub(super) fn looks_like_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Reader<'_> {
    /// Reads an id of the API. `what` is, for example, "a group id".
    pub fn id<T: FromStr>(&mut self, what: &str, field: &Field<'_>) -> Option<T> {
        let help = format!("{what} has 32 characters, each 0-9 or a-f");
        let text = self.text("the id", field, &help)?;
        let parsed = looks_like_id(text).then(|| text.parse().ok()).flatten();
        if parsed.is_none() {
            let reason = match text.chars().find(|c| !c.is_ascii_hexdigit()) {
                Some(odd) => format!("it contains {}", quoted(odd.encode_utf8(&mut [0; 4]))),
                None if text.len() == 1 => "it has 1 character".to_owned(),
                None => format!("it has {} characters", text.len()),
            };
            self.refuse(field.node.at, format!("{} is not {what}: {reason}", quoted(text)), help);
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

    pub fn whole_number(&mut self, field: &Field<'_>) -> Option<u64> {
        let key = field.name;
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

    pub fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        let (key, text) = (field.name, field.node.text().unwrap_or_default().to_lowercase());
        let help = match (&field.node.value, text.as_str()) {
            (Value::Typed(_), "true") => return Some(true),
            (Value::Typed(_), "false") => return Some(false),
            (Value::Text(_), "yes" | "on" | "y") => format!("write `{key}: true`"),
            (Value::Text(_), "no" | "off" | "n") => format!("write `{key}: false`"),
            (Value::Text(written), "true" | "false") if *written == text => "remove the quotes".into(),
            _ => format!("write `{key}: true` or `{key}: false`"),
        };
        self.refuse_kind(&format!("`{key}`"), field, "true or false", &help);
        None
    }

    pub fn choice<T: Copy>(&mut self, field: &Field<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let key = field.name;
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let text = self.text(&format!("`{key}`"), field, &format!("write one of: {}", words.join(", ")))?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            self.refuse(field.node.at, format!("unknown {key} {}", quoted(text)), did_you_mean(text, &words));
        }
        chosen
    }

    pub fn limit(&mut self, field: &Field<'_>) -> Option<Limit> {
        let key = field.name;
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

    pub fn time(&mut self, field: &Field<'_>) -> Option<WrittenTime> {
        let text = self.text(&format!("`{}`", field.name), field, WrittenTime::HELP)?;
        match text.parse() {
            Ok(time) => Some(time),
            Err(error) => {
                let error: TimeError = error;
                self.refuse(field.node.at, format!("{} is not a time: {error}", quoted(text)), error.help());
                None
            }
        }
    }

    pub fn period(&mut self, field: &Field<'_>) -> Option<Period> {
        let text = self.text(&format!("`{}`", field.name), field, Period::HELP)?;
        let reason = match text.parse::<Period>() {
            Ok(period) if !period.is_zero() => return Some(period),
            Ok(_) => "it is zero".to_owned(),
            Err(error) => error.to_string(),
        };
        self.refuse(field.node.at, format!("{} is not a length of time: {reason}", quoted(text)), Period::HELP);
        None
    }

    /// Checks the name of a group or a roster.
    pub fn check_name(&mut self, what: &str, at: Position, name: &str) {
        let trimmed = name.trim();
        if trimmed.is_empty() {
            self.refuse(at, format!("the name of a {what} is empty"), "write the name before the \":\"");
        } else if let Some(odd) = name.chars().find(|c| what == "roster" && is_invisible(*c)) {
            let odd = odd.escape_unicode();
            let message = format!("the name of {what} {} contains the invisible character {odd}", quoted(name));
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

/// Why a number is not a limit, and a remedy if there is a likely one.
fn count_error(text: &str, reason: &str) -> (String, Option<String>) {
    let help = match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => {
            Some(format!("for this percentage, write {}%", (share * 10_000.0).round() / 100.0))
        }
        Ok(number) if number < 0.0 => Some("write 0 to allow no removals".into()),
        _ => None,
    };
    (reason.into(), help)
}

/// Reads a percentage. The error has a remedy if there is a likely one.
fn percentage(text: &str) -> Result<Limit, (String, Option<String>)> {
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
