//! What a file of weights holds.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use burn::store::burn_pack::Tensor as Packed;
use burn::store::{ModuleStore, PytorchStore, SafetensorsStore};
use explainer_core::Preprocessing;
use serde::Deserialize;

use super::pytorch::{self, Layout};
use crate::PerformerError;

/// Parts of names that checkpoints put in front of torchvision's: of the dictionary that holds the
/// state dict beside an optimiser's, and of `DataParallel`.
const NESTS: [&str; 2] = ["state_dict.", "model_state_dict."];
const PARALLEL: &str = "module.";

/// Keys of the metadata of a safetensors file, with JSON for values.
pub(super) const PREPROCESSING: &str = "preprocessing";
pub(super) const CLASSES: &str = "classes";

/// Bytes by which a file is known.
const START: u64 = 300;
/// What [`explainer_files::content`] calls such a file.
const SAFETENSORS: &str = "a safetensors file";

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

/// Why a file is not read.
pub(super) enum Fault {
    Reason(String),
    /// Two things that could be meant by one name.
    Ambiguous {
        name: String,
        keys: [String; 2],
    },
}

impl Fault {
    fn at(self, path: &Path) -> PerformerError {
        let path = path.to_path_buf();
        match self {
            Self::Reason(reason) => PerformerError::Unreadable { path, reason },
            Self::Ambiguous { name, keys } => PerformerError::Ambiguous { path, name, keys },
        }
    }
}

/// Reads the state dict of PyTorch in a file.
pub(super) fn read(path: &Path) -> Result<Contents, PerformerError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let contents = match extension.to_ascii_lowercase().as_str() {
        "pth" | "pt" => checkpoint(path),
        "safetensors" => safetensors(path),
        _ => return Err(PerformerError::Format { path: path.to_path_buf() }),
    };
    contents.map_err(|fault| fault.at(path))
}

/// What a file begins with.
fn start(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut start = Vec::new();
    let read = explainer_files::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    read.map_err(|error| Fault::Reason(error.to_string()))?;
    Ok(start)
}

/// The fault that a file is not what its name says.
fn another(expected: &str, start: &[u8]) -> Fault {
    let found = explainer_files::content(start).unwrap_or("another file");
    Fault::Reason(format!("expected {expected}, found {found}"))
}

fn checkpoint(path: &Path) -> Result<Contents, Fault> {
    let start = start(path)?;
    let layout = Layout::of(&start).ok_or_else(|| another("a checkpoint of PyTorch", &start))?;
    let state = match layout {
        Layout::Zip | Layout::Legacy => stripped(pytorch::read(path, layout)?, "")?,
        Layout::Tar => {
            let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
            let tensors = store.get_all_tensors().cloned();
            nested(tensors.map_err(|error| Fault::Reason(error.to_string()))?)?
        }
    };
    Ok(Contents { state, preprocessing: None, class_names: Vec::new() })
}

fn safetensors(path: &Path) -> Result<Contents, Fault> {
    let start = start(path)?;
    if explainer_files::content(&start) != Some(SAFETENSORS) {
        return Err(another(SAFETENSORS, &start));
    }
    let mut store = SafetensorsStore::from_file(path);
    let tensors = store.get_all_tensors().cloned().map_err(|error| Fault::Reason(error.to_string()))?;
    let metadata = metadata(path).map_err(Fault::Reason)?;
    let unread = |key: &str, error: serde_json::Error| Fault::Reason(format!("its {key}: {error}"));
    let preprocessing = match metadata.get(PREPROCESSING) {
        None => None,
        Some(json) => {
            let found = serde_json::from_str(json).map_err(|error| unread(PREPROCESSING, error))?;
            check(&found).map_err(Fault::Reason)?;
            Some(found)
        }
    };
    let class_names = match metadata.get(CLASSES) {
        None => Vec::new(),
        Some(json) => serde_json::from_str(json).map_err(|error| unread(CLASSES, error))?,
    };
    Ok(Contents { state: nested(tensors)?, preprocessing, class_names })
}

/// The tensors in a nest, if there is one.
fn nested(tensors: StateDict) -> Result<StateDict, Fault> {
    let nests: Vec<&str> =
        NESTS.into_iter().filter(|nest| tensors.keys().any(|name| name.starts_with(nest))).collect();
    match nests[..] {
        [] => stripped(tensors, ""),
        [nest] => stripped(tensors, nest),
        _ => Err(Fault::Ambiguous { name: "the state dict".to_string(), keys: NESTS.map(str::to_string) }),
    }
}

/// The tensors whose names begin with a nest, by their names without it and without that of `DataParallel`. Two of
/// one name are an error.
fn stripped(tensors: StateDict, nest: &str) -> Result<StateDict, Fault> {
    let mut found: BTreeMap<String, (String, Packed)> = BTreeMap::new();
    for (key, tensor) in tensors {
        let Some(name) = key.strip_prefix(nest) else { continue };
        let name = name.strip_prefix(PARALLEL).unwrap_or(name).to_string();
        if let Some((other, _)) = found.get(&name) {
            return Err(Fault::Ambiguous { name, keys: [other.clone(), key] });
        }
        found.insert(name, (key, tensor));
    }
    Ok(found.into_iter().map(|(name, (_, tensor))| (name, tensor)).collect())
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
    let mut file = explainer_files::open(path).map_err(told)?;
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
