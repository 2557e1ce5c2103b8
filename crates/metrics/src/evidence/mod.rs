//! Evidence: what a filter does when the picture changes and the object stays where it is.
//!
//! Arrays in, figures out. Each file holds one figure or one step towards it.

mod clustering;
mod crosstalk;
mod deletion;
mod estimate;
mod interventions;
mod keypoints;
mod landmark;
mod matching;
mod presence;
mod purity;
mod residual;
mod responses;
mod split;
mod terms;

pub use clustering::{KeypointClustering, keypoint_clustering, strongest_filter_at};
pub use crosstalk::{crosstalk, selectivity};
pub use deletion::{
    Deletion, DeletionImage, DistractionImage, RELEVANT_DROP, background_independence, deletion,
    distractibility, important_parts,
};
pub use estimate::{Estimate, Figure};
pub use interventions::{
    EvidenceFigures, LandmarkData, LandmarkEvidence, filter_evidence, landmark_evidence,
};
pub use keypoints::{KeypointError, keypoint_regression};
pub use landmark::{ErasedResponses, HIT_RADIUS, LandmarkImages, LandmarkResponses};
pub use matching::{LandmarkMatching, rank_filters};
pub use presence::{PresenceImages, presence_auc};
pub use purity::{PartPurity, part_purity};
pub use residual::{Covariates, ResidualTracking, residual_tracking};
pub use responses::{Response, Responses};
pub use split::Halves;
pub use terms::MatchedFigure;
