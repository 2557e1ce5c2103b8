//! What the library asks of a trained network.

use burn::nn::{Linear, conv::Conv2d};
use burn::tensor::Tensor;
use explainer_metrics::ReceptiveField;

use crate::{Activations, CoreError, Pooling, Preprocessing};

/// What a performer shows of one batch of images.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// The target features, the explainer's input, `[batch, C, L, L]`: whatever the layers above read. Of a
    /// layer with a ReLU they are 0 or more; of a linear one (the output of an inverted-residual block) they
    /// may be negative.
    pub target: Tensor<4>,
    /// [`UpperTaps::top_conv`].
    pub top_conv: Tensor<4>,
    /// [`UpperTaps::upper`].
    pub upper: Vec<Tensor<2>>,
    /// [`UpperTaps::scores`].
    pub scores: Tensor<2>,
}

/// What the layers above the target layer make of target features.
#[derive(Clone, Debug)]
pub struct UpperTaps {
    /// The top conv-layer after its activation, before its pool, `[batch, D, L', L']`. L' is the target layer's L
    /// where the blueprint's top layer reads the target features directly.
    pub top_conv: Tensor<4>,
    /// The upper features after their activation, from the lowest layer (fc6, fc7), each `[batch, width]`;
    /// without FC layers below the head, the pooled maps that the head reads.
    pub upper: Vec<Tensor<2>>,
    /// The prediction before softmax, `[batch, classes]`.
    pub scores: Tensor<2>,
}

/// What leads from the target features to the top ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TopLayer<'a> {
    /// One conv-layer (conv5, conv5-3), from which conv-interp-1 starts.
    Conv(&'a Conv2d),
    /// Several layers with a skip connection around them, which keep the number of channels: a residual
    /// block. conv-interp-1 starts as that connection, the identity.
    Block {
        /// C and D.
        channels: usize,
    },
    /// Several layers of any kind: the target is a middle layer. The explainer reconstructs the target
    /// features, and the frozen rest of the performer goes on from there
    /// ([`Performer::forward_from_target`]).
    Layers {
        /// Channels of the target features and of the top ones.
        channels: [usize; 2],
        /// Side L' of the top maps.
        length: usize,
    },
}

impl TopLayer<'_> {
    /// C and D: channels of the target features and of the top ones.
    pub fn channels(&self) -> [usize; 2] {
        match *self {
            Self::Conv(conv) => {
                let [top, target, _, _] = conv.weight.dims();
                [target * conv.groups, top]
            }
            Self::Block { channels } => [channels; 2],
            Self::Layers { channels, .. } => channels,
        }
    }
}

/// The layers of a performer from which an explainer takes its sizes and its first weights.
#[derive(Clone, Debug)]
pub struct Blueprint<'a> {
    /// What reads the target features and makes the top ones of them.
    pub top: TopLayer<'a>,
    /// Side L of the target layer's maps.
    pub length: usize,
    /// The pool behind the top layer: the last max-pool, or the global average pool.
    pub pool: Pooling,
    /// The fully connected layers whose features are reconstructed (fc6, fc7), lowest first. None where
    /// the head reads the pooled maps themselves: those are the one upper feature then.
    pub upper: Vec<&'a Linear>,
    /// What stands behind the top conv-layer and behind the upper layers.
    pub activations: Activations,
}

impl Blueprint<'_> {
    /// Side L' of the top layer's maps.
    pub fn top_length(&self) -> usize {
        match self.top {
            TopLayer::Conv(_) | TopLayer::Block { .. } => self.length,
            TopLayer::Layers { length, .. } => length,
        }
    }

    /// Features of a pooled map of all channels.
    fn pooled(&self) -> usize {
        self.top.channels()[1] * self.pool.output(self.top_length()).pow(2)
    }

    /// Widths of the upper features, lowest first.
    pub fn upper_widths(&self) -> Vec<usize> {
        if self.upper.is_empty() {
            return vec![self.pooled()];
        }
        self.upper.iter().map(|layer| layer.weight.dims()[1]).collect()
    }
}

/// A trained, frozen network that can be explained at one of its layers, the *target layer*. Implement it
/// for your own Burn module: run the layers up to the target, run the rest from there, and hand out the
/// tensors of [`UpperTaps`].
///
/// The parameters are never changed. [`forward_from_target`](Self::forward_from_target) is also called with
/// target features that ask for gradients (on an autodiff device, the parameters being plain tensors):
/// compute it by operations that carry gradients, as all of Burn's layers and [`convolve`](crate::convolve)
/// do.
///
/// Where a skip connection leads around the top layer ([`TopLayer::Block`]), the performer's own top
/// features need not be read as parts at all: most of what they hold may be the target features, passed
/// on. The explainer re-expresses the sum of both, and does not say which way a part came.
///
/// # Consistency
/// `head(upper.last())` must equal the scores, and an implementation of [`tap`](Self::tap) of one's own must
/// give what the provided one does; [`Features::extract`](crate::Features::extract) verifies this, and all
/// shapes, on its first batch.
pub trait Performer {
    /// The features of the target layer of preprocessed images.
    ///
    /// # Shapes
    /// - images: `[batch, 3, size, size]`
    /// - output: `[batch, C, L, L]`
    fn target_features(&self, images: Tensor<4>) -> Tensor<4>;

