//! The backward pass of a 3×3 convolution with stride 1 and padding 1 by the tensor API.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

/// Side of the kernels.
const KERNEL: usize = 3;
/// Zero padding on each side.
const PADDING: usize = 1;

/// ∂L/∂w of `y = w ∗ x + b` from ∂L/∂y:
///
/// `∂L/∂w_oc(i, j) = Σ_n Σ_hw g_no(h, w) · x_nc(h + i − 1, w + j − 1)`
///
/// With zeros around every map and all maps of a channel in one row, the shift by (i, j) is one by a
/// number of columns: what it carries over from a neighbouring row or image meets a zero of the
/// gradient's own frame. So each (i, j) is one matrix product of two slices, and nothing is copied.
///
/// # Shapes
/// - input: `[batch, C, h, w]`
/// - gradient: `[batch, D, h, w]`
/// - output: `[D, C, 3, 3]`
pub(super) fn weight_gradient(input: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
    let ([batch, inputs, height, width], outputs) = (input.dims(), gradient.dims()[1]);
    let row = width + 2 * PADDING;
    let columns = batch * (height + 2 * PADDING) * row;
    // From the first unit of the first map to the last of the last one.
    let (first, length) = (PADDING * row + PADDING, columns - 2 * (PADDING * row + PADDING));
    let input = framed(input);
    let gradient = framed(gradient).narrow(1, first, length);
    let shifts = (0..KERNEL * KERNEL).map(|at| at / KERNEL * row + at % KERNEL);
    let products: Vec<Tensor<2>> = shifts
        .map(|shift| gradient.clone().matmul(input.clone().narrow(1, shift, length).transpose()))
        .collect();
    Tensor::stack::<3>(products, 2).reshape([outputs, inputs, KERNEL, KERNEL])
}

/// Zeros around each map, and the maps of a channel one behind the other:
/// `[channels, batch · (h + 2) · (w + 2)]`.
fn framed(maps: Tensor<4>) -> Tensor<2> {
    let channels = maps.dims()[1] as i32;
    maps.pad((PADDING, PADDING, PADDING, PADDING), 0.0).swap_dims(0, 1).reshape([channels, -1])
}

/// ∂L/∂x of `y = w ∗ x + b` from ∂L/∂y: the convolution with the kernels turned by half a turn.
///
/// # Shapes
/// - weight: `[D, C, 3, 3]`
/// - gradient: `[batch, D, h, w]`
/// - output: `[batch, C, h, w]`
pub(super) fn input_gradient(weight: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [PADDING; 2], [1, 1], 1);
    conv2d(gradient, weight.swap_dims(0, 1).flip([2, 3]), None, options)
}
