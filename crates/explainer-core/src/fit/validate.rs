//! How well an explainer stands in for the performer.

use explainer_metrics::{RelativeError, agreement};

use super::record::Validation;
use super::step::batches;
use crate::features::{Features, floats};
use crate::{CoreError, Explainer, Performer};

/// Rows of one pass.
const BATCH: usize = 64;

impl Explainer {
    /// Relative reconstruction errors and the head's agreement on `features`.
    ///
    /// # Errors
    /// [`CoreError::Scores`] if a score is not a number.
    pub fn validate<P: Performer>(
        &self,
        performer: &P,
        features: &Features,
    ) -> Result<Validation, CoreError> {
        let mut errors = vec![RelativeError::default(); features.shape().upper.len()];
        let (mut own_scores, mut scores) = (Vec::new(), Vec::new());
        for indices in batches(features.len(), BATCH) {
            let batch = features.batch(&indices);
            let upper = self.forward(batch.target).upper;
            let last = upper.last().expect("there is a decoder layer").clone();
            own_scores.extend(floats(performer.head(last)));
            scores.extend(floats(batch.scores));
            for (error, (own, theirs)) in errors.iter_mut().zip(upper.into_iter().zip(batch.upper)) {
                error.add(&floats(own), &floats(theirs));
            }
        }
        Ok(Validation {
            relative_error: errors.iter().map(RelativeError::value).collect(),
            agreement: agreement(&own_scores, &scores, features.shape().classes)?,
        })
    }
}
