//! The supervised ceiling: what a layer holds of each landmark.

mod ridge;

use burn::tensor::{Device, Tensor, TensorData};
use explainer_metrics::ReceptiveField;
use rayon::prelude::*;
use ridge::{Sums, Weights};

use crate::EvaluationError;
use crate::tensors::floats;

/// Folds of photos.
pub(crate) const FOLDS: usize = 5;
/// λ of the ridge regression, for inputs of length 1.
const STRENGTH: f64 = 1.0;
/// σ of the heat around a landmark, in pixels of an input of [`NOMINAL_SIDE`].
const HEAT: f64 = 20.0;
/// The input that METHOD's lengths in pixels are stated for.
const NOMINAL_SIDE: f64 = 224.0;

/// Gathers the sums of the regressions: one for each fold and landmark.
///
/// The ceiling of a landmark ℓ is a detector that was told where ℓ is: a ridge regression (λ = 1) from each unit's
/// L2-normalised vector `z_u` at the target layer to the heat `exp(−‖p_u − ℓ‖² / 2σ²)`, σ = 20 px of 224, where
/// `p_u` is the unit's place in the image. Each photo is scored by the regression on the other four fifths of the
/// photos. No unsupervised detector of the same layer can be asked for more.
#[derive(Debug)]
pub(crate) struct CeilingFit {
    field: ReceptiveField,
    /// σ in pixels.
    width: f64,
    landmarks: usize,
    /// Fold by fold, landmark by landmark; empty before the first batch.
    sums: Vec<Sums>,
}

/// The fitted detectors.
#[derive(Debug)]
pub(crate) struct Ceiling {
    landmarks: usize,
    channels: usize,
    /// Fold by fold, landmark by landmark; `None` where no other fold has the landmark.
    detectors: Vec<Option<Weights>>,
    device: Device,
}

impl CeilingFit {
    /// Of so many landmarks, for units of `field` in images of `side` pixels.
    pub(crate) fn new(field: ReceptiveField, side: usize, landmarks: usize) -> Self {
        Self { field, width: HEAT * side as f64 / NOMINAL_SIDE, landmarks, sums: Vec::new() }
    }

    /// Adds original images: their target features `[batch, C, h, w]`, landmarks `[x, y]` and folds.
    pub(crate) fn push(&mut self, target: Tensor<4>, landmarks: &[Vec<Option<[f64; 2]>>], folds: &[usize]) {
        let [_, channels, height, width] = target.dims();
        if self.sums.is_empty() {
            self.sums = vec![Sums::new(channels); FOLDS * self.landmarks];
        }
        let directions = directions(target);
        for (image, (points, &fold)) in landmarks.iter().zip(folds).enumerate() {
            if points.iter().all(Option::is_none) {
                continue;
            }
            let units: Tensor<2> = directions.clone().narrow(0, image, 1).reshape([channels, height * width]);
            let inputs = floats(units.clone().sum_dim(1));
            let products = floats(units.clone().matmul(units.clone().transpose()));
            let units = floats(units);
            for (landmark, point) in points.iter().enumerate() {
                let Some(point) = *point else { continue };
                let heat = self.heat(point, [height, width]);
                let mixed: Vec<f64> = units
                    .chunks_exact(height * width)
                    .map(|row| row.iter().zip(&heat).map(|(&z, y)| f64::from(z) * y).sum())
                    .collect();
                let sums = &mut self.sums[fold * self.landmarks + landmark];
                sums.add(height * width, &inputs, &products, heat.iter().sum(), &mixed);
            }
        }
    }

    /// The heat around a point at each unit, row by row.
    fn heat(&self, [x, y]: [f64; 2], [height, width]: [usize; 2]) -> Vec<f64> {
        let fall = |distance: f64| (-distance * distance / (2.0 * self.width * self.width)).exp();
        let rows: Vec<f64> = (0..height).map(|row| fall(self.field.pixel(row) - y)).collect();
        let columns: Vec<f64> = (0..width).map(|column| fall(self.field.pixel(column) - x)).collect();
        rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect()
    }

    /// Solves all regressions. `None` if no image was added.
    pub(crate) fn solve(&self, device: &Device) -> Result<Option<Ceiling>, EvaluationError> {
        let Some(channels) = self.sums.first().map(Sums::width) else { return Ok(None) };
        let of = |at: usize| {
            let (fold, landmark) = (at / self.landmarks, at % self.landmarks);
            let mut others = Sums::new(channels);
            let kept = (0..FOLDS).filter(|&other| other != fold);
            kept.for_each(|other| others.join(&self.sums[other * self.landmarks + landmark]));
            if others.is_empty() {
                return Ok(None);
            }
            let singular = |found: ridge::NotPositive| EvaluationError::Singular { pivot: found.pivot };
            others.ridge(STRENGTH).map(Some).map_err(singular)
        };
        let detectors = (0..self.sums.len()).into_par_iter().map(of).collect::<Result<_, _>>()?;
        Ok(Some(Ceiling { landmarks: self.landmarks, channels, detectors, device: device.clone() }))
    }
}

impl Ceiling {
    /// Whether the landmark can be scored in photos of the fold.
    pub(crate) fn knows(&self, fold: usize, landmark: usize) -> bool {
        self.detectors[fold * self.landmarks + landmark].is_some()
    }

    /// The maps of all detectors, `[batch, landmarks, h, w]`, each image by the regressions without its fold. What a
    /// fold does not [know](Self::knows) is 0 everywhere.
    pub(crate) fn maps(&self, target: Tensor<4>, folds: &[usize]) -> Tensor<4> {
        let [batch, channels, height, width] = target.dims();
        let (mut weights, mut intercepts) = (Vec::new(), Vec::new());
        for fold in folds {
            for detector in &self.detectors[fold * self.landmarks..][..self.landmarks] {
                let found = detector.as_ref();
                intercepts.push(found.map_or(0.0, |found| found.intercept as f32));
                match found {
                    Some(found) => weights.extend(found.weights.iter().map(|&weight| weight as f32)),
                    None => weights.extend(std::iter::repeat_n(0.0, self.channels)),
                }
            }
        }
        let shape = [batch, self.landmarks, channels];
        let weights = Tensor::<3>::from_data(TensorData::new(weights, shape), &self.device);
        let intercepts = TensorData::new(intercepts, [batch, self.landmarks, 1]);
        let intercepts = Tensor::<3>::from_data(intercepts, &self.device);
        let units: Tensor<3> = directions(target).reshape([batch, channels, height * width]);
        (weights.matmul(units) + intercepts).reshape([batch, self.landmarks, height, width])
    }
}

/// Each unit's vector over its length; a vector of zeros stays one.
pub(crate) fn directions(features: Tensor<4>) -> Tensor<4> {
    let lengths = features.clone().square().sum_dim(1).sqrt();
    features / lengths.clamp_min(f32::MIN_POSITIVE)
}
