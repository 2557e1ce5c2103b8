//! The explainer's convolutions: 3×3 with stride 1, padding 1 and a bias, each followed by a ReLU; and
//! their backward pass by hand.
//!
//! On the CPU they are computed by Winograd's algorithm (`winograd.rs`), elsewhere by the backend's own
//! convolution (`direct.rs`), which is also what the tests compare the first with. `forward.rs` has
//! convolutions of any shape without a backward pass.

mod direct;
mod forward;
mod winograd;

pub use forward::convolve;

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use winograd::{Grid, PLANES, SUM_PLANE, kernel_adjoint, kernel_transform};

use crate::memory::{in_memory, tensor, values};

/// What conv-layers read, prepared once for all that read it.
#[derive(Clone)]
pub(crate) enum Input {
    /// The maps.
    Maps(Tensor<4>),
    /// Their patches as tiles, `[C, 36, tiles]`.
    Tiles(Tensor<3>, Grid),
}

/// What arrives behind a conv-layer in the backward pass, prepared once for its weights and its input.
pub(crate) enum Gradient {
    /// ∂L/∂y, behind the conv-layer and in front of the ReLU.
    Maps(Tensor<4>),
    /// Its tiles, `[D, 36, tiles]`.
    Tiles(Tensor<3>, Grid),
}

/// What follows a convolution.
#[derive(Clone, Copy, PartialEq)]
enum Activation {
    Identity,
    Relu,
}

/// G w Gᵀ of every kernel, `[36, D, C]`.
fn planes_of(weight: Tensor<4>) -> Tensor<3> {
    let [outputs, inputs, height, width] = weight.dims();
    let kernels = weight.reshape([outputs * inputs, height * width]);
    let transform = tensor(kernel_transform(), [PLANES, height * width], &kernels.device());
    let planes: Tensor<2> = transform.matmul(kernels.transpose());
    planes.reshape([PLANES, outputs, inputs])
}

/// Puts the gradients of `conv`'s weight and bias into `gradients`.
pub(crate) fn register(gradients: &mut GradientsParams, conv: &Conv2d, input: &Input, gradient: &Gradient) {
    if let Some(bias) = &conv.bias {
        gradients.register(bias.id, gradient.bias_gradient());
    }
    gradients.register(conv.weight.id, input.weight_gradient(gradient));
}

impl Input {
    /// From maps `[batch, C, h, w]`, without autodiff.
    pub(crate) fn new(maps: Tensor<4>) -> Self {
        if in_memory(&maps) { Self::tiled(maps) } else { Self::Maps(maps) }
    }

    fn tiled(maps: Tensor<4>) -> Self {
        let (device, grid) = (maps.device(), Grid::new(maps.dims()));
        let tiles = grid.input(values(&maps.into_data()));
        Self::Tiles(tensor(tiles, grid.tiles_dims(), &device), grid)
    }

    /// relu(w ∗ x + b), `[batch, D, h, w]`.
    pub(crate) fn maps(&self, conv: &Conv2d) -> Tensor<4> {
        self.convolved(conv, Activation::Relu)
    }

    /// w ∗ x + b, or its ReLU.
    fn convolved(&self, conv: &Conv2d, activation: Activation) -> Tensor<4> {
        match self {
            Self::Maps(maps) => {
                let maps = conv.forward(maps.clone());
                if activation == Activation::Relu { relu(maps) } else { maps }
            }
            Self::Tiles(tiles, grid) => {
                let weight = conv.weight.val();
                let [outputs, _, _, _] = weight.dims();
                let products = planes_of(weight).matmul(tiles.clone().swap_dims(0, 1));
                let (device, grid) = (products.device(), grid.with_channels(outputs));
                let bias = conv.bias.as_ref().map_or_else(|| Tensor::zeros([outputs], &device), Param::val);
                let maps = grid.output(values(&products.into_data()), values(&bias.into_data()), activation);
                tensor(maps, grid.dims(), &device)
            }
        }
    }

    /// ∂L/∂w, `[D, C, 3, 3]`.
    pub(crate) fn weight_gradient(&self, gradient: &Gradient) -> Tensor<4> {
        match (self, gradient) {
            (Self::Maps(maps), Gradient::Maps(gradient)) => {
                direct::weight_gradient(maps.clone(), gradient.clone())
            }
            (Self::Tiles(input, _), Gradient::Tiles(gradient, _)) => {
                let ([inputs, ..], [outputs, ..]) = (input.dims(), gradient.dims());
                let products = gradient.clone().swap_dims(0, 1).matmul(input.clone().permute([1, 2, 0]));
                let device = products.device();
                let kernels = kernel_adjoint(values(&products.into_data()));
                tensor(kernels, [outputs, inputs, 3, 3], &device)
            }
            _ => unreachable!("input and gradient of a layer are on one device"),
        }
    }
}

impl Gradient {
    /// From ∂L/∂y `[batch, D, h, w]` behind the ReLU whose output is `maps`.
    pub(crate) fn new(gradient: Tensor<4>, maps: Tensor<4>) -> Self {
        let gradient = through_relu(gradient, maps);
        if in_memory(&gradient) { Self::tiled(gradient) } else { Self::Maps(gradient) }
    }

    fn tiled(maps: Tensor<4>) -> Self {
        let (device, grid) = (maps.device(), Grid::new(maps.dims()));
        let tiles = grid.output_adjoint(values(&maps.into_data()));
        Self::Tiles(tensor(tiles, grid.tiles_dims(), &device), grid)
    }

