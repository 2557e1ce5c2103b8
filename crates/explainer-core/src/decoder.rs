//! From the encoder's output to the performer's upper features.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation::relu};

/// Decoder: fc-dec-1 → ReLU → fc-dec-2 → ReLU, one layer for each of the performer's upper
/// features, which it reconstructs (relu6, relu7).
///
/// Source: arXiv:1805.07468, decoder.
///
/// # Shapes
/// - input: `[batch, D, P, P]`, the encoder's output
/// - output: `[batch, width_l]` for every layer l
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) layers: Vec<Linear>,
}

impl Decoder {
    /// Reconstructs the upper features, lowest layer first.
    pub fn forward(&self, encoded: Tensor<4>) -> Vec<Tensor<2>> {
        let mut input: Tensor<2> = encoded.flatten(1, 3);
        self.layers
            .iter()
            .map(|layer| {
                input = relu(linear(layer, input.clone()));
                input.clone()
            })
            .collect()
    }
}

/// `x·W + b` as `(Wᵀ·xᵀ)ᵀ + b`: the same numbers, and a weight gradient whose product needs no
/// transposed copy of the large operand, which makes the backward pass several times faster on
/// the CPU.
pub(crate) fn linear(layer: &Linear, input: Tensor<2>) -> Tensor<2> {
    let output = layer.weight.val().transpose().matmul(input.transpose()).transpose();
    match &layer.bias {
        Some(bias) => output + bias.val().unsqueeze(),
        None => output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::init::Initializer;
    use burn::tensor::Device;

    #[test]
    fn the_transposed_product_is_the_layer() {
        let device = Device::flex();
        let mut init = Initializer::new(3, &device);
        let layer = init.linear(7, 5);
        let input = init.linear(4, 7).weight.val();
        let (ours, theirs) = (floats(linear(&layer, input.clone())), floats(layer.forward(input)));
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
