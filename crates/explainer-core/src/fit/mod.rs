//! Fitting an explainer to a performer.

mod adam;
mod checkpoint;
mod config;
mod loss;
mod push;
mod record;
mod step;
mod task;
mod validate;

use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Int, Tensor};
use explainer_filter_loss::FilterCategories;
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::decoder::scores_of;
pub(crate) use adam::outer_product;
#[cfg(test)]
pub(crate) use adam::product;
pub use config::{
    FitConfig, LearningRates, LossMaps, LossWeights, NormUpdate, Push, PushSchedule, ReconstructionWeight,
    Refit,
};
pub use loss::InterpretabilityLoss;
pub use record::{EpochRecord, Validation};
pub use task::{Labels, Task};

use crate::norm::channel_mass;
use crate::progress::progress_bar;
use crate::{CoreError, Explainer, Features, InterpretableTrack, Performer};
use checkpoint::State;
use loss::LayeredFilterLoss;
pub(crate) use step::batches;
use step::{Lambdas, Stepper, Terms};

/// A fitted explainer and the record of how it came about.
#[derive(Debug)]
pub struct Fit {
    /// The explainer, without autodiff.
    pub explainer: Explainer,
    /// Its interpretable track as the first step found it (see [`FitConfig::prepared`]): parts that are no better than
    /// those of this one were not learned by fitting.
    pub start: InterpretableTrack,
    /// One record an epoch.
    pub records: Vec<EpochRecord>,
    /// Figures of the explainer as it is handed out, on the validation features, if there were any.
    pub validation: Option<Validation>,
    /// The figures, on the same features, of a decoder that looks at no image and always gives the means of the
    /// training rows' upper features and the performer's most frequent decision. What is no better was not
    /// reconstructed from the image.
    pub without_looking: Option<Validation>,
    /// What of the method does not apply to this performer and was left out or done in another way, and why.
    pub notes: Vec<String>,
}

impl Fit {
    /// p, the share of the interpretable track.
    pub fn share(&self) -> f32 {
        self.explainer.share()
    }
}

impl FitConfig {
    /// Fits `explainer` to the performer whose features `train` holds; `validation` features, if
    /// given, are only measured, after every epoch; with landmarks ([`Features::with_landmarks`]) so is how
    /// stable the parts are. The records keep it, and checkpoints keep the records.
    ///
    /// The norm-layers' α is measured on the training rows that have a category (on all, if none
    /// has), and the decoder's first layer is adapted to it: see [`Explainer::calibrated`].
    ///
    /// # Errors
    /// Too few rows; a loss, a weight or λ_f that is not finite, or a reconstruction that diverges
    /// ([`CoreError::Diverged`] names the layer, epoch and step); a checkpoint that cannot be
    /// written, belongs to another fit or lies beyond the last epoch.
    ///
    /// # Panics
    /// If the batch size is 0 or `decay` is not within 0..=1, or if images are to be classified that have no
    /// class.
    pub fn fit<P: Performer>(
        &self,
        explainer: Explainer,
        performer: &P,
        train: &Features,
        validation: Option<&Features>,
    ) -> Result<Fit, CoreError> {
        let mut loss = self.layered_filter_loss(&explainer, train);
        self.fit_with(&mut loss, explainer, performer, train, validation)
    }

    /// What the first step finds of `explainer`: its interpretable track turned to what counts
    /// ([`Explainer::attuned`], if `relevance` asks for it), its windows where its filters fire
    /// ([`Explainer::anchored`]), and its norm-layers measured ([`Explainer::calibrated`], if there are any).
    /// [`fit`](Self::fit) begins with it.
    pub fn prepared<P: Performer>(&self, explainer: Explainer, performer: &P, train: &Features) -> Explainer {
        self.normed(self.windowed(explainer, performer, train).0, train)
    }

    /// The explainer in front of its first step but for its norm-layers, and why channel importance is not used, if it
    /// is asked for and is not.
    fn windowed<P: Performer>(
        &self,
        explainer: Explainer,
        performer: &P,
        train: &Features,
    ) -> (Explainer, Option<String>) {
        let (explainer, why_not) = match self.relevance {
            true => explainer.attuned_or_why_not(performer, train),
            false => (explainer, None),
        };
        let note = why_not.map(|why| format!("channel importance is not used: {why}"));
        (explainer.anchored(train), note)
    }

    fn normed(&self, explainer: Explainer, train: &Features) -> Explainer {
        match self.norm {
            NormUpdate::None => explainer,
            NormUpdate::Fixed | NormUpdate::Running { .. } => explainer.calibrated(train),
        }
    }

    fn layered_filter_loss(&self, explainer: &Explainer, train: &Features) -> LayeredFilterLoss {
        let loss = self.filter_loss(train.shape().target[1]).init(train.device());
        let layers = explainer.interpretable.layers.len();
        LayeredFilterLoss::new(loss, layers, explainer.filters(), self.memory)
    }

