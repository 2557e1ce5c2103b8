//! One fitting step: losses, gradients, λ_f.
//!
//! Autodiff runs through the losses on the decoder's layers and through the encoder's sum, whose leaves are the
//! tracks' last maps; the decoder between them and the conv-layers below are gone through by hand, from the last to
//! the first. So ∂L/∂x is at hand where
//! the filter loss is added, and λ_f can be measured in the same step, at no extra cost.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};
use explainer_filter_loss::FilterCategories;

use super::config::{FitConfig, LossMaps, LossWeights, NormUpdate, ReconstructionWeight};
use super::loss::InterpretabilityLoss;
use super::push::pushed;
use super::task::Task;
use crate::conv::{Gradient, Input};
use crate::features::{FeatureBatch, Features, floats};
use crate::track::Stage;
use crate::{CoreError, Decoder, Explainer, conv};

/// A relative error above this is no fit any more: a hundred times worse than reconstructing zero.
const DIVERGED: f32 = 100.0;

/// λ_l of every reconstructed layer, from the training features.
pub(crate) struct Lambdas {
    weights: Vec<f64>,
    /// E‖x*_l‖², to tell a diverging term in relative terms.
    energy: Vec<f64>,
}

impl Lambdas {
    pub(crate) fn measure(features: &Features, decoder: &Decoder, config: &FitConfig) -> Self {
        let layers = features.wanted_widths(decoder).len();
        let (mut energy, mut norm) = (vec![0.0; layers], vec![0.0; layers]);
        for indices in batches(features.len(), config.batch_size) {
            for (layer, upper) in features.batch_for(decoder, &indices).upper.into_iter().enumerate() {
                for square in floats(upper.powi_scalar(2).sum_dim(1)) {
                    energy[layer] += f64::from(square) / features.len() as f64;
                    norm[layer] += f64::from(square).sqrt() / features.len() as f64;
                }
            }
        }
        let weights = match config.weights.reconstruction {
            ReconstructionWeight::Relative => energy.iter().map(|energy| 1.0 / energy).collect(),
            ReconstructionWeight::InverseNorm { factor } => norm.iter().map(|norm| factor / norm).collect(),
        };
        Self { weights, energy }
    }
}

/// Consecutive batches of the indices below `len`.
pub(crate) fn batches(len: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..len).step_by(size).map(move |start| (start..len.min(start + size)).collect())
}

/// The terms of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) reconstruction: Vec<f64>,
    pub(crate) classification: Option<f64>,
    pub(crate) share_loss: f64,
    pub(crate) filter_loss: Vec<f64>,
    pub(crate) push: Vec<f64>,
}

/// Everything of a step that does not change with it.
pub(crate) struct Stepper<'a> {
    pub(crate) config: &'a FitConfig,
    pub(crate) loss: &'a mut dyn InterpretabilityLoss,
    pub(crate) lambdas: &'a Lambdas,
    /// The performer's scores of what is reconstructed.
    pub(crate) head: &'a dyn Fn(Tensor<2>) -> Tensor<2>,
}

/// What a step hands to the optimiser and to the records.
pub(crate) struct Outcome {
    pub(crate) gradients: GradientsParams,
    pub(crate) terms: Terms,
    /// The pooled tracks, if norms are running: interpretable, ordinary.
    pub(crate) pooled: Option<[Tensor<4>; 2]>,
}

/// The filter loss of one layer in one step.
struct FilterTerm {
    /// The gradient that arrives at the layer and λ_f ∂Loss_f/∂x, without autodiff.
    gradient: Tensor<4>,
    /// Mean −MI over filters, and λ_f, `[2]`.
    figures: Tensor<1>,
}

