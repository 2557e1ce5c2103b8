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
//! - [`landmark_evidence`] asks what a position cannot win: what a filter does when the landmark is
//!   erased or transplanted and the object stays ([`LandmarkImages`], [`LandmarkResponses`]).
//!   Filters are [matched](LandmarkMatching) to the landmark on one [half](Halves) of the photographs
//!   and measured on the other. Every [`Figure`] has a standard error over photographs, and so has
//!   the [difference](Figure::difference) of two on the same photographs.
//! - [`residual_tracking`], [`presence_auc`], [`crosstalk`] and [`selectivity`] go with it;
//!   [`deletion`](deletion()), [`background_independence`] and [`distractibility`] judge the
//!   contributions to a prediction; [`keypoint_regression`], [`keypoint_clustering`] and
//!   [`part_purity`] are the field's own figures.
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
//!
//! Does a filter follow the evidence, or only its place on the object?
//!
//! ```
//! use explainer_metrics::{
//!     Halves, LandmarkImages, LandmarkMatching, LandmarkResponses, Responses, landmark_evidence,
//! };
//!
//! // Heads at x = 50, transplanted to x = 150. The first filter goes with them, the second stays.
//! let photos: Vec<usize> = (0..20).collect();
//! let images = LandmarkImages::new(vec![[50.0, 80.0]; 20], photos.clone(), 316.8)?
//!     .with_pasted(vec![[150.0, 80.0]; 20])?;
//! let (mut original, mut transplanted) = (Responses::new(2), Responses::new(2));
//! for _ in 0..20 {
//!     original.push(&[1.0, 1.0], &[[50.0, 80.0], [50.0, 85.0]])?;
//!     transplanted.push(&[1.0, 1.0], &[[150.0, 80.0], [50.0, 85.0]])?;
//! }
//! let halves = Halves::new(&photos, 0);
//! let gain_of = |filter: usize| {
//!     let responses = LandmarkResponses::new(original.select_filters(&[filter]))
//!         .with_transplanted(transplanted.select_filters(&[filter]));
//!     let matching = LandmarkMatching::new(&images, &responses.original, &halves)?;
//!     let gain = landmark_evidence(&images, &responses, &matching)?.best.gain;
//!     Ok::<_, explainer_metrics::MetricsError>(gain.expect("twenty photographs are enough"))
//! };
//! let (follows, stays) = (gain_of(0)?, gain_of(1)?);
//! assert_eq!((follows.value(), stays.value()), (1.0, 0.0));
//! assert!(follows.difference(&stays).exceeds_zero());
//! # Ok::<(), explainer_metrics::MetricsError>(())
//! ```

mod assignment;
mod control;
mod diversity;
mod eigen;
mod error;
mod evidence;
mod instability;
mod landmarks;
mod least_squares;
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
pub use evidence::{
    Covariates, Deletion, DeletionImage, DistractionImage, ErasedResponses, Estimate, EvidenceFigures,
    Figure, HIT_RADIUS, Halves, KeypointClustering, KeypointError, LandmarkData, LandmarkEvidence,
    LandmarkImages, LandmarkMatching, LandmarkResponses, MatchedFigure, PartPurity, PresenceImages,
    RELEVANT_DROP, ResidualTracking, Response, Responses, background_independence, crosstalk, deletion,
    distractibility, filter_evidence, important_parts, keypoint_clustering, keypoint_regression,
    landmark_evidence, part_purity, presence_auc, rank_filters, residual_tracking, selectivity,
    strongest_filter_at,
};
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
