//! The norm-layers' first α, and a decoder that fits it.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::features::Features;
use crate::norm::channel_mass;
use crate::{Explainer, ScaleNorm};

/// Rows of one pass.
pub(crate) const BATCH: usize = 64;

impl Explainer {
    /// The explainer with α_k of both norm-layers measured on `features`, and the decoder's first
    /// layer adapted to them.
    ///
    /// A copied fc-dec-1 was trained for the performer's own pooled channels, of mean mass α*_k;
    /// behind the norm-layers every channel has mass one. So the rows of channel k are multiplied by
    /// α*_k, measured on conv-interp-1, which at this point is the performer's top conv-layer.
    /// (Without the copy of fc6 the factor is harmless: the weights are random in any case. Where conv-interp-1
    /// starts at random and fc6 is copied, α* is that of the random layer: fc-dec-1 then starts at another scale,
    /// with channels that are not the performer's anyway.)
    ///
    /// α is measured on the rows that have a category, or on all if none has: for a single-category
    /// performer on its positive images alone (arXiv:1805.07468, norm-layer).
    ///
    /// Call it before fitting only; [`FitConfig::fit`](crate::FitConfig::fit) does.
    pub fn calibrated(self, features: &Features) -> Self {
        let explainer = self.valid();
        let [parts, ordinary, performer] = explainer.mean_masses(features);
        let norm = |norm: &ScaleNorm, mass| norm.clone().with_alpha(mass);
        let gain = norm(&explainer.interpretable_norm, performer).alpha();
        let mut calibrated = explainer.clone();
        calibrated.interpretable_norm = norm(&explainer.interpretable_norm, parts);
        calibrated.ordinary_norm = norm(&explainer.ordinary_norm, ordinary);
        let first = &mut calibrated.decoder.layers[0].weight;
        let [inputs, outputs] = first.dims();
        let channels = explainer.filters();
        *first = first.clone().map(|weight| {
            (weight.reshape([channels, inputs / channels, outputs]) * gain.clone().reshape([channels, 1, 1]))
                .reshape([inputs, outputs])
        });
        calibrated
    }

    /// Mean masses of the pooled channels of the interpretable track, the ordinary track and
    /// conv-interp-1.
    fn mean_masses(&self, features: &Features) -> [Tensor<1>; 3] {
        let rows = objects(features);
        let zero = Tensor::zeros([self.filters()], features.device());
        let mut masses = [zero.clone(), zero.clone(), zero];
        for batch in rows.chunks(BATCH) {
            let share = batch.len() as f64 / rows.len() as f64;
            let target = features.batch(batch).target;
            let (maps, parts) = self.interpretable.forward(target.clone());
            let ordinary = self.pooled(self.ordinary.forward(target));
            let tracks = [self.pooled_parts(parts), ordinary, self.pooled(maps[0].clone())];
            for (mass, track) in masses.iter_mut().zip(tracks) {
                *mass = mass.clone() + channel_mass(track).mul_scalar(share);
            }
        }
        masses
    }
}

/// The rows that have a category, or all of them if none has.
pub(crate) fn objects(features: &Features) -> Vec<usize> {
    let categories = features.categories();
    let rows: Vec<usize> = (0..features.len()).filter(|&row| categories[row].is_some()).collect();
    if rows.is_empty() { (0..features.len()).collect() } else { rows }
}
