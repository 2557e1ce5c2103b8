//! Networks of MatConvNet: `simplenn` structures in MAT files, as the paper's networks were published
//! (`imagenet-caffe-alex`, `imagenet-vgg-m`, `imagenet-vgg-s`, `imagenet-vgg-verydeep-16`).

use std::path::Path;

use burn::store::bridge;
use burn::tensor::TensorData;
use explainer_core::{MeanImage, Preprocessing};
use explainer_datasets::mat::{MatField, MatFile, MatValue, read_mat_within};

use super::file::{Contents, StateDict};
use crate::PerformerError;
use crate::architecture::{Architecture, Layer, ResponseNorm};

/// What a file's values may take up in memory: VGG-19 takes up 1.7 GB while it is read.
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
                    let side =
                        side.ok_or(PerformerError::InputSize { architecture: A::NAME, size })?;
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

/// The layer's own name, or its number from 1.
fn name(layer: &MatField<'_>, index: usize) -> String {
    let name = layer.field("name").and_then(|name| name.text());
    name.map_or_else(|_| format!("layer {}", index + 1), str::to_string)
}

/// Whether a convolution becomes one or a fully connected layer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Conv,
    Linear,
}

/// A layer of the file.
struct Place<'a, 'b, A> {
    reader: &'b Reader<'a, A>,
    name: String,
    kind: &'b str,
    layer: MatField<'b>,
}

impl<A: Architecture> Place<'_, '_, A> {
    fn differs(&self, expected: impl Into<String>, found: impl Into<String>) -> PerformerError {
        self.reader.differs(&self.name, expected, found)
    }

    fn is(&self, kinds: &[&str]) -> Result<(), PerformerError> {
        match kinds.contains(&self.kind) {
            true => Ok(()),
            false => Err(self.differs(kinds.join(" or "), self.kind)),
        }
    }

    /// Compares the layer, which reads maps of side `side`, with the table's.
    fn check(&self, table: Layer, side: usize) -> Result<(), PerformerError> {
        match table {
            Layer::Conv { stride, padding, .. } => {
                self.is(&["conv"])?;
                self.window([stride, padding, padding])
            }
            Layer::Relu => self.is(&["relu"]),
            Layer::Pool(pool) => {
                self.is(&["pool"])?;
                let method = self.layer.field("method").and_then(|method| method.text()).unwrap_or("max");
                let kernel = self.pair("pool", pool.kernel)?;
                if (method, kernel) != ("max", pool.kernel) {
                    let expected = format!("the largest of {0}×{0}", pool.kernel);
                    return Err(self.differs(expected, format!("{method} of {kernel}×{kernel}")));
                }
                // What is padded behind the map makes as many windows as the table's rounding does.
                let windows = pool.fitting_output(side).unwrap_or(0);
                let least = ((windows.max(1) - 1) * pool.stride + pool.kernel) as i64;
                let behind = self.padding()?[1];
                let whole = (side + pool.padding) as i64 + behind as i64;
                if whole < least || whole >= least + pool.stride as i64 {
                    let expected = format!("{windows} windows along maps of {side}");
                    return Err(self.differs(expected, format!("{behind} units of padding behind them")));
                }
                self.window([pool.stride, pool.padding, behind])
            }
            Layer::ResponseNorm(norm) => {
                self.is(&["lrn", "normalize"])?;
                self.response_norm(norm)
            }
        }
    }

    fn response_norm(&self, norm: ResponseNorm) -> Result<(), PerformerError> {
        let ResponseNorm { size, alpha, beta, k } = norm;
        let expected = [size as f64, k, alpha / size as f64, beta];
        let found = self.layer.field("param")?.numbers()?.1;
        let same = |(found, expected): (&f64, &f64)| (found - expected).abs() <= 1e-5 * expected.abs();
        if found.len() != expected.len() || !found.iter().zip(&expected).all(same) {
            return Err(self.differs(format!("param {expected:?}"), format!("{found:?}")));
        }
        Ok(())
    }

