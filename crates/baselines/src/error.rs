//! What can be wrong with activations.

/// Why a dictionary could not be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// There are fewer activation vectors than the method needs.
    #[error("{method} needs at least {expected} activation vectors, found {found}")]
    TooFew {
        /// The method.
        method: &'static str,
        /// The least that works.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An activation or what became of it is NaN or infinite.
    #[error("{what} is {value}")]
    NotFinite {
        /// The quantity.
        what: String,
        /// The value found.
        value: f32,
    },
    /// A method for features behind a ReLU was given a negative one.
    #[error("{method} needs activations that are not negative, found {value}")]
    Negative {
        /// The method.
        method: &'static str,
        /// The smallest activation.
        value: f32,
    },
    /// All activations are the same: there is nothing to learn.
    #[error("{method}: all activation vectors are the same")]
    Constant {
        /// The method.
        method: &'static str,
    },
}
