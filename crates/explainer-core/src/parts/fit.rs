//! Fitting detectors of parts: k-means of peaks.

use std::time::Instant;

use burn::config::Config;
use burn::tensor::{Tensor, TensorData};
use explainer_metrics::ReceptiveField;
use rayon::prelude::*;

use super::clusters::Clusters;
use super::detectors::PartDetectors;
use super::embedding::{Embedding, directions, evenly};
use super::explainer::{PartExplainer, frozen};
use super::peaks::{Peak, Peaks, next_peak};
use super::validate::PartValidation;
use crate::{CoreError, Features, Performer};

/// Clusters of units, at each of which a detector starts.
const STARTS: usize = 64;
/// Units that are clustered, at most.
const CLUSTERED: usize = 15_000;
/// Pictures with an object that detectors are fitted on, at most, and others.
const OBJECTS: usize = 1024;
const OTHERS: usize = 512;
/// Rounds of looking for peaks and averaging them.
const ROUNDS: usize = 10;
/// Share of the pictures, those with the strongest peaks, that a part is taken to be in.
const PRESENT: f64 = 0.7;
/// How often a peak that was moved counts, beside one in a picture as it is.
const MOVED: f64 = 2.0;
/// How much of the mean runner-up is taken off the mean peak.
const RUNNER_UP: f64 = 0.5;
/// How much of the mean peak in pictures without an object is taken off it.
const ELSEWHERE: f64 = 0.3;
/// Two detectors that have the very same peak in this share of the pictures are one.
const TWINS: f64 = 0.5;

/// How detectors of parts are fitted.
#[derive(Config, Debug)]
pub struct PartFitConfig {
    /// K, the number of detectors, at most.
    #[config(default = 16)]
    pub parts: usize,
    /// Seed of the clusters where detectors start.
    #[config(default = 0)]
    pub seed: u64,
}

/// A fitted explainer and how it came about.
#[derive(Debug)]
pub struct PartFit {
    /// The explainer.
    pub explainer: PartExplainer,
    /// The clusters where the detectors started, chosen and calibrated in the same way. What it does as well was not
    /// learned.
    pub start: PartExplainer,
    /// Share of all peaks that each round moved.
    pub moved: Vec<f64>,
    /// Figures of the explainer on the validation features, if there were any.
    pub validation: Option<PartValidation>,
    /// Wall-clock time of the fit, without validation.
    pub seconds: f64,
}

impl PartFitConfig {
    /// Fits detectors to the target features of `train`.
    ///
    /// A detector starts at each of 64 clusters of units. Then, ten times over, every detector looks for its strongest unit
    /// q in each picture with an object, takes the 70 % of the pictures in which that is strongest for those that show
    /// its part, and turns to
    ///
    /// `w ← normalise( E z(q) − ½ E z(q₂) − 0.3 E z(q₋) )`,
    ///
    /// q₂ the strongest unit of the same picture outside of the 5×5 units around q, q₋ the strongest unit of a picture
    /// without an object; the first two means are over the pictures that show the part. As z is whitened, a mean of peaks is
    /// the direction of a linear discriminant. The runner-up makes a detector one of a single place: what is left of
    /// a picture without its part must not look like the part.
    ///
    /// Where the features have rows with a square moved ([`FeatureConfig::of_parts`](crate::FeatureConfig::of_parts)) and q
    /// lies within it, these count as well, twice each: the unit that q was moved to is a peak, the strongest unit outside
    /// of the 5×5 around it a runner-up. So a detector learns what the part looks like without its surroundings, and what
    /// these look like without the part.
    ///
    /// Detectors are ranked by their [self-erasure margin](PartDetectors::margins). From the largest on, those that have the
    /// very same peak as a better one in half of the pictures are left out, until there are [`parts`](Self::parts).
    /// θ and β are the linear discriminant (equal errors, pooled variance) between scores at peaks that show the part and
    /// scores of what is left without it, or of pictures without an object.
    ///
    /// No label of a part is used; that a picture shows an object of the category is.
    ///
    /// Source: ours. Peaks as in arXiv:1710.00935, self-erasure as in weakly supervised localisation.
    ///
    /// # Errors
    /// [`CoreError::TooFew`] for fewer than two pictures with an object, or where all units have the same features.
    ///
    /// # Panics
    /// If no part is asked for.
    pub fn fit<P: Performer>(
        &self,
        performer: &P,
        train: &Features,
        validation: Option<&Features>,
    ) -> Result<PartFit, CoreError> {
        assert!(self.parts > 0, "PartFitConfig::parts must be at least 1");
        let started = Instant::now();
        let pictures = Pictures::of(train, performer.target_field())?;
        let mut directions = pictures.starts(self.seed);
        let start = pictures.detectors(&directions, self.parts, train);
        let mut moved = Vec::with_capacity(ROUNDS);
        let mut last: Option<Peaks> = None;
        for _ in 0..ROUNDS {
            let peaks = pictures.peaks(&directions);
            moved.extend(last.as_ref().map(|last| changed(last, &peaks)));
            directions = pictures.turned(&directions, &peaks);
            last = Some(peaks);
        }
        let start = PartExplainer::new(start, train);
        let explainer = PartExplainer::new(pictures.detectors(&directions, self.parts, train), train);
        let seconds = started.elapsed().as_secs_f64();
        let validation = validation.map(|features| explainer.validate(performer, features)).transpose()?;
        Ok(PartFit { explainer, start, moved, validation, seconds })
    }
}

