//! Journals and their interpretation: `cargo +nightly fuzz run journal`.
#![no_main]

use convoke::journal::parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = parse(bytes).map(|record| record.reversals(&"journal".into()));
});
