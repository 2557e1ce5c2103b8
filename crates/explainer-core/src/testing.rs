//! A small performer for the tests: conv → ReLU → conv → ReLU → pool → two FC layers → head.

use burn::nn::conv::Conv2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use explainer_metrics::ReceptiveField;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::init::Initializer;
use crate::{
    Activations, Blueprint, FeatureConfig, Features, LabelledImage, Performer, Pooling, Preprocessing,
    TopLayer, UpperTaps,
};

pub(crate) const SIZE: usize = 8;
pub(crate) const CHANNELS: usize = 6;

pub(crate) struct TinyPerformer {
    pub(crate) convs: [Conv2d; 2],
    pub(crate) upper: [Linear; 2],
    pub(crate) last: Linear,
    /// What the blueprint says of L, and a factor on what the head says.
    pub(crate) claims: (usize, f32),
}

impl TinyPerformer {
    pub(crate) fn new(seed: u64) -> Self {
        let mut init = Initializer::new(seed, &Device::flex());
        let mut convs = [init.conv([3, 5]), init.conv([5, CHANNELS])];
        convs[0].padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let upper = [init.linear(CHANNELS * 16, 12), init.linear(12, 10)];
        Self { convs, upper, last: init.linear(10, 3), claims: (SIZE, 1.0) }
    }
}

impl Performer for TinyPerformer {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        relu(self.convs[0].forward(images))
    }
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let top_conv = relu(self.convs[1].forward(target));
        let pooled = max_pool2d(top_conv.clone(), MaxPoolOptions::new([2, 2]).with_stride([2, 2]));
        let relu6 = relu(self.upper[0].forward(pooled.flatten(1, 3)));
        let relu7 = relu(self.upper[1].forward(relu6.clone()));
        UpperTaps { top_conv, scores: self.last.forward(relu7.clone()), upper: vec![relu6, relu7] }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.last.forward(upper) * self.claims.1
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(SIZE)
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
            length: self.claims.0,
            pool: Pooling::max(2, 2),
            upper: self.upper.iter().collect(),
            activations: Activations::default(),
        }
    }
}

/// conv → ReLU → a residual block of two convs → the average over the maps → head.
pub(crate) struct ResidualPerformer {
    convs: [Conv2d; 3],
    head: Linear,
}

impl ResidualPerformer {
    pub(crate) const CHANNELS: usize = 5;

    pub(crate) fn new(seed: u64) -> Self {
        let mut init = Initializer::new(seed, &Device::flex());
        let convs = [3, Self::CHANNELS, Self::CHANNELS].map(|inputs| init.conv([inputs, Self::CHANNELS]));
        Self { convs, head: init.linear(Self::CHANNELS, 2) }
    }
}

impl Performer for ResidualPerformer {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        relu(self.convs[0].forward(images))
    }
    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let inner = relu(self.convs[1].forward(target.clone()));
        let top_conv = relu(self.convs[2].forward(inner) + target);
        let mean = Pooling::global_average(SIZE).forward(top_conv.clone()).flatten(1, 3);
        UpperTaps { top_conv, scores: self.head(mean.clone()), upper: vec![mean] }
    }
    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::imagenet(SIZE)
    }
    fn target_field(&self) -> ReceptiveField {
        ReceptiveField::pixels().then(3, 1, 1)
    }
    fn top_conv_field(&self) -> ReceptiveField {
        self.target_field().then(3, 1, 1).then(3, 1, 1)
    }
    fn blueprint(&self) -> Blueprint<'_> {
        let top = TopLayer::Block { channels: Self::CHANNELS };
        Blueprint {
            top,
            length: SIZE,
            pool: Pooling::global_average(SIZE),
            upper: Vec::new(),
            activations: Activations::default(),
        }
    }
}

/// Random images, two of three with an object: category 0 or 1.
pub(crate) fn images(count: usize, seed: u64) -> Vec<LabelledImage> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let image = |index: usize| LabelledImage {
        pixels: (0..3 * SIZE * SIZE).map(|_| rng.random()).collect(),
        category: (index % 3 < 2).then_some(index % 3),
    };
    (0..count).map(image).collect()
}

pub(crate) fn features(performer: &TinyPerformer, count: usize, config: &FeatureConfig) -> Features {
    let images = images(count, 1).into_iter().map(Ok::<_, std::io::Error>);
    Features::extract(performer, images, config, &Device::flex()).unwrap()
}
