//! A folder of pictures, one folder for each category.

mod annotations;
mod config;
mod csv;
mod json;
mod records;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

pub use config::ImageFolderConfig;

pub(crate) use self::annotations::Annotations;
use self::annotations::Object;
use crate::faults::Sieve;
use crate::photos::entry::check_file;
use crate::photos::{Coordinates, Draft, Entry, Picture, listing};
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
        let mut of_category = by_category(root, pictures, &mut sieve)?;
        if config.annotations.is_some() {
            check_named(root, &of_category, &annotations, &mut sieve)?;
        }
        let (categories, others) = chosen(root, config, &of_category)?;
        let has_split = annotations.has_split();
        let mut entries = |name: &str, category| {
            let pictures = of_category.remove(name).unwrap_or_default();
            let mut found = Vec::with_capacity(pictures.len());
            for picture in pictures {
                let id = listing::id(&picture);
                if annotations.is_damaged(&id) {
                    continue;
                }
                let objects = annotations.of(&id);
                let is_stated = !objects.is_empty() && objects.iter().all(|object| object.split.is_some());
                if has_split && !is_stated {
                    let path = config.annotations.as_deref().unwrap_or(root);
                    let error = DatasetError::value(path, id, "its split, as others have", "none");
                    sieve.pass(Err::<(), _>(error))?;
                    continue;
                }
                push_entries(&mut found, &root.join(picture), &id, objects, category);
            }
            Ok::<_, DatasetError>(found)
        };
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for (category, name) in categories.iter().enumerate() {
            positives.extend(entries(name, category)?);
        }
        for name in &others {
            negatives.extend(entries(name, categories.len())?);
        }
        let draft = Draft {
            name: root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned(),
            orientation: config.orientation,
            coordinates: Coordinates::Picture,
            categories,
            landmark_names: annotations.landmark_names,
            positives,
            others: negatives,
            own_negatives: None,
            report: sieve.report,
        };
        draft.finish(&config.photos, (!has_split).then_some(config.split))
    }
}

/// The samples of one picture: one for each object, or the whole of it.
fn push_entries(found: &mut Vec<Entry>, path: &Path, id: &str, objects: &[Object], category: usize) {
    let entry =
        |id: String| Entry { id: id.into(), ..Entry::whole(Picture::File(path.into()), Some(category)) };
    if objects.is_empty() {
        found.push(entry(id.to_owned()));
    }
    for (i, object) in objects.iter().enumerate() {
        let entry = entry(if objects.len() == 1 { id.to_owned() } else { format!("{id}#{}", i + 1) });
        found.push(Entry {
            frame: object.frame,
            landmarks: object.landmarks.clone(),
            split: object.split.unwrap_or(entry.split),
            ..entry
        });
    }
}

/// The pictures of each category, by its folder's name.
fn by_category(
    root: &Path,
    pictures: impl IntoIterator<Item = PathBuf>,
    sieve: &mut Sieve,
) -> Result<BTreeMap<String, Vec<PathBuf>>, DatasetError> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for picture in pictures {
        let mut parts = picture.components();
        let category =
            parts.next().and_then(|part| part.as_os_str().to_str()).filter(|_| parts.next().is_some());
        let category = category.ok_or_else(|| {
            let expected = "pictures in folders with names in UTF-8, one for each category";
            DatasetError::format(root, listing::id(&picture), expected, "a picture outside of one")
        });
        let Some(category) = sieve.pass(category)? else {
            continue;
        };
        match found.get_mut(category) {
            Some(pictures) => pictures.push(picture),
            None => {
                found.insert(category.to_owned(), vec![picture]);
            }
        }
    }
    if found.is_empty() {
        let what = "pictures in a category's folder".to_owned();
        return Err(DatasetError::Count { path: root.to_owned(), what, expected: 1, found: 0 });
    }
    Ok(found)
}

/// Checks that the pictures that annotations name exist.
fn check_named(
    root: &Path,
    listed: &BTreeMap<String, Vec<PathBuf>>,
    annotations: &Annotations,
    sieve: &mut Sieve,
) -> Result<(), DatasetError> {
    let listed: HashSet<String> = listed.values().flatten().map(|picture| listing::id(picture)).collect();
    let mut missing: Vec<&str> = annotations.images().filter(|&image| !listed.contains(image)).collect();
    missing.sort_unstable();
    for image in missing {
        sieve.pass(check_file(&root.join(image)))?;
    }
    Ok(())
}

/// The categories, and those whose pictures are wanted as negatives.
fn chosen(
    root: &Path,
    config: &ImageFolderConfig,
    of_category: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<(Vec<String>, Vec<String>), DatasetError> {
    let others = config.photos.negatives.categories();
    let named: BTreeSet<&String> = config.categories.iter().chain(others.unwrap_or_default()).collect();
    if let Some(missing) = named.into_iter().find(|&name| !of_category.contains_key(name)) {
        let found = format!("{:?}", of_category.keys().take(30).collect::<Vec<_>>());
        return Err(DatasetError::value(root, "categories", format!("a folder {missing:?}"), found));
    }
    let names = || of_category.keys().cloned();
    let without = |taken: &[String]| names().filter(|name| !taken.contains(name)).collect::<Vec<_>>();
    let categories = match &config.categories[..] {
        [] => without(others.unwrap_or_default()),
        chosen => chosen.to_vec(),
    };
    let repeated = categories.iter().enumerate().any(|(i, name)| categories[..i].contains(name));
    let others = match others {
        None => vec![],
        Some([]) => without(&categories),
        Some(names) => names.to_vec(),
    };
    if repeated || categories.is_empty() || others.iter().any(|name| categories.contains(name)) {
        let expected = "one category or more, each once and not among the negatives";
        return Err(DatasetError::config(
            "categories",
            expected,
            format!("{categories:?}, negatives {others:?}"),
        ));
    }
    Ok((categories, others))
}
