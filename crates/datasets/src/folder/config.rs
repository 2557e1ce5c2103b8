//! What of a folder of pictures to read, and how.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::photos::photo_settings;
use crate::{Negatives, Orientation, PhotoConfig, SplitRule};

/// Settings of [`ImageFolder`](super::ImageFolder).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageFolderConfig {
    /// How photos become samples. By default all boxes count, and there are no negatives.
    pub photos: PhotoConfig,
    /// The folders that are categories; if empty, all are but those that are named as negatives.
    pub categories: Vec<String>,
    /// File of boxes, landmarks and the split, of the form that [`ImageFolder`](super::ImageFolder)
    /// describes, ending in `.csv` or `.json`.
    pub annotations: Option<PathBuf>,
    /// How the samples are split where the annotations do not say.
    pub split: SplitRule,
    /// Whether pictures are turned as the camera says. Default: they are. Boxes and landmarks are in
    /// the pixels of the turned picture.
    pub orientation: Orientation,
}

impl ImageFolderConfig {
    /// Every folder a category, nothing annotated.
    pub fn new() -> Self {
        Self {
            photos: PhotoConfig::new(0, Negatives::none()),
            categories: vec![],
            annotations: None,
            split: SplitRule::Authors,
            orientation: Orientation::Upright,
        }
    }

    /// Sets [`categories`](Self::categories).
    pub fn with_categories<S: Into<String>>(mut self, categories: impl IntoIterator<Item = S>) -> Self {
        self.categories = categories.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`annotations`](Self::annotations).
    pub fn with_annotations(mut self, path: impl Into<PathBuf>) -> Self {
        self.annotations = Some(path.into());
        self
    }

    /// Sets [`split`](Self::split).
    pub fn with_split(mut self, split: SplitRule) -> Self {
        self.split = split;
        self
    }

    /// Sets [`orientation`](Self::orientation).
    pub fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }
}

photo_settings!(ImageFolderConfig);
