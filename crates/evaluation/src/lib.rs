//! Do detectors of object parts follow evidence, or only the position of the object? Interventions on images, and the
//! controls that every figure is compared with.
//!
//! A detector that is at the head of an animal may have found the head, or a place on the animal. The two are told
//! apart by changing the picture: the head is erased, a control place is erased, the head is moved. A detector of
//! heads is weaker without a head and follows one that moves; a place is neither. Photographs are painted over; a set
//! that [draws its images](explainer_datasets::Rendered) draws them again, and nothing else in them changes.
//!
//! - [`Probe`]: a set of detectors, of whatever makes maps of a performer's features; [`of_network`],
//!   [`of_dictionary`] and [`from_fn`] make them, [`Probes`] names them.
//! - [`EvidenceConfig`]: how much is looked at; its [`measure`](EvidenceConfig::measure) makes one pass over the images
//!   and their interventions for all probes.
//! - [`Evidence`]: the figures by layer or control and by landmark, with standard errors over source photographs.
//! - [`DeletionConfig`]: do the contributions to a prediction ([`Account`]) name the parts whose removal matters? Asked of
//!   sets that draw their images, without each part.
//! - [`verdict`]: do parts follow a landmark beyond every control, and does the layer hold it at all?
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use explainer_core::{Explainer, Performer};
//! use explainer_datasets::{Dataset, Prefetch};
//! use explainer_evaluation::{EvaluationError, EvidenceConfig, Probes, names, of_explainer};
//!
//! fn follows<P: Performer>(
//!     explainer: &Explainer,
//!     performer: &P,
//!     dataset: &dyn Dataset,
//!     device: &Device,
//! ) -> Result<(), EvaluationError> {
//!     let probes = Probes::new().with(names::EXPLAINED, of_explainer(explainer, performer));
//!     let evidence = EvidenceConfig::new().measure(performer, dataset, &probes, Prefetch::new(), device)?;
//!     for (landmark, name) in evidence.landmarks.iter().enumerate() {
//!         let gain = evidence.margin([names::EXPLAINED, names::TOP_CONV], landmark, |figures| figures.gain.as_ref());
//!         if let Some(gain) = gain {
//!             println!("{name}: gain above the channels' {:.2} ± {:.2}", gain.value, gain.standard_error);
//!         }
//!     }
//!     Ok(())
//! }
//! ```

mod account;
mod ceiling;
mod config;
mod deletion;
mod error;
mod evidence;
mod kmeans;
mod layer;
mod measure;
pub mod names;
mod originals;
mod pass;
mod pictures;
mod position;
mod probe;
mod progress;
mod scene;
mod side;
mod table;
mod tensors;
pub mod verdict;

pub use account::{Account, Accounts, Given};
pub use config::EvidenceConfig;
pub use deletion::DeletionConfig;
pub use error::EvaluationError;
pub use evidence::{Deletion, Evidence, Example, Figures, LandmarkFigures, LayerEvidence};
pub use layer::Trace;
pub use pass::Took;
pub use probe::{Probe, Probes, Reading, from_fn, of_dictionary, of_explainer, of_network, of_track};
pub use table::Table;
