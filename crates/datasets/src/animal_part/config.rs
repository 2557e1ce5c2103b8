//! What of Animal-Part to read, and how.

use serde::{Deserialize, Serialize};

use crate::photos::photo_settings;
use crate::{Negatives, PhotoConfig, SplitRule};

/// Settings of [`AnimalPart`](super::AnimalPart).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AnimalPartConfig {
    /// How photos become samples. Boxes under 50² pixels are left out, and the set's own negatives used, so
    /// many that three quarters are positives.
    pub photos: PhotoConfig,
    /// How the samples are split. Default: as the authors do.
    pub split: SplitRule,
}

impl AnimalPartConfig {
    /// The defaults, which are the authors' settings.
    pub fn new() -> Self {
        Self { photos: PhotoConfig::new(50 * 50, Negatives::own()), split: SplitRule::Authors }
    }

    /// Sets [`split`](Self::split).
    pub fn with_split(mut self, split: SplitRule) -> Self {
        self.split = split;
        self
    }
}

photo_settings!(AnimalPartConfig);
