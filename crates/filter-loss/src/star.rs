//! A star model of parts: each filter looks for its part near a place of its own on the object.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use rayon::prelude::*;

use crate::anchors::{Anchors, SIDES};
use crate::facing::Facing;
use crate::loss::on_cpu;
use crate::shape::check_square;
use crate::template_shape::{Shape, TemplateShape};

/// Configuration of [`StarWindow`].
#[derive(Config, Debug)]
pub struct StarWindowConfig {
    /// n, the number of units along one side of the (square) map.
    pub length: usize,
    /// The number of filters.
    pub filters: usize,
    /// How what a part carries falls off around its anchor. [`Self::WINDOW`] by default.
    #[config(default = "Self::WINDOW")]
    pub window: Shape,
    /// How what a part is read from falls off around its anchor. [`Self::READING`] by default. Its distances are
    /// fractions of n, but of twelve units at least, for on a small map it would hold its centre alone.
    #[config(default = "Self::READING")]
    pub reading: Shape,
}

impl StarWindowConfig {
    /// A pyramid of β = 0.4: it ends two and a half maps away from its centre, and holds most of a map.
    pub const WINDOW: Shape = Shape::Pyramid { beta: 0.4 };

    /// A pyramid of β = 6: it ends a sixth of a map away from its centre, and two units at least.
    pub const READING: Shape = Shape::Pyramid { beta: 6.0 };

    /// Puts the windows on a device; every anchor is the root itself, all votes count alike, and all objects face the
    /// same way.
    ///
    /// # Panics
    /// If `length` or `filters` is 0, or a shape's β or width is not positive.
    pub fn init(&self, device: &Device) -> StarWindow {
        assert!(self.filters > 0, "a star window needs at least one filter");
        assert!(self.length > 0, "a star window needs maps of at least one unit");
        [self.window, self.reading].into_iter().for_each(Shape::check);
        let (side, units) = (grid_side(self.length), self.length.pow(2));
        let distance = |to: usize, from: usize| to as f64 - (from as f64 - (self.length as f64 - 1.0));
        let table = |shape: Shape, length: usize| {
            let mut windows = Vec::with_capacity(side * side * units);
            for center in 0..side * side {
                for unit in 0..units {
                    let rows = distance(unit / self.length, center / side);
                    let columns = distance(unit % self.length, center % side);
                    let [rows, columns] = [rows, columns].map(|units| units / length as f64);
                    windows.push(shape.value(rows, columns).max(0.0) as f32);
                }
            }
            Tensor::from_data(TensorData::new(windows, [side * side, units]), device).inner()
        };
        let maps = [self.filters, self.length, self.length];
        StarWindow {
            windows: table(self.window, self.length),
            readings: table(self.reading, self.length.max(LEAST_LENGTH)),
            offsets: buffer(Tensor::zeros([SIDES, self.filters, 2], device)),
            votes: buffer(Tensor::ones(maps, device)),
            direction: buffer(Tensor::zeros(maps, device)),
            middle: buffer(Tensor::zeros([1], device)),
            config: self.clone(),
        }
    }
}

/// Units of the smallest map of which the distances of what is read are fractions.
const LEAST_LENGTH: usize = 12;

/// A tensor that is saved with the module and never optimised.
fn buffer<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(tensor).set_require_grad(false)
}

