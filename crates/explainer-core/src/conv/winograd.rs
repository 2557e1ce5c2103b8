//! The tile transforms of Winograd's convolution F(4×4, 3×3), on the CPU.
//!
//! A tile of 4×4 outputs is computed from a patch of 6×6 inputs, and with
//!
//! ```text
//! Y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ X B) ] A
//! ```
//!
//! the sum over channels becomes a matrix product for each of the 36 planes, with a quarter of the
//! multiplications of the direct algorithm. The backward pass is the adjoint of each of the steps, so that
//! it uses the forward's tiles again. The matrix products are those of `product.rs`; here is the way from maps to
//! tiles and back, sixteen tiles at a time.
//!
//! All of it is compiled for the processor's vectors, which `pulp` finds at run time: what is called inside of
//! [`vectorized`] is `#[inline(always)]` so that it is compiled with it, and loops stand where
//! `array::from_fn` would leave calls and copies.
//!
//! Source: Lavin and Gray, arXiv:1509.09308.

use std::array;
use std::ops::{Add, Mul, Sub};

use rayon::prelude::*;

use super::Activation;
use crate::memory::{append_chunks, chunks, vectorized};

/// Side of a kernel.
const KERNEL: usize = 3;
/// Side of a tile of outputs.
const TILE: usize = 4;
/// Side of the patch of inputs that it is computed from.
const PATCH: usize = 6;
/// Products of a patch.
pub(super) const PLANES: usize = PATCH * PATCH;

/// The plane of A Y Aᵀ that holds the sum of Y, for row 1 of A is all ones.
pub(super) const SUM_PLANE: usize = PATCH + 1;

/// The error of a weight's gradient, in units of the sum of the sizes of its terms: 2⁻²⁰, 16 times that of one
/// `f32` operation.
///
/// What is within rounding of 0 is 0. The direct algorithm gives exactly 0 where maps and gradients have nothing in
/// common, and of a tiny gradient in its place Adam would make a whole step.
const ROUNDING: f32 = 1.0 / 1_048_576.0;

/// A number of each of sixteen tiles.
#[derive(Clone, Copy)]
struct Lanes([f32; LANES]);

const LANES: usize = 16;

/// The planes of sixteen tiles, or their patches.
type Patch = [[Lanes; PATCH]; PATCH];

impl Lanes {
    const ZERO: Self = Self([0.0; LANES]);

    /// The first `count` of `values`, and zeros.
    #[inline(always)]
    fn load(values: &[f32], count: usize) -> Self {
        let mut lanes = Self::ZERO;
        match values.first_chunk() {
            // A copy whose length is known takes a few instructions, and one that is not a call.
            Some(whole) if count == LANES => lanes.0 = *whole,
            _ => lanes.0[..count].copy_from_slice(&values[..count]),
        }
        lanes
    }

    /// Writes the first `count`.
    #[inline(always)]
    fn store(self, values: &mut [f32], count: usize) {
        match values.first_chunk_mut() {
            Some(whole) if count == LANES => *whole = self.0,
            _ => values[..count].copy_from_slice(&self.0[..count]),
        }
    }

    #[inline(always)]
    fn map(mut self, of: impl Fn(f32) -> f32) -> Self {
        for lane in &mut self.0 {
            *lane = of(*lane);
        }
        self
    }

    #[inline(always)]
    fn zip(mut self, other: Self, of: impl Fn(f32, f32) -> f32) -> Self {
        for lane in 0..LANES {
            self.0[lane] = of(self.0[lane], other.0[lane]);
        }
        self
    }

    /// What is not beyond `rounding` becomes 0.
    #[inline(always)]
    fn silenced(self, rounding: Self) -> Self {
        self.zip(
            rounding,
            #[inline(always)]
            |value, rounding| if value.abs() <= rounding { 0.0 } else { value },
        )
    }
}

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(
            other,
            #[inline(always)]
            |a, b| a + b,
        )
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(
            other,
            #[inline(always)]
            |a, b| a - b,
        )
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        self.map(
            #[inline(always)]
            |value| value * factor,
        )
    }
}

