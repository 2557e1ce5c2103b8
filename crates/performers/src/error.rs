//! What can go wrong outside the caller's control.

use std::fmt::Write as _;
use std::path::PathBuf;

/// An error in reading, writing or training a performer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerformerError {
    /// The file's extension names no known format.
    #[error("{}: weights are read from .pth, .pt, .safetensors or .mat files", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file's format is known but was left out when the program was built.
    #[error("{}: files of this kind are read with the feature {feature} only", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// The feature of this crate.
        feature: &'static str,
    },
    /// The file is absent, truncated or not what its extension says.
    #[error("{}: cannot read the weights: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// Two things in the file could be meant by one name.
    #[error("{}: {name} is in the file twice, as {} and as {}: remove one", path.display(), keys[0], keys[1])]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// What is twice: a tensor by the network's name for it, or the state dict.
        name: String,
        /// The keys in the file.
        keys: [String; 2],
    },
    /// The file's tensors are not those of the network.
    #[error(
        "{}: not the weights of this {architecture}:{}{}",
        path.display(), describe(missing, unexpected, misshapen), hinted(hints)
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The network's name.
        architecture: &'static str,
        /// Tensors of the network that the file lacks.
        missing: Vec<String>,
        /// Tensors of the file that the network lacks.
        unexpected: Vec<String>,
        /// Tensors of another shape or kind than the network's.
        misshapen: Box<[Misshapen]>,
        /// What may be the reason, and what to do.
        hints: Box<[String]>,
    },
    /// The file says what input its network was trained on, and it is not the one asked for.
    #[error("{}: trained on {found}, but {stated} was asked for", path.display())]
    Preprocessing {
        /// The file.
        path: PathBuf,
        /// What the caller stated.
        stated: String,
        /// What the file says.
        found: String,
    },
    /// A network of MatConvNet is of another architecture, or in a form that is not read.
    #[error("{}: not a {architecture}: {layer}: expected {expected}, found {found}", path.display())]
    Layer {
        /// The file.
        path: PathBuf,
        /// The network's name.
        architecture: &'static str,
        /// The layer.
        layer: String,
        /// What the architecture's table says.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// A MAT file cannot be read.
    #[cfg(feature = "matconvnet")]
    #[error(transparent)]
    Mat(#[from] explainer_datasets::DatasetError),
    /// A weight is NaN or infinite.
    #[error("{}: {tensor} has a NaN or infinite value at position {position}", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// Index of the first such value, in row-major order.
        position: usize,
    },
    /// The preprocessing's images are too small for the network.
    #[error("images of {size}×{size} pixels are too small for {architecture}")]
    InputSize {
        /// The network's name.
        architecture: &'static str,
        /// Side of the images.
        size: usize,
    },
    /// There is no such layer to explain.
    #[error("{architecture} can be explained at layers 0 to {}, not at layer {layer}", layers - 1)]
    Target {
        /// The network's name.
        architecture: &'static str,
        /// The layer that was asked for, from 0.
        layer: usize,
        /// How many can be.
        layers: usize,
    },
    /// The weights cannot be written.
    #[error("{}: cannot write the weights: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the writer found.
        reason: String,
    },
}

/// A tensor of another shape or kind than the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name in the file.
    pub name: String,
    /// The network's shape.
    pub expected: Vec<usize>,
    /// The file's shape.
    pub found: Vec<usize>,
    /// The file's type of number if it is not a floating-point one.
    pub not_float: Option<String>,
}

fn describe(missing: &[String], unexpected: &[String], misshapen: &[Misshapen]) -> String {
    let mut text = String::new();
    for name in missing {
        let _ = write!(text, "\n  missing: {name}");
    }
    for name in unexpected {
        let _ = write!(text, "\n  unexpected: {name}");
    }
    for Misshapen { name, expected, found, not_float } in misshapen {
        let _ = write!(text, "\n  {name}: expected {expected:?}, found {found:?}");
        if let Some(kind) = not_float {
            let _ = write!(text, " of {kind}");
        }
    }
    text
}

fn hinted(hints: &[String]) -> String {
    hints.iter().map(|hint| format!("\n  {hint}")).collect()
}
