//! CUB-200-2011: birds of 200 species with boxes and 15 parts.

mod config;
pub(crate) mod tables;
mod write;

use std::collections::BTreeSet;
use std::path::Path;

pub use config::{CubCategories, CubConfig};
pub use write::write_cub;

use self::tables::{Complete, Tables};
use crate::faults::Sieve;
use crate::lines::{Line, each_line};
use crate::photos::entry::check_file;
use crate::photos::{Coordinates, Copies, Draft, Entry, Picture};
use crate::{DatasetError, Landmark, Orientation, PhotoSet, Point, Split, landmark};

/// Folder of the pictures.
const IMAGES: &str = "images";

/// Reader of CUB-200-2011 (Wah et al., Caltech-UCSD Birds).
///
/// The split is the official one. Boxes and parts are taken as 0-based pixels, a box as `[x, x + width)`:
/// the set does not say. EXIF orientations are not applied.
///
/// # Landmarks
///
/// A part that is not visible is none; what of it is visible stands for a landmark of several parts.
///
/// # Layout
///
/// `images.txt`, `bounding_boxes.txt`, `train_test_split.txt`, `parts/parts.txt`, `parts/part_locs.txt`, and
/// the pictures in `images/<species>/`.
///
/// # Example
///
/// ```no_run
/// use explainer_datasets::{Cub, CubConfig, Dataset, Negatives};
///
/// let config = CubConfig::new().with_negatives(Negatives::folder("places"));
/// let birds = Cub::open("CUB_200_2011", &config)?;
/// println!("{} birds, {} pictures without one", birds.positives(), birds.len() - birds.positives());
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cub;

impl Cub {
    /// Reads the annotations.
    ///
    /// # Errors
    ///
    /// If a setting cannot be met, or a file is missing, damaged or does not agree with the others. With
    /// [`Faults::Skip`](crate::Faults) the photos are left out that are missing, or of which a line is missing
    /// or makes no sense.
    pub fn open(root: impl AsRef<Path>, config: &CubConfig) -> Result<PhotoSet, DatasetError> {
        let root = root.as_ref();
        config.photos.check()?;
        landmark::check(&config.landmarks)?;
        let mut sieve = Sieve::new(config.photos.faults);
        let tables = read(root, config, &mut sieve)?;
        let photos = tables.complete(root, &mut sieve)?;
        let chosen = Chosen::new(root, config, &photos)?;
        let (mut positives, mut others) = (vec![vec![]; chosen.categories.len()], vec![]);
        for photo in &photos {
            let category = chosen.category(photo);
            if category.is_none() && !chosen.is_negative(photo) {
                continue;
            }
            let path = root.join(IMAGES).join(photo.name);
            let entry = check_file(&path).map(|()| entry(&path, photo, category, &config.landmarks));
            match (sieve.pass(entry)?, category) {
                (Some(entry), Some(category)) => positives[category].push(entry),
                (Some(entry), None) => others.push(entry),
                (None, _) => {}
            }
        }
        let draft = Draft {
            name: chosen.name,
            orientation: Orientation::AsStored,
            coordinates: Coordinates::Picture,
            copies: Copies::None,
            categories: chosen.categories,
            landmark_names: config.landmarks.iter().map(|landmark| landmark.name.clone()).collect(),
            positives: positives.concat(),
            others,
            own_negatives: None,
            states_visibility: true,
            report: sieve.report,
        };
        draft.finish(&config.photos, None)
    }
}

