//! Explains a VGG-16 that tells birds: a narrow one that tells synthetic species by their parts, the whole method on a
//! laptop without a download, or one of your own on CUB-200-2011, as the paper does.
//!
//! ```sh
//! cargo run --release --example cub_vgg16
//! cargo run --release --example cub_vgg16 -- --data CUB_200_2011 --negatives places --weights vgg16_birds.pth
//! ```

mod common;
#[path = "common/description.rs"]
mod description;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;
use common::args::{CROPS, Defaults};
use common::decisions::{one_against, species_labels};
use common::program::{at_least_one, exit, say};
use common::{Experiment, Failure, Networks, RunArgs};
use explainer_core::{Labels, LossWeights, Performer, Preprocessing};
use explainer_datasets::{
    Cub, CubConfig, Dataset, Negatives, SpeciesByShape, SyntheticSpecies, SyntheticSpeciesConfig,
};
use explainer_performers::{Vgg16, Vgg16Layers, Weights};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weights made by `examples/train_performer.rs`.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/vgg16_narrow_species.safetensors");
const NAME: &str = "narrow VGG-16";
/// Side of its input in pixels.
const SIZE: usize = 128;
/// Its layer whose ceilings are highest: units of 8 pixels, behind conv4-3.
const LAYER: usize = 22;
/// A seed that training the performer never saw.
const DATA_SEED: u64 = 20_181_123;
const EPOCHS: usize = 7;

/// What the paper says of VGG-16 on CUB-200-2011, the performer's figures first.
const PUBLISHED: &str = "published for VGG-16 on CUB-200-2011: instability 0.1373 → 0.0490, share p 0.958, \
                         error 1.09 % → 6.04 %";

/// Fits an explainer to a VGG-16 on birds and prints what it found.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Birds drawn; three of four images show one.
    #[arg(long, default_value_t = 480, value_parser = at_least_one, conflicts_with = "data")]
    birds: usize,
    /// Asks for each shape of each part of the drawn species by itself, in place of each part whatever its shape.
    #[arg(long, conflicts_with = "data")]
    by_shape: bool,
    /// The layer to explain, a row of torchvision's `features`: by default 22, the ReLU behind conv4-3, of the drawn
    /// species, and else 27, the one below conv5-3, as the paper does.
    #[arg(long)]
    layer: Option<usize>,
    /// Folder of CUB-200-2011, instead of birds drawn by a program.
    #[arg(long, value_name = "DIR", requires = "weights")]
    data: Option<PathBuf>,
    /// Folder of pictures without a bird, so many that three of four show one; none if not given.
    #[arg(long, value_name = "DIR", requires = "data")]
    negatives: Option<PathBuf>,
    /// Weights of a VGG-16: .pth or .safetensors in torchvision's layout, or MatConvNet's .mat. What the file does not
    /// say itself, a file of the same name ending in .json says: its classes, {"classes": ["bird", "negative"]}, its
    /// "input", [3, 224, 224], the "mean" and "std" of red, green and blue (with "range": [0, 255] if they are of such
    /// pixels) and "order": "bgr"; else they are ImageNet's. Any other key is an error unless it begins with "_".
    #[arg(long, value_name = "FILE", requires = "data")]
    weights: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let device = args.run.fit.device.open()?;
    match (&args.data, &args.weights) {
        (Some(data), Some(weights)) => photographed(args, data, weights, &device),
        _ => drawn(args, &device),
    }
}

/// Birds drawn by a program.
fn drawn(args: &Args, device: &Device) -> Result<(), Failure> {
    say!("The data is synthetic: species of birds drawn by a program, not photographs.");
    if !args.by_shape {
        say!(
            "Each part has two shapes, by which the network tells species; --by-shape asks for each of them by itself."
        );
    }
    let weights = Weights::file(WEIGHTS).with_preprocessing(Preprocessing::imagenet(SIZE));
    let performer = Vgg16::load(weights, device)?.with_target(args.layer.unwrap_or(LAYER))?;
    let config =
        SyntheticSpeciesConfig::new(args.birds, args.birds.div_ceil(3)).with_size(SIZE).with_seed(DATA_SEED);
    let labels = species_labels();
    match args.by_shape {
        true => explain(args, performer, NAME, labels, &SpeciesByShape::new(config)?, device),
        false => explain(args, performer, NAME, labels, &SyntheticSpecies::new(config)?, device),
    }
}

/// CUB-200-2011.
fn photographed(args: &Args, data: &Path, weights: &Path, device: &Device) -> Result<(), Failure> {
    let (performer, classes) = description::load::<Vgg16Layers>(weights, device)?;
    let performer = match args.layer {
        Some(row) => performer.with_target(row)?,
        None => performer,
    };
    let labels = one_against(classes.index("bird")?, classes.index("negative")?);
    let negatives = args.negatives.as_ref().map_or_else(Negatives::none, Negatives::folder);
    let config = CubConfig::new()
        .with_image_size(performer.preprocessing().size as u32)
        .with_negatives(negatives)
        .with_faults(args.run.fit.faults());
    let birds = Cub::open(data, &config)?;
    if !birds.report().is_empty() {
        say!("annotations: {}", birds.report());
    }
    say!("Real images; the official split.");
    explain(args, performer, "VGG-16", labels, &birds, device)?;
    say!("{PUBLISHED}");
    Ok(())
}

fn explain(
    args: &Args,
    performer: Vgg16,
    name: &str,
    labels: Labels,
    dataset: &dyn Dataset,
    device: &Device,
) -> Result<(), Failure> {
    let random = performer.randomized(args.run.seed);
    Experiment {
        dataset,
        networks: &Networks { performer, random, name: name.to_string() },
        labels: Some(labels),
        args: &args.run.fit,
        defaults: Defaults { epochs: EPOCHS, crops: CROPS, published: LossWeights::PUBLISHED_VGG16 },
    }
    .run(&args.run, device)
}
