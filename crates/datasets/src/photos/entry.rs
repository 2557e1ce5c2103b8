//! What is known of a sample before its picture is read.

use std::path::{Component, Path};

use crate::{BoundingBox, DatasetError, PartMask, Point, Split};

/// Where a picture comes from.
#[derive(Clone, Debug)]
pub(crate) enum Picture {
    File(Box<Path>),
    /// A synthetic negative of this rank.
    Synthetic(usize),
}

/// A sample of a set of photos. Kept small: a set may have a million.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub id: Box<str>,
    pub picture: Picture,
    pub category: Option<usize>,
    /// The object's box in the picture; `None`: the whole of it.
    pub frame: Option<BoundingBox>,
    /// Width and height of the picture, where the annotations state them.
    pub picture_size: Option<[u32; 2]>,
    /// In the set's [`Coordinates`]; empty if there are none at all.
    pub landmarks: Box<[Option<Point>]>,
    /// The landmarks' masks in the picture; empty if there are none at all.
    pub masks: Box<[Option<PartMask>]>,
    /// The number of the photograph; the set gives it.
    pub source: usize,
    pub split: Split,
}

impl Entry {
    /// A whole picture for training, without a name.
    pub fn whole(picture: Picture, category: Option<usize>) -> Self {
        Self {
            id: Box::default(),
            picture,
            category,
            frame: None,
            picture_size: None,
            landmarks: Box::default(),
            masks: Box::default(),
            source: 0,
            split: Split::Train,
        }
    }
}

/// In which pixels the landmarks of a set are stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coordinates {
    /// The picture's.
    Picture,
    /// Those of the object's box, clamped to the picture and resized to a square of this side.
    Resized(u32),
}

/// Whether a set has files with the same photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    /// A photograph is a file.
    None,
    /// A photograph of several objects is stored once for each.
    Stored,
}

/// Checks that a box can be one.
pub(crate) fn checked_box(b: BoundingBox) -> Result<BoundingBox, [String; 2]> {
    let sides = [b.left, b.top, b.right, b.bottom];
    if sides.iter().any(|v| !v.is_finite()) {
        return Err(["a box of finite numbers".to_owned(), format!("{sides:?}")]);
    }
    if b.area() <= 0.0 {
        return Err(["a box with an area above 0".to_owned(), format!("{sides:?}")]);
    }
    Ok(b)
}

/// Checks that a file is there.
pub(crate) fn check_file(path: &Path) -> Result<(), DatasetError> {
    std::fs::metadata(path).map(drop).map_err(|e| DatasetError::io(path, e))
}

/// Whether a path that a file names stays below the folder it is meant to be in.
pub(crate) fn is_below(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}
