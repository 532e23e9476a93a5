//! Files that declare groups: `RUSTC_BOOTSTRAP=1 cargo fuzz run config`.
#![no_main]

use convoke::config::{Source, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = parse(&[Source { path: "convoke.yaml".into(), bytes: bytes.to_vec() }]);
});
