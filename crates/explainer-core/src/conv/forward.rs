//! Convolutions of any shape without a backward pass, as a frozen network needs them.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::winograd::Grid;
use super::{Activation, Kernels, Tiles};
use crate::memory::{chunks, in_memory, tensor, values};
use crate::product::{Matrix, append_products};

/// Numbers that are laid out for matrix products at a time, so that they stay few beside the features
/// themselves: 16 MiB.
const AT_ONCE: usize = 4 << 20;

/// Channels from which on Winograd's algorithm pays: with fewer, on either side, the tiles cost more than the products
/// that they save. A narrow VGG-16 of 8 to 64 channels takes 0.165 s a batch with all of its layers in tiles, 0.150 s
/// with those of 16 channels and more, 0.207 s of 32 and more.
const TILED_CHANNELS: usize = 16;

/// The most outputs of an image that one thread computes, so that there is work for several; whatever their number, the
/// products and so their rounding are the same.
const OUTPUTS: usize = 64;

/// The most of them, and not much fewer, that divide the outputs of a group; all where no number does.
fn outputs_at_once(outputs: usize) -> usize {
    (OUTPUTS / 2..=OUTPUTS).rev().find(|part| outputs.is_multiple_of(*part)).unwrap_or(outputs)
}

/// What `conv` makes of `maps`: [`Conv2d::forward`], faster on the CPU where no gradients are asked for. A
/// [`Performer`](crate::Performer) of yours may compute its layers by it.
///
/// There, kernels of 3×3 with stride and padding 1 are applied by Winograd's algorithm, which rounds more (the
/// tests allow 1e-5 of the largest value), and others as one matrix product with the patches of many images.
/// Under autodiff, on other backends, in other number formats, for kernels of 1×1, depthwise and dilated ones, and
/// with `PaddingConfig2d::Same`, it is Burn's own convolution, which is as fast there or faster.
///
/// # Shapes
/// - maps: `[batch, C, h, w]`
/// - output: `[batch, D, h', w']`
///
/// # Panics
/// As `Conv2d::forward`: if the maps have other channels than the kernels.
pub fn convolve(conv: &Conv2d, maps: Tensor<4>) -> Tensor<4> {
    convolve_through(Activation::Identity, conv, maps)
}

/// The ReLU of [`convolve`], which on the CPU takes no pass of its own.
///
/// # Panics
/// As `convolve`.
pub fn convolve_relu(conv: &Conv2d, maps: Tensor<4>) -> Tensor<4> {
    convolve_through(Activation::Relu, conv, maps)
}

fn convolve_through(activation: Activation, conv: &Conv2d, maps: Tensor<4>) -> Tensor<4> {
    let weight = conv.weight.val();
    let shape @ [_, channels, ..] = maps.dims();
    let ours = in_memory(&maps)
        && in_memory(&weight)
        && !shape.contains(&0)
        && channels == weight.dims()[1] * conv.groups
        && conv.kernel_size != [1, 1]
        && !(conv.groups > 1 && weight.dims()[1] == 1)
        && conv.dilation == [1, 1];
    match Windows::new(conv, shape).filter(|_| ours) {
        Some(windows) if windows.suit_winograd(conv) => by_winograd(activation, conv, maps),
        Some(windows) => windows.by_product(activation, conv, maps),
        None => match activation {
            Activation::Identity => conv.forward(maps),
            Activation::Relu => relu(conv.forward(maps)),
        },
    }
}

fn by_winograd(activation: Activation, conv: &Conv2d, maps: Tensor<4>) -> Tensor<4> {
    let ([batch, inputs, height, width], device) = (maps.dims(), maps.device());
    let (kernels, maps, units) = (Kernels::of(conv), maps.into_data(), height * width);
    let [outputs, _] = kernels.channels;
    // A tile of sixteen units has 36 planes.
    let tiles = height.div_ceil(4) * width.div_ceil(4) * 36;
    let images = images_at_once(tiles * inputs.max(outputs));
    let mut output = Vec::with_capacity(batch * outputs * units);
    for maps in values(&maps).chunks(images * inputs * units) {
        let grid = Grid::new([maps.len() / (inputs * units), inputs, height, width]);
        Tiles::of(maps, grid, Grid::input, device.clone()).convolve(&kernels, activation, &mut output);
    }
    tensor(output, [batch, outputs, height, width], &device)
}

fn images_at_once(numbers: usize) -> usize {
    (AT_ONCE / numbers).max(1)
}

/// The windows of maps that a kernel reads.
#[derive(Clone, Copy)]
struct Windows {
    /// Height and width of the maps.
    maps: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Zeros above and to the left of a map.
    before: [usize; 2],
    /// Zeros below and to the right.
    after: [usize; 2],
    /// Rows and columns of windows.
    count: [usize; 2],
}

