//! What all sets of photos have in common: how a photo becomes a sample.

use serde::{Deserialize, Serialize};

use super::Negatives;
use crate::{DatasetError, Faults};

/// Largest side of a sample.
const MAX_SIZE: u32 = 4096;
/// Largest margin: ten times the box on each side.
const MAX_MARGIN: f32 = 10.0;

/// Settings that every set of photos has; each set's own configuration holds one and sets its fields by
/// methods of the same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PhotoConfig {
    /// Width and height of the samples' images. Default 224.
    pub image_size: u32,
    /// Share of the box's width that is shown beyond it left and right, and of its height above and
    /// below. Default 0, as the authors cut.
    pub margin: f32,
    /// Objects whose box has fewer pixels than this are left out.
    pub min_box_area: u32,
    /// The pictures without an object.
    pub negatives: Negatives,
    /// What to do about damaged files and annotations when the set is opened. Default: stop.
    pub faults: Faults,
}

impl PhotoConfig {
    /// The authors' crops, with these boxes and negatives.
    pub(crate) fn new(min_box_area: u32, negatives: Negatives) -> Self {
        Self { image_size: 224, margin: 0.0, min_box_area, negatives, faults: Faults::Stop }
    }

    /// Whether such samples can be made.
    pub(crate) fn check(&self) -> Result<(), DatasetError> {
        if !(1..=MAX_SIZE).contains(&self.image_size) {
            let expected = format!("1 to {MAX_SIZE}");
            return Err(DatasetError::config("image_size", expected, self.image_size.to_string()));
        }
        if !(0.0..=MAX_MARGIN).contains(&self.margin) {
            let expected = format!("0 to {MAX_MARGIN}");
            return Err(DatasetError::config("margin", expected, self.margin.to_string()));
        }
        self.negatives.check()
    }
}

/// Methods that set the fields of a configuration's `photos`.
macro_rules! photo_settings {
    ($config:ident) => {
        impl $config {
            /// Sets the width and height of the samples' images.
            pub fn with_image_size(mut self, image_size: u32) -> Self {
                self.photos.image_size = image_size;
                self
            }

            /// Sets the share of the box that is shown beyond it on each side.
            pub fn with_margin(mut self, margin: f32) -> Self {
                self.photos.margin = margin;
                self
            }

            /// Sets the area below which objects are left out.
            pub fn with_min_box_area(mut self, min_box_area: u32) -> Self {
                self.photos.min_box_area = min_box_area;
                self
            }

            /// Sets where the pictures without an object come from, and how many there are.
            pub fn with_negatives(mut self, negatives: $crate::Negatives) -> Self {
                self.photos.negatives = negatives;
                self
            }

            /// Sets what to do about damage.
            pub fn with_faults(mut self, faults: $crate::Faults) -> Self {
                self.photos.faults = faults;
                self
            }
        }

        impl Default for $config {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}
pub(crate) use photo_settings;
