//! A performer that is cheap to tap, of any size.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_core::{Activations, Blueprint, Performer, Pooling, Preprocessing, TopLayer, UpperTaps};
use explainer_metrics::ReceptiveField;

/// The sizes of a [`Small`].
pub struct Sizes {
    /// Channels of the target layer and of the top conv.
    pub channels: [usize; 2],
    /// Height and width of the images, and so of all maps.
    pub length: usize,
    /// Behind the top conv.
    pub pool: Pooling,
    /// Outputs of the two upper layers.
    pub upper: [usize; 2],
}

/// conv → ReLU → conv → ReLU → pool → FC → ReLU → FC → ReLU → head of two classes.
pub struct Small {
    convs: [Conv2d; 2],
    upper: [Linear; 2],
    last: Linear,
    length: usize,
    pool: Pooling,
}

impl Small {
    /// Weights that depend on their position only, so that they are alike on every backend.
    pub fn new(sizes: Sizes, device: &Device) -> Self {
        let Sizes { channels: [target, top], length, pool, upper: [fc6, fc7] } = sizes;
        let conv = |channels: [usize; 2]| {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            let mut conv = Conv2dConfig::new(channels, [3, 3]).with_padding(padding).init(device);
            conv.weight = conv.weight.map(|weight| noise(weight.dims(), 9 * channels[0], device));
            conv.bias = conv.bias.map(|bias| bias.map(|bias| noise(bias.dims(), 9 * channels[0], device)));
            conv
        };
        let linear = |inputs, outputs| {
            let mut linear = LinearConfig::new(inputs, outputs).init(device);
            linear.weight = linear.weight.map(|weight| noise(weight.dims(), inputs, device));
            linear.bias = linear.bias.map(|bias| bias.map(|bias| noise(bias.dims(), inputs, device)));
            linear
        };
        let pooled = top * pool.output(length).pow(2);
        Self {
            convs: [conv([3, target]), conv([target, top])],
            upper: [linear(pooled, fc6), linear(fc6, fc7)],
            last: linear(fc7, 2),
            length,
            pool,
        }
    }
}

/// Values that look random but are a formula, uniform and of variance `2 / inputs`.
fn noise<const D: usize>(shape: [usize; D], inputs: usize, device: &Device) -> Tensor<D> {
    let (count, scale) = (shape.iter().product::<usize>(), (6.0 / inputs as f64).sqrt());
    let value = |at: usize| scale * (mixed(at as u64) as f64 / u64::MAX as f64 * 2.0 - 1.0);
    let values: Vec<f32> = (0..count).map(|at| value(at) as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

/// A number whose bits depend on all of those of another (SplitMix64).
pub fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Performer for Small {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        relu(self.convs[0].forward(images))
    }
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let top_conv = relu(self.convs[1].forward(target));
        let pooled = self.pool.forward(top_conv.clone());
        let relu6 = relu(self.upper[0].forward(pooled.flatten(1, 3)));
        let relu7 = relu(self.upper[1].forward(relu6.clone()));
        UpperTaps { top_conv, scores: self.head(relu7.clone()), upper: vec![relu6, relu7] }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.last.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(self.length)
    }
    fn target_field(&self) -> ReceptiveField {
        ReceptiveField::pixels().then(3, 1, 1)
    }
    fn top_conv_field(&self) -> ReceptiveField {
        self.target_field().then(3, 1, 1)
    }
    fn blueprint(&self) -> Blueprint<'_> {
        Blueprint {
            top: TopLayer::Conv(&self.convs[1]),
            length: self.length,
            pool: self.pool,
            upper: self.upper.iter().collect(),
            activations: Activations::default(),
        }
    }
}
