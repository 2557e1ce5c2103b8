//! Residual networks as tables.

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
/// maps, and a head. [`ResNet`](super::ResNet) builds, runs and loads any that this table describes.
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

/// ResNet-18 as torchvision has it (He et al., arXiv:1512.03385). See [`ResNet`](super::ResNet).
pub type ResNet18 = super::ResNet<ResNet18Layers>;

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

/// ResNet-50 as torchvision has it: a stage's step is made by the 3×3 convolution. See [`ResNet`](super::ResNet).
pub type ResNet50 = super::ResNet<ResNet50Layers>;

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
