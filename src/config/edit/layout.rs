//! The byte positions of the lists in a file, from the scanner's tokens.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{ScalarStyle, Scanner, StrInput, TokenType};

use crate::model::Position;

/// A file as tokens. The bytes between tokens are blanks and comments.
pub(super) struct Layout<'s> {
    pub text: &'s str,
    tokens: Vec<Token<'s>>,
    scalars: HashMap<Position, usize>,
}

struct Token<'s> {
    kind: Kind,
    bytes: Range<usize>,
    in_flow: bool,
    value: Cow<'s, str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The `-` of an entry.
    Dash,
    Comma,
    Key,
    Colon,
    BlockSequence,
    BlockMapping,
    BlockEnd,
    FlowSequence,
    FlowSequenceEnd,
    FlowMapping,
    FlowMappingEnd,
    /// Text, and whether it includes the line ends after it.
    Scalar {
        keeps_line_ends: bool,
    },
    Alias,
    /// An anchor or a tag.
    Property,
    Other,
}

impl Kind {
    /// How it changes the nesting depth of what follows.
    const fn depth(self) -> isize {
        match self {
            Self::BlockSequence | Self::BlockMapping | Self::FlowSequence | Self::FlowMapping => 1,
            Self::BlockEnd | Self::FlowSequenceEnd | Self::FlowMappingEnd => -1,
            _ => 0,
        }
    }
}

pub(super) struct ListLayout {
    pub key: usize,
    /// The end of the token before the list: its `:`, an anchor or a tag.
    pub lead: usize,
    pub style: Style,
    pub items: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
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

pub(super) enum Shape<'l, 's> {
    Scalar(Range<usize>),
    Alias,
    /// The pairs of a mapping, and whether it is written in braces.
    Mapping {
        pairs: Vec<Pair<'l, 's>>,
        flow: bool,
    },
}

pub(super) struct Pair<'l, 's> {
    pub key: &'l Cow<'s, str>,
    pub key_bytes: Range<usize>,
    /// From the key to the end of the value.
    pub bytes: Range<usize>,
    pub value: Range<usize>,
    pub keeps_line_ends: bool,
}

impl<'s> Layout<'s> {
    /// The layout of a file that the reader accepted.
    pub fn new(text: &'s str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut scalars = HashMap::new();
        let mut flow_depth = 0_usize;
        let mut content_end = 0;
        for token in Scanner::new(StrInput::new(text)) {
            let (span, token) = token.ok()?.into_parts();
            let position = position(span.start.line(), span.start.col());
            let mut bytes = span.byte_range()?;
            let mut value = Cow::Borrowed("");
            let kind = match token {
                TokenType::BlockEntry => {
                    // The scanner has already continued to the end of the dash's line.
                    let line = text.get(..bytes.start)?.rfind(['\n', '\r']).map_or(0, |end| end + 1).max(content_end);
                    let blanks = text.get(line..)?.len() - text.get(line..)?.trim_start_matches([' ', '\t']).len();
                    bytes = line + blanks..line + blanks + 1;
                    Kind::Dash
                }
                TokenType::Value => {
                    bytes = bytes.start..bytes.start + 1;
                    Kind::Colon
                }
                TokenType::FlowEntry => Kind::Comma,
                TokenType::Key => Kind::Key,
                TokenType::BlockSequenceStart => Kind::BlockSequence,
                TokenType::BlockMappingStart => Kind::BlockMapping,
                TokenType::BlockEnd => Kind::BlockEnd,
                TokenType::FlowSequenceStart => Kind::FlowSequence,
                TokenType::FlowSequenceEnd => Kind::FlowSequenceEnd,
                TokenType::FlowMappingStart => Kind::FlowMapping,
                TokenType::FlowMappingEnd => Kind::FlowMappingEnd,
                TokenType::Alias(_) => Kind::Alias,
                TokenType::Anchor(_) | TokenType::Tag(..) => Kind::Property,
                TokenType::Scalar(style, text_of) => {
                    scalars.insert(position, tokens.len());
                    value = text_of;
                    Kind::Scalar { keeps_line_ends: block_scalar(text, style, &mut bytes)? }
                }
                _ => Kind::Other,
            };
            if let (Kind::Dash, false) | (Kind::Colon, false) = (kind, is_indicator(text, kind, bytes.start)) {
                return None;
            }
            if !bytes.is_empty() {
                content_end = bytes.end;
            }
            tokens.push(Token { kind, bytes, in_flow: flow_depth > 0, value });
            match kind {
                Kind::FlowSequence | Kind::FlowMapping => flow_depth += 1,
                Kind::FlowSequenceEnd | Kind::FlowMappingEnd => flow_depth = flow_depth.saturating_sub(1),
                _ => {}
            }
        }
        Some(Self { text, tokens, scalars })
    }

