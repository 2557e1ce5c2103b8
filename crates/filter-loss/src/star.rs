//! A star model of parts: each filter looks for its part near a place of its own on the object.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use rayon::prelude::*;

use crate::loss::on_cpu;
use crate::mask::strongest_units;
use crate::shape::check_square;
use crate::template_shape::{Shape, TemplateShape};

/// Configuration of [`StarWindow`].
#[derive(Config, Debug)]
pub struct StarWindowConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// The number of filters.
    pub filters: usize,
    /// How a filter's window falls off around its anchor. [`Self::WINDOW`] by default.
    #[config(default = "Self::WINDOW")]
    pub window: Shape,
}

impl StarWindowConfig {
    /// A pyramid of β = 2: it ends half a map away from its centre.
    pub const WINDOW: Shape = Shape::Pyramid { beta: 2.0 };

    /// Puts the windows on a device; every anchor is the root itself, and all votes count alike.
    ///
    /// # Panics
    /// If `length` or `filters` is 0, or a shape's β or width is not positive.
    pub fn init(&self, device: &Device) -> StarWindow {
        assert!(self.filters > 0, "a star window needs at least one filter");
        assert!(self.length > 0, "a star window needs maps of at least one unit");
        self.window.check();
        let (side, units) = (grid_side(self.length), self.length.pow(2));
        let fraction = |to: usize, from: usize| {
            (to as f64 - (from as f64 - (self.length as f64 - 1.0))) / self.length as f64
        };
        let mut windows = Vec::with_capacity(side * side * units);
        for center in 0..side * side {
            for unit in 0..units {
                let rows = fraction(unit / self.length, center / side);
                let columns = fraction(unit % self.length, center % side);
                windows.push(self.window.value(rows, columns).max(0.0) as f32);
            }
        }
        let windows = Tensor::from_data(TensorData::new(windows, [side * side, units]), device).inner();
        let offsets = Param::from_tensor(Tensor::zeros([self.filters, 2], device)).set_require_grad(false);
        let votes = Param::from_tensor(Tensor::ones([self.filters, self.length, self.length], device));
        StarWindow { windows, offsets, votes: votes.set_require_grad(false), config: self.clone() }
    }
}

/// k ∗ maps, divided by 16; beyond the borders maps are 0.
fn around(maps: Tensor<4>) -> Tensor<4> {
    // (1, 2, 1) is (1, 1) twice; the first time beyond the borders.
    let pairs = AvgPoolOptions::new([2, 2]).with_stride([1, 1]);
    avg_pool2d(avg_pool2d(maps, pairs.clone().with_padding([1, 1])), pairs)
}

/// Side of the grid of places a window can be centred at: those of the map, and n − 1 more on either side.
fn grid_side(length: usize) -> usize {
    3 * length - 2
}

/// The windows of a star model.
///
/// The filters of an image vote for its *root* ρ, one place; each has an *anchor* o_f, the place of its part relative
/// to the root; and each map is kept around ρ + o_f, which may lie beyond the map's border:
///
/// ```text
/// v = Σ_f q_f³ ∘ x_f                           q_f = (k ∗ r_f) / (k ∗ 1)
/// ρ = argmax_u (k ∗ v)_u                       k = (1, 2, 1)ᵀ(1, 2, 1)
/// y_f(u) = x_f(u) · max(w(u − ρ − o_f), 0)
/// ```
///
/// w is the window's shape, distances are fractions of n. r_f(u) ≥ 0 is the *relevance* of filter f at unit u: what its
/// being there gives to what the network is asked ([`with_relevance`](Self::with_relevance); 1 until it is told). A mean
/// over k takes the grid out of it that an overlapping pool leaves in gradients, and the cube lets those speak that
/// have something to say where they fire.
///
/// A mask at a filter's own strongest unit ([`TemplateMask`](crate::TemplateMask)) keeps whatever it fires at most in this image. Here it is
/// kept to one place of the object, and so an unlikely match elsewhere gives way to a likely one near by; and as every
/// filter has its own place, nothing draws them all to one. Anchors are [`measured`](Anchors), not learned by descent:
/// a buffer, saved with the module and never optimised. The windows are constants in the backward pass, as masks are.
///
/// Source: ours. Parts at places of their own around a root, which features vote for, are the star-shaped models of
/// Leibe, Leonardis and Schiele (IJCV 2008) and of Felzenszwalb, Girshick, McAllester and Ramanan (PAMI 2010); there they
/// are learned with labels and boxes.
#[derive(Module, Debug)]
pub struct StarWindow {
    /// The window around each place of the grid: `[(3n − 2)², n²]`.
    windows: Tensor<2>,
    /// o, rows and columns in units, whole numbers: `[filters, 2]`.
    offsets: Param<Tensor<2>>,
    /// q³, the largest 1: `[filters, n, n]`.
    votes: Param<Tensor<3>>,
    #[module(skip)]
    config: StarWindowConfig,
}

