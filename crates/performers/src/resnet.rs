//! Residual networks.

use std::marker::PhantomData;

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use explainer_core::{Blueprint, Performer, Pooling, Preprocessing, Tapped, TopLayer};
use explainer_metrics::ReceptiveField;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::layer::ConvLayer;
use crate::network::{randomize, zero_linear};

/// One convolution of a block's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockConv {
    /// Side of the kernel, padded by half of it.
    pub kernel: usize,
    /// Its output channels over the stage's width.
    pub expansion: usize,
    /// Whether it makes the step of a stage's first block.
    pub step: Step,
}

/// Where a block's maps become smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Here, in the first block of a stage: half as large from the second stage on.
    Stage,
    /// Not here.
    One,
}

/// A network of residual blocks: a 7×7 convolution, a pool, four stages of blocks, the average over the
/// maps, and a head. [`ResNet`] builds, runs and loads any that this table describes.
pub trait ResidualArchitecture: Clone + std::fmt::Debug + Send + 'static {
    /// The network's name in messages.
    const NAME: &'static str;

    /// Blocks of each stage. The last stage has two at least.
    const BLOCKS: [usize; 4];

    /// The convolutions of a block, with a ReLU between them.
    const BLOCK: &'static [BlockConv];

    /// Output channels of a block over the stage's width.
    fn expansion() -> usize {
        Self::BLOCK.last().expect("a block has a convolution").expansion
    }
}

/// ResNet-18 as torchvision has it (He et al., arXiv:1512.03385). See [`ResNet`].
pub type ResNet18 = ResNet<ResNet18Layers>;

/// The table of [`ResNet18`].
#[derive(Clone, Debug)]
pub struct ResNet18Layers;

impl ResidualArchitecture for ResNet18Layers {
    const NAME: &'static str = "ResNet-18";
    const BLOCKS: [usize; 4] = [2, 2, 2, 2];
    const BLOCK: &'static [BlockConv] = &[
        BlockConv { kernel: 3, expansion: 1, step: Step::Stage },
        BlockConv { kernel: 3, expansion: 1, step: Step::One },
    ];
}

/// ResNet-50 as torchvision has it: a stage's step is made by the 3×3 convolution. See [`ResNet`].
pub type ResNet50 = ResNet<ResNet50Layers>;

/// The table of [`ResNet50`].
#[derive(Clone, Debug)]
pub struct ResNet50Layers;

impl ResidualArchitecture for ResNet50Layers {
    const NAME: &'static str = "ResNet-50";
    const BLOCKS: [usize; 4] = [3, 4, 6, 3];
    const BLOCK: &'static [BlockConv] = &[
        BlockConv { kernel: 1, expansion: 1, step: Step::One },
        BlockConv { kernel: 3, expansion: 1, step: Step::Stage },
        BlockConv { kernel: 1, expansion: 4, step: Step::One },
    ];
}

/// The sizes that a [`ResidualArchitecture`] leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetSizes {
    /// Output channels of the first convolution.
    pub stem: usize,
    /// Widths of the four stages.
    pub widths: [usize; 4],
    /// Outputs of the head.
    pub classes: usize,
    /// Height and width of the images.
    pub input: usize,
}

impl ResNetSizes {
    /// Those of the published networks: 64 to 512 channels, 1000 classes, 224×224 pixels.
    pub const PUBLISHED: Self = Self { stem: 64, widths: [64, 128, 256, 512], classes: 1000, input: 224 };

    /// All blocks, from the lowest.
    pub(crate) fn blocks<A: ResidualArchitecture>(&self) -> Vec<BlockTable> {
        let mut inputs = self.stem;
        let mut blocks = Vec::new();
        for (stage, (&count, &width)) in A::BLOCKS.iter().zip(&self.widths).enumerate() {
            for number in 0..count {
                let stride = if number == 0 && stage > 0 { 2 } else { 1 };
                let outputs = width * A::expansion();
                let connection = match stride == 1 && inputs == outputs {
                    true => Connection::Identity,
                    false => Connection::Projection { inputs, outputs, stride },
                };
                let convs = convs::<A>(&mut inputs, width, stride);
                blocks.push(BlockTable { stage, number, convs, connection });
            }
        }
        blocks
    }
}

