//! Seeds of the sandbox: `RUSTC_BOOTSTRAP=1 cargo fuzz run seed`.
#![no_main]

use std::path::Path;

use convoke::sandbox::Seed;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Seed::parse(Path::new("seed.yaml"), text);
});