impl StarWindow {
    /// The windows with each filter's anchor where [`Anchors`] found it.
    ///
    /// # Panics
    /// If they are of another number of filters or of other maps.
    pub fn with_anchors(mut self, anchors: &Anchors) -> Self {
        assert_eq!(
            (anchors.length, anchors.filters()),
            (self.config.length, self.config.filters),
            "StarWindow: length and filters of the anchors (left) and of the windows (right)"
        );
        let offsets: Vec<f32> = anchors.offsets().into_iter().flatten().map(|offset| offset as f32).collect();
        let device = self.windows.device();
        let offsets = Tensor::from_data(TensorData::new(offsets, [self.config.filters, 2]), &device);
        self.offsets = Param::initialized(self.offsets.id, offsets).set_require_grad(false);
        self
    }

    /// The windows with roots that filters vote for by their relevance, r: `[filters, n, n]`, not below 0. Only its
    /// proportions count; where all of it is 0 nothing changes.
    ///
    /// # Panics
    /// If it is of another shape.
    pub fn with_relevance(mut self, relevance: Tensor<3>) -> Self {
        let [filters, n] = [self.config.filters, self.config.length];
        assert_eq!(
            relevance.dims(),
            [filters, n, n],
            "StarWindow: relevance (left) of filters and units (right)"
        );
        let smooth = |maps: Tensor<3>| around(maps.unsqueeze_dim(0)).squeeze_dim(0);
        let relevance = relevance.inner().cast(FloatDType::F32);
        let mean = smooth(relevance.clone()) / smooth(relevance.ones_like());
        let largest = mean.clone().max();
        if largest.clone().into_scalar::<f32>() > 0.0 {
            // The largest is 1, so that cubes stay within `f32`.
            let votes = (mean / largest.reshape([1, 1, 1])).powi_scalar(3);
            self.votes = Param::initialized(self.votes.id, votes).set_require_grad(false);
        }
        self
    }

    /// o, rows and columns in units: `[filters, 2]`, never tracked.
    pub fn offsets(&self) -> Tensor<2> {
        self.offsets.val().inner()
    }

    /// q³, what a filter's vote counts at each unit, the largest 1: `[filters, n, n]`, never tracked.
    pub fn votes(&self) -> Tensor<3> {
        self.votes.val().inner()
    }

    /// Where the filters' votes meet, as a row-major index; of several such units the one that
    /// [`strongest_units`] finds.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - output: `[batch, 1]`, never tracked
    ///
    /// # Panics
    /// If the maps are not n × n.
    pub fn roots(&self, maps: Tensor<4>) -> Tensor<2, Int> {
        let votes = maps.inner().cast(FloatDType::F32) * self.votes().unsqueeze_dim(0);
        strongest_units(around(votes.sum_dim(1)))
    }

    /// The window of each map.
    ///
    /// # Shapes
    /// - maps and output: `[batch, filters, n, n]`; the output is never tracked
    ///
    /// # Panics
    /// If the maps are not n × n, or are of another number of filters.
    pub fn windows(&self, maps: Tensor<4>) -> Tensor<4> {
        check_square("StarWindow", maps.dims(), self.config.length);
        let [batch, filters, _, _] = maps.dims();
        assert_eq!(
            filters, self.config.filters,
            "StarWindow: filters of the maps (left) and windows (right)"
        );
        let maps = maps.inner();
        if batch < 2 || !on_cpu(&maps) {
            return self.of_images(maps);
        }
        // What is made of an image's maps stays in a core's cache.
        let of_image = |image| self.of_images(maps.clone().narrow(0, image, 1));
        Tensor::cat((0..batch).into_par_iter().map(of_image).collect(), 0)
    }

