//! A Markdown page that never exceeds GitHub's limit, and says what it leaves out.
//!
//! A page consists of parts, a part of blocks, a block of lines. Each line has a rank. The page is filled by rank:
//! first a share for the alerts and the table, so that a flood of one of them cannot hide that the others exist; then
//! all lines, the most important first. A block that shows only some of its lines says how many are missing.

use crate::render::counted;
use crate::render::escape::fence;

/// The maximum size of a page. GitHub refuses comments with more than 65,536 characters, and a text never has more
/// characters than bytes. The difference is left for lines that a workflow adds.
const MOST_BYTES: usize = 65_000;

/// The bytes for the line of a block that says how much is missing, and for that of a part.
const REST: usize = 32;
const PART_REST: usize = 80;

/// The importance of a line, the greatest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Leave,
    LeftBefore,
    Table,
    Join,
    Later,
    Alert,
    JoinedBefore,
    Other,
}

const RANKS: [Rank; 8] =
    [Rank::Leave, Rank::LeftBefore, Rank::Table, Rank::Join, Rank::Later, Rank::Alert, Rank::JoinedBefore, Rank::Other];

/// The part of a page that a block has for lines of these ranks before anything else is written.
const SHARES: [(Rank, usize); 2] = [(Rank::Table, MOST_BYTES / 3), (Rank::Alert, MOST_BYTES / 20)];

#[derive(Debug)]
struct SheetLine {
    rank: Rank,
    text: String,
    shown: bool,
}

/// Lines with a frame. Without lines it is empty.
#[derive(Debug)]
pub struct SheetBlock {
    before: String,
    lines: Vec<SheetLine>,
    after: String,
    /// What stands before and after the number of missing lines.
    missing: (&'static str, &'static str),
    /// Whether the frame is written even if there is space for no line.
    stays: bool,
}

impl SheetBlock {
    fn new(before: String, lines: impl IntoIterator<Item = (Rank, String)>, after: String) -> Self {
        let lines = lines.into_iter().map(|(rank, text)| SheetLine { rank, text, shown: false }).collect();
        Self { before, lines, after, missing: ("… and ", " more"), stays: true }
    }

    /// A text that is always there.
    pub fn text(text: String) -> Self {
        Self::new(String::new(), [(Rank::Table, text)], "\n".into())
    }

    pub fn table(head: &str, rows: impl IntoIterator<Item = String>) -> Self {
        let block = Self::new(head.into(), rows.into_iter().map(|row| (Rank::Table, row)), "\n".into());
        Self { missing: ("\n… and ", " more groups"), ..block }
    }

    /// A title and a diff, left out as a whole if there is no space.
    pub fn diff(title: &str, lines: Vec<(Rank, String)>) -> Self {
        Self { stays: false, ..Self::fenced(title, "diff", lines) }
    }

    pub fn fenced(title: &str, language: &str, lines: Vec<(Rank, String)>) -> Self {
        let fence = fence(lines.iter().map(|(_, line)| line.as_str()));
        Self::new(format!("{title}\n\n{fence}{language}\n"), lines, format!("{fence}\n\n"))
    }

    fn missing(&self) -> usize {
        self.lines.iter().filter(|line| !line.shown).count()
    }

    /// Whether anything of the block is on the page.
    fn is_shown(&self) -> bool {
        self.stays || self.missing() < self.lines.len()
    }

    /// The size of what surrounds the lines.
    fn frame(&self, margin: &str) -> usize {
        cost(&self.before, margin) + cost(&self.after, margin) + margin.len() + REST
    }

    /// The block with the lines that have space.
    fn written(&self) -> String {
        let mut text = self.before.clone();
        for line in self.lines.iter().filter(|line| line.shown) {
            text.push_str(&line.text);
            text.push('\n');
        }
        let (before, after) = self.missing;
        match self.missing() {
            0 => {}
            missing => text.push_str(&format!("{before}{missing}{after}\n")),
        }
        text + &self.after
    }
}

/// The size of a text in which each line end is followed by the margin.
fn cost(text: &str, margin: &str) -> usize {
    text.len() + margin.len() * text.matches('\n').count()
}

pub fn list(title: &str, items: impl IntoIterator<Item = String>, rank: Rank) -> SheetBlock {
    let title = if title.is_empty() { String::new() } else { format!("{title}\n\n") };
    let block = SheetBlock::new(title, items.into_iter().map(|item| (rank, format!("- {item}"))), "\n".into());
    SheetBlock { missing: ("- … and ", " more"), ..block }
}

#[derive(Debug)]
struct SheetPart {
    before: String,
    margin: &'static str,
    blocks: Vec<SheetBlock>,
    after: &'static str,
}

impl SheetPart {
    /// Shows lines of this rank, as far as there is space and the block has a share of it.
    fn fill(&mut self, rank: Rank, share: usize, room: &mut usize) {
        for block in &mut self.blocks {
            let mut share = share;
            let mut opening = if block.is_shown() { 0 } else { block.frame(self.margin) };
            for line in block.lines.iter_mut().filter(|line| line.rank == rank && !line.shown) {
                let cost = opening + cost(&line.text, self.margin) + self.margin.len() + 1;
                let (Some(left), Some(share_left)) = (room.checked_sub(cost), share.checked_sub(cost)) else { break };
                (*room, share, opening) = (left, share_left, 0);
                line.shown = true;
            }
        }
    }

