//! First weights, the same on every backend for a given seed.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws first weights from one seed.
pub(crate) struct Initializer {
    rng: ChaCha8Rng,
    device: Device,
}

impl Initializer {
    pub(crate) fn new(seed: u64, device: &Device) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), device: device.clone() }
    }

    /// A tensor uniform in `±1 / √fan_in`, the convention of PyTorch and Burn for these layers. It is
    /// smaller than He's (arXiv:1502.01852); the norm-layers set the magnitude of features, and from
    /// smaller weights Adam's steps go further.
    fn uniform<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let bound = (1.0 / fan_in as f64).sqrt() as f32;
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| self.rng.random_range(-bound..bound)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }

    /// A 3×3 conv-layer, stride 1, padding 1, biases 0.
    pub(crate) fn conv(&mut self, channels: [usize; 2]) -> Conv2d {
        let mut conv = Conv2dConfig::new(channels, [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(&self.device);
        conv.weight = self.uniform([channels[1], channels[0], 3, 3], channels[0] * 9);
        conv
    }

    /// A 1×1 conv-layer, biases 0.
    pub(crate) fn pointwise(&mut self, channels: [usize; 2]) -> Conv2d {
        let mut conv = Conv2dConfig::new(channels, [1, 1])
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(&self.device);
        conv.weight = self.uniform([channels[1], channels[0], 1, 1], channels[0]);
        conv
    }

    /// A fully connected layer, biases 0.
    pub(crate) fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let mut linear = LinearConfig::new(inputs, outputs)
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(&self.device);
        linear.weight = self.uniform([inputs, outputs], inputs);
        linear
    }
}

/// A copy of a performer's parameter with an identity of its own.
pub(crate) fn copied<const D: usize>(source: &Param<Tensor<D>>) -> Param<Tensor<D>> {
    Param::from_tensor(plain(source))
}

/// A performer's parameter as a plain tensor.
pub(crate) fn plain<const D: usize>(source: &Param<Tensor<D>>) -> Tensor<D> {
    let value = source.val();
    if value.is_autodiff() { value.inner() } else { value }
}
