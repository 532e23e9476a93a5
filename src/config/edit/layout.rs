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
                    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                    let at = Position { line: number(span.start.line()), column: number(span.start.col() + 1) };
                    layout.scalars.insert(at, layout.tokens.len());
                    keeps_line_ends = block_scalar(text, *style, &mut bytes)?;
                }
                T::FlowSequenceStart | T::FlowMappingStart => flow_depth += 1,
                T::FlowSequenceEnd | T::FlowMappingEnd => flow_depth = flow_depth.saturating_sub(1),
                _ => {}
            }
            let written = text.as_bytes().get(bytes.start);
            match kind {
                T::BlockEntry if written != Some(&b'-') => return None,
                T::Value if written != Some(&b':') => return None,
                _ => {}
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
        let colon = self.tokens.get(scalar + 1).filter(|token| token.kind == T::Value)?;
        let properties = self.tokens.get(scalar + 2..)?.iter().take_while(|token| token.is_property());
        let (count, lead) = properties.fold((0, colon.bytes.end), |(count, _), token| (count + 1, token.bytes.end));
        let at = scalar + 2 + count;
        let begin = self.tokens.get(at)?;
        let (items, end) = match begin.kind {
            T::FlowSequenceStart => self.parts(at + 1, &T::FlowEntry),
            T::BlockSequenceStart => self.parts(at + 1, &T::BlockEntry),
            T::BlockEntry => self.parts(at, &T::BlockEntry),
            _ => return None,
        };
        let style = match begin.kind {
            T::FlowSequenceStart => {
                let close = self.tokens.get(end)?.bytes.start;
                ListStyle::Flow { open: begin.bytes.start, close, nested: begin.in_flow }
            }
            _ => ListStyle::Block,
        };
        Some(ListLayout { key, lead, style, items })
    }

    /// The parts of a sequence or mapping whose content begins at this token, and the token that ends it. Each
    /// part follows a dash, begins with a key, or ends at a comma.
    fn parts(&self, first: usize, divider: &TokenType<'_>) -> (Vec<Item>, usize) {
        let (mut items, mut depth, mut begin) = (Vec::new(), 0, first);
        for (at, token) in self.tokens.iter().enumerate().skip(first) {
            let ends = match token.kind {
                T::BlockEnd | T::FlowSequenceEnd | T::FlowMappingEnd | T::StreamEnd => true,
                T::DocumentStart | T::DocumentEnd => true,
                // A key on the same level belongs to the mapping that contains the list.
                T::Key => *divider == T::BlockEntry,
                _ => false,
            };
            let ends = depth == 0 && ends;
            if ends || depth == 0 && token.kind == *divider {
                if begin < at {
                    items.push(self.item(begin..at));
                }
                begin = if token.kind == T::Key { at } else { at + 1 };
            }
            if ends {
                return (items, at);
            }
            depth += token.depth();
        }
        (items, self.tokens.len())
    }

    fn item(&self, tokens: Range<usize>) -> Item {
        let start_of = |at: usize, kind: &TokenType<'_>| {
            self.tokens.get(at).filter(|token| token.kind == *kind).map(|token| token.bytes.start)
        };
        let dash = tokens.start.checked_sub(1).and_then(|before| start_of(before, &T::BlockEntry));
        let comma = start_of(tokens.end, &T::FlowEntry);
        let covered = self.tokens.get(tokens.clone()).unwrap_or_default();
        let begin = covered.first().map_or(0, |token| token.bytes.start);
        // Tokens that the scanner only infers have no bytes, and a later position.
        let last = covered.iter().filter(|token| !token.bytes.is_empty()).max_by_key(|token| token.bytes.end);
        let end = last.map_or(begin, |token| token.bytes.end);
        let keeps_line_ends = last.is_some_and(|token| token.keeps_line_ends);
        Item { dash, bytes: begin..end, keeps_line_ends, comma, tokens }
    }

    /// The content of an item, if it has a shape that entries have.
    pub fn shape(&self, item: &Item) -> Option<Shape<'_>> {
        let tokens = self.tokens.get(item.tokens.clone())?;
        let at = tokens.iter().position(|token| !token.is_property())?;
        let (token, inside) = (tokens.get(at)?, item.tokens.start + at + 1);
        let (parts, flow) = match token.kind {
            T::Scalar(..) => return Some(Shape::Scalar(token.bytes.clone())),
            T::Alias(_) => return Some(Shape::Alias),
            T::FlowMappingStart => (self.parts(inside, &T::FlowEntry).0, true),
            T::BlockMappingStart => (self.parts(inside, &T::Key).0, false),
            _ => return None,
        };
        let pairs = parts.into_iter().map(|item| self.pair(item)).collect::<Option<_>>()?;
        Some(Shape::Mapping { pairs, flow })
    }

    fn pair(&self, Item { tokens, bytes, .. }: Item) -> Option<Pair<'_>> {
        let covered = self.tokens.get(tokens.clone())?;
        let key = covered.iter().find(|token| token.kind != T::Key && !token.is_property())?;
        let colon = covered.iter().position(|token| token.kind == T::Value)?;
        let Token { kind: T::Scalar(_, text), bytes: key_bytes, .. } = key else { return None };
        let value = self.item(tokens.start + colon + 1..tokens.end).bytes;
        (!value.is_empty()).then(|| Pair { key: text, key_bytes: key_bytes.clone(), bytes, value })
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
