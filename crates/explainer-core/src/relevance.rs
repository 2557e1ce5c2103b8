//! What each channel of the performer's top conv-layer gives to its decisions.

use std::collections::BTreeMap;
use std::iter::repeat;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::calibrate::{BATCH, objects};
use crate::features::floats;
use crate::grad_cam::scores_of_top_conv;
use crate::init::plain;
use crate::performer::largest_difference;
use crate::start::identity_kernel;
use crate::{Activation, Explainer, Features, Performer, TopLayer};

/// What filter k's weight on channel k at its own unit is multiplied by, at least.
const LEAST_OWN: f32 = 0.4;

impl Explainer {
    /// The explainer with its interpretable track turned to what counts for the performer's decisions, twice over.
    ///
    /// conv-interp-2's weights on channel k of conv-interp-1, which at this point is the performer's top conv-layer, are
    /// multiplied by r_k,
    ///
    /// ```text
    /// r_k ∝ max(E_images mean_u ∂s/∂x_k(u), 0)      mean square of r: 1
    /// ```
    ///
    /// and the weight with which filter k reads its own channel at its own unit by at least 0.4, so that a filter whose
    /// channel counts for nothing still has it.
    ///
    /// And filters vote for the root of their windows by what they give at each unit u
    /// ([`StarWindow::with_relevance`](explainer_filter_loss::StarWindow::with_relevance)): filter k of conv-interp-1,
    /// and filter f of a layer above by what it reads, W being its weights,
    ///
    /// ```text
    /// r_k(u) = E_images max(∂s/∂x_k(u), 0)          r_f(u) = Σ_k ‖W_fk‖² r_k(u) / Σ_k ‖W_fk‖²
    /// ```
    ///
    /// x_k are the maps of channel k. The mean is over the rows that have a category, or over all if none has; and s is
    /// what the performer says of a category and not of images without any, z being its scores,
    ///
    /// ```text
    /// s = Σ_j (p̄_cj − p̄_∅j) z_j                     p̄ = E softmax z
    /// ```
    ///
    /// over the rows of the image's category c and over those that have none (0 if all have one; where there is a
    /// single score, s is the score). For one image the mean of ∂s/∂x_k over units is Grad-CAM's weight
    /// (arXiv:1610.02391). To start from it is ours, and so are the votes.
    ///
    /// Nothing is changed where r is not known: where conv-interp-1 or the layers above the top conv are not the
    /// performer's, as far as the blueprint shows them, or where its scores do not depend on them or are the same with
    /// an object and without. [`Fit::notes`](crate::Fit) say which.
    ///
    /// Call it before fitting only; [`FitConfig::fit`](crate::FitConfig::fit) does, unless told otherwise.
    pub fn attuned<P: Performer>(self, performer: &P, features: &Features) -> Self {
        self.attuned_or_why_not(performer, features).0
    }

    /// [`attuned`](Self::attuned), and why it has changed nothing, if it has not.
    pub(crate) fn attuned_or_why_not<P: Performer>(
        self,
        performer: &P,
        features: &Features,
    ) -> (Self, Option<String>) {
        match self.valid().relevance(performer, features) {
            Ok(relevance) => (self.turned_to(relevance), None),
            Err(why) => (self, Some(why)),
        }
    }

    fn turned_to(self, relevance: Relevance) -> Self {
        let mut attuned = self;
        let Relevance { channels, mut units } = relevance;
        if let Some(second) = attuned.interpretable.layers.get_mut(1) {
            let lifted = channels.clone().neg().add_scalar(LEAST_OWN).clamp_min(0.0);
            let [channels, lifted] = [channels, lifted].map(|r| r.unsqueeze_dims::<4>(&[0, 2, 3]));
            let weight = &mut second.conv.weight;
            let own = identity_kernel(weight.dims()[1], &lifted.device());
            let factor = channels + own * lifted;
            *weight = weight.clone().map(|weight| weight * factor);
        }
        for (index, layer) in attuned.interpretable.layers.iter_mut().enumerate() {
            if index > 0 {
                units = read_by(plain(&layer.conv.weight), units);
            }
            layer.windows = layer.windows.take().map(|windows| windows.with_relevance(units.clone()));
        }
        attuned
    }