    /// The list after the key at this position.
    pub fn list(&self, key: Position) -> Option<ListLayout> {
        let scalar = *self.scalars.get(&key)?;
        let key = self.tokens.get(scalar)?.bytes.start;
        let mut at = scalar + 1;
        let mut lead = match self.tokens.get(at)? {
            Token { kind: Kind::Colon, bytes, .. } => bytes.end,
            _ => return None,
        };
        at += 1;
        while let Token { kind: Kind::Property, bytes, .. } = self.tokens.get(at)? {
            lead = bytes.end;
            at += 1;
        }
        match self.tokens.get(at)?.kind {
            Kind::FlowSequence => self.flow_list(key, lead, at),
            Kind::BlockSequence => Some(self.block_list(key, lead, at + 1)),
            Kind::Dash => Some(self.block_list(key, lead, at)),
            _ => None,
        }
    }

    fn block_list(&self, key: usize, lead: usize, first: usize) -> ListLayout {
        let mut items: Vec<Item> = Vec::new();
        let mut depth = 0;
        let mut open: Option<(usize, usize)> = None;
        let mut at = first;
        loop {
            let kind = self.tokens.get(at).map_or(Kind::BlockEnd, |token| token.kind);
            // A key on the same level belongs to the mapping that contains the list.
            let ends = depth == 0 && matches!(kind, Kind::BlockEnd | Kind::Key | Kind::Other);
            if depth == 0 && (ends || kind == Kind::Dash) {
                items.extend(open.take().map(|(dash, begin)| self.item(Some(dash), begin..at)));
            }
            if ends {
                break;
            }
            if depth == 0 && kind == Kind::Dash {
                open = self.tokens.get(at).map(|token| (token.bytes.start, at + 1));
            }
            depth += kind.depth();
            at += 1;
        }
        ListLayout { key, lead, style: Style::Block, items }
    }

    fn flow_list(&self, key: usize, lead: usize, bracket: usize) -> Option<ListLayout> {
        let open = self.tokens.get(bracket)?.bytes.start;
        let nested = self.tokens.get(bracket)?.in_flow;
        let (items, last) = self.flow_items(bracket)?;
        let close = self.tokens.get(last)?.bytes.start;
        Some(ListLayout { key, lead, style: Style::Flow { open, close, nested }, items })
    }

