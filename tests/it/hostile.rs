//! Hostile input: files, plans, journals, seeds, and any answer of an API. The program never panics, never loops
//! endlessly, never uses unlimited memory, and never removes anybody.

mod answers;

use std::path::Path;

use convoke::config::{self, Source};
use convoke::journal;
use convoke::plan::Plan;
use convoke::sandbox::Seed;
use proptest::collection::vec;
use proptest::prelude::*;

/// A valid file, seed, journal and plan, to be damaged.
const FILE: &str = include_str!("../../examples/quickstart/convoke.yaml");
const SEED: &str = include_str!("../../examples/quickstart/seed.yaml");
const JOURNAL: &str = r#"{"seq":1,"time":"2026-01-01T00:00:00Z","entry":"run","format_version":2,"version":"0.1.0","account_id":"023e105f4ecef8ad9ca31a8372d0c353","digest":"0000000000000000000000000000000000000000000000000000000000000000","host":null,"user":null,"ci_run_url":null,"commit":null,"pull_request":null,"approvers":[]}
{"seq":2,"time":"2026-01-01T00:00:00Z","entry":"before","group":{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"Ops"},"members":[]}
{"seq":3,"time":"2026-01-01T00:00:00Z","entry":"sending","group":{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"Ops"},"request":{"method":"POST","members":["023e105f4ecef8ad9ca31a8372d0c353"]},"adds":["023e105f4ecef8ad9ca31a8372d0c353"],"removes":[]}
{"seq":4,"time":"2026-01-01T00:00:00Z","entry":"answered","operation":3,"outcome":"answered","ray":null}
{"seq":5,"time":"2026-01-01T00:00:00Z","entry":"seen","group":{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"Ops"},"members":["023e105f4ecef8ad9ca31a8372d0c353"]}
{"seq":6,"time":"2026-01-01T00:00:00Z","entry":"after","group":{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"Ops"},"members":["023e105f4ecef8ad9ca31a8372d0c353"]}
{"seq":7,"time":"2026-01-01T00:00:00Z","entry":"end","complete":true}
"#;

/// Reads bytes as every kind of file. Whether they are accepted does not matter.
fn read_as_everything(bytes: &[u8]) {
    let _ = config::parse(&[Source { path: "convoke.yaml".into(), bytes: bytes.to_vec() }]);
    let _ = Plan::parse(bytes);
    let _ = journal::parse(bytes).map(|record| record.reversals(&"journal".into()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Seed::parse(Path::new("seed.yaml"), text);
    }
}

/// How a text is damaged: a part is overwritten, deleted or repeated.
#[derive(Clone, Debug)]
enum Spoil {
    Overwrite(usize, Vec<u8>),
    LeaveOut(usize, usize),
    Repeat(usize, usize, usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let odd = prop_oneof![
        vec(any::<u8>(), 1..6),
        prop::sample::select(vec![
            "null",
            "-1",
            "1e999",
            "18446744073709551616",
            "\"\\ud800\"",
            "&a [*a, *a]",
            "{",
            "[",
            "\u{202e}",
            "\0",
            "- ",
            "!!binary",
            "<<: *x",
            "2026-13-45",
            "\u{feff}",
            "\n---\n",
            "%YAML 9.9",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        (any::<usize>(), odd).prop_map(|(at, with)| Spoil::Overwrite(at, with)),
        (any::<usize>(), 0usize..200).prop_map(|(at, length)| Spoil::LeaveOut(at, length)),
        (any::<usize>(), 0usize..200, 1usize..50).prop_map(|(at, length, times)| Spoil::Repeat(at, length, times)),
    ]
}

fn spoilt(text: &str, spoils: &[Spoil]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for spoil in spoils {
        let place = |at: usize| at % (bytes.len() + 1);
        match spoil {
            Spoil::Overwrite(at, with) => {
                let at = place(*at);
                let end = (at + with.len()).min(bytes.len());
                bytes.splice(at..end, with.iter().copied());
            }
            Spoil::LeaveOut(at, length) => {
                let at = place(*at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Spoil::Repeat(at, length, times) => {
                let at = place(*at);
                let piece = bytes[at..(at + length).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..2000)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn damaged_files_are_read_safely(
        text in prop::sample::select(vec![FILE, SEED, JOURNAL]),
        spoils in vec(spoil(), 1..6),
    ) {
        read_as_everything(&spoilt(text, &spoils));
    }

    #[test]
    fn any_change_of_a_plan_is_refused(spoils in vec(spoil(), 1..3)) {
        let sound = answers::a_plan();
        let bytes = spoilt(&sound, &spoils);
        let same = |document: &Plan| {
            let sound = Plan::parse(sound.as_bytes()).unwrap();
            *document == sound
        };
        if let Ok(document) = Plan::parse(&bytes) {
            prop_assert!(same(&document), "an edited plan was taken: {}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn undamaged_samples_are_valid() {
    assert!(config::parse(&[Source { path: "convoke.yaml".into(), bytes: FILE.into() }]).is_ok());
    assert!(Seed::parse(Path::new("seed.yaml"), SEED).is_ok());
    assert_eq!(journal::parse(JOURNAL.as_bytes()).unwrap().reversals(&"j".into()).len(), 1);
    assert!(Plan::parse(answers::a_plan().as_bytes()).is_ok());
}

#[test]
fn deeply_nested_input_does_not_exhaust_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("- ", ""), ("{a: ", "}")] {
        let text = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        read_as_everything(text.as_bytes());
    }
}
