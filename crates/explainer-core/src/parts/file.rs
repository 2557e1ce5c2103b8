//! A fitted explainer as one file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::detectors;
use super::explainer::{PartExplainer, frozen};
use crate::features::floats;
use crate::{CoreError, Performer};

/// The key of the metadata, with JSON for its value.
const KEY: &str = "explainer";
/// Raised when older files can no longer be read.
const FORMAT: u32 = 2;
/// Longest header that is read.
const MAX_HEADER: u64 = 1 << 24;
/// Largest relative difference between what the performer of a file and the one at hand make of the same picture.
const SAME: f32 = 1e-3;
/// Scores of a fingerprint, at most.
const SCORES: usize = 32;

/// What a file says beside the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    /// C, height, width of the target layer.
    target: [usize; 3],
    dimensions: usize,
    parts: usize,
    performer: Fingerprint,
    notes: BTreeMap<String, String>,
}

/// What a performer makes of a picture of fixed noise: another network, or another layer of the same one, makes
/// something else of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fingerprint {
    /// Side of its input in pixels.
    size: usize,
    /// Mean absolute target feature.
    target: f32,
    /// The first scores.
    scores: Vec<f32>,
}

impl Fingerprint {
    fn of<P: Performer>(performer: &P, device: &Device) -> Result<Self, CoreError> {
        let input = performer.preprocessing();
        // A multiplicative congruential generator, the same on every machine.
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let pixels: Vec<u8> = (0..input.bytes()).map(|_| noise()).collect();
        let target = performer.target_features(input.batch(&[&pixels], device)?);
        let scores = performer.forward_from_target(target.clone()).scores;
        let mut scores = floats(scores);
        scores.truncate(SCORES);
        Ok(Self { size: input.size, target: target.abs().mean().into_scalar::<f32>(), scores })
    }

    /// What is different, if anything is.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.size != other.size {
            return Some(format!("an input of {} pixels, expected {}", other.size, self.size));
        }
        let close = |a: f32, b: f32, scale: f32| (a - b).abs() <= SAME * scale.max(f32::MIN_POSITIVE);
        if !close(self.target, other.target, self.target.abs()) {
            return Some(format!("target features of mean size {}, expected {}", other.target, self.target));
        }
        let largest = self.scores.iter().fold(0f32, |most, score| most.max(score.abs()));
        let same = self.scores.iter().zip(&other.scores).all(|(&a, &b)| close(a, b, largest));
        (!same || self.scores.len() != other.scores.len())
            .then(|| format!("scores {:?}, expected {:?}", other.scores, self.scores))
    }
}

impl PartExplainer {
    /// Writes the explainer into one safetensors file, which appears whole or not at all. `notes` are kept beside it:
    /// names of parts, categories, figures.
    ///
    /// The tensors, for readers in other languages: `detectors.embedding.mean` `[C]`,
    /// `detectors.embedding.projection` `[C, d]`, `detectors.directions` `[K, d]`, `detectors.threshold`,
    /// `detectors.slope` and `detectors.margin` `[K]`, `mean` `[C, height, width]`, and `places` `[K, 2]`; the metadata's
    /// `explainer` has the sizes in JSON.
    ///
    /// # Errors
    /// [`CoreError::File`] if it cannot be written.
    pub fn save<P: Performer>(
        &self,
        path: impl AsRef<Path>,
        performer: &P,
        notes: BTreeMap<String, String>,
    ) -> Result<(), CoreError> {
        let path = path.as_ref();
        let [_, dimensions] = self.detectors.embedding.dims();
        let description = Description {
            format: FORMAT,
            target: self.mean.dims(),
            dimensions,
            parts: self.parts(),
            performer: Fingerprint::of(performer, &self.device())?,
            notes,
        };
        let json = serde_json::to_string(&description).map_err(|error| bad(path, error))?;
        let mut store = SafetensorsStore::from_file(path).overwrite(true).metadata(KEY, json);
        self.save_into(&mut store).map_err(|error| bad(path, error))
    }

    /// Reads an explainer of `performer`, and the notes that were kept beside it.
    ///
    /// # Errors
    /// [`CoreError::File`] if the file cannot be read, is no explainer or of another format, or was made for another
    /// network or another layer of it.
    pub fn load<P: Performer>(
        path: impl AsRef<Path>,
        performer: &P,
        device: &Device,
    ) -> Result<(Self, BTreeMap<String, String>), CoreError> {
        let path = path.as_ref();
        let description = description(path)?;
        let found = Fingerprint::of(performer, device)?;
        if let Some(difference) = description.performer.difference(&found) {
            let what = format!("it explains another network, or another layer: this one has {difference}");
            return Err(CoreError::File { path: path.into(), what });
        }
        let Description { target: [channels, height, width], dimensions, parts, .. } = description;

        let mut explainer = Self {
            detectors: detectors::empty([channels, dimensions, parts], device),
            mean: frozen(Tensor::zeros([channels, height, width], device)),
            places: frozen(Tensor::zeros([parts, 2], device)),
        };
        let mut store = SafetensorsStore::from_file(path);
        let loaded = explainer.load_from(&mut store).map_err(|error| bad(path, error))?;
        if !loaded.unused.is_empty() {
            let what = format!("tensors that no explainer has: {:?}", loaded.unused);
            return Err(CoreError::File { path: path.into(), what });
        }
        Ok((explainer, description.notes))
    }
}

/// What the header of a file says.
fn description(path: &Path) -> Result<Description, CoreError> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__", default)]
        metadata: BTreeMap<String, String>,
    }
    let io = |doing| CoreError::io(path, doing);
    let mut file = File::open(path).map_err(io("opening an explainer"))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io("reading the header's length"))?;
    let length = u64::from_le_bytes(length);
    let size = file.seek(SeekFrom::End(0)).map_err(io("reading the file's size"))?;
    if length > MAX_HEADER || length > size {
        let what = format!("it is no safetensors file: a header of {length} bytes in a file of {size}");
        return Err(CoreError::File { path: path.into(), what });
    }
    file.seek(SeekFrom::Start(8)).map_err(io("reading the header"))?;
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(io("reading the header"))?;
    let header: Header = serde_json::from_slice(&header).map_err(|error| bad(path, error))?;
    let json = header.metadata.get(KEY).ok_or_else(|| CoreError::File {
        path: path.into(),
        what: format!("its metadata has no `{KEY}`: it holds no explainer"),
    })?;
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_str(json).map_err(|error| bad(path, error))?;
    if version.format != FORMAT {
        let what = format!("format {}, expected {FORMAT}", version.format);
        return Err(CoreError::File { path: path.into(), what });
    }
    serde_json::from_str(json).map_err(|error| bad(path, error))
}

fn bad(path: &Path, error: impl std::fmt::Display) -> CoreError {
    CoreError::File { path: path.into(), what: error.to_string() }
}
