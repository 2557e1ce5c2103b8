//! Pools, as performers have them behind their last conv-layer.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::memory::{in_memory, tensor, values};

/// A pool: square kernel, one stride, symmetric zero padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pooling {
    /// What becomes of a window.
    #[serde(default)]
    pub kind: PoolKind,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Padding on each side.
    pub padding: usize,
    /// What becomes of a rest that is no whole window.
    #[serde(default)]
    pub rounding: Rounding,
}

/// What a pool makes of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolKind {
    /// Its largest value.
    #[default]
    Max,
    /// Its mean; padding counts as zeros.
    Average,
}

/// What a pool does where its windows do not cover a map evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rounding {
    /// The rest is left out, as in PyTorch unless told otherwise.
    #[default]
    Down,
    /// A last window reaches over the edge, as in Caffe and PyTorch's `ceil_mode`: it sees only what is
    /// there, and starts inside the map or its padding in front.
    Up,
}

/// Where the interpretable track is pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolPosition {
    /// Behind the last mask: a mask acts on the maps that parts are read off. arXiv:1805.07468 does not say.
    BehindMask,
    /// Between the last conv-layer and its mask, which then acts on pooled maps. On those of side 4 or less the
    /// published mask (β = 4) leaves the strongest unit alone.
    BeforeMask,
}

impl Pooling {
    /// A max-pool without padding.
    pub const fn max(kernel: usize, stride: usize) -> Self {
        Self { kind: PoolKind::Max, kernel, stride, padding: 0, rounding: Rounding::Down }
    }

    /// The average over whole maps of side `length`.
    pub const fn global_average(length: usize) -> Self {
        Self { kind: PoolKind::Average, ..Self::max(length, length) }
    }

    /// The same pool with zeros around the map.
    pub const fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The same pool with a last window over the rest, see [`Rounding::Up`].
    pub const fn rounded_up(self) -> Self {
        Self { rounding: Rounding::Up, ..self }
    }

    /// Side of the pooled map of a map of side `length`; `None` where no window fits.
    pub fn fitting_output(&self, length: usize) -> Option<usize> {
        let room = (length + 2 * self.padding).checked_sub(self.kernel)?;
        let windows = room / self.stride + 1;
        let rest = self.rounding == Rounding::Up && !room.is_multiple_of(self.stride);
        let inside = windows * self.stride < length + self.padding;
        Some(windows + usize::from(rest && inside))
    }

    /// Side of the pooled map of a map of side `length`.
    ///
    /// # Panics
    /// If no window fits.
    pub fn output(&self, length: usize) -> usize {
        let fitting = self.fitting_output(length);
        fitting.unwrap_or_else(|| panic!("no window of {self:?} fits a map of side {length}"))
    }

    /// The pooled maps, `[batch, channels, P, P]` of `[batch, channels, L, L]`.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let Self { kind, kernel, stride, padding, rounding } = *self;
        let up = rounding == Rounding::Up;
        match kind {
            // A window for each unit.
            _ if [kernel, stride, padding] == [1, 1, 0] => maps,
            PoolKind::Max if in_memory(&maps) => self.largest(maps),
            PoolKind::Max => {
                let options = MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]);
                max_pool2d(maps, options.with_padding([padding; 2]).with_ceil_mode(up))
            }
            PoolKind::Average => {
                let options = AvgPoolOptions::new([kernel; 2]).with_stride([stride; 2]);
                avg_pool2d(maps, options.with_padding([padding; 2]).with_ceil_mode(up))
            }
        }
    }

    /// The largest value of each window, on the CPU and without gradients: first of its columns, which lie side
    /// by side, then of its rows.
    fn largest(&self, maps: Tensor<4>) -> Tensor<4> {
        let ([batch, channels, height, width], device) = (maps.dims(), maps.device());
        let (rows, columns) = (self.output(height), self.output(width));
        let mut pooled = vec![f32::NEG_INFINITY; batch * channels * rows * columns];
        let maps = maps.into_data();
        let of_map = |of_columns: &mut Vec<f32>, (map, pooled): (&[f32], &mut [f32])| {
            for (row, pooled) in pooled.chunks_exact_mut(columns).enumerate() {
                of_columns.fill(f32::NEG_INFINITY);
                let window = map.chunks_exact(width).skip((row * self.stride).saturating_sub(self.padding));
                let cut_off = self.padding.saturating_sub(row * self.stride);
                for row in window.take(self.kernel.saturating_sub(cut_off)) {
                    of_columns.iter_mut().zip(row).for_each(|(largest, &value)| keep_larger(largest, value));
                }
                for over in 0..self.kernel {
                    // The windows whose place `over` lies inside of the map.
                    let first = self.padding.saturating_sub(over).div_ceil(self.stride);
                    let place = (first * self.stride + over).saturating_sub(self.padding);
                    let values = of_columns.iter().skip(place).step_by(self.stride);
                    let pooled = pooled.iter_mut().skip(first);
                    pooled.zip(values).for_each(|(largest, &value)| keep_larger(largest, value));
                }
            }
        };
        let maps = values(&maps).par_chunks_exact(height * width);
        let pooled_maps = pooled.par_chunks_exact_mut(rows * columns);
        maps.zip(pooled_maps).for_each_init(|| vec![0.0; width], of_map);
        tensor(pooled, [batch, channels, rows, columns], &device)
    }
}