    /// [`fit`](Self::fit) with a loss of the caller's on the interpretable track in place of the filter
    /// loss, whose settings then have no effect. Its push is measured and scaled in the same way.
    ///
    /// # Errors
    /// As `fit`.
    ///
    /// # Panics
    /// As `fit`.
    pub fn fit_with<P: Performer>(
        &self,
        loss: &mut dyn InterpretabilityLoss,
        explainer: Explainer,
        performer: &P,
        train: &Features,
        validation: Option<&Features>,
    ) -> Result<Fit, CoreError> {
        if train.len() < 2 {
            return Err(CoreError::TooFew { what: "training rows", expected: 2, found: train.len() });
        }
        assert!(self.batch_size > 0, "FitConfig::batch_size must be at least 1");
        assert!((0.0..=1.0).contains(&self.decay), "FitConfig::decay is {}, not within 0..=1", self.decay);
        self.fit_until(self.epochs, loss, explainer, performer, train, validation)
    }

    /// [`fit_with`](Self::fit_with) up to the end of epoch `last`, as if it were interrupted there.
    fn fit_until<P: Performer>(
        &self,
        last: usize,
        loss: &mut dyn InterpretabilityLoss,
        explainer: Explainer,
        performer: &P,
        train: &Features,
        validation: Option<&Features>,
    ) -> Result<Fit, CoreError> {
        let mut fitting = Fitting::start(self, loss, explainer, performer, train)?;
        let bar = progress_bar((self.epochs * fitting.steps()) as u64, "fit", self.progress);
        bar.set_position((fitting.state.records.len() * fitting.steps()) as u64);
        while fitting.state.records.len() < last {
            fitting = fitting.epoch(performer, validation, &bar)?;
            if let Some(folder) = &self.checkpoints {
                checkpoint::save(
                    folder,
                    &fitting.explainer,
                    &fitting.optimizer,
                    &*fitting.loss,
                    &fitting.state,
                )?;
            }
        }
        bar.finish_and_clear();
        let Fitting { explainer, start, state, mut notes, .. } = fitting;
        // Not in a checkpoint: a fit that goes on for more epochs goes on from the optimiser's weights.
        let refit = match self.task {
            Task::Reconstruction => self.refit,
            Task::Classification(_) => Refit::None,
        };
        if refit != Refit::None {
            notes.extend(explainer.refit_note(performer, train));
        }
        let explainer = explainer.refitted(performer, train, &refit, self.progress)?;
        let without_looking = validation
            .map(|features| Validation::without_looking(&explainer.decoder, train, features))
            .transpose()?;
        let validation = validation.map(|features| explainer.validate(performer, features)).transpose()?;
        Ok(Fit { explainer, start, records: state.records, validation, without_looking, notes })
    }
}

/// Pieces of a parameter that are summed side by side.
const PIECES: usize = 16;

/// A fit under way.
struct Fitting<'a> {
    config: &'a FitConfig,
    train: &'a Features,
    loss: &'a mut dyn InterpretabilityLoss,
    lambdas: Lambdas,
    explainer: Explainer,
    start: InterpretableTrack,
    optimizer: ModuleOptimizer,
    state: State,
    notes: Vec<String>,
}

impl<'a> Fitting<'a> {
    fn start<P: Performer>(
        config: &'a FitConfig,
        loss: &'a mut dyn InterpretabilityLoss,
        explainer: Explainer,
        performer: &P,
        train: &'a Features,
    ) -> Result<Self, CoreError> {
        // Reads all rows: only where there is something to compare it with.
        let setting = match config.checkpoints {
            Some(_) => checkpoint::setting(config, &*loss, &explainer, train),
            None => serde_json::Value::Null,
        };
        let optimizer = adam::optimizer();
        let lambdas = Lambdas::measure(train, &explainer.decoder, config);
        let saved = match &config.checkpoints {
            Some(folder) => checkpoint::resume(folder, &setting, explainer.clone(), optimizer.clone(), loss)?,
            None => None,
        };
        let (windowed, note) = config.windowed(explainer, performer, train);
        let notes: Vec<String> = note.into_iter().collect();
        let start = windowed.interpretable.clone();
        if let Some((explainer, optimizer, state)) = saved {
            checkpoint::within(&state, config)?;
            return Ok(Self { config, train, loss, lambdas, explainer, start, optimizer, state, notes });
        }
        let classes = train.categories().iter().flatten().max().map_or(1, |&most| most + 1);
        let layers = start.layers.iter();
        let categories = layers.map(|_| FilterCategories::new(windowed.filters(), classes)).collect();
        let explainer = config.normed(windowed, train).train();
        let state = State { setting, records: Vec::new(), categories };
        Ok(Self { config, train, loss, lambdas, explainer, start, optimizer, state, notes })
    }

