//! Colours, where they are wanted.

use anstyle::{AnsiColor, Effects};

/// What a stretch of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading, or the summary.
    Title,
    /// What joins.
    Add,
    /// What leaves, and what is refused.
    Remove,
    /// What needs attention.
    Warn,
    /// What can be passed over.
    Dim,
}

/// Paints text, or returns it unchanged.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    color: bool,
}

impl Paint {
    /// Paints if colour is wanted.
    #[must_use]
    pub const fn new(color: bool) -> Self {
        Self { color }
    }

    /// The text in the style.
    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.into();
        }
        let style = match style {
            Style::Title => anstyle::Style::new().effects(Effects::BOLD),
            Style::Add => anstyle::Style::new().fg_color(Some(AnsiColor::Green.into())),
            Style::Remove => anstyle::Style::new().fg_color(Some(AnsiColor::Red.into())),
            Style::Warn => anstyle::Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Style::Dim => anstyle::Style::new().effects(Effects::DIMMED),
        };
        format!("{style}{text}{style:#}")
    }
}
