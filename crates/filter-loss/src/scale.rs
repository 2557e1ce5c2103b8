//! The scale at which the filter loss looks at the maps.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// A filter whose largest activation in the whole batch lies below this (2⁻¹⁰⁰) counts as silent: its
/// maps have no scale to divide by. The reciprocal still leaves gradients 2²⁷ of room below `f32::MAX`.
pub(crate) const SILENCE: f32 = 7.888_609e-31;

/// The scale at which the filter loss looks at the maps of one filter.
///
/// Mutual information grows with the scale of the maps, so its gradient pushes every activation up
/// without bound. The scale-free forms evaluate the loss on normalised maps,
///
/// ```text
/// x̃ = (ω / τ) · x / m_f      g = (∂x̃/∂x)ᵀ g̃(x̃)
/// ```
///
/// with m_f one number for each filter, taken over all images of the batch whatever their category
/// and differentiated like the rest. The loss is then the same at any scale of the maps, so its
/// gradient is orthogonal to them: per filter, Σ g·x = 0 over the batch. It says where to fire, not
/// how strongly.
///
/// ω, the `trace`, is tr(x̃ · T_μ) of a map that has all of its filter's mean size at the one unit μ:
/// below about 1 the templates can hardly be told apart, far above it one image has all the weight.
///
/// A filter that is silent in the whole batch (no activation reaches 2⁻¹⁰⁰) has no scale, and no
/// direction is better than another: its gradient is 0.
///
/// Source: `AsIs` is arXiv:1710.00935; the scale-free forms are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Scale {
    /// The maps as they are, as the paper has it.
    #[default]
    AsIs,
    /// Divided by their mean mass, `m_f = (1/N) Σ_x Σ_ij x_ij`. The gradient pushes on all units alike
    /// to keep the mass.
    Mass {
        /// ω, the trace of a map of mean mass at one unit with its template.
        trace: f64,
    },
    /// Divided by their root mean energy, `m_f = √((1/N) Σ_x Σ_ij x²_ij)`. The gradient is projected
    /// off the maps, and leaves units that did not fire alone.
    Energy {
        /// ω, the trace of a map of mean energy at one unit with its template.
        trace: f64,
    },
}

impl Scale {
    /// # Panics
    /// If the trace is not a positive, finite number.
    pub(crate) fn check(self) {
        if let Self::Mass { trace } | Self::Energy { trace } = self {
            assert!(trace.is_finite() && trace > 0.0, "the trace is {trace}, but must be positive");
        }
    }

    /// Normalises maps `[batch, filters, units]`.
    pub(crate) fn normalise(self, maps: Tensor<3>, tau: f64) -> Normalised {
        match self {
            Self::AsIs => Normalised { maps, gain: tau, size: None },
            Self::Mass { trace } => free(maps, trace, false),
            Self::Energy { trace } => free(maps, trace, true),
        }
    }
}

/// Maps at the scale of the loss, with what the way back needs.
pub(crate) struct Normalised {
    /// x̂ `[batch, filters, units]`, such that s_T = `gain` · ⟨x̂, T/τ⟩.
    pub(crate) maps: Tensor<3>,
    pub(crate) gain: f64,
    /// What the maps were divided by, or nothing.
    size: Option<Size>,
}

struct Size {
    /// 1 / m_f, and 0 for a silent filter: `[1, filters, 1]`.
    inverse: Tensor<3>,
    energy: bool,
}

/// x̂ = x / m_f.
///
/// The maps are divided by their largest value first, so that neither sums nor squares can leave the
/// range of `f32`. Their sum over the batch is then at least the 1 of the largest value itself: the
/// clamp acts on silent filters only, which are divided by 1 instead of their largest value.
fn free(maps: Tensor<3>, trace: f64, energy: bool) -> Normalised {
    let images = maps.dims()[0] as f64;
    let largest = maps.clone().max_dim(2).max_dim(0);
    let live = largest.clone().greater_equal_scalar(SILENCE).float();
    let largest = largest * live.clone() + live.clone().neg().add_scalar(1.0);
    let unit = maps / largest.clone();
    let summed = if energy { unit.clone().square() } else { unit.clone() };
    let mean = summed.sum_dim(2).sum_dim(0).clamp_min(1.0).div_scalar(images);
    let size = if energy { mean.sqrt() } else { mean };
    let maps = unit / size.clone();
    Normalised { maps, gain: trace, size: Some(Size { inverse: live / (size * largest), energy }) }
}