    fn relevance<P: Performer>(&self, performer: &P, features: &Features) -> Result<Relevance, String> {
        let blueprint = performer.blueprint();
        if !matches!(blueprint.top, TopLayer::Conv(_)) || self.decoder.maps.is_some() {
            return Err("no single conv-layer stands between the target layer and the upper ones".to_string());
        }
        let top = blueprint.activations.top;
        if !matches!(top, Activation::Relu | Activation::Relu6) {
            return Err(format!("conv-interp-1 has a ReLU, and the performer's top conv-layer {top:?}"));
        }
        let (rows, contrasts) = (objects(features), contrasts(features));
        let mut sum = Tensor::<1>::zeros([self.filters()], features.device());
        let mut units: Option<Tensor<3>> = None;
        for (pass, rows) in rows.chunks(BATCH).enumerate() {
            let batch = features.batch(rows);
            // Of a layer with a ReLU, a ReLU6 makes what the performer's makes.
            let maps = top.forward(self.interpretable.unwindowed(batch.target, 0));
            let leaf = Tensor::from_inner(maps).require_grad();
            let scores = scores_of_top_conv(performer, leaf.clone());
            if pass == 0 {
                let what = "the scores and those of conv-interp-1";
                largest_difference(what, batch.scores.clone(), scores.clone().inner())
                    .map_err(|error| error.to_string())?;
            }
            let weights: Vec<f32> =
                rows.iter().flat_map(|&row| contrasts[&features.categories()[row]].clone()).collect();
            let weights = TensorData::new(weights, scores.dims());
            let weights = Tensor::<2>::from_data(weights, &scores.device()).cast(scores.dtype());
            let gradient = leaf.grad(&(scores * weights).sum().backward());
            let gradient = gradient.ok_or("the performer's scores do not depend on its top conv-layer")?;
            sum = sum + gradient.clone().mean_dim(3).mean_dim(2).sum_dim(0).reshape([self.filters()]);
            let positive = gradient.clamp_min(0.0).sum_dim(0).squeeze_dim(0);
            units = Some(units.map_or(positive.clone(), |before| before + positive));
        }
        let positive = sum.clamp_min(0.0);
        let largest = positive.clone().max();
        if floats(largest.clone())[0] == 0.0 {
            return Err("no channel of the top conv-layer counts for the performer's decisions".to_string());
        }
        // Divided by the largest first, so that squares stay within `f32`.
        let relative = positive / largest;
        let scale = relative.clone().powi_scalar(2).mean().sqrt();
        let units = units.ok_or("there is no image to find out by")?;
        Ok(Relevance { channels: relative / scale, units })
    }
}

/// What channels of the top conv give to the performer's decisions.
struct Relevance {
    /// r_k: `[D]`.
    channels: Tensor<1>,
    /// r_k(u) of any magnitude: `[D, L, L]`.
    units: Tensor<3>,
}

/// r_f(u) of the filters of a conv-layer with these weights, from r_k(u) of the channels it reads.
fn read_by(weight: Tensor<4>, units: Tensor<3>) -> Tensor<3> {
    let [channels, rows, columns] = units.dims();
    let filters = weight.dims()[0];
    let squares: Tensor<2> = weight.powi_scalar(2).sum_dim(3).sum_dim(2).reshape([filters, channels]);
    let total = squares.clone().sum_dim(1);
    // A filter that reads nothing stays silent: its votes are 0 whatever they count.
    let total = total.clone() + total.equal_elem(0.0).float();
    (squares / total).matmul(units.reshape([channels, rows * columns])).reshape([filters, rows, columns])
}

/// What each score counts, p̄_c − p̄_∅, for the rows of each category c.
fn contrasts(features: &Features) -> BTreeMap<Option<usize>, Vec<f32>> {
    let mut means: BTreeMap<Option<usize>, (Vec<f64>, usize)> = BTreeMap::new();
    for (row, &category) in features.categories().iter().enumerate() {
        let scores = features.scores(row);
        let (sums, rows) = means.entry(category).or_insert((vec![0.0; scores.len()], 0));
        sums.iter_mut().zip(softmax(scores)).for_each(|(sum, p)| *sum += p);
        *rows += 1;
    }
    let mut means: BTreeMap<_, Vec<f64>> = means
        .into_iter()
        .map(|(category, (sums, rows))| (category, sums.into_iter().map(|sum| sum / rows as f64).collect()))
        .collect();
    let without = if means.len() > 1 { means.remove(&None) } else { None };
    let contrast = |mean: Vec<f64>| {
        let single = mean.len() == 1;
        let without = without.iter().flatten().copied().filter(|_| !single).chain(repeat(0.0));
        mean.into_iter().zip(without).map(|(mean, without)| (mean - without) as f32).collect()
    };
    means.into_iter().map(|(category, mean)| (category, contrast(mean))).collect()
}

