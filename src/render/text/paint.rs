//! Optional colors.

use anstyle::{AnsiColor, Effects};

/// The role of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading, or the summary.
    Title,
    /// An addition.
    Add,
    /// A removal or a refusal.
    Remove,
    /// What needs attention.
    Warn,
    /// A less important text.
    Dim,
}

/// Paints text, or returns it unchanged.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    color: bool,
}

impl Paint {
    /// Paints if color is wanted.
    #[must_use]
    pub const fn new(color: bool) -> Self {
        Self { color }
    }

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