    fn written(&self) -> String {
        let shown: String = self.blocks.iter().filter(|block| block.is_shown()).map(SheetBlock::written).collect();
        let left_out: Vec<&SheetBlock> = self.blocks.iter().filter(|block| !block.is_shown()).collect();
        let lines: usize = left_out.iter().map(|block| block.lines.len()).sum();
        let rest = match left_out.len() as u64 {
            0 => String::new(),
            count => format!("… and {} with {}\n\n", counted(count, "more group"), counted(lines as u64, "change")),
        };
        let content = shown + &rest;
        if self.margin.is_empty() {
            return format!("{}{content}{}", self.before, self.after);
        }
        let lines = content.trim_end().split('\n');
        let lines: String = lines.map(|line| format!("{}{line}", self.margin).trim_end().to_owned() + "\n").collect();
        format!("{}{lines}{}", self.before, self.after)
    }
}

#[derive(Debug)]
pub struct Sheet {
    head: String,
    parts: Vec<SheetPart>,
    foot: String,
}

impl Sheet {
    /// A page with this beginning and end, which are always there.
    pub const fn new(head: String, foot: String) -> Self {
        Self { head, parts: Vec::new(), foot }
    }

    pub fn plain(&mut self, blocks: impl IntoIterator<Item = SheetBlock>) {
        let blocks = blocks.into_iter().collect();
        self.push(SheetPart { before: String::new(), margin: "", blocks, after: "" });
    }

    /// Adds blocks that GitHub shows as an alert of this kind.
    pub fn alert(&mut self, kind: &str, blocks: impl IntoIterator<Item = SheetBlock>) {
        let blocks = blocks.into_iter().collect();
        self.push(SheetPart { before: format!("> [!{kind}]\n"), margin: "> ", blocks, after: "\n" });
    }

    pub fn folded(&mut self, title: &str, blocks: impl IntoIterator<Item = SheetBlock>) {
        let (before, blocks) = (format!("<details><summary>{title}</summary>\n\n"), blocks.into_iter().collect());
        self.push(SheetPart { before, margin: "", blocks, after: "</details>\n\n" });
    }

    /// Adds a part, without its empty blocks. A part without blocks is nothing.
    fn push(&mut self, mut part: SheetPart) {
        part.blocks.retain(|block| !block.lines.is_empty());
        if !part.blocks.is_empty() {
            self.parts.push(part);
        }
    }

    /// The page, and the most important rank of which a line is missing.
    pub fn fill(mut self) -> (String, Option<Rank>) {
        let frames = self.parts.iter().map(|part| {
            let blocks = part.blocks.iter().filter(|block| block.stays).map(|block| block.frame(part.margin));
            part.before.len() + part.after.len() + PART_REST + blocks.sum::<usize>()
        });
        let frames: usize = frames.sum();
        let mut room = MOST_BYTES.saturating_sub(self.head.len() + self.foot.len() + frames);
        for (rank, share) in SHARES.into_iter().chain(RANKS.map(|rank| (rank, usize::MAX))) {
            self.parts.iter_mut().for_each(|part| part.fill(rank, share, &mut room));
        }
        let lines = self.parts.iter().flat_map(|part| &part.blocks).flat_map(|block| &block.lines);
        let cut = lines.filter(|line| !line.shown).map(|line| line.rank).min();
        let text: String = self.parts.iter().map(SheetPart::written).collect();
        let text = format!("{}{text}", self.head);
        (format!("{}\n{}", text.trim_end(), self.foot), cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("item {number:04}"))
    }

    #[test]
    fn important_lines_displace_others() {
        let mut sheet = Sheet::new("head\n\n".into(), "\nfoot\n".into());
        sheet.alert("NOTE", [list("Alert", items(10_000), Rank::Alert)]);
        sheet.plain([list("Join", items(10_000), Rank::Join)]);
        sheet.plain([list("Leave", items(2000), Rank::Leave)]);
        let (page, cut) = sheet.fill();
        assert_eq!(cut, Some(Rank::Join));
        assert!(page.len() <= MOST_BYTES && page.len() > MOST_BYTES - 1000, "{}", page.len());
        let leave = page.split_once("Leave\n").unwrap().1;
        assert_eq!(leave.matches("- item").count(), 2000);
        assert!(page.starts_with("head\n\n> [!NOTE]\n> Alert\n>\n> - item 0000\n"), "{page}");
        for title in ["Alert", "Join"] {
            let part = page.split_once(title).unwrap().1;
            let part = part.split_once(" more\n").unwrap().0;
            let (shown, missing) = (part.matches("- item").count(), part.rsplit_once("… and ").unwrap().1);
            assert_eq!(shown + missing.parse::<usize>().unwrap(), 10_000, "{title}");
            assert!(shown > 100, "{title}: {shown}");
        }
        assert!(page.ends_with("\nfoot\n"));
    }

    #[test]
    fn diff_without_space_is_counted() {
        let lines = (0..4000).map(|number| (Rank::Join, format!("+ person{number}@example.com"))).collect();
        let (mut sheet, one) = (Sheet::new(String::new(), String::new()), vec![(Rank::Join, "+ a".to_owned())]);
        sheet.plain([SheetBlock::diff("Large", lines), SheetBlock::diff("Small", one)]);
        let page = sheet.fill().0;
        assert!(page.len() <= MOST_BYTES && page.contains("… and 1 more group with 1 change"), "{page}");
    }
}
