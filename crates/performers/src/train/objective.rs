//! What is learned: losses and errors.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::TrainError;

/// The loss of a training. Every example has a class, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    /// Softmax cross-entropy: every example is of one class.
    #[default]
    Softmax,
    /// `Σ_c log(1 + e^{−y_c s_c})`: each class by itself, y_c = 1 for the example's class and −1 for others.
    /// With one class this is the loss of a single-category performer, with negatives for examples of none.
    Logistic,
}

/// The classes of the examples of one step.
pub(super) struct Labels {
    /// Their indices, for messages.
    pub(super) indices: Vec<usize>,
    pub(super) classes: Vec<Option<usize>>,
}

impl Labels {
    fn check(&self, objective: Objective, classes: usize) -> Result<(), TrainError> {
        for (&index, &label) in self.indices.iter().zip(&self.classes) {
            match label {
                Some(label) if label >= classes => return Err(TrainError::Label { index, label, classes }),
                None if objective == Objective::Softmax => return Err(TrainError::Unlabelled { index }),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Objective {
    /// The mean loss of a batch of scores, `[batch, classes]`.
    pub(super) fn loss(self, scores: Tensor<2>, labels: &Labels) -> Result<Tensor<1>, TrainError> {
        let [batch, classes] = scores.dims();
        labels.check(self, classes)?;
        let device = scores.device();
        Ok(match self {
            Self::Softmax => {
                let labels: Vec<i64> = labels.classes.iter().flatten().map(|&class| class as i64).collect();
                let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), &device);
                CrossEntropyLossConfig::new().init(&device).forward(scores, labels)
            }
            Self::Logistic => {
                let sign =
                    |(label, class): (Option<usize>, usize)| if label == Some(class) { 1.0 } else { -1.0 };
                let signs: Vec<f32> = labels
                    .classes
                    .iter()
                    .flat_map(|&label| (0..classes).map(move |class| sign((label, class))))
                    .collect();
                let signs = Tensor::<2>::from_data(TensorData::new(signs, [batch, classes]), &device);
                log_sigmoid(scores * signs).sum().neg().div_scalar(batch as f64)
            }
        })
    }

    /// The class that scores predict: the highest, and for the logistic loss none where no score is above 0.
    fn prediction(self, scores: &[f32]) -> Option<usize> {
        let best = (0..scores.len()).reduce(|best, at| if scores[at] > scores[best] { at } else { best })?;
        (self == Self::Softmax || scores[best] > 0.0).then_some(best)
    }

    /// The number of examples that are predicted wrongly.
    pub(super) fn wrong(self, scores: Tensor<2>, labels: &Labels) -> Result<usize, TrainError> {
        let [_, classes] = scores.dims();
        labels.check(self, classes)?;
        let scores: Vec<f32> = scores.into_data().iter::<f32>().collect();
        let rows = scores.chunks_exact(classes).zip(&labels.classes);
        Ok(rows.filter(|(scores, label)| self.prediction(scores) != **label).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn scores() -> Tensor<2> {
        Tensor::from_data([[1.5f32, -0.5, 0.25], [-2.0, -0.25, -1.0], [0.0, 3.0, 2.5]], &Device::flex())
    }

    fn labels(classes: [Option<usize>; 3]) -> Labels {
        Labels { indices: vec![7, 8, 9], classes: classes.to_vec() }
    }

    #[test]
    fn losses_are_their_definitions() {
        let rows: Vec<f64> = scores().into_data().iter::<f64>().collect();
        let of = |objective: Objective, classes| {
            f64::from(objective.loss(scores(), &labels(classes)).unwrap().into_scalar::<f32>())
        };
        let classes = [Some(0), Some(2), Some(1)];
        let mut expected = 0.0;
        for (row, class) in rows.chunks(3).zip(classes) {
            let sum: f64 = row.iter().map(|score| score.exp()).sum();
            expected -= (row[class.unwrap()].exp() / sum).ln() / 3.0;
        }
        assert!((of(Objective::Softmax, classes) - expected).abs() < 1e-6);

        let classes = [Some(0), None, Some(1)];
        let mut expected = 0.0;
        for (row, class) in rows.chunks(3).zip(classes) {
            for (at, score) in row.iter().enumerate() {
                let sign = if class == Some(at) { 1.0 } else { -1.0 };
                expected += (1.0 + (-sign * score).exp()).ln() / 3.0;
            }
        }
        assert!((of(Objective::Logistic, classes) - expected).abs() < 1e-6);
    }

    #[test]
    fn errors_are_counted_as_stated() {
        let wrong = |objective: Objective, classes| objective.wrong(scores(), &labels(classes)).unwrap();
        // Predicted: 0, 1, 1; by the logistic loss 0, none, 1.
        assert_eq!(wrong(Objective::Softmax, [Some(0), Some(1), Some(1)]), 0);
        assert_eq!(wrong(Objective::Softmax, [Some(1), Some(2), Some(1)]), 2);
        assert_eq!(wrong(Objective::Logistic, [Some(0), None, Some(1)]), 0);
        assert_eq!(wrong(Objective::Logistic, [None, Some(1), Some(1)]), 2);
    }

    #[test]
    fn examples_without_a_class_or_of_an_unknown_one_are_named() {
        let error = Objective::Softmax.loss(scores(), &labels([Some(0), None, Some(1)])).unwrap_err();
        assert!(matches!(error, TrainError::Unlabelled { index: 8 }), "{error}");
        let error = Objective::Logistic.wrong(scores(), &labels([Some(0), None, Some(3)])).unwrap_err();
        assert!(matches!(error, TrainError::Label { index: 9, label: 3, classes: 3 }), "{error}");
    }
}
