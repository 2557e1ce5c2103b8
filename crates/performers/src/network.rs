//! The network that an architecture's table describes.

use std::marker::PhantomData;

use burn::module::{Initializer, Module};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{Linear, LinearConfig, LocalResponseNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_core::{Blueprint, Performer, Preprocessing, Tapped, TopLayer};
use explainer_metrics::ReceptiveField;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::architecture::{Architecture, Convolution, Layer, ResponseNorm, Sizes};
use crate::layer::{ConvLayer, he_normal};

/// A convolutional network of the architecture `A` with fc6, fc7 and a head:
/// [`AlexNet`](crate::AlexNet), [`VggM`](crate::VggM), [`Vgg16`](crate::Vgg16), …
///
/// Made by [`ConvNetConfig::init`](crate::ConvNetConfig::init) or loaded with [`load`](Self::load).
///
/// # Shapes
/// - images: `[batch, 3, size, size]`, preprocessed
/// - scores: `[batch, classes]`, before softmax
#[derive(Module, Debug)]
pub struct ConvNet<A: Architecture> {
    /// The convolutions, from the lowest.
    convs: Vec<ConvLayer>,
    fc6: Linear,
    fc7: Linear,
    head: Linear,
    #[module(skip)]
    preprocessing: Preprocessing,
    #[module(skip)]
    class_names: Vec<String>,
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
        network.convs.iter_mut().for_each(|layer| layer.randomize(&mut rng));
        for linear in [&mut network.fc6, &mut network.fc7, &mut network.head] {
            randomize(linear, &mut rng);
        }
        network
    }

    /// A network whose weights are all zero, to be loaded.
    pub(crate) fn zeros(sizes: Sizes, preprocessing: Preprocessing, device: &Device) -> Self {
        assert_eq!(sizes.input, preprocessing.size, "sizes and preprocessing differ in the images' side");
        let Some(linears) = sizes.linears::<A>() else {
            panic!("images of {0}×{0} pixels are too small for {1}", sizes.input, A::NAME)
        };
        let conv = |conv: Convolution| {
            let Convolution { inputs, outputs, kernel, stride, padding, groups, .. } = conv;
            let config = Conv2dConfig::new([inputs, outputs], [kernel; 2]);
            ConvLayer::zeros(config.with_stride([stride; 2]).with_groups(groups), padding, device)
        };
        let convs = sizes.convs::<A>().into_iter().map(conv).collect();
        let [fc6, fc7, head] = linears.map(|[inputs, outputs]| zero_linear(inputs, outputs, device));
        Self { convs, fc6, fc7, head, preprocessing, class_names: Vec::new(), architecture: PhantomData }
    }

    /// Another network of the same sizes and preprocessing with random weights drawn from `seed`: the
    /// control of an explanation. See [`init`](Self::init).
    pub fn randomized(&self, seed: u64) -> Self {
        Self::init(self.sizes(), self.preprocessing.clone(), seed, &self.device())
    }

    /// The network's sizes.
    pub fn sizes(&self) -> Sizes {
        let mut widths = [0; 5];
        for (layer, conv) in A::FEATURES.iter().filter(|l| matches!(l, Layer::Conv { .. })).zip(&self.convs) {
            if let Layer::Conv { width, .. } = *layer {
                widths[width] = conv.conv.weight.dims()[0];
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

    /// The names of the classes in the order of the scores, where the weights' file has them; else none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    pub(crate) fn with_class_names(mut self, names: Vec<String>) -> Self {
        self.class_names = names;
        self
    }

    /// Gives random weights to the head, and if asked for to fc6 and fc7.
    pub(crate) fn randomize_upper(&mut self, hidden: Option<[usize; 2]>, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        if hidden.is_some() {
            randomize(&mut self.fc6, &mut rng);
            randomize(&mut self.fc7, &mut rng);
        }
        randomize(&mut self.head, &mut rng);
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.fc6.weight.device()
    }

    /// The scores of preprocessed images, `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.regularized(images, |units| units)
    }

    /// [`forward`](Self::forward) with relu6 and relu7 through `regularize`.
    pub(crate) fn regularized(
        &self,
        images: Tensor<4>,
        regularize: impl FnMut(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let [_, _, pooled] = self.features(images);
        let [_, fc7] = self.upper(pooled, regularize);
        self.head.forward(fc7)
    }

    /// All convolutions through `change`.
    pub(crate) fn map_convs(mut self, change: fn(ConvLayer) -> ConvLayer) -> Self {
        self.convs = self.convs.into_iter().map(change).collect();
        self
    }

    /// The target features, the top conv-layer's after its ReLU, and the pooled ones.
    fn features(&self, images: Tensor<4>) -> [Tensor<4>; 3] {
        let (mut tapped, pooled) = self.features_up_to(images, A::FEATURES.len());
        let top_conv = tapped.pop().expect("a ReLU behind the top conv-layer");
        let target = tapped.pop().expect("a ReLU in front of the top conv-layer");
        [target, top_conv, pooled]
    }

    /// The tapped layers among the first `rows`, and what the last of these makes.
    fn features_up_to(&self, images: Tensor<4>, rows: usize) -> (Vec<Tensor<4>>, Tensor<4>) {
        let [batch, _, height, width] = images.dims();
        let size = self.preprocessing.size;
        assert_eq!(
            images.dims(),
            [batch, 3, size, size],
            "{} takes images [batch, 3, {size}, {size}], not {height}×{width} ones",
            A::NAME
        );
        let mut convs = self.convs.iter();
        let mut tapped = Vec::with_capacity(2);
        let mut x = images;
        let layers = &A::FEATURES[..rows];
        for (row, layer) in layers.iter().enumerate() {
            x = match *layer {
                Layer::Conv { .. } => {
                    let conv = convs.next().expect("a convolution for each row");
                    // One pass for both.
                    let rectified = matches!(layers.get(row + 1), Some(Layer::Relu));
                    if rectified { conv.rectified(x) } else { conv.forward(x) }
                }
                Layer::Relu if row > 0 && matches!(layers[row - 1], Layer::Conv { .. }) => x,
                Layer::Relu => relu(x),
                Layer::Pool(pool) => pool.forward(x),
                Layer::ResponseNorm(ResponseNorm { size, alpha, beta, k }) => {
                    let norm = LocalResponseNormConfig::new(size).with_alpha(alpha).with_beta(beta);
                    norm.with_k(k).init().forward(x)
                }
            };
            if row == A::target() || row == A::top_conv() + 1 {
                tapped.push(x.clone());
            }
        }
        (tapped, x)
    }

    /// relu6 and relu7 of pooled features, each through `regularize`.
    fn upper(&self, pooled: Tensor<4>, mut regularize: impl FnMut(Tensor<2>) -> Tensor<2>) -> [Tensor<2>; 2] {
        let fc6 = regularize(relu(self.fc6.forward(pooled.flatten(1, 3))));
        let fc7 = regularize(relu(self.fc7.forward(fc6.clone())));
        [fc6, fc7]
    }
}

impl<A: Architecture> Performer for ConvNet<A> {
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let [target, top_conv, pooled] = self.features(images);
        let upper = self.upper(pooled, |units| units);
        let scores = self.head.forward(upper[1].clone());
        Tapped { target, top_conv, upper: upper.into(), scores }
    }

    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        self.features_up_to(images, A::target() + 1).1
    }

    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }

    fn preprocessing(&self) -> Preprocessing {
        self.preprocessing.clone()
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
            top: TopLayer::Conv(&self.convs.last().expect("an architecture has a convolution").conv),
            length: A::side(A::target(), self.preprocessing.size).expect("checked when the network was made"),
            pool,
            upper: vec![&self.fc6, &self.fc7],
        }
    }
}

pub(crate) fn zero_linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).with_initializer(Initializer::Zeros).init(device)
}

/// Draws a layer's weights anew; the bias stays.
pub(crate) fn randomize(linear: &mut Linear, rng: &mut ChaCha8Rng) {
    let shape @ [inputs, _] = linear.weight.dims();
    linear.weight = he_normal(shape, inputs, rng, &linear.weight.device());
}
