//! Converts steps into changes of bytes. Steps that cannot be written safely are refused. The result is proven
//! afterwards.

use std::ops::Range;

use super::layout::{FileLayout, Item, ListLayout, ListStyle, Pair, without_line_end};
use super::lists::{List, Lists};
use super::step::{ChangedTerms, EditAction, EditStep, NewEntry, key_of};
use crate::config::node::{double_quoted, scalar};
use crate::model::PersonRef;

/// Bytes to replace, by their position in the original text.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    bytes: Range<usize>,
    text: String,
}

impl Patch {
    const fn delete(bytes: Range<usize>) -> Self {
        Self { bytes, text: String::new() }
    }

    fn insert(at: usize, text: impl Into<String>) -> Self {
        Self { bytes: at..at, text: text.into() }
    }
}

/// The text with all patches, unless two patches conflict.
pub(super) fn apply(text: &str, mut patches: Vec<Patch>) -> Option<String> {
    patches.sort_by_key(|patch| (patch.bytes.start, patch.bytes.end));
    let mut result = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for Patch { bytes, text: new } in patches {
        // Overlapping deletions are merged.
        if bytes.start < at && !new.is_empty() {
            return None;
        }
        result.push_str(text.get(at..bytes.start.max(at))?);
        result.push_str(&new);
        at = at.max(bytes.end);
    }
    result.push_str(text.get(at..)?);
    Some(result)
}

