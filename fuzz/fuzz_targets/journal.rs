//! Journals and their interpretation: `RUSTC_BOOTSTRAP=1 cargo fuzz run journal`.
#![no_main]

use convoke::journal::parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = parse(bytes).map(|record| record.reversals(&"journal".into()));
});
