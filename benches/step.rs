//! One epoch of fitting at the narrow default's size and at an AlexNet's, on made-up features.

#[path = "../tests/small/mod.rs"]
mod small;

use burn::tensor::Device;
use explainer_core::{
    Explainer, ExplainerConfig, FeatureConfig, Features, FitConfig, LabelledImage, Performer, Pooling,
};
use small::{Sizes, Small};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of an epoch, one batch.
const ROWS: usize = 32;

fn main() {
    divan::main();
}

/// An unfitted explainer and the features of [`ROWS`] images.
fn setting(performer: &Small, device: &Device) -> (Explainer, Features) {
    let bytes = performer.preprocessing().bytes();
    let image = |index: usize| LabelledImage {
        pixels: (0..bytes).map(|at| (at * 7 + index * 31) as u8).collect(),
        category: Some(0),
    };
    let images = (0..ROWS).map(|index| Ok::<_, std::io::Error>(image(index)));
    let config = FeatureConfig::plain().with_progress(false);
    let features = Features::extract(performer, images, &config, device).expect("features");
    (ExplainerConfig::for_performer(performer).init_from(performer, device), features)
}

/// An epoch of one step of 32 rows, with the first pass that measures α; on the default device of the
/// backends that are built.
fn epoch(bencher: divan::Bencher, sizes: Sizes, push: bool) {
    let device = Device::default();
    let performer = Small::new(sizes, &device);
    let (explainer, features) = setting(&performer, &device);
    let config = FitConfig::new().with_epochs(1).with_batch_size(ROWS).with_progress(false);
    let config = if push { config } else { config.with_push(Vec::new()) };
    bencher.bench(|| config.fit(explainer.clone(), &performer, &features, None).expect("a fit"));
}

#[divan::bench(args = [true, false], sample_count = 10)]
fn narrow_vgg16(bencher: divan::Bencher, push: bool) {
    let pool = Pooling { kernel: 2, stride: 2, padding: 0 };
    epoch(bencher, Sizes { channels: [64, 64], length: 8, pool, upper: [128, 128] }, push);
}

#[divan::bench(args = [true, false], sample_count = 5)]
fn alexnet(bencher: divan::Bencher, push: bool) {
    let pool = Pooling { kernel: 3, stride: 2, padding: 0 };
    epoch(bencher, Sizes { channels: [256, 256], length: 13, pool, upper: [1024, 1024] }, push);
}