impl Stepper<'_> {
    /// Losses and gradients of `batch`, whose upper features are what the decoder is to reconstruct. `explainer` is on
    /// an autodiff device.
    pub(crate) fn step(
        &mut self,
        explainer: &Explainer,
        batch: FeatureBatch,
        categories: &mut [FilterCategories],
        epoch: usize,
    ) -> Outcome {
        let plain = explainer.valid();
        let target = Input::new(batch.target);
        let [stages, ordinary] = plain.stages(target);
        // What the encoder's graph starts from.
        let [parts, rest] = [&stages, &ordinary].map(|stages| {
            let last = stages.last().expect("every track has a conv-layer");
            Tensor::from_inner(last.maps.clone()).require_grad()
        });
        let masked = explainer.interpretable.layers.last().expect("as above").masked(parts.clone());
        let pooled = explainer.pools(masked, rest.clone());
        let [own, left] = explainer.terms(pooled.clone());
        let encoded = own + left;
        let reconstructed = plain.decoder.forward(encoded.clone().inner());
        let upper: Vec<Tensor<2>> =
            reconstructed.iter().map(|upper| Tensor::from_inner(upper.clone()).require_grad()).collect();
        let classification = match &self.config.task {
            Task::Reconstruction => None,
            Task::Classification(labels) => {
                let last = upper.last().expect("there is a decoder layer").clone();
                Some(labels.loss((self.head)(last), &batch.categories))
            }
        };
        let reconstruction: Vec<Tensor<1>> = upper
            .iter()
            .cloned()
            .zip(batch.upper)
            .zip(&self.lambdas.weights)
            .map(|((own, theirs), &weight)| {
                let rows = own.dims()[0] as f64;
                (own - theirs.autodiff()).powi_scalar(2).sum().mul_scalar(weight / rows)
            })
            .collect();
        let LossWeights { eta, share, .. } = self.config.weights;
        let share_loss = explainer.log_share().clamp_max(share.ln()).mul_scalar(-eta);
        let task = match &classification {
            Some(term) => std::slice::from_ref(term),
            None => &reconstruction[..],
        };
        let loss = task.iter().cloned().reduce(|sum, term| sum + term).expect("there is a decoder layer");
        let mut grads = loss.backward();
        let arriving = upper.iter().map(|upper| upper.grad_remove(&mut grads)).collect();
        let read = encoded.clone().inner().flatten::<2>(1, 3);
        let (deltas, arriving) = plain.decoder.backward(&read, &reconstructed, arriving);
        // A sum whose gradient with respect to the encoder's output is the one that arrives there.
        let arriving = Tensor::from_inner(arriving.reshape(encoded.dims()));
        let mut grads = ((encoded.clone() * arriving).sum() + share_loss.clone()).backward();

        let mut gradients = GradientsParams::from_module(&mut grads, explainer);
        plain.decoder.register(&mut gradients, read, &reconstructed, deltas);
        let pooled =
            matches!(self.config.norm, NormUpdate::Running { .. }).then(|| pooled.map(Tensor::inner));
        let mut arriving = rest.grad_remove(&mut grads).expect("the encoder reads the ordinary track");
        for (index, (conv, stage)) in plain.ordinary.convs.iter().zip(ordinary).enumerate().rev() {
            let gradient = Gradient::new(stage.through_windows(arriving.clone()), stage.whole);
            let input = stage.input;
            if index > 0 {
                arriving = gradient.input_gradient(conv.weight.val());
            }
            conv::register(&mut gradients, conv, &input, &gradient);
        }

        let mut figures = vec![share_loss.inner()];
        let classifies = classification.is_some();
        figures.extend(reconstruction.into_iter().chain(classification).map(Tensor::inner));
        let mut joined = match self.config.loss_maps {
            LossMaps::Own => None,
            LossMaps::Joined => Some(self.joined(&plain, parts.clone().inner(), rest.clone().inner())),
        };
        let mut arriving = parts.grad_remove(&mut grads);
        let mut stages = stages.into_iter().enumerate().rev().peekable();
        while let Some((index, stage)) = stages.next() {
            let ratio = self.config.push_ratio(index, categories.len(), epoch);
            let read = stage.read();
            categories[index].update(read.clone(), &batch.categories);
            let seen = joined.take().unwrap_or(Seen { maps: read, slope: None });
            let members = categories[index].membership(&batch.categories, &stage.maps.device());
            let rest = arriving.take().expect("every layer is read by what is above it");
            let rest = stage.through_windows(rest);
            let alone = (!self.config.push_reaches_below).then(|| rest.clone());
            let term = self.filter_term(index, &stage, seen, members, rest, ratio);
            figures.push(term.figures);
            let gradient = Gradient::new(term.gradient, stage.whole.clone());
            let conv = &plain.interpretable.layers[index].conv;
            if let Some((below, read)) = stages.peek() {
                let weight = conv.weight.val();
                let through_conv = match alone {
                    Some(rest) => Gradient::new(rest, stage.whole).input_gradient(weight),
                    None => gradient.input_gradient(weight),
                };
                let below = &plain.interpretable.layers[*below];
                arriving = Some(below.through_mask(&mut gradients, read.maps.clone(), through_conv));
            }
            conv::register(&mut gradients, conv, &stage.input, &gradient);
        }
        let terms = read_terms(figures, self.lambdas.weights.len(), classifies);
        Outcome { gradients, terms, pooled }
    }
}

