//! What a network's layers are called in a file and here, and how the one becomes the other.

use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as Packed;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use burn::tensor::{DType, TensorData};

use super::file::StateDict;
use crate::PerformerError;
use crate::error::Misshapen;

/// ε of PyTorch's batch-norms, unless a network says otherwise.
pub(super) const EPSILON: f64 = 1e-5;

/// A layer with weights.
pub(super) struct LayerEntry {
    /// Its name in the file.
    pub(super) theirs: String,
    /// The path of the field that holds it here.
    pub(super) ours: String,
    /// Shape of its weight as PyTorch has it.
    pub(super) shape: Vec<usize>,
    /// The batch-norm behind it in the file, which is folded into it.
    pub(super) norm: Option<Norm>,
}

/// A batch-norm of a file.
pub(super) struct Norm {
    pub(super) name: String,
    /// Whether the convolution in front of it has a bias of its own.
    pub(super) conv: ConvBias,
    pub(super) epsilon: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConvBias {
    Present,
    Absent,
}

/// The tensors of a batch-norm, each with a value for every channel.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];
/// Another that says nothing of what the network computes; old files lack it.
const COUNTER: &str = "num_batches_tracked";

impl LayerEntry {
    fn has_bias(&self) -> bool {
        self.norm.as_ref().is_none_or(|norm| norm.conv == ConvBias::Present)
    }

    /// All tensors that the file must have for it, with their shapes.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let channels = vec![self.shape[0]];
        let mut tensors = vec![(format!("{}.weight", self.theirs), self.shape.clone())];
        if self.has_bias() {
            tensors.push((format!("{}.bias", self.theirs), channels.clone()));
        }
        if let Some(Norm { name, .. }) = &self.norm {
            tensors.extend(NORM.map(|tensor| (format!("{name}.{tensor}"), channels.clone())));
        }
        tensors
    }

    fn counter(&self) -> Option<String> {
        self.norm.as_ref().map(|norm| format!("{}.{COUNTER}", norm.name))
    }

    /// Its weight and bias by our names, with a batch-norm folded in.
    fn read(&self, path: &Path, state: &mut StateDict) -> Result<[Packed; 2], PerformerError> {
        let mut tensor = |name: String| -> Result<TensorData, PerformerError> {
            let reason = || PerformerError::Unreadable { path: path.into(), reason: format!("no {name}") };
            finite(path, &name, state.remove(&name).ok_or_else(reason)?)
        };
        let mut weight = tensor(format!("{}.weight", self.theirs))?;
        let channels = self.shape[0];
        let mut bias = match self.has_bias() {
            true => tensor(format!("{}.bias", self.theirs))?,
            false => TensorData::zeros::<f32, _>([channels]),
        };
        if let Some(Norm { name, epsilon, .. }) = &self.norm {
            let mut norm = Vec::with_capacity(NORM.len());
            for part in NORM {
                norm.push(numbers(path, &tensor(format!("{name}.{part}"))?)?);
            }
            if let Some(position) = norm[3].iter().position(|&variance| f64::from(variance) + epsilon <= 0.0)
            {
                let reason = format!("{name}.running_var is negative at position {position}");
                return Err(PerformerError::Unreadable { path: path.into(), reason });
            }
            let (mut weights, mut biases) = (numbers(path, &weight)?, numbers(path, &bias)?);
            fold(&mut weights, &mut biases, &norm, *epsilon);
            weight = TensorData::new(weights, self.shape.clone());
            bias = TensorData::new(biases, [channels]);
        }
        Ok([("weight", weight), ("bias", bias)]
            .map(|(kind, data)| bridge::from_data(data, format!("{}.{kind}", self.ours), None)))
    }
}

/// Folds a batch-norm (γ, β, μ, σ²) into the layer in front of it: `w ← w·γ/√(σ² + ε)`,
/// `b ← (b − μ)·γ/√(σ² + ε) + β`.
fn fold(weights: &mut [f32], biases: &mut [f32], norm: &[Vec<f32>], epsilon: f64) {
    let number = |part: usize, channel: usize| f64::from(norm[part][channel]);
    let row = weights.len() / biases.len();
    for (channel, (bias, weights)) in biases.iter_mut().zip(weights.chunks_exact_mut(row)).enumerate() {
        let scale = number(0, channel) / (number(3, channel) + epsilon).sqrt();
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
        *bias = ((f64::from(*bias) - number(2, channel)) * scale + number(1, channel)) as f32;
    }
}

