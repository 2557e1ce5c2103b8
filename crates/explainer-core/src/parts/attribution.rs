//! What each part gave to a score.

use burn::tensor::Tensor;

use super::explainer::PartExplainer;
use crate::contributions::{Contributions, chosen};
use crate::features::floats;
use crate::{CoreError, Performer};

/// Points of the path along which gradients are taken: the midpoint rule.
const POINTS: usize = 8;

impl PartExplainer {
    /// Takes the score of `classes[picture]` apart for each picture of a batch of target features.
    ///
    /// With x the target features, x̄ their mean over the training pictures and s the score, a unit gave its *integrated
    /// gradients*
    ///
    /// `g(u) = Σ_c (x_c(u) − x̄_c(u)) ∫₀¹ ∂s/∂x_c(u) at x̄ + t (x − x̄) dt`,
    ///
    /// part k what lies under its mask, `Σ_u m_k(u) g(u)` ([`Contributions::filters`]), and the ordinary track the rest.
    /// [`Contributions::head`] is `s(x̄)`, which no part gave. The terms add up to the score, but for what a sum over eight
    /// points misses of the integral ([`Contributions::remainder`]).
    ///
    /// Source: Sundararajan et al., *Axiomatic attribution for deep networks*, arXiv:1703.01365; the paper
    /// (arXiv:1805.07468, Figure 5) has contributions of parts without a formula.
    ///
    /// # Shapes
    /// - target: `[batch, C, height, width]`
    ///
    /// # Errors
    /// [`CoreError::Performer`] where the performer's score does not depend on its target features.
    ///
    /// # Panics
    /// If there is not one class for each picture, or it has no score.
    pub fn contributions<P: Performer>(
        &self,
        performer: &P,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Result<Vec<Contributions>, CoreError> {
        let [batch, _, height, width] = target.dims();
        let given = self.given(performer, target.clone(), classes)?;
        let masks = self.tracks(target.clone()).masks;
        let parts = self.parts();
        let of_parts = (masks * given.clone()).reshape([batch, parts, height * width]).sum_dim(2);
        let of_parts = floats(of_parts);
        let all = floats(given.reshape([batch, height * width]).sum_dim(1));
        let score = |features| floats(chosen(performer.forward_from_target(features).scores, classes));
        let mean = self.mean.val().unsqueeze::<4>().expand(target.dims());
        let (own, baseline) = (score(target), score(mean));
        let of_picture = |at: usize| {
            let filters: Vec<f64> =
                of_parts[at * parts..][..parts].iter().map(|&given| f64::from(given)).collect();
            Contributions {
                class: classes[at],
                score: f64::from(own[at]),
                ordinary: f64::from(all[at]) - filters.iter().sum::<f64>(),
                filters,
                biases: Vec::new(),
                head: f64::from(baseline[at]),
            }
        };
        Ok((0..batch).map(of_picture).collect())
    }

    /// g of [`contributions`](Self::contributions), `[batch, 1, height, width]`.
    pub(crate) fn given<P: Performer>(
        &self,
        performer: &P,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Result<Tensor<4>, CoreError> {
        let mean = self.mean.val().unsqueeze::<4>().expand(target.dims());
        let away = target.clone() - mean.clone();
        let mut gradients = target.zeros_like();
        for point in 0..POINTS {
            let t = (point as f64 + 0.5) / POINTS as f64;
            let leaf = Tensor::from_inner(mean.clone() + away.clone() * t).require_grad();
            let scores = chosen(performer.forward_from_target(leaf.clone()).scores, classes);
            let gradient = leaf.grad(&scores.sum().backward()).ok_or_else(|| CoreError::Performer {
                what: "what the scores depend on".to_string(),
                expected: "the target features".to_string(),
                found: "something else".to_string(),
            })?;
            gradients = gradients + gradient;
        }
        Ok((away * gradients / POINTS as f64).sum_dim(1))
    }
}
