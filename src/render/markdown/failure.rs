//! The failure of a command as a comment, so that no older comment remains visible as the result.

use super::marker;
use super::page::{Page, alert, list};
use crate::config::Problem;
use crate::model::Origin;
use crate::render::counted;
use crate::render::escape::{clean_lines, code, fence, prose};
use crate::render::failure::Failed;
use crate::render::view::{Repository, place};

#[must_use]
pub fn failure(failed: &Failed<'_>, command: &str, repository: Option<&Repository>) -> String {
    let title = match failed.problems.as_slice() {
        [] => format!("`convoke {command}` failed"),
        problems => format!("`convoke {command}` failed: {} in the files", counted(problems.len() as u64, "problem")),
    };
    let mut page = Page::new(format!("{}\n### {title}\n\n", marker(command)), String::new());
    let mut text = match failed.problems.is_empty() {
        true => format!("**Failed** (exit code {}). {}", failed.exit_code, message(&failed.error)),
        false => format!(
            "**Failed** (exit code {}). Nothing was read from the account, and nothing was changed.",
            failed.exit_code
        ),
    };
    if let Some(help) = failed.help {
        text.push_str(&format!("\n\nHelp: {}", prose(help)));
    }
    page.push(&alert("CAUTION", &text));
    let room = page.room();
    page.push(&list("**Problems**", failed.problems.iter().map(|it| problem(it, repository)), room));
    page.finish()
}

/// The first line as a sentence, and the other lines unchanged, because they show a place in a file.
fn message(error: &str) -> String {
    let Some((first, rest)) = error.split_once('\n') else { return prose(error) };
    let rest = clean_lines(rest.trim_end());
    let fence = fence(rest.lines());
    format!("{}\n\n{fence}text\n{rest}\n{fence}", prose(first))
}

fn problem(problem: &Problem, repository: Option<&Repository>) -> String {
    let place = match problem.position {
        Some(position) => {
            let origin = Origin { file: problem.file.clone(), line: position.line, column: position.column };
            place(&origin, repository)
        }
        None => code(&problem.file),
    };
    let mut text = format!("{place}: {}", prose(&problem.message));
    if let Some(help) = &problem.help {
        text.push_str(&format!(". Help: {}", prose(help)));
    }
    if let Some(line) = &problem.source_line {
        text.push_str(&format!("\n  {}", code(line.trim())));
    }
    text
}
