//! The network that an architecture's table describes.

use std::marker::PhantomData;

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use explainer_core::{Blueprint, Performer, Pooling, Preprocessing, Tapped};
use explainer_metrics::ReceptiveField;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::architecture::{Architecture, Layer, Sizes};

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
    /// A network with random weights drawn from `seed`, the same on every backend: normal with
    /// variance `2 / fan_in` (He et al., arXiv:1502.01852), biases zero.
    ///
    /// # Panics
    /// If `sizes.input` differs from the preprocessing's size, or is too small for the pools.
    pub fn init(sizes: Sizes, preprocessing: Preprocessing, seed: u64, device: &Device) -> Self {
        let mut network = Self::zeros(sizes, preprocessing, device);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for conv in &mut network.convs {
            let shape @ [_, channels, height, width] = conv.weight.dims();
            conv.weight = he_normal(shape, channels * height * width, &mut rng, device);
        }
        for linear in [&mut network.fc6, &mut network.fc7, &mut network.head] {
            let shape @ [inputs, _] = linear.weight.dims();
            linear.weight = he_normal(shape, inputs, &mut rng, device);
        }
        network
    }

    /// A network whose weights are all zero, to be loaded.
    pub(crate) fn zeros(sizes: Sizes, preprocessing: Preprocessing, device: &Device) -> Self {
        assert_eq!(sizes.input, preprocessing.size, "sizes and preprocessing differ in the images' side");
        let Some(linears) = sizes.linears::<A>() else {
            panic!("images of {0}×{0} pixels are too small for {1}", sizes.input, A::NAME)
        };
        let conv = |(row, channels): (usize, [usize; 2])| {
            let (kernel, stride, padding) = A::FEATURES[row].window();
            Conv2dConfig::new(channels, [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                .with_initializer(Initializer::Zeros)
                .init(device)
        };
        let [fc6, fc7, head] = linears.map(|[inputs, outputs]| {
            LinearConfig::new(inputs, outputs).with_initializer(Initializer::Zeros).init(device)
        });
        let convs = sizes.convs::<A>().into_iter().map(conv).collect();
        Self { convs, fc6, fc7, head, preprocessing, architecture: PhantomData }
    }

    /// Another network of the same sizes and preprocessing with random weights drawn from `seed`: the
    /// control of an explanation. See [`init`](Self::init).
    pub fn randomized(&self, seed: u64) -> Self {
        Self::init(self.sizes(), self.preprocessing, seed, &self.device())
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

    /// [`forward`](Self::forward) for training: batch-norm behind each convolution, relu6 and relu7
    /// through `regularize`.
    pub(crate) fn forward_training(
        &self,
        images: Tensor<4>,
        norms: &[BatchNorm],
        regularize: impl FnMut(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let (_, _, pooled) = self.features_with(images, |conv, x| norms[conv].forward(x));
        let (_, fc7) = self.upper(pooled, regularize);
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
        let (mut tapped, pooled) = self.features_up_to(images, A::FEATURES.len(), normalize);
        let top_conv = tapped.pop().expect("a ReLU behind the top conv-layer");
        let target = tapped.pop().expect("a ReLU in front of the top conv-layer");
        (target, top_conv, pooled)
    }

    /// The tapped layers among the first `rows`, and what the last of these makes.
    fn features_up_to(
        &self,
        images: Tensor<4>,
        rows: usize,
        normalize: impl Fn(usize, Tensor<4>) -> Tensor<4>,
    ) -> (Vec<Tensor<4>>, Tensor<4>) {
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
        for (row, layer) in A::FEATURES[..rows].iter().enumerate() {
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
        (tapped, x)
    }

    /// relu6 and relu7 of pooled features, each through `regularize`.
    fn upper(
        &self,
        pooled: Tensor<4>,
        mut regularize: impl FnMut(Tensor<2>) -> Tensor<2>,
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

    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        self.features_up_to(images, A::target() + 1, |_, x| x).1
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

/// Weights of variance `2 / fan_in`.
fn he_normal<const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    let normal = Distribution::Normal(0.0, (2.0 / fan_in as f64).sqrt());
    let weights = TensorData::random::<f32, _, _>(shape, normal, rng);
    Param::from_tensor(Tensor::from_data(weights, device))
}
