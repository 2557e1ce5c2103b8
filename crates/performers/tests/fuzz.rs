//! Weights in damaged files: many runs on mutations of sound ones. `EXPLAINER_FUZZ_RUNS` asks for more.
#![allow(clippy::unwrap_used)]

#[path = "../../datasets/tests/mutations/mod.rs"]
mod mutations;

use std::fs;
use std::path::Path;

use explainer_performers::fuzzing;
use mutations::fuzz;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A reader of files as one of bytes.
fn from_file(name: &str, read: impl Fn(&Path) -> bool) -> impl Fn(&[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let name = name.to_string();
    move |bytes| {
        let path = folder.path().join(&name);
        fs::write(&path, bytes).unwrap();
        read(&path)
    }
}

#[test]
fn checkpoints_of_pytorch() {
    let seeds = ["tiny.pth", "tiny_legacy.pth"].map(fixture);
    fuzz("PTH", 2000, &seeds, from_file("a.pth", fuzzing::weights));
}

#[test]
fn safetensors_and_their_metadata() {
    let header = r#"{"__metadata__":{"classes":"[\"bird\",\"negative\"]","preprocessing":"{\"size\":2,\"mean\":[0.5,0.25,0.0],\"std\":[1.0,1.0,0.5],\"order\":\"Rgb\"}"},"a.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"module.b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]}}"#;
    let seed = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 12]].concat();
    fuzz("safetensors", 4000, &[seed], from_file("a.safetensors", fuzzing::weights));
}

#[cfg(feature = "matconvnet")]
#[test]
fn networks_of_matconvnet() {
    fuzz("MatConvNet", 500, &[fixture("vgg_m_slim.mat")], from_file("a.mat", fuzzing::matconvnet));
}
