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

mod kernels;
mod lanes;
mod transforms;

use std::array;

use rayon::prelude::*;

use super::{Activation, rectified};
use crate::memory::{append_chunks, chunks, vectorized};
pub(super) use kernels::{kernel_adjoint, kernel_planes};
use lanes::{LANES, Lanes, Patch, load_planes};
use transforms::{a, a_transposed, b, b_transposed, both};

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
            Activation::Relu => self.output_through(tiles, seen, bias, rectified, output),
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
