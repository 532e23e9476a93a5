//! The byte positions of the lists in a file, from the scanner's tokens.

use std::collections::HashMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{ScalarStyle, Scanner, StrInput, TokenType, TokenType as T};

use crate::model::Position;

/// A file as tokens. The bytes between tokens are blanks and comments.
pub(super) struct FileLayout<'s> {
    pub text: &'s str,
    tokens: Vec<Token<'s>>,
    scalars: HashMap<Position, usize>,
}

struct Token<'s> {
    kind: TokenType<'s>,
    bytes: Range<usize>,
    in_flow: bool,
    /// Whether it is text that includes the line ends after it. The last of them is not among the bytes.
    keeps_line_ends: bool,
}

impl Token<'_> {
    /// How it changes the nesting depth of what follows.
    const fn depth(&self) -> isize {
        match self.kind {
            T::BlockSequenceStart | T::BlockMappingStart | T::FlowSequenceStart | T::FlowMappingStart => 1,
            T::BlockEnd | T::FlowSequenceEnd | T::FlowMappingEnd => -1,
            _ => 0,
        }
    }

    /// Whether it is an anchor or a tag.
    const fn is_property(&self) -> bool {
        matches!(self.kind, T::Anchor(_) | T::Tag(..))
    }
}

pub(super) struct ListLayout {
    pub key: usize,
    /// The end of the token before the list: its `:`, an anchor or a tag.
    pub lead: usize,
    pub style: ListStyle,
    pub items: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListStyle {
    /// `- …` on separate lines.
    Block,
    /// `[…]`, with the positions of both brackets, and whether it is inside another flow collection.
    Flow { open: usize, close: usize, nested: bool },
}

#[derive(Clone)]
pub(super) struct Item {
    pub dash: Option<usize>,
    pub bytes: Range<usize>,
    /// Whether the item includes the line ends after it.
    pub keeps_line_ends: bool,
    pub comma: Option<usize>,
    tokens: Range<usize>,
}

impl Item {
    /// The end of the item, or of the comma after it.
    pub fn end(&self) -> usize {
        self.comma.map_or(self.bytes.end, |comma| comma + 1)
    }
}

pub(super) enum Shape<'l> {
    Scalar(Range<usize>),
    Alias,
    /// The pairs of a mapping, and whether it is written in braces.
    Mapping {
        pairs: Vec<Pair<'l>>,
        flow: bool,
    },
}

pub(super) struct Pair<'l> {
    pub key: &'l str,
    pub key_bytes: Range<usize>,
    /// From the key to the end of the value.
    pub bytes: Range<usize>,
    pub value: Range<usize>,
}

impl<'s> FileLayout<'s> {
    /// The layout of a file that the reader accepted.
    pub fn new(text: &'s str) -> Option<Self> {
        let mut layout = Self { text, tokens: Vec::new(), scalars: HashMap::new() };
        let mut flow_depth = 0_usize;
        let mut content_end = 0;
        for token in Scanner::new(StrInput::new(text)) {
            let (span, kind) = token.ok()?.into_parts();
            let mut bytes = span.byte_range()?;
            let in_flow = flow_depth > 0;
            let mut keeps_line_ends = false;
            match &kind {
                T::BlockEntry => {
                    // The scanner has already continued to the end of the dash's line.
                    let dash = layout.after_blanks(layout.line_start(bytes.start).max(content_end));
                    bytes = dash..dash + 1;
                }
                T::Value => bytes = bytes.start..bytes.start + 1,
                T::Scalar(style, _) => {
                    let at = position(span.start.line(), span.start.col());
                    layout.scalars.insert(at, layout.tokens.len());
                    keeps_line_ends = block_scalar(text, *style, &mut bytes)?;
                }
                T::FlowSequenceStart | T::FlowMappingStart => flow_depth += 1,
                T::FlowSequenceEnd | T::FlowMappingEnd => flow_depth = flow_depth.saturating_sub(1),
                _ => {}
            }
            let written = text.as_bytes().get(bytes.start);
            if matches!(kind, T::BlockEntry if written != Some(&b'-'))
                || matches!(kind, T::Value if written != Some(&b':'))
            {
                return None;
            }
            if !bytes.is_empty() {
                content_end = bytes.end;
            }
            layout.tokens.push(Token { kind, bytes, in_flow, keeps_line_ends });
        }
        Some(layout)
    }

    /// The list after the key at this position.
    pub fn list(&self, key: Position) -> Option<ListLayout> {
        let scalar = *self.scalars.get(&key)?;
        let key = self.tokens.get(scalar)?.bytes.start;
        let mut at = scalar + 1;
        let mut lead = match self.tokens.get(at)? {
            Token { kind: T::Value, bytes, .. } => bytes.end,
            _ => return None,
        };
        at += 1;
        while let Some(property) = self.tokens.get(at).filter(|token| token.is_property()) {
            lead = property.bytes.end;
            at += 1;
        }
        match self.tokens.get(at)?.kind {
            T::FlowSequenceStart => {
                let (items, last) = self.flow_items(at)?;
                let (bracket, close) = (self.tokens.get(at)?, self.tokens.get(last)?.bytes.start);
                let style = ListStyle::Flow { open: bracket.bytes.start, close, nested: bracket.in_flow };
                Some(ListLayout { key, lead, style, items })
            }
            T::BlockSequenceStart => self.block_list(key, lead, at + 1),
            T::BlockEntry => self.block_list(key, lead, at),
            _ => None,
        }
    }

