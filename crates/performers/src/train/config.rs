//! The settings of a training.

use std::path::PathBuf;

use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use explainer_core::StopFlag;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Objective;
use super::batch::View;

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

/// What becomes of gradients.
#[derive(Config, Debug, PartialEq)]
pub enum Optimizer {
    /// AdamW (Loshchilov and Hutter, arXiv:1711.05101).
    AdamW,
    /// Gradient descent with momentum, as the authors' code has it with 0.9.
    Momentum {
        /// What of the last step is made again.
        momentum: f64,
    },
}

/// Whether a network is trained with batch-norms that it does not have.
#[derive(Config, Debug, PartialEq)]
pub enum Norms {
    /// One behind each convolution, folded away at the end: for training from scratch.
    WhileTraining,
    /// None: for fine-tuning, where they would undo what was learned.
    None,
}

/// Configuration of a training run.
#[derive(Config, Debug)]
pub struct TrainConfig {
    /// Number of passes over the examples.
    pub epochs: usize,
    /// The loss.
    #[config(default = "Objective::Softmax")]
    pub objective: Objective,
    /// Examples of a step.
    #[config(default = 32)]
    pub batch_size: usize,
    /// What makes steps of gradients.
    #[config(default = "Optimizer::AdamW")]
    pub optimizer: Optimizer,
    /// The highest learning rate.
    #[config(default = 1e-3)]
    pub learning_rate: f64,
    /// Steps in which the learning rate rises from 0.
    #[config(default = 50)]
    pub warmup_steps: usize,
    /// How it falls.
    #[config(default = "Schedule::Cosine")]
    pub schedule: Schedule,
    /// Weight decay: AdamW's own, or of the gradient with momentum.
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
    /// Share of the images of which a random crop is taken, of other brightness and tint
    /// ([`random_crop`](explainer_core::random_crop)).
    #[config(default = 0.0)]
    pub crops: f64,
    /// Numbers of values of the attributes that are learned beside the classes
    /// ([`Examples::attributes`](super::Examples::attributes)): a linear head reads each off the top conv's unit
    /// at its place. The heads are thrown away.
    #[config(default = "Vec::new()")]
    pub attributes: Vec<usize>,
    /// Weight of the attributes' cross-entropy beside the loss of the classes.
    #[config(default = 1.0)]
    pub attribute_weight: f64,
    /// Batch-norms for the time of training.
    #[config(default = "Norms::WhileTraining")]
    pub norms: Norms,
    /// Folder of checkpoints, one after each epoch; the newest is gone on from. None are kept if `None`. One training
    /// at a time has the folder.
    pub checkpoints: Option<PathBuf>,
    /// Stops the training behind the step it is at ([`CoreError::Stopped`](explainer_core::CoreError::Stopped)), its
    /// checkpoints whole. It is not written with the settings.
    pub stop: Option<StopFlag>,
    /// Seed of the order, of views and of dropout.
    #[config(default = 0)]
    pub seed: u64,
}

impl TrainConfig {
    /// Settings for a network that has learned something already: no batch-norms, a rate of 1e-4, and random
    /// crops of half of the images.
    pub fn fine_tuning(epochs: usize) -> Self {
        Self::new(epochs).with_norms(Norms::None).with_learning_rate(1e-4).with_crops(0.5)
    }

    pub(super) fn optimizer(&self) -> ModuleOptimizer {
        let clip = Some(GradientClippingConfig::Norm(self.clip_norm));
        match self.optimizer {
            Optimizer::AdamW => {
                AdamWConfig::new().with_weight_decay(self.weight_decay).with_grad_clipping(clip).init()
            }
            Optimizer::Momentum { momentum } => {
                // Burn's default takes a tenth off each gradient.
                let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
                let decay = WeightDecayConfig::new(self.weight_decay);
                SgdConfig::new()
                    .with_momentum(Some(momentum))
                    .with_weight_decay(Some(decay))
                    .with_gradient_clipping(clip)
                    .init()
            }
        }
    }

    /// How the next `count` images are seen.
    pub(super) fn views(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<View> {
        let view = |_| {
            let mirrored = rng.random_bool(self.mirror);
            let crop = (self.crops > 0.0 && rng.random_bool(self.crops)).then(|| rng.random());
            View { mirrored, crop }
        };
        (0..count).map(view).collect()
    }

    /// The learning rate of a step, counted from 0 over all epochs.
    pub(super) fn rate(&self, step: usize, steps_per_epoch: usize) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