fn softmax(scores: &[f32]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let odds: Vec<f64> = scores.iter().map(|&score| f64::from(score - largest).exp()).collect();
    let total: f64 = odds.iter().sum();
    odds.into_iter().map(|odds| odds / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Oracle, close};
    use crate::testing::{ResidualPerformer, TinyPerformer, features, images};
    use crate::{ExplainerConfig, FeatureConfig, LabelledImage, Start, Windowing};
    use burn::tensor::Device;

    fn weights(explainer: &Explainer, layer: usize) -> Vec<f64> {
        let weights = explainer.interpretable.layers[layer].conv.weight.val();
        floats(weights.flatten::<1>(0, 3)).into_iter().map(f64::from).collect()
    }

    #[test]
    fn weights_and_votes_are_by_what_a_slow_oracle_finds_relevant() {
        let performer = TinyPerformer::new(3);
        let features = features(&performer, 9, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer)
            .with_interpretable_layers(3)
            .with_windows(vec![Windowing::STAR]);
        let explainer = config.init_from(&performer, &Device::flex());
        let rows = objects(&features);
        assert!(rows.len() < features.len(), "some images have no object");
        let batch = features.batch(&rows);
        let channels = explainer.filters();
        let mut relevance = vec![0.0; channels];
        let mut units = vec![0.0; channels * 64];
        for (image, &row) in rows.iter().enumerate() {
            let target = batch.target.clone().narrow(0, image, 1);
            let top_conv = explainer.interpretable.unwindowed(target, 0);
            let oracle = Oracle::of_top_conv(&performer, top_conv);
            let mut gradient = vec![0.0; channels * 64];
            for (class, weight) in
                contrast_by_hand(&features, features.categories()[row]).into_iter().enumerate()
            {
                let own = oracle.backward(class).gradient;
                gradient.iter_mut().zip(own).for_each(|(sum, own)| *sum += weight * own);
            }
            for (sum, map) in relevance.iter_mut().zip(gradient.chunks_exact(64)) {
                *sum += map.iter().sum::<f64>();
            }
            units.iter_mut().zip(&gradient).for_each(|(sum, gradient)| *sum += gradient.max(0.0));
        }
        relevance.iter_mut().for_each(|sum| *sum = sum.max(0.0));
        let scale = (relevance.iter().map(|r| r * r).sum::<f64>() / channels as f64).sqrt();
        assert!(relevance.contains(&0.0) && scale > 0.0, "{relevance:?}");
        let expected: Vec<f64> = weights(&explainer, 1)
            .into_iter()
            .enumerate()
            .map(|(at, weight)| {
                let (filter, channel) = (at / 9 / channels, at / 9 % channels);
                let relevant = relevance[channel] / scale;
                weight * if filter == channel && at % 9 == 4 { relevant.max(0.4) } else { relevant }
            })
            .collect();

        let attuned = explainer.clone().attuned(&performer, &features);
        close(&weights(&attuned, 1), &expected, 1e-4);
        for layer in [0, 2] {
            assert_eq!(weights(&attuned, layer), weights(&explainer, layer), "layer {layer}");
        }
        for (layer, after) in attuned.interpretable.layers.iter().enumerate() {
            if layer > 0 {
                units = read(&weights(&attuned, layer), &units, channels);
            }
            let relevance: Vec<f32> = units.iter().map(|&r| r as f32).collect();
            let relevance = Tensor::from_data(TensorData::new(relevance, [channels, 8, 8]), &Device::flex());
            let windows = explainer.interpretable.layers[layer].windows().unwrap().clone();
            let [found, expected] = [after.windows().unwrap().clone(), windows.with_relevance(relevance)]
                .map(|windows| floats(windows.votes().flatten::<1>(0, 2)));
            assert!(expected.iter().any(|&vote| vote < 0.5), "they differ");
            close(
                &found.into_iter().map(f64::from).collect::<Vec<_>>(),
                &expected.into_iter().map(f64::from).collect::<Vec<_>>(),
                1e-4,
            );
        }
    }

    /// What the performer says of a category, less what it says of images without any.
    fn contrast_by_hand(features: &Features, category: Option<usize>) -> Vec<f64> {
        let mean = |category| {
            let rows: Vec<_> =
                (0..features.len()).filter(|&row| features.categories()[row] == category).collect();
            let mut mean = vec![0.0; 3];
            for &row in &rows {
                let odds: Vec<f64> = features.scores(row).iter().map(|&z| f64::from(z).exp()).collect();
                let total = odds.iter().sum::<f64>() * rows.len() as f64;
                mean.iter_mut().zip(odds).for_each(|(sum, odds)| *sum += odds / total);
            }
            mean
        };
        mean(category).into_iter().zip(mean(None)).map(|(own, without)| own - without).collect()
    }

    /// The relevance of filters from that of the channels they read, by its definition.
    fn read(weights: &[f64], units: &[f64], channels: usize) -> Vec<f64> {
        let of_filter = |weights: &[f64]| {
            let squares: Vec<f64> =
                weights.chunks_exact(9).map(|taps| taps.iter().map(|w| w * w).sum()).collect();
            let at = |unit: usize| {
                let sum: f64 = (0..channels).map(|k| squares[k] * units[k * 64 + unit]).sum();
                sum / squares.iter().sum::<f64>()
            };
            (0..64).map(at).collect::<Vec<_>>()
        };
        weights.chunks_exact(channels * 9).flat_map(of_filter).collect()
    }

    #[test]
    fn categories_are_held_against_images_without_any() {
        let performer = TinyPerformer::new(3);
        let all = features(&performer, 9, &FeatureConfig::plain());
        let found = contrasts(&all);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [Some(0), Some(1)]);
        for (category, found) in found {
            let said = contrast_by_hand(&all, category);
            assert!(said.iter().any(|&weight| weight.abs() > 1e-3), "{said:?}");
            close(&found.into_iter().map(f64::from).collect::<Vec<_>>(), &said, 1e-5);
        }
        // Every image has a category, or none has.
        for category in [Some(7), None] {
            let alike = images(6, 1)
                .into_iter()
                .map(|image| Ok::<_, std::io::Error>(LabelledImage { category, ..image }));
            let rows =
                Features::extract(&performer, alike, &FeatureConfig::plain(), &Device::flex()).unwrap();
            let found = contrasts(&rows);
            assert_eq!(found.keys().copied().collect::<Vec<_>>(), [category]);
            assert!((found[&category].iter().sum::<f32>() - 1.0).abs() < 1e-6, "{found:?}");
        }
        assert_eq!(softmax(&[-1e4, 1e4]), [0.0, 1.0]);
    }

    #[test]
    fn what_is_not_known_to_be_relevant_changes_nothing() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let rows = features(&performer, 6, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer);
        let random = config.clone().with_first_start(Start::Random).init_from(&performer, &device);
        let mut deaf = TinyPerformer::new(3);
        deaf.last.weight = deaf.last.weight.map(|weight| weight * 0.0);
        let unheard = features(&deaf, 6, &FeatureConfig::plain());
        let whole = config.init_from(&performer, &device);
        for (what, explainer, performer, rows) in [
            ("a random conv-interp-1", random, &performer, &rows),
            ("scores that depend on nothing", whole, &deaf, &unheard),
        ] {
            let attuned = explainer.clone().attuned(performer, rows);
            for layer in 0..explainer.interpretable.layers.len() {
                assert_eq!(weights(&attuned, layer), weights(&explainer, layer), "{what}");
            }
            let votes = attuned.interpretable.layers[1].windows().unwrap().votes();
            assert_eq!(votes.min().into_scalar::<f32>(), 1.0, "{what}");
        }
        let residual = ResidualPerformer::new(1);
        let images = images(3, 1).into_iter().map(Ok::<_, std::io::Error>);
        let rows = Features::extract(&residual, images, &FeatureConfig::plain(), &device).unwrap();
        let explainer = ExplainerConfig::for_performer(&residual).init_from(&residual, &device);
        let attuned = explainer.clone().attuned(&residual, &rows);
        assert_eq!(weights(&attuned, 1), weights(&explainer, 1), "a block");
    }
}
