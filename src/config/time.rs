//! Reads `from`, `until` and `max_duration`.

use jiff::Timestamp;

use super::problem::quoted;
use super::reader::{Field, Reader};
use crate::model::{Period, TimeError, Window, WrittenTime};

impl Reader<'_> {
    /// Reads both ends of a window, and whether the end is a date. Reports an empty window.
    pub fn window(&mut self, from: Option<&Field<'_>>, until: Option<&Field<'_>>) -> (Window, bool) {
        let first = from.and_then(|field| self.time("`from`", field)).map(WrittenTime::start);
        let last = until.and_then(|field| self.time("`until`", field));
        let until_is_date = matches!(last, Some(WrittenTime::Day(_)));
        let window = Window { from: first, until: last.map(WrittenTime::end) };
        if let (Some(first), Some(after), Some(from), Some(until)) = (window.from, window.until, from, until)
            && first >= after
        {
            let problem = self
                .problem(until.node.at, "`until` is not after `from`, so the entry never applies")
                .related(self.origin(from.node.at), "`from` is here")
                .help("a date in `until` is the last day; an instant is the first moment after");
            self.report.push(problem);
        }
        (window, until_is_date)
    }

    fn time(&mut self, key: &str, field: &Field<'_>) -> Option<WrittenTime> {
        let text = self.text(key, field, WrittenTime::HELP)?;
        match text.parse() {
            Ok(time) => Some(time),
            Err(error) => {
                let error: TimeError = error;
                self.refuse(field.node.at, format!("{} is not a time: {error}", quoted(text)), error.help());
                None
            }
        }
    }

    /// Reads a duration that is not zero.
    pub fn period(&mut self, key: &str, field: &Field<'_>) -> Option<Period> {
        let text = self.text(&format!("`{key}`"), field, Period::HELP)?;
        let reason = match text.parse::<Period>() {
            Ok(period) if !period.is_zero() => return Some(period),
            Ok(_) => "it is zero".to_owned(),
            Err(error) => error.to_string(),
        };
        self.refuse(field.node.at, format!("{} is not a length of time: {reason}", quoted(text)), Period::HELP);
        None
    }
}

/// An end of a window.
#[derive(Clone, Copy)]
pub(super) enum End {
    From,
    Until,
}

/// Parses a time at this end of a window.
pub(super) fn parse(end: End, text: &str) -> Result<Timestamp, TimeError> {
    let time: WrittenTime = text.parse()?;
    Ok(match end {
        End::From => time.start(),
        End::Until => time.end(),
    })
}
