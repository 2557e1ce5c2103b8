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
//! it uses the forward's tiles again. The matrix products are Burn's; here is the way from maps to tiles
//! and back, sixteen tiles at a time.
//!
//! Source: Lavin and Gray, arXiv:1509.09308.

use std::array;
use std::ops::{Add, Mul, Sub};

use rayon::prelude::*;

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

/// w ↦ G w Gᵀ as a matrix: row `6·i + j` holds what each of a kernel's nine weights adds to plane (i, j),
/// `[36, 9]`.
pub(super) fn kernel_transform() -> Vec<f32> {
    const G: [[f64; 3]; PATCH] = [
        [0.25, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    let at = |plane: usize, weight: usize| G[plane / PATCH][weight / 3] * G[plane % PATCH][weight % 3];
    (0..PLANES * 9).map(|index| at(index / 9, index % 9) as f32).collect()
}

/// The error of a number, in units of the largest plane it is made of: 2⁻¹⁶, 2⁸ times that of one `f32`
/// operation.
///
/// What is within rounding of 0 is 0. The direct algorithm gives exactly 0 where a kernel sees nothing but
/// zeros, as behind a mask; here it is what is left of the rest of the patch. A silent unit would come out
/// as one that is barely active, and a weight without a gradient as one with a tiny gradient, of which Adam
/// makes a whole step.
const ROUNDING: f32 = 1.0 / 65536.0;

/// The same in units of the sum of all its terms: 2⁻²⁰.
const SUM_ROUNDING: f32 = ROUNDING / 16.0;

/// A number of each of sixteen tiles.
#[derive(Clone, Copy)]
struct Lanes([f32; LANES]);

const LANES: usize = 16;

impl Lanes {
    /// The first `count` of `values`, and zeros.
    #[inline(always)]
    fn load(values: &[f32], count: usize) -> Self {
        match values.first_chunk() {
            // A copy whose length is known takes a few instructions, and one that is not a call.
            Some(whole) if count == LANES => Self(*whole),
            _ => Self(array::from_fn(|lane| if lane < count { values[lane] } else { 0.0 })),
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    /// The first `count` of every plane's values.
    #[inline(always)]
    fn planes<'a>(of: impl Fn(usize) -> &'a [f32], count: usize) -> [[Self; PATCH]; PATCH] {
        array::from_fn(|row| array::from_fn(|column| Self::load(of(row * PATCH + column), count)))
    }

    /// Writes the first `count`.
    #[inline(always)]
    fn store(self, values: &mut [f32], count: usize) {
        match values.first_chunk_mut() {
            Some(whole) if count == LANES => *whole = self.0,
            _ => values[..count].copy_from_slice(&self.0[..count]),
        }
    }
}

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(array::from_fn(|lane| self.0[lane] - other.0[lane]))
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        Self(array::from_fn(|lane| self.0[lane] * factor))
    }
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

/// What is within rounding of 0 in numbers that are made of these planes.
#[inline(always)]
fn rounding(planes: &[[Lanes; PATCH]; PATCH]) -> [f32; LANES] {
    let largest = planes
        .as_flattened()
        .iter()
        .fold([0f32; LANES], |largest, plane| array::from_fn(|lane| largest[lane].max(plane.0[lane].abs())));
    largest.map(|largest| ROUNDING * largest)
}

/// The adjoint of [`kernel_transform`]: Gᵀ U G of the planes U of kernels, from `[36, kernels]` to
/// `[kernels, 3, 3]`.
pub(super) fn kernel_adjoint(planes: &[f32]) -> Vec<f32> {
    let all = planes.len() / PLANES;
    let mut kernels = vec![0.0; all * KERNEL * KERNEL];
    let fill = |(chunk, kernels): (usize, &mut [f32])| {
        let (first, count) = (chunk * LANES, kernels.len() / (KERNEL * KERNEL));
        let planes = Lanes::planes(|plane| &planes[plane * all + first..], count);
        let weights = both(planes, g_transposed);
        let terms = both(planes.map(|row| row.map(Lanes::abs)), g_transposed_terms);
        for (at, (lanes, terms)) in weights.as_flattened().iter().zip(terms.as_flattened()).enumerate() {
            for lane in 0..count {
                let value = lanes.0[lane];
                let silent = value.abs() <= SUM_ROUNDING * terms.0[lane];
                kernels[lane * KERNEL * KERNEL + at] = if silent { 0.0 } else { value };
            }
        }
    };
    kernels.par_chunks_mut(LANES * KERNEL * KERNEL).enumerate().for_each(fill);
    kernels
}

/// A one-dimensional transform along both dimensions.
#[inline(always)]
fn both<const M: usize, const N: usize>(
    values: [[Lanes; M]; M],
    along: impl Fn([Lanes; M]) -> [Lanes; N],
) -> [[Lanes; N]; N] {
    let columns: [[Lanes; N]; M] = array::from_fn(|column| along(array::from_fn(|row| values[row][column])));
    array::from_fn(|row| along(array::from_fn(|column| columns[column][row])))
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
    /// of the framed map and the places of the patches: `[channels, 36, tiles]`.
    fn to_tiles(
        self,
        maps: &[f32],
        transform: impl Fn(&[f32], [usize; LANES]) -> [[Lanes; PATCH]; PATCH] + Sync,
    ) -> Vec<f32> {
        let (all, own, patches) = (self.tiles(), self.tiles_of_a_map(), self.patches());
        let mut tiles = vec![0.0; self.channels * PLANES * all];
        let units = self.height * self.width;
        let fill = |framed: &mut Vec<f32>, (channel, tiles): (usize, &mut [f32])| {
            for image in 0..self.images {
                let start = (image * self.channels + channel) * units;
                self.frame(&maps[start..start + units], framed);
                for (first, &patches) in (0..own).step_by(LANES).zip(&patches) {
                    let planes = transform(framed, patches);
                    let count = LANES.min(own - first);
                    for (plane, lanes) in planes.as_flattened().iter().enumerate() {
                        lanes.store(&mut tiles[plane * all + image * own + first..], count);
                    }
                }
            }
        };
        tiles
            .par_chunks_exact_mut(PLANES * all)
            .enumerate()
            .for_each_init(|| vec![0.0; self.framed_len()], fill);
        tiles
    }

    /// From tiles `[36, channels, tiles]` to maps: `place` adds what it makes of the planes of sixteen tiles
    /// to a framed map of zeros.
    fn to_maps(
        self,
        tiles: &[f32],
        place: impl Fn(usize, &[[Lanes; PATCH]; PATCH], &mut [f32], &[usize]) + Sync,
    ) -> Vec<f32> {
        let (all, own, patches) = (self.tiles(), self.tiles_of_a_map(), self.patches());
        let mut maps = vec![0.0; self.images * self.channels * self.height * self.width];
        let fill = |framed: &mut Vec<f32>, (index, map): (usize, &mut [f32])| {
            let (image, channel) = (index / self.channels, index % self.channels);
            framed.fill(0.0);
            for (first, patches) in (0..own).step_by(LANES).zip(&patches) {
                let count = LANES.min(own - first);
                let start = |plane: usize| (plane * self.channels + channel) * all + image * own + first;
                let planes = Lanes::planes(|plane| &tiles[start(plane)..], count);
                place(channel, &planes, framed, &patches[..count]);
            }
            let rows = framed.chunks_exact(self.framed_width()).skip(1);
            for (row, framed) in map.chunks_exact_mut(self.width).zip(rows) {
                row.copy_from_slice(&framed[1..=self.width]);
            }
        };
        maps.par_chunks_exact_mut(self.height * self.width)
            .enumerate()
            .for_each_init(|| vec![0.0; self.framed_len()], fill);
        maps
    }

    /// Bᵀ X B of the patches X of maps: `[channels, 36, tiles]`.
    pub(super) fn input(self, maps: &[f32]) -> Vec<f32> {
        let width = self.framed_width();
        self.to_tiles(maps, |framed, patches| {
            let patch: [[Lanes; PATCH]; PATCH] = array::from_fn(|row| {
                array::from_fn(|column| {
                    Lanes(array::from_fn(|lane| framed[patches[lane] + row * width + column]))
                })
            });
            both(patch, b_transposed)
        })
    }

    /// The adjoint of [`input`](Self::input): the sum of B V Bᵀ over the patches that hold a unit. Planes
    /// first: from `[36, channels, tiles]`.
    pub(super) fn input_adjoint(self, tiles: &[f32]) -> Vec<f32> {
        let width = self.framed_width();
        self.to_maps(tiles, |_, planes, framed, patches| {
            let rounding = rounding(planes);
            let patch = both(*planes, b);
            for (row, lanes) in patch.iter().enumerate() {
                for (column, lanes) in lanes.iter().enumerate() {
                    for (lane, start) in patches.iter().enumerate() {
                        let value = lanes.0[lane];
                        let silent = value.abs() <= rounding[lane];
                        framed[start + row * width + column] += if silent { 0.0 } else { value };
                    }
                }
            }
        })
    }

    /// relu(Aᵀ M A + b) of the planes M, from `[36, channels, tiles]`, b being a bias of each channel.
    pub(super) fn output(self, tiles: &[f32], bias: &[f32]) -> Vec<f32> {
        let width = self.framed_width();
        self.to_maps(tiles, |channel, planes, framed, patches| {
            let rounding = rounding(planes);
            let tile = both(*planes, a_transposed);
            for (row, lanes) in tile.iter().enumerate() {
                for (column, lanes) in lanes.iter().enumerate() {
                    for (lane, start) in patches.iter().enumerate() {
                        let value = lanes.0[lane] + bias[channel];
                        let silent = value <= rounding[lane];
                        framed[start + (row + 1) * width + column + 1] = if silent { 0.0 } else { value };
                    }
                }
            }
        })
    }

    /// The adjoint of Aᵀ M A: A Y Aᵀ of the tiles Y of maps, `[channels, 36, tiles]`.
    pub(super) fn output_adjoint(self, maps: &[f32]) -> Vec<f32> {
        let width = self.framed_width();
        self.to_tiles(maps, |framed, patches| {
            let tile: [[Lanes; TILE]; TILE] = array::from_fn(|row| {
                array::from_fn(|column| {
                    Lanes(array::from_fn(|lane| framed[patches[lane] + (row + 1) * width + column + 1]))
                })
            });
            both(tile, a)
        })
    }
}
