//! Whether the files are right and why a command failed, as JSON that others read.

use serde::Serialize;

use crate::config::{Problem, Problems};

/// The version of the format.
const FORMAT_VERSION: u32 = 1;

/// The result of `validate` for files without problems.
#[derive(Clone, Debug, Serialize)]
pub struct ValidDocument {
    format_version: u32,
    status: &'static str,
    valid: bool,
    groups: u64,
    memberships: u64,
    warnings: Vec<ProblemDocument>,
}

impl ValidDocument {
    #[must_use]
    pub fn new(groups: u64, memberships: u64, warnings: &[Problem]) -> Self {
        let warnings = warnings.iter().map(ProblemDocument::from).collect();
        Self { format_version: FORMAT_VERSION, status: "valid", valid: true, groups, memberships, warnings }
    }
}

/// Why a command failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureDocument {
    format_version: u32,
    status: &'static str,
    exit_code: u8,
    error: String,
    help: Option<String>,
    /// What is wrong with the files, where that is why.
    problems: Vec<ProblemDocument>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProblemDocument {
    file: String,
    line: Option<u32>,
    column: Option<u32>,
    message: String,
    help: Option<String>,
    related: Vec<RelatedDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct RelatedDocument {
    file: String,
    line: u32,
    column: u32,
    message: String,
}

impl FailureDocument {
    /// A failure that has nothing to do with the files.
    #[must_use]
    pub fn new(exit_code: u8, error: &str, help: Option<&str>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            status: "failed",
            exit_code,
            error: error.into(),
            help: help.map(Into::into),
            problems: Vec::new(),
        }
    }

    /// Files that are wrong.
    #[must_use]
    pub fn of_files(exit_code: u8, problems: &Problems) -> Self {
        let error = "the files are wrong";
        Self { problems: problems.iter().map(ProblemDocument::from).collect(), ..Self::new(exit_code, error, None) }
    }
}

impl From<&Problem> for ProblemDocument {
    fn from(problem: &Problem) -> Self {
        let Problem { file, position, source_line: _, message, help, related } = problem;
        let related = related.iter().map(|(origin, message)| RelatedDocument {
            file: origin.file.to_string(),
            line: origin.line,
            column: origin.column,
            message: message.clone(),
        });
        Self {
            file: file.to_string(),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            message: message.clone(),
            help: help.clone(),
            related: related.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};
    use crate::render::json;

    #[test]
    fn every_problem_says_where_it_is_and_what_would_be_right() {
        let source = Source { path: "a.yaml".into(), bytes: "version: 1\ngroup: {}\n".into() };
        let document = FailureDocument::of_files(65, &parse(&[source]).unwrap_err());
        let mut text = Vec::new();
        json::write(&mut text, &document).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
    {
      "format_version": 1,
      "status": "failed",
      "exit_code": 65,
      "error": "the files are wrong",
      "help": null,
      "problems": [
        {
          "file": "a.yaml",
          "line": 2,
          "column": 1,
          "message": "unknown key \"group\" in the file",
          "help": "did you mean \"groups\"?",
          "related": []
        }
      ]
    }
    "#);
    }
}
