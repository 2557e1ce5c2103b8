//! The explainer's convolutions: 3×3 with stride 1, padding 1 and a bias, each followed by a ReLU; and
//! their backward pass by hand.
//!
//! On the CPU they are computed by Winograd's algorithm (`winograd`), elsewhere by the backend's own
//! convolution (`direct.rs`), which is also what the tests compare the first with. `forward.rs` has
//! convolutions of any shape without a backward pass.

mod direct;
mod forward;
mod winograd;

pub use forward::{convolve, convolve_relu};

use std::sync::Arc;

use burn::nn::conv::Conv2d;
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use winograd::{Grid, PLANES, SUM_PLANE, kernel_adjoint, kernel_planes};

use crate::memory::{in_memory, tensor, values, values_mut};
use crate::product::{Matrix, products};

/// Numbers that one task goes through.
const CHUNK: usize = 1 << 15;

/// What conv-layers read, prepared once for all that read it.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a handful at a time")]
pub(crate) enum Input {
    /// The maps.
    Maps(Tensor<4>),
    /// Their patches as tiles.
    Tiles(Arc<Tiles>),
}

/// What arrives behind a conv-layer in the backward pass, prepared once for its weights and its input.
#[allow(
    clippy::large_enum_variant,
    reason = "a handful at a time; how large a tensor is depends on the backends built"
)]
pub(crate) enum Gradient {
    /// ∂L/∂y, behind the conv-layer and in front of the ReLU.
    Maps(Tensor<4>),
    /// Its tiles.
    Tiles(Tiles),
}

/// Tiles of maps in memory.
pub(crate) struct Tiles {
    /// `[channels, 36, tiles]`.
    values: Vec<f32>,
    /// Where a kernel sees anything but zeros of the maps, `[images, units]`.
    seen: Vec<bool>,
    grid: Grid,
    device: Device,
}

impl Tiles {
    /// What `transform` makes of maps `[batch, channels, h, w]`.
    fn new(maps: Tensor<4>, transform: fn(Grid, &[f32]) -> Vec<f32>) -> Self {
        let (device, grid, maps) = (maps.device(), Grid::new(maps.dims()), maps.into_data());
        Self::of(values(&maps), grid, transform, device)
    }

    fn of(maps: &[f32], grid: Grid, transform: fn(Grid, &[f32]) -> Vec<f32>, device: Device) -> Self {
        Self { values: transform(grid, maps), seen: grid.seen(maps), grid, device }
    }

    /// w ∗ x + b of tiles of x, or its ReLU, `[batch, D, h, w]`, behind what `output` holds already.
    fn convolve(&self, kernels: &Kernels, activation: Activation, output: &mut Vec<f32>) {
        let [outputs, _] = kernels.channels;
        let [_, planes, tiles] = self.grid.tiles_dims();
        let products =
            products(planes, [outputs, tiles], |plane| kernels.plane(plane), |plane| self.plane(plane));
        let grid = self.grid.with_channels(outputs);
        grid.output(&products, &self.seen, &kernels.bias, activation, output);
    }

    /// One of the planes: `[channels, tiles]`.
    fn plane(&self, plane: usize) -> Matrix<'_> {
        let [channels, planes, tiles] = self.grid.tiles_dims();
        Matrix::new(&self.values[plane * tiles..], [channels, tiles], [planes * tiles, 1])
    }
}

/// G w Gᵀ of the kernels of a weight, and a bias.
struct Kernels {
    /// `[D, 36, C]`.
    values: Vec<f32>,
    /// `[D]`.
    bias: Vec<f32>,
    /// D and C.
    channels: [usize; 2],
}

impl Kernels {
    fn new(weight: Tensor<4>) -> Self {
        let [outputs, inputs, _, _] = weight.dims();
        let values = kernel_planes(values(&weight.into_data()), inputs);
        Self { values, bias: vec![0.0; outputs], channels: [outputs, inputs] }
    }

    fn of(conv: &Conv2d) -> Self {
        let mut kernels = Self::new(conv.weight.val());
        if let Some(bias) = &conv.bias {
            kernels.bias.copy_from_slice(values(&bias.val().into_data()));
        }
        kernels
    }

    /// One of the planes: `[D, C]`.
    fn plane(&self, plane: usize) -> Matrix<'_> {
        let [_, inputs] = self.channels;
        Matrix::new(&self.values[plane * inputs..], self.channels, [PLANES * inputs, 1])
    }
}

/// What follows a convolution.
#[derive(Clone, Copy)]
enum Activation {
    Identity,
    Relu,
}

