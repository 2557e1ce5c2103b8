//! Detectors of parts: directions of the embedding, each with a score against what is no part and a null cell.

use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};

use super::embedding::Embedding;

/// Detectors of parts at the units of the target layer.
///
/// Detector k scores a unit u by its evidence for the part over that for the background,
///
/// `S_k(u) = κ ŵ_k·z(u) − log (1/B) Σ_b exp(κ v_b·z(u))`,
///
/// z the [`Embedding`] of the unit, ŵ_k the detector's direction, of length 1, v_b directions that are frequent where
/// there is no object, κ the sharpness: the log-likelihood ratio of von Mises-Fisher distributions. Its part lies at
/// one unit at most, so that units compete with a *null cell* of score n_k,
///
/// `a_k(u) = exp(S_k(u)) / (exp(n_k) + Σ_u′ exp(S_k(u′)))`.
///
/// `1 − Σ_u a_k(u)` is the probability that the part is not in the picture.
///
/// Source: the detectors of PARTICUL (arXiv:2206.13304), with a background as in compositional networks
/// (arXiv:2003.04490) and a null cell; ours.
///
/// # Shapes
/// - target: target features, `[batch, C, height, width]`
/// - evidence: `[batch, K, height, width]`
#[derive(Module, Debug)]
pub struct PartDetectors {
    pub(crate) embedding: Embedding,
    /// w, `[K, d]`, normalised where it is used.
    pub(crate) directions: Param<Tensor<2>>,
    /// v, `[B, d]`, each of length 1.
    pub(crate) background: Param<Tensor<2>>,
    /// n, `[K]`.
    pub(crate) null: Param<Tensor<1>>,
    #[module(skip)]
    pub(crate) sharpness: f64,
}

impl PartDetectors {
    /// Number of detectors.
    pub fn len(&self) -> usize {
        self.directions.dims()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The embedding whose directions are detected.
    pub fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// `S_k(u) − n_k`: above 0 where the part at this unit is likelier than no part. The evidence by which a part is
    /// found, and its strength where it is largest.
    pub fn evidence(&self, target: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = target.dims();
        let scores = self.scores(self.embedding.forward(target));
        let evidence = scores - self.null.val().reshape([1, self.len(), 1]);
        evidence.reshape([batch, self.len(), height, width])
    }

    /// `S_k(u)` of embedded units, `[batch, K, units]` of `[batch, units, d]`.
    pub(crate) fn scores(&self, embedded: Tensor<3>) -> Tensor<3> {
        let [batch, units, dimensions] = embedded.dims();
        let embedded = embedded.reshape([batch * units, dimensions]);
        let directions = unit_rows(self.directions.val());
        let part = embedded.clone().matmul(directions.transpose()).mul_scalar(self.sharpness);
        let background = embedded.matmul(self.background.val().transpose()).mul_scalar(self.sharpness);
        let scores = part - log_mean_exp(background);
        scores.reshape([batch, units, self.len()]).swap_dims(1, 2)
    }

    /// `log a_k(u)`, and behind all units that of the null cell: `[batch, K, units + 1]`.
    pub(crate) fn log_posterior(&self, scores: Tensor<3>) -> Tensor<3> {
        let [batch, filters, _] = scores.dims();
        let null = self.null.val().reshape([1, filters, 1]).expand([batch, filters, 1]);
        log_softmax(Tensor::cat(vec![scores, null], 2), 2)
    }
}

/// Each row at length 1.
pub(crate) fn unit_rows(rows: Tensor<2>) -> Tensor<2> {
    let norm = rows.clone().square().sum_dim(1).sqrt();
    rows / norm
}

/// `log (1/B) Σ_b exp(x_b)` of each row, `[rows, 1]`.
fn log_mean_exp(rows: Tensor<2>) -> Tensor<2> {
    let columns = rows.dims()[1] as f64;
    let largest = rows.clone().detach().max_dim(1);
    (rows - largest.clone()).exp().sum_dim(1).log() + largest - columns.ln()
}

/// Detectors of such sizes to load a file into.
pub(crate) fn empty(dims: [usize; 4], sharpness: f64, device: &Device) -> PartDetectors {
    let [channels, dimensions, filters, background] = dims;
    let zeros = |shape| Param::from_tensor(Tensor::zeros(shape, device));
    PartDetectors {
        embedding: Embedding::empty(channels, dimensions, device),
        directions: zeros([filters, dimensions]),
        background: zeros([background, dimensions]).set_require_grad(false),
        null: Param::from_tensor(Tensor::zeros([filters], device)),
        sharpness,
    }
}
