//! Explains a narrow VGG-16 that tells synthetic birds from scenes without one: the whole method
//! on a laptop, without a download.
//!
//! ```sh
//! cargo run --release --example cub_vgg16
//! ```

mod common;

use clap::Parser;
use common::{Experiment, Failure, FitArgs, Networks};
use explainer_core::Preprocessing;
use explainer_datasets::{SyntheticBirds, SyntheticBirdsConfig};
use explainer_performers::{Vgg16, Weights};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weights made by `examples/train_performer.rs`.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/vgg16_narrow_birds.safetensors");
const NAME: &str = "narrow VGG-16";
/// Side of its input in pixels, and the share of look-alikes among the negatives it learnt from.
const SIZE: usize = 128;
const LOOKALIKES: f32 = 0.0;
/// Classes of the shipped performer: bird, negative.
const BIRD: usize = 0;
const NEGATIVE: usize = 1;
/// A seed that training the performer never saw.
const DATA_SEED: u64 = 20_181_123;
const EPOCHS: usize = 16;

/// Fits an explainer to a narrow VGG-16 on synthetic birds and prints what it found.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    fit: FitArgs,
    /// Birds drawn; three of four images show one.
    #[arg(long, default_value_t = 480)]
    birds: usize,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    println!("The data is synthetic: birds drawn by a program, not photographs.");
    let device = args.fit.open_device()?;
    let weights = Weights::file(WEIGHTS).with_preprocessing(Preprocessing::imagenet(SIZE));
    let performer = Vgg16::load(weights, &device)?;
    let random = performer.randomized(args.fit.seed);
    let config = SyntheticBirdsConfig::new(args.birds, args.birds.div_ceil(3))
        .with_size(SIZE)
        .with_lookalikes(LOOKALIKES)
        .with_seed(DATA_SEED);
    let dataset = SyntheticBirds::new(config)?;
    Experiment {
        dataset: &dataset,
        networks: Networks { performer, random, name: NAME.to_string() },
        classes: vec![BIRD],
        negative_class: NEGATIVE,
        args: &args.fit,
        default_epochs: EPOCHS,
    }
    .run(&device)
}
