//! Trains the performer that ships with the examples: a narrow VGG-16 that tells synthetic birds
//! from pictures without one.
//!
//! ```text
//! cargo run --release --example train_performer
//! ```
//!
//! Every epoch draws new images. Beside the weights a JSON file records how they were made.

use std::path::PathBuf;

use burn::tensor::{DType, Device};
use clap::Parser;
use explainer_core::{Performer, Preprocessing};
use explainer_datasets::{Dataset, SyntheticBirds, SyntheticBirdsConfig};
use explainer_performers::train::{EpochRecord, Examples, SourceError, TrainConfig, validation_error};
use explainer_performers::{Vgg16, Vgg16Config, Weights};
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The classes, in the order of the scores.
const CLASSES: [&str; 2] = ["bird", "negative"];
/// Seeds of validation images lie this far from the training images'.
const VALIDATION_SEED: u64 = 1_000_000;

/// Trains a narrow VGG-16 on synthetic birds.
#[derive(Parser, Debug, Serialize)]
struct Args {
    /// Output channels of the five stages.
    #[arg(long, num_args = 5, default_values_t = [8, 16, 32, 64, 64])]
    widths: Vec<usize>,
    /// Outputs of fc6 and fc7.
    #[arg(long, default_value_t = 128)]
    hidden: usize,
    /// Height and width of the images.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Images of an epoch, half of them birds.
    #[arg(long, default_value_t = 1500)]
    images: usize,
    /// Images for validation, half of them birds.
    #[arg(long, default_value_t = 400)]
    validation: usize,
    /// Passes, each over new images.
    #[arg(long, default_value_t = 14)]
    epochs: usize,
    /// Share of the negatives that look like parts of a bird.
    #[arg(long, default_value_t = 0.0)]
    lookalikes: f32,
    /// Side of a square that is painted over, somewhere in every training image, over the image's: the
    /// more is hidden, the less can a network rely on a single part.
    #[arg(long, default_value_t = 0.0)]
    cutout: f64,
    /// Images of a step.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// AdamW's weight decay.
    #[arg(long, default_value_t = 1e-2)]
    decay: f32,
    /// Dropout behind relu6 and relu7.
    #[arg(long, default_value_t = 0.0)]
    dropout: f64,
    /// Seed of everything.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Weights to start from instead of random ones.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Where the weights go; the record goes beside them.
    #[arg(long, default_value = "examples/data/vgg16_narrow_birds.safetensors")]
    output: PathBuf,
}

/// What the JSON file says.
#[derive(Serialize)]
struct Record<'a> {
    architecture: &'a str,
    widths: &'a [usize],
    hidden: [usize; 2],
    classes: [&'a str; 2],
    preprocessing: Preprocessing,
    data: &'a str,
    command: String,
    arguments: &'a Args,
    validation_images: usize,
    validation_accuracy: f64,
    live_top_conv_channels: usize,
    epochs: Vec<EpochRecord>,
}

/// A set of birds for each epoch, the first for validation.
struct Birds {
    sets: Vec<SyntheticBirds>,
    /// Side of the square that is painted over, in pixels.
    cutout: usize,
}

impl Birds {
    fn new(
        args: &Args,
        images: usize,
        cutout: f64,
        seeds: impl Iterator<Item = u64>,
    ) -> Result<Self, SourceError> {
        let config = SyntheticBirdsConfig::new(images / 2, images - images / 2)
            .with_size(args.size)
            .with_lookalikes(args.lookalikes);
        let sets = seeds.map(|seed| SyntheticBirds::new(config.clone().with_seed(seed)));
        let cutout = (cutout * args.size as f64).round() as usize;
        Ok(Self { sets: sets.collect::<Result<_, _>>()?, cutout })
    }
}