    /// The items inside the bracket at this token, and the token that closes it.
    fn flow_items(&self, bracket: usize) -> Option<(Vec<Item>, usize)> {
        let mut items: Vec<Item> = Vec::new();
        let mut depth = 1;
        let mut begin = bracket + 1;
        let mut at = begin;
        loop {
            let token = self.tokens.get(at)?;
            depth += token.kind.depth();
            let comma = (depth == 1 && token.kind == Kind::Comma).then_some(token.bytes.start);
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
        let keeps_line_ends = last.is_some_and(|token| token.kind == Kind::Scalar { keeps_line_ends: true });
        Item { dash, bytes: begin..end, keeps_line_ends, comma: None, tokens }
    }

    /// The content of an item, if it has a shape that entries have.
    pub fn shape(&self, item: &Item) -> Option<Shape<'_, 's>> {
        let mut at = item.tokens.start;
        while self.tokens.get(at)?.kind == Kind::Property {
            at += 1;
        }
        match self.tokens.get(at)?.kind {
            Kind::Scalar { .. } => Some(Shape::Scalar(self.tokens.get(at)?.bytes.clone())),
            Kind::Alias => Some(Shape::Alias),
            Kind::FlowMapping => {
                let (items, _) = self.flow_items(at)?;
                let pairs = items.into_iter().map(|pair| self.pair(pair.tokens.clone()));
                Some(Shape::Mapping { pairs: pairs.collect::<Option<_>>()?, flow: true })
            }
            Kind::BlockMapping => {
                let mut starts = Vec::new();
                let mut depth = 0;
                for index in at + 1..item.tokens.end {
                    let kind = self.tokens.get(index)?.kind;
                    if depth == 0 && kind == Kind::Key {
                        starts.push(index);
                    }
                    depth += kind.depth();
                }
                let ends = starts.iter().skip(1).copied().chain([item.tokens.end]);
                let pairs = starts.iter().zip(ends).map(|(start, end)| self.pair(*start..end));
                Some(Shape::Mapping { pairs: pairs.collect::<Option<_>>()?, flow: false })
            }
            _ => None,
        }
    }

    fn pair(&self, tokens: Range<usize>) -> Option<Pair<'_, 's>> {
        let covered = self.tokens.get(tokens.clone())?;
        let key = covered.iter().position(|token| matches!(token.kind, Kind::Scalar { .. }))?;
        let colon = covered.iter().position(|token| token.kind == Kind::Colon)?;
        let whole = self.item(None, tokens.clone());
        let value = self.item(None, tokens.start + colon + 1..tokens.end);
        (key < colon && value.bytes.start < value.bytes.end).then_some(Pair {
            key: &covered.get(key)?.value,
            key_bytes: covered.get(key)?.bytes.clone(),
            bytes: whole.bytes,
            value: value.bytes,
            keeps_line_ends: whole.keeps_line_ends,
        })
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

    /// The first byte after all lines of the item that ends at this byte.
    pub fn after(&self, end: usize, keeps_line_ends: bool) -> usize {
        if keeps_line_ends { end } else { self.line_end(end).end }
    }

    pub fn is_blank(&self, bytes: Range<usize>) -> bool {
        self.text.get(bytes).is_some_and(|text| text.bytes().all(|byte| matches!(byte, b' ' | b'\t')))
    }

    /// Whether only blanks or a comment follow on the line of this byte.
    pub fn ends_line(&self, byte: usize) -> bool {
        let rest = self.text.get(byte..self.line_end(byte).start).unwrap_or_default();
        let trimmed = rest.trim_start_matches([' ', '\t']);
        trimmed.is_empty() || trimmed.starts_with('#')
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

/// Removes trailing indentation of the next line from a block scalar. Also returns whether the scalar includes the
/// line ends after it.
fn block_scalar(text: &str, style: ScalarStyle, bytes: &mut Range<usize>) -> Option<bool> {
    if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        return Some(false);
    }
    let content = text.get(bytes.clone())?;
    // The header is before what the scanner reports as the scalar.
    let header = text.get(..bytes.start)?.rfind(['|', '>'])?;
    let keeps = text.get(header..bytes.start)?.lines().next()?.split('#').next()?.contains('+');
    bytes.end = bytes.start
        + if keeps {
            content.rfind(['\n', '\r']).map_or(content.len(), |end| end + 1)
        } else {
            content.trim_end().len()
        };
    bytes.start = header;
    Some(keeps)
}

fn is_indicator(text: &str, kind: Kind, byte: usize) -> bool {
    let wanted = if kind == Kind::Dash { b'-' } else { b':' };
    text.as_bytes().get(byte) == Some(&wanted)
}
