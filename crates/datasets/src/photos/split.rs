//! Who is trained on and who is measured on.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::Split;

/// How samples are split into those to fit on (nine of ten) and those to measure on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SplitRule {
    /// The authors' way: of the `n` samples of a category, those at `round(linspace(1, n, round(0.9·n)))`
    /// are for training.
    ///
    /// **It leaks** where a photo has several objects: one may be trained on and another of the same photo
    /// measured on. In Animal-Part such a photo is stored once for each; this concerns 13 of 60 validation
    /// samples of tigers, 1 of 57 of koalas and 21 of 41 of elephants (before small boxes are left out).
    #[default]
    Authors,
    /// The same rule, applied to distinct photos instead of samples: all the samples of a photo,
    /// told by identical bytes of the files, are on one side.
    ByPhoto,
}

/// Of `total` things in a row, the positions (from 0) of `count` evenly spread ones:
/// `round(linspace(1, total, count)) − 1`, with halves rounded up as MATLAB does for positive
/// numbers, and like it the last one if `count` is 1.
///
/// In whole numbers, so that no rounding error decides between neighbours.
pub(super) fn spread(total: usize, count: usize) -> Vec<usize> {
    match (total, count) {
        (0, _) | (_, 0) => vec![],
        (_, 1) => vec![total - 1],
        _ => (0..count).map(|i| (2 * i * (total - 1) + count - 1) / (2 * (count - 1))).collect(),
    }
}

/// The authors' split of `total` things in a row: nine of ten for training, evenly spread.
pub(super) fn nine_of_ten(total: usize) -> Vec<Split> {
    share_of(total, 9, 10)
}

/// Of `total` things in a row, `trained` of every `all` for training, evenly spread.
pub(super) fn share_of(total: usize, trained: usize, all: usize) -> Vec<Split> {
    let mut split = vec![Split::Validation; total];
    for i in spread(total, (2 * trained * total + all) / (2 * all)) {
        split[i] = Split::Train;
    }
    split
}

/// Splits samples by the photo they come from. `categories` and `photos` are per sample; the rule of
/// nine in ten applies to the photos of each category, in the order in which they first occur. A
/// photo that occurs in several categories goes by the first.
pub(super) fn by_photo(categories: &[Option<usize>], photos: &[usize]) -> Vec<Split> {
    let mut first = HashMap::new();
    let mut of_category: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (&category, &photo) in categories.iter().zip(photos) {
        first.entry(photo).or_insert_with(|| {
            let photos = of_category.entry(category).or_default();
            photos.push(photo);
            (category, photos.len() - 1)
        });
    }
    let splits: BTreeMap<_, _> =
        of_category.iter().map(|(&category, photos)| (category, nine_of_ten(photos.len()))).collect();
    photos
        .iter()
        .map(|photo| {
            let (category, position) = first[photo];
            splits[&category][position]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in floating point.
    fn oracle(total: usize, count: usize) -> Vec<usize> {
        let step = |i: usize| 1.0 + i as f64 * (total as f64 - 1.0) / (count as f64 - 1.0);
        (0..count).map(|i| step(i).round() as usize - 1).collect()
    }

    #[test]
    fn spread_is_the_rounded_linspace() {
        for total in 1..400 {
            for count in 2..=total {
                assert_eq!(spread(total, count), oracle(total, count), "{count} of {total}");
            }
        }
        assert_eq!(spread(7, 1), [6]);
        assert_eq!(spread(0, 3), Vec::<usize>::new());
    }

    #[test]
    fn a_tenth_is_for_validation() {
        // 599 samples: validation at 6, 16, 26, ... counted from 1.
        let split = nine_of_ten(599);
        let validation: Vec<_> = (0..599).filter(|&i| split[i] == Split::Validation).collect();
        assert_eq!(validation.len(), 60);
        assert_eq!(validation[..3], [5, 15, 25]);
        assert!(nine_of_ten(4).iter().all(|&s| s == Split::Train));
        for total in 0..1000 {
            let trained = nine_of_ten(total).iter().filter(|&&s| s == Split::Train).count();
            assert_eq!(trained, (0.9 * total as f64).round() as usize, "{total}");
        }
        let half = share_of(5, 5994, 11788);
        assert_eq!(half.iter().filter(|&&s| s == Split::Train).count(), 3);
    }

    #[test]
    fn a_photo_is_on_one_side() {
        // 20 photos of the first category, each twice; one of them also in the second.
        let mut photos: Vec<usize> = (0..40).map(|i| i / 2).collect();
        let mut categories = vec![Some(0); 40];
        photos.extend([5, 100, 101]);
        categories.extend([Some(1), Some(1), None]);
        let split = by_photo(&categories, &photos);
        let distinct = nine_of_ten(20);
        for i in 0..40 {
            assert_eq!(split[i], distinct[i / 2]);
        }
        assert_eq!(split[40], distinct[5]);
        assert_eq!(
            split.iter().filter(|&&s| s == Split::Validation).count(),
            4 + usize::from(split[40] == Split::Validation)
        );
    }
}