/// `param` with another value.
fn replaced<const D: usize>(param: Param<Tensor<D>>, value: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(param.id, value).set_require_grad(false)
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
/// to the root, one for either way s an object may *face*; and each map is kept around ρ + o_f, which may lie beyond
/// the map's border:
///
/// ```text
/// v = Σ_f q_f² ∘ x_f                           q_f = (k ∗ r_f) / (k ∗ 1),   k = (1, 2, 1)ᵀ(1, 2, 1)
/// ρ = (median row, median column) of v         s = 1 if Σ_f d_f · x_f > m, else 0
/// y_f(u) = x_f(u) · max(w(u − ρ − o_f^s), 0)
/// ```
///
/// w is a window's shape, distances are fractions of n (of what is read, of max(n, 12)). There are two of them: a wide
/// one for what a part carries ([`forward`](Self::forward)), and a narrow one for where it is read off
/// ([`read`](Self::read)).
///
/// The root is the unit from which the votes are the least away, by sums of rows and columns: half of them lie on
/// either side (where several do, the middle of these). r_f(u) ≥ 0 is the *relevance* of filter f at unit u: what its
/// being there gives to what the network is asked ([`with_relevance`](Self::with_relevance); 1 until it is told). A
/// mean over k takes the grid out of it that an overlapping pool leaves in gradients, and the square lets those speak
/// that have something to say where they fire. d and m are those of [`Facing`]; until they are told, all objects face
/// the same way.
///
/// A mask at a filter's own strongest unit ([`TemplateMask`](crate::TemplateMask)) keeps whatever it fires at most in
/// this image. Here it is kept to one place of the object, and so an unlikely match elsewhere gives way to a likely
/// one near by; and as every filter has its own place, nothing draws them all to one. Anchors are
/// [`measured`](Anchors), not learned by descent: a buffer, saved with the module and never optimised. The windows are
/// constants in the backward pass, as masks are.
///
/// Source: ours. Parts at places of their own around a root, which features vote for, are the star-shaped models of
/// Leibe, Leonardis and Schiele (IJCV 2008) and of Felzenszwalb, Girshick, McAllester and Ramanan (PAMI 2010); there
/// they are learned with labels and boxes, and objects that face the other way are components of a mixture.
#[derive(Module, Debug)]
pub struct StarWindow {
    /// What a part carries, around each place of the grid: `[(3n − 2)², n²]`.
    windows: Tensor<2>,
    /// What it is read from: `[(3n − 2)², n²]`.
    readings: Tensor<2>,
    /// o, rows and columns in units, whole numbers, for either way to face: `[2, filters, 2]`.
    offsets: Param<Tensor<3>>,
    /// q², the largest 1: `[filters, n, n]`.
    votes: Param<Tensor<3>>,
    /// d: `[filters, n, n]`.
    direction: Param<Tensor<3>>,
    /// m: `[1]`.
    middle: Param<Tensor<1>>,
    #[module(skip)]
    config: StarWindowConfig,
}

/// The windows of each map, `[batch, filters, n, n]`.
#[derive(Clone, Debug)]
pub struct Windows {
    /// For what a part carries.
    pub carried: Tensor<4>,
    /// For where it is read off.
    pub read: Tensor<4>,
}

impl StarWindow {
    /// The windows with each filter's anchors where [`Anchors`] found them.
    ///
    /// # Panics
    /// If they are of another number of filters or of other maps.
    pub fn with_anchors(mut self, anchors: &Anchors) -> Self {
        assert_eq!(
            (anchors.length(), anchors.filters()),
            (self.config.length, self.config.filters),
            "StarWindow: length and filters of the anchors (left) and of the windows (right)"
        );
        let offsets: Vec<f32> =
            anchors.offsets().into_iter().flatten().flatten().map(|offset| offset as f32).collect();
        let shape = [SIDES, self.config.filters, 2];
        let offsets = Tensor::from_data(TensorData::new(offsets, shape), &self.windows.device());
        self.offsets = replaced(self.offsets, offsets);
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
            // The largest is 1, so that squares stay within `f32`.
            let votes = (mean / largest.reshape([1, 1, 1])).powi_scalar(2);
            self.votes = replaced(self.votes, votes);
        }
        self
    }

    /// The windows with anchors for either way to face, which [`Facing`] tells apart; where it found nothing that
    /// mirroring changes, nothing changes.
    ///
    /// # Panics
    /// If it is of another number of filters or of other maps.
    pub fn with_facing(mut self, facing: &Facing) -> Self {
        let Some(axis) = facing.axis() else { return self };
        assert_eq!(
            axis.direction.dims(),
            self.votes.dims(),
            "StarWindow: direction (left) of filters and units (right)"
        );
        let device = self.windows.device();
        self.direction = replaced(self.direction, axis.direction.to_device(&device));
        self.middle = replaced(self.middle, axis.middle.to_device(&device));
        self
    }

    /// o, rows and columns in units, for either way to face: `[2, filters, 2]`, never tracked.
    pub fn offsets(&self) -> Tensor<3> {
        self.offsets.val().inner()
    }

    /// q², what a filter's vote counts at each unit, the largest 1: `[filters, n, n]`, never tracked.
    pub fn votes(&self) -> Tensor<3> {
        self.votes.val().inner()
    }

    /// Where the filters' votes meet, as a row-major index; the middle of the map where nothing votes.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - output: `[batch, 1]`, never tracked
    ///
    /// # Panics
    /// If the maps are not n × n.
    pub fn roots(&self, maps: Tensor<4>) -> Tensor<2, Int> {
        let (batch, n) = (maps.dims()[0], self.config.length);
        let votes = maps.inner().cast(FloatDType::F32) * self.votes().unsqueeze_dim(0);
        let votes = votes.sum_dim(1);
        let [rows, columns] = [3, 2].map(|across| median(votes.clone().sum_dim(across).reshape([batch, n])));
        rows.mul_scalar(n as i64) + columns
    }

    /// Which way the object of each image faces, 0 or 1.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - output: `[batch, 1]`, never tracked
    ///
    /// # Panics
    /// If the maps are not n × n, or of another number of filters.
    pub fn facing(&self, maps: Tensor<4>) -> Tensor<2, Int> {
        let maps = maps.inner().cast(FloatDType::F32) * self.direction.val().inner().unsqueeze_dim(0);
        let along = maps.flatten::<2>(1, 3).sum_dim(1);
        along.greater(self.middle.val().inner().reshape([1, 1])).int()
    }

    /// The windows of each map, never tracked.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or are of another number of filters.
    pub fn windows(&self, maps: Tensor<4>) -> Windows {
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
        let of_image = |image| {
            let Windows { carried, read } = self.of_images(maps.clone().narrow(0, image, 1));
            (carried, read)
        };
        let (carried, read) = (0..batch).into_par_iter().map(of_image).unzip();
        Windows { carried: Tensor::cat(carried, 0), read: Tensor::cat(read, 0) }
    }

    fn of_images(&self, maps: Tensor<4>) -> Windows {
        let (n, side) = (self.config.length, grid_side(self.config.length) as i64);
        let ([batch, filters, _, _], dtype) = (maps.dims(), maps.dtype());
        let sides = self.facing(maps.clone()).reshape([batch]);
        let roots = self.roots(maps);
        let rows = roots.clone().div_scalar(n as i64);
        let columns = roots - rows.clone().mul_scalar(n as i64);
        let places = (rows + (n - 1) as i64) * side + columns + (n - 1) as i64;
        let offsets = self.offsets().int();
        let along = |axis: usize| offsets.clone().narrow(2, axis, 1).reshape([SIDES, filters]);
        let [down, over] = [0, 1].map(along);
        let centers = places.expand([batch, filters]) + (down * side + over).select(0, sides);
        let centers = centers.reshape([batch * filters]);
        let of = |table: &Tensor<2>| {
            let windows = table.clone().inner().select(0, centers.clone());
            windows.reshape([batch, filters, n, n]).cast(dtype)
        };
        Windows { carried: of(&self.windows), read: of(&self.readings) }
    }

    /// What each part carries: its map, wide around its anchor.
    ///
    /// # Shapes
    /// - maps and output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or are of another number of filters.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let windows = self.windows(maps.clone());
        maps * windows.carried
    }

    /// What each part is read from: its map, close around its anchor.
    ///
    /// # Shapes
    /// - maps and output: `[batch, filters, n, n]`
    ///
    /// # Panics
    /// If the maps are not n × n, or are of another number of filters.
    pub fn read(&self, maps: Tensor<4>) -> Tensor<4> {
        let windows = self.windows(maps.clone());
        maps * windows.read
    }

    /// What the windows were made from.
    pub fn config(&self) -> &StarWindowConfig {
        &self.config
    }
}

