//! The explainer network.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Tensor};

use crate::init::{Initializer, copied};
use crate::{
    Blueprint, Decoder, InterpretableLayer, InterpretableTrack, Masking, OrdinaryTrack, Performer, Pooling,
    ScaleNorm,
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
        let [channels, target_channels, _, _] = blueprint.top_conv.weight.dims();
        let upper = blueprint.upper.iter().map(|layer| layer.weight.dims()[1]).collect();
        Self::new(
            target_channels * blueprint.top_conv.groups,
            channels,
            blueprint.length,
            blueprint.pool,
            upper,
        )
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

    /// An explainer that starts from a performer: conv-interp-1 is its top conv-layer, the decoder
    /// its upper layers; the other convs are random.
    ///
    /// Source: arXiv:1805.07468, initialisation.
    ///
    /// # Panics
    /// If the sizes are not the performer's, or its top conv-layer is not 3×3 with stride 1,
    /// padding 1 and no groups (then use [`init`](Self::init)).
    pub fn init_from<P: Performer>(&self, performer: &P, device: &Device) -> Explainer {
        let Blueprint { top_conv, upper, .. } = performer.blueprint();
        let mut explainer = self.init(device);
        let first = &mut explainer.interpretable.layers[0].conv;
        assert_eq!(
            (first.weight.dims(), first.bias.is_some(), top_conv.stride, top_conv.dilation),
            (top_conv.weight.dims(), top_conv.bias.is_some(), [1, 1], [1, 1]),
            "conv-interp-1 (left) cannot start as the performer's top conv-layer (right)"
        );
        assert!(
            matches!(top_conv.padding, PaddingConfig2d::Same | PaddingConfig2d::Explicit(1, 1, 1, 1)),
            "conv-interp-1 pads by 1 and cannot start as a top conv-layer that pads by {:?}",
            top_conv.padding
        );
        first.weight = copied(&top_conv.weight);
        first.bias = top_conv.bias.as_ref().map(copied);
        for (own, theirs) in explainer.decoder.layers.iter_mut().zip(upper) {
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
