//! Photos on disk, listed with what is known of them.

mod checksum;
mod config;
pub(crate) mod entry;
pub(crate) mod listing;
pub(crate) mod names;
mod negatives;
mod source;
pub(crate) mod split;

use std::path::{Path, PathBuf};

pub use config::PhotoConfig;
pub(crate) use config::photo_settings;
pub(crate) use entry::{Coordinates, Copies, Entry, Picture};
pub use negatives::Negatives;
pub use split::SplitRule;

use crate::picture::{Orientation, read_picture};
use crate::{
    Crop, Dataset, DatasetError, PartMask, Point, Report, Sample, Split, SyntheticSpecies,
    SyntheticSpeciesConfig,
};

/// Photos of objects with boxes and landmarks, and pictures without an object: what the readers of this
/// crate return.
///
/// A positive is the object's box, widened by the margin, clamped to its photo and resized to a square by
/// [`resize_bilinear`](crate::resize_bilinear); boxes and landmarks move along ([`Crop`]). Without a box it
/// is the whole photo, as a negative is. Positives come first, category by category in the order of the
/// files, then the negatives.
///
/// A landmark beyond the part of the photo that is shown is `None`. [`Dataset::has_landmarks`] reads no
/// picture and so takes the photo to be as large as the landmarks say.
#[derive(Clone, Debug)]
pub struct PhotoSet {
    name: String,
    photos: PhotoConfig,
    orientation: Orientation,
    coordinates: Coordinates,
    categories: Vec<String>,
    landmark_names: Vec<String>,
    annotations: Option<PathBuf>,
    entries: Vec<Entry>,
    positives: usize,
    states_visibility: bool,
    /// Whether the annotations have masks of the parts.
    has_masks: bool,
    /// Where synthetic negatives are drawn.
    scenes: Option<SyntheticSpecies>,
    report: Report,
}

/// What a reader found, for a [`PhotoSet`] to be made of.
#[derive(Debug)]
pub(crate) struct Draft {
    pub name: String,
    pub orientation: Orientation,
    pub coordinates: Coordinates,
    pub copies: Copies,
    pub categories: Vec<String>,
    pub landmark_names: Vec<String>,
    /// The file whose lines have the boxes.
    pub annotations: Option<PathBuf>,
    /// Category by category.
    pub positives: Vec<Entry>,
    /// Objects of other categories, wanted as negatives.
    pub others: Vec<Entry>,
    /// The folder of negatives that the set comes with.
    pub own_negatives: Option<PathBuf>,
    /// Whether a landmark that a positive lacks is not to be seen in it.
    pub states_visibility: bool,
    pub report: Report,
}

impl Draft {
    /// Leaves out small boxes, splits by the rule (or leaves the split as it is) and adds the negatives.
    pub fn finish(self, photos: &PhotoConfig, rule: Option<SplitRule>) -> Result<PhotoSet, DatasetError> {
        let Draft { mut positives, mut others, mut report, .. } = self;
        let least = f64::from(photos.min_box_area);
        let mut is_large = |entry: &Entry| {
            let large = entry.frame.is_none_or(|frame| frame.area() >= least);
            if !large {
                report.note("objects with boxes below the least area", || entry.id.to_string());
            }
            large
        };
        let found = positives.len();
        positives.retain(&mut is_large);
        others.retain(is_large);
        let count = positives.len();
        if count == 0 {
            let what = format!("objects, of {found} found, with boxes of {least} pixels or more; {report}");
            return Err(DatasetError::Count { path: self.name.into(), what, expected: 1, found: 0 });
        }
        let own = self.own_negatives.as_deref();
        let mut negatives = photos.negatives.entries(own, others, count, &mut report)?;
        split_by(rule, photos, &mut positives, &mut negatives);
        let mut entries = positives;
        entries.append(&mut negatives);
        source::number_photos(self.copies, rule, &mut entries)?;
        if rule == Some(SplitRule::ByPhoto) {
            split_by_photo(&mut entries);
        }
        Ok(PhotoSet {
            name: self.name,
            photos: photos.clone(),
            orientation: self.orientation,
            coordinates: self.coordinates,
            categories: self.categories,
            landmark_names: self.landmark_names,
            states_visibility: self.states_visibility,
            annotations: self.annotations,
            scenes: scenes(photos, entries.len() - count)?,
            has_masks: entries.iter().any(|entry| !entry.masks.is_empty()),
            entries,
            positives: count,
            report,
        })
    }
}

