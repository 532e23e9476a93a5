//! The byte positions of the lists in a file: those of its scalars are in its tree, and the text between them has the
//! rest.

use std::ops::Range;

use super::lists::ListName;
use crate::config::node::{Node, Value};

/// A file that the reader accepted.
pub(super) struct FileLayout<'s> {
    pub text: &'s str,
    pub tree: &'s Node<'s>,
}

pub(super) struct ListLayout<'s> {
    pub key: usize,
    /// The end of what is before the list: its `:`, an anchor or a tag.
    pub lead: usize,
    pub style: ListStyle,
    pub items: Vec<Item<'s>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListStyle {
    /// `- …` on separate lines.
    Block,
    /// `[…]`, with the positions of both brackets, and whether it is inside another flow collection.
    Flow { open: usize, close: usize, nested: bool },
}

pub(super) struct Item<'s> {
    pub node: &'s Node<'s>,
    pub dash: Option<usize>,
    pub bytes: Range<usize>,
    pub comma: Option<usize>,
}

impl Item<'_> {
    /// The end of the item, or of the comma after it.
    pub fn end(&self) -> usize {
        self.comma.map_or(self.bytes.end, |comma| comma + 1)
    }
}

/// A key and its value in an entry.
pub(super) struct Pair<'s> {
    pub key: &'s str,
    pub key_bytes: Range<usize>,
    /// From the key to the end of the value.
    pub bytes: Range<usize>,
    pub value: Range<usize>,
}