    fn steps(&self) -> usize {
        self.train.len().div_ceil(self.config.batch_size)
    }

    fn epoch<P: Performer>(
        mut self,
        performer: &P,
        validation: Option<&Features>,
        bar: &ProgressBar,
    ) -> Result<Self, CoreError> {
        let started = Instant::now();
        let epoch = self.state.records.len() + 1;
        let mut sum = Terms::default();
        for (step, indices) in self.order(epoch).chunks(self.config.batch_size).enumerate() {
            let done =
                ((epoch - 1) * self.steps() + step) as f64 / (self.config.epochs * self.steps()) as f64;
            let terms;
            (self, terms) = self.step(performer, indices, epoch, done);
            terms.check(&self.lambdas, epoch, step + 1)?;
            sum.add(&terms);
            bar.set_message(format!("error {:.4}", terms.task()));
            bar.inc(1);
        }
        self.state.categories.iter_mut().for_each(FilterCategories::assign);
        let steps = self.steps();
        self.check_weights(epoch)?;
        let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / steps as f64).collect();
        let explainer = self.explainer.valid();
        let validation = validation.map(|features| explainer.validate(performer, features)).transpose()?;
        self.state.records.push(EpochRecord {
            epoch,
            steps,
            reconstruction: mean(sum.reconstruction),
            classification: sum.classification.map(|sum| sum / steps as f64),
            share_loss: sum.share_loss / steps as f64,
            filter_loss: mean(sum.filter_loss),
            push: mean(sum.push),
            share: f64::from(explainer.share()),
            validation,
            seconds: started.elapsed().as_secs_f64(),
        });
        Ok(self)
    }

    /// Stops a fit whose last update left a weight that is not finite.
    fn check_weights(&self, epoch: usize) -> Result<(), CoreError> {
        struct Sums(Vec<f32>);
        impl ModuleVisitor for Sums {
            fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
                // In pieces, for the backends of the CPU sum on one thread.
                let values = parameter.val().inner();
                let (rows, piece) = (values.dims()[0], values.dims()[0].div_ceil(PIECES));
                let pieces = (0..rows).into_par_iter().step_by(piece.max(1));
                let sums = pieces.map(|first| values.clone().narrow(0, first, piece.min(rows - first)).sum());
                self.0.extend(sums.map(|sum| sum.into_scalar::<f32>()).collect::<Vec<_>>());
            }
        }
        let mut sums = Sums(Vec::new());
        self.explainer.visit(&mut sums);
        match sums.0.into_iter().find(|sum| !sum.is_finite()) {
            None => Ok(()),
            Some(value) => {
                let what = "the sum of weights of a layer".to_string();
                Err(CoreError::Diverged { what, epoch, step: self.steps(), value })
            }
        }
    }

    /// The rows in the order of `epoch`, the same whenever the epoch is run.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(epoch as u64);
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut rng);
        order
    }

    /// One step, of which `done` (0..1) of the fit lies before it. The optimiser has the explainer for
    /// itself, so that it can change it in place.
    fn step<P: Performer>(
        mut self,
        performer: &P,
        indices: &[usize],
        epoch: usize,
        done: f64,
    ) -> (Self, Terms) {
        let config = self.config;
        let channels = self.explainer.decoder.target_channels();
        let head = |upper| scores_of(performer, channels, upper);
        let mut stepper = Stepper { config, loss: &mut *self.loss, lambdas: &self.lambdas, head: &head };
        let batch = self.train.batch_for(&self.explainer.decoder, indices);
        let outcome = stepper.step(&self.explainer, batch, &mut self.state.categories, epoch);
        let rates = config.rates.at(done, config.decay).groups();
        let mut explainer = self.optimizer.step(rates, self.explainer, outcome.gradients);
        if let (NormUpdate::Running { momentum }, Some(pooled)) = (config.norm, outcome.pooled) {
            // As α was measured first: on the images with an object, on all where no image has one.
            let categories = self.train.categories();
            let object = |&row: &usize| categories[indices[row]].is_some();
            let rows: Vec<i32> = (0..indices.len()).filter(object).map(|row| row as i32).collect();
            let unlabelled = categories.iter().all(Option::is_none);
            if unlabelled || !rows.is_empty() {
                let [parts, ordinary] = pooled.map(|maps| {
                    let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), &maps.device());
                    channel_mass(if unlabelled { maps } else { maps.select(0, rows) })
                });
                explainer.interpretable_norm = explainer.interpretable_norm.updated(parts, momentum);
                explainer.ordinary_norm = explainer.ordinary_norm.updated(ordinary, momentum);
            }
        }
        (Self { explainer, ..self }, outcome.terms)
    }
}

#[cfg(test)]
mod tests;