impl Examples for Birds {
    fn len(&self) -> usize {
        self.sets[0].len()
    }

    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, usize), SourceError> {
        let mut sample = self.sets[epoch % self.sets.len()].sample(index)?;
        if self.cutout > 0 {
            paint_over(&mut sample.image, self.cutout, (epoch * self.len() + index) as u64);
        }
        // The one category is class 0; negatives are class 1.
        Ok((sample.image.into_raw(), sample.category.unwrap_or(1)))
    }
}

/// Paints one colour over a random square, as far as it lies within the image.
fn paint_over(image: &mut RgbImage, side: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let colour = Rgb([0, 1, 2].map(|_| rng.random::<u8>()));
    let (width, height) = image.dimensions();
    let half = side as i64 / 2;
    let [x, y] = [width, height].map(|length| rng.random_range(0..i64::from(length)) - half);
    for (column, row, pixel) in image.enumerate_pixels_mut() {
        if (x..x + side as i64).contains(&i64::from(column)) && (y..y + side as i64).contains(&i64::from(row))
        {
            *pixel = colour;
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let args = Args::parse();
    let device = Device::default();
    let preprocessing = Preprocessing::imagenet(args.size);
    let network = match &args.from {
        Some(path) => Vgg16::load(Weights::file(path).with_preprocessing(preprocessing), &device)?,
        None => Vgg16Config::new()
            .with_widths(args.widths.as_slice().try_into()?)
            .with_hidden([args.hidden; 2])
            .with_classes(CLASSES.len())
            .with_input(args.size)
            .with_seed(args.seed)
            .init(&device),
    };
    let seeds = (0..args.epochs as u64 + 1).map(|epoch| 1000 * args.seed + epoch);
    let train = Birds::new(&args, args.images, args.cutout, seeds)?;
    let validation = Birds::new(&args, args.validation, 0.0, std::iter::once(VALIDATION_SEED + args.seed))?;

    let (network, epochs) = TrainConfig::new(args.epochs)
        .with_batch_size(args.batch)
        .with_learning_rate(args.rate)
        .with_weight_decay(args.decay)
        .with_dropout(args.dropout)
        .with_seed(args.seed)
        .fit(network, &train, &validation)?;

    // Everything is measured on the weights as saved, in half precision.
    network.save(&args.output, DType::F16)?;
    let network = Vgg16::load(Weights::file(&args.output).with_preprocessing(preprocessing), &device)?;
    let accuracy = 1.0 - validation_error(&network, &validation, args.batch)?;
    let live = live_channels(&network, &validation, args.validation.min(500), &device)?;
    println!("validation accuracy {accuracy:.4}, live channels of conv5-3: {live} of {}", args.widths[4]);

    let record = Record {
        architecture: "VGG-16",
        widths: &network.sizes().widths,
        hidden: network.sizes().hidden,
        classes: CLASSES,
        preprocessing,
        data: "synthetic birds and negatives, drawn anew each epoch",
        command: "cargo run --release --example train_performer".to_string(),
        arguments: &args,
        validation_images: args.validation,
        validation_accuracy: accuracy,
        live_top_conv_channels: live,
        epochs,
    };
    let json = serde_json::to_string_pretty(&record)?;
    std::fs::write(args.output.with_extension("json"), json + "\n")?;
    Ok(())
}

/// The number of channels of the top conv-layer that fire on some image.
fn live_channels(
    network: &Vgg16,
    images: &Birds,
    number: usize,
    device: &Device,
) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let mut highest: Vec<f32> = Vec::new();
    let every = (images.len() / number.max(1)).max(1);
    for index in (0..images.len()).step_by(every) {
        let (image, _) = images.example(index, 0)?;
        let tapped = network.tap(network.preprocessing().batch(&[&image], device)?);
        let peaks = tapped.top_conv.max_dim(3).max_dim(2).into_data().try_to_vec::<f32>()?;
        highest.resize(peaks.len(), 0.0);
        highest.iter_mut().zip(peaks).for_each(|(highest, peak)| *highest = highest.max(peak));
    }
    Ok(highest.into_iter().filter(|&peak| peak > 0.0).count())
}
