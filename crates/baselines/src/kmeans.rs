//! K-means.

use burn::config::Config;
use burn::tensor::{Int, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dictionary::{checked, total};
use crate::{BaselineError, Dictionary};

/// Settings of a [`KMeans`].
#[derive(Config, Debug)]
pub struct KMeansConfig {
    /// K, the number of clusters.
    pub width: usize,
    /// Rounds of Lloyd's algorithm at most.
    #[config(default = 100)]
    pub iterations: usize,
    /// Rounds stop where the sum of squared distances falls by less than this share in one of them.
    #[config(default = 1e-4)]
    pub tolerance: f64,
    /// Seed of the first centres.
    #[config(default = 0)]
    pub seed: u64,
}

/// K-means: K centres c, each vector with the nearest one.
///
/// The first centres are drawn one after another, each a vector with a probability in proportion to its squared
/// distance to the nearest centre so far (k-means++); then assignment and mean take turns, by which
/// `Σ ‖x − c(x)‖²` never rises (Lloyd).
///
/// **Codes.** A hard assignment says where a cluster is and not how strongly, so that nothing could be ranked.
/// So the code of the nearest centre is `max(⟨x, c⟩ / ‖c‖, 0)`, how much of x lies along it, and all others are
/// 0; an atom is `c / ‖c‖`. What is decoded is the point of the centre's ray next to x, never further from x
/// than the centre itself.
///
/// A cluster that loses all its vectors keeps its centre. The cluster of silent units has centre 0 and is silent
/// itself.
///
/// Source: Arthur and Vassilvitskii 2007; Lloyd 1982. Clusters of a layer's activation vectors as parts:
/// Wang et al., arXiv:1511.06855.
///
/// # Shapes
/// - activations `[n, C]`, codes `[n, K]`
#[derive(Clone, Debug)]
pub struct KMeans {
    centres: Centres,
    /// `c / ‖c‖`, `[K, C]`.
    atoms: Tensor<2>,
    /// `Σ ‖x − c(x)‖²` before each round, and after the last.
    distances: Vec<f64>,
}

/// The centres, `[K, C]`.
#[derive(Clone, Debug)]
struct Centres(Tensor<2>);

impl KMeansConfig {
    /// Clusters activation vectors `[n, C]`.
    ///
    /// # Errors
    /// Fewer vectors than clusters, or values that are not finite.
    ///
    /// # Panics
    /// If the width is 0.
    pub fn fit(&self, activations: Tensor<2>) -> Result<KMeans, BaselineError> {
        assert!(self.width > 0, "KMeansConfig::width must be at least 1");
        checked("k-means", &activations, self.width)?;
        let mut centres = Centres::drawn(&activations, self.width, self.seed);
        let (mut nearest, squared) = centres.nearest(&activations);
        let mut distances = vec![total(squared)];
        for _ in 0..self.iterations {
            centres = centres.means(&activations, nearest);
            let squared;
            (nearest, squared) = centres.nearest(&activations);
            let before = distances.last().copied().unwrap_or(f64::INFINITY);
            let distance = total(squared);
            distances.push(distance);
            if before - distance <= self.tolerance * before {
                break;
            }
        }
        let Centres(of) = &centres;
        let lengths = of.clone().square().sum_dim(1).sqrt();
        let atoms = of.clone() / lengths.clamp_min(f32::MIN_POSITIVE);
        Ok(KMeans { atoms, centres, distances })
    }
}

impl Centres {
    /// k-means++.
    fn drawn(activations: &Tensor<2>, width: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let [count, _] = activations.dims();
        let vector = |at: usize| activations.clone().narrow(0, at, 1);
        let mut centres = vec![vector(rng.random_range(0..count))];
        let mut least: Option<Tensor<2>> = None;
        while centres.len() < width {
            let away = activations.clone() - centres[centres.len() - 1].clone();
            let squared = away.square().sum_dim(1);
            let nearest = match least {
                Some(least) => least.min_pair(squared),
                None => squared,
            };
            let weights: Vec<f32> = nearest.to_data().iter::<f32>().collect();
            centres.push(vector(draw(&weights, &mut rng)));
            least = Some(nearest);
        }
        Self(Tensor::cat(centres, 0))
    }

    /// The nearest centre of each vector and its squared distance, each `[n]`.
    fn nearest(&self, activations: &Tensor<2>) -> (Tensor<1, Int>, Tensor<1>) {
        let Self(centres) = self;
        let [count, _] = activations.dims();
        // ‖x − c‖² − ‖x‖².
        let products = activations.clone().matmul(centres.clone().transpose());
        let lengths = centres.clone().square().sum_dim(1).transpose();
        let (least, nearest) = (lengths - products.mul_scalar(2.0)).min_dim_with_indices(1);
        let own = activations.clone().square().sum_dim(1);
        (nearest.reshape([count]), (own + least).clamp_min(0.0).reshape([count]))
    }

    /// The mean of each centre's vectors.
    fn means(&self, activations: &Tensor<2>, nearest: Tensor<1, Int>) -> Self {
        let Self(centres) = self;
        let members = one_hot(nearest, centres.dims()[0], activations);
        let counts = members.clone().sum_dim(0).transpose();
        let means = members.transpose().matmul(activations.clone()) / counts.clone().clamp_min(1.0);
        let without = counts.equal_scalar(0.0).expand(centres.dims());
        Self(means.mask_where(without, centres.clone()))
    }
}

/// 1 at each row's index, else 0, `[n, width]`; on the device of `like`.
fn one_hot(indices: Tensor<1, Int>, width: usize, like: &Tensor<2>) -> Tensor<2> {
    let [count] = indices.dims();
    let own = indices.reshape([count, 1]).expand([count, width]);
    let all = Tensor::<1, Int>::arange(0..width as i64, &like.device()).reshape([1, width]);
    own.equal(all.expand([count, width])).float()
}

/// An index with a probability in proportion to its weight; any, if all are 0.
fn draw(weights: &[f32], rng: &mut ChaCha8Rng) -> usize {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let mut left = rng.random::<f64>() * total;
    let positive = weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0);
    let mut last = None;
    for (at, &weight) in positive {
        left -= f64::from(weight);
        last = Some(at);
        if left < 0.0 {
            break;
        }
    }
    last.unwrap_or_else(|| rng.random_range(0..weights.len()))
}

