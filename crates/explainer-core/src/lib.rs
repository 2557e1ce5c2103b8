//! Explainer networks for CNNs, on [Burn](https://burn.dev).
//!
//! A *performer* is a trained, frozen CNN. An *explainer* reads the features of one of its middle layers, re-expresses
//! them as features of object parts, and reconstructs the performer's upper features from them. It is fitted without
//! labels of parts.
//!
//! - [`Performer`]: what a network of yours has to show.
//! - [`Features`]: what the performer makes of your images, computed once.
//! - [`PartFitConfig`], [`PartFit`], [`PartExplainer`]: the default. Its parts are detectors that follow their evidence:
//!   where a part is moved in the image they go along, and where it is erased they fall silent.
//! - [`PartExplanation`]: the parts of one image and what each gave to the score.
//! - [`ExplainerConfig`], [`FitConfig`], [`Explainer`], [`Fit`]: the published form (arXiv:1805.07468), which is trained
//!   by the filter loss, with records, checkpoints and resume.
//! - [`ExplainerNetwork`]: what both can say; evaluation and reports ask for nothing else.
//! - [`ControlFits`]: a trained form with one thing changed, by which to tell what it owes to what.
//! - [`occlusion`]: how far each filter falls as pieces of an image are covered; [`performer_grad_cam`]: where a score
//!   comes from.
//! - [`UpperLayers`]: what the performer makes of target features that something else has reconstructed.
//!
//! Burn 0.22 has no backend type parameter: a `&Device` decides at run time, and this crate picks none.
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use explainer_core::{
//!     CoreError, FeatureConfig, Features, LabelledImage, PartExplanation, PartFitConfig, Performer,
//! };
//!
//! /// Explains the first of some decoded images, with all of them to fit on.
//! fn explain<P: Performer>(
//!     performer: &P,
//!     images: &[LabelledImage],
//!     device: &Device,
//! ) -> Result<PartExplanation, CoreError> {
//!     let readable = images.iter().cloned().map(Ok::<_, CoreError>);
//!     let features = Features::extract(performer, readable, &FeatureConfig::of_parts(), device)?;
//!     let fit = PartFitConfig::new().fit(performer, &features, None)?;
//!     fit.explainer.explain(performer, &images[0].pixels)
//! }
//! ```

mod activation;
mod anchor;
mod calibrate;
mod checkpoints;
mod cholesky;
mod contributions;
mod control_fits;
mod conv;
mod decoder;
mod error;
mod explain;
mod explainer;
mod features;
mod file;
mod fit;
mod grad_cam;
mod half;
mod init;
#[cfg(test)]
mod kinds;
mod lock;
mod masking;
mod memory;
mod network;
mod norm;
mod number;
mod numerics;
mod occlusion;
#[cfg(test)]
mod oracle;
mod parts;
mod performer;
mod pooling;
mod preprocessing;
mod product;
mod progress;
mod refit;
mod regression;
mod relevance;
mod start;
mod stop;
mod store;
#[cfg(test)]
mod testing;
mod track;
mod upper;
mod views;

pub use activation::{Activation, Activations};
pub use checkpoints::{Checkpoints, checksum};
pub use contributions::Contributions;
pub use control_fits::{ControlFit, ControlFits};
pub use conv::{conv_step, convolve, convolve_relu};
pub use decoder::{Decoder, Reconstructed};
pub use error::{BoxError, CoreError};
pub use explain::{Explanation, Part, decide_alike};
pub use explainer::{Encoding, Explainer, ExplainerConfig};
pub use features::{FeatureBatch, FeatureConfig, Features, LabelledImage};
pub use fit::{
    EpochRecord, Fit, FitConfig, InterpretabilityLoss, Labels, LearningRates, LossMaps, LossWeights,
    NormUpdate, Push, PushSchedule, ReconstructionWeight, Refit, Task, Validation,
};
pub use grad_cam::{PerformerLayer, performer_grad_cam};
pub use lock::{FolderLock, sync_folder};
pub use masking::{MaskLayer, Masking, Windowing};
pub use network::{ExplainerNetwork, Fitted};
pub use norm::ScaleNorm;
pub use numerics::NUMERICS_VERSION;
pub use occlusion::{Occlusion, OcclusionConfig, occlusion};
pub use parts::{
    Embedding, FoundPart, PartDetectors, PartExplainer, PartExplanation, PartFit, PartFitConfig, PartTracks,
    PartValidation,
};
pub use performer::{Blueprint, Performer, Tapped, TopLayer, UpperTaps};
pub use pooling::{PoolKind, PoolPosition, Pooling, Rounding};
pub use preprocessing::{ChannelOrder, IMAGENET_MEAN, IMAGENET_STD, MeanImage, Preprocessing};
pub use start::{Share, Start};
pub use stop::StopFlag;
pub use track::{InterpretableLayer, InterpretableTrack, OrdinaryTrack, Position, TrackReading};
pub use upper::UpperLayers;
pub use views::{mirrored, random_crop};