/// The patches for the steps of a list.
pub(super) fn patches(
    layout: &FileLayout<'_>,
    lists: &Lists<'_>,
    of: &List<'_>,
    steps: &[&EditStep<'_>],
) -> Option<Vec<Patch>> {
    let list = &layout.list(&of.name)?;
    let writer = Writer { layout, list, lists, of };
    let is_removed = |step: &&&EditStep<'_>| matches!(step.action, EditAction::Remove);
    let removed: Vec<usize> = steps.iter().filter(is_removed).map(|step| step.index).collect();
    let mut patches = Vec::new();
    for EditStep { index, action, .. } in steps {
        patches.extend(match action {
            EditAction::Remove => writer.remove(*index, &removed)?,
            EditAction::Insert(new) => writer.insert(*index, new)?,
            EditAction::Replace(new) => vec![writer.replace(*index, new)?],
            EditAction::Change(terms) => writer.change(*index, terms)?,
            EditAction::Rename { person, is_bare } => writer.rename(*index, person, *is_bare)?,
            EditAction::Sort(order) => writer.sort(order)?,
        });
    }
    if list.style == ListStyle::Block && removed.len() == list.items.len() {
        patches.push(Patch::insert(list.lead, " []"));
    }
    Some(patches)
}

struct Writer<'l, 's> {
    layout: &'l FileLayout<'s>,
    list: &'l ListLayout<'s>,
    lists: &'l Lists<'l>,
    of: &'l List<'l>,
}

impl<'s> Writer<'_, 's> {
    fn is_in_flow(&self) -> bool {
        self.list.style != ListStyle::Block
    }

    fn item(&self, index: usize) -> Option<&Item<'s>> {
        self.list.items.get(index)
    }

    /// The item before this index. The first item has none.
    fn previous(&self, index: usize) -> Option<&Item<'s>> {
        self.item(index.checked_sub(1)?)
    }

    /// The lines of an item that shares them with nothing else.
    fn lines(&self, item: &Item<'_>) -> Option<Range<usize>> {
        let (begin, end) = (item.dash.unwrap_or(item.bytes.start), item.end());
        let start = self.layout.line_start(begin);
        let alone = self.layout.is_blank(start..begin)
            && self.layout.is_blank(item.bytes.end..item.comma.unwrap_or(item.bytes.end))
            && self.layout.ends_line(end);
        alone.then(|| start..self.layout.line_end(end).end)
    }

    /// The lines to delete. If the file has no final line ending, the last line is deleted together with the line ending
    /// before it.
    fn deleted_lines(&self, lines: Range<usize>) -> Patch {
        let text = self.layout.text;
        let is_open_end = lines.end == text.len() && without_line_end(text).is_none();
        let before = text.get(..lines.start).and_then(without_line_end).filter(|_| is_open_end);
        Patch::delete(before.map_or(lines.start, str::len)..lines.end)
    }

    fn remove(&self, index: usize, removed: &[usize]) -> Option<Vec<Patch>> {
        let (item, layout) = (self.item(index)?, self.layout);
        let lines = self.lines(item).map(|lines| self.deleted_lines(lines));
        if !self.is_in_flow() {
            return Some(vec![lines?]);
        }
        let mut patches: Vec<Patch> = Vec::new();
        // The last item is removed with the comma before it, unless another removal takes that comma.
        if item.comma.is_none() {
            let kept = (0..index).rev().find(|index| !removed.contains(index)).and_then(|kept| self.item(kept));
            patches.extend(kept.and_then(|kept| kept.comma).map(|comma| Patch::delete(comma..comma + 1)));
        }
        let end = item.end();
        let after_previous = self.previous(index).map(Item::end).filter(|end| layout.is_blank(*end..item.bytes.start));
        patches.push(lines.unwrap_or_else(|| {
            Patch::delete(match after_previous {
                Some(previous) => previous..end,
                None => item.bytes.start..layout.after_blanks(end),
            })
        }));
        Some(patches)
    }

    fn insert(&self, index: usize, new: &NewEntry) -> Option<Vec<Patch>> {
        let ListStyle::Flow { open, close, nested } = self.list.style else {
            return Some(vec![self.insert_lines(index, new)?]);
        };
        if !nested && self.layout.text.get(self.list.lead..=close)? == " []" {
            let indent = " ".repeat(self.layout.column(self.list.key) + self.indent_of_lists());
            let entry = self.lines_below(close, &block_entry(&indent, new))?;
            return Some(vec![Patch::delete(self.list.lead..close + 1), entry]);
        }
        Some(match self.previous(index) {
            Some(previous) => self.insert_item_after(previous, &flow_entry(new)),
            None => vec![self.insert_first_item(open, &flow_entry(new))],
        })
    }

    /// The indentation of lists in this file: as in the nearest list above, or else below.
    fn indent_of_lists(&self) -> usize {
        const USUAL: usize = 2;
        let (of, layout) = (self.of, self.layout);
        let indent = |other: &List<'_>| {
            if !other.is_membership() || other.file != of.file || other.group.is_some() != of.group.is_some() {
                return None;
            }
            let found = layout.list(&other.name)?;
            let dash = found.items.first()?.dash?;
            layout.column(dash).checked_sub(layout.column(found.key))
        };
        let (above, below) = self.lists.all.split_at_checked(of.index).unwrap_or_default();
        above.iter().rev().chain(below).find_map(indent).unwrap_or(USUAL)
    }

    fn insert_lines(&self, index: usize, new: &NewEntry) -> Option<Patch> {
        let layout = self.layout;
        let dash = self.item(index.min(self.list.items.len().checked_sub(1)?))?.dash?;
        // The first entry may share its line with the text before it.
        if index == 0 && layout.line_start(dash) <= self.list.lead {
            return None;
        }
        // Above the first entry and below the key: comments in between belong to the first entry.
        let above = self.previous(index).map_or(self.list.lead, |item| item.bytes.end);
        self.lines_below(above, &block_entry(&" ".repeat(layout.column(dash)), new))
    }

    fn insert_first_item(&self, open: usize, entry: &str) -> Patch {
        let (layout, inside) = (self.layout, open + 1);
        let Some(first) = self.item(0) else {
            let at = layout.after_blanks(inside);
            return Patch::insert(at, if at > inside { format!("{entry} ") } else { entry.to_owned() });
        };
        let start = first.bytes.start;
        if layout.is_blank(layout.line_start(start)..start) && layout.ends_line(inside) {
            let indent = " ".repeat(layout.column(start));
            return Patch::insert(layout.line_end(open).end, format!("{indent}{entry},{}", layout.line_ending(open)));
        }
        Patch::insert(start, format!("{entry}, "))
    }

    fn insert_item_after(&self, previous: &Item<'_>, entry: &str) -> Vec<Patch> {
        let (layout, end) = (self.layout, previous.end());
        let (before, after) = if previous.comma.is_some() { ("", ",") } else { (",", "") };
        let line_end = layout.line_end(end);
        if self.lines(previous).is_none() || line_end.is_empty() {
            return vec![Patch::insert(end, format!("{before} {entry}{after}"))];
        }
        let indent = " ".repeat(layout.column(previous.bytes.start));
        let line = format!("{indent}{entry}{after}{}", layout.line_ending(end));
        vec![Patch::insert(end, before), Patch::insert(line_end.end, line)]
    }

    fn replace(&self, index: usize, new: &NewEntry) -> Option<Patch> {
        let item = self.item(index)?;
        if self.is_in_flow() {
            return Some(Patch { bytes: item.bytes.clone(), text: flow_entry(new) });
        }
        let start = self.lines(item)?.start;
        let entry = block_entry(&" ".repeat(item.dash? - start), new);
        let bytes = start..self.layout.line_end(item.bytes.end).start;
        Some(Patch { bytes, text: entry.join(self.layout.line_ending(start)) })
    }

    fn change(&self, index: usize, terms: &ChangedTerms) -> Option<Vec<Patch>> {
        let item = self.item(index)?;
        let (pairs, in_flow) = self.pairs(item)?;
        let whom = pairs.iter().find(|pair| matches!(pair.key, "email" | "id"))?;
        // The key below which a new key is inserted, in the order in which they are written.
        let mut above = whom;
        let (mut patches, mut fresh, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for key in ["from", "until", "reason"] {
            let found = pairs.iter().enumerate().find(|(_, pair)| pair.key == key);
            let change = terms.get(key).map(|value| value.as_deref().map(|value| written(key, value, in_flow)));
            match (found, change) {
                (None, Some(Some(value))) => fresh.push((above.bytes.end, format!("{key}: {value}"))),
                (None, _) => {}
                (Some((index, _)), Some(None)) => dropped.push(index),
                (Some((_, pair)), change) => {
                    patches.extend(change.flatten().map(|text| Patch { bytes: pair.value.clone(), text }));
                    above = pair;
                }
            }
        }
        let indent = " ".repeat(self.layout.column(pairs.first()?.bytes.start));
        for (end, text) in fresh {
            patches.push(if in_flow {
                Patch::insert(end, format!(", {text}"))
            } else if let Some(last) = dropped.pop_if(|last| *last > 0 && end == above.bytes.end) {
                // A new key replaces a removed one.
                Patch { bytes: pairs.get(last)?.bytes.clone(), text }
            } else {
                self.lines_below(end, &[format!("{indent}{text}")])?
            });
        }
        for index in dropped {
            patches.push(self.drop_key(item, &pairs, index, in_flow)?);
        }
        // The last of all, because a brace may follow the last new key.
        if whom.key_bytes.is_empty() {
            patches.extend(self.with_key("email", &item.bytes));
        }
        Some(patches)
    }

    /// Removes a key from an entry: with its line, or with a comma in braces.
    fn drop_key(&self, item: &Item<'_>, pairs: &[Pair<'_>], index: usize, in_flow: bool) -> Option<Patch> {
        let (layout, pair) = (self.layout, pairs.get(index)?);
        let (previous, next) = (index.checked_sub(1).and_then(|index| pairs.get(index)), pairs.get(index + 1));
        if in_flow {
            return Some(Patch::delete(match previous {
                Some(previous) => previous.bytes.end..pair.bytes.end,
                None => pair.bytes.start..next?.bytes.start,
            }));
        }
        if let (None, Some(next), Some(dash)) = (previous, next, item.dash) {
            // The next key moves up to the dash, unless comments are between the two.
            let line_end = layout.line_end(pair.bytes.end);
            return Some(Patch::delete(match layout.text.get(line_end.end..layout.line_start(next.bytes.start)) {
                Some("") => pair.bytes.start..next.bytes.start,
                _ => dash + 1..line_end.start,
            }));
        }
        let start = layout.line_start(pair.bytes.start);
        let is_alone = layout.is_blank(start..pair.bytes.start);
        is_alone.then(|| self.deleted_lines(start..layout.line_end(pair.bytes.end).end))
    }

    /// New lines below the line of this byte.
    fn lines_below(&self, byte: usize, lines: &[String]) -> Option<Patch> {
        let at = self.layout.line_end(byte).end;
        let ending = self.layout.line_ending(byte);
        let text = lines.join(ending);
        let is_open = without_line_end(self.layout.text.get(..at)?).is_none();
        Some(Patch::insert(at, if is_open { format!("{ending}{text}") } else { format!("{text}{ending}") }))
    }

    /// The pairs of an entry, and whether they are inside brackets or braces. The pairs of an alias are not here.
    fn pairs(&self, item: &Item<'s>) -> Option<(Vec<Pair<'s>>, bool)> {
        let first = self.layout.first_byte(item).filter(|first| *first != b'*')?;
        Some((self.layout.pairs(item)?, self.is_in_flow() || first == b'{'))
    }

    /// Makes an address or id alone the value of a key.
    fn with_key(&self, key: &str, bytes: &Range<usize>) -> Vec<Patch> {
        if self.is_in_flow() {
            return vec![Patch::insert(bytes.start, format!("{{{key}: ")), Patch::insert(bytes.end, "}")];
        }
        vec![Patch::insert(bytes.start, format!("{key}: "))]
    }

    /// Writes another person into an entry, in the quotes that are there.
    fn rename(&self, index: usize, person: &PersonRef, is_bare: bool) -> Option<Vec<Patch>> {
        let (item, layout) = (self.item(index)?, self.layout);
        // It follows its anchor, which is renamed as well, or the proof fails.
        if layout.first_byte(item) == Some(b'*') {
            return Some(Vec::new());
        }
        let (pairs, in_flow) = self.pairs(item)?;
        let whom = pairs.into_iter().find(|pair| matches!(pair.key, "email" | "id"))?;
        let (key, name) = (key_of(person), person.to_string());
        let text = match layout.byte(whom.value.start)? {
            b'\'' => format!("'{}'", name.replace('\'', "''")),
            b'"' => double_quoted(&name),
            _ => scalar(&name, in_flow),
        };
        let mut patches = match (whom.key_bytes.is_empty(), is_bare) {
            (true, false) => self.with_key(key, &whom.value),
            (false, _) if whom.key != key => vec![Patch { bytes: whom.key_bytes, text: key.into() }],
            _ => Vec::new(),
        };
        patches.push(Patch { bytes: whom.value, text });
        Some(patches)
    }

    /// Puts the entries into another order, with the comment lines directly above each. Everything between them stays.
    fn sort(&self, order: &[usize]) -> Option<Vec<Patch>> {
        let parts = match self.list.style {
            ListStyle::Block => {
                (0..self.list.items.len()).map(|index| self.with_comments(index)).collect::<Option<Vec<_>>>()?
            }
            ListStyle::Flow { open, close, .. } => {
                let parts: Vec<_> = self.list.items.iter().map(|item| item.bytes.clone()).collect();
                let starts = parts.iter().map(|part| part.start).chain([close]);
                let mut gaps = [open].into_iter().chain(parts.iter().map(|part| part.end)).zip(starts);
                // A comment may belong to any entry of its line.
                if gaps.any(|(end, start)| self.layout.text.get(end..start).is_none_or(|gap| gap.contains('#'))) {
                    return None;
                }
                parts
            }
        };
        let moved = order.iter().enumerate().filter(|(at, from)| at != *from);
        let patch = |(at, from): (usize, &usize)| {
            let text = self.layout.text.get(parts.get(*from)?.clone())?.to_owned();
            Some(Patch { bytes: parts.get(at)?.clone(), text })
        };
        moved.map(patch).collect()
    }

    /// The lines of an entry and of the comments directly above it, without the last line ending.
    fn with_comments(&self, index: usize) -> Option<Range<usize>> {
        let item = self.item(index)?;
        let above = self.previous(index).map_or(self.list.lead, |item| item.bytes.end);
        let mut start = self.lines(item)?.start;
        while let Some(before) = self.layout.text.get(above..start).and_then(without_line_end) {
            let line = self.layout.line_start(above + before.len());
            if line <= above || !self.layout.is_comment(self.layout.after_blanks(line)) {
                break;
            }
            start = line;
        }
        // A text with the line ends after it would get those of its new place.
        let last = self.layout.pairs(item)?.pop()?;
        let can_move = !self.layout.keeps_line_ends(last.value.start);
        can_move.then(|| start..self.layout.line_end(item.bytes.end).start)
    }
}

/// A value as YAML. Times need no quotes, whatever they look like: every text of a time is read as text.
fn written(key: &str, value: &str, in_flow: bool) -> String {
    if matches!(key, "from" | "until") { value.to_owned() } else { scalar(value, in_flow) }
}

/// The pairs of a new entry, or its address alone.
fn written_pairs(new: &NewEntry, in_flow: bool) -> Vec<String> {
    let pairs = new.pairs().map(|(key, value)| format!("{key}: {}", written(key, &value, in_flow)));
    if new.is_bare() { vec![scalar(&new.person.to_string(), in_flow)] } else { pairs.collect() }
}

fn block_entry(indent: &str, new: &NewEntry) -> Vec<String> {
    let lead = |index| if index == 0 { "- " } else { "  " };
    let lines = written_pairs(new, false).into_iter().enumerate();
    lines.map(|(index, pair)| format!("{indent}{}{pair}", lead(index))).collect()
}

fn flow_entry(new: &NewEntry) -> String {
    let pairs = written_pairs(new, true).join(", ");
    if new.is_bare() { pairs } else { format!("{{{pairs}}}") }
}
