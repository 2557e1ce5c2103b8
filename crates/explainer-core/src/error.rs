//! What can go wrong outside the caller's control.

use std::path::{Path, PathBuf};

/// An error of someone else's code: of the iterator that yields images, of Burn's records.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of the library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// An image does not have the performer's input size.
    #[error("image {index} has {found} bytes, but the performer's input takes {expected} (8-bit RGB)")]
    ImageSize {
        /// Position among the images given.
        index: usize,
        /// `3 · size²`.
        expected: usize,
        /// What the image has.
        found: usize,
    },
    /// The iterator over images failed.
    #[error("image {index} could not be read")]
    Image {
        /// Position among the images given.
        index: usize,
        /// The reader's own error.
        source: BoxError,
    },
    /// There is nothing to fit or to measure.
    #[error("{what}: expected at least {expected}, found {found}")]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// The least that works.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A [`Performer`](crate::Performer) contradicts itself.
    #[error("the performer is inconsistent: {what} is {found}, expected {expected}")]
    Performer {
        /// The output that is wrong.
        what: String,
        /// What the other outputs demand.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A performer's layers of its blueprint do not lead from its target features to its upper features.
    #[error("the performer's layers do not lead from target to upper features by themselves: {what}")]
    UpperLayers {
        /// What is in the way.
        what: String,
    },
    /// A number is not finite: weights, features, a loss or a gradient.
    #[error("{what} is {value} at epoch {epoch}, step {step}")]
    Diverged {
        /// The quantity and its layer.
        what: String,
        /// Epoch, from 1 (0: before fitting).
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The value found.
        value: f32,
    },
    /// A target feature is larger than half precision holds ([`FeatureConfig::half`](crate::FeatureConfig)).
    #[error(
        "a target feature of row {row} is {value}, and half precision holds {} at most",
        crate::half::LARGEST
    )]
    HalfPrecision {
        /// Position among the rows.
        row: usize,
        /// The feature.
        value: f32,
    },
    /// The least squares of a decoder layer have no solution that `f32` could tell from others.
    #[error("{what}: its ridge regression is singular in f32 (pivot {pivot:e}); a larger ridge helps")]
    Singular {
        /// The layer.
        what: String,
        /// What should have been above 0.
        pivot: f64,
    },
    /// A score or an activation is not a number, so that there is no prediction, or no peak.
    #[error(transparent)]
    Scores(#[from] explainer_metrics::MetricsError),
    /// A file or folder could not be read or written.
    #[error("{}: {doing}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of an explainer could not be read or written, or is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        what: String,
    },
    /// A checkpoint's contents are not what they should be.
    #[error("{}: {what}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        what: String,
    },
    /// Another run writes into the folder, or another part of this one.
    #[error("{}: in use by another run: wait for it, or take another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A [`StopFlag`](crate::StopFlag) was raised.
    #[error("stopped in epoch {epoch}: {}", kept(*epoch, checkpoints.as_deref()))]
    Stopped {
        /// The epoch that was not finished, from 1; one beyond the last if all were.
        epoch: usize,
        /// The folder of checkpoints, if there is one.
        checkpoints: Option<PathBuf>,
    },
}

/// What is left of a fit that was stopped in an epoch.
fn kept(epoch: usize, checkpoints: Option<&Path>) -> String {
    match (checkpoints, epoch - 1) {
        (None, _) => "nothing of it is kept, for it has no folder of checkpoints".to_string(),
        (Some(_), 0) => "none was finished yet".to_string(),
        (Some(folder), done) => {
            let are = if done == 1 { "is" } else { "are" };
            format!("{done} {are} kept in {}, and the same command goes on from there", folder.display())
        }
    }
}

impl CoreError {
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(std::io::Error) -> CoreError {
        let path = path.into();
        move |source| CoreError::Io { path, doing, source }
    }
}
