//! Does the reconstruction hold, and do the predictions agree?

use crate::MetricsError;

/// Relative squared error, accumulated over batches:
///
/// `Σ ‖x − x*‖² / Σ ‖x*‖²`
///
/// over all images of all batches, both sums taken in `f64` before dividing. So large features
/// weigh more than small ones, and the size of the batches does not matter. 0 is a perfect
/// reconstruction, 1 is what x = 0 gives.
///
/// ```
/// use explainer_metrics::RelativeError;
///
/// let mut error = RelativeError::default();
/// error.add(&[1.0, 2.0], &[1.0, 0.0]); // ‖x − x*‖² = 4, ‖x*‖² = 1
/// error.add(&[0.0, 4.0], &[0.0, 3.0]); // 1 and 9
/// assert_eq!(error.value(), 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RelativeError {
    residual: f64,
    target: f64,
}

impl RelativeError {
    /// Adds a batch: features `x` and their targets x*, of any shape but the same.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn add(&mut self, x: &[f32], target: &[f32]) {
        assert_eq!(x.len(), target.len(), "features of {} values, targets of {}", x.len(), target.len());
        for (&x, &target) in x.iter().zip(target) {
            let (x, target) = (f64::from(x), f64::from(target));
            self.residual += (x - target).powi(2);
            self.target += target.powi(2);
        }
    }

    /// The error so far. NaN before the first batch and where a feature is NaN; infinite where
    /// all targets are zero but the features are not.
    pub fn value(&self) -> f64 {
        self.residual / self.target
    }
}

/// Share of the images on which two sets of scores decide for the same class.
///
/// # Shapes
///
/// Both `[images, classes]`, row-major. The decision is the class with the largest score, of
/// equal ones the lowest. A single score per image (`classes = 1`, a logistic performer) decides
/// by its sign: class 1 above 0, else class 0.
///
/// Without images the share is NaN.
///
/// # Errors
///
/// [`MetricsError::NanScore`] names the first score that is NaN.
///
/// # Panics
///
/// If the lengths differ or are no multiple of `classes`, or `classes` is zero.
pub fn agreement(scores_a: &[f32], scores_b: &[f32], classes: usize) -> Result<f64, MetricsError> {
    assert_eq!(scores_a.len(), scores_b.len(), "scores of {} and {} values", scores_a.len(), scores_b.len());
    let (a, b) = (decisions(scores_a, classes)?, decisions(scores_b, classes)?);
    Ok(share(a.iter().zip(&b).map(|(a, b)| a == b)))
}

/// Share of the images for which the scores decide for another class than the label.
///
/// # Shapes
///
/// `scores` is `[images, classes]`, row-major, and `labels` is `[images]`; the number of classes
/// follows from the lengths. Decisions are those of [`agreement`]: with a single score per image,
/// labels are 1 (positive) and 0 (negative).
///
/// Without images the share is NaN.
///
/// # Errors
///
/// [`MetricsError::NanScore`] names the first score that is NaN.
///
/// # Panics
///
/// If there are no labels but scores, if the scores do not divide into as many rows as there are
/// labels, or if a label is no class.
pub fn classification_error(scores: &[f32], labels: &[usize]) -> Result<f64, MetricsError> {
    if scores.is_empty() && labels.is_empty() {
        return Ok(f64::NAN);
    }
    assert!(
        !labels.is_empty() && !scores.is_empty() && scores.len().is_multiple_of(labels.len()),
        "{} scores for {} labels: not the same number for each",
        scores.len(),
        labels.len()
    );
    let classes = scores.len() / labels.len();
    let known = classes.max(2);
    if let Some((image, label)) = labels.iter().enumerate().find(|&(_, &label)| label >= known) {
        panic!("image {image}: label {label} is none of the {known} classes");
    }
    let decisions = decisions(scores, classes)?;
    Ok(share(decisions.iter().zip(labels).map(|(d, l)| d != l)))
}

/// The class for which each image's scores decide, as [`agreement`] has it.
///
/// # Shapes
///
/// `scores` is `[images, classes]`, row-major.
///
/// # Errors
///
/// [`MetricsError::NanScore`] names the first score that is NaN.
///
/// # Panics
///
/// If the scores are no multiple of `classes`, or `classes` is zero.
pub fn decisions(scores: &[f32], classes: usize) -> Result<Vec<usize>, MetricsError> {
    assert!(
        classes > 0 && scores.len().is_multiple_of(classes),
        "{} scores do not divide into rows of {classes} classes",
        scores.len()
    );
    let decision = |(image, row): (usize, &[f32])| {
        if let Some(class) = row.iter().position(|score| score.is_nan()) {
            return Err(MetricsError::NanScore { image, class });
        }
        if let [score] = row {
            return Ok(usize::from(*score > 0.0));
        }
        let mut best = 0;
        for (class, &score) in row.iter().enumerate() {
            if score > row[best] {
                best = class;
            }
        }
        Ok(best)
    };
    scores.chunks_exact(classes).enumerate().map(decision).collect()
}

/// Share of `true`; NaN of nothing.
fn share(outcomes: impl Iterator<Item = bool>) -> f64 {
    crate::summary::mean(outcomes.map(f64::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_errors() {
        let of = |x: &[f32], target: &[f32]| {
            let mut error = RelativeError::default();
            error.add(x, target);
            error.value()
        };
        assert_eq!(of(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        assert_eq!(of(&[0.0, 0.0], &[3.0, 4.0]), 1.0);
        assert_eq!(of(&[3.0, 3.0], &[3.0, 4.0]), 1.0 / 25.0);
        assert!(RelativeError::default().value().is_nan());
        assert!(of(&[f32::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn agreement_and_error() {
        let a = [0.1, 0.9, 0.0, /**/ 5.0, 5.0, 1.0, /**/ 0.0, 1.0, 2.0];
        let b = [0.0, 2.0, 1.0, /**/ 1.0, 2.0, 0.0, /**/ -3.0, -2.0, -1.0];
        // Decisions 1, 0 (tie), 2 against 1, 1, 2.
        assert_eq!(agreement(&a, &b, 3).unwrap(), 2.0 / 3.0);
        assert_eq!(classification_error(&a, &[1, 1, 0]).unwrap(), 2.0 / 3.0);
        assert_eq!(classification_error(&b, &[1, 1, 2]).unwrap(), 0.0);
    }

    #[test]
    fn a_single_score_decides_by_its_sign() {
        assert_eq!(agreement(&[2.0, -1.0], &[0.5, 1.0], 1).unwrap(), 0.5);
        assert_eq!(classification_error(&[2.0, -1.0, 0.0, 3.0], &[1, 0, 0, 0]).unwrap(), 0.25);
    }

    #[test]
    fn nan_scores_are_named() {
        assert_eq!(
            agreement(&[0.0; 4], &[0.0, 1.0, 2.0, f32::NAN], 2),
            Err(MetricsError::NanScore { image: 1, class: 1 })
        );
        assert!(agreement(&[], &[], 2).unwrap().is_nan());
        assert!(classification_error(&[], &[]).unwrap().is_nan());
    }

    #[test]
    #[should_panic(expected = "label 3 is none of the 2 classes")]
    fn labels_are_classes() {
        let _ = classification_error(&[0.0; 4], &[0, 3]);
    }
}
