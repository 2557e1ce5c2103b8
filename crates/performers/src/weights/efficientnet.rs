//! Loading and saving an EfficientNet-Lite.

use std::path::PathBuf;

use burn::tensor::{DType, Device};
use explainer_core::Performer;

use super::file::read;
use super::layout::{ConvBias, LayerEntry, Norm, fill, tensors};
use super::save::save;
use super::{Head, Weights};
use crate::efficientnet::{BlockTable, STEM};
use crate::layer::ConvLayer;
use crate::{EfficientNetLite, EfficientNetLiteSizes, PerformerError};

/// The package's name of the head.
const HEAD: &str = "_fc";

/// ε of the batch-norms, TensorFlow's.
const EPSILON: f64 = 1e-3;

impl EfficientNetLite {
    /// Loads weights saved under the names of the PyTorch package `efficientnet-lite-pytorch`, as
    /// [`ConvNet::load`](crate::ConvNet::load) does: every tensor and every shape must be those of `sizes`. The
    /// number of classes is the file's. The images' side is `sizes.input`, unless a preprocessing is stated.
    ///
    /// # Errors
    /// Those of [`ConvNet::load`](crate::ConvNet::load).
    ///
    /// # Panics
    /// If a new head is to have hidden layers: there are none.
    pub fn load(
        sizes: EfficientNetLiteSizes,
        weights: Weights,
        device: &Device,
    ) -> Result<Self, PerformerError> {
        let Weights { path, preprocessing, head } = weights;
        let name = sizes.name();
        assert!(head.is_none_or(|head| head.hidden.is_none()), "{name} has no fc6 and fc7 to replace");
        let mut contents = read(&path)?;
        let preprocessing =
            contents.preprocessing(&path, preprocessing, || Self::preprocessing_of(sizes.input))?;
        if preprocessing.size == 0 {
            return Err(PerformerError::InputSize { architecture: name, size: 0 });
        }
        let found =
            contents.state.get(&format!("{HEAD}.weight")).and_then(|head| head.shape.first().copied());
        let found = found.filter(|&classes| classes > 0).unwrap_or(sizes.classes);
        let classes = head.map_or(found, |head| head.classes);
        let sizes = EfficientNetLiteSizes { classes, input: preprocessing.size, ..sizes };
        let replaced: Vec<String> = head.iter().map(|_| HEAD.to_string()).collect();
        let mut layers = layout(&sizes);
        layers.retain(|layer| !replaced.contains(&layer.theirs));
        let class_names = contents.class_names(&path, classes, &replaced)?;
        let tensors = tensors(&path, name, &layers, &replaced, contents.state)?;

        let mut network = Self::zeros(sizes, preprocessing, device).with_class_names(class_names);
        fill(&mut network, tensors, &replaced, path)?;
        if let Some(Head { seed, .. }) = head {
            network.randomize_head(seed);
        }
        Ok(network)
    }

    /// Saves the weights as safetensors under the names by which [`load`](Self::load) reads them; see
    /// [`ConvNet::save`](crate::ConvNet::save). Biases are saved as those of batch-norms that do nothing else, since
    /// the package's convolutions have none.
    ///
    /// # Errors
    /// [`PerformerError::Unwritable`].
    ///
    /// # Panics
    /// If `precision` is not a floating-point type.
    pub fn save(&self, path: impl Into<PathBuf>, precision: DType) -> Result<(), PerformerError> {
        let names =
            layout(&self.sizes()).into_iter().flat_map(|LayerEntry { theirs, ours, norm, .. }| {
                let field = ours.strip_suffix("conv").map(|layer| format!("{layer}norm"));
                let norm = norm.map(|norm| norm.name).zip(field);
                std::iter::once((theirs, ours)).chain(norm)
            });
        let network = self.clone().map_convs(|layer: ConvLayer| layer.unfolded(EPSILON));
        save(&network, names.collect(), &self.preprocessing(), self.class_names(), path.into(), precision)
    }
}

/// All layers of a network.
fn layout(sizes: &EfficientNetLiteSizes) -> Vec<LayerEntry> {
    let conv =
        |theirs: String, norm: String, ours: String, [outputs, inputs, kernel]: [usize; 3]| LayerEntry {
            theirs,
            ours: format!("{ours}.conv"),
            shape: vec![outputs, inputs, kernel, kernel],
            norm: Some(Norm { name: norm, conv: ConvBias::Absent, epsilon: EPSILON }),
        };
    let stem = [sizes.stem, 3, STEM[0]];
    let mut layers = vec![conv("_conv_stem".into(), "_bn0".into(), "stem".into(), stem)];
    let tables = sizes.blocks();
    for (index, table) in tables.iter().enumerate() {
        let &BlockTable { inputs, outputs, kernel, expansion, .. } = table;
        let hidden = table.hidden();
        let convs = [
            ("expand", "_bn0", [hidden, inputs, 1]),
            ("depthwise", "_bn1", [hidden, 1, kernel]),
            ("project", "_bn2", [outputs, hidden, 1]),
        ];
        // Where channels are not expanded there is no such convolution.
        for (name, norm, shape) in convs.into_iter().skip(usize::from(expansion == 1)) {
            layers.push(conv(
                format!("_blocks.{index}._{name}_conv"),
                format!("_blocks.{index}.{norm}"),
                format!("blocks.{index}.{name}"),
                shape,
            ));
        }
    }
    let last = tables.last().map_or(sizes.stem, |table| table.outputs);
    layers.push(conv("_conv_head".into(), "_bn1".into(), "top".into(), [sizes.head, last, 1]));
    let shape = vec![sizes.classes, sizes.head];
    layers.push(LayerEntry { theirs: HEAD.into(), ours: "head".into(), shape, norm: None });
    layers
}
