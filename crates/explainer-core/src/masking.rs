//! The windows and masks behind interpretable conv-layers.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use explainer_filter_loss::{
    LearnedMask, LearnedMaskConfig, LearnedMaskGradient, MaskCenter, Shape, StarWindow, StarWindowConfig,
    TemplateMask, TemplateMaskConfig,
};
use serde::{Deserialize, Serialize};

/// What stands behind an interpretable conv-layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Masking {
    /// Nothing: the maps go on whole.
    None,
    /// A [`TemplateMask`].
    Template {
        /// How the mask falls off around its centre.
        shape: Shape,
        /// What remains far from the centre, in 0..=1.
        floor: f64,
        /// Where the mask is centred.
        center: MaskCenter,
    },
    /// A [`LearnedMask`]: β of each filter is fitted with the weights.
    Learned {
        /// Where the mask is centred.
        center: MaskCenter,
    },
}

impl Masking {
    /// The paper's mask (arXiv:1805.07468).
    pub const PUBLISHED: Self =
        Self::Template { shape: Shape::PUBLISHED, floor: 0.0, center: MaskCenter::Peak };

    /// The mask for `filters` maps of `length × length` units.
    pub(crate) fn init(self, length: usize, filters: usize, device: &Device) -> Option<MaskLayer> {
        match self {
            Self::None => None,
            Self::Template { shape, floor, center } => {
                let config = TemplateMaskConfig::new(length).with_shape(shape);
                Some(MaskLayer::Template(config.with_floor(floor).with_center(center).init(device)))
            }
            Self::Learned { center } => {
                let config = LearnedMaskConfig::new(length, filters).with_center(center);
                Some(MaskLayer::Learned(config.init(device)))
            }
        }
    }
}

/// Where the maps of an interpretable conv-layer are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Windowing {
    /// Everywhere.
    None,
    /// Each within its [`StarWindow`].
    Star {
        /// How what a part carries falls off around its anchor.
        window: Shape,
        /// How what it is read from falls off around its anchor.
        reading: Shape,
    },
}

impl Windowing {
    /// [`StarWindowConfig`]'s defaults.
    pub const STAR: Self =
        Self::Star { window: StarWindowConfig::WINDOW, reading: StarWindowConfig::READING };

    /// The windows for `filters` maps of `length × length` units.
    pub(crate) fn init(self, length: usize, filters: usize, device: &Device) -> Option<StarWindow> {
        match self {
            Self::None => None,
            Self::Star { window, reading } => {
                let config = StarWindowConfig::new(length, filters);
                Some(config.with_window(window).with_reading(reading).init(device))
            }
        }
    }
}

/// The mask behind an interpretable conv-layer, as [`Masking`] asks for it.
#[derive(Module, Debug)]
pub enum MaskLayer {
    /// A mask that stays as it is.
    Template(TemplateMask),
    /// A mask that is fitted.
    Learned(LearnedMask),
}

impl MaskLayer {
    /// Masks each map around its own centre.
    ///
    /// # Shapes
    /// - maps and output: `[batch, D, L, L]`
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Template(mask) => mask.forward(maps),
            Self::Learned(mask) => mask.forward(maps),
        }
    }

    /// ∂L/∂x of `y = mask(x)` from ∂L/∂y; puts the gradient of what is learned into `gradients`.
    ///
    /// # Shapes
    /// - maps, gradient and output: `[batch, D, L, L]`
    pub(crate) fn backward(
        &self,
        gradients: &mut GradientsParams,
        maps: Tensor<4>,
        gradient: Tensor<4>,
    ) -> Tensor<4> {
        match self {
            Self::Template(mask) => mask.forward_at(gradient, mask.config().center.units(maps)),
            Self::Learned(mask) => {
                let LearnedMaskGradient { maps, beta_logit } = mask.backward(maps, gradient);
                gradients.register(mask.beta_logit().id, beta_logit);
                maps
            }
        }
    }

    /// What tells this mask from others.
    pub(crate) fn setting(&self) -> serde_json::Value {
        match self {
            Self::Template(mask) => serde_json::json!({ "Template": mask.config() }),
            Self::Learned(mask) => serde_json::json!({ "Learned": mask.config() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_tell_masks_apart() {
        let [peak, mass] = [MaskCenter::Peak, MaskCenter::CenterOfMass];
        let template = |shape, floor, center| Masking::Template { shape, floor, center };
        let cone = Shape::Cone { beta: 4.0 };
        let masks = [
            template(Shape::PUBLISHED, 0.0, peak),
            template(cone, 0.0, peak),
            template(Shape::PUBLISHED, 0.5, peak),
            template(Shape::PUBLISHED, 0.0, mass),
            Masking::Learned { center: peak },
            Masking::Learned { center: mass },
        ];
        let setting = |mask: &Masking| mask.init(5, 3, &Device::flex()).map(|layer| layer.setting());
        let settings: Vec<_> = masks.iter().chain([&Masking::None]).map(setting).collect();
        for (index, setting) in settings.iter().enumerate() {
            assert!(!settings[..index].contains(setting), "{setting:?}");
        }
    }
}
