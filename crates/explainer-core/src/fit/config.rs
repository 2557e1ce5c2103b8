//! Settings of a fit.

use std::path::PathBuf;

use burn::config::Config;
use burn::module::ParamGroup;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use explainer_filter_loss::{FilterLossConfig, Gradient, Population, Scale, Shape};
use serde::{Deserialize, Serialize};

use super::task::Task;
use crate::StopFlag;
use crate::track::entry;

/// λ_l of a reconstruction term, from the features x*_l it reconstructs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ReconstructionWeight {
    /// `λ_l = 1 / E‖x*_l‖²`: the term is the relative squared error, whatever the performer's scale.
    Relative,
    /// `λ_l = factor / E‖max(x*_l, 0)‖` (arXiv:1805.07468 with factor 5·10⁴).
    InverseNorm {
        /// The factor.
        factor: f64,
    },
}

/// Weights of the loss `Σ_l λ_l ‖x_l − x*_l‖² − η log min(p, p*)` (per image).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossWeights {
    /// λ_l.
    pub reconstruction: ReconstructionWeight,
    /// η, weight of −log p.
    pub eta: f64,
    /// p*: once the interpretable track carries this share, η asks for no more of it. 1, as published,
    /// never stops asking.
    pub share: f64,
}

impl LossWeights {
    /// This library's: relative errors, and η = 0, for p starts as the share that the parts have
    /// ([`Explainer::calibrated`](crate::Explainer::calibrated)). With an η of 0.2 they carry more, at more error.
    pub const RELATIVE: Self = Self { reconstruction: ReconstructionWeight::Relative, eta: 0.0, share: 1.0 };
    /// The paper's for AlexNet, VGG-M and VGG-S.
    pub const PUBLISHED: Self =
        Self { reconstruction: ReconstructionWeight::InverseNorm { factor: 5.0e4 }, eta: 1.0e6, share: 1.0 };
    /// The paper's for VGG-16.
    pub const PUBLISHED_VGG16: Self = Self { eta: 1.5e5, ..Self::PUBLISHED };
}

/// How the filter loss's push changes over epochs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum PushSchedule {
    /// The same in every epoch.
    Constant,
    /// Divided by the epoch's number, counted from 1 (arXiv:1805.07468).
    InverseEpoch,
}

impl PushSchedule {
    /// Factor on the push in an epoch, counted from 1.
    pub fn factor(self, epoch: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::InverseEpoch => 1.0 / epoch as f64,
        }
    }
}

/// λ_f, the weight of the filter loss at one conv-layer, measured online:
///
/// `λ_f = ratio · schedule(epoch) · ‖∂L/∂x‖ / ‖∂Loss_f/∂x‖`
///
/// over the maps x of the layer that are not zero, where L is the rest of the loss as it arrives at
/// x. The push stays in proportion to what the reconstruction asks of the layer, however the
/// magnitudes of either drift.
///
/// Source: arXiv:1805.07468 (ratio 1, schedule 1/N, and norms per filter).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Norm of the filter loss's gradient relative to the rest's; 0 switches it off.
    pub ratio: f64,
    /// Its course over epochs.
    pub schedule: PushSchedule,
}

impl Push {
    /// The library's: lightly on conv-interp-1, which the performer's own filters should stay, and ten
    /// times as hard as the rest of the loss on the layer whose filters become parts.
    pub const DEFAULT: [Self; 2] = [
        Self { ratio: 0.3, schedule: PushSchedule::Constant },
        Self { ratio: 10.0, schedule: PushSchedule::Constant },
    ];
}

/// The maps on which the filter loss of the last interpretable conv-layer acts. (That of the layers below
/// acts on their own.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossMaps {
    /// The layer's own, x_f. Parts are read off them; and where the loss is scale-free, nothing is to be
    /// gained by making them louder than the ordinary track's.
    Own,
    /// `x' = p · x_f / α + (1 − p) · x_ordin / α`, without a gradient to the ordinary track
    /// (arXiv:1805.07468).
    Joined,
}

/// How α_k of the norm-layers is kept up to date.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum NormUpdate {
    /// No norm-layers: α = 1, and the decoder reads both tracks as they are.
    None,
    /// Measured once before fitting ([`Explainer::calibrated`](crate::Explainer::calibrated)).
    Fixed,
    /// Measured once, and moved towards every batch's mean masses by this momentum, by which both tracks come to mass
    /// one in every channel.
    Running {
        /// Share of the new value, in 0..1.
        momentum: f64,
    },
}

/// How the decoder ends, after the last epoch.
///
/// The optimiser leaves the decoder a good way from the least error its features allow: on a few
/// thousand images it learns them by heart before it gets there. In closed form the same weights fit both
/// the training images and others better. The encoder, and so the parts, stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Refit {
    /// As the optimiser left it.
    None,
    /// Each layer by ridge regression: [`Explainer::refitted`](crate::Explainer::refitted). A ridge is the weight
    /// of the change's square, in units of an input's mean square distance from its mean.
    Ridge {
        /// Where the performer's own layers are known, and the change is one of theirs.
        performer: f64,
        /// Where they are not, and the change is one of the optimiser's last weights.
        fitted: f64,
    },
}

