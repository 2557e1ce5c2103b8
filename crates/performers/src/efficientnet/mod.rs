//! EfficientNet-Lite.

mod block;
mod table;
#[cfg(test)]
mod tests;

use block::{InvertedBlock, same_conv};
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use explainer_core::{
    Activation, Activations, Blueprint, Performer, Pooling, Preprocessing, TopLayer, UpperTaps,
};
use explainer_metrics::ReceptiveField;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use table::EfficientNetLiteSizes;
use table::same_padding;
pub(crate) use table::{BlockTable, STEM};

use crate::PerformerError;
use crate::layer::ConvLayer;
use crate::network::{randomize, zero_linear};

/// A layer between the blocks of a network of blocks, at which it can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetLayer {
    /// What the first block reads.
    Stem,
    /// The output of a block, counted from 0 through all stages.
    Block(usize),
}

impl TargetLayer {
    /// Blocks below the layer.
    ///
    /// # Errors
    /// [`PerformerError::Target`] if the network cannot be explained behind its block of that number, but
    /// behind the first `blocks` only.
    pub(crate) fn below(self, blocks: usize, architecture: &'static str) -> Result<usize, PerformerError> {
        match self {
            Self::Stem => Ok(0),
            Self::Block(block) if block < blocks => Ok(block + 1),
            Self::Block(layer) => Err(PerformerError::Target { architecture, layer, layers: blocks }),
        }
    }
}

/// EfficientNet-Lite (Tan and Le, arXiv:1905.11946, without squeeze-and-excite and with ReLU6): a stem, stages of
/// inverted-residual blocks with depthwise convolutions, a 1×1 convolution to 1280 channels, the average over
/// the maps, and a head. Batch-norms are folded into the convolutions when weights are loaded.
///
/// All of its sizes come from one table: [`EfficientNetLiteSizes::LITE0`], `LITE1` and `LITE2`. Convolutions with stride
/// 2 pad as TensorFlow does, with the odd zero below and to the right; receptive fields take that into account.
///
/// It is explained at the output of its last block, unless [`with_target`](Self::with_target) names another layer:
///
/// | layer of the method | here | maps of Lite0 |
/// |---|---|---|
/// | target | a block's output, linear: it may be negative; or the stem's, after ReLU6 | block 10: 14×14×112; block 15, the last: 7×7×320 |
/// | top conv | the 1×1 convolution, after ReLU6 | 7×7×1280 |
/// | upper | the average over the maps, which the head reads | 1280 |
///
/// # Shapes
/// - images: `[batch, 3, size, size]`, preprocessed: `(x − 127) / 128` of pixels x in 0..255
/// - scores: `[batch, classes]`, before softmax
#[derive(Module, Debug)]
pub struct EfficientNetLite {
    stem: ConvLayer,
    blocks: Vec<InvertedBlock>,
    top: ConvLayer,
    head: Linear,
    #[module(skip)]
    sizes: EfficientNetLiteSizes,
    #[module(skip)]
    preprocessing: Preprocessing,
    #[module(skip)]
    class_names: Vec<String>,
    /// Blocks below the target layer.
    #[module(skip)]
    below: usize,
}

impl EfficientNetLite {
    /// The published networks' preprocessing: `(x − 127) / 128`.
    pub fn preprocessing_of(size: usize) -> Preprocessing {
        Preprocessing::new(size, [127.0 / 255.0; 3], [128.0 / 255.0; 3])
    }

    /// A network with random weights drawn from `seed`, the same on every backend: normal with
    /// variance `2 / fan_in` (He et al., arXiv:1502.01852), biases zero. The last convolution of a block with a
    /// connection around it starts a tenth as large: a network without batch-norms would grow from block to block.
    ///
    /// # Panics
    /// If `sizes.input` differs from the preprocessing's size, or is 0.
    pub fn init(
        sizes: EfficientNetLiteSizes,
        preprocessing: Preprocessing,
        seed: u64,
        device: &Device,
    ) -> Self {
        const SMALL: f64 = 0.1;
        let mut network = Self::zeros(sizes, preprocessing, device);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        network.stem.randomize(&mut rng);
        for (block, table) in network.blocks.iter_mut().zip(sizes.blocks()) {
            block.convs().for_each(|layer| layer.randomize(&mut rng));
            if table.skips() {
                let weight = &mut block.project.conv.weight;
                *weight = weight.clone().map(|weight| weight.mul_scalar(SMALL));
            }
        }
        network.top.randomize(&mut rng);
        randomize(&mut network.head, &mut rng);
        network
    }