impl Windows {
    /// `None` where no window fits, and where the padding depends on the maps.
    fn new(conv: &Conv2d, [_, _, height, width]: [usize; 4]) -> Option<Self> {
        let (before, after) = match conv.padding {
            PaddingConfig2d::Valid => ([0; 2], [0; 2]),
            PaddingConfig2d::Explicit(top, left, bottom, right) => ([top, left], [bottom, right]),
            PaddingConfig2d::Same => return None,
        };
        let (maps, kernel, stride) = ([height, width], conv.kernel_size, conv.stride);
        let along = |axis: usize| {
            let room = (maps[axis] + before[axis] + after[axis]).checked_sub(kernel[axis])?;
            Some(room / stride[axis] + 1)
        };
        Some(Self { maps, kernel, stride, before, after, count: [along(0)?, along(1)?] })
    }

    fn suit_winograd(&self, conv: &Conv2d) -> bool {
        let ones = [1, 1];
        let [outputs, inputs, ..] = conv.weight.dims();
        inputs.min(outputs) >= TILED_CHANNELS
            && conv.groups == 1
            && (self.kernel, self.stride, self.before, self.after) == ([3, 3], ones, ones, ones)
    }

    /// By matrix products of the kernels with the windows of some images at a time.
    fn by_product(self, activation: Activation, conv: &Conv2d, maps: Tensor<4>) -> Tensor<4> {
        let (device, weight) = (maps.device(), conv.weight.val());
        let ([batch, channels, ..], [outputs, inputs, ..]) = (maps.dims(), weight.dims());
        let (length, units) = (inputs * self.kernel[0] * self.kernel[1], self.count[0] * self.count[1]);
        let (weight, maps) = (weight.into_data(), maps.into_data());
        let (weight, maps) = (values(&weight), values(&maps));
        let bias = conv.bias.as_ref().map(|bias| bias.val().into_data());
        let bias = bias.as_ref().map(values);
        let (image, grouped) = (self.maps[0] * self.maps[1] * channels, outputs / conv.groups);

        let mut output = Vec::with_capacity(batch * outputs * units);
        // Several images, so that every thread has one.
        let images = images_at_once(conv.groups * length * units).next_multiple_of(4);
        let rows = outputs_at_once(grouped);
        let parts = outputs / rows;
        for maps in maps.chunks(image * images) {
            let windows = self.laid_out(maps, channels);
            let count = maps.len() / image * parts;
            let kernels = |part: usize| {
                Matrix::new(&weight[part % parts * rows * length..], [rows, length], [length, 1])
            };
            let windows = |part: usize| {
                Matrix::new(&windows[part * rows / grouped * length * units..], [length, units], [units, 1])
            };
            append_products(&mut output, count, [rows, units], kernels, windows, |part, output| {
                for (row, map) in (part % parts * rows..).zip(output.chunks_exact_mut(units)) {
                    activation.follow(bias.map_or(0.0, |bias| bias[row]), map);
                }
            });
        }
        tensor(output, [batch, outputs, self.count[0], self.count[1]], &device)
    }

    /// The windows of maps, a column each: of every image and channel `[kernel, windows]`.
    fn laid_out(self, maps: &[f32], channels: usize) -> Vec<f32> {
        let ([height, width], [rows, columns]) = (self.maps, self.count);
        let images = maps.len() / (channels * height * width);
        let [_, across] = self.kernel;
        let kernel = self.kernel[0] * across;
        // A row of the matrix is what one weight of the kernels meets.
        let of_weight = |(): &mut (), weight: usize, met: &mut [f32]| {
            let (map, [down, over]) = (weight / kernel, [weight % kernel / across, weight % across]);
            let (inside, map) = (self.inside(over), &maps[map * height * width..][..height * width]);
            for (row, met) in met.chunks_exact_mut(columns).enumerate() {
                let Some(y) = (row * self.stride[0] + down).checked_sub(self.before[0]) else { continue };
                if y >= height || inside.is_empty() {
                    continue;
                }
                let from = y * width + inside.start * self.stride[1] + over - self.before[1];
                let met = &mut met[inside.clone()];
                if self.stride[1] == 1 {
                    met.copy_from_slice(&map[from..from + met.len()]);
                } else {
                    let values = map[from..].iter().step_by(self.stride[1]);
                    met.iter_mut().zip(values).for_each(|(met, value)| *met = *value);
                }
            }
        };
        chunks(images * channels * kernel, rows * columns, || (), of_weight)
    }

