//! What the metrics cost: location instability of a VGG-16's top conv image by image, as it would stand beside
//! the network's forward pass, and how the whole grows with the number of images.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use explainer_metrics::{InstabilityConfig, InstabilityStream, ReceptiveField};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const LANDMARKS: usize = 3;
/// Side of the maps in units.
const SIDE: usize = 14;

/// Maps of some images after a ReLU, to be shown in turn.
fn maps(filters: usize, side: usize) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut image = || (0..filters * side * side).map(|_| rng.random_range(-1.0f32..1.0).max(0.0)).collect();
    (0..16).map(|_| image()).collect()
}

/// Positions of one landmark after another.
fn positions(rng: &mut ChaCha8Rng) -> [Option<[f64; 2]>; LANDMARKS] {
    [(); LANDMARKS].map(|()| rng.random_bool(0.8).then(|| [(); 2].map(|()| rng.random_range(0.0..224.0))))
}

fn stream(filters: usize, side: usize) -> InstabilityStream {
    let field = ReceptiveField { stride: 16.0, center: 8.0, size: 196 };
    InstabilityStream::new(filters, [side; 2], LANDMARKS, field, InstabilityConfig::new([224, 224]))
}

/// So many images in one pass, and the figures at the end.
fn pass(bencher: Bencher, filters: usize, count: usize) {
    let images = maps(filters, SIDE);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let (mut stream, mut rng) = (stream(filters, SIDE), ChaCha8Rng::seed_from_u64(1));
        for image in 0..count {
            stream.push(&images[image % images.len()], &positions(&mut rng)).expect("finite maps");
        }
        black_box(stream.instability().mean)
    });
}

/// Images of CUB-200-2011 through the filters of a VGG-16's top conv.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn cub_through_512_filters(bencher: Bencher) {
    pass(bencher, 512, 11_788);
}

/// Sets of positions, one filter: how the cost grows.
#[divan::bench(args = [1_000, 10_000, 100_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn images(bencher: Bencher, count: usize) {
    pass(bencher, 1, count);
}
