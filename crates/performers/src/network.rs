//! The network that an architecture's table describes.

use std::marker::PhantomData;

use burn::module::{Initializer, Module};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use explainer_core::{Blueprint, Performer, Pooling, Preprocessing, Tapped};
use explainer_metrics::ReceptiveField;

use crate::architecture::{Architecture, Layer, Sizes};

/// Gain of He's initialisation for layers in front of a ReLU (arXiv:1502.01852): √2.
const RELU_GAIN: f64 = std::f64::consts::SQRT_2;

/// A convolutional network of the architecture `A` with fc6, fc7 and a head:
/// [`AlexNet`](crate::AlexNet), [`Vgg16`](crate::Vgg16).
///
/// # Shapes
/// - images: `[batch, 3, size, size]`, preprocessed
/// - scores: `[batch, classes]`, before softmax
#[derive(Module, Debug)]
pub struct ConvNet<A: Architecture> {
    /// The convolutions, from the lowest.
    convs: Vec<Conv2d>,
    fc6: Linear,
    fc7: Linear,
    head: Linear,
    #[module(skip)]
    preprocessing: Preprocessing,
    #[module(skip)]
    architecture: PhantomData<A>,
}

impl<A: Architecture> ConvNet<A> {
    /// A network with random weights: He's normal initialisation for all weights and zero biases.
    /// They are drawn from the device's generator: call [`Device::seed`] before.
    ///
    /// # Panics
    /// If `sizes.input` differs from the preprocessing's size, or is too small for the pools.
    pub fn init(sizes: Sizes, preprocessing: Preprocessing, device: &Device) -> Self {
        assert_eq!(sizes.input, preprocessing.size, "sizes and preprocessing differ in the images' side");
        let Some(linears) = sizes.linears::<A>() else {
            panic!("images of {0}×{0} pixels are too small for {1}", sizes.input, A::NAME)
        };
        let initializer = Initializer::KaimingNormal { gain: RELU_GAIN, fan_out_only: false };
        let conv = |(row, channels): (usize, [usize; 2])| {
            let (kernel, stride, padding) = A::FEATURES[row].window();
            let mut conv = Conv2dConfig::new(channels, [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                .with_initializer(initializer.clone())
                .init(device);
            conv.bias = Some(Initializer::Zeros.init([channels[1]], device));
            conv
        };
        let [fc6, fc7, head] = linears.map(|[inputs, outputs]| {
            let mut linear =
                LinearConfig::new(inputs, outputs).with_initializer(initializer.clone()).init(device);
            linear.bias = Some(Initializer::Zeros.init([outputs], device));
            linear
        });
        let convs = sizes.convs::<A>().into_iter().map(conv).collect();
        // Parameters are drawn on first use otherwise, in an order that depends on the use.
        Self { convs, fc6, fc7, head, preprocessing, architecture: PhantomData }.materialize()
    }

    /// Another network of the same sizes and preprocessing with random weights: the control of an
    /// explanation. See [`init`](Self::init).
    pub fn randomized(&self, device: &Device) -> Self {
        Self::init(self.sizes(), self.preprocessing, device)
    }

    /// The network's sizes.
    pub fn sizes(&self) -> Sizes {
        let mut widths = [0; 5];
        for (layer, conv) in A::FEATURES.iter().filter(|l| matches!(l, Layer::Conv { .. })).zip(&self.convs) {
            if let Layer::Conv { width, .. } = *layer {
                widths[width] = conv.weight.dims()[0];
            }
        }
        let outputs = |linear: &Linear| linear.weight.dims()[1];
        Sizes {
            widths,
            hidden: [outputs(&self.fc6), outputs(&self.fc7)],
            classes: outputs(&self.head),
            input: self.preprocessing.size,
        }
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.fc6.weight.device()
    }

    /// The scores of preprocessed images, `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let (_, _, pooled) = self.features(images);
        let (_, fc7) = self.upper(pooled, |x| x);
        self.head.forward(fc7)
    }

    /// [`forward`](Self::forward) for training: batch-norm behind each convolution, dropout behind
    /// relu6 and relu7.
    pub(crate) fn forward_training(
        &self,
        images: Tensor<4>,
        norms: &[BatchNorm],
        dropout: &Dropout,
    ) -> Tensor<2> {
        let (_, _, pooled) = self.features_with(images, |conv, x| norms[conv].forward(x));
        let (_, fc7) = self.upper(pooled, |x| dropout.forward(x));
        self.head.forward(fc7)
    }

    /// A batch-norm for each convolution.
    pub(crate) fn norms(&self, device: &Device) -> Vec<BatchNorm> {
        let channels = self.convs.iter().map(|conv| conv.weight.dims()[0]);
        channels.map(|channels| BatchNormConfig::new(channels).init(device)).collect()
    }

    /// The network that computes without batch-norm what this one does with `norms`, by their
    /// running statistics: `w ← w·γ/√(σ² + ε)`, `b ← (b − μ)·γ/√(σ² + ε) + β`.
    pub(crate) fn folded(mut self, norms: &[BatchNorm]) -> Self {
        for (conv, norm) in self.convs.iter_mut().zip(norms) {
            let scale = norm.gamma.val() / (norm.running_var.value_sync() + norm.epsilon).sqrt();
            let (mean, beta) = (norm.running_mean.value_sync(), norm.beta.val());
            let rows = scale.clone().reshape([-1, 1, 1, 1]);
            conv.weight = conv.weight.clone().map(|weight| weight * rows.clone());
            conv.bias = conv.bias.take().map(|bias| bias.map(|bias| (bias - mean) * scale + beta));
        }
        self
    }

    /// The target features, the top conv-layer's after its ReLU, and the pooled ones.
    fn features(&self, images: Tensor<4>) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        self.features_with(images, |_, x| x)
    }

