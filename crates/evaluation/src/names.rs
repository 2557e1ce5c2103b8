//! Keys of layers and controls in JSON.

/// The channels of the target layer.
pub const TARGET: &str = "target";
/// The channels of the top conv.
pub const TOP_CONV: &str = "top_conv";
/// The explainer's last interpretable layer: its parts.
pub const EXPLAINED: &str = "conv_interp_2";
/// Its filters firing at their places whatever they see there.
pub const PLACES: &str = "places";
/// The explainer before fitting.
pub const UNFITTED: &str = "unfitted";
/// K-means of the target layer.
pub const KMEANS: &str = "kmeans";
/// Detectors that were told where the landmarks are.
pub const CEILING: &str = "ceiling";
/// The published form of the explainer.
pub const PUBLISHED: &str = "published";
/// The parts of an explainer of the same form and a performer with random weights, on that performer's features.
pub const RANDOM_PARTS: &str = "random_parts";
/// The same with the units of the training features shuffled among images.
pub const SHUFFLED_PARTS: &str = "shuffled_parts";
/// The top conv of a performer with random weights.
pub const RANDOM_PERFORMER: &str = "random_performer";
/// The ceiling of the target layer of a performer with random weights.
pub const RANDOM_CEILING: &str = "random_ceiling";
