//! The norm-layer: both tracks at the same magnitude, channel by channel.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// A channel counts with at least this share of the mean channel's α_k, so that one that was
/// (nearly) silent when α was measured is not blown up when it wakes.
const LEAST_ALPHA: f32 = 0.01;

/// Norm-layer: divides each channel by its mean mass,
///
/// `x̂_ijk = x_ijk / α_k`, `α_k = E_images Σ_ij max(x_ijk, 0)`.
///
/// α is a buffer: a constant in the backward pass, saved with the module, never optimised. With
/// both tracks normalised, p is a share of like amounts.
///
/// Source: arXiv:1805.07468, norm-layer.
///
/// # Shapes
/// - input and output: `[batch, channels, height, width]`
#[derive(Module, Debug)]
pub struct ScaleNorm {
    /// `[channels]`.
    alpha: Param<Tensor<1>>,
}

impl ScaleNorm {
    /// α = 1 for every channel: the identity.
    pub fn identity(channels: usize, device: &Device) -> Self {
        Self { alpha: Param::from_tensor(Tensor::ones([channels], device)).set_require_grad(false) }
    }

    /// The layer with another α, `[channels]`; channels under a hundredth of the mean are raised
    /// to that.
    pub fn with_alpha(mut self, alpha: Tensor<1>) -> Self {
        let least = alpha.clone().mean().mul_scalar(LEAST_ALPHA);
        let alpha = alpha.clone().max_pair(least.expand(alpha.dims()));
        self.alpha = Param::initialized(self.alpha.id, alpha).set_require_grad(false);
        self
    }

    /// Moves α towards the mean mass of a batch, as batch-norm moves its running statistics:
    /// `α ← (1 − momentum) · α + momentum · α_batch`.
    pub fn updated(self, batch_mass: Tensor<1>, momentum: f64) -> Self {
        let alpha = self.alpha();
        self.with_alpha(alpha.mul_scalar(1.0 - momentum) + batch_mass.mul_scalar(momentum))
    }

    /// α, `[channels]`, without gradients.
    pub fn alpha(&self) -> Tensor<1> {
        let alpha = self.alpha.val();
        if alpha.is_autodiff() { alpha.inner() } else { alpha }
    }

    /// Normalises the channels of `maps`.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let alpha = self.alpha.val();
        let channels = alpha.dims()[0];
        maps / alpha.reshape([1, channels, 1, 1])
    }
}

/// Mean over the batch of each channel's mass `Σ_ij max(x_ij, 0)`, `[channels]`.
pub(crate) fn channel_mass(maps: Tensor<4>) -> Tensor<1> {
    let [batch, channels, _, _] = maps.dims();
    maps.clamp_min(0.0).sum_dims(&[0, 2, 3]).reshape([channels]).div_scalar(batch as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;

    #[test]
    fn channels_of_any_mass_come_out_with_mass_one() {
        let device = Device::flex();
        let maps =
            Tensor::<4>::from_floats([[[[1.0, 3.0]], [[0.5, -2.0]]], [[[0.0, 4.0]], [[1.5, 0.0]]]], &device);
        let mass = channel_mass(maps.clone());
        assert_eq!(floats(mass.clone()), [4.0, 1.0]);
        let norm = ScaleNorm::identity(2, &device).with_alpha(mass);
        assert_eq!(floats(channel_mass(norm.forward(maps))), [1.0, 1.0]);
    }

    #[test]
    fn a_silent_channel_gets_a_hundredth_of_the_mean() {
        let device = Device::flex();
        let norm = ScaleNorm::identity(2, &device).with_alpha(Tensor::from_floats([0.0, 8.0], &device));
        assert_eq!(floats(norm.alpha()), [0.04, 8.0]);
    }

    #[test]
    fn alpha_moves_by_its_momentum_and_takes_no_gradient() {
        let device = Device::flex().autodiff();
        let norm = ScaleNorm::identity(1, &device)
            .updated(Tensor::from_floats([5.0], &Device::flex()).autodiff(), 0.25);
        assert_eq!(floats(norm.alpha()), [2.0]);
        let maps = Tensor::<4>::ones([1, 1, 1, 1], &device).require_grad();
        let grads = norm.forward(maps.clone()).sum().backward();
        assert_eq!(floats(maps.grad(&grads).unwrap()), [0.5]);
        assert!(norm.alpha.val().grad(&grads).is_none());
    }
}
