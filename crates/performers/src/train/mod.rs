//! Training performers, from scratch or from loaded weights, as classifiers.
//!
//! [`TrainConfig::fit`] trains any [`Trainable`] network: those of this crate, and your own Burn module that
//! implements [`Performer`](explainer_core::Performer). It takes labelled images from [`Examples`],
//! validates after every epoch, keeps checkpoints and goes on from them.
//!
//! - **Single-category** performers tell one category from negatives: one score, [`Objective::Logistic`].
//! - **Multi-category** ones tell categories apart: [`Objective::Softmax`], or the logistic loss of each
//!   class by itself, with negatives or without.
//! - **From scratch** each convolution trains with a batch-norm behind it, without which a VGG-16 hardly
//!   starts to learn; afterwards the batch-norms are folded into the convolutions, so that the trained
//!   network is a plain one ([`Norms::WhileTraining`]).
//! - **Attributes** of the images, such as the shapes of parts, can be learned beside the classes by heads that are
//!   thrown away ([`TrainConfig::attributes`]): where classes alone give no gradient to start from.
//! - **Fine-tuning** starts from [`ConvNet::load`](crate::ConvNet::load), with a new
//!   [`Head`](crate::Head) for other classes, and [`TrainConfig::fine_tuning`].

mod attributes;
mod batch;
mod checkpoint;
mod config;
mod epoch;
mod error;
mod objective;
mod trainable;

pub use attributes::Attribute;
pub use batch::Examples;
pub use config::{Norms, Optimizer, Schedule, TrainConfig};
pub use epoch::{EpochRecord, validation_error};
pub use error::{SourceError, TrainError};
pub use objective::Objective;
pub use trainable::{Dropout, Trainable};

#[cfg(test)]
mod tests;
