//! The explainer network.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Tensor};

use crate::init::{Initializer, copied, plain};
use crate::{
    Blueprint, Decoder, InterpretableLayer, InterpretableTrack, Masking, OrdinaryTrack, Performer, Pooling,
    ScaleNorm, TopLayer,
};

/// Sizes and form of an [`Explainer`]; [`for_performer`](Self::for_performer) takes the sizes from
/// a performer.
#[derive(Config, Debug)]
pub struct ExplainerConfig {
    /// C, channels of the target layer.
    pub target_channels: usize,
    /// D, channels of the performer's top conv-layer and of each track.
    pub channels: usize,
    /// L, side of the target layer's maps.
    pub length: usize,
    /// Pool behind the tracks: the performer's last.
    pub pool: Pooling,
    /// Widths of the reconstructed upper features, lowest layer first.
    pub upper: Vec<usize>,
    /// Conv-layers of the interpretable track.
    #[config(default = 2)]
    pub interpretable_layers: usize,
    /// Conv-layers of the ordinary track.
    #[config(default = 1)]
    pub ordinary_layers: usize,
    /// What stands behind each interpretable conv-layer; layers beyond the list get the last entry.
    #[config(default = "vec![Masking::PUBLISHED]")]
    pub masks: Vec<Masking>,
    /// Seed of the first weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl ExplainerConfig {
    /// The sizes that fit a performer; everything else as by default.
    pub fn for_performer<P: Performer>(performer: &P) -> Self {
        let blueprint = performer.blueprint();
        let [target_channels, channels] = blueprint.top.channels();
        Self::new(target_channels, channels, blueprint.length, blueprint.pool, blueprint.upper_widths())
    }

    /// An explainer with random weights.
    ///
    /// # Panics
    /// If there is no interpretable or no ordinary conv-layer, nothing to reconstruct, or a mask whose
    /// settings are out of bounds.
    pub fn init(&self, device: &Device) -> Explainer {
        assert!(self.interpretable_layers > 0, "the interpretable track needs a conv-layer");
        assert!(self.ordinary_layers > 0, "the ordinary track needs a conv-layer");
        assert!(!self.upper.is_empty(), "the decoder needs a layer to reconstruct");
        let mut init = Initializer::new(self.seed, device);
        let inputs = |layer| if layer == 0 { self.target_channels } else { self.channels };
        let layers = (0..self.interpretable_layers)
            .map(|layer| InterpretableLayer {
                conv: init.conv([inputs(layer), self.channels]),
                mask: self.masking(layer).init(self.length, self.channels, device),
            })
            .collect();
        let convs =
            (0..self.ordinary_layers).map(|layer| init.conv([inputs(layer), self.channels])).collect();
        let pooled = self.pool.output(self.length);
        let mut width = self.channels * pooled * pooled;
        let decoder = self
            .upper
            .iter()
            .map(|&upper| init.linear(std::mem::replace(&mut width, upper), upper))
            .collect();
        Explainer {
            interpretable: InterpretableTrack { layers },
            ordinary: OrdinaryTrack { convs },
            share_logit: Param::from_tensor(Tensor::zeros([1], device)),
            interpretable_norm: ScaleNorm::identity(self.channels, device),
            ordinary_norm: ScaleNorm::identity(self.channels, device),
            decoder: Decoder { layers: decoder },
            pool: self.pool,
        }
    }

    /// What stands behind interpretable conv-layer `layer` (from 0): nothing if the list is empty.
    fn masking(&self, layer: usize) -> Masking {
        *self.masks.get(layer).or(self.masks.last()).unwrap_or(&Masking::None)
    }

