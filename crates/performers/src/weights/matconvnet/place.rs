//! One layer of a file beside the table's.

use burn::store::bridge;
use burn::tensor::TensorData;
use explainer_datasets::mat::{MatField, MatValue};

use super::Reader;
use crate::PerformerError;
use crate::architecture::{Architecture, Layer, ResponseNorm};
use crate::weights::file::StateDict;

/// The layer's own name, or its number from 1.
pub(super) fn name(layer: &MatField<'_>, index: usize) -> String {
    let name = layer.field("name").and_then(|name| name.text());
    name.map_or_else(|_| format!("layer {}", index + 1), str::to_string)
}

/// Whether a convolution becomes one or a fully connected layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Conv,
    Linear,
}

/// A layer of the file.
pub(super) struct Place<'a, 'b, A> {
    pub(super) reader: &'b Reader<'a, A>,
    pub(super) name: String,
    pub(super) kind: &'b str,
    pub(super) layer: MatField<'b>,
}

impl<A: Architecture> Place<'_, '_, A> {
    fn differs(&self, expected: impl Into<String>, found: impl Into<String>) -> PerformerError {
        self.reader.differs(&self.name, expected, found)
    }

    pub(super) fn is(&self, kinds: &[&str]) -> Result<(), PerformerError> {
        match kinds.contains(&self.kind) {
            true => Ok(()),
            false => Err(self.differs(kinds.join(" or "), self.kind)),
        }
    }

    /// Compares the layer, which reads maps of side `side`, with the table's.
    pub(super) fn check(&self, table: Layer, side: usize) -> Result<(), PerformerError> {
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
    pub(super) fn weights(
        &self,
        theirs: &str,
        form: Form,
        state: &mut StateDict,
    ) -> Result<(), PerformerError> {
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
pub(super) fn row_major(values: &[f64], [height, width, channels, outputs]: [usize; 4]) -> Vec<f32> {
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
