//! Loading a plain network.

use std::path::Path;

use burn::tensor::Device;
use explainer_core::Preprocessing;

use super::file::{Contents, StateDict, read};
use super::layout::{ConvBias, EPSILON, LayerEntry, Norm, fill, tensors};
use super::{Head, Weights};
use crate::architecture::{Architecture, Convolution, Layer, Sizes};
use crate::{ConvNet, PerformerError};

/// Whether a file has batch-norms, a row of its own behind each convolution.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    BatchNorm,
}

impl Form {
    fn of(state: &StateDict) -> Self {
        match state.keys().any(|name| name.ends_with(".running_mean")) {
            true => Self::BatchNorm,
            false => Self::Plain,
        }
    }

    /// The file's row of the convolution that is the table's row `row`, the `number`-th from 0.
    fn row(self, row: usize, number: usize) -> usize {
        match self {
            Self::Plain => row,
            Self::BatchNorm => row + number,
        }
    }
}

impl<A: Architecture> ConvNet<A> {
    /// Loads weights saved under torchvision's names, or a network of MatConvNet. The widths of all layers
    /// and the number of classes are read from the file; every tensor and every shape must match then.
    /// Half-precision weights become `f32`; batch-norms are folded into their convolutions.
    ///
    /// A state dict may be nested under `state_dict` or `model_state_dict`, beside other things of whatever class,
    /// and its names may begin with `module.`. Nothing in a pickle is executed.
    ///
    /// # Errors
    /// - [`PerformerError::Format`] for another extension
    /// - [`PerformerError::Unreadable`] for an absent or damaged file, and for tensors that are not their bytes
    ///   (quantised, sparse, lazily negated)
    /// - [`PerformerError::Ambiguous`] for two tensors, or state dicts, that go by one name
    /// - [`PerformerError::Mismatch`] with all missing, unexpected and misshapen tensors
    /// - [`PerformerError::NonFinite`] for a NaN or an infinity
    /// - [`PerformerError::Preprocessing`] if the file's preprocessing is another than the one stated
    /// - [`PerformerError::InputSize`] if the preprocessing's images are too small
    pub fn load(weights: Weights, device: &Device) -> Result<Self, PerformerError> {
        let Weights { path, preprocessing, head } = weights;
        let mut contents = contents::<A>(&path)?;
        let assumed = preprocessing.is_none() && contents.preprocessing.is_none();
        let preprocessing = contents.preprocessing(&path, preprocessing, || A::preprocessing(A::INPUT))?;
        let form = Form::of(&contents.state);
        let sizes = sizes::<A>(&contents.state, form, preprocessing.size, head);
        check_groups::<A>(&path, &sizes)?;
        let too_small = PerformerError::InputSize { architecture: A::NAME, size: preprocessing.size };
        let mut layers = layout::<A>(&sizes, form).ok_or(too_small)?;
        let replaced: Vec<String> = replaced::<A>(head);
        layers.retain(|layer| !replaced.contains(&layer.theirs));
        let class_names = contents.class_names(&path, sizes.classes, &replaced)?;
        let tensors = tensors(&path, A::NAME, &layers, &replaced, contents.state);
        let tensors =
            tensors.map_err(|error| if assumed { hinted::<A>(error, &preprocessing) } else { error })?;

        let mut network = Self::zeros(sizes, preprocessing, device).with_class_names(class_names);
        fill(&mut network, tensors, &replaced, path)?;
        if let Some(Head { hidden, seed, .. }) = head {
            network.randomize_upper(hidden, seed);
        }
        Ok(network)
    }
}

fn contents<A: Architecture>(path: &Path) -> Result<Contents, PerformerError> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mat")) {
        #[cfg(feature = "matconvnet")]
        return super::matconvnet::read::<A>(path);
        #[cfg(not(feature = "matconvnet"))]
        return Err(PerformerError::Feature { path: path.into(), feature: "matconvnet" });
    }
    read(path)
}

