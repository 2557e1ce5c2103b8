//! Spherical k-means: typical directions among many.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Rounds of assignment.
const ROUNDS: usize = 10;

/// Centres of unit vectors, of length 1 each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clusters {
    /// `[count, d]`, row by row.
    pub(crate) centers: Vec<f32>,
    pub(crate) dimensions: usize,
}

impl Clusters {
    /// Spherical k-means of `vectors`, `[n, d]` row by row, each of length 1 or 0. Centres start by k-means++ with
    /// the squared distance `1 − cos` and move to the normalised mean of their vectors.
    ///
    /// Source: Dhillon and Modha, *Concept decompositions for large sparse text data using clustering*, 2001; Arthur
    /// and Vassilvitskii, *k-means++*, 2007.
    pub(crate) fn fit(vectors: &[f32], dimensions: usize, count: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = count.min(vectors.len() / dimensions);
        let mut clusters = Self { centers: seeded(vectors, dimensions, count, &mut rng), dimensions };
        let mut assigned = Vec::new();
        for _ in 0..ROUNDS {
            let next = clusters.assign(vectors);
            if next == assigned {
                break;
            }
            assigned = next;
            clusters.move_to(vectors, &assigned);
        }
        clusters
    }

    /// The centre of the largest cosine with each vector.
    fn assign(&self, vectors: &[f32]) -> Vec<usize> {
        let nearest = |vector: &[f32]| {
            let cosines = self.centers.chunks_exact(self.dimensions).map(|center| dot(center, vector));
            let best = cosines.enumerate().fold((0, f32::NEG_INFINITY), |best, (at, cosine)| {
                match cosine > best.1 {
                    true => (at, cosine),
                    false => best,
                }
            });
            best.0
        };
        vectors.par_chunks_exact(self.dimensions).map(nearest).collect()
    }

    /// The normalised mean of each centre's vectors; a centre without any stays.
    fn move_to(&mut self, vectors: &[f32], assigned: &[usize]) {
        let mut sums = vec![0f64; self.centers.len()];
        for (vector, &center) in vectors.chunks_exact(self.dimensions).zip(assigned) {
            let sum = &mut sums[center * self.dimensions..][..self.dimensions];
            sum.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        for (center, sum) in
            self.centers.chunks_exact_mut(self.dimensions).zip(sums.chunks_exact(self.dimensions))
        {
            let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            if length > 0.0 {
                center.iter_mut().zip(sum).for_each(|(center, value)| *center = (value / length) as f32);
            }
        }
    }
}

/// k-means++: each further centre is a vector drawn by its squared distance from the nearest one so far.
fn seeded(vectors: &[f32], dimensions: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let n = vectors.len() / dimensions;
    let vector = |at: usize| &vectors[at * dimensions..][..dimensions];
    let mut centers: Vec<f32> = Vec::with_capacity(count * dimensions);
    let mut distances = vec![f64::INFINITY; n];
    let mut next = rng.random_range(0..n.max(1));
    for _ in 0..count {
        let center = vector(next).to_vec();
        distances.par_iter_mut().zip(vectors.par_chunks_exact(dimensions)).for_each(|(distance, vector)| {
            *distance = distance.min(f64::from(1.0 - dot(&center, vector)).max(0.0));
        });
        centers.extend(center);
        let total: f64 = distances.iter().sum();
        let mut left = rng.random_range(0.0..1.0) * total;
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // Where all distances are 0 any vector is as good.
        next = drawn.unwrap_or(0);
    }
    centers
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors around three directions in the plane.
    fn around_three(count: usize) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let angle = |at: usize, noise: f64| (at % 3) as f64 * 2.0 + noise;
        let vectors = (0..count).map(|at| angle(at, rng.random_range(-0.1..0.1)));
        vectors.flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect()
    }

    #[test]
    fn directions_that_lie_together_have_one_centre() {
        let vectors = around_three(300);
        let clusters = Clusters::fit(&vectors, 2, 3, 0);
        assert_eq!(clusters.centers.len(), 2 * 3);
        let assigned = clusters.assign(&vectors);
        for (at, &center) in assigned.iter().enumerate() {
            assert_eq!(center, assigned[at % 3], "vector {at}");
            let cosine = dot(&clusters.centers[center * 2..][..2], &vectors[at * 2..][..2]);
            assert!(cosine > 0.97, "{cosine}");
        }
        let mut distinct = assigned[..3].to_vec();
        distinct.sort_unstable();
        assert_eq!(distinct, [0, 1, 2]);
        for center in clusters.centers.chunks_exact(2) {
            assert!((dot(center, center) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn there_are_never_more_centres_than_vectors() {
        let vectors = around_three(2);
        assert_eq!(Clusters::fit(&vectors, 2, 5, 0).centers.len(), 2 * 2);
        assert_eq!(Clusters::fit(&vectors, 2, 2, 0), Clusters::fit(&vectors, 2, 2, 0));
    }
}
