//! The network that an architecture's table describes.

use std::marker::PhantomData;
use std::ops::Range;

use burn::module::{Initializer, Module};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{Linear, LinearConfig, LocalResponseNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_core::{Activations, Blueprint, Performer, Preprocessing, TopLayer, UpperTaps};
use explainer_metrics::ReceptiveField;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::PerformerError;
use crate::architecture::{Architecture, Convolution, Layer, ResponseNorm, Sizes};
use crate::layer::{ConvLayer, he_normal};

/// A convolutional network of the architecture `A` with fc6, fc7 and a head:
/// [`AlexNet`](crate::AlexNet), [`VggM`](crate::VggM), [`Vgg16`](crate::Vgg16), …
///
/// Made by [`ConvNetConfig::init`](crate::ConvNetConfig::init) or loaded with [`load`](Self::load). The target
/// layer is [`Architecture::target`], unless [`with_target`](Self::with_target) names another.
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
    /// Row of the target layer.
    #[module(skip)]
    target: usize,
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
        Self {
            convs,
            fc6,
            fc7,
            head,
            preprocessing,
            class_names: Vec::new(),
            target: A::target(),
            architecture: PhantomData,
        }
    }

    /// The network explained at row `row` of its [table](Architecture::FEATURES), any below the top conv-layer:
    /// a convolution before its ReLU, a ReLU, a pool.
    ///
    /// # Errors
    /// [`PerformerError::Target`] for another row.
    pub fn with_target(self, row: usize) -> Result<Self, PerformerError> {
        let layers = A::top_conv();
        if row >= layers {
            return Err(PerformerError::Target { architecture: A::NAME, layer: row, layers });
        }
        Ok(Self { target: row, ..self })
    }

    /// Another network of the same sizes and preprocessing with random weights drawn from `seed`: the
    /// control of an explanation. See [`init`](Self::init).
    pub fn randomized(&self, seed: u64) -> Self {
        let network = Self::init(self.sizes(), self.preprocessing.clone(), seed, &self.device());
        Self { target: self.target, ..network }
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
        self.regularized(images, |units| units).1
    }

    /// The top conv's maps, and [`forward`](Self::forward) with relu6 and relu7 through `regularize`.
    pub(crate) fn regularized(
        &self,
        images: Tensor<4>,
        regularize: impl FnMut(Tensor<2>) -> Tensor<2>,
    ) -> (Tensor<4>, Tensor<2>) {
        self.assert_size(&images);
        // The ReLU behind the top conv-layer.
        let top = A::top_conv() + 1;
        let maps = self.rows(0..top + 1, images);
        let pooled = self.rows(top + 1..A::FEATURES.len(), maps.clone());
        let [_, fc7] = self.upper(pooled, regularize);
        (maps, self.head.forward(fc7))
    }

    /// All convolutions through `change`.
    pub(crate) fn map_convs(mut self, change: fn(ConvLayer) -> ConvLayer) -> Self {
        self.convs = self.convs.into_iter().map(change).collect();
        self
    }

    fn assert_size(&self, images: &Tensor<4>) {
        let [batch, _, height, width] = images.dims();
        let size = self.preprocessing.size;
        assert_eq!(
            images.dims(),
            [batch, 3, size, size],
            "{} takes images [batch, 3, {size}, {size}], not {height}×{width} ones",
            A::NAME
        );
    }

    /// What these rows of the table make of what the row before them has made.
    fn rows(&self, rows: Range<usize>, maps: Tensor<4>) -> Tensor<4> {
        let is_conv = |layer: &Layer| matches!(layer, Layer::Conv { .. });
        let below = A::FEATURES[..rows.start].iter().filter(|layer| is_conv(layer)).count();
        let mut convs = self.convs[below..].iter();
        let layers = &A::FEATURES[rows];
        layers.iter().enumerate().fold(maps, |maps, (row, layer)| match *layer {
            Layer::Conv { .. } => {
                let conv = convs.next().expect("a convolution for each row");
                // One pass for both.
                let rectified = matches!(layers.get(row + 1), Some(Layer::Relu));
                if rectified { conv.rectified(maps) } else { conv.forward(maps) }
            }
            Layer::Relu if row > 0 && is_conv(&layers[row - 1]) => maps,
            Layer::Relu => relu(maps),
            Layer::Pool(pool) => pool.forward(maps),
            Layer::ResponseNorm(ResponseNorm { size, alpha, beta, k }) => {
                let norm = LocalResponseNormConfig::new(size).with_alpha(alpha).with_beta(beta);
                norm.with_k(k).init().forward(maps)
            }
        })
    }

    /// relu6 and relu7 of pooled features, each through `regularize`.
    fn upper(&self, pooled: Tensor<4>, mut regularize: impl FnMut(Tensor<2>) -> Tensor<2>) -> [Tensor<2>; 2] {
        let fc6 = regularize(relu(self.fc6.forward(pooled.flatten(1, 3))));
        let fc7 = regularize(relu(self.fc7.forward(fc6.clone())));
        [fc6, fc7]
    }
}

impl<A: Architecture> Performer for ConvNet<A> {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        self.assert_size(&images);
        self.rows(0..self.target + 1, images)
    }

    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        // The ReLU behind the top conv-layer.
        let top = A::top_conv() + 1;
        let top_conv = self.rows(self.target + 1..top + 1, target);
        let pooled = self.rows(top + 1..A::FEATURES.len(), top_conv.clone());
        let upper = self.upper(pooled, |units| units);
        let scores = self.head.forward(upper[1].clone());
        UpperTaps { top_conv, upper: upper.into(), scores }
    }

    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }

    fn preprocessing(&self) -> Preprocessing {
        self.preprocessing.clone()
    }

    fn target_field(&self) -> ReceptiveField {
        A::field(self.target)
    }

    fn top_conv_field(&self) -> ReceptiveField {
        A::field(A::top_conv())
    }

    fn blueprint(&self) -> Blueprint<'_> {
        let Some(&Layer::Pool(pool)) = A::FEATURES.last() else {
            panic!("the table of {} does not end in a pool", A::NAME)
        };
        let side = |row| A::side(row, self.preprocessing.size).expect("checked when the network was made");
        let convs = self.sizes().convs::<A>();
        let top = match self.target == A::target() {
            true => TopLayer::Conv(&self.convs.last().expect("an architecture has a convolution").conv),
            false => {
                let below = convs.iter().rfind(|conv| conv.row <= self.target);
                let channels = below.map_or(3, |conv| conv.outputs);
                let top = convs.last().expect("an architecture has a convolution").outputs;
                TopLayer::Layers { channels: [channels, top], length: side(A::top_conv()) }
            }
        };
        Blueprint {
            top,
            length: side(self.target),
            pool,
            upper: vec![&self.fc6, &self.fc7],
            activations: Activations::default(),
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
