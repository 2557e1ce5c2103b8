//! What can be wrong with data from outside.

use thiserror::Error;

/// A value that no metric can be computed from.
///
/// The *values* of a network are reported this way: a network that has diverged is no bug of the
/// caller's. The tables of the [evidence](crate::landmark_evidence) figures are checked this way
/// too. Elsewhere, tables that do not fit together (other lengths than announced, an index out of
/// range) panic with both shapes.
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
    /// A list has another length than the data it belongs to.
    #[error("{what}: expected {expected}, found {found}")]
    Length {
        /// What was counted.
        what: &'static str,
        /// The number that fits the other data.
        expected: usize,
        /// The number given.
        found: usize,
    },
    /// The strength or peak of a filter is NaN or infinite.
    #[error("image {image}, filter {filter}: the {what} is {value}; it must be finite")]
    NotFiniteResponse {
        /// Index of the image, in order of pushing.
        image: usize,
        /// Index of the filter.
        filter: usize,
        /// `"strength"`, `"peak's x"` or `"peak's y"`.
        what: &'static str,
        /// The value given.
        value: f64,
    },
    /// Some other number of the input is NaN or infinite, or outside its range.
    #[error("{what} of entry {index} is {value}; expected {expected}")]
    BadValue {
        /// What the number is.
        what: &'static str,
        /// Index of the entry, in the order given.
        index: usize,
        /// The value given.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A photo that is in neither of the two halves.
    #[error("photo {photo} of image {image} is in neither half of the photos")]
    UnknownPhoto {
        /// Index of the image.
        image: usize,
        /// Its source photo.
        photo: usize,
    },
}
