//! What follows the layers of a performer.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, silu};
use serde::{Deserialize, Serialize};

/// An element-wise function behind a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Activation {
    /// The identity: the layer is linear.
    None,
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `min(max(x, 0), 6)` (Krizhevsky: *Convolutional deep belief networks on CIFAR-10*, 2010).
    Relu6,
    /// `x · sigmoid(x)` (arXiv:1606.08415, arXiv:1710.05941).
    Silu,
    /// `x · Φ(x)`, Φ the normal distribution function (arXiv:1606.08415).
    Gelu,
}

impl Activation {
    /// The function of every element.
    pub fn forward<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => input,
            Self::Relu => relu(input),
            Self::Relu6 => input.clamp(0.0, 6.0),
            Self::Silu => silu(input),
            Self::Gelu => gelu(input),
        }
    }
}

/// What follows the layers of a [`Blueprint`](crate::Blueprint).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activations {
    /// Behind the top conv-layer, in front of the pool. Nothing asks for it where the top layer is not one
    /// conv-layer ([`TopLayer`](crate::TopLayer)).
    pub top: Activation,
    /// Behind each of the upper layers.
    pub upper: Activation,
}

impl Activations {
    /// The same behind every layer.
    pub const fn all(activation: Activation) -> Self {
        Self { top: activation, upper: activation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use burn::tensor::Device;

    #[test]
    fn known_values() {
        let input = Tensor::<1>::from_floats([-2.0, -0.5, 0.0, 1.0, 7.0], &Device::flex());
        let found = |activation: Activation| floats(activation.forward(input.clone()));
        assert_eq!(found(Activation::None), [-2.0, -0.5, 0.0, 1.0, 7.0]);
        assert_eq!(found(Activation::Relu), [0.0, 0.0, 0.0, 1.0, 7.0]);
        assert_eq!(found(Activation::Relu6), [0.0, 0.0, 0.0, 1.0, 6.0]);
        // x / (1 + e^−x), and x times the normal distribution function from a table.
        let silu = [-0.238_405_84, -0.188_770_34, 0.0, 0.731_058_6, 6.993_623];
        let gelu = [-0.045_500_26, -0.154_268_77, 0.0, 0.841_344_8, 7.0];
        for (activation, expected) in [(Activation::Silu, silu), (Activation::Gelu, gelu)] {
            for (found, expected) in found(activation).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{activation:?}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn gradients_are_those_of_the_function() {
        let device = Device::flex().autodiff();
        let gradient = |activation: Activation| {
            let leaf = Tensor::<1>::from_floats([-1.0, 2.0, 8.0], &device).require_grad();
            let gradients = activation.forward(leaf.clone()).sum().backward();
            floats(leaf.grad(&gradients).unwrap())
        };
        assert_eq!(gradient(Activation::Relu), [0.0, 1.0, 1.0]);
        assert_eq!(gradient(Activation::Relu6), [0.0, 1.0, 0.0]);
        assert_eq!(gradient(Activation::None), [1.0; 3]);
        // Φ(x) + x φ(x), and σ(x)(1 + x(1 − σ(x))).
        for (activation, expected) in
            [(Activation::Gelu, [-0.0833, 1.0852]), (Activation::Silu, [0.0723, 1.0908])]
        {
            for (found, expected) in gradient(activation).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-3, "{activation:?}: {found}, expected {expected}");
            }
        }
    }
}
