//! What of CUB-200-2011 to read, and how.

use serde::{Deserialize, Serialize};

use crate::photos::photo_settings;
use crate::{Landmark, Negatives, PhotoConfig};

/// What counts as a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CubCategories {
    /// All birds are one, `bird`.
    OneBird,
    /// These species, each a category, by their names: `001.Black_footed_Albatross`.
    Species(Vec<String>),
}

/// Settings of [`Cub`](super::Cub).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CubConfig {
    /// How photos become samples. By default all boxes count, and there are no negatives.
    pub photos: PhotoConfig,
    /// The categories. Default: one.
    pub categories: CubCategories,
    /// The landmarks. Default: head (part 6, the forehead), back (1) and tail (14). Of several parts the
    /// landmark is the mean of those that are visible.
    pub landmarks: Vec<Landmark>,
}

impl CubConfig {
    /// The paper's settings, without negatives.
    pub fn new() -> Self {
        let landmarks = [("head", "forehead"), ("back", "back"), ("tail", "tail")];
        Self {
            photos: PhotoConfig::new(0, Negatives::none()),
            categories: CubCategories::OneBird,
            landmarks: landmarks.map(|(name, part)| Landmark::new(name, [part])).to_vec(),
        }
    }

    /// Sets [`categories`](Self::categories).
    pub fn with_categories(mut self, categories: CubCategories) -> Self {
        self.categories = categories;
        self
    }

    /// Sets [`landmarks`](Self::landmarks).
    pub fn with_landmarks(mut self, landmarks: Vec<Landmark>) -> Self {
        self.landmarks = landmarks;
        self
    }
}

photo_settings!(CubConfig);