/// Share of all peaks that are elsewhere.
fn changed(last: &Peaks, peaks: &Peaks) -> f64 {
    let all = (0..peaks.detectors()).flat_map(|k| last.of_detector(k).zip(peaks.of_detector(k)));
    let moved = all.filter(|(before, after)| before.unit != after.unit).count();
    moved as f64 / (peaks.detectors() * peaks.pictures()) as f64
}

/// Embedded training pictures.
struct Pictures {
    embedding: Embedding,
    dimensions: usize,
    grid: [usize; 2],
    /// With an object, `[pictures, units, d]`.
    objects: Vec<f32>,
    /// Each of them with a square moved, where there is such a row.
    moved: Vec<Option<Moved>>,
    /// Without one.
    others: Vec<f32>,
}

/// A picture with a square moved.
struct Moved {
    /// `[units, d]`.
    units: Vec<f32>,
    /// Where what each unit of the picture as it is shows is now, if it was moved.
    to: Vec<Option<usize>>,
}

impl Moved {
    /// That of the image whose first row this is.
    fn of(train: &Features, row: usize, embedding: &Embedding, field: &ReceptiveField) -> Option<Self> {
        let square = train.transplant(row / train.views())?;
        let [_, height, width] = train.shape().target;
        let to = (0..height * width).map(|unit| {
            let unit = [unit / width, unit % width];
            let [row, column] = square.moved(unit, [height, width], field.stride, |at| field.pixel(at))?;
            Some(row * width + column)
        });
        let last = row + train.views() - 1;
        Some(Self { units: directions(embedding, train, &[last]), to: to.collect() })
    }
}

impl Pictures {
    /// One row of each image: not its mirror image and crops, which show the same.
    fn of(train: &Features, field: ReceptiveField) -> Result<Self, CoreError> {
        let categories = train.categories();
        let rows = (0..train.len()).step_by(train.views());
        let (mut objects, mut others): (Vec<usize>, Vec<usize>) =
            rows.partition(|&row| categories[row].is_some());
        if objects.is_empty() {
            // Where no image has a category all are of one.
            std::mem::swap(&mut objects, &mut others);
        }
        if objects.len() < 2 {
            let what = "training images with an object";
            return Err(CoreError::TooFew { what, expected: 2, found: objects.len() });
        }
        let some = |rows: &[usize], most| -> Vec<usize> {
            evenly(rows.len(), most).into_iter().map(|at| rows[at]).collect()
        };
        let (objects, others) = (some(&objects, OBJECTS), some(&others, OTHERS));
        let [channels, height, width] = train.shape().target;
        let embedding = Embedding::fit(train, &[&objects[..], &others].concat(), channels.div_ceil(2))?;
        Ok(Self {
            dimensions: embedding.dims()[1],
            grid: [height, width],
            objects: directions(&embedding, train, &objects),
            moved: objects.iter().map(|&row| Moved::of(train, row, &embedding, &field)).collect(),
            others: directions(&embedding, train, &others),
            embedding,
        })
    }

    /// Centres of clusters of units.
    fn starts(&self, seed: u64) -> Vec<f32> {
        let units = self.objects.len() / self.dimensions;
        let sample: Vec<f32> = evenly(units, CLUSTERED)
            .into_iter()
            .flat_map(|unit| &self.objects[unit * self.dimensions..][..self.dimensions])
            .copied()
            .collect();
        Clusters::fit(&sample, self.dimensions, STARTS, seed).centers
    }

    fn peaks(&self, directions: &[f32]) -> Peaks {
        Peaks::of(&self.objects, directions, self.dimensions, self.grid)
    }

    fn peaks_elsewhere(&self, directions: &[f32]) -> Peaks {
        Peaks::of(&self.others, directions, self.dimensions, self.grid)
    }

