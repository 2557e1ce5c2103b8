//! The blurred mask of what is replaced.

use std::ops::Range;

use super::blur::{Weights, kernel};

/// How much of each pixel is replaced: a binary mask, blurred by a Gaussian; from 0 to 1.
///
/// As with a picture, the mask goes on beyond an edge as its outermost pixels.
#[derive(Clone, Debug)]
pub(super) struct SoftMask {
    pub columns: Range<usize>,
    pub rows: Range<usize>,
    /// Of these columns and rows, row by row; elsewhere it is 0.
    pub alpha: Vec<f32>,
}

impl SoftMask {
    /// The mask of a rectangle `left, top, right, bottom`: the product of its two blurred sides.
    pub fn of_rectangle([left, top, right, bottom]: [usize; 4], size: [usize; 2], sigma: f64) -> Self {
        let [across, down] = [Axis::new(left..right, size[0], sigma), Axis::new(top..bottom, size[1], sigma)];
        let profile = |axis: &Axis| axis.blurred(&vec![1.0; axis.covered.len()]);
        let along = profile(&across);
        let alpha = profile(&down).into_iter().flat_map(|d| along.iter().map(move |a| a * d)).collect();
        Self { columns: across.reached, rows: down.reached, alpha }
    }

    /// The mask of the pixels that `covers(x, y)` names in the box `left, top, right, bottom`.
    pub fn of_pixels(
        [left, top, right, bottom]: [usize; 4],
        size: [usize; 2],
        sigma: f64,
        covers: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let [across, down] = [Axis::new(left..right, size[0], sigma), Axis::new(top..bottom, size[1], sigma)];
        let line = |y| (left..right).map(|x| f32::from(u8::from(covers(x, y)))).collect::<Vec<_>>();
        let narrow: Vec<Vec<f32>> = (top..bottom).map(|y| across.blurred(&line(y))).collect();
        let width = across.reached.len();
        let mut alpha = vec![0.0; width * down.reached.len()];
        for (sums, weights) in alpha.chunks_exact_mut(width).zip(&down.weights) {
            for (row, weight) in narrow.iter().zip(weights) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        Self { columns: across.reached, rows: down.reached, alpha }
    }
}

/// What a mask covers of an axis, and what its blur reaches.
struct Axis {
    covered: Range<usize>,
    reached: Range<usize>,
    /// For each pixel that is reached, what each that is covered counts in it.
    weights: Vec<Vec<f32>>,
}

impl Axis {
    fn new(covered: Range<usize>, length: usize, sigma: f64) -> Self {
        let kernel = kernel(sigma);
        let reach = kernel.len() - 1;
        let reached = covered.start.saturating_sub(reach)..(covered.end + reach).min(length);
        let of_covered = |at: usize| {
            let Weights { start, weights } = Weights::at(at, length, &kernel);
            let weight = |i: usize| i.checked_sub(start).and_then(|i| weights.get(i)).copied().unwrap_or(0.0);
            covered.clone().map(weight).collect()
        };
        let weights = reached.clone().map(of_covered).collect();
        Self { covered, reached, weights }
    }

    /// The values of the pixels that are covered, blurred; 0 elsewhere.
    fn blurred(&self, values: &[f32]) -> Vec<f32> {
        let sum = |weights: &Vec<f32>| weights.iter().zip(values).map(|(w, v)| w * v).sum();
        self.weights.iter().map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in `f64`: both axes at once, edges repeated.
    fn oracle(size: [usize; 2], sigma: f64, at: [usize; 2], covers: impl Fn(usize, usize) -> bool) -> f64 {
        let reach = (4.0 * sigma).ceil() as i64;
        let (mut sum, mut total) = (0.0, 0.0);
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp();
                let inside =
                    |axis: usize, d: i64| (at[axis] as i64 + d).clamp(0, size[axis] as i64 - 1) as usize;
                sum += weight * f64::from(u8::from(covers(inside(0, dx), inside(1, dy))));
                total += weight;
            }
        }
        sum / total
    }

    fn check(mask: &SoftMask, size: [usize; 2], sigma: f64, covers: impl Fn(usize, usize) -> bool) {
        for (x, y) in (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y))) {
            let found = if mask.columns.contains(&x) && mask.rows.contains(&y) {
                mask.alpha[(y - mask.rows.start) * mask.columns.len() + x - mask.columns.start]
            } else {
                0.0
            };
            let expected = oracle(size, sigma, [x, y], &covers);
            assert!((f64::from(found) - expected).abs() < 1e-5, "{x}, {y}: {found} {expected}");
        }
    }

    #[test]
    fn a_rectangle_and_any_shape_are_blurred_by_the_definition() {
        let size = [40, 30];
        for (bounds, sigma) in [([10, 8, 20, 17], 2.0), ([0, 0, 9, 30], 3.0), ([35, 20, 40, 30], 1.5)] {
            let [left, top, right, bottom] = bounds;
            let covers = |x, y| (left..right).contains(&x) && (top..bottom).contains(&y);
            check(&SoftMask::of_rectangle(bounds, size, sigma), size, sigma, covers);
            check(&SoftMask::of_pixels(bounds, size, sigma, |_, _| true), size, sigma, covers);
            let speckled = |x, y| covers(x, y) && (x * 7 + y * 5) % 3 == 0;
            check(&SoftMask::of_pixels(bounds, size, sigma, speckled), size, sigma, speckled);
        }
    }

    #[test]
    fn what_covers_all_stays_1_and_what_covers_nothing_0() {
        let all = SoftMask::of_rectangle([0, 0, 12, 9], [12, 9], 4.0);
        assert_eq!((all.columns, all.rows), (0..12, 0..9));
        assert!(all.alpha.iter().all(|a| (a - 1.0).abs() < 1e-6));
        let none = SoftMask::of_pixels([2, 2, 6, 6], [12, 9], 4.0, |_, _| false);
        assert!(none.alpha.iter().all(|&a| a == 0.0));
    }
}
