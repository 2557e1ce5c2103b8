//! Location instability: does a filter keep its distance to the landmarks?

use serde::{Deserialize, Serialize};

use crate::{
    Categories, Landmarks, Peak, Peaks, ReceptiveField, STRONGEST_IMAGES,
    selection::over_strongest_images,
    summary::{mean, nan_or_null},
};

/// How [`location_instability`] is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InstabilityConfig {
    /// Number of a filter's strongest images that count. Default: [`STRONGEST_IMAGES`].
    pub strongest: usize,
    /// Length of the image's diagonal in pixels, by which distances are divided.
    pub diagonal: f64,
}

impl InstabilityConfig {
    /// The published protocol on images of `[height, width]` pixels.
    ///
    /// # Panics
    ///
    /// If a side is zero.
    pub fn new([height, width]: [usize; 2]) -> Self {
        assert!(height > 0 && width > 0, "an image of {height}×{width} pixels has no diagonal");
        Self { strongest: STRONGEST_IMAGES, diagonal: (height as f64).hypot(width as f64) }
    }

    /// With another number of strongest images.
    #[must_use]
    pub fn with_strongest(mut self, strongest: usize) -> Self {
        self.strongest = strongest;
        self
    }
}

/// Result of [`location_instability`], as shares of the image's diagonal; lower is more stable.
///
/// Means over nothing are NaN (`null` in JSON).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocationInstability {
    /// Per filter, per landmark; `None` with fewer than two images.
    pub per_pair: Vec<Vec<Option<f64>>>,
    /// Per filter, the mean over its landmarks; `None` where none has a value.
    pub per_filter: Vec<Option<f64>>,
    /// Per landmark, the mean over filters.
    #[serde(deserialize_with = "crate::summary::nans_or_nulls")]
    pub per_landmark: Vec<f64>,
    /// The published figure: the mean of `per_filter` over all filters.
    #[serde(deserialize_with = "nan_or_null")]
    pub mean: f64,
    /// The mean of `per_filter` over [live filters](Peaks::live_filters) only.
    #[serde(deserialize_with = "nan_or_null")]
    pub live_mean: f64,
    /// Number of live filters.
    pub live: usize,
}

/// Location instability of each filter.
///
/// For filter f, landmark l and image i, let `d_i = ‖p_i − q_i‖`: the distance in pixels between
/// the filter's peak, projected by `field`, and the landmark. Over the filter's strongest images
/// among those that have the landmark,
///
/// `instability(f, l) = std(d_i) / diagonal` (with n − 1),
///
/// and the figure is the mean over landmarks, then over filters. Images of the same strength
/// count in the order of their index. A silent map counts with its peak at unit (0, 0), as
/// published; compare `live_mean`.
///
/// **This figure alone says little:** a filter that always fires at the image's centre beats
/// trained networks. Read it beside [`tracking`](crate::tracking()),
/// [`peak_spread`](crate::peak_spread), [`diversity`](crate::diversity()) and the
/// [controls](crate::Control).
///
/// Source: Zhang et al., arXiv:1710.00935, and its released code.
///
/// # Panics
///
/// If `peaks` and `landmarks` have different numbers of images, or the diagonal is not positive.
pub fn location_instability(
    peaks: &Peaks,
    field: &ReceptiveField,
    landmarks: &Landmarks,
    config: &InstabilityConfig,
) -> LocationInstability {
    measure(peaks, field, landmarks, None, config)
}

/// [`location_instability`] with each filter on the images of its category.
///
/// Landmarks are compared by their place in the table, whatever the category: head with head.
///
/// # Panics
///
/// As [`location_instability`], and if `categories` are of other numbers of filters or images.
pub fn location_instability_by_category(
    peaks: &Peaks,
    field: &ReceptiveField,
    landmarks: &Landmarks,
    categories: &Categories,
    config: &InstabilityConfig,
) -> LocationInstability {
    measure(peaks, field, landmarks, Some(categories), config)
}

fn measure(
    peaks: &Peaks,
    field: &ReceptiveField,
    landmarks: &Landmarks,
    within: Option<&Categories>,
    config: &InstabilityConfig,
) -> LocationInstability {
    let InstabilityConfig { strongest, diagonal } = *config;
    assert!(diagonal > 0.0, "the diagonal must be positive, got {diagonal}");
    let per_pair = over_strongest_images(peaks, landmarks, within, strongest, |filter, images, landmark| {
        let position = |image: usize| landmarks.get(image, landmark);
        let distances: Vec<f64> = images
            .iter()
            .filter_map(|&image| Some(distance(&peaks.get(filter, image), field, position(image)?)))
            .collect();
        standard_deviation(&distances).map(|deviation| deviation / diagonal)
    });
    LocationInstability::of(per_pair, landmarks.len(), &peaks.live_filters())
}

/// From a peak, projected by `field`, to a position in pixels.
pub(crate) fn distance(peak: &Peak, field: &ReceptiveField, [x, y]: [f64; 2]) -> f64 {
    let dx = field.pixel(usize::from(peak.column)) - x;
    let dy = field.pixel(usize::from(peak.row)) - y;
    dx.hypot(dy)
}

