//! Saved plans: `RUSTC_BOOTSTRAP=1 cargo fuzz run plan`.
#![no_main]

use convoke::plan::Plan;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Plan::parse(bytes);
});
