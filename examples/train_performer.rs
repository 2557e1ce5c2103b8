//! Trains the performer that ships with the examples: a narrow VGG-16 that tells eight synthetic species from one
//! another and from pictures without a bird.
//!
//! ```text
//! cargo run --release --example train_performer
//! ```
//!
//! Every epoch draws new images. The species differ in the shapes of their parts and in nothing else, of which the
//! classes alone tell a network too little to start from. So it also learns the shape of each part that is seen, from
//! linear heads on the top conv's unit at the part's place. The heads are thrown away, and no explainer is told of places.
//! The first epochs show birds before one colour.
//!
//! Beside the weights a JSON file records how they were made, how many images they classify rightly, and how much
//! their decisions depend on each part.

mod birds;
#[allow(dead_code, reason = "what only an example that fits does with it")]
mod program;
mod species;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use birds::{Birds, SHAPES};
use burn::tensor::{DType, Device};
use clap::Parser;
use clap::builder::RangedU64ValueParser;
use explainer_core::{Performer, Preprocessing};
use explainer_datasets::{Dataset, SyntheticSpecies, SyntheticSpeciesConfig};
use explainer_performers::train::{EpochRecord, Examples, TrainConfig};
use explainer_performers::{Vgg16, Vgg16Config, Weights};
use program::{DeviceArgs, Failure, at_least_one, exit, files, say};
use serde::Serialize;
use species::{Accuracy, Dependence, Effect, accuracy, dependence};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The class behind the species.
const NEGATIVE: &str = "negative";
/// One image in so many is a negative: as many as there are of each species.
const KINDS: usize = 9;
/// Each `--seed` has this many seeds of training images, one for an epoch.
const SEEDS: u64 = 1000;
/// Seeds of validation images, one for each `--seed`, start here: behind all of the training images'.
const VALIDATION_SEED: u64 = 1_000_000;
const _: () = assert!(SEEDS * SEEDS <= VALIDATION_SEED, "training and validation share images");
/// Seeds of the images that the trained network is measured on start here.
const TEST_SEED: u64 = 2_000_000;
/// Birds by which the dependence on each part is measured.
const DEPENDENCE: usize = 400;
/// Side of the smallest image that VGG-16's pools leave something of.
const SMALLEST: u64 = 32;

/// Trains a narrow VGG-16 on synthetic species.
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
    /// Images of an epoch, as many of each species and of negatives.
    #[arg(long, default_value_t = 2700, value_parser = at_least_one)]
    images: usize,
    /// Images for validation after each epoch, likewise.
    #[arg(long, default_value_t = 360, value_parser = at_least_one)]
    validation: usize,
    /// Other images, likewise, on which the trained network is measured.
    #[arg(long, default_value_t = 1800, value_parser = at_least_one)]
    test: usize,
    /// Passes, each over new images.
    #[arg(long, default_value_t = 16, value_parser = RangedU64ValueParser::<usize>::new().range(1..SEEDS))]
    epochs: usize,
    /// Epochs, from the first, in which birds stand before one colour.
    #[arg(long, default_value_t = 1)]
    clear: usize,
    /// Weight of the parts' shapes beside the species; with 0 they are not learned.
    #[arg(long, default_value_t = 1.0)]
    shapes: f64,
    /// Images of a step.
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    batch: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 2e-3)]
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
    #[arg(long, default_value = "examples/data/vgg16_narrow_species.safetensors")]
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
    classes: &'a [String],
    /// Channels, height and width, as the other examples read it.
    input: [usize; 3],
    preprocessing: Preprocessing,
    data: &'a str,
    command: String,
    arguments: &'a Args,
    /// Images that the figures below are of.
    test_images: usize,
    accuracy: Accuracy,
    live_top_conv_channels: usize,
    parts: &'a [Dependence],
    epochs: Vec<EpochRecord>,
}

impl Args {
    /// As many birds of each species as negatives, as far as the number allows.
    fn scenes(&self, images: usize) -> SyntheticSpeciesConfig {
        let negatives = images / KINDS;
        SyntheticSpeciesConfig::new(images - negatives, negatives).with_size(self.size)
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
            .with_classes(KINDS)
            .with_input(args.size)
            .with_seed(args.seed)
            .init(&device),
    };
    let seeds = (0..args.epochs as u64 + 1).map(|epoch| SEEDS * args.seed + epoch);
    let negative = Some(KINDS - 1);
    let train = Birds::new(&args.scenes(args.images), seeds, negative)?.with_clear_epochs(args.clear);
    let seed = std::iter::once(VALIDATION_SEED + args.seed);
    let validation = Birds::new(&args.scenes(args.validation), seed, negative)?;
    let shapes = if args.shapes > 0.0 { SHAPES.to_vec() } else { Vec::new() };

    let (network, epochs) = TrainConfig::new(args.epochs)
        .with_batch_size(args.batch)
        .with_learning_rate(args.rate)
        .with_weight_decay(args.decay)
        .with_dropout(args.dropout)
        .with_attributes(shapes)
        .with_attribute_weight(args.shapes)
        .with_seed(args.seed)
        .fit(network, &train, &validation)?;

    // Everything is measured on the weights as saved, in half precision.
    save(&network, &args.output)?;
    let network = Vgg16::load(Weights::file(&args.output), &device)?;
    let test = SyntheticSpecies::new(args.scenes(args.test).with_seed(TEST_SEED + args.seed))?;
    let accuracy = accuracy(&network, &test, KINDS - 1, &device)?;
    let live = live_channels(&network, &validation, args.validation.min(500), &device)?;
    let sizes = network.sizes();
    say!(
        "accuracy {:.4}; of birds {:.4}, that show all parts {:.4}, that hide some {:.4}; of negatives {:.4}",
        accuracy.all,
        accuracy.birds,
        accuracy.birds_with_all_parts,
        accuracy.birds_with_hidden_parts,
        accuracy.negatives
    );
    say!("live channels of conv5-3: {live} of {}", sizes.widths[4]);
    let parts = dependence(&network, &test, DEPENDENCE, &device)?;
    tell(&parts);
    let classes: Vec<String> =
        test.categories().iter().cloned().chain(std::iter::once(NEGATIVE.to_owned())).collect();

    let record = Record {
        architecture: "VGG-16",
        widths: &sizes.widths,
        hidden: sizes.hidden,
        classes: &classes,
        input: [3, args.size, args.size],
        preprocessing,
        data: "synthetic species and negatives, drawn anew each epoch; the shapes of the parts that are seen are learned \
               beside the species, by linear heads on the top conv's units at their places that are thrown away",
        command: command(),
        arguments: args,
        test_images: args.test,
        accuracy,
        live_top_conv_channels: live,
        parts: &parts,
        epochs,
    };
    files::write_json(&record_file, &record)
}

/// Prints how much decisions depend on each part.
fn tell(parts: &[Dependence]) {
    let cell = |effect: &Effect| {
        let (drop, changed) = (effect.log_probability_drop, effect.decisions_changed);
        format!(
            "{:6.2} ± {:.2} {:6.3} ± {:.3}",
            drop.mean, drop.standard_error, changed.mean, changed.standard_error
        )
    };
    say!(
        "fall of the species' log-probability and share of changed decisions, without a part and with the other shape"
    );
    for part in parts {
        say!("{:<6} {}   {}", part.part, cell(&part.removed), cell(&part.exchanged));
    }
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
