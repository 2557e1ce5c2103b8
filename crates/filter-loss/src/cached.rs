//! The filter loss on the CPU: some filters at a time, whose maps, traces and densities stay in a core's cache.
//!
//! The formulas are those of `scale.rs`, `density.rs` and `loss.rs`, with which the tests compare this; here they are
//! loops over slices between matrix products. What compares filters or remembers batches is there only.

use burn::tensor::{Bool, FloatDType, Tensor, TensorData};
use pulp::Arch;
use rayon::prelude::*;

use crate::loss::{FilterLossConfig, Gradient, Population, RELEASED_SCALE};
use crate::scale::{SILENCE, Scale};
use crate::templates::Templates;

/// Maps whose traces are one product: few enough for the cache.
const MAPS: usize = 128;

/// Whether the loss is one of those that are computed here.
pub(crate) fn suits(config: &FilterLossConfig) -> bool {
    config.diversity == 0.0
}

/// [`FilterLoss::value_and_gradient`](crate::FilterLoss::value_and_gradient) of maps in the CPU's memory, of a loss
/// that this [`suits`].
pub(crate) fn value_and_gradient(
    config: &FilterLossConfig,
    templates: &Templates,
    maps: Tensor<4>,
    members: Tensor<2, Bool>,
) -> (Tensor<1>, Tensor<4>) {
    let maps = maps.inner().cast(FloatDType::F32);
    let ([batch, filters, height, width], device) = (maps.dims(), maps.device());
    let units = height * width;
    let relative = templates.relative();
    let pass = Pass {
        config,
        tau: templates.tau() as f32,
        templates: relative.clone().into_data(),
        relative,
        members: members.inner().into_data().iter::<bool>().collect(),
        filters,
        units,
    };
    // The gradient is written over these, or over a copy if somebody else holds them.
    let mut maps = maps.into_data();
    let size = (MAPS / batch.max(1)).max(1);
    let mut pieces: Vec<Vec<&mut [f32]>> = (0..filters.div_ceil(size)).map(|_| vec![]).collect();
    for image in floats_mut(&mut maps).chunks_mut((filters * units).max(1)) {
        pieces.iter_mut().zip(image.chunks_mut(size * units)).for_each(|(piece, maps)| piece.push(maps));
    }
    let pieces = pieces.into_par_iter().enumerate();
    let values: Vec<f32> = pieces.flat_map_iter(|(at, maps)| pass.of_piece(at * size, maps)).collect();
    (Tensor::from_data(TensorData::new(values, [filters]), &device), Tensor::from_data(maps, &device))
}

fn floats(data: &TensorData) -> &[f32] {
    data.as_slice().expect("all tensors here are of f32")
}

fn floats_mut(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice().expect("all tensors here are of f32")
}

/// Rows times a matrix.
fn product(rows: Vec<f32>, matrix: Tensor<2>) -> Vec<f32> {
    let (length, device) = (matrix.dims()[0], matrix.device());
    let shape = [rows.len() / length, length];
    let product = Tensor::from_data(TensorData::new(rows, shape), &device).matmul(matrix);
    product.into_data().try_into_vec().expect("all tensors here are of f32")
}

/// What is the same for all filters.
struct Pass<'a> {
    config: &'a FilterLossConfig,
    tau: f32,
    /// T/τ, `[n² + 1, n²]`.
    templates: TensorData,
    /// The same.
    relative: Tensor<2>,
    /// `[batch, filters]`.
    members: Vec<bool>,
    filters: usize,
    units: usize,
}

