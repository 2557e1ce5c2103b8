//! Where detectors fire in the training pictures, and where next.

use rayon::prelude::*;

use super::explainer::REACH;

/// A detector in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Peak {
    /// The strongest unit (of equal units the first) and its score.
    pub(crate) unit: usize,
    pub(crate) score: f32,
    /// The strongest unit that is more than two units away from it, along either axis: what is left of the picture once
    /// the 5×5 units around the peak are taken away. The same unit where there is no other.
    pub(crate) next: usize,
    pub(crate) next_score: f32,
}

/// Peaks of all detectors in all pictures, and how their scores are spread.
#[derive(Clone, Debug)]
pub(crate) struct Peaks {
    detectors: usize,
    /// Picture by picture, detector by detector.
    peaks: Vec<Peak>,
    /// Sums and sums of squares of all scores of each detector.
    sums: Vec<[f64; 2]>,
    units: usize,
}

impl Peaks {
    /// Of directions `[K, d]` in embedded pictures `[pictures, units, d]`.
    pub(crate) fn of(embedded: &[f32], directions: &[f32], dimensions: usize, grid: [usize; 2]) -> Self {
        let (units, detectors) = (grid[0] * grid[1], directions.len() / dimensions);
        let found: Vec<(Vec<Peak>, Vec<[f64; 2]>)> = embedded
            .par_chunks_exact(units * dimensions)
            .map(|picture| {
                let mut scores = vec![0f32; units];
                let of_detector = |direction: &[f32]| {
                    for (score, unit) in scores.iter_mut().zip(picture.chunks_exact(dimensions)) {
                        *score = unit.iter().zip(direction).map(|(a, b)| a * b).sum();
                    }
                    let squares = scores.iter().fold([0.0; 2], |[sum, square], &score| {
                        let score = f64::from(score);
                        [sum + score, square + score * score]
                    });
                    (peak(&scores, grid[1]), squares)
                };
                directions.chunks_exact(dimensions).map(of_detector).unzip()
            })
            .collect();
        let mut sums = vec![[0.0; 2]; detectors];
        let mut peaks = Vec::with_capacity(found.len() * detectors);
        for (of_picture, squares) in found {
            peaks.extend(of_picture);
            for (sum, more) in sums.iter_mut().zip(squares) {
                *sum = [sum[0] + more[0], sum[1] + more[1]];
            }
        }
        Self { detectors, peaks, sums, units }
    }

    /// Number of pictures.
    pub(crate) fn pictures(&self) -> usize {
        self.peaks.len() / self.detectors
    }

    /// A detector's peak in every picture.
    pub(crate) fn of_detector(&self, detector: usize) -> impl Iterator<Item = &Peak> {
        self.peaks.iter().skip(detector).step_by(self.detectors)
    }

    /// Number of detectors.
    pub(crate) fn detectors(&self) -> usize {
        self.detectors
    }

    /// The self-erasure margin of a detector: the mean of `score − next_score` over the standard deviation of all its
    /// scores; 0 where they are all the same.
    pub(crate) fn margin(&self, detector: usize) -> f64 {
        let gap: f64 = self.of_detector(detector).map(|peak| f64::from(peak.score - peak.next_score)).sum();
        let count = (self.pictures() * self.units) as f64;
        let [sum, square] = self.sums[detector];
        let deviation = (square / count - (sum / count).powi(2)).max(0.0).sqrt();
        if deviation > 0.0 { gap / self.pictures() as f64 / deviation } else { 0.0 }
    }

    /// Share of the pictures in which two detectors have the very same peak.
    pub(crate) fn same(&self, one: usize, other: usize) -> f64 {
        let pairs = self.of_detector(one).zip(self.of_detector(other));
        pairs.filter(|(one, other)| one.unit == other.unit).count() as f64 / self.pictures() as f64
    }
}

/// The peak of one map.
fn peak(scores: &[f32], width: usize) -> Peak {
    let unit = strongest(scores, |_| true).unwrap_or(0);
    let next = strongest(scores, |other| is_far(other, unit, width)).unwrap_or(unit);
    Peak { unit, score: scores[unit], next, next_score: scores[next] }
}

/// Of the units of one picture, `[units, d]`, the strongest that is more than two units away from `unit`; `unit` itself where
/// there is none.
pub(crate) fn next_peak(units: &[f32], direction: &[f32], unit: usize, width: usize) -> usize {
    let score = |unit: &[f32]| unit.iter().zip(direction).map(|(a, b)| a * b).sum();
    let scores: Vec<f32> = units.chunks_exact(direction.len()).map(score).collect();
    strongest(&scores, |other| is_far(other, unit, width)).unwrap_or(unit)
}

/// The first of the units of the largest score.
fn strongest(scores: &[f32], among: impl Fn(usize) -> bool) -> Option<usize> {
    let units = (0..scores.len()).filter(|&unit| among(unit));
    units.reduce(|best, unit| if scores[unit] > scores[best] { unit } else { best })
}

fn is_far(one: usize, other: usize, width: usize) -> bool {
    (one / width).abs_diff(other / width).max((one % width).abs_diff(other % width)) > REACH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_peak_is_outside_of_the_erased_units() {
        let mut scores = vec![0.0; 42];
        (scores[8], scores[10], scores[11], scores[41]) = (5.0, 4.0, 3.0, 1.0);
        // 6 rows of 7: unit 8 is (1, 1), 10 is two columns from it, 11 three.
        let found = peak(&scores, 7);
        assert_eq!((found.unit, found.score, found.next, found.next_score), (8, 5.0, 11, 3.0));
        let alone = peak(&[1.0, 2.0, 0.5, 0.0], 2);
        assert_eq!((alone.unit, alone.next), (1, 1), "a map of 2×2 has nothing outside");
    }

    #[test]
    fn margins_and_twins_are_those_worked_out_by_hand() {
        // Two pictures of one row of 4 units in one dimension; the second detector is the first's opposite.
        let embedded = [1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0];
        let peaks = Peaks::of(&embedded, &[1.0, -1.0], 1, [1, 4]);
        assert_eq!((peaks.pictures(), peaks.detectors()), (2, 2));
        let gaps = (1.0 - 0.5 + 1.0 - 0.0) / 2.0;
        let (mean, square) = (2.5 / 8.0, 2.25 / 8.0);
        let deviation = f64::sqrt(square - mean * mean);
        assert!((peaks.margin(0) - gaps / deviation).abs() < 1e-12);
        assert_eq!(peaks.same(0, 0), 1.0);
        assert_eq!(peaks.same(0, 1), 0.0);
    }
}
