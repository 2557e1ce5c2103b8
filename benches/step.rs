//! One epoch of fitting at the narrow default's size, at an AlexNet's and at a VGG-16's, on made-up features; and what
//! reading features adds to it.

mod made_up;

use burn::tensor::Device;
use explainer_core::{FeatureConfig, FitConfig, Refit};
use made_up::{ROWS, Sizes, Small, alexnet, features, narrow, setting, vgg16};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// An epoch of one step of 32 rows, with the first pass that measures α; on the default device of the
/// backends that are built.
fn epoch(bencher: divan::Bencher, sizes: Sizes, push: bool) {
    let device = Device::default();
    let performer = Small::new(sizes, &device);
    let (explainer, features) = setting(&performer, ROWS, &device);
    let config =
        FitConfig::new().with_epochs(1).with_batch_size(ROWS).with_refit(Refit::None).with_progress(false);
    let config = if push { config } else { config.with_push(Vec::new()) };
    bencher.bench(|| config.fit(explainer.clone(), &performer, &features, None).expect("a fit"));
}

#[divan::bench(args = [true, false], sample_count = 10)]
fn narrow_vgg16(bencher: divan::Bencher, push: bool) {
    epoch(bencher, narrow(), push);
}

#[divan::bench(args = [true, false], sample_count = 5)]
fn full_alexnet(bencher: divan::Bencher, push: bool) {
    epoch(bencher, alexnet(), push);
}

#[divan::bench(args = [true, false], sample_count = 3)]
fn full_vgg16(bencher: divan::Bencher, push: bool) {
    epoch(bencher, vgg16(), push);
}

/// Where rows are and what they are made of.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Memory,
    File,
    FileOfHalves,
}

const KEPT: [Kept; 3] = [Kept::Memory, Kept::File, Kept::FileOfHalves];

/// Batches in turn out of eight times as many rows.
fn batch(bencher: divan::Bencher, sizes: Sizes, kept: Kept) {
    let device = Device::default();
    let performer = Small::new(sizes, &device);
    let config = match kept {
        Kept::Memory => FeatureConfig::plain(),
        Kept::File => FeatureConfig::plain().with_memory_limit(0),
        Kept::FileOfHalves => FeatureConfig::plain().with_memory_limit(0).with_half(true),
    };
    let features = features(&performer, 8 * ROWS, &config, &device);
    let rows: Vec<usize> = (0..features.len()).map(|row| row * 37 % features.len()).collect();
    let mut batches = rows.chunks(ROWS).cycle();
    bencher.bench_local(|| features.batch(batches.next().expect("without an end")));
}

#[divan::bench(args = KEPT)]
fn batch_of_narrow_vgg16(bencher: divan::Bencher, kept: Kept) {
    batch(bencher, narrow(), kept);
}

#[divan::bench(args = KEPT)]
fn batch_of_full_vgg16(bencher: divan::Bencher, kept: Kept) {
    batch(bencher, vgg16(), kept);
}
