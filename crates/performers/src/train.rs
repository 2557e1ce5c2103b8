//! Training a performer from scratch, as a classifier.
//!
//! Kept small: enough for performers of modest size on a CPU, with AdamW, a decaying learning rate
//! and mirror images. Each convolution trains with a batch-norm behind it, without which a VGG-16
//! from scratch hardly starts to learn; afterwards the batch-norms are folded into the convolutions,
//! so that the trained network is a plain one.

use std::num::NonZero;
use std::thread;

use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use explainer_core::{CoreError, Performer, Preprocessing};
use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Architecture, ConvNet};

/// An error of an example's source.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// An error in training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss became NaN or infinite: the learning rate is too high, or an input is.
    #[error("training diverged in epoch {epoch} at step {step}: the loss is {loss}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The step within the epoch, from 1.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// An example could not be had.
    #[error("example {index}: {source}")]
    Example {
        /// Its index.
        index: usize,
        /// Why.
        source: SourceError,
    },
    /// An example's label is not a class of the network.
    #[error("example {index} has label {label}, but the network has {classes} classes")]
    Label {
        /// Its index.
        index: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// An example's image does not have the network's input size.
    #[error(transparent)]
    Image(#[from] CoreError),
    /// There is nothing to train on, or to validate on.
    #[error("no examples of {0}")]
    Empty(&'static str),
}

/// Labelled images. Examples are asked for from several threads.
pub trait Examples: Sync {
    /// The number of examples of an epoch.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The 8-bit RGB pixels and the class of example `index` in epoch `epoch` (from 1; 0 for
    /// validation). A source that draws its images may draw new ones each epoch.
    ///
    /// # Errors
    /// Whatever the source runs into.
    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, usize), SourceError>;
}

/// How the learning rate falls.
#[derive(Config, Debug, PartialEq)]
pub enum Schedule {
    /// Half a cosine from the learning rate to 0, step by step.
    Cosine,
    /// The same factor each epoch, so that the last has `last` times the first's rate.
    LogSpaced {
        /// The last epoch's rate over the first's.
        last: f64,
    },
}

/// Configuration of a training run with the softmax cross-entropy.
#[derive(Config, Debug)]
pub struct TrainConfig {
    /// Number of passes over the examples.
    pub epochs: usize,
    /// Examples of a step.
    #[config(default = 32)]
    pub batch_size: usize,
    /// The highest learning rate.
    #[config(default = 1e-3)]
    pub learning_rate: f64,
    /// Steps in which the learning rate rises from 0.
    #[config(default = 50)]
    pub warmup_steps: usize,
    /// How it falls.
    #[config(default = "Schedule::Cosine")]
    pub schedule: Schedule,
    /// AdamW's weight decay.
    #[config(default = 1e-4)]
    pub weight_decay: f32,
    /// Largest norm of a parameter's gradient.
    #[config(default = 1.0)]
    pub clip_norm: f32,
    /// Probability with which a unit behind relu6 and relu7 is dropped.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Share of the images that are mirrored.
    #[config(default = 0.5)]
    pub mirror: f64,
    /// Seed of the order, of the mirroring and of dropout.
    #[config(default = 0)]
    pub seed: u64,
}

/// What one epoch came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Mean loss over its steps.
    pub loss: f64,
    /// Share of the validation examples that were classified wrongly.
    pub validation_error: f64,
}

impl TrainConfig {
    /// Trains `network` and returns it with a record of each epoch. Autodiff is switched on for the
    /// training alone. Epochs are told on standard error, with a progress bar if it is a terminal.
    ///
    /// The same network, examples and configuration give the same weights.
    ///
    /// # Errors
    /// See [`TrainError`].
    ///
    /// # Panics
    /// If `batch_size` is 0.
    pub fn fit<A: Architecture>(
        &self,
        network: ConvNet<A>,
        train: &impl Examples,
        validation: &impl Examples,
    ) -> Result<(ConvNet<A>, Vec<EpochRecord>), TrainError> {
        assert!(self.batch_size > 0, "TrainConfig::batch_size is 0");
        if train.is_empty() {
            return Err(TrainError::Empty("training"));
        }
        if validation.is_empty() {
            return Err(TrainError::Empty("validation"));
        }
        let norms = network.norms(&network.device());
        let mut network: Normalized<A> = (network, norms).train();
        let clip = GradientClippingConfig::Norm(self.clip_norm);
        let mut optimizer =
            AdamWConfig::new().with_weight_decay(self.weight_decay).with_grad_clipping(Some(clip)).init();
        let device = network.0.device().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut order: Vec<usize> = (0..train.len()).collect();
        let steps = order.len().div_ceil(self.batch_size);
        let progress = bar(steps * self.epochs);
        let mut records = Vec::with_capacity(self.epochs);

        for epoch in 1..=self.epochs {
            order.shuffle(&mut rng);
            let (mut total, mut rate) = (0.0, 0.0);
            for (step, indices) in order.chunks(self.batch_size).enumerate() {
                let mirrored: Vec<bool> = indices.iter().map(|_| rng.random_bool(self.mirror)).collect();
                let (plain, norms) = &network;
                let batch = Batch::draw(train, indices, &mirrored, epoch, plain)?;
                let (images, labels) = batch.tensors(plain.preprocessing(), &device)?;
                let scores = plain.forward_training(images, norms, |x| self.drop(x, &mut rng));
                let loss = CrossEntropyLossConfig::new().init(&device).forward(scores, labels);
                let value = loss.clone().into_scalar::<f32>();
                if !value.is_finite() {
                    return Err(TrainError::Diverged { epoch, step: step + 1, loss: value });
                }
                total += f64::from(value);
                rate = self.rate((epoch - 1) * steps + step, steps);
                let gradients = GradientsParams::from_grads(loss.backward(), &network);
                network = optimizer.step(rate, network, gradients);
                progress.inc(1);
                progress.set_message(format!("epoch {epoch}, loss {:.4}", total / (step + 1) as f64));
            }
            let record = EpochRecord {
                epoch,
                learning_rate: rate,
                loss: total / steps as f64,
                validation_error: validation_error(&folded(&network), validation, self.batch_size)?,
            };
            tell(&progress, &record);
            records.push(record);
        }
        progress.finish_and_clear();
        Ok((folded(&network), records))
    }

