//! How far the filter loss's approximate and released gradients are from the exact one, on random maps and
//! on those of a trained network.
//!
//! ```sh
//! cargo run --release --example gradients
//! ```

#[expect(dead_code, unused_imports, reason = "no device is asked for, and no file written")]
mod program;

use std::process::ExitCode;

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use explainer_core::{Performer, Preprocessing};
use explainer_datasets::{Dataset, SyntheticSpecies, SyntheticSpeciesConfig};
use explainer_filter_loss::{FilterLossConfig, Gradient, Scale};
use explainer_performers::{Vgg16, Weights};
use program::{Failure, exit, say};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/vgg16_narrow_species.safetensors");
const SIZE: usize = 128;
/// Images, three of four with a bird.
const IMAGES: usize = 32;

fn main() -> ExitCode {
    exit(run())
}

fn run() -> Result<(), Failure> {
    let device = Device::default();
    let weights = Weights::file(WEIGHTS).with_preprocessing(Preprocessing::imagenet(SIZE));
    let performer = Vgg16::load(weights, &device)?;
    let birds =
        SyntheticSpecies::new(SyntheticSpeciesConfig::new(IMAGES * 3 / 4, IMAGES / 4).with_size(SIZE))?;
    let (mut pixels, mut shown) = (Vec::new(), Vec::new());
    for index in 0..birds.len() {
        let sample = birds.sample(index)?;
        shown.push(sample.category.is_some());
        pixels.push(sample.image.into_raw());
    }
    let pixels: Vec<&[u8]> = pixels.iter().map(Vec::as_slice).collect();
    let trained = performer.tap(performer.preprocessing().batch(&pixels, &device)?).top_conv;
    let [batch, filters, length, _] = trained.dims();
    let members: Vec<bool> = shown.iter().flat_map(|&bird| vec![bird; filters]).collect();
    let members = Tensor::<2, Bool>::from_data(TensorData::new(members, [batch, filters]), &device);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let uniform = TensorData::random::<f32, _, _>(trained.dims(), Distribution::Uniform(-1.0, 1.0), &mut rng);
    let random = Tensor::<4>::from_data(uniform, &device).clamp_min(0.0);

    say!("cosine with the exact gradient, and norm over its norm; medians over filters\n");
    say!("{:<20} {:<22} {:>13} {:>20}", "maps", "scale", "approximate", "released");
    for (name, maps) in [("random", random), ("trained (conv5-3)", trained)] {
        let scales = [
            Scale::AsIs,
            Scale::Energy { trace: 0.7 },
            Scale::Mass { trace: 0.7 },
            Scale::Energy { trace: 3.0 },
        ];
        for scale in scales {
            let gradient = |kind: Gradient| {
                let config = FilterLossConfig::new(length).with_scale(scale).with_gradient(kind);
                config.init(&device).gradient(maps.clone(), members.clone())
            };
            let exact = gradient(Gradient::Exact);
            let [approximate, released] = [Gradient::Approximate, Gradient::Released]
                .map(|kind| compare(gradient(kind), exact.clone()));
            say!(
                "{name:<20} {:<22} {:>5.2} {:>9.2e} {:>8.2} {:>11.2e}",
                format!("{scale:?}"),
                approximate.0,
                approximate.1,
                released.0,
                released.1
            );
        }
    }
    Ok(())
}

/// Medians over filters of the cosine and of the ratio of norms.
fn compare(own: Tensor<4>, exact: Tensor<4>) -> (f64, f64) {
    let products = |a: &Tensor<4>, b: &Tensor<4>| -> Vec<f64> {
        let sums = (a.clone() * b.clone()).sum_dims(&[0, 2, 3]);
        sums.into_data().iter::<f64>().collect()
    };
    let (own_squares, squares) = (products(&own, &own), products(&exact, &exact));
    let norms = own_squares.iter().zip(&squares).map(|(own, exact)| (own / exact).sqrt());
    let cosines = products(&own, &exact)
        .into_iter()
        .zip(own_squares.iter().zip(&squares))
        .map(|(product, (own, exact))| product / (own * exact).sqrt());
    (median(cosines), median(norms))
}

/// The median of the values that are numbers: a filter that is silent has no direction.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
