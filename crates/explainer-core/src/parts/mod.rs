//! Parts by evidence: detectors of parts at the target layer, and the explainer that is made of them.

mod attribution;
mod clusters;
mod detectors;
mod embedding;
mod explain;
mod explainer;
mod file;
mod fit;
mod network;
mod peaks;
#[cfg(test)]
mod testing;
mod validate;

pub use detectors::PartDetectors;
pub use embedding::Embedding;
pub use explain::{FoundPart, PartExplanation};
pub use explainer::{PartExplainer, PartTracks};
pub use fit::{PartFit, PartFitConfig};
pub use validate::PartValidation;
