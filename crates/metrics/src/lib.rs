//! Metrics for the filters of a convolutional network: do they stand for object parts?
//!
//! Plain arithmetic on arrays; it knows no models and no tensor library. Feature maps go in image
//! by image as slices, annotated landmarks as pixel positions, and figures come out.
//!
//! - [`Peaks`] reduces feature maps to the strongest unit of each filter in each image.
//! - [`ReceptiveField`] projects units to pixels; [`Landmarks`] holds where the parts really are.
//! - [`location_instability`] is the published metric (Zhang et al., *Interpretable Convolutional
//!   Neural Networks*, arXiv:1710.00935), by which explainer networks (arXiv:1805.07468) are
//!   judged too: how constant a filter's distance to each landmark is. [`InstabilityStream`] takes
//!   it in one pass over any number of images.
//! - [`tracking`](tracking()), [`peak_spread`] and [`diversity`](diversity()) say what that figure
//!   hides: whether the peak follows a landmark, whether it moves at all, and whether the filters
//!   of a layer differ.
//! - [`Control`] makes filters that know nothing, to be measured on the same images: one that
//!   always fires at the centre is *more* stable than any network.
//! - [`Categories`] and [`strongest_category`] judge each filter on the category that activates
//!   it most.
//! - [`match_filters`] pairs the filters of two fits one to one ([`best_assignment`]) and says how many come
//!   back, beside [its null](match_filters_null).
//! - [`RelativeError`], [`agreement`] and [`classification_error`] measure reconstructions and
//!   predictions.
//!
//! Positions are `[x, y]` in 0-based pixels of the network's input; units are row and column.
//! Values that cannot be defined are `None`, means over nothing are NaN (`null` in JSON).
//!
//! ```
//! use explainer_metrics::{
//!     Control, InstabilityConfig, Landmarks, Peaks, ReceptiveField, STRONGEST_IMAGES, diversity,
//!     location_instability, peak_spread, tracking, tracking_null,
//! };
//!
//! // A layer of 2 filters on 14×14 units, whose first filter follows the head.
//! let field = ReceptiveField::pixels().then(16, 16, 0);
//! let mut peaks = Peaks::new(2, [14, 14]);
//! let mut landmarks = Landmarks::new(["head"]);
//! for image in 0..60 {
//!     let (row, column) = (image * 5 % 14, image * image % 14);
//!     let mut maps = vec![0.0; 2 * 14 * 14];
//!     maps[row * 14 + column] = 1.0;
//!     maps[14 * 14 + 6 * 14 + 7] = 1.0; // the other one stays in the middle
//!     peaks.push(&maps)?;
//!     landmarks.push([Some([field.pixel(column), field.pixel(row)])]);
//! }
//!
//! let config = InstabilityConfig::new([224, 224]);
//! let instability = location_instability(&peaks, &field, &landmarks, &config);
//! assert_eq!(instability.per_filter[0], Some(0.0));
//!
//! let followed = tracking(&peaks, &landmarks, STRONGEST_IMAGES);
//! let null = tracking_null(&peaks, &landmarks, STRONGEST_IMAGES, 0);
//! assert!(followed.per_filter[0] > Some(0.99));
//! assert_eq!(followed.per_filter[1], Some(0.0));
//! assert!(null.per_filter[0] < Some(0.5));
//!
//! assert_eq!(peak_spread(&peaks, &field, config.diagonal).per_filter[1], 0.0);
//! assert!(diversity(&peaks).mean > 1.9); // two filters, two places
//!
//! for control in Control::all(&peaks, &field, 224, 0) {
//!     let chance = location_instability(&control.peaks, &control.field, &landmarks, &config);
//!     println!("{}: {:.4}", control.name, chance.mean);
//! }
//! # Ok::<(), explainer_metrics::MetricsError>(())
//! ```

mod assignment;
mod control;
mod diversity;
mod eigen;
mod error;
mod instability;
mod landmarks;
mod matching;
mod peaks;
mod prediction;
mod receptive_field;
mod regression;
mod selection;
mod spread;
mod stream;
mod strongest_unit;
mod summary;
mod tracking;

pub use assignment::best_assignment;
pub use control::Control;
pub use diversity::{Diversity, diversity};
pub use eigen::eigenvectors;
pub use error::MetricsError;
pub use instability::{
    InstabilityConfig, LocationInstability, location_instability, location_instability_by_category,
};
pub use landmarks::Landmarks;
pub use matching::{FilterMatch, Matching, MatchingConfig, RETURNED, match_filters, match_filters_null};
pub use peaks::{Peak, Peaks};
pub use prediction::{RelativeError, agreement, classification_error, decisions};
pub use receptive_field::ReceptiveField;
pub use selection::{Categories, STRONGEST_IMAGES, strongest_category};
pub use spread::{PeakSpread, landmark_spread, peak_spread};
pub use stream::InstabilityStream;
pub use summary::Summary;
pub use tracking::{Tracking, tracking, tracking_by_category, tracking_null, tracking_null_by_category};
