//! Reads any part of a file: mappings and their keys, lists, and single values such as ids, numbers, limits and times.
//! Every problem goes to the report.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::node::{MERGE_KEY, Node, Value};
use super::problem::{Problem, ProblemReport, did_you_mean, quoted, shortened};
use crate::model::{Limit, Origin, Period, Position, Setting, TimeError, WrittenTime, is_invisible};

/// Reads one file's tree. Problems are added to the report.
pub(super) struct Reader<'r> {
    pub file: Arc<str>,
    pub report: &'r mut ProblemReport,
}

/// The value of a known key, and where the key is. Also an item of a list, with the key of the list.
pub(super) struct Field<'s> {
    pub name: &'static str,
    pub key: Position,
    pub node: Node<'s>,
}

/// The known keys of a mapping, each with its value.
pub(super) type Fields<'s> = BTreeMap<&'static str, Field<'s>>;

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

    /// Refuses what cannot be read, so that there is no value.
    pub fn refused<T>(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        self.refuse(at, message, help);
        None
    }

    /// The values of the keys of a mapping. Reports unknown and duplicate keys.
    pub fn fields<'s>(&mut self, what: &str, entries: Vec<(Node<'s>, Node<'s>)>, known: &[&'static str]) -> Fields<'s> {
        let mut found = Fields::new();
        for (key, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = key.at;
            let Some(written) = self.key(key) else { continue };
            let Some(name) = known.iter().copied().find(|known| *known == written) else {
                let help = did_you_mean(&written, known);
                self.refuse(at, format!("unknown key {} in {what}", quoted(&written)), help);
                continue;
            };
            if let Some(first) = found.get(name) {
                self.refuse_again(at, format!("\"{name}\" is in {what} twice"), first.key, "the first is here");
            } else {
                found.insert(name, Field { name, key: at, node });
            }
        }
        found
    }

    /// The text of a key. Reports lists and mappings, and the merge key.
    pub fn key<'s>(&mut self, key: Node<'s>) -> Option<Cow<'s, str>> {
        match key.value {
            Value::Typed(text) if text == MERGE_KEY => {
                let help = "list the people in `rosters`, and use them with `- roster: NAME`";
                self.refused(key.at, "merge keys are not supported", help)
            }
            Value::Text(text) | Value::Typed(text) | Value::Null(text) => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => {
                self.refused(key.at, "a list or a mapping cannot be a key", "write plain text before the \":\"")
            }
        }
    }

    /// The entries of a mapping. Reports any other value.
    pub fn mapping<'s>(&mut self, what: &str, field: Field<'s>, help: &str) -> Option<Vec<(Node<'s>, Node<'s>)>> {
        match field.node.value {
            Value::Mapping(entries) => Some(entries),
            _ => self.refuse_kind(what, &field, "a mapping", help),
        }
    }

    /// The items of a list. Reports any other value.
    pub fn sequence<'s>(&mut self, what: &str, field: Field<'s>, help: &str) -> Option<Vec<Node<'s>>> {
        match field.node.value {
            Value::Sequence(items) => Some(items),
            _ => self.refuse_kind(what, &field, "a list", help),
        }
    }

    /// The text of a scalar of any YAML type. Reports any other value.
    pub fn text<'f>(&mut self, what: &str, field: &'f Field<'_>, help: &str) -> Option<&'f str> {
        match field.node.text() {
            Some(text) => Some(text),
            None => self.refuse_kind(what, field, "text", help),
        }
    }

    /// Refuses a value of another kind, so that there is no value.
    fn refuse_kind<T>(&mut self, what: &str, field: &Field<'_>, wanted: &str, help: &str) -> Option<T> {
        match &field.node.value {
            // The position of a missing value would be on the next line.
            Value::Null(_) => self.refused(field.key, format!("{what} has no value"), help),
            other => self.refused(field.node.at, format!("{what} must be {wanted}, not {}", kind(other)), help),
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

pub(super) fn looks_like_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Reader<'_> {
    /// Reads an id of the API. `what` is, for example, "a group id".
    pub fn id<T: FromStr>(&mut self, what: &str, field: &Field<'_>) -> Option<T> {
        let help = format!("{what} has 32 characters, each 0-9 or a-f");
        let text = self.text("the id", field, &help)?;
        if let Some(id) = looks_like_id(text).then(|| text.parse().ok()).flatten() {
            return Some(id);
        }
        let reason = match text.chars().find(|c| !c.is_ascii_hexdigit()) {
            Some(odd) => format!("it contains {}", quoted(odd.encode_utf8(&mut [0; 4]))),
            None if text.len() == 1 => "it has 1 character".to_owned(),
            None => format!("it has {} characters", text.len()),
        };
        self.refused(field.node.at, format!("{} is not {what}: {reason}", quoted(text)), help)
    }

    pub fn version(&mut self, field: &Field<'_>) -> Option<()> {
        let (message, help) = match &field.node.value {
            Value::Typed(text) if text == "1" => return Some(()),
            Value::Text(text) if text == "1" => {
                ("`version` must be a number, not text".to_owned(), "write `version: 1`, without quotes")
            }
            Value::Typed(text) | Value::Text(text) => {
                let message = format!("unknown version {} of the file format", quoted(text));
                (message, "this release of convoke reads `version: 1`")
            }
            _ => return self.refuse_kind("`version`", field, "a number", "write `version: 1`"),
        };
        self.refused(field.node.at, message, help)
    }

    pub fn whole_number(&mut self, field: &Field<'_>) -> Option<u64> {
        let key = field.name;
        let help = format!("write a whole number, for example `{key}: 2`");
        match &field.node.value {
            Value::Typed(text) => {
                let message = |reason| format!("{} is not a whole number: {reason}", shortened(text));
                whole(text).map_err(|reason| self.refuse(field.node.at, message(reason), help)).ok()
            }
            Value::Text(text) if whole(text).is_ok() => {
                self.refused(field.node.at, format!("`{key}` must be a number, not text"), "remove the quotes")
            }
            _ => self.refuse_kind(&format!("`{key}`"), field, "a whole number", &help),
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
        self.refuse_kind(&format!("`{key}`"), field, "true or false", &help)
    }

    pub fn choice<T: Copy + ToString>(&mut self, field: &Field<'_>, choices: &[T]) -> Option<T> {
        let key = field.name;
        let words: Vec<String> = choices.iter().map(T::to_string).collect();
        let text = self.text(&format!("`{key}`"), field, &format!("write one of: {}", words.join(", ")))?;
        match choices.iter().zip(&words).find(|(_, word)| *word == text) {
            Some((choice, _)) => Some(*choice),
            None => self.refused(field.node.at, format!("unknown {key} {}", quoted(text)), did_you_mean(text, &words)),
        }
    }

    pub fn limit(&mut self, field: &Field<'_>) -> Option<Limit> {
        let key = field.name;
        let help = format!("write a number of removals (`{key}: 5`) or a percentage (`{key}: 25%`)");
        let (text, parsed) = match &field.node.value {
            Value::Typed(text) => (text, count(text)),
            Value::Text(text) => (text, percentage(text)),
            _ => return self.refuse_kind(&format!("`{key}`"), field, "a limit", &help),
        };
        let message = |reason| format!("{} is not a limit: {reason}", quoted(text));
        let refuse = |(reason, remedy): NoLimit| self.refuse(field.node.at, message(reason), remedy.unwrap_or(help));
        parsed.map_err(refuse).ok()
    }

    pub fn time(&mut self, field: &Field<'_>) -> Option<WrittenTime> {
        let text = self.text(&format!("`{}`", field.name), field, WrittenTime::HELP)?;
        let message = |error| format!("{} is not a time: {error}", quoted(text));
        text.parse().map_err(|error: TimeError| self.refuse(field.node.at, message(error), error.help)).ok()
    }

    pub fn period(&mut self, field: &Field<'_>) -> Option<Period> {
        let text = self.text(&format!("`{}`", field.name), field, Period::HELP)?;
        let reason = match text.parse::<Period>() {
            Ok(period) if !period.is_zero() => return Some(period),
            Ok(_) => "it is zero",
            Err(reason) => reason,
        };
        self.refused(field.node.at, format!("{} is not a length of time: {reason}", quoted(text)), Period::HELP)
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

/// Why a text is not a limit, and the remedy if there is a likely one.
type NoLimit = (&'static str, Option<String>);

fn count(text: &str) -> Result<Limit, NoLimit> {
    whole(text).map(Limit::Count).map_err(|reason| match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => {
            (reason, Some(format!("for this percentage, write {}%", (share * 10_000.0).round() / 100.0)))
        }
        Ok(number) if number < 0.0 => (reason, Some("write 0 to allow no removals".into())),
        _ => (reason, None),
    })
}

fn percentage(text: &str) -> Result<Limit, NoLimit> {
    let Some(number) = text.strip_suffix('%') else {
        return Err(match whole(text) {
            Ok(_) => ("it is text", Some("remove the quotes, or add a \"%\"".into())),
            Err(_) => ("it is neither a number nor a percentage", None),
        });
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match number.trim() {
        trimmed if trimmed.starts_with('-') => Err(("it is less than 0", Some("write 0% to allow no removals".into()))),
        trimmed if trimmed.len() != number.len() => {
            Err(("it contains a space", Some(format!("write {}", quoted(&format!("{trimmed}%"))))))
        }
        _ if !digits(whole) || !digits(part) => Err(("a percentage is a number followed by \"%\"", None)),
        _ if whole.len() > 1 && whole.starts_with('0') => Err(("it begins with a zero", None)),
        _ if part.len() > 2 => Err(("a percentage has at most two decimals", None)),
        // Both parts are digits, so this is the percentage in hundredths.
        _ => match format!("{whole}{part:0<2}").parse() {
            Ok(hundredths @ 0..=10_000) => Ok(Limit::Percent { hundredths }),
            _ => Err(("it is more than 100%", Some("write 100% for no limit".into()))),
        },
    }
}
