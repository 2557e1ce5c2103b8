//! A block with a connection around it.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::table::{BlockConvolution, BlockTable, Connection};
use crate::layer::ConvLayer;

/// A residual block: `relu(convs(x) + connection(x))`.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub(super) convs: Vec<ConvLayer>,
    /// In place of the identity.
    pub(super) projection: Option<ConvLayer>,
}

impl Block {
    pub(super) fn zeros(table: &BlockTable, device: &Device) -> Self {
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

    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
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
    pub(super) fn map(self, change: fn(ConvLayer) -> ConvLayer) -> Self {
        Self { convs: self.convs.into_iter().map(change).collect(), projection: self.projection.map(change) }
    }
}