impl Pass<'_> {
    /// The values of some filters from `first` on. Their maps, those of an image in one slice, are overwritten by
    /// their gradient.
    fn of_piece(&self, first: usize, mut maps: Vec<&mut [f32]>) -> Vec<f32> {
        let (units, batch) = (self.units, maps.len());
        let filters = maps.first().map_or(0, |image| image.len() / units);
        let mut own = Vec::with_capacity(filters * batch * units);
        for filter in 0..filters {
            maps.iter().for_each(|image| own.extend_from_slice(&image[filter * units..][..units]));
        }
        let mut sizes = Vec::with_capacity(filters);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let maps = own.chunks_exact_mut(batch * units);
                sizes.extend(maps.map(|maps| Size::divide(self.config.scale, self.tau, maps, batch as f32)));
            },
        );
        let mut traces = product(own, self.relative.clone().transpose());
        let mut values = Vec::with_capacity(filters);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let of_filters = traces.chunks_exact_mut(batch * (units + 1)).zip(&mut sizes);
                for (filter, (traces, size)) in of_filters.enumerate() {
                    let mut maps: Vec<&mut [f32]> =
                        maps.iter_mut().map(|image| &mut image[filter * units..][..units]).collect();
                    values.push(self.of_filter(first + filter, traces, size, &mut maps));
                }
            },
        );
        if self.config.gradient == Gradient::Exact {
            let gradients = product(traces, self.relative.clone());
            for (filter, (gradients, size)) in gradients.chunks_exact(batch * units).zip(&sizes).enumerate() {
                for (image, gradient) in maps.iter_mut().zip(gradients.chunks_exact(units)) {
                    size.pull_back(gradient, 1.0, &mut image[filter * units..][..units]);
                }
            }
        }
        values
    }

    /// The value of a filter. Its maps are overwritten by the approximate gradient, or its traces by the weights of the
    /// exact one.
    #[inline(always)]
    fn of_filter(&self, filter: usize, traces: &mut [f32], size: &mut Size, maps: &mut [&mut [f32]]) -> f32 {
        let (batch, templates) = (maps.len(), self.units + 1);
        let members: Vec<bool> = self.members.iter().skip(filter).step_by(self.filters).copied().collect();
        let inside: Vec<bool> =
            members.iter().map(|member| *member || self.config.population == Population::All).collect();
        traces.iter_mut().for_each(|trace| *trace *= size.exponent);
        let densities = Densities::of_traces(traces, templates, &inside);
        if self.config.gradient == Gradient::Exact {
            size.along = densities.exact_weights(traces, &inside) / batch as f32;
        } else {
            let targets = maps.iter().zip(&members);
            let targets: Vec<usize> =
                targets.map(|(map, member)| if *member { strongest_unit(map) } else { self.units }).collect();
            let reached: Vec<f32> =
                traces.chunks_exact(templates).zip(&targets).map(|(row, at)| row[*at]).collect();
            let weights = match self.config.gradient {
                Gradient::Released => released_weights(&reached, &members, size),
                _ => densities.approximate_weights(&reached, &targets),
            };
            let weights = weights.into_iter().zip(&inside);
            let weights: Vec<f32> =
                weights.map(|(weight, inside)| if *inside { weight } else { 0.0 }).collect();
            size.along = weights.iter().zip(&reached).map(|(weight, trace)| weight * trace).sum::<f32>()
                / batch as f32;
            for ((map, target), weight) in maps.iter_mut().zip(targets).zip(weights) {
                let template = &floats(&self.templates)[target * self.units..][..self.units];
                size.pull_back(template, weight, map);
            }
        }
        -sum(&densities.divergence, |divergence| divergence) / templates as f32
    }
}

/// The scale at which the loss sees the maps of a filter, and the way back.
struct Size {
    scale: Scale,
    /// From a gradient with respect to s_T to one with respect to x̂.
    gain: f32,
    /// s_T = exponent · ⟨x / largest, T/τ⟩.
    exponent: f32,
    /// The largest unit, if the maps are divided by it.
    largest: f32,
    /// m_f / largest.
    mean: f32,
    /// 1 / m_f, and 0 for a silent filter.
    inverse: f32,
    /// ⟨g, x̂⟩ / N.
    along: f32,
}

impl Size {
    /// Divides the maps by their largest unit, unless they are seen as they are.
    #[inline(always)]
    fn divide(scale: Scale, tau: f32, maps: &mut [f32], batch: f32) -> Self {
        let (Scale::Mass { trace } | Scale::Energy { trace }) = scale else {
            return Self {
                scale,
                gain: tau,
                exponent: tau,
                largest: 1.0,
                mean: 1.0,
                inverse: 1.0,
                along: 0.0,
            };
        };
        let (gain, largest) = (trace as f32, largest(maps));
        let (largest, live) = if largest >= SILENCE { (largest, 1.0) } else { (1.0, 0.0) };
        maps.iter_mut().for_each(|unit| *unit /= largest);
        let energy = matches!(scale, Scale::Energy { .. });
        let total = if energy { sum(maps, |unit| unit * unit) } else { sum(maps, |unit| unit) };
        // A NaN stays one.
        let mean = if total < 1.0 { 1.0 } else { total } / batch;
        let mean = if energy { mean.sqrt() } else { mean };
        Self {
            scale,
            gain,
            exponent: gain / mean,
            largest,
            mean,
            inverse: live / (mean * largest),
            along: 0.0,
        }
    }

