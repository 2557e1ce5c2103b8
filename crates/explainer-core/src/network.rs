//! What every form of explainer can say of pictures.

use burn::tensor::{Device, Tensor};

use crate::{Contributions, CoreError, Explainer, Performer};

/// An explainer of a performer `P`, of any form: the default ([`PartExplainer`](crate::PartExplainer)), the published
/// one ([`Explainer`](crate::Explainer)), or one of your own. Evaluation and reports ask for nothing else.
pub trait ExplainerNetwork<P: Performer> {
    /// K, the number of filters that stand for parts.
    fn filters(&self) -> usize;

    /// Where its tensors are.
    fn device(&self) -> Device;

    /// Maps of its interpretable layers, the last of which has the parts: the strongest unit of a filter is its place, the
    /// value there its strength, and the filter fires where that is above 0.
    ///
    /// # Shapes
    /// - target: target features, `[batch, C, height, width]`
    /// - output: each `[batch, filters, height, width]`, the last with K filters
    fn part_maps(&self, target: Tensor<4>) -> Vec<Tensor<4>>;

    /// The upper features of the performer as the explainer reconstructs them, lowest layer first.
    fn reconstructed(&self, performer: &P, target: Tensor<4>) -> Vec<Tensor<2>>;

    /// Takes the score of `classes[picture]` apart, for each picture of a batch of target features.
    ///
    /// # Errors
    /// What keeps the scores from being taken apart.
    ///
    /// # Panics
    /// If there is not one class for each picture, or it has no score.
    fn contributions(
        &self,
        performer: &P,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Result<Vec<Contributions>, CoreError>;

    /// The scores of one picture without the filters of each group.
    ///
    /// # Shapes
    /// - target: `[C, height, width]`
    /// - output: `[groups, classes]`
    ///
    /// # Panics
    /// If there is no group, or a filter of one does not exist.
    fn scores_without(&self, performer: &P, target: Tensor<3>, groups: &[Vec<usize>]) -> Tensor<2>;

    /// Where on the map the score of `classes[picture]` comes from, as far as parts gave it.
    ///
    /// # Shapes
    /// - output: `[batch, height, width]`, 0 or more
    ///
    /// # Errors
    /// As [`contributions`](Self::contributions).
    fn part_heat(&self, performer: &P, target: Tensor<4>, classes: &[usize]) -> Result<Tensor<3>, CoreError>;

    /// A control for the parts: filters that fire as strongly as its own, but at their place on the object, whatever they
    /// see there. `None` where no place is part of the method.
    fn places(&self, target: Tensor<4>) -> Option<Tensor<4>>;
}

impl<P: Performer> ExplainerNetwork<P> for Explainer {
    fn filters(&self) -> usize {
        Explainer::filters(self)
    }

    fn device(&self) -> Device {
        self.interpretable_norm.alpha().device()
    }

    fn part_maps(&self, target: Tensor<4>) -> Vec<Tensor<4>> {
        self.interpretable.forward(target).0
    }

    fn reconstructed(&self, _performer: &P, target: Tensor<4>) -> Vec<Tensor<2>> {
        self.forward(target).upper
    }

    fn contributions(
        &self,
        performer: &P,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Result<Vec<Contributions>, CoreError> {
        Ok(Explainer::contributions(self, performer, target, classes))
    }

    fn scores_without(&self, performer: &P, target: Tensor<3>, groups: &[Vec<usize>]) -> Tensor<2> {
        self.silenced(performer, target, groups)
    }

    fn part_heat(&self, performer: &P, target: Tensor<4>, classes: &[usize]) -> Result<Tensor<3>, CoreError> {
        Ok(self.grad_cam(performer, target, self.interpretable.layers.len() - 1, classes))
    }

    fn places(&self, target: Tensor<4>) -> Option<Tensor<4>> {
        self.interpretable.places(target)
    }
}
