//! Failures in JSON.

use convoke::config::{Source, parse};
use convoke::render::json;

use super::samples;

#[test]
fn problem_has_place_and_remedy() {
    let source = Source { path: "a.yaml".into(), bytes: "version: 1\ngroup: {}\n".into() };
    let problems = parse(&[source]).unwrap_err();
    let failed = samples::failed(&problems);
    let mut text = Vec::new();
    json(&mut text, &failed).unwrap();
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
      ],
      "api": null,
      "requests": null
    }
    "#);
}