    /// The columns of windows whose place `over` lies inside of the map.
    fn inside(self, over: usize) -> std::ops::Range<usize> {
        let ([_, width], [_, stride], [_, left]) = (self.maps, self.stride, self.before);
        let first = left.saturating_sub(over).div_ceil(stride);
        let end = (width + left).saturating_sub(over).div_ceil(stride).min(self.count[1]);
        first.min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::init::Initializer;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Device;

    /// Every way against Burn's own convolution.
    #[test]
    fn every_shape_is_convolved_as_by_burn() {
        let explicit =
            |[top, left, bottom, right]: [usize; 4]| PaddingConfig2d::Explicit(top, left, bottom, right);
        let same = PaddingConfig2d::Same;
        for (channels, kernel, stride, padding, groups, size) in [
            ([3, 8], [11, 11], [4, 4], explicit([2; 4]), 1, [35, 43]),
            ([4, 6], [5, 5], [1, 1], explicit([2; 4]), 1, [9, 7]),
            ([4, 6], [5, 5], [1, 1], explicit([2; 4]), 2, [9, 7]),
            ([3, 5], [3, 3], [1, 1], explicit([1; 4]), 1, [13, 18]),
            ([16, 18], [3, 3], [1, 1], explicit([1; 4]), 1, [13, 18]),
            ([4, 140], [2, 2], [1, 1], explicit([0; 4]), 2, [5, 6]),
            ([2, 134], [2, 2], [1, 1], explicit([0; 4]), 2, [5, 6]),
            ([2, 96], [2, 2], [1, 1], explicit([0; 4]), 1, [5, 6]),
            ([4, 6], [3, 3], [1, 1], explicit([1; 4]), 2, [6, 5]),
            ([2, 3], [3, 3], [2, 2], explicit([1; 4]), 1, [8, 9]),
            ([2, 3], [3, 3], [1, 1], PaddingConfig2d::Valid, 1, [5, 6]),
            ([2, 3], [1, 1], [2, 2], PaddingConfig2d::Valid, 1, [5, 6]),
            ([2, 3], [2, 4], [3, 1], explicit([0, 3, 0, 3]), 1, [7, 2]),
            ([2, 3], [3, 5], [1, 1], same, 1, [4, 3]),
            // Windows that lie in the padding altogether.
            ([1, 2], [2, 2], [1, 3], explicit([3; 4]), 1, [1, 1]),
        ] {
            for bias in [true, false] {
                let config = Conv2dConfig::new(channels, kernel).with_stride(stride).with_groups(groups);
                let mut conv = config.with_padding(padding.clone()).with_bias(bias).init(&Device::flex());
                let mut init = Initializer::new(3, &Device::flex());
                let [outputs, inputs] = [channels[1], channels[0] / groups];
                let [height, width] = size;
                let drawn = init.linear(outputs, inputs * kernel[0] * kernel[1]).weight.val();
                conv.weight = conv.weight.map(|weight| drawn.reshape(weight.dims()));
                let maps = init.linear(3, channels[0] * height * width).weight.val();
                let maps = maps.reshape([3, channels[0], height, width]);
                let rectified = convolve_relu(&conv, maps.clone());
                let (ours, burns) = (convolve(&conv, maps.clone()), conv.forward(maps));
                assert_eq!([ours.dims(), rectified.dims()], [burns.dims(); 2]);
                assert_eq!(floats(rectified), floats(relu(ours.clone())));
                let (ours, burns) = (floats(ours), floats(burns));
                let largest = burns.iter().fold(0f32, |largest, value| largest.max(value.abs()));
                for (ours, burns) in ours.into_iter().zip(burns) {
                    assert!((ours - burns).abs() < 1e-5 * largest, "{conv}: {ours} {burns} of {largest}");
                }
            }
        }
    }

    /// Batches that are laid out in several pieces.
    #[test]
    fn long_batches_are_convolved_piece_by_piece() {
        for (kernel, stride) in [(3, 1), (3, 2)] {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            let config = Conv2dConfig::new([16, 16], [kernel; 2]).with_stride([stride; 2]);
            let mut conv = config.with_padding(padding).init(&Device::flex());
            let mut init = Initializer::new(4, &Device::flex());
            let weight = init.linear(16, 16 * 9).weight.val();
            conv.weight = conv.weight.map(|_| weight.reshape([16, 16, 3, 3]));
            let maps = init.linear(5, 16 * 100 * 100).weight.val();
            let maps = maps.reshape([5, 16, 100, 100]);
            let burns = conv.forward(maps.clone());
            let difference = (convolve(&conv, maps) - burns.clone()).abs().max().into_scalar::<f32>();
            let largest = burns.abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5 * largest, "{difference} of {largest}");
        }
    }
}
