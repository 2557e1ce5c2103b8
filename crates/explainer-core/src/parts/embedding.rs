//! Units of the target layer as directions in which parts can be told apart.

use burn::module::{Module, Param};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor, TensorData};
use explainer_metrics::eigenvectors;

use crate::features::floats;
use crate::fit::batches;
use crate::{CoreError, Features};

/// Rows of features that are read at a time.
const BATCH: usize = 64;
/// A vector counts as this long at least, so that a unit without features has no direction.
const LEAST_NORM: f64 = 1e-6;

/// Maps a unit's features to a unit vector:
///
/// `z = y / ‖y‖`, `y = (½ (x + x̄) − m) P`,
///
/// x the features at the unit, x̄ their mean over the 3×3 units around it (those within the map), m the mean over the
/// training images, and `P = V Λ^(−½)` the leading half of the eigenvectors V of the covariance, each divided by the
/// square root of its eigenvalue. After this whitening the mean of some units is the direction of the linear
/// discriminant between them and all others.
///
/// z is the same for a network whose features are scaled by a constant.
///
/// # Shapes
/// - input: target features, `[batch, C, height, width]`
/// - output: `[batch, height · width, d]`
#[derive(Module, Debug)]
pub struct Embedding {
    /// m, `[C]`.
    mean: Param<Tensor<1>>,
    /// P, `[C, d]`.
    projection: Param<Tensor<2>>,
}

impl Embedding {
    /// Mean and covariance of the smoothed features of these rows of `train`; at most `dimensions` directions.
    ///
    /// # Errors
    /// [`CoreError::TooFew`] where all units have the same features.
    pub(crate) fn fit(train: &Features, rows: &[usize], dimensions: usize) -> Result<Self, CoreError> {
        let device = train.device();
        let [channels, _, _] = train.shape().target;
        let (mut sum, mut square) = (vec![0.0f64; channels], vec![0.0f64; channels * channels]);
        let mut count = 0.0;
        for indices in rows.chunks(BATCH) {
            let units = by_unit(smoothed(train.batch(indices).target));
            let [images, places, _] = units.dims();
            let units = units.reshape([images * places, channels]);
            count += (images * places) as f64;
            add(&mut sum, units.clone().sum_dim(0));
            add(&mut square, units.clone().transpose().matmul(units));
        }
        let mean: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
        let covariance = (0..channels * channels).map(|at| {
            let (row, column) = (at / channels, at % channels);
            square[at] / count - mean[row] * mean[column]
        });
        let mut found = eigenvectors(covariance.collect(), channels);
        found.truncate(dimensions);
        if found.is_empty() {
            let what = "different feature vectors at the target layer";
            return Err(CoreError::TooFew { what, expected: 2, found: 1 });
        }
        let mut projection = vec![0f32; channels * found.len()];
        for (column, (value, vector)) in found.iter().enumerate() {
            for (row, entry) in vector.iter().enumerate() {
                projection[row * found.len() + column] = (entry / value.sqrt()) as f32;
            }
        }
        let mean: Vec<f32> = mean.into_iter().map(|mean| mean as f32).collect();
        Ok(Self::new(mean, projection, [channels, found.len()], device))
    }

    fn new(mean: Vec<f32>, projection: Vec<f32>, shape: [usize; 2], device: &Device) -> Self {
        let frozen = |values: Vec<f32>| TensorData::new(values, shape);
        let [channels, _] = shape;
        let mean = Tensor::from_data(TensorData::new(mean, [channels]), device);
        let projection = Tensor::from_data(frozen(projection), device);
        Self {
            mean: Param::from_tensor(mean).set_require_grad(false),
            projection: Param::from_tensor(projection).set_require_grad(false),
        }
    }

    /// An embedding of such sizes to load a file into.
    pub(crate) fn empty(channels: usize, dimensions: usize, device: &Device) -> Self {
        Self::new(vec![0.0; channels], vec![0.0; channels * dimensions], [channels, dimensions], device)
    }

    /// C and d.
    pub fn dims(&self) -> [usize; 2] {
        self.projection.dims()
    }

    /// The direction of every unit.
    pub fn forward(&self, target: Tensor<4>) -> Tensor<3> {
        let units = by_unit(smoothed(target));
        let [images, places, channels] = units.dims();
        let [_, dimensions] = self.dims();
        let centred = units.reshape([images * places, channels]) - self.mean.val().unsqueeze();
        let embedded = centred.matmul(self.projection.val());
        let norm = embedded.clone().square().sum_dim(1).sqrt().clamp_min(LEAST_NORM);
        (embedded / norm).reshape([images, places, dimensions])
    }
}

/// Half of each unit's features, and half of the mean over the 3×3 units around it.
fn smoothed(target: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]);
    let around = avg_pool2d(target.clone(), options.with_count_include_pad(false));
    (target + around) * 0.5
}

/// `[batch, units, C]` of `[batch, C, height, width]`.
fn by_unit(maps: Tensor<4>) -> Tensor<3> {
    maps.flatten::<3>(2, 3).swap_dims(1, 2)
}

fn add(sums: &mut [f64], values: Tensor<2>) {
    sums.iter_mut().zip(floats(values)).for_each(|(sum, value)| *sum += f64::from(value));
}

/// At most `wanted` of the indices below `count`, evenly spaced.
pub(crate) fn evenly(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|at| at * count / wanted).collect()
}

/// The directions of all units of some rows, row by row and unit by unit, `[rows · units, d]`.
pub(crate) fn directions(embedding: &Embedding, train: &Features, rows: &[usize]) -> Vec<f32> {
    let embedded = batches(rows.len(), BATCH).map(|at| {
        let rows: Vec<usize> = at.into_iter().map(|at| rows[at]).collect();
        floats(embedding.forward(train.batch(&rows).target))
    });
    embedded.flatten().collect()
}