/// The index on either side of which lies half of each row of values that are not below 0; the middle of all such
/// indices, where there are several. `[rows, n]` to `[rows, 1]`.
fn median(values: Tensor<2>) -> Tensor<2, Int> {
    let n = values.dims()[1];
    let sums = values.cumsum(1);
    let half = sums.clone().narrow(1, n - 1, 1).mul_scalar(0.5);
    let first = sums.clone().lower(half.clone()).int().sum_dim(1);
    let last = sums.lower_equal(half).int().sum_dim(1).clamp_max((n - 1) as i64);
    (first + last).div_scalar(2)
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

    fn integers(tensor: Tensor<2, Int>) -> Vec<usize> {
        tensor.into_data().iter::<i64>().map(|value| value as usize).collect()
    }

    /// Maps many of whose units are silent.
    fn maps(seed: u64) -> Tensor<4> {
        uniform([6, FILTERS, LENGTH, LENGTH], -1.0, 1.0, seed).clamp_min(0.0)
    }

    fn windows() -> StarWindow {
        StarWindowConfig::new(LENGTH, FILTERS).init(&Device::flex())
    }

    fn roots(windows: &StarWindow, maps: Tensor<4>) -> Vec<usize> {
        integers(windows.roots(maps))
    }

    /// Of maps and of what stands in for those of the mirror images.
    fn facing(seed: u64) -> Facing {
        let mut facing = Facing::new(LENGTH, FILTERS);
        facing.push(maps(seed), maps(seed + 100));
        facing
    }

    /// Row and column of a unit.
    fn place(unit: usize) -> [f64; 2] {
        [(unit / LENGTH) as f64, (unit % LENGTH) as f64]
    }

    /// max(w, 0) at `unit`, of a window centred at `center`.
    fn falloff(shape: Shape, length: f64, center: [f64; 2], unit: usize) -> f64 {
        let [rows, columns] = [0, 1].map(|axis| (place(unit)[axis] - center[axis]) / length);
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
                *sum += f64::from(map[unit]) * mean.powi(2);
            }
        }
        let away = |from: usize| -> f64 {
            let distance =
                |unit: usize| (0..2).map(|axis| (place(from)[axis] - place(unit)[axis]).abs()).sum::<f64>();
            (0..UNITS).map(|unit| votes[unit] * distance(unit)).sum()
        };
        (0..UNITS).min_by(|&a, &b| away(a).total_cmp(&away(b))).unwrap()
    }

    fn relevance(seed: u64) -> Tensor<3> {
        uniform([1, FILTERS, LENGTH, LENGTH], -0.5, 1.0, seed).clamp_min(0.0).squeeze_dim(0)
    }

    /// Anchors by their definition, of images that face `side`, from maps of all images, their roots and sides.
    fn anchors(maps: &[f32], roots: &[usize], sides: &[usize], side: usize) -> Vec<[i64; 2]> {
        let reach = LENGTH as i64 - 1;
        let unit = |root: usize, rows: i64, columns: i64| {
            let (row, column) = ((root / LENGTH) as i64 + rows, (root % LENGTH) as i64 + columns);
            let within = |at: i64| (0..=reach).contains(&at);
            (within(row) && within(column)).then(|| row as usize * LENGTH + column as usize)
        };
        let mean = |filter: usize, rows: i64, columns: i64| {
            let (mut sum, mut count) = (0.0, 0.0);
            for (image, &root) in roots.iter().enumerate() {
                let weight = if sides[image] == side { 1.0 } else { 0.25 };
                count += weight * 0.1;
                if let Some(unit) = unit(root, rows, columns) {
                    sum += weight * f64::from(maps[(image * FILTERS + filter) * UNITS + unit]);
                    count += weight;
                }
            }
            sum / count
        };
        let of_filter = |filter: usize| {
            let offsets = (-reach..=reach).flat_map(|i| (-reach..=reach).map(move |j| (i, j)));
            let means: std::collections::BTreeMap<_, _> =
                offsets.map(|(i, j)| ((i, j), mean(filter, i, j))).collect();
            let mut best = ([0, 0], 0.0);
            for rows in -reach..=reach {
                for columns in -reach..=reach {
                    let kernel = |i: i64, j: i64| {
                        let square = ((i - rows).pow(2) + (j - columns).pow(2)) as f64;
                        (-0.5 * square / (0.15 * LENGTH as f64).powi(2)).exp()
                    };
                    let sums = (-reach..=reach)
                        .flat_map(|i| (-reach..=reach).map(move |j| (i, j)))
                        .map(|(i, j)| kernel(i, j) * means[&(i, j)]);
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
    fn roots_sides_anchors_and_windows_are_those_of_their_definitions() {
        let mut seen = std::collections::BTreeSet::new();
        for (seed, window, reading) in [
            (1, StarWindowConfig::WINDOW, StarWindowConfig::READING),
            (2, Shape::Cone { beta: 1.5 }, Shape::Gaussian { width: 0.2 }),
        ] {
            let config = StarWindowConfig::new(LENGTH, FILTERS).with_window(window).with_reading(reading);
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

            assert_eq!(integers(windows.facing(maps.clone())), [0; 6], "until it is told");
            let facing = facing(seed);
            let windows = windows.with_facing(&facing);
            let axis = facing.axis().unwrap();
            let (direction, middle) = (floats(axis.direction), floats(axis.middle)[0]);
            let along = |maps: &[f32]| -> f64 {
                maps.iter().zip(&direction).map(|(x, d)| f64::from(*x) * f64::from(*d)).sum()
            };
            let sides: Vec<_> = images().map(|maps| usize::from(along(maps) > f64::from(middle))).collect();
            assert_eq!(integers(windows.facing(maps.clone())), sides);
            assert!(sides.contains(&0) && sides.contains(&1), "{sides:?}");

            // In two batches.
            let mut measured = Anchors::new(LENGTH, FILTERS);
            for (first, count) in [(0, 2), (2, 4)] {
                let batch = maps.clone().narrow(0, first, count);
                measured.push(batch.clone(), windows.roots(batch.clone()), windows.facing(batch));
            }
            let offsets = [0, 1].map(|side| anchors(&values, &expected, &sides, side));
            assert_eq!(measured.offsets(), offsets);
            assert_ne!(offsets[0], offsets[1]);

            let windows = windows.with_anchors(&measured);
            let wide: Vec<_> = offsets.iter().flatten().flatten().map(|&offset| offset as f32).collect();
            assert_eq!(floats(windows.offsets()), wide);
            for (kept, shape, length) in
                [(windows.forward(maps.clone()), window, LENGTH as f64), (windows.read(maps), reading, 12.0)]
            {
                for (index, (kept, &value)) in floats(kept).into_iter().zip(&values).enumerate() {
                    let (image, filter) = (index / (FILTERS * UNITS), index / UNITS % FILTERS);
                    let [row, column] = place(expected[image]);
                    let [down, over] = offsets[sides[image]][filter].map(|offset| offset as f64);
                    let window = falloff(shape, length, [row + down, column + over], index % UNITS);
                    let by_hand = f64::from(value) * window;
                    assert!((f64::from(kept) - by_hand).abs() < 1e-6, "{index}: {kept} {by_hand}");
                }
            }
            seen.extend(offsets.into_iter().flatten());
        }
        assert!(seen.len() > 4, "{seen:?}");
    }

    #[test]
    fn a_root_is_in_the_middle_of_what_votes() {
        let root = |votes: &[(usize, f32)]| {
            let mut values = vec![0f32; FILTERS * UNITS];
            votes.iter().for_each(|&(unit, vote)| values[unit] = vote);
            let maps = TensorData::new(values, [1, FILTERS, LENGTH, LENGTH]);
            roots(&windows(), Tensor::from_data(maps, &Device::flex()))[0]
        };
        let at = |row: usize, column: usize| row * LENGTH + column;
        assert_eq!(root(&[(at(5, 1), 0.3)]), at(5, 1));
        assert_eq!(root(&[(at(1, 2), 1.0), (at(5, 6), 1.0)]), at(3, 4), "as far from either");
        assert_eq!(root(&[(at(1, 2), 1.0), (at(5, 6), 1.5)]), at(5, 6), "most of the votes");
        assert_eq!(root(&[]), at(3, 3), "of nothing the middle of the map");
    }

    #[test]
    fn gradients_are_the_windows_and_what_was_measured_has_none() {
        let windows = StarWindowConfig::new(LENGTH, FILTERS).init(&Device::flex().autodiff());
        let windows = windows.with_relevance(relevance(5)).with_facing(&facing(6));
        let maps = maps(4);
        let leaf = Tensor::from_inner(maps.clone()).require_grad();
        let Windows { carried, read } = windows.windows(maps);
        assert_ne!(floats(carried.clone()), floats(read.clone()));
        for (seen, window) in [(windows.forward(leaf.clone()), carried), (windows.read(leaf.clone()), read)] {
            let gradients = seen.sum().backward();
            assert_eq!(floats(leaf.grad(&gradients).unwrap()), floats(window));
            assert!(windows.offsets.val().grad(&gradients).is_none());
            assert!(windows.votes.val().grad(&gradients).is_none());
            assert!(windows.direction.val().grad(&gradients).is_none());
        }
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
    #[should_panic(expected = "direction (left) of filters and units")]
    fn facing_of_other_maps_panics() {
        StarWindowConfig::new(LENGTH, FILTERS + 1).init(&Device::flex()).with_facing(&facing(1));
    }

    #[test]
    #[should_panic(expected = "filters of the maps")]
    fn maps_of_other_filters_panic() {
        StarWindowConfig::new(LENGTH, FILTERS + 1).init(&Device::flex()).windows(maps(6));
    }

    #[test]
    fn what_was_measured_is_saved_with_the_module() {
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        let maps = maps(7).powi_scalar(6);
        let saved = windows().with_relevance(relevance(8)).with_facing(&facing(7));
        anchors.push(maps.clone(), saved.roots(maps.clone()), saved.facing(maps.clone()));
        let saved = saved.with_anchors(&anchors);
        let loaded = windows().load_record(saved.clone().into_record());
        assert_eq!(floats(loaded.read(maps.clone())), floats(saved.read(maps.clone())));
        assert_ne!(roots(&loaded, maps.clone()), roots(&windows(), maps.clone()));
        assert!(integers(loaded.facing(maps)).contains(&1));
        let wide: Vec<_> = anchors.offsets().into_iter().flatten().flatten().map(|at| at as f32).collect();
        assert_eq!(floats(loaded.offsets()), wide);
        assert!(wide.iter().any(|&offset| offset != 0.0));
    }
}
