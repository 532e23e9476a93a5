//! One file as a tree of nodes with positions, and text as YAML that reads back as the same text.
//!
//! Deserializing directly into types would stop at the first mistake, and would change a group called `123` or
//! `null`. The tree keeps the text of every scalar, every entry of a mapping (also duplicates) and all positions, so
//! that the reader can report all problems.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use serde_saphyr::{
    DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, MessageFormatter as _, NonFiniteFloatPolicy, Options, Spanned,
    UserMessageFormatter,
};

use super::problem::{Problem, numbered_lines};
use crate::model::Position;

/// The maximum depth of lists and mappings; the format itself needs six levels.
const DEEPEST: usize = 32;

/// The maximum number of nodes in a file: enough for a million members, many of them with a reason.
const MOST_NODES: usize = 4_000_000;

/// The maximum number of nodes that aliases expand to.
const MOST_ALIASED_NODES: usize = 1_000_000;

/// The maximum number of nodes that are kept for aliases.
const MOST_ANCHORED_NODES: usize = 200_000;

/// The key that merges other mappings into a mapping, in YAML 1.1.
pub(super) const MERGE_KEY: &str = "<<";

/// A value and its position. For an alias, this is the position of the anchor. Two nodes are equal if their values are.
#[derive(Clone, Debug)]
pub(super) struct Node<'s> {
    pub at: Position,
    pub bytes: Range<usize>,
    pub value: Value<'s>,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'s> {
    /// Text in quotes, or plain text without another YAML type.
    Text(Cow<'s, str>),
    /// A number, a boolean or a merge key without quotes, as written.
    Typed(Cow<'s, str>),
    /// Empty, `~` or `null`, as written.
    Null(Cow<'s, str>),
    Sequence(Vec<Node<'s>>),
    /// The entries in the order of the file, with duplicate keys.
    Mapping(Vec<(Node<'s>, Node<'s>)>),
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other))
            | (Self::Typed(one), Self::Typed(other))
            | (Self::Null(one), Self::Null(other)) => one == other,
            (Self::Sequence(one), Self::Sequence(other)) => one == other,
            // The order of keys has no meaning, but is mostly the same.
            (Self::Mapping(one), Self::Mapping(other)) => {
                one == other || one.len() == other.len() && one.iter().all(|pair| other.contains(pair))
            }
            _ => false,
        }
    }
}

impl<'s> Node<'s> {
    /// A node of no file, to be compared by its content.
    pub fn new(value: Value<'s>) -> Self {
        Self { at: Position { line: 0, column: 0 }, bytes: 0..0, value }
    }

    /// The text of a scalar of any YAML type.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Typed(text) => Some(text),
            _ => None,
        }
    }

    /// The parser knows where a number, a boolean or a null is, but not how it is written. This adds it from the source.
    fn add_written(&mut self, source: &'s str) {
        let written = source.get(self.bytes.clone()).unwrap_or_default();
        match &mut self.value {
            Value::Typed(text) | Value::Null(text) => *text = written.into(),
            // In quotes it is an ordinary key.
            Value::Text(text) if text == MERGE_KEY && written == MERGE_KEY => self.value = Value::Typed(written.into()),
            Value::Text(_) => {}
            Value::Sequence(items) => items.iter_mut().for_each(|item| item.add_written(source)),
            Value::Mapping(entries) => {
                entries.iter_mut().flat_map(|(key, value)| [key, value]).for_each(|node| node.add_written(source));
            }
        }
    }
}

/// Reads a file as a tree.
///
/// # Errors
/// If it is not one YAML document within the limits.
pub(super) fn parse<'s>(file: &str, text: &'s str) -> Result<Node<'s>, Problem> {
    let mut tree: Node<'_> = serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let at = error.location().map(position);
        let (message, help) = match at {
            Some(at) if is_indented_with_tab(text, at) => ("the line is indented with a tab".into(), "use spaces"),
            _ => syntax_error(&error),
        };
        Problem::new(file.into(), at, message).help(help)
    })?;
    tree.add_written(text);
    Ok(tree)
}