/// The maps on which a layer's filter loss acts, and how they depend on the layer's own.
struct Seen {
    /// What parts are read off; or x' = p · x_f / α + (1 − p) · x_ordin / α, of what is carried.
    maps: Tensor<4>,
    /// ∂x'/∂x_f = p / α, `[1, D, 1, 1]`.
    slope: Option<Tensor<4>>,
}

impl Stepper<'_> {
    /// x' of the last interpretable conv-layer; nothing of it flows to the ordinary track.
    ///
    /// Source: arXiv:1805.07468, filter loss of conv-interp-2.
    fn joined(&self, explainer: &Explainer, maps: Tensor<4>, ordinary: Tensor<4>) -> Seen {
        let share = explainer.share_tensor().reshape([1, 1, 1, 1]);
        let channels = |alpha: Tensor<1>| alpha.unsqueeze_dims::<4>(&[0, 2, 3]);
        let slope = share.clone() / channels(explainer.interpretable_norm.alpha());
        let rest = (1.0 - share) / channels(explainer.ordinary_norm.alpha());
        Seen { maps: maps * slope.clone() + ordinary * rest, slope: Some(slope) }
    }

    /// The filter loss on the maps of one layer, its gradient in front of the windows scaled to `ratio` times the norm
    /// of `rest`, the gradient that arrives there, and added to it.
    fn filter_term(
        &mut self,
        layer: usize,
        stage: &Stage,
        seen: Seen,
        members: Tensor<2, Bool>,
        rest: Tensor<4>,
        ratio: f64,
    ) -> FilterTerm {
        let (value, gradient) = self.loss.value_and_gradient(layer, seen.maps, members);
        let gradient = match seen.slope {
            Some(slope) => stage.through_windows(gradient * slope),
            None => stage.through_reading(gradient),
        };
        let (gradient, lambda) = pushed(gradient, stage.whole.clone(), rest, ratio);
        FilterTerm { gradient, figures: Tensor::cat(vec![value.mean(), lambda], 0) }
    }
}

/// Reads all figures of a step in one go: the share loss, the reconstruction terms, the classification loss if
/// there is one, and from the last interpretable conv-layer to the first −MI and λ_f.
fn read_terms(figures: Vec<Tensor<1>>, reconstructed: usize, classifies: bool) -> Terms {
    let values: Vec<f64> = floats(Tensor::cat(figures, 0)).into_iter().map(f64::from).collect();
    let (losses, filters) = values.split_at(1 + reconstructed + usize::from(classifies));
    Terms {
        share_loss: losses[0],
        reconstruction: losses[1..=reconstructed].to_vec(),
        classification: classifies.then(|| losses[1 + reconstructed]),
        filter_loss: filters.chunks_exact(2).rev().map(|pair| pair[0]).collect(),
        push: filters.chunks_exact(2).rev().map(|pair| pair[1]).collect(),
    }
}

