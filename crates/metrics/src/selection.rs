//! Which images a filter is judged on.

use crate::{Landmarks, Peaks};

/// Number of a filter's strongest images over which location instability and tracking are taken,
/// as in arXiv:1710.00935 and its released code.
pub const STRONGEST_IMAGES: usize = 100;

/// Categories of images, and the one on which each filter is judged.
///
/// With several categories, a filter is judged on the images of the category that activates it
/// most (arXiv:1805.07468, multi-category performers): see [`strongest_category`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    of_image: Vec<usize>,
    of_filter: Vec<usize>,
}

impl Categories {
    /// Image `i` is of category `of_image[i]`; filter `f` is judged on category `of_filter[f]`.
    pub fn new(of_image: Vec<usize>, of_filter: Vec<usize>) -> Self {
        Self { of_image, of_filter }
    }

    /// Each filter on the category that activates it most.
    ///
    /// # Panics
    ///
    /// As [`strongest_category`].
    pub fn strongest(peaks: &Peaks, of_image: Vec<usize>) -> Self {
        let of_filter = strongest_category(peaks, &of_image);
        Self::new(of_image, of_filter)
    }

    /// The category of each image.
    pub fn of_image(&self) -> &[usize] {
        &self.of_image
    }

    /// The category on which each filter is judged.
    pub fn of_filter(&self) -> &[usize] {
        &self.of_filter
    }

    /// Panics unless there is a category for each filter and image of `peaks`.
    fn check(&self, peaks: &Peaks) {
        assert!(
            self.of_filter.len() == peaks.filters() && self.of_image.len() == peaks.images(),
            "categories of {} filters and {} images, peaks of {} filters and {} images",
            self.of_filter.len(),
            self.of_image.len(),
            peaks.filters(),
            peaks.images()
        );
    }
}

/// The category that activates each filter most: that with the largest mean, over its images, of
/// the filter's strongest activation. `categories` holds the category of each image.
///
/// Categories without images do not count. Of several equal ones it is the lowest; so a dead
/// filter falls to the lowest category there is.
///
/// Source: arXiv:1805.07468 assigns a filter to the category whose images activate it most. That
/// the activation is the peak's, and not the map's sum, is this crate's choice: a peak is what
/// the metrics look at.
///
/// # Panics
///
/// If there is not one category per image, or no image.
pub fn strongest_category(peaks: &Peaks, categories: &[usize]) -> Vec<usize> {
    assert_eq!(
        categories.len(),
        peaks.images(),
        "one category per image: got {} categories, {} images",
        categories.len(),
        peaks.images()
    );
    assert!(!categories.is_empty(), "the strongest category of no images");
    let mut distinct = categories.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut best = vec![(f64::NEG_INFINITY, 0); peaks.filters()];
    for &category in &distinct {
        let mut sums = vec![0.0; peaks.filters()];
        let mut images = 0.0;
        for (image, _) in categories.iter().enumerate().filter(|&(_, &c)| c == category) {
            images += 1.0;
            for (sum, peak) in sums.iter_mut().zip(peaks.of_image(image)) {
                *sum += f64::from(peak.strength);
            }
        }
        for (best, sum) in best.iter_mut().zip(sums) {
            if sum / images > best.0 {
                *best = (sum / images, category);
            }
        }
    }
    best.into_iter().map(|(_, category)| category).collect()
}

/// `value(filter, images, landmark)` for each filter (outer) and landmark (inner), where `images`
/// are the filter's `strongest` images that have the landmark, the strongest first.
///
/// Of images with the same strength the one with the lower index comes first. With `within`, a
/// filter sees only the images of its category.
pub(crate) fn over_strongest_images(
    peaks: &Peaks,
    landmarks: &Landmarks,
    within: Option<&Categories>,
    strongest: usize,
    value: impl Fn(usize, &[usize], usize) -> Option<f64>,
) -> Vec<Vec<Option<f64>>> {
    assert_eq!(
        peaks.images(),
        landmarks.images(),
        "peaks of {} images, landmarks of {}",
        peaks.images(),
        landmarks.images()
    );
    if let Some(categories) = within {
        categories.check(peaks);
    }
    (0..peaks.filters())
        .map(|filter| {
            (0..landmarks.len())
                .map(|landmark| {
                    let eligible = (0..peaks.images())
                        .filter(|&image| landmarks.get(image, landmark).is_some())
                        .filter(|&image| within.is_none_or(|c| c.of_image[image] == c.of_filter[filter]))
                        .collect();
                    let images = strongest_images(peaks, filter, eligible, strongest);
                    value(filter, &images, landmark)
                })
                .collect()
        })
        .collect()
}