    /// [`features`](Self::features), the output of each convolution through `normalize`.
    fn features_with(
        &self,
        images: Tensor<4>,
        normalize: impl Fn(usize, Tensor<4>) -> Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        let [batch, _, height, width] = images.dims();
        let size = self.preprocessing.size;
        assert_eq!(
            images.dims(),
            [batch, 3, size, size],
            "{} takes images [batch, 3, {size}, {size}], not {height}×{width} ones",
            A::NAME
        );
        let mut convs = self.convs.iter().enumerate();
        let mut tapped = Vec::with_capacity(2);
        let mut x = images;
        for (row, layer) in A::FEATURES.iter().enumerate() {
            x = match *layer {
                Layer::Conv { .. } => {
                    let (index, conv) = convs.next().expect("a convolution for each row");
                    normalize(index, conv.forward(x))
                }
                Layer::Relu => relu(x),
                Layer::Pool(Pooling { kernel, stride, padding }) => max_pool2d(
                    x,
                    MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]),
                ),
            };
            if row == A::target() || row == A::top_conv() + 1 {
                tapped.push(x.clone());
            }
        }
        let top_conv = tapped.pop().expect("a ReLU behind the top conv-layer");
        let target = tapped.pop().expect("a ReLU in front of the top conv-layer");
        (target, top_conv, x)
    }

    /// relu6 and relu7 of pooled features, each through `regularize`.
    fn upper(
        &self,
        pooled: Tensor<4>,
        regularize: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let fc6 = regularize(relu(self.fc6.forward(pooled.flatten(1, 3))));
        let fc7 = regularize(relu(self.fc7.forward(fc6.clone())));
        (fc6, fc7)
    }
}

impl<A: Architecture> Performer for ConvNet<A> {
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let (target, top_conv, pooled) = self.features(images);
        let (fc6, fc7) = self.upper(pooled, |x| x);
        let scores = self.head.forward(fc7.clone());
        Tapped { target, top_conv, upper: vec![fc6, fc7], scores }
    }

    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }

    fn preprocessing(&self) -> Preprocessing {
        self.preprocessing
    }

    fn target_field(&self) -> ReceptiveField {
        A::field(A::target())
    }

    fn top_conv_field(&self) -> ReceptiveField {
        A::field(A::top_conv())
    }

    fn blueprint(&self) -> Blueprint<'_> {
        let Some(&Layer::Pool(pool)) = A::FEATURES.last() else {
            panic!("the table of {} does not end in a pool", A::NAME)
        };
        Blueprint {
            top_conv: self.convs.last().expect("an architecture has a convolution"),
            length: A::side(A::target(), self.preprocessing.size).expect("checked when the network was made"),
            pool,
            upper: vec![&self.fc6, &self.fc7],
        }
    }
}