    /// Zeroes units with the probability `dropout` and enlarges the others in proportion
    /// (Srivastava et al. 2014). The units are drawn from `rng`, not from the device's generator,
    /// which other threads draw from as well.
    fn drop(&self, units: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        if self.dropout == 0.0 {
            return units;
        }
        let kept =
            TensorData::random::<f32, _, _>(units.dims(), Distribution::Bernoulli(1.0 - self.dropout), rng);
        let kept = Tensor::from_data(kept, &units.device());
        units * kept.div_scalar(1.0 - self.dropout)
    }

    /// The learning rate of a step, counted from 0 over all epochs.
    fn rate(&self, step: usize, steps_per_epoch: usize) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup_steps.max(1) as f64).min(1.0);
        let decay = match self.schedule {
            Schedule::Cosine => {
                let done = step as f64 / (steps_per_epoch * self.epochs) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            Schedule::LogSpaced { last } => {
                let epoch = (step / steps_per_epoch) as f64;
                last.powf(epoch / self.epochs.saturating_sub(1).max(1) as f64)
            }
        };
        self.learning_rate * warmup * decay
    }
}

/// A network with a batch-norm behind each convolution.
type Normalized<A> = (ConvNet<A>, Vec<BatchNorm>);

/// The plain network of the same function, without autodiff.
fn folded<A: Architecture>(normalized: &Normalized<A>) -> ConvNet<A> {
    let (network, norms) = normalized.valid();
    network.folded(&norms)
}

/// The share of `examples` that `network` classifies wrongly.
///
/// # Errors
/// See [`TrainError`].
///
/// # Panics
/// If `batch_size` is 0.
pub fn validation_error<A: Architecture>(
    network: &ConvNet<A>,
    examples: &impl Examples,
    batch_size: usize,
) -> Result<f64, TrainError> {
    if examples.is_empty() {
        return Err(TrainError::Empty("validation"));
    }
    let device = network.device();
    let indices: Vec<usize> = (0..examples.len()).collect();
    let mut wrong = 0.0;
    for indices in indices.chunks(batch_size) {
        let batch = Batch::draw(examples, indices, &vec![false; indices.len()], 0, network)?;
        let (images, labels) = batch.tensors(network.preprocessing(), &device)?;
        let predicted: Tensor<1, Int> = network.forward(images).argmax(1).squeeze_dim(1);
        wrong += predicted.not_equal(labels).int().sum().into_scalar::<i64>() as f64;
    }
    Ok(wrong / examples.len() as f64)
}

/// The images and classes of one step.
struct Batch {
    images: Vec<Vec<u8>>,
    labels: Vec<i64>,
}