impl<'s> FileLayout<'s> {
    pub fn list(&self, name: &ListName) -> Option<ListLayout<'s>> {
        let (mut node, mut key, mut nested) = (self.tree, 0..0, false);
        for name in name.path() {
            let Value::Mapping(pairs) = &node.value else { return None };
            nested |= self.byte(node.bytes.start) == Some(b'{');
            let (name, value) = pairs.iter().find(|(key, _)| key.text() == Some(name))?;
            (node, key) = (value, name.bytes.clone());
        }
        let Value::Sequence(nodes) = &node.value else { return None };
        let lead = self.after_properties(self.next(key.end, b':')? + 1);
        let open = self.next(lead, b'[');
        let (mut items, mut at) = (Vec::with_capacity(nodes.len()), open.map_or(lead, |open| open + 1));
        for node in nodes {
            let dash = if open.is_none() { Some(self.next(at, b'-')?) } else { None };
            let bytes = self.bytes(dash.map_or(at, |dash| dash + 1), node)?;
            let item = Item { node, dash, comma: self.next(bytes.end, b','), bytes };
            at = item.end();
            items.push(item);
        }
        let style = match open {
            Some(open) => ListStyle::Flow { open, close: self.next(at, b']')?, nested },
            None => ListStyle::Block,
        };
        Some(ListLayout { key: key.start, lead, style, items })
    }

    /// The bytes of the node that follows this byte, with its anchor and tag.
    fn bytes(&self, from: usize, node: &'s Node<'s>) -> Option<Range<usize>> {
        let start = self.after_gap(from);
        let content = self.content(start);
        let end = match (self.byte(content)?, &node.value) {
            (b'*', _) => self.word_end(content),
            (b'{', Value::Mapping(pairs)) => {
                let last = self.pair(pairs.last()?)?.bytes.end;
                self.next(self.next(last, b',').map_or(last, |comma| comma + 1), b'}')? + 1
            }
            (_, Value::Mapping(pairs)) => self.pair(pairs.last()?)?.bytes.end,
            (b'|' | b'>', Value::Text(_)) => self.block_scalar_end(content, node.bytes.end)?,
            (_, Value::Text(_) | Value::Typed(_)) if node.bytes.start == content => node.bytes.end,
            _ => return None,
        };
        (start < end).then_some(start..end)
    }

    /// The end of a block scalar: after its text or, with a `+`, before the last line end that belongs to it.
    fn block_scalar_end(&self, start: usize, end: usize) -> Option<usize> {
        let text = self.text.get(start..end)?;
        let without_indent = text.trim_end_matches([' ', '\t']);
        let kept = without_line_end(without_indent).filter(|_| self.keeps_line_ends(start));
        Some(start + kept.unwrap_or(text.trim_end()).len())
    }

    /// Whether a block scalar begins here that includes the line ends after it.
    pub fn keeps_line_ends(&self, start: usize) -> bool {
        let start = self.content(start);
        let header = self.text.get(start..self.line_end(start).start).and_then(|line| line.split('#').next());
        header.is_some_and(|header| header.starts_with(['|', '>']) && header.contains('+'))
    }

    /// The pairs of an entry. An address or id alone is the value of a key that is not written.
    pub fn pairs(&self, item: &Item<'s>) -> Option<Vec<Pair<'s>>> {
        let (bytes, start) = (item.bytes.clone(), item.bytes.start);
        match &item.node.value {
            Value::Mapping(pairs) => pairs.iter().map(|pair| self.pair(pair)).collect(),
            _ => {
                Some(vec![Pair { key: "email", key_bytes: start..start, value: self.content(start)..bytes.end, bytes }])
            }
        }
    }

    /// The first byte of an item after its anchor and tag: `*` of an alias, `{` of a mapping in braces.
    pub fn first_byte(&self, item: &Item<'_>) -> Option<u8> {
        self.byte(self.content(item.bytes.start))
    }

    fn pair(&self, (key, value): &'s (Node<'s>, Node<'s>)) -> Option<Pair<'s>> {
        let value = self.bytes(self.next(key.bytes.end, b':')? + 1, value)?;
        Some(Pair { key: key.text()?, key_bytes: key.bytes.clone(), bytes: key.bytes.start..value.end, value })
    }

    /// The start of a node without its anchor and tag.
    fn content(&self, start: usize) -> usize {
        self.after_gap(self.after_properties(start))
    }

    /// The end of the anchors and tags after this byte.
    fn after_properties(&self, from: usize) -> usize {
        let at = self.after_gap(from);
        if matches!(self.byte(at), Some(b'&' | b'!')) { self.after_properties(self.word_end(at)) } else { from }
    }

    fn word_end(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.find([' ', '\t', '\n', '\r', ',', ']', '}']).unwrap_or(rest.len())
    }

    /// The position of this byte, if nothing but blanks, line ends and comments are before it.
    fn next(&self, from: usize, byte: u8) -> Option<usize> {
        Some(self.after_gap(from)).filter(|at| self.byte(*at) == Some(byte))
    }

    /// The first byte from here on that is no blank, line end or part of a comment.
    fn after_gap(&self, mut byte: usize) -> usize {
        loop {
            let rest = self.text.get(byte..).unwrap_or_default();
            byte = self.text.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            if !self.is_comment(byte) {
                return byte;
            }
            byte = self.line_end(byte).start;
        }
    }

    pub fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The start of the line of this byte.
    pub fn line_start(&self, byte: usize) -> usize {
        self.text.get(..byte).and_then(|before| before.rfind(['\n', '\r'])).map_or(0, |end| end + 1)
    }

    /// The end of the line of this byte, without and with its line ending.
    pub fn line_end(&self, byte: usize) -> Range<usize> {
        let rest = self.text.get(byte..).unwrap_or_default();
        let Some(end) = rest.find(['\n', '\r']) else { return self.text.len()..self.text.len() };
        let length = if rest.get(end..).is_some_and(|rest| rest.starts_with("\r\n")) { 2 } else { 1 };
        byte + end..byte + end + length
    }

    /// The first byte from here on that is no blank.
    pub fn after_blanks(&self, byte: usize) -> usize {
        let rest = self.text.get(byte..).unwrap_or_default();
        self.text.len() - rest.trim_start_matches([' ', '\t']).len()
    }

    pub fn is_comment(&self, byte: usize) -> bool {
        self.byte(byte) == Some(b'#')
    }

    pub fn is_blank(&self, bytes: Range<usize>) -> bool {
        self.text.get(bytes).is_some_and(|text| text.bytes().all(|byte| matches!(byte, b' ' | b'\t')))
    }

    /// Whether only blanks or a comment follow on the line of this byte.
    pub fn ends_line(&self, byte: usize) -> bool {
        let next = self.after_blanks(byte);
        self.is_comment(next) || self.line_end(next).start == next
    }

    /// The line ending of this byte's line, or else of the file.
    pub fn line_ending(&self, byte: usize) -> &'s str {
        let ending = |range: Range<usize>| self.text.get(range).filter(|ending| !ending.is_empty());
        ending(self.line_end(byte)).or_else(|| ending(self.line_end(0))).unwrap_or("\n")
    }

    /// The column of a byte, in characters, without a byte order mark.
    pub fn column(&self, byte: usize) -> usize {
        let line = self.text.get(self.line_start(byte)..byte).unwrap_or_default();
        line.trim_start_matches('\u{feff}').chars().count()
    }
}

/// The text without its last line ending, if it ends with one.
pub(super) fn without_line_end(text: &str) -> Option<&str> {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r']))
}