/// The planes of the `count` tiles from `first` on; `stride` numbers lie between those of two planes.
#[inline(always)]
fn load_planes(tiles: &[f32], stride: usize, first: usize, count: usize) -> Patch {
    let mut planes = [[Lanes::ZERO; PATCH]; PATCH];
    for (plane, lanes) in planes.as_flattened_mut().iter_mut().enumerate() {
        *lanes = Lanes::load(&tiles[plane * stride + first..], count);
    }
    planes
}

/// Bᵀ x.
#[inline(always)]
fn b_transposed(x: [Lanes; PATCH]) -> [Lanes; PATCH] {
    let [x0, x1, x2, x3, x4, x5] = x;
    let (even, odd) = (x4 - x2 * 4.0, x3 - x1 * 4.0);
    let (outer, inner) = (x4 - x2, (x3 - x1) * 2.0);
    [x0 * 4.0 - x2 * 5.0 + x4, even + odd, even - odd, outer + inner, outer - inner, x1 * 4.0 - x3 * 5.0 + x5]
}

/// B v, its adjoint.
#[inline(always)]
fn b(v: [Lanes; PATCH]) -> [Lanes; PATCH] {
    let [v0, v1, v2, v3, v4, v5] = v;
    let (sum, difference) = (v1 + v2, v1 - v2);
    let (wide_sum, wide_difference) = (v3 + v4, (v3 - v4) * 2.0);
    [
        v0 * 4.0,
        v5 * 4.0 - difference * 4.0 - wide_difference,
        v0 * -5.0 - sum * 4.0 - wide_sum,
        difference + wide_difference - v5 * 5.0,
        v0 + sum + wide_sum,
        v5,
    ]
}

/// Aᵀ m.
#[inline(always)]
fn a_transposed(m: [Lanes; PATCH]) -> [Lanes; TILE] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (sum, difference) = (m1 + m2, m1 - m2);
    let (wide_sum, wide_difference) = (m3 + m4, m3 - m4);
    [
        m0 + sum + wide_sum,
        difference + wide_difference * 2.0,
        sum + wide_sum * 4.0,
        difference + wide_difference * 8.0 + m5,
    ]
}

/// A y, its adjoint.
#[inline(always)]
fn a(y: [Lanes; TILE]) -> [Lanes; PATCH] {
    let [y0, y1, y2, y3] = y;
    let (even, odd) = (y0 + y2, y1 + y3);
    let (wide_even, wide_odd) = (y0 + y2 * 4.0, y1 * 2.0 + y3 * 8.0);
    [y0, even + odd, even - odd, wide_even + wide_odd, wide_even - wide_odd, y3]
}

/// The rows of G are these times those of [`g`], so that all factors but one of a plane are exact.
const G_SCALE: [f64; PATCH] = [1.0 / 4.0, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0, 1.0];

/// G w, but for the scale of the rows.
#[inline(always)]
fn g(w: [Lanes; KERNEL]) -> [Lanes; PATCH] {
    let [w0, w1, w2] = w;
    let (outer, wide_outer, wide_inner) = (w0 + w2, w0 + w2 * 4.0, w1 * 2.0);
    [w0, outer + w1, outer - w1, wide_outer + wide_inner, wide_outer - wide_inner, w2]
}

/// Gᵀ u.
#[inline(always)]
fn g_transposed(u: [Lanes; PATCH]) -> [Lanes; KERNEL] {
    let [u0, u1, u2, u3, u4, u5] = u;
    let (sum, difference) = ((u1 + u2) * (1.0 / 6.0), (u2 - u1) * (1.0 / 6.0));
    let (wide_sum, wide_difference) = (u3 + u4, u3 - u4);
    [
        u0 * 0.25 - sum + wide_sum * (1.0 / 24.0),
        difference + wide_difference * (1.0 / 12.0),
        wide_sum * (1.0 / 6.0) - sum + u5,
    ]
}