impl Refit {
    /// The performer's own layers say much, the optimiser's weights little.
    pub const DEFAULT: Self = Self::Ridge { performer: 0.3, fitted: 0.03 };
}

/// Adam's learning rates.
///
/// The default differs from layer to layer: whatever the interpretable track is bent to reconstruct pulls its filters
/// away from parts, and it begins with filters that have them, so it moves slowly; the ordinary track, which begins as
/// what the parts leave, learns faster and takes up what changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRates {
    /// conv-interp-1, which starts as the performer's top conv-layer.
    pub first: f64,
    /// conv-interp-2 and further interpretable layers.
    pub interpretable: f64,
    /// The ordinary track.
    pub ordinary: f64,
    /// Weights of fc-dec-1. Behind the norm-layer they are larger than the performer's by α, so that
    /// the same step is a smaller change.
    pub decoder_input: f64,
    /// The rest of the decoder.
    pub decoder: f64,
    /// w of learned masks, from which their β is made ([`LearnedMask`](explainer_filter_loss::LearnedMask)).
    /// Adam's steps are about as long as the rate: at that of a conv-layer β would stay where it starts.
    pub mask: f64,
    /// w_p, a single number that has far to go.
    pub share: f64,
}

impl LearningRates {
    /// What the library's experiments settled on.
    pub const DEFAULT: Self = Self {
        first: 3e-7,
        interpretable: 3e-7,
        ordinary: 2e-5,
        decoder_input: 3e-4,
        decoder: 1e-4,
        mask: 1e-2,
        share: 1e-2,
    };

    /// One rate for all layers and their masks, and one for w_p.
    pub const fn uniform(rate: f64, share: f64) -> Self {
        Self {
            first: rate,
            interpretable: rate,
            ordinary: rate,
            decoder_input: rate,
            decoder: rate,
            mask: rate,
            share,
        }
    }

    /// The rates of a step of which `done` (0..1) of all steps lie before it: as they are, then in the
    /// last `decay` of the fit falling linearly towards 0. w_p keeps its rate: −η log p is no noisy
    /// target, and p has far to go.
    pub(crate) fn at(self, done: f64, decay: f64) -> Self {
        let factor = if 1.0 - done < decay { (1.0 - done) / decay } else { 1.0 };
        let of = |rate: f64| rate * factor;
        Self {
            first: of(self.first),
            interpretable: of(self.interpretable),
            ordinary: of(self.ordinary),
            decoder_input: of(self.decoder_input),
            decoder: of(self.decoder),
            mask: of(self.mask),
            share: self.share,
        }
    }

    /// The rate of each parameter of an explainer; of several groups the last counts.
    pub(crate) fn groups(self) -> ModuleLearningRate {
        ModuleLrScheduler::new(self.decoder)
            .with_group(ParamGroup::from_predicate("decoder.layers.0.weight"), self.decoder_input)
            .with_group(ParamGroup::from_predicate("interpretable.layers"), self.interpretable)
            .with_group(ParamGroup::from_predicate("interpretable.layers.0."), self.first)
            .with_group(ParamGroup::from_predicate("beta_logit"), self.mask)
            .with_group(ParamGroup::from_predicate("ordinary.convs"), self.ordinary)
            .with_group(ParamGroup::from_predicate("share_logit"), self.share)
            .step()
    }
}

/// ω of the default scale: a map of mean energy at one unit has this trace with its template.
const TRACE: f64 = 0.7;

/// Momentum of the running norms, that of batch-norm's statistics.
const MOMENTUM: f64 = 0.1;

