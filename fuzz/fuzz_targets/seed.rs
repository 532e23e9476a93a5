//! Seeds of the sandbox: `cargo +nightly fuzz run seed`.
#![no_main]

use std::path::Path;

use convoke::sandbox::Seed;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Seed::parse(Path::new("seed.yaml"), text);
});
