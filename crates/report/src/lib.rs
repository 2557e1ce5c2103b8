//! Pictures of a fitted explainer: what its filters see, what a prediction is made of, and whether either may
//! be trusted; and one HTML file of all of it, which needs no server, no network and no other file.
//!
//! # Primary types
//!
//! - [`Report`]: from a fit, its performer and images to the file.
//! - [`Observations`]: what is in it, each picture by itself as an [`image::RgbImage`].
//! - [`Group`]: filters that fire at one place, parts without labels; [`PartNames`]: names for them.
//! - [`AverageField`]: the image-resolution receptive field of a filter; [`Covering`]: how it was found.
//! - [`intervention_picture`]: a photo with a landmark erased and moved, and where peaks go.
//! - [`Check`]: a question the explanation was put to, with its answer in numbers; [`Trust`]: all of them, which
//!   [`Report::trust`] hands out without making pictures, and [`Trust::control_fits`] among them.
//!
//! # Example
//!
//! ```no_run
//! use explainer_core::{Fit, Performer};
//! use explainer_datasets::Dataset;
//! use explainer_report::{Network, Report, ReportError};
//!
//! fn report<P: Performer>(fit: &Fit, performer: &P, dataset: &dyn Dataset) -> Result<(), ReportError> {
//!     Report::new(fit, performer, dataset).write("report.html")?;
//!
//!     // Or picture by picture:
//!     let seen = Report::new(fit, performer, dataset).observe()?;
//!     if let Some(picture) = seen.gallery(Network::Explainer, 17, 128) {
//!         picture.save("filter_17.png")?;
//!     }
//!     for check in seen.checks() {
//!         println!("{} {:?}: {}", check.question, check.verdict, check.found);
//!     }
//!     Ok(())
//! }
//! ```

mod control;
mod covering;
mod draw;
mod error;
mod field;
mod figures;
mod file;
mod groups;
mod interventions;
mod names;
mod observations;
mod observe;
mod page;
mod progress;
mod report;
mod trust;

pub use control::{ControlFigures, ControlPeaks, FitFigures};
pub use covering::Covering;
pub use error::ReportError;
pub use field::AverageField;
pub use figures::{FilterFigures, Row};
pub use groups::{Group, Groups, NearLandmark};
pub use interventions::intervention_picture;
pub use names::PartNames;
pub use observations::{Network, Observations, Part};
pub use observe::{Layer, Seen};
pub use report::{Report, ReportConfig};
pub use trust::{Check, Trust, Verdict};
