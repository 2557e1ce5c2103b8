//! The authors' "ILSVRC 2013 DET Animal-Part" set: 30 animals with two landmarks.

mod annotations;
mod config;
mod entry;
mod split;

use std::path::Path;

pub use config::{AnimalPartConfig, Negatives, SplitRule};

use self::entry::{Entry, negatives, positives};
use crate::picture::read_picture;
use crate::{BoundingBox, Dataset, DatasetError, Point, Sample, Split, resize_bilinear};

/// The parts of which the centres are annotated; part `i + 1` in `truth_partNN.mat`.
const LANDMARKS: [&str; 2] = ["head", "front legs"];

/// One or several animals of Animal-Part, and pictures without any.
///
/// A positive is the object's box, clamped to its photo and without a margin, resized to a square
/// by [`resize_bilinear`]; a negative is a whole picture, resized. EXIF orientations are not
/// applied. Positives come first, category by category in the order asked for and each in the order
/// of its files, then the negatives.
///
/// # Landmarks
///
/// `head` and `front legs` are the centres of parts 1 and 2, moved from MATLAB's 1-based `[y; x]` in
/// a crop of 224 × 224 to 0-based pixels of the sample. A landmark of which several instances are
/// marked in one crop counts as missing, as in the authors' evaluation. A sample is *annotated* if it
/// has at least one landmark ([`annotated`](AnimalPart::annotated)): counted so, after leaving
/// out small boxes, there are 229 annotated tigers, 236 koalas and 164 elephants.
///
/// # Layout
///
/// `<wnid>_obj/img/data.mat` with the boxes, `<wnid>_obj/img/img/00001.jpg` and so on,
/// `truth/<wnid>/truth_part01.mat` and `truth_part02.mat`, and `neg/*.JPEG`.
#[derive(Clone, Debug)]
pub struct AnimalPart {
    name: String,
    image_size: u32,
    categories: Vec<String>,
    landmark_names: Vec<String>,
    entries: Vec<Entry>,
    positives: usize,
}

impl AnimalPart {
    /// Reads the annotations of the categories with these WordNet ids, such as `n02129604`.
    ///
    /// # Errors
    ///
    /// If `wnids` is empty or repeats itself, a setting cannot be met, or a file is missing,
    /// damaged or does not agree with the others.
    pub fn open(
        root: impl AsRef<Path>,
        wnids: &[&str],
        config: &AnimalPartConfig,
    ) -> Result<Self, DatasetError> {
        let root = root.as_ref();
        check(wnids, config)?;
        let mut entries = Vec::new();
        for (category, wnid) in wnids.iter().enumerate() {
            entries.extend(positives(root, wnid, category, config)?);
        }
        let positives = entries.len();
        entries.extend(negatives(root, positives, config)?);
        if config.split == SplitRule::ByPhoto {
            let paths: Vec<&Path> = entries.iter().map(|e| e.image.as_path()).collect();
            let photos = split::identical_files(&paths)?;
            let categories: Vec<_> = entries.iter().map(|e| e.category).collect();
            for (entry, side) in entries.iter_mut().zip(split::by_photo(&categories, &photos)) {
                entry.split = side;
            }
        }
        Ok(Self {
            name: format!("Animal-Part {}", wnids.join("+")),
            image_size: config.image_size,
            categories: wnids.iter().map(|&w| w.to_owned()).collect(),
            landmark_names: LANDMARKS.map(str::to_owned).to_vec(),
            entries,
            positives,
        })
    }

    /// The number of positives; the samples from this index on are negatives.
    pub fn positives(&self) -> usize {
        self.positives
    }

    /// The landmarks of a sample, as in [`Sample::landmarks`], without reading its image.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    pub fn landmarks(&self, index: usize) -> &[Option<Point>] {
        &self.entries[index].landmarks
    }

    /// The indices of the samples that have at least one landmark.
    pub fn annotated(&self) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.has_landmarks(i)).collect()
    }

    /// The file of a sample's picture.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    pub fn image_path(&self, index: usize) -> &Path {
        &self.entries[index].image
    }
}

impl Dataset for AnimalPart {
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
        let picture = read_picture(&entry.image)?;
        let picture = match entry.source_box {
            None => picture,
            Some(source_box) => source_box.crop(&picture).ok_or_else(|| DatasetError::Value {
                path: entry.image.clone(),
                field: "the object's box".into(),
                expected: format!("a part of the picture, {} × {}", picture.width(), picture.height()),
                found: format!("{source_box:?}"),
            })?,
        };
        let size = self.image_size;
        let (right, bottom) = (size as f32, size as f32);
        Ok(Sample {
            id: entry.id.clone(),
            image: resize_bilinear(&picture, size, size),
            category: entry.category,
            bounding_box: entry.source_box.map(|_| BoundingBox { left: 0.0, top: 0.0, right, bottom }),
            landmarks: entry.landmarks.clone(),
        })
    }

    fn categories(&self) -> &[String] {
        &self.categories
    }

    fn landmark_names(&self) -> &[String] {
        &self.landmark_names
    }

    fn split(&self, index: usize) -> Split {
        self.entries[index].split
    }

    fn category(&self, index: usize) -> Option<usize> {
        self.entries[index].category
    }

    fn has_landmarks(&self, index: usize) -> bool {
        self.landmarks(index).iter().any(Option::is_some)
    }
}

fn check(wnids: &[&str], config: &AnimalPartConfig) -> Result<(), DatasetError> {
    let error = |setting, expected: &str, found: String| {
        Err(DatasetError::Config { setting, expected: expected.into(), found })
    };
    if wnids.is_empty() || wnids.iter().enumerate().any(|(i, w)| wnids[..i].contains(w)) {
        return error("wnids", "one category or more, each once", format!("{wnids:?}"));
    }
    if !(1..=4096).contains(&config.image_size) {
        return error("image_size", "1 to 4096", config.image_size.to_string());
    }
    match config.negatives {
        Negatives::PositiveShare(share) if !(share > 0.0 && share <= 1.0) => {
            error("negatives", "a share above 0 and at most 1", share.to_string())
        }
        _ => Ok(()),
    }
}
