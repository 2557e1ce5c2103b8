//! Annotations as JSON.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::annotations::{MAX_LANDMARKS, Row, Rows};
use super::spans::{Scanner, Span, without_nan};
use crate::DatasetError;
use crate::faults::Sieve;

/// One object of a picture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    image: String,
    split: Option<String>,
    #[serde(rename = "box")]
    sides: Option<[Option<f32>; 4]>,
    #[serde(default)]
    landmarks: Option<Pairs>,
}

/// Landmarks in the order of the file; one that is not seen is `null`, or `[null, null]`.
#[derive(Default)]
struct Pairs(Vec<(String, Option<[Option<f32>; 2]>)>);

/// What is left of an object that is wrong: the picture that it is about.
#[derive(Deserialize)]
struct Named {
    image: String,
}

/// Reads all rows.
pub(super) fn rows(path: &Path, bytes: &[u8], sieve: &mut Sieve) -> Result<Rows, DatasetError> {
    let Contents { landmark_names, images } = Contents::of(path, bytes)?;
    let indices: HashMap<&str, u32> = landmark_names.iter().map(String::as_str).zip(0..).collect();
    let mut rows = Rows::default();
    for (i, span) in images.into_iter().enumerate() {
        let bytes = &bytes[span.bytes.clone()];
        let place = format!("line {}, images[{i}]", span.line);
        let error = |[expected, found]: [String; 2]| DatasetError::value(path, place, expected, found);
        let row = match value::<Image>(bytes) {
            Ok(image) => Ok((image.image.clone(), image.row(&indices, span.line))),
            // The picture is damaged, if it can be told which it is.
            Err(found) => match value::<Named>(bytes) {
                Ok(Named { image }) => Ok((image, Err(["an object of a picture".to_owned(), found]))),
                Err(_) => Err(["an object of a picture".to_owned(), found]),
            },
        };
        match row {
            Ok((name, row)) => rows.push(&name, row, error, sieve)?,
            Err(wrong) => drop(sieve.pass::<()>(Err(error(wrong)))?),
        }
    }
    Ok(Rows { landmark_names, ..rows })
}

/// A value; `NaN` is read as `null`.
fn value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let parsed = serde_json::from_slice(bytes);
    let parsed = match (parsed, without_nan(bytes)) {
        (Err(_), Some(bytes)) => serde_json::from_slice(&bytes),
        (parsed, _) => parsed,
    };
    // The place that the error has is that in the value; the caller has the value's own.
    parsed.map_err(|error| {
        let (text, place) =
            (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
        text.strip_suffix(&place).unwrap_or(&text).to_owned()
    })
}

/// The whole file, its objects not yet parsed.
struct Contents {
    landmark_names: Vec<String>,
    images: Vec<Span>,
}

impl Contents {
    fn of(path: &Path, bytes: &[u8]) -> Result<Self, DatasetError> {
        let wrong = |at: &str, found: String| DatasetError::format(path, at, "annotations in JSON", found);
        let mut scanner = Scanner::new(bytes);
        let members =
            scanner.members().filter(|_| scanner.is_at_end()).ok_or_else(
                || match serde_json::from_slice::<IgnoredAny>(bytes) {
                    Err(error) => {
                        wrong(&format!("line {}, column {}", error.line(), error.column()), error.to_string())
                    }
                    Ok(_) => wrong("line 1", "no object with images".to_owned()),
                },
            )?;
        let (mut landmark_names, mut images) = (None, None);
        for [name, span] in members {
            let at = format!("line {}", name.line);
            let key: String = value(&bytes[name.bytes]).map_err(|found| wrong(&at, found))?;
            let again = match key.as_str() {
                "landmarks" => {
                    let names: Vec<String> = value(&bytes[span.bytes]).map_err(|found| wrong(&at, found))?;
                    landmark_names.replace(names).is_some()
                }
                "images" => {
                    let elements = Scanner::within(bytes, &span).elements();
                    let elements =
                        elements.ok_or_else(|| wrong(&at, "images that are no array".to_owned()))?;
                    images.replace(elements).is_some()
                }
                _ => {
                    let found = format!("unknown field `{key}`, expected `landmarks` or `images`");
                    return Err(wrong(&at, found));
                }
            };
            if again {
                return Err(wrong(&at, format!("{key} again")));
            }
        }
        let landmark_names = landmark_names.unwrap_or_default();
        check_names(path, &landmark_names)?;
        let images = images.ok_or_else(|| wrong("line 1", "missing field `images`".to_owned()))?;
        Ok(Self { landmark_names, images })
    }
}

fn check_names(path: &Path, names: &[String]) -> Result<(), DatasetError> {
    if names.len() > MAX_LANDMARKS {
        let (expected, found) = (format!("at most {MAX_LANDMARKS} of them"), names.len().to_string());
        return Err(DatasetError::value(path, "landmarks", expected, found));
    }
    let mut seen = HashSet::new();
    match names.iter().find(|&name| !seen.insert(name)) {
        None => Ok(()),
        Some(twice) => {
            Err(DatasetError::value(path, "landmarks", "each name once", format!("{twice:?} again")))
        }
    }
}

impl Image {
    fn row(self, indices: &HashMap<&str, u32>, line: usize) -> Result<Row, [String; 2]> {
        let mut landmarks = Vec::new();
        let mut seen = HashSet::new();
        for (name, place) in self.landmarks.unwrap_or_default().0 {
            let Some(&index) = indices.get(name.as_str()) else {
                let mut names: Vec<_> = indices.iter().map(|(name, index)| (index, name)).collect();
                names.sort_unstable();
                let names: Vec<_> = names.into_iter().map(|(_, name)| name).take(30).collect();
                return Err([format!("landmarks among {names:?}"), format!("{name:?}")]);
            };
            if !seen.insert(index) {
                return Err(["each landmark once".to_owned(), format!("{name:?} again")]);
            }
            if let Some(place) = place {
                landmarks.extend(all_or_none(place)?.map(|place| (index, place)));
            }
        }
        landmarks.sort_unstable_by_key(|&(index, _)| index);
        let sides = self.sides.map(all_or_none).transpose()?.flatten();
        Ok(Row { image: self.image, split: self.split, sides, landmarks, line })
    }
}

/// Numbers of which all are there, or none.
fn all_or_none<const N: usize>(numbers: [Option<f32>; N]) -> Result<Option<[f32; N]>, [String; 2]> {
    match numbers.iter().flatten().count() {
        0 => Ok(None),
        count if count == N => Ok(Some(numbers.map(Option::unwrap_or_default))),
        _ => Err([format!("{N} numbers, or null"), format!("{numbers:?}")]),
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("landmarks by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}
