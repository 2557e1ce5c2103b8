//! The loop over epochs.

use std::io::Write;

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use explainer_core::{Checkpoints, CoreError, StopFlag};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::{Batch, View};
use super::checkpoint::{self, State};
use super::{Dropout, Examples, Norms, Objective, TrainConfig, TrainError, Trainable, attributes};

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

/// A training under way.
pub(super) struct Run<N> {
    /// The network, and the heads of its attributes.
    pub(super) network: (N, Option<Linear>),
    pub(super) optimizer: ModuleOptimizer,
    pub(super) rng: ChaCha8Rng,
    /// The order of the last epoch, from which the next one's is shuffled.
    pub(super) order: Vec<usize>,
    pub(super) records: Vec<EpochRecord>,
}

impl TrainConfig {
    /// Trains `network` and returns it with a record of each epoch. Autodiff is switched on for the
    /// training alone. Epochs are told on standard error, with a progress bar if it is a terminal.
    ///
    /// The same network, examples and configuration give the same weights, and a training that goes on from
    /// a checkpoint the same as one that was never stopped.
    ///
    /// # Errors
    /// See [`TrainError`].
    ///
    /// # Panics
    /// If `batch_size` is 0, or the network has no parameters.
    pub fn fit<N: Trainable>(
        &self,
        network: N,
        train: &impl Examples,
        validation: &impl Examples,
    ) -> Result<(N, Vec<EpochRecord>), TrainError> {
        assert!(self.batch_size > 0, "TrainConfig::batch_size is 0");
        if train.is_empty() {
            return Err(TrainError::Empty("training"));
        }
        if validation.is_empty() {
            return Err(TrainError::Empty("validation"));
        }
        // Locked, and found to be writable, before any work.
        let checkpoints = self.checkpoints.as_ref().map(Checkpoints::open).transpose()?;
        let setting = match checkpoints {
            Some(_) => checkpoint::setting(self, &network, train, validation)?,
            None => Value::Null,
        };
        let network = match self.norms {
            Norms::WhileTraining => network.with_norms(),
            Norms::None => network,
        };
        let heads = attributes::heads(&network, &self.attributes, &device(&network));
        let mut run = Run {
            network: (network, heads).train(),
            optimizer: self.optimizer(),
            rng: ChaCha8Rng::seed_from_u64(self.seed),
            order: (0..train.len()).collect(),
            records: Vec::with_capacity(self.epochs),
        };
        if let Some(checkpoints) = &checkpoints {
            run = checkpoint::resume(checkpoints, &setting, run)?;
        }
        let steps = train.len().div_ceil(self.batch_size);
        let progress = bar(steps * self.epochs);
        progress.set_position((run.records.len() * steps) as u64);
        while run.records.len() < self.epochs {
            let (loss, learning_rate);
            (run, loss, learning_rate) = self.epoch(run, train, &progress)?;
            let epoch = run.records.len() + 1;
            let trained = plain(&run.network.0);
            let validation_error = validation_error(&trained, self.objective, validation, self.batch_size)?;
            let record = EpochRecord { epoch, learning_rate, loss, validation_error };
            tell(&progress, &record);
            run.records.push(record);
            if let Some(checkpoints) = &checkpoints {
                checkpoint::save(checkpoints, &run, &State::of(&run, &setting))?;
            }
        }
        progress.finish_and_clear();
        Ok((plain(&run.network.0), run.records))
    }

    /// Goes through the examples once, with the mean loss and the last rate.
    fn epoch<N: Trainable>(
        &self,
        mut run: Run<N>,
        train: &impl Examples,
        progress: &ProgressBar,
    ) -> Result<(Run<N>, f64, f64), TrainError> {
        let (epoch, input) = (run.records.len() + 1, run.network.0.preprocessing());
        let device = device(&run.network.0).autodiff();
        run.order.shuffle(&mut run.rng);
        let steps = run.order.len().div_ceil(self.batch_size);
        let (mut total, mut rate) = (0.0, 0.0);
        for (step, indices) in run.order.chunks(self.batch_size).enumerate() {
            if self.stop.as_ref().is_some_and(StopFlag::is_raised) {
                return Err(CoreError::Stopped { epoch, checkpoints: self.checkpoints.clone() }.into());
            }
            let views = self.views(indices.len(), &mut run.rng);
            let batch = Batch::draw(train, indices, &views, epoch, &input)?;
            let images = batch.images(&input, &device)?;
            let mut dropout = Dropout::new(self.dropout, &mut run.rng);
            let (network, heads) = &run.network;
            let (maps, scores) = network.training_taps(images, &mut dropout);
            let mut loss = self.objective.loss(scores, &batch.labels)?;
            if let Some(heads) = heads {
                let labels = Batch::attributes(train, indices, epoch, &self.attributes)?;
                let attributes =
                    attributes::loss(heads, maps, &network.top_conv_field(), &labels, &self.attributes);
                loss = loss + attributes.mul_scalar(self.attribute_weight);
            }
            let value = loss.clone().into_scalar::<f32>();
            if !value.is_finite() {
                return Err(TrainError::Diverged { epoch, step: step + 1, loss: value });
            }
            total += f64::from(value);
            rate = self.rate((epoch - 1) * steps + step, steps);
            let gradients = GradientsParams::from_grads(loss.backward(), &run.network);
            run.network = run.optimizer.step(rate, run.network, gradients);
            progress.inc(1);
            progress.set_message(format!("epoch {epoch}, loss {:.4}", total / (step + 1) as f64));
        }
        Ok((run, total / steps as f64, rate))
    }
}

/// The plain network of the same function, without autodiff.
fn plain<N: Trainable>(network: &N) -> N {
    network.valid().without_norms()
}

/// The device that holds a network's weights.
fn device(network: &impl Trainable) -> Device {
    network.devices().into_iter().next().expect("a network has parameters")
}

/// The share of `examples` that `network` classifies wrongly. With [`Objective::Logistic`] an example of no
/// class is classified rightly where no score is above 0.
///
/// # Errors
/// See [`TrainError`].
///
/// # Panics
/// If `batch_size` is 0.
pub fn validation_error<N: Trainable>(
    network: &N,
    objective: Objective,
    examples: &impl Examples,
    batch_size: usize,
) -> Result<f64, TrainError> {
    if examples.is_empty() {
        return Err(TrainError::Empty("validation"));
    }
    let (device, input) = (device(network), network.preprocessing());
    let indices: Vec<usize> = (0..examples.len()).collect();
    let mut wrong = 0;
    for indices in indices.chunks(batch_size) {
        let batch = Batch::draw(examples, indices, &vec![View::default(); indices.len()], 0, &input)?;
        let scores = network.tap(batch.images(&input, &device)?).scores;
        wrong += objective.wrong(scores, &batch.labels)?;
    }
    Ok(wrong as f64 / examples.len() as f64)
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
    if bar.is_hidden() {
        // Nobody may be listening any more, which is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{text}");
    } else {
        bar.println(text);
    }
}
