#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    explainer_datasets::fuzzing::picture(bytes);
});
