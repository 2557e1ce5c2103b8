//! Fitting detectors of parts.

use std::time::Instant;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::clusters::Clusters;
use super::detectors::{PartDetectors, unit_rows};
use super::embedding::{Embedding, directions, evenly};
use super::explainer::{PartExplainer, frozen};
use super::losses;
use super::validate::PartValidation;
use crate::features::floats;
use crate::fit::optimizer;
use crate::progress::progress_bar;
use crate::{CoreError, Features, Performer};

/// κ.
const SHARPNESS: f64 = 15.0;
/// Directions of the embedding.
const DIMENSIONS: usize = 96;
/// Centres of the background.
const BACKGROUND: usize = 8;
/// Clusters of which the most typical of the object are where detectors start.
const ATOMS: usize = 64;
/// Rows of images that are clustered, at most.
const CLUSTERED: usize = 256;
/// Pictures of a step; each has its mirror image beside it.
const BATCH: usize = 64;
const RATE: f64 = 1e-2;

/// Weights of the losses.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct PartLossWeights {
    /// [Flip equivariance](super::losses::flip).
    #[config(default = 1.0)]
    pub flip: f64,
    /// Orthogonality of directions.
    #[config(default = 0.5)]
    pub orthogonality: f64,
    /// Bounds on how often a detector fires.
    #[config(default = 1.0)]
    pub presence: f64,
    /// Silence where there is no object.
    #[config(default = 0.5)]
    pub silence: f64,
    /// Silence where a detector's own part was taken away.
    #[config(default = 1.0)]
    pub self_erasure: f64,
}

/// How detectors of parts are fitted.
#[derive(Config, Debug)]
pub struct PartFitConfig {
    /// K, the number of detectors.
    #[config(default = 16)]
    pub parts: usize,
    /// Steps of Adam.
    #[config(default = 400)]
    pub steps: usize,
    /// Weights of the losses.
    #[config(default = "PartLossWeights::new()")]
    pub weights: PartLossWeights,
    /// Seed of clusters and batches.
    #[config(default = 0)]
    pub seed: u64,
    /// Whether a bar is drawn (on a terminal only).
    #[config(default = true)]
    pub progress: bool,
}

/// Means of the losses over some steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The last of them, from 1.
    pub step: usize,
    /// The weighted sum.
    pub loss: f64,
}

/// A fitted explainer and how it came about.
#[derive(Debug)]
pub struct PartFit {
    /// The explainer.
    pub explainer: PartExplainer,
    /// The same before the first step: directions of clusters. What it does as well was not learned.
    pub start: PartExplainer,
    /// Ten records.
    pub records: Vec<PartRecord>,
    /// Figures of the start and of the explainer on the validation features, if there were any.
    pub validation: Option<[PartValidation; 2]>,
    /// Wall-clock time.
    pub seconds: f64,
}

impl PartFitConfig {
    /// Fits detectors to the target features of `train`.
    ///
    /// # Errors
    /// [`CoreError::TooFew`] for fewer than two images with an object; [`CoreError::Diverged`] for a loss that is not
    /// finite.
    pub fn fit<P: Performer>(
        &self,
        performer: &P,
        train: &Features,
        validation: Option<&Features>,
    ) -> Result<PartFit, CoreError> {
        let started = Instant::now();
        let rows = Rows::of(train)?;
        let detectors = self.start(train, &rows)?;
        let start = PartExplainer::new(detectors.clone(), train);
        let (detectors, records) = self.optimise(detectors, train, &rows)?;
        let explainer = PartExplainer { detectors, mean: start.mean.clone() };
        let validation = validation.map(|features| {
            Ok::<_, CoreError>([
                start.validate(performer, features)?,
                explainer.validate(performer, features)?,
            ])
        });
        let validation = validation.transpose()?;
        Ok(PartFit { explainer, start, records, validation, seconds: started.elapsed().as_secs_f64() })
    }

    /// Detectors at the clusters that are frequent on objects and rare elsewhere.
    fn start(&self, train: &Features, rows: &Rows) -> Result<PartDetectors, CoreError> {
        let embedding = Embedding::fit(train, DIMENSIONS)?;
        let [_, dimensions] = embedding.dims();
        let some = |rows: &[usize]| -> Vec<usize> {
            evenly(rows.len(), CLUSTERED).into_iter().map(|at| rows[at]).collect()
        };
        let objects = directions(&embedding, train, &some(&rows.objects));
        let others = directions(&embedding, train, &some(&rows.others));
        let atoms = Clusters::fit(&objects, dimensions, ATOMS, self.seed);
        let frequency = |vectors: &[f32]| {
            let mut counts = vec![0.0; atoms.len()];
            atoms.assign(vectors).into_iter().for_each(|atom| counts[atom] += 1.0);
            let total = (vectors.len() / dimensions).max(1) as f64;
            counts.into_iter().map(move |count: f64| count / total).collect::<Vec<_>>()
        };
        let (own, other) = (frequency(&objects), frequency(&others));
        let mut order: Vec<usize> = (0..atoms.len()).collect();
        order.sort_by(|&a, &b| (own[b] - other[b]).total_cmp(&(own[a] - other[a])));
        order.truncate(self.parts);
        let device = train.device();
        let matrix = |values: Vec<f32>| -> Tensor<2> {
            let rows = values.len() / dimensions;
            Tensor::from_data(TensorData::new(values, [rows, dimensions]), device)
        };
        let chosen = order.iter().flat_map(|&atom| &atoms.centers[atom * dimensions..][..dimensions]);
        let directions = matrix(chosen.copied().collect());
        let behind = if others.is_empty() { &objects } else { &others };
        let background = matrix(Clusters::fit(behind, dimensions, BACKGROUND, self.seed).centers);
        Ok(PartDetectors {
            null: Param::from_tensor(Tensor::zeros([directions.dims()[0]], device)),
            directions: Param::from_tensor(directions),
            background: frozen(background),
            embedding,
            sharpness: SHARPNESS,
        })
    }

