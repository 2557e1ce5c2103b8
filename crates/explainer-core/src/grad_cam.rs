//! Grad-CAM: where in a layer a score comes from.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation::relu};

use crate::contributions::chosen;
use crate::performer::largest_difference;
use crate::{Blueprint, CoreError, Explainer, Performer};

/// A layer of the performer whose Grad-CAM can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerformerLayer {
    /// The target layer, which the explainer reads.
    Target,
    /// The top conv-layer.
    TopConv,
}

/// Grad-CAM from a layer's maps and the score's gradient there:
///
/// `max(Σ_k w_k x_k, 0)`, `w_k` the mean of `∂s/∂x_k` over the units of map k.
///
/// Source: Selvaraju et al., arXiv:1610.02391, equations 1 and 2.
///
/// # Shapes
/// - maps and gradient: `[batch, channels, height, width]`
/// - output: `[batch, height, width]`
fn weighted(maps: Tensor<4>, gradient: Tensor<4>) -> Tensor<3> {
    let weights = gradient.mean_dim(3).mean_dim(2);
    relu((maps * weights).sum_dim(1).squeeze_dim(1))
}

/// Grad-CAM of `maps`, from which `scores` makes the scores.
fn of_maps(maps: Tensor<4>, classes: &[usize], scores: impl FnOnce(Tensor<4>) -> Tensor<2>) -> Tensor<3> {
    let leaf = Tensor::from_inner(maps.clone()).require_grad();
    let gradients = chosen(scores(leaf.clone()), classes).sum().backward();
    weighted(maps, leaf.grad(&gradients).expect("the scores depend on the maps"))
}

impl Explainer {
    /// Grad-CAM of the interpretable conv-layer `layer` (from 0; conv-interp-2 is 1), for the score that the
    /// performer's head gives `classes[image]` with the explainer's features.
    ///
    /// # Shapes
    /// - target: target features, `[batch, C, L, L]`
    /// - output: `[batch, L, L]`
    ///
    /// # Panics
    /// If there is no such layer, not one class for each image, or a class has no score.
    pub fn grad_cam<P: Performer>(
        &self,
        performer: &P,
        target: Tensor<4>,
        layer: usize,
        classes: &[usize],
    ) -> Tensor<3> {
        let explainer = self.valid();
        let layers = &explainer.interpretable.layers;
        assert!(layer < layers.len(), "interpretable layer {layer} of {}", layers.len());
        let mut tracks = explainer.tracks(target);
        let maps = tracks.interpretable.swap_remove(layer).maps;
        let ordinary = tracks.ordinary;
        of_maps(maps, classes, |maps| {
            let mut masked = layers[layer].masked(maps);
            for above in &layers[layer + 1..] {
                masked = above.masked(above.within_windows(relu(above.conv.forward(masked))));
            }
            let encoded = explainer.encode(masked, ordinary.autodiff());
            let upper = explainer.decoder.forward(encoded).pop().expect("there is a decoder layer");
            explainer.scores(performer, upper)
        })
    }
}

/// Grad-CAM of a layer of the performer itself, for its own scores of preprocessed images.
///
/// # Shapes
/// - images: `[batch, 3, size, size]`
/// - output: `[batch, L, L]`
///
/// # Errors
/// [`CoreError::Performer`] if the top conv-layer is asked for and the layers of its
/// [`Blueprint`](crate::Blueprint) do not lead from there to its own scores: there is something between them that
/// this cannot see.
///
/// # Panics
/// If there is not one class for each image, or a class has no score.
pub fn performer_grad_cam<P: Performer>(
    performer: &P,
    images: Tensor<4>,
    layer: PerformerLayer,
    classes: &[usize],
) -> Result<Tensor<3>, CoreError> {
    let tapped = performer.tap(images);
    let scores = |maps: Tensor<4>| match layer {
        PerformerLayer::TopConv => scores_of_top_conv(performer, maps),
        PerformerLayer::Target => performer.forward_from_target(maps).scores,
    };
    let maps = match layer {
        PerformerLayer::Target => tapped.target,
        PerformerLayer::TopConv => tapped.top_conv,
    };
    largest_difference(
        "the scores and those of its blueprint's layers",
        tapped.scores,
        scores(maps.clone()),
    )?;
    Ok(of_maps(maps, classes, scores))
}

