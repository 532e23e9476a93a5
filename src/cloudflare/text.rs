//! Texts from the other side of the wire, made fit to be shown.

/// The text on one line, without anything that moves a terminal's cursor or hides characters, cut to `most`
/// characters.
pub(super) fn shown(text: &str, most: usize) -> String {
    let mut plain = String::new();
    let mut characters = 0;
    for word in text.split_whitespace() {
        let gap = usize::from(!plain.is_empty());
        if characters + gap >= most {
            plain.push('…');
            break;
        }
        if gap == 1 {
            plain.push(' ');
        }
        characters += gap;
        let mut rest = word.chars();
        for character in rest.by_ref().take(most - characters) {
            plain.push(character);
            characters += 1;
        }
        if rest.next().is_some() {
            plain.push('…');
            break;
        }
    }
    // Quotes need no escape here, and messages are full of them.
    plain.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_a_terminal_is_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb", 100), "a\\u{1b}[2Jb");
        assert_eq!(shown("abc\u{202e}def", 100), "abc\\u{202e}def");
        assert_eq!(shown("it's \"odd\"", 100), "it's \"odd\"");
    }

    #[test]
    fn it_is_one_line_of_bounded_length() {
        assert_eq!(shown("  one\r\n two\tthree ", 100), "one two three");
        assert_eq!(shown("one two three", 7), "one two…");
        assert_eq!(shown("one two three", 3), "one…");
        assert_eq!(shown("onetwo", 3), "one…");
        assert_eq!(shown("one", 3), "one");
        assert!(shown(&"é".repeat(100_000), 200).chars().count() <= 201);
    }
}
