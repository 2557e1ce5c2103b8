//! What the tests against PyTorch share.

use std::path::PathBuf;

use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{Device, Tensor, TensorData};

/// Largest difference allowed, over the largest value of the tensor.
pub const TOLERANCE: f32 = 1e-4;

/// A file of the fixtures.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The image of the fixtures' script, from the same formula, times `scale`.
pub fn image(size: usize, scale: f64, device: &Device) -> Tensor<4> {
    let mut values = Vec::with_capacity(3 * size * size);
    for channel in 0..3 {
        for y in 0..size {
            for x in 0..size {
                let (c, y, x) = (f64::from(channel), y as f64, x as f64);
                let wave = (0.11 * x + 0.7 * c).sin() * (0.07 * y - 0.3 * c).cos()
                    + 0.5 * (0.031 * x * (y + 1.0) / 16.0).sin();
                values.push((scale * 1.5 * wave) as f32);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 3, size, size]), device)
}

/// The values of a tensor.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().expect("f32 values")
}

/// Checks that values are near others, in proportion to the largest of these.
pub fn assert_close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    assert!(scale > 0.0, "{name} is all zero: a fixture that shows nothing");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance * scale, "{name}[{index}]: {found}, expected {expected} of {scale}");
    }
}

/// The tensors of a fixture by their names.
pub fn reader(file: &str) -> impl FnMut(&str) -> Vec<f32> {
    let mut file = SafetensorsStore::from_file(fixture(file));
    move |name| {
        let tensor = file.get_tensor(name).expect("a fixture").expect("a tensor of it");
        bridge::to_data(tensor).expect("its bytes").try_to_vec().expect("f32 values")
    }
}

/// A file of real weights, if there is one.
pub fn real(name: &str) -> Option<PathBuf> {
    let data = std::env::var("EXPLAINER_DATA").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = data.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: no {} (set EXPLAINER_DATA)", path.display());
    None
}
