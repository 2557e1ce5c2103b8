//! What the benches fit: an explainer of made-up features, at the sizes of known networks.

#[path = "../../tests/small/mod.rs"]
mod small;

use burn::tensor::Device;
use explainer_core::{
    Explainer, ExplainerConfig, FeatureConfig, Features, LabelledImage, Performer, Pooling,
};
use small::mixed;
pub use small::{Sizes, Small};

/// Rows of an epoch, one batch.
pub const ROWS: usize = 32;

/// The demo's network.
pub fn narrow() -> Sizes {
    Sizes { channels: [64, 64], length: 8, pool: Pooling::max(2, 2), upper: [128; 2] }
}

/// An AlexNet with fully connected layers of 1024.
pub fn alexnet() -> Sizes {
    Sizes { channels: [256, 256], length: 13, pool: Pooling::max(3, 2), upper: [1024; 2] }
}

/// A VGG-16.
pub fn vgg16() -> Sizes {
    Sizes { channels: [512, 512], length: 14, pool: Pooling::max(2, 2), upper: [4096; 2] }
}

/// Images of noise, in which no place is like another: of equally strong units of a map rounding decides which is the
/// strongest.
fn images(performer: &Small, count: usize) -> impl Iterator<Item = std::io::Result<LabelledImage>> {
    let bytes = performer.preprocessing().bytes();
    let image = move |index: usize| LabelledImage {
        pixels: (0..bytes).map(|at| (mixed((index * bytes + at) as u64) >> 56) as u8).collect(),
        category: Some(0),
    };
    (0..count).map(move |index| Ok(image(index)))
}

/// The features of `rows` of them.
pub fn features(performer: &Small, rows: usize, config: &FeatureConfig, device: &Device) -> Features {
    let config = config.clone().with_progress(false);
    Features::extract(performer, images(performer, rows), &config, device).expect("features")
}

/// An unfitted explainer, and features.
pub fn setting(performer: &Small, rows: usize, device: &Device) -> (Explainer, Features) {
    let features = features(performer, rows, &FeatureConfig::plain(), device);
    (ExplainerConfig::for_performer(performer).init_from(performer, device), features)
}
