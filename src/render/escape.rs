//! Makes external text safe in every format.
//!
//! Names, addresses, paths and messages come from the account, the files and the API. All of them pass through
//! [`clean`], and then through the escaping of their format.

use std::borrow::Cow;

/// Longer texts are cut in Markdown, so that one name does not fill the page.
const LONGEST: usize = 300;

/// What may follow a piece of code in a sentence.
const PUNCTUATION: [char; 5] = [',', ';', ':', '.', '?'];

/// For a terminal or a log. Escapes everything that could control a terminal, hide text or reorder it, and the
/// commands that a CI runner finds in a log: `::add-mask::` at the beginning of a line, `##[error]` and `##vso[task]`
/// anywhere.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut last = None;
    let begins_command = text.trim_start().starts_with("::");
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '#' if last == Some('#') && is_runner_command(rest.as_str()) => cleaned.push_str("\\u{23}"),
            ':' if begins_command && last.is_none_or(char::is_whitespace) => cleaned.push_str("\\u{3a}"),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}' => cleaned.extend(character.escape_unicode()),
            _ if character.is_control() => cleaned.extend(character.escape_default()),
            _ => cleaned.push(character),
        }
        last = Some(character);
    }
    cleaned
}

/// Whether the text after `##` makes it a command of a CI runner: a bracket, perhaps after a word.
fn is_runner_command(rest: &str) -> bool {
    rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('[')
}

/// As [`clean`], line by line, for messages with several lines.
pub fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// For Markdown: inline code.
///
/// Backslashes are not sufficient on GitHub: plain URLs become links, `@name` notifies a user, and `#1` or a commit
/// hash becomes a reference, all without markup. None of this happens inside code, where only backticks have a
/// meaning.
pub fn code(text: &str) -> String {
    fenced_inline(&shortened(&clean(text)))
}

/// For a cell of a Markdown table: inline code in which a `|` does not end the cell.
pub fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// For Markdown: plain words stay, everything else becomes inline code. Words between backticks are one piece of code,
/// such as a command, and so is what the API said.
pub fn prose(text: &str) -> String {
    let cleaned = clean(text);
    let text = shortened(&cleaned);
    let words: Vec<&str> = text.split(' ').collect();
    let is_odd = |at: &usize| words.get(*at).is_some_and(|word| !is_plain(word)) && one_piece(&words, *at).is_none();
    let mut pieces: Vec<String> = Vec::new();
    let mut begin = 0;
    while let Some(word) = words.get(begin) {
        let count = one_piece(&words, begin).unwrap_or_else(|| (begin..).take_while(is_odd).count());
        let odd = words.get(begin..begin + count).unwrap_or_default();
        pieces.push(if odd.is_empty() { (*word).to_owned() } else { piece(odd) });
        begin += count.max(1);
    }
    pieces.join(" ")
}

/// These words as one piece of code, without trailing punctuation.
fn piece(words: &[&str]) -> String {
    let joined = words.join(" ");
    // A parenthesis that opens before these words closes after them.
    let closes = |c: char| c == ')' && !joined.contains('(');
    let bare = joined.trim_end_matches(|c: char| PUNCTUATION.contains(&c) || closes(c));
    let core = if bare.is_empty() { &joined } else { bare };
    let end = joined.strip_prefix(core).unwrap_or_default();
    let inner = core.strip_prefix('`').and_then(|core| core.strip_suffix('`')).unwrap_or(core);
    format!("{}{end}", fenced_inline(inner))
}

/// The number of words from here on that belong together: what the API said, after a colon, or words between backticks.
fn one_piece(words: &[&str], begin: usize) -> Option<usize> {
    let (before, words) = words.split_at_checked(begin)?;
    let is_after_colon = before.last().is_none_or(|word| word.ends_with(':'));
    said(words).filter(|_| is_after_colon).or_else(|| quoted(words))
}

/// The words of the API's message, with its code and the facts of the answer.
fn said(words: &[&str]) -> Option<usize> {
    let is_fact = |word: &&str| matches!(*word, "[status" | "[cf-ray");
    let anchor = words.iter().position(|word| *word == "(code" || is_fact(word))?;
    let (message, rest) = words.split_at_checked(anchor)?;
    let (begin, closes) = rest.iter().position(is_fact).map_or((0, ')'), |facts| (facts, ']'));
    let end = rest.iter().skip(begin).position(|word| word.contains(closes))?;
    (!message.iter().any(|word| word.ends_with(':'))).then_some(anchor + begin + end + 1)
}

