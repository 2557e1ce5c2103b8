//! What a file of weights holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::store::burn_pack::Tensor as Packed;
use burn::store::{ModuleStore, PytorchStore, SafetensorsStore};
use explainer_core::Preprocessing;
use serde::Deserialize;

use crate::PerformerError;

/// Parts of names that checkpoints put in front of torchvision's: of the dictionary that holds the
/// state dict beside an optimiser's, and of `DataParallel`.
const NESTS: [&str; 2] = ["state_dict.", "model_state_dict."];
const PARALLEL: &str = "module.";

/// Keys of the metadata of a safetensors file, with JSON for values.
pub(super) const PREPROCESSING: &str = "preprocessing";
pub(super) const CLASSES: &str = "classes";

/// Longest header of a safetensors file that is read, as in its reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// Tensors by PyTorch's names, not yet read.
pub(super) type StateDict = BTreeMap<String, Packed>;

/// A file's tensors and what it says beside them.
pub(super) struct Contents {
    pub(super) state: StateDict,
    pub(super) preprocessing: Option<Preprocessing>,
    pub(super) class_names: Vec<String>,
}

impl Contents {
    /// The preprocessing: what the file says, what the caller says, or else `otherwise`.
    pub(super) fn preprocessing(
        &mut self,
        path: &Path,
        stated: Option<Preprocessing>,
        otherwise: impl FnOnce() -> Preprocessing,
    ) -> Result<Preprocessing, PerformerError> {
        match (self.preprocessing.take(), stated) {
            (Some(found), Some(stated)) if found != stated => {
                let (stated, found) = (describe(&stated), describe(&found));
                Err(PerformerError::Preprocessing { path: path.into(), stated, found })
            }
            (Some(preprocessing), _) | (None, Some(preprocessing)) => Ok(preprocessing),
            (None, None) => Ok(otherwise()),
        }
    }

    /// Checks the names of the classes against the number of scores; drops them where the head is new.
    pub(super) fn class_names(
        &mut self,
        path: &Path,
        classes: usize,
        replaced: &[String],
    ) -> Result<Vec<String>, PerformerError> {
        let names = std::mem::take(&mut self.class_names);
        if !replaced.is_empty() || names.is_empty() {
            return Ok(Vec::new());
        }
        if names.len() != classes {
            let reason = format!("names of {} classes for {classes} scores", names.len());
            return Err(PerformerError::Unreadable { path: path.into(), reason });
        }
        Ok(names)
    }
}

/// A preprocessing in a few words.
fn describe(preprocessing: &Preprocessing) -> String {
    let Preprocessing { size, mean, std, order, mean_image } = preprocessing;
    let image = if mean_image.is_some() { ", with a mean image" } else { "" };
    format!("{size}×{size} pixels, mean {mean:?}, standard deviation {std:?}, {order:?}{image}")
}

/// Reads the state dict of PyTorch in a file.
pub(super) fn read(path: &Path) -> Result<Contents, PerformerError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let unreadable = |reason: String| PerformerError::Unreadable { path: path.to_path_buf(), reason };
    let (mut preprocessing, mut class_names) = (None, Vec::new());
    let tensors = match extension.to_ascii_lowercase().as_str() {
        "pth" | "pt" => {
            let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
            store.get_all_tensors().cloned().map_err(|error| unreadable(error.to_string()))?
        }
        "safetensors" => {
            let mut store = SafetensorsStore::from_file(path);
            let tensors = store.get_all_tensors().cloned().map_err(|error| unreadable(error.to_string()))?;
            let metadata = metadata(path).map_err(&unreadable)?;
            let unread = |key: &str, error: serde_json::Error| unreadable(format!("its {key}: {error}"));
            if let Some(json) = metadata.get(PREPROCESSING) {
                let found: Preprocessing =
                    serde_json::from_str(json).map_err(|error| unread(PREPROCESSING, error))?;
                check(&found).map_err(&unreadable)?;
                preprocessing = Some(found);
            }
            if let Some(json) = metadata.get(CLASSES) {
                class_names = serde_json::from_str(json).map_err(|error| unread(CLASSES, error))?;
            }
            tensors
        }
        _ => return Err(PerformerError::Format { path: path.to_path_buf() }),
    };
    let nest = NESTS.into_iter().find(|nest| tensors.keys().any(|name| name.starts_with(nest)));
    let strip = |(name, tensor): (String, Packed)| {
        let name = name.strip_prefix(nest.unwrap_or_default())?;
        Some((name.strip_prefix(PARALLEL).unwrap_or(name).to_string(), tensor))
    };
    let state = tensors.into_iter().filter_map(strip).collect();
    Ok(Contents { state, preprocessing, class_names })
}

/// What is wrong with a preprocessing that came from a file.
fn check(preprocessing: &Preprocessing) -> Result<(), String> {
    let Preprocessing { size, mean, std, mean_image, .. } = preprocessing;
    let finite =
        mean.iter().all(|mean| mean.is_finite()) && std.iter().all(|&std| std > 0.0 && std.is_finite());
    if *size == 0 || !finite {
        return Err(format!("its preprocessing makes no sense: {}", describe(preprocessing)));
    }
    match mean_image {
        Some(image) if image.values().len() != preprocessing.bytes() => {
            let (expected, found) = (preprocessing.bytes(), image.values().len());
            Err(format!("its mean image: expected {expected} values, found {found}"))
        }
        _ => Ok(()),
    }
}

/// The metadata of a safetensors file: a header in JSON stands behind its length in 8 bytes.
fn metadata(path: &Path) -> Result<BTreeMap<String, String>, String> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__", default)]
        metadata: BTreeMap<String, String>,
    }
    let told = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(told)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(told)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(told)?;
    let header: Header = serde_json::from_slice(&header).map_err(|error| error.to_string())?;
    Ok(header.metadata)
}
