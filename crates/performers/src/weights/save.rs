//! Saving, under the names by which PyTorch and this library load.

use std::path::PathBuf;

use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, KeyRemapper, ModuleAdapter, ModuleSnapshot, SafetensorsStore,
};
use burn::tensor::DType;
use explainer_core::{Performer, Preprocessing};

use super::file::{CLASSES, PREPROCESSING};
use crate::architecture::{Architecture, Layer};
use crate::{ConvNet, PerformerError};

impl<A: Architecture> ConvNet<A> {
    /// Saves the weights as safetensors under torchvision's names, in `precision` (`F32`, `F16` or
    /// `BF16`), so that [`load`](Self::load) and PyTorch can read them. The preprocessing and the names of
    /// the classes stand in the file's metadata. An existing file is replaced.
    ///
    /// # Errors
    /// [`PerformerError::Unwritable`].
    ///
    /// # Panics
    /// If `precision` is not a floating-point type.
    pub fn save(&self, path: impl Into<PathBuf>, precision: DType) -> Result<(), PerformerError> {
        let is_conv = |(_, layer): &(usize, &Layer)| matches!(layer, Layer::Conv { .. });
        let convs = A::FEATURES.iter().enumerate().filter(is_conv).enumerate();
        let linears = A::CLASSIFIER.into_iter().zip(["fc6", "fc7", "head"]);
        let names = convs
            .map(|(number, (row, _))| (format!("features.{row}"), format!("convs.{number}.conv")))
            .chain(linears.map(|(row, field)| (format!("classifier.{row}"), field.to_string())));
        save(self, names.collect(), &self.preprocessing(), self.class_names(), path.into(), precision)
    }
}

/// Saves a module; `names` are pairs of the name of a layer in the file and here.
pub(super) fn save(
    module: &impl ModuleSnapshot,
    names: Vec<(String, String)>,
    preprocessing: &Preprocessing,
    class_names: &[String],
    path: PathBuf,
    precision: DType,
) -> Result<(), PerformerError> {
    let unwritable = |reason: String| PerformerError::Unwritable { path: path.clone(), reason };
    let patterns = names
        .into_iter()
        .map(|(theirs, ours)| (format!(r"^{}\.", ours.replace('.', r"\.")), format!("{theirs}.")));
    let remapper =
        KeyRemapper::from_patterns(patterns.collect()).map_err(|error| unwritable(error.to_string()))?;
    let json = |value: serde_json::Result<String>| value.map_err(|error| unwritable(error.to_string()));
    let mut store = SafetensorsStore::from_file(&path)
        .with_to_adapter(BurnToPyTorchAdapter.chain(FloatCastAdapter::to(precision)))
        .remap(remapper)
        .metadata(PREPROCESSING, json(serde_json::to_string(preprocessing))?)
        .overwrite(true);
    if !class_names.is_empty() {
        store = store.metadata(CLASSES, json(serde_json::to_string(class_names))?);
    }
    module.save_into(&mut store).map_err(|error| unwritable(error.to_string()))
}
