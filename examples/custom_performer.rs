//! Explains a network of one's own: a small residual CNN that is written and trained here, in a minute or so.
//!
//! ```sh
//! cargo run --release --example custom_performer
//! ```
//!
//! What the library asks of it is the `impl Performer`, some forty lines: run your layers up to the target layer,
//! run the rest from there, and say where a unit lies in the image.

#[cfg(not(test))]
#[expect(dead_code, unused_imports, reason = "no device is asked for, and no file written")]
mod program;

use std::error::Error;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_core::{
    Activations, Blueprint, FeatureConfig, Features, LabelledImage, PartExplanation, PartFit, PartFitConfig,
    Performer, Pooling, Preprocessing, TopLayer, UpperTaps,
};
use explainer_datasets::{Dataset, DatasetError, SyntheticSpecies, SyntheticSpeciesConfig};
use explainer_metrics::ReceptiveField;
use explainer_performers::train::{Examples, Norms, Objective, SourceError, TrainConfig, Trainable};

/// Side of the images in pixels.
const SIZE: usize = 64;
/// Side of the last block's maps.
const LENGTH: usize = SIZE / 8;
const CHANNELS: usize = 32;

/// A convolution and its batch-norm.
#[derive(Module, Debug)]
struct Conv {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Conv {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let config = Conv2dConfig::new(channels, [3, 3]).with_stride([stride; 2]).with_bias(false);
        let conv = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device);
        Self { conv, norm: BatchNormConfig::new(channels[1]).init(device) }
    }

    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(maps))
    }
}

/// `relu(conv(relu(conv(x))) + x)`.
#[derive(Module, Debug)]
struct Block {
    convs: [Conv; 2],
}

impl Block {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let [first, second] = &self.convs;
        relu(second.forward(relu(first.forward(maps.clone()))) + maps)
    }
}

/// Three convolutions that halve their maps, two residual blocks, the average over the maps, and one score:
/// a bird or not.
#[derive(Module, Debug)]
pub struct SmallResNet {
    stem: Vec<Conv>,
    blocks: [Block; 2],
    head: Linear,
}

impl SmallResNet {
    fn new(seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let conv = |channels, stride| Conv::new(channels, stride, device);
        let block = |_| Block { convs: [(); 2].map(|()| conv([CHANNELS; 2], 1)) };
        Self {
            stem: vec![conv([3, 8], 2), conv([8, 16], 2), conv([16, CHANNELS], 2)],
            blocks: [0, 1].map(block),
            head: LinearConfig::new(CHANNELS, 1).init(device),
        }
    }
}

/// The adapter: all that the library has to know.
impl Performer for SmallResNet {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        let maps = self.stem.iter().fold(images, |maps, conv| relu(conv.forward(maps)));
        self.blocks[0].forward(maps)
    }

    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let top_conv = self.blocks[1].forward(target);
        let mean = Pooling::global_average(LENGTH).forward(top_conv.clone()).flatten(1, 3);
        UpperTaps { top_conv, scores: self.head(mean.clone()), upper: vec![mean] }
    }

    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(SIZE)
    }

    fn target_field(&self) -> ReceptiveField {
        let stem = (0..3).fold(ReceptiveField::pixels(), |field, _| field.then(3, 2, 1));
        stem.then(3, 1, 1).then(3, 1, 1)
    }

    fn top_conv_field(&self) -> ReceptiveField {
        self.target_field().then(3, 1, 1).then(3, 1, 1)
    }

    fn blueprint(&self) -> Blueprint<'_> {
        // No FC layer below the head: what it reads is the average over the maps.
        Blueprint {
            top: TopLayer::Block { channels: CHANNELS },
            length: LENGTH,
            pool: Pooling::global_average(LENGTH),
            upper: Vec::new(),
            activations: Activations::default(),
        }
    }
}

/// Nothing more is needed to train it.
impl Trainable for SmallResNet {}

/// Whatever the run runs into.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Sizes of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Birds to train on, and as many pictures without one.
    pub birds: usize,
    /// Passes of the training.
    pub training: usize,
    /// Seed of everything.
    pub seed: u64,
}

/// What a run came to.
pub struct Run {
    /// Share of new pictures that the performer classifies wrongly.
    pub validation_error: f64,
    /// The fitted explainer.
    pub fit: PartFit,
    /// Of the first new bird.
    pub explanation: PartExplanation,
}

/// Birds, and pictures without one.
struct Birds(SyntheticSpecies);

impl Birds {
    fn new(number: usize, seed: u64) -> Result<Self, DatasetError> {
        let config = SyntheticSpeciesConfig::new(number, number).with_size(SIZE);
        Ok(Self(SyntheticSpecies::new(config.with_seed(seed))?))
    }

    fn image(&self, index: usize) -> Result<LabelledImage, DatasetError> {
        let sample = self.0.sample(index)?;
        Ok(LabelledImage { category: sample.category, pixels: sample.image.into_raw() })
    }

    fn images(&self) -> impl Iterator<Item = Result<LabelledImage, DatasetError>> {
        (0..self.0.len()).map(|index| self.image(index))
    }
}

impl Examples for Birds {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn example(&self, index: usize, _epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        let LabelledImage { pixels, category } = self.image(index)?;
        Ok((pixels, category.map(|_species| 0)))
    }
}

/// Trains the network, fits its explainer and explains the first bird that neither has seen.
pub fn run(settings: &Settings, device: &Device) -> Result<Run, Failure> {
    let &Settings { birds, training, seed } = settings;
    let (seen, unseen) = (Birds::new(birds, 2 * seed)?, Birds::new(birds.div_ceil(4), 2 * seed + 1)?);
    let training = TrainConfig::new(training)
        .with_objective(Objective::Logistic)
        .with_learning_rate(3e-3)
        .with_warmup_steps(10)
        .with_norms(Norms::None)
        .with_seed(seed);
    let (performer, records) = training.fit(SmallResNet::new(seed, device), &seen, &unseen)?;
    let validation_error = records.last().map_or(1.0, |record| record.validation_error);

    let train = Features::extract(&performer, seen.images(), &FeatureConfig::of_parts(), device)?;
    let validation = Features::extract(&performer, unseen.images(), &FeatureConfig::plain(), device)?;
    let fit = PartFitConfig::new().with_seed(seed).fit(&performer, &train, Some(&validation))?;
    let explanation = fit.explainer.explain(&performer, &unseen.image(0)?.pixels)?;
    Ok(Run { validation_error, fit, explanation })
}

/// A run of a minute or so.
#[cfg(not(test))]
const SETTINGS: Settings = Settings { birds: 240, training: 8, seed: 0 };

#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(test))]
fn main() -> std::process::ExitCode {
    program::exit(shown())
}

/// Runs and prints what came of it.
#[cfg(not(test))]
fn shown() -> Result<(), Failure> {
    use program::say;

    let Run { validation_error, fit, explanation } = run(&SETTINGS, &Device::default())?;
    say!("The performer is wrong on {:.1} % of new pictures.", 100.0 * validation_error);
    if let Some(validation) = &fit.validation {
        let share = validation.mass_share;
        say!(
            "{:.1} parts are present in a new picture; they carry {share:.2} of its features.",
            validation.present
        );
    }
    say!("Score of a bird {:.2}; its parts, and what each gave to it:", explanation.scores[0]);
    for part in explanation.top_parts(5) {
        let [x, y] = part.center;
        let (name, sure, gave) = (part.part, 100.0 * part.presence, part.contribution);
        say!("  part {name:2} at ({x:.0}, {y:.0}), {sure:.0} % sure: {gave:+.2}");
    }
    Ok(())
}
