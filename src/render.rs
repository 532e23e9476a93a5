//! Turns values into bytes: one file a format.
//!
//! Names, addresses and messages come from outside. Everything that is shown goes through [`clean`] first, and then
//! through what its format needs besides.

pub mod export;
pub mod failure;
pub mod github;
pub mod json;
pub mod markdown;
pub mod metrics;
pub mod report;
#[cfg(test)]
mod samples;
pub mod text;
pub mod why;
mod words;
mod yaml;

use std::fmt::Write as _;

/// The text with everything escaped that could steer a terminal, hide, or reorder what is shown, or that a CI runner
/// takes for a command when it finds it in a log (`::add-mask::` in front of a line, `##[error]` anywhere).
#[must_use]
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut last = None;
    let begins_command = text.trim_start().starts_with("::");
    for character in text.chars() {
        match character {
            '#' if last == Some('#') => cleaned.push_str("\\u{23}"),
            ':' if begins_command && last.is_none_or(char::is_whitespace) => cleaned.push_str("\\u{3a}"),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}' => {
                let _ = write!(cleaned, "{}", character.escape_unicode());
            }
            _ if character.is_control() => {
                let _ = write!(cleaned, "{}", character.escape_default());
            }
            _ => cleaned.push(character),
        }
        last = Some(character);
    }
    cleaned
}

/// "1 group", "2 groups".
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d\u{7f}"), "a\\u{1b}[31mb\\nc\\u{202e}d\\u{7f}");
        assert_eq!(clean("Zoë Ångström 日本"), "Zoë Ångström 日本");
    }

    #[test]
    fn nothing_that_orders_a_ci_runner_about_gets_through() {
        assert_eq!(clean(" ::add-mask::a"), " \\u{3a}:add-mask::a");
        assert_eq!(clean("a ##[error]b ##vso[task]"), "a #\\u{23}[error]b #\\u{23}vso[task]");
        assert_eq!(clean("C# and std::fmt"), "C# and std::fmt");
    }
}
