//! Do the filters of a layer fire at different places?

use serde::{Deserialize, Serialize};

use crate::{
    Peaks,
    summary::{mean, nan_or_null},
};

/// Result of [`diversity`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Per image, the effective number of distinct peak units.
    pub per_image: Vec<f64>,
    /// The figure: their mean over images; NaN (`null` in JSON) without images.
    #[serde(deserialize_with = "nan_or_null")]
    pub mean: f64,
}

/// The effective number of distinct units at which the filters of a layer peak.
///
/// Per image, with `h_u` the share of the filters that fired in it whose peak is unit u,
///
/// `diversity = exp(−Σ_u h_u · ln h_u)`, averaged over images:
///
/// 1 if all fire at one place, k if they divide evenly over k places, at most the number of
/// filters and of units. An image in which no filter fires counts as 0, no place at all.
///
/// Only filters that fired in the image count, not every [live filter](Peaks::live_filters). A
/// filter that is silent in it points nowhere; its peak at unit (0, 0) is the rule for ties, and
/// would make sparse layers look as if they had gathered in that corner. The 256 channels of a
/// trained AlexNet's conv5, seldom silent, have 68 either way on images of tigers.
///
/// The entropy of a histogram of few filters is biased downwards: compare layers of the same
/// number of filters on grids of the same size.
///
/// Source: this project's measure. The filter loss looks at one filter at a time, so nothing else
/// notices when all of them follow one part.
pub fn diversity(peaks: &Peaks) -> Diversity {
    let [height, width] = peaks.grid();
    let mut histogram = vec![0u32; height * width];
    let per_image: Vec<f64> = (0..peaks.images())
        .map(|image| {
            histogram.fill(0);
            for peak in peaks.of_image(image) {
                if peak.strength > 0.0 {
                    histogram[usize::from(peak.row) * width + usize::from(peak.column)] += 1;
                }
            }
            effective_number(&histogram)
        })
        .collect();
    Diversity { mean: mean(per_image.iter().copied()), per_image }
}

/// Exponential of the entropy of a histogram; 0 of an empty one.
fn effective_number(histogram: &[u32]) -> f64 {
    let total = f64::from(histogram.iter().sum::<u32>());
    if total == 0.0 {
        return 0.0;
    }
    let entropy: f64 = histogram
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.ln())
        .sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let image = |units: [Option<usize>; 4]| {
            let mut maps = [0.0; 16];
            for (filter, unit) in units.into_iter().enumerate() {
                if let Some(unit) = unit {
                    maps[4 * filter + unit] = 1.0;
                }
            }
            maps
        };
        let mut peaks = Peaks::new(4, [2, 2]);
        for units in [
            [Some(0), Some(1), Some(2), Some(3)], // four places
            [Some(2); 4],                         // one
            [Some(0), Some(3), Some(3), Some(0)], // two
            [Some(1), None, None, Some(3)],       // two; silent filters do not count
            [Some(1), Some(1), Some(1), Some(2)], // 4 / 3^(3/4)
            [None; 4],                            // nowhere
        ] {
            peaks.push(&image(units)).unwrap();
        }
        let result = diversity(&peaks);
        let expected = [4.0, 1.0, 2.0, 2.0, 4.0 / 3f64.powf(0.75), 0.0];
        for (value, expected) in result.per_image.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-14, "{value} {expected}");
        }
        assert!((result.mean - expected.iter().sum::<f64>() / 6.0).abs() < 1e-14);
        assert!(diversity(&Peaks::new(1, [1, 1])).mean.is_nan());
    }
}
