//! Tracking: does a filter's peak follow a landmark?

use serde::{Deserialize, Serialize};

use crate::{
    Categories, Landmarks, Peaks, Summary, regression::adjusted_r2, selection::over_strongest_images,
    summary::mean,
};

/// Result of [`tracking`]: adjusted R², 1 where the peak follows the landmark exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    /// Per filter, per landmark; `None` where the regression has no value.
    pub per_pair: Vec<Vec<Option<f64>>>,
    /// Per filter, the best landmark's value; `None` where no landmark has one.
    pub per_filter: Vec<Option<f64>>,
    /// Per landmark, the mean over filters; NaN (`null` in JSON) where no filter has a value.
    #[serde(deserialize_with = "crate::summary::nans_or_nulls")]
    pub per_landmark: Vec<f64>,
    /// Summary of `per_filter`.
    pub summary: Summary,
}

/// Tracking of the landmarks by each filter's peak.
///
/// Over the filter's `strongest` images that have the landmark (those of
/// [`location_instability`](crate::location_instability()); the published number is
/// [`STRONGEST_IMAGES`](crate::STRONGEST_IMAGES)), the landmark's position is regressed on the
/// peak's, `q ≈ a + B · p` with a 2×2 matrix B, and
///
/// `tracking = 1 − (RSS / (n − 1 − r)) / (TSS / (n − 1))`,
///
/// both axes summed: the adjusted R². r is the number of directions in which the peak moves: 2;
/// or 1 if it keeps to a line, where a second coefficient is neither needed nor charged. It is 1
/// for a filter that follows the part, about 0 for noise (single values may be negative), and 0
/// by definition where the peak does not move. It has no value (`None`) where the landmark does
/// not move or there are fewer than `2 + r` images.
///
/// A filter's value is that of its best landmark, which lifts the mean of pure noise somewhat
/// above 0: compare [`tracking_null`]. Any affine map of the peaks leaves R² as it is, so neither
/// receptive fields nor units matter. A silent map counts with its peak at unit (0, 0), as in
/// location instability.
///
/// Source: this project's measure, made because location instability is beaten by constants.
///
/// # Panics
///
/// If `peaks` and `landmarks` have different numbers of images.
pub fn tracking(peaks: &Peaks, landmarks: &Landmarks, strongest: usize) -> Tracking {
    measure(peaks, landmarks, None, strongest)
}

/// [`tracking`] with each filter on the images of its category.
///
/// # Panics
///
/// As [`tracking`], and if `categories` are of other numbers of filters or images.
pub fn tracking_by_category(
    peaks: &Peaks,
    landmarks: &Landmarks,
    categories: &Categories,
    strongest: usize,
) -> Tracking {
    measure(peaks, landmarks, Some(categories), strongest)
}

/// The null of [`tracking`]: the same with the images' [landmarks permuted](Landmarks::permuted).
///
/// # Panics
///
/// As [`tracking`].
pub fn tracking_null(peaks: &Peaks, landmarks: &Landmarks, strongest: usize, seed: u64) -> Tracking {
    measure(peaks, &landmarks.permuted(seed), None, strongest)
}

/// The null of [`tracking_by_category`]: landmarks are permuted within categories.
///
/// # Panics
///
/// As [`tracking_by_category`].
pub fn tracking_null_by_category(
    peaks: &Peaks,
    landmarks: &Landmarks,
    categories: &Categories,
    strongest: usize,
    seed: u64,
) -> Tracking {
    let permuted = landmarks.permuted_within(categories.of_image(), seed);
    measure(peaks, &permuted, Some(categories), strongest)
}

fn measure(peaks: &Peaks, landmarks: &Landmarks, within: Option<&Categories>, strongest: usize) -> Tracking {
    let per_pair = over_strongest_images(peaks, landmarks, within, strongest, |filter, images, landmark| {
        let (units, parts): (Vec<_>, Vec<_>) = images
            .iter()
            .filter_map(|&image| {
                let peak = peaks.get(filter, image);
                let unit = [f64::from(peak.column), f64::from(peak.row)];
                landmarks.get(image, landmark).map(|part| (unit, part))
            })
            .unzip();
        adjusted_r2(&units, &parts)
    });
    let per_filter: Vec<Option<f64>> =
        per_pair.iter().map(|values| values.iter().flatten().copied().reduce(f64::max)).collect();
    Tracking {
        per_landmark: (0..landmarks.len())
            .map(|landmark| mean(per_pair.iter().filter_map(|values| values[landmark])))
            .collect(),
        summary: Summary::of(per_filter.iter().flatten().copied()),
        per_filter,
        per_pair,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Peaks at the corners of a 2×2 grid, in images 0..4. Landmark "same" is the peak in
        // other units; "other" is the regression worked out by hand in `regression`: −1.4.
        let mut peaks = Peaks::new(1, [2, 2]);
        for unit in 0..4 {
            let mut map = [0.0; 4];
            map[unit] = 1.0;
            peaks.push(&map).unwrap();
        }
        let mut landmarks = Landmarks::new(["same", "other"]);
        landmarks.push([Some([10.0, 20.0]), Some([0.0, 1.0])]);
        landmarks.push([Some([26.0, 20.0]), Some([1.0, -1.0])]);
        landmarks.push([Some([10.0, 36.0]), Some([0.0, -1.0])]);
        landmarks.push([Some([26.0, 36.0]), Some([1.0, 1.0])]);
        let result = tracking(&peaks, &landmarks, 100);
        assert!((result.per_landmark[0] - 1.0).abs() < 1e-14);
        assert!((result.per_landmark[1] + 1.4).abs() < 1e-14);
        assert_eq!(result.per_filter, [result.per_pair[0][0]]);
        assert_eq!(result.summary.above_050, 1.0);
        // Three images are too few for two directions.
        let three = tracking(&peaks, &landmarks, 3);
        assert_eq!(three.per_filter, [None]);
        assert!(three.summary.mean.is_nan());
    }

    #[test]
    fn a_constant_peak_tracks_nothing() {
        let mut landmarks = Landmarks::new(["a"]);
        for i in 0..10 {
            landmarks.push([Some([f64::from(i), 0.0])]);
        }
        let peaks = Peaks::constant(3, 10, [5, 5], [2, 3]).with_random_strengths(0);
        assert_eq!(tracking(&peaks, &landmarks, 100).per_filter, [Some(0.0); 3]);
    }
}
