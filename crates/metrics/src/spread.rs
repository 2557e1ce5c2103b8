//! Do a filter's peaks move at all?

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    Landmarks, Peaks, ReceptiveField,
    summary::{mean, nan_or_null},
};

/// Result of [`peak_spread`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeakSpread {
    /// Per filter, the standard deviation of its peak as a share of the diagonal.
    pub per_filter: Vec<f64>,
    /// Per filter, the number of distinct units at which it peaks.
    pub distinct: Vec<usize>,
    /// Mean of `per_filter` over all filters.
    pub mean: f64,
    /// Mean of `per_filter` over live filters; NaN (`null` in JSON) if there is none.
    #[serde(deserialize_with = "nan_or_null")]
    pub live_mean: f64,
}

/// How far each filter's own peak moves over the images.
///
/// With the peak's pixels `(x_i, y_i)` over the images in which the filter fired,
///
/// `spread = √(var(x) + var(y)) / diagonal` (variances with n − 1):
///
/// the root mean square distance of the peak from its mean position. A uniformly random unit of a
/// 13×13 layer with stride 16 on 224 pixels has √(2 · 14 · 16²) / (224 · √2) = 0.267; a constant
/// has 0, and so has, by definition, a filter that fires in fewer than two images.
///
/// Images in which the filter is silent do not count: there its peak is no position but the rule
/// for ties, and a filter that fires here and there, always at one place, would seem to move.
///
/// Source: this project's measure, a guard against filters that collapse onto one position.
///
/// # Panics
///
/// If the diagonal is not positive.
pub fn peak_spread(peaks: &Peaks, field: &ReceptiveField, diagonal: f64) -> PeakSpread {
    assert!(diagonal > 0.0, "the diagonal must be positive, got {diagonal}");
    let (per_filter, distinct): (Vec<f64>, Vec<usize>) = (0..peaks.filters())
        .map(|filter| {
            let units: Vec<[u16; 2]> = (0..peaks.images())
                .filter(|&image| peaks.fired(filter, image))
                .map(|image| peaks.get(filter, image))
                .map(|peak| [peak.row, peak.column])
                .collect();
            let distinct = units.iter().collect::<HashSet<_>>().len();
            (field.stride * deviation(&units) / diagonal, distinct)
        })
        .unzip();
    let live = peaks.live_filters();
    PeakSpread {
        mean: mean(per_filter.iter().copied()),
        live_mean: mean(live.iter().map(|&filter| per_filter[filter])),
        per_filter,
        distinct,
    }
}

/// How far the landmarks themselves move: the spread of each, as of a filter's peak, and the mean over those that two
/// images have at least; NaN if there is none. A filter that follows a part moves as far.
///
/// Source: this project's measure.
///
/// # Panics
///
/// If the diagonal is not positive.
pub fn landmark_spread(landmarks: &Landmarks, diagonal: f64) -> f64 {
    assert!(diagonal > 0.0, "the diagonal must be positive, got {diagonal}");
    let places = |landmark| (0..landmarks.images()).filter_map(move |image| landmarks.get(image, landmark));
    let places = (0..landmarks.len()).map(|landmark| places(landmark).collect::<Vec<_>>());
    mean(places.filter(|places| places.len() > 1).map(|places| deviation(&places) / diagonal))
}

/// Square root of the summed variances (n − 1) of both axes; 0 with fewer than two places.
fn deviation<T: Copy + Into<f64>>(places: &[[T; 2]]) -> f64 {
    if places.len() < 2 {
        return 0.0;
    }
    let sum_of_squares = |axis: usize| -> f64 {
        let values = || places.iter().map(|place| place[axis].into());
        let center = mean(values());
        values().map(|v| (v - center).powi(2)).sum()
    };
    ((sum_of_squares(0) + sum_of_squares(1)) / (places.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONV5: ReceptiveField = ReceptiveField { stride: 16.0, center: 15.0, size: 163 };

    #[test]
    fn worked_by_hand() {
        // Filter 0 fires at columns 0, 2 and 2 of row 0: mean 4/3, variance 4/3.
        // Filter 1 fires twice at (1,1) and is silent in between; filter 2 never fires.
        let mut peaks = Peaks::new(3, [2, 3]);
        for (a, b) in [(0, Some(4)), (2, None), (2, Some(4))] {
            let mut maps = [0.0; 18];
            maps[a] = 1.0;
            if let Some(b) = b {
                maps[6 + b] = 1.0;
            }
            peaks.push(&maps).unwrap();
        }
        let field = ReceptiveField { stride: 3.0, center: 7.0, size: 3 };
        let spread = peak_spread(&peaks, &field, 12.0);
        let expected = 3.0 * (4.0 / 3.0f64).sqrt() / 12.0;
        assert!((spread.per_filter[0] - expected).abs() < 1e-15);
        assert_eq!(spread.per_filter[1..], [0.0, 0.0]);
        assert_eq!(spread.distinct, [2, 1, 0]);
        assert!((spread.mean - expected / 3.0).abs() < 1e-15);
        assert!((spread.live_mean - expected / 2.0).abs() < 1e-15);
    }

    #[test]
    fn landmarks_by_hand() {
        let mut landmarks = Landmarks::new(["beak", "tail", "wing"]);
        landmarks.push([Some([0.0, 4.0]), None, Some([9.0, 9.0])]);
        landmarks.push([Some([2.0, 4.0]), Some([5.0, 5.0]), Some([9.0, 9.0])]);
        landmarks.push([Some([4.0, 10.0]), None, None]);
        // Variances of the beak: 4 and 12. The wing rests; of the tail nothing is known.
        assert!((landmark_spread(&landmarks, 8.0) - 4.0 / 8.0 / 2.0).abs() < 1e-15);
        assert!(landmark_spread(&Landmarks::new(["beak"]), 8.0).is_nan());
    }

    #[test]
    fn uniform_units_and_constants() {
        let diagonal = 224.0 * 2f64.sqrt();
        let uniform = peak_spread(&Peaks::random(32, 1000, [13, 13], 5), &CONV5, diagonal);
        assert!((uniform.mean - 0.267).abs() < 2e-3, "{}", uniform.mean);
        let constant = Peaks::constant(1, 20, [13, 13], [6, 6]);
        assert_eq!(peak_spread(&constant, &CONV5, diagonal).mean, 0.0);
    }
}
