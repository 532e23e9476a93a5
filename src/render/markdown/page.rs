//! A Markdown page that never exceeds GitHub's limit, and says what it leaves out.

/// The maximum size of a page. GitHub refuses comments with more than 65,536 characters, and a text never has more
/// characters than bytes. The difference is left for lines that a workflow adds.
pub const MOST_BYTES: usize = 65_000;

/// The bytes in each cut list for the line that says how much is missing.
pub const REST: usize = 80;

/// A page under construction. Blocks that do not fit are left out, never cut.
#[derive(Debug)]
pub struct Page {
    text: String,
    foot: String,
}

impl Page {
    /// A page with this beginning and end.
    pub fn new(head: String, foot: String) -> Self {
        Self { text: head, foot }
    }

    /// The remaining bytes.
    pub fn room(&self) -> usize {
        MOST_BYTES.saturating_sub(self.text.len() + self.foot.len())
    }

    /// Adds a block if it fits.
    pub fn push(&mut self, block: &str) -> bool {
        let fits = block.len() <= self.room();
        if fits {
            self.text.push_str(block);
        }
        fits
    }

    pub fn finish(self) -> String {
        self.text.trim_end().to_owned() + "\n" + &self.foot
    }
}

/// A title with a list of items in at most `most` bytes; empty if there are no items.
pub fn list(title: &str, items: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let total = items.len();
    if total == 0 {
        return String::new();
    }
    let mut text = format!("{title}\n\n");
    let mut shown = 0;
    for item in items {
        if text.len().saturating_add(item.len() + REST) > most {
            break;
        }
        text.push_str("- ");
        text.push_str(&item);
        text.push('\n');
        shown += 1;
    }
    if shown < total {
        text.push_str(&format!("- … and {} more\n", total - shown));
    }
    text.push('\n');
    text
}

/// A folded block. The title is HTML.
pub fn folded(title: &str, content: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{}\n\n</details>\n\n", content.trim_end())
}

/// A block that GitHub shows as an alert of this kind; empty if there is no content.
pub fn alert(kind: &str, content: &str) -> String {
    let content = content.trim_end();
    if content.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = content.split('\n').map(|line| format!("> {line}").trim_end().to_owned()).collect();
    format!("> [!{kind}]\n{}\n\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_list_says_how_much_is_missing() {
        let items = || (0..10).map(|n| format!("item {n}"));
        assert_eq!(list("Title", items().take(2), 1000), "Title\n\n- item 0\n- item 1\n\n");
        assert_eq!(list("Title", items(), 110), "Title\n\n- item 0\n- item 1\n- … and 8 more\n\n");
        assert_eq!(list("Title", items().take(0), 1000), "");
    }

    #[test]
    fn page_keeps_its_end_when_cut() {
        let mut page = Page::new("head\n".into(), "foot\n".into());
        assert!(!page.push(&"x".repeat(MOST_BYTES)));
        assert!(page.push(&"y".repeat(page.room())));
        assert_eq!(page.room(), 0);
        assert!(page.finish().ends_with("y\nfoot\n"));
    }
}
