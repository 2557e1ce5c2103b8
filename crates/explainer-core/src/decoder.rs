//! From the encoder's output to the performer's upper features.

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, activation::relu};

use crate::fit::outer_product;

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

    /// The backward pass by hand, of plain tensors: δ, the gradient in front of its ReLU, of every layer, and ∂L/∂x
    /// of the decoder's input.
    ///
    /// # Shapes
    /// - upper and δ: `[batch, width_l]`, what [`forward`](Self::forward) made of the input
    /// - arriving: alike, ∂L/∂upper without the way through the layers above; nothing where L does not read a layer
    /// - output: `[batch, D · P · P]`
    pub(crate) fn backward(
        &self,
        upper: &[Tensor<2>],
        arriving: Vec<Option<Tensor<2>>>,
    ) -> (Vec<Tensor<2>>, Tensor<2>) {
        let (mut deltas, mut from_above) = (Vec::new(), None);
        for ((layer, upper), arriving) in self.layers.iter().zip(upper).zip(arriving).rev() {
            let arriving = match (arriving, from_above.take()) {
                (Some(own), Some(through)) => own + through,
                (own, through) => own.or(through).expect("the loss reads the last layer"),
            };
            let delta = arriving * upper.clone().greater_scalar(0.0).float();
            // δ·Wᵀ as (W·δᵀ)ᵀ: see `linear`.
            from_above = Some(layer.weight.val().matmul(delta.clone().transpose()).transpose());
            deltas.push(delta);
        }
        deltas.reverse();
        (deltas, from_above.expect("there is a decoder layer"))
    }

    /// Puts ∂L/∂W = xᵀ·δ and ∂L/∂b of every layer into `gradients`.
    pub(crate) fn register(
        &self,
        gradients: &mut GradientsParams,
        input: Tensor<2>,
        upper: &[Tensor<2>],
        deltas: Vec<Tensor<2>>,
    ) {
        let inputs = std::iter::once(&input).chain(upper);
        for ((layer, input), delta) in self.layers.iter().zip(inputs).zip(deltas) {
            if let Some(bias) = &layer.bias {
                gradients.register(bias.id, delta.clone().sum_dim(0).squeeze_dim::<1>(0));
            }
            gradients.register(layer.weight.id, outer_product(input.clone(), delta));
        }
    }
}

/// `x·W + b` as `(Wᵀ·xᵀ)ᵀ + b`: the same numbers, in a form in which products with the large operand need no
/// transposed copy of it, neither here nor in a backward pass, and so are several times faster on the CPU.
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
