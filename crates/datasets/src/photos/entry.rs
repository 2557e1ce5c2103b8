//! What is known of a sample before its picture is read.

use std::path::Path;

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
    /// In the set's [`Coordinates`].
    pub landmarks: Places,
    /// The landmarks' masks in the picture; empty if there are none at all.
    pub masks: Box<[Option<PartMask>]>,
    /// The number of the photograph; the set gives it.
    pub source: usize,
    /// The line of the annotations' file that has the box; 0 if there is none.
    pub line: u32,
    pub split: Split,
}

impl Entry {
    /// A whole picture for training, without a name.
    pub fn whole(picture: Picture, category: Option<usize>) -> Self {
        let (id, landmarks) = (Box::default(), Places::default());
        Self {
            id,
            picture,
            category,
            frame: None,
            picture_size: None,
            landmarks,
            masks: Box::default(),
            source: 0,
            line: 0,
            split: Split::Train,
        }
    }
}

/// Where the landmarks of an object are, of those that are annotated: a set may name many, and an object have few.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Places(Box<[(u32, Point)]>);

impl Places {
    /// Of positions and the indices of their landmarks, which rise.
    pub fn new(places: Vec<(u32, Point)>) -> Self {
        Self(places.into())
    }

    /// The position of a landmark, if it is annotated.
    pub fn get(&self, landmark: usize) -> Option<Point> {
        let found = self.0.binary_search_by_key(&landmark, |&(index, _)| index as usize).ok()?;
        Some(self.0[found].1)
    }

    /// Those that are annotated, with the indices of their landmarks.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Point)> {
        self.0.iter().map(|&(landmark, place)| (landmark as usize, place))
    }
}

/// A position or none for each landmark.
impl FromIterator<Option<Point>> for Places {
    fn from_iter<T: IntoIterator<Item = Option<Point>>>(places: T) -> Self {
        Self((0..).zip(places).filter_map(|(landmark, place)| Some((landmark, place?))).collect())
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
    if b.right <= 1.0 && b.bottom <= 1.0 {
        let expected = "a box in pixels (of shares of the picture: times its width and height)";
        return Err([expected.to_owned(), format!("{sides:?}, which is within one pixel")]);
    }
    Ok(b)
}

/// Checks that a file is there, and is one.
pub(crate) fn check_file(path: &Path) -> Result<(), DatasetError> {
    explainer_files::check(path).map_err(|e| DatasetError::io(path, e))
}
