//! Which way an object faces.

use burn::tensor::{FloatDType, Tensor, TensorData};

use crate::shape::check_square;

/// Steps of the power iteration.
const STEPS: usize = 1000;

/// Which way objects face, from maps of images and of their mirror images: what mirroring changes most.
///
/// ```text
/// σ_f² = E mean_u (x_f(u)² + x̄_f(u)²) / 2       δ_f(u) = (x_f(u) − x̄_f(u)) / 2 σ_f
/// e = argmax_{|e| = 1} E (e · δ)²               d = e / σ         m = E d · (x + x̄) / 2
/// ```
///
/// x are an image's maps, x̄ those of its mirror image, and the means E are over the pairs. An object faces one way
/// where `d · x > m`, and the other way elsewhere. Where nothing but the way an object faces tells an image from its
/// mirror image, e is the first principal component of that; nothing is said of a filter that never fires (δ = 0).
///
/// Source: ours. That the principal components of pictures and their mirror images are each even or odd was used by
/// Kirby and Sirovich (PAMI 1990); this is the first of the odd ones.
#[derive(Clone, Debug)]
pub struct Facing {
    length: usize,
    filters: usize,
    /// (x − x̄) / 2, `[pairs, filters, n²]` of each batch.
    odd: Vec<Tensor<3>>,
    /// Σ (x + x̄) / 2, `[filters, n²]`.
    even: Option<Tensor<2>>,
    /// Σ mean_u (x² + x̄²) / 2, `[filters, 1]`.
    energy: Option<Tensor<2>>,
}

/// d, `[filters, n, n]`, and m, `[1]`.
pub(crate) struct Axis {
    pub(crate) direction: Tensor<3>,
    pub(crate) middle: Tensor<1>,
}

impl Facing {
    /// Of no pairs yet.
    ///
    /// # Panics
    /// If `length` or `filters` is 0.
    pub fn new(length: usize, filters: usize) -> Self {
        assert!(length > 0 && filters > 0, "facing needs maps of at least one unit and one filter");
        Self { length, filters, odd: Vec::new(), even: None, energy: None }
    }

    /// Adds pairs; they are kept.
    ///
    /// # Shapes
    /// - maps and mirrored: `[batch, filters, n, n]`, those of images and of their mirror images
    ///
    /// # Panics
    /// If the maps are of another size or number.
    pub fn push(&mut self, maps: Tensor<4>, mirrored: Tensor<4>) {
        assert_eq!(
            maps.dims(),
            mirrored.dims(),
            "Facing: maps (left) and those of the mirror images (right)"
        );
        check_square("Facing", maps.dims(), self.length);
        let [batch, filters, n, _] = maps.dims();
        assert_eq!(filters, self.filters, "Facing: filters of the maps (left) and of those before (right)");
        let [maps, mirrored] = [maps, mirrored]
            .map(|maps| maps.inner().cast(FloatDType::F32).reshape([batch, filters, n * n]).mul_scalar(0.5));
        let (even, odd) = (maps.clone() + mirrored.clone(), maps - mirrored);
        let squares = even.clone().powi_scalar(2) + odd.clone().powi_scalar(2);
        let over_pairs = |values: Tensor<3>| -> Tensor<2> { values.sum_dim(0).squeeze_dim(0) };
        let added = |sum: &mut Option<Tensor<2>>, batch: Tensor<2>| {
            *sum = Some(sum.take().map_or(batch.clone(), |sum| sum + batch));
        };
        added(&mut self.energy, over_pairs(squares.mean_dim(2)));
        added(&mut self.even, over_pairs(even));
        self.odd.push(odd);
    }

