//! Any set in CUB's layout.

use std::fs;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::{Dataset, DatasetError, Split};

/// CUB's parts, in the order of their ids from 1.
const PARTS: [&str; 15] = [
    "back",
    "beak",
    "belly",
    "breast",
    "crown",
    "forehead",
    "left eye",
    "left leg",
    "left wing",
    "nape",
    "right eye",
    "right leg",
    "right wing",
    "tail",
    "throat",
];
/// The part that a landmark of this name is written as; others go by their own name.
const HEAD: [&str; 2] = ["head", "forehead"];
/// What is in the folder of a set.
const SET: [&str; 5] = ["images", "parts", "images.txt", "bounding_boxes.txt", "train_test_split.txt"];
/// Quality of the JPEG files.
const QUALITY: u8 = 95;

/// Writes a set in the layout of CUB-200-2011, as [`Cub`](super::Cub) reads it: the objects of each
/// category as a species, with their boxes and split, and their landmarks: as CUB's parts where it has them (`head` as
/// its forehead), else as further parts behind those. What has no category goes to the folder `negatives`, or is left out if that is `None`.
///
/// With [`SyntheticSpecies`](crate::SyntheticSpecies) it makes a small set to try programs on:
///
/// ```
/// use explainer_datasets::{Cub, CubConfig, SyntheticSpecies, SyntheticSpeciesConfig, write_cub};
///
/// let folder = tempfile::tempdir()?;
/// let birds = SyntheticSpecies::new(SyntheticSpeciesConfig::new(4, 0).with_size(96))?;
/// write_cub(&birds, folder.path(), None)?;
/// assert_eq!(Cub::open(folder.path(), &CubConfig::new())?.positives(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If a folder holds a set or pictures already ([`DatasetError::Occupied`]): what is there is not mixed with what is
/// written. If a sample cannot be had, has a category but no box, or a file cannot be written.
pub fn write_cub(set: &dyn Dataset, root: &Path, negatives: Option<&Path>) -> Result<(), DatasetError> {
    for folder in std::iter::once(root).chain(negatives) {
        check_free(folder)?;
    }
    let [mut images, mut boxes, mut split, mut parts, mut locations] = [
        "images.txt",
        "bounding_boxes.txt",
        "train_test_split.txt",
        "parts/parts.txt",
        "parts/part_locs.txt",
    ]
    .map(|name| Text::new(root, name));
    let own = |name: &&str| *name != HEAD[0] && !PARTS.contains(name);
    let further = set.landmark_names().iter().map(String::as_str).filter(own);
    let part_names: Vec<&str> = PARTS.into_iter().chain(further).collect();
    for (i, part) in part_names.iter().enumerate() {
        parts.line(format_args!("{} {part}", i + 1));
    }
    let (mut id, mut folders) = (0, vec![0; set.categories().len()]);
    for index in 0..set.len() {
        if set.category(index).is_none() && negatives.is_none() {
            continue;
        }
        let sample = set.sample(index)?;
        let Some(category) = sample.category else {
            if let Some(folder) = negatives {
                save(&sample.image, &folder.join(format!("{index:06}.jpg")))?;
            }
            continue;
        };
        id += 1;
        folders[category] += 1;
        let bird = set.categories()[category].replace([' ', '/'], "_");
        let name = format!("{:03}.{bird}/{bird}_{:04}.jpg", category + 1, folders[category]);
        save(&sample.image, &root.join("images").join(&name))?;
        images.line(format_args!("{id} {name}"));
        let b = sample.bounding_box.ok_or_else(|| DatasetError::Value {
            path: root.to_owned(),
            field: sample.id.clone(),
            expected: "a box".to_owned(),
            found: "none".to_owned(),
        })?;
        boxes.line(format_args!("{id} {} {} {} {}", b.left, b.top, b.right - b.left, b.bottom - b.top));
        split.line(format_args!("{id} {}", u8::from(set.split(index) == Split::Train)));
        for (i, &part) in part_names.iter().enumerate() {
            let own = |name: &str| if name == HEAD[0] { HEAD[1] == part } else { name == part };
            let landmark = set.landmark_names().iter().position(|name| own(name));
            let place = landmark.and_then(|landmark| sample.landmarks[landmark]);
            let (x, y, visible) = place.map_or((0.0, 0.0, 0), |p| (p.x, p.y, 1));
            locations.line(format_args!("{id} {} {x} {y} {visible}", i + 1));
        }
    }
    [images, boxes, split, parts, locations].into_iter().try_for_each(Text::save)
}

/// Refuses a folder that holds anything of a set: one of its files, or a picture.
fn check_free(folder: &Path) -> Result<(), DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // What stands in the way of writing is told when it is written.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let of_a_set = SET.iter().any(|name| path.ends_with(name));
        if of_a_set || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jpg")) {
            return Err(DatasetError::Occupied { path });
        }
    }
    Ok(())
}

/// A text file to be.
struct Text {
    path: std::path::PathBuf,
    text: String,
}

impl Text {
    fn new(root: &Path, name: &str) -> Self {
        Self { path: root.join(name), text: String::new() }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text += &format!("{line}\n");
    }

    fn save(self) -> Result<(), DatasetError> {
        make_folder(&self.path)?;
        fs::write(&self.path, self.text).map_err(|source| DatasetError::Write { path: self.path, source })
    }
}

fn make_folder(path: &Path) -> Result<(), DatasetError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|source| DatasetError::Write { path: folder.to_owned(), source })
}

/// Writes a picture as JPEG.
fn save(image: &RgbImage, path: &Path) -> Result<(), DatasetError> {
    make_folder(path)?;
    let write = || {
        let mut file = BufWriter::new(fs::File::create(path)?);
        let (width, height) = image.dimensions();
        JpegEncoder::new_with_quality(&mut file, QUALITY)
            .write_image(image, width, height, ExtendedColorType::Rgb8)
            .map_err(std::io::Error::other)?;
        file.flush()
    };
    write().map_err(|source| DatasetError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SyntheticSpecies, SyntheticSpeciesConfig};

    #[test]
    fn a_folder_that_holds_a_set_is_left_alone() {
        let birds = SyntheticSpecies::new(SyntheticSpeciesConfig::new(2, 2).with_size(32)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [root, none, other] = ["set", "none", "other"].map(|name| folder.path().join(name));
        fs::create_dir(&root).unwrap();
        fs::write(root.join("README"), "no set").unwrap();
        write_cub(&birds, &root, Some(&none)).unwrap();
        let before = fs::read(root.join("images.txt")).unwrap();
        for (root, negatives, named) in [
            (&root, None, "set"),
            (&other, Some(&*none), "none"),
            (&other, Some(&*root.join("images/001.crowned-lancer")), "001.crowned-lancer"),
        ] {
            let error = write_cub(&birds, root, negatives).unwrap_err();
            assert!(matches!(error, DatasetError::Occupied { .. }), "{error}");
            assert!(error.to_string().contains(named), "{error}");
        }
        assert_eq!(fs::read(root.join("images.txt")).unwrap(), before);
        assert!(!other.exists(), "it is found before anything is written");
    }
}