impl KMeans {
    /// `Σ ‖x − c(x)‖²` before each round of Lloyd's algorithm and after the last.
    pub fn distances(&self) -> &[f64] {
        &self.distances
    }
}

impl Dictionary for KMeans {
    fn width(&self) -> usize {
        self.atoms.dims()[0]
    }

    fn encode(&self, activations: Tensor<2>) -> Tensor<2> {
        let (nearest, _) = self.centres.nearest(&activations);
        let here = one_hot(nearest, self.width(), &activations);
        activations.matmul(self.atoms.clone().transpose()).clamp_min(0.0) * here
    }

    fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
        codes.matmul(self.atoms.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activations, distance, floats, rows, tensor};

    #[test]
    fn worked_by_hand() {
        // Two clusters along the axes: centres (4, 0) and (0, 1).
        let values = tensor(&[3.0, 0.0, 5.0, 0.0, 0.0, 1.0, 0.0, 1.0], [4, 2]);
        let kmeans = KMeansConfig::new(2).fit(values).unwrap();
        assert_eq!(kmeans.distances().last(), Some(&2.0));
        let codes = floats(kmeans.encode(tensor(&[6.0, 2.0, 0.5, 3.0], [2, 2])));
        let order = if codes[0] > 0.0 { [0, 1] } else { [1, 0] };
        assert_eq!(order.map(|at| codes[at]), [6.0, 0.0]);
        assert_eq!(order.map(|at| codes[2 + at]), [0.0, 3.0]);
        assert_eq!(floats(kmeans.decode(tensor(&codes, [2, 2]))), [6.0, 0.0, 0.0, 3.0]);
    }

    #[test]
    fn lloyd_never_rises_and_ends_where_nothing_moves() {
        let values = activations(200, 6, 8, 1);
        let kmeans = KMeansConfig::new(7).with_tolerance(0.0).fit(values.clone()).unwrap();
        let distances = kmeans.distances();
        assert!(distances.len() > 3 && distances.is_sorted_by(|a, b| a >= b), "{distances:?}");
        let (x, centres) = (rows(values.clone()), rows(kmeans.centres.0.clone()));
        // In f64: every vector is with its nearest centre, and every centre is the mean of its vectors.
        let nearest: Vec<usize> = x
            .iter()
            .map(|x| (0..7).min_by(|&a, &b| distance(x, &centres[a]).total_cmp(&distance(x, &centres[b]))))
            .map(Option::unwrap)
            .collect();
        let sum: f64 = x.iter().zip(&nearest).map(|(x, &at)| distance(x, &centres[at])).sum();
        assert!((sum - distances.last().unwrap()).abs() < 1e-4 * sum);
        for (at, centre) in centres.iter().enumerate() {
            let members: Vec<_> = x.iter().zip(&nearest).filter(|&(_, &own)| own == at).collect();
            for (c, centre) in centre.iter().enumerate() {
                let mean = members.iter().map(|(x, _)| x[c]).sum::<f64>() / members.len() as f64;
                assert!((mean - centre).abs() < 1e-5, "{mean} {centre}");
            }
        }
        // One code for each vector, at its centre, and no further from the vector than that.
        let codes = rows(kmeans.encode(values.clone()));
        let decoded = rows(kmeans.decode(kmeans.encode(values)));
        for ((x, codes), (decoded, &at)) in x.iter().zip(&codes).zip(decoded.iter().zip(&nearest)) {
            assert!(codes.iter().enumerate().all(|(k, &code)| if k == at {
                code >= 0.0
            } else {
                code == 0.0
            }));
            assert!(distance(x, decoded) <= distance(x, &centres[at]) + 1e-6);
        }
    }

    #[test]
    fn first_centres_are_far_apart() {
        // Ten vectors at one place and one elsewhere: the second centre is never at the first one's place.
        let mut values = vec![1.0; 22];
        values[20] = 9.0;
        for seed in 0..20 {
            let Centres(centres) = Centres::drawn(&tensor(&values, [11, 2]), 2, seed);
            let [a, b] = &rows(centres)[..] else { panic!("two centres") };
            assert!(distance(a, b) > 1.0, "seed {seed}");
        }
        // A cluster without vectors keeps its centre.
        let centres = Centres(tensor(&[1.0, 1.0, 50.0, 50.0], [2, 2]));
        let values = tensor(&values, [11, 2]);
        let (nearest, _) = centres.nearest(&values);
        assert_eq!(rows(centres.means(&values, nearest).0)[1], [50.0, 50.0]);
        let error = KMeansConfig::new(12).fit(values).unwrap_err();
        assert_eq!(error, BaselineError::TooFew { method: "k-means", expected: 12, found: 11 });
    }
}
