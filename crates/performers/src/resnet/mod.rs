//! Residual networks.

mod block;
mod table;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use block::Block;
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_core::{Activations, Blueprint, Performer, Pooling, Preprocessing, TopLayer, UpperTaps};
use explainer_metrics::ReceptiveField;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub(crate) use table::Connection;
pub use table::{
    BlockConv, ResNet18, ResNet18Layers, ResNet50, ResNet50Layers, ResNetSizes, ResidualArchitecture, Step,
};

use crate::layer::ConvLayer;
use crate::network::{randomize, zero_linear};
use crate::{PerformerError, TargetLayer};

/// A residual network of the architecture `A`, [`ResNet18`] or [`ResNet50`], explained at the input of its
/// last block unless [`with_target`](Self::with_target) names another layer. Batch-norms are folded into the
/// convolutions when weights are loaded.
///
/// | layer of the method | here | maps at 224×224 of ResNet-18, -50 |
/// |---|---|---|
/// | target | the last block's input, after its ReLU | 7×7×512, ×2048 |
/// | top conv | the last block's output, after its ReLU | 7×7×512, ×2048 |
/// | upper | the average over the maps, which the head reads | 512, 2048 |
///
/// # What the skip connection does to the reading
/// The last block's output is what its convolutions make of the input *plus the input itself*. So an
/// explainer that passes the target features on already reconstructs much of what the head reads, whether
/// or not its filters are parts, and every channel of the top features may show two things at once: the
/// block's own pattern and the one below it. A part that is found here need not have been made by the last
/// block. In the same way the target features carry those of all blocks of the stage. The paper takes
/// networks without such connections for that reason; conv-interp-1 starts as the connection here
/// ([`TopLayer::Block`]), since no single conv-layer leads from the target to the top features. At 7×7
/// units of 32 pixels, places are coarse as well.
///
/// # Shapes
/// - images: `[batch, 3, size, size]`, preprocessed
/// - scores: `[batch, classes]`, before softmax
#[derive(Module, Debug)]
pub struct ResNet<A: ResidualArchitecture> {
    stem: ConvLayer,
    blocks: Vec<Block>,
    head: Linear,
    #[module(skip)]
    preprocessing: Preprocessing,
    #[module(skip)]
    class_names: Vec<String>,
    /// Blocks below the target layer.
    #[module(skip)]
    below: usize,
    #[module(skip)]
    architecture: PhantomData<A>,
}

/// Kernel, stride and padding of the first convolution and of the pool behind it.
pub(crate) const STEM: [usize; 3] = [7, 2, 3];
const STEM_POOL: Pooling = Pooling::max(3, 2).with_padding(1);

impl<A: ResidualArchitecture> ResNet<A> {
    /// A network with random weights drawn from `seed`, the same on every backend: normal with
    /// variance `2 / fan_in` (He et al., arXiv:1502.01852), biases zero. The last convolution of each block
    /// starts a tenth as large: a network without batch-norms would grow from block to block.
    ///
    /// # Panics
    /// If `sizes.input` differs from the preprocessing's size, or is 0.
    pub fn init(sizes: ResNetSizes, preprocessing: Preprocessing, seed: u64, device: &Device) -> Self {
        const SMALL: f64 = 0.1;
        let mut network = Self::zeros(sizes, preprocessing, device);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        network.stem.randomize(&mut rng);
        for block in &mut network.blocks {
            block.convs.iter_mut().chain(&mut block.projection).for_each(|layer| layer.randomize(&mut rng));
            if let Some(last) = block.convs.last_mut() {
                last.conv.weight = last.conv.weight.clone().map(|weight| weight.mul_scalar(SMALL));
            }
        }
        randomize(&mut network.head, &mut rng);
        network
    }

    /// A network whose weights are all zero, to be loaded.
    pub(crate) fn zeros(sizes: ResNetSizes, preprocessing: Preprocessing, device: &Device) -> Self {
        assert_eq!(sizes.input, preprocessing.size, "sizes and preprocessing differ in the images' side");
        assert!(sizes.input > 0, "{} needs images of a pixel at least", A::NAME);
        let [kernel, stride, padding] = STEM;
        let stem = Conv2dConfig::new([3, sizes.stem], [kernel; 2]).with_stride([stride; 2]);
        let blocks = sizes.blocks::<A>();
        Self {
            stem: ConvLayer::zeros(stem, padding, device),
            blocks: blocks.iter().map(|table| Block::zeros(table, device)).collect(),
            head: zero_linear(sizes.widths[3] * A::expansion(), sizes.classes, device),
            preprocessing,
            class_names: Vec::new(),
            below: blocks.len() - 1,
            architecture: PhantomData,
        }
    }