/// How a line of a file is read.
type Read = fn(&mut Tables, Line<'_>) -> Result<(), DatasetError>;

/// The files that have a line for each image, or several, in the order in which they are read.
pub(crate) const FILES: [(&str, Read); 4] = [
    ("images.txt", Tables::image),
    ("bounding_boxes.txt", Tables::bounding_box),
    ("train_test_split.txt", Tables::split),
    ("parts/part_locs.txt", Tables::location),
];

/// Reads the text files.
fn read(root: &Path, config: &CubConfig, sieve: &mut Sieve) -> Result<Tables, DatasetError> {
    let parts = config.landmarks.iter().flat_map(|landmark| landmark.parts.clone());
    let mut tables = Tables::new(parts);
    each_line(&root.join("parts/parts.txt"), |line| tables.part(line))?;
    tables.check_parts(&root.join("parts/parts.txt"))?;
    for (file, read) in FILES {
        each_line(&root.join(file), |line| sieve.pass(read(&mut tables, line)).map(drop))?;
    }
    Ok(tables)
}

/// Which species are wanted, and as what.
struct Chosen {
    name: String,
    categories: Vec<String>,
    /// All birds are of the one category.
    all: bool,
    /// The species that are negatives.
    negatives: BTreeSet<String>,
}

impl Chosen {
    fn new(root: &Path, config: &CubConfig, photos: &[Complete<'_>]) -> Result<Self, DatasetError> {
        let species: BTreeSet<&str> = photos.iter().map(Complete::species).collect();
        let missing = |names: &[String]| names.iter().find(|name| !species.contains(name.as_str())).cloned();
        let others = config.photos.negatives.categories();
        let categories = match &config.categories {
            CubCategories::Species(names) => names.clone(),
            CubCategories::OneBird if others.is_some() => {
                let expected = "negatives from elsewhere: all birds are one category";
                return Err(DatasetError::config("negatives", expected, "other species"));
            }
            CubCategories::OneBird => {
                let (name, categories) = ("CUB-200-2011".to_owned(), vec!["bird".to_owned()]);
                return Ok(Self { name, categories, all: true, negatives: BTreeSet::new() });
            }
        };
        let repeated = categories.iter().enumerate().any(|(i, name)| categories[..i].contains(name));
        if categories.is_empty() || repeated {
            let found = format!("{categories:?}");
            return Err(DatasetError::config("categories", "one species or more, each once", found));
        }
        if let Some(name) = missing(&categories).or_else(|| missing(others.unwrap_or_default())) {
            let found = format!("{} other species", species.len());
            return Err(DatasetError::value(&root.join("images.txt"), "species", name, found));
        }
        let mut negatives: BTreeSet<String> = match others {
            None => BTreeSet::new(),
            Some([]) => species.iter().map(|&name| name.to_owned()).collect(),
            Some(names) => names.iter().cloned().collect(),
        };
        negatives.retain(|name| !categories.contains(name));
        let name = format!("CUB-200-2011 {}", categories.join("+"));
        Ok(Self { name, categories, all: false, negatives })
    }

    fn category(&self, photo: &Complete<'_>) -> Option<usize> {
        if self.all { Some(0) } else { self.categories.iter().position(|name| name == photo.species()) }
    }

    fn is_negative(&self, photo: &Complete<'_>) -> bool {
        self.negatives.contains(photo.species())
    }
}

impl Complete<'_> {
    /// The folder of the photo.
    fn species(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

fn entry(path: &Path, photo: &Complete<'_>, category: Option<usize>, landmarks: &[Landmark]) -> Entry {
    let mut places = photo.places.iter();
    let landmark = |landmark: &Landmark| mean(places.by_ref().take(landmark.parts.len()).flatten());
    Entry {
        id: photo.name.into(),
        frame: Some(photo.frame),
        landmarks: landmarks.iter().map(landmark).collect(),
        split: if photo.trained { Split::Train } else { Split::Validation },
        ..Entry::whole(Picture::File(path.into()), category)
    }
}

fn mean<'a>(points: impl Iterator<Item = &'a Point>) -> Option<Point> {
    let (mut x, mut y, mut count) = (0.0, 0.0, 0.0);
    for point in points {
        x += f64::from(point.x);
        y += f64::from(point.y);
        count += 1.0;
    }
    (count > 0.0).then(|| Point { x: (x / count) as f32, y: (y / count) as f32 })
}