    /// d and m; `None` if mirroring changes nothing.
    pub(crate) fn axis(&self) -> Option<Axis> {
        let (even, energy) = self.even.clone().zip(self.energy.clone())?;
        let [filters, n] = [self.filters, self.length];
        let odd = Tensor::cat(self.odd.clone(), 0);
        let pairs = odd.dims()[0];
        let even = even.div_scalar(pairs as f64);
        let energy = energy.div_scalar(pairs as f64);
        let silent = energy.clone().lower_equal_scalar(0.0).float();
        // 1 / σ, and 0 for a filter that never fires.
        let scale: Tensor<2> = (silent.clone() + energy).sqrt().recip() * (1.0 - silent);
        let odd = (odd * scale.clone().unsqueeze_dim(0)).reshape([pairs, filters * n * n]);
        let products = odd.clone().matmul(odd.clone().transpose()).into_data();
        let products: Vec<f64> = products.iter::<f64>().collect();
        let weights: Vec<f32> = first_eigenvector(&products, pairs)?.into_iter().map(|w| w as f32).collect();
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [1, pairs]), &odd.device());
        let direction: Tensor<2> = weights.matmul(odd).reshape([filters, n * n]);
        let length = direction.clone().powi_scalar(2).sum().sqrt().reshape([1, 1]);
        let direction = direction / length * scale;
        let middle = (direction.clone() * even).sum();
        Some(Axis { direction: direction.reshape([filters, n, n]), middle })
    }
}

