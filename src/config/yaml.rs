//! Writes text as YAML that reads back as the same text.

use std::fmt::Write as _;

use super::node::{self, Value};

/// Words that YAML, or an older version of it, does not read as text, in lower case.
const RESERVED: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "inf", "nan", "infinity"];

/// The text on one line, as a key or a value: plain if it can only be read as text, else in double quotes. `in_flow`
/// says whether it is inside brackets.
pub(super) fn scalar(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.into() } else { quoted(text) }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    let begins = text.starts_with(char::is_alphabetic) || is_plain_id(text);
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
    let is_text = |value: &Value<'_>| matches!(value, Value::Text(read) if read == text);
    let (item, pair) = match in_flow {
        true => (format!("[{text}]"), format!("{{{text}: {text}}}")),
        false => (format!("- {text}"), format!("{text}: {text}")),
    };
    let alone = node::parse(&item).is_ok_and(|read| match read.value {
        Value::Sequence(items) => matches!(items.as_slice(), [item] if is_text(&item.value)),
        _ => false,
    });
    alone
        && node::parse(&pair).is_ok_and(|read| match read.value {
            Value::Mapping(pairs) => {
                matches!(pairs.as_slice(), [(key, value)] if is_text(&key.value) && is_text(&value.value))
            }
            _ => false,
        })
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            _ if is_shown(character) => quoted.push(character),
            _ if u32::from(character) <= 0xffff => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(character));
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads any YAML value.
    fn read(yaml: &str) -> serde_json::Value {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn ordinary_text_stays_plain() {
        let id = "4f5f0c14a2a41d5063dd301b2f829f04";
        for text in ["On Call", "alice@example.com", id, "INC-4821 cover", "it's Zoë’s, see §3 (again)", "a/b?c=d"]
        {
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
        let yaml = match in_flow {
            true => format!("{{list: [{scalar}], pair: {{{scalar}: {scalar}}}}}"),
            false => format!("list:\n- {scalar}\npair:\n  {scalar}: {scalar}"),
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
