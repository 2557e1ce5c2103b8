//! Weights from files, every tensor and every shape checked.

mod convnet;
mod efficientnet;
mod file;
mod layout;
#[cfg(feature = "matconvnet")]
mod matconvnet;
mod resnet;
mod save;

use std::path::PathBuf;

use explainer_core::Preprocessing;

/// Where a network's weights come from, and what is asked of them.
#[derive(Clone, Debug)]
pub struct Weights {
    path: PathBuf,
    preprocessing: Option<Preprocessing>,
    head: Option<Head>,
}

impl Weights {
    /// A file, by its extension: a state dict of PyTorch (`.pth`, `.pt`, `.safetensors`), or a network of
    /// MatConvNet (`.mat`, with the feature `matconvnet`).
    ///
    /// The preprocessing is the file's, where it says what it is (MatConvNet's do, and those that this
    /// library saved), else that of the published network.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), preprocessing: None, head: None }
    }

    /// States the input that the weights were trained on. A file that says otherwise is refused.
    pub fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = Some(preprocessing);
        self
    }

    /// Puts a new head in place of the file's: see [`Head`].
    pub fn with_head(mut self, head: Head) -> Self {
        self.head = Some(head);
        self
    }
}

/// A new head with random weights, for other classes than those of the file, to be trained.
///
/// Without one the number of classes is the file's. With one the file's head is not looked at: it may have
/// any shape, or be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub(crate) classes: usize,
    pub(crate) hidden: Option<[usize; 2]>,
    pub(crate) seed: u64,
}

impl Head {
    /// A head of `classes` scores.
    pub fn replace(classes: usize) -> Self {
        Self { classes, hidden: None, seed: 0 }
    }

    /// Replaces fc6 and fc7 as well, by random ones of these widths. Not for a network without them.
    pub fn with_hidden(self, hidden: [usize; 2]) -> Self {
        Self { hidden: Some(hidden), ..self }
    }

    /// Seed of the random weights; 0 unless told otherwise.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}