/// Splits positives by the authors' rule, category by category, and negatives likewise. Without a rule the
/// positives are split as they came, and so are negatives of the same set; others in their proportion.
fn split_by(rule: Option<SplitRule>, photos: &PhotoConfig, positives: &mut [Entry], negatives: &mut [Entry]) {
    let put = |entries: &mut [Entry], sides: Vec<Split>| {
        entries.iter_mut().zip(sides).for_each(|(entry, side)| entry.split = side);
    };
    if rule.is_some() {
        for category in positives.chunk_by_mut(|a, b| a.category == b.category) {
            let sides = split::nine_of_ten(category.len());
            put(category, sides);
        }
        let sides = split::nine_of_ten(negatives.len());
        put(negatives, sides);
    } else if photos.negatives.categories().is_none() {
        let trained = positives.iter().filter(|entry| entry.split == Split::Train).count();
        let sides = split::share_of(negatives.len(), trained, positives.len().max(1));
        put(negatives, sides);
    }
}

fn split_by_photo(entries: &mut [Entry]) {
    let photos: Vec<_> = entries.iter().map(|e| e.source).collect();
    let categories: Vec<_> = entries.iter().map(|e| e.category).collect();
    for (entry, side) in entries.iter_mut().zip(split::by_photo(&categories, &photos)) {
        entry.split = side;
    }
}

/// The set that draws synthetic negatives, if they are asked for.
fn scenes(photos: &PhotoConfig, negatives: usize) -> Result<Option<SyntheticSpecies>, DatasetError> {
    let drawn = photos.negatives.seed().map(|seed| {
        let config = SyntheticSpeciesConfig::new(0, negatives).with_size(photos.image_size as usize);
        SyntheticSpecies::new(config.with_seed(seed))
    });
    drawn.transpose()
}

impl Entry {
    fn path(&self) -> Option<&Path> {
        match &self.picture {
            Picture::File(path) => Some(path),
            Picture::Synthetic(_) => None,
        }
    }
}

impl PhotoSet {
    /// The number of positives; the samples from this index on are negatives.
    pub fn positives(&self) -> usize {
        self.positives
    }

    /// The indices of the samples that have at least one landmark.
    pub fn annotated(&self) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.has_landmarks(i)).collect()
    }

    /// The file of a sample's picture; `None` if it is drawn.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    pub fn image_path(&self, index: usize) -> Option<&Path> {
        self.entries[index].path()
    }

    /// What was left out when the set was opened ([`Faults::Skip`](crate::Faults)), and what is not used.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What to call an entry's box in an error.
    fn place_of_box(&self, entry: &Entry) -> String {
        match (&self.annotations, entry.line) {
            (Some(file), line @ 1..) => format!("the object's box ({}, line {line})", file.display()),
            _ => "the object's box".to_owned(),
        }
    }

    /// Reads and crops the picture of an entry.
    fn photo(&self, entry: &Entry, path: &Path) -> Result<Sample, DatasetError> {
        let picture = read_picture(path, self.orientation)?;
        let found = [picture.width(), picture.height()];
        let sized = |[width, height]: [u32; 2]| format!("{width} × {height} pixels");
        if let Some(stated) = entry.picture_size.filter(|&stated| stated != found) {
            return Err(DatasetError::value(path, "the picture's size", sized(stated), sized(found)));
        }
        let size = self.photos.image_size;
        let crop = match entry.frame {
            None => Crop::whole(found, size),
            Some(frame) => Crop::new(frame.widened(self.photos.margin), found, size).ok_or_else(|| {
                let expected = format!("a part of the picture, {} × {}", found[0], found[1]);
                DatasetError::value(path, self.place_of_box(entry), expected, format!("{frame:?}"))
            })?,
        };
        let annotated = match self.coordinates {
            Coordinates::Picture => None,
            Coordinates::Resized(side) => entry.frame.and_then(|frame| Crop::new(frame, found, side)),
        };
        let landmark = |p: Point| match annotated {
            None => crop.point(p),
            Some(annotated) => crop.carry(p, &annotated),
        };
        let mut landmarks = vec![None; self.landmark_names.len()];
        for (index, p) in entry.landmarks.iter() {
            landmarks[index] = landmark(p);
        }
        let masks = entry.masks.iter().map(|mask| mask.as_ref().and_then(|mask| crop.mask(mask)));
        Ok(Sample {
            id: entry.id.to_string(),
            image: crop.image(&picture),
            category: entry.category,
            bounding_box: entry.category.and(entry.frame).map(|frame| crop.bounding_box(frame)),
            landmarks,
            masks: self.all_masks(masks),
        })
    }

    /// One entry for each landmark, or none at all if the set has no masks.
    fn all_masks(&self, known: impl Iterator<Item = Option<PartMask>>) -> Vec<Option<PartMask>> {
        let count = if self.has_masks { self.landmark_names.len() } else { 0 };
        known.chain(std::iter::repeat(None)).take(count).collect()
    }
}

