//! From tensors to slices.

use burn::tensor::Tensor;

/// The values of a tensor as `f32`, whatever its element type.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
