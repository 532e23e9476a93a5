//! What is wrong is shown so that whoever reads it knows what to do.

use super::*;

#[test]
fn a_file_of_another_version_is_not_read() {
    insta::assert_snapshot!(problems("version: 2\n"), @r#"
    convoke.yaml:1:10: version "2" of the file format is not known
      | version: 2
      |          ^
      help: this release reads `version: 1`

    1 problem
    "#);
}