/// The sum of the sizes of the terms of Gᵀ u, from those of u. They differ from plane to plane by a factor of
/// 500, so that the largest plane says too little of the error.
#[inline(always)]
fn g_transposed_terms(u: [Lanes; PATCH]) -> [Lanes; KERNEL] {
    let [u0, u1, u2, u3, u4, u5] = u;
    let (sum, wide_sum) = ((u1 + u2) * (1.0 / 6.0), u3 + u4);
    [
        u0 * 0.25 + sum + wide_sum * (1.0 / 24.0),
        sum + wide_sum * (1.0 / 12.0),
        wide_sum * (1.0 / 6.0) + sum + u5,
    ]
}

/// G w Gᵀ of kernels `[D, inputs, 3, 3]`: `[D, 36, inputs]`.
pub(super) fn kernel_planes(kernels: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = kernels.len() / (inputs * KERNEL * KERNEL);
    let length = inputs * KERNEL * KERNEL;
    chunks(
        outputs,
        PLANES * inputs,
        || (),
        |(), output, planes| {
            vectorized(
                #[inline(always)]
                || planes_of_kernels(&kernels[output * length..][..length], inputs, planes),
            );
        },
    )
}

/// Those of one output.
#[inline(always)]
fn planes_of_kernels(kernels: &[f32], inputs: usize, planes: &mut [f32]) {
    for (at, kernels) in kernels.chunks(LANES * KERNEL * KERNEL).enumerate() {
        let mut weights = [[Lanes::ZERO; KERNEL]; KERNEL];
        let (kernels, _) = kernels.as_chunks::<{ KERNEL * KERNEL }>();
        for (lane, kernel) in kernels.iter().enumerate() {
            for (lanes, weight) in weights.as_flattened_mut().iter_mut().zip(kernel) {
                lanes.0[lane] = *weight;
            }
        }
        for (plane, lanes) in both(&weights, g).as_flattened().iter().enumerate() {
            let scale = G_SCALE[plane / PATCH] * G_SCALE[plane % PATCH];
            (*lanes * scale as f32).store(&mut planes[plane * inputs + at * LANES..], kernels.len());
        }
    }
}

/// The adjoint of [`kernel_planes`]: Gᵀ U G of the planes U of kernels, from `[36, kernels]` to
/// `[kernels, 3, 3]`.
pub(super) fn kernel_adjoint(planes: &[f32]) -> Vec<f32> {
    let all = planes.len() / PLANES;
    let mut kernels = vec![0.0; all * KERNEL * KERNEL];
    kernels.par_chunks_mut(LANES * KERNEL * KERNEL).enumerate().for_each(|(chunk, kernels)| {
        vectorized(
            #[inline(always)]
            || kernels_of_planes(planes, all, chunk * LANES, kernels),
        );
    });
    kernels
}

/// Sixteen of them, or fewer.
#[inline(always)]
fn kernels_of_planes(planes: &[f32], all: usize, first: usize, kernels: &mut [f32]) {
    let count = kernels.len() / (KERNEL * KERNEL);
    let mut planes = load_planes(planes, all, first, count);
    let weights = both(&planes, g_transposed);
    for plane in planes.as_flattened_mut() {
        *plane = plane.map(f32::abs);
    }
    let terms = both(&planes, g_transposed_terms);
    for (at, (weight, terms)) in weights.as_flattened().iter().zip(terms.as_flattened()).enumerate() {
        let weight = weight.silenced(*terms * ROUNDING);
        for lane in 0..count {
            kernels[lane * KERNEL * KERNEL + at] = weight.0[lane];
        }
    }
}