    fn block_list(&self, key: usize, lead: usize, first: usize) -> Option<ListLayout> {
        let item = |tokens: Range<usize>| {
            let dash = self.tokens.get(tokens.start)?.bytes.start;
            Some(self.item(Some(dash), tokens.start + 1..tokens.end))
        };
        let items = self.parts(first, &T::BlockEntry).into_iter().map(item).collect::<Option<_>>()?;
        Some(ListLayout { key, lead, style: ListStyle::Block, items })
    }

    /// The parts of a block sequence or mapping, each of which begins with a dash or with a key.
    fn parts(&self, first: usize, begins: &TokenType<'_>) -> Vec<Range<usize>> {
        let mut depth = 0;
        let mut starts = Vec::new();
        let mut at = first;
        while let Some(token) = self.tokens.get(at) {
            match token.kind {
                T::BlockEnd | T::StreamEnd | T::DocumentStart | T::DocumentEnd if depth == 0 => break,
                _ if depth == 0 && token.kind == *begins => starts.push(at),
                // A key on the same level belongs to the mapping that contains the list.
                T::Key if depth == 0 => break,
                _ => {}
            }
            depth += token.depth();
            at += 1;
        }
        let ends = starts.iter().skip(1).copied().chain([at]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// The items inside the bracket at this token, and the token that closes it.
    fn flow_items(&self, bracket: usize) -> Option<(Vec<Item>, usize)> {
        let mut items: Vec<Item> = Vec::new();
        let mut depth = 1;
        let mut begin = bracket + 1;
        let mut at = begin;
        loop {
            let token = self.tokens.get(at)?;
            depth += token.depth();
            let comma = (depth == 1 && token.kind == T::FlowEntry).then_some(token.bytes.start);
            if comma.is_some() || depth == 0 {
                if begin < at {
                    items.push(Item { comma, ..self.item(None, begin..at) });
                }
                begin = at + 1;
            }
            if depth == 0 {
                return Some((items, at));
            }
            at += 1;
        }
    }

    fn item(&self, dash: Option<usize>, tokens: Range<usize>) -> Item {
        let covered = self.tokens.get(tokens.clone()).unwrap_or_default();
        let begin = covered.first().map_or(dash.unwrap_or_default(), |token| token.bytes.start);
        // Tokens that the scanner only infers have no bytes, and a later position.
        let last = covered.iter().filter(|token| !token.bytes.is_empty()).max_by_key(|token| token.bytes.end);
        let end = last.map_or(begin, |token| token.bytes.end).max(dash.map_or(0, |dash| dash + 1));
        let keeps_line_ends = last.is_some_and(|token| token.keeps_line_ends);
        Item { dash, bytes: begin..end, keeps_line_ends, comma: None, tokens }
    }

    /// The content of an item, if it has a shape that entries have.
    pub fn shape(&self, item: &Item) -> Option<Shape<'_>> {
        let mut at = item.tokens.start;
        while self.tokens.get(at)?.is_property() {
            at += 1;
        }
        let token = self.tokens.get(at)?;
        let (parts, flow): (Vec<_>, _) = match token.kind {
            T::Scalar(..) => return Some(Shape::Scalar(token.bytes.clone())),
            T::Alias(_) => return Some(Shape::Alias),
            T::FlowMappingStart => (self.flow_items(at)?.0.into_iter().map(|pair| pair.tokens).collect(), true),
            T::BlockMappingStart => (self.parts(at + 1, &T::Key), false),
            _ => return None,
        };
        let pairs = parts.into_iter().map(|tokens| self.pair(tokens)).collect::<Option<_>>()?;
        Some(Shape::Mapping { pairs, flow })
    }

    fn pair(&self, tokens: Range<usize>) -> Option<Pair<'_>> {
        let covered = self.tokens.get(tokens.clone())?;
        let key = covered.iter().position(|token| matches!(token.kind, T::Scalar(..)))?;
        let colon = covered.iter().position(|token| token.kind == T::Value)?;
        let Token { kind: T::Scalar(_, text), bytes: key_bytes, .. } = covered.get(key)? else { return None };
        let value = self.item(None, tokens.start + colon + 1..tokens.end).bytes;
        let bytes = self.item(None, tokens).bytes;
        (key < colon && !value.is_empty()).then(|| Pair { key: text, key_bytes: key_bytes.clone(), bytes, value })
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
        self.text.as_bytes().get(byte) == Some(&b'#')
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

    /// The column of a byte, if blanks can reproduce it.
    pub fn column(&self, byte: usize) -> usize {
        let line = self.text.get(self.line_start(byte)..byte).unwrap_or_default();
        line.trim_start_matches('\u{feff}').chars().count()
    }
}

pub(super) fn position(line: usize, column: usize) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column.saturating_add(1)) }
}

/// The text without its last line ending, if it ends with one.
pub(super) fn without_line_end(text: &str) -> Option<&str> {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r']))
}

/// Removes trailing indentation of the next line, and the last line ending, from a block scalar. Also returns whether
/// the scalar includes the line ends after it.
fn block_scalar(text: &str, style: ScalarStyle, bytes: &mut Range<usize>) -> Option<bool> {
    if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        return Some(false);
    }
    let content = text.get(bytes.clone())?;
    // The header is before what the scanner reports as the scalar.
    let header = text.get(..bytes.start)?.rfind(['|', '>'])?;
    let keeps = text.get(header..bytes.start)?.lines().next()?.split('#').next()?.contains('+');
    let indented = content.trim_end_matches([' ', '\t']);
    let content = if keeps { without_line_end(indented).unwrap_or(content) } else { content.trim_end() };
    *bytes = header..bytes.start + content.len();
    Some(keeps)
}
