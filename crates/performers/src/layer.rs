//! A convolution and the batch-norm it may be trained with.

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use explainer_core::{Activation, convolve, convolve_relu};
use rand_chacha::ChaCha8Rng;

/// A square convolution with bias. While it is trained there may be a batch-norm behind it.
#[derive(Module, Debug)]
pub(crate) struct ConvLayer {
    pub(crate) conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl ConvLayer {
    /// A convolution whose weights are 0.
    pub(crate) fn zeros(config: Conv2dConfig, padding: usize, device: &Device) -> Self {
        Self::padded(config, [padding; 4], device)
    }

    /// A convolution whose weights are 0, with zeros at the top, left, bottom and right of its input.
    pub(crate) fn padded(config: Conv2dConfig, padding: [usize; 4], device: &Device) -> Self {
        let [top, left, bottom, right] = padding;
        let padding = PaddingConfig2d::Explicit(top, left, bottom, right);
        let conv = config.with_padding(padding).with_initializer(Initializer::Zeros).init(device);
        Self { conv, norm: None }
    }

    /// Draws the weights anew; the bias stays.
    pub(crate) fn randomize(&mut self, rng: &mut ChaCha8Rng) {
        let shape @ [_, channels, height, width] = self.conv.weight.dims();
        self.conv.weight = he_normal(shape, channels * height * width, rng, &self.conv.weight.device());
    }

    pub(crate) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let maps = convolve(&self.conv, maps);
        match &self.norm {
            Some(norm) => norm.forward(maps),
            None => maps,
        }
    }

    /// With the ReLU behind it.
    pub(crate) fn rectified(&self, maps: Tensor<4>) -> Tensor<4> {
        match &self.norm {
            Some(_) => relu(self.forward(maps)),
            None => convolve_relu(&self.conv, maps),
        }
    }

    /// With an activation behind it.
    pub(crate) fn activated(&self, activation: Activation, maps: Tensor<4>) -> Tensor<4> {
        match activation {
            Activation::Relu => self.rectified(maps),
            activation => activation.forward(self.forward(maps)),
        }
    }

    /// With a fresh batch-norm behind it.
    pub(crate) fn normalized(mut self) -> Self {
        let weight = &self.conv.weight;
        self.norm = Some(BatchNormConfig::new(weight.dims()[0]).init(&weight.device()));
        self
    }

    /// The convolution that computes alone what this one does with its batch-norm, by the running
    /// statistics: `w ← w·γ/√(σ² + ε)`, `b ← (b − μ)·γ/√(σ² + ε) + β`.
    pub(crate) fn folded(mut self) -> Self {
        let Some(norm) = self.norm.take() else { return self };
        let scale = norm.gamma.val() / (norm.running_var.value_sync() + norm.epsilon).sqrt();
        let (mean, beta) = (norm.running_mean.value_sync(), norm.beta.val());
        let rows = scale.clone().reshape([-1, 1, 1, 1]);
        self.conv.weight = self.conv.weight.map(|weight| weight * rows);
        self.conv.bias = self.conv.bias.map(|bias| bias.map(|bias| (bias - mean) * scale + beta));
        self
    }

    /// The same layer with its bias in a batch-norm of this ε that does nothing else.
    pub(crate) fn unfolded(mut self, epsilon: f64) -> Self {
        let Some(bias) = self.conv.bias.take() else { return self };
        let (bias, device) = (bias.val(), self.conv.weight.device());
        let mut norm = BatchNormConfig::new(bias.dims()[0]).with_epsilon(epsilon).init(&device);
        let one = (1.0 + epsilon).sqrt();
        norm.gamma = norm.gamma.map(|gamma| gamma.ones_like().mul_scalar(one));
        norm.beta = Param::from_tensor(bias);
        self.norm = Some(norm);
        self
    }
}

/// Weights of variance `2 / fan_in`.
pub(crate) fn he_normal<const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    let normal = Distribution::Normal(0.0, (2.0 / fan_in as f64).sqrt());
    let weights = TensorData::random::<f32, _, _>(shape, normal, rng);
    Param::from_tensor(Tensor::from_data(weights, device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::RunningState;
    use rand::SeedableRng;

    #[test]
    fn a_folded_layer_computes_what_it_did_with_its_norm() {
        let device = Device::flex();
        let mut layer = ConvLayer::zeros(Conv2dConfig::new([2, 3], [3, 3]), 1, &device);
        layer.randomize(&mut ChaCha8Rng::seed_from_u64(1));
        let vector = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
        let mut layer = layer.normalized();
        let norm = layer.norm.as_mut().unwrap();
        norm.gamma = Param::from_tensor(vector([0.5, 2.0, -1.0]));
        norm.beta = Param::from_tensor(vector([0.1, -0.2, 0.3]));
        norm.running_mean = RunningState::new(vector([1.0, -1.0, 0.25]));
        norm.running_var = RunningState::new(vector([4.0, 0.5, 1e-3]));
        layer.conv.bias = layer.conv.bias.map(|bias| bias.map(|bias| bias + 0.7));
        let values: Vec<f32> = (0..50).map(|at| (1.7 * at as f32).sin()).collect();
        let maps = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([1, 2, 5, 5]);
        let (with, without) = (layer.forward(maps.clone()), layer.clone().folded().forward(maps));
        let scale = with.clone().abs().max().into_scalar::<f32>();
        let difference = (with - without).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5 * scale, "{difference} of {scale}");
        let folded = layer.folded();
        assert!(folded.norm.is_none());
        let again = folded.clone().unfolded(1e-3);
        assert!(again.conv.bias.is_none());
        let maps = Tensor::ones([1, 2, 4, 4], &device);
        let difference = (again.forward(maps.clone()) - folded.forward(maps)).abs().max();
        assert!(difference.into_scalar::<f32>() < 1e-5);
    }
}
