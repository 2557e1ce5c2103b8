//! Pascal-Part: objects of PASCAL VOC with masks of their parts.

mod config;
mod mask;
pub(crate) mod objects;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use config::PascalPartConfig;

use self::objects::{Annotated, Object, Seen};
use crate::ahead::{all_cores, make_ahead};
use crate::faults::Sieve;
use crate::mat::read_mat;
use crate::photos::entry::{check_file, is_below};
use crate::photos::{Coordinates, Copies, Draft, Entry, Picture};
use crate::{DatasetError, Orientation, PhotoSet, landmark};

const ANNOTATIONS: &str = "Annotations_Part";
const PICTURES: &str = "JPEGImages";
/// Files of annotations that a thread may have read before they are taken.
const AHEAD: usize = 16;

/// Reader of the objects of one or several classes of Pascal-Part (Chen et al., CVPR 2014).
///
/// An object's box is that of its mask. EXIF orientations are not applied.
///
/// # Landmarks
///
/// A landmark is the centre of its part's mask. Several parts, as those of the left and the right, are one
/// mask: `Landmark::new("ears", ["lear", "rear"])`. The samples have the masks as well ([`Sample::masks`](crate::Sample)).
///
/// # Layout
///
/// `Annotations_Part/*.mat` and `JPEGImages/*.jpg`. To find a class, all files of annotations are read, on
/// a thread for each core.
///
/// # Example
///
/// ```no_run
/// use explainer_datasets::{Negatives, PascalPart, PascalPartConfig};
///
/// let config = PascalPartConfig::new().with_negatives(Negatives::other_categories(["sofa", "chair"]));
/// let dogs = PascalPart::open("pascal-part", &["dog"], &config)?;
/// println!("{} dogs with landmarks", dogs.annotated().len());
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PascalPart;

impl PascalPart {
    /// The six animals of the paper.
    pub const ANIMALS: [&str; 6] = ["bird", "cat", "cow", "dog", "horse", "sheep"];

    /// Reads the objects of these classes; each is a category.
    ///
    /// # Errors
    ///
    /// If `classes` is empty or repeats itself, no object is of one of them, a setting cannot be met, or a
    /// file is missing or damaged. With [`Faults::Skip`](crate::Faults) the files are left out that are
    /// damaged, and the objects whose masks make no sense or whose picture is missing.
    pub fn open(
        root: impl AsRef<Path>,
        classes: &[&str],
        config: &PascalPartConfig,
    ) -> Result<PhotoSet, DatasetError> {
        let root = root.as_ref();
        config.photos.check()?;
        landmark::check(&config.landmarks)?;
        if classes.is_empty() || classes.iter().enumerate().any(|(i, class)| classes[..i].contains(class)) {
            let found = format!("{classes:?}");
            return Err(DatasetError::config("classes", "one class or more, each once", found));
        }
        let files = annotation_files(&root.join(ANNOTATIONS))?;
        let found = read_objects(root, &files, classes, config)?;
        let draft = Draft {
            name: format!("Pascal-Part {}", classes.join("+")),
            orientation: Orientation::AsStored,
            coordinates: Coordinates::Picture,
            copies: Copies::None,
            categories: classes.iter().map(|&class| class.to_owned()).collect(),
            landmark_names: config.landmarks.iter().map(|landmark| landmark.name.clone()).collect(),
            positives: found.positives.concat(),
            others: found.others,
            own_negatives: None,
            states_visibility: true,
            report: found.sieve.report,
        };
        draft.finish(&config.photos, Some(config.split))
    }
}

/// The files of annotations, sorted.
fn annotation_files(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let io = |e| DatasetError::io(folder, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("mat")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The objects that were found.
struct Found {
    /// By class.
    positives: Vec<Vec<Entry>>,
    others: Vec<Entry>,
    classes: BTreeSet<String>,
    sieve: Sieve,
}

fn read_objects(
    root: &Path,
    files: &[PathBuf],
    classes: &[&str],
    config: &PascalPartConfig,
) -> Result<Found, DatasetError> {
    let others = config.photos.negatives.categories();
    let is_negative = |class: &str| others.is_some_and(|o| o.is_empty() || o.iter().any(|o| o == class));
    let wanted = |class: &str| classes.contains(&class) || is_negative(class);
    let read = |path: &PathBuf| objects::of(&read_mat(path)?, &config.landmarks, &wanted);
    let mut found = Found {
        positives: vec![vec![]; classes.len()],
        others: vec![],
        classes: BTreeSet::new(),
        sieve: Sieve::new(config.photos.faults),
    };
    make_ahead([all_cores(), AHEAD], files, read, |results| {
        results.zip(files).try_for_each(|(annotated, path)| found.push(root, path, annotated, classes))
    })?;
    let named = classes.iter().copied().chain(others.unwrap_or_default().iter().map(String::as_str));
    match named.into_iter().find(|&class| !found.classes.contains(class)) {
        None => Ok(found),
        Some(class) => {
            let (expected, other) = (format!("an object of class {class}"), format!("{:?}", found.classes));
            Err(DatasetError::value(&root.join(ANNOTATIONS), "classes", expected, other))
        }
    }
}

impl Found {
    fn push(
        &mut self,
        root: &Path,
        path: &Path,
        annotated: Result<Annotated, DatasetError>,
        classes: &[&str],
    ) -> Result<(), DatasetError> {
        let Some(Annotated { picture, objects }) = self.sieve.pass(annotated)? else {
            return Ok(());
        };
        for object in objects {
            let Some(Object { number, class, seen }) = self.sieve.pass(object)? else {
                continue;
            };
            let category = classes.iter().position(|&wanted| wanted == class);
            if !self.classes.contains(&class) {
                self.classes.insert(class);
            }
            let entry = seen.map(|seen| entry(root, path, &picture, number, seen, category)).transpose();
            if let Some(entry) = self.sieve.pass(entry)?.flatten() {
                match category {
                    Some(category) => self.positives[category].push(entry),
                    None => self.others.push(entry),
                }
            }
        }
        Ok(())
    }
}

fn entry(
    root: &Path,
    path: &Path,
    picture: &str,
    number: usize,
    seen: Seen,
    category: Option<usize>,
) -> Result<Entry, DatasetError> {
    if !is_below(picture) {
        return Err(DatasetError::value(
            path,
            "anno.imname",
            "the name of a picture",
            format!("{picture:?}"),
        ));
    }
    let image = root.join(PICTURES).join(format!("{picture}.jpg"));
    check_file(&image)?;
    Ok(Entry {
        id: format!("{picture}#{number}").into(),
        frame: Some(seen.frame),
        picture_size: Some(seen.picture_size),
        landmarks: seen.landmarks,
        masks: seen.masks,
        ..Entry::whole(Picture::File(image.into()), category)
    })
}