/// The first `strongest` of the `eligible` images by descending strength, then ascending index.
pub(crate) fn strongest_images(
    peaks: &Peaks,
    filter: usize,
    mut eligible: Vec<usize>,
    strongest: usize,
) -> Vec<usize> {
    let order = |a: &usize, b: &usize| {
        let strength = |image: usize| peaks.get(filter, image).strength;
        strength(*b).total_cmp(&strength(*a)).then(a.cmp(b))
    };
    if strongest < eligible.len() {
        eligible.select_nth_unstable_by(strongest, order);
        eligible.truncate(strongest);
    }
    eligible.sort_unstable_by(order);
    eligible
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One filter on one unit, with these strengths.
    fn strengths(values: &[f32]) -> Peaks {
        let mut peaks = Peaks::new(1, [1, 1]);
        peaks.push_batch(values).unwrap();
        peaks
    }

    #[test]
    fn strongest_first_and_ties_by_index() {
        let peaks = strengths(&[1., 3., 2., 3., 0., 2., 0.]);
        let all = || (0..7).collect::<Vec<_>>();
        assert_eq!(strongest_images(&peaks, 0, all(), 100), [1, 3, 2, 5, 0, 4, 6]);
        assert_eq!(strongest_images(&peaks, 0, all(), 3), [1, 3, 2]);
        assert_eq!(strongest_images(&peaks, 0, vec![6, 5, 4], 2), [5, 4]);
        assert!(strongest_images(&peaks, 0, all(), 0).is_empty());
    }

    #[test]
    fn only_images_with_the_landmark_and_of_the_category() {
        let peaks = strengths(&[1., 3., 2., 3., 0., 2., 0.]);
        let mut landmarks = Landmarks::new(["a", "b"]);
        for image in 0..7 {
            let here = Some([image as f64, 0.0]);
            landmarks.push([here, if image == 1 { None } else { here }]);
        }
        let strongest = |within: Option<&Categories>, expected: [&[usize]; 2]| {
            over_strongest_images(&peaks, &landmarks, within, 2, |_, images, landmark| {
                assert_eq!(images, expected[landmark]);
                None
            });
        };
        strongest(None, [&[1, 3], &[3, 2]]);
        let categories = Categories::new(vec![8, 8, 8, 5, 5, 5, 5], vec![8]);
        strongest(Some(&categories), [&[1, 2], &[2, 0]]);
    }

    #[test]
    fn the_category_with_the_largest_mean() {
        // Category 0: means (1, 0); category 2: means (0.9, 0). Sums would choose 2.
        let mut peaks = Peaks::new(2, [1, 1]);
        peaks.push_batch(&[1.0, 0.0, 0.8, 0.0, 1.0, 0.0, 0.9, 0.0]).unwrap();
        assert_eq!(strongest_category(&peaks, &[0, 2, 2, 2]), [0, 0]);
        assert_eq!(strongest_category(&peaks, &[5, 2, 2, 2]), [5, 2]);
        let chosen = Categories::strongest(&peaks, vec![2, 2, 0, 2]);
        assert_eq!(chosen.of_filter(), [0, 0]);
    }

    #[test]
    #[should_panic(expected = "peaks of 2 images, landmarks of 0")]
    fn tables_of_different_images_panic() {
        let landmarks = Landmarks::new(["a"]);
        over_strongest_images(&strengths(&[1., 1.]), &landmarks, None, 2, |_, _, _| None);
    }
}