    /// Compares stride, padding in front, and padding behind.
    fn window(&self, [stride, front, behind]: [usize; 3]) -> Result<(), PerformerError> {
        let (found, padding) = (self.pair("stride", 1)?, self.padding()?);
        if (found, padding) != (stride, [front, behind]) {
            let of = |stride: usize, [front, behind]: [usize; 2]| {
                format!("stride {stride}, padding {front} and {behind}")
            };
            return Err(self.differs(of(stride, [front, behind]), of(found, padding)));
        }
        Ok(())
    }

    /// A field of one number, or of two equal ones; `otherwise` where there is none.
    fn pair(&self, field: &str, otherwise: usize) -> Result<usize, PerformerError> {
        let Ok(value) = self.layer.field(field) else { return Ok(otherwise) };
        match value.numbers()?.1[..] {
            [both] => Ok(both as usize),
            [rows, columns] if rows == columns => Ok(rows as usize),
            ref other => Err(self.differs(format!("the same {field} along both axes"), format!("{other:?}"))),
        }
    }

    /// Padding in front and behind, the same along both axes.
    fn padding(&self) -> Result<[usize; 2], PerformerError> {
        let Ok(value) = self.layer.field("pad") else { return Ok([0, 0]) };
        match value.numbers()?.1[..] {
            [all] => Ok([all as usize; 2]),
            [top, bottom, left, right] if (top, bottom) == (left, right) => {
                Ok([top as usize, bottom as usize])
            }
            ref other => Err(self.differs("the same padding along both axes", format!("{other:?}"))),
        }
    }

    /// Reads filters and biases, in the layer's `weights` or in fields of their own.
    fn weights(&self, theirs: &str, form: Form, state: &mut StateDict) -> Result<(), PerformerError> {
        if form == Form::Linear {
            self.window([1, 0, 0])?;
        }
        let (filters, biases) = match self.layer.field("weights") {
            Ok(weights) => (weights.cell(0)?, weights.cell(1)?),
            Err(_) => (self.layer.field("filters")?, self.layer.field("biases")?),
        };
        let (dims, values) = self.array(&filters)?;
        let mut whole = [1; 4];
        if dims.len() > whole.len() {
            return Err(self.differs("filters of 4 dimensions", filters.value().describe()));
        }
        whole[..dims.len()].copy_from_slice(dims);
        let [height, width, channels, outputs] = whole;
        let shape = match form {
            Form::Conv => vec![outputs, channels, height, width],
            Form::Linear => vec![outputs, channels * height * width],
        };
        let weights = TensorData::new(row_major(values, whole), shape);
        let (_, biases) = self.array(&biases)?;
        let biases: Vec<f32> = biases.iter().map(|&bias| bias as f32).collect();
        let count = biases.len();
        for (kind, data) in [("weight", weights), ("bias", TensorData::new(biases, [count]))] {
            let name = format!("{theirs}.{kind}");
            state.insert(name.clone(), bridge::from_data(data, name, None));
        }
        Ok(())
    }

    fn array<'v>(&self, field: &MatField<'v>) -> Result<(&'v [usize], &'v [f64]), PerformerError> {
        match field.value() {
            MatValue::Double { dims, data } => Ok((dims, data)),
            other => Err(self.differs("an array of numbers", other.describe())),
        }
    }
}

/// Filters in the order output, input, height, width, of those whose first dimension runs fastest.
fn row_major(values: &[f64], [height, width, channels, outputs]: [usize; 4]) -> Vec<f32> {
    let mut filters = Vec::with_capacity(values.len());
    for output in 0..outputs {
        for channel in 0..channels {
            let plane = (output * channels + channel) * height * width;
            for row in 0..height {
                filters.extend((0..width).map(|column| values[plane + column * height + row] as f32));
            }
        }
    }
    filters
}

/// Planes of red, green and blue in 0..1, row by row.
fn mean_image(values: &[f64], size: usize) -> MeanImage {
    let mut planes = row_major(values, [size, size, 3, 1]);
    planes.iter_mut().for_each(|mean| *mean /= 255.0);
    planes.into()
}
