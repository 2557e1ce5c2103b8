//! The list of samples, from the files in the folder.

use std::path::{Path, PathBuf};

use super::config::{AnimalPartConfig, Negatives};
use super::{LANDMARKS, annotations, split};
use crate::picture::SourceBox;
use crate::{DatasetError, Point, Split};

/// What is known of a sample before its image is read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: String,
    pub image: PathBuf,
    pub category: Option<usize>,
    /// `None`: the whole picture.
    pub source_box: Option<SourceBox>,
    pub landmarks: Vec<Option<Point>>,
    pub split: Split,
}

/// The samples of one category, split as the authors do.
pub(super) fn positives(
    root: &Path,
    wnid: &str,
    category: usize,
    config: &AnimalPartConfig,
) -> Result<Vec<Entry>, DatasetError> {
    let folder = root.join(format!("{wnid}_obj")).join("img");
    let boxes = annotations::read_boxes(&folder.join("data.mat"))?;
    let mut landmarks = Vec::new();
    for part in 1..=LANDMARKS.len() {
        let path = root.join("truth").join(wnid).join(format!("truth_part{part:02}.mat"));
        landmarks.push(annotations::read_landmarks(&path, boxes.len())?);
    }
    let mut entries = Vec::new();
    for (i, &source_box) in boxes.iter().enumerate() {
        if source_box.area() < i64::from(config.min_box_area) {
            continue;
        }
        let image = folder.join("img").join(format!("{:05}.jpg", i + 1));
        std::fs::metadata(&image).map_err(|e| DatasetError::io(&image, e))?;
        let rescale = |p| annotations::rescaled(p, config.image_size);
        entries.push(Entry {
            id: format!("{wnid}/{:05}", i + 1),
            image,
            category: Some(category),
            source_box: Some(source_box),
            landmarks: landmarks.iter().map(|part| part[i].map(rescale)).collect(),
            split: Split::Train,
        });
    }
    Ok(split_as_the_authors(entries))
}

/// The pictures without an animal, evenly spread over what is there.
pub(super) fn negatives(
    root: &Path,
    positives: usize,
    config: &AnimalPartConfig,
) -> Result<Vec<Entry>, DatasetError> {
    if config.negatives == Negatives::None {
        return Ok(vec![]);
    }
    let folder = root.join("neg");
    let io = |e| DatasetError::io(&folder, e);
    let mut files = Vec::new();
    for file in std::fs::read_dir(&folder).map_err(io)? {
        let path = file.map_err(io)?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jpeg") || e.eq_ignore_ascii_case("jpg")) {
            files.push(path);
        }
    }
    files.sort();
    let count = match config.negatives {
        Negatives::None => 0,
        Negatives::Count(count) if count > files.len() => {
            let what = "negatives".to_owned();
            return Err(DatasetError::Count { path: folder, what, expected: count, found: files.len() });
        }
        Negatives::Count(count) => count,
        Negatives::PositiveShare(share) => {
            let wanted = positives as f64 * (1.0 - share) / share;
            (wanted.round() as usize).min(files.len())
        }
    };
    let entry = |i: usize| Entry {
        id: format!("neg/{}", files[i].file_stem().unwrap_or_default().to_string_lossy()),
        image: files[i].clone(),
        category: None,
        source_box: None,
        landmarks: vec![None; LANDMARKS.len()],
        split: Split::Train,
    };
    let chosen = split::spread(files.len(), count);
    Ok(split_as_the_authors(chosen.into_iter().map(entry).collect()))
}

fn split_as_the_authors(mut entries: Vec<Entry>) -> Vec<Entry> {
    let sides = split::nine_of_ten(entries.len());
    for (entry, side) in entries.iter_mut().zip(sides) {
        entry.split = side;
    }
    entries
}
