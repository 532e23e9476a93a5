//! Text as YAML: plain where that reads back as the same text.

use crate::config::node::{self, Value};
use crate::config::yaml::quoted;

/// Words that older versions of YAML take for something else than text, in lower case.
const RESERVED: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", "="];

/// A text as one line of YAML, inside of brackets or not.
pub(super) fn scalar(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.into() } else { quoted(text, is_punctuation) }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    let shown = |c: char| c == ' ' || c.is_alphanumeric() || c.is_ascii_graphic() || is_punctuation(c);
    if !text.chars().all(shown) || RESERVED.contains(&text.to_ascii_lowercase().as_str()) {
        return false;
    }
    let written = if in_flow { format!("[{text}]") } else { format!("- {text}") };
    // In a mapping the same text may mean something else.
    let paired = if in_flow { format!("{{k: {text}}}") } else { format!("k: {text}") };
    let is_text = |value: &Value<'_>| matches!(value, Value::Text(read) if read == text);
    let alone = node::parse(&written).is_ok_and(|read| match read.value {
        Value::Sequence(items) => matches!(items.as_slice(), [item] if is_text(&item.value)),
        _ => false,
    });
    alone
        && node::parse(&paired).is_ok_and(|read| match read.value {
            Value::Mapping(pairs) => matches!(pairs.as_slice(), [(_, value)] if is_text(&value.value)),
            _ => false,
        })
}

/// Punctuation of other alphabets that stays visible in a file.
fn is_punctuation(c: char) -> bool {
    matches!(c, '\u{a1}'..='\u{bf}' if c != '\u{ad}') || matches!(c, '\u{2010}'..='\u{2027}' | '\u{20a0}'..='\u{20bf}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_stays_plain() {
        for text in [
            "alice@example.com",
            "INC-4821 cover",
            "it's Zoë’s, see §3 (again)",
            "a/b?c=d",
            "a+b@x.y",
            "#1".get(1..).unwrap(),
        ] {
            let quoted = text.parse::<u64>().is_ok();
            assert_eq!(scalar(text, false) == text, !quoted, "{text}");
        }
        assert_eq!(scalar("a, b", false), "a, b");
        assert_eq!(scalar("a, b", true), "\"a, b\"");
    }

    #[test]
    fn text_that_yaml_takes_for_something_else_is_quoted() {
        for text in [
            "12",
            "1e5",
            "true",
            "No",
            "~",
            "null",
            "# x",
            "a: b",
            "a #b",
            "- a",
            "&a",
            "*a",
            "!a",
            "'a",
            "\"",
            " a",
            "a ",
            "{",
            "[a]",
            "?",
            "<<",
            "%a",
            "@a",
            "`a",
            "|",
            ">",
            "\u{202e}a",
            "a:",
        ] {
            assert!(scalar(text, false).starts_with('"'), "{text:?} {}", scalar(text, false));
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_back(text in "[-a-c0-9 .:#'\"@!&*?|>%{}\\[\\],~\\\\é\u{2028}\u{feff}]{0,8}", in_flow: bool) {
            let scalar = scalar(&text, in_flow);
            let yaml = if in_flow { format!("[{scalar}]") } else { format!("- {scalar}") };
            let read: Vec<serde_json::Value> = serde_saphyr::from_str(&yaml).unwrap();
            prop_assert_eq!(read, [serde_json::Value::String(text)]);
        }
    }
}
