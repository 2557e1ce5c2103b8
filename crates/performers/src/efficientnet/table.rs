//! The EfficientNet-Lite networks as a table.

/// Inverted-residual blocks of one width.
pub(crate) struct Stage {
    /// Blocks, before the depth multiplier.
    repeats: usize,
    /// Side of the depthwise kernels.
    pub(crate) kernel: usize,
    /// Of the first block; the others have 1.
    pub(crate) stride: usize,
    /// Channels inside a block over its input's.
    pub(crate) expansion: usize,
    /// Output channels, before the width multiplier.
    outputs: usize,
}

const fn stage(repeats: usize, kernel: usize, stride: usize, expansion: usize, outputs: usize) -> Stage {
    Stage { repeats, kernel, stride, expansion, outputs }
}

/// Table 1 of arXiv:1905.11946.
pub(crate) const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// Kernel and stride of the stem.
pub(crate) const STEM: [usize; 2] = [3, 2];

/// The sizes of an [`EfficientNetLite`](super::EfficientNetLite).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EfficientNetLiteSizes {
    /// Output channels of the first convolution.
    pub stem: usize,
    /// Output channels of the seven stages.
    pub widths: [usize; 7],
    /// Blocks of the seven stages.
    pub repeats: [usize; 7],
    /// Output channels of the 1×1 convolution on top.
    pub head: usize,
    /// Scores.
    pub classes: usize,
    /// Height and width of the images.
    pub input: usize,
}

impl EfficientNetLiteSizes {
    /// EfficientNet-Lite0: 224×224 pixels, 16 blocks.
    pub const LITE0: Self = Self::scaled(10, 10, 224);
    /// EfficientNet-Lite1: 240×240 pixels, 21 blocks.
    pub const LITE1: Self = Self::scaled(10, 11, 240);
    /// EfficientNet-Lite2: 260×260 pixels, 21 blocks, 1.1 times as wide.
    pub const LITE2: Self = Self::scaled(11, 12, 260);

    /// The published network of a width and a depth multiplier, in tenths. The stem, the top conv-layer and
    /// the depth of the first and the last stage are not scaled.
    const fn scaled(width: usize, depth: usize, input: usize) -> Self {
        let (mut widths, mut repeats) = ([0; 7], [0; 7]);
        let mut index = 0;
        while index < STAGES.len() {
            let Stage { repeats: published, outputs, .. } = STAGES[index];
            widths[index] = rounded(outputs * width);
            let ends = index == 0 || index == STAGES.len() - 1;
            repeats[index] = if ends { published } else { (published * depth).div_ceil(10) };
            index += 1;
        }
        Self { stem: 32, widths, repeats, head: 1280, classes: 1000, input }
    }

    /// The network's name: that of the published one of these widths and depths, or of the family.
    pub fn name(&self) -> &'static str {
        let named = [
            (Self::LITE0, "EfficientNet-Lite0"),
            (Self::LITE1, "EfficientNet-Lite1"),
            (Self::LITE2, "EfficientNet-Lite2"),
        ];
        let like = |sizes: &Self| (sizes.widths, sizes.repeats) == (self.widths, self.repeats);
        named.iter().find(|(sizes, _)| like(sizes)).map_or("EfficientNet-Lite", |&(_, name)| name)
    }

    /// All blocks, from the lowest.
    pub(crate) fn blocks(&self) -> Vec<BlockTable> {
        let mut inputs = self.stem;
        let mut blocks = Vec::new();
        for ((stage, &outputs), &count) in STAGES.iter().zip(&self.widths).zip(&self.repeats) {
            for number in 0..count {
                let stride = if number == 0 { stage.stride } else { 1 };
                let Stage { kernel, expansion, .. } = *stage;
                blocks.push(BlockTable { inputs, outputs, kernel, stride, expansion });
                inputs = outputs;
            }
        }
        blocks
    }

    /// Side of the maps behind the stem and the first `blocks` blocks.
    pub(crate) fn side(&self, blocks: usize) -> usize {
        let strides = self.blocks().into_iter().take(blocks).map(|block| block.stride);
        std::iter::once(STEM[1]).chain(strides).fold(self.input, usize::div_ceil)
    }
}

/// Channels, given in tenths, to the nearest multiple of 8, up where that takes more than a tenth off.
const fn rounded(tenths: usize) -> usize {
    let nearest = (tenths + 40) / 80 * 8;
    let nearest = if nearest < 8 { 8 } else { nearest };
    if 100 * nearest < 9 * tenths { nearest + 8 } else { nearest }
}

/// An inverted-residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockTable {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) expansion: usize,
}

impl BlockTable {
    /// Channels of the depthwise convolution.
    pub(crate) fn hidden(&self) -> usize {
        self.inputs * self.expansion
    }

    /// Whether the input is added to what the convolutions make of it.
    pub(crate) fn skips(&self) -> bool {
        self.stride == 1 && self.inputs == self.outputs
    }
}

/// Zeros before and behind maps of side `side` with which a convolution makes `⌈side / stride⌉` units:
/// TensorFlow's "same" padding. The half that is rounded down stands before (top, left).
pub(crate) fn same_padding(side: usize, kernel: usize, stride: usize) -> [usize; 2] {
    let outputs = side.div_ceil(stride);
    let total = ((outputs - 1) * stride + kernel).saturating_sub(side);
    [total / 2, total - total / 2]
}
