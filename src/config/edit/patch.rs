//! Converts steps into changes of bytes. Steps that cannot be written safely are refused. The result is proven
//! afterwards.

use std::ops::Range;

use super::layout::{FileLayout, Item, ListLayout, ListStyle, Pair, Shape};
use super::lists::ListName;
use super::step::{self, ChangedTerms, EditAction, EditStep, FieldEdit, NewEntry};
use crate::config::node::{double_quoted, scalar};
use crate::model::PersonRef;

/// Bytes to replace, by their position in the original text.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub bytes: Range<usize>,
    pub text: String,
}

impl Patch {
    fn delete(bytes: Range<usize>) -> Self {
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

pub(super) struct Writer<'l, 's> {
    pub layout: &'l FileLayout<'s>,
    pub list: &'l ListLayout,
    pub name: &'l ListName,
    /// The indentation of a new list below its key, in columns.
    pub indent: usize,
}

impl Writer<'_, '_> {
    /// The patches for the steps of this list.
    pub fn patches(&self, steps: &[&EditStep]) -> Option<Vec<Patch>> {
        let removed: Vec<usize> =
            steps.iter().filter(|step| matches!(step.action, EditAction::Remove)).map(|step| step.index).collect();
        let mut patches = match self.list.style {
            ListStyle::Block => self.remove_lines(&removed)?,
            ListStyle::Flow { .. } => {
                let patches = removed.iter().map(|index| self.remove_item(*index, &removed));
                patches.collect::<Option<Vec<_>>>()?.concat()
            }
        };
        for step in steps {
            match &step.action {
                EditAction::Remove => {}
                EditAction::Insert(new) => patches.extend(self.insert(step.index, new)?),
                EditAction::Replace(new) => patches.push(self.replace(step.index, new)?),
                EditAction::Change(terms) => patches.extend(self.change(step.index, terms)?),
                EditAction::Rename(person) => patches.extend(self.rename(step.index, person)?),
                EditAction::Sort(order) => patches.extend(self.sort(order)?),
            }
        }
        Some(patches)
    }

    fn item(&self, index: usize) -> Option<&Item> {
        self.list.items.get(index)
    }

    /// The lines of an item that shares them with nothing else.
    fn lines(&self, item: &Item) -> Option<Range<usize>> {
        let begin = item.dash.unwrap_or(item.bytes.start);
        let end = item.comma.map_or(item.bytes.end, |comma| comma + 1);
        let start = self.layout.line_start(begin);
        let alone = self.layout.is_blank(start..begin)
            && (item.comma.is_none() || self.layout.is_blank(item.bytes.end..end - 1))
            && (item.keeps_line_ends || self.layout.ends_line(end));
        alone.then(|| start..self.layout.after(end, item.keeps_line_ends))
    }

    fn remove_lines(&self, removed: &[usize]) -> Option<Vec<Patch>> {
        let mut patches = Vec::new();
        for index in removed {
            let mut lines = self.lines(self.item(*index)?)?;
            lines.start = self.start_at_end(lines.start, lines.end)?;
            patches.push(Patch::delete(lines));
        }
        if !removed.is_empty() && removed.len() == self.list.items.len() {
            patches.push(Patch::insert(self.list.lead, " []"));
        }
        Some(patches)
    }

    /// The start of the lines to delete. If the file has no final line ending, the last line is deleted together with
    /// the line ending before it.
    fn start_at_end(&self, start: usize, end: usize) -> Option<usize> {
        let text = self.layout.text;
        if end < text.len() || text.ends_with(['\n', '\r']) {
            return Some(start);
        }
        let before = text.get(..start)?;
        Some(before.strip_suffix("\r\n").map_or(start.saturating_sub(1), str::len))
    }

    /// Removes an item from brackets, with one comma.
    fn remove_item(&self, index: usize, removed: &[usize]) -> Option<Vec<Patch>> {
        let item = self.item(index)?;
        let layout = self.layout;
        let previous = index.checked_sub(1).and_then(|index| self.item(index));
        // The last item is removed with the comma before it, unless another removal takes that comma.
        let comma_before = match item.comma {
            None => (0..index).rev().find(|index| !removed.contains(index)).and_then(|kept| self.item(kept)?.comma),
            Some(_) => None,
        };
        let mut patches: Vec<Patch> = comma_before.map(|comma| Patch::delete(comma..comma + 1)).into_iter().collect();
        if let Some(lines) = self.lines(item) {
            patches.push(Patch::delete(lines));
            return Some(patches);
        }
        let end = item.comma.map_or(item.bytes.end, |comma| comma + 1);
        let previous_end = previous.map(|previous| previous.comma.map_or(previous.bytes.end, |comma| comma + 1));
        let bytes = match previous_end {
            Some(previous) if layout.is_blank(previous..item.bytes.start) => previous..end,
            _ => {
                let rest = layout.text.get(end..)?;
                item.bytes.start..end + (rest.len() - rest.trim_start_matches([' ', '\t']).len())
            }
        };
        patches.push(Patch::delete(bytes));
        Some(patches)
    }

    fn insert(&self, index: usize, new: &NewEntry) -> Option<Vec<Patch>> {
        match self.list.style {
            ListStyle::Block => self.insert_lines(index, new).map(|patch| vec![patch]),
            ListStyle::Flow { open, close, nested } => {
                let alone = close == open + 1 && self.list.items.is_empty();
                let written = self.layout.text.get(self.list.lead..open)? == " ";
                if alone && written && !nested {
                    return self.begin_list(close, new);
                }
                self.insert_item(index, open, &flow_entry(new))
            }
        }
    }

    /// Starts a list where there was an empty one.
    fn begin_list(&self, close: usize, new: &NewEntry) -> Option<Vec<Patch>> {
        let indent = " ".repeat(self.layout.column(self.list.key) + self.indent);
        let entry = self.lines_below(close, false, &block_entry(&indent, new))?;
        Some(vec![Patch::delete(self.list.lead..close + 1), entry])
    }

    fn insert_lines(&self, index: usize, new: &NewEntry) -> Option<Patch> {
        let layout = self.layout;
        let dash = self.item(index.min(self.list.items.len().checked_sub(1)?))?.dash?;
        let indent = " ".repeat(layout.column(dash));
        let (end, keeps_line_ends) = match index.checked_sub(1) {
            Some(previous) => self.item(previous).map(|item| (item.bytes.end, item.keeps_line_ends))?,
            // Insert above the first entry and below the key: comments in between belong to the first entry.
            None => (self.list.lead, false),
        };
        // The first entry may share its line with the text before it.
        if index == 0 && layout.line_start(dash) <= self.list.lead {
            return None;
        }
        self.lines_below(end, keeps_line_ends, &block_entry(&indent, new))
    }

    fn insert_item(&self, index: usize, open: usize, entry: &str) -> Option<Vec<Patch>> {
        let layout = self.layout;
        let own_lines = |item: &Item| layout.is_blank(layout.line_start(item.bytes.start)..item.bytes.start);
        let indent = |item: &Item| " ".repeat(layout.column(item.bytes.start));
        let Some(previous) = index.checked_sub(1).and_then(|index| self.item(index)) else {
            let Some(first) = self.item(0) else {
                let rest = layout.text.get(open + 1..)?;
                let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
                let after = if blanks > 0 && !rest.starts_with(['\n', '\r']) { " " } else { "" };
                return Some(vec![Patch::insert(open + 1 + blanks, format!("{entry}{after}"))]);
            };
            let below = own_lines(first) && layout.ends_line(open + 1);
            return Some(vec![if below {
                let text = format!("{}{entry},{}", indent(first), layout.line_ending(open));
                Patch::insert(layout.line_end(open).end, text)
            } else {
                Patch::insert(first.bytes.start, format!("{entry}, "))
            }]);
        };
        let (last_comma, end) = (previous.comma, previous.comma.map_or(previous.bytes.end, |comma| comma + 1));
        let beside = layout.is_blank(previous.bytes.end..end.saturating_sub(usize::from(last_comma.is_some())));
        if own_lines(previous) && beside && layout.ends_line(end) && !layout.line_end(end).is_empty() {
            let line = format!("{}{entry}", indent(previous));
            let (at, ending) = (layout.line_end(end).end, layout.line_ending(end));
            return Some(match last_comma {
                Some(_) => vec![Patch::insert(at, format!("{line},{ending}"))],
                None => vec![Patch::insert(end, ","), Patch::insert(at, format!("{line}{ending}"))],
            });
        }
        Some(vec![match last_comma {
            Some(_) => Patch::insert(end, format!(" {entry},")),
            None => Patch::insert(end, format!(", {entry}")),
        }])
    }

    fn replace(&self, index: usize, new: &NewEntry) -> Option<Patch> {
        let item = self.item(index)?;
        let ListStyle::Block = self.list.style else {
            return Some(Patch { bytes: item.bytes.clone(), text: flow_entry(new) });
        };
        let lines = self.lines(item)?;
        let indent = self.layout.text.get(lines.start..item.dash?)?;
        let ending = self.layout.line_ending(lines.start);
        let entry = block_entry(&" ".repeat(indent.len()), new).join(ending);
        let ends_open = !self.layout.text.get(lines.clone())?.ends_with(['\n', '\r']);
        Some(Patch { bytes: lines, text: if ends_open { entry } else { format!("{entry}{ending}") } })
    }

    fn change(&self, index: usize, terms: &ChangedTerms) -> Option<Vec<Patch>> {
        let item = self.item(index)?;
        match self.layout.shape(item)? {
            Shape::Alias => None,
            Shape::Scalar(_) => self.add_terms(item, terms),
            Shape::Mapping { pairs, flow: true } => Some(change_flow(&pairs, terms)),
            Shape::Mapping { pairs, flow: false } => self.change_block(item, &pairs, terms),
        }
    }

    /// Adds terms to an entry that is only an address.
    fn add_terms(&self, item: &Item, terms: &ChangedTerms) -> Option<Vec<Patch>> {
        let in_flow = self.list.style != ListStyle::Block;
        let set = terms.written(in_flow).into_iter().filter_map(|(key, edit)| match edit {
            FieldEdit::Set(value) => Some((key, value)),
            FieldEdit::Keep | FieldEdit::Drop => None,
        });
        let begin = item.bytes.start;
        if in_flow {
            let pairs: String = set.map(|(key, value)| format!(", {key}: {value}")).collect();
            let end = Patch::insert(item.bytes.end, format!("{pairs}}}"));
            return Some(vec![Patch::insert(begin, "{email: "), end]);
        }
        let indent = " ".repeat(self.layout.column(begin));
        let lines: Vec<String> = set.map(|(key, value)| format!("{indent}{key}: {value}")).collect();
        let below = self.lines_below(item.bytes.end, item.keeps_line_ends, &lines)?;
        Some(vec![Patch::insert(begin, "email: "), below])
    }

    /// New lines below the line that ends here. `None` also if there are none.
    fn lines_below(&self, end: usize, keeps_line_ends: bool, lines: &[String]) -> Option<Patch> {
        let at = self.layout.after(end, keeps_line_ends);
        let ending = self.layout.line_ending(end.saturating_sub(usize::from(keeps_line_ends)));
        let text = Some(lines.join(ending)).filter(|text| !text.is_empty())?;
        let ends_open = !self.layout.text.get(..at)?.ends_with(['\n', '\r']);
        Some(Patch::insert(at, if ends_open { format!("{ending}{text}") } else { format!("{text}{ending}") }))
    }

    /// Writes another person into an entry, in the quotes that are there.
    fn rename(&self, index: usize, person: &PersonRef) -> Option<Vec<Patch>> {
        let in_flow = self.list.style != ListStyle::Block;
        let value = |bytes: &Range<usize>, in_flow: bool| {
            let text = person.to_string();
            Some(match self.layout.text.get(bytes.clone())?.chars().next()? {
                '\'' => format!("'{}'", text.replace('\'', "''")),
                '"' => double_quoted(&text),
                _ => scalar(&text, in_flow),
            })
        };
        match self.layout.shape(self.item(index)?)? {
            // It follows its anchor, which is renamed as well, or the proof fails.
            Shape::Alias => Some(Vec::new()),
            Shape::Scalar(bytes) => {
                let text = match (step::is_bare(self.name, person), in_flow) {
                    (true, _) => value(&bytes, in_flow)?,
                    (false, true) => format!("{{id: {}}}", value(&bytes, true)?),
                    (false, false) => format!("id: {}", value(&bytes, false)?),
                };
                Some(vec![Patch { bytes, text }])
            }
            Shape::Mapping { pairs, flow } => {
                let whom = pairs.iter().find(|pair| matches!(pair.key, "email" | "id"))?;
                let text = value(&whom.value, in_flow || flow)?;
                let key = step::key_of(person);
                let renamed_key = (whom.key != key).then(|| Patch { bytes: whom.key_bytes.clone(), text: key.into() });
                Some(renamed_key.into_iter().chain([Patch { bytes: whom.value.clone(), text }]).collect())
            }
        }
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
        let item = self.item(index).filter(|item| !item.keeps_line_ends)?;
        let above =
            index.checked_sub(1).and_then(|index| self.item(index)).map_or(self.list.lead, |item| item.bytes.end);
        let mut start = self.lines(item)?.start;
        while let Some(before) = self
            .layout
            .text
            .get(above..start)
            .and_then(|text| text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r'])))
        {
            let line = before.rsplit(['\n', '\r']).next().filter(|line| line.len() < before.len());
            let Some(line) = line.filter(|line| line.trim_start_matches([' ', '\t']).starts_with('#')) else { break };
            start = above + before.len() - line.len();
        }
        Some(start..self.layout.line_end(item.bytes.end).start)
    }

    fn change_block(&self, item: &Item, pairs: &[Pair<'_>], terms: &ChangedTerms) -> Option<Vec<Patch>> {
        let layout = self.layout;
        let indent = " ".repeat(layout.column(pairs.first()?.bytes.start));
        let below = |above: &Pair<'_>, keys: &[String]| self.lines_below(above.bytes.end, above.keeps_line_ends, keys);
        let mut patches = Vec::new();
        // The key below which new keys are inserted, in the order in which they are written.
        let mut above = pairs.iter().find(|pair| matches!(pair.key, "email" | "id"))?;
        let mut fresh: Vec<String> = Vec::new();
        let mut dropped: Vec<usize> = Vec::new();
        for (key, edit) in terms.written(false) {
            let index = pairs.iter().position(|pair| pair.key == key);
            let pair = index.and_then(|index| pairs.get(index));
            match (edit, index, pair) {
                (FieldEdit::Set(value), _, None) => fresh.push(format!("{indent}{key}: {value}")),
                (FieldEdit::Drop, Some(index), _) => dropped.push(index),
                (edit, _, Some(pair)) => {
                    if let FieldEdit::Set(value) = edit {
                        let ending = if pair.keeps_line_ends { layout.line_ending(pair.value.start) } else { "" };
                        patches.push(Patch { bytes: pair.value.clone(), text: format!("{value}{ending}") });
                    }
                    // The new keys so far are inserted above this key.
                    patches.extend(below(above, &std::mem::take(&mut fresh)));
                    above = pair;
                }
                _ => {}
            }
        }
        // A new key replaces a removed one.
        if !fresh.is_empty()
            && let Some(last) = dropped.pop_if(|last| *last > 0)
        {
            let text = fresh.join(layout.line_ending(item.bytes.start)).trim_start().to_owned();
            patches.push(Patch { bytes: pairs.get(last)?.bytes.clone(), text });
            fresh.clear();
        }
        patches.extend(below(above, &fresh));
        for index in dropped {
            patches.push(self.drop_key(item, pairs, index)?);
        }
        Some(patches)
    }

    /// Removes a key from an entry, with its line.
    fn drop_key(&self, item: &Item, pairs: &[Pair<'_>], index: usize) -> Option<Patch> {
        let layout = self.layout;
        let pair = pairs.get(index)?;
        if let (0, Some(next), Some(dash)) = (index, pairs.get(1), item.dash) {
            // The next key moves up to the dash, unless comments are between the two.
            let between = layout.text.get(layout.line_end(pair.bytes.end).end..layout.line_start(next.bytes.start));
            return Some(Patch::delete(match between {
                Some("") => pair.bytes.start..next.bytes.start,
                _ => dash + 1..layout.line_end(pair.bytes.end).start,
            }));
        }
        let start = layout.line_start(pair.bytes.start);
        if !layout.is_blank(start..pair.bytes.start) {
            return None;
        }
        let end = layout.after(pair.bytes.end, pair.keeps_line_ends);
        Some(Patch::delete(self.start_at_end(start, end)?..end))
    }
}

/// Changes the terms of an entry in braces.
fn change_flow(pairs: &[Pair<'_>], terms: &ChangedTerms) -> Vec<Patch> {
    let mut patches = Vec::new();
    // The key after which new keys are inserted, in the order in which they are written.
    let Some(mut above) = pairs.iter().find(|pair| matches!(pair.key, "email" | "id")) else { return patches };
    let mut fresh = String::new();
    for (key, edit) in terms.written(true) {
        let index = pairs.iter().position(|pair| pair.key == key);
        let pair = index.and_then(|index| pairs.get(index));
        match (edit, index, pair) {
            (FieldEdit::Set(value), _, None) => fresh.push_str(&format!(", {key}: {value}")),
            (FieldEdit::Drop, Some(index), Some(pair)) => {
                let previous = index.checked_sub(1).and_then(|index| pairs.get(index));
                let next = pairs.get(index + 1);
                patches.push(Patch::delete(match (previous, next) {
                    (Some(previous), _) => previous.bytes.end..pair.bytes.end,
                    (None, Some(next)) => pair.bytes.start..next.bytes.start,
                    (None, None) => pair.bytes.clone(),
                }));
            }
            (edit, _, Some(pair)) => {
                if let FieldEdit::Set(value) = edit {
                    patches.push(Patch { bytes: pair.value.clone(), text: value });
                }
                if !fresh.is_empty() {
                    patches.push(Patch::insert(above.bytes.end, std::mem::take(&mut fresh)));
                }
                above = pair;
            }
            _ => {}
        }
    }
    if !fresh.is_empty() {
        patches.push(Patch::insert(above.bytes.end, fresh));
    }
    patches
}

fn block_entry(indent: &str, new: &NewEntry) -> Vec<String> {
    let pairs = new.written(false);
    if let [("email", address)] = pairs.as_slice() {
        return vec![format!("{indent}- {address}")];
    }
    let lead = |index| if index == 0 { "- " } else { "  " };
    let lines = pairs.into_iter().enumerate();
    lines.map(|(index, (key, value))| format!("{indent}{}{key}: {value}", lead(index))).collect()
}

fn flow_entry(new: &NewEntry) -> String {
    let pairs = new.written(true);
    if let [("email", address)] = pairs.as_slice() {
        return address.clone();
    }
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