impl Dataset for PhotoSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        let Some(entry) = self.entries.get(index) else {
            return Err(DatasetError::Index { dataset: self.name.clone(), len: self.len(), index });
        };
        match (&entry.picture, &self.scenes) {
            (Picture::File(path), _) => self.photo(entry, path),
            (Picture::Synthetic(rank), Some(scenes)) => Ok(Sample {
                id: entry.id.to_string(),
                landmarks: vec![None; self.landmark_names.len()],
                masks: self.all_masks(std::iter::empty()),
                ..scenes.sample(*rank)?
            }),
            (&Picture::Synthetic(index), None) => {
                Err(DatasetError::Index { dataset: "synthetic negatives".to_owned(), len: 0, index })
            }
        }
    }

    fn categories(&self) -> &[String] {
        &self.categories
    }

    fn landmark_names(&self) -> &[String] {
        &self.landmark_names
    }

    fn states_visibility(&self) -> bool {
        self.states_visibility
    }

    fn split(&self, index: usize) -> Split {
        self.entries[index].split
    }

    fn category(&self, index: usize) -> Option<usize> {
        self.entries[index].category
    }

    /// Photographs are told apart by their files' paths; by the bytes of the files in Animal-Part, which
    /// stores a photograph once for each object, and in any set that is split by photograph
    /// ([`SplitRule::ByPhoto`]). A drawn negative is its own.
    fn source(&self, index: usize) -> usize {
        self.entries[index].source
    }

    fn box_extent(&self, index: usize) -> Option<[f32; 2]> {
        let entry = &self.entries[index];
        let frame = entry.category.and(entry.frame)?;
        Some([frame.right - frame.left, frame.bottom - frame.top])
    }

    fn has_landmark(&self, index: usize, landmark: usize) -> bool {
        assert!(landmark < self.landmark_names.len(), "landmark {landmark} of {:?}", self.landmark_names);
        let entry = &self.entries[index];
        let Some(p) = entry.landmarks.get(landmark) else {
            return false;
        };
        match (self.coordinates, entry.frame) {
            (Coordinates::Picture, Some(frame)) => {
                let unlimited = Crop::new(frame.widened(self.photos.margin), [u32::MAX; 2], 1);
                unlimited.is_some_and(|crop| crop.point(p).is_some())
            }
            (Coordinates::Picture, None) | (Coordinates::Resized(_), _) => true,
        }
    }

    fn has_landmarks(&self, index: usize) -> bool {
        let mut annotated = self.entries[index].landmarks.iter();
        annotated.any(|(landmark, _)| self.has_landmark(index, landmark))
    }
}
