//! Target features of two images in one.

use std::ops::Range;

use burn::tensor::{Bool, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Features;

/// A patch's sides differ by this factor at most, but for rounding.
const LONGEST: f64 = 2.0;

/// The target features of one row with a patch of another's in the same place: what no image gave, but what a
/// performer can read, so that it tells its upper features too.
///
/// Source: Yun et al., *CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features*,
/// arXiv:1905.04899, here of features, and with the performer's own answers in place of mixed labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mixture {
    /// The row that is patched, and the one the patch is of.
    pub(crate) rows: [usize; 2],
    /// Rows and columns of units of the patch.
    pub(crate) patch: [Range<usize>; 2],
}

impl Mixture {
    /// `count` mixtures of two of `rows` rows each, drawn with equal chances, for maps of `length` × `length`
    /// units. A patch's area is uniform up to half of the map's, its place uniform among those where it fits.
    pub(crate) fn draw(rows: usize, length: usize, count: usize) -> Vec<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let draw = |_| {
            let rows = [0, 1].map(|_| rng.random_range(0..rows));
            let area = rng.random_range(0.0..=0.5);
            let stretch = LONGEST.powf(rng.random_range(-0.5..=0.5));
            let patch = [stretch, 1.0 / stretch].map(|stretch| {
                let side = ((f64::sqrt(area) * stretch * length as f64).round() as usize).min(length);
                let first = rng.random_range(0..=length - side);
                first..first + side
            });
            Self { rows, patch }
        };
        (0..count).map(draw).collect()
    }

    /// The target features of mixtures, `[mixtures, C, L, L]`.
    pub(crate) fn target(mixtures: &[Self], features: &Features) -> Tensor<4> {
        let [own, patches] = [0, 1].map(|side| {
            let rows: Vec<usize> = mixtures.iter().map(|mixture| mixture.rows[side]).collect();
            features.batch(&rows).target
        });
        let [count, channels, height, width] = own.dims();
        let inside = mixtures.iter().flat_map(|Self { patch: [rows, columns], .. }| {
            let units = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
            units.map(|(y, x)| rows.contains(&y) && columns.contains(&x))
        });
        let inside = TensorData::new(inside.collect::<Vec<bool>>(), [count, 1, height, width]);
        let inside = Tensor::<4, Bool>::from_data(inside, features.device());
        own.mask_where(inside.expand([count, channels, height, width]), patches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureConfig;
    use crate::features::floats;
    use crate::testing::{TinyPerformer, features};

    #[test]
    fn all_rows_are_drawn_and_patches_lie_everywhere() {
        let mixtures = Mixture::draw(7, 12, 700);
        let mut units = [0; 144];
        let mut areas = 0.0;
        for side in [0, 1] {
            let mut counts = [0; 7];
            mixtures.iter().for_each(|mixture| counts[mixture.rows[side]] += 1);
            assert!(counts.iter().all(|&count| (60..140).contains(&count)), "{counts:?}");
        }
        for Mixture { patch: [rows, columns], .. } in &mixtures {
            assert!(rows.end <= 12 && columns.end <= 12);
            let [height, width] = [rows.len(), columns.len()].map(|side| side as f64);
            assert!(height <= 2.0 * width + 2.0 && width <= 2.0 * height + 2.0, "{height} {width}");
            areas += height * width / 144.0 / 700.0;
            rows.clone().for_each(|y| columns.clone().for_each(|x| units[12 * y + x] += 1));
        }
        assert!((areas - 0.25).abs() < 0.03, "{areas}");
        assert!(units.iter().all(|&count| count > 10), "{units:?}");
        assert_eq!(mixtures[..100], Mixture::draw(7, 12, 100)[..]);
    }

    #[test]
    fn a_patch_is_of_the_other_row_and_the_rest_is_the_rows_own() {
        let rows = features(&TinyPerformer::new(1), 4, &FeatureConfig::plain());
        let mixtures =
            [Mixture { rows: [2, 0], patch: [1..4, 0..2] }, Mixture { rows: [3, 1], patch: [2..2, 5..5] }];
        let found = Mixture::target(&mixtures, &rows);
        let [_, channels, length, _] = found.dims();
        let found = floats(found);
        let all: Vec<Vec<f32>> = (0..4).map(|row| floats(rows.batch(&[row]).target)).collect();
        for channel in 0..channels {
            for (y, x) in (0..length).flat_map(|y| (0..length).map(move |x| (y, x))) {
                let at = (channel * length + y) * length + x;
                let row = if (1..4).contains(&y) && x < 2 { 0 } else { 2 };
                assert_eq!(found[at], all[row][at]);
                assert_eq!(found[channels * length * length + at], all[3][at]);
            }
        }
    }
}
