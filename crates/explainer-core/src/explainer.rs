//! The explainer network.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Tensor};

use crate::conv::Input;
use crate::init::Initializer;
use crate::start::{decoder_activation, start_decoder, start_first, start_identity, starts_from_target};
use crate::track::{Stage, entry};
use crate::{
    Activation, Decoder, InterpretableLayer, InterpretableTrack, MaskLayer, Masking, OrdinaryTrack,
    Performer, PoolPosition, Pooling, Reconstructed, ScaleNorm, Share, Start, Windowing,
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
    /// Widths of the reconstructed upper features, lowest layer first; or of the target features, C · L · L.
    pub upper: Vec<usize>,
    /// What the decoder reconstructs.
    #[config(default = "Reconstructed::Upper(Activation::Relu)")]
    pub reconstructed: Reconstructed,
    /// Conv-layers of the interpretable track.
    #[config(default = 2)]
    pub interpretable_layers: usize,
    /// Conv-layers of the ordinary track.
    #[config(default = 1)]
    pub ordinary_layers: usize,
    /// Where the maps of each interpretable conv-layer are looked at: the last entry is the last layer's, and layers
    /// before the list have its first.
    #[config(default = "vec![Windowing::None, Windowing::STAR]")]
    pub windows: Vec<Windowing>,
    /// What stands behind each interpretable conv-layer, in the same order.
    #[config(default = "vec![Masking::None]")]
    pub masks: Vec<Masking>,
    /// Where the interpretable track is pooled.
    #[config(default = "PoolPosition::BehindMask")]
    pub pool_position: PoolPosition,
    /// p.
    #[config(default = "Share::Learned")]
    pub share: Share,
    /// What conv-interp-1 starts from ([`init_from`](Self::init_from)).
    #[config(default = "Start::Performer")]
    pub first_start: Start,
    /// What conv-interp-2 and the layers above it start from: with [`Start::Performer`] filter k hands on channel k of
    /// the layer below, beside a random mixture of all channels.
    #[config(default = "Start::Performer")]
    pub second_start: Start,
    /// The size of that mixture, relative to what [`Start::Random`] draws.
    #[config(default = 0.1)]
    pub mixture: f64,
    /// What the ordinary track starts from: as the performer's top conv-layer, which the layers above the lowest
    /// hand on.
    #[config(default = "Start::Performer")]
    pub ordinary_start: Start,
    /// Whether the ordinary track has what the windows w of the last interpretable conv-layer leave, its maps times
    /// `1 − w`. Without windows, or if not, it has its maps whole.
    #[config(default = true)]
    pub complement: bool,
    /// What the decoder starts from.
    #[config(default = "Start::Performer")]
    pub decoder_start: Start,
    /// Seed of the first weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl ExplainerConfig {
    /// The sizes that fit a performer; everything else as by default.
    ///
    /// Where no single conv-layer of 1×1 or 3×3 units with stride 1 leads from the target layer to the top one, and no
    /// block ([`TopLayer::Layers`](crate::TopLayer), or another convolution), the tracks have the target's channels, and
    /// there is no pool: the decoder reconstructs the target features ([`Reconstructed::Target`]).
    pub fn for_performer<P: Performer>(performer: &P) -> Self {
        let blueprint = performer.blueprint();
        let ([target_channels, channels], length) = (blueprint.top.channels(), blueprint.length);
        if starts_from_target(&blueprint) {
            let upper = vec![target_channels * length * length];
            return Self::new(target_channels, target_channels, length, Pooling::max(1, 1), upper)
                .with_reconstructed(Reconstructed::Target);
        }
        let activation = decoder_activation(&blueprint);
        Self::new(target_channels, channels, length, blueprint.pool, blueprint.upper_widths())
            .with_reconstructed(Reconstructed::Upper(activation))
    }

    /// The published form: a mask at its own strongest unit behind every interpretable layer, no windows, and random
    /// weights in conv-interp-2 and the ordinary track. Kept for comparison, as
    /// [`FitConfig::published`](crate::FitConfig::published) is.
    ///
    /// Source: arXiv:1805.07468.
    pub fn published(self) -> Self {
        self.with_windows(vec![Windowing::None])
            .with_masks(vec![Masking::PUBLISHED])
            .with_second_start(Start::Random)
            .with_ordinary_start(Start::Random)
    }

    /// An explainer with random weights.
    ///
    /// # Panics
    /// If there is no interpretable or no ordinary conv-layer, nothing to reconstruct, or a mask or a share
    /// that is out of bounds.
    pub fn init(&self, device: &Device) -> Explainer {
        assert!(self.interpretable_layers > 0, "the interpretable track needs a conv-layer");
        assert!(self.ordinary_layers > 0, "the ordinary track needs a conv-layer");
        assert!(!self.upper.is_empty(), "the decoder needs a layer to reconstruct");
        let mut init = Initializer::new(self.seed, device);
        let inputs = |layer| if layer == 0 { self.target_channels } else { self.channels };
        let pooled = self.pool.output(self.length);
        let last = self.interpretable_layers - 1;
        let (behind, pooled_mask) = match self.pool_position {
            PoolPosition::BehindMask => (self.interpretable_layers, None),
            PoolPosition::BeforeMask => (last, self.masking(last).init(pooled, self.channels, device)),
        };
        let layers = (0..self.interpretable_layers)
            .map(|layer| InterpretableLayer {
                conv: init.conv([inputs(layer), self.channels]),
                windows: self.windowing(layer).init(self.length, self.channels, device),
                mask: match layer < behind {
                    true => self.masking(layer).init(self.length, self.channels, device),
                    false => None,
                },
            })
            .collect();
        let convs =
            (0..self.ordinary_layers).map(|layer| init.conv([inputs(layer), self.channels])).collect();
        let decoder = self.decoder(pooled, &mut init);
        Explainer {
            interpretable: InterpretableTrack { layers },
            ordinary: OrdinaryTrack { convs },
            share_logit: self.share.logit(device),
            interpretable_norm: ScaleNorm::identity(self.channels, device),
            ordinary_norm: ScaleNorm::identity(self.channels, device),
            decoder,
            pooled_mask,
            pool: self.pool,
            share: self.share,
            complement: self.complement && self.windowing(last) != Windowing::None,
        }
    }

    /// A decoder that reads maps of side `pooled`.
    fn decoder(&self, pooled: usize, init: &mut Initializer) -> Decoder {
        match self.reconstructed {
            Reconstructed::Upper(activation) => {
                let mut width = self.channels * pooled * pooled;
                let layer = |&upper: &usize| init.linear(std::mem::replace(&mut width, upper), upper);
                Decoder { layers: self.upper.iter().map(layer).collect(), maps: None, activation }
            }
            Reconstructed::Target => {
                assert_eq!(
                    (pooled, &self.upper[..]),
                    (self.length, &[self.target_channels * self.length * self.length][..]),
                    "a decoder of target features reads maps that are not pooled, and reconstructs C · L · L of them"
                );
                let maps = Some(init.pointwise([self.channels, self.target_channels]));
                Decoder { layers: Vec::new(), maps, activation: Activation::None }
            }
        }
    }

    /// The windows of interpretable conv-layer `layer` (from 0): none if the list is empty.
    fn windowing(&self, layer: usize) -> Windowing {
        entry(&self.windows, layer, self.interpretable_layers).unwrap_or(Windowing::None)
    }

    /// What stands behind interpretable conv-layer `layer` (from 0): nothing if the list is empty.
    fn masking(&self, layer: usize) -> Masking {
        entry(&self.masks, layer, self.interpretable_layers).unwrap_or(Masking::None)
    }

    /// An explainer that starts from a performer: conv-interp-1 and the ordinary track are its top conv-layer (one of
    /// 1×1 in the middle of 3×3; or, where a block or several layers are in its place, the identity), the interpretable
    /// layers above hand its channels on, mixed a little, and the decoder is its upper layers (or the identity, where it
    /// has none, or where the target features are reconstructed), unless [`Start::Random`] is asked for.
    ///
    /// Source: arXiv:1805.07468, initialisation; there conv-interp-2 and the ordinary track are random.
    ///
    /// # Panics
    /// If the sizes are not the performer's ([`for_performer`](Self::for_performer) takes them from there).
    pub fn init_from<P: Performer>(&self, performer: &P, device: &Device) -> Explainer {
        let mut explainer = self.init(device);
        if self.first_start == Start::Performer {
            start_first(&mut explainer.interpretable.layers[0].conv, performer, device);
        }
        if self.second_start == Start::Performer {
            let above = explainer.interpretable.layers[1..].iter_mut();
            above.for_each(|layer| start_identity(&mut layer.conv, self.mixture, device));
        }
        if self.ordinary_start == Start::Performer {
            start_first(&mut explainer.ordinary.convs[0], performer, device);
            explainer.ordinary.convs[1..].iter_mut().for_each(|conv| start_identity(conv, 0.0, device));
        }
        if self.decoder_start == Start::Performer {
            start_decoder(&mut explainer.decoder, performer, device);
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
    /// The last interpretable layer's mask, where it stands behind the pool.
    pub(crate) pooled_mask: Option<MaskLayer>,
    #[module(skip)]
    pub(crate) pool: Pooling,
    #[module(skip)]
    pub(crate) share: Share,
    /// Whether the ordinary track has what the windows of the last interpretable conv-layer leave.
    #[module(skip)]
    pub(crate) complement: bool,
}

/// What the tracks make of target features.
pub(crate) struct Tracks {
    /// Maps of every interpretable conv-layer.
    pub(crate) interpretable: Vec<Stage>,
    /// What the last of these layers hands on.
    pub(crate) parts: Tensor<4>,
    /// What the ordinary track hands on.
    pub(crate) ordinary: Tensor<4>,
}

/// Everything an explainer makes of a batch.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// Maps of conv-interp-1, -2, … as parts are read off them: after the ReLU, within the windows for that, before the
    /// mask, `[batch, D, L, L]`.
    pub interpretable: Vec<Tensor<4>>,
    /// Maps of the ordinary track, `[batch, D, L, L]`.
    pub ordinary: Tensor<4>,
    /// The encoder's output, `[batch, D, P, P]`.
    pub encoded: Tensor<4>,
    /// Reconstructed upper features, each `[batch, width]`; or the one reconstruction of the target features,
    /// `[batch, C · L · L]` ([`Reconstructed`]). [`Explainer::scores`] reads the last.
    pub upper: Vec<Tensor<2>>,
}

impl Explainer {
    /// Explains a batch of target features, `[batch, C, L, L]`.
    pub fn forward(&self, target: Tensor<4>) -> Encoding {
        let Tracks { interpretable, parts, ordinary, .. } = self.tracks(target);
        let encoded = self.encode(parts, ordinary.clone());
        let upper = self.decoder.forward(encoded.clone());
        let interpretable = interpretable.iter().map(Stage::read).collect();
        Encoding { interpretable, ordinary, encoded, upper }
    }

    /// What both tracks make of target features.
    pub(crate) fn tracks(&self, target: Tensor<4>) -> Tracks {
        let [interpretable, mut ordinary] = self.stages(Input::new(target));
        let last = interpretable.last().expect("the track has a conv-layer");
        Tracks {
            parts: self.last_masked(last.maps.clone()),
            ordinary: ordinary.pop().expect("the track has a conv-layer").maps,
            interpretable,
        }
    }

    /// What every layer of the interpretable and of the ordinary track reads, and its maps.
    pub(crate) fn stages(&self, target: Input) -> [Vec<Stage>; 2] {
        let interpretable = self.interpretable.stages(target.clone());
        let windows = interpretable.last().and_then(|last| last.windows.clone()).filter(|_| self.complement);
        let ordinary = self.ordinary.stages(target, windows.map(|windows| 1.0 - windows.carried));
        [interpretable, ordinary]
    }

    /// Joins what the last interpretable layer hands on and the ordinary maps.
    pub(crate) fn encode(&self, parts: Tensor<4>, ordinary: Tensor<4>) -> Tensor<4> {
        let [parts, ordinary] = self.terms(self.pools(parts, ordinary));
        parts + ordinary
    }

    /// Both tracks as the norm-layers read them: interpretable, ordinary.
    pub(crate) fn pools(&self, parts: Tensor<4>, ordinary: Tensor<4>) -> [Tensor<4>; 2] {
        [self.pooled_parts(parts), self.pooled(ordinary)]
    }

    /// What either pooled track gives to the encoder's output.
    pub(crate) fn terms(&self, [parts, ordinary]: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let parts = self.interpretable_norm.forward(parts);
        let ordinary = self.ordinary_norm.forward(ordinary);
        let share = self.share_tensor().reshape([1, 1, 1, 1]);
        [parts * share.clone(), ordinary * (1.0 - share)]
    }

    pub(crate) fn pooled(&self, maps: Tensor<4>) -> Tensor<4> {
        self.pool.forward(maps)
    }

    /// The interpretable track as the norm-layer reads it.
    pub(crate) fn pooled_parts(&self, parts: Tensor<4>) -> Tensor<4> {
        let pooled = self.pooled(parts);
        match &self.pooled_mask {
            Some(mask) => mask.forward(pooled),
            None => pooled,
        }
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
    use burn::tensor::activation::relu;

    use crate::testing::{ResidualPerformer, TinyPerformer, features, images};
    use crate::{FeatureConfig, Features, FitConfig, Refit};

    fn largest<const D: usize>(tensor: Tensor<D>) -> f32 {
        tensor.abs().max().into_scalar()
    }

    #[test]
    fn the_ordinary_track_starts_as_the_performers_top_conv() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let target = features(&performer, 4, &FeatureConfig::plain()).batch(&[0, 1, 2, 3]).target;
        let config = ExplainerConfig::for_performer(&performer);
        let apart = |config: &ExplainerConfig| {
            let explainer = config.init_from(&performer, &device);
            let top = relu(performer.convs[1].forward(target.clone()));
            largest(explainer.ordinary.forward(target.clone()) - top)
        };
        assert!(apart(&config) < 1e-5);
        assert!(apart(&config.clone().with_ordinary_layers(3)) < 1e-5, "the layers above hand it on");
        for random in [config.clone().with_ordinary_start(Start::Random), config.published()] {
            assert!(apart(&random) > 0.01);
        }
    }

    #[test]
    fn conv_interp_2_hands_the_performers_channels_on_beside_a_mixture() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let target = features(&performer, 4, &FeatureConfig::plain()).batch(&[0, 1, 2, 3]).target;
        let config = ExplainerConfig::for_performer(&performer).with_windows(vec![Windowing::None]);
        let apart = |config: &ExplainerConfig| {
            let maps = config.init_from(&performer, &device).forward(target.clone()).interpretable;
            largest(maps[1].clone() - maps[0].clone())
        };
        assert!(apart(&config.clone().with_mixture(0.0)) < 1e-5);
        assert!(apart(&config) > 0.01);
        let weights = |config: &ExplainerConfig| {
            let explainer = config.init_from(&performer, &device);
            explainer.interpretable.layers[1].conv.weight.val()
        };
        let random = weights(&config.clone().with_second_start(Start::Random));
        let own = weights(&config.clone().with_mixture(0.0));
        assert!(largest(weights(&config.clone().with_mixture(0.5)) - own - random * 0.5) < 1e-6);
    }

    #[test]
    fn the_ordinary_track_has_what_the_windows_leave() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let train = features(&performer, 9, &FeatureConfig::plain());
        let target = train.batch(&[0, 1, 2, 3]).target;
        let config = ExplainerConfig::for_performer(&performer).with_mixture(0.0);
        let whole = |explainer: &Explainer| explainer.ordinary.forward(target.clone());
        let explainer = config.init_from(&performer, &device).anchored(&train);
        let Tracks { parts, ordinary, interpretable } = explainer.tracks(target.clone());
        assert!(largest(parts.clone() + ordinary.clone() - whole(&explainer)) < 1e-5);
        assert!(largest(ordinary - whole(&explainer)) > 0.01);
        assert!(largest(interpretable[1].read() - parts) > 0.01, "read off from less than is carried");
        for config in [config.clone().with_complement(false), config.with_windows(vec![Windowing::None])] {
            let explainer = config.init_from(&performer, &device).anchored(&train);
            assert_eq!(largest(explainer.forward(target.clone()).ordinary - whole(&explainer)), 0.0);
        }
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

        let fit = FitConfig::new().with_refit(Refit::DEFAULT).with_progress(false);
        let fit = fit.fit(explainer, &performer, &train, Some(&train)).unwrap();
        let error = fit.validation.unwrap().relative_error;
        assert!(error.len() == 1 && error[0] < 0.2, "{error:?}");
        let explanation = fit.explainer.explain(&performer, &images(1, 3)[0].pixels).unwrap();
        assert_eq!(explanation.scores.len(), explanation.explained_scores.len());
    }
}
