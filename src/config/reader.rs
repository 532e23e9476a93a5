//! Reads any part of a file: mappings and their keys, lists, and single values such as ids, numbers, limits and times.
//! Every problem goes to the report.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::str::FromStr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::node::{MERGE_KEY, Node, Value};
use super::problem::{Problem, Problems, did_you_mean, quoted, shortened};
use crate::model::{Limit, Origin, Period, Position, Setting, TimeError, WrittenTime, is_invisible};

/// Reads one file's tree. Problems are added to the report.
pub(super) struct Reader<'r> {
    pub file: Arc<str>,
    pub report: &'r mut Problems,
}

/// The value of a known key, and where the key is. Also an item of a list, with the key of the list.
#[derive(Clone, Copy)]
pub(super) struct Field<'n> {
    pub name: &'static str,
    pub key: Position,
    pub node: &'n Node<'n>,
}

/// The known keys of a mapping, each with its value.
pub(super) type Fields<'n> = BTreeMap<&'static str, Field<'n>>;

/// The keys of a mapping with their values, in the order of the file. A key can occur more than once.
pub(super) type MappingEntries<'n> = [(Node<'n>, Node<'n>)];

impl Reader<'_> {
    pub fn origin(&self, at: Position) -> Origin {
        Origin::new(&self.file, at)
    }

    /// Reads an optional key, and keeps its place.
    pub fn setting<'n, T>(
        &mut self,
        field: Option<Field<'n>>,
        read: impl FnOnce(&mut Self, Field<'n>) -> Option<T>,
    ) -> Option<Setting<T>> {
        let field = field?;
        let value = read(self, field)?;
        Some(Setting { value, origin: Some(self.origin(field.key)) })
    }

    pub fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem::new(Arc::clone(&self.file), Some(at), message)
    }

    pub fn refuse(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem(at, message).help(help);
        self.report.push(problem);
    }

    fn refuse_again(&mut self, at: Position, message: impl Into<String>, first: Position, label: &str) {
        let problem = self.problem(at, message);
        self.report.push(if at == first {
            problem.help("an alias repeats it: remove the alias")
        } else {
            problem.related(self.origin(first), label).help("remove one of the two")
        });
    }

    /// Reports each item that an earlier place has too.
    pub fn refuse_twice<T: Copy + Eq + Hash>(
        &mut self,
        items: impl Iterator<Item = (T, Position)>,
        message: impl Fn(T) -> String,
    ) {
        let mut first: HashMap<T, Position, RandomState> = HashMap::default();
        for (item, at) in items {
            match first.entry(item) {
                Slot::Vacant(slot) => drop(slot.insert(at)),
                Slot::Occupied(first) => self.refuse_again(at, message(item), *first.get(), "it is first listed here"),
            }
        }
    }

    /// Refuses what cannot be read, so that there is no value.
    pub fn refused<T>(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        self.refuse(at, message, help);
        None
    }

    /// The values of the keys of a mapping. Reports unknown and duplicate keys.
    pub fn fields<'n>(&mut self, what: &str, entries: &'n MappingEntries<'n>, known: &[&'static str]) -> Fields<'n> {
        let mut found = Fields::new();
        for (key, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = key.at;
            let Some(written) = self.key(key) else { continue };
            let Some(name) = known.iter().copied().find(|known| *known == written) else {
                let help = did_you_mean(written, known);
                self.refuse(at, format!("unknown key {} in {what}", quoted(written)), help);
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
    pub fn key<'n>(&mut self, key: &'n Node<'_>) -> Option<&'n str> {
        match &key.value {
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
    pub fn mapping<'n>(&mut self, what: &str, field: Field<'n>, help: &str) -> Option<&'n MappingEntries<'n>> {
        match &field.node.value {
            Value::Mapping(entries) => Some(entries),
            _ => self.refuse_kind(what, field, "a mapping", help),
        }
    }

    /// The items of a list. Reports any other value.
    pub fn sequence<'n>(&mut self, what: &str, field: Field<'n>, help: &str) -> Option<&'n [Node<'n>]> {
        match &field.node.value {
            Value::Sequence(items) => Some(items),
            _ => self.refuse_kind(what, field, "a list", help),
        }
    }

    /// The text of a scalar of any YAML type. Reports any other value.
    pub fn text<'n>(&mut self, what: &str, field: Field<'n>, help: &str) -> Option<&'n str> {
        field.node.text().or_else(|| self.refuse_kind(what, field, "text", help))
    }

    /// Refuses a value of another kind, so that there is no value.
    fn refuse_kind<T>(&mut self, what: &str, field: Field<'_>, wanted: &str, help: &str) -> Option<T> {
        let found = match &field.node.value {
            // The position of a missing value would be on the next line.
            Value::Null(_) => return self.refused(field.key, format!("{what} has no value"), help),
            Value::Text(text) => format!("the text {}", quoted(text)),
            Value::Typed(text) => shortened(text).into_owned(),
            Value::Sequence(_) => "a list".into(),
            Value::Mapping(_) => "a mapping".into(),
        };
        self.refused(field.node.at, format!("{what} must be {wanted}, not {found}"), help)
    }
}

