//! Text from outside, made harmless in Markdown.
//!
//! Backslashes are not enough on GitHub: bare addresses become links, `@name` notifies somebody, `#1` and what looks
//! like a commit become references, all without any markup. Inside code none of this happens, and only backticks
//! have to be thought of. So whatever is not plainly a word goes into code.

use std::borrow::Cow;

use crate::render::clean;

/// Longer names are cut: nobody reads on, and one name must not fill the page.
const LONGEST: usize = 300;

/// The text as inline code.
pub fn code(text: &str) -> String {
    fenced_inline(&shortened(&clean(text)))
}

fn fenced_inline(cleaned: &str) -> String {
    let fence = "`".repeat(longest_run(cleaned) + 1);
    // A blank on both sides is taken off again; without it a backtick at the edge would join the fence.
    let padded = cleaned.starts_with([' ', '`']) || cleaned.ends_with([' ', '`']) || cleaned.is_empty();
    let pad = if padded { " " } else { "" };
    format!("{fence}{pad}{cleaned}{pad}{fence}")
}

/// A sentence: its plain words stay as they are, everything else becomes inline code.
pub fn prose(text: &str) -> String {
    let cleaned = clean(text);
    let mut pieces: Vec<String> = Vec::new();
    let mut odd: Vec<&str> = Vec::new();
    let shortened = shortened(&cleaned);
    for word in shortened.split(' ') {
        if is_plain(word) {
            flush(&mut odd, &mut pieces);
            pieces.push(word.into());
        } else {
            odd.push(word);
        }
    }
    flush(&mut odd, &mut pieces);
    pieces.join(" ")
}

/// Puts the words that wait into one piece of code, without the punctuation that ends them.
fn flush(odd: &mut Vec<&str>, pieces: &mut Vec<String>) {
    if odd.is_empty() {
        return;
    }
    let joined = odd.join(" ");
    let bare = joined.trim_end_matches([',', ';', ':', '.', '?']);
    let core = if bare.is_empty() { &joined } else { bare };
    let end = joined.strip_prefix(core).unwrap_or_default();
    pieces.push(format!("{}{end}", fenced_inline(core)));
    odd.clear();
}

/// Whether a word can stand in Markdown as it is: letters or a number, with punctuation that means nothing there.
fn is_plain(word: &str) -> bool {
    let core = word.trim_start_matches(['(', '"']).trim_end_matches([',', ';', ':', '.', '?', ')', '"', '%']);
    let letters = !core.is_empty() && core.chars().all(|c| c.is_alphabetic() || c == '\'');
    let number = !core.is_empty() && core.chars().all(|c| c.is_ascii_digit());
    // Long hexadecimal words become links to commits.
    let commit = core.len() >= 7 && core.chars().all(|c| c.is_ascii_hexdigit());
    (letters || number || word.is_empty()) && !commit
}

/// The text for use inside of HTML, where Markdown is not looked for.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in shortened(&clean(text)).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The fence that nothing in these lines can close.
pub fn fence<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let longest = lines.map(longest_run).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A text that is not too long to be shown.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_cannot_be_left_from_inside() {
        assert_eq!(code("Developers"), "`Developers`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(" x "), "`  x  `");
        assert_eq!(code(""), "`  `");
        assert_eq!(code("a\n\n# b"), "`a\\n\\n# b`");
    }

    #[test]
    fn a_sentence_keeps_its_plain_words_and_nothing_else() {
        assert_eq!(
            prose("root@example.com would be removed, and is protected at convoke.yaml:5"),
            "`root@example.com` would be removed, and is protected at `convoke.yaml:5`"
        );
        assert_eq!(
            prose("3 of 4 members (the limit is 25%, the default)"),
            "3 of 4 members (the limit is 25%, the default)"
        );
        assert_eq!(
            prose("see www.evil.example and @admin, #1, GH-2 <b>x</b> *y* deadbeef [a](b)"),
            "see `www.evil.example` and `@admin, #1, GH-2 <b>x</b> *y* deadbeef [a](b)`"
        );
        assert_eq!(
            prose("called \"On Call\" now; did you mean a@b.c?"),
            "called \"On Call\" now; did you mean `a@b.c`?"
        );
    }

    #[test]
    fn html_stays_text() {
        assert_eq!(html("</summary><script>'\"&"), "&lt;/summary&gt;&lt;script&gt;&#39;&quot;&amp;");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_its_content() {
        assert_eq!(fence(["a", "b"].into_iter()), "```");
        assert_eq!(fence(["a````b", "`"].into_iter()), "`````");
    }

    #[test]
    fn a_name_without_end_is_cut() {
        assert_eq!(code(&"x".repeat(1000)).chars().count(), LONGEST + 3);
    }
}
