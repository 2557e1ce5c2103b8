//! Where filters fire relative to the root.

use burn::tensor::{FloatDType, Int, Tensor};
use rayon::prelude::*;

use crate::shape::check_square;

/// The ways an object may face.
pub(crate) const SIDES: usize = 2;

/// The share of all images for which an offset counts that lies beyond the map in every image.
const UNSEEN: f64 = 0.1;

/// What an image counts for the anchors of objects that face the other way.
const OTHER_SIDE: f64 = 0.25;

/// The width of the Gaussian g, in lengths of a map.
const WIDTH: f64 = 0.15;

/// Where filters fire relative to the root, over a population of maps.
///
/// ```text
/// m_f^s(o) = Σ_images w x_f(ρ + o) / Σ_images w (c(o) + 1/10)     o_f^s = argmax_o (g ∗ m_f^s)(o)
/// ```
///
/// for objects that face the way s ([`Facing`](crate::Facing)): w is 1 for images of those and 1/4 for others, so that
/// a filter has two places only where it plainly has. c(o) is 1 where the place ρ + o lies on the image's map, and 0
/// elsewhere; the tenth keeps a few images from speaking for offsets that hardly any has. g is a Gaussian of standard
/// deviation 0.15 n: a part is not at one unit in all images, and is to be looked for in the middle of where it is.
/// A filter that never fires is anchored at the root.
///
/// Source: ours.
#[derive(Clone, Debug)]
pub struct Anchors {
    length: usize,
    /// Of images that face either way.
    sides: [Side; SIDES],
}

/// The images that face one way.
#[derive(Clone, Debug)]
struct Side {
    images: usize,
    /// Σ c: of (2n − 1)² offsets, from −(n − 1) on.
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
        let side = || Side { images: 0, counts: vec![0.0; offsets], sums: vec![vec![0.0; offsets]; filters] };
        Self { length, sides: [side(), side()] }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn filters(&self) -> usize {
        self.sides[0].sums.len()
    }

    /// Adds the maps of a batch.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`
    /// - roots and facing: `[batch, 1]`, as [`StarWindow::roots`](crate::StarWindow::roots) and
    ///   [`StarWindow::facing`](crate::StarWindow::facing) give them
    ///
    /// # Panics
    /// If the maps are of another size or number, or there is not one root and one side for each image.
    pub fn push(&mut self, maps: Tensor<4>, roots: Tensor<2, Int>, facing: Tensor<2, Int>) {
        check_square("Anchors", maps.dims(), self.length);
        let [batch, filters, n, _] = maps.dims();
        assert_eq!(
            filters,
            self.filters(),
            "Anchors: filters of the maps (left) and of those before (right)"
        );
        assert_eq!(
            (roots.dims(), facing.dims()),
            ([batch, 1], [batch, 1]),
            "Anchors: one root and one side for each image are needed"
        );
        let values = maps.inner().cast(FloatDType::F32).into_data();
        let values: &[f32] = values.as_slice().expect("values were cast to f32");
        let side = 2 * n - 1;
        let offset = |unit: usize| unit / n * side + unit % n;
        let facing: Vec<i64> = facing.into_data().iter::<i64>().collect();
        // The unit (i, j) lies at the offset (i, j) − ρ; counted from −(n − 1), at (i, j) + (n − 1) − ρ.
        let first: Vec<usize> = roots
            .into_data()
            .iter::<i64>()
            .map(|root| (n - 1 - root as usize / n) * side + (n - 1 - root as usize % n))
            .collect();
        for (way, Side { images, counts, sums }) in (0..).zip(&mut self.sides) {
            let facing: Vec<usize> = (0..batch).filter(|&image| facing[image] == way).collect();
            for &image in &facing {
                (0..n * n).for_each(|unit| counts[first[image] + offset(unit)] += 1.0);
            }
            sums.par_iter_mut().enumerate().for_each(|(filter, sums)| {
                for &image in &facing {
                    let map = &values[(image * filters + filter) * n * n..][..n * n];
                    for (unit, x) in map.iter().enumerate() {
                        sums[first[image] + offset(unit)] += f64::from(*x);
                    }
                }
            });
            *images += facing.len();
        }
    }

    /// o_f of each filter for either way to face, rows and columns in units; of several equal ones the first in
    /// reading order.
    pub fn offsets(&self) -> [Vec<[i64; 2]>; SIDES] {
        let [first, second] = &self.sides;
        [(first, second), (second, first)].map(|(own, other)| {
            (0..self.filters()).map(|filter| self.strongest(own, other, filter)).collect()
        })
    }

