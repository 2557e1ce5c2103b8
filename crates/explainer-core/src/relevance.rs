//! What each channel of the performer's top conv-layer gives to its decisions.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::calibrate::{BATCH, objects};
use crate::contributions::chosen;
use crate::features::floats;
use crate::grad_cam::scores_of_top_conv;
use crate::performer::largest_difference;
use crate::start::identity_kernel;
use crate::{Explainer, Features, Performer, TopLayer};

/// What filter k's weight on channel k at its own unit is multiplied by, at least.
const LEAST_OWN: f32 = 0.4;

impl Explainer {
    /// The explainer with its interpretable track turned to what counts for the performer's decisions: conv-interp-2's
    /// weights on channel k of conv-interp-1, which at this point is the performer's top conv-layer, are
    /// multiplied by r_k.
    ///
    /// ```text
    /// r_k ∝ max(E_images mean_ij ∂s/∂x_kij, 0)      mean square of r: 1
    /// ```
    ///
    /// and the weight with which filter k reads its own channel at its own unit by at least 0.4, so that a filter whose
    /// channel counts for nothing still has it.
    ///
    /// x_k are the maps of channel k, s is the score that the performer decides for; the mean is over the rows that
    /// have a category, or over all if none has. For one image the mean over units is Grad-CAM's weight
    /// (arXiv:1610.02391). The idea to start from it is ours.
    ///
    /// Nothing is changed where there is no conv-interp-2, and where r is not known: where conv-interp-1 or the layers
    /// above the top conv are not the performer's, as far as the blueprint shows them, or where its scores do not
    /// depend on them.
    ///
    /// Call it before fitting only; [`FitConfig::fit`](crate::FitConfig::fit) does, unless told otherwise.
    pub fn attuned<P: Performer>(self, performer: &P, features: &Features) -> Self {
        let mut attuned = self;
        if attuned.interpretable.layers.len() < 2 {
            return attuned;
        }
        let Some(relevance) = attuned.valid().relevance(performer, features) else { return attuned };
        let second = &mut attuned.interpretable.layers[1].conv;
        let lifted = relevance.clone().neg().add_scalar(LEAST_OWN).clamp_min(0.0);
        let [relevance, lifted] = [relevance, lifted].map(|r| r.unsqueeze_dims::<4>(&[0, 2, 3]));
        let own = identity_kernel(second.weight.dims()[1], &lifted.device());
        let factor = relevance + own * lifted;
        second.weight = second.weight.clone().map(|weight| weight * factor);
        attuned
    }

    /// r: `[D]`.
    fn relevance<P: Performer>(&self, performer: &P, features: &Features) -> Option<Tensor<1>> {
        if matches!(performer.blueprint().top, TopLayer::Block { .. }) {
            return None;
        }
        let rows = objects(features);
        let mut sum = Tensor::<1>::zeros([self.filters()], features.device());
        for (pass, rows) in rows.chunks(BATCH).enumerate() {
            let batch = features.batch(rows);
            let maps = self.interpretable.layers[0].maps(batch.target);
            let leaf = Tensor::from_inner(maps).require_grad();
            let scores = scores_of_top_conv(performer, leaf.clone());
            if pass == 0 {
                let what = "the scores and those of conv-interp-1";
                largest_difference(what, batch.scores.clone(), scores.clone().inner()).ok()?;
            }
            let decided = chosen(scores, &decisions(batch.scores));
            let gradient = leaf.grad(&decided.sum().backward())?;
            sum = sum + gradient.mean_dim(3).mean_dim(2).sum_dim(0).reshape([self.filters()]);
        }
        let positive = sum.clamp_min(0.0);
        let largest = positive.clone().max();
        if floats(largest.clone())[0] == 0.0 {
            return None;
        }
        // Divided by the largest first, so that squares stay within `f32`.
        let relative = positive / largest;
        let scale = relative.clone().powi_scalar(2).mean().sqrt();
        Some(relative / scale)
    }
}

/// The class of each row's highest score.
fn decisions(scores: Tensor<2>) -> Vec<usize> {
    scores.argmax(1).into_data().iter::<i64>().map(|class| class as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Oracle, close};
    use crate::testing::{ResidualPerformer, TinyPerformer, features, images};
    use crate::{ExplainerConfig, FeatureConfig, Start};
    use burn::tensor::Device;

    fn weights(explainer: &Explainer, layer: usize) -> Vec<f64> {
        let weights = explainer.interpretable.layers[layer].conv.weight.val();
        floats(weights.flatten::<1>(0, 3)).into_iter().map(f64::from).collect()
    }

    #[test]
    fn weights_are_scaled_by_what_a_slow_oracle_finds_relevant() {
        let performer = TinyPerformer::new(3);
        let features = features(&performer, 9, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer).with_interpretable_layers(3);
        let explainer = config.init_from(&performer, &Device::flex());

        let rows = objects(&features);
        assert!(rows.len() < features.len(), "some images have no object");
        let batch = features.batch(&rows);
        let (decided, channels) = (decisions(batch.scores), explainer.filters());
        let mut relevance = vec![0.0; channels];
        for (image, &class) in decided.iter().enumerate() {
            let target = batch.target.clone().narrow(0, image, 1);
            let top_conv = explainer.interpretable.layers[0].maps(target);
            let gradient = Oracle::of_top_conv(&performer, top_conv).backward(class).gradient;
            for (sum, map) in relevance.iter_mut().zip(gradient.chunks_exact(64)) {
                *sum += map.iter().sum::<f64>();
            }
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
    }

    #[test]
    fn what_is_not_known_to_be_relevant_changes_nothing() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let rows = features(&performer, 6, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer);
        let random = config.clone().with_first_start(Start::Random).init_from(&performer, &device);
        let single = config.clone().with_interpretable_layers(1).init_from(&performer, &device);
        let mut deaf = TinyPerformer::new(3);
        deaf.last.weight = deaf.last.weight.map(|weight| weight * 0.0);
        let unheard = features(&deaf, 6, &FeatureConfig::plain());
        let whole = config.init_from(&performer, &device);
        for (what, explainer, performer, rows) in [
            ("a random conv-interp-1", random, &performer, &rows),
            ("no conv-interp-2", single, &performer, &rows),
            ("scores that depend on nothing", whole, &deaf, &unheard),
        ] {
            let attuned = explainer.clone().attuned(performer, rows);
            for layer in 0..explainer.interpretable.layers.len() {
                assert_eq!(weights(&attuned, layer), weights(&explainer, layer), "{what}");
            }
        }
        let residual = ResidualPerformer::new(1);
        let images = images(3, 1).into_iter().map(Ok::<_, std::io::Error>);
        let rows = Features::extract(&residual, images, &FeatureConfig::plain(), &device).unwrap();
        let explainer = ExplainerConfig::for_performer(&residual).init_from(&residual, &device);
        let attuned = explainer.clone().attuned(&residual, &rows);
        assert_eq!(weights(&attuned, 1), weights(&explainer, 1), "a block");
    }
}
