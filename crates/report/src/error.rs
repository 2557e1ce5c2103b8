//! What can go wrong between a fit and its report.

use std::path::PathBuf;

use explainer_core::{ControlFit, CoreError};
use explainer_datasets::DatasetError;
use explainer_metrics::MetricsError;

/// Why a report could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There is nothing to look at.
    #[error("{dataset}: expected an image with an object, found none among {found}")]
    NoImages {
        /// The set's name.
        dataset: String,
        /// The number of its images.
        found: usize,
    },
    /// A setting that cannot be met.
    #[error("ReportConfig::{setting}: expected {expected}, found {found}")]
    Config {
        /// The setting's name.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: usize,
    },
    /// A file of names is not what it should be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// What it should have.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A control fit was seen on other images than the fit itself.
    #[error("control fit {}: expected peaks in {expected}, found {found}", control.name())]
    Control {
        /// Which one.
        control: ControlFit,
        /// Images and units of the fit itself.
        expected: String,
        /// Those of the control.
        found: String,
    },
    /// A file could not be read or written.
    #[error("{}: {doing}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// An image of the set could not be had.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The networks could not be run on it.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A map is not finite.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A picture could not be encoded.
    #[error("a picture could not be encoded")]
    Picture(#[from] image::ImageError),
    /// A setting could not be written as text.
    #[error("a setting could not be written as text")]
    Settings(#[from] serde_json::Error),
}