    fn strongest(&self, own: &Side, other: &Side, filter: usize) -> [i64; 2] {
        let side = 2 * self.length - 1;
        let both = |own: f64, other: f64| own + OTHER_SIDE * other;
        let unseen = UNSEEN * both(own.images as f64, other.images as f64);
        let mean = |at: usize| match both(own.sums[filter][at], other.sums[filter][at]) {
            0.0 => 0.0,
            sum => sum / (both(own.counts[at], other.counts[at]) + unseen),
        };
        let means: Vec<f64> = (0..side * side).map(mean).collect();
        let width = WIDTH * self.length as f64;
        let gaussian: Vec<f64> = (0..side).map(|away| (-0.5 * (away as f64 / width).powi(2)).exp()).collect();
        // Along the rows, and turned over; so twice.
        let smooth = |maps: Vec<f64>| -> Vec<f64> {
            let along = |at: usize| {
                let (column, row) = (at / side, at % side);
                (0..side).map(|other| gaussian[column.abs_diff(other)] * maps[row * side + other]).sum()
            };
            (0..side * side).map(along).collect()
        };
        let smooth = smooth(smooth(means));
        let root = (self.length - 1) * (side + 1);
        let (mut best, mut most) = (root, 0.0);
        for (at, &sum) in smooth.iter().enumerate() {
            if sum > most {
                (best, most) = (at, sum);
            }
        }
        let offset = |at: usize| at as i64 - (self.length as i64 - 1);
        [offset(best / side), offset(best % side)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    const FILTERS: usize = 5;
    const LENGTH: usize = 7;
    const UNITS: usize = LENGTH * LENGTH;

    /// One image whose filters each fire at their place from the root; with its root and the way it faces.
    fn push(anchors: &mut Anchors, root: [i64; 2], places: [[i64; 2]; FILTERS], facing: i64) {
        let mut values = vec![0f32; FILTERS * UNITS];
        for (filter, place) in places.iter().enumerate() {
            let unit = (root[0] + place[0]) * LENGTH as i64 + root[1] + place[1];
            values[filter * UNITS + unit as usize] = 1.0;
        }
        let device = Device::flex();
        let maps = Tensor::from_data(TensorData::new(values, [1, FILTERS, LENGTH, LENGTH]), &device);
        let one = |value| Tensor::from_data(TensorData::new(vec![value], [1, 1]), &device);
        anchors.push(maps, one(root[0] * LENGTH as i64 + root[1]), one(facing));
    }

    #[test]
    fn a_constellation_is_found_again() {
        let places = [[0, 0], [0, 0], [-2, 1], [1, 3], [2, -2]];
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        for root in [[3, 3], [2, 3], [4, 2], [3, 2], [2, 2]] {
            push(&mut anchors, root, places, 0);
        }
        assert_eq!(anchors.offsets(), [places, places], "no image faces the other way");
    }

    #[test]
    fn a_filter_has_two_places_where_it_plainly_has() {
        let right = [[0, 0], [1, 2], [-2, 1], [1, 0], [2, 2]];
        let left = [[0, 0], [1, -2], [-2, -1], [1, 0], [2, -2]];
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        for root in [[3, 3], [2, 3], [4, 2], [3, 2], [2, 2]] {
            push(&mut anchors, root, right, 0);
            push(&mut anchors, root, left, 1);
        }
        assert_eq!(anchors.offsets(), [right, left]);
        // Of one image that faces another way than eleven it is not plain.
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        (0..11).for_each(|_| push(&mut anchors, [3, 3], right, 0));
        push(&mut anchors, [3, 3], left, 1);
        assert_eq!(anchors.offsets(), [right, right]);
    }

    #[test]
    fn a_filter_that_never_fires_is_anchored_at_the_root() {
        let mut anchors = Anchors::new(LENGTH, FILTERS);
        let everywhere = [[[0, 0]; FILTERS]; SIDES];
        assert_eq!(anchors.offsets(), everywhere, "of no maps at all");
        let (silent, one) = (Tensor::zeros([2, FILTERS, LENGTH, LENGTH], &Device::flex()), [2, 1]);
        let zeros = || Tensor::zeros(one, &Device::flex());
        anchors.push(silent, zeros(), zeros());
        assert_eq!(anchors.offsets(), everywhere);
    }
}
