//! Weights from PyTorch's files, every tensor and every shape checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as Packed;
use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, KeyRemapper, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, PytorchStore, SafetensorsStore, bridge,
};
use burn::tensor::{DType, Device, TensorData};
use explainer_core::Preprocessing;

use crate::architecture::{Architecture, Layer, Sizes};
use crate::error::Misshapen;
use crate::{ConvNet, PerformerError};

/// Where a network's weights come from, and which input they were trained on.
#[derive(Clone, Debug)]
pub struct Weights {
    path: PathBuf,
    preprocessing: Preprocessing,
}

impl Weights {
    /// A state dict of PyTorch, by its extension: `.pth` and `.pt`, or `.safetensors`. The
    /// preprocessing is ImageNet's at 224×224 pixels.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), preprocessing: Preprocessing::imagenet(224) }
    }

    /// States the input that the weights were trained on.
    pub fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = preprocessing;
        self
    }
}

/// Parts of names that checkpoints put in front of torchvision's: of the dictionary that holds the
/// state dict beside an optimiser's, and of `DataParallel`.
const NESTS: [&str; 2] = ["state_dict.", "model_state_dict."];
const PARALLEL: &str = "module.";

type StateDict = BTreeMap<String, Packed>;

impl<A: Architecture> ConvNet<A> {
    /// Loads weights saved under torchvision's names. The widths of all layers and the number of
    /// classes are read from the file; every tensor and every shape must match then. Half-precision
    /// weights become `f32`.
    ///
    /// A state dict may be nested under `state_dict` or `model_state_dict`, beside other things,
    /// and its names may begin with `module.`.
    ///
    /// # Errors
    /// - [`PerformerError::Format`] for another extension
    /// - [`PerformerError::Unreadable`] for an absent or damaged file
    /// - [`PerformerError::Mismatch`] with all missing, unexpected and misshapen tensors
    /// - [`PerformerError::NonFinite`] for a NaN or an infinity
    /// - [`PerformerError::InputSize`] if the preprocessing's images are too small
    pub fn load(weights: Weights, device: &Device) -> Result<Self, PerformerError> {
        let Weights { path, preprocessing } = weights;
        let mut state = read(&path)?;
        let sizes = sizes::<A>(&state, preprocessing.size);
        let expected = layout::<A>(&sizes)
            .ok_or(PerformerError::InputSize { architecture: A::NAME, size: preprocessing.size })?;
        check::<A>(&path, &expected, &state)?;

        let mut tensors = Vec::with_capacity(expected.len());
        for Entry { theirs, ours, .. } in expected {
            let Some(tensor) = state.remove(&theirs) else { continue };
            tensors.push(bridge::from_data(finite(&path, &theirs, tensor)?, ours, None));
        }
        let mut network = Self::zeros(sizes, preprocessing, device);
        let result = network.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), false);
        if !result.errors.is_empty() || !result.missing.is_empty() || !result.unused.is_empty() {
            return Err(PerformerError::Unreadable { path, reason: result.to_string() });
        }
        Ok(network)
    }

    /// Saves the weights as safetensors under torchvision's names, in `precision` (`F32`, `F16` or
    /// `BF16`), so that [`load`](Self::load) and PyTorch can read them. An existing file is replaced.
    ///
    /// # Errors
    /// [`PerformerError::Unwritable`].
    ///
    /// # Panics
    /// If `precision` is not a floating-point type.
    pub fn save(&self, path: impl Into<PathBuf>, precision: DType) -> Result<(), PerformerError> {
        let path = path.into();
        let unwritable = |reason: String| PerformerError::Unwritable { path: path.clone(), reason };
        let names = names::<A>()
            .into_iter()
            .map(|(theirs, ours)| (format!(r"^{}\.", ours.replace('.', r"\.")), format!("{theirs}.")));
        let remapper =
            KeyRemapper::from_patterns(names.collect()).map_err(|error| unwritable(error.to_string()))?;
        let mut store = SafetensorsStore::from_file(&path)
            .with_to_adapter(BurnToPyTorchAdapter.chain(FloatCastAdapter::to(precision)))
            .remap(remapper)
            .overwrite(true);
        self.save_into(&mut store).map_err(|error| unwritable(error.to_string()))
    }
}

/// torchvision's name of each layer, and the name of the field that holds it here.
fn names<A: Architecture>() -> Vec<(String, String)> {
    let is_conv = |(_, layer): &(usize, &Layer)| matches!(layer, Layer::Conv { .. });
    let convs = A::FEATURES.iter().enumerate().filter(is_conv).enumerate();
    let linears = A::CLASSIFIER.into_iter().zip(["fc6", "fc7", "head"]);
    convs
        .map(|(number, (row, _))| (format!("features.{row}"), format!("convs.{number}")))
        .chain(linears.map(|(row, field)| (format!("classifier.{row}"), field.to_string())))
        .collect()
}

/// One tensor of a network: its two names and the shape PyTorch gives it.
struct Entry {
    theirs: String,
    ours: String,
    shape: Vec<usize>,
}

