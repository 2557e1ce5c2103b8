//! The default explainer as an [`ExplainerNetwork`].

use burn::tensor::{Device, Tensor};

use super::explainer::PartExplainer;
use crate::{Contributions, CoreError, ExplainerNetwork, Performer};

impl<P: Performer> ExplainerNetwork<P> for PartExplainer {
    fn filters(&self) -> usize {
        self.parts()
    }

    fn device(&self) -> Device {
        PartExplainer::device(self)
    }

    /// The [`Embedding`](crate::Embedding)'s directions, d maps, and the evidence of the parts.
    fn part_maps(&self, target: Tensor<4>) -> Vec<Tensor<4>> {
        let [batch, _, height, width] = target.dims();
        let embedded = self.detectors.embedding.forward(target.clone()).swap_dims(1, 2);
        let dimensions = embedded.dims()[1];
        vec![embedded.reshape([batch, dimensions, height, width]), self.detectors.evidence(target)]
    }

    fn least_peak(&self) -> f64 {
        f64::NEG_INFINITY
    }

    fn reconstructed(&self, performer: &P, target: Tensor<4>) -> Vec<Tensor<2>> {
        let tracks = self.tracks(target);
        performer.forward_from_target(tracks.interpretable + tracks.ordinary).upper
    }

    fn scores(&self, performer: &P, target: Tensor<4>) -> Tensor<2> {
        let tracks = self.tracks(target);
        performer.forward_from_target(tracks.interpretable + tracks.ordinary).scores
    }

    fn contributions(
        &self,
        performer: &P,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Result<Vec<Contributions>, CoreError> {
        PartExplainer::contributions(self, performer, target, classes)
    }

    fn scores_without(&self, performer: &P, target: Tensor<3>, groups: &[Vec<usize>]) -> Tensor<2> {
        PartExplainer::scores_without(self, performer, target.unsqueeze(), groups)
    }

    fn part_heat(&self, performer: &P, target: Tensor<4>, classes: &[usize]) -> Result<Tensor<3>, CoreError> {
        let given = self.given(performer, target.clone(), classes)?;
        let carried = self.tracks(target).masks.sum_dim(1);
        Ok((given * carried).clamp_min(0.0).squeeze_dim(1))
    }

    fn places(&self, target: Tensor<4>) -> Option<Tensor<4>> {
        Some(self.at_places(target))
    }
}