    /// Overwrites a map by the gradient with respect to it. The one with respect to s_T, times T, is
    /// weight · direction.
    #[inline(always)]
    fn pull_back(&self, direction: &[f32], weight: f32, map: &mut [f32]) {
        let (factor, along, inverse) = (weight * self.gain, self.along, self.inverse);
        match self.scale {
            Scale::AsIs => map.iter_mut().zip(direction).for_each(|(unit, d)| *unit = factor * d),
            Scale::Mass { .. } => {
                map.iter_mut().zip(direction).for_each(|(unit, d)| *unit = (factor * d - along) * inverse);
            }
            Scale::Energy { .. } => map.iter_mut().zip(direction).for_each(|(unit, d)| {
                *unit = (factor * d - *unit / self.largest / self.mean * along) * inverse;
            }),
        }
    }
}

/// [`density::Densities`](crate::density::Densities) of one filter.
struct Densities {
    /// log of the mean of exp(s_T): `[templates]`.
    partition: Vec<f32>,
    /// N·p(x|T), 0 for maps outside of the population: `[batch, templates]`.
    density: Vec<f32>,
    /// log N·p(x): `[batch]`.
    marginal: Vec<f32>,
    /// KL(p(·|T) ‖ p): `[templates]`.
    divergence: Vec<f32>,
    /// −p(T) / N.
    each: f32,
}

/// A mean density from which on none of those that add to it is too small for `f32`.
const CERTAIN: f32 = 1e-20;

impl Densities {
    /// From the traces `[batch, templates]`.
    #[inline(always)]
    fn of_traces(traces: &[f32], templates: usize, inside: &[bool]) -> Self {
        let images = inside.iter().filter(|inside| **inside).count().max(1) as f32;
        let rows =
            || traces.chunks_exact(templates).zip(inside).enumerate().filter(|(_, (_, inside))| **inside);
        let mut largest = vec![f32::NEG_INFINITY; templates];
        for (_, (row, _)) in rows() {
            largest.iter_mut().zip(row).for_each(|(largest, trace)| *largest = max(*largest, *trace));
        }
        let (mut density, mut sums) = (vec![0.0; traces.len()], vec![0.0; templates]);
        for (image, (row, _)) in rows() {
            let density = &mut density[image * templates..][..templates];
            for (((density, sum), trace), largest) in density.iter_mut().zip(&mut sums).zip(row).zip(&largest)
            {
                *density = exp(*trace - *largest);
                *sum += *density;
            }
        }
        let partition: Vec<f32> =
            largest.iter().zip(&sums).map(|(largest, sum)| (sum / images).ln() + largest).collect();
        let scale: Vec<f32> = sums.iter().map(|sum| images / sum).collect();
        let (mut marginal, mut divergence) = (vec![0.0; inside.len()], vec![0.0; templates]);
        for (image, (row, _)) in rows() {
            let density = &mut density[image * templates..][..templates];
            density.iter_mut().zip(&scale).for_each(|(density, scale)| *density *= scale);
            let mean = sum(density, |density| density) / templates as f32;
            let mean = if mean > CERTAIN { mean.ln() } else { log_mean(row, &partition) };
            marginal[image] = mean;
            for (((sum, density), trace), partition) in
                divergence.iter_mut().zip(density).zip(row).zip(&partition)
            {
                *sum += *density * (*trace - *partition - mean);
            }
        }
        divergence.iter_mut().for_each(|sum| *sum /= images);
        Self { partition, density, marginal, divergence, each: -1.0 / (templates as f32 * images) }
    }

    /// −p(T̂) p(x|T̂) log(p(x|T̂) / p(x)) of every map, from s_T̂.
    #[inline(always)]
    fn approximate_weights(&self, reached: &[f32], targets: &[usize]) -> Vec<f32> {
        let rows = self.density.chunks_exact(self.partition.len()).zip(&self.marginal);
        let of_maps = rows.zip(reached).zip(targets);
        of_maps
            .map(|(((density, marginal), trace), &target)| {
                density[target] * (trace - self.partition[target] - marginal) * self.each
            })
            .collect()
    }

    /// Puts −p(T) p(x|T) [log(p(x|T) / p(x)) − KL(p(·|T) ‖ p)] in the traces' place, and gives the sum of products of
    /// both.
    #[inline(always)]
    fn exact_weights(&self, traces: &mut [f32], inside: &[bool]) -> f32 {
        let templates = self.partition.len();
        let rows = traces.chunks_exact_mut(templates).zip(self.density.chunks_exact(templates));
        let mut along = vec![0.0; templates];
        for (((row, density), marginal), inside) in rows.zip(&self.marginal).zip(inside) {
            if !inside {
                row.fill(0.0);
                continue;
            }
            let of_templates = row.iter_mut().zip(density).zip(&self.partition).zip(&self.divergence);
            for ((((trace, density), partition), divergence), along) in of_templates.zip(&mut along) {
                let weight = *density * (*trace - *partition - *marginal - *divergence) * self.each;
                *along += weight * *trace;
                *trace = weight;
            }
        }
        sum(&along, |along| along)
    }
}

