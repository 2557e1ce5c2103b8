//! Trains the performer that ships with the examples: a narrow VGG-16 that tells synthetic birds
//! from pictures without one.
//!
//! ```text
//! cargo run --release --example train_performer
//! ```
//!
//! Every epoch draws new images. Beside the weights a JSON file records how they were made.

mod birds;
#[allow(dead_code, reason = "what only an example that fits does with it")]
mod program;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use birds::Birds;
use burn::tensor::{DType, Device};
use clap::Parser;
use clap::builder::RangedU64ValueParser;
use explainer_core::{Performer, Preprocessing};
use explainer_datasets::{Framing, SyntheticBirdsConfig};
use explainer_performers::train::{EpochRecord, Examples, Objective, TrainConfig, validation_error};
use explainer_performers::{Vgg16, Vgg16Config, Weights};
use program::{DeviceArgs, Failure, at_least_one, exit, files, say};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The classes, in the order of the scores.
const CLASSES: [&str; 2] = ["bird", "negative"];
const NEGATIVE: usize = 1;
/// Each `--seed` has this many seeds of training images, one for an epoch.
const SEEDS: u64 = 1000;
/// Seeds of validation images, one for each `--seed`, start here: behind all of the training images'.
const VALIDATION_SEED: u64 = 1_000_000;
const _: () = assert!(SEEDS * SEEDS <= VALIDATION_SEED, "training and validation share images");
/// Side of the smallest image that VGG-16's pools leave something of.
const SMALLEST: u64 = 32;

/// Trains a narrow VGG-16 on synthetic birds.
#[derive(Parser, Debug, Serialize)]
#[command(version, about)]
struct Args {
    /// Output channels of the five stages.
    #[arg(long, num_args = 5, default_values_t = [8, 16, 32, 64, 64], value_parser = at_least_one)]
    widths: Vec<usize>,
    /// Outputs of fc6 and fc7.
    #[arg(long, default_value_t = 128, value_parser = at_least_one)]
    hidden: usize,
    /// Height and width of the images.
    #[arg(long, default_value_t = 128, value_parser = RangedU64ValueParser::<usize>::new().range(SMALLEST..))]
    size: usize,
    /// Images of an epoch, half of them birds.
    #[arg(long, default_value_t = 2000, value_parser = at_least_one)]
    images: usize,
    /// Images for validation, half of them birds.
    #[arg(long, default_value_t = 400, value_parser = at_least_one)]
    validation: usize,
    /// Passes, each over new images.
    #[arg(long, default_value_t = 14, value_parser = RangedU64ValueParser::<usize>::new().range(1..SEEDS))]
    epochs: usize,
    /// Share of the negatives that look like parts of a bird.
    #[arg(long, default_value_t = 0.5)]
    lookalikes: f32,
    /// Loose parts of birds in every picture.
    #[arg(long, default_value_t = 6)]
    strays: usize,
    /// Side of a square that is painted over, somewhere in every training image, over the image's: the
    /// more is hidden, the less can a network rely on a single part.
    #[arg(long, default_value_t = 0.0)]
    cutout: f64,
    /// Images of a step.
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
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
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..SEEDS))]
    seed: u64,
    /// Weights to start from instead of random ones.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Where the weights go; the record goes beside them.
    #[arg(long, default_value = "examples/data/vgg16_narrow_birds.safetensors")]
    output: PathBuf,
    #[command(flatten)]
    #[serde(skip)]
    device: DeviceArgs,
}

/// What the JSON file says.
#[derive(Serialize)]
struct Record<'a> {
    architecture: &'a str,
    widths: &'a [usize],
    hidden: [usize; 2],
    classes: [&'a str; 2],
    /// Channels, height and width, as the other examples read it.
    input: [usize; 3],
    preprocessing: Preprocessing,
    data: &'a str,
    command: String,
    arguments: &'a Args,
    validation_images: usize,
    validation_accuracy: f64,
    live_top_conv_channels: usize,
    epochs: Vec<EpochRecord>,
}

impl Args {
    /// Such birds and negatives, half of each.
    fn scenes(&self, images: usize) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig::new(images / 2, images - images / 2)
            .with_size(self.size)
            .with_framing(Framing::Object)
            .with_strays(self.strays)
            .with_lookalikes(self.lookalikes)
    }
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let record_file = args.output.with_extension("json");
    files::check(&args.output)?;
    files::check(&record_file)?;
    let device = args.device.open()?;
    let preprocessing = Preprocessing::imagenet(args.size);
    let network = match &args.from {
        Some(path) => Vgg16::load(Weights::file(path).with_preprocessing(preprocessing.clone()), &device)?,
        None => Vgg16Config::new()
            .with_widths(args.widths.as_slice().try_into()?)
            .with_hidden([args.hidden; 2])
            .with_classes(CLASSES.len())
            .with_input(args.size)
            .with_seed(args.seed)
            .init(&device),
    };
    let seeds = (0..args.epochs as u64 + 1).map(|epoch| SEEDS * args.seed + epoch);
    let train = Birds::new(&args.scenes(args.images), seeds, Some(NEGATIVE))?;
    let train = train.with_cutout((args.cutout * args.size as f64).round() as usize);
    let seed = std::iter::once(VALIDATION_SEED + args.seed);
    let validation = Birds::new(&args.scenes(args.validation), seed, Some(NEGATIVE))?;

    let (network, epochs) = TrainConfig::new(args.epochs)
        .with_batch_size(args.batch)
        .with_learning_rate(args.rate)
        .with_weight_decay(args.decay)
        .with_dropout(args.dropout)
        .with_seed(args.seed)
        .fit(network, &train, &validation)?;

    // Everything is measured on the weights as saved, in half precision.
    save(&network, &args.output)?;
    let network = Vgg16::load(Weights::file(&args.output), &device)?;
    let accuracy = 1.0 - validation_error(&network, Objective::Softmax, &validation, args.batch)?;
    let live = live_channels(&network, &validation, args.validation.min(500), &device)?;
    let sizes = network.sizes();
    say!("validation accuracy {accuracy:.4}, live channels of conv5-3: {live} of {}", sizes.widths[4]);

    let record = Record {
        architecture: "VGG-16",
        widths: &sizes.widths,
        hidden: sizes.hidden,
        classes: CLASSES,
        input: [3, args.size, args.size],
        preprocessing,
        data: "synthetic birds and negatives, drawn anew each epoch",
        command: command(),
        arguments: args,
        validation_images: args.validation,
        validation_accuracy: accuracy,
        live_top_conv_channels: live,
        epochs,
    };
    files::write_json(&record_file, &record)
}

/// Saves the weights in half precision.
fn save(network: &Vgg16, path: &Path) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let saved = folder.path().join("weights.safetensors");
    network.save(&saved, DType::F16)?;
    files::write(path, |file| Ok(file.write_all(&std::fs::read(saved)?)?))
}

/// The command that was given, for a POSIX shell.
fn command() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    let quoted = |argument: String| match argument {
        word if !word.is_empty() && word.chars().all(plain) => format!(" {word}"),
        other => format!(" '{}'", other.replace('\'', r"'\''")),
    };
    let arguments: String =
        std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned())).collect();
    let separator = if arguments.is_empty() { "" } else { " --" };
    format!("cargo run --release --example train_performer{separator}{arguments}")
}

/// The number of channels of the top conv-layer that fire on some image.
fn live_channels(network: &Vgg16, images: &Birds, number: usize, device: &Device) -> Result<usize, Failure> {
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