impl Batch {
    /// Gets the examples, on all cores.
    fn draw<A: Architecture>(
        examples: &impl Examples,
        indices: &[usize],
        mirrored: &[bool],
        epoch: usize,
        network: &ConvNet<A>,
    ) -> Result<Self, TrainError> {
        let (classes, width) = (network.sizes().classes, network.preprocessing().size);
        let get = |(&index, &mirror): (&usize, &bool)| {
            let (mut image, label) =
                examples.example(index, epoch).map_err(|source| TrainError::Example { index, source })?;
            if label >= classes {
                return Err(TrainError::Label { index, label, classes });
            }
            if mirror {
                flip(&mut image, width);
            }
            Ok((image, label as i64))
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = indices.len().div_ceil(threads).max(1);
        let parts: Vec<Result<Vec<_>, TrainError>> = thread::scope(|scope| {
            let parts = indices.chunks(share).zip(mirrored.chunks(share));
            let running: Vec<_> = parts
                .map(|(indices, mirrored)| {
                    scope.spawn(move || indices.iter().zip(mirrored).map(get).collect())
                })
                .collect();
            let joined = running.into_iter().map(|part| part.join());
            joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut batch = Self { images: Vec::new(), labels: Vec::new() };
        for part in parts {
            for (image, label) in part? {
                batch.images.push(image);
                batch.labels.push(label);
            }
        }
        Ok(batch)
    }

    fn tensors(
        &self,
        preprocessing: Preprocessing,
        device: &Device,
    ) -> Result<(Tensor<4>, Tensor<1, Int>), CoreError> {
        let images: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        let labels = TensorData::new(self.labels.clone(), [self.labels.len()]);
        Ok((preprocessing.batch(&images, device)?, Tensor::from_data(labels, device)))
    }
}

/// Mirrors an image of 8-bit RGB pixels, left to right.
fn flip(image: &mut [u8], width: usize) {
    for row in image.chunks_exact_mut(3 * width) {
        for x in 0..width / 2 {
            let (left, right) = row.split_at_mut(3 * (width - 1 - x));
            left[3 * x..3 * x + 3].swap_with_slice(&mut right[..3]);
        }
    }
}

/// A progress bar; not shown where standard error is not a terminal.
fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// States an epoch above the bar, or alone where there is none.
fn tell(bar: &ProgressBar, record: &EpochRecord) {
    let EpochRecord { epoch, loss, validation_error, .. } = record;
    let text = format!("epoch {epoch}: loss {loss:.4}, validation error {validation_error:.4}");
    if bar.is_hidden() { eprintln!("{text}") } else { bar.println(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Vgg16, Vgg16Config};

    /// Bright and dark images.
    struct Shades {
        len: usize,
        label: fn(usize) -> usize,
    }

    impl Examples for Shades {
        fn len(&self) -> usize {
            self.len
        }

        fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, usize), SourceError> {
            let bright = index % 2;
            let shade = 200 * bright + (7 * index + 3 * epoch) % 50;
            Ok((vec![shade as u8; 3 * 32 * 32], (self.label)(bright)))
        }
    }

    const SHADES: Shades = Shades { len: 40, label: |bright| bright };

    fn tiny(seed: u64) -> Vgg16 {
        Vgg16Config::new()
            .with_widths([4, 4, 4, 4, 8])
            .with_hidden([8, 8])
            .with_classes(2)
            .with_input(32)
            .with_seed(seed)
            .init(&Device::flex())
    }

    fn config() -> TrainConfig {
        TrainConfig::new(12).with_batch_size(8).with_warmup_steps(5).with_learning_rate(3e-3)
    }

    #[test]
    fn a_tiny_network_learns_bright_from_dark_and_does_so_again() {
        let (network, records) = config().fit(tiny(1), &SHADES, &SHADES).unwrap();
        assert_eq!(records.len(), 12);
        assert!(records[11].loss < 0.8 * records[0].loss, "{records:?}");
        assert_eq!(records[11].validation_error, 0.0, "{records:?}");

        let (again, same) = config().fit(tiny(1), &SHADES, &SHADES).unwrap();
        assert_eq!(records, same);
        let image = Tensor::<4>::ones([1, 3, 32, 32], &Device::flex());
        assert_eq!(network.forward(image.clone()).into_data(), again.forward(image).into_data());

        let (_, other) = config().with_seed(5).fit(tiny(1), &SHADES, &SHADES).unwrap();
        assert_ne!(records, other, "another order");
    }

    #[test]
    fn divergence_names_epoch_and_step() {
        let error = config()
            .with_learning_rate(1e30)
            .with_warmup_steps(1)
            .fit(tiny(1), &SHADES, &SHADES)
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(error, TrainError::Diverged { epoch: 1, step: 2, .. }), "{error}");
        assert!(error.to_string().contains("epoch 1 at step 2"), "{error}");
    }

    #[test]
    fn unknown_labels_and_empty_sets_are_refused() {
        let foreign = Shades { len: 4, label: |bright| 2 + bright };
        let error = config().fit(tiny(1), &foreign, &SHADES).map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Label { label: 2.., classes: 2, .. }), "{error}");
        let none = Shades { len: 0, label: |_| 0 };
        assert!(matches!(config().fit(tiny(1), &none, &SHADES), Err(TrainError::Empty("training"))));
        assert!(matches!(config().fit(tiny(1), &SHADES, &none), Err(TrainError::Empty("validation"))));
    }

    #[test]
    fn rates_rise_and_fall_as_stated() {
        let cosine = TrainConfig::new(2).with_learning_rate(1.0).with_warmup_steps(4);
        assert_eq!(cosine.rate(0, 100), 0.25);
        assert!((cosine.rate(100, 100) - 0.5).abs() < 1e-12, "half-way");
        assert!(cosine.rate(199, 100) < 1e-4);
        let steps = cosine.with_schedule(Schedule::LogSpaced { last: 0.01 }).with_warmup_steps(0);
        assert_eq!((steps.rate(0, 100), steps.rate(99, 100)), (1.0, 1.0));
        assert!((steps.rate(100, 100) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn flipping_swaps_pixels_and_keeps_their_channels() {
        let mut image: Vec<u8> = (0..18).collect();
        flip(&mut image, 3);
        assert_eq!(image, [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11]);
    }
}
