//! What can go wrong in training.

use std::path::PathBuf;

use super::Attribute;
use explainer_core::CoreError;

/// An error of an example's source.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// An error in training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss became NaN or infinite: the learning rate is too high, or an input is.
    #[error("training diverged in epoch {epoch} at step {step}: the loss is {loss}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The step within the epoch, from 1.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// An example could not be had.
    #[error("example {index}: {source}")]
    Example {
        /// Its index.
        index: usize,
        /// Why.
        source: SourceError,
    },
    /// An example's label is not a class of the network.
    #[error("example {index} has label {label}, but the network has {classes} classes")]
    Label {
        /// Its index.
        index: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// An example is of no class, and the objective gives every one a class.
    #[error("example {index} is of no class: the softmax needs one for each, the logistic loss does not")]
    Unlabelled {
        /// Its index.
        index: usize,
    },
    /// An example's attributes are not those of the training.
    #[error("example {index} has attributes {found:?}, but the training has {values:?} values of each")]
    Attributes {
        /// Its index.
        index: usize,
        /// Its attributes.
        found: Vec<Option<Attribute>>,
        /// The number of values of each.
        values: Vec<usize>,
    },
    /// An example's image does not have the network's input size, or a folder of checkpoints cannot be used.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// There is nothing to train on, or to validate on.
    #[error("no examples of {0}")]
    Empty(&'static str),
    /// A checkpoint cannot be written or read, or is another training's.
    #[error("{}: {what}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found, or what the system said.
        what: String,
    },
}