    /// A network whose weights are all zero, to be loaded.
    pub(crate) fn zeros(sizes: EfficientNetLiteSizes, preprocessing: Preprocessing, device: &Device) -> Self {
        assert_eq!(sizes.input, preprocessing.size, "sizes and preprocessing differ in the images' side");
        assert!(sizes.input > 0, "{} needs images of a pixel at least", sizes.name());
        let tables = sizes.blocks();
        let [kernel, stride] = STEM;
        let (stem, padding) = same_conv([3, sizes.stem], kernel, stride, sizes.input);
        let block = |(index, table)| InvertedBlock::zeros(table, sizes.side(index), device);
        let last = tables.last().map_or(sizes.stem, |table| table.outputs);
        let top = Conv2dConfig::new([last, sizes.head], [1, 1]);
        Self {
            stem: ConvLayer::padded(stem, padding, device),
            blocks: tables.iter().enumerate().map(block).collect(),
            top: ConvLayer::padded(top, [0; 4], device),
            head: zero_linear(sizes.head, sizes.classes, device),
            sizes,
            preprocessing,
            class_names: Vec::new(),
            below: tables.len(),
        }
    }

    /// The network explained at another layer.
    ///
    /// # Errors
    /// [`PerformerError::Target`] for a block that it does not have.
    pub fn with_target(self, layer: TargetLayer) -> Result<Self, PerformerError> {
        let below = layer.below(self.blocks.len(), self.sizes.name())?;
        Ok(Self { below, ..self })
    }

    /// The layer at which the network is explained.
    pub fn target(&self) -> TargetLayer {
        self.below.checked_sub(1).map_or(TargetLayer::Stem, TargetLayer::Block)
    }

    /// Another network of the same sizes, preprocessing and target with random weights drawn from `seed`: the
    /// control of an explanation. See [`init`](Self::init).
    pub fn randomized(&self, seed: u64) -> Self {
        let network = Self::init(self.sizes, self.preprocessing.clone(), seed, &self.device());
        Self { below: self.below, ..network }
    }

    /// The network's sizes.
    pub fn sizes(&self) -> EfficientNetLiteSizes {
        self.sizes
    }

    /// The names of the classes in the order of the scores, where the weights' file has them; else none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    pub(crate) fn with_class_names(mut self, names: Vec<String>) -> Self {
        self.class_names = names;
        self
    }

    /// Gives random weights to the head.
    pub(crate) fn randomize_head(&mut self, seed: u64) {
        randomize(&mut self.head, &mut ChaCha8Rng::seed_from_u64(seed));
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.head.weight.device()
    }

    /// The scores of preprocessed images, `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.tap(images).scores
    }

    /// All convolutions through `change`.
    pub(crate) fn map_convs(mut self, change: fn(ConvLayer) -> ConvLayer) -> Self {
        self.stem = change(self.stem);
        self.blocks = self.blocks.into_iter().map(|block| block.map(change)).collect();
        self.top = change(self.top);
        self
    }

    /// Receptive field of the units behind the stem and the first `blocks` blocks, through all convolutions.
    fn field(&self, blocks: usize) -> ReceptiveField {
        let then = |field: ReceptiveField, side, kernel, stride| {
            let [before, _] = same_padding(side, kernel, stride);
            field.then(kernel, stride, before)
        };
        let [kernel, stride] = STEM;
        let stem = then(ReceptiveField::pixels(), self.sizes.input, kernel, stride);
        let tables = self.sizes.blocks().into_iter().take(blocks).enumerate();
        tables.fold(stem, |field, (index, table)| {
            then(field, self.sizes.side(index), table.kernel, table.stride)
        })
    }
}

impl Performer for EfficientNetLite {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = images.dims();
        let size = self.sizes.input;
        assert_eq!(
            images.dims(),
            [batch, 3, size, size],
            "{} takes images [batch, 3, {size}, {size}], not {height}×{width} ones",
            self.sizes.name()
        );
        let stem = self.stem.activated(Activation::Relu6, images);
        self.blocks[..self.below].iter().fold(stem, |maps, block| block.forward(maps))
    }

    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let maps = self.blocks[self.below..].iter().fold(target, |maps, block| block.forward(maps));
        let top_conv = self.top.activated(Activation::Relu6, maps);
        let [.., length] = top_conv.dims();
        let mean = Pooling::global_average(length).forward(top_conv.clone()).flatten(1, 3);
        UpperTaps { top_conv, scores: self.head.forward(mean.clone()), upper: vec![mean] }
    }

    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }

    fn preprocessing(&self) -> Preprocessing {
        self.preprocessing.clone()
    }

    fn target_field(&self) -> ReceptiveField {
        self.field(self.below)
    }

    /// That of the last block: the top conv-layer is 1×1.
    fn top_conv_field(&self) -> ReceptiveField {
        self.field(self.blocks.len())
    }

    fn blueprint(&self) -> Blueprint<'_> {
        let [length, top_length] = [self.below, self.blocks.len()].map(|blocks| self.sizes.side(blocks));
        let top = match self.below == self.blocks.len() {
            true => TopLayer::Conv(&self.top.conv),
            false => {
                let tables = self.sizes.blocks();
                let target = self.below.checked_sub(1).map_or(self.sizes.stem, |block| tables[block].outputs);
                TopLayer::Layers { channels: [target, self.sizes.head], length: top_length }
            }
        };
        Blueprint {
            top,
            length,
            pool: Pooling::global_average(top_length),
            upper: Vec::new(),
            activations: Activations::all(Activation::Relu6),
        }
    }
}