impl Terms {
    /// Stops a fit whose losses are not finite or whose reconstruction has left the target behind.
    pub(crate) fn check(&self, lambdas: &Lambdas, epoch: usize, step: usize) -> Result<(), CoreError> {
        let diverged =
            |what: String, value: f64| CoreError::Diverged { what, epoch, step, value: value as f32 };
        if let Some(loss) = self.classification.filter(|loss| !loss.is_finite()) {
            return Err(diverged("the classification loss".to_string(), loss));
        }
        // What is only measured may go where it will.
        let reconstructed = if self.classification.is_some() { &[] } else { &self.reconstruction[..] };
        for (layer, &value) in reconstructed.iter().enumerate() {
            let relative = value / (lambdas.weights[layer] * lambdas.energy[layer]);
            if !relative.is_finite() || relative > f64::from(DIVERGED) {
                let what = format!("the relative squared error of fc-dec-{}", layer + 1);
                return Err(diverged(what, relative));
            }
        }
        for (layer, (&loss, &push)) in self.filter_loss.iter().zip(&self.push).enumerate() {
            let layer = layer + 1;
            if !loss.is_finite() {
                return Err(diverged(format!("the filter loss of conv-interp-{layer}"), loss));
            }
            if !push.is_finite() {
                return Err(diverged(format!("the weight of the filter loss of conv-interp-{layer}"), push));
            }
        }
        if !self.share_loss.is_finite() {
            return Err(diverged("the loss of the share p".to_string(), self.share_loss));
        }
        Ok(())
    }

    /// Adds another step's terms.
    pub(crate) fn add(&mut self, other: &Terms) {
        let add = |sum: &mut Vec<f64>, terms: &[f64]| {
            sum.resize(terms.len(), 0.0);
            sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        };
        add(&mut self.reconstruction, &other.reconstruction);
        add(&mut self.filter_loss, &other.filter_loss);
        add(&mut self.push, &other.push);
        self.classification = match (self.classification, other.classification) {
            (Some(sum), Some(term)) => Some(sum + term),
            (one, other) => one.or(other),
        };
        self.share_loss += other.share_loss;
    }

