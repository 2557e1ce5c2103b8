//! Convolutional networks as tables.

use explainer_core::Pooling;
use explainer_metrics::ReceptiveField;

/// One row of an architecture's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A square convolution with bias.
    Conv {
        /// Which of the configured widths is its number of output channels.
        width: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Zero padding on each side.
        padding: usize,
    },
    /// `max(x, 0)`.
    Relu,
    /// A max-pool.
    Pool(Pooling),
}

impl Layer {
    /// Kernel, stride and padding; a ReLU sees one unit.
    pub fn window(self) -> (usize, usize, usize) {
        match self {
            Self::Conv { kernel, stride, padding, .. } => (kernel, stride, padding),
            Self::Relu => (1, 1, 0),
            Self::Pool(pool) => (pool.kernel, pool.stride, pool.padding),
        }
    }
}

pub(crate) const fn conv(width: usize, kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::Conv { width, kernel, stride, padding }
}

pub(crate) const fn pool(kernel: usize, stride: usize) -> Layer {
    Layer::Pool(Pooling { kernel, stride, padding: 0 })
}

/// A plain convolutional network with three fully connected layers: [`ConvNet`](crate::ConvNet)
/// builds, runs and loads any network that this table describes.
pub trait Architecture: Clone + std::fmt::Debug + Send + 'static {
    /// The network's name in messages.
    const NAME: &'static str;

    /// The convolutional part, one row for each module of torchvision's `features`, so that row
    /// `i` is `features.{i}` of its state dict. The last row is the pool in front of fc6.
    const FEATURES: &'static [Layer];

    /// Positions of fc6, fc7 and the head in torchvision's `classifier`.
    const CLASSIFIER: [usize; 3];

    /// Output channels of the published network, as [`Layer::Conv::width`] counts them.
    const WIDTHS: [usize; 5];

    /// Row of the top conv-layer, the last convolution.
    fn top_conv() -> usize {
        let is_conv = |layer: &Layer| matches!(layer, Layer::Conv { .. });
        Self::FEATURES.iter().rposition(is_conv).expect("an architecture has a convolution")
    }

    /// Row of the target layer: the ReLU that the top conv-layer reads.
    fn target() -> usize {
        Self::top_conv() - 1
    }

    /// Receptive field of the units of row `row`.
    fn field(row: usize) -> ReceptiveField {
        Self::FEATURES[..=row].iter().fold(ReceptiveField::pixels(), |field, layer| {
            let (kernel, stride, padding) = layer.window();
            field.then(kernel, stride, padding)
        })
    }

    /// Side of the maps of row `row` for images of side `size`; `None` where a window does not fit.
    fn side(row: usize, size: usize) -> Option<usize> {
        Self::FEATURES[..=row].iter().try_fold(size, |side, layer| {
            let (kernel, stride, padding) = layer.window();
            Some((side + 2 * padding).checked_sub(kernel)? / stride + 1)
        })
    }

    /// Side of the maps that fc6 reads.
    fn pooled_side(size: usize) -> Option<usize> {
        Self::side(Self::FEATURES.len() - 1, size)
    }
}

/// The sizes that an [`Architecture`] leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Output channels, as [`Layer::Conv::width`] counts them.
    pub widths: [usize; 5],
    /// Outputs of fc6 and fc7.
    pub hidden: [usize; 2],
    /// Outputs of the head.
    pub classes: usize,
    /// Height and width of the images.
    pub input: usize,
}

impl Sizes {
    /// Inputs and outputs of each convolution, from the lowest, with its row.
    pub(crate) fn convs<A: Architecture>(&self) -> Vec<(usize, [usize; 2])> {
        let mut input = 3;
        let mut convs = Vec::new();
        for (row, layer) in A::FEATURES.iter().enumerate() {
            if let Layer::Conv { width, .. } = *layer {
                convs.push((row, [input, self.widths[width]]));
                input = self.widths[width];
            }
        }
        convs
    }

    /// Inputs and outputs of fc6, fc7 and the head; `None` where the images are too small.
    pub(crate) fn linears<A: Architecture>(&self) -> Option<[[usize; 2]; 3]> {
        let pooled = A::pooled_side(self.input)?;
        let channels = self.convs::<A>().last()?.1[1];
        let [fc6, fc7] = self.hidden;
        Some([[channels * pooled * pooled, fc6], [fc6, fc7], [fc7, self.classes]])
    }
}