/// The eigenvector of the largest eigenvalue of a symmetric matrix without negative ones, by power iteration from the
/// column with the largest entry of the diagonal; `None` if all of the matrix is 0. Where the largest two are
/// nearly the same, it is a vector between theirs.
fn first_eigenvector(matrix: &[f64], size: usize) -> Option<Vec<f64>> {
    let diagonal = |at: usize| matrix[at * (size + 1)];
    let largest = (0..size).reduce(|best, at| if diagonal(at) > diagonal(best) { at } else { best })?;
    if diagonal(largest) <= 0.0 {
        return None;
    }
    let mut vector = matrix[largest * size..][..size].to_vec();
    for _ in 0..STEPS {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        let row = |row: &[f64]| row.iter().zip(&vector).map(|(a, x)| a * x).sum();
        vector = matrix.chunks_exact(size).map(row).collect();
    }
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uniform;
    use burn::tensor::Device;

    const FILTERS: usize = 3;
    const LENGTH: usize = 5;
    const UNITS: usize = LENGTH * LENGTH;
    const PAIRS: usize = 8;

    fn wide<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// Filters of very different loudness, of which the last never fires.
    fn maps(seed: u64) -> Tensor<4> {
        let maps = uniform([PAIRS, FILTERS, LENGTH, LENGTH], -1.0, 1.0, seed).clamp_min(0.0);
        maps * Tensor::<1>::from_floats([1.0, 100.0, 0.0], &Device::flex()).reshape([1, FILTERS, 1, 1])
    }

    #[test]
    fn the_direction_is_the_first_principal_component_of_what_mirroring_changes() {
        let (maps, mirrored) = (maps(1), maps(2));
        let mut facing = Facing::new(LENGTH, FILTERS);
        for (first, count) in [(0, 3), (3, 5)] {
            facing.push(maps.clone().narrow(0, first, count), mirrored.clone().narrow(0, first, count));
        }
        let axis = facing.axis().unwrap();
        let (direction, middle) = (wide(axis.direction), wide(axis.middle)[0]);
        let (maps, mirrored) = (wide(maps), wide(mirrored));
        let size = FILTERS * UNITS;
        let squares: Vec<f64> = maps.iter().zip(&mirrored).map(|(x, y)| (x * x + y * y) / 2.0).collect();
        let deviation = |filter: usize| {
            let of = |pair: usize| squares[pair * size + filter * UNITS..][..UNITS].iter().sum::<f64>();
            ((0..PAIRS).map(of).sum::<f64>() / (PAIRS * UNITS) as f64).sqrt()
        };
        let odd: Vec<Vec<f64>> = (0..PAIRS)
            .map(|pair| {
                let at = |at: usize| match deviation(at / UNITS) {
                    0.0 => 0.0,
                    sigma => (maps[pair * size + at] - mirrored[pair * size + at]) / (2.0 * sigma),
                };
                (0..size).map(at).collect()
            })
            .collect();
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let e: Vec<f64> = (0..size).map(|at| direction[at] * deviation(at / UNITS)).collect();
        assert!((dot(&e, &e) - 1.0).abs() < 1e-5);
        // C e = λ e, with C = Σ δ δᵀ.
        let applied = |vector: &[f64]| {
            let mut sum = vec![0.0; size];
            for odd in &odd {
                let along = dot(odd, vector);
                sum.iter_mut().zip(odd).for_each(|(sum, odd)| *sum += along * odd);
            }
            sum
        };
        let largest = dot(&applied(&e), &e);
        for (found, expected) in applied(&e).into_iter().zip(e.iter().map(|e| largest * e)) {
            assert!((found - expected).abs() < 1e-4 * largest, "{found} {expected}");
        }
        // What is left of C along any other direction is less.
        for other in &odd {
            let along = dot(other, &e);
            let mut rest: Vec<f64> = other.iter().zip(&e).map(|(other, e)| other - along * e).collect();
            for _ in 0..200 {
                let length = dot(&rest, &rest).sqrt();
                rest.iter_mut().for_each(|rest| *rest /= length);
                rest = applied(&rest);
                let along = dot(&rest, &e);
                rest.iter_mut().zip(&e).for_each(|(rest, e)| *rest -= along * e);
            }
            assert!(dot(&rest, &rest).sqrt() < largest);
        }
        let halves: f64 = (0..PAIRS)
            .map(|pair| {
                dot(&maps[pair * size..][..size], &direction)
                    + dot(&mirrored[pair * size..][..size], &direction)
            })
            .sum();
        assert!((middle - halves / (2 * PAIRS) as f64).abs() < 1e-4, "{middle}");
        assert!(direction[2 * UNITS..].iter().all(|&silent| silent == 0.0));
    }

    /// A filter fires at the head and another, fainter, at the tail; the rest of the image is as it is.
    #[test]
    fn images_and_their_mirror_images_face_opposite_ways() {
        let animal = |head: usize, tail: usize, noise: u64| {
            let mut values = vec![0f32; FILTERS * UNITS];
            values[2 * LENGTH + head] = 3.0;
            values[UNITS + 2 * LENGTH + tail] = 0.2;
            let maps = TensorData::new(values, [1, FILTERS, LENGTH, LENGTH]);
            let noise = uniform([1, FILTERS, LENGTH, LENGTH], 0.0, 0.1, noise);
            Tensor::<4>::from_data(maps, &Device::flex()) + noise
        };
        let mut facing = Facing::new(LENGTH, FILTERS);
        let left = |seed| animal(0, 4, seed);
        let right = |seed| animal(4, 0, seed + 50);
        // Half of them face left.
        for seed in 0..8 {
            let (image, mirror) = (left(seed), right(seed));
            if seed % 2 == 0 { facing.push(image, mirror) } else { facing.push(mirror, image) }
        }
        let axis = facing.axis().unwrap();
        let side = |maps: Tensor<4>| {
            let along = wide((maps * axis.direction.clone().unsqueeze_dim(0)).sum())[0];
            along > wide(axis.middle.clone())[0]
        };
        for seed in 100..120 {
            assert_ne!(side(left(seed)), side(right(seed)));
            assert_eq!(side(left(seed)), side(left(0)));
        }
    }

    #[test]
    fn what_mirroring_does_not_change_faces_no_way() {
        let mut facing = Facing::new(LENGTH, FILTERS);
        assert!(facing.axis().is_none(), "of no pairs");
        facing.push(maps(3), maps(3));
        assert!(facing.axis().is_none());
        let silent = maps(3).mul_scalar(0.0);
        let mut facing = Facing::new(LENGTH, FILTERS);
        facing.push(silent.clone(), silent);
        assert!(facing.axis().is_none());
    }
}
