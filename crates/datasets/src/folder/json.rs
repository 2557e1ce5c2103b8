//! Annotations as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::annotations::{Row, Rows};
use crate::DatasetError;
use crate::faults::Sieve;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default)]
    landmarks: Vec<String>,
    images: Vec<Image>,
}

/// One object of a picture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    image: String,
    split: Option<String>,
    #[serde(rename = "box")]
    sides: Option<[f32; 4]>,
    #[serde(default)]
    landmarks: BTreeMap<String, [f32; 2]>,
}

/// Reads all rows.
pub(super) fn rows(path: &Path, bytes: &[u8], sieve: &mut Sieve) -> Result<Rows, DatasetError> {
    let Contents { landmarks, images } = serde_json::from_slice(bytes).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        DatasetError::format(path, at, "annotations in JSON", error.to_string())
    })?;
    if let Some(twice) = landmarks.iter().enumerate().find(|&(i, name)| landmarks[..i].contains(name)) {
        return Err(DatasetError::value(path, "landmarks", "each name once", format!("{:?} again", twice.1)));
    }
    let mut rows = Rows { landmark_names: landmarks, ..Rows::default() };
    for (i, image) in images.into_iter().enumerate() {
        let error = |[expected, found]: [String; 2]| {
            DatasetError::value(path, format!("images[{i}]"), expected, found)
        };
        let name = image.image.clone();
        let row = image.row(&rows.landmark_names);
        rows.push(&name, row, error, sieve)?;
    }
    Ok(rows)
}

impl Image {
    fn row(mut self, names: &[String]) -> Result<Row, [String; 2]> {
        let landmarks = names.iter().map(|name| self.landmarks.remove(name)).collect();
        match self.landmarks.into_keys().next() {
            None => Ok(Row { image: self.image, split: self.split, sides: self.sides, landmarks }),
            Some(other) => Err([format!("landmarks among {names:?}"), format!("{other:?}")]),
        }
    }
}