/// Settings of a fit.
#[derive(Config, Debug)]
pub struct FitConfig {
    /// What is fitted.
    #[config(default = "Task::Reconstruction")]
    pub task: Task,
    /// Passes over the training features.
    #[config(default = 5)]
    pub epochs: usize,
    /// Rows (views of images) of a step.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Adam's learning rates.
    #[config(default = "LearningRates::DEFAULT")]
    pub rates: LearningRates,
    /// The share of the fit, at its end, in which the rates fall linearly to 0 (w_p's does not).
    #[config(default = "1.0 / 3.0")]
    pub decay: f64,
    /// λ_l and η.
    #[config(default = "LossWeights::RELATIVE")]
    pub weights: LossWeights,
    /// Gradient of the filter loss.
    #[config(default = "Gradient::Released")]
    pub gradient: Gradient,
    /// Scale at which the filter loss looks at the maps.
    #[config(default = "Scale::Energy { trace: TRACE }")]
    pub scale: Scale,
    /// The maps on which that of the last layer acts.
    #[config(default = "LossMaps::Own")]
    pub loss_maps: LossMaps,
    /// The maps that make up the population of the filter loss.
    #[config(default = "Population::All")]
    pub population: Population,
    /// Momentum of the filter loss's [`Memory`](explainer_filter_loss::Memory) of earlier batches; `None`:
    /// each batch is a population by itself. It has no part in the released gradient.
    #[config(default = "None")]
    pub memory: Option<f64>,
    /// κ of the filter loss, the weight of the diversity of filters.
    #[config(default = 0.0)]
    pub diversity: f64,
    /// Form of the filter loss's templates.
    #[config(default = "Shape::PUBLISHED")]
    pub shape: Shape,
    /// The filter loss's push on each interpretable conv-layer: the last entry is the last layer's, and layers before
    /// the list have its first.
    #[config(default = "Push::DEFAULT.to_vec()")]
    pub push: Vec<Push>,
    /// Whether the push on a layer reaches the layers below it, through the conv-layer between, as
    /// published.
    #[config(default = true)]
    pub push_reaches_below: bool,
    /// The norm-layers' α.
    #[config(default = "NormUpdate::Running { momentum: MOMENTUM }")]
    pub norm: NormUpdate,
    /// Whether the interpretable track starts from what counts for the performer's decisions:
    /// [`Explainer::attuned`](crate::Explainer::attuned).
    #[config(default = true)]
    pub relevance: bool,
    /// How the decoder ends. It has no effect on [`Task::Classification`]: what it solves for is the
    /// reconstruction.
    #[config(default = "Refit::DEFAULT")]
    pub refit: Refit,
    /// Seed of the order of images.
    #[config(default = 0)]
    pub seed: u64,
    /// Folder for a checkpoint after every epoch. If it holds one of the same settings, the fit
    /// goes on from there. One fit at a time has the folder.
    pub checkpoints: Option<PathBuf>,
    /// Stops the fit behind the step it is at ([`CoreError::Stopped`](crate::CoreError::Stopped)), its
    /// checkpoints whole. It is not written with the settings.
    pub stop: Option<StopFlag>,
    /// Whether a bar is drawn (on a terminal only).
    #[config(default = true)]
    pub progress: bool,
}

impl FitConfig {
    /// The published form: maps as they are in the filter loss, which acts on x'; its push at the
    /// reconstruction's own size falling as 1/epoch; running norms; and the paper's weights, which differ
    /// between networks. It is kept for comparison. The optimiser, which the paper does not name, and one
    /// λ_f for all filters of a layer are this library's.
    ///
    /// Source: arXiv:1805.07468.
    pub fn published(weights: LossWeights) -> Self {
        Self::new()
            .with_rates(LearningRates::uniform(1e-4, 1e-2))
            .with_decay(0.0)
            .with_weights(weights)
            .with_norm(NormUpdate::Running { momentum: MOMENTUM })
            .with_gradient(Gradient::Approximate)
            .with_scale(Scale::AsIs)
            .with_loss_maps(LossMaps::Joined)
            .with_diversity(0.0)
            .with_relevance(false)
            .with_refit(Refit::None)
            .with_push(vec![Push { ratio: 1.0, schedule: PushSchedule::InverseEpoch }])
    }

    /// The filter loss on maps of side `length`.
    pub(crate) fn filter_loss(&self, length: usize) -> FilterLossConfig {
        FilterLossConfig::new(length)
            .with_shape(self.shape)
            .with_scale(self.scale)
            .with_gradient(self.gradient)
            .with_population(self.population)
            .with_diversity(self.diversity)
    }

    /// The push on interpretable conv-layer `layer` (from 0) of `layers` in an epoch (from 1).
    pub(crate) fn push_ratio(&self, layer: usize, layers: usize, epoch: usize) -> f64 {
        entry(&self.push, layer, layers).map_or(0.0, |push| push.ratio * push.schedule.factor(epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_push_is_the_last_layers() {
        let half = Push { ratio: 0.5, schedule: PushSchedule::InverseEpoch };
        let config = FitConfig::new().with_push(vec![Push { ratio: 0.0, ..half }, half]);
        assert_eq!(config.push_ratio(0, 2, 1), 0.0);
        assert_eq!(config.push_ratio(1, 2, 1), 0.5);
        assert_eq!([0, 1, 2].map(|layer| config.push_ratio(layer, 3, 4)), [0.0, 0.0, 0.125]);
        assert_eq!(config.push_ratio(0, 1, 1), 0.5, "of a single layer");
        assert_eq!(FitConfig::new().with_push(Vec::new()).push_ratio(0, 1, 1), 0.0);
    }

    #[test]
    fn rates_fall_in_the_last_part_only() {
        let rates = LearningRates::uniform(2.0, 5.0);
        for (done, decay, expected) in
            [(0.0, 0.25, 2.0), (0.75, 0.25, 2.0), (0.875, 0.25, 1.0), (0.99, 0.0, 2.0), (0.5, 1.0, 1.0)]
        {
            let found = rates.at(done, decay);
            assert_eq!(found, LearningRates::uniform(expected, 5.0), "{done} {decay}");
        }
    }

    #[test]
    fn settings_survive_json() {
        let config = FitConfig::published(LossWeights::PUBLISHED_VGG16).with_seed(7);
        let json = serde_json::to_string(&config).unwrap();
        let back: FitConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
        assert!(json.contains("InverseEpoch"));
    }
}
