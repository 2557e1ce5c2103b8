//! What an explainer starts from.

use burn::module::Param;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::init::{copied, plain};
use crate::{Activation, Activations, Blueprint, Decoder, Performer, TopLayer};

/// What a layer starts from that has its like in the performer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// The performer's own weights (arXiv:1805.07468).
    Performer,
    /// Random weights, as the other layers.
    Random,
}

/// p, the share of the interpretable track in the encoder's output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Share {
    /// `p = sigmoid(w_p)`, w_p fitted from 0 on (arXiv:1805.07468).
    Learned,
    /// p stays what it is. With 1 there is no ordinary track: nothing of it arrives, and it learns nothing.
    Fixed {
        /// p, above 0 and at most 1.
        share: f64,
    },
}

/// w_p for p = 1: `sigmoid(w_p)` is 1 in `f32`.
const CERTAIN: f64 = 40.0;

impl Share {
    /// w_p to start with, and whether it is fitted.
    ///
    /// # Panics
    /// If p is not above 0 and at most 1.
    pub(crate) fn logit(self, device: &Device) -> Param<Tensor<1>> {
        let logit = match self {
            Self::Learned => 0.0,
            Self::Fixed { share } => {
                assert!(share > 0.0 && share <= 1.0, "Share::Fixed is {share}, not above 0 and at most 1");
                (share / (1.0 - share)).ln().clamp(-CERTAIN, CERTAIN)
            }
        };
        let logit = Param::from_tensor(Tensor::full([1], logit, device));
        logit.set_require_grad(self == Self::Learned)
    }
}

/// Whether an explainer reconstructs the target features: there is no single layer in front of the upper ones from which
/// its tracks could start.
pub(crate) fn starts_from_target(blueprint: &Blueprint<'_>) -> bool {
    match blueprint.top {
        TopLayer::Conv(conv) => !is_startable(conv),
        TopLayer::Block { .. } => false,
        TopLayer::Layers { .. } => true,
    }
}

/// Whether a 3×3 convolution with stride 1 and padding 1 can compute what `conv` does.
fn is_startable(conv: &Conv2d) -> bool {
    let [.., height, width] = conv.weight.dims();
    let padding = match (&conv.padding, height) {
        (PaddingConfig2d::Same, _) => true,
        (PaddingConfig2d::Valid, 1) => true,
        (&PaddingConfig2d::Explicit(top, left, bottom, right), _) => {
            [top, left, bottom, right] == [height / 2; 4]
        }
        _ => false,
    };
    padding && height == width && [1, 3].contains(&height) && conv.stride == [1, 1] && conv.dilation == [1, 1]
}

/// What stands behind each layer of a decoder of upper features: the performer's activation. Where the one upper
/// feature are the pooled maps, a ReLU, or nothing if these may be negative.
pub(crate) fn decoder_activation(blueprint: &Blueprint<'_>) -> Activation {
    match (blueprint.upper.is_empty(), blueprint.activations) {
        (false, Activations { upper, .. }) => upper,
        (true, Activations { top: Activation::Relu | Activation::Relu6, .. }) => Activation::Relu,
        (true, _) => Activation::None,
    }
}

/// Makes of the first conv-layer of a track the performer's top layer: its conv-layer, or, where a block or several
/// layers are in its place, the identity.
///
/// # Panics
/// If the channels are others.
pub(crate) fn start_first<P: Performer>(first: &mut Conv2d, performer: &P, device: &Device) {
    let blueprint = performer.blueprint();
    let channels = match blueprint.top {
        TopLayer::Conv(conv) if is_startable(conv) => return start_as(first, conv),
        top => top.channels()[0],
    };
    assert_eq!(
        first.weight.dims(),
        [channels, channels, 3, 3],
        "a track (left) cannot start as the identity of the performer's target features (right)"
    );
    start_identity(first, 0.0, device);
}

/// Makes of a conv-layer, whose biases are 0, one that hands on what it reads, beside `mixture` times what it did
/// before.
pub(crate) fn start_identity(conv: &mut Conv2d, mixture: f64, device: &Device) {
    let [channels, ..] = conv.weight.dims();
    let identity = identity_kernel(channels, device);
    conv.weight = Param::from_tensor(plain(&conv.weight).mul_scalar(mixture) + identity);
}