/// Checks a state dict against what a network needs, and returns the tensors by our names. `replaced` are
/// names of layers of the file that are not looked at.
pub(super) fn tensors(
    path: &Path,
    architecture: &'static str,
    layers: &[LayerEntry],
    replaced: &[String],
    mut state: StateDict,
) -> Result<Vec<Packed>, PerformerError> {
    state.retain(|name, _| !replaced.iter().any(|layer| owns(layer, name)));
    check(path, architecture, layers, &state)?;
    let mut tensors = Vec::with_capacity(2 * layers.len());
    for layer in layers {
        tensors.extend(layer.read(path, &mut state)?);
    }
    Ok(tensors)
}

/// Puts the tensors into a network of which only the replaced layers may be left out.
pub(super) fn fill(
    network: &mut impl ModuleSnapshot,
    tensors: Vec<Packed>,
    replaced: &[String],
    path: PathBuf,
) -> Result<(), PerformerError> {
    let result = network.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), false);
    let complete = result.missing.len() == 2 * replaced.len();
    if !result.errors.is_empty() || !complete || !result.unused.is_empty() {
        return Err(PerformerError::Unreadable { path, reason: result.to_string() });
    }
    Ok(())
}

/// Whether a tensor is one of a layer.
fn owns(layer: &str, tensor: &str) -> bool {
    tensor.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}

/// Compares a state dict with what the network needs.
fn check(
    path: &Path,
    architecture: &'static str,
    layers: &[LayerEntry],
    state: &StateDict,
) -> Result<(), PerformerError> {
    let expected: Vec<_> = layers.iter().flat_map(LayerEntry::tensors).collect();
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    for (name, shape) in &expected {
        match state.get(name) {
            None => missing.push(name.clone()),
            Some(tensor) if tensor.shape.to_vec() != *shape || !tensor.dtype.is_float() => {
                misshapen.push(Misshapen {
                    name: name.clone(),
                    expected: shape.clone(),
                    found: tensor.shape.to_vec(),
                    not_float: (!tensor.dtype.is_float()).then(|| format!("{:?}", tensor.dtype)),
                });
            }
            Some(_) => {}
        }
    }
    let counters: Vec<_> = layers.iter().filter_map(LayerEntry::counter).collect();
    let known =
        |name: &String| expected.iter().any(|(expected, _)| expected == name) || counters.contains(name);
    let unexpected: Vec<_> = state.keys().filter(|name| !known(name)).cloned().collect();
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        return Ok(());
    }
    let hints = prefix(&expected, &unexpected).into_iter().collect();
    let (path, misshapen) = (path.into(), misshapen.into());
    Err(PerformerError::Mismatch { path, architecture, missing, unexpected, misshapen, hints })
}

/// A prefix that all unexpected names have and behind which they are those of the network, such as wrappers put in
/// front of them, and how to be rid of it.
fn prefix(expected: &[(String, Vec<usize>)], unexpected: &[String]) -> Option<String> {
    let first = unexpected.first()?;
    let is_ours = |name: &str| expected.iter().any(|(expected, _)| expected == name);
    let mut dots = first.match_indices('.').map(|(at, _)| &first[..=at]);
    let prefix = dots.find(|prefix| {
        let rest = |name: &String| name.strip_prefix(*prefix).map(str::to_string);
        unexpected.iter().all(|name| rest(name).is_some())
            && unexpected.iter().filter_map(rest).any(|name| is_ours(&name))
    })?;
    Some(format!(
        "all unexpected names begin with `{prefix}`; save the file without: \
         torch.save({{k.removeprefix('{prefix}'): v for k, v in state_dict.items()}}, NEW)"
    ))
}

/// Reads a tensor as `f32` and refuses NaN and infinities.
fn finite(path: &Path, name: &str, tensor: Packed) -> Result<TensorData, PerformerError> {
    let data = bridge::into_data(tensor)
        .map_err(|error| PerformerError::Unreadable {
            path: path.into(),
            reason: format!("{name}: {error}"),
        })?
        .convert_dtype(DType::F32);
    match numbers(path, &data)?.iter().position(|value| !value.is_finite()) {
        None => Ok(data),
        Some(position) => {
            Err(PerformerError::NonFinite { path: path.into(), tensor: name.to_string(), position })
        }
    }
}

/// The values of a tensor that is `f32`.
fn numbers(path: &Path, data: &TensorData) -> Result<Vec<f32>, PerformerError> {
    let values = data.as_slice::<f32>().map(<[f32]>::to_vec);
    values.map_err(|error| PerformerError::Unreadable { path: path.into(), reason: error.to_string() })
}