/// NaN is larger than everything.
fn keep_larger(largest: &mut f32, value: f32) {
    if value > *largest || value.is_nan() {
        *largest = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use burn::tensor::{Device, TensorData};

    /// The window at `from` on one axis, cut off at the map's edges.
    fn window(pool: &Pooling, index: usize, length: usize) -> std::ops::Range<usize> {
        let from = (index * pool.stride) as i64 - pool.padding as i64;
        from.max(0) as usize..((from + pool.kernel as i64).max(0) as usize).min(length)
    }

    /// Of one map, from the definition.
    fn oracle(pool: &Pooling, map: &[f64], length: usize) -> Vec<f64> {
        let side = pool.output(length);
        let mut pooled = Vec::new();
        for (row, column) in (0..side * side).map(|at| (at / side, at % side)) {
            let (rows, columns) = (window(pool, row, length), window(pool, column, length));
            let values: Vec<f64> =
                rows.flat_map(|y| columns.clone().map(move |x| map[y * length + x])).collect();
            pooled.push(match pool.kind {
                PoolKind::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                PoolKind::Average => values.iter().sum::<f64>() / pool.kernel.pow(2) as f64,
            });
        }
        pooled
    }

    #[test]
    fn every_pool_is_its_definition_forward_and_backward() {
        let device = Device::flex().autodiff();
        for (pool, length, side) in [
            (Pooling::max(1, 1), 4, 4),
            (Pooling::max(2, 2), 6, 3),
            (Pooling::max(3, 2), 12, 5),
            (Pooling::max(3, 2).rounded_up(), 12, 6),
            (Pooling::max(3, 3).rounded_up(), 17, 6),
            (Pooling::max(3, 2).with_padding(1), 7, 4),
            // A window that would start behind the map is none.
            (Pooling::max(2, 3).rounded_up(), 3, 1),
            (Pooling::global_average(5), 5, 1),
            (Pooling { kind: PoolKind::Average, ..Pooling::max(2, 2) }, 6, 3),
        ] {
            assert_eq!(pool.output(length), side, "{pool:?}");
            let values: Vec<f64> = (0..length * length).map(|at| (7.3 * at as f64).sin()).collect();
            let data: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            let shape = [1, 1, length, length];
            let maps = Tensor::<4>::from_data(TensorData::new(data, shape), &device).require_grad();
            let pooled = pool.forward(maps.clone());
            assert_eq!(pooled.dims(), [1, 1, side, side], "{pool:?}");
            let expected = oracle(&pool, &values, length);
            for pooled in [pooled.clone().inner(), pool.forward(maps.clone().inner())] {
                for (found, expected) in floats(pooled).iter().zip(&expected) {
                    assert!((f64::from(*found) - expected).abs() < 1e-6, "{pool:?}");
                }
            }
            // Pools are linear where no two values are close: the gradient gives back the sum.
            let gradient = maps.grad(&pooled.sum().backward()).unwrap();
            let product: f32 = (gradient * maps.inner()).sum().into_scalar();
            assert!((f64::from(product) - expected.iter().sum::<f64>()).abs() < 1e-4, "{pool:?}");
        }
    }

    /// The quick way and the backend's, on maps that are not square.
    #[test]
    fn maps_are_pooled_as_by_burn_and_nan_is_kept() {
        let device = Device::flex();
        let pools = [Pooling::max(2, 2), Pooling::max(3, 2).with_padding(1), Pooling::max(3, 2).rounded_up()];
        for pool in pools {
            let values: Vec<f32> = (0..2 * 3 * 9 * 12).map(|at| (7.3 * at as f32).sin()).collect();
            let maps = Tensor::<4>::from_data(TensorData::new(values, [2, 3, 9, 12]), &device);
            let burns = pool.forward(Tensor::from_inner(maps.clone())).inner();
            assert_eq!(pool.forward(maps.clone()).into_data(), burns.into_data(), "{pool:?}");
            let maps = maps.slice_fill([1..2, 2..3, 4..5, 6..7], f32::NAN);
            assert!(floats(pool.forward(maps)).iter().any(|value| value.is_nan()), "{pool:?}");
        }
    }

    #[test]
    fn a_pool_that_is_larger_than_its_map_is_told() {
        assert_eq!(Pooling::max(3, 2).fitting_output(2), None);
        assert_eq!(Pooling::max(3, 2).with_padding(1).fitting_output(2), Some(1));
    }

    #[test]
    fn what_was_saved_before_there_were_kinds_is_a_max_pool() {
        let pool: Pooling = serde_json::from_str(r#"{"kernel":3,"stride":2,"padding":0}"#).unwrap();
        assert_eq!(pool, Pooling::max(3, 2));
    }
}
