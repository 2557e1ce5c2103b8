//! Keys of layers and controls in JSON.

/// The channels of the target layer.
pub const TARGET: &str = "target";
/// The channels of the top conv.
pub const TOP_CONV: &str = "top_conv";
/// The explainer's last interpretable layer.
pub const EXPLAINED: &str = "conv_interp_2";
/// Its filters firing at their places whatever they see there.
pub const PLACES: &str = "places";
/// The explainer before fitting.
pub const UNFITTED: &str = "unfitted";
/// K-means of the target layer.
pub const KMEANS: &str = "kmeans";
/// Detectors of parts by evidence.
pub const PART_DETECTORS: &str = "part_detectors";
/// The clusters where they start.
pub const PART_DETECTORS_START: &str = "part_detectors_start";
/// Detectors that were told where the landmarks are.
pub const CEILING: &str = "ceiling";
/// The published form of the explainer.
pub const PUBLISHED: &str = "published";
/// The top conv of a performer with random weights.
pub const RANDOM_PERFORMER: &str = "random_performer";
/// The ceiling of the target layer of a performer with random weights.
pub const RANDOM_CEILING: &str = "random_ceiling";
