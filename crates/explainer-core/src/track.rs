//! The two tracks of the encoder.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::MaskLayer;
use crate::conv::Input;

/// What a conv-layer reads, and its maps after the ReLU.
pub(crate) struct Stage {
    pub(crate) input: Input,
    pub(crate) maps: Tensor<4>,
}

/// One conv-layer of the interpretable track: conv → ReLU → mask.
#[derive(Module, Debug)]
pub struct InterpretableLayer {
    pub(crate) conv: Conv2d,
    pub(crate) mask: Option<MaskLayer>,
}

impl InterpretableLayer {
    /// The maps after the ReLU, before the mask: where the filter loss acts and parts are read.
    pub fn maps(&self, features: Tensor<4>) -> Tensor<4> {
        Input::new(features).maps(&self.conv)
    }

    /// What goes on to the next layer: each map around its centre.
    pub fn masked(&self, maps: Tensor<4>) -> Tensor<4> {
        match &self.mask {
            Some(mask) => mask.forward(maps),
            None => maps,
        }
    }

    /// The mask, if there is one.
    pub fn mask(&self) -> Option<&MaskLayer> {
        self.mask.as_ref()
    }

    /// The gradient in front of the mask that `maps` had, from the one behind it; that of the mask's own
    /// parameters goes into `gradients`.
    pub(crate) fn through_mask(
        &self,
        gradients: &mut GradientsParams,
        maps: Tensor<4>,
        gradient: Tensor<4>,
    ) -> Tensor<4> {
        match &self.mask {
            Some(mask) => mask.backward(gradients, maps, gradient),
            None => gradient,
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
        let maps: Vec<_> = self.stages(Input::new(target)).into_iter().map(|stage| stage.maps).collect();
        let (layer, last) = self.layers.last().zip(maps.last()).expect("the track has a conv-layer");
        let output = layer.masked(last.clone());
        (maps, output)
    }

    /// What every layer reads, and its maps.
    pub(crate) fn stages(&self, target: Input) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let input = match stages.last() {
                Some(below) => Input::new(self.layers[index - 1].masked(below.maps.clone())),
                None => target.clone(),
            };
            stages.push(Stage { maps: input.maps(&layer.conv), input });
        }
        stages
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
        self.stages(Input::new(target)).pop().expect("the track has a conv-layer").maps
    }

    /// What every layer reads, and its maps.
    pub(crate) fn stages(&self, target: Input) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::with_capacity(self.convs.len());
        for conv in &self.convs {
            let input = match stages.last() {
                Some(below) => Input::new(below.maps.clone()),
                None => target.clone(),
            };
            stages.push(Stage { maps: input.maps(conv), input });
        }
        stages
    }
}