/// −w(x) of [`Gradient::Released`] from s_T̂, over the gain that the way back multiplies by.
#[inline(always)]
fn released_weights(reached: &[f32], members: &[bool], size: &Size) -> Vec<f32> {
    let temperature = if size.scale == Scale::AsIs { RELEASED_SCALE as f32 } else { 1.0 };
    let mut weights = vec![0.0; reached.len()];
    for group in [true, false] {
        let images = || (0..reached.len()).filter(|&image| members[image] == group);
        let exponent = |image: usize| temperature * reached[image];
        let count = images().count().max(1) as f32;
        let largest = images().map(exponent).fold(f32::NEG_INFINITY, max);
        let partition =
            (images().map(|image| (exponent(image) - largest).exp()).sum::<f32>() / count).ln() + largest;
        images().for_each(|image| {
            let log_ratio = exponent(image) - partition;
            weights[image] = log_ratio.exp() * (log_ratio + 1.0);
        });
        // At least 1, but for rounding.
        let mean = max(1.0, images().map(|image| weights[image]).sum::<f32>() / count);
        images().for_each(|image| weights[image] /= -mean * size.gain);
    }
    weights
}

/// log of the mean of exp(s_T − log Z_T).
#[cold]
fn log_mean(row: &[f32], partition: &[f32]) -> f32 {
    let exponents: Vec<f32> = row.iter().zip(partition).map(|(trace, partition)| trace - partition).collect();
    let largest = largest(&exponents);
    (sum(&exponents, |exponent| (exponent - largest).exp()) / row.len() as f32).ln() + largest
}

/// The first of the largest units.
#[inline(always)]
fn strongest_unit(map: &[f32]) -> usize {
    let largest = largest(map);
    map.iter().position(|unit| *unit == largest).unwrap_or(0)
}

/// The larger one; not `f32::max`, which takes two instructions more to see NaNs.
#[inline(always)]
fn max(one: f32, other: f32) -> f32 {
    if other > one { other } else { one }
}

const LANES: usize = 16;

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for values in whole {
        lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane = max(*lane, *value));
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, max)
}

#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for values in whole {
        lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += of(*value));
    }
    lanes.into_iter().sum::<f32>() + rest.iter().map(|value| of(*value)).sum::<f32>()
}

/// eˣ of x ≤ 0, and 0 where that is below 1.6·10⁻³⁸; by 2ⁿ · eʳ with |r| ≤ log 2 / 2 and Cephes' polynomial, within
/// 2 units of the last place. The standard library's is a call for each number.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    /// Added to a number, it leaves its nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let inside = if x < LOWEST { LOWEST } else { x };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = inside - n * LN_2[0] - n * LN_2[1];
    let mut series = 1.987_569_1e-4;
    for term in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        series = series * r + term;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    if x < LOWEST { 0.0 } else { (series * r * r + r + 1.0) * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_places() {
        let mut x = 0f32;
        while x > -87.0 {
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 2.0 * f64::from(f32::EPSILON), "{x}");
            x -= 1.7e-3;
        }
        assert_eq!(
            [0.0, -0.0, -87.1, -1e4, -1e32, f32::NEG_INFINITY].map(exp),
            [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        );
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn maps_that_say_nothing_have_densities_of_exactly_one() {
        for (images, templates) in [(1, 26), (3, 50), (32, 170), (7, 197), (33, 290)] {
            for trace in [0.0, -0.7, 1e4] {
                let densities =
                    Densities::of_traces(&vec![trace; images * templates], templates, &vec![true; images]);
                assert!(densities.density.iter().all(|density| *density == 1.0));
                assert!(densities.partition.iter().all(|partition| *partition == trace));
                assert!(densities.marginal.iter().chain(&densities.divergence).all(|value| *value == 0.0));
            }
        }
    }

    /// A map far less likely than another under every template: its densities are none that `f32` can tell from 0.
    #[test]
    fn a_map_beyond_the_range_of_its_density_has_a_marginal() {
        let traces: Vec<f32> = [vec![0.0; 20], vec![-300.0; 10], vec![-301.0; 10]].concat();
        let densities = Densities::of_traces(&traces, 20, &[true, true]);
        let expected = -300.0 + 2f64.ln() + ((1.0 + (-1f64).exp()) / 2.0).ln();
        assert!((f64::from(densities.marginal[1]) - expected).abs() < 1e-4, "{:?}", densities.marginal);
        assert!((f64::from(densities.marginal[0]) - 2f64.ln()).abs() < 1e-6);
    }
}
