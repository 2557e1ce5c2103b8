//! Target features between those of two images.

use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Features;

/// `share · x_i + (1 − share) · x_j` of two rows' target features: what no image gave, but what a performer can
/// read, so that it tells its upper features too.
///
/// Source: Zhang et al., *mixup: Beyond Empirical Risk Minimization*, arXiv:1710.09412, here of features, and with
/// the performer's own answers in place of mixed labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mixture {
    pub(crate) rows: [usize; 2],
    /// Of the first row, at least one half.
    pub(crate) share: f32,
}

impl Mixture {
    /// `count` mixtures of two of `rows` rows each, drawn with equal chances; the shares are uniform.
    pub(crate) fn draw(rows: usize, count: usize) -> Vec<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let draw = |_| {
            let rows = [0, 1].map(|_| rng.random_range(0..rows));
            Self { rows, share: rng.random_range(0.5..=1.0) }
        };
        (0..count).map(draw).collect()
    }

    /// The target features of mixtures, `[mixtures, C, L, L]`.
    pub(crate) fn target(mixtures: &[Self], features: &Features) -> Tensor<4> {
        let [first, second] = [0, 1].map(|side| {
            let rows: Vec<usize> = mixtures.iter().map(|mixture| mixture.rows[side]).collect();
            features.batch(&rows).target
        });
        let shares: Vec<f32> = mixtures.iter().map(|mixture| mixture.share).collect();
        let shares = TensorData::new(shares, [mixtures.len(), 1, 1, 1]);
        let shares = Tensor::<4>::from_data(shares, features.device());
        (first - second.clone()) * shares + second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureConfig;
    use crate::features::floats;
    use crate::testing::{TinyPerformer, features};

    #[test]
    fn shares_are_of_the_nearer_row_and_rows_are_all_drawn() {
        let mixtures = Mixture::draw(7, 400);
        assert_eq!(mixtures.len(), 400);
        for side in [0, 1] {
            let mut counts = [0; 7];
            mixtures.iter().for_each(|mixture| counts[mixture.rows[side]] += 1);
            assert!(counts.iter().all(|&count| (30..90).contains(&count)), "{counts:?}");
        }
        let shares = || mixtures.iter().map(|mixture| mixture.share);
        assert!(shares().all(|share| (0.5..=1.0).contains(&share)));
        let mean = shares().sum::<f32>() / 400.0;
        assert!((mean - 0.75).abs() < 0.03, "{mean}");
        assert_eq!(mixtures[..100], Mixture::draw(7, 100)[..]);
    }

    #[test]
    fn target_features_lie_between_those_of_the_rows() {
        let rows = features(&TinyPerformer::new(1), 4, &FeatureConfig::plain());
        let mixtures = [Mixture { rows: [2, 0], share: 0.75 }, Mixture { rows: [3, 3], share: 0.6 }];
        let [a, b, same] = [2, 0, 3].map(|row| floats(rows.batch(&[row]).target));
        let between: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.75 * a + 0.25 * b).collect();
        let found = floats(Mixture::target(&mixtures, &rows));
        for (found, expected) in found.iter().zip(between.iter().chain(&same)) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}