pub(super) fn looks_like_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Reader<'_> {
    /// Reads an id of the API. `what` is, for example, "a group id".
    pub fn id<T: FromStr>(&mut self, what: &str, field: Field<'_>) -> Option<T> {
        let help = format!("{what} has 32 characters, each 0-9 or a-f");
        let text = self.text("the id", field, &help)?;
        let id = if looks_like_id(text) { text.parse().ok() } else { None };
        id.or_else(|| self.refused(field.node.at, format!("{} is not {what}", quoted(text)), help))
    }

    pub fn version(&mut self, field: Field<'_>) -> Option<()> {
        match &field.node.value {
            Value::Typed(text) if text == "1" => Some(()),
            _ => self.refuse_kind(
                "`version`",
                field,
                "1",
                "this release of convoke reads only `version: 1`, without quotes",
            ),
        }
    }

    pub fn whole_number(&mut self, field: Field<'_>) -> Option<u64> {
        let key = field.name;
        let number = if let Value::Typed(text) = &field.node.value { whole(text) } else { None };
        number.or_else(|| {
            let help = format!("write a whole number without quotes, for example `{key}: 2`");
            self.refuse_kind(&format!("`{key}`"), field, "a whole number", &help)
        })
    }

    pub fn boolean(&mut self, field: Field<'_>) -> Option<bool> {
        let key = field.name;
        match &field.node.value {
            Value::Typed(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Typed(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                let help = format!("write `{key}: true` or `{key}: false`, without quotes");
                self.refuse_kind(&format!("`{key}`"), field, "true or false", &help)
            }
        }
    }

    pub fn choice<T: Copy + ToString>(&mut self, field: Field<'_>, choices: &[T]) -> Option<T> {
        let key = field.name;
        let words: Vec<String> = choices.iter().map(T::to_string).collect();
        let text = self.text(&format!("`{key}`"), field, &format!("write one of: {}", words.join(", ")))?;
        match choices.iter().zip(&words).find(|(_, word)| *word == text) {
            Some((choice, _)) => Some(*choice),
            None => self.refused(field.node.at, format!("unknown {key} {}", quoted(text)), did_you_mean(text, &words)),
        }
    }

    pub fn limit(&mut self, field: Field<'_>) -> Option<Limit> {
        let key = field.name;
        let limit = match &field.node.value {
            Value::Typed(text) => whole(text).map(Limit::Count),
            Value::Text(text) => percentage(text),
            _ => None,
        };
        limit.or_else(|| {
            let help = format!(
                "write a number of removals (`{key}: 5`), or a percentage up to 100% with at most two decimals (`{key}: 12.5%`)"
            );
            self.refuse_kind(&format!("`{key}`"), field, "a limit", &help)
        })
    }

    pub fn time(&mut self, field: Field<'_>) -> Option<WrittenTime> {
        let text = self.text(&format!("`{}`", field.name), field, WrittenTime::HELP)?;
        let message = |error| format!("{} is not a time: {error}", quoted(text));
        text.parse().map_err(|error: TimeError| self.refuse(field.node.at, message(error), error.help)).ok()
    }

    pub fn period(&mut self, field: Field<'_>) -> Option<Period> {
        let text = self.text(&format!("`{}`", field.name), field, Period::HELP)?;
        let reason = match text.parse::<Period>() {
            Ok(period) if !period.length().is_zero() => return Some(period),
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

/// A whole number without sign, leading zeros or other YAML syntax.
fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn percentage(text: &str) -> Option<Limit> {
    let number = text.strip_suffix('%')?;
    let (units, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let has_decimals = matches!(decimals.len(), 1 | 2) && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let hundredths = format!("{units}{decimals:0<2}").parse().ok()?;
    (whole(units).is_some() && has_decimals && hundredths <= 10_000).then_some(Limit::Percent { hundredths })
}