impl LocationInstability {
    /// The means of what each filter and landmark have.
    pub(crate) fn of(per_pair: Vec<Vec<Option<f64>>>, landmarks: usize, live: &[usize]) -> Self {
        let per_filter: Vec<Option<f64>> = per_pair
            .iter()
            .map(|values| Some(mean(values.iter().flatten().copied())).filter(|m| !m.is_nan()))
            .collect();
        Self {
            per_landmark: (0..landmarks)
                .map(|landmark| mean(per_pair.iter().filter_map(|values| values[landmark])))
                .collect(),
            mean: mean(per_filter.iter().flatten().copied()),
            live_mean: mean(live.iter().filter_map(|&filter| per_filter[filter])),
            live: live.len(),
            per_filter,
            per_pair,
        }
    }
}

/// Sample standard deviation (n − 1); `None` with fewer than two values.
pub(crate) fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let center = mean(values.iter().copied());
    let sum: f64 = values.iter().map(|v| (v - center).powi(2)).sum();
    Some((sum / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: InstabilityConfig = InstabilityConfig { strongest: 100, diagonal: 10.0 };

    #[test]
    fn worked_by_hand() {
        // Peaks at unit (0,0) = pixel (2,2). Landmark at distances 5, 0 and 13 from it, in images
        // of strengths 3, 2 and 1. All: mean 6, deviations −1, −6, 7, variance 86/2 = 43.
        // The two strongest: mean 2.5, variance 12.5.
        let mut peaks = Peaks::new(1, [1, 2]);
        peaks.push_batch(&[3., 0., 2., 0., 1., 0.]).unwrap();
        let field = ReceptiveField { stride: 4.0, center: 2.0, size: 9 };
        let mut landmarks = Landmarks::new(["head", "tail"]);
        landmarks.push([Some([5.0, 6.0]), None]);
        landmarks.push([Some([2.0, 2.0]), None]);
        landmarks.push([Some([14.0, 7.0]), Some([0.0, 0.0])]);
        let all = location_instability(&peaks, &field, &landmarks, &SQUARE);
        // The tail is seen once: no value, and the head's alone is the filter's.
        assert_eq!(all.per_pair, [[Some(43f64.sqrt() / 10.0), None]]);
        assert_eq!(all.per_filter, [Some(43f64.sqrt() / 10.0)]);
        assert_eq!(all.mean, 43f64.sqrt() / 10.0);
        assert!(all.per_landmark[1].is_nan());
        let two = location_instability(&peaks, &field, &landmarks, &SQUARE.with_strongest(2));
        assert!((two.mean - 12.5f64.sqrt() / 10.0).abs() < 1e-15);
    }

    #[test]
    fn mean_over_landmarks_then_filters_and_live_filters() {
        // One unit at pixel 0; landmarks on the x axis at 1 and 3 (a), at 4 and 4 (b).
        // Filter 1 is dead; both have the same distances: std √2 and 0.
        let mut peaks = Peaks::new(2, [1, 1]);
        peaks.push_batch(&[1., 0., 2., 0.]).unwrap();
        let mut landmarks = Landmarks::new(["a", "b"]);
        landmarks.push([Some([1.0, 0.0]), Some([0.0, 4.0])]);
        landmarks.push([Some([3.0, 0.0]), Some([4.0, 0.0])]);
        let pixels = ReceptiveField::pixels();
        let result = location_instability(&peaks, &pixels, &landmarks, &SQUARE);
        let half = 2f64.sqrt() / 20.0;
        assert!((result.mean - half).abs() < 1e-15);
        assert!((result.per_landmark[0] - 2.0 * half).abs() < 1e-15);
        assert_eq!(result.per_landmark[1], 0.0);
        assert_eq!((result.live, result.live_mean), (1, result.mean));
        let dead = Peaks::dead(2, 2, [1, 1]);
        let dead = location_instability(&dead, &pixels, &landmarks, &SQUARE);
        assert_eq!(dead.live, 0);
        assert!(dead.live_mean.is_nan() && (dead.mean - half).abs() < 1e-15);
        let json = serde_json::to_value(&dead).unwrap();
        assert!(json["live_mean"].is_null());
        let back: LocationInstability = serde_json::from_value(json).unwrap();
        assert!(back.live_mean.is_nan() && back.per_pair == dead.per_pair);
    }

    #[test]
    fn no_images_no_value() {
        let landmarks = Landmarks::new(["a"]);
        let none =
            location_instability(&Peaks::new(1, [1, 1]), &ReceptiveField::pixels(), &landmarks, &SQUARE);
        assert_eq!(none.per_filter, [None]);
        assert!(none.mean.is_nan());
    }

    #[test]
    fn by_category() {
        // Filter 0 is judged on category 1 (x = 0, 2), filter 1 on category 0 (x = 0, 6).
        let mut peaks = Peaks::new(2, [1, 1]);
        peaks.push_batch(&[1., 5., 3., 1., 1., 5., 3., 1.]).unwrap();
        let mut landmarks = Landmarks::new(["a"]);
        for x in [0.0, 0.0, 6.0, 2.0] {
            landmarks.push([Some([x, 0.0])]);
        }
        let categories = Categories::strongest(&peaks, vec![0, 1, 0, 1]);
        assert_eq!(categories.of_filter(), [1, 0]);
        let result = location_instability_by_category(
            &peaks,
            &ReceptiveField::pixels(),
            &landmarks,
            &categories,
            &SQUARE,
        );
        let expected = [2f64.sqrt() / 10.0, 18f64.sqrt() / 10.0];
        for (value, expected) in result.per_filter.iter().zip(expected) {
            assert!((value.unwrap() - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn the_diagonal() {
        assert_eq!(InstabilityConfig::new([30, 40]).diagonal, 50.0);
    }
}
