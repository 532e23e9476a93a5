//! Makes texts from the API safe to show.

/// The text on one line, without terminal control characters and hidden characters, cut to `most` characters.
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
    // Quotes need no escape here and are frequent in messages.
    plain.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// The text of an HTML page: its title, or the words between its tags.
pub(super) fn html_words(html: &str) -> String {
    let title = element(html, "title").map(|(inside, _)| words(inside));
    title.filter(|title| !title.trim().is_empty()).unwrap_or_else(|| words(html))
}

/// The content of the first element with this name, and the text after it. The end of the text closes an open
/// element.
fn element<'a>(html: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    // Lower-casing ASCII does not change any position in the text.
    let lower = html.to_ascii_lowercase();
    let begin = lower.find(&format!("<{name}"))?;
    let (_, inside) = html.get(begin..)?.split_once('>')?;
    let end = lower.get(html.len() - inside.len()..)?.find(&format!("</{name}")).unwrap_or(inside.len());
    inside.split_at_checked(end)
}

fn words(html: &str) -> String {
    let mut words = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        words.push_str(before);
        words.push(' ');
        let is = |name: &&str| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let hidden = ["script", "style"].into_iter().find(is);
        let element = hidden.and_then(|name| element(rest.get(before.len()..)?, name));
        rest = match element {
            // Hidden content ends with a tag, which the next iteration skips.
            Some((_, after)) => after,
            None => tag.split_once('>').map_or("", |(_, after)| after),
        };
    }
    words.push_str(rest);
    let entities = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(words, |words, (entity, character)| words.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_characters_are_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb", 100), "a\\u{1b}[2Jb");
        assert_eq!(shown("abc\u{202e}def", 100), "abc\\u{202e}def");
        assert_eq!(shown("it's \"odd\"", 100), "it's \"odd\"");
    }

    #[test]
    fn html_page_is_shown_as_title_or_words() {
        let title = "<!DOCTYPE html><HTML><Head><TITLE lang=en>502 &amp; more</TITLE><style>p { x }</style></Head>text";
        assert_eq!(html_words(title), "502 & more");
        let words = "<html><title> </title><script>var a = '<b>';</script><h1>Bad <b>gateway</b></h1><style>x";
        assert_eq!(html_words(words).split_whitespace().collect::<Vec<_>>(), ["Bad", "gateway"]);
        for odd in ["<", "<title", "<title>", "<script", "<é</title>", "a<b", "<style></style", "<title>é</TITLE"] {
            html_words(odd);
        }
    }

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(shown("  one\r\n two\tthree ", 100), "one two three");
        assert_eq!(shown("one two three", 7), "one two…");
        assert_eq!(shown("one two three", 3), "one…");
        assert_eq!(shown("onetwo", 3), "one…");
        assert_eq!(shown("one", 3), "one");
        assert!(shown(&"é".repeat(100_000), 200).chars().count() <= 201);
    }
}
