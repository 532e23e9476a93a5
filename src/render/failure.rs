//! Why a command failed, as JSON.

use serde::Serialize;

use crate::config::Problem;
use crate::model::RunStatus;

/// The version of the format.
pub const FORMAT_VERSION: u32 = 1;

/// A command that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failed<'a> {
    pub format_version: u32,
    pub status: RunStatus,
    pub exit_code: u8,
    /// What went wrong, with its causes.
    pub error: String,
    /// What to do about it.
    pub help: Option<&'a str>,
    /// What is wrong with the files, where that is why.
    pub problems: Vec<&'a Problem>,
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, parse};
    use crate::render::{json, samples};

    #[test]
    fn problem_says_where_and_what_to_do() {
        let source = Source { path: "a.yaml".into(), bytes: "version: 1\ngroup: {}\n".into() };
        let problems = parse(&[source]).unwrap_err();
        let failed = samples::failed(&problems);
        let mut text = Vec::new();
        json::write(&mut text, &failed).unwrap();
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