    /// The network explained at another layer, any but the last block.
    ///
    /// # Errors
    /// [`PerformerError::Target`] for another block.
    pub fn with_target(self, layer: TargetLayer) -> Result<Self, PerformerError> {
        let below = layer.below(self.blocks.len() - 1, A::NAME)?;
        Ok(Self { below, ..self })
    }

    /// Another network of the same sizes and preprocessing with random weights drawn from `seed`: the
    /// control of an explanation. See [`init`](Self::init).
    pub fn randomized(&self, seed: u64) -> Self {
        let network = Self::init(self.sizes(), self.preprocessing.clone(), seed, &self.device());
        Self { below: self.below, ..network }
    }

    /// The network's sizes.
    pub fn sizes(&self) -> ResNetSizes {
        let mut first = 0;
        let widths = A::BLOCKS.map(|blocks| {
            let width = self.blocks[first].convs[0].conv.weight.dims()[0];
            first += blocks;
            width / A::BLOCK[0].expansion
        });
        let [_, classes] = self.head.weight.dims();
        let stem = self.stem.conv.weight.dims()[0];
        ResNetSizes { stem, widths, classes, input: self.preprocessing.size }
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
        self
    }

    /// Receptive field of the units behind the first `blocks` blocks.
    fn field(blocks: usize) -> ReceptiveField {
        let [kernel, stride, padding] = STEM;
        let Pooling { kernel: pool, stride: step, padding: around, .. } = STEM_POOL;
        let stem = ReceptiveField::pixels().then(kernel, stride, padding).then(pool, step, around);
        let tables = ResNetSizes::PUBLISHED.blocks::<A>();
        let convs = tables.iter().take(blocks).flat_map(|table| &table.convs);
        convs.fold(stem, |field, conv| field.then(conv.kernel, conv.stride, conv.kernel / 2))
    }

    /// Side of the maps behind the first `blocks` blocks: each stage's, halved and rounded up.
    fn length(&self, blocks: usize) -> usize {
        let tables = ResNetSizes::PUBLISHED.blocks::<A>();
        let stage = blocks.checked_sub(1).map_or(0, |block| tables[block].stage);
        self.preprocessing.size.div_ceil(4 << stage)
    }
}

impl<A: ResidualArchitecture> Performer for ResNet<A> {
    fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = images.dims();
        let size = self.preprocessing.size;
        assert_eq!(
            images.dims(),
            [batch, 3, size, size],
            "{} takes images [batch, 3, {size}, {size}], not {height}×{width} ones",
            A::NAME
        );
        let pooled = STEM_POOL.forward(relu(self.stem.forward(images)));
        self.blocks[..self.below].iter().fold(pooled, |maps, block| block.forward(maps))
    }

    fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
        let top_conv = self.blocks[self.below..].iter().fold(target, |maps, block| block.forward(maps));
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

    /// The shape of a block's paths differs; this is the longest one's, through all convolutions.
    fn target_field(&self) -> ReceptiveField {
        Self::field(self.below)
    }

    fn top_conv_field(&self) -> ReceptiveField {
        Self::field(self.blocks.len())
    }

    fn blueprint(&self) -> Blueprint<'_> {
        let [length, top_length] = [self.below, self.blocks.len()].map(|blocks| self.length(blocks));
        let [channels, _] = self.head.weight.dims();
        let target = match self.below.checked_sub(1) {
            Some(block) => self.blocks[block].convs.last().expect("a block has a convolution"),
            None => &self.stem,
        };
        let [target, ..] = target.conv.weight.dims();
        let top = match self.below + 1 == self.blocks.len() && target == channels {
            true => TopLayer::Block { channels },
            false => TopLayer::Layers { channels: [target, channels], length: top_length },
        };
        Blueprint {
            top,
            length,
            pool: Pooling::global_average(top_length),
            upper: Vec::new(),
            activations: Activations::default(),
        }
    }
}
