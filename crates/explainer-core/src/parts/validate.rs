//! How much the parts carry, and what the performer makes of them alone.

use burn::tensor::Tensor;
use explainer_metrics::{RelativeError, agreement};
use serde::{Deserialize, Serialize};

use super::explainer::PartExplainer;
use crate::features::floats;
use crate::fit::batches;
use crate::{CoreError, Features, Performer};

/// Rows of one pass.
const BATCH: usize = 64;

/// Figures of a [`PartExplainer`] on pictures that it was not fitted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartValidation {
    /// `Σ‖x_l − x*_l‖² / Σ‖x*_l‖²` of each upper layer, from both tracks: rounding.
    pub relative_error: Vec<f64>,
    /// Share of pictures for which the performer decides alike, from both tracks.
    pub agreement: f64,
    /// Share of the mass of the target features that the parts carry, `Σ |x_interp| / Σ |x|`: what lies within two units of a
    /// part's peak, as far as the part is there.
    pub mass_share: f64,
    /// The relative errors of the parts alone, with the mean of the training pictures elsewhere.
    pub error_of_parts: Vec<f64>,
    /// Share of pictures for which the performer decides alike from the parts alone.
    pub agreement_of_parts: f64,
    /// Mean number of parts that are likelier in a picture than not.
    pub present: f64,
}

impl PartExplainer {
    /// The figures on `features`.
    ///
    /// # Errors
    /// [`CoreError::Scores`] if a score is not a number.
    pub fn validate<P: Performer>(
        &self,
        performer: &P,
        features: &Features,
    ) -> Result<PartValidation, CoreError> {
        let shape = features.shape();
        let zeros = || vec![RelativeError::default(); shape.upper.len()];
        let (mut errors, mut errors_of_parts) = (zeros(), zeros());
        let (mut scores, mut own, mut of_parts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut carried, mut all, mut present) = (0.0, 0.0, 0.0);
        for indices in batches(features.len(), BATCH) {
            let batch = features.batch(&indices);
            let tracks = self.tracks(batch.target.clone());
            let mass = |maps: &Tensor<4>| f64::from(maps.clone().abs().sum().into_scalar::<f32>());
            carried += mass(&tracks.interpretable);
            all += mass(&batch.target);
            present += floats(tracks.presence).into_iter().filter(|&presence| presence >= 0.5).count() as f64;
            let whole = performer.forward_from_target(tracks.interpretable + tracks.ordinary);
            let alone = performer.forward_from_target(self.blend(batch.target, tracks.masks.sum_dim(1)));
            for (errors, upper) in [(&mut errors, whole.upper), (&mut errors_of_parts, alone.upper)] {
                for ((error, own), theirs) in errors.iter_mut().zip(upper).zip(&batch.upper) {
                    error.add(&floats(own), &floats(theirs.clone()));
                }
            }
            scores.extend(floats(batch.scores));
            own.extend(floats(whole.scores));
            of_parts.extend(floats(alone.scores));
        }
        let classes = shape.classes;
        Ok(PartValidation {
            relative_error: errors.iter().map(RelativeError::value).collect(),
            agreement: agreement(&own, &scores, classes)?,
            mass_share: carried / all,
            error_of_parts: errors_of_parts.iter().map(RelativeError::value).collect(),
            agreement_of_parts: agreement(&of_parts, &scores, classes)?,
            present: present / features.len() as f64,
        })
    }
}
