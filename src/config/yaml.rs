//! Writes scalars that YAML reads back as the same text.

use std::fmt::Write as _;

/// Words that YAML takes for something else than text, in lower case.
const RESERVED: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "inf", "nan", "infinity"];

/// The text as a scalar on one line: as it is where that can be nothing but text, else in double quotes.
pub fn scalar(text: &str) -> String {
    if is_plain(text) { text.into() } else { quoted(text, |_| false) }
}

/// Whether nobody could take the text for anything but text: it begins with a letter and holds no punctuation that
/// YAML knows. Ids may begin with a digit if a letter in them leaves no number to be read.
fn is_plain(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+' | ' ');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let ends = !text.ends_with(' ');
    let words = text.chars().all(is_word) && begins && ends && !RESERVED.contains(&text.to_lowercase().as_str());
    words || is_plain_id(text)
}

/// Hexadecimal digits, some of which are in no number: `e` is in exponents, `b` and `x` are in prefixes.
fn is_plain_id(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) && text.contains(['a', 'c', 'd', 'f'])
}

/// Text in double quotes. Letters, digits and what `is_shown` accepts stay; everything else outside ASCII is escaped.
pub(super) fn quoted(text: &str, is_shown: fn(char) -> bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            ' '..='~' => quoted.push(character),
            _ if character.is_alphanumeric() || is_shown(character) => quoted.push(character),
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

    /// Reads a scalar as YAML does, where it can be anything.
    fn read(yaml: &str) -> serde_json::Value {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn plain_words_stay_plain() {
        for text in ["Developers", "alice@example.com", "On Call", "4f5f0c14a2a41d5063dd301b2f829f04"] {
            assert_eq!(scalar(text), text);
        }
    }

    #[test]
    fn what_yaml_takes_for_something_else_is_quoted() {
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
            "a,b",
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
            assert_eq!(read(&scalar(text)), serde_json::Value::String(text.into()), "{text:?}");
            assert!(scalar(text).starts_with('"'), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_as_it_was(text in any::<String>()) {
            prop_assert_eq!(read(&scalar(&text)), serde_json::Value::String(text));
        }

        #[test]
        fn every_short_text_of_syntax_is_read_back_as_it_was(text in "[-a-fn-oxyz0-9 .:#'\"@!&*?|>%{}\\[\\],~\\\\\t\n]{0,8}") {
            prop_assert_eq!(read(&scalar(&text)), serde_json::Value::String(text));
        }
    }
}