    /// Every detector at its new direction; one whose mean is 0 stays.
    fn turned(&self, directions: &[f32], peaks: &Peaks) -> Vec<f32> {
        let elsewhere = self.peaks_elsewhere(directions);
        let units = self.grid[0] * self.grid[1];
        let d = self.dimensions;
        let turn = |detector: usize| {
            let direction = &directions[detector * d..][..d];
            let mut mean = vec![0f64; d];
            let mut add = |units: &[f32], unit: usize, weight: f64| {
                let z = units[unit * d..][..d].iter();
                mean.iter_mut().zip(z).for_each(|(mean, &z)| *mean += weight * f64::from(z));
            };
            let shown = shown(peaks, detector);
            let peaks: Vec<&Peak> = peaks.of_detector(detector).collect();
            // Where a peak is once its square was moved.
            let moved = |picture: usize| {
                let moved = self.moved[picture].as_ref()?;
                Some((moved, moved.to[peaks[picture].unit]?))
            };
            let count = shown.iter().filter(|&&picture| moved(picture).is_some()).count();
            let share = 1.0 / (shown.len() as f64 + MOVED * count as f64);
            for &picture in &shown {
                let (own, peak) = (&self.objects[picture * units * d..][..units * d], peaks[picture]);
                add(own, peak.unit, share);
                add(own, peak.next, -RUNNER_UP * share);
                if let Some((moved, unit)) = moved(picture) {
                    let next = next_peak(&moved.units, direction, unit, self.grid[1]);
                    add(&moved.units, unit, MOVED * share);
                    add(&moved.units, next, -RUNNER_UP * MOVED * share);
                }
            }
            let share = ELSEWHERE / elsewhere.pictures().max(1) as f64;
            for (picture, peak) in elsewhere.of_detector(detector).enumerate() {
                add(&self.others[picture * units * d..], peak.unit, -share);
            }
            let length = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
            match length > 0.0 {
                true => mean.into_iter().map(|value| (value / length) as f32).collect(),
                false => direction.to_vec(),
            }
        };
        (0..peaks.detectors()).into_par_iter().map(turn).collect::<Vec<Vec<f32>>>().concat()
    }

    /// The best of these directions, calibrated.
    fn detectors(&self, directions: &[f32], parts: usize, train: &Features) -> PartDetectors {
        let (peaks, elsewhere) = (self.peaks(directions), self.peaks_elsewhere(directions));
        let chosen = chosen(&peaks, parts);
        let of_filter = |value: &dyn Fn(usize) -> f64| {
            let values: Vec<f32> = chosen.iter().map(|&detector| value(detector) as f32).collect();
            frozen(Tensor::<1>::from_data(TensorData::new(values, [chosen.len()]), train.device()))
        };
        let calibration: Vec<[f64; 2]> =
            (0..peaks.detectors()).map(|detector| calibration(&peaks, &elsewhere, detector)).collect();
        let directions: Vec<f32> = chosen
            .iter()
            .flat_map(|&detector| &directions[detector * self.dimensions..][..self.dimensions])
            .copied()
            .collect();
        let directions = TensorData::new(directions, [chosen.len(), self.dimensions]);
        PartDetectors {
            threshold: of_filter(&|detector| calibration[detector][0]),
            slope: of_filter(&|detector| calibration[detector][1]),
            margin: of_filter(&|detector| peaks.margin(detector)),
            directions: frozen(Tensor::from_data(directions, train.device())),
            embedding: self.embedding.clone(),
        }
    }
}

/// The pictures that are taken to show a detector's part, in their order.
fn shown(peaks: &Peaks, detector: usize) -> Vec<usize> {
    let scores: Vec<f32> = peaks.of_detector(detector).map(|peak| peak.score).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(((PRESENT * scores.len() as f64) as usize).max(1));
    order.sort_unstable();
    order
}

/// Detectors from the largest margin on, without twins.
fn chosen(peaks: &Peaks, parts: usize) -> Vec<usize> {
    let margins: Vec<f64> = (0..peaks.detectors()).map(|detector| peaks.margin(detector)).collect();
    let mut order: Vec<usize> = (0..margins.len()).collect();
    order.sort_by(|&a, &b| margins[b].total_cmp(&margins[a]));
    let mut chosen: Vec<usize> = Vec::with_capacity(parts);
    for detector in order {
        if chosen.len() < parts && chosen.iter().all(|&other| peaks.same(detector, other) < TWINS) {
            chosen.push(detector);
        }
    }
    chosen
}

/// θ and β of a detector: the linear discriminant between the scores of its peaks where it is taken to be, of mean a and
/// standard deviation σ_a, and those of what is left, b and σ_b,
///
/// `θ = (a σ_b + b σ_a) / (σ_a + σ_b)`, `β = (a − b) / (½ (σ_a² + σ_b²))`.
fn calibration(peaks: &Peaks, elsewhere: &Peaks, detector: usize) -> [f64; 2] {
    let scores: Vec<f64> = peaks.of_detector(detector).map(|peak| f64::from(peak.score)).collect();
    let there = shown(peaks, detector).into_iter().map(|picture| scores[picture]);
    let left = peaks.of_detector(detector).map(|peak| f64::from(peak.next_score));
    let left = left.chain(elsewhere.of_detector(detector).map(|peak| f64::from(peak.score)));
    let ([a, spread_a], [b, spread_b]) = (moments(there), moments(left));
    let threshold = (a * spread_b + b * spread_a) / (spread_a + spread_b);
    [threshold, (a - b) / (0.5 * (spread_a.powi(2) + spread_b.powi(2)))]
}

/// A cosine is not known better than this, so that a spread of 0 does not make a slope of infinity.
const LEAST_SPREAD: f64 = 1e-3;

/// Mean and standard deviation.
fn moments(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (mut count, mut sum, mut square) = (0.0, 0.0, 0.0);
    for value in values {
        (count, sum, square) = (count + 1.0, sum + value, square + value * value);
    }
    let mean = sum / count;
    [mean, (square / count - mean * mean).max(LEAST_SPREAD * LEAST_SPREAD).sqrt()]
}

#[cfg(test)]
mod tests;