    /// An explainer that starts from a performer: conv-interp-1 is its top conv-layer (or, where a
    /// block is in its place, the connection around it), the decoder its upper layers (or the identity,
    /// where it has none); the other convs are random.
    ///
    /// Source: arXiv:1805.07468, initialisation.
    ///
    /// # Panics
    /// If the sizes are not the performer's, or its top conv-layer is not 3×3 with stride 1 and
    /// padding 1 (then use [`init`](Self::init)).
    pub fn init_from<P: Performer>(&self, performer: &P, device: &Device) -> Explainer {
        let Blueprint { top, upper, .. } = performer.blueprint();
        let mut explainer = self.init(device);
        let first = &mut explainer.interpretable.layers[0].conv;
        match top {
            TopLayer::Conv(conv) => start_as(first, conv),
            TopLayer::Block { channels } => {
                assert_eq!(
                    first.weight.dims(),
                    [channels, channels, 3, 3],
                    "conv-interp-1 (left) cannot start as the connection around the performer's block (right)"
                );
                first.weight = Param::from_tensor(identity_kernel(channels, device));
            }
        }
        let layers = explainer.decoder.layers.iter_mut();
        if upper.is_empty() {
            layers.for_each(|layer| {
                let [inputs, outputs] = layer.weight.dims();
                assert_eq!(inputs, outputs, "a decoder layer cannot start as the identity");
                layer.weight = Param::from_tensor(Tensor::eye(inputs, device));
            });
            return explainer;
        }
        for (own, theirs) in layers.zip(upper) {
            assert_eq!(
                own.weight.dims(),
                theirs.weight.dims(),
                "a decoder layer (left) cannot start as the performer's (right)"
            );
            own.weight = copied(&theirs.weight);
            own.bias = theirs.bias.as_ref().map(copied);
        }
        explainer
    }
}

/// Makes of conv-interp-1 the performer's top conv-layer.
fn start_as(first: &mut Conv2d, top_conv: &Conv2d) {
    let weight = ungrouped(top_conv);
    assert_eq!(
        (first.weight.dims(), first.bias.is_some(), top_conv.stride, top_conv.dilation),
        (weight.dims(), top_conv.bias.is_some(), [1, 1], [1, 1]),
        "conv-interp-1 (left) cannot start as the performer's top conv-layer (right)"
    );
    assert!(
        matches!(top_conv.padding, PaddingConfig2d::Same | PaddingConfig2d::Explicit(1, 1, 1, 1)),
        "conv-interp-1 pads by 1 and cannot start as a top conv-layer that pads by {:?}",
        top_conv.padding
    );
    first.weight = Param::from_tensor(weight);
    first.bias = top_conv.bias.as_ref().map(copied);
}

/// The weights of a convolution without groups that computes what `conv` does: 0 between groups.
fn ungrouped(conv: &Conv2d) -> Tensor<4> {
    let weight = plain(&conv.weight);
    let groups = conv.groups;
    if groups == 1 {
        return weight;
    }
    let [outputs, inputs, height, width] = weight.dims();
    let device = weight.device();
    let rows = weight.chunk(groups, 0).into_iter().enumerate().map(|(group, block)| {
        let zeros = |blocks| Tensor::zeros([outputs / groups, blocks * inputs, height, width], &device);
        let around = [zeros(group), block, zeros(groups - 1 - group)];
        Tensor::cat(around.into_iter().filter(|part| part.dims()[1] > 0).collect(), 1)
    });
    Tensor::cat(rows.collect(), 0)
}

/// The weights of a 3×3 convolution that leaves its maps as they are.
fn identity_kernel(channels: usize, device: &Device) -> Tensor<4> {
    let middle = Tensor::<2>::eye(channels, device).reshape([channels, channels, 1, 1]);
    middle.pad([(1, 1), (1, 1)], 0.0)
}

/// The explainer: re-expresses target features as features of parts, and reconstructs the
/// performer's upper features from them.
///
/// `x_enc = p · norm(pool(x_interp)) + (1 − p) · norm(pool(x_ordin))`, `p = sigmoid(w_p)`;
/// the decoder reads `x_enc`.
///
/// Source: arXiv:1805.07468.
#[derive(Module, Debug)]
pub struct Explainer {
    /// Conv-layers whose filters become parts.
    pub interpretable: InterpretableTrack,
    /// Conv-layers for everything else.
    pub ordinary: OrdinaryTrack,
    /// w_p.
    pub(crate) share_logit: Param<Tensor<1>>,
    /// Norm-layer of the interpretable track.
    pub interpretable_norm: ScaleNorm,
    /// Norm-layer of the ordinary track.
    pub ordinary_norm: ScaleNorm,
    /// Reconstructs the upper features.
    pub decoder: Decoder,
    #[module(skip)]
    pub(crate) pool: Pooling,
}

/// Everything an explainer makes of a batch.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// Maps of conv-interp-1, -2, … after the ReLU, before the mask, `[batch, D, L, L]`.
    pub interpretable: Vec<Tensor<4>>,
    /// Maps of the ordinary track, `[batch, D, L, L]`.
    pub ordinary: Tensor<4>,
    /// The encoder's output, `[batch, D, P, P]`.
    pub encoded: Tensor<4>,
    /// Reconstructed upper features, each `[batch, width]`.
    pub upper: Vec<Tensor<2>>,
}