/// What the layers of the performer's blueprint and its head make of the top conv's features.
pub(crate) fn scores_of_top_conv<P: Performer>(performer: &P, top_conv: Tensor<4>) -> Tensor<2> {
    let Blueprint { pool, upper, activations, .. } = performer.blueprint();
    let pooled: Tensor<2> = pool.forward(top_conv).flatten(1, 3);
    let above = |input, layer: &Linear| activations.upper.forward(layer.forward(input));
    performer.head(upper.into_iter().fold(pooled, above))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::oracle::{Oracle, close};
    use crate::testing::{TinyPerformer, features, images};
    use crate::{ExplainerConfig, FeatureConfig};
    use burn::tensor::Device;

    fn wide(cam: Tensor<3>) -> Vec<f64> {
        floats(cam).into_iter().map(f64::from).collect()
    }

    #[test]
    fn conv_interp_2_is_that_of_a_slow_oracle() {
        let (classes, mut seen) = ([2, 1, 0, 0, 1, 2], 0);
        for seed in 4..8 {
            let performer = TinyPerformer::new(seed);
            let features = features(&performer, 6, &FeatureConfig::plain());
            let config = ExplainerConfig::for_performer(&performer).with_seed(seed);
            let explainer =
                config.init_from(&performer, &Device::flex()).anchored(&features).calibrated(&features);
            let target = features.batch(&[0, 1, 2, 3, 4, 5]).target;
            let found = wide(explainer.grad_cam(&performer, target.clone(), 1, &classes));
            for (image, found) in found.chunks_exact(64).enumerate() {
                let oracle = Oracle::new(&performer, &explainer, target.clone(), image);
                let expected = oracle.grad_cam(classes[image]);
                seen += usize::from(expected.iter().any(|&value| value > 0.0));
                close(found, &expected, 1e-5);
            }
        }
        assert!(seen > 6, "maps that are zero everywhere show nothing: {seen} are not");
    }

    #[test]
    fn a_layer_below_another_too() {
        let performer = TinyPerformer::new(5);
        let features = features(&performer, 3, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer).with_masks(vec![crate::Masking::None]);
        let explainer =
            config.init_from(&performer, &Device::flex()).anchored(&features).calibrated(&features);
        let (target, classes) = (features.batch(&[0, 1, 2]).target, [1, 0, 2]);
        let found = wide(explainer.grad_cam(&performer, target.clone(), 0, &classes));
        let [first, second] = &explainer.interpretable.layers[..] else { panic!("two layers") };
        let mut seen = 0;
        for (image, found) in found.chunks_exact(64).enumerate() {
            let oracle = Oracle::new(&performer, &explainer, target.clone(), image);
            let below = first.maps(target.clone().narrow(0, image, 1));
            let maps = relu(second.conv.forward(first.masked(below.clone())));
            let windows = second.windows().expect("the default has them").windows(maps);
            let windows = wide(windows.carried.squeeze_dim(0));
            let expected = oracle.grad_cam_below(classes[image], &second.conv, &windows, below);
            seen += usize::from(expected.iter().any(|&value| value > 0.0));
            close(found, &expected, 1e-5);
        }
        assert!(seen > 0, "maps that are zero everywhere show nothing");
    }

    #[test]
    fn the_performers_layers_too() {
        let performer = TinyPerformer::new(6);
        let images = images(4, 1);
        let pixels: Vec<&[u8]> = images.iter().map(|image| &image.pixels[..]).collect();
        let input = performer.preprocessing().batch(&pixels, &Device::flex()).unwrap();
        let (tapped, classes) = (performer.tap(input.clone()), [0, 1, 2, 0]);
        let found = [PerformerLayer::TopConv, PerformerLayer::Target]
            .map(|layer| wide(performer_grad_cam(&performer, input.clone(), layer, &classes).unwrap()));
        let mut seen = 0;
        for (image, class) in classes.into_iter().enumerate() {
            let [target, top_conv] =
                [&tapped.target, &tapped.top_conv].map(|maps| maps.clone().narrow(0, image, 1));
            let everywhere = vec![1.0; top_conv.shape().num_elements()];
            let oracle = Oracle::of_top_conv(&performer, top_conv);
            let expected = [
                oracle.grad_cam(class),
                oracle.grad_cam_below(class, &performer.convs[1], &everywhere, target),
            ];
            for (found, expected) in found.iter().zip(expected) {
                seen += usize::from(expected.iter().any(|&value| value > 0.0));
                close(&found[image * 64..][..64], &expected, 1e-5);
            }
        }
        assert!(seen > 2, "maps that are zero everywhere show nothing: {seen} are not");
    }

    #[test]
    fn a_performer_that_its_blueprint_does_not_describe_is_refused() {
        let mut performer = TinyPerformer::new(6);
        performer.claims.1 = 1.5;
        let input = performer.preprocessing().batch(&[&images(1, 1)[0].pixels], &Device::flex()).unwrap();
        let error = performer_grad_cam(&performer, input, PerformerLayer::TopConv, &[0]).unwrap_err();
        assert!(error.to_string().contains("its blueprint's layers"), "{error}");
    }
}
