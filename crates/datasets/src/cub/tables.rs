//! CUB's text files, line by line.

use std::collections::HashMap;
use std::path::Path;

use crate::faults::Sieve;
use crate::lines::Line;
use crate::photos::entry::checked_box;
use crate::photos::names::normalised;
use crate::{BoundingBox, DatasetError, Point};

/// No picture is this large; a coordinate beyond is an error.
const MAX_COORDINATE: f32 = 1e6;

/// Where a part is in one photo.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Unstated,
    Hidden,
    At(Point),
}

/// What the files say of one photo.
#[derive(Clone, Debug)]
struct Photo {
    name: Box<str>,
    frame: Option<BoundingBox>,
    /// The line of its box.
    line: u32,
    trained: Option<bool>,
    /// A line about it makes no sense.
    damaged: bool,
}

/// A photo of which the files say everything.
#[derive(Debug)]
pub(crate) struct Complete<'a> {
    pub name: &'a str,
    pub frame: BoundingBox,
    /// The line of its box.
    pub line: u32,
    pub trained: bool,
    /// For each of the parts asked for.
    pub places: Vec<Option<Point>>,
}

/// The files' contents, as far as they were read.
#[derive(Debug)]
pub(crate) struct Tables {
    /// The names of the parts asked for, and their numbers once these are known.
    parts: Vec<(String, Option<u32>)>,
    photos: Vec<Photo>,
    by_number: HashMap<u32, usize>,
    /// Photo by photo, a place for each part.
    places: Vec<Place>,
}

impl Tables {
    pub fn new(parts: impl IntoIterator<Item = String>) -> Self {
        let parts = parts.into_iter().map(|part| (part, None)).collect();
        Self { parts, photos: vec![], by_number: HashMap::new(), places: vec![] }
    }

