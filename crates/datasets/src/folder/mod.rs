//! A folder of pictures, one folder for each category.

mod annotations;
mod categories;
mod config;
mod csv;
mod json;
mod records;

use std::path::{Path, PathBuf};

pub use config::ImageFolderConfig;

pub(crate) use self::annotations::Annotations;
use self::annotations::Object;
use crate::faults::Sieve;
use crate::photos::{Coordinates, Copies, Draft, Entry, Picture, listing};
use crate::{DatasetError, PhotoSet};

/// Reader of a folder of pictures: `<category>/…/<picture>`, with or without annotations.
///
/// Pictures end in `.jpg`, `.jpeg` or `.png`. Everything below a folder is of its category.
///
/// # Annotations
///
/// One file tells boxes, landmarks and the split; all of them may be left out, and so may pictures. It has a
/// row for each object, so that a picture of several is a sample for each. Boxes and landmarks are in pixels of
/// the picture from 0: a box covers `[left, right) × [top, bottom)`, a landmark's pixel centres are whole
/// numbers. A landmark that is not seen is left empty. If the split is stated at all (`train` or `validation`),
/// it is for every picture.
///
/// As CSV, in any order of the columns:
///
/// ```csv
/// image,split,left,top,right,bottom,head.x,head.y,tail.x,tail.y
/// gull/0001.jpg,train,10,20,210,190,35.5,42,,
/// gull/0002.jpg,validation,0,0,180,120,90,31,12,88
/// ```
///
/// or as JSON:
///
/// ```json
/// {
///   "landmarks": ["head", "tail"],
///   "images": [
///     {"image": "gull/0001.jpg", "split": "train", "box": [10, 20, 210, 190], "landmarks": {"head": [35.5, 42]}},
///     {"image": "gull/0002.jpg", "split": "validation", "box": [0, 0, 180, 120],
///      "landmarks": {"head": [90, 31], "tail": [12, 88]}}
///   ]
/// }
/// ```
///
/// # Example
///
/// ```no_run
/// use explainer_datasets::{Dataset, ImageFolder, ImageFolderConfig, Negatives};
///
/// let config = ImageFolderConfig::new()
///     .with_negatives(Negatives::other_categories(["background"]))
///     .with_annotations("birds/annotations.csv");
/// let birds = ImageFolder::open("birds", &config)?;
/// println!("{:?}", birds.categories());
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ImageFolder;

impl ImageFolder {
    /// Lists the pictures in a folder.
    ///
    /// # Errors
    ///
    /// If a setting cannot be met, the folder has no pictures or some outside of a category's folder, or the
    /// annotations are damaged or name pictures that do not exist. With [`Faults::Skip`](crate::Faults) what
    /// concerns single pictures is left out.
    pub fn open(root: impl AsRef<Path>, config: &ImageFolderConfig) -> Result<PhotoSet, DatasetError> {
        let root = root.as_ref();
        Self::list(root, listing::pictures(root)?, config)
    }

    /// Takes the pictures at these paths below `root`, without looking whether they are there: for lists that
    /// were made before, or elsewhere.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn list(
        root: impl AsRef<Path>,
        pictures: impl IntoIterator<Item = PathBuf>,
        config: &ImageFolderConfig,
    ) -> Result<PhotoSet, DatasetError> {
        let root = root.as_ref();
        config.photos.check()?;
        let mut sieve = Sieve::new(config.photos.faults);
        let annotations = match &config.annotations {
            Some(path) => Annotations::read(path, &mut sieve)?,
            None => Annotations::default(),
        };
        let mut of_category = categories::listed(root, pictures, &mut sieve)?;
        if config.annotations.is_some() {
            categories::check_named(root, &of_category, &annotations, &mut sieve)?;
        }
        let (categories, others) = categories::chosen(root, config, &of_category)?;
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for (category, name) in categories.iter().chain(&others).enumerate() {
            let entries = if category < categories.len() { &mut positives } else { &mut negatives };
            for picture in of_category.remove(name).unwrap_or_default() {
                let found = samples(root, &picture, config, &annotations, category);
                entries.extend(sieve.pass(found)?.into_iter().flatten());
            }
        }
        let rule = (!annotations.has_split()).then_some(config.split);
        let draft = Draft {
            name: root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned(),
            orientation: config.orientation,
            coordinates: Coordinates::Picture,
            copies: Copies::None,
            categories,
            landmark_names: annotations.landmark_names,
            positives,
            others: negatives,
            own_negatives: None,
            states_visibility: false,
            report: sieve.report,
        };
        draft.finish(&config.photos, rule)
    }
}

/// The samples of one picture: one for each object, or the whole of it.
fn samples(
    root: &Path,
    picture: &Path,
    config: &ImageFolderConfig,
    annotations: &Annotations,
    category: usize,
) -> Result<Vec<Entry>, DatasetError> {
    let id = listing::id(picture);
    if annotations.is_damaged(&id) {
        return Ok(vec![]);
    }
    let objects = annotations.of(&id);
    let is_stated = !objects.is_empty() && objects.iter().all(|object| object.split.is_some());
    if annotations.has_split() && !is_stated {
        let file = config.annotations.as_deref().unwrap_or(root);
        return Err(DatasetError::value(file, id, "its split, as others have", "none"));
    }
    let whole = Entry::whole(Picture::File(root.join(picture).into()), Some(category));
    if objects.is_empty() {
        return Ok(vec![Entry { id: id.into(), ..whole }]);
    }
    let entry = |(i, object): (usize, &Object)| Entry {
        id: if objects.len() == 1 { id.as_str().into() } else { format!("{id}#{}", i + 1).into() },
        frame: object.frame,
        landmarks: object.landmarks.clone(),
        split: object.split.unwrap_or(whole.split),
        ..whole.clone()
    };
    Ok(objects.iter().enumerate().map(entry).collect())
}