/// A block's convolutions; `inputs` becomes the next block's.
fn convs<A: ResidualArchitecture>(inputs: &mut usize, width: usize, stride: usize) -> Vec<BlockConvolution> {
    let conv = |&BlockConv { kernel, expansion, step }: &BlockConv| {
        let stride = if step == Step::Stage { stride } else { 1 };
        let outputs = width * expansion;
        BlockConvolution { inputs: std::mem::replace(inputs, outputs), outputs, kernel, stride }
    };
    A::BLOCK.iter().map(conv).collect()
}

/// A block of a network.
pub(crate) struct BlockTable {
    /// From 0.
    pub(crate) stage: usize,
    /// Within the stage, from 0.
    pub(crate) number: usize,
    pub(crate) convs: Vec<BlockConvolution>,
    pub(crate) connection: Connection,
}

/// A convolution of a network's block.
#[derive(Clone, Copy)]
pub(crate) struct BlockConvolution {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

/// What leads around a block.
pub(crate) enum Connection {
    Identity,
    /// A 1×1 convolution.
    Projection {
        inputs: usize,
        outputs: usize,
        stride: usize,
    },
}

/// A residual network of the architecture `A`, [`ResNet18`] or [`ResNet50`], explained at the input of its
/// last block. Batch-norms are folded into the convolutions when weights are loaded.
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
    #[module(skip)]
    architecture: PhantomData<A>,
}

/// A residual block: `relu(convs(x) + connection(x))`.
#[derive(Module, Debug)]
struct Block {
    convs: Vec<ConvLayer>,
    /// In place of the identity.
    projection: Option<ConvLayer>,
}

impl Block {
    fn zeros(table: &BlockTable, device: &Device) -> Self {
        let conv = |&BlockConvolution { inputs, outputs, kernel, stride }: &BlockConvolution| {
            let config = Conv2dConfig::new([inputs, outputs], [kernel; 2]).with_stride([stride; 2]);
            ConvLayer::zeros(config, kernel / 2, device)
        };
        let projection = match table.connection {
            Connection::Identity => None,
            Connection::Projection { inputs, outputs, stride } => {
                Some(conv(&BlockConvolution { inputs, outputs, kernel: 1, stride }))
            }
        };
        Self { convs: table.convs.iter().map(conv).collect(), projection }
    }

    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let around = match &self.projection {
            Some(projection) => projection.forward(maps.clone()),
            None => maps.clone(),
        };
        let mut convs = self.convs.iter();
        let first = convs.next().expect("a block has a convolution").forward(maps);
        let through = convs.fold(first, |maps, conv| conv.forward(relu(maps)));
        relu(through + around)
    }

    /// All its convolutions through `change`.
    fn map(self, change: fn(ConvLayer) -> ConvLayer) -> Self {
        Self {
            convs: self.convs.into_iter().map(change).collect(),
            projection: self.projection.map(change),
        }
    }
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
            architecture: PhantomData,
        }
    }

    /// Another network of the same sizes and preprocessing with random weights drawn from `seed`: the
    /// control of an explanation. See [`init`](Self::init).
    pub fn randomized(&self, seed: u64) -> Self {
        Self::init(self.sizes(), self.preprocessing.clone(), seed, &self.device())
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

    /// Side of the last stage's maps: halved five times, rounded up.
    fn length(&self) -> usize {
        self.preprocessing.size.div_ceil(32)
    }
}