/// Whether a line is indented with a tab, which YAML does not allow.
fn is_indented_with_tab(text: &str, at: Position) -> bool {
    let line = numbered_lines(text.as_bytes()).find(|(number, _)| *number == at.line);
    line.is_some_and(|(_, line)| line.iter().take_while(|byte| byte.is_ascii_whitespace()).any(|byte| *byte == b'\t'))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_nodes: MOST_NODES,
            max_events: 2 * MOST_NODES,
            max_aliases: MOST_ALIASED_NODES,
            max_recorded_anchor_events: MOST_ANCHORED_NODES,
            // One anchor for a person in a hundred groups is normal. `alias_limits` limits the cost of aliases.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_ALIASED_NODES,
            max_replay_stack_depth: DEEPEST,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The message and the remedy of a syntax error.
fn syntax_error(error: &Error) -> (String, &'static str) {
    match cause(error) {
        Error::MultipleDocuments { .. } => ("a second YAML document begins here".into(), "put it in a separate file"),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            let message = "the file is too large, nested too deep, or repeats aliases too often";
            (message.into(), "split it into several files in one folder, and use `- roster: NAME` instead of aliases")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => ("this alias contains itself".into(), "remove it"),
        Error::UnknownAnchor { .. } => {
            let help = "put text that begins with \"*\" in quotes; an alias needs an anchor (\"&\") above it";
            ("this alias has no anchor above it".into(), help)
        }
        other => {
            let help =
                "check the indentation, and put text in quotes that begins with a special character or contains \": \"";
            (format!("invalid YAML: {}", UserMessageFormatter.format_message(other)), help)
        }
    }
}

fn cause(mut error: &Error) -> &Error {
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    error
}

fn position(location: Location) -> Position {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    Position { line: number(location.line()), column: number(location.column()) }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::deserialize(deserializer)?;
        let span = defined.span();
        let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        let start = number(span.byte_offset());
        Ok(Self { at: position(defined), bytes: start..start.saturating_add(number(span.byte_len())), value })
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Keeps the text of strings only; [`Node::add_written`] adds that of other scalars.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Typed("".into()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Typed("".into()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Typed("".into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Typed("".into()))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null("".into()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let items = std::iter::from_fn(|| access.next_element().transpose());
        items.collect::<Result<_, _>>().map(Value::Sequence)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let entries = std::iter::from_fn(|| access.next_entry().transpose());
        entries.collect::<Result<_, _>>().map(Value::Mapping)
    }
}

/// Words that YAML, or an older version of it, does not read as text, in lower case.
const RESERVED: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "inf", "nan", "infinity"];

/// The text on one line, as a key or a value: plain if it can only be read as text, else in double quotes. `in_flow`
/// says whether it is inside brackets.
pub(super) fn scalar(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.into() } else { double_quoted(text) }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    // No number, date or other value of YAML has an `@`.
    let is_address = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('@');
    let begins = text.starts_with(char::is_alphabetic) || is_address || is_plain_id(text);
    begins
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
        && !text.ends_with(' ')
        && (text.chars().all(is_of_a_word) || (text.chars().all(is_shown) && reads_back(text, in_flow)))
}

/// Characters without a meaning in YAML. Most names and addresses have only these.
fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+' | ' ')
}

/// Hexadecimal digits that cannot be a number: `e` occurs in exponents, `b` and `x` in prefixes.
fn is_plain_id(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) && text.contains(['a', 'c', 'd', 'f'])
}

/// Whether the character is visible and does not change the direction of text.
fn is_shown(c: char) -> bool {
    let is_punctuation = matches!(c, '\u{a1}'..='\u{bf}' if c != '\u{ad}')
        || matches!(c, '\u{2010}'..='\u{2027}' | '\u{20a0}'..='\u{20bf}');
    matches!(c, ' '..='~') || c.is_alphanumeric() || is_punctuation
}

/// Whether the parser reads the text back unchanged as an item, a value and a key.
fn reads_back(text: &str, in_flow: bool) -> bool {
    let yaml = if in_flow { format!("[{text}, {{{text}: {text}}}]") } else { format!("- {text}\n- {text}: {text}") };
    let read: Option<serde_json::Value> = serde_saphyr::from_str_with_options(&yaml, options()).ok();
    read == Some(json!([text, { text: text }]))
}

pub(super) fn double_quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        _ if is_shown(c) => c.to_string(),
        '\0'..='\u{ffff}' => format!("\\u{:04x}", u32::from(c)),
        _ => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(yaml: &str) -> serde_json::Value {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn ordinary_text_stays_plain() {
        let id = "4f5f0c14a2a41d5063dd301b2f829f04";
        for text in [
            "On Call",
            "alice@example.com",
            "1@x.y",
            "0x1f@x.y",
            "1e5+2@x.y",
            "2026-12-01@x.y",
            id,
            "INC-4821 cover",
            "it's Zoë’s, see §3 (again)",
            "a/b?c=d",
        ] {
            assert_eq!(scalar(text, false), text);
        }
        assert_eq!(scalar("a, b", false), "a, b");
        assert_eq!(scalar("a, b", true), "\"a, b\"");
    }

    #[test]
    fn text_that_yaml_misreads_is_quoted() {
        for text in [
            "",
            " x",
            "x ",
            "yes",
            "Null",
            "~",
            "1",
            "1e5",
            "0x1f",
            "0b01",
            "1:30",
            "a: b",
            "a #b",
            "- a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "[a]",
            "{a}",
            "a:",
            "|",
            ">",
            "No",
            "=",
            "+1",
            "a\u{202e}b",
            "a\u{200b}b",
            "# x",
            "\"",
            "'",
            "\\",
            "\u{85}\u{feff}",
            "2026-12-01",
            "<<",
            "?",
            "12345678901234567890123456789012",
            "1234567890123456789012345678901e",
            "😀",
        ] {
            let scalar = scalar(text, false);
            assert!(scalar.starts_with('"'), "{text:?}: {scalar}");
            assert_eq!(read(&scalar), serde_json::Value::String(text.into()), "{text:?}");
        }
    }

    fn check(text: &str, in_flow: bool) {
        let scalar = scalar(text, in_flow);
        let yaml = if in_flow {
            format!("{{list: [{scalar}], pair: {{{scalar}: {scalar}}}}}")
        } else {
            format!("list:\n- {scalar}\npair:\n  {scalar}: {scalar}")
        };
        assert_eq!(read(&yaml), serde_json::json!({"list": [text], "pair": {text: text}}), "{yaml}");
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in any::<String>(), in_flow: bool) {
            check(&text, in_flow);
        }

        #[test]
        fn every_text_of_syntax_is_read_back(
            text in "[-a-fn-oxyz0-9 .:#'\"@!&*?|>%{}\\[\\],~\\\\é\t\n\u{85}\u{2028}\u{feff}]{0,8}", in_flow: bool
        ) {
            check(&text, in_flow);
        }
    }
}
