//! What can go wrong while evidence is measured.

use explainer_baselines::BaselineError;
use explainer_core::CoreError;
use explainer_datasets::DatasetError;
use explainer_metrics::MetricsError;

/// Why evidence could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// No image shows a landmark.
    #[error("{dataset}: expected an image of a category with a landmark, found none among {found}")]
    NoImages {
        /// The set's name.
        dataset: String,
        /// The number of its images.
        found: usize,
    },
    /// The set names no landmarks at all.
    #[error("{dataset}: expected a set with landmarks, found one without")]
    NoLandmarks {
        /// The set's name.
        dataset: String,
    },
    /// A setting that cannot be met.
    #[error("{config}::{setting}: expected {expected}, found {found}")]
    Config {
        /// Whose.
        config: &'static str,
        /// The setting's name.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: usize,
    },
    /// Not each category has a class of the performer.
    #[error("classes: expected one of {scores} for each of {categories} categories, found {found:?}")]
    Classes {
        /// The number of categories.
        categories: usize,
        /// The number of the performer's scores.
        scores: usize,
        /// What was found.
        found: Vec<usize>,
    },
    /// An account of other pictures than those it was asked about.
    #[error("{account}: expected an account of {expected} pictures, found one of {found}")]
    Account {
        /// Its name.
        account: String,
        /// Pictures it was asked about.
        expected: usize,
        /// Pictures it spoke of.
        found: usize,
    },
    /// Two probes have one name.
    #[error("probes: expected different names, found {name} twice")]
    SameName {
        /// The name.
        name: String,
    },
    /// Maps of another shape than the probe's first ones.
    #[error("{probe}: expected maps of shape {expected:?}, found {found:?}")]
    Maps {
        /// The probe's name.
        probe: String,
        /// What was expected.
        expected: Vec<usize>,
        /// What it gave.
        found: Vec<usize>,
    },
    /// A regression that has no solution: features that are not finite.
    #[error("the regression of a landmark: expected a positive definite matrix, found a pivot of {pivot}")]
    Singular {
        /// The pivot.
        pivot: f64,
    },
    /// The device did not do what it was told.
    #[error("the device: {found}")]
    Device {
        /// What it says.
        found: String,
    },
    /// An image of the set could not be had, or a landmark lies outside of its image.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The networks could not be run on it.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A map is not finite, or figures could not be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A dictionary could not be fitted.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
}