    /// What is fitted: the classification loss, or the sum of the reconstruction terms.
    pub(crate) fn task(&self) -> f64 {
        self.classification.unwrap_or_else(|| self.reconstruction.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::config::{Push, PushSchedule};
    use crate::fit::loss::LayeredFilterLoss;
    use crate::fit::task::Labels;
    use crate::testing::{TinyPerformer, features};
    use crate::{
        ExplainerConfig, FeatureConfig, MaskLayer, Masking, Performer, PoolPosition, Start, Windowing,
    };
    use burn::tensor::Device;
    use burn::tensor::activation::relu;
    use explainer_filter_loss::{FilterLoss, MaskCenter, Shape};

    struct Setting {
        performer: TinyPerformer,
        train: Features,
        explainer: Explainer,
        config: FitConfig,
    }

    fn setting(ratio: f64, masks: Vec<Masking>) -> Setting {
        setting_of(ratio, |config| config.with_masks(masks))
    }

    fn setting_of(ratio: f64, explainer: impl FnOnce(ExplainerConfig) -> ExplainerConfig) -> Setting {
        let performer = TinyPerformer::new(2);
        let train = features(&performer, 6, &FeatureConfig::plain().with_mirror(true));
        // Far from the performer, for gradients that are not differences of what is nearly the same.
        let config = ExplainerConfig::for_performer(&performer).with_second_start(Start::Random);
        let config = explainer(config);
        let explainer = config.init_from(&performer, &Device::flex());
        let push = vec![Push { ratio, schedule: PushSchedule::Constant }];
        let explainer = explainer.anchored(&train).calibrated(&train).train();
        Setting { performer, train, explainer, config: FitConfig::new().with_push(push) }
    }

    fn step(setting: &Setting) -> (Outcome, Lambdas, FilterLoss) {
        let Setting { performer, train, explainer, config } = setting;
        let filter_loss = config.filter_loss(train.shape().target[1]).init(train.device());
        let lambdas = Lambdas::measure(train, &explainer.decoder, config);
        let layers = explainer.interpretable.layers.len();
        let mut loss = LayeredFilterLoss::new(filter_loss.clone(), layers, explainer.filters(), None);
        let head = |upper| performer.head(upper);
        let mut stepper = Stepper { config, loss: &mut loss, lambdas: &lambdas, head: &head };
        let mut categories = vec![FilterCategories::new(explainer.filters(), 2); layers];
        let outcome = stepper.step(explainer, train.batch(&[0, 3, 4, 7]), &mut categories, 1);
        (outcome, lambdas, filter_loss)
    }

    fn close(a: Tensor<4>, b: Tensor<4>) {
        let scale = b.clone().abs().max().into_scalar::<f32>();
        let difference = (a - b).abs().max().into_scalar::<f32>();
        assert!(scale > 0.0 && difference <= 1e-5 * scale, "{difference} of {scale}");
    }

    /// The same loss as one graph, without stages.
    fn whole_loss(setting: &Setting, lambdas: &Lambdas) -> Tensor<1> {
        let batch = setting.train.batch(&[0, 3, 4, 7]);
        let encoding = setting.explainer.forward(batch.target.autodiff());
        let eta = setting.config.weights.eta;
        let start = setting.explainer.share_tensor().log() * -eta;
        if let Task::Classification(labels) = &setting.config.task {
            // By its definition, as a mean over the four images.
            let scores = setting.performer.head(encoding.upper[1].clone());
            let rows = labels.of(&batch.categories).into_iter().enumerate();
            return rows.fold(start, |sum, (row, class)| {
                let scores: Tensor<1> = scores.clone().narrow(0, row, 1).reshape([3]);
                sum + (scores.clone().exp().sum().log() - scores.narrow(0, class, 1)) / 4.0
            });
        }
        let terms = encoding.upper.into_iter().zip(batch.upper).zip(&lambdas.weights);
        terms.fold(start, |sum, ((own, theirs), weight)| {
            sum + (own - theirs.autodiff()).powi_scalar(2).sum() * *weight / 4.0
        })
    }

    #[test]
    fn staged_gradients_are_those_of_one_graph() {
        let [peak, mass] = [MaskCenter::Peak, MaskCenter::CenterOfMass];
        let template = |shape, floor, center| Masking::Template { shape, floor, center };
        for masks in [
            vec![Masking::PUBLISHED],
            vec![Masking::None],
            vec![template(Shape::Cone { beta: 2.5 }, 0.2, mass)],
            vec![template(Shape::Gaussian { width: 0.2 }, 0.0, peak), Masking::None],
            vec![Masking::Learned { center: peak }],
            vec![Masking::Learned { center: mass }],
            vec![Masking::None, Masking::Learned { center: peak }],
            vec![Masking::Learned { center: mass }, Masking::PUBLISHED],
        ] {
            staged_gradients_are_right(&setting(0.0, masks));
        }
    }

    #[test]
    fn so_they_are_with_windows_anywhere() {
        let cone = Shape::Cone { beta: 1.2 };
        let cone = Windowing::Star { window: cone, reading: cone };
        for windows in [
            vec![Windowing::None],
            vec![Windowing::STAR],
            vec![Windowing::STAR, Windowing::None],
            vec![cone, Windowing::STAR],
        ] {
            let setting = setting_of(0.0, |config| {
                config.with_windows(windows).with_masks(vec![Masking::PUBLISHED]).with_interpretable_layers(3)
            });
            let anchored = |layer: &crate::InterpretableLayer| {
                layer.windows().map_or(0.0, |windows| windows.offsets().abs().max().into_scalar::<f32>())
            };
            let layers = setting.explainer.interpretable.layers.iter();
            assert_eq!(
                layers.clone().any(|layer| layer.windows().is_some()),
                layers.clone().any(|layer| anchored(layer) > 0.0),
                "anchors away from the root are what is to be tested"
            );
            staged_gradients_are_right(&setting);
        }
    }

    #[test]
    fn so_they_are_in_explainers_of_other_forms() {
        fn of(form: impl FnOnce(ExplainerConfig) -> ExplainerConfig) -> Setting {
            setting_of(0.0, |config| form(config.published()))
        }
        let before = |config: ExplainerConfig| config.with_pool_position(PoolPosition::BeforeMask);
        let wide = vec![Masking::Template {
            shape: Shape::Cone { beta: 2.5 },
            floor: 0.2,
            center: MaskCenter::Peak,
        }];
        staged_gradients_are_right(&of(|config| before(config).with_masks(wide)));
        staged_gradients_are_right(&of(before));
        staged_gradients_are_right(&of(|config| config.with_interpretable_layers(1)));
        staged_gradients_are_right(&of(|config| {
            config
                .with_first_start(Start::Random)
                .with_decoder_start(Start::Random)
                .with_interpretable_layers(3)
        }));
    }

    #[test]
    fn the_classification_losses_gradients_are_those_of_one_graph() {
        let mut setting = setting(0.0, vec![Masking::PUBLISHED]);
        let labels = Labels { categories: vec![2, 0], negative: Some(1) };
        setting.config = setting.config.with_task(Task::Classification(labels));
        staged_gradients_are_right(&setting);
        let (outcome, ..) = step(&setting);
        // What it does not ask for is measured all the same.
        setting.config = setting.config.with_task(Task::Reconstruction);
        assert_eq!(outcome.terms.reconstruction, step(&setting).0.terms.reconstruction);
    }

    fn staged_gradients_are_right(setting: &Setting) {
        let (mut outcome, lambdas, _) = step(setting);
        let explainer = &setting.explainer;
        let loss = whole_loss(setting, &lambdas);
        let terms = &outcome.terms;
        let sum = terms.share_loss + terms.task();
        let whole = f64::from(loss.clone().into_scalar::<f32>());
        assert!((sum / whole - 1.0).abs() < 1e-5, "{sum} {whole}");
        let grads = loss.backward();
        for layer in &explainer.interpretable.layers {
            let own = outcome.gradients.remove::<4>(layer.conv.weight.id).unwrap();
            close(own, layer.conv.weight.val().grad(&grads).unwrap());
            if let Some(MaskLayer::Learned(mask)) = &layer.mask {
                let beta = mask.beta_logit();
                let own = outcome.gradients.remove::<1>(beta.id).unwrap();
                close(own.unsqueeze(), beta.val().grad(&grads).unwrap().unsqueeze());
            }
        }
        let ordinary = &explainer.ordinary.convs[0].weight;
        close(outcome.gradients.remove::<4>(ordinary.id).unwrap(), ordinary.val().grad(&grads).unwrap());
        let share = &explainer.share_logit;
        let own = outcome.gradients.remove::<1>(share.id).unwrap();
        close(own.reshape([1, 1, 1, 1]), share.val().grad(&grads).unwrap().reshape([1, 1, 1, 1]));
        for layer in &explainer.decoder.layers {
            let [inputs, _] = layer.weight.dims();
            let own =
                crate::fit::adam::product(outcome.gradients.remove::<2>(layer.weight.id).unwrap(), inputs);
            let whole = layer.weight.val().grad(&grads).unwrap();
            let bias = layer.bias.as_ref().unwrap();
            let own_bias = outcome.gradients.remove::<1>(bias.id).unwrap();
            close(own_bias.unsqueeze(), bias.val().grad(&grads).unwrap().unsqueeze());
            close(own.unsqueeze(), whole.unsqueeze());
        }
    }

    #[test]
    fn eta_asks_for_no_more_than_its_share() {
        let mut setting = setting(0.0, vec![Masking::PUBLISHED]);
        let p = f64::from(setting.explainer.share());
        let id = setting.explainer.share_logit.id;
        let mut at = |eta: f64, share: f64| {
            setting.config.weights = LossWeights { eta, share, ..LossWeights::RELATIVE };
            let (mut outcome, ..) = step(&setting);
            let pull = outcome.gradients.remove::<1>(id).unwrap().into_scalar::<f32>();
            (pull, outcome.terms.share_loss)
        };
        let (rest, _) = at(0.0, 1.0);
        let (below, loss) = at(0.5, p + 0.1);
        // ∂(−η log p)/∂w_p = −η (1 − p).
        assert!((f64::from(below - rest) + 0.5 * (1.0 - p)).abs() < 1e-5, "{below} {rest}");
        assert!((loss + 0.5 * p.ln()).abs() < 1e-6);
        let (above, loss) = at(0.5, p - 0.1);
        assert_eq!(above, rest);
        assert!((loss + 0.5 * (p - 0.1).ln()).abs() < 1e-6);
    }

    /// Without its reach, conv-interp-1 gets what it gets from a loss that pushes on nothing.
    #[test]
    fn a_push_that_does_not_reach_below_leaves_the_layer_below_alone() {
        let gradient = |ratios: [f64; 2], reaches: bool| {
            let mut setting = setting(0.0, vec![Masking::PUBLISHED]);
            let push = ratios.map(|ratio| Push { ratio, schedule: PushSchedule::Constant });
            setting.config = setting.config.with_push(push.to_vec()).with_push_reaches_below(reaches);
            let (mut outcome, ..) = step(&setting);
            let mut of = |layer: usize| {
                let id = setting.explainer.interpretable.layers[layer].conv.weight.id;
                floats(outcome.gradients.remove::<4>(id).unwrap())
            };
            [of(0), of(1)]
        };
        let [first, second] = gradient([0.0, 5.0], false);
        assert_eq!(first, gradient([0.0, 0.0], true)[0]);
        assert_ne!(first, gradient([0.0, 5.0], true)[0]);
        assert_eq!(second, gradient([0.0, 5.0], true)[1]);
    }

    /// With the push measured as in one graph, where the filter loss enters as an injected gradient.
    #[test]
    fn the_push_has_its_ratio_to_the_rest_and_the_slope_of_its_maps() {
        for loss_maps in [LossMaps::Joined, LossMaps::Own] {
            the_push_is_right_on(loss_maps);
        }
    }

    fn the_push_is_right_on(loss_maps: LossMaps) {
        let mut setting = setting(0.4, vec![Masking::PUBLISHED]);
        setting.config = setting.config.with_loss_maps(loss_maps);
        let (mut outcome, lambdas, filter_loss) = step(&setting);
        let explainer = &setting.explainer;
        let batch = setting.train.batch(&[0, 3, 4, 7]);
        let encoding = explainer.forward(batch.target.clone().autodiff());
        let layer = &explainer.interpretable.layers[1];
        let maps = explainer.interpretable.unwindowed(batch.target.clone().autodiff(), 1);
        let maps = maps.inner().autodiff().require_grad();
        let windows = layer.windows().expect("the default has them");
        let (carried, read) = (|| windows.forward(maps.clone()), || windows.read(maps.clone()));
        // ∂L/∂x of the last layer, from the part of the network above it.
        let upper = explainer.encode(layer.masked(carried()), encoding.ordinary.clone());
        let terms = explainer.decoder.forward(upper).into_iter().zip(batch.upper).zip(&lambdas.weights);
        let rest = terms
            .fold(Tensor::zeros([1], &explainer.share_tensor().device()), |sum, ((own, theirs), weight)| {
                sum + (own - theirs.autodiff()).powi_scalar(2).sum() * *weight / 4.0
            })
            .backward();
        let rest = maps.grad(&rest).unwrap();
        // x' by its definition, its gradient to x_f by autodiff.
        let share = explainer.share_tensor().inner().reshape([1, 1, 1, 1]).autodiff();
        let ordinary = encoding.ordinary.inner().autodiff();
        let seen: Tensor<4> = match loss_maps {
            LossMaps::Own => read(),
            LossMaps::Joined => {
                explainer.interpretable_norm.forward(carried()) * share.clone()
                    + explainer.ordinary_norm.forward(ordinary) * (1.0 - share)
            }
        };
        let mut categories = FilterCategories::new(explainer.filters(), 2);
        categories.update(read().inner(), &batch.categories);
        let members = categories.membership(&batch.categories, setting.train.device());
        let gradient = filter_loss.gradient(seen.clone().inner(), members);
        let pushed = (seen * gradient.autodiff()).sum().backward();
        let active = maps.clone().inner().greater_scalar(0.0).float();
        let pushed = maps.grad(&pushed).unwrap() * active.clone();
        let norm = |x: Tensor<4>| x.powi_scalar(2).sum().sqrt().into_scalar::<f32>();
        let lambda = 0.4 * norm(rest.clone() * active) / norm(pushed.clone());
        assert!((outcome.terms.push[1] as f32 / lambda - 1.0).abs() < 1e-4, "{:?} {lambda}", outcome.terms);
        // The whole gradient of conv-interp-2 then is that of its maps through the conv-layer.
        let conv = &layer.conv;
        let input =
            explainer.interpretable.layers[0].masked(encoding.interpretable[0].clone().inner().autodiff());
        let output = relu(conv.forward(input));
        let grads = (output * (rest + pushed * lambda).autodiff()).sum().backward();
        let own = outcome.gradients.remove::<4>(conv.weight.id).unwrap();
        close(own, conv.weight.val().grad(&grads).unwrap());
    }
}