    fn optimise(
        &self,
        detectors: PartDetectors,
        train: &Features,
        rows: &Rows,
    ) -> Result<(PartDetectors, Vec<PartRecord>), CoreError> {
        let [_, height, width] = train.shape().target;
        let mut detectors = detectors.train();
        let mut optimizer = optimizer();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let bar = progress_bar(self.steps as u64, "parts", self.progress);
        let mut order = Vec::new();
        let (mut records, mut sum) = (Vec::new(), 0.0);
        let each = self.steps.div_ceil(10).max(1);
        for step in 1..=self.steps {
            let batch = rows.draw(&mut order, &mut rng);
            let loss = self.loss(&detectors, train, &batch, [height, width]);
            let value = loss.clone().inner().into_scalar::<f32>();
            if !value.is_finite() {
                let what = "the loss of the part detectors".to_string();
                return Err(CoreError::Diverged { what, epoch: 1, step, value });
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &detectors);
            detectors = optimizer.step(RATE, detectors, gradients);
            sum += f64::from(value);
            if step % each == 0 || step == self.steps {
                let steps = if step % each == 0 { each } else { step % each };
                records.push(PartRecord { step, loss: sum / steps as f64 });
                sum = 0.0;
            }
            bar.set_message(format!("loss {value:.3}"));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok((detectors.valid(), records))
    }

    fn loss(
        &self,
        detectors: &PartDetectors,
        train: &Features,
        batch: &Batch,
        grid: [usize; 2],
    ) -> Tensor<1> {
        let scores = |rows: &[usize]| {
            let embedded = detectors.embedding.valid().forward(train.batch(rows).target);
            detectors.scores(losses::like(embedded))
        };
        let own = scores(&batch.objects);
        let posterior = detectors.log_posterior(own.clone());
        let weights = &self.weights;
        let mut loss = losses::presence(posterior.clone()) * weights.presence
            + losses::orthogonality(unit_rows(detectors.directions.val())) * weights.orthogonality
            + losses::silence(detectors.log_posterior(losses::erased(own, grid))) * weights.self_erasure;
        if !batch.mirrored.is_empty() {
            let mirrored = detectors.log_posterior(scores(&batch.mirrored));
            loss = loss + losses::flip(posterior, mirrored, grid) * weights.flip;
        }
        if !batch.others.is_empty() {
            let posterior = detectors.log_posterior(scores(&batch.others));
            loss = loss + losses::silence(posterior) * weights.silence;
        }
        loss
    }
}

/// Rows of pictures with and without an object.
struct Rows {
    objects: Vec<usize>,
    others: Vec<usize>,
    /// Whether the row behind each of them is its mirror image.
    mirrored: bool,
}

/// Rows of one step.
struct Batch {
    objects: Vec<usize>,
    /// Of the same pictures.
    mirrored: Vec<usize>,
    others: Vec<usize>,
}

impl Rows {
    fn of(train: &Features) -> Result<Self, CoreError> {
        let step = if train.mirrored() { 2 } else { 1 };
        let firsts = (0..train.len()).step_by(step);
        let categories = train.categories();
        let (mut objects, others): (Vec<usize>, Vec<usize>) =
            firsts.partition(|&row| categories[row].is_some());
        let mut others = others;
        if objects.is_empty() {
            // Where no image has a category all are of one.
            std::mem::swap(&mut objects, &mut others);
        }
        if objects.len() < 2 {
            let what = "training images with an object";
            return Err(CoreError::TooFew { what, expected: 2, found: objects.len() });
        }
        Ok(Self { objects, others, mirrored: train.mirrored() })
    }

    /// The next pictures with an object in an order that is drawn anew once all were used, and as many others at random.
    fn draw(&self, order: &mut Vec<usize>, rng: &mut ChaCha8Rng) -> Batch {
        let mut objects = Vec::with_capacity(BATCH);
        while objects.len() < BATCH.min(self.objects.len()) {
            if order.is_empty() {
                order.extend(&self.objects);
                order.shuffle(rng);
            }
            objects.extend(order.pop());
        }
        let count = BATCH.min(self.others.len());
        let drawn = rand::seq::index::sample(rng, self.others.len(), count);
        let others = drawn.into_iter().map(|at| self.others[at]).collect();
        let mirrored = if self.mirrored { objects.iter().map(|row| row + 1).collect() } else { Vec::new() };
        Batch { objects, mirrored, others }
    }
}