    fn of_images(&self, maps: Tensor<4>) -> Tensor<4> {
        let (n, side) = (self.config.length, grid_side(self.config.length) as i64);
        let ([batch, filters, _, _], dtype) = (maps.dims(), maps.dtype());
        let roots = self.roots(maps);
        let rows = roots.clone().div_scalar(n as i64);
        let columns = roots - rows.clone().mul_scalar(n as i64);
        let places = (rows + (n - 1) as i64) * side + columns + (n - 1) as i64;
        let offsets = self.offsets().int();
        let along = |axis: usize| offsets.clone().narrow(1, axis, 1).reshape([1, filters]);
        let [down, over] = [0, 1].map(along);
        let centers = places.expand([batch, filters]) + (down * side + over).expand([batch, filters]);
        let windows = self.windows.clone().inner().select(0, centers.reshape([batch * filters]));
        windows.reshape([batch, filters, n, n]).cast(dtype)
    }

    /// Keeps each map around its anchor.
    ///
    /// # Shapes
    /// - maps and output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or are of another number of filters.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let windows = self.windows(maps.clone());
        maps * windows
    }

    /// What the windows were made from.
    pub fn config(&self) -> &StarWindowConfig {
        &self.config
    }
}

/// The share of all images for which an offset counts that lies beyond the map in every image.
const UNSEEN: f64 = 0.1;

/// Where filters fire relative to the root, over a population of maps.
///
/// ```text
/// m_f(o) = Σ_images x_f(ρ + o) / (c(o) + N/10)     o_f = argmax_o (k ∗ m_f)(o)
/// ```
///
/// c(o) of N images have the place ρ + o on their map; k is as for the root. The tenth keeps a few
/// images from speaking for offsets that hardly any has. A filter that never fires is anchored at the root.
///
/// Source: ours.
#[derive(Clone, Debug)]
pub struct Anchors {
    length: usize,
    /// N.
    images: usize,
    /// c: of (2n − 1)² offsets, from −(n − 1) on.
    counts: Vec<f64>,
    /// Σ x_f(ρ + o) of each filter.
    sums: Vec<Vec<f64>>,
}

impl Anchors {
    /// Of no maps yet.
    ///
    /// # Panics
    /// If `length` or `filters` is 0.
    pub fn new(length: usize, filters: usize) -> Self {
        assert!(length > 0 && filters > 0, "anchors need maps of at least one unit and one filter");
        let offsets = (2 * length - 1).pow(2);
        Self { length, images: 0, counts: vec![0.0; offsets], sums: vec![vec![0.0; offsets]; filters] }
    }

    fn filters(&self) -> usize {
        self.sums.len()
    }

    /// Adds the maps of a batch.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - roots: `[batch, 1]`, as [`StarWindow::roots`] gives them
    ///
    /// # Panics
    /// If the maps are of another size or number, or there is not one root for each image.
    pub fn push(&mut self, maps: Tensor<4>, roots: Tensor<2, Int>) {
        check_square("Anchors", maps.dims(), self.length);
        let [batch, filters, n, _] = maps.dims();
        assert_eq!(
            filters,
            self.filters(),
            "Anchors: filters of the maps (left) and of those before (right)"
        );
        assert_eq!(roots.dims(), [batch, 1], "Anchors: one root for each image is needed");
        let values = maps.inner().cast(FloatDType::F32).into_data();
        let values: &[f32] = values.as_slice().expect("values were cast to f32");
        let side = 2 * n - 1;
        // The unit (i, j) lies at the offset (i, j) − ρ; counted from −(n − 1), at (i, j) + (n − 1) − ρ.
        let first: Vec<usize> = roots
            .into_data()
            .iter::<i64>()
            .map(|root| (n - 1 - root as usize / n) * side + (n - 1 - root as usize % n))
            .collect();
        let offset = |unit: usize| unit / n * side + unit % n;
        for first in &first {
            (0..n * n).for_each(|unit| self.counts[first + offset(unit)] += 1.0);
        }
        self.sums.par_iter_mut().enumerate().for_each(|(filter, sums)| {
            for (image, first) in first.iter().enumerate() {
                let map = &values[(image * filters + filter) * n * n..][..n * n];
                map.iter().enumerate().for_each(|(unit, x)| sums[first + offset(unit)] += f64::from(*x));
            }
        });
        self.images += batch;
    }

