//! Loading a residual network.

use std::path::PathBuf;

use burn::tensor::{DType, Device};
use explainer_core::{Performer, Preprocessing};

use super::file::{StateDict, read};
use super::layout::{ConvBias, EPSILON, LayerEntry, Norm, fill, tensors};
use super::save::save;
use super::{Head, Weights};
use crate::layer::ConvLayer;
use crate::resnet::{Connection, ResNetSizes, STEM};
use crate::{PerformerError, ResNet, ResidualArchitecture};

/// torchvision's name of the head.
const HEAD: &str = "fc";

impl<A: ResidualArchitecture> ResNet<A> {
    /// Loads weights saved under torchvision's names, as [`ConvNet::load`](crate::ConvNet::load) does.
    ///
    /// # Errors
    /// Those of [`ConvNet::load`](crate::ConvNet::load).
    ///
    /// # Panics
    /// If a new head is to have hidden layers: there are none.
    pub fn load(weights: Weights, device: &Device) -> Result<Self, PerformerError> {
        let Weights { path, preprocessing, head } = weights;
        assert!(head.is_none_or(|head| head.hidden.is_none()), "{} has no fc6 and fc7 to replace", A::NAME);
        let mut contents = read(&path)?;
        let published = ResNetSizes::PUBLISHED.input;
        let preprocessing =
            contents.preprocessing(&path, preprocessing, || Preprocessing::imagenet(published))?;
        if preprocessing.size == 0 {
            return Err(PerformerError::InputSize { architecture: A::NAME, size: 0 });
        }
        let sizes = sizes(&contents.state, preprocessing.size, head);
        let replaced: Vec<String> = head.iter().map(|_| HEAD.to_string()).collect();
        let mut layers = layout::<A>(&sizes);
        layers.retain(|layer| !replaced.contains(&layer.theirs));
        let class_names = contents.class_names(&path, sizes.classes, &replaced)?;
        let tensors = tensors(&path, A::NAME, &layers, &replaced, contents.state)?;

        let mut network = Self::zeros(sizes, preprocessing, device).with_class_names(class_names);
        fill(&mut network, tensors, &replaced, path)?;
        if let Some(Head { seed, .. }) = head {
            network.randomize_head(seed);
        }
        Ok(network)
    }

    /// Saves the weights as safetensors under torchvision's names; see
    /// [`ConvNet::save`](crate::ConvNet::save). Biases are saved as those of batch-norms that do nothing
    /// else, since torchvision's convolutions have none.
    ///
    /// # Errors
    /// [`PerformerError::Unwritable`].
    ///
    /// # Panics
    /// If `precision` is not a floating-point type.
    pub fn save(&self, path: impl Into<PathBuf>, precision: DType) -> Result<(), PerformerError> {
        let names =
            layout::<A>(&self.sizes()).into_iter().flat_map(|LayerEntry { theirs, ours, norm, .. }| {
                let field = ours.strip_suffix("conv").map(|layer| format!("{layer}norm"));
                let norm = norm.map(|norm| norm.name).zip(field);
                std::iter::once((theirs, ours)).chain(norm)
            });
        let network = self.clone().map_convs(|layer: ConvLayer| layer.unfolded(EPSILON));
        save(&network, names.collect(), &self.preprocessing(), self.class_names(), path.into(), precision)
    }
}

/// All layers of a network.
fn layout<A: ResidualArchitecture>(sizes: &ResNetSizes) -> Vec<LayerEntry> {
    let conv =
        |theirs: String, norm: String, ours: String, [outputs, inputs, kernel]: [usize; 3]| LayerEntry {
            theirs,
            ours: format!("{ours}.conv"),
            shape: vec![outputs, inputs, kernel, kernel],
            norm: Some(Norm { name: norm, conv: ConvBias::Absent, epsilon: EPSILON }),
        };
    let mut layers = vec![conv("conv1".into(), "bn1".into(), "stem".into(), [sizes.stem, 3, STEM[0]])];
    for (index, table) in sizes.blocks::<A>().iter().enumerate() {
        let (theirs, ours) =
            (format!("layer{}.{}", table.stage + 1, table.number), format!("blocks.{index}"));
        for (number, shape) in table.convs.iter().enumerate() {
            layers.push(conv(
                format!("{theirs}.conv{}", number + 1),
                format!("{theirs}.bn{}", number + 1),
                format!("{ours}.convs.{number}"),
                [shape.outputs, shape.inputs, shape.kernel],
            ));
        }
        if let Connection::Projection { inputs, outputs, .. } = table.connection {
            layers.push(conv(
                format!("{theirs}.downsample.0"),
                format!("{theirs}.downsample.1"),
                format!("{ours}.projection"),
                [outputs, inputs, 1],
            ));
        }
    }
    let shape = vec![sizes.classes, sizes.widths[3] * A::expansion()];
    layers.push(LayerEntry { theirs: HEAD.into(), ours: "head".into(), shape, norm: None });
    layers
}

/// The sizes a state dict implies, the published ones where a layer is absent, and those of a new head.
fn sizes(state: &StateDict, input: usize, head: Option<Head>) -> ResNetSizes {
    let outputs = |layer: &str, otherwise: usize| {
        let weight = state.get(&format!("{layer}.weight"));
        weight.and_then(|weight| weight.shape.first().copied()).filter(|&size| size > 0).unwrap_or(otherwise)
    };
    let published = ResNetSizes::PUBLISHED;
    ResNetSizes {
        stem: outputs("conv1", published.stem),
        widths: std::array::from_fn(|stage| {
            outputs(&format!("layer{}.0.conv1", stage + 1), published.widths[stage])
        }),
        classes: head.map_or_else(|| outputs(HEAD, published.classes), |head| head.classes),
        input,
    }
}
