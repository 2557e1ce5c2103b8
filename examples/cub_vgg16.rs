//! Explains a narrow VGG-16 that tells synthetic birds from scenes without one: the whole method
//! on a laptop, without a download.
//!
//! ```sh
//! cargo run --release --example cub_vgg16
//! ```

mod common;

use std::process::ExitCode;

use clap::Parser;
use common::program::{at_least_one, exit};
use common::{Experiment, Failure, FitArgs, Networks};
use explainer_core::{LossWeights, Preprocessing};
use explainer_datasets::{Framing, SyntheticBirds, SyntheticBirdsConfig};
use explainer_performers::{Vgg16, Weights};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weights made by `examples/train_performer.rs`.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/vgg16_narrow_birds.safetensors");
const NAME: &str = "narrow VGG-16";
/// Side of its input in pixels.
const SIZE: usize = 128;
/// The share of look-alikes among the negatives, and the loose parts in every picture, as it learnt from.
const LOOKALIKES: f32 = 0.5;
const STRAYS: usize = 6;
/// Classes of the shipped performer: bird, negative.
const BIRD: usize = 0;
const NEGATIVE: usize = 1;
/// A seed that training the performer never saw.
const DATA_SEED: u64 = 20_181_123;
const EPOCHS: usize = 7;

/// Fits an explainer to a narrow VGG-16 on synthetic birds and prints what it found.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    fit: FitArgs,
    /// Birds drawn; three of four images show one.
    #[arg(long, default_value_t = 480, value_parser = at_least_one)]
    birds: usize,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    println!("The data is synthetic: birds drawn by a program, not photographs.");
    let device = args.fit.device.open()?;
    let weights = Weights::file(WEIGHTS).with_preprocessing(Preprocessing::imagenet(SIZE));
    let performer = Vgg16::load(weights, &device)?;
    let random = performer.randomized(args.fit.seed);
    let config = SyntheticBirdsConfig::new(args.birds, args.birds.div_ceil(3))
        .with_size(SIZE)
        .with_framing(Framing::Object)
        .with_strays(STRAYS)
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
        published: LossWeights::PUBLISHED_VGG16,
    }
    .run(&device)
}
