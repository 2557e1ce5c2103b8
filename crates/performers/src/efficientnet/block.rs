//! Inverted-residual blocks.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use explainer_core::Activation;

use super::table::{BlockTable, same_padding};
use crate::layer::ConvLayer;

/// An inverted-residual block without squeeze-and-excite: 1×1 → ReLU6 → depthwise → ReLU6 → 1×1, plus its input
/// where that has the output's shape. The output is linear: it may be negative.
///
/// Source: Sandler et al., arXiv:1801.04381.
#[derive(Module, Debug)]
pub(super) struct InvertedBlock {
    /// None where the channels are not expanded.
    pub(super) expand: Option<ConvLayer>,
    pub(super) depthwise: ConvLayer,
    pub(super) project: ConvLayer,
    #[module(skip)]
    skips: bool,
}

/// A convolution with "same" padding, all weights 0.
pub(super) fn same_conv(
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    side: usize,
) -> (Conv2dConfig, [usize; 4]) {
    let [before, behind] = same_padding(side, kernel, stride);
    let config = Conv2dConfig::new(channels, [kernel; 2]).with_stride([stride; 2]);
    (config, [before, before, behind, behind])
}

impl InvertedBlock {
    /// A block that reads maps of side `side`.
    pub(super) fn zeros(table: &BlockTable, side: usize, device: &Device) -> Self {
        let &BlockTable { inputs, outputs, kernel, stride, expansion } = table;
        let hidden = table.hidden();
        let pointwise = |channels| ConvLayer::padded(Conv2dConfig::new(channels, [1, 1]), [0; 4], device);
        let (depthwise, padding) = same_conv([hidden; 2], kernel, stride, side);
        Self {
            expand: (expansion > 1).then(|| pointwise([inputs, hidden])),
            depthwise: ConvLayer::padded(depthwise.with_groups(hidden), padding, device),
            project: pointwise([hidden, outputs]),
            skips: table.skips(),
        }
    }

    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let around = self.skips.then(|| maps.clone());
        let hidden = match &self.expand {
            Some(expand) => expand.activated(Activation::Relu6, maps),
            None => maps,
        };
        let hidden = self.depthwise.activated(Activation::Relu6, hidden);
        let through = self.project.forward(hidden);
        match around {
            Some(around) => through + around,
            None => through,
        }
    }

    /// Its convolutions, from the lowest.
    pub(super) fn convs(&mut self) -> impl Iterator<Item = &mut ConvLayer> {
        self.expand.iter_mut().chain([&mut self.depthwise, &mut self.project])
    }

    /// All its convolutions through `change`.
    pub(super) fn map(self, change: fn(ConvLayer) -> ConvLayer) -> Self {
        let Self { expand, depthwise, project, skips } = self;
        Self { expand: expand.map(change), depthwise: change(depthwise), project: change(project), skips }
    }
}
