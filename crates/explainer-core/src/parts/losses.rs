//! What a good set of detectors has to do, without labels.
//!
//! All losses are of the log-posterior `log a`, `[batch, K, units + 1]`, whose last entry is the null cell
//! ([`PartDetectors`](super::PartDetectors)), and are means over detectors and images.

use burn::tensor::{Int, Tensor, TensorData};

/// Presence must lie within these shares of the pictures with an object. A detector that fires in every picture may be
/// one of the whole object, one that hardly ever fires has nothing to say.
const PRESENCE: [f64; 2] = [0.3, 0.95];
/// Units on either side of a detector's peak that are taken away for self-erasure.
const ERASED: usize = 2;
/// A score by which a unit has no share in a softmax in `f32`.
const GONE: f32 = -1e4;

/// *Flip equivariance*: `½ Σ_u |a(u) − a′(flip u)|`, with a′ the posterior of the mirror image. A part lies at the
/// mirrored place in the mirror image.
pub(super) fn flip(posterior: Tensor<3>, mirrored: Tensor<3>, grid: [usize; 2]) -> Tensor<1> {
    let [batch, filters, cells] = posterior.dims();
    let [height, width] = grid;
    let flipped = (0..height * width).map(|unit| (unit / width * width + width - 1 - unit % width) as i64);
    let cell: Vec<i64> = flipped.chain([cells as i64 - 1]).collect();
    let cell = Tensor::<1, Int>::from_data(TensorData::new(cell, [cells]), &mirrored.device().inner());
    let difference = (posterior.exp() - mirrored.select(2, cell).exp()).abs().sum_dim(2);
    difference.reshape([batch * filters]).mean() * 0.5
}

/// *Orthogonality*: `max(ŵ_k·ŵ_l, 0)²`, the mean over pairs of detectors. Two detectors of one direction are one.
pub(super) fn orthogonality(directions: Tensor<2>) -> Tensor<1> {
    let filters = directions.dims()[0];
    let cosines = directions.clone().matmul(directions.transpose());
    let others = Tensor::<2>::eye(filters, &cosines.device().inner()).neg().add_scalar(1.0);
    let pairs = (filters * filters.saturating_sub(1)).max(1) as f64;
    (cosines.clamp_min(0.0).square() * like(others)).sum() / pairs
}

/// *Presence*: how far the mean of `1 − a(null)` over the images lies outside of its bounds.
pub(super) fn presence(posterior: Tensor<3>) -> Tensor<1> {
    let cells = posterior.dims()[2];
    let present = posterior.narrow(2, cells - 1, 1).exp().neg().add_scalar(1.0).mean_dim(0);
    let [least, most] = PRESENCE;
    let below = present.clone().neg().add_scalar(least).clamp_min(0.0);
    let above = present.sub_scalar(most).clamp_min(0.0);
    (below + above).mean()
}

/// *Silence*: `−log a(null)` where there is no object, or no part.
pub(super) fn silence(posterior: Tensor<3>) -> Tensor<1> {
    let cells = posterior.dims()[2];
    posterior.narrow(2, cells - 1, 1).mean().neg()
}

/// Scores without the 5×5 units around each detector's own peak.
///
/// *Self-erasure* asks for [silence] of what is left: without its part a detector is silent.
///
/// # Shapes
/// - scores and output: `[batch, K, units]`
pub(super) fn erased(scores: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
    let [batch, filters, units] = scores.dims();
    let [height, width] = grid;
    let peaks = scores.clone().inner().argmax(2).into_data();
    let mut gone = vec![0f32; batch * filters * units];
    for (map, peak) in gone.chunks_exact_mut(units).zip(peaks.iter::<i64>()) {
        let (row, column) = (peak as usize / width, peak as usize % width);
        for row in row.saturating_sub(ERASED)..(row + ERASED + 1).min(height) {
            let columns = column.saturating_sub(ERASED)..(column + ERASED + 1).min(width);
            map[row * width..][columns].fill(GONE);
        }
    }
    let gone = TensorData::new(gone, [batch, filters, units]);
    scores.clone() + like(Tensor::from_data(gone, &scores.device().inner()))
}

/// A constant of the graph.
pub(super) fn like<const D: usize>(constant: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(constant)
}
