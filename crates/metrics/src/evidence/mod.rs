//! Evidence: what a filter does when the picture changes and the object stays where it is.
//!
//! Arrays in, figures out. Each file holds one figure or one step towards it.

mod estimate;
mod interventions;
mod landmark;
mod matching;
mod responses;
mod split;
mod terms;

pub use estimate::{Estimate, Figure};
pub use interventions::{EvidenceFigures, LandmarkEvidence, filter_evidence, landmark_evidence};
pub use landmark::{ErasedResponses, HIT_RADIUS, LandmarkImages, LandmarkResponses};
pub use matching::{LandmarkMatching, rank_filters};
pub use responses::{Response, Responses};
pub use split::Halves;
