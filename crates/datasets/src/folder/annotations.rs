//! Boxes, landmarks and the split of a folder's pictures, in one file.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use super::{csv, json};
use crate::faults::Sieve;
use crate::photos::entry::{Places, checked_box};
use crate::photos::names::normalised;
use crate::{BoundingBox, DatasetError, Point, Split};

/// Largest file that is read: 256 MiB.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Most landmarks that a file may name.
pub(super) const MAX_LANDMARKS: usize = 2048;
/// No picture is this large; a coordinate beyond is an error.
const MAX_COORDINATE: f32 = 1e6;

/// What is said of one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub frame: Option<BoundingBox>,
    pub landmarks: Places,
    pub split: Option<Split>,
    /// Where the file says it.
    pub line: usize,
}

/// The contents of a file of annotations. Pictures go by their [normalised](normalised) names.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    pub(super) landmark_names: Vec<String>,
    /// Those of one picture are side by side.
    objects: Vec<Object>,
    of_image: HashMap<Box<str>, Range<usize>>,
    damaged: HashSet<Box<str>>,
    has_split: bool,
}

/// What a format makes of its bytes.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub landmark_names: Vec<String>,
    pub objects: Vec<(Box<str>, Object)>,
    /// The pictures of rows that make no sense.
    pub damaged: HashSet<Box<str>>,
}

impl Annotations {
    /// Reads a file that ends in `.csv` or `.json`.
    pub fn read(path: &Path, sieve: &mut Sieve) -> Result<Self, DatasetError> {
        let bytes = explainer_files::read(path, MAX_FILE_BYTES).map_err(|e| DatasetError::io(path, e))?;
        Self::parse(path, &bytes, sieve)
    }

    /// The same of the file's bytes.
    pub fn parse(path: &Path, bytes: &[u8], sieve: &mut Sieve) -> Result<Self, DatasetError> {
        let is = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Rows { landmark_names, objects: mut rows, damaged } = if is("csv") {
            csv::rows(path, bytes, sieve)?
        } else if is("json") {
            json::rows(path, bytes, sieve)?
        } else {
            let found = path.display().to_string();
            return Err(DatasetError::config("annotations", "a file ending in .csv or .json", found));
        };
        check_unit(path, &rows)?;
        // Stable: the objects of a picture stay in the order of the file.
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut objects, mut of_image) = (Vec::with_capacity(rows.len()), HashMap::new());
        for (image, object) in rows {
            let end = objects.len() + 1;
            of_image.entry(image).or_insert(objects.len()..end).end = end;
            objects.push(object);
        }
        let has_split = objects.iter().any(|object| object.split.is_some());
        Ok(Self { landmark_names, objects, of_image, damaged, has_split })
    }

    /// Whether something that is said of a picture makes no sense, and was reported.
    pub fn is_damaged(&self, image: &str) -> bool {
        self.damaged.contains(image)
    }

    /// The objects of a picture, none if nothing is said of it.
    pub(super) fn of(&self, image: &str) -> &[Object] {
        self.of_image.get(image).map_or(&[], |range| &self.objects[range.clone()])
    }

    /// The pictures that something is said of, with the first line that says it.
    pub fn images(&self) -> impl Iterator<Item = (&str, usize)> {
        self.of_image.iter().map(|(image, range)| (&**image, self.objects[range.start].line))
    }

    /// Whether a split is stated for any picture.
    pub fn has_split(&self) -> bool {
        self.has_split
    }
}

/// Refuses landmarks of which all lie in the first pixel, and not all at its centre: shares of the picture.
fn check_unit(path: &Path, rows: &[(Box<str>, Object)]) -> Result<(), DatasetError> {
    let places =
        || rows.iter().flat_map(|(_, object)| object.landmarks.iter().map(|(_, p)| [p.x, p.y])).flatten();
    let shares = places().all(|v| (0.0..=1.0).contains(&v)) && places().any(|v| v.fract() != 0.0);
    if !shares {
        return Ok(());
    }
    let expected = "positions in pixels (of shares of the picture: times its width and height)";
    Err(DatasetError::value(path, "landmarks", expected, "all of them within 0 to 1"))
}

/// A row of a file before it is checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub image: String,
    pub split: Option<String>,
    pub sides: Option<[f32; 4]>,
    /// Positions with the indices of their landmarks, which rise.
    pub landmarks: Vec<(u32, [f32; 2])>,
    pub line: usize,
}

impl Rows {
    /// Adds a row, or the error that it is none.
    pub fn push(
        &mut self,
        image: &str,
        row: Result<Row, [String; 2]>,
        error: impl FnOnce([String; 2]) -> DatasetError,
        sieve: &mut Sieve,
    ) -> Result<(), DatasetError> {
        let image = normalised(image);
        let checked = match &image {
            Some(_) => row.and_then(Row::checked),
            None => row.and_then(|row| {
                Err(["the path of a picture below the folder".to_owned(), format!("{:?}", row.image)])
            }),
        };
        match (sieve.pass(checked.map_err(error))?, image) {
            (Some(object), Some(image)) => self.objects.push((image.into(), object)),
            (_, Some(image)) => drop(self.damaged.insert(image.into())),
            (_, None) => {}
        }
        Ok(())
    }
}

impl Row {
    /// The row's object, or what was expected and found in its stead.
    fn checked(self) -> Result<Object, [String; 2]> {
        let frame = self
            .sides
            .map(|[left, top, right, bottom]| checked_box(BoundingBox { left, top, right, bottom }));
        let split = match self.split.as_deref() {
            None | Some("") => None,
            Some("train") => Some(Split::Train),
            Some("validation") => Some(Split::Validation),
            Some(other) => return Err(["the split train or validation".to_owned(), format!("{other:?}")]),
        };
        let landmark =
            |(index, [x, y]): (u32, [f32; 2])| match [x, y].iter().all(|v| v.abs() <= MAX_COORDINATE) {
                true => Ok((index, Point { x, y })),
                false => Err(["landmarks in pixels".to_owned(), format!("{:?}", [x, y])]),
            };
        let landmarks = self.landmarks.into_iter().map(landmark).collect::<Result<_, _>>()?;
        Ok(Object { frame: frame.transpose()?, landmarks: Places::new(landmarks), split, line: self.line })
    }
}
