//! Damaged files of names: many runs on mutations of sound ones. `EXPLAINER_FUZZ_RUNS` asks for more.
#![allow(clippy::unwrap_used)]

#[path = "../../datasets/tests/mutations/mod.rs"]
mod mutations;

use std::fs;

use explainer_report::PartNames;
use mutations::fuzz;

#[test]
fn names_of_parts() {
    let seeds: [&[u8]; 2] =
        [b"[names]\n17 = \"beak\"\n203 = \"left wing\"\n", b"names = { 1 = 'a', \"2\" = '\xc3\xa4' }\n"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.toml");
    fuzz("names", 4000, &seeds.map(<[u8]>::to_vec), |bytes| {
        fs::write(&path, bytes).unwrap();
        PartNames::read(&path).is_ok()
    });
}
