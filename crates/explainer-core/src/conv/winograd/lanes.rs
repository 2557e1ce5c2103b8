//! Sixteen numbers that are computed with at once, one of each of sixteen tiles.

use std::ops::{Add, Mul, Sub};

use super::PATCH;

/// A number of each of sixteen tiles.
#[derive(Clone, Copy)]
pub(super) struct Lanes(pub(super) [f32; LANES]);

pub(super) const LANES: usize = 16;

/// The planes of sixteen tiles, or their patches.
pub(super) type Patch = [[Lanes; PATCH]; PATCH];

impl Lanes {
    pub(super) const ZERO: Self = Self([0.0; LANES]);

    /// The first `count` of `values`, and zeros.
    #[inline(always)]
    pub(super) fn load(values: &[f32], count: usize) -> Self {
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
    pub(super) fn store(self, values: &mut [f32], count: usize) {
        match values.first_chunk_mut() {
            Some(whole) if count == LANES => *whole = self.0,
            _ => values[..count].copy_from_slice(&self.0[..count]),
        }
    }

    #[inline(always)]
    pub(super) fn map(mut self, of: impl Fn(f32) -> f32) -> Self {
        for lane in &mut self.0 {
            *lane = of(*lane);
        }
        self
    }

    #[inline(always)]
    pub(super) fn zip(mut self, other: Self, of: impl Fn(f32, f32) -> f32) -> Self {
        for lane in 0..LANES {
            self.0[lane] = of(self.0[lane], other.0[lane]);
        }
        self
    }

    /// What is not beyond `rounding` becomes 0.
    #[inline(always)]
    pub(super) fn silenced(self, rounding: Self) -> Self {
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
pub(super) fn load_planes(tiles: &[f32], stride: usize, first: usize, count: usize) -> Patch {
    let mut planes = [[Lanes::ZERO; PATCH]; PATCH];
    for (plane, lanes) in planes.as_flattened_mut().iter_mut().enumerate() {
        *lanes = Lanes::load(&tiles[plane * stride + first..], count);
    }
    planes
}