    /// The rest of the network, from target features of any origin: its own, reconstructed or changed ones.
    ///
    /// # Shapes
    /// - target: `[batch, C, L, L]`
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps;

    /// The whole network on preprocessed images, `[batch, 3, size, size]`: [`target_features`](Self::target_features)
    /// and what [`forward_from_target`](Self::forward_from_target) makes of them.
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let target = self.target_features(images);
        let UpperTaps { top_conv, upper, scores } = self.forward_from_target(target.clone());
        Tapped { target, top_conv, upper, scores }
    }

    /// The last step: from the last upper features `[batch, width]` to the scores.
    fn head(&self, upper: Tensor<2>) -> Tensor<2>;

    /// What is done to pixels before [`target_features`](Self::target_features).
    fn preprocessing(&self) -> Preprocessing;

    /// Receptive field of the units of the target layer.
    fn target_field(&self) -> ReceptiveField;

    /// Receptive field of the units of the top conv-layer.
    fn top_conv_field(&self) -> ReceptiveField;

    /// Sizes and first weights of an explainer of this network.
    fn blueprint(&self) -> Blueprint<'_>;
}

/// Largest relative difference between two ways to the same features, in `f32`.
const TOLERANCE: f32 = 1e-3;

/// Checks that a performer's outputs fit each other and its blueprint.
pub(crate) fn check_tapped<P: Performer>(
    performer: &P,
    tapped: &Tapped,
    batch: usize,
) -> Result<(), CoreError> {
    check_shapes(&performer.blueprint(), tapped, batch)?;
    let last = tapped.upper.last().expect("there is an upper layer").clone();
    let scores = performer.head(last);
    expect("the shape of the head's scores", tapped.scores.dims().to_vec(), scores.dims().to_vec())?;
    let what = "the scores and the head's scores of the last upper features";
    largest_difference(what, tapped.scores.clone(), scores)?;
    check_continued(tapped, performer.forward_from_target(tapped.target.clone()))
}

/// Checks that what is continued from the target features is what was tapped.
fn check_continued(tapped: &Tapped, continued: UpperTaps) -> Result<(), CoreError> {
    let UpperTaps { top_conv, upper, scores } = continued;
    let [own, other] = [&tapped.top_conv, &top_conv].map(|maps| maps.dims().to_vec());
    expect("the shape of forward_from_target's top conv", own, other)?;
    let widths = |upper: &[Tensor<2>]| upper.iter().map(|units| units.dims()[1]).collect::<Vec<_>>();
    let (own, other) = (widths(&tapped.upper), widths(&upper));
    expect("the widths of forward_from_target's upper features", own, other)?;
    let [own, other] = [&tapped.scores, &scores].map(|scores| scores.dims().to_vec());
    expect("the shape of forward_from_target's scores", own, other)?;
    let what = "the top conv and forward_from_target's";
    largest_difference(what, tapped.top_conv.clone(), top_conv)?;
    for (layer, (own, other)) in tapped.upper.iter().zip(upper).enumerate() {
        largest_difference(&format!("upper features {layer} and forward_from_target's"), own.clone(), other)?;
    }
    largest_difference("the scores and forward_from_target's", tapped.scores.clone(), scores)
}

fn expect(what: &str, expected: Vec<usize>, found: Vec<usize>) -> Result<(), CoreError> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(CoreError::Performer { what: what.to_string(), expected, found })
}

fn check_shapes(blueprint: &Blueprint<'_>, tapped: &Tapped, batch: usize) -> Result<(), CoreError> {
    let (length, [target_channels, channels]) = (blueprint.length, blueprint.top.channels());
    let target = vec![batch, target_channels, length, length];
    expect("the shape of the target features", target, tapped.target.dims().to_vec())?;
    let top = vec![batch, channels, blueprint.top_length(), blueprint.top_length()];
    expect("the shape of the top conv's features", top, tapped.top_conv.dims().to_vec())?;
    let widths = blueprint.upper_widths();
    expect("the number of upper features", vec![widths.len()], vec![tapped.upper.len()])?;
    let mut inputs = blueprint.pooled();
    for (layer, linear) in blueprint.upper.iter().enumerate() {
        let [found, width] = linear.weight.dims();
        expect(&format!("the number of inputs of upper layer {layer}"), vec![inputs], vec![found])?;
        inputs = width;
    }
    for (layer, (width, features)) in widths.into_iter().zip(&tapped.upper).enumerate() {
        let what = format!("the shape of upper features {layer}");
        expect(&what, vec![batch, width], features.dims().to_vec())?;
    }
    Ok(())
}

/// Checks that features that should be the same are, but for rounding.
pub(crate) fn largest_difference<const D: usize>(
    what: &str,
    features: Tensor<D>,
    others: Tensor<D>,
) -> Result<(), CoreError> {
    let scale = features.clone().abs().max().into_scalar::<f32>();
    let difference = (others - features).abs().max().into_scalar::<f32>();
    // What is not finite differs by NaN, and is told of as such where features are read.
    if difference > TOLERANCE * scale {
        return Err(CoreError::Performer {
            what: format!("the largest difference between {what}"),
            expected: format!("at most {}", TOLERANCE * scale),
            found: difference.to_string(),
        });
    }
    Ok(())
}
