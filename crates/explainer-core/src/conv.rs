//! The backward pass of the explainer's convolutions, as matrix products.
//!
//! All of them are 3×3 with stride 1, padding 1 and bias. Autodiff would serve as well; on the CPU it
//! takes several times as long for the weights' gradient (DESIGN §2).

use burn::nn::conv::Conv2d;
use burn::optim::GradientsParams;
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
pub(crate) fn weight_gradient(input: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
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
pub(crate) fn input_gradient(weight: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [PADDING; 2], [1, 1], 1);
    conv2d(gradient, weight.swap_dims(0, 1).flip([2, 3]), None, options)
}

/// Puts the gradients of `conv`'s weight and bias into `gradients`.
pub(crate) fn register(
    gradients: &mut GradientsParams,
    conv: &Conv2d,
    input: Tensor<4>,
    gradient: Tensor<4>,
) {
    if let Some(bias) = &conv.bias {
        gradients.register(bias.id, gradient.clone().sum_dims_squeeze::<1, _>(&[0, 2, 3]));
    }
    gradients.register(conv.weight.id, weight_gradient(input, gradient));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::init::Initializer;
    use burn::tensor::Device;

    /// Against autodiff through Burn's own convolution, on maps that are not square.
    #[test]
    fn gradients_are_those_of_autodiff() {
        for [batch, inputs, outputs, height, width] in [[1, 1, 1, 1, 1], [2, 3, 5, 4, 6], [3, 4, 2, 7, 5]] {
            let mut init = Initializer::new(1, &Device::flex());
            let conv = init.conv([inputs, outputs]);
            let mut maps = |channels: usize| -> Tensor<4> {
                let values = init.linear(batch, channels * height * width).weight.val();
                values.reshape([batch, channels, height, width])
            };
            let (input, gradient) = (maps(inputs), maps(outputs));
            let weight = Tensor::from_inner(conv.weight.val()).require_grad();
            let leaf = Tensor::from_inner(input.clone()).require_grad();
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let output = conv2d(leaf.clone(), weight.clone(), None, options);
            let grads = (output * Tensor::from_inner(gradient.clone())).sum().backward();
            let close = |own: Tensor<4>, theirs: Tensor<4>| {
                assert_eq!(own.dims(), theirs.dims());
                for (own, theirs) in floats(own).into_iter().zip(floats(theirs)) {
                    assert!((own - theirs).abs() < 1e-5, "{own} {theirs}");
                }
            };
            close(weight_gradient(input.clone(), gradient.clone()), weight.grad(&grads).unwrap());
            close(input_gradient(conv.weight.val(), gradient.clone()), leaf.grad(&grads).unwrap());

            let mut gradients = GradientsParams::new();
            register(&mut gradients, &conv, input, gradient.clone());
            let bias = conv.bias.as_ref().unwrap();
            let sums = floats(gradient.sum_dim(0).sum_dim(2).sum_dim(3));
            for (own, sum) in floats(gradients.get::<1>(bias.id).unwrap()).into_iter().zip(sums) {
                assert!((own - sum).abs() < 1e-5, "{own} {sum}");
            }
        }
    }
}
