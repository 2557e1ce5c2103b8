//! Do filters divide the keypoints as their annotations do?

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Figure, landmark::check_length, terms::clustered};
use crate::{MetricsError, ReceptiveField};

/// Result of [`keypoint_clustering`]. `None`: not measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeypointClustering {
    /// Normalised mutual information.
    pub nmi: Option<Figure>,
    /// Adjusted Rand index.
    pub ari: Option<Figure>,
}

/// NMI and ARI at keypoints, as in Choudhury et al. (NeurIPS 2021) and PDiscoNet (ICCV 2023):
/// how well the detector that is assigned at each annotated keypoint says which one it is.
///
/// One entry for each visible keypoint of each image: the landmark that it is, the detector
/// assigned there ([`strongest_filter_at`]; the background may have a number of its own), and the
/// source photograph. Over all entries, with `n_ab` those of landmark a and detector b:
///
/// - `NMI = 2 I(A; B) / (H(A) + H(B))` (arithmetic normalisation): 1 if one says the other, 0 if
///   they are independent;
/// - `ARI = (R − E) / ((P + Q)/2 − E)`, with `R = Σ_ab C(n_ab, 2)`, `P = Σ_a C(n_a, 2)`,
///   `Q = Σ_b C(n_b, 2)`, `E = P Q / C(n, 2)` (Hubert and Arabie 1985): 1 if the partitions are
///   the same, 0 on average if they are random.
///
/// Not measured where the denominator is 0 (one landmark *and* one detector). Influences are those
/// of the shares `n_ab / n` (delta method; for the ARI those of its form for large n).
///
/// # Errors
///
/// [`MetricsError::Length`] if the lists differ in length.
pub fn keypoint_clustering(
    landmarks: &[usize],
    detectors: &[usize],
    photos: &[usize],
) -> Result<KeypointClustering, MetricsError> {
    check_length("detectors of the keypoints", landmarks.len(), detectors.len())?;
    check_length("photographs of the keypoints", landmarks.len(), photos.len())?;
    let table = Table::new(landmarks, detectors);
    Ok(KeypointClustering { nmi: table.nmi(photos), ari: table.ari(photos) })
}

/// The filter with the largest value at the unit nearest to `point` (`[x, y]` in pixels), the
/// first of equal ones; `None` if no value is above 0. `maps` is `[filters, height, width]`.
///
/// # Errors
///
/// [`MetricsError::NotFinite`] if a value at that unit is NaN or infinite (of image 0).
///
/// # Panics
///
/// If the grid has no unit, or the length of `maps` is no multiple of a map's.
pub fn strongest_filter_at(
    maps: &[f32],
    [height, width]: [usize; 2],
    field: &ReceptiveField,
    point: [f64; 2],
) -> Result<Option<usize>, MetricsError> {
    let units = height * width;
    assert!(
        units > 0 && maps.len().is_multiple_of(units),
        "maps are [filters, {height}, {width}], got {} values",
        maps.len()
    );
    let nearest = |pixel: f64, units: usize| {
        let unit = ((pixel - field.center) / field.stride).round();
        unit.clamp(0.0, (units - 1) as f64) as usize
    };
    let (row, column) = (nearest(point[1], height), nearest(point[0], width));
    let mut strongest = None;
    let mut largest = 0.0;
    for (filter, map) in maps.chunks_exact(units).enumerate() {
        let value = map[row * width + column];
        if !value.is_finite() {
            return Err(MetricsError::NotFinite { image: 0, filter, row, column, value });
        }
        if value > largest {
            (strongest, largest) = (Some(filter), value);
        }
    }
    Ok(strongest)
}

/// Counts of landmarks, detectors and pairs, and the pair of each entry.
struct Table<'a> {
    landmarks: &'a [usize],
    detectors: &'a [usize],
    of_landmark: BTreeMap<usize, f64>,
    of_detector: BTreeMap<usize, f64>,
    of_pair: BTreeMap<(usize, usize), f64>,
}

impl<'a> Table<'a> {
    fn new(landmarks: &'a [usize], detectors: &'a [usize]) -> Self {
        let pairs = landmarks.iter().copied().zip(detectors.iter().copied());
        Self {
            landmarks,
            detectors,
            of_landmark: counted(landmarks.iter().copied()),
            of_detector: counted(detectors.iter().copied()),
            of_pair: counted(pairs),
        }
    }

    fn total(&self) -> f64 {
        self.landmarks.len() as f64
    }

    /// Of each entry, the number of entries with its pair, landmark and detector.
    fn entries(&self) -> impl Iterator<Item = [f64; 3]> {
        self.landmarks
            .iter()
            .zip(self.detectors)
            .map(|(a, b)| [self.of_pair[&(*a, *b)], self.of_landmark[a], self.of_detector[b]])
    }

    /// `2 − 2 H(A, B) / (H(A) + H(B))`. The influence of an entry on an entropy is `−log p − H`.
    fn nmi(&self, photos: &[usize]) -> Option<Figure> {
        let total = self.total();
        let entropy = |counts: &mut dyn Iterator<Item = &f64>| {
            counts.map(|count| -count / total * (count / total).ln()).sum::<f64>()
        };
        let joint = entropy(&mut self.of_pair.values());
        let [a, b] = [&self.of_landmark, &self.of_detector].map(|counts| entropy(&mut counts.values()));
        if self.of_landmark.len() < 2 && self.of_detector.len() < 2 {
            return None;
        }
        let influence = |[pair, landmark, detector]: [f64; 3]| {
            let surprise = |count: f64| -(count / total).ln();
            let of_joint = surprise(pair) - joint;
            let of_sum = surprise(landmark) + surprise(detector) - a - b;
            -2.0 * (of_joint * (a + b) - joint * of_sum) / (a + b).powi(2) / total
        };
        let influences = photos.iter().copied().zip(self.entries().map(influence)).collect();
        clustered(2.0 - 2.0 * joint / (a + b), influences)
    }

    fn ari(&self, photos: &[usize]) -> Option<Figure> {
        let total = self.total();
        let pairs = |counts: &mut dyn Iterator<Item = &f64>| counts.map(|n| n * (n - 1.0) / 2.0).sum::<f64>();
        let together = pairs(&mut self.of_pair.values());
        let [a, b] = [&self.of_landmark, &self.of_detector].map(|counts| pairs(&mut counts.values()));
        let expected = a * b / (total * (total - 1.0) / 2.0);
        let span = (a + b) / 2.0 - expected;
        if total < 2.0 || span == 0.0 {
            return None;
        }
        let value = (together - expected) / span;
        // With shares: (R − PQ) / ((P + Q)/2 − PQ), R = Σ p_ab² and so on.
        let squares =
            |counts: &mut dyn Iterator<Item = &f64>| counts.map(|n| (n / total).powi(2)).sum::<f64>();
        let r = squares(&mut self.of_pair.values());
        let [p, q] = [&self.of_landmark, &self.of_detector].map(|counts| squares(&mut counts.values()));
        let large = (p + q) / 2.0 - p * q;
        let index = (r - p * q) / large;
        let influence = |[pair, landmark, detector]: [f64; 3]| {
            let [dr, dp, dq] =
                [(pair, r), (landmark, p), (detector, q)].map(|(n, of)| 2.0 * (n / total - of));
            let of_product = dp * q + p * dq;
            (dr - of_product - index * ((dp + dq) / 2.0 - of_product)) / large / total
        };
        clustered(value, photos.iter().copied().zip(self.entries().map(influence)).collect())
    }
}

fn counted<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, f64> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_insert(0.0) += 1.0);
    counts
}
