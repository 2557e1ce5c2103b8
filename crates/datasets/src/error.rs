//! What can go wrong between a folder on disk and a sample in memory.

use std::path::{Path, PathBuf};

use crate::InterventionError;

/// Why a dataset could not be opened, or a sample not be had.
///
/// Every variant says where (a file, or the set's name), what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The system refused to read a file or a folder.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system refused to write a file or a folder.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A picture could not be decoded, or exceeds the limits on its size.
    #[error("{}: expected a picture within the limits: {source}", path.display())]
    Image {
        /// The picture's file.
        path: PathBuf,
        /// The decoder's answer.
        source: image::ImageError,
    },
    /// The bytes do not make up a file of the format they should.
    #[error("{}: at {at}: expected {expected}, found {found}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The place in it: a byte offset, an object or a field.
        at: String,
        /// What the format asks for.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The file is sound but a value in it is missing, of another kind or makes no sense.
    #[error("{}: {field}: expected {expected}, found {found}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The value, written as one would in MATLAB, indices from 1.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Two files of one set, or a file and what was asked of the set, do not agree in number.
    #[error("{}: {what}: expected {expected}, found {found}", path.display())]
    Count {
        /// The file or folder.
        path: PathBuf,
        /// What was counted.
        what: String,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A setting that cannot be met.
    #[error("{setting}: expected {expected}, found {found}")]
    Config {
        /// The setting's name.
        setting: &'static str,
        /// What it may be.
        expected: String,
        /// What it was.
        found: String,
    },
    /// A sample was asked for that the set does not have.
    #[error("{dataset}: expected an index below {len}, found {index}")]
    Index {
        /// The set's name.
        dataset: String,
        /// The number of samples in it.
        len: usize,
        /// The index asked for.
        index: usize,
    },
    /// The evidence in a sample cannot be changed.
    #[error("{sample}: {source}")]
    Intervention {
        /// The sample's id.
        sample: String,
        /// What is wrong with it.
        source: InterventionError,
    },
}

impl DatasetError {
    /// What kind of error it is, in a few words, for counting ([`Report`](crate::Report)).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "cannot be read",
            Self::Write { .. } => "cannot be written",
            Self::Image { .. } => "no sound picture",
            Self::Format { .. } => "not in the expected format",
            Self::Value { .. } => "of a value that makes no sense",
            Self::Count { .. } => "of another number than expected",
            Self::Config { .. } => "of a setting that cannot be met",
            Self::Index { .. } => "beyond the end",
            Self::Intervention { .. } => "of a picture or landmark that cannot be intervened on",
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn value(
        path: &Path,
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (field, expected, found) = (field.into(), expected.into(), found.into());
        Self::Value { path: path.to_owned(), field, expected, found }
    }

    pub(crate) fn config(
        setting: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Config { setting, expected: expected.into(), found: found.into() }
    }

    pub(crate) fn format(
        path: &Path,
        at: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Format { path: path.to_owned(), at: at.into(), expected: expected.into(), found: found.into() }
    }
}
