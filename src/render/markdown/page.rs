//! A Markdown page that never exceeds GitHub's limit, and says what it leaves out.

use std::collections::BTreeMap;

use crate::render::counted;

/// The maximum size of a page. GitHub refuses comments with more than 65,536 characters, and a text never has more
/// characters than bytes. The difference is left for lines that a workflow adds.
pub const MOST_BYTES: usize = 65_000;

/// The bytes in each cut list for the line that says how much is missing.
pub const REST: usize = 80;

/// A page under construction. Blocks that do not fit are left out and counted, never cut.
#[derive(Debug)]
pub struct Page {
    text: String,
    foot: String,
    left_out: u64,
}

impl Page {
    /// A page with this beginning and end.
    pub fn new(head: String, foot: String) -> Self {
        Self { text: head, foot, left_out: 0 }
    }

    /// The remaining bytes.
    pub fn room(&self) -> usize {
        MOST_BYTES.saturating_sub(self.text.len() + self.foot.len() + REST)
    }

    /// Adds a block if it fits.
    pub fn push(&mut self, block: &str) -> bool {
        let fits = block.len() <= self.room();
        match fits {
            true => self.text.push_str(block),
            false => self.left_out += 1,
        }
        fits
    }

    pub fn finish(self) -> String {
        let mut text = self.text.trim_end().to_owned() + "\n";
        if self.left_out > 0 {
            text.push_str(&format!(
                "\n… and {} for which this page has no space\n",
                counted(self.left_out, "more part")
            ));
        }
        text + &self.foot
    }
}

/// A title with items. Without items it is empty.
#[derive(Debug)]
pub struct List {
    title: String,
    items: Vec<String>,
    /// The bytes in front of each line.
    margin: usize,
    most: usize,
}

impl List {
    pub fn new(title: impl Into<String>, items: impl IntoIterator<Item = String>) -> Self {
        Self { title: title.into(), items: items.into_iter().collect(), margin: 0, most: usize::MAX }
    }

    /// The same list in an [`alert`].
    pub fn in_alert(self) -> Self {
        Self { margin: "> ".len(), ..self }
    }

    /// The same list, which never has more bytes than this even if there is space.
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The bytes of the title and of the number of items.
    fn least(&self) -> usize {
        if self.items.is_empty() { 0 } else { self.title.len() + "\n\n\n".len() + 3 * self.margin + REST }
    }

    fn cost(&self, item: &str) -> usize {
        "- ".len() + item.len() + "\n".len() + self.margin
    }

    /// The bytes beyond the least that the list can use.
    fn further(&self) -> usize {
        let all: usize = self.items.iter().map(|item| self.cost(item)).sum();
        all.min(self.most.saturating_sub(self.least()))
    }

    /// The list with as many items as fit, and the number of the others. The title and this number are always there.
    pub fn text(&self, most: usize) -> String {
        if self.items.is_empty() {
            return String::new();
        }
        let mut text = format!("{}\n\n", self.title);
        let (mut used, mut shown) = (self.least(), 0);
        for item in &self.items {
            used = used.saturating_add(self.cost(item));
            if used > most {
                break;
            }
            text.push_str(&format!("- {item}\n"));
            shown += 1;
        }
        if shown < self.items.len() {
            text.push_str(&format!("- … and {} more\n", self.items.len() - shown));
        }
        text + "\n"
    }
}

/// A title with a list of items in at most `most` bytes; empty if there are no items.
pub fn list(title: &str, items: impl IntoIterator<Item = String>, most: usize) -> String {
    List::new(title, items).text(most)
}

/// The lists in this space in total. What a list does not need is for the others. Each has at least its title and the
/// number of its items, even if there is no space.
pub fn fit<const N: usize>(lists: [List; N], room: usize) -> [String; N] {
    let further: Vec<usize> = lists.iter().map(List::further).collect();
    let mut shares = shares(&further, room.saturating_sub(least(&lists))).into_iter();
    lists.map(|list| list.text(list.least() + shares.next().unwrap_or_default()))
}

/// The bytes that the lists have in any case.
pub fn least(lists: &[List]) -> usize {
    lists.iter().map(List::least).sum()
}

/// The space of each of several parts, at most what it needs: what one does not need is for the others.
pub fn shares(needs: &[usize], room: usize) -> Vec<usize> {
    let mut by_need: Vec<(usize, usize)> = needs.iter().enumerate().map(|(place, need)| (*need, place)).collect();
    by_need.sort_unstable();
    let (mut left, mut parts) = (room, by_need.len());
    let mut shares = BTreeMap::new();
    for (need, place) in by_need {
        let share = need.min(left / parts);
        shares.insert(place, share);
        left -= share;
        parts -= 1;
    }
    shares.into_values().collect()
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
        let page = page.finish();
        assert!(page.ends_with("y\n\n… and 1 more part for which this page has no space\nfoot\n"));
        assert!(page.len() <= MOST_BYTES);
    }

    #[test]
    fn lists_share_the_space() {
        let items = |count: usize| (0..count).map(|n| format!("item {n:04}"));
        for room in [0, 300, 1000, 5000, 20_000] {
            let lists =
                [List::new("Long", items(1000)).in_alert(), List::new("Empty", []), List::new("Short", items(3))];
            let least = least(&lists);
            let [long, empty, short] = fit(lists, room);
            assert!(alert("NOTE", &long).len() - "> [!NOTE]\n\n".len() + short.len() <= room.max(least), "{room}");
            assert_eq!(empty, "");
            let counts = |text: &str| text.contains("… and");
            assert_eq!((counts(&long), counts(&short)), (room < 20_000, room == 0), "{room}");
            assert!(long.starts_with("Long\n\n- ") && short.starts_with("Short\n\n- "), "{room}");
        }
        let few = [List::new("Few", items(1000)).at_most(500)];
        assert!(fit(few, usize::MAX).concat().len() <= 500);
    }
}
