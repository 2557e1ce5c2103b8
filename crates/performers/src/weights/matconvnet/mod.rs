//! Networks of MatConvNet: `simplenn` structures in MAT files, as the paper's networks were published
//! (`imagenet-caffe-alex`, `imagenet-vgg-m`, `imagenet-vgg-s`, `imagenet-vgg-verydeep-16`).

mod place;

use std::path::Path;

use explainer_core::{MeanImage, Preprocessing};
use explainer_datasets::mat::{MatField, MatFile, MatValue, read_mat_within};

use place::{Form, Place, name, row_major};

use super::file::{Contents, StateDict};
use crate::PerformerError;
use crate::architecture::{Architecture, Layer};

/// What a file's values may take up in memory: as `f64` the weights of VGG-19 alone are 1.1 GB.
const LIMIT: u64 = 4 << 30;

/// Layers that do nothing to what a trained network computes, or come behind the scores.
const IGNORED: [&str; 4] = ["softmax", "softmaxloss", "dropout", "loss"];

/// Reads a network and names its tensors as PyTorch would.
///
/// Filters are stored as height, width, input channel, output channel, the first running fastest. A fully
/// connected layer is a convolution over the whole map.
pub(super) fn read<A: Architecture>(path: &Path) -> Result<Contents, PerformerError> {
    let file = read_mat_within(path, usize::try_from(LIMIT).unwrap_or(usize::MAX))?;
    let network = Network::of(&file)?;
    let reader = Reader::<A> { path, architecture: std::marker::PhantomData };
    let preprocessing = reader.preprocessing(&network)?;
    let state = reader.layers(&network.layers, preprocessing.size)?;
    Ok(Contents { state, preprocessing: Some(preprocessing), class_names: class_names(&network)? })
}

/// The parts of a network: variables of the file, or fields of its variable `net`.
struct Network<'a> {
    layers: MatField<'a>,
    normalization: MatField<'a>,
    classes: Option<MatField<'a>>,
}

impl<'a> Network<'a> {
    fn of(file: &'a MatFile) -> Result<Self, PerformerError> {
        let net = file.variables().any(|(name, _)| name == "net");
        let part = |name: &str| if net { file.variable("net")?.field(name) } else { file.variable(name) };
        // Before MatConvNet 1.0-beta18 there was no `meta`.
        let about = |name: &str| part("meta").and_then(|meta| meta.field(name)).or_else(|_| part(name));
        Ok(Self {
            layers: part("layers")?,
            normalization: about("normalization")?,
            classes: about("classes").ok(),
        })
    }
}

/// The names of the classes: their descriptions where there are any.
fn class_names(network: &Network<'_>) -> Result<Vec<String>, PerformerError> {
    let Some(classes) = &network.classes else { return Ok(Vec::new()) };
    let names = classes.field("description").or_else(|_| classes.field("name"))?;
    let name = |index| Ok(names.cell(index)?.text()?.to_string());
    (0..names.len()).map(name).collect()
}

struct Reader<'a, A> {
    path: &'a Path,
    architecture: std::marker::PhantomData<A>,
}

impl<A: Architecture> Reader<'_, A> {
    fn differs(
        &self,
        layer: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> PerformerError {
        PerformerError::Layer {
            path: self.path.into(),
            architecture: A::NAME,
            layer: layer.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Pixels in 0..255 less the average image or colour.
    fn preprocessing(&self, network: &Network<'_>) -> Result<Preprocessing, PerformerError> {
        let size = match network.normalization.field("imageSize")?.numbers()?.1[..] {
            [height, width, 3.0, ..] if height == width && height >= 1.0 => height as usize,
            ref other => {
                return Err(self.differs("imageSize", "a square of 3 channels", format!("{other:?}")));
            }
        };
        let average = network.normalization.field("averageImage")?;
        let mut preprocessing = Preprocessing::new(size, [0.0; 3], [1.0 / 255.0; 3]);
        if average.is_empty() {
            return Ok(preprocessing);
        }
        let (dims, values) = average.numbers()?;
        match (dims, &values[..]) {
            (_, &[red, green, blue]) => {
                preprocessing.mean = [red, green, blue].map(|mean| (mean / 255.0) as f32);
            }
            (&[height, width, 3], values) if (height, width) == (size, size) => {
                preprocessing.mean_image = Some(mean_image(values, size));
            }
            _ => {
                let expected = format!("{size}×{size}×3 or 3 numbers");
                return Err(self.differs("averageImage", expected, average.value().describe()));
            }
        }
        Ok(preprocessing)
    }

    /// Goes through the file's layers and the table side by side.
    fn layers(&self, layers: &MatField<'_>, size: usize) -> Result<StateDict, PerformerError> {
        if !matches!(layers.value(), MatValue::Cell { .. }) {
            let expected = "the cell array of a simplenn network (not a DagNN)";
            return Err(self.differs("layers", expected, layers.value().describe()));
        }
        let mut found = Vec::new();
        for index in 0..layers.len() {
            let layer = layers.cell(index)?;
            let kind = layer.field("type")?.text()?;
            if !IGNORED.contains(&kind) {
                found.push((name(&layer, index), kind, layer));
            }
        }
        // Behind the table come fc6, fc7 and the head with a ReLU between each two.
        let expected = A::FEATURES.len() + 5;
        if found.len() != expected {
            let found = found.iter().map(|(_, kind, _)| *kind).collect::<Vec<_>>().join(" ");
            return Err(self.differs("layers", format!("{expected} of them"), found));
        }
        let mut state = StateDict::new();
        for (row, (name, kind, layer)) in found.into_iter().enumerate() {
            let place = Place { reader: self, name, kind, layer };
            match A::FEATURES.get(row) {
                Some(&table) => {
                    let side = row.checked_sub(1).map_or(Some(size), |row| A::side(row, size));
                    let side = side.ok_or(PerformerError::InputSize { architecture: A::NAME, size })?;
                    place.check(table, side)?;
                    if let Layer::Conv { .. } = table {
                        place.weights(&format!("features.{row}"), Form::Conv, &mut state)?;
                    }
                }
                None if (row - A::FEATURES.len()).is_multiple_of(2) => {
                    place.is(&["conv"])?;
                    let number = (row - A::FEATURES.len()) / 2;
                    let theirs = format!("classifier.{}", A::CLASSIFIER[number]);
                    place.weights(&theirs, Form::Linear, &mut state)?;
                }
                None => place.is(&["relu"])?,
            }
        }
        Ok(state)
    }
}

/// Planes of red, green and blue in 0..1, row by row.
fn mean_image(values: &[f64], size: usize) -> MeanImage {
    let mut planes = row_major(values, [size, size, 3, 1]);
    planes.iter_mut().for_each(|mean| *mean /= 255.0);
    planes.into()
}
