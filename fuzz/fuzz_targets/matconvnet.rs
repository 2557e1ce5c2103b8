#![no_main]

use std::cell::LazyCell;

thread_local! {
    static FOLDER: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a folder"));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.with(|folder| folder.path().join("a.mat"));
    std::fs::write(&path, bytes).expect("a file");
    explainer_performers::fuzzing::matconvnet(&path);
});