/// All tensors of a network; `None` where the images are too small.
fn layout<A: Architecture>(sizes: &Sizes) -> Option<Vec<Entry>> {
    let convs = sizes.convs::<A>().into_iter().map(|(row, [inputs, outputs])| {
        let (kernel, ..) = A::FEATURES[row].window();
        vec![outputs, inputs, kernel, kernel]
    });
    let linears = sizes.linears::<A>()?.map(|[inputs, outputs]| vec![outputs, inputs]);
    let weights = convs.chain(linears).zip(names::<A>());
    let entries = weights.flat_map(|(shape, (theirs, ours))| {
        let entry =
            |kind, shape| Entry { theirs: format!("{theirs}.{kind}"), ours: format!("{ours}.{kind}"), shape };
        let bias = entry("bias", vec![shape[0]]);
        [entry("weight", shape), bias]
    });
    Some(entries.collect())
}

/// The sizes a state dict implies; the published ones where a layer is absent.
fn sizes<A: Architecture>(state: &StateDict, input: usize) -> Sizes {
    let outputs = |layer: String, otherwise: usize| {
        let weight = state.get(&format!("{layer}.weight"));
        weight.and_then(|weight| weight.shape.first().copied()).filter(|&size| size > 0).unwrap_or(otherwise)
    };
    let mut widths = [None; 5];
    for (row, layer) in A::FEATURES.iter().enumerate() {
        if let Layer::Conv { width, .. } = *layer {
            widths[width].get_or_insert_with(|| outputs(format!("features.{row}"), A::WIDTHS[width]));
        }
    }
    let [fc6, fc7, head] = A::CLASSIFIER.map(|row| format!("classifier.{row}"));
    Sizes {
        widths: std::array::from_fn(|width| widths[width].unwrap_or(A::WIDTHS[width])),
        hidden: [outputs(fc6, 4096), outputs(fc7, 4096)],
        classes: outputs(head, 1000),
        input,
    }
}

/// All tensors of a file by torchvision's names, not yet read.
fn read(path: &Path) -> Result<StateDict, PerformerError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let unreadable = |reason: String| PerformerError::Unreadable { path: path.to_path_buf(), reason };
    let tensors = match extension.to_ascii_lowercase().as_str() {
        "pth" | "pt" => {
            let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
            store.get_all_tensors().cloned().map_err(|error| unreadable(error.to_string()))?
        }
        "safetensors" => {
            let mut store = SafetensorsStore::from_file(path);
            store.get_all_tensors().cloned().map_err(|error| unreadable(error.to_string()))?
        }
        _ => return Err(PerformerError::Format { path: path.to_path_buf() }),
    };
    let nest = NESTS.into_iter().find(|nest| tensors.keys().any(|name| name.starts_with(nest)));
    let strip = |(name, tensor): (String, Packed)| {
        let name = name.strip_prefix(nest.unwrap_or_default())?;
        Some((name.strip_prefix(PARALLEL).unwrap_or(name).to_string(), tensor))
    };
    Ok(tensors.into_iter().filter_map(strip).collect())
}

/// Compares a state dict with what the network needs.
fn check<A: Architecture>(path: &Path, expected: &[Entry], state: &StateDict) -> Result<(), PerformerError> {
    let mut missing = Vec::new();
    let mut misshapen = Vec::new();
    for Entry { theirs, shape, .. } in expected {
        match state.get(theirs) {
            None => missing.push(theirs.clone()),
            Some(tensor) if tensor.shape.to_vec() != *shape || !tensor.dtype.is_float() => {
                misshapen.push(Misshapen {
                    name: theirs.clone(),
                    expected: shape.clone(),
                    found: tensor.shape.to_vec(),
                    not_float: (!tensor.dtype.is_float()).then(|| format!("{:?}", tensor.dtype)),
                });
            }
            Some(_) => {}
        }
    }
    let known = |name: &String| expected.iter().any(|entry| entry.theirs == *name);
    let unexpected: Vec<_> = state.keys().filter(|name| !known(name)).cloned().collect();
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        return Ok(());
    }
    Err(PerformerError::Mismatch {
        path: path.to_path_buf(),
        architecture: A::NAME,
        missing,
        unexpected,
        misshapen,
    })
}

/// Reads a tensor as `f32` and refuses NaN and infinities.
fn finite(path: &Path, name: &str, tensor: Packed) -> Result<TensorData, PerformerError> {
    let unreadable = |reason: String| PerformerError::Unreadable {
        path: path.to_path_buf(),
        reason: format!("{name}: {reason}"),
    };
    let data = bridge::into_data(tensor).map_err(|error| unreadable(error.to_string()))?;
    let data = data.convert_dtype(DType::F32);
    let values = data.as_slice::<f32>().map_err(|error| unreadable(error.to_string()))?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(data),
        Some(position) => {
            Err(PerformerError::NonFinite { path: path.to_path_buf(), tensor: name.to_string(), position })
        }
    }
}
