//! The performer's own layers above its target layer, run on target features of any origin.

use std::borrow::Cow;

use burn::module::{Initializer, Param};
use burn::nn::{Linear, LinearConfig, conv::Conv2d};
use burn::tensor::{Device, Tensor};

use crate::start::decoder_activation;
use crate::{
    Activation, Activations, CoreError, Features, Performer, Pooling, TopLayer, convolve, convolve_relu,
};

/// Rows on which the layers are compared with the features.
const COMPARED: usize = 64;
/// Largest difference of upper features from the performer's, over the largest value, in `f32`.
const SAME: f32 = 1e-3;

/// What a performer makes of target features: top conv → activation → pool → fc6 → activation → fc7 → activation,
/// as its [`Blueprint`](crate::Blueprint) has them. So target features that something else has reconstructed (a
/// dictionary, a compressed copy) get upper features and, through [`Performer::head`], scores.
///
/// Without gradients.
#[derive(Clone, Debug)]
pub struct UpperLayers<'a> {
    conv: &'a Conv2d,
    length: usize,
    pool: Pooling,
    /// Where the performer has none, the identity.
    upper: Vec<Cow<'a, Linear>>,
    activations: Activations,
}

impl<'a> UpperLayers<'a> {
    /// The upper layers of `performer`, checked on the first rows of its own `features`.
    ///
    /// # Errors
    /// [`CoreError::UpperLayers`] if the top layer is a residual block, of whose inside the blueprint says
    /// nothing, or if the layers do not give the features' own upper features: then there is something
    /// else between them.
    pub fn of<P: Performer>(performer: &'a P, features: &Features) -> Result<Self, CoreError> {
        let blueprint = performer.blueprint();
        let TopLayer::Conv(conv) = blueprint.top else {
            let place = match blueprint.top {
                TopLayer::Block { .. } => "a residual block stands",
                _ => "several layers stand",
            };
            let what = format!("{place} in the place of the top conv-layer");
            return Err(CoreError::UpperLayers { what });
        };
        let activations = Activations { upper: decoder_activation(&blueprint), ..blueprint.activations };
        let upper = match blueprint.upper.is_empty() {
            false => blueprint.upper.iter().map(|&layer| Cow::Borrowed(layer)).collect(),
            true => vec![Cow::Owned(identity(blueprint.upper_widths()[0], features.device()))],
        };
        let layers = Self { conv, length: blueprint.length, pool: blueprint.pool, upper, activations };
        let first: Vec<usize> = (0..features.len().min(COMPARED)).collect();
        let batch = features.batch(&first);
        for (layer, (own, theirs)) in layers.forward(batch.target).into_iter().zip(batch.upper).enumerate() {
            let largest = theirs.clone().abs().max().into_scalar::<f32>();
            let difference = (own - theirs).abs().max().into_scalar::<f32>();
            // NaN is no small difference.
            if difference.is_nan() || difference > SAME * largest {
                let what = format!(
                    "the largest difference of upper features {layer} is {difference}, expected at most {}",
                    SAME * largest
                );
                return Err(CoreError::UpperLayers { what });
            }
        }
        Ok(layers)
    }

    /// The upper features of a batch of target features, lowest layer first.
    ///
    /// # Shapes
    /// - target: `[batch, C, L, L]`
    /// - output: `[batch, width_l]` for every upper layer l; where there is none, the pooled maps that the
    ///   head reads
    ///
    /// # Panics
    /// If the maps have other numbers of channels or units than the target layer's.
    pub fn forward(&self, target: Tensor<4>) -> Vec<Tensor<2>> {
        let pooled = self.pooled(target).flatten(1, 3);
        self.above(pooled).into_iter().map(|units| self.activations.upper.forward(units)).collect()
    }

    /// The layer of upper features `index`, from 0: the identity, where the performer has none.
    pub(crate) fn upper(&self, index: usize) -> &Linear {
        &self.upper[index]
    }

    /// The pooled top conv of target features, `[batch, D, P, P]`.
    pub(crate) fn pooled(&self, target: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = target.dims();
        assert_eq!(
            [channels, height, width],
            [TopLayer::Conv(self.conv).channels()[0], self.length, self.length],
            "channels, height and width of target features (left) and of what the performer's layers read"
        );
        self.pool.forward(match self.activations.top {
            Activation::Relu => convolve_relu(self.conv, target),
            activation => activation.forward(convolve(self.conv, target)),
        })
    }

    /// What each layer makes of the pooled top conv, `[batch, D·P·P]`, before its activation.
    pub(crate) fn above(&self, pooled: Tensor<2>) -> Vec<Tensor<2>> {
        let layers = self.upper.iter();
        let outputs = layers.scan(pooled, |below, layer| {
            let output = layer.forward(below.clone());
            *below = self.activations.upper.forward(output.clone());
            Some(output)
        });
        outputs.collect()
    }
}

/// A layer that hands on what it reads.
fn identity(width: usize, device: &Device) -> Linear {
    let zeros = LinearConfig::new(width, width).with_initializer(Initializer::Zeros).init(device);
    Linear { weight: Param::from_tensor(Tensor::eye(width, device)), ..zeros }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureConfig;
    use crate::testing::{ResidualPerformer, TinyPerformer, features, images};

    #[test]
    fn they_lead_from_the_target_features_to_the_scores() {
        let performer = TinyPerformer::new(1);
        let rows = features(&performer, 7, &FeatureConfig::plain());
        let layers = UpperLayers::of(&performer, &rows).unwrap();
        let batch = rows.batch(&[2, 5, 6]);
        let upper = layers.forward(batch.target);
        let scores = performer.head(upper[1].clone());
        for (own, theirs) in [
            (upper[0].clone(), batch.upper[0].clone()),
            (upper[1].clone(), batch.upper[1].clone()),
            (scores, batch.scores),
        ] {
            let difference = (own - theirs).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5, "{difference}");
        }
    }

    #[test]
    fn layers_that_do_not_lead_there_are_refused() {
        // Another network's features stand for a network with something between its layers.
        let rows = features(&TinyPerformer::new(2), 7, &FeatureConfig::plain());
        let performer = TinyPerformer::new(1);
        let error = UpperLayers::of(&performer, &rows).unwrap_err();
        assert!(matches!(error, CoreError::UpperLayers { .. }), "{error}");
        assert!(error.to_string().contains("upper features 0"), "{error}");

        let performer = ResidualPerformer::new(1);
        let images = images(3, 1).into_iter().map(Ok::<_, std::io::Error>);
        let rows = Features::extract(&performer, images, &FeatureConfig::plain(), &Device::flex()).unwrap();
        let error = UpperLayers::of(&performer, &rows).unwrap_err();
        assert!(error.to_string().contains("residual block"), "{error}");
    }

    #[test]
    #[should_panic(expected = "channels, height and width")]
    fn maps_of_another_size_panic() {
        let performer = TinyPerformer::new(1);
        let rows = features(&performer, 2, &FeatureConfig::plain());
        let layers = UpperLayers::of(&performer, &rows).unwrap();
        let target = rows.batch(&[0]).target;
        layers.forward(target.clone().narrow(2, 0, target.dims()[2] - 1));
    }
}
