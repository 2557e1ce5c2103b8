//! What can be wrong with data from outside.

use thiserror::Error;

/// A value that no metric can be computed from.
///
/// Only the *values* of a network are reported this way: a network that has diverged is no bug of
/// the caller's. Tables that do not fit together (other lengths than announced, an index out of
/// range) are, and panic with both shapes.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A feature map holds NaN or an infinity.
    #[error(
        "image {image}, filter {filter}: activation {value} at row {row}, column {column}; \
         a peak needs finite activations"
    )]
    NotFinite {
        /// Index of the image in the table, in order of pushing.
        image: usize,
        /// Index of the filter.
        filter: usize,
        /// Row of the first such unit.
        row: usize,
        /// Column of the first such unit.
        column: usize,
        /// The value found there.
        value: f32,
    },
    /// A prediction score is NaN, so that no class is the strongest.
    #[error("image {image}: the score of class {class} is NaN")]
    NanScore {
        /// Index of the image (row of the scores).
        image: usize,
        /// Index of the class (column of the scores).
        class: usize,
    },
}