    /// The names of all photos.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.photos.iter().map(|photo| &*photo.name)
    }

    /// A line of `parts/parts.txt`.
    pub fn part(&mut self, line: Line<'_>) -> Result<(), DatasetError> {
        let (number, name) = line.number_and_rest("<part id> <name>")?;
        if self.parts.iter().any(|(_, known)| *known == Some(number)) {
            return Err(line.error("each part id once"));
        }
        match self.parts.iter_mut().find(|(part, _)| part == name) {
            Some((_, Some(_))) => Err(line.error("each part once")),
            Some((_, known)) => {
                *known = Some(number);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Checks that all parts asked for have a number.
    pub fn check_parts(&self, path: &Path) -> Result<(), DatasetError> {
        match self.parts.iter().find(|(_, number)| number.is_none()) {
            Some((part, _)) => {
                Err(DatasetError::value(path, "parts", format!("{part:?} among them"), "none"))
            }
            None => Ok(()),
        }
    }

    /// A line of `images.txt`.
    pub fn image(&mut self, line: Line<'_>) -> Result<(), DatasetError> {
        let (number, name) = line.number_and_rest("<image id> <folder>/<file>")?;
        let Some(name) = normalised(name).filter(|name| name.contains('/')) else {
            return Err(line.error("<image id> <folder>/<file> within the folder of images"));
        };
        if self.by_number.contains_key(&number) {
            return Err(line.error("each image id once"));
        }
        self.by_number.insert(number, self.photos.len());
        self.photos.push(Photo { name: name.into(), frame: None, line: 0, trained: None, damaged: false });
        self.places.resize(self.photos.len() * self.parts.len(), Place::Unstated);
        Ok(())
    }

    /// A line of `bounding_boxes.txt`.
    pub fn bounding_box(&mut self, line: Line<'_>) -> Result<(), DatasetError> {
        let photo = self.photo(line)?;
        let parsed = line.fields("<image id> <x> <y> <width> <height>").and_then(|[_, x, y, w, h]| {
            let sides = BoundingBox { left: x, top: y, right: x + w, bottom: y + h };
            checked_box(sides).map_err(|[expected, _]| line.error(expected))
        });
        let photo = &mut self.photos[photo];
        let frame = parsed.inspect_err(|_| photo.damaged = true)?;
        photo.line = u32::try_from(line.number).unwrap_or(0);
        match photo.frame.replace(frame) {
            None => Ok(()),
            Some(_) => {
                photo.damaged = true;
                Err(line.error("one box for each image"))
            }
        }
    }

    /// A line of `train_test_split.txt`.
    pub fn split(&mut self, line: Line<'_>) -> Result<(), DatasetError> {
        let photo = self.photo(line)?;
        let photo = &mut self.photos[photo];
        let parsed = match line.fields::<u32, 2>("<image id> <0 or 1>") {
            Ok([_, side @ (0 | 1)]) if photo.trained.is_none() => Ok(side == 1),
            Ok(_) => Err(line.error("<image id> <0 or 1>, once for each image")),
            Err(error) => Err(error),
        };
        photo.trained = Some(parsed.inspect_err(|_| photo.damaged = true)?);
        Ok(())
    }

    /// A line of `parts/part_locs.txt`.
    pub fn location(&mut self, line: Line<'_>) -> Result<(), DatasetError> {
        let photo = self.photo(line)?;
        let result = self.located(photo, line);
        self.photos[photo].damaged |= result.is_err();
        result
    }

    fn located(&mut self, photo: usize, line: Line<'_>) -> Result<(), DatasetError> {
        let [_, part, x, y, visible] = line.fields::<f32, 5>("<image id> <part id> <x> <y> <visible>")?;
        let place = match visible {
            0.0 => Place::Hidden,
            1.0 if [x, y].iter().all(|v| v.abs() <= MAX_COORDINATE) => Place::At(Point { x, y }),
            _ => return Err(line.error("finite numbers, and 0 or 1 for visible")),
        };
        let Some(wanted) = self.parts.iter().position(|(_, n)| n.is_some_and(|n| n as f32 == part)) else {
            return Ok(());
        };
        let slot = &mut self.places[photo * self.parts.len() + wanted];
        match std::mem::replace(slot, place) {
            Place::Unstated => Ok(()),
            _ => Err(line.error("each part once for each image")),
        }
    }

    /// The photo that a line is about.
    fn photo(&self, line: Line<'_>) -> Result<usize, DatasetError> {
        let number = line.number_and_rest("<image id> and what is said of it")?.0;
        self.by_number.get(&number).copied().ok_or_else(|| line.error("an image id that images.txt has"))
    }

    /// The photos in the order of `images.txt`. Those of which a line was in error are passed over: the
    /// error was told; those of which a line is missing are told now.
    pub fn complete(&self, root: &Path, sieve: &mut Sieve) -> Result<Vec<Complete<'_>>, DatasetError> {
        let mut found = Vec::new();
        for (i, photo) in self.photos.iter().enumerate().filter(|(_, photo)| !photo.damaged) {
            found.extend(sieve.pass(self.checked(i, photo, root))?);
        }
        Ok(found)
    }

    fn checked<'a>(&self, i: usize, photo: &'a Photo, root: &Path) -> Result<Complete<'a>, DatasetError> {
        let missing = |file: &str, what: String| {
            DatasetError::value(&root.join(file), &*photo.name, format!("a line with its {what}"), "none")
        };
        let frame = photo.frame.ok_or_else(|| missing("bounding_boxes.txt", "box".into()))?;
        let trained = photo.trained.ok_or_else(|| missing("train_test_split.txt", "split".into()))?;
        let places = &self.places[i * self.parts.len()..][..self.parts.len()];
        let place = |(place, (part, _)): (&Place, &(String, _))| match place {
            Place::Unstated => Err(missing("parts/part_locs.txt", part.clone())),
            Place::Hidden => Ok(None),
            Place::At(point) => Ok(Some(*point)),
        };
        let places = places.iter().zip(&self.parts).map(place).collect::<Result<_, _>>()?;
        Ok(Complete { name: &photo.name, frame, line: photo.line, trained, places })
    }
}