/// Makes of the decoder the performer's upper layers, or the identity where it has none and where the target features
/// are reconstructed.
///
/// # Panics
/// If a layer's sizes are others.
pub(crate) fn start_decoder<P: Performer>(decoder: &mut Decoder, performer: &P, device: &Device) {
    if let Some(conv) = &mut decoder.maps {
        let [outputs, inputs, ..] = conv.weight.dims();
        assert_eq!(outputs, inputs, "a decoder of target features cannot start as the identity");
        conv.weight = Param::from_tensor(Tensor::<2>::eye(inputs, device).reshape([inputs, inputs, 1, 1]));
        return;
    }
    let upper = performer.blueprint().upper;
    let layers = decoder.layers.iter_mut();
    if upper.is_empty() {
        layers.for_each(|layer| {
            let [inputs, outputs] = layer.weight.dims();
            assert_eq!(inputs, outputs, "a decoder layer cannot start as the identity");
            layer.weight = Param::from_tensor(Tensor::eye(inputs, device));
        });
        return;
    }
    for (own, theirs) in layers.zip(upper) {
        assert_eq!(
            own.weight.dims(),
            theirs.weight.dims(),
            "a decoder layer (left) cannot start as the performer's (right)"
        );
        own.weight = copied(&theirs.weight);
        // Its own bias is 0: what a layer without one computes.
        if let Some(bias) = &theirs.bias {
            own.bias = Some(copied(bias));
        }
    }
}

/// Makes of a track's first conv-layer the performer's top conv-layer, which [is one](is_startable) that can be. The own
/// bias is 0, and stays so where the performer has none.
fn start_as(first: &mut Conv2d, top_conv: &Conv2d) {
    let weight = ungrouped(top_conv);
    let weight = match top_conv.kernel_size {
        [1, 1] => weight.pad([(1, 1), (1, 1)], 0.0),
        _ => weight,
    };
    assert_eq!(
        first.weight.dims(),
        weight.dims(),
        "a track (left) cannot start as the performer's top conv-layer (right)"
    );
    first.weight = Param::from_tensor(weight);
    if let Some(bias) = &top_conv.bias {
        first.bias = Some(copied(bias));
    }
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
pub(crate) fn identity_kernel(channels: usize, device: &Device) -> Tensor<4> {
    let middle = Tensor::<2>::eye(channels, device).reshape([channels, channels, 1, 1]);
    middle.pad([(1, 1), (1, 1)], 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::Initializer;
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
    fn a_pointwise_top_conv_without_bias_is_started_from_in_the_middle() {
        let device = Device::flex();
        let mut init = Initializer::new(4, &device);
        let top = Conv2d { bias: None, ..init.pointwise([6, 4]) };
        let mut first = init.conv([6, 4]);
        start_as(&mut first, &top);
        let maps = init.conv([6, 2]).weight.val().repeat_dim(3, 2);
        let (ours, theirs) = (first.forward(maps.clone()), top.forward(maps));
        assert!(largest(ours - theirs.clone()) < 1e-6 && largest(theirs) > 0.1);
    }

    #[test]
    fn only_what_a_3x3_convolution_can_compute_is_started_from() {
        let device = Device::flex();
        let startable = |kernel: usize, stride: usize, padding: PaddingConfig2d| {
            let config = Conv2dConfig::new([2, 3], [kernel; 2]).with_stride([stride; 2]);
            is_startable(&config.with_padding(padding).init(&device))
        };
        let zeros = |zeros: usize| PaddingConfig2d::Explicit(zeros, zeros, zeros, zeros);
        assert!(startable(3, 1, zeros(1)) && startable(3, 1, PaddingConfig2d::Same));
        assert!(startable(1, 1, zeros(0)) && startable(1, 1, PaddingConfig2d::Valid));
        for (kernel, stride, padding) in [
            (5, 1, zeros(2)),
            (3, 2, zeros(1)),
            (3, 1, PaddingConfig2d::Valid),
            (1, 1, zeros(1)),
            (3, 1, PaddingConfig2d::Explicit(0, 0, 2, 2)),
        ] {
            assert!(!startable(kernel, stride, padding), "{kernel} {stride}");
        }
    }

    #[test]
    fn a_share_is_its_logits() {
        let device = Device::flex();
        let share = |share: Share| {
            let logit = share.logit(&device);
            (burn::tensor::activation::sigmoid(logit.val()).into_scalar::<f32>(), logit.is_require_grad())
        };
        assert_eq!(share(Share::Fixed { share: 1.0 }).0, 1.0);
        assert!((share(Share::Fixed { share: 0.3 }).0 - 0.3).abs() < 1e-6);
        assert_eq!(share(Share::Learned).0, 0.5);
    }

    #[test]
    #[should_panic(expected = "not above 0")]
    fn nothing_is_no_share() {
        Share::Fixed { share: 0.0 }.logit(&Device::flex());
    }
}
