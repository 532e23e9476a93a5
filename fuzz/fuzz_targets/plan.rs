//! Saved plans: `cargo +nightly fuzz run plan`.
#![no_main]

use convoke::plan::document::PlanDocument;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = PlanDocument::parse(bytes).and_then(PlanDocument::into_plan);
});