    /// ∂L/∂b, `[D]`.
    fn bias_gradient(&self) -> Tensor<1> {
        match self {
            Self::Maps(gradient) => gradient.clone().sum_dims_squeeze::<1, _>(&[0, 2, 3]),
            // One of the planes of A Y Aᵀ is the sum of the tile.
            Self::Tiles(tiles, _) => {
                let [outputs, _, _] = tiles.dims();
                tiles.clone().narrow(1, SUM_PLANE, 1).sum_dim(2).reshape([outputs])
            }
        }
    }

    /// ∂L/∂x, `[batch, C, h, w]`.
    pub(crate) fn input_gradient(&self, weight: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Maps(gradient) => direct::input_gradient(weight, gradient.clone()),
            Self::Tiles(tiles, grid) => {
                let grid = grid.with_channels(weight.dims()[1]);
                let products = planes_of(weight).transpose().matmul(tiles.clone().swap_dims(0, 1));
                let device = products.device();
                tensor(grid.input_adjoint(values(&products.into_data())), grid.dims(), &device)
            }
        }
    }
}

/// The gradient in front of a ReLU whose output is `maps`.
fn through_relu(gradient: Tensor<4>, maps: Tensor<4>) -> Tensor<4> {
    gradient * maps.greater_scalar(0.0).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::init::Initializer;
    use burn::tensor::Device;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

    fn close<const D: usize>(own: Tensor<D>, theirs: Tensor<D>) {
        assert_eq!(own.dims(), theirs.dims());
        let (own, theirs) = (floats(own), floats(theirs));
        let largest = theirs.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (own, theirs) in own.into_iter().zip(theirs) {
            assert!((own - theirs).abs() < 2e-5 * largest, "{own} {theirs} of {largest}");
        }
    }

    /// Both algorithms against autodiff through Burn's own convolution, on maps that are not square and of
    /// sides that are no multiples of a tile's.
    #[test]
    fn gradients_are_those_of_autodiff() {
        for [batch, inputs, outputs, height, width] in
            [[1, 1, 1, 1, 1], [2, 3, 5, 4, 6], [3, 4, 2, 7, 5], [2, 6, 3, 13, 14], [1, 2, 2, 18, 30]]
        {
            let mut init = Initializer::new(1, &Device::flex());
            let conv = init.conv([inputs, outputs]);
            let mut maps = |channels: usize| -> Tensor<4> {
                let values = init.linear(batch, channels * height * width).weight.val();
                values.reshape([batch, channels, height, width])
            };
            let (input, gradient) = (maps(inputs), maps(outputs));
            let weight = Tensor::from_inner(conv.weight.val()).require_grad();
            let bias = Tensor::from_inner(conv.bias.as_ref().unwrap().val()).require_grad();
            let leaf = Tensor::from_inner(input.clone()).require_grad();
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let output = relu(conv2d(leaf.clone(), weight.clone(), Some(bias.clone()), options));
            let grads = (output.clone() * Tensor::from_inner(gradient.clone())).sum().backward();

            let behind = through_relu(gradient, output.clone().inner());
            for (input, gradient) in [
                (Input::Maps(input.clone()), Gradient::Maps(behind.clone())),
                (Input::tiled(input), Gradient::tiled(behind)),
            ] {
                close(input.maps(&conv), output.clone().inner());
                let mut gradients = GradientsParams::new();
                register(&mut gradients, &conv, &input, &gradient);
                close(gradients.get::<4>(conv.weight.id).unwrap(), weight.grad(&grads).unwrap());
                close(
                    gradients.get::<1>(conv.bias.as_ref().unwrap().id).unwrap(),
                    bias.grad(&grads).unwrap(),
                );
                close(gradient.input_gradient(conv.weight.val()), leaf.grad(&grads).unwrap());
            }
        }
    }

    /// A kernel without a bias that sees nothing but zeros answers with exactly 0.
    #[test]
    fn silence_stays_silent() {
        let mut init = Initializer::new(2, &Device::flex());
        let conv = init.conv([8, 16]);
        let strong = init.linear(3, 8 * 16).weight.val().reshape([3, 8, 4, 4]).mul_scalar(1e3);
        let input = strong.pad((0, 9, 0, 9), 0.0);
        let maps = Input::tiled(input).maps(&conv);
        assert_eq!(maps.dims(), [3, 16, 13, 13]);
        // No more does an input, or a weight, of which nothing behind the layer depends.
        let behind = Gradient::tiled(maps.ones_like().narrow(2, 0, 2).pad((0, 0, 0, 11), 0.0));
        let input_gradient = behind.input_gradient(conv.weight.val());
        assert_eq!(input_gradient.clone().narrow(2, 3, 10).abs().max().into_scalar::<f32>(), 0.0);
        assert!(input_gradient.abs().max().into_scalar::<f32>() > 1e-2);
        let corner = maps.zeros_like().slice_fill([0..3, 0..16, 9..10, 9..10], 1.0);
        let read = Input::tiled(maps.zeros_like().narrow(1, 0, 8).slice_fill([0..3, 0..8, 9..10, 8..9], 1.0));
        let weights = floats(read.weight_gradient(&Gradient::tiled(corner)));
        // One unit beside the other: only the weight to the left of the middle has a gradient.
        for (at, weight) in weights.into_iter().enumerate() {
            assert!(if at % 9 == 3 { (weight - 3.0).abs() < 1e-4 } else { weight == 0.0 }, "{at}: {weight}");
        }
        let far = [maps.clone().narrow(2, 5, 8).abs().max(), maps.clone().narrow(3, 5, 8).abs().max()];
        assert_eq!(far.map(|largest| largest.into_scalar::<f32>()), [0.0; 2]);
        assert!(maps.max().into_scalar::<f32>() > 100.0);
    }
}