impl Normalised {
    /// From the gradient at x̂ to the gradient at x, through m_f:
    ///
    /// - mass: `(g − ⟨g, x̂⟩/N · 1) / m_f`
    /// - energy: `(g − ⟨g, x̂⟩/N · x̂) / m_f`
    pub(crate) fn pull_back(self, gradient: Tensor<3>) -> Tensor<3> {
        let Some(Size { inverse, energy }) = self.size else { return gradient };
        let images = gradient.dims()[0] as f64;
        let along = (gradient.clone() * self.maps.clone()).sum_dim(2).sum_dim(0).div_scalar(images);
        let push = if energy { self.maps * along } else { along };
        (gradient - push) * inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;
    use burn::tensor::{Device, TensorData};

    const FREE: [Scale; 2] = [Scale::Mass { trace: 3.0 }, Scale::Energy { trace: 3.0 }];

    fn floats(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn tensor(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// x / m_f of one filter over images of `units` units, by its definition.
    fn oracle(scale: Scale, maps: &[f64], images: f64) -> Vec<f64> {
        let size = match scale {
            Scale::Energy { .. } => (maps.iter().map(|x| x * x).sum::<f64>() / images).sqrt(),
            _ => maps.iter().sum::<f64>() / images,
        };
        maps.iter().map(|x| x / size).collect()
    }

    #[test]
    fn the_way_back_is_the_transposed_jacobian() {
        let (images, units) = (3, 4);
        let maps: Vec<f64> = (0..12).map(|i| f64::from((i * 7 + 3) % 11) / 5.0).collect();
        let gradient: Vec<f64> = (0..12).map(|i| f64::from((i * 5 + 2) % 9) / 4.0 - 1.0).collect();
        for scale in FREE {
            let shape = [images, 1, units];
            let normalised = scale.normalise(tensor(&maps, shape), 0.1);
            let expected = oracle(scale, &maps, images as f64);
            for (value, expected) in floats(normalised.maps.clone()).iter().zip(&expected) {
                assert!((f64::from(*value) - expected).abs() < 1e-5, "{scale:?}");
            }
            let back = floats(normalised.pull_back(tensor(&gradient, shape)));
            let mut along = 0.0;
            for (unit, value) in back.iter().enumerate() {
                let step = 1e-5;
                let along_gradient = |step: f64| {
                    let mut moved = maps.clone();
                    moved[unit] += step;
                    let moved = oracle(scale, &moved, images as f64);
                    moved.iter().zip(&gradient).map(|(x, g)| x * g).sum::<f64>()
                };
                let expected = (along_gradient(step) - along_gradient(-step)) / (2.0 * step);
                assert!((f64::from(*value) - expected).abs() < 1e-5, "{scale:?}: {value} {expected}");
                along += f64::from(*value) * maps[unit];
            }
            assert!(along.abs() < 1e-5, "{scale:?}: {along}");
        }
    }

    #[test]
    fn the_scale_of_the_maps_does_not_matter() {
        let maps = uniform([4, 3, 9], 0.0, 1.0, 1);
        for scale in FREE {
            let expected = floats(scale.normalise(maps.clone(), 0.1).maps);
            for factor in [1e-30, 1e-3, 1e4, 1e30] {
                let scaled = floats(scale.normalise(maps.clone().mul_scalar(factor), 0.1).maps);
                for (value, expected) in scaled.iter().zip(&expected) {
                    assert!((value - expected).abs() < 1e-5 * expected.abs().max(1e-3), "{scale:?} {factor}");
                }
            }
        }
    }

    #[test]
    fn a_map_of_mean_size_at_one_unit_has_the_trace() {
        // Two maps of one unit each, both of size 7: x̂ is 1 there, so s = trace · 1.
        let maps = tensor(&[0.0, 7.0, 0.0, 7.0, 0.0, 0.0], [2, 1, 3]);
        for scale in FREE {
            let normalised = scale.normalise(maps.clone(), 0.1);
            assert_eq!(normalised.gain, 3.0);
            assert_eq!(floats(normalised.maps), [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn a_silent_filter_has_no_gradient() {
        for scale in FREE {
            for value in [0.0, 1e-38, 1e-31] {
                let maps = tensor(&[value; 6], [2, 1, 3]);
                let back = scale.normalise(maps, 0.1).pull_back(tensor(&[1.0; 6], [2, 1, 3]));
                assert_eq!(floats(back), [0.0; 6], "{scale:?} {value}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "the trace is 0")]
    fn a_trace_of_zero_is_refused() {
        Scale::Mass { trace: 0.0 }.check();
    }
}
