//! What of Pascal-Part to read, and how.

use serde::{Deserialize, Serialize};

use crate::photos::photo_settings;
use crate::{Landmark, Negatives, PhotoConfig, SplitRule};

/// Settings of [`PascalPart`](super::PascalPart).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PascalPartConfig {
    /// How photos become samples. By default boxes under 50² pixels are left out, and there are no negatives.
    pub photos: PhotoConfig,
    /// The landmarks. Default: head, neck and torso.
    pub landmarks: Vec<Landmark>,
    /// How the samples are split. Default: as the authors do.
    pub split: SplitRule,
}

impl PascalPartConfig {
    /// The paper's settings, without negatives.
    pub fn new() -> Self {
        Self {
            photos: PhotoConfig::new(50 * 50, Negatives::none()),
            landmarks: ["head", "neck", "torso"].map(|part| Landmark::new(part, [part])).to_vec(),
            split: SplitRule::Authors,
        }
    }

    /// Sets [`landmarks`](Self::landmarks).
    pub fn with_landmarks(mut self, landmarks: Vec<Landmark>) -> Self {
        self.landmarks = landmarks;
        self
    }

    /// Sets [`split`](Self::split).
    pub fn with_split(mut self, split: SplitRule) -> Self {
        self.split = split;
        self
    }
}

photo_settings!(PascalPartConfig);