impl Explainer {
    /// Explains a batch of target features, `[batch, C, L, L]`.
    pub fn forward(&self, target: Tensor<4>) -> Encoding {
        let (interpretable, parts) = self.interpretable.forward(target.clone());
        let ordinary = self.ordinary.forward(target);
        let encoded = self.encode(parts, ordinary.clone());
        let upper = self.decoder.forward(encoded.clone());
        Encoding { interpretable, ordinary, encoded, upper }
    }

    /// Joins the masked maps of the last interpretable layer and the ordinary maps.
    pub(crate) fn encode(&self, parts: Tensor<4>, ordinary: Tensor<4>) -> Tensor<4> {
        let parts = self.interpretable_norm.forward(self.pooled(parts));
        let ordinary = self.ordinary_norm.forward(self.pooled(ordinary));
        let share = self.share_tensor().reshape([1, 1, 1, 1]);
        parts * share.clone() + ordinary * (1.0 - share)
    }

    pub(crate) fn pooled(&self, maps: Tensor<4>) -> Tensor<4> {
        self.pool.forward(maps)
    }

    /// p as a tensor, `[1]`.
    pub(crate) fn share_tensor(&self) -> Tensor<1> {
        sigmoid(self.share_logit.val())
    }

    /// log p, `[1]`, exact for any w_p.
    pub(crate) fn log_share(&self) -> Tensor<1> {
        log_sigmoid(self.share_logit.val())
    }

    /// p, the share of the interpretable track in the encoder's output.
    pub fn share(&self) -> f32 {
        self.share_tensor().into_scalar::<f32>()
    }

    /// D, the number of filters of the interpretable track.
    pub fn filters(&self) -> usize {
        self.interpretable_norm.alpha().dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::testing::{ResidualPerformer, images};
    use crate::{FeatureConfig, Features, FitConfig, Refit};
    use burn::nn::conv::Conv2dConfig;

    fn largest<const D: usize>(tensor: Tensor<D>) -> f32 {
        tensor.abs().max().into_scalar()
    }

    #[test]
    fn a_grouped_top_conv_is_started_from_with_zeros_between_its_groups() {
        let device = Device::flex();
        let mut init = Initializer::new(4, &device);
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let mut grouped =
            Conv2dConfig::new([6, 4], [3, 3]).with_groups(2).with_padding(padding).init(&device);
        grouped.weight = init.conv([3, 4]).weight;
        grouped.bias = Some(Param::from_tensor(Tensor::from_floats([0.1, -0.2, 0.3, 0.4], &device)));
        let mut first = init.conv([6, 4]);
        start_as(&mut first, &grouped);
        let maps = init.conv([6, 2]).weight.val().repeat_dim(3, 2);
        let (ours, theirs) = (first.forward(maps.clone()), grouped.forward(maps));
        assert!(largest(ours - theirs.clone()) < 1e-6 && largest(theirs) > 0.1);
    }

    #[test]
    fn a_residual_performer_without_fc_layers_is_fitted_from_its_connection_on() {
        let device = Device::flex();
        let performer = ResidualPerformer::new(2);
        let config = ExplainerConfig::for_performer(&performer);
        let channels = ResidualPerformer::CHANNELS;
        assert_eq!((config.target_channels, config.channels), (channels, channels));
        assert_eq!(config.upper, [channels]);
        let explainer = config.init_from(&performer, &device);
        let train = images(12, 3).into_iter().map(Ok::<_, std::io::Error>);
        let train = Features::extract(&performer, train, &FeatureConfig::plain(), &device).unwrap();
        let target = train.batch(&[0, 1, 2]).target;
        let first = explainer.interpretable.layers[0].conv.forward(target.clone());
        assert!(largest(first - target.clone()) < 1e-6, "conv-interp-1 is the connection");
        let encoded = target.ones_like().slice([0..3, 0..channels, 0..1, 0..1]);
        let upper = explainer.decoder.forward(encoded);
        assert_eq!(floats(upper[0].clone()), vec![1.0; 3 * channels], "the decoder is the identity");

        let fit = FitConfig::new().with_refit(Refit::Ridge { ridge: 0.03, mixtures: 1 }).with_progress(false);
        let fit = fit.fit(explainer, &performer, &train, Some(&train)).unwrap();
        let error = fit.validation.unwrap().relative_error;
        assert!(error.len() == 1 && error[0] < 0.2, "{error:?}");
        let explanation = fit.explainer.explain(&performer, &images(1, 3)[0].pixels).unwrap();
        assert_eq!(explanation.scores.len(), explanation.explained_scores.len());
    }
}