/// A one-dimensional transform along both dimensions.
#[inline(always)]
fn both<const M: usize, const N: usize>(
    values: &[[Lanes; M]; M],
    along: impl Fn([Lanes; M]) -> [Lanes; N],
) -> [[Lanes; N]; N] {
    let mut columns = [[Lanes::ZERO; M]; N];
    for column in 0..M {
        let mut each = [Lanes::ZERO; M];
        for row in 0..M {
            each[row] = values[row][column];
        }
        let each = along(each);
        for row in 0..N {
            columns[row][column] = each[row];
        }
    }
    let mut result = [[Lanes::ZERO; N]; N];
    for (row, columns) in result.iter_mut().zip(columns) {
        *row = along(columns);
    }
    result
}

/// Maps `[images, channels, height, width]` and how tiles cover them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    images: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Grid {
    pub(super) fn new([images, channels, height, width]: [usize; 4]) -> Self {
        Self { images, channels, height, width }
    }

    /// The same maps with another number of channels.
    pub(super) fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    pub(super) fn dims(self) -> [usize; 4] {
        [self.images, self.channels, self.height, self.width]
    }

    /// The shape of the maps' tiles.
    pub(super) fn tiles_dims(self) -> [usize; 3] {
        [self.channels, PLANES, self.tiles()]
    }

    /// Tiles of all maps of a channel.
    fn tiles(self) -> usize {
        self.images * self.tiles_of_a_map()
    }

    fn tiles_of_a_map(self) -> usize {
        self.height.div_ceil(TILE) * self.width.div_ceil(TILE)
    }

    /// Width of a map whose frame of one zero on each side is widened to whole tiles.
    fn framed_width(self) -> usize {
        self.width.div_ceil(TILE) * TILE + 2
    }

    fn framed_len(self) -> usize {
        (self.height.div_ceil(TILE) * TILE + 2) * self.framed_width()
    }

    /// Where the patches of every sixteen tiles start in a framed map; the last one is repeated where there
    /// are fewer.
    fn patches(self) -> Vec<[usize; LANES]> {
        let (own, across) = (self.tiles_of_a_map(), self.width.div_ceil(TILE));
        let start = |tile: usize| tile / across * TILE * self.framed_width() + tile % across * TILE;
        let sixteen = |first: usize| array::from_fn(|lane| start((first + lane).min(own - 1)));
        (0..own).step_by(LANES).map(sixteen).collect()
    }

    /// Puts a map into its frame.
    fn frame(self, map: &[f32], framed: &mut [f32]) {
        let rows = framed.chunks_exact_mut(self.framed_width()).skip(1);
        for (row, framed) in map.chunks_exact(self.width).zip(rows) {
            framed[1..=self.width].copy_from_slice(row);
        }
    }

    /// From maps to tiles, channel by channel: of every map and every sixteen tiles what `transform` makes
    /// of the framed map, the places of the patches and the frame's width: `[channels, 36, tiles]`.
    fn to_tiles(
        self,
        maps: &[f32],
        transform: impl Fn(&[f32], &[usize; LANES], usize) -> Patch + Sync + Send,
    ) -> Vec<f32> {
        let (all, patches) = (self.tiles(), self.patches());
        chunks(
            self.channels,
            PLANES * all,
            || vec![0.0; self.framed_len()],
            |framed, channel, tiles| {
                vectorized(
                    #[inline(always)]
                    || self.tiles_of_maps(maps, channel, framed, &patches, tiles, &transform),
                );
            },
        )
    }

    /// Those of one channel.
    #[inline(always)]
    fn tiles_of_maps(
        self,
        maps: &[f32],
        channel: usize,
        framed: &mut [f32],
        patches: &[[usize; LANES]],
        tiles: &mut [f32],
        transform: impl Fn(&[f32], &[usize; LANES], usize) -> Patch,
    ) {
        let (all, own, units) = (self.tiles(), self.tiles_of_a_map(), self.height * self.width);
        for image in 0..self.images {
            let start = (image * self.channels + channel) * units;
            self.frame(&maps[start..start + units], framed);
            for (first, patches) in (0..own).step_by(LANES).zip(patches) {
                let planes = transform(framed, patches, self.framed_width());
                let count = LANES.min(own - first);
                for (plane, lanes) in planes.as_flattened().iter().enumerate() {
                    lanes.store(&mut tiles[plane * all + image * own + first..], count);
                }
            }
        }
    }

    /// Whether a kernel in the middle of each unit sees anything but zeros, in any channel: `[images, units]`.
    ///
    /// Where it does not, the direct algorithm gives exactly 0, and this one what is left of the rest of the patch:
    /// a unit that is silent behind a mask would come out barely active.
    pub(super) fn seen(self, maps: &[f32]) -> Vec<bool> {
        let (width, units) = (self.width, self.height * self.width);
        let mut seen = vec![false; self.images * units];
        let maps = maps.par_chunks_exact(self.channels * units);
        seen.par_chunks_exact_mut(units).zip(maps).for_each(|(seen, maps)| {
            let mut any = vec![0u32; units];
            vectorized(
                #[inline(always)]
                || {
                    for map in maps.chunks_exact(units) {
                        any.iter_mut().zip(map).for_each(|(any, value)| *any |= u32::from(*value != 0.0));
                    }
                },
            );
            for (unit, seen) in seen.iter_mut().enumerate() {
                let (row, column) = (unit / width, unit % width);
                let columns = column.saturating_sub(1)..(column + 2).min(width);
                let mut rows = row.saturating_sub(1)..(row + 2).min(self.height);
                *seen = rows.any(|row| any[row * width..][columns.clone()].contains(&1));
            }
        });
        seen
    }

    /// From tiles `[36, channels, tiles]` to maps behind those of `output`: `place` adds what it makes of a channel's number and the
    /// planes of sixteen tiles to a framed map of zeros; see [`to_tiles`](Self::to_tiles). What is not
    /// [`seen`](Self::seen) is what `silent` says of the channel.
    fn to_maps(
        self,
        tiles: &[f32],
        seen: &[bool],
        silent: impl Fn(usize) -> f32 + Sync + Send,
        place: impl Fn(usize, &Patch, &mut [f32], &[usize], usize) + Sync + Send,
        output: &mut Vec<f32>,
    ) {
        let (patches, units) = (self.patches(), self.height * self.width);
        append_chunks(
            output,
            self.images * self.channels,
            units,
            || vec![0.0; self.framed_len()],
            |framed, index, map| {
                vectorized(
                    #[inline(always)]
                    || self.map_of_tiles(tiles, index, framed, &patches, map, &place),
                );
                let seen = &seen[index / self.channels * units..][..units];
                for (unit, _) in map.iter_mut().zip(seen).filter(|(_, seen)| !**seen) {
                    *unit = silent(index % self.channels);
                }
            },
        );
    }

    /// One of them.
    #[inline(always)]
    fn map_of_tiles(
        self,
        tiles: &[f32],
        index: usize,
        framed: &mut [f32],
        patches: &[[usize; LANES]],
        map: &mut [f32],
        place: impl Fn(usize, &Patch, &mut [f32], &[usize], usize),
    ) {
        let (all, own) = (self.tiles(), self.tiles_of_a_map());
        let (image, channel) = (index / self.channels, index % self.channels);
        framed.fill(0.0);
        for (first, patches) in (0..own).step_by(LANES).zip(patches) {
            let count = LANES.min(own - first);
            let planes = load_planes(tiles, self.channels * all, channel * all + image * own + first, count);
            place(channel, &planes, framed, &patches[..count], self.framed_width());
        }
        let rows = framed.chunks_exact(self.framed_width()).skip(1);
        for (row, framed) in map.chunks_exact_mut(self.width).zip(rows) {
            row.copy_from_slice(&framed[1..=self.width]);
        }
    }

    /// Bᵀ X B of the patches X of maps: `[channels, 36, tiles]`.
    pub(super) fn input(self, maps: &[f32]) -> Vec<f32> {
        self.to_tiles(
            maps,
            #[inline(always)]
            |framed, patches, width| both(&gathered::<PATCH>(framed, patches, width), b_transposed),
        )
    }

    /// The adjoint of [`input`](Self::input): the sum of B V Bᵀ over the patches that hold a unit. Planes
    /// first: from `[36, channels, tiles]`.
    pub(super) fn input_adjoint(self, tiles: &[f32], seen: &[bool]) -> Vec<f32> {
        let mut maps = Vec::new();
        self.to_maps(
            tiles,
            seen,
            |_| 0.0,
            #[inline(always)]
            |_, planes, framed, patches, width| add_scattered(&both(planes, b), framed, patches, width),
            &mut maps,
        );
        maps
    }

    /// Aᵀ M A + b of the planes M, from `[36, channels, tiles]`, b being a bias of each channel; or its ReLU. The maps
    /// go behind those of `output`.
    pub(super) fn output(
        self,
        tiles: &[f32],
        seen: &[bool],
        bias: &[f32],
        activation: Activation,
        output: &mut Vec<f32>,
    ) {
        match activation {
            Activation::Identity => self.output_through(
                tiles,
                seen,
                bias,
                #[inline(always)]
                |value| value,
                output,
            ),
            Activation::Relu => self.output_through(
                tiles,
                seen,
                bias,
                #[inline(always)]
                |value| if value <= 0.0 { 0.0 } else { value },
                output,
            ),
        }
    }

    /// What `activation` makes of Aᵀ M A + b.
    fn output_through(
        self,
        tiles: &[f32],
        seen: &[bool],
        bias: &[f32],
        activation: impl Fn(f32) -> f32 + Sync + Send,
        output: &mut Vec<f32>,
    ) {
        self.to_maps(
            tiles,
            seen,
            |channel| activation(bias[channel]),
            #[inline(always)]
            |channel, planes, framed, patches, width| {
                let (bias, mut tile) = (bias[channel], both(planes, a_transposed));
                for lanes in tile.as_flattened_mut() {
                    *lanes = lanes.map(
                        #[inline(always)]
                        |sum| activation(sum + bias),
                    );
                }
                add_scattered(&tile, &mut framed[width + 1..], patches, width);
            },
            output,
        );
    }

    /// The adjoint of Aᵀ M A: A Y Aᵀ of the tiles Y of maps, `[channels, 36, tiles]`.
    pub(super) fn output_adjoint(self, maps: &[f32]) -> Vec<f32> {
        self.to_tiles(
            maps,
            #[inline(always)]
            |framed, patches, width| both(&gathered::<TILE>(&framed[width + 1..], patches, width), a),
        )
    }
}

/// The N×N units of a framed map from each of the places on.
#[inline(always)]
fn gathered<const N: usize>(framed: &[f32], places: &[usize; LANES], width: usize) -> [[Lanes; N]; N] {
    let mut units = [[Lanes::ZERO; N]; N];
    for (lane, &place) in places.iter().enumerate() {
        for (row, units) in units.iter_mut().enumerate() {
            let from: &[f32; N] = framed[place + row * width..].first_chunk().expect("inside of the frame");
            for (lanes, &value) in units.iter_mut().zip(from) {
                lanes.0[lane] = value;
            }
        }
    }
    units
}

/// Adds N×N units to those of a framed map from each of the places on.
#[inline(always)]
fn add_scattered<const N: usize>(
    units: &[[Lanes; N]; N],
    framed: &mut [f32],
    places: &[usize],
    width: usize,
) {
    for (lane, &place) in places.iter().enumerate() {
        for (row, units) in units.iter().enumerate() {
            let to = framed[place + row * width..].first_chunk_mut::<N>().expect("inside of the frame");
            for (value, lanes) in to.iter_mut().zip(units) {
                *value += lanes.0[lane];
            }
        }
    }
}