    /// o_f of each filter, rows and columns in units; of several equal ones the first in reading order.
    pub fn offsets(&self) -> Vec<[i64; 2]> {
        let side = 2 * self.length - 1;
        let unseen = UNSEEN * self.images as f64;
        let strongest = |sums: &Vec<f64>| {
            let mean = |at: usize| if sums[at] == 0.0 { 0.0 } else { sums[at] / (self.counts[at] + unseen) };
            let means: Vec<f64> = (0..sums.len()).map(mean).collect();
            let near = |at: usize| at.saturating_sub(1)..(at + 2).min(side);
            let weight = |at: usize, other: usize| if at == other { 2.0 } else { 1.0 };
            let smooth = |at: usize| {
                let (i, j) = (at / side, at % side);
                let mut sum = 0.0;
                for k in near(i) {
                    sum += near(j).map(|l| weight(i, k) * weight(j, l) * means[k * side + l]).sum::<f64>();
                }
                sum
            };
            let root = (self.length - 1) * (side + 1);
            let (mut best, mut most) = (root, 0.0);
            for at in 0..sums.len() {
                let sum = smooth(at);
                if sum > most {
                    (best, most) = (at, sum);
                }
            }
            let offset = |at: usize| at as i64 - (self.length as i64 - 1);
            [offset(best / side), offset(best % side)]
        };
        self.sums.iter().map(strongest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;

    const FILTERS: usize = 5;
    const LENGTH: usize = 7;
    const UNITS: usize = LENGTH * LENGTH;

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.cast(FloatDType::F32).into_data().try_to_vec().unwrap()
    }

    /// Maps many of whose units are silent.
    fn maps(seed: u64) -> Tensor<4> {
        uniform([6, FILTERS, LENGTH, LENGTH], -1.0, 1.0, seed).clamp_min(0.0)
    }

    fn windows() -> StarWindow {
        StarWindowConfig::new(LENGTH, FILTERS).init(&Device::flex())
    }

    fn roots(windows: &StarWindow, maps: Tensor<4>) -> Vec<usize> {
        windows.roots(maps).into_data().iter::<i64>().map(|root| root as usize).collect()
    }

    /// Row and column of a unit.
    fn place(unit: usize) -> [f64; 2] {
        [(unit / LENGTH) as f64, (unit % LENGTH) as f64]
    }

    /// max(w, 0) at `unit`, of a window centred at `center`.
    fn falloff(shape: Shape, center: [f64; 2], unit: usize) -> f64 {
        let [rows, columns] = [0, 1].map(|axis| (place(unit)[axis] - center[axis]) / LENGTH as f64);
        shape.value(rows, columns).max(0.0)
    }

    /// k between two units.
    fn near(a: usize, b: usize) -> f64 {
        (0..2).map(|axis| (2.0 - (place(a)[axis] - place(b)[axis]).abs()).max(0.0)).product()
    }

    /// The root of one image by its definition.
    fn root(relevance: &[f32], maps: &[f32]) -> usize {
        let mut votes = [0.0; UNITS];
        for (relevance, map) in relevance.chunks(UNITS).zip(maps.chunks(UNITS)) {
            for (unit, sum) in votes.iter_mut().enumerate() {
                let total: f64 = (0..UNITS).map(|u| near(unit, u)).sum();
                let mean: f64 =
                    (0..UNITS).map(|u| near(unit, u) * f64::from(relevance[u])).sum::<f64>() / total;
                *sum += f64::from(map[unit]) * mean.powi(3);
            }
        }
        let around = |unit: usize| -> f64 { (0..UNITS).map(|u| near(unit, u) * votes[u]).sum() };
        (0..UNITS).max_by(|&a, &b| around(a).total_cmp(&around(b))).unwrap()
    }

    fn relevance(seed: u64) -> Tensor<3> {
        uniform([1, FILTERS, LENGTH, LENGTH], -0.5, 1.0, seed).clamp_min(0.0).squeeze_dim(0)
    }

    /// Anchors by their definition, from maps of all images and their roots.
    fn anchors(maps: &[f32], roots: &[usize]) -> Vec<[i64; 2]> {
        let reach = LENGTH as i64 - 1;
        let unit = |root: usize, rows: i64, columns: i64| {
            let (row, column) = ((root / LENGTH) as i64 + rows, (root % LENGTH) as i64 + columns);
            let within = |at: i64| (0..=reach).contains(&at);
            (within(row) && within(column)).then(|| row as usize * LENGTH + column as usize)
        };
        let mean = |filter: usize, rows: i64, columns: i64| {
            let (mut sum, mut count) = (0.0, 0.0);
            for (image, &root) in roots.iter().enumerate() {
                if let Some(unit) = unit(root, rows, columns) {
                    sum += f64::from(maps[(image * FILTERS + filter) * UNITS + unit]);
                    count += 1.0;
                }
            }
            sum / (count + 0.1 * roots.len() as f64)
        };
        let of_filter = |filter: usize| {
            let mut best = ([0, 0], 0.0);
            for rows in -reach..=reach {
                for columns in -reach..=reach {
                    let near = |at: i64| (at - 1).max(-reach)..=(at + 1).min(reach);
                    let kernel =
                        |i: i64, j: i64| f64::from(1 << (2 - (i - rows).abs() - (j - columns).abs()));
                    let sums = near(rows)
                        .flat_map(|i| near(columns).map(move |j| kernel(i, j) * mean(filter, i, j)));
                    let sum: f64 = sums.sum();
                    if sum > best.1 {
                        best = ([rows, columns], sum);
                    }
                }
            }
            best.0
        };
        (0..FILTERS).map(of_filter).collect()
    }

    #[test]
    fn roots_anchors_and_windows_are_those_of_their_definitions() {
        let mut seen = std::collections::BTreeSet::new();
        for (seed, shape) in [(1, StarWindowConfig::WINDOW), (2, Shape::Cone { beta: 1.5 })] {
            let config = StarWindowConfig::new(LENGTH, FILTERS).with_window(shape);
            // The sixth power makes them sparse, so that anchors differ.
            let maps = maps(seed).powi_scalar(6);
            let windows = config.init(&Device::flex());
            let values = floats(maps.clone());
            let images = || values.chunks(FILTERS * UNITS);
            let alike: Vec<_> = images().map(|maps| root(&[1.0; FILTERS * UNITS], maps)).collect();
            assert_eq!(roots(&windows, maps.clone()), alike);
            let relevance = relevance(seed + 10);
            let windows = windows.with_relevance(relevance.clone());
            let expected: Vec<_> = images().map(|maps| root(&floats(relevance.clone()), maps)).collect();
            assert_eq!(roots(&windows, maps.clone()), expected);
            assert_ne!(alike, expected, "relevance decides");

            // In two batches.
            let mut measured = Anchors::new(LENGTH, FILTERS);
            for (first, count) in [(0, 2), (2, 4)] {
                let batch = maps.clone().narrow(0, first, count);
                measured.push(batch.clone(), windows.roots(batch));
            }
            let offsets = anchors(&values, &expected);
            assert_eq!(measured.offsets(), offsets);

            let windows = windows.with_anchors(&measured);
            let wide: Vec<_> = offsets.iter().flatten().map(|&offset| offset as f32).collect();
            assert_eq!(floats(windows.offsets()), wide);
            let kept = floats(windows.forward(maps));
            for (index, (&kept, &value)) in kept.iter().zip(&values).enumerate() {
                let (image, filter) = (index / (FILTERS * UNITS), index / UNITS % FILTERS);
                let [row, column] = place(expected[image]);
                let [down, over] = offsets[filter].map(|offset| offset as f64);
                let by_hand = f64::from(value) * falloff(shape, [row + down, column + over], index % UNITS);
                assert!((f64::from(kept) - by_hand).abs() < 1e-6, "{index}: {kept} {by_hand}");
            }
            seen.extend(offsets);
        }
        assert!(seen.len() > 4, "{seen:?}");
    }

    #[test]
    fn a_constellation_is_found_again() {
        // Each filter fires at its place around a root that the first two, at one unit, vote for.
        let places = [[0, 0], [0, 0], [-2, 1], [1, 3], [2, -2]];
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        for root in [[3, 3], [2, 3], [4, 2], [3, 2], [2, 2]] {
            let mut values = vec![0f32; FILTERS * UNITS];
            for (filter, place) in places.iter().enumerate() {
                let unit = (root[0] + place[0]) * LENGTH as i64 + root[1] + place[1];
                values[filter * UNITS + unit as usize] = 1.0;
            }
            let maps = Tensor::<4>::from_data(
                TensorData::new(values, [1, FILTERS, LENGTH, LENGTH]),
                &Device::flex(),
            );
            let found = windows().roots(maps.clone());
            let near = found.clone().into_data().iter::<i64>().next().unwrap();
            assert!(
                (near / 7).abs_diff(root[0]) <= 1 && (near % 7).abs_diff(root[1]) <= 1,
                "{near} {root:?}"
            );
            let exact =
                Tensor::from_data(TensorData::new(vec![root[0] * 7 + root[1]], [1, 1]), &found.device());
            anchors.push(maps, exact);
        }
        assert_eq!(anchors.offsets(), places);
    }

    #[test]
    fn a_filter_that_never_fires_is_anchored_at_the_root() {
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        assert_eq!(anchors.offsets(), [[0, 0]; FILTERS], "of no maps at all");
        let maps = maps(3).mul_scalar(0.0);
        anchors.push(maps.clone(), windows().roots(maps.clone()));
        assert_eq!(anchors.offsets(), [[0, 0]; FILTERS]);
        assert!(floats(windows().with_anchors(&anchors).forward(maps)).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn the_gradient_is_the_window_and_anchors_have_none() {
        let windows = StarWindowConfig::new(LENGTH, FILTERS).init(&Device::flex().autodiff());
        let windows = windows.with_relevance(relevance(5));
        let maps = maps(4);
        let leaf = Tensor::from_inner(maps.clone()).require_grad();
        let gradients = windows.forward(leaf.clone()).sum().backward();
        assert_eq!(floats(leaf.grad(&gradients).unwrap()), floats(windows.windows(maps)));
        assert!(windows.offsets.val().grad(&gradients).is_none());
        assert!(windows.votes.val().grad(&gradients).is_none());
    }

    #[test]
    fn the_root_is_the_same_at_any_magnitude() {
        let maps = maps(5);
        let expected = roots(&windows(), maps.clone());
        for magnitude in [1e-30, 1e-10, 1e4, 1e30] {
            assert_eq!(roots(&windows(), maps.clone().mul_scalar(magnitude)), expected, "{magnitude}");
        }
    }

    #[test]
    fn only_the_proportions_of_relevance_count() {
        let (maps, relevance) = (maps(8), relevance(9));
        let found = |relevance| roots(&windows().with_relevance(relevance), maps.clone());
        let expected = found(relevance.clone());
        assert_ne!(expected, roots(&windows(), maps.clone()));
        for magnitude in [1e-30, 1e-10, 1e4, 1e30] {
            assert_eq!(found(relevance.clone().mul_scalar(magnitude)), expected, "{magnitude}");
        }
        assert_eq!(found(relevance.mul_scalar(0.0)), roots(&windows(), maps.clone()), "of nothing");
    }

    #[test]
    #[should_panic(expected = "relevance (left) of filters and units")]
    fn relevance_of_other_maps_panics() {
        windows().with_relevance(Tensor::ones([FILTERS, LENGTH, LENGTH + 1], &Device::flex()));
    }

    #[test]
    #[should_panic(expected = "filters of the maps")]
    fn maps_of_other_filters_panic() {
        StarWindowConfig::new(LENGTH, FILTERS + 1).init(&Device::flex()).windows(maps(6));
    }

    #[test]
    fn anchors_and_relevance_are_saved_with_the_module() {
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        let maps = maps(7).powi_scalar(6);
        anchors.push(maps.clone(), windows().roots(maps.clone()));
        let saved = windows().with_anchors(&anchors).with_relevance(relevance(8));
        let loaded = windows().load_record(saved.clone().into_record());
        assert_eq!(roots(&loaded, maps.clone()), roots(&saved, maps.clone()));
        assert_ne!(roots(&loaded, maps.clone()), roots(&windows(), maps));
        let wide: Vec<_> = anchors.offsets().into_iter().flatten().map(|offset| offset as f32).collect();
        assert_eq!(floats(loaded.offsets()), wide);
        assert!(wide.iter().any(|&offset| offset != 0.0));
    }
}