impl<A: ResidualArchitecture> Performer for ResNet<A> {
    fn tap(&self, images: Tensor<4>) -> Tapped {
        let [batch, _, height, width] = images.dims();
        let size = self.preprocessing.size;
        assert_eq!(
            images.dims(),
            [batch, 3, size, size],
            "{} takes images [batch, 3, {size}, {size}], not {height}×{width} ones",
            A::NAME
        );
        let (last, lower) = self.blocks.split_last().expect("an architecture has a block");
        let pooled = STEM_POOL.forward(relu(self.stem.forward(images)));
        let target = lower.iter().fold(pooled, |maps, block| block.forward(maps));
        let top_conv = last.forward(target.clone());
        let mean = Pooling::global_average(self.length()).forward(top_conv.clone()).flatten(1, 3);
        Tapped { target, top_conv, scores: self.head.forward(mean.clone()), upper: vec![mean] }
    }

    fn head(&self, upper: Tensor<2>) -> Tensor<2> {
        self.head.forward(upper)
    }

    fn preprocessing(&self) -> Preprocessing {
        self.preprocessing.clone()
    }

    /// The shape of a block's paths differs; this is the longest one's, through all convolutions.
    fn target_field(&self) -> ReceptiveField {
        Self::field(self.blocks.len() - 1)
    }

    fn top_conv_field(&self) -> ReceptiveField {
        Self::field(self.blocks.len())
    }

    fn blueprint(&self) -> Blueprint<'_> {
        let length = self.length();
        Blueprint {
            top: TopLayer::Block { channels: self.head.weight.dims()[0] },
            length,
            pool: Pooling::global_average(length),
            upper: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receptive_fields_match_those_worked_out_by_hand() {
        // All kernels are padded by half of them: every centre is pixel 0. Sizes: conv1 7, pool +2·2 = 11,
        // at stride 4. ResNet-18: stage 1: 4 convolutions, 11 + 4·8 = 43; stage 2: +8, then 3 at stride 8:
        // 51 + 3·16 = 99; stage 3: +16, 115 + 3·32 = 211; stage 4: +32, 243 + 64 = 307, the last block
        // 307 + 2·64 = 435.
        let field = |size| ReceptiveField { stride: 32.0, center: 0.0, size };
        assert_eq!([7, 8].map(ResNet18::field), [field(307), field(435)]);
        // ResNet-50, 3×3 only: stage 1: 11 + 3·8 = 35; stage 2: +8, 43 + 3·16 = 91; stage 3: +16,
        // 107 + 5·32 = 267; stage 4: +32, 299 + 64 = 363, the last block 427.
        assert_eq!([15, 16].map(ResNet50::field), [field(363), field(427)]);
    }

    #[test]
    fn blocks_have_torchvisions_channels_and_projections() {
        let eighteen = ResNetSizes::PUBLISHED.blocks::<ResNet18Layers>();
        let projected = |blocks: &[BlockTable]| -> Vec<usize> {
            let is = |table: &&BlockTable| matches!(table.connection, Connection::Projection { .. });
            blocks.iter().filter(is).map(|table| table.stage).collect()
        };
        assert_eq!((eighteen.len(), projected(&eighteen)), (8, vec![1, 2, 3]));
        let fifty = ResNetSizes::PUBLISHED.blocks::<ResNet50Layers>();
        assert_eq!((fifty.len(), projected(&fifty)), (16, vec![0, 1, 2, 3]));
        let first = &fifty[3].convs;
        let shapes: Vec<_> = first.iter().map(|c| (c.inputs, c.outputs, c.kernel, c.stride)).collect();
        assert_eq!(shapes, [(256, 128, 1, 1), (128, 128, 3, 2), (128, 512, 1, 1)]);
    }

    #[test]
    fn maps_of_any_input_have_the_blueprints_length() {
        let device = Device::flex();
        for input in [32, 33, 48, 65] {
            let sizes = ResNetSizes { stem: 2, widths: [2, 2, 3, 4], classes: 3, input };
            let network = ResNet50::init(sizes, Preprocessing::imagenet(input), 1, &device);
            assert_eq!(network.sizes(), sizes);
            let tapped = network.tap(Tensor::ones([1, 3, input, input], &device));
            let length = network.blueprint().length;
            assert_eq!(tapped.target.dims(), [1, 16, length, length], "{input}");
            assert_eq!((tapped.upper[0].dims(), tapped.scores.dims()), ([1, 16], [1, 3]));
        }
    }
}
