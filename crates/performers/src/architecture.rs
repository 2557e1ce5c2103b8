//! Convolutional networks as tables.

use explainer_core::{Pooling, Preprocessing};
use explainer_metrics::ReceptiveField;

/// One row of an architecture's table.
#[derive(Clone, Copy, Debug, PartialEq)]
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
        /// Parts into which the channels fall; an output channel reads those of its own part.
        groups: usize,
    },
    /// `max(x, 0)`.
    Relu,
    /// A pool.
    Pool(Pooling),
    /// Local response normalisation across channels.
    ResponseNorm(ResponseNorm),
}

/// `x_c / (k + alpha/size · Σ_j x_j²)^beta`, j over the `size` channels around c; those that do not exist
/// count as 0.
///
/// Source: Krizhevsky, Sutskever and Hinton (NIPS 2012), with alpha over the size, as Caffe and PyTorch
/// have it. MatConvNet states alpha/size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResponseNorm {
    /// Number of channels that are summed over, odd.
    pub size: usize,
    /// Weight of their mean square.
    pub alpha: f64,
    /// The exponent.
    pub beta: f64,
    /// What is added.
    pub k: f64,
}

impl Layer {
    /// Kernel, stride and padding; a layer that is neither convolution nor pool sees one unit.
    pub fn window(self) -> (usize, usize, usize) {
        match self {
            Self::Conv { kernel, stride, padding, .. } => (kernel, stride, padding),
            Self::Relu | Self::ResponseNorm(_) => (1, 1, 0),
            Self::Pool(pool) => (pool.kernel, pool.stride, pool.padding),
        }
    }

    /// Side of its maps for an input of side `side`; `None` where no window fits.
    pub fn output(self, side: usize) -> Option<usize> {
        match self {
            Self::Pool(pool) => pool.fitting_output(side),
            _ => {
                let (kernel, stride, padding) = self.window();
                Some((side + 2 * padding).checked_sub(kernel)? / stride + 1)
            }
        }
    }
}

pub(crate) const fn conv(width: usize, kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::Conv { width, kernel, stride, padding, groups: 1 }
}

pub(crate) const fn pool(kernel: usize, stride: usize) -> Layer {
    Layer::Pool(Pooling::max(kernel, stride))
}

/// A plain convolutional network with three fully connected layers: [`ConvNet`](crate::ConvNet)
/// builds, runs and loads any network that this table describes.
pub trait Architecture: Clone + std::fmt::Debug + Send + 'static {
    /// The network's name in messages.
    const NAME: &'static str;

    /// The convolutional part, one row for each module of PyTorch's `features`, so that row
    /// `i` is `features.{i}` of its state dict. The last row is the pool in front of fc6.
    const FEATURES: &'static [Layer];

    /// Positions of fc6, fc7 and the head in PyTorch's `classifier`.
    const CLASSIFIER: [usize; 3];

    /// Output channels of the published network, as [`Layer::Conv::width`] counts them.
    const WIDTHS: [usize; 5];

    /// Side of the published network's images.
    const INPUT: usize = 224;

    /// What the side of the images must be a multiple of.
    const MULTIPLE: usize = 1;

    /// The preprocessing of the published network, at `size × size` pixels.
    fn preprocessing(size: usize) -> Preprocessing {
        Preprocessing::imagenet(size)
    }

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
        Self::FEATURES[..=row].iter().try_fold(size, |side, layer| layer.output(side))
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

/// A convolution of a table with its channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub(crate) row: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) groups: usize,
}

impl Sizes {
    /// All convolutions, from the lowest.
    pub(crate) fn convs<A: Architecture>(&self) -> Vec<Convolution> {
        let mut inputs = 3;
        let mut convs = Vec::new();
        for (row, layer) in A::FEATURES.iter().enumerate() {
            if let Layer::Conv { width, kernel, stride, padding, groups } = *layer {
                let outputs = self.widths[width];
                convs.push(Convolution { row, inputs, outputs, kernel, stride, padding, groups });
                inputs = outputs;
            }
        }
        convs
    }

    /// Inputs and outputs of fc6, fc7 and the head; `None` where the images are too small.
    pub(crate) fn linears<A: Architecture>(&self) -> Option<[[usize; 2]; 3]> {
        let pooled = A::pooled_side(self.input)?;
        let channels = self.convs::<A>().last()?.outputs;
        let [fc6, fc7] = self.hidden;
        Some([[channels * pooled * pooled, fc6], [fc6, fc7], [fc7, self.classes]])
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Checks the side of each row's maps.
    pub(crate) fn assert_sides<A: Architecture>(size: usize, sides: &[usize]) {
        let found: Vec<_> = (0..A::FEATURES.len()).filter_map(|row| A::side(row, size)).collect();
        assert_eq!(found, sides, "{}", A::NAME);
        assert_eq!(A::INPUT, size, "{}", A::NAME);
    }

    /// Checks stride, centre and size of each convolution's field, worked out by hand.
    pub(crate) fn assert_fields<A: Architecture>(expected: &[(f64, f64, usize)]) {
        let rows = (0..A::FEATURES.len()).filter(|&row| matches!(A::FEATURES[row], Layer::Conv { .. }));
        let found: Vec<_> =
            rows.map(A::field).map(|field| (field.stride, field.center, field.size)).collect();
        assert_eq!(found, expected, "{}", A::NAME);
        let Some(&(stride, center, size)) = expected.last() else { panic!("no convolution") };
        assert_eq!(A::field(A::top_conv()), ReceptiveField { stride, center, size });
        assert!(A::FEATURES[A::target()] == Layer::Relu && A::FEATURES[A::top_conv() + 1] == Layer::Relu);
    }
}