/// The words from a backtick at the beginning of the first one to a backtick at the end of one.
fn quoted(words: &[&str]) -> Option<usize> {
    let ends = |word: &&str| {
        let bare = word.trim_end_matches(PUNCTUATION);
        bare.len() > 1 && bare.ends_with('`')
    };
    words.first().filter(|word| word.starts_with('`'))?;
    Some(1 + words.iter().position(ends)?)
}

/// For Markdown: a link to an external path. The label is finished Markdown. Base and fragment have no blanks and no
/// parentheses.
pub fn link(label: &str, base: &str, path: &str, fragment: &str) -> String {
    let mut target = String::with_capacity(base.len() + path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => target.push(byte.into()),
            _ => target.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("[{label}]({base}/{target}{fragment})")
}

/// For Markdown: a fence that these lines cannot close.
pub fn fence<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let longest = lines.map(longest_run).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

pub fn with_help(text: &str, help: Option<&str>) -> String {
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    help.map_or_else(|| text.into(), |help| format!("{text}{stop} Help: {help}"))
}

/// For the message of a GitHub annotation.
pub fn annotation(text: &str) -> String {
    clean(text).replace('%', "%25")
}

/// For a property of a GitHub annotation, such as its file or title.
pub fn annotation_property(text: &str) -> String {
    annotation(text).replace(':', "%3A").replace(',', "%2C")
}

/// For the value of a label of a Prometheus metric, between its quotes.
pub fn metric_label(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// For a POSIX shell: the word, quoted if necessary.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    // Runners obey commands only at the beginning of a line, and a word comes after the name of the program.
    let line = clean(&format!("convoke {word}"));
    let word = line.strip_prefix("convoke ").unwrap_or_default();
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// For a cell of a spreadsheet: an apostrophe is inserted before text that a spreadsheet program interprets as a
/// formula, also after characters that separate cells for some programs.
pub fn spreadsheet(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 1);
    // Where the current cell begins, until anything but space follows.
    let mut begin = Some(0);
    for c in clean(text).chars() {
        if let Some(begin) = begin
            && matches!(c, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
        {
            safe.insert(begin, '\'');
        }
        safe.push(c);
        begin = match c {
            ';' | '|' | '\t' => Some(safe.len()),
            _ => begin.filter(|_| c.is_whitespace()),
        };
    }
    safe
}

/// The text, cut if it is too long.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

fn fenced_inline(cleaned: &str) -> String {
    let fence = "`".repeat(longest_run(cleaned) + 1);
    // Markdown removes one blank on each side. Without it, a backtick at the edge would join the fence.
    let padded = cleaned.starts_with([' ', '`']) || cleaned.ends_with([' ', '`']) || cleaned.is_empty();
    let pad = if padded { " " } else { "" };
    format!("{fence}{pad}{cleaned}{pad}{fence}")
}

/// Whether a word is safe in Markdown: letters or a number, with punctuation that has no meaning there.
fn is_plain(word: &str) -> bool {
    let core = word.trim_start_matches(['(', '"']).trim_end_matches([',', ';', ':', '.', '?', ')', '"', '%']);
    let letters = !core.is_empty() && core.chars().all(|c| c.is_alphabetic() || c == '\'');
    let number = !core.is_empty() && core.chars().all(|c| c.is_ascii_digit());
    // A date or a time of day.
    let time = core.starts_with(|c: char| c.is_ascii_digit())
        && core.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ':'));
    // Long hexadecimal words become links to commits.
    let commit = core.len() >= 7 && core.chars().all(|c| c.is_ascii_hexdigit());
    (letters || number || time || word.is_empty()) && !commit
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_sequences_are_escaped() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d\u{7f}"), "a\\u{1b}[31mb\\nc\\u{202e}d\\u{7f}");
        assert_eq!(clean("Zoë Ångström 日本"), "Zoë Ångström 日本");
    }

    #[test]
    fn ci_runner_commands_are_escaped() {
        assert_eq!(clean(" ::add-mask::a"), " \\u{3a}:add-mask::a");
        assert_eq!(clean("a ##[error]b ##vso[task] ###[x]"), "a #\\u{23}[error]b #\\u{23}vso[task] ##\\u{23}[x]");
        assert_eq!(clean("C# and std::fmt"), "C# and std::fmt");
    }

    #[test]
    fn words_between_backticks_are_one_piece_of_code() {
        assert_eq!(
            prose("run `convoke revoke a@b.c --everywhere`; else stop"),
            "run `convoke revoke a@b.c --everywhere`; else stop"
        );
        assert_eq!(prose("an `open [x](y)"), "an `` `open [x](y) ``");
        assert_eq!(prose("`a``b` #1"), "```a``b``` `#1`");
    }

    #[test]
    fn shell_word_that_looks_like_a_command_stays() {
        assert_eq!(shell_word("::x"), "::x");
        assert_eq!(shell_word(" ::x y"), "' ::x y'");
        assert_eq!(shell_word("##[x]"), "'#\\u{23}[x]'");
    }

    #[test]
    fn two_hashes_alone_stay() {
        assert_eq!(clean("## Team ##1 ##"), "## Team ##1 ##");
    }

    #[test]
    fn what_the_api_said_is_one_piece_of_code() {
        let refused = "the API refused: a `b` <c> (code 400) [status 400, cf-ray 8a1-X, 3 attempts]";
        assert_eq!(
            prose(&format!("alice@example.com: {refused}; run `convoke plan`")),
            "`alice@example.com`: the API refused: ``a `b` <c> (code 400) [status 400, cf-ray 8a1-X, 3 attempts]``; run \
             `convoke plan`"
        );
        assert_eq!(prose("no answer in time [status 200]"), "`no answer in time [status 200]`");
        assert_eq!(prose("x: bad (code 1), y: bad (code 2)"), "x: `bad (code 1)`, y: `bad (code 2)`");
        assert_eq!(prose("x: bad (code 1"), "x: bad (code 1");
    }

    #[test]
    fn text_cannot_end_a_code_span() {
        assert_eq!(code("Developers"), "`Developers`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(" x "), "`  x  `");
        assert_eq!(code(""), "`  `");
        assert_eq!(code("a\n\n# b"), "`a\\n\\n# b`");
        assert_eq!(cell("a|b"), "`a\\|b`");
    }

    #[test]
    fn prose_keeps_plain_words_only() {
        assert_eq!(
            prose("root@example.com would be removed, but is protected at convoke.yaml:5"),
            "`root@example.com` would be removed, but is protected at `convoke.yaml:5`"
        );
        assert_eq!(prose("3 of 4 members (25%, the default)"), "3 of 4 members (25%, the default)");
        assert_eq!(prose("(25%, set at a.yaml:7). See b(1)."), "(25%, set at `a.yaml:7`). See `b(1)`.");
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
    fn fence_is_longer_than_any_inside() {
        assert_eq!(fence(["a", "b"].into_iter()), "```");
        assert_eq!(fence(["a````b", "`"].into_iter()), "`````");
    }

    #[test]
    fn link_target_is_encoded() {
        let target = link("`a`", "https://github.com/o/r/blob/1", "x y/](z)>.yaml", "#L3");
        assert_eq!(target, "[`a`](https://github.com/o/r/blob/1/x%20y/%5D%28z%29%3E.yaml#L3)");
    }

    #[test]
    fn formula_is_quoted_in_a_spreadsheet() {
        assert_eq!(spreadsheet("=HYPERLINK(\"a\")"), "'=HYPERLINK(\"a\")");
        assert_eq!(spreadsheet(" +1@example.com"), "' +1@example.com");
        assert_eq!(spreadsheet("a=b@example.com"), "a=b@example.com");
        assert_eq!(spreadsheet("Ops;=cmd|'x'"), "Ops;'=cmd|'x'");
        assert_eq!(spreadsheet("a; b-c"), "a; b-c");
        assert_eq!(spreadsheet("\t=1"), "\\t=1");
    }

    #[test]
    fn label_and_annotation_stay_inside() {
        assert_eq!(metric_label("a\"\\b\n"), r#"a\"\\b\\n"#);
        assert_eq!(annotation("50% ::x"), "50%25 ::x");
        assert_eq!(annotation_property("a,b:c"), "a%2Cb%3Ac");
    }

    #[test]
    fn very_long_name_is_cut() {
        assert_eq!(code(&"x".repeat(1000)).chars().count(), LONGEST + 3);
    }
}