impl Activation {
    /// What it makes of a map and its bias.
    fn follow(self, bias: f32, map: &mut [f32]) {
        match self {
            Self::Identity => map.iter_mut().for_each(|unit| *unit += bias),
            Self::Relu => map.iter_mut().for_each(|unit| *unit = rectified(*unit + bias)),
        }
    }
}

/// The ReLU of a number. A NaN stays one.
#[inline(always)]
fn rectified(value: f32) -> f32 {
    if value <= 0.0 { 0.0 } else { value }
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
        Self::Tiles(Arc::new(Tiles::new(maps, Grid::input)))
    }

    /// relu(w ∗ x + b), `[batch, D, h, w]`.
    pub(crate) fn maps(&self, conv: &Conv2d) -> Tensor<4> {
        match self {
            Self::Maps(maps) => relu(conv.forward(maps.clone())),
            Self::Tiles(input) => {
                let kernels = Kernels::of(conv);
                let mut maps = Vec::new();
                input.convolve(&kernels, Activation::Relu, &mut maps);
                tensor(maps, input.grid.with_channels(kernels.channels[0]).dims(), &input.device)
            }
        }
    }

    /// ∂L/∂w, `[D, C, 3, 3]`.
    pub(crate) fn weight_gradient(&self, gradient: &Gradient) -> Tensor<4> {
        match (self, gradient) {
            (Self::Maps(maps), Gradient::Maps(gradient)) => {
                direct::weight_gradient(maps.clone(), gradient.clone())
            }
            (Self::Tiles(input), Gradient::Tiles(gradient)) => {
                let ([inputs, planes, _], [outputs, ..]) =
                    (input.grid.tiles_dims(), gradient.grid.tiles_dims());
                let across = |plane| input.plane(plane).transposed();
                let products = products(planes, [outputs, inputs], |plane| gradient.plane(plane), across);
                tensor(kernel_adjoint(&products), [outputs, inputs, 3, 3], &input.device)
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
        Self::Tiles(Tiles::new(maps, Grid::output_adjoint))
    }

    /// ∂L/∂b, `[D]`.
    fn bias_gradient(&self) -> Tensor<1> {
        match self {
            Self::Maps(gradient) => gradient.clone().sum_dims_squeeze::<1, _>(&[0, 2, 3]),
            // One of the planes of A Y Aᵀ is the sum of the tile.
            Self::Tiles(Tiles { values, grid, device, .. }) => {
                let [outputs, planes, tiles] = grid.tiles_dims();
                let channels = values.chunks_exact(planes * tiles);
                let sums =
                    channels.map(|channel| channel[SUM_PLANE * tiles..][..tiles].iter().sum()).collect();
                tensor(sums, [outputs], device)
            }
        }
    }

    /// ∂L/∂x, `[batch, C, h, w]`.
    pub(crate) fn input_gradient(&self, weight: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Maps(gradient) => direct::input_gradient(weight, gradient.clone()),
            Self::Tiles(gradient) => {
                let kernels = Kernels::new(weight);
                let [_, inputs] = kernels.channels;
                let [_, planes, tiles] = gradient.grid.tiles_dims();
                let across = |plane| kernels.plane(plane).transposed();
                let products = products(planes, [inputs, tiles], across, |plane| gradient.plane(plane));
                let grid = gradient.grid.with_channels(inputs);
                tensor(grid.input_adjoint(&products, &gradient.seen), grid.dims(), &gradient.device)
            }
        }
    }
}

/// The maps of a conv-layer and its ReLU, and from ∂L/∂y behind it the gradients of its weight and of what it reads, as
/// in a fitting step. For measurements.
#[doc(hidden)]
pub fn conv_step(conv: &Conv2d, maps: Tensor<4>, gradient: Tensor<4>) -> [Tensor<4>; 3] {
    let input = Input::new(maps);
    let maps = input.maps(conv);
    let gradient = Gradient::new(gradient, maps.clone());
    [maps, input.weight_gradient(&gradient), gradient.input_gradient(conv.weight.val())]
}

/// The gradient in front of a ReLU whose output is `maps`.
fn through_relu(gradient: Tensor<4>, maps: Tensor<4>) -> Tensor<4> {
    if !(in_memory(&gradient) && in_memory(&maps)) {
        return gradient * maps.greater_scalar(0.0).float();
    }
    let (device, mut gradient, maps) = (maps.device(), gradient.into_data(), maps.into_data());
    let maps = values(&maps).par_chunks(CHUNK);
    values_mut(&mut gradient).par_chunks_mut(CHUNK).zip(maps).for_each(|(gradient, maps)| {
        for (gradient, unit) in gradient.iter_mut().zip(maps) {
            *gradient = if *unit > 0.0 { *gradient } else { 0.0 };
        }
    });
    Tensor::from_data(gradient, &device)
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
