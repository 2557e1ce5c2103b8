//! What to draw, and what cannot be drawn.

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// The least side of an image in pixels: below it an eye is less than a pixel.
const MIN_SIZE: usize = 32;

/// What of a scene a sample shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Framing {
    /// All of it: a bird may be anywhere, and whatever finds the bird follows its parts.
    Scene,
    /// The bird's box, stretched to a square, as real sets are cropped (arXiv:1710.00935): where a
    /// part is depends on the pose alone. Of a negative, a box as large and as placed as a bird's.
    Object,
}

/// What [`SyntheticBirds`](crate::SyntheticBirds) draws.
///
/// ```
/// use explainer_datasets::{Dataset, SyntheticBirds, SyntheticBirdsConfig};
///
/// let birds = SyntheticBirds::new(SyntheticBirdsConfig::new(300, 100).with_size(112).with_seed(7))?;
/// let sample = birds.sample(0)?;
/// assert_eq!(sample.image.dimensions(), (112, 112));
/// assert_eq!(birds.landmark_names(), ["head", "back", "tail"]);
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticBirdsConfig {
    pub(super) birds: usize,
    pub(super) negatives: usize,
    pub(super) size: usize,
    pub(super) seed: u64,
    pub(super) validation_share: f32,
    pub(super) lookalikes: f32,
    pub(super) framing: Framing,
    pub(super) strays: usize,
}

impl SyntheticBirdsConfig {
    /// So many images with a bird and so many without; whole scenes, 224 pixels a side, seed 0, a
    /// tenth for validation.
    pub fn new(birds: usize, negatives: usize) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig {
            birds,
            negatives,
            size: 224,
            seed: 0,
            validation_share: 0.1,
            lookalikes: 0.5,
            framing: Framing::Scene,
            strays: 0,
        }
    }

    /// The images' side in pixels, at least 32. The scenes stay the same.
    pub fn with_size(self, size: usize) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig { size, ..self }
    }

    /// The seed of everything drawn.
    pub fn with_seed(self, seed: u64) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig { seed, ..self }
    }

    /// The share of the birds, and of the negatives, that is for validation; in `[0, 1]`.
    pub fn with_validation_share(self, validation_share: f32) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig { validation_share, ..self }
    }

    /// The share of the negatives that show a head without a body, a body without a head, or a bird's
    /// parts in another arrangement; in `[0, 1]`, half by default. The fewer, the easier the task; with none,
    /// no tail, wing or beak lies about either.
    pub fn with_lookalikes(self, lookalikes: f32) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig { lookalikes, ..self }
    }

    /// Loose heads, tails, wings and bodies that lie about in every scene, beside the bird as well; none
    /// by default. The more, the less does a part tell without the rest of the bird, and the more often
    /// does a detector of parts fire beside it.
    pub fn with_strays(self, strays: usize) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig { strays, ..self }
    }

    /// What of a scene is shown.
    pub fn with_framing(self, framing: Framing) -> SyntheticBirdsConfig {
        SyntheticBirdsConfig { framing, ..self }
    }

    /// Whether such a set can be drawn.
    pub(super) fn check(&self) -> Result<(), DatasetError> {
        if self.size < MIN_SIZE {
            return Err(DatasetError::Config {
                setting: "the side of the synthetic images",
                expected: format!("at least {MIN_SIZE} pixels, to show an eye"),
                found: self.size.to_string(),
            });
        }
        let shares =
            [("the validation share", self.validation_share), ("the share of look-alikes", self.lookalikes)];
        for (setting, found) in shares {
            if !(0.0..=1.0).contains(&found) {
                return Err(DatasetError::Config {
                    setting,
                    expected: "a number in [0, 1]".to_string(),
                    found: found.to_string(),
                });
            }
        }
        Ok(())
    }
}
