//! What the library asks of a trained network.

use burn::nn::{Linear, conv::Conv2d};
use burn::tensor::Tensor;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use explainer_metrics::ReceptiveField;
use serde::{Deserialize, Serialize};

use crate::{CoreError, Preprocessing};

/// What a performer shows of one batch of images.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// The target layer after its ReLU: the explainer's input, `[batch, C, L, L]`.
    pub target: Tensor<4>,
    /// The top conv-layer after its ReLU, before its pool, `[batch, D, L, L]`.
    pub top_conv: Tensor<4>,
    /// The upper features after their ReLU, from the lowest layer (fc6, fc7), each `[batch, width]`.
    pub upper: Vec<Tensor<2>>,
    /// The prediction before softmax, `[batch, classes]`.
    pub scores: Tensor<2>,
}

/// Geometry of a max-pool: square kernel, one stride, symmetric zero padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pooling {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Padding on each side.
    pub padding: usize,
}

impl Pooling {
    /// Side of the pooled map of a map of side `length`.
    pub fn output(&self, length: usize) -> usize {
        (length + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// The pooled maps.
    pub(crate) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let options = MaxPoolOptions::new([self.kernel; 2])
            .with_stride([self.stride; 2])
            .with_padding([self.padding; 2]);
        max_pool2d(maps, options)
    }
}

/// The layers of a performer from which an explainer takes its sizes and its first weights.
#[derive(Clone, Debug)]
pub struct Blueprint<'a> {
    /// The conv-layer that reads the target features (conv5, conv5-3).
    pub top_conv: &'a Conv2d,
    /// Side L of the target layer's maps.
    pub length: usize,
    /// The pool behind the top conv-layer.
    pub pool: Pooling,
    /// The fully connected layers whose features are reconstructed (fc6, fc7), lowest first.
    pub upper: Vec<&'a Linear>,
}

/// A trained, frozen network that can be explained. Implement it for your own Burn module:
/// run the layers you have and hand out the four tensors of [`Tapped`].
///
/// `tap` is called without gradients and the parameters are never changed.
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
    let Blueprint { top_conv, length, pool, upper } = performer.blueprint();
    let [channels, group_channels, _, _] = top_conv.weight.dims();
    let expect = |what: &str, expected: Vec<usize>, found: Vec<usize>| {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
        Err(CoreError::Performer { what: what.to_string(), expected, found })
    };
    let target = vec![batch, group_channels * top_conv.groups, length, length];
    expect("the shape of the target features", target, tapped.target.dims().to_vec())?;
    let top = vec![batch, channels, length, length];
    expect("the shape of the top conv's features", top, tapped.top_conv.dims().to_vec())?;
    expect("the number of upper features", vec![upper.len()], vec![tapped.upper.len()])?;
    expect("the number of upper layers, at least 1,", vec![1], vec![upper.len().min(1)])?;
    let mut inputs = channels * pool.output(length).pow(2);
    for (layer, (linear, features)) in upper.iter().zip(&tapped.upper).enumerate() {
        let [found, width] = linear.weight.dims();
        expect(&format!("the number of inputs of upper layer {layer}"), vec![inputs], vec![found])?;
        let what = format!("the shape of upper features {layer}");
        expect(&what, vec![batch, width], features.dims().to_vec())?;
        inputs = width;
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
