//! What every form of explainer can say of pictures.

use burn::tensor::{Device, Tensor};

use crate::{Contributions, CoreError, EpochRecord, Explainer, Fit, PartFit, Performer, Validation};

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

    /// A filter has a place in a picture where its strength is above this: 0 behind a ReLU; −∞ where it has one in every
    /// picture, however unlikely its part is there.
    fn least_peak(&self) -> f64 {
        0.0
    }

    /// The upper features of the performer as the explainer reconstructs them, lowest layer first.
    fn reconstructed(&self, performer: &P, target: Tensor<4>) -> Vec<Tensor<2>>;

    /// The scores of the performer with what the explainer reconstructs, `[batch, classes]`.
    fn scores(&self, performer: &P, target: Tensor<4>) -> Tensor<2>;

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

    /// A control for the parts: the same filters at their usual places, whatever they see there. `None` where there is no
    /// such control.
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

    fn scores(&self, performer: &P, target: Tensor<4>) -> Tensor<2> {
        let upper = self.forward(target).upper.pop().expect("something is reconstructed");
        Explainer::scores(self, performer, upper)
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

/// A fitted explainer of any form, and what is known of its fit: what evaluation and reports read.
pub struct Fitted<'a, P> {
    /// The explainer.
    pub network: &'a dyn ExplainerNetwork<P>,
    /// Its [part maps](ExplainerNetwork::part_maps), the last of them, before fitting.
    pub start: Box<dyn Fn(Tensor<4>) -> Tensor<4> + 'a>,
    /// One record an epoch; none where there are no epochs.
    pub records: &'a [EpochRecord],
    /// Its figures on the validation features.
    pub validation: Option<Validation>,
    /// Those of a decoder that looks at no image; `None` where the decoder is the performer itself.
    pub without_looking: Option<&'a Validation>,
    /// Whether both tracks add up to the target features and the decoder is the performer itself, so that nothing is lost
    /// and nothing of the reconstruction was learned.
    pub exact: bool,
    /// p, the share of the interpretable track.
    pub share: f64,
    /// What of the method does not apply to this performer.
    pub notes: &'a [String],
}

impl<'a, P: Performer> From<&'a Fit> for Fitted<'a, P> {
    fn from(fit: &'a Fit) -> Self {
        Self {
            network: &fit.explainer,
            start: Box::new(|target| fit.start.reading(target).maps),
            records: &fit.records,
            validation: fit.validation.clone(),
            without_looking: fit.without_looking.as_ref(),
            exact: false,
            share: f64::from(fit.share()),
            notes: &fit.notes,
        }
    }
}

impl<'a, P: Performer> From<&'a PartFit> for Fitted<'a, P> {
    /// p is the share of the mass of the target features that the parts carry, on the validation features; NaN where there
    /// are none.
    fn from(fit: &'a PartFit) -> Self {
        let validation = fit.validation.as_ref().map(|found| Validation {
            relative_error: found.relative_error.clone(),
            agreement: found.agreement,
            mass_share: Some(found.mass_share),
            instability: None,
        });
        Self {
            network: &fit.explainer,
            start: Box::new(|target| fit.start.detectors().evidence(target)),
            records: &[],
            share: fit.validation.as_ref().map_or(f64::NAN, |found| found.mass_share),
            validation,
            without_looking: None,
            exact: true,
            notes: &[],
        }
    }
}
