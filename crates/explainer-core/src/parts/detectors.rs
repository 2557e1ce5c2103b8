//! Detectors of parts: directions of the embedding, each with a calibrated answer to whether its part is there.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::embedding::Embedding;
use super::explainer::frozen;

/// Detectors of parts at the units of the target layer.
///
/// Detector k scores a unit u by `S_k(u) = w_k·z(u)`, the cosine of its direction w_k and the unit's [`Embedding`] z. Its
/// *evidence* is the logit of a linear discriminant,
///
/// `E_k(u) = β_k (S_k(u) − θ_k)`,
///
/// between scores at its part and scores of pictures without it: above 0 the part is likelier there than not. The
/// strongest unit of E_k is where the part is, and the value there how sure the detector is.
///
/// The embedding is linear and then normalised, so that the whole detector is a fixed 3×3 average, a 1×1 convolution, a
/// normalisation over channels, and another 1×1 convolution.
///
/// # Shapes
/// - target: target features, `[batch, C, height, width]`
/// - evidence: `[batch, K, height, width]`
#[derive(Module, Debug)]
pub struct PartDetectors {
    pub(crate) embedding: Embedding,
    /// w, `[K, d]`, each of length 1.
    pub(crate) directions: Param<Tensor<2>>,
    /// θ, `[K]`.
    pub(crate) threshold: Param<Tensor<1>>,
    /// β, `[K]`.
    pub(crate) slope: Param<Tensor<1>>,
    /// The self-erasure margin of each detector, `[K]`.
    pub(crate) margin: Param<Tensor<1>>,
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

    /// The self-erasure margin of each detector, the largest first: by how many standard deviations of all its scores its
    /// strongest unit exceeds what is left of the same picture without the 5×5 units around it, on average over the
    /// training pictures. It needs no labels, and detectors are ranked by it: a part is in one place.
    pub fn margins(&self) -> Vec<f32> {
        crate::features::floats(self.margin.val())
    }

    /// E of target features.
    pub fn evidence(&self, target: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = target.dims();
        let embedded = self.embedding.forward(target);
        let [_, units, dimensions] = embedded.dims();
        let embedded = embedded.reshape([batch * units, dimensions]);
        let scores = embedded.matmul(self.directions.val().transpose());
        let evidence = (scores - self.threshold.val().unsqueeze()) * self.slope.val().unsqueeze();
        evidence.reshape([batch, units, self.len()]).swap_dims(1, 2).reshape([
            batch,
            self.len(),
            height,
            width,
        ])
    }
}

/// Detectors of such sizes (C, d, K) to load a file into.
pub(crate) fn empty([channels, dimensions, filters]: [usize; 3], device: &Device) -> PartDetectors {
    let of_filter = || frozen(Tensor::zeros([filters], device));
    PartDetectors {
        embedding: Embedding::empty(channels, dimensions, device),
        directions: frozen(Tensor::zeros([filters, dimensions], device)),
        threshold: of_filter(),
        slope: of_filter(),
        margin: of_filter(),
    }
}
