//! What the library asks of a trained network.

use burn::nn::{Linear, conv::Conv2d};
use burn::tensor::Tensor;
use explainer_metrics::ReceptiveField;

use crate::{CoreError, Pooling, Preprocessing};

/// What a performer shows of one batch of images.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// The target layer after its ReLU: the explainer's input, `[batch, C, L, L]`.
    pub target: Tensor<4>,
    /// The top conv-layer after its ReLU, before its pool, `[batch, D, L, L]`.
    pub top_conv: Tensor<4>,
    /// The upper features after their ReLU, from the lowest layer (fc6, fc7), each `[batch, width]`;
    /// without FC layers below the head, the pooled maps that the head reads.
    pub upper: Vec<Tensor<2>>,
    /// The prediction before softmax, `[batch, classes]`.
    pub scores: Tensor<2>,
}

/// What leads from the target features to the top ones.
#[derive(Clone, Debug)]
pub enum TopLayer<'a> {
    /// One conv-layer (conv5, conv5-3), from which conv-interp-1 starts.
    Conv(&'a Conv2d),
    /// Several layers with a skip connection around them, which keep the number of channels: a residual
    /// block. conv-interp-1 starts as that connection, the identity.
    Block {
        /// C and D.
        channels: usize,
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
}

impl Blueprint<'_> {
    /// Features of a pooled map of all channels.
    fn pooled(&self) -> usize {
        self.top.channels()[1] * self.pool.output(self.length).pow(2)
    }

    /// Widths of the upper features, lowest first.
    pub fn upper_widths(&self) -> Vec<usize> {
        if self.upper.is_empty() {
            return vec![self.pooled()];
        }
        self.upper.iter().map(|layer| layer.weight.dims()[1]).collect()
    }
}

/// A trained, frozen network that can be explained. Implement it for your own Burn module:
/// run the layers you have and hand out the four tensors of [`Tapped`].
///
/// `tap` is called without gradients and the parameters are never changed.
///
/// Where a skip connection leads around the top layer ([`TopLayer::Block`]), the performer's own top
/// features need not be read as parts at all: most of what they hold may be the target features, passed
/// on. The explainer re-expresses the sum of both, and does not say which way a part came.
///
/// # Consistency
/// `head(tap(x).upper.last())` must equal `tap(x).scores`;
/// [`Features::extract`](crate::Features::extract) verifies this, and all shapes, on its first batch.
pub trait Performer {
    /// Runs the network on preprocessed images, `[batch, 3, size, size]`.
    fn tap(&self, images: Tensor<4>) -> Tapped;

    /// [`Tapped::target`] alone. A network that can stop there should: receptive fields are found by running
    /// it on hundreds of copies of an image.
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        self.tap(images).target
    }

    /// The rest of the network: from the last upper features `[batch, width]` to the scores.
    fn head(&self, upper: Tensor<2>) -> Tensor<2>;

    /// What is done to pixels before [`tap`](Self::tap).
    fn preprocessing(&self) -> Preprocessing;

    /// Receptive field of the units of the target layer.
    fn target_field(&self) -> ReceptiveField;

    /// Receptive field of the units of the top conv-layer.
    fn top_conv_field(&self) -> ReceptiveField;

    /// Sizes and first weights of an explainer of this network.
    fn blueprint(&self) -> Blueprint<'_>;
}

/// Largest relative difference between a performer's scores and its head's, in `f32`.
const HEAD_TOLERANCE: f32 = 1e-3;

/// Checks that a performer's outputs fit each other and its blueprint.
pub(crate) fn check_tapped<P: Performer>(
    performer: &P,
    tapped: &Tapped,
    batch: usize,
) -> Result<(), CoreError> {
    let blueprint = performer.blueprint();
    let (length, [target_channels, channels]) = (blueprint.length, blueprint.top.channels());
    let expect = |what: &str, expected: Vec<usize>, found: Vec<usize>| {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
        Err(CoreError::Performer { what: what.to_string(), expected, found })
    };
    let target = vec![batch, target_channels, length, length];
    expect("the shape of the target features", target, tapped.target.dims().to_vec())?;
    let top = vec![batch, channels, length, length];
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
    let last = tapped.upper.last().expect("there is an upper layer").clone();
    let scores = performer.head(last);
    expect("the shape of the head's scores", tapped.scores.dims().to_vec(), scores.dims().to_vec())?;
    let what = "the scores and the head's scores of the last upper features";
    largest_difference(what, tapped.scores.clone(), scores)
}

/// Checks that scores that should be the same are, but for rounding.
pub(crate) fn largest_difference(what: &str, scores: Tensor<2>, others: Tensor<2>) -> Result<(), CoreError> {
    let scale = scores.clone().abs().max().into_scalar::<f32>();
    let difference = (others - scores).abs().max().into_scalar::<f32>();
    if difference > HEAD_TOLERANCE * scale {
        return Err(CoreError::Performer {
            what: format!("the largest difference between {what}"),
            expected: format!("at most {}", HEAD_TOLERANCE * scale),
            found: difference.to_string(),
        });
    }
    Ok(())
}