/// Layers of the file in place of which there are new ones.
fn replaced<A: Architecture>(head: Option<Head>) -> Vec<String> {
    let first = match head {
        None => A::CLASSIFIER.len(),
        Some(Head { hidden: None, .. }) => 2,
        Some(Head { hidden: Some(_), .. }) => 0,
    };
    A::CLASSIFIER[first..].iter().map(|row| format!("classifier.{row}")).collect()
}

/// All layers of a network; `None` where the images are too small.
fn layout<A: Architecture>(sizes: &Sizes, form: Form) -> Option<Vec<LayerEntry>> {
    let conv = |(number, conv): (usize, Convolution)| {
        let row = form.row(conv.row, number);
        let name = format!("features.{}", row + 1);
        LayerEntry {
            theirs: format!("features.{row}"),
            ours: format!("convs.{number}.conv"),
            shape: vec![conv.outputs, conv.inputs / conv.groups, conv.kernel, conv.kernel],
            norm: (form == Form::BatchNorm).then_some(Norm {
                name,
                conv: ConvBias::Present,
                epsilon: EPSILON,
            }),
        }
    };
    let linears = A::CLASSIFIER.into_iter().zip(["fc6", "fc7", "head"]).zip(sizes.linears::<A>()?);
    let linears = linears.map(|((row, ours), [inputs, outputs])| LayerEntry {
        theirs: format!("classifier.{row}"),
        ours: ours.to_string(),
        shape: vec![outputs, inputs],
        norm: None,
    });
    Some(sizes.convs::<A>().into_iter().enumerate().map(conv).chain(linears).collect())
}

/// The sizes a state dict implies, the published ones where a layer is absent, and those of a new head.
fn sizes<A: Architecture>(state: &StateDict, form: Form, input: usize, head: Option<Head>) -> Sizes {
    let outputs = |layer: String, otherwise: usize| {
        let weight = state.get(&format!("{layer}.weight"));
        weight.and_then(|weight| weight.shape.first().copied()).filter(|&size| size > 0).unwrap_or(otherwise)
    };
    let mut widths = [None; 5];
    let convs = A::FEATURES.iter().enumerate().filter_map(|(row, layer)| match *layer {
        Layer::Conv { width, .. } => Some((row, width)),
        _ => None,
    });
    for (number, (row, width)) in convs.enumerate() {
        let name = format!("features.{}", form.row(row, number));
        widths[width].get_or_insert_with(|| outputs(name, A::WIDTHS[width]));
    }
    let [fc6, fc7, last] = A::CLASSIFIER.map(|row| format!("classifier.{row}"));
    let hidden = head.and_then(|head| head.hidden);
    Sizes {
        widths: std::array::from_fn(|width| widths[width].unwrap_or(A::WIDTHS[width])),
        hidden: hidden.unwrap_or_else(|| [outputs(fc6, 4096), outputs(fc7, 4096)]),
        classes: head.map_or_else(|| outputs(last, 1000), |head| head.classes),
        input,
    }
}

/// Says which input was assumed where fc6, and nothing else, does not fit it.
fn hinted<A: Architecture>(mut error: PerformerError, preprocessing: &Preprocessing) -> PerformerError {
    let fc6 = format!("classifier.{}.weight", A::CLASSIFIER[0]);
    if let PerformerError::Mismatch { misshapen, hints, .. } = &mut error
        && misshapen.iter().any(|tensor| tensor.name == fc6)
    {
        let size = preprocessing.size;
        let hint = format!(
            "images of {size}×{size} pixels were assumed, as nothing is stated: {fc6} depends on their size"
        );
        *hints = std::mem::take(hints).into_iter().chain([hint]).collect();
    }
    error
}

/// Refuses widths that do not fall into a convolution's groups.
fn check_groups<A: Architecture>(path: &Path, sizes: &Sizes) -> Result<(), PerformerError> {
    for Convolution { row, inputs, outputs, groups, .. } in sizes.convs::<A>() {
        if !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let reason = format!(
                "the convolution features.{row} of {inputs} to {outputs} channels cannot have {groups} groups"
            );
            return Err(PerformerError::Unreadable { path: path.into(), reason });
        }
    }
    Ok(())
}
