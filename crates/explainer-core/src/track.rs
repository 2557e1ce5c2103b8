//! The two tracks of the encoder.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation::relu};
use explainer_filter_loss::TemplateMask;

/// One conv-layer of the interpretable track: conv → ReLU → mask.
#[derive(Module, Debug)]
pub struct InterpretableLayer {
    pub(crate) conv: Conv2d,
    pub(crate) mask: Option<TemplateMask>,
}

impl InterpretableLayer {
    /// The maps after the ReLU, before the mask: where the filter loss acts and parts are read.
    pub fn maps(&self, features: Tensor<4>) -> Tensor<4> {
        relu(self.conv.forward(features))
    }

    /// What goes on to the next layer: each map around its strongest unit.
    pub fn masked(&self, maps: Tensor<4>) -> Tensor<4> {
        match &self.mask {
            Some(mask) => mask.forward(maps),
            None => maps,
        }
    }
}

/// Interpretable track: conv-interp-1 → ReLU → mask → conv-interp-2 → ReLU → mask.
///
/// Source: arXiv:1805.07468, encoder.
///
/// # Shapes
/// - input: target features, `[batch, C, L, L]`
/// - output: `[batch, D, L, L]`
#[derive(Module, Debug)]
pub struct InterpretableTrack {
    pub(crate) layers: Vec<InterpretableLayer>,
}

impl InterpretableTrack {
    /// Maps of every layer (after the ReLU, before the mask), and the track's output.
    pub fn forward(&self, target: Tensor<4>) -> (Vec<Tensor<4>>, Tensor<4>) {
        let mut input = target;
        let maps = self
            .layers
            .iter()
            .map(|layer| {
                let maps = layer.maps(input.clone());
                input = layer.masked(maps.clone());
                maps
            })
            .collect();
        (maps, input)
    }
}

/// Ordinary track: conv-ordin → ReLU, for what is not a part.
///
/// Source: arXiv:1805.07468, encoder.
///
/// # Shapes
/// - input: target features, `[batch, C, L, L]`
/// - output: `[batch, D, L, L]`
#[derive(Module, Debug)]
pub struct OrdinaryTrack {
    pub(crate) convs: Vec<Conv2d>,
}

impl OrdinaryTrack {
    /// The maps after the last ReLU.
    pub fn forward(&self, target: Tensor<4>) -> Tensor<4> {
        self.convs.iter().fold(target, |input, conv| relu(conv.forward(input)))
    }
}
