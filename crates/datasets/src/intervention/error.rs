//! What cannot be changed in a picture.

use crate::Point;

/// Why a picture cannot be intervened on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InterventionError {
    /// The picture is too small for a square around a landmark.
    #[error("expected a picture of at least {least} pixels a side, found {} × {}", found[0], found[1])]
    Size {
        /// The least side.
        least: u32,
        /// Width and height.
        found: [u32; 2],
    },
    /// The landmark is not a point on a pixel of the picture.
    #[error(
        "expected a landmark within a picture of {} × {} pixels, found ({}, {})",
        size[0], size[1], found.x, found.y
    )]
    Landmark {
        /// Width and height of the picture.
        size: [u32; 2],
        /// The landmark.
        found: Point,
    },
    /// The part's mask is of another picture.
    #[error(
        "expected the mask of a part of a picture of {} × {} pixels, found one of {} × {}",
        size[0], size[1], found[0], found[1]
    )]
    Mask {
        /// Width and height of the picture.
        size: [u32; 2],
        /// Width and height of the mask's picture.
        found: [u32; 2],
    },
}
