//! How well an explainer stands in for the performer.

use explainer_metrics::{InstabilityConfig, Peaks, RelativeError, agreement, location_instability};

use super::record::Validation;
use super::step::batches;
use crate::features::{Features, floats};
use crate::{CoreError, Encoding, Explainer, Performer};

/// Rows of one pass.
const BATCH: usize = 64;

impl Explainer {
    /// Relative reconstruction errors and the head's agreement on `features`; and the location instability of
    /// the last interpretable conv-layer, if they have landmarks.
    ///
    /// # Errors
    /// [`CoreError::Scores`] if a score or an activation is not a number.
    pub fn validate<P: Performer>(
        &self,
        performer: &P,
        features: &Features,
    ) -> Result<Validation, CoreError> {
        let mut errors = vec![RelativeError::default(); features.shape().upper.len()];
        let (mut own_scores, mut scores) = (Vec::new(), Vec::new());
        let mut peaks = None;
        for indices in batches(features.len(), BATCH) {
            let batch = features.batch(&indices);
            let Encoding { mut interpretable, upper, .. } = self.forward(batch.target);
            if features.landmarks().is_some() {
                let maps = interpretable.pop().expect("there is an interpretable layer");
                let [_, filters, height, width] = maps.dims();
                let peaks = peaks.get_or_insert_with(|| Peaks::new(filters, [height, width]));
                peaks.push_batch(&floats(maps))?;
            }
            let last = upper.last().expect("there is a decoder layer").clone();
            own_scores.extend(floats(performer.head(last)));
            scores.extend(floats(batch.scores));
            for (error, (own, theirs)) in errors.iter_mut().zip(upper.into_iter().zip(batch.upper)) {
                error.add(&floats(own), &floats(theirs));
            }
        }
        let side = performer.preprocessing().size;
        let instability = peaks.as_ref().zip(features.landmarks()).map(|(peaks, landmarks)| {
            let (field, config) = (performer.target_field(), InstabilityConfig::new([side, side]));
            location_instability(peaks, &field, landmarks, &config).mean
        });
        Ok(Validation {
            relative_error: errors.iter().map(RelativeError::value).collect(),
            agreement: agreement(&own_scores, &scores, features.shape().classes)?,
            instability: instability.filter(|mean| mean.is_finite()),
        })
    }
}
