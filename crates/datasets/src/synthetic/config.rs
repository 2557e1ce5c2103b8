//! What to draw, and what cannot be drawn.

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// The least side of an image in pixels: below it a leg is less than a pixel.
const MIN_SIZE: usize = 32;

/// What [`SyntheticSpecies`](crate::SyntheticSpecies) draws.
///
/// ```
/// use explainer_datasets::{Dataset, SyntheticSpecies, SyntheticSpeciesConfig};
///
/// let species = SyntheticSpecies::new(SyntheticSpeciesConfig::new(300, 100).with_size(112).with_seed(7))?;
/// let sample = species.sample(0)?;
/// assert_eq!(sample.image.dimensions(), (112, 112));
/// assert_eq!(species.landmark_names(), ["beak", "crest", "wing", "tail", "feet"]);
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSpeciesConfig {
    pub(super) birds: usize,
    pub(super) negatives: usize,
    pub(super) size: usize,
    pub(super) seed: u64,
    pub(super) validation_share: f32,
}

impl SyntheticSpeciesConfig {
    /// So many images with a bird, of each species in turn, and so many without; 224 pixels a side, seed 0, a tenth for
    /// validation.
    pub fn new(birds: usize, negatives: usize) -> SyntheticSpeciesConfig {
        SyntheticSpeciesConfig { birds, negatives, size: 224, seed: 0, validation_share: 0.1 }
    }

    /// The images' side in pixels, at least 32. The scenes stay the same.
    pub fn with_size(self, size: usize) -> SyntheticSpeciesConfig {
        SyntheticSpeciesConfig { size, ..self }
    }

    /// The seed of everything drawn.
    pub fn with_seed(self, seed: u64) -> SyntheticSpeciesConfig {
        SyntheticSpeciesConfig { seed, ..self }
    }

    /// The share of each species, and of the negatives, that is for validation; in `[0, 1]`.
    pub fn with_validation_share(self, validation_share: f32) -> SyntheticSpeciesConfig {
        SyntheticSpeciesConfig { validation_share, ..self }
    }

    /// Whether such a set can be drawn.
    pub(super) fn check(&self) -> Result<(), DatasetError> {
        if self.size < MIN_SIZE {
            let expected = format!("at least {MIN_SIZE} pixels, to show a leg");
            return Err(DatasetError::config(
                "the side of the synthetic images",
                expected,
                self.size.to_string(),
            ));
        }
        if !(0.0..=1.0).contains(&self.validation_share) {
            let found = self.validation_share.to_string();
            return Err(DatasetError::config("the validation share", "a number in [0, 1]", found));
        }
        Ok(())
    }
}
